package difftest

import (
	"fmt"
	"strconv"
	"strings"
)

// The words configurations and requests are made of. There are few, so that they meet.
var (
	hostWords   = []string{"a.com", "b.com", "x.a.com", "y.x.a.com", "a.com:8080", "x-b.com", "www.c.org", "www.c.net", "[::1]", "[::1]:80", "z", "a.com.", "b.com.:80", ".a.com", "-b.com", "com", "www.", "w"}
	domainWords = []string{"a.com", "B.com", "x.a.com", "*.a.com", "*.x.a.com", "*-b.com", "*com", "www.*", "www.c.*", "*:8080", "a.com:8080", "[::1]", "w*"}
	pathWords   = []string{"/", "/a", "/a/b", "/a/b/c", "/ab", "/A/b", "/v1/items/42", "/v2/items/7/x", "/a;p=1/b", "/a/", "/a.b", "/~a", "/a%20b", "//a", "/*", "/a/./b", "/x/../a", "/%61/b", "/a%2Fb", "/a//b//", "/..", "/a/b/..", "/a%5cb", "/%2e%2E/a", "/a/...", "/%7Ea%C3", "/a/..;x/b", "/.;q/a", "/a/.;q"}
	valueWords  = []string{"", "one", "two", "ONE", "onetwo", "5", "-3", "17", "one,two", " 5", "a b", "0x5", "thirty"}
	headerNames = []string{"x-a", "x-b", "x-c", "accept"}
	queryNames  = []string{"q", "r", "s%20t"}
	cookieNames = []string{"sid", "u"}
	clusters    = []string{"c0", "c1", "c2", "c3", "missing"}
)

// A regexWord is a regular expression with texts it matches.
type regexWord struct {
	re      string
	samples []string
}

var (
	pathRegexes  = []regexWord{{"/a.*", []string{"/a", "/a/b"}}, {"/v[0-9]/items/[0-9]+", []string{"/v1/items/42"}}, {"/(a|b)/?", []string{"/a", "/b/"}}, {"(?i)/A", []string{"/a"}}, {"/[^/]+", []string{"/ab"}}}
	valueRegexes = []regexWord{{"one|two", []string{"one", "two"}}, {"[0-9]+", []string{"5", "17"}}, {".*", []string{"", "a b"}}, {"o.*", []string{"onetwo"}}, {"(?i)one", []string{"ONE"}}}
	templates    = []regexWord{{"/v1/items/{id}", []string{"/v1/items/42"}}, {"/{a}/**", []string{"/a/b/c"}}, {"/*/items/{id=*}", []string{"/v2/items/7"}}, {"/a/{rest=**}", []string{"/a/b/c", "/a/"}}, {"/v{n}/items/{id}", []string{"/v2/items/7"}}, {"/a", []string{"/a"}}}
)

func (p picker) stringMatch() dict {
	value := one(p, valueWords...)
	d := dict{}
	switch one(p, "exact", "prefix", "suffix", "contains", "safe_regex") {
	case "exact":
		d["exact"] = value
	case "prefix":
		d["prefix"] = nonEmpty(value)[:1+p.IntN(len(nonEmpty(value)))]
	case "suffix":
		v := nonEmpty(value)
		d["suffix"] = v[p.IntN(len(v)):]
	case "contains":
		v := nonEmpty(value)
		i := p.IntN(len(v))
		d["contains"] = v[i : i+1+p.IntN(len(v)-i)]
	default:
		return dict{"safe_regex": dict{"regex": one(p, valueRegexes...).re}}
	}
	if p.chance(.3) {
		d["ignore_case"] = true
	}
	return d
}

func nonEmpty(s string) string {
	if s == "" {
		return "o"
	}
	return s
}

