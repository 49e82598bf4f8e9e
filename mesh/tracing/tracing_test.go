package tracing_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/tracing"
	"github.com/meshlark/meshlark/xds/dump"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/pattern"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
)

// A source is a mesh of a client, a server and a gateway, each with a config dump written into the test.
type source struct {
	store *resource.Store
	reads int
	dead  bool // the server cannot be read
}

func (s *source) Spec() string                   { return "test" }
func (s *source) Live() bool                     { return false }
func (s *source) UseStore(store *resource.Store) { s.store = store }

// The source has the Services of two names, as a cluster would.
func (s *source) ObjectKind(context.Context, string) (mesh.ObjectKind, error) {
	return mesh.ObjectKind{Name: "Service", Version: "v1", Plural: "services", Namespaced: true}, nil
}

func (s *source) ObjectKinds(ctx context.Context) ([]mesh.ObjectKind, error) {
	kind, err := s.ObjectKind(ctx, "")
	return []mesh.ObjectKind{kind}, err
}

func (s *source) Objects(_ context.Context, r mesh.ObjectRequest) (mesh.ObjectAnswer, error) {
	service := func(name, spec string) mesh.Object {
		return mesh.Object{Kind: "Service", APIVersion: "v1", Name: name, Namespace: "shop", JSON: rawjson.Value(`{"metadata":{"name":"` + name + `","namespace":"shop"},"spec":` + spec + `}`)}
	}
	return mesh.ObjectAnswer{Whole: true, Objects: []mesh.Object{
		service("late", `{"clusterIP":"10.96.0.77"}`),
		service("headless", `{"clusterIP":"None"}`),
		service("front", `{"clusterIP":"10.96.0.78","selector":{"app":"gateway"},"ports":[{"port":7000,"targetPort":9443},{"port":7001,"targetPort":"named"}]}`),
		service("other", `{"clusterIP":"10.96.0.79","selector":{"app":"other"},"ports":[{"port":7002,"targetPort":9443}]}`),
	}}, nil
}

func (s *source) Survey(context.Context) (*mesh.Survey, error) {
	node := func(typ, ip, pod string) string {
		return typ + "~" + ip + "~" + pod + ".shop~shop.svc.cluster.local"
	}
	account := func(name string) rawjson.Value {
		return rawjson.Value(`{"NAMESPACE":"shop","SERVICE_ACCOUNT":"` + name + `","LABELS":{"app":"` + name + `"}}`)
	}
	return &mesh.Survey{Proxies: []mesh.Record{
		{NodeID: node("sidecar", "10.0.0.1", "web"), Metadata: account("web"), Actual: reader{s, web}},
		{NodeID: node("sidecar", "10.0.0.2", "cart"), Metadata: account("cart"), Actual: reader{s, cart}},
		{NodeID: node("router", "10.0.0.9", "gateway"), Metadata: account("gateway"), Actual: reader{s, gateway}},
		{NodeID: "edge", Actual: reader{s, edge}},
		{NodeID: node("sidecar", "fd00::7", "six"), Metadata: account("six"), Actual: reader{s, six}},
		{NodeID: node("router", "10.0.0.7", "bound"), Metadata: account("bound"), Actual: reader{s, bound}},
		{NodeID: node("waypoint", "10.0.0.5", "waypoint"), Metadata: account("waypoint"), Actual: reader{s, waypoint}},
		{NodeID: node("router", "10.0.0.6", "ambient"), Metadata: account("ambient"), Actual: reader{s, ambient}},
	}}, nil
}

type reader struct {
	s    *source
	text string
}

func (r reader) Read(context.Context, mesh.Request) (mesh.Answer, error) {
	r.s.reads++
	if r.s.dead && r.text == cart {
		return mesh.Answer{}, errors.New("connection refused")
	}
	d, err := dump.Split(r.s.store, []byte(r.text), dump.Options{Source: "test"})
	return mesh.Answer{Dump: d, Covers: mesh.CoversAll}, err
}

func (r reader) Admin(context.Context, string, func(io.Reader) error) (int64, error) {
	return 0, mesh.ErrNotAvailable
}

