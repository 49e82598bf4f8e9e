package difftest

import (
	"fmt"
	"maps"
	"slices"

	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/common/matching/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/matcher/action/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/buffer/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_stats/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_web/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/health_check/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/http/original_ip_detection/custom_header/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/http/original_ip_detection/xff/v3"
)

// typed is a piece of configuration with its type, which is written without what all types begin with.
func typed(name string, d dict) dict { return withType(d, "envoy.extensions."+name) }

const httpFilters = "filters.http."

var (
	issuers      = []string{"iss-1", "iss-2", ""}
	routePaths   = []string{"/a", "/b", "/c", "/d", "/health"}
	requirements = []string{"r1", "r2"}
	origins      = []string{"https://a.com", "https://b.com", "null"}
	jwtMetadata  = "envoy.filters.http.jwt_authn"
)

// A filterKind is one kind of HTTP filter the test generates.
type filterKind struct {
	name     string
	config   func(p picker, ring *keyring) dict
	perRoute func(p picker) dict // nil for none
}

var filterKinds = []filterKind{
	{"jwt", picker.jwt, func(p picker) dict {
		return typed(httpFilters+"jwt_authn.v3.PerRouteConfig", one(p, dict{"disabled": true}, dict{"requirement_name": "r1"}, dict{"requirement_name": "r2"}, dict{"requirement_name": "wrong one"}))
	}},
	{"fault", func(p picker, _ *keyring) dict { return p.faultInjection() }, picker.faultInjection},
	{"cors", func(picker, *keyring) dict { return typed(httpFilters+"cors.v3.Cors", dict{}) }, func(p picker) dict {
		return typed(httpFilters+"cors.v3.CorsPolicy", p.corsPolicy())
	}},
	{"rbac", func(p picker, _ *keyring) dict { return typed(httpFilters+"rbac.v3.RBAC", p.access()) }, func(p picker) dict {
		return typed(httpFilters+"rbac.v3.RBACPerRoute", one(p, dict{}, dict{"rbac": p.access()}))
	}},
	{"limit", func(p picker, _ *keyring) dict { return p.rateLimit() }, picker.rateLimit},
	{"health", func(p picker, _ *keyring) dict { return p.healthChecks() }, nil},
	{"ext", func(p picker, _ *keyring) dict { return p.externalAuthorization() }, func(picker) dict {
		return typed(httpFilters+"ext_authz.v3.ExtAuthzPerRoute", dict{"disabled": true})
	}},
	{"buffer", func(picker, *keyring) dict {
		return typed(httpFilters+"buffer.v3.Buffer", dict{"max_request_bytes": 100000})
	}, func(picker) dict {
		return typed(httpFilters+"buffer.v3.BufferPerRoute", dict{"disabled": true})
	}},
	{"web", func(picker, *keyring) dict { return typed(httpFilters+"grpc_web.v3.GrpcWeb", dict{}) }, nil},
	{"stats", func(picker, *keyring) dict { return typed(httpFilters+"grpc_stats.v3.FilterConfig", dict{}) }, nil},
	{"mutation", func(p picker, _ *keyring) dict { return p.headerMutation() }, func(p picker) dict {
		return typed(httpFilters+"header_mutation.v3.HeaderMutationPerRoute", dict{"mutations": p.mutations()})
	}},
	{"metadata", func(p picker, _ *keyring) dict { return p.headerToMetadata() }, picker.headerToMetadata},
	{"fixed", func(p picker, _ *keyring) dict { return p.fixedMetadata() }, picker.fixedMetadata},
	{"state", func(p picker, _ *keyring) dict { return p.filterStates() }, picker.filterStates},
}

func (p picker) maybe(d dict, probability float64, key string, value any) {
	if p.chance(probability) {
		d[key] = value
	}
}