func (p picker) headerMatch() dict {
	d := dict{"name": one(p, headerNames...)}
	switch p.IntN(12) {
	case 0:
		d["exact_match"] = one(p, one(p, valueWords...), "")
	case 1:
		d["prefix_match"] = "o"
	case 2:
		d["suffix_match"] = one(p, "o", "e", "7")
	case 3:
		d["contains_match"] = one(p, "ne", "t", "5")
	case 4:
		d["safe_regex_match"] = dict{"regex": one(p, valueRegexes...).re}
	case 5:
		d["present_match"] = p.chance(.5)
	case 6:
		start := p.IntN(12) - 5
		d["range_match"] = dict{"start": strconv.Itoa(start), "end": strconv.Itoa(start + 1 + p.IntN(20))}
	case 7: // presence, by default
	case 8:
		d["name"], d["string_match"] = ":method", dict{"exact": one(p, "GET", "POST")}
	case 9:
		d["name"] = one(p, ":authority", ":path", ":scheme", "host", "X-A")
		d["string_match"] = dict{"prefix": one(p, "a", "/a", "http", "w", "o")}
	default:
		d["string_match"] = p.stringMatch()
	}
	if p.chance(.25) {
		d["invert_match"] = true
	}
	if p.chance(.2) {
		d["treat_missing_header_as_empty"] = true
	}
	return d
}

func (p picker) valueMatch(depth int) dict {
	switch n := p.IntN(8); {
	case n == 0:
		return dict{"present_match": true}
	case n == 1 && depth < 2:
		return dict{"or_match": dict{"value_matchers": []any{p.valueMatch(depth + 1), p.valueMatch(depth + 1)}}}
	case n == 2:
		return dict{"double_match": dict{"exact": 5}}
	case n == 3:
		return dict{"double_match": dict{"range": dict{"start": 0, "end": 10}}}
	case n == 4:
		return dict{"null_match": dict{}}
	case n == 5:
		return dict{"bool_match": true}
	default:
		return dict{"string_match": p.stringMatch()}
	}
}

func (p picker) routeMatch() dict {
	d := dict{}
	switch one(p, "prefix", "prefix", "path", "safe_regex", "path_separated_prefix", "path_match_policy", "connect_matcher") {
	case "prefix":
		d["prefix"] = one(p, "", "/", "/a", "/a/", "/v1", "/A")
	case "path":
		d["path"] = one(p, pathWords...)
	case "safe_regex":
		d["safe_regex"] = dict{"regex": one(p, pathRegexes...).re}
	case "path_separated_prefix":
		d["path_separated_prefix"] = one(p, "/a", "/a/b", "/v1/items", "/A")
	case "path_match_policy":
		d["path_match_policy"] = dict{"name": "envoy.path.match.uri_template.uri_template_matcher", "typed_config": dict{
			"@type":         "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
			"path_template": one(p, templates...).re,
		}}
	case "connect_matcher":
		d["connect_matcher"] = dict{}
	}
	if p.chance(.2) {
		d["case_sensitive"] = p.chance(.3)
	}
	if p.chance(.45) {
		var list []any
		for range 1 + p.IntN(2) {
			list = append(list, p.headerMatch())
		}
		d["headers"] = list
	}
	if p.chance(.2) {
		q := dict{"name": one(p, queryNames...)}
		switch p.IntN(4) {
		case 0:
			q["present_match"] = p.chance(.5)
		case 1:
		default:
			q["string_match"] = p.stringMatch()
		}
		d["query_parameters"] = []any{q}
	}
	if p.chance(.12) {
		c := dict{"name": one(p, cookieNames...), "string_match": p.stringMatch()}
		if p.chance(.3) {
			c["invert_match"] = true
		}
		d["cookies"] = []any{c}
	}
	if p.chance(.07) {
		d["grpc"] = dict{}
	}
	if p.chance(.06) {
		d["tls_context"] = dict{one(p, "presented", "validated"): p.chance(.3)}
	}
	if p.chance(.12) {
		d["runtime_fraction"] = p.runtimeFraction()
	}
	if p.chance(.12) {
		m := dict{"filter": "test.meta", "path": []any{dict{"key": one(p, "k", "n", "none")}}, "value": p.valueMatch(0)}
		if p.chance(.25) {
			m["invert"] = true
		}
		d["dynamic_metadata"] = []any{m}
	}
	if p.chance(.08) {
		d["filter_state"] = []any{p.filterState()}
	}
	return d
}

func (p picker) filterState() dict {
	if p.chance(.3) {
		return dict{"key": "test.ip", "address_match": dict{
			"ranges":       []any{dict{"address_prefix": one(p, "10.1.0.0", "10.0.0.0", "192.168.0.0"), "prefix_len": one(p, 8, 16)}},
			"invert_match": p.chance(.3),
		}}
	}
	return dict{"key": one(p, "test.state", "test.none"), "string_match": one(p, dict{"exact": "one"}, p.stringMatch())}
}