const (
	admin   = "type.googleapis.com/envoy.admin.v3."
	manager = `"@type":"type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"`
	router  = `"http_filters":[{"name":"envoy.filters.http.router","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]`
	mutual  = `"transport_socket":{"name":"tls","typed_config":{"@type":"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext","common_tls_context":{"alpn_protocols":["istio"],"tls_certificate_sds_secret_configs":[{"name":"default"}]}}}`
)

func httpChain(rds string) string {
	return `[{"name":"http","filters":[{"name":"http","typed_config":{` + manager + `,` + rds + `,` + router + `}}]}]`
}

func tcpChain(cluster string) string {
	return `[{"name":"tcp","filters":[{"name":"tcp","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy","cluster":"` + cluster + `"}}]}]`
}

func socket(ip string, port int) string {
	return fmt.Sprintf(`"address":{"socket_address":{"address":%q,"port_value":%d}}`, ip, port)
}

func static(name, extra, ip string, port int) string {
	return `{"name":"` + name + `","type":"STATIC",` + extra + `"load_assignment":{"endpoints":[{"lb_endpoints":[{"endpoint":{` + socket(ip, port) + `}}]}]}}`
}

// configDump is a whole dump of listeners, route tables and clusters.
func configDump(listeners, tables, clusters []string) string {
	wrap := func(list []string, format string) string {
		for i, body := range list {
			list[i] = fmt.Sprintf(format, body)
		}
		return strings.Join(list, ",")
	}
	for i, l := range listeners {
		name := rawjson.Value(l).Str("name")
		listeners[i] = fmt.Sprintf(`{"name":%q,"active_state":{"listener":%s}}`, name, l)
	}
	return `{"configs":[{"@type":"` + admin + `ListenersConfigDump","dynamic_listeners":[` + strings.Join(listeners, ",") + `]},
		{"@type":"` + admin + `RoutesConfigDump","dynamic_route_configs":[` + wrap(tables, `{"route_config":%s}`) + `]},
		{"@type":"` + admin + `ClustersConfigDump","dynamic_active_clusters":[` + wrap(clusters, `{"cluster":%s}`) + `]}]}`
}

const cartHost = `{"name":"cart.shop.svc.cluster.local:80","domains":["cart.shop.svc.cluster.local","cart","cart.shop","10.96.0.2"],"routes":[
	{"name":"beta","match":{"prefix":"/","headers":[{"name":"x-beta","present_match":true}]},"route":{"cluster":"outbound|80|v2|cart.shop.svc.cluster.local"}},
	{"name":"all","match":{"prefix":"/"},"route":{"cluster":"outbound|80||cart.shop.svc.cluster.local"}}]}`

