package difftest

import (
	"strings"
)

// A request is an HTTP request as it is sent.
type request struct {
	Method  string
	Host    string
	Path    string
	Headers [][2]string
}

// request makes a request for a table: mostly one that fits one of its routes as far as that is easy, with some of it changed.
func (p picker) request(table dict) request {
	r := request{Method: one(p, "GET", "GET", "GET", "POST"), Host: one(p, hostWords...), Path: one(p, pathWords...)}
	hosts := table["virtual_hosts"].([]any)
	h := one(p, hosts...).(dict)
	if p.chance(.75) {
		r.Host = hostFor(p, one(p, h["domains"].([]string)...))
	}
	var routes []any
	if list, ok := h["routes"].([]any); ok {
		routes = list
	}
	if len(routes) > 0 && p.chance(.8) {
		p.fit(&r, one(p, routes...).(dict)["match"].(dict))
	}
	for range p.IntN(3) {
		r.set(one(p, headerNames...), one(p, valueWords...))
	}
	if p.chance(.15) { // a line of its own for a second value
		r.Headers = append(r.Headers, [2]string{one(p, headerNames...), one(p, valueWords...)})
	}
	if r.Method == "CONNECT" && (!strings.Contains(r.Host, ":") || strings.HasSuffix(r.Host, "]")) {
		r.Host += ":80"
	}
	if r.Method != "CONNECT" && p.chance(.3) && !strings.Contains(r.Path, "?") {
		r.Path += "?" + strings.Join(some(p, 2, "q=one", "q=5&q=two", "r", "s%20t=onetwo", "q=%6Fne", "x=/a"), "&")
	}
	if p.chance(.15) {
		r.set("cookie", strings.Join(some(p, 2, "sid=one", `u="two"`, "sid=5", "bad", " u=ONE"), ";"))
	}
	if p.chance(.05) {
		r.set("content-type", one(p, "application/grpc", "application/grpc+proto", "application/grpc-web"))
	}
	if p.chance(.2) {
		r.set("x-random", one(p, "0", "1", "7", "49", "50", "1000003", "x"))
	}
	if p.chance(.3) {
		r.set("x-cluster", one(p, clusters...))
	}
	if p.chance(.1) {
		r.set("x-forwarded-proto", one(p, "https", "http"))
	}
	if p.chance(.15) {
		r.set("x-host", one(p, hostWords...))
	}
	if p.chance(.1) {
		r.set("x-meta-k", one(p, nonEmpty(one(p, valueWords...)), "one"))
	}
	if p.chance(.1) {
		r.set("x-meta-n", one(p, "5", "17"))
	}
	return r
}

func (r *request) set(name, value string) {
	for i := range r.Headers {
		if r.Headers[i][0] == name {
			r.Headers[i][1] = value
			return
		}
	}
	r.Headers = append(r.Headers, [2]string{name, value})
}

// hostFor is a host that fits a domain.
func hostFor(p picker, domain string) string {
	switch {
	case domain == "*":
		return one(p, hostWords...)
	case strings.HasPrefix(domain, "*"):
		return one(p, "x", "www", "q.r") + domain[1:]
	case strings.HasSuffix(domain, "*"):
		return domain[:len(domain)-1] + one(p, "x", "c.org")
	}
	if strings.Contains(domain, ":") {
		return domain
	}
	return one(p, domain, domain, strings.ToUpper(domain), domain+":80")
}

// fit changes a request so that a route matches it, as far as this is easy.
func (p picker) fit(r *request, m dict) {
	sample := func(list []regexWord, re string) string {
		for _, w := range list {
			if w.re == re {
				return one(p, w.samples...)
			}
		}
		return ""
	}
	if m["connect_matcher"] != nil && p.chance(.7) {
		r.Method, r.Path = "CONNECT", ""
		return
	}
	switch {
	case m["prefix"] != nil:
		r.Path = "/" + strings.TrimPrefix(m["prefix"].(string), "/") + one(p, "", "b", "/b")
	case m["path"] != nil:
		r.Path = m["path"].(string)
	case m["path_separated_prefix"] != nil:
		r.Path = m["path_separated_prefix"].(string) + one(p, "", "/", "/b/c", "x")
	case m["safe_regex"] != nil:
		r.Path = sample(pathRegexes, m["safe_regex"].(dict)["regex"].(string))
	case m["path_match_policy"] != nil:
		r.Path = sample(templates, m["path_match_policy"].(dict)["typed_config"].(dict)["path_template"].(string))
	}
	if p.chance(.15) {
		r.Path = one(p, strings.ToUpper(r.Path), r.Path+";k=v", r.Path+"/")
	}
	list, _ := m["headers"].([]any)
	for _, v := range list {
		h := v.(dict)
		name := strings.ToLower(h["name"].(string))
		if p.chance(.15) {
			continue
		}
		value := ""
		for _, kind := range []string{"exact_match", "prefix_match", "suffix_match", "contains_match"} {
			if s, ok := h[kind].(string); ok {
				value = s
			}
		}
		if re, ok := h["safe_regex_match"].(dict); ok {
			value = sample(valueRegexes, re["regex"].(string))
		}
		if rng, ok := h["range_match"].(dict); ok {
			value = one(p, rng["start"].(string), rng["end"].(string))
		}
		if s, ok := h["string_match"].(dict); ok {
			value = p.valueFor(s)
		}
		switch name {
		case ":method":
			r.Method = one(p, "GET", "POST", "PUT")
		case ":authority", ":path", ":scheme", "host":
		default:
			if h["present_match"] == false && p.chance(.7) {
				continue
			}
			r.set(name, value)
		}
	}
	if list, ok := m["query_parameters"].([]any); ok && p.chance(.85) {
		q := list[0].(dict)
		value := one(p, "", "one")
		if s, ok := q["string_match"].(dict); ok {
			value = p.valueFor(s)
		}
		r.Path += "?" + q["name"].(string) + "=" + strings.ReplaceAll(value, " ", "+")
	}
	if list, ok := m["cookies"].([]any); ok && p.chance(.85) {
		c := list[0].(dict)
		r.set("cookie", c["name"].(string)+"="+p.valueFor(c["string_match"].(dict)))
	}
	if m["grpc"] != nil && p.chance(.85) {
		r.set("content-type", one(p, "application/grpc", "application/grpc+json"))
	}
	if list, ok := m["dynamic_metadata"].([]any); ok && p.chance(.85) {
		if s, ok := list[0].(dict)["value"].(dict)["string_match"].(dict); ok {
			if value := strings.TrimSpace(p.valueFor(s)); value != "" {
				r.set("x-meta-k", value)
			}
		} else {
			r.set("x-meta-n", one(p, "5", "17"))
		}
	}
}

// valueFor is a text that mostly fits a StringMatcher.
func (p picker) valueFor(s dict) string {
	for _, kind := range []string{"exact", "prefix", "suffix", "contains"} {
		v, ok := s[kind].(string)
		if !ok {
			continue
		}
		if p.chance(.2) {
			v = strings.ToUpper(v)
		}
		switch kind {
		case "prefix":
			v += one(p, "", "x")
		case "suffix":
			v = one(p, "", "x") + v
		case "contains":
			v = one(p, "", "x") + v + one(p, "", "y")
		}
		return v
	}
	if re, ok := s["safe_regex"].(dict); ok {
		for _, w := range valueRegexes {
			if w.re == re["regex"] {
				return one(p, w.samples...)
			}
		}
	}
	return "one"
}
