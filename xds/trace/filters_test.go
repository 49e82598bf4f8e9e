package trace_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/trace"
)

const httpType = `"@type":"type.googleapis.com/envoy.extensions.filters.http.`

// through is a proxy with one listener for port 80, which has these filters, settings of the connection manager and a table.
func through(filters, settings, table string) *proxy {
	l := `{"name":"l","address":{"socket_address":{"address":"0.0.0.0","port_value":80}},"filter_chains":[{"name":"c","filters":[{"name":"http","typed_config":{` + manager + settings +
		`,"route_config":` + table + `,"http_filters":[` + filters + router + `]}}]}]}`
	return newProxy("p", []string{l}, nil, []string{static("v1", "", "127.0.0.1"), static("v2", "", "127.0.0.1"), static("empty", "", "127.0.0.1")})
}

// routes is a table of one virtual host with what it has besides its name.
func routes(host string) string {
	return `{"name":"t","virtual_hosts":[{"name":"v","domains":["*"],` + host + `}]}`
}

var toV1 = routes(`"routes":[{"name":"r","match":{"prefix":"/"},"route":{"cluster":"v1"}}]`)

func plain(headers ...string) trace.Request {
	r := trace.Request{Host: "h", Path: "/", Source: netip.MustParseAddrPort("10.0.0.1:4000"), Destination: netip.MustParseAddrPort("10.0.0.2:80"), Now: time.Unix(1_700_000_000, 0)}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Headers = append(r.Headers, match.Header{Name: headers[i], Value: headers[i+1]})
	}
	return r
}

// What Istio makes of a RequestAuthentication and of an AuthorizationPolicy that asks for one of its principals and a claim.
func TestIstioAuthentication(t *testing.T) {
	key := ed25519.NewKeyFromSeed([]byte("thirty-two bytes make a good seed"[:32]))
	b64 := base64.RawURLEncoding.EncodeToString
	token := func(claims string) string {
		signed := b64([]byte(`{"alg":"EdDSA"}`)) + "." + b64([]byte(claims))
		return "Bearer " + signed + "." + b64(ed25519.Sign(key, []byte(signed)))
	}
	jwks := `{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"` + b64(key.Public().(ed25519.PublicKey)) + `\"}]}`
	claim := func(path, value string) string {
		return `{"metadata":{"filter":"envoy.filters.http.jwt_authn","path":[{"key":"payload"},{"key":"` + path + `"}],"value":` + value + `}}`
	}
	filters := `{"name":"envoy.filters.http.jwt_authn","typed_config":{` + httpType + `jwt_authn.v3.JwtAuthentication",
			"providers":{"origins-0":{"issuer":"https://issuer","local_jwks":{"inline_string":"` + jwks + `"},"payload_in_metadata":"payload",
				"normalize_payload_in_metadata":{"space_delimited_claims":["scope","permission"]}}},
			"rules":[{"match":{"prefix":"/"},"requires":{"requires_any":{"requirements":[{"provider_name":"origins-0"},{"allow_missing":{}}]}}}],"bypass_cors_preflight":true}},
		{"name":"envoy.filters.http.rbac","typed_config":{` + httpType + `rbac.v3.RBAC","rules":{"policies":{"ns[default]-policy[jwt]-rule[0]":{
			"permissions":[{"any":true}],"principals":[{"and_ids":{"ids":[{"or_ids":{"ids":[{"and_ids":{"ids":[` +
		claim("iss", `{"string_match":{"exact":"https://issuer"}}`) + `,` + claim("sub", `{"string_match":{"exact":"alice"}}`) + `]}}]}},{"or_ids":{"ids":[` +
		claim("scope", `{"or_match":{"value_matchers":[{"list_match":{"one_of":{"string_match":{"exact":"write"}}}},{"string_match":{"exact":"write"}}]}}`) + `]}}]}}]}}}}},`
	p := through(filters, "", toV1)
	for _, tc := range []struct{ what, claims, want string }{
		{"the principal with the claim", `{"iss":"https://issuer","sub":"alice","scope":"read write"}`, "127.0.0.1:9080 gets the request"},
		{"without the claim", `{"iss":"https://issuer","sub":"alice","scope":"read"}`, "403 rbac_access_denied_matched_policy[none]"},
		{"another principal", `{"iss":"https://issuer","sub":"bob","scope":"write"}`, "403 rbac_access_denied_matched_policy[none]"},
		{"another issuer", `{"iss":"https://other","sub":"alice","scope":"write"}`, "401 jwt_authn_access_denied{Jwt_issuer_is_not_configured}"},
		{"expired", `{"iss":"https://issuer","sub":"alice","scope":"write","exp":1}`, "401 jwt_authn_access_denied{Jwt_is_expired}"},
	} {
		got := trace.Run(p, nil, plain("authorization", token(tc.claims)))
		if !strings.HasPrefix(got.Verdict.String(), tc.want) {
			t.Errorf("%s: %s, want %s", tc.what, got.Verdict, tc.want)
		}
		if got.Verdict.Reached && len(got.Hops[0].HTTP.RequestHeaders.Values("authorization")) > 0 {
			t.Errorf("%s: the token is passed on", tc.what)
		}
	}
	if got := trace.Run(p, nil, plain()); !strings.HasPrefix(got.Verdict.String(), "403 rbac") {
		t.Errorf("without a token: %s", got.Verdict)
	}
}