var (
	web = configDump([]string{
		`{"name":"virtualOutbound","traffic_direction":"OUTBOUND","use_original_dst":true,` + socket("0.0.0.0", 15001) + `,"filter_chains":` + tcpChain("PassthroughCluster") + `}`,
		`{"name":"0.0.0.0_80","traffic_direction":"OUTBOUND","bind_to_port":false,` + socket("0.0.0.0", 80) + `,"filter_chains":` + httpChain(`"rds":{"route_config_name":"80"}`) + `}`,
		`{"name":"10.96.0.3_6379","traffic_direction":"OUTBOUND","bind_to_port":false,` + socket("10.96.0.3", 6379) + `,"filter_chains":` + tcpChain("outbound|6379||cache.shop.svc.cluster.local") + `}`,
	}, []string{
		`{"name":"80","virtual_hosts":[` + cartHost + `,{"name":"unknown","domains":["unknown"],"routes":[{"match":{"prefix":"/"},"route":{"cluster":"discovered"}}]},{"name":"allow_any","domains":["*"],"routes":[{"name":"any","match":{"prefix":"/"},"route":{"cluster":"PassthroughCluster"}}]}]}`,
	}, []string{
		`{"name":"PassthroughCluster","type":"ORIGINAL_DST"}`,
		`{"name":"discovered","type":"EDS"}`,
		static("outbound|80||cart.shop.svc.cluster.local", mutual+",", "10.0.0.2", 8080),
		static("outbound|6379||cache.shop.svc.cluster.local", "", "10.7.7.7", 6379),
		static("outbound|5432||db.shop.svc.cluster.local", "", "10.8.8.8", 5432),
	})
	cart = configDump([]string{
		`{"name":"virtualInbound","traffic_direction":"INBOUND",` + socket("0.0.0.0", 15006) + `,
			"listener_filters":[{"name":"envoy.filters.listener.original_dst"},{"name":"envoy.filters.listener.tls_inspector"}],
			"filter_chains":[{"name":"8080","filter_chain_match":{"destination_port":8080,"transport_protocol":"tls"},
				"transport_socket":{"name":"tls","typed_config":{"@type":"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext","require_client_certificate":true,"common_tls_context":{"tls_certificate_sds_secret_configs":[{"name":"default"}]}}},
				"filters":[{"name":"http","typed_config":{` + manager + `,"route_config":{"virtual_hosts":[{"name":"inbound","domains":["*"],"routes":[{"match":{"prefix":"/"},"route":{"cluster":"inbound|8080||"}}]}]},
					"http_filters":[{"name":"envoy.filters.http.rbac","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC","rules":{"policies":{"web":{"permissions":[{"any":true}],"principals":[{"authenticated":{"principal_name":{"safe_regex":{"regex":"spiffe://cluster.local/ns/shop/sa/(web|gateway)"}}}}]}}}}},
					{"name":"envoy.filters.http.router","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}]}]}`,
	}, nil, []string{`{"name":"inbound|8080||","type":"ORIGINAL_DST"}`})
	gateway = configDump([]string{
		`{"name":"0.0.0.0_8080","traffic_direction":"OUTBOUND",` + socket("0.0.0.0", 8080) + `,"filter_chains":` + httpChain(`"rds":{"route_config_name":"http.8080"}`) + `}`,
		`{"name":"0.0.0.0_15090",` + socket("0.0.0.0", 15090) + `,"filter_chains":` + tcpChain("prometheus") + `}`,
		`{"name":"0.0.0.0_9443","traffic_direction":"OUTBOUND",` + socket("0.0.0.0", 9443) + `,"filter_chains":` + httpChain(`"rds":{"route_config_name":"alt"}`) + `}`,
	}, []string{
		`{"name":"http.8080","virtual_hosts":[{"name":"shop.example.com:80","domains":["shop.example.com"],"routes":[{"match":{"prefix":"/"},"route":{"cluster":"outbound|80||cart.shop.svc.cluster.local"}}]}]}`,
		`{"name":"alt","virtual_hosts":[{"name":"alt.example.com:9000","domains":["*"],"routes":[{"match":{"prefix":"/"},"direct_response":{"status":200}}]}]}`,
	}, []string{static("outbound|80||cart.shop.svc.cluster.local", mutual+",", "10.0.0.2", 8080)})
)

// edge is an Envoy without Istio.
var edge = configDump([]string{
	`{"name":"public",` + socket("127.0.0.1", 8000) + `,"filter_chains":` + httpChain(`"rds":{"route_config_name":"public"}`) + `}`,
}, []string{`{"name":"public","virtual_hosts":[{"name":"all","domains":["*"],"routes":[{"match":{"prefix":"/"},"route":{"cluster":"app"}}]}]}`}, []string{static("app", "", "10.7.7.7", 80)})

var (
	// six is a sidecar that has IPv6 only.
	six = configDump([]string{
		`{"name":"virtualOutbound","traffic_direction":"OUTBOUND","use_original_dst":true,` + socket("::", 15001) + `,"filter_chains":` + tcpChain("PassthroughCluster") + `}`,
		`{"name":"::_80","traffic_direction":"OUTBOUND","bind_to_port":false,` + socket("::", 80) + `,"filter_chains":` + httpChain(`"rds":{"route_config_name":"80"}`) + `}`,
	}, []string{`{"name":"80","virtual_hosts":[{"name":"headless:80","domains":["headless.example.com","0.0.0.0"],"routes":[{"match":{"prefix":"/"},"direct_response":{"status":200}}]}]}`}, []string{`{"name":"PassthroughCluster","type":"ORIGINAL_DST"}`})
	// bound is a gateway with two addresses.
	bound = configDump([]string{
		`{"name":"10.0.0.1_80",` + socket("10.0.0.1", 80) + `,"filter_chains":` + tcpChain("one") + `}`,
		`{"name":"10.0.0.2_80",` + socket("10.0.0.2", 80) + `,"filter_chains":` + tcpChain("two") + `}`,
	}, nil, []string{static("one", "", "10.7.7.1", 80), static("two", "", "10.7.7.2", 80)})
)

