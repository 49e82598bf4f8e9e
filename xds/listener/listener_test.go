package listener_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/rawjson"
)

func filter(name, typ, rest string) string {
	if rest != "" {
		rest = "," + rest
	}
	return fmt.Sprintf(`{"name":%q,"typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.network.%s"%s}}`, name, typ, rest)
}

func http(rest string) string {
	return filter("envoy.filters.network.http_connection_manager", "http_connection_manager.v3.HttpConnectionManager", rest)
}

func tcp(rest string) string {
	return filter("envoy.filters.network.tcp_proxy", "tcp_proxy.v3.TcpProxy", rest)
}

func chains(filters ...string) rawjson.Value {
	for i, f := range filters {
		filters[i] = `{"filters":[` + f + `]}`
	}
	return rawjson.Value(`{"filter_chains":[` + strings.Join(filters, ",") + `]}`)
}

func TestType(t *testing.T) {
	blackHole := tcp(`"cluster":"BlackHoleCluster"`)
	for _, tc := range []struct {
		name string
		body rawjson.Value
		want string
	}{
		{"http", chains(http(``), http(``)), "HTTP"},
		{"tcp", chains(tcp(`"cluster":"a"`)), "TCP"},
		{"both", chains(http(``), tcp(`"cluster":"a"`)), "HTTP+TCP"},
		{"a black hole does not count", chains(http(``), blackHole), "HTTP"},
		{"nothing but a black hole", chains(blackHole), "UNKNOWN"},
		{"another name", chains(filter("mine", "http_connection_manager.v3.HttpConnectionManager", ``)), "HTTP"},
		{"another type behind the name", chains(filter("envoy.filters.network.tcp_proxy", "echo.v3.Echo", ``)), "UNKNOWN"},
		{"no type", chains(`{"name":"envoy.filters.network.tcp_proxy"}`), "TCP"},
		{"default chain", rawjson.Value(`{"default_filter_chain":{"filters":[` + tcp(``) + `]}}`), "TCP"},
		{"empty", nil, "UNKNOWN"},
	} {
		if got := listener.New(tc.body).Type(); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestDestination(t *testing.T) {
	const one = `"virtual_hosts":[{"domains":["*"],"routes":[{"match":{"prefix":"/"},"route":{"cluster":"%s"}}]}]`
	for _, tc := range []struct {
		filter, want string
		clusters     []string
	}{
		{http(`"rds":{"route_config_name":"80"}`), "Route: 80", nil},
		{http(`"scoped_routes":{"name":"s"}`), "HTTP", nil},
		{http(`"route_config":{` + fmt.Sprintf(one, "a") + `}`), "Cluster: a", []string{"a"}},
		{http(`"route_config":{` + fmt.Sprintf(one, "PassthroughCluster") + `}`), "PassthroughCluster", []string{"PassthroughCluster"}},
		{
			http(`"route_config":{"virtual_hosts":[
				{"domains":["a","b"],"routes":[{"match":{"prefix":"/x"}},{"match":{"path":"/y"},"route":{"cluster":"c"}}]},
				{"domains":["*"],"routes":[{"match":{"safe_regex":{"regex":"z"}},"direct_response":{"status":404}}]}]}`),
			"Inline Route: a/b /x*, /y; regex z", []string{"c"},
		},
		{tcp(`"cluster":"a"`), "Cluster: a", []string{"a"}},
		{tcp(`"cluster":"BlackHoleCluster"`), "Non-HTTP/Non-TCP", []string{"BlackHoleCluster"}},
		{tcp(`"cluster":"InboundPassthroughCluster"`), "InboundPassthroughCluster", []string{"InboundPassthroughCluster"}},
		{
			tcp(`"weighted_clusters":{"clusters":[{"name":"a","weight":9},{"name":"b","weight":1}]}`),
			"Cluster: a 90%, b 10%", []string{"a", "b"},
		},
		{filter("x", "rbac.v3.RBAC", ``) + "," + tcp(`"cluster":"a"`), "Cluster: a", []string{"a"}},
		{filter("x", "echo.v3.Echo", ``), "Non-HTTP/Non-TCP", nil},
	} {
		c := listener.New(chains(tc.filter)).Chains()[0]
		if got := c.Destination(); got != tc.want {
			t.Errorf("destination of %s: %q, want %q", tc.filter, got, tc.want)
		}
		if diff := cmp.Diff(tc.clusters, c.Clusters(), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("clusters of %s (-want +got):\n%s", tc.filter, diff)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, tc := range []struct{ body, cell, text string }{
		{`{}`, "ALL", "ALL"},
		{`{"server_names":["a","*.b"],"transport_protocol":"tls"}`, "SNI: a,*.b; Trans: tls", "SNI: a,*.b; Trans: tls"},
		{`{"application_protocols":["http/1.0","http/1.1","h2c"]}`, "App: HTTP", "App: HTTP"},
		{`{"application_protocols":["istio-peer-exchange","istio"]}`, "App: TCP TLS", "App: TCP TLS"},
		{`{"application_protocols":["istio","istio-peer-exchange"]}`, "App: istio,istio-peer-exchange", "App: istio,istio-peer-exchange"},
		{`{"destination_port":80}`, "Addr: *:80", "Addr: *:80"},
		{
			`{"destinationPort":80,"prefixRanges":[{"addressPrefix":"10.0.0.0","prefixLen":8},{"address_prefix":"::"}]}`,
			"Addr: 10.0.0.0/8,::/0:80", "Addr: 10.0.0.0/8,::/0:80",
		},
		{
			`{"source_type":"EXTERNAL","source_prefix_ranges":[{"address_prefix":"10.0.0.0","prefix_len":8}],"source_ports":[1,2],
			"direct_source_prefix_ranges":[{"address_prefix":"10.1.0.0","prefix_len":16}],"address_suffix":"x","suffix_len":3}`,
			"ALL", "Suffix: x/3; Direct source: 10.1.0.0/16; Source type: EXTERNAL; Source: 10.0.0.0/8; Source port: 1,2",
		},
		{`{"source_type":1}`, "ALL", "Source type: SAME_IP_OR_LOOPBACK"},
	} {
		m := listener.NewMatch(rawjson.Value(tc.body))
		if got := m.Cell(); got != tc.cell {
			t.Errorf("cell of %s: %q, want %q", tc.body, got, tc.cell)
		}
		if got := m.String(); got != tc.text {
			t.Errorf("text of %s: %q, want %q", tc.body, got, tc.text)
		}
	}
}

func TestListener(t *testing.T) {
	type fields struct {
		Name, Address, Cell, Direction string
		Port                           uint32
		Bind, OriginalDst, Internal    bool
	}
	for _, tc := range []struct {
		body string
		want fields
	}{
		{
			`{"name":"a","address":{"socket_address":{"address":"0.0.0.0","port_value":80}},"additional_addresses":[
				{"address":{"socket_address":{"address":"::","port_value":80}}}],"traffic_direction":"OUTBOUND","bind_to_port":false,"use_original_dst":true}`,
			fields{"a", "[0.0.0.0:80 [::]:80]", "0.0.0.0,::", "outbound", 80, false, true, false},
		},
		{
			`{"name":"b","address":{"pipe":{"path":"/run/b"}},"trafficDirection":"INBOUND"}`,
			fields{"b", "[unix:///run/b]", "/run/b", "inbound", 0, true, false, false},
		},
		{`{"name":"c","internal_listener":{}}`, fields{"c", "[]", "", "", 0, true, false, true}},
		{`{"deprecated_v1":{"bind_to_port":false}}`, fields{"", "[]", "", "", 0, false, false, false}},
	} {
		l := listener.New(rawjson.Value(tc.body))
		got := fields{
			l.Name(), fmt.Sprint(l.Addresses()), l.AddressCell(), l.Direction(), l.Port(),
			l.BindToPort(), l.UseOriginalDst(), l.Internal(),
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.body, diff)
		}
	}
}

func TestRBAC(t *testing.T) {
	rbac := func(layer, rest string) string {
		return `{"name":"envoy.filters.` + layer + `.rbac","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.` + layer + `.rbac.v3.RBAC",` + rest + `}}`
	}
	c := listener.New(chains(rbac("network", `"rules":{"action":"DENY","policies":{"z":{},"ns[a]-policy[b]-rule[1]":{}}}`) + "," +
		http(`"http_filters":[`+rbac("http", `"shadow_rules":{"policies":{"ns[a]-policy[c]-rule[0]":{}}},"shadow_rules_stat_prefix":"dry_","rules":{"action":"LOG"}`)+
			","+rbac("http", `"matcher":{"x":1},"rules":{"action":"DENY"}`)+
			`,{"name":"envoy.filters.http.rbac","disabled":true,"typed_config":{"@type":"x.RBAC","rules":{}}}]`))).Chains()[0]
	want := []listener.RBAC{
		{Filter: "envoy.filters.network.rbac", Layer: "network", Action: "DENY", Policies: []listener.Policy{
			{ID: "ns[a]-policy[b]-rule[1]", Body: rawjson.Value("{}"), PolicyID: listener.PolicyID{Namespace: "a", Name: "b", Rule: 1}},
			{ID: "z", Body: rawjson.Value("{}")},
		}},
		{Filter: "envoy.filters.http.rbac", Layer: "http", Action: "ALLOW", Shadow: true, Prefix: "dry_", Policies: []listener.Policy{
			{ID: "ns[a]-policy[c]-rule[0]", Body: rawjson.Value("{}"), PolicyID: listener.PolicyID{Namespace: "a", Name: "c"}},
		}},
		{Filter: "envoy.filters.http.rbac", Layer: "http", Action: "LOG"},
		{Filter: "envoy.filters.http.rbac", Layer: "http", Matcher: rawjson.Value(`{"x":1}`)},
	}
	if diff := cmp.Diff(want, c.RBAC()); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
}

func TestParsePolicyID(t *testing.T) {
	for id, want := range map[string]listener.PolicyID{
		"ns[a]-policy[b]-rule[0]":                         {Namespace: "a", Name: "b"},
		"istio-ext-authz-opa-ns[a]-policy[b]-rule[2]":     {Namespace: "a", Name: "b", Rule: 2, Custom: true, Provider: "opa"},
		"istio-ext-authz-ns[a]-policy[b]-rule[2]":         {Namespace: "a", Name: "b", Rule: 2, Custom: true},
		"istio-ext-authz-my-opa-ns[a]-policy[b-c]-rule[]": {},
		"ns[a]-policy[b]-rule[x]":                         {},
		"ns[a]-policy[b]-rule[-1]":                        {},
		"xns[a]-policy[b]-rule[0]":                        {},
		"ns[":                                             {},
		"":                                                {},
	} {
		got, ok := listener.ParsePolicyID(id)
		if got.Name != want.Name || ok != (want.Name != "") || ok && got != want {
			t.Errorf("id %q: %+v %v, want %+v", id, got, ok, want)
		}
	}
}

func TestChainMatcher(t *testing.T) {
	l := listener.New(rawjson.Value(`{"filter_chain_matcher":{"matcher_tree":{"input":{"name":"port"},"exact_match_map":{"map":{
		"90":{"action":{"name":"n","typed_config":{"@type":"type.googleapis.com/google.protobuf.StringValue","value":"ninety"}}},
		"80":{"action":{"name":"eighty"}}}}},"on_no_match":{"action":{"name":"rest"}}}}`))
	want := []listener.ChainLeaf{{[]string{"port=80"}, "eighty"}, {[]string{"port=90"}, "ninety"}, {[]string{"otherwise"}, "rest"}}
	if diff := cmp.Diff(want, l.MatcherLeaves()); diff != "" {
		t.Errorf("leaves (-want +got):\n%s", diff)
	}
}

func TestHTTP(t *testing.T) {
	l := listener.New(chains(http(`"stat_prefix":"s","scoped_routes":{"name":"by","scope_key_builder":{"fragments":[]},
		"scoped_route_configurations_list":{"scoped_route_configurations":[{"name":"one"}]}},
		"http_filters":[{"name":"a","config_discovery":{"type_urls":["type.googleapis.com/x.Fault"]}},{"name":"b","disabled":true,"is_optional":true}]`),
		http(`"rds":{"route_config_name":"80"}`), http(`"rds":{"route_config_name":"80"}`)))
	manager, ok := l.Chains()[0].HTTP()
	if !ok || manager.StatPrefix() != "s" {
		t.Fatalf("no manager, or stat prefix %q", manager.StatPrefix())
	}
	scopes, _ := manager.Scopes()
	if scopes.Name != "by" || len(scopes.Inline) != 1 {
		t.Errorf("scopes %+v", scopes)
	}
	var filters []string
	for _, f := range manager.Filters() {
		filters = append(filters, fmt.Sprint(f.Name, " ", f.ShortType(), f.Discovered, f.Disabled, f.Optional))
	}
	if diff := cmp.Diff([]string{"a Faulttrue false false", "b false true true"}, filters); diff != "" {
		t.Errorf("filters (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"80"}, l.RouteNames()); diff != "" {
		t.Errorf("route names (-want +got):\n%s", diff)
	}
}

func TestTLS(t *testing.T) {
	l := listener.New(rawjson.Value(`{"filter_chains":[{"transport_socket":{"name":"tls","typed_config":{
		"@type":"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext","require_client_certificate":true,
		"session_ticket_keys_sds_secret_config":{"name":"tickets"},
		"common_tls_context":{"alpn_protocols":["h2"],"tls_certificate_sds_secret_configs":[{"name":"default"}],
			"validation_context_sds_secret_config":{"name":"ROOTCA"}}}}},{}]}`))
	context, ok := l.Chains()[0].TLS()
	if !ok || !context.RequireClientCertificate() {
		t.Errorf("mutual TLS not seen: %v", ok)
	}
	if _, ok := l.Chains()[1].TLS(); ok {
		t.Error("TLS where there is none")
	}
	if diff := cmp.Diff([]string{"default", "ROOTCA", "tickets"}, l.Secrets()); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
}

// A lazy view says what the other does, and asks for the body once, and only for what is not in its head.
func TestLazy(t *testing.T) {
	const body = `{"name":"l","address":{"socket_address":{"address":"10.0.0.1","port_value":80}},"additional_addresses":[{"address":{"socket_address":{"address":"::1","port_value":81}}}],
		"traffic_direction":"OUTBOUND","use_original_dst":true,"bind_to_port":false,"filter_chains":[{"name":"c"}]}`
	asked := 0
	full := listener.New(rawjson.Value(body))
	lazy := listener.Lazy(rawjson.Value(body), func() rawjson.Value { asked++; return rawjson.Value(body) })
	head := func(l listener.Listener) []any {
		return []any{l.Name(), l.Address(), l.Addresses(), l.Port(), l.Internal(), l.Direction(), l.UseOriginalDst(), l.BindToPort()}
	}
	if diff := cmp.Diff(head(full), head(lazy)); diff != "" || asked != 0 {
		t.Errorf("the head asked for the body %d times, and (-full +lazy):\n%s", asked, diff)
	}
	for range 2 {
		if chains := lazy.Chains(); len(chains) != 1 || chains[0].Name() != "c" || asked != 1 {
			t.Errorf("%d chains after asking %d times, want 1 after asking once", len(chains), asked)
		}
	}
}
