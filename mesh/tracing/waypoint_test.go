package tracing_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/tracing"
	"github.com/meshlark/meshlark/xds/pattern"
)

const (
	restores = `"listener_filters":[{"name":"envoy.filters.listener.original_dst"}]`
	upstream = `"transport_socket":{"name":"internal","typed_config":{"@type":"type.googleapis.com/envoy.extensions.transport_sockets.internal_upstream.v3.InternalUpstreamTransport",
		"passthrough_metadata":[{"kind":{"host":{}},"name":"envoy.filters.listener.original_dst"}]}}`
	outward = `{"name":"connect_originate","internal_listener":{},` + restores + `,"filter_chains":[{"filters":[{"name":"tcp","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
		"cluster":"connect_originate","tunneling_config":{"hostname":"%DOWNSTREAM_LOCAL_ADDRESS%"}}}]}]}`
)

// internal is a cluster of a listener inside the proxy; endpoint is what its metadata tell that listener.
func internal(name, listener, endpoint string) string {
	return `{"name":"` + name + `","type":"STATIC",` + upstream + `,"load_assignment":{"endpoints":[{"lb_endpoints":[{"endpoint":{"address":{"envoy_internal_address":{"server_listener_name":"` + listener + `"}}},
		"metadata":{"filter_metadata":{"envoy.filters.listener.original_dst":` + endpoint + `}}}]}]}}`
}

// tunnels is the cluster of all tunnels: their other ends are where the connections inside are meant for, or where the endpoint says.
const tunnels = `{"name":"connect_originate","type":"ORIGINAL_DST","original_dst_lb_config":{"upstream_port_override":15008,"metadata_key":{"key":"envoy.filters.listener.original_dst","path":[{"key":"waypoint"}]}},` + mutual + `}`

func object(key, format string) string {
	return `{"object_key":"` + key + `","shared_with_upstream":"ONCE","format_string":{"text_format_source":{"inline_string":"` + format + `"}}}`
}

func choose(chain string) string {
	return `{"action":{"name":"x","typed_config":{"@type":"type.googleapis.com/google.protobuf.StringValue","value":"` + chain + `"}}}`
}

func vip(ip, port, chain string) string {
	return `{"ranges":[{"address_prefix":"` + ip + `","prefix_len":32}],"on_match":{"matcher":{"matcher_tree":{"input":{"typed_config":{"@type":"type.googleapis.com/envoy.extensions.matching.common_inputs.network.v3.DestinationPortInput"}},
		"exact_match_map":{"map":{"` + port + `":` + choose(chain) + `}}}}}}`
}

func chainOf(name, filters string) string {
	return `{"name":"` + name + `","filters":[{"name":"http","typed_config":{` + manager + `,"route_config":{"name":"` + name + `","virtual_hosts":[{"name":"all","domains":["*"],"routes":[{"name":"default","match":{"prefix":"/"},"route":{"cluster":"` + name + `"}}]}]},
		"http_filters":[` + filters + `{"name":"envoy.filters.http.router","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}]}`
}

var (
	waypoint = configDump([]string{
		`{"name":"connect_terminate",` + socket("0.0.0.0", 15008) + `,"filter_chains":[{"name":"default",
			"transport_socket":{"name":"tls","typed_config":{"@type":"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext","require_client_certificate":true}},
			"filters":[{"name":"http","typed_config":{` + manager + `,"upgrade_configs":[{"upgrade_type":"CONNECT"}],
				"route_config":{"virtual_hosts":[{"name":"default","domains":["*"],"routes":[{"match":{"connect_matcher":{}},"route":{"cluster":"main_internal","upgrade_configs":[{"upgrade_type":"CONNECT","connect_config":{}}]}}]}]},
				"http_filters":[{"name":"connect_authority","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.http.set_filter_state.v3.Config","on_request_headers":[` +
			object("envoy.filters.listener.original_dst.local_ip", "%REQ(:AUTHORITY)%") + `,` + object("io.istio.peer_principal", "%DOWNSTREAM_PEER_URI_SAN%") + `]}},
				{"name":"envoy.filters.http.router","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}]}]}`,
		`{"name":"main_internal","traffic_direction":"INBOUND","internal_listener":{},` + restores + `,
			"filter_chain_matcher":{"matcher_tree":{"input":{"typed_config":{"@type":"type.googleapis.com/envoy.extensions.matching.common_inputs.network.v3.DestinationIPInput"}},
				"custom_match":{"typed_config":{"@type":"type.googleapis.com/xds.type.matcher.v3.IPMatcher","range_matchers":[` +
			vip("10.96.0.8", "80", "inbound-vip|80|http|books.shop.svc.cluster.local") + `,` + vip("240.240.0.1", "443", "inbound-vip|443|http|*.example.com") + `]}}},"on_no_match":` + choose("direct") + `},
			"filter_chains":[` + chainOf("inbound-vip|80|http|books.shop.svc.cluster.local", `{"name":"envoy.filters.http.rbac","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC","rules":{"policies":{
				"web":{"permissions":[{"any":true}],"principals":[{"filter_state":{"key":"io.istio.peer_principal","string_match":{"exact":"spiffe://cluster.local/ns/shop/sa/web"}}}]}}}}},`) + `,` +
			chainOf("inbound-vip|443|http|*.example.com", "") + `,` + chainOf("direct", "") + `]}`,
		outward,
	}, nil, []string{
		internal("main_internal", "main_internal", "{}"),
		internal("inbound-vip|80|http|books.shop.svc.cluster.local", "connect_originate", `{"local":"10.7.7.7:8080"}`),
		static("inbound-vip|443|http|*.example.com", upstream+",", "192.0.2.1", 443),
		internal("direct", "connect_originate", "{}"),
		tunnels,
	})
	// ambient is a gateway that sends what is for a service to its waypoint.
	ambient = configDump([]string{`{"name":"0.0.0.0_80",` + socket("0.0.0.0", 80) + `,"filter_chains":` + httpChain(`"rds":{"route_config_name":"http.80"}`) + `}`, outward},
		[]string{`{"name":"http.80","virtual_hosts":[{"name":"books","domains":["*"],"routes":[{"match":{"prefix":"/"},"route":{"cluster":"books"}}]}]}`},
		[]string{internal("books", "connect_originate", `{"local":"10.96.0.8:80","waypoint":"10.0.0.5:15008"}`), tunnels})
)