func (p picker) jwt(ring *keyring) dict {
	providers := dict{}
	for i := range 1 + p.IntN(3) {
		d := dict{"issuer": issuers[i], "local_jwks": dict{"inline_string": ring.set(p)}}
		p.maybe(d, .3, "audiences", some(p, 2, "aud-1", "aud-2", "https://aud-3"))
		if p.chance(.4) {
			p.maybe(d, .6, "from_headers", []any{dict{"name": one(p, "x-token", "authorization", "X-Token"), "value_prefix": one(p, "", "Bearer ", "tok=")}})
			p.maybe(d, .5, "from_params", []any{one(p, "token", "t%20k")})
			p.maybe(d, .5, "from_cookies", []any{"tok"})
		}
		p.maybe(d, .4, "forward", true)
		p.maybe(d, .4, "forward_payload_header", "x-payload")
		p.maybe(d, .3, "pad_forward_payload_header", true)
		p.maybe(d, .5, "claim_to_headers", []any{
			dict{"header_name": "x-claim-sub", "claim_name": "sub"}, dict{"header_name": "x-claim-n", "claim_name": "nested.n"},
			dict{"header_name": "x-claim-list", "claim_name": "nested.list"}, dict{"header_name": "x-claim-admin", "claim_name": "admin"},
		})
		p.maybe(d, .7, "payload_in_metadata", "payload")
		p.maybe(d, .5, "header_in_metadata", "header")
		p.maybe(d, .3, "normalize_payload_in_metadata", dict{"space_delimited_claims": []any{"scope"}})
		p.maybe(d, .5, "failed_status_in_metadata", "failed")
		p.maybe(d, .5, "clear_route_cache", true)
		p.maybe(d, .2, "clock_skew_seconds", one(p, 5, 2000))
		p.maybe(d, .2, "require_expiration", true)
		p.maybe(d, .1, "max_lifetime", one(p, "600s", "7200s"))
		p.maybe(d, .15, "subjects", dict{"exact": "alice"})
		providers[fmt.Sprintf("p%d", i+1)] = d
	}
	names := slices.Sorted(maps.Keys(providers))
	config := dict{"providers": providers}
	byName := dict{}
	for _, name := range requirements {
		byName[name] = p.requirement(names, 0)
	}
	config["requirement_map"] = byName
	var rules []any
	for range 1 + p.IntN(3) {
		rule := dict{"match": p.ruleMatch()}
		switch p.IntN(6) {
		case 0:
		case 1:
			rule["requirement_name"] = one(p, requirements...)
		default:
			rule["requires"] = p.requirement(names, 0)
		}
		rules = append(rules, rule)
	}
	config["rules"] = rules
	p.maybe(config, .4, "bypass_cors_preflight", true)
	p.maybe(config, .2, "strip_failure_response", true)
	return typed(httpFilters+"jwt_authn.v3.JwtAuthentication", config)
}

func (p picker) requirement(providers []string, depth int) dict {
	switch n := p.IntN(11); {
	case n == 0:
		return dict{"allow_missing": dict{}}
	case n == 1 || n == 10:
		return dict{"allow_missing_or_failed": dict{}}
	case n == 2:
		return dict{"provider_and_audiences": dict{"provider_name": one(p, providers...), "audiences": some(p, p.IntN(3), "aud-1", "aud-3")}}
	case n < 5 && depth < 2:
		return dict{"requires_any": dict{"requirements": []any{p.requirement(providers, depth+1), p.requirement(providers, depth+1)}}}
	case n == 5 && depth < 2:
		return dict{"requires_all": dict{"requirements": []any{p.requirement(providers, depth+1), p.requirement(providers, depth+1)}}}
	case n == 6 && p.chance(.3):
		return dict{"extract_only_without_validation": dict{}}
	}
	return dict{"provider_name": one(p, providers...)}
}

func (p picker) ruleMatch() dict {
	m := one(p, dict{"prefix": "/"}, dict{"prefix": "/"}, dict{"prefix": "/"}, dict{"prefix": one(p, routePaths...)}, dict{"path": one(p, routePaths...)},
		dict{"safe_regex": dict{"regex": "/[ab].*"}}, dict{"path_separated_prefix": one(p, routePaths...)}, dict{"prefix": "/A", "case_sensitive": false},
		dict{"path_match_policy": dict{"name": "t", "typed_config": dict{"@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig", "path_template": "/{x}/y"}}})
	m = maps.Clone(m)
	p.maybe(m, .15, "headers", []any{dict{"name": "x-rule", "present_match": p.chance(.5)}})
	p.maybe(m, .1, "query_parameters", []any{dict{"name": "q", "present_match": true}})
	return m
}