// runtime is what every Envoy of the tests has in its runtime.
var runtime = dict{"test.zero": 0, "test.all": 100, "test.big": 250, "test.half": dict{"numerator": 5000, "denominator": "TEN_THOUSAND"}, "test.w.c1": 0,
	"fault.http.client.abort.abort_percent": 100}

func (p picker) runtimeFraction() dict {
	d := dict{"default_value": dict{"numerator": one(p, 0, 100, 30, 100, 0), "denominator": one(p, "HUNDRED", "HUNDRED", "TEN_THOUSAND")}}
	if p.chance(.5) {
		d["runtime_key"] = one(p, "test.zero", "test.all", "test.big", "test.half", "test.unset")
	}
	return d
}

// route makes a route; only the last of a virtual host may take everything.
func (p picker) route(name string) dict {
	d := dict{"name": name, "match": p.routeMatch(), "metadata": dict{"filter_metadata": dict{"test": dict{"route": name}}}}
	kind := one(p, "cluster", "cluster", "cluster", "weighted", "weighted", "header", "redirect", "redirect", "direct")
	m := d["match"].(dict)
	template := m["path_match_policy"] != nil
	switch kind {
	case "redirect":
		d["redirect"] = p.redirect(template)
	case "direct":
		d["direct_response"] = dict{"status": one(p, 200, 201, 302, 404, 503), "body": dict{"inline_string": "direct " + name}}
	default:
		d["route"] = p.routeAction(kind, template)
	}
	p.headerRules(d)
	return d
}

func (p picker) redirect(template bool) dict {
	d := dict{}
	if p.chance(.4) {
		d["host_redirect"] = one(p, "new.com", "new.com:81")
	}
	if p.chance(.3) {
		d["port_redirect"] = one(p, 8443, 80)
	}
	switch p.IntN(4) {
	case 0:
		d["https_redirect"] = true
	case 1:
		d["scheme_redirect"] = one(p, "https", "http", "ws")
	}
	switch p.IntN(5) {
	case 0:
		d["path_redirect"] = one(p, "/new", "/new?x=1", "new")
	case 1:
		if !template {
			d["prefix_rewrite"] = one(p, "/new", "/")
		}
	case 2:
		d["regex_rewrite"] = p.regexRewrite()
	case 3:
		d["path_rewrite"] = one(p, "/f/%REQ(x-a)%", "%REQ(x-b)%", "/g?y=%REQ(:METHOD)%")
	}
	if p.chance(.3) {
		d["strip_query"] = true
	}
	if p.chance(.6) {
		d["response_code"] = one(p, "MOVED_PERMANENTLY", "FOUND", "SEE_OTHER", "TEMPORARY_REDIRECT", "PERMANENT_REDIRECT")
	}
	return d
}

func (p picker) regexRewrite() dict {
	return one(p,
		dict{"pattern": dict{"regex": "/([a-z]+)"}, "substitution": `/<\1>`},
		dict{"pattern": dict{"regex": "[0-9]+"}, "substitution": `#\0`},
		dict{"pattern": dict{"regex": "^/v([0-9])/(.*)$"}, "substitution": `/\2/v\1`},
		dict{"pattern": dict{"regex": "b?"}, "substitution": `-`},
		dict{"pattern": dict{"regex": ".*"}, "substitution": ``},
	)
}

