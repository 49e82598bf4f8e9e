package trace_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/meshlark/meshlark/xds/filterchain"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/trace"
)

// secured is a listener that ends TLS with the given context, and whose access rules want a principal.
func secured(context string) string {
	const socket = `"transport_socket":{"name":"tls","typed_config":{"@type":"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"`
	return `{"name":"secured","address":{"socket_address":{"address":"0.0.0.0","port_value":8443}},"filter_chains":[{"name":"tls",` + socket + context + `}},
		"filters":[{"name":"http","typed_config":{` + manager + `,"route_config":{"virtual_hosts":[{"name":"all","domains":["*"],"routes":[{"match":{"prefix":"/"},"direct_response":{"status":200}}]}]},
			"http_filters":[{"name":"rbac","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC","rules":` + onlyProductpage + `}},` + router + `]}}]}]}`
}

func TestHandshake(t *testing.T) {
	const (
		me    = "spiffe://cluster.local/ns/default/sa/productpage"
		roots = `"trusted_ca":{"filename":"/roots"}`
	)
	named := func(prefix string) string {
		return `,"common_tls_context":{"combined_validation_context":{"default_validation_context":{"match_typed_subject_alt_names":[{"san_type":"URI","matcher":{"prefix":"` + prefix + `"}}]},
			"validation_context_sds_secret_config":{"name":"ROOTCA"}}}`
	}
	presents := func(names ...string) match.Peer { return match.Peer{Presented: true, Validated: true, URISANs: names} }
	for _, tc := range []struct {
		what, context string
		client        filterchain.Client
		peer          match.Peer
		verdict       string
		unmodelled    string
	}{
		{what: "plaintext", verdict: "the client sends plaintext where chain tls wants TLS"},
		{what: "a certificate that nobody asks for", client: filterchain.Client{TLS: true}, peer: presents(me), verdict: "403 rbac_access_denied"},
		{what: "one that roots ask for", context: `,"common_tls_context":{"validation_context":{` + roots + `}}`, client: filterchain.Client{TLS: true}, peer: presents(me), verdict: "200 direct_response"},
		{what: "none where roots ask", context: `,"common_tls_context":{"validation_context":{` + roots + `}}`, client: filterchain.Client{TLS: true}, verdict: "403 rbac_access_denied"},
		{what: "none where one is required", context: `,"require_client_certificate":true`, client: filterchain.Client{TLS: true}, verdict: "chain tls requires a client certificate and the client presents none"},
		{what: "none where names are verified", context: named("spiffe://cluster.local/"), client: filterchain.Client{TLS: true}, verdict: "chain tls requires a client certificate and the client presents none"},
		{what: "a name of the mesh", context: named("spiffe://cluster.local/"), client: filterchain.Client{TLS: true}, peer: presents(me), verdict: "200 direct_response"},
		{what: "a name of another mesh", context: named("spiffe://other/"), client: filterchain.Client{TLS: true}, peer: presents(me),
			verdict: "chain tls takes client certificates for spiffe://other/* and the client's is for " + me + ": the handshake fails"},
		{what: "a name that is not known", context: named("spiffe://cluster.local/"), client: filterchain.Client{TLS: true}, peer: presents(), verdict: "403 rbac_access_denied",
			unmodelled: "whether the client's certificate has a name that chain tls takes: spiffe://cluster.local/*"},
	} {
		p := newProxy("gateway", []string{secured(tc.context)}, nil, nil)
		got := trace.Run(p, nil, trace.Request{Host: "h", Path: "/", Destination: netip.MustParseAddrPort("10.0.0.9:8443"), Inbound: true, Client: tc.client, Peer: tc.peer})
		if !strings.HasPrefix(got.Verdict.String(), tc.verdict) {
			t.Errorf("%s: %s, want %s", tc.what, got.Verdict, tc.verdict)
		}
		if notes := strings.Join(got.Hops[0].Unmodelled, ", "); notes != tc.unmodelled {
			t.Errorf("%s: not modelled %q, want %q", tc.what, notes, tc.unmodelled)
		}
	}
}

func TestProxyProtocol(t *testing.T) {
	yes, no := true, false
	listens := func(filter string) string {
		return strings.Replace(httpPort, `"bind_to_port":false,`, filter, 1)
	}
	const (
		wants   = `"listener_filters":[{"name":"envoy.filters.listener.proxy_protocol","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol"}}],`
		allows  = `"listener_filters":[{"name":"envoy.filters.listener.proxy_protocol","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol","allow_requests_without_proxy_protocol":true}}],`
		arrives = "10.0.0.2:9080 gets the request"
	)
	for _, tc := range []struct {
		what, filter string
		header       *bool
		verdict      string
	}{
		{"nobody says", wants, nil, arrives},
		{"as the listener wants it", wants, &yes, arrives},
		{"the header is missing", wants, &no, "the client sends no header of PROXY protocol, which listener 0.0.0.0_9080 wants"},
		{"the header is missing, and may be", allows, &no, arrives},
		{"no header to a listener without", "", &no, arrives},
		{"a header to a listener without", "", &yes, "400 DPE http1.codec_error"},
	} {
		p := newProxy("gateway", []string{listens(tc.filter)}, []string{table}, []string{static("v1", "", "10.0.0.2")})
		r := request()
		r.Inbound, r.ProxyProtocol = true, tc.header
		if got := trace.Run(p, nil, r); !strings.HasPrefix(got.Verdict.String(), tc.verdict) {
			t.Errorf("%s: %s, want %s", tc.what, got.Verdict, tc.verdict)
		}
	}
}

// A proxy that says by PROXY protocol who the client is leaves its own address where it connects from.
func TestProxyProtocolUpstream(t *testing.T) {
	const socket = `"transport_socket":{"name":"envoy.transport_sockets.upstream_proxy_protocol","typed_config":{"@type":"type.googleapis.com/envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport",
		"transport_socket":{"name":"envoy.transport_sockets.raw_buffer"}}},`
	server := newProxy("server", []string{`{"name":"in","address":{"socket_address":{"address":"0.0.0.0","port_value":9080}},"listener_filters":[{"name":"envoy.filters.listener.proxy_protocol"}],
		"filter_chains":[{"name":"other"},{"name":"client","filter_chain_match":{"source_prefix_ranges":[{"address_prefix":"10.0.0.1","prefix_len":32}],"direct_source_prefix_ranges":[{"address_prefix":"10.0.0.9","prefix_len":32}]},
			"filters":[{"name":"tcp","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy","cluster":"app"}}]}]}`}, nil, []string{static("app", "", "127.0.0.1")})
	for socket, verdict := range map[string]string{socket: "127.0.0.1:9080 gets the request", "": "the client sends no header of PROXY protocol, which listener in wants"} {
		from := workload{newProxy("client", []string{virtualOutbound, httpPort}, []string{table}, []string{static("v1", socket, "10.0.0.2")}), "10.0.0.9"}
		if got := trace.Run(from, mesh{"10.0.0.2": server}, request()); !strings.HasPrefix(got.Verdict.String(), verdict) {
			t.Errorf("with %q: %s, want %s", socket, got.Verdict, verdict)
		}
	}
}

// A workload is a proxy that knows its address.
type workload struct {
	*proxy
	ip string
}

func (w workload) Identity() string    { return "" }
func (w workload) Address() netip.Addr { return netip.MustParseAddr(w.ip) }