// A CUSTOM policy of Istio: external authorization is asked only where the shadow rules before it have matched.
func TestIstioCustom(t *testing.T) {
	filters := `{"name":"envoy.filters.http.rbac","typed_config":{` + httpType + `rbac.v3.RBAC","shadow_rules_stat_prefix":"istio_ext_authz_","shadow_rules":{"action":"DENY","policies":{
			"istio-ext-authz-opa-ns[foo]-policy[ext]-rule[0]":{"permissions":[{"url_path":{"path":{"prefix":"/admin"}}}],"principals":[{"any":true}]}}}}},
		{"name":"envoy.filters.http.ext_authz","typed_config":{` + httpType + `ext_authz.v3.ExtAuthz","filter_enabled_metadata":{"filter":"envoy.filters.http.rbac",
			"path":[{"key":"istio_ext_authz_shadow_effective_policy_id"}],"value":{"string_match":{"prefix":"istio-ext-authz-opa"}}}}},`
	for path, want := range map[string][]string{"/admin": {"envoy.filters.http.ext_authz"}, "/": nil} {
		r := plain()
		r.Path = path
		got := trace.Run(through(filters, "", toV1), nil, r)
		if diff := cmp.Diff(want, got.Hops[0].MayAnswer); diff != "" || !got.Verdict.Reached {
			t.Errorf("%s: %s, may answer (-want +got):\n%s", path, got.Verdict, diff)
		}
	}
}

