package tracing_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/tracing"
	"github.com/meshlark/meshlark/xds/filterchain"
	"github.com/meshlark/meshlark/xds/match"
)

// What the client does on its connection follows from the URL, and from what only a connection of that kind has.
func TestClient(t *testing.T) {
	yes, no := true, false
	const web = "spiffe://cluster.local/ns/shop/sa/web"
	var (
		plain   = filterchain.Client{HTTP: "http/1.1"}
		opaque  = filterchain.Client{Opaque: true}
		unnamed = match.Peer{Presented: true, Validated: true}
		named   = match.Peer{Presented: true, Validated: true, URISANs: []string{web}}
	)
	secure := func(sni string, alpn ...string) filterchain.Client {
		return filterchain.Client{TLS: true, SNI: sni, ALPN: alpn}
	}
	raw := func(c filterchain.Client) filterchain.Client {
		c.Opaque = true
		return c
	}
	proxy := newMesh(t, &source{})
	for _, tc := range []struct {
		what, pod string
		q         tracing.Question
		client    filterchain.Client
		peer      match.Peer
	}{
		{"http", "web", tracing.Question{URL: "http://cart"}, plain, match.Peer{}},
		{"HTTP/2 without TLS", "web", tracing.Question{URL: "http://cart", ALPN: []string{"h2c"}}, filterchain.Client{HTTP: "h2c"}, match.Peer{}},
		{"gRPC", "web", tracing.Question{URL: "grpc://cart"}, filterchain.Client{HTTP: "h2c"}, match.Peer{}},
		{"gRPC with TLS", "web", tracing.Question{URL: "grpcs://cart"}, secure("cart", "h2"), match.Peer{}},
		{"https", "web", tracing.Question{URL: "https://cart"}, secure("cart", "h2", "http/1.1"), match.Peer{}},
		{"https to an address", "web", tracing.Question{URL: "https://10.96.0.2"}, secure("", "h2", "http/1.1"), match.Peer{}},
		{"a web socket", "web", tracing.Question{URL: "wss://cart"}, secure("cart", "http/1.1"), match.Peer{}},
		{"tcp", "web", tracing.Question{URL: "tcp://cache:6379"}, opaque, match.Peer{}},
		{"tls", "web", tracing.Question{URL: "tls://cache:6379"}, raw(secure("cache")), match.Peer{}},
		{"a server name is of TLS", "web", tracing.Question{URL: "tcp://cache:6379", SNI: "other"}, raw(secure("other")), match.Peer{}},
		{"so are protocols", "web", tracing.Question{URL: "tcp://cache:6379", ALPN: []string{"http/1.1"}}, raw(secure("cache", "http/1.1")), match.Peer{}},
		{"and h2", "web", tracing.Question{URL: "http://cart", ALPN: []string{"h2"}}, secure("cart", "h2"), match.Peer{}},
		{"no TLS for https", "web", tracing.Question{URL: "https://cart", TLS: &no}, plain, match.Peer{}},
		{"TLS for http", "web", tracing.Question{URL: "http://cart", TLS: &yes}, secure("cart", "h2", "http/1.1"), match.Peer{}},
		{"a certificate of the application", "web", tracing.Question{URL: "https://cart", MTLS: &yes}, secure("cart", "h2", "http/1.1"), unnamed},
		{"a principal is that of the workload", "web", tracing.Question{URL: "http://cart", Principal: web}, plain, match.Peer{}},
		{"a client of the mesh", "cart", tracing.Question{URL: "http://cart:8080", Direction: "inbound", Principal: web}, secure("cart", "istio-http/1.1", "istio", "http/1.1"), named},
		{"one that is not named", "cart", tracing.Question{URL: "http://cart:8080", Direction: "inbound", MTLS: &yes}, secure("cart", "istio-http/1.1", "istio", "http/1.1"), unnamed},
		{"one by its protocols", "cart", tracing.Question{URL: "https://cart:8080", Direction: "inbound", ALPN: []string{"istio"}}, secure("cart", "istio"), unnamed},
		{"one without HTTP", "cart", tracing.Question{URL: "tcp://cart:8080", Direction: "inbound", Principal: web}, raw(secure("cart", "istio-peer-exchange", "istio")), named},
		{"one with gRPC", "cart", tracing.Question{URL: "grpc://cart:8080", Direction: "inbound", Principal: web}, secure("cart", "istio-h2", "istio", "h2"), named},
		{"TLS without a certificate", "cart", tracing.Question{URL: "https://cart:8080", Direction: "inbound", Principal: web, MTLS: &no}, secure("cart", "h2", "http/1.1"), match.Peer{}},
		{"a client of a waypoint, whose tunnel has the certificate", "waypoint", tracing.Question{URL: "http://books", Principal: web, MTLS: &yes}, plain, match.Peer{}},
		{"a client of a gateway", "gateway", tracing.Question{URL: "https://alt:9443", Principal: web}, secure("alt", "h2", "http/1.1"), named},
		{"one without TLS", "gateway", tracing.Question{URL: "http://alt:9443", Principal: web}, plain, match.Peer{}},
	} {
		got, err := tracing.Follow(context.Background(), proxy(tc.pod), mesh.Any, tc.q)
		if err != nil {
			t.Errorf("%s: %v", tc.what, err)
			continue
		}
		if diff := cmp.Diff(tc.client, got.Request.Client); diff != "" {
			t.Errorf("%s: client (-want +got):\n%s", tc.what, diff)
		}
		if diff := cmp.Diff(tc.peer, got.Request.Peer); diff != "" {
			t.Errorf("%s: certificate (-want +got):\n%s", tc.what, diff)
		}
	}
	for _, tc := range []struct {
		what, want string
		q          tracing.Question
	}{
		{"a server name without TLS", "sni: a server name is of TLS, and tls=False says", tracing.Question{URL: "http://cart", TLS: &no, SNI: "cart"}},
		{"a certificate without TLS", "mtls: a client's certificate is of TLS", tracing.Question{URL: "http://cart", TLS: &no, MTLS: &yes}},
		{"protocols without TLS", `alpn: without TLS, which is what tls=False says, a client speaks one of ["http/1.0" "http/1.1" "h2c"]`, tracing.Question{URL: "http://cart", TLS: &no, ALPN: []string{"h2"}}},
		{"protocols of no HTTP without TLS", "alpn: a list of protocols is of TLS", tracing.Question{URL: "tcp://cache:6379", TLS: &no, ALPN: []string{"h2"}}},
	} {
		if _, err := tracing.Follow(context.Background(), proxy("web"), mesh.Any, tc.q); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.what, err, tc.want)
		}
	}
}
