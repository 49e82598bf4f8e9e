package rbac_test

import (
	"net/netip"
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
	cel := rbac.Filter("f", rawjson.Value(`{"rules":{"policies":{"p":{"permissions":[{"any":true}],"principals":[{"any":true}],"condition":{"x":1}}}}}`), client)
	if len(cel[0].Step.Unmodelled) != 1 {
		t.Errorf("a CEL condition is not said to be unmodelled: %v", cel[0].Step)
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