func TestFilters(t *testing.T) {
	abort := func(share string) string {
		return `{"name":"fault","typed_config":{` + httpType + `fault.v3.HTTPFault","abort":{"http_status":418,"percentage":{"numerator":` + share + `}}}},`
	}
	limit := `{"name":"limit","typed_config":{` + httpType + `local_ratelimit.v3.LocalRateLimit","token_bucket":{"max_tokens":5,"tokens_per_fill":2,"fill_interval":"60s"},
		"filter_enabled":{"default_value":{"numerator":100}},"filter_enforced":{"default_value":{"numerator":100}}}},`
	cors := `{"name":"cors","typed_config":{` + httpType + `cors.v3.Cors"}},`
	health := `{"name":"health","typed_config":{` + httpType + `health_check.v3.HealthCheck","pass_through_mode":false,"headers":[{"name":":path","string_match":{"exact":"/"}}]`
	perFilter := func(name, settings string) string {
		return `"typed_per_filter_config":{"` + name + `":` + settings + `}`
	}
	const off = `{"@type":"type.googleapis.com/envoy.config.route.v3.FilterConfig","disabled":true}`
	policy := `{` + httpType + `cors.v3.CorsPolicy","allow_origin_string_match":[{"exact":"https://a"}]}`
	route := func(extra string) string {
		return `"routes":[{"name":"r","match":{"prefix":"/"},"route":{"cluster":"v1"}` + extra + `}]`
	}
	preflight := plain("origin", "https://a", "access-control-request-method", "PUT")
	preflight.Method = "OPTIONS"
	for _, tc := range []struct {
		what, filters, table string
		request              trace.Request
		verdict              string
		may                  []string
	}{
		{"an abort", abort("100"), toV1, plain(), "418 FI fault_filter_abort", nil},
		{"half an abort", abort("50"), toV1, plain(), "127.0.0.1", []string{"fault"}},
		{"no abort", abort("0"), toV1, plain(), "127.0.0.1", nil},
		{"an abort the route turns off", abort("100"), routes(route(`,` + perFilter("fault", off))), plain(), "127.0.0.1", nil},
		{"an abort the virtual host turns off", abort("100"), routes(route("") + `,` + perFilter("fault", off)), plain(), "127.0.0.1", nil},
		{"the route's word before the virtual host's", abort("100"), routes(route(`,`+perFilter("fault", `{"@type":"x/envoy.config.route.v3.FilterConfig","config":{}}`)) + `,` + perFilter("fault", off)), plain(), "418 FI fault_filter_abort", nil},
		{"the route's own fault", abort("0"), routes(route(`,` + perFilter("fault", `{`+httpType+`fault.v3.HTTPFault","abort":{"http_status":500,"percentage":{"numerator":100}}}`))), plain(), "500 FI fault_filter_abort", nil},
		{"of a weighted cluster", abort("100"), routes(`"routes":[{"match":{"prefix":"/"},"route":{"weighted_clusters":{"clusters":[{"name":"v1","weight":0},{"name":"v2","weight":1,` + perFilter("fault", off) + `}]}}}]`), plain(), "127.0.0.1", nil},
		{"disabled until a route says otherwise", strings.Replace(abort("100"), `"name":"fault"`, `"name":"fault","disabled":true`, 1), toV1, plain(), "127.0.0.1", nil},
		{"settings are not for a request without a route", abort("100"), `{"name":"t","virtual_hosts":[],` + perFilter("fault", off) + `}`, plain(), "418 FI", nil},
		{"a rate limit", limit, toV1, plain(), "127.0.0.1", []string{"limit"}},
		{"a rate limit that is not enforced", strings.Replace(limit, `"filter_enforced":{"default_value":{"numerator":100}}`, `"x":1`, 1), toV1, plain(), "127.0.0.1", nil},
		{"a rate limit that is not enabled", strings.Replace(limit, `"filter_enabled":{"default_value":{"numerator":100}}`, `"x":1`, 1), toV1, plain(), "127.0.0.1", nil},
		{"a preflight", cors, routes(route(`,` + perFilter("cors", policy))), preflight, "200 cors_response", nil},
		{"a preflight without a policy", cors, toV1, preflight, "127.0.0.1", nil},
		{"a preflight with the older policy", cors, routes(`"cors":{"allow_origin_string_match":[{"prefix":"https"}]},` + route("")), preflight, "200 cors_response", nil},
		{"a health check", health + `}},`, toV1, plain(), "200 health_check_ok", nil},
		{"a health check by a cluster", health + `,"cluster_min_healthy_percentages":{"nowhere":{"value":50}}}},`, toV1, plain(), "503 LH health_check_failed_no_cluster_found", nil},
		{"filters that never answer", `{"name":"a","typed_config":{` + httpType + `grpc_web.v3.GrpcWeb"}},{"name":"b","typed_config":{` + httpType + `grpc_stats.v3.FilterConfig"}},
			{"name":"c","typed_config":{"@type":"type.googleapis.com/istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig"}},{"name":"d","typed_config":{"@type":"type.googleapis.com/stats.PluginConfig"}},
			{"name":"e","typed_config":{"@type":"type.googleapis.com/io.istio.http.peer_metadata.Config"}},{"name":"f","typed_config":{` + httpType + `header_mutation.v3.HeaderMutation"}},`, toV1, plain(), "127.0.0.1", nil},
		{"filters that may", `{"name":"lua","typed_config":{` + httpType + `lua.v3.Lua"}},{"name":"wasm","typed_config":{` + httpType + `wasm.v3.Wasm"}},{"name":"proc","typed_config":{` + httpType + `ext_proc.v3.ExternalProcessor"}},
			{"name":"unknown","typed_config":{"@type":"x/y.Z"}},`, toV1, plain(), "127.0.0.1", []string{"lua", "wasm", "proc", "unknown"}},
		{"one that the route turns off", `{"name":"lua","typed_config":{` + httpType + `lua.v3.Lua"}},`, routes(route(`,` + perFilter("lua", `{`+httpType+`lua.v3.LuaPerRoute","disabled":true}`))), plain(), "127.0.0.1", nil},
		{"an upgrade that is not allowed", abort("100"), toV1, plain("connection", "Upgrade", "upgrade", "websocket"), "403 upgrade_failed", nil},
		{"CONNECT", "", routes(`"routes":[{"match":{"connect_matcher":{}},"route":{"cluster":"v1","upgrade_configs":[{"upgrade_type":"CONNECT"}]}}]`),
			func() trace.Request { r := plain(); r.Method, r.Path = "CONNECT", ""; return r }(), "127.0.0.1", nil},
	} {
		got := trace.Run(through(tc.filters, "", tc.table), nil, tc.request)
		if !strings.HasPrefix(got.Verdict.String(), tc.verdict) {
			t.Errorf("%s: %s, want %s", tc.what, got.Verdict, tc.verdict)
		}
		if diff := cmp.Diff(tc.may, got.Hops[0].MayAnswer); diff != "" {
			t.Errorf("%s: may answer (-want +got):\n%s", tc.what, diff)
		}
	}
	got := trace.Run(through(abort("50"), "", toV1), nil, plain()).Hops[0].Answers
	if len(got) != 1 || got[0].Share != .5 || got[0].Verdict.Code != 418 {
		t.Errorf("half an abort: %+v", got)
	}
	got = trace.Run(through(limit, "", toV1), nil, plain()).Hops[0].Answers
	if len(got) != 1 || got[0].Verdict.Code != 429 || !strings.Contains(got[0].Verdict.Reason, "5 tokens, 2 more every 60s") {
		t.Errorf("a rate limit: %+v", got)
	}
}