func (p picker) percentage() dict {
	return one(p, dict{"numerator": 100}, dict{"numerator": 100}, dict{"numerator": 0}, dict{"numerator": 50}, dict{"numerator": 10000, "denominator": "TEN_THOUSAND"})
}

func (p picker) faultInjection() dict {
	d := dict{}
	if p.chance(.85) {
		d["abort"] = one(p, dict{"http_status": one(p, 503, 418, 500)}, dict{"http_status": 418}, dict{"grpc_status": 14}, dict{"header_abort": dict{}}, dict{"header_abort": dict{}})
		d["abort"].(dict)["percentage"] = p.percentage()
	}
	if p.chance(.3) {
		d["delay"] = one(p, dict{"fixed_delay": "0.002s", "percentage": p.percentage()}, dict{"header_delay": dict{}, "percentage": p.percentage()})
	}
	p.maybe(d, .15, "upstream_cluster", one(p, clusters...))
	p.maybe(d, .1, "downstream_nodes", []any{"node-1"})
	p.maybe(d, .3, "headers", []any{dict{"name": "x-fault", "present_match": p.chance(.5)}})
	p.maybe(d, .1, "max_active_faults", one(p, 0, 1000))
	p.maybe(d, .15, "abort_percent_runtime", one(p, "test.zero", "test.all", "test.half"))
	p.maybe(d, .5, "filter_metadata", dict{"k": "injected"})
	return typed(httpFilters+"fault.v3.HTTPFault", d)
}

func (p picker) corsPolicy() dict {
	d := dict{}
	if p.chance(.8) {
		d["allow_origin_string_match"] = []any{one(p, dict{"exact": "https://a.com"}, dict{"suffix": ".com"}, dict{"exact": "*"}, dict{"safe_regex": dict{"regex": "https://b.*"}})}
	}
	p.maybe(d, .4, "forward_not_matching_preflights", p.chance(.4))
	p.maybe(d, .3, "filter_enabled", dict{"default_value": p.percentage(), "runtime_key": one(p, "", "test.zero", "test.all")})
	p.maybe(d, .2, "shadow_enabled", dict{"default_value": dict{"numerator": 100}})
	p.maybe(d, .5, "allow_methods", one(p, "GET,POST", "*"))
	p.maybe(d, .3, "allow_headers", one(p, "x-a", "*"))
	p.maybe(d, .3, "allow_credentials", p.chance(.6))
	p.maybe(d, .3, "max_age", "5")
	p.maybe(d, .3, "expose_headers", "x-e")
	return d
}