func (p picker) routeAction(kind string, template bool) dict {
	d := dict{}
	switch kind {
	case "cluster":
		d["cluster"] = one(p, clusters...)
	case "header":
		d["cluster_header"] = one(p, "x-cluster", "x-a")
	case "weighted":
		var list []any
		for i, name := range append([]string{"c2"}, some(p, 1+p.IntN(2), "c0", "c1", "c3")...) {
			w := dict{"name": name, "weight": one(p, 0, 1, 2, 10, 50)}
			if i == 0 || name == "c1" { // c1 may get 0 by runtime
				w["weight"] = one(p, 1, 7, 50)
			}
			if p.chance(.2) {
				delete(w, "name")
				w["cluster_header"] = "x-cluster"
			}
			if p.chance(.2) {
				w["host_rewrite_literal"] = "weighted.example"
			}
			if p.chance(.4) {
				p.headerRules(w)
			}
			list = append(list, w)
		}
		wc := dict{"clusters": list}
		if p.chance(.7) {
			wc["header_name"] = "x-random"
		}
		if p.chance(.2) {
			wc["runtime_key_prefix"] = "test.w"
		}
		d["weighted_clusters"] = wc
	}
	switch p.IntN(8) {
	case 0:
		if !template {
			d["prefix_rewrite"] = one(p, "/new", "/", "/new/")
		}
	case 1:
		d["regex_rewrite"] = p.regexRewrite()
	case 2:
		d["path_rewrite"] = one(p, "/f/%REQ(x-a)%", "%REQ(x-b)%", "/100%%25")
	case 3, 4:
		if template {
			d["path_rewrite_policy"] = nil // filled in by fitTemplate, which knows the variables
		}
	}
	switch p.IntN(8) {
	case 0:
		d["host_rewrite_literal"] = "literal.example"
	case 1:
		d["host_rewrite_header"] = "x-b"
	case 2:
		d["host_rewrite_path_regex"] = dict{"pattern": dict{"regex": "^/([^/]*).*$"}, "substitution": `\1.example`}
	case 3:
		d["auto_host_rewrite"] = true
	case 4:
		d["host_rewrite"] = one(p, "f.%REQ(x-a)%", "%REQ(x-b)%")
	}
	if p.chance(.15) {
		d["append_x_forwarded_host"] = true
	}
	if p.chance(.2) {
		d["cluster_not_found_response_code"] = one(p, "SERVICE_UNAVAILABLE", "NOT_FOUND", "INTERNAL_SERVER_ERROR")
	}
	p.idle(d)
	return d
}

// idle adds to an action what changes nothing of where a request goes.
func (p picker) idle(d dict) {
	for _, field := range []struct {
		name  string
		value any
	}{
		{"metadata_match", dict{"filter_metadata": dict{"envoy.lb": dict{"version": "v1"}}}}, // of clusters without subsets
		{"timeout", "9s"}, {"idle_timeout", "9s"}, {"flush_timeout", "9s"}, {"max_grpc_timeout", "9s"}, {"grpc_timeout_offset", "0.001s"},
		{"max_stream_duration", dict{"max_stream_duration": "9s"}},
		{"early_data_policy", dict{"name": "early", "typed_config": withType(dict{}, "envoy.extensions.early_data.v3.DefaultEarlyDataPolicy")}},
		{"retry_policy", dict{"retry_on": "connect-failure,5xx", "num_retries": 1}},
		{"retry_policy_typed_config", withType(dict{"retry_on": "5xx"}, "envoy.config.route.v3.RetryPolicy")},
		{"request_mirror_policies", []any{dict{"cluster": one(p, "c0", "c3")}}},
		{"priority", one(p, "DEFAULT", "HIGH")},
		{"rate_limits", []any{dict{"actions": []any{dict{"generic_key": dict{"descriptor_value": "x"}}}}}}, {"include_vh_rate_limits", true},
		{"hash_policy", []any{dict{"header": dict{"header_name": "x-a"}}}},
		{"cors", dict{"allow_origin_string_match": []any{dict{"exact": "https://a.com"}}}},
		{"upgrade_configs", []any{dict{"upgrade_type": "websocket"}}},
		{"internal_redirect_policy", dict{"max_internal_redirects": 2}}, {"internal_redirect_action", "HANDLE_INTERNAL_REDIRECT"}, {"max_internal_redirects", 2},
		{"hedge_policy", dict{"hedge_on_per_try_timeout": true}},
	} {
		if p.chance(.06) {
			d[field.name] = field.value
		}
	}
}

// headerRules adds changes to headers to a level of the table.
func (p picker) headerRules(d dict) {
	option := func(name string) dict {
		o := dict{"header": dict{"key": name, "value": one(p, "set", "%REQ(x-a)%", "p-%REQ(X-None?x-b)%", "%ROUTE_NAME%", "%REQ(:path):4%", "", "50%%", "%UPSTREAM_CLUSTER%")}}
		if p.chance(.7) {
			o["append_action"] = one(p, "APPEND_IF_EXISTS_OR_ADD", "ADD_IF_ABSENT", "OVERWRITE_IF_EXISTS_OR_ADD", "OVERWRITE_IF_EXISTS")
		} else if p.chance(.4) {
			o["append"] = p.chance(.5)
		}
		if p.chance(.2) {
			o["keep_empty_value"] = true
		}
		return o
	}
	if p.chance(.35) {
		d["request_headers_to_add"] = []any{option(one(p, "x-a", "x-new", "X-New2"))}
	}
	if p.chance(.1) {
		d["request_headers_to_remove"] = []any{one(p, "x-a", "X-B", "x-new")}
	}
	if p.chance(.3) {
		d["response_headers_to_add"] = []any{option(one(p, "y-a", "y-b"))}
	}
	if p.chance(.1) {
		d["response_headers_to_remove"] = []any{one(p, "y-a", "y-up")}
	}
}

