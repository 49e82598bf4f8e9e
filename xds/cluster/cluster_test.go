package cluster_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/meshlark/meshlark/xds/cluster"
	"github.com/meshlark/meshlark/xds/rawjson"
)

func tls(common string) string {
	return `{"name":"envoy.transport_sockets.tls","typed_config":{"@type":` +
		`"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext","sni":"s","common_tls_context":{` + common + `}}}`
}

const (
	raw       = `{"name":"x","typed_config":{"@type":"type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"}}`
	istioCert = `"alpn_protocols":["istio"],"tls_certificate_sds_secret_configs":[{"name":"default"}],` +
		`"combined_validation_context":{"validation_context_sds_secret_config":{"name":"ROOTCA"}}`
)

func TestTLSMode(t *testing.T) {
	for _, tc := range []struct {
		name, body, mode, sni string
		secrets               []string
	}{
		{"none", `{}`, cluster.Plaintext, "", nil},
		{"raw buffer", `{"transport_socket":` + raw + `}`, cluster.Plaintext, "", nil},
		{"raw buffer by name", `{"transport_socket":{"name":"envoy.transport_sockets.raw_buffer"}}`, cluster.Plaintext, "", nil},
		{"simple", `{"transport_socket":` + tls(``) + `}`, cluster.TLS, "s", nil},
		{"mutual", `{"transport_socket":` + tls(`"tls_certificates":[{}]`) + `}`, cluster.MutualTLS, "s", nil},
		{"istio", `{"transport_socket":` + tls(istioCert) + `}`, cluster.IstioTLS, "s", []string{"default", "ROOTCA"}},
		{
			"by endpoint",
			`{"transport_socket_matches":[{"name":"tlsMode-istio","match":{"tlsMode":"istio"},"transport_socket":` + tls(istioCert) +
				`},{"name":"tlsMode-disabled","match":{},"transport_socket":` + raw + `}]}`,
			cluster.Auto, "s", []string{"default", "ROOTCA"},
		},
		{
			"by endpoint, all the same",
			`{"transportSocketMatches":[{"match":{"a":"b"},"transportSocket":` + raw + `}]}`,
			cluster.Plaintext, "", nil,
		},
		{
			"what comes after a match for all is not used, but waited for",
			`{"transport_socket_matches":[{"transport_socket":` + raw + `}],"transport_socket":` + tls(istioCert) + `}`,
			cluster.Plaintext, "", []string{"default", "ROOTCA"},
		},
		{
			"wrapped",
			`{"transport_socket":{"name":"p","typed_config":{"@type":"type.googleapis.com/x.ProxyProtocolUpstreamTransport","transport_socket":` +
				tls(``) + `}}}`,
			cluster.TLS, "s", nil,
		},
		{
			"internal",
			`{"transport_socket":{"name":"i","typed_config":{"@type":"type.googleapis.com/x.InternalUpstreamTransport","transport_socket":` +
				raw + `}}}`,
			cluster.Internal, "", nil,
		},
		{
			"quic",
			`{"transport_socket":{"name":"q","typed_config":{"@type":"type.googleapis.com/x.QuicUpstreamTransport","upstream_tls_context":{"sni":"q"}}}}`,
			cluster.TLS, "q", nil,
		},
		{"other", `{"transport_socket":{"name":"envoy.transport_sockets.alts"}}`, cluster.OtherTLS, "", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := cluster.New(rawjson.Value(tc.body))
			if got := c.TLSMode(); got != tc.mode {
				t.Errorf("mode %q, want %q", got, tc.mode)
			}
			if got := c.SNI(); got != tc.sni {
				t.Errorf("SNI %q, want %q", got, tc.sni)
			}
			if diff := cmp.Diff(tc.secrets, c.Secrets()); diff != "" {
				t.Errorf("secrets (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCircuitBreakers(t *testing.T) {
	const most = 1<<32 - 1
	c := cluster.New(rawjson.Value(`{"circuit_breakers":{
		"thresholds":[{"max_connections":7,"max_retries":4294967295,"track_remaining":true},{"max_connections":8}],
		"per_host_thresholds":[{"max_connections":9}]}}`))
	want := [2]cluster.Threshold{
		{
			Priority: "DEFAULT", Set: true, MaxConnections: 7, MaxPendingRequests: 1024, MaxRequests: 1024, MaxRetries: most,
			MaxPools: most, MaxPerHost: 9, TrackRemaining: true,
		},
		{
			Priority: "HIGH", MaxConnections: 1024, MaxPendingRequests: 1024, MaxRequests: 1024, MaxRetries: 3,
			MaxPools: most, MaxPerHost: most,
		},
	}
	if diff := cmp.Diff(want, c.CircuitBreakers()); diff != "" {
		t.Errorf("circuit breakers (-want +got):\n%s", diff)
	}
}

func TestFields(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		got        func(cluster.Cluster) any
		want       any
	}{
		{"EDS service", `{"name":"a","eds_cluster_config":{"service_name":"b"}}`, func(c cluster.Cluster) any { return c.EDSService() }, "b"},
		{"EDS service unless set", `{"name":"a"}`, func(c cluster.Cluster) any { return c.EDSService() }, "a"},
		{"policy", `{"lb_policy":"MAGLEV"}`, func(c cluster.Cluster) any { return c.LbPolicy() }, "MAGLEV"},
		{"policy as a number", `{"lb_policy":5}`, func(c cluster.Cluster) any { return c.LbPolicy() }, "MAGLEV"},
		{"policy unless set", `{}`, func(c cluster.Cluster) any { return c.LbPolicy() }, "ROUND_ROBIN"},
		{
			"policy by extension", `{"lb_policy":"MAGLEV","load_balancing_policy":{"policies":[{"typed_extension_config":{"name":"x"}}]}}`,
			func(c cluster.Cluster) any { return c.LbPolicy() }, "x",
		},
		{"panic unless set", `{}`, func(c cluster.Cluster) any { return c.PanicThreshold() }, 50.},
		{
			"panic switched off", `{"common_lb_config":{"healthy_panic_threshold":{}}}`,
			func(c cluster.Cluster) any { return c.PanicThreshold() }, 0.,
		},
		{
			"protocol", `{"typed_extension_protocol_options":{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions":{"explicit_http_config":{"http2_protocol_options":{}}}}}`,
			func(c cluster.Cluster) any { return c.HTTPProtocol() }, "http/2",
		},
		{"protocol, deprecated field", `{"http2_protocol_options":{}}`, func(c cluster.Cluster) any { return c.HTTPProtocol() }, "http/2"},
		{
			"aggregate", `{"cluster_type":{"name":"envoy.clusters.aggregate","typed_config":{"@type":"x","clusters":["a","b"]}}}`,
			func(c cluster.Cluster) any { return c.Aggregated() }, []string{"a", "b"},
		},
		{
			"services", `{"metadata":{"filter_metadata":{"istio":{"services":[{"host":"h","name":"n","namespace":"ns"}]}}}}`,
			func(c cluster.Cluster) any { return c.Services() }, []cluster.Service{{"h", "n", "ns"}},
		},
		{
			"internal", `{"load_assignment":{"endpoints":[{"lb_endpoints":[{"endpoint":{"address":{"envoy_internal_address":{"server_listener_name":"main"}}}}]}]}}`,
			func(c cluster.Cluster) any { return c.Internal() }, []string{"main"},
		},
		{"timeout", `{"connect_timeout":"0.250s"}`, func(c cluster.Cluster) any { _, s := c.ConnectTimeout(); return s }, .25},
		{"timeout unless set", `{}`, func(c cluster.Cluster) any { _, s := c.ConnectTimeout(); return s }, 5.},
	} {
		if diff := cmp.Diff(tc.want, tc.got(cluster.New(rawjson.Value(tc.body)))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}