// access is access rules that go by what the filters before it have written, and by who the client is.
func (p picker) access() dict {
	payload := func(keys ...any) dict {
		var path []any
		for _, k := range keys {
			path = append(path, dict{"key": k})
		}
		return dict{"path": path, "filter": jwtMetadata}
	}
	with := func(d dict, value dict) dict { d["value"] = value; return dict{"metadata": d} }
	rule := func() dict {
		return one(p,
			with(payload("payload", "sub"), dict{"string_match": dict{"exact": "alice"}}),
			with(payload("payload", "iss"), dict{"present_match": true}),
			with(payload("payload", "scope"), dict{"list_match": dict{"one_of": dict{"string_match": dict{"exact": "write"}}}}),
			with(payload("payload", "nested", "n"), dict{"double_match": dict{"exact": 7}}),
			with(payload("failed", "code"), dict{"double_match": dict{"range": dict{"start": 2, "end": 30}}}),
			with(payload("header", "kid"), dict{"string_match": dict{"exact": "rsa"}}),
			with(dict{"path": []any{dict{"key": "k"}}, "filter": "fault"}, dict{"string_match": dict{"exact": "injected"}}),
			with(dict{"path": []any{dict{"key": "k"}}, "filter": "fault"}, dict{"string_match": dict{"exact": "injected"}}),
			with(dict{"path": []any{dict{"key": "istio_shadow_engine_result"}}, "filter": "envoy.filters.http.rbac"}, dict{"string_match": dict{"exact": "denied"}}),
			dict{"header": dict{"name": "authorization", "present_match": true}},
			dict{"header": dict{"name": "x-claim-sub", "string_match": dict{"exact": "bob"}}},
			dict{"header": dict{"name": one(p, "x-mut", "x-mut2"), "string_match": dict{"exact": one(p, "one", "two")}}},
			with(dict{"path": []any{dict{"key": "k"}}, "filter": one(p, "test.m", "test.s")}, dict{"string_match": dict{"exact": "one"}}),
			with(dict{"path": []any{dict{"key": "n"}}, "filter": "test.m"}, dict{"double_match": dict{"exact": 5}}),
			with(dict{"path": []any{dict{"key": "in"}, dict{"key": one(p, "a", "b")}}, "filter": "test.s"}, dict{"present_match": true}),
			with(dict{"path": []any{dict{"key": "list"}}, "filter": "test.s"}, dict{"list_match": dict{"one_of": dict{"string_match": dict{"exact": "q"}}}}),
			dict{"header": dict{"name": "x-envoy-internal", "string_match": dict{"exact": "true"}}},
			dict{"url_path": dict{"path": dict{"exact": one(p, routePaths...)}}},
			dict{"url_path": dict{"path": dict{"suffix": one(p, "y", ";k=v")}}},
			dict{"remote_ip": dict{"address_prefix": "10.0.0.0", "prefix_len": 8}},
			dict{"remote_ip": dict{"address_prefix": "20.0.0.0", "prefix_len": 8}},
		)
	}
	rules := func() dict {
		return dict{"action": one(p, "ALLOW", "DENY", "DENY", "LOG"), "policies": dict{
			"first": dict{"permissions": []any{dict{"any": true}}, "principals": []any{rule()}},
			"other": dict{"permissions": []any{dict{"any": true}}, "principals": []any{dict{"and_ids": dict{"ids": []any{rule(), dict{"not_id": rule()}}}}}},
		}}
	}
	d := dict{"rules": rules()}
	if p.chance(.3) {
		d["shadow_rules"], d["shadow_rules_stat_prefix"] = rules(), "istio_"
	}
	return d
}

func (p picker) rateLimit() dict {
	d := dict{"stat_prefix": "limit", "token_bucket": dict{"max_tokens": one(p, 1, 3, 1000), "fill_interval": "3600s"}}
	p.maybe(d, .9, "filter_enabled", dict{"default_value": p.percentage()})
	p.maybe(d, .9, "filter_enforced", dict{"default_value": p.percentage(), "runtime_key": one(p, "test.none", "test.zero", "test.all")})
	p.maybe(d, .3, "status", dict{"code": one(p, 503, 200)})
	return typed(httpFilters+"local_ratelimit.v3.LocalRateLimit", d)
}

func (p picker) healthChecks() dict {
	d := dict{"pass_through_mode": p.chance(.3), "headers": []any{dict{"name": ":path", "string_match": dict{"exact": "/health"}}}}
	if p.chance(.5) && d["pass_through_mode"] == false {
		d["cluster_min_healthy_percentages"] = dict{one(p, clusters...): dict{"value": 50}}
	}
	p.maybe(d, .3, "headers", []any{dict{"name": "x-health", "present_match": true}})
	return typed(httpFilters+"health_check.v3.HealthCheck", d)
}

// externalAuthorization asks the upstream, which allows everything.
func (p picker) externalAuthorization() dict {
	d := dict{"http_service": dict{"server_uri": dict{"uri": "http://127.0.0.1/", "cluster": "c0", "timeout": "5s"}}}
	p.maybe(d, .6, "filter_enabled_metadata", dict{
		"filter": "envoy.filters.http.rbac", "path": []any{dict{"key": one(p, "istio_shadow_effective_policy_id", "enforced_engine_result")}},
		"value": dict{"string_match": dict{"prefix": one(p, "first", "allowed")}},
	})
	p.maybe(d, .3, "filter_enabled", dict{"default_value": dict{"numerator": one(p, 0, 100)}})
	p.maybe(d, .5, "deny_at_disable", dict{"default_value": true, "runtime_key": "test.deny"})
	p.maybe(d, .3, "status_on_error", dict{"code": 502})
	return typed(httpFilters+"ext_authz.v3.ExtAuthz", d)
}

