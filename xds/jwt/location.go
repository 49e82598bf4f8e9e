package jwt

import (
	"maps"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// A location is a place of a request that tokens are taken from, and the issuers whose tokens may stand there.
type location struct {
	header, prefix string // a header and what comes before the token in it
	param, cookie  string
	anyone         bool
	issuers        []string
}

// String is the location as a reader of the configuration knows it.
func (l *location) String() string {
	switch {
	case l.header != "":
		return "header " + l.header
	case l.param != "":
		return "query parameter " + l.param
	}
	return "cookie " + l.cookie
}

func (l *location) allows(issuer string) bool { return l.anyone || slices.Contains(l.issuers, issuer) }

// locations are the places that some providers name, in the order they are looked at: headers, query parameters, cookies, each sorted.
func locations(providers []rawjson.Value) []*location {
	headers, params, cookies := map[string]*location{}, map[string]*location{}, map[string]*location{}
	add := func(to map[string]*location, key string, l location, issuer string) {
		if to[key] == nil {
			to[key] = &l
		}
		if issuer == "" {
			to[key].anyone = true
		}
		to[key].issuers = append(to[key].issuers, issuer)
	}
	for _, p := range providers {
		issuer := p.Str("issuer")
		inHeaders, inParams, inCookies := p.Get("from_headers"), p.Get("from_params"), p.Get("from_cookies")
		for h := range inHeaders.Elems() {
			name, prefix := match.Lower(h.Str("name")), h.Str("value_prefix")
			add(headers, name+prefix, location{header: name, prefix: prefix}, issuer)
		}
		for v := range inParams.Elems() {
			add(params, v.Text(), location{param: v.Text()}, issuer)
		}
		for v := range inCookies.Elems() {
			add(cookies, v.Text(), location{cookie: v.Text()}, issuer)
		}
		if inHeaders.Len()+inParams.Len()+inCookies.Len() == 0 {
			add(headers, "authorizationBearer ", location{header: "authorization", prefix: "Bearer "}, issuer)
			add(params, "access_token", location{param: "access_token"}, issuer)
		}
	}
	var out []*location
	for _, m := range [...]map[string]*location{headers, params, cookies} {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			out = append(out, m[key])
		}
	}
	return out
}

// A found is the text of a token and where it stands.
type found struct {
	at   *location
	text string
}

// extract takes the tokens out of a request.
func extract(from []*location, r *match.Request) []found {
	var out []found
	for _, l := range from {
		switch {
		case l.header != "":
			for _, value := range r.Values(l.header) {
				if l.prefix != "" {
					i := strings.Index(value, l.prefix)
					if i < 0 {
						continue
					}
					if start := strings.IndexFunc(value[i+len(l.prefix):], inToken); start >= 0 {
						value = value[i+len(l.prefix)+start:]
					}
				}
				out = append(out, found{l, value})
			}
		case l.param != "":
			if value, ok := match.DecodedParameter(r.Path, l.param); ok {
				out = append(out, found{l, value})
			}
		default:
			if value, ok := r.Cookie(l.cookie); ok {
				out = append(out, found{l, value})
			}
		}
	}
	return out
}

// inToken reports whether a token may begin with c.
func inToken(c rune) bool {
	return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.'
}

// A Change is one thing the filter does to a request that it lets pass.
type Change struct {
	// Header is the header that is added with Value, or taken off when Remove is set.
	Header, Value string
	Remove        bool
	// Param is the query parameter that is taken off.
	Param string
}

// Apply makes the change to headers and a path. The headers given stay as they are.
func (c Change) Apply(headers match.Headers, path string) (match.Headers, string) {
	switch {
	case c.Param != "":
		return headers, withoutParam(path, c.Param)
	case c.Remove:
		return slices.DeleteFunc(slices.Clone(headers), func(h match.Header) bool { return h.Name == c.Header }), path
	}
	return append(slices.Clip(headers), match.Header{Name: c.Header, Value: c.Value}), path
}

// withoutParam takes a query parameter off a path.
func withoutParam(path, name string) string {
	if !strings.Contains(path, "?") {
		return path
	}
	query := match.ParseQuery(path)
	delete(query, name)
	return query.Put(path)
}