func newMesh(t testing.TB, s *source) func(pod string) *mesh.Proxy {
	t.Helper()
	m := mesh.New([]mesh.Source{s}, mesh.Options{})
	return func(pod string) *mesh.Proxy {
		p, _, err := m.Proxy(context.Background(), pod)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
}

func hops(a *tracing.Answer) []string {
	var out []string
	for _, h := range a.Hops {
		out = append(out, strings.Join([]string{h.Proxy, h.Listener, h.Cluster, h.TLS}, " "))
	}
	return out
}

func TestFollow(t *testing.T) {
	proxy := newMesh(t, &source{})
	throughCart := []string{"web.shop 0.0.0.0_80 outbound|80||cart.shop.svc.cluster.local istio mTLS", "cart.shop virtualInbound inbound|8080|| plaintext"}
	for _, tc := range []struct {
		what        string
		pod         string
		q           tracing.Question
		destination string
		hops        []string
		verdict     string
	}{
		{"a service by its short name", "web", tracing.Question{URL: "http://cart/items"}, "10.96.0.2:80", throughCart, "10.0.0.2:8080 gets the request"},
		{"by its full name, without a scheme", "web", tracing.Question{URL: "cart.shop.svc.cluster.local"}, "10.96.0.2:80", throughCart, "10.0.0.2:8080 gets the request"},
		{"by its address", "web", tracing.Question{URL: "http://10.96.0.2"}, "10.96.0.2:80", throughCart, "10.0.0.2:8080 gets the request"},
		{"another identity", "web", tracing.Question{URL: "http://cart", Principal: "spiffe://cluster.local/ns/shop/sa/other"}, "10.96.0.2:80",
			[]string{throughCart[0], "cart.shop virtualInbound  "}, "403 rbac_access_denied_matched_policy[none]"},
		{"a TCP service, found by its listener", "web", tracing.Question{URL: "tcp://cache:6379"}, "10.96.0.3:6379",
			[]string{"web.shop 10.96.0.3_6379 outbound|6379||cache.shop.svc.cluster.local plaintext"}, "10.7.7.7:6379 gets the request"},
		{"a service without an address, found by its cluster", "web", tracing.Question{URL: "tcp://db.shop:5432"}, "10.8.8.8:5432",
			[]string{"web.shop virtualOutbound PassthroughCluster plaintext"}, "10.8.8.8:5432 gets the request"},
		{"a host the mesh does not know", "web", tracing.Question{URL: "http://example.org/"}, "0.0.0.0:80", []string{"web.shop 0.0.0.0_80 PassthroughCluster plaintext"}, "what answers for example.org, at an address that is not known, gets the request"},
		{"the same with its address", "web", tracing.Question{URL: "http://example.org/", Destination: netip.MustParseAddr("192.0.2.1")}, "192.0.2.1:80",
			[]string{"web.shop 0.0.0.0_80 PassthroughCluster plaintext"}, "192.0.2.1:80 gets the request"},
		{"to the workload, in plaintext", "cart", tracing.Question{URL: "http://cart:8080", Direction: "inbound"}, "10.0.0.2:8080", []string{"cart.shop virtualInbound  "}, "NR filter_chain_not_found"},
		{"to the workload, as another", "cart", tracing.Question{URL: "http://cart:8080", Direction: "inbound", Principal: "spiffe://cluster.local/ns/shop/sa/web"}, "10.0.0.2:8080",
			[]string{"cart.shop virtualInbound inbound|8080|| plaintext"}, "10.0.0.2:8080 gets the request"},
		{"a gateway, by the port of its virtual host", "gateway", tracing.Question{URL: "http://shop.example.com/"}, "10.0.0.9:8080",
			[]string{"gateway.shop 0.0.0.0_8080 outbound|80||cart.shop.svc.cluster.local istio mTLS", throughCart[1]}, "10.0.0.2:8080 gets the request"},
		{"a gateway's client with an identity of its own", "gateway", tracing.Question{URL: "http://shop.example.com/", Principal: "spiffe://elsewhere"}, "10.0.0.9:8080",
			[]string{"gateway.shop 0.0.0.0_8080 outbound|80||cart.shop.svc.cluster.local istio mTLS", throughCart[1]}, "10.0.0.2:8080 gets the request"},
		{"a cluster whose endpoints the dump does not have", "web", tracing.Question{URL: "http://unknown"}, "0.0.0.0:80", []string{"web.shop 0.0.0.0_80 discovered plaintext"}, "cluster discovered, whose endpoints are not known, gets the request"},
		{"a service only Kubernetes knows", "web", tracing.Question{URL: "http://late"}, "10.96.0.77:80", []string{"web.shop 0.0.0.0_80 PassthroughCluster plaintext"}, "10.96.0.77:80 gets the request"},
		{"a headless one", "web", tracing.Question{URL: "http://headless"}, "0.0.0.0:80", []string{"web.shop 0.0.0.0_80 PassthroughCluster plaintext"}, "what answers for headless, at an address that is not known, gets the request"},
		{"a gateway, by the port of its Service", "gateway", tracing.Question{URL: "http://alt:7000"}, "10.0.0.9:9443", []string{"gateway.shop 0.0.0.0_9443  "}, "200 direct_response"},
		{"an address that is not known, with IPv6 only", "six", tracing.Question{URL: "http://headless.example.com"}, "[::]:80", []string{"six.shop ::_80  "}, "200 direct_response"},
		{"a port of that nobody has", "six", tracing.Question{URL: "http://headless.example.com:81"}, "[::]:81", []string{"six.shop virtualOutbound PassthroughCluster plaintext"}, "what answers for headless.example.com:81"},
		{"the first of two addresses", "bound", tracing.Question{URL: "tcp://example.com:80"}, "10.0.0.1:80", []string{"bound.shop 10.0.0.1_80 one plaintext"}, "10.7.7.1:80 gets the request"},
		{"the other", "bound", tracing.Question{URL: "tcp://example.com:80", Destination: netip.MustParseAddr("10.0.0.2")}, "10.0.0.2:80", []string{"bound.shop 10.0.0.2_80 two plaintext"}, "10.7.7.2:80 gets the request"},
		{"an Envoy of its own", "edge", tracing.Question{URL: "http://shop.example.com:8000"}, "127.0.0.1:8000", []string{"edge public app plaintext"}, "10.7.7.7:80 gets the request"},
		{"a gateway, by the port of its listener", "gateway", tracing.Question{URL: "http://alt:9443"}, "10.0.0.9:9443", []string{"gateway.shop 0.0.0.0_9443  "}, "200 direct_response"},
		{"a gateway, by another port", "gateway", tracing.Question{URL: "http://alt:9000"}, "10.0.0.9:9443", []string{"gateway.shop 0.0.0.0_9443  "}, "200 direct_response"},
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
		step := got.Hops[0].Steps[0]
		if step.Question != "where does the client connect to?" || step.Answer == "" {
			t.Errorf("%s: the first step is %+v", tc.what, step)
		}
	}
}

// What was read is kept: a second trace reads nothing.
func TestReadsOnce(t *testing.T) {
	s := &source{}
	proxy := newMesh(t, s)
	for range 3 {
		if _, err := tracing.Follow(context.Background(), proxy("web"), mesh.Any, tracing.Question{URL: "http://cart"}); err != nil {
			t.Fatal(err)
		}
	}
	if s.reads != 2 {
		t.Errorf("%d reads, want one of each proxy on the way", s.reads)
	}
	proxy("web").Mesh().Refresh()
	if _, err := tracing.Follow(context.Background(), proxy("web"), mesh.Any, tracing.Question{URL: "http://cart"}); err != nil {
		t.Fatal(err)
	}
	if s.reads != 4 {
		t.Errorf("%d reads after a new generation, want 4", s.reads)
	}
}

// A proxy on the way that cannot be read ends the trace before it, which says so.
func TestUnreadable(t *testing.T) {
	proxy := newMesh(t, &source{dead: true})
	recorder := &mesh.Recorder{}
	got, err := tracing.Follow(mesh.WithRecorder(context.Background(), recorder), proxy("web"), mesh.Any, tracing.Question{URL: "http://cart"})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Hops) != 1 || len(got.Failures) != 1 || len(recorder.Failures()) != 1 {
		t.Fatalf("%d hops, failures %v, recorded %v; want 1 of each", len(got.Hops), got.Failures, recorder.Failures())
	}
	if notes := strings.Join(got.Hops[0].Unmodelled, "\n"); !strings.Contains(notes, "what cart.shop does with it: connection refused") {
		t.Errorf("what is not modelled: %s", notes)
	}
	if _, err := tracing.Follow(context.Background(), proxy("cart"), mesh.Any, tracing.Question{URL: "http://web"}); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("a trace from a proxy that cannot be read: %v", err)
	}
}

