package rbac_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/rbac"
)

const policies = `"policies":{"b":{"permissions":[{"any":true}],"principals":[{"any":true}]},
	"a":{"permissions":[{"url_path":{"path":{"prefix":"/admin"}}}],"principals":[{"authenticated":{"principal_name":{"exact":"spiffe://a"}}}]}}`

func TestFilter(t *testing.T) {
	client := &match.Request{Method: "GET", Host: "h", Path: "/admin?x", Connection: match.Connection{
		TLS: true, Source: netip.MustParseAddrPort("10.0.0.1:1"), Destination: netip.MustParseAddrPort("10.0.0.2:80"),
		Peer: match.Peer{Presented: true, URISANs: []string{"spiffe://a"}},
	}}
	for _, tc := range []struct {
		config  string
		allowed bool
		policy  string
		details string
	}{
		{`{"rules":{` + policies + `}}`, true, "a", ""}, // in the order of their ids
		{`{"rules":{"action":"DENY",` + policies + `}}`, false, "a", "rbac_access_denied_matched_policy[a]"},
		{`{"rules":{"action":"LOG",` + policies + `}}`, true, "a", ""},
		{`{"rules":{}}`, false, "", "rbac_access_denied_matched_policy[none]"}, // ALLOW without policies
		{`{"rules":{"action":"DENY"}}`, true, "", ""},
		{`{"shadow_rules":{}}`, false, "", ""}, // reported only
		{`{"rules":{"policies":{"p":{"permissions":[{"not_rule":{"destination_port":80}}],"principals":[{"any":true}]}}}}`, false, "", "rbac_access_denied_matched_policy[none]"},
		{`{"rules":{"policies":{"p":{"permissions":[{"destination_port_range":{"start":80,"end":81}}],"principals":[{"not_id":{"source_ip":{"address_prefix":"10.1.0.0","prefix_len":16}}}]}}}}`, true, "p", ""},
		{`{"rules":{"policies":{"p":{"permissions":[{"any":true}],"principals":[{"any":true}],"condition":{}}}}}`, false, "", "rbac_access_denied_matched_policy[none]"},
		{`{"rules":{"policies":{"p":{` + condition("request.method", "GET") + `}}}}`, true, "p", ""},
		{`{"rules":{"policies":{"p":{` + condition("request.method", "PUT") + `}}}}`, false, "", "rbac_access_denied_matched_policy[none]"},
		{`{"rules":{"policies":{"p":{"permissions":[{"any":true}],"principals":[{"any":true}],"checked_condition":{}}}}}`, true, "p", ""}, // which nobody looks at
		{`{"matcher":{}}`, false, "", "rbac_access_denied_matched_policy[none]"},
	} {
		got := rbac.Filter("f", rawjson.Value(tc.config), client)
		if len(got) != 1 {
			t.Fatalf("%s: %d decisions, want 1", tc.config, len(got))
		}
		if d := got[0]; d.Allowed != tc.allowed || d.Policy != tc.policy || d.Details != tc.details || d.Reason == "" {
			t.Errorf("%s: allowed %t policy %q details %q, want %t %q %q (%s)", tc.config, d.Allowed, d.Policy, d.Details, tc.allowed, tc.policy, tc.details, d.Reason)
		}
	}
	if got := rbac.Filter("f", rawjson.Value(`{}`), client); len(got) != 0 {
		t.Errorf("a filter without rules decides: %v", got)
	}
	for attribute, unknown := range map[string]int{"request.path": 0, "request.time": 1} {
		if got := rbac.Filter("f", rawjson.Value(`{"rules":{"policies":{"p":{`+condition(attribute, "x")+`}}}}`), client)[0]; got.Allowed || len(got.Step.Unmodelled) != unknown {
			t.Errorf("a condition on %s: %+v", attribute, got)
		}
	}
}

// condition is the rest of a policy that only asks for the value of an attribute.
func condition(attribute, value string) string {
	variable, field, _ := strings.Cut(attribute, ".")
	return `"permissions":[{"any":true}],"principals":[{"any":true}],"condition":{"call_expr":{"function":"_==_","args":[{"select_expr":{"operand":{"ident_expr":{"name":"` + variable +
		`"}},"field":"` + field + `"}},{"const_expr":{"string_value":"` + value + `"}}]}}`
}

