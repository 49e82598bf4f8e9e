package trace_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/xds/filterchain"
	"github.com/meshlark/meshlark/xds/trace"
)

// The cases below are what a real Envoy was seen to do otherwise than was once predicted; internal/difftest finds such cases.

func tcpListener(name, address, port, more, cluster string) string {
	return `{"name":"` + name + `","address":{"socket_address":{"address":"` + address + `","port_value":` + port + `}},` + more + `
		"filter_chains":[{"name":"tcp","filters":[{"name":"tcp","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy","cluster":"` + cluster + `"}}]}]}`
}

const (
	aggregateOfTwo = `{"name":"all","lb_policy":"CLUSTER_PROVIDED","cluster_type":{"name":"envoy.clusters.aggregate","typed_config":{
		"@type":"type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig","clusters":["first","second"]}}}`
	acceptsTLS = `{"name":"virtualInbound","traffic_direction":"INBOUND","address":{"socket_address":{"address":"0.0.0.0","port_value":15006}},
		"listener_filters":[{"name":"envoy.filters.listener.original_dst"},{"name":"envoy.filters.listener.tls_inspector"}],
		"filter_chains":[{"name":"tls","filter_chain_match":{"transport_protocol":"tls","application_protocols":["PROTOCOL"]},
			"transport_socket":{"name":"tls","typed_config":{"@type":"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"}},
			"filters":[{"name":"http","typed_config":{` + manager + `,"route_config":{"virtual_hosts":[{"name":"in","domains":["*"],"routes":[{"match":{"prefix":"/"},"route":{"cluster":"inbound|9080||"}}]}]},"http_filters":[` + router + `]}}]}]}`
	plainTLS = `"transport_socket":{"name":"tls","typed_config":{"@type":"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"}},`
	istioTLS = `"transport_socket":{"name":"tls","typed_config":{"@type":"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext","common_tls_context":{
		"alpn_protocols":["istio-peer-exchange","istio"],"tls_certificate_sds_secret_configs":[{"name":"default"}]}}},`
)

func health(name, status string) string {
	return `{"name":"` + name + `","load_assignment":{"endpoints":[{"lb_endpoints":[{"health_status":"` + status + `","endpoint":{"address":{"socket_address":{"address":"10.0.0.2","port_value":9080}}}}]}]},
		` + strings.TrimSuffix(istioTLS, ",") + `}`
}

func TestConnections(t *testing.T) {
	alpn := `{"name":"istio.alpn","typed_config":{"@type":"type.googleapis.com/istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig","alpn_override":[{"upstream_protocol":"HTTP11","alpn_override":["istio-http/1.1","istio"]}]}}`
	withAlpn := strings.Replace(httpPort, `"http_filters":[`, `"http_filters":[`+alpn+`,`, 1)
	tcpPort := tcpListener("tcp", "0.0.0.0", "9080", `"bind_to_port":false,"traffic_direction":"OUTBOUND",`, "v1")
	rules := `{"action":"DENY","policies":{"ns[a]-policy[b]-rule[0]":{"permissions":[{"any":true}],"principals":[{"any":true}]}}}`
	denied := strings.Replace(tcpPort, `"filters":[`, `"filters":[{"name":"rbac","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC","rules":`+rules+`}},`, 1)
	accepts := func(protocol string) string { return strings.Replace(acceptsTLS, "PROTOCOL", protocol, 1) }
	for _, tc := range []struct {
		what      string
		listeners []string
		clusters  []string
		server    string
		change    func(*trace.Request)
		hops      int
		cluster   string // of the first hop
		verdict   string
	}{
		{what: "a TCP proxy has no status for a cluster that is missing", listeners: []string{virtualOutbound, tcpPort}, hops: 1, cluster: "v1", verdict: `NC client has no cluster "v1": the connection is closed`},
		{what: "nor for one without endpoints", listeners: []string{virtualOutbound, tcpPort}, clusters: []string{`{"name":"v1","type":"STATIC"}`}, hops: 1, cluster: "v1", verdict: "UH cluster v1: "},
		{what: "network access rules", listeners: []string{virtualOutbound, denied}, hops: 1, verdict: "rbac_access_denied_matched_policy[ns[a]-policy[b]-rule[0]]: "},
		{what: "TLS to a chain for HTTP", listeners: []string{virtualOutbound, httpPort}, change: func(r *trace.Request) { r.Client = filterchain.Client{TLS: true, SNI: "a.com"} }, hops: 1, verdict: "400 DPE http1.codec_error: "},
		{what: "nothing restores the destination", listeners: []string{tcpListener("bound", "0.0.0.0", "9080", "", "PassthroughCluster")}, clusters: []string{passthrough}, hops: 1, cluster: "PassthroughCluster", verdict: "UH cluster PassthroughCluster: nothing restored"},
		{what: "PROXY protocol restores it", listeners: []string{tcpListener("bound", "0.0.0.0", "9080", `"listener_filters":[{"name":"envoy.filters.listener.proxy_protocol"}],`, "PassthroughCluster")}, clusters: []string{passthrough}, hops: 1, cluster: "PassthroughCluster", verdict: "10.96.0.5:9080 gets the request"},
		{what: "the client's TLS inside the mesh's", listeners: []string{virtualOutbound, tcpPort}, clusters: []string{static("v1", istioTLS, "10.0.0.2")}, server: accepts("istio"),
			change: func(r *trace.Request) { r.Client = filterchain.Client{TLS: true, SNI: "a.com"} }, hops: 2, cluster: "v1", verdict: "400 DPE http1.codec_error: "},
		{what: "the client's TLS passed on", listeners: []string{virtualOutbound, tcpPort}, clusters: []string{static("v1", "", "10.0.0.2")}, server: accepts("h2"),
			change: func(r *trace.Request) { r.Client = filterchain.Client{TLS: true, ALPN: []string{"h2"}} }, hops: 2, cluster: "v1", verdict: "10.0.0.2:9080 gets the request"},
		{what: "an alpn filter", listeners: []string{virtualOutbound, withAlpn}, clusters: []string{static("v1", istioTLS, "10.0.0.2")}, server: accepts("istio-http/1.1"), hops: 2, cluster: "v1", verdict: "10.0.0.2:9080 gets the request"},
		{what: "no alpn filter", listeners: []string{virtualOutbound, httpPort}, clusters: []string{static("v1", istioTLS, "10.0.0.2")}, server: accepts("istio-http/1.1"), hops: 2, cluster: "v1", verdict: "NR filter_chain_not_found: "},
		{what: "no protocols configured", listeners: []string{virtualOutbound, httpPort}, clusters: []string{static("v1", plainTLS, "10.0.0.2")}, server: accepts("http/1.1"), hops: 2, cluster: "v1", verdict: "10.0.0.2:9080 gets the request"},
		{what: "no protocols for TCP", listeners: []string{virtualOutbound, tcpPort}, clusters: []string{static("v1", plainTLS, "10.0.0.2")}, server: accepts("http/1.1"), hops: 2, cluster: "v1", verdict: "NR filter_chain_not_found: "},
		{what: "the sockets of an aggregate's member", listeners: []string{virtualOutbound, tcpListener("tcp", "0.0.0.0", "9080", `"bind_to_port":false,`, "all")},
			clusters: []string{aggregateOfTwo, health("first", "UNHEALTHY"), health("second", "HEALTHY")}, server: accepts("istio"), hops: 2, cluster: "second", verdict: "10.0.0.2:9080 gets the request"},
	} {
		client := newProxy("client", tc.listeners, []string{table}, tc.clusters)
		others := mesh{}
		if tc.server != "" {
			others["10.0.0.2"] = newProxy("server", []string{tc.server}, nil, []string{appCluster})
		}
		r := request()
		if tc.change != nil {
			tc.change(&r)
		}
		got := trace.Run(client, others, r)
		if len(got.Hops) != tc.hops || got.Hops[0].Cluster != tc.cluster || !strings.HasPrefix(got.Verdict.String(), tc.verdict) {
			t.Errorf("%s: %d hops, cluster %q, verdict %q; want %d, %q, %q", tc.what, len(got.Hops), got.Hops[0].Cluster, got.Verdict, tc.hops, tc.cluster, tc.verdict)
		}
	}
}