func TestFaultyQuestions(t *testing.T) {
	proxy := newMesh(t, &source{})
	for _, tc := range []struct{ pod, url, direction, want string }{
		{"web", "gopher://cart", "", "url: gopher://cart has the scheme"},
		{"web", "http://:80/", "", "has no host"},
		{"web", "http://cart:0/", "", "is no port"},
		{"web", "http://cart:http/", "", "url: "},
		{"web", "tcp://cart", "", "has no port"},
		{"web", "http://cart", "sideways", "direction: "},
		{"edge", "http://shop.example.com/", "", "no listener of edge is for port 80; it listens on 8000 (public)"},
		{"gateway", "http://alt:7001/", "", "no listener of gateway.shop is for port 7001"},
		{"gateway", "http://alt:7002/", "", "no listener of gateway.shop is for port 7002"},
		{"gateway", "http://shop.example.com:81/", "", "no listener of gateway.shop is for port 81; it listens on 8080 (http.8080), 9443 (alt), 15090: write the port"},
	} {
		_, err := tracing.Follow(context.Background(), proxy(tc.pod), mesh.Any, tracing.Question{URL: tc.url, Direction: tc.direction})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s through %s: %v, want %q", tc.url, tc.pod, err, tc.want)
		}
	}
}

func TestWhyNot(t *testing.T) {
	proxy := newMesh(t, &source{})
	for _, tc := range []struct {
		url, cluster string
		headers      match.Headers
		goes         bool
		want         []string // parts of the lines, in order
	}{
		{"http://cart", "outbound|80|v2|*", nil, false, []string{
			"no proxy on the way has such a cluster",
			"web.shop: virtual host cart.shop.svc.cluster.local:80, route beta (virtual_hosts[0].routes[0]) leads to outbound|80|v2|cart.shop.svc.cluster.local 100%, but header x-beta",
			"as it is: 10.0.0.2:8080 gets the request",
		}},
		{"http://cart", "outbound|80||*", nil, true, []string{"it goes to outbound|80||cart.shop.svc.cluster.local: 100%", "route all (virtual_hosts[0].routes[1]) leads to"}},
		{"http://cart", "outbound|80||*", match.Headers{{Name: "x-beta", Value: "1"}}, false, []string{"route all (virtual_hosts[0].routes[1]) leads to outbound|80||cart.shop.svc.cluster.local 100%, but route beta (virtual_hosts[0].routes[0]) comes before it", "as it is: 503 NC cluster_not_found"}},
		{"http://elsewhere", "outbound|80||*", nil, false, []string{"but it is for the hosts cart.shop.svc.cluster.local, cart, cart.shop, 10.96.0.2, and the request is for elsewhere"}},
		{"tcp://db:6379", "*cache*", nil, false, []string{"listener 10.96.0.3_6379, chain tcp leads to", "the connection comes to listener virtualOutbound"}},
		{"http://cart", "nothing", nil, false, []string{"no proxy on the way has such a cluster", "nothing on the way leads there"}},
	} {
		a, err := tracing.Follow(context.Background(), proxy("web"), mesh.Any, tracing.Question{URL: tc.url, Headers: tc.headers})
		if err != nil {
			t.Fatal(err)
		}
		name, err := pattern.Parse(tc.cluster)
		if err != nil {
			t.Fatal(err)
		}
		got, err := a.WhyNot(context.Background(), name)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(got.Lines(), "\n")
		rest := text
		for _, want := range tc.want {
			_, after, ok := strings.Cut(rest, want)
			if !ok {
				t.Errorf("%s to %s: no %q in\n%s", tc.url, tc.cluster, want, text)
				break
			}
			rest = after
		}
		if got.Goes != tc.goes {
			t.Errorf("%s to %s: goes %t, want %t", tc.url, tc.cluster, got.Goes, tc.goes)
		}
	}
}