// A filter before has put the token's claims into a header by which the route is looked up again.
func TestRouteAgain(t *testing.T) {
	filters := `{"name":"jwt","typed_config":{` + httpType + `jwt_authn.v3.JwtAuthentication","providers":{"p":{"remote_jwks":{},"clear_route_cache":true,"claim_to_headers":[{"header_name":"x-sub","claim_name":"sub"}]}},
		"rules":[{"match":{"prefix":"/"},"requires":{"provider_name":"p"}}]}},`
	table := routes(`"routes":[{"name":"alice","match":{"prefix":"/","headers":[{"name":"x-sub","string_match":{"exact":"alice"}}]},"route":{"cluster":"v2"}},{"name":"rest","match":{"prefix":"/"},"route":{"cluster":"v1"}}]`)
	b64 := base64.RawURLEncoding.EncodeToString
	token := b64([]byte(`{"alg":"ES256"}`)) + "." + b64([]byte(`{"sub":"alice"}`)) + "." + b64([]byte("x"))
	got := trace.Run(through(filters, "", table), nil, plain("authorization", "Bearer "+token))
	hop := got.Hops[0]
	if hop.HTTP.Route != "alice" || hop.Cluster != "v2" {
		t.Errorf("route %q, cluster %q, want alice and v2", hop.HTTP.Route, hop.Cluster)
	}
	if diff := cmp.Diff([]string{"jwt"}, hop.MayAnswer); diff != "" {
		t.Errorf("a signature that was not verified: may answer (-want +got):\n%s", diff)
	}
}

