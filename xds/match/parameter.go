package match

import (
	"strings"

	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/route"
)

// A ParameterMatch is a condition on a query parameter (envoy.config.route.v3.QueryParameterMatcher).
type ParameterMatch struct {
	name     string
	value    String
	hasValue bool
	present  rawjson.Value
}

// NewParameterMatch reads a QueryParameterMatcher.
func NewParameterMatch(v rawjson.Value) ParameterMatch {
	s := v.Get("string_match")
	return ParameterMatch{name: v.Str("name"), value: NewString(s), hasValue: s.Exists(), present: v.Get("present_match")}
}

// Match reports whether the condition holds. Names and values are compared as they are sent, without decoding; of a parameter that is
// repeated the first counts.
func (p ParameterMatch) Match(r *Request) bool {
	got, ok := Parameter(r.Path, p.name)
	if p.present.Exists() && r.Envoy.AtLeast(1, 34) {
		return ok == p.present.IsTrue()
	}
	return ok && (!p.hasValue || p.value.Match(got))
}

// Err says why the condition can never be decided, nil when it can.
func (p ParameterMatch) Err() error { return p.value.Err() }

// String is name=match, name for presence, !name for absence.
func (p ParameterMatch) String() string {
	f := route.FieldMatch{Name: p.name, Absent: p.present.Exists() && !p.present.IsTrue()}
	if p.hasValue {
		f.Match = p.value.view
	}
	return f.String()
}

// Why says in one phrase what the request has in place of what the condition asks for.
func (p ParameterMatch) Why(r *Request) string {
	var got []string
	if value, ok := Parameter(r.Path, p.name); ok {
		got = []string{value}
	}
	return why("query "+p.String(), got, p.Err())
}

// Parameter is the first value of a query parameter of a path, not decoded. One without = has the value "".
func Parameter(path, name string) (value string, ok bool) {
	_, query, found := strings.Cut(path, "?")
	if !found || name == "" && query == "" || strings.ContainsAny(name, "=&") {
		return "", false
	}
	// Searched for by its name: a long query may be looked through for every route of a table.
	for from := 0; ; {
		i := strings.Index(query[from:], name)
		if i < 0 {
			return "", false
		}
		start, end := from+i, from+i+len(name)
		if (start == 0 || query[start-1] == '&') && (end == len(query) || query[end] == '&' || query[end] == '=') && (name != "" || end < len(query)) {
			field, _, _ := strings.Cut(query[end:], "&")
			return strings.TrimPrefix(field, "="), true
		}
		if from = start + 1; from > len(query) {
			return "", false
		}
	}
}

// A CookieMatch is a condition on a cookie (envoy.config.route.v3.CookieMatcher), which Envoy knows since 1.37.
type CookieMatch struct {
	name   string
	value  String
	invert bool
}

// NewCookieMatch reads a CookieMatcher.
func NewCookieMatch(v rawjson.Value) CookieMatch {
	return CookieMatch{v.Str("name"), NewString(v.Get("string_match")), v.Get("invert_match").IsTrue()}
}

// Match reports whether the condition holds. A cookie that is missing matches an inverted condition.
func (c CookieMatch) Match(r *Request) bool {
	if !r.Envoy.AtLeast(1, 37) {
		return true
	}
	got, ok := r.Cookie(c.name)
	return (ok && c.value.Match(got)) != c.invert
}

// Err says why the condition can never be decided, nil when it can.
func (c CookieMatch) Err() error { return c.value.Err() }

// String is name=match, or name!=match when inverted.
func (c CookieMatch) String() string {
	return route.FieldMatch{Name: c.name, Match: c.value.view, Invert: c.invert}.String()
}

// Why says in one phrase what the request has in place of what the condition asks for.
func (c CookieMatch) Why(r *Request) string {
	var got []string
	if value, ok := r.Cookie(c.name); ok {
		got = []string{value}
	}
	return why("cookie "+c.String(), got, c.Err())
}

// Cookie is the first value of a cookie, without the quotes around it.
func (r *Request) Cookie(name string) (value string, ok bool) {
	for _, line := range r.Headers {
		if line.Name != "cookie" {
			continue
		}
		for part := range strings.SplitSeq(line.Value, ";") {
			key, value, found := strings.Cut(part, "=")
			if !found || strings.TrimLeft(key, " ") != name {
				continue
			}
			if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
				value = value[1 : len(value)-1]
			}
			return value, true
		}
	}
	return "", false
}