// TestVerified is for principals with a certificate that was verified.
func TestVerified(t *testing.T) {
	both := match.Peer{Presented: true, Validated: true, URISANs: []string{"spiffe://a"}, DNSSANs: []string{"a.example", "x*y.wild.example"}}
	names := func(kind, matcher string) string {
		return `"san_matcher":{"san_type":"` + kind + `","matcher":{` + matcher + `}}`
	}
	for _, tc := range []struct {
		config  string
		peer    match.Peer
		allowed bool
	}{
		{`"any_validated_client_certificate":true`, both, true},
		{`"any_validated_client_certificate":true`, match.Peer{Presented: true, URISANs: both.URISANs}, false},
		{names("URI", `"prefix":"spiffe://"`), both, true},
		{names("URI", `"exact":"a.example"`), both, false},
		{names("DNS", `"exact":"A.example"`), both, true},
		{names("DNS", `"suffix":".wild.example"`), both, true},
		{names("DNS", `"exact":"xy.wild.example"`), both, true},
		{names("DNS", `"exact":"x.wild.example"`), both, false},
		{names("DNS", `"exact":"xy.z.wild.example"`), both, false},
		{names("DNS", `"exact":"xy.example"`), match.Peer{Validated: true, DNSSANs: []string{"xn--*.example", "*"}}, false},
		{names("EMAIL", `"exact":"a.example"`), both, false},
	} {
		config := `{"rules":{"policies":{"p":{"permissions":[{"any":true}],"principals":[{"custom":{"name":"mtls","typed_config":{"@type":"type.googleapis.com/envoy.extensions.rbac.principals.mtls_authenticated.v3.Config",` + tc.config + `}}}]}}}}`
		for _, secure := range []bool{true, false} {
			got := rbac.Filter("f", rawjson.Value(config), &match.Request{Connection: match.Connection{TLS: secure, Peer: tc.peer}})[0]
			if got.Allowed != (tc.allowed && secure) {
				t.Errorf("%s, %+v, TLS %v: allowed %v (%v)", tc.config, tc.peer, secure, got.Allowed, got.Step.Candidates)
			}
		}
	}
}

// TestHint is for what rules that log write for access logs.
func TestHint(t *testing.T) {
	action := func(name string) string {
		return `{"action":{"name":"a","typed_config":{"@type":"type.googleapis.com/envoy.config.rbac.v3.Action","name":"a","action":"` + name + `"}}}`
	}
	tree := func(method, other string) string {
		return `{"matcher":{"matcher_tree":{"input":{"name":"h","typed_config":{"@type":"type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput","header_name":":method"}},
			"exact_match_map":{"map":{"GET":` + action(method) + `,"PUT":` + action(other) + `}}}}}`
	}
	for _, tc := range []struct {
		config string
		want   any // nil for nothing
	}{
		{`{"rules":{"action":"LOG","policies":{"p":{"permissions":[{"any":true}],"principals":[{"any":true}]}}}}`, true},
		{`{"rules":{"action":"LOG"}}`, false},
		{`{"shadow_rules":{"action":"LOG"}}`, nil},
		{`{"rules":{"action":"DENY"}}`, nil},
		{tree("LOG", "ALLOW"), true}, {tree("ALLOW", "LOG"), false}, {tree("ALLOW", "DENY"), nil},
	} {
		if got := rbac.Filter("f", rawjson.Value(tc.config), &match.Request{})[0]; got.Hint["access_log_hint"] != tc.want {
			t.Errorf("%s: hint %v, want %v", tc.config, got.Hint, tc.want)
		}
	}
}

// Since 1.40 access rules do not see path parameters that the route ignores.
func TestPathParameters(t *testing.T) {
	const config = `{"rules":{"action":"DENY","policies":{"p":{"permissions":[{"url_path":{"path":{"exact":"/admin/x"}}}],"principals":[{"any":true}]}}}}`
	for _, tc := range []struct {
		ignored bool
		minor   int
		allowed bool
	}{{false, 40, true}, {true, 40, false}, {true, 39, true}} {
		r := &match.Request{Path: "/admin;a=b/x;c?q", IgnoreParameters: tc.ignored, Envoy: match.Version{Major: 1, Minor: tc.minor}}
		if got := rbac.Filter("f", rawjson.Value(config), r)[0]; got.Allowed != tc.allowed {
			t.Errorf("ignored %t, 1.%d: allowed %t (%s)", tc.ignored, tc.minor, got.Allowed, got.Reason)
		}
	}
}

func FuzzFilter(f *testing.F) {
	f.Add([]byte(`{"rules":{`+policies+`}}`), "/a")
	f.Add([]byte(`{"rules":{"policies":{"p":{"permissions":[{"and_rules":{"rules":[{"not_rule":{"or_rules":{}}}]}}],"principals":[{"and_ids":{"ids":[]}}]}}}}`), "")
	f.Fuzz(func(t *testing.T, config []byte, path string) {
		rbac.Filter("f", config, &match.Request{Path: path, Connection: match.Connection{TLS: true}})
	})
}