func TestWaypoint(t *testing.T) {
	const (
		web   = "spiffe://cluster.local/ns/shop/sa/web"
		front = "waypoint.shop connect_terminate main_internal internal"
		main  = "waypoint.shop main_internal inbound-vip|80|http|books.shop.svc.cluster.local internal"
		out   = "waypoint.shop connect_originate connect_originate istio mTLS"
	)
	proxy := newMesh(t, &source{})
	for _, tc := range []struct {
		what, pod   string
		q           tracing.Question
		destination string
		hops        []string
		verdict     string
	}{
		{"a service by its name", "waypoint", tracing.Question{URL: "http://books/", Principal: web}, "10.96.0.8:80", []string{front, main, out}, "10.7.7.7:8080, by a tunnel to 10.7.7.7:15008, gets the request"},
		{"by its address", "waypoint", tracing.Question{URL: "http://10.96.0.8/", Principal: web}, "10.96.0.8:80", []string{front, main, out}, "10.7.7.7:8080, by a tunnel to 10.7.7.7:15008, gets the request"},
		{"by somebody else", "waypoint", tracing.Question{URL: "http://books/", Principal: web + "2"}, "10.96.0.8:80", []string{front, "waypoint.shop main_internal  "}, "403 rbac_access_denied_matched_policy[none]"},
		{"by nobody in particular", "waypoint", tracing.Question{URL: "http://books/"}, "10.96.0.8:80", []string{front, "waypoint.shop main_internal  "}, "403 rbac_access_denied_matched_policy[none]"},
		{"a host under a wildcard", "waypoint", tracing.Question{URL: "http://api.example.com:443/"}, "240.240.0.1:443", []string{front, "waypoint.shop main_internal inbound-vip|443|http|*.example.com plaintext"}, "192.0.2.1:443 gets the request"},
		{"an address of no service", "waypoint", tracing.Question{URL: "http://10.7.7.8:9090/"}, "10.7.7.8:9090",
			[]string{front, "waypoint.shop main_internal direct internal", "waypoint.shop connect_originate connect_originate "}, "UH cluster connect_originate: nothing restored where the client wanted to go"},
		{"from a gateway", "ambient", tracing.Question{URL: "http://books.example.com/"}, "10.0.0.6:80",
			[]string{"ambient.shop 0.0.0.0_80 books internal", "ambient.shop connect_originate connect_originate istio mTLS", front, "waypoint.shop main_internal  "}, "403 rbac_access_denied_matched_policy[none]"},
	} {
		got, err := tracing.Follow(context.Background(), proxy(tc.pod), mesh.Any, tc.q)
		if err != nil {
			t.Errorf("%s: %v", tc.what, err)
			continue
		}
		if got.Request.Destination.String() != tc.destination {
			t.Errorf("%s: destination %s, want %s", tc.what, got.Request.Destination, tc.destination)
		}
		if diff := cmp.Diff(tc.hops, hops(got)); diff != "" {
			t.Errorf("%s: hops (-want +got):\n%s", tc.what, diff)
		}
		if !strings.HasPrefix(got.Verdict.String(), tc.verdict) {
			t.Errorf("%s: verdict %q, want %q", tc.what, got.Verdict, tc.verdict)
		}
		asks := strings.Contains(strings.Join(got.Hops[0].Steps[0].Unmodelled, ""), "give principal")
		if want := tc.pod == "waypoint" && tc.q.Principal == ""; asks != want {
			t.Errorf("%s: asks for the principal: %t, want %t", tc.what, asks, want)
		}
		for _, h := range got.Hops {
			if want := h.Listener == "connect_terminate"; h.Tunnel != want {
				t.Errorf("%s: listener %s is in a tunnel: %t", tc.what, h.Listener, h.Tunnel)
			}
		}
	}
}

// How the tunnel goes is no way of the request.
func TestWhyNotThroughTunnel(t *testing.T) {
	proxy := newMesh(t, &source{})
	a, err := tracing.Follow(context.Background(), proxy("waypoint"), mesh.Any, tracing.Question{URL: "http://books/"})
	if err != nil {
		t.Fatal(err)
	}
	w, err := a.WhyNot(context.Background(), pattern.Exact("main_internal"))
	if err != nil {
		t.Fatal(err)
	}
	if len(w.Ways) != 0 {
		t.Errorf("ways to main_internal: %+v", w.Ways)
	}
}