// fitTemplate makes rewriting by template fit the variables of the template that is matched.
func (p picker) fitTemplate(r dict) {
	action, ok := r["route"].(dict)
	if !ok {
		return
	}
	if _, wanted := action["path_rewrite_policy"]; !wanted {
		return
	}
	tmpl := r["match"].(dict)["path_match_policy"].(dict)["typed_config"].(dict)["path_template"].(string)
	rewrite := "/fixed"
	for part := range strings.SplitSeq(tmpl, "{") {
		if name, _, ok := strings.Cut(part, "}"); ok {
			name, _, _ = strings.Cut(name, "=")
			rewrite += "/{" + name + "}x"
		}
	}
	action["path_rewrite_policy"] = dict{"name": "envoy.path.rewrite.uri_template.uri_template_rewriter", "typed_config": dict{
		"@type":                 "type.googleapis.com/envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig",
		"path_template_rewrite": rewrite,
	}}
}

// manager makes settings of a connection manager.
func (p picker) manager() dict {
	d := dict{}
	if p.chance(.6) {
		return d
	}
	for _, flag := range []string{"normalize_path", "merge_slashes", "strip_trailing_host_dot"} {
		if p.chance(.5) {
			d[flag] = true
		}
	}
	if p.chance(.3) {
		d[one(p, "strip_any_host_port", "strip_matching_host_port")] = true
	}
	if p.chance(.5) {
		d["path_with_escaped_slashes_action"] = one(p, "KEEP_UNCHANGED", "REJECT_REQUEST", "UNESCAPE_AND_REDIRECT", "UNESCAPE_AND_FORWARD")
	}
	return d
}

// table makes a route table.
func (p picker) table(name string) dict {
	domains := some(p, 1+p.IntN(8), domainWords...)
	var hosts []any
	for i := 0; len(domains) > 0; i++ {
		n := min(len(domains), 1+p.IntN(2))
		hosts = append(hosts, p.host(fmt.Sprintf("v%d", i), domains[:n]))
		domains = domains[n:]
	}
	if p.chance(.85) {
		hosts = append(hosts, p.host("any", []string{"*"}))
	}
	if p.chance(.1) {
		hosts = []any{p.host("only", []string{"*"})}
	}
	d := dict{"name": name, "virtual_hosts": hosts, "validate_clusters": false}
	for _, field := range []string{"ignore_port_in_host_matching", "ignore_path_parameters_in_path_matching", "most_specific_header_mutations_wins"} {
		if p.chance(.3) {
			d[field] = true
		}
	}
	if p.chance(.08) {
		d["vhost_header"] = "x-host"
	}
	p.headerRules(d)
	return d
}

func (p picker) host(name string, domains []string) dict {
	d := dict{"name": name, "domains": domains, "metadata": dict{"filter_metadata": dict{"test": dict{"host": name}}}}
	if p.chance(.12) {
		d["require_tls"] = one(p, "NONE", "EXTERNAL_ONLY", "ALL")
	}
	p.headerRules(d)
	routes := []any{}
	for i := range 1 + p.IntN(6) {
		r := p.route(fmt.Sprintf("%sr%d", name, i))
		p.fitTemplate(r)
		routes = append(routes, r)
	}
	if p.chance(.85) {
		last := p.route(name + "last")
		last["match"] = dict{"prefix": "/"}
		if action, ok := last["route"].(dict); ok {
			delete(action, "path_rewrite_policy")
		}
		routes = append(routes, last)
	}
	if p.chance(.15) {
		d["matcher"] = p.tree(routes, 0)
	} else {
		d["routes"] = routes
	}
	return d
}
