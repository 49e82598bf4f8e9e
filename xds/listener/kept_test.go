package listener_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// A view that keeps what it reads says what one that looks everything up does.
func TestKept(t *testing.T) {
	const manager = `{"name":"http","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
		"stat_prefix":"p","rds":{"route_config_name":"r"},"http_filters":[{"name":"a","disabled":true},{"name":"b","typed_config":{"@type":"x/y.Z","k":1}}]}}`
	body := rawjson.Value(`{"name":"l","metadata":{"filter_metadata":{"istio":{"config":"c"}}},"listener_filters":[{"name":"f","filter_disabled":{"any_match":true}}],"filter_chains":[
		{"name":"one","filter_chain_match":{"destination_port":1},"filters":[{"name":"other"},` + manager + `]},
		{"transport_socket":{"name":"tls","typed_config":{"@type":"x/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext","require_client_certificate":true}},
			"filters":[{"name":"tcp","typed_config":{"@type":"x/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy","cluster":"c"}}]}],
		"defaultFilterChain":{"name":"rest"}}`)
	said := func(l listener.Listener) []any {
		out := []any{l.Config(), l.ListenerFilters(), string(l.Fields().Get("filter_chain_matcher")), l.Type()}
		for _, c := range l.Chains() {
			http, isHTTP := c.HTTP()
			tcp, isTCP := c.TCP()
			context, isTLS := c.TLS()
			out = append(out, c.Name(), c.IsDefault(), c.Match(), string(c.Body()), len(c.Filters()), isHTTP, string(http.Body()), http.RouteName(), http.Filters(),
				isTCP, tcp.Clusters(), isTLS, context.RequireClientCertificate(), string(c.Fields().Get("transport_socket", "typed_config")), c.Destination())
		}
		return out
	}
	kept := listener.Lazy(body, func() rawjson.Value { return body })
	want := said(listener.New(body))
	for range 2 {
		if diff := cmp.Diff(want, said(kept)); diff != "" {
			t.Errorf("(-looked up +kept)\n%s", diff)
		}
	}
	made := 0
	for range 2 {
		kept.Fields().Derived("key", func() any { made++; return nil })
	}
	if made != 1 {
		t.Errorf("made %d times, want once", made)
	}
}