// A connection from one internal listener to the next has what the cluster's socket gives it, and not what the first client did.
func TestInternalClient(t *testing.T) {
	inner := strings.Replace(strings.Replace(httpPort, `"bind_to_port":false,"address":{"socket_address":{"address":"0.0.0.0","port_value":9080}}`, `"internal_listener":{}`, 1), "0.0.0.0_9080", "inner", 1)
	front := strings.Replace(strings.Replace(acceptsTLS, "PROTOCOL", "h2", 1), "inbound|9080||", "inside", 1)
	p := newProxy("waypoint", []string{front, inner}, []string{table}, []string{
		`{"name":"inside","type":"STATIC","load_assignment":{"endpoints":[{"lb_endpoints":[{"endpoint":{"address":{"envoy_internal_address":{"server_listener_name":"inner"}}}}]}]}}`,
		static("v1", "", "10.0.0.2"),
	})
	r := request()
	r.Inbound, r.Destination, r.Client = true, netip.MustParseAddrPort("10.0.0.9:9080"), filterchain.Client{TLS: true, ALPN: []string{"h2"}}
	got := trace.Run(p, nil, r)
	var hops []string
	for _, h := range got.Hops {
		hops = append(hops, h.Listener+" "+h.Cluster)
	}
	if diff := cmp.Diff([]string{"virtualInbound inside", "inner v1"}, hops); diff != "" || !got.Verdict.Reached {
		t.Errorf("verdict %s, hops (-want +got):\n%s", got.Verdict, diff)
	}
}

// Where a cluster hashes, what the route ties requests by decides the endpoint; elsewhere it does not.
func TestTie(t *testing.T) {
	tied := strings.Replace(table, `"route":{"cluster":"v1"}`, `"route":{"cluster":"v1","hash_policy":[{"header":{"header_name":"x-user"}},{"cookie":{"name":"sid"}}]}`, 1)
	const want = "which endpoint the hash of header x-user, cookie sid chooses"
	for policy, tells := range map[string]bool{"RING_HASH": true, "MAGLEV": true, "ROUND_ROBIN": false} {
		p := newProxy("client", []string{virtualOutbound, httpPort}, []string{tied}, []string{static("v1", `"lb_policy":"`+policy+`",`, "10.0.0.2")})
		for range 2 { // the second time from what was kept
			got := trace.Run(p, nil, request())
			if told := slices.Contains(got.Hops[0].Unmodelled, want); told != tells {
				t.Errorf("%s: unmodelled %q, want that it tells of the hash: %v", policy, got.Hops[0].Unmodelled, tells)
			}
		}
	}
}