// trust is settings of a connection manager about who the client is.
func (p picker) trust() dict {
	d := dict{}
	p.maybe(d, .5, "use_remote_address", true)
	p.maybe(d, .3, "skip_xff_append", true)
	p.maybe(d, .3, "append_x_forwarded_port", true)
	p.maybe(d, .1, "scheme_header_transformation", dict{"scheme_to_overwrite": "https"})
	p.maybe(d, .6, "internal_address_config", one(p, dict{}, dict{"cidr_ranges": []any{dict{"address_prefix": "20.0.0.0", "prefix_len": 8}}}))
	p.maybe(d, .4, "upgrade_configs", []any{dict{"upgrade_type": "WebSocket", "enabled": p.chance(.7)}})
	switch {
	case d["use_remote_address"] != true && p.chance(.35):
		d["original_ip_detection_extensions"] = []any{one(p,
			dict{"name": "xff", "typed_config": typed("http.original_ip_detection.xff.v3.XffConfig", dict{"xff_trusted_cidrs": dict{"cidrs": []any{dict{"address_prefix": "10.0.0.0", "prefix_len": 8}}}})},
			dict{"name": "xff", "typed_config": typed("http.original_ip_detection.xff.v3.XffConfig", dict{"xff_num_trusted_hops": 1, "skip_xff_append": p.chance(.5)})},
			dict{"name": "custom", "typed_config": typed("http.original_ip_detection.custom_header.v3.CustomHeaderConfig", dict{
				"header_name": "x-real-ip", "allow_extension_to_set_address_as_trusted": p.chance(.5), "reject_with_status": dict{"code": one(p, 401, 200)},
			})},
		)}
	default:
		p.maybe(d, .4, "xff_num_trusted_hops", 1+p.IntN(2))
	}
	return d
}

// settings is a typed_per_filter_config for some of the filters of a listener.
func (p picker) settings(kinds []filterKind, probability float64) dict {
	d := dict{}
	for _, k := range kinds {
		if k.name == "cors" { // which does nothing without
			probability = max(probability, .5)
		}
		if !p.chance(probability) {
			continue
		}
		switch n := p.IntN(10); {
		case p.chance(.06):
			d[k.name] = typed("common.matching.v3.ExtensionWithMatcherPerRoute", dict{"xds_matcher": skipTree("x-rule")})
		case n == 0:
			d[k.name] = withType(dict{"disabled": true}, "envoy.config.route.v3.FilterConfig")
		case n == 1:
			d[k.name] = withType(dict{"config": dict{}}, "envoy.config.route.v3.FilterConfig")
		case n == 2 && k.perRoute != nil:
			d[k.name] = withType(dict{"config": k.perRoute(p)}, "envoy.config.route.v3.FilterConfig")
		case k.perRoute != nil:
			d[k.name] = k.perRoute(p)
		}
	}
	return d
}