func TestClient(t *testing.T) {
	table := routes(`"routes":[{"name":"inside","match":{"prefix":"/","headers":[{"name":"x-envoy-internal","string_match":{"exact":"true"}}]},"route":{"cluster":"v2"}},{"name":"outside","match":{"prefix":"/"},"route":{"cluster":"v1"}}]`)
	const edge, ranges = `,"use_remote_address":true`, `,"internal_address_config":{"cidr_ranges":[{"address_prefix":"10.0.0.0","prefix_len":8}]}`
	for _, tc := range []struct {
		what, settings string
		headers        []string
		route          string
		forwarded      string
	}{
		{"nobody is inside by default", edge, nil, "outside", "10.0.0.1"},
		{"the connection is from inside", edge + ranges, nil, "inside", "10.0.0.1"},
		{"with an address before it is not", edge + ranges, []string{"x-forwarded-for", "10.0.0.9"}, "outside", "10.0.0.9,10.0.0.1"},
		{"by a header alone", ranges, []string{"x-forwarded-for", "10.0.0.9"}, "inside", "10.0.0.9"},
		{"by a header of two", ranges, []string{"x-forwarded-for", "10.0.0.8, 10.0.0.9"}, "outside", "10.0.0.8, 10.0.0.9"},
		{"two lines are one", ranges, []string{"x-forwarded-for", "10.0.0.8", "x-forwarded-for", "10.0.0.9"}, "outside", "10.0.0.8,10.0.0.9"},
		{"without a header", ranges, nil, "outside", ""},
		{"forged", "", []string{"x-envoy-internal", "true"}, "outside", ""},
		{"not appended", edge + `,"skip_xff_append":true`, nil, "outside", ""},
		{"private addresses, when ranges are left out", edge + `,"internal_address_config":{}`, nil, "inside", "10.0.0.1"},
	} {
		got := trace.Run(through("", tc.settings, table), nil, plain(tc.headers...)).Hops[0].HTTP
		if forwarded := strings.Join(got.RequestHeaders.Values("x-forwarded-for"), "|"); got.Route != tc.route || forwarded != tc.forwarded {
			t.Errorf("%s: route %s, x-forwarded-for %q; want %s, %q", tc.what, got.Route, forwarded, tc.route, tc.forwarded)
		}
	}
	// The address by which access rules go.
	rules := `{"name":"rbac","typed_config":{` + httpType + `rbac.v3.RBAC","rules":{"action":"DENY","policies":{"p":{"permissions":[{"any":true}],"principals":[{"remote_ip":{"address_prefix":"20.0.0.0","prefix_len":8}}]}}}}},`
	got := trace.Run(through(rules, edge+`,"xff_num_trusted_hops":1`, toV1), nil, plain("x-forwarded-for", "30.0.0.1, 20.0.0.1"))
	if got.Verdict.Code != 403 {
		t.Errorf("one trusted proxy: %s, want 403", got.Verdict)
	}
	names := func(r trace.Request, settings string) []string {
		var out []string
		for _, h := range trace.Run(through("", settings, strings.Replace(toV1, `"name":"t"`, `"name":"t","internal_only_headers":["X-Ours"]`, 1)), nil, r).Hops[0].HTTP.RequestHeaders {
			out = append(out, h.Name)
		}
		slices.Sort(out)
		return out
	}
	inside := plain("x-ours", "1", "x-envoy-ip-tags", "1", "x-envoy-downstream-service-node", "1", "x-other", "1", "x-forwarded-client-cert", "1")
	if diff := cmp.Diff([]string{"x-envoy-downstream-service-node", "x-other"}, names(inside, "")); diff != "" {
		t.Errorf("headers of a client outside (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"x-envoy-external-address", "x-other"}, names(inside, edge+`,"skip_xff_append":true`)); diff != "" {
		t.Errorf("headers at the edge (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"x-envoy-downstream-service-node", "x-envoy-ip-tags", "x-other", "x-ours"}, names(inside, edge+ranges+`,"skip_xff_append":true`)); diff != "" {
		t.Errorf("headers of a client inside (-want +got):\n%s", diff)
	}
}

func FuzzFilters(f *testing.F) {
	f.Add([]byte(httpType[1:]+`fault.v3.HTTPFault","abort":{"http_status":418,"percentage":{"numerator":100}}`), []byte(`{}`), "origin", "x", "GET")
	for _, name := range []string{"jwt_authn.v3.JwtAuthentication", "cors.v3.Cors", "local_ratelimit.v3.LocalRateLimit", "health_check.v3.HealthCheck", "ext_authz.v3.ExtAuthz", "rbac.v3.RBAC", "fault.v3.HTTPFault"} {
		f.Add([]byte(`{"name":"f","typed_config":{`+httpType+name+`","x":{}}},`), []byte(`"use_remote_address":true,"xff_num_trusted_hops":1`), "x-forwarded-for", "10.0.0.1,x", "OPTIONS")
	}
	f.Fuzz(func(t *testing.T, filter, settings []byte, header, value, method string) {
		r := plain(strings.ToLower(header), value, "access-control-request-method", "GET")
		r.Method = method
		table := routes(`"routes":[{"match":{"prefix":"/"},"route":{"cluster":"v1"},"typed_per_filter_config":{"f":` + strings.TrimSuffix(string(filter), ",") + `}}]`)
		got := trace.Run(through(string(filter), ","+string(settings), table), nil, r)
		if len(got.Hops) == 0 || got.Verdict.String() == "" {
			t.Errorf("a trace without an end: %+v", got)
		}
	})
}