// filterTable is a table whose routes and their levels have settings for filters.
func (p picker) filterTable(name string, kinds []filterKind) dict {
	var routes []any
	for i, path := range some(p, 3+p.IntN(3), routePaths...) {
		for j := range 2 {
			m := dict{"prefix": path}
			if j == 0 {
				if p.chance(.4) {
					continue
				}
				m["headers"] = []any{one(p,
					dict{"name": "x-mut", "string_match": dict{"exact": "one"}}, dict{"name": "x-mut2", "present_match": true},
					dict{"name": "x-envoy-internal", "string_match": dict{"exact": "true"}}, dict{"name": "x-claim-sub", "string_match": dict{"exact": "alice"}},
					dict{"name": "x-forwarded-for", "string_match": dict{"suffix": "10.0.0.7"}}, dict{"name": ":scheme", "string_match": dict{"exact": "https"}},
					dict{"name": "authorization", "present_match": true}, dict{"name": "x-inside", "present_match": true},
				)}
				switch p.IntN(6) {
				case 0:
					delete(m, "headers")
					m["filter_state"] = []any{one(p, dict{"key": "test.f", "string_match": dict{"exact": "one"}}, dict{"key": "test.ip", "address_match": dict{"ranges": []any{dict{"address_prefix": "10.0.0.0", "prefix_len": 8}}}})}
				case 1:
					delete(m, "headers")
					m["dynamic_metadata"] = []any{dict{"filter": "test.m", "path": []any{dict{"key": "k"}}, "value": dict{"string_match": dict{"exact": "one"}}}}
				case 2:
					delete(m, "headers")
					m["dynamic_metadata"] = []any{dict{"filter": jwtMetadata, "path": []any{dict{"key": "payload"}, dict{"key": "sub"}}, "value": dict{"string_match": dict{"exact": "bob"}}}}
				}
			}
			r := dict{"name": fmt.Sprintf("r%d%d", i, j), "match": m, "typed_per_filter_config": p.settings(kinds, .3)}
			switch n := p.IntN(12); {
			case n == 0:
				r["direct_response"] = dict{"status": 200}
			case n == 1:
				r["redirect"] = dict{"path_redirect": "/elsewhere"}
			case n < 4:
				all := some(p, 2, clusters[:4]...)
				weighted := dict{"name": all[0], "weight": 100, "typed_per_filter_config": p.settings(kinds, .4)}
				r["route"] = dict{"weighted_clusters": dict{"clusters": []any{dict{"name": all[1], "weight": 0, "typed_per_filter_config": p.settings(kinds, .4)}, weighted}}}
			default:
				r["route"] = dict{"cluster": one(p, "c0", "c1", "c2", "c3", "c1", "c2", "missing")}
			}
			p.maybe(r, .2, "request_headers_to_add", []any{dict{"header": dict{"key": "x-mut", "value": one(p, "route", "%REQ(x-mut2)%", "%DYNAMIC_METADATA(test.m:k)%", "%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:payload:sub)%", "%DYNAMIC_METADATA(envoy.common:access_log_hint)%")}, "append_action": one(p, putActions...)}})
			p.maybe(r, .2, "response_headers_to_add", []any{dict{"header": dict{"key": "y-mut", "value": "route"}}})
			if action, ok := r["route"].(dict); ok {
				p.maybe(action, .15, "cors", p.corsPolicy())
				p.maybe(action, .1, "prefix_rewrite", "/rewritten")
				p.maybe(action, .15, "upgrade_configs", []any{dict{"upgrade_type": "websocket", "enabled": p.chance(.5)}})
			}
			routes = append(routes, r)
		}
	}
	host := dict{"name": "v", "domains": []string{"*"}, "routes": routes, "typed_per_filter_config": p.settings(kinds, .2)}
	p.maybe(host, .1, "cors", p.corsPolicy())
	p.maybe(host, .07, "require_tls", one(p, "ALL", "EXTERNAL_ONLY"))
	return dict{"name": name, "virtual_hosts": []any{host}, "typed_per_filter_config": p.settings(kinds, .1), "internal_only_headers": []string{"x-inside"}, "validate_clusters": false,
		"ignore_path_parameters_in_path_matching": p.chance(.3)}
}

// filterListener is a listener with some filters and a table, and what the table has for them.
func (p picker) filterListener(name string, ring *keyring) dict {
	var kinds []filterKind
	for _, k := range some(p, len(filterKinds), filterKinds...) {
		if p.chance(map[string]float64{"jwt": .75, "cors": .4, "fault": .4, "rbac": .4, "mutation": .3, "metadata": .3, "state": .1}[k.name] + .2*min(1, float64(len(k.name)%4))) {
			kinds = append(kinds, k)
		}
	}
	l := httpListener(name, p.filterTable(name, kinds))
	manager := managerOf(l)
	delete(manager, "upgrade_configs")
	maps.Copy(manager, p.trust())
	all := manager["http_filters"].([]any)
	var filters []any
	for _, k := range kinds {
		config := k.config(p, ring)
		if p.chance(.1) {
			config = p.chosenFilter(config)
		}
		f := dict{"name": k.name, "typed_config": config}
		p.maybe(f, .08, "disabled", true)
		filters = append(filters, f)
	}
	manager["http_filters"] = append([]any{all[2]}, append(filters, all[3])...)
	l["listener_filters"] = []any{
		dict{"name": "pp", "typed_config": dict{"@type": "type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol"}},
	}
	return l
}
