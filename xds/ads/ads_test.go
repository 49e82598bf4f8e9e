package ads_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	statusv3 "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	xdsresource "github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/delta/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/sotw/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshlark/meshlark/xds/ads"
	"github.com/meshlark/meshlark/xds/dump"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
	"github.com/meshlark/meshlark/xds/syncz"
)

var modes = []ads.Mode{ads.SotW, ads.Delta}

// serve serves ADS on a loopback port until the test ends.
func serve(t *testing.T, s discoveryv3.AggregatedDiscoveryServiceServer) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, s)
	go g.Serve(lis)
	t.Cleanup(g.Stop)
	return lis.Addr().String()
}

func client(t *testing.T, address string, o ads.Options) *ads.Client {
	t.Helper()
	c, err := ads.New(ads.Endpoint{Address: address}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func node(t *testing.T, text string) ads.Node {
	t.Helper()
	n, err := ads.NewNode(rawjson.Value(text))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

var fromADS = &corev3.ConfigSource{ResourceApiVersion: corev3.ApiVersion_V3, ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}}}

func packed(t *testing.T, m proto.Message) *anypb.Any {
	t.Helper()
	a, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func edsCluster(name, service string, source *corev3.ConfigSource) *clusterv3.Cluster {
	return &clusterv3.Cluster{
		Name: name, ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS},
		EdsClusterConfig: &clusterv3.Cluster_EdsClusterConfig{ServiceName: service, EdsConfig: source},
	}
}

func httpListener(t *testing.T, name, routes string) *listenerv3.Listener {
	m := &hcmv3.HttpConnectionManager{
		RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{ConfigSource: fromADS, RouteConfigName: routes}},
		HttpFilters:    []*hcmv3.HttpFilter{{Name: "extension", ConfigType: &hcmv3.HttpFilter_ConfigDiscovery{ConfigDiscovery: &corev3.ExtensionConfigSource{ConfigSource: fromADS}}}},
	}
	tls := &tlsv3.DownstreamTlsContext{CommonTlsContext: &tlsv3.CommonTlsContext{TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{
		{Name: "certificate", SdsConfig: fromADS},
		{Name: "elsewhere", SdsConfig: &corev3.ConfigSource{ConfigSourceSpecifier: &corev3.ConfigSource_ApiConfigSource{ApiConfigSource: &corev3.ApiConfigSource{}}}},
	}}}
	return &listenerv3.Listener{Name: name, FilterChains: []*listenerv3.FilterChain{{
		Filters:         []*listenerv3.Filter{{Name: "http", ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: packed(t, m)}}},
		TransportSocket: &corev3.TransportSocket{Name: "tls", ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: packed(t, tls)}},
	}}}
}

// plane is go-control-plane's server with one configuration for the node "web", which refers to everything that is fetched by name.
type plane struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	address string
	sotw    sotw.Server
	delta   delta.Server

	mu   sync.Mutex
	asks []string // what was asked, but for acknowledgements of nothing new
	node *corev3.Node
}

func startPlane(t *testing.T, ordered bool) *plane {
	t.Helper()
	s, err := cache.NewSnapshot("7", map[string][]types.Resource{
		xdsresource.ClusterType: {
			edsCluster("a", "", fromADS), edsCluster("b", "service-b", fromADS), &clusterv3.Cluster{Name: "static"},
			edsCluster("file", "", &corev3.ConfigSource{ConfigSourceSpecifier: &corev3.ConfigSource_PathConfigSource{PathConfigSource: &corev3.PathConfigSource{Path: "/eds.json"}}}),
		},
		xdsresource.EndpointType: {&endpointv3.ClusterLoadAssignment{ClusterName: "a"}, &endpointv3.ClusterLoadAssignment{ClusterName: "service-b"}},
		xdsresource.ListenerType: {httpListener(t, "l", "web-routes")},
		xdsresource.RouteType:    {&routev3.RouteConfiguration{Name: "web-routes"}},
		xdsresource.SecretType: {&tlsv3.Secret{Name: "certificate", Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
			PrivateKey: &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: "very private"}},
		}}}},
		xdsresource.ExtensionConfigType: {&corev3.TypedExtensionConfig{Name: "extension", TypedConfig: &anypb.Any{TypeUrl: "type.googleapis.com/acme.Filter", Value: []byte("abc")}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	snapshots := cache.NewSnapshotCache(ordered, cache.IDHash{}, nil)
	if err := snapshots.SetSnapshot(t.Context(), "web", s); err != nil {
		t.Fatal(err)
	}
	p := &plane{sotw: sotw.NewServer(t.Context(), snapshots, nil), delta: delta.NewServer(t.Context(), snapshots, nil)}
	p.address = serve(t, p)
	return p
}

func (p *plane) note(n *corev3.Node, url string, names []string, refused bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n.GetId() != "" {
		p.node = n
	}
	slices.Sort(names)
	text := url[strings.LastIndexByte(url, '.')+1:] + " " + strings.Join(names, ",")
	if refused {
		text += " REFUSED"
	}
	if !slices.Contains(p.asks, text) {
		p.asks = append(p.asks, text)
	}
}

func (p *plane) StreamAggregatedResources(s exchange) error {
	return p.sotw.StreamHandler(noted{s, p}, xdsresource.AnyType)
}

func (p *plane) DeltaAggregatedResources(s discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	return p.delta.DeltaStreamHandler(notedDelta{s, p}, xdsresource.AnyType)
}

// noted is a stream that writes down what is asked.
type noted struct {
	exchange
	p *plane
}

func (n noted) Recv() (*discoveryv3.DiscoveryRequest, error) {
	r, err := n.exchange.Recv()
	if err == nil {
		n.p.note(r.Node, r.TypeUrl, slices.Clone(r.ResourceNames), r.ErrorDetail != nil)
	}
	return r, err
}

type notedDelta struct {
	discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer
	p *plane
}

func (n notedDelta) Recv() (*discoveryv3.DeltaDiscoveryRequest, error) {
	r, err := n.AggregatedDiscoveryService_DeltaAggregatedResourcesServer.Recv()
	if err == nil && (r.ResponseNonce == "" || len(r.ResourceNamesSubscribe) > 0 || r.ErrorDetail != nil) {
		n.p.note(r.Node, r.TypeUrl, slices.Clone(r.ResourceNamesSubscribe), r.ErrorDetail != nil)
	}
	return r, err
}

func TestFetch(t *testing.T) {
	for _, mode := range modes {
		for _, ordered := range []bool{false, true} { // an ordered cache holds answers back until all names were asked for
			t.Run(string(mode), func(t *testing.T) {
				p := startPlane(t, ordered)
				c := client(t, p.address, ads.Options{Mode: mode})
				got, err := c.Fetch(t.Context(), node(t, `{"id":"web","cluster":"shop","metadata":{"LABELS":{"app":"web"},"AUTO_REGISTER_GROUP":"vms","WORKLOAD_ENTRY":"vm-1"},"locality":{"region":"r"},
					"user_agent_name":"envoy","extensions":[{"name":"x","type_urls":["acme.X"]}],"new_field":1}`))
				if err != nil {
					t.Fatal(err)
				}
				var lines []string
				for _, r := range got.Resources {
					lines = append(lines, r.Type+" "+r.Name)
				}
				slices.Sort(lines)
				want := []string{"CDS a", "CDS b", "CDS file", "CDS static", "ECDS extension", "EDS a", "EDS service-b", "LDS l", "RDS web-routes", "SDS certificate"}
				if diff := cmp.Diff(want, lines); diff != "" {
					t.Errorf("resources (-want +got):\n%s", diff)
				}
				if len(got.Missing)+len(got.Silent)+len(got.Faults) > 0 || got.Bytes == 0 {
					t.Errorf("missing %v, silent %v, faults %v, %d bytes; want all there", got.Missing, got.Silent, got.Faults, got.Bytes)
				}

				p.mu.Lock()
				defer p.mu.Unlock()
				slices.Sort(p.asks)
				asked := []string{"Cluster ", "ClusterLoadAssignment a,service-b", "Listener ", "RouteConfiguration web-routes", "Secret certificate", "TypedExtensionConfig extension"}
				if diff := cmp.Diff(asked, p.asks); diff != "" {
					t.Errorf("asked (-want +got):\n%s", diff)
				}
				// What would make a control plane write something is not among what it is told.
				if p.node.GetCluster() != "shop" || p.node.GetLocality().GetRegion() != "r" || p.node.GetUserAgentName() != "envoy" || len(p.node.GetMetadata().GetFields()) != 1 || p.node.GetMetadata().GetFields()["LABELS"] == nil {
					t.Errorf("it said that it is %v", p.node)
				}
			})
		}
	}
}

func TestDump(t *testing.T) {
	p := startPlane(t, false)
	got, err := client(t, p.address, ads.Options{}).Fetch(t.Context(), node(t, `{"id":"web"}`))
	if err != nil {
		t.Fatal(err)
	}
	text := got.Dump()
	d, err := dump.Split(resource.NewStore(), text, dump.Options{Source: "ads"})
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	var lines []string
	for _, kind := range []resource.Kind{resource.Cluster, resource.Endpoint, resource.Listener, resource.RouteConfig, resource.ScopedRoutes, resource.Secret, resource.Extension} {
		if !d.Has(kind) {
			t.Errorf("no section for %s", kind)
		}
		for _, r := range d.Resources(kind) {
			raw, err := r.Raw()
			if err != nil || !raw.Get("@type").Exists() || r.State() != resource.Active || r.VersionInfo() != "7" {
				t.Errorf("%s %s: state %s, version %q, error %v: %s", kind, r.Name(), r.State(), r.VersionInfo(), err, raw)
			}
			lines = append(lines, string(kind)+" "+r.Name())
		}
	}
	want := []string{"cluster a", "cluster b", "cluster file", "cluster static", "endpoint a", "endpoint service-b", "listener l", "route_config web-routes", "secret certificate", "extension extension"}
	sorted := cmp.Transformer("sort", func(s []string) []string { return slices.Sorted(slices.Values(s)) })
	if diff := cmp.Diff(want, lines, sorted); diff != "" {
		t.Errorf("dump (-want +got):\n%s", diff)
	}
	if strings.Contains(string(text), "very private") || !strings.Contains(string(text), `"private_key":{"inline_string":"[redacted]"}`) {
		t.Errorf("the private key is not redacted: %s", text)
	}
	if !strings.Contains(string(text), `"typed_config":{"@type":"type.googleapis.com/acme.Filter","value":"YWJj"}`) {
		t.Errorf("the extension of an unknown type is not kept: %s", text)
	}
	if empty := (&ads.Config{}).Dump(); true {
		if d, err := dump.Split(resource.NewStore(), empty, dump.Options{}); err != nil || !d.Has(resource.Cluster) {
			t.Errorf("an empty configuration: %v: %s", err, empty)
		}
	}
}

// script is a server that does what a test says.
type script struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	sotw func(discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error
}

func (s *script) StreamAggregatedResources(stream discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	return s.sotw(stream)
}

type exchange = discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer

// answering answers each first request for a type by a table, with empty answers where it says so.
func answering(answers map[string][]*anypb.Any) func(exchange) error {
	return func(s exchange) error {
		for {
			r, err := s.Recv()
			if err != nil {
				return nil
			}
			resources, ok := answers[r.TypeUrl]
			if !ok || r.ResponseNonce != "" {
				continue
			}
			if err := s.Send(&discoveryv3.DiscoveryResponse{TypeUrl: r.TypeUrl, VersionInfo: "1", Nonce: "n-" + r.TypeUrl[len(r.TypeUrl)-3:], Resources: resources}); err != nil {
				return err
			}
		}
	}
}

func TestIncomplete(t *testing.T) {
	for _, test := range []struct {
		name    string
		answers map[string][]*anypb.Any
		want    ads.Config
	}{
		{"a name that is not sent", map[string][]*anypb.Any{
			xdsresource.ClusterType: {packed(t, edsCluster("a", "", fromADS)), packed(t, edsCluster("b", "", fromADS))}, xdsresource.ListenerType: nil,
			xdsresource.EndpointType: {packed(t, &endpointv3.ClusterLoadAssignment{ClusterName: "b"})},
		}, ads.Config{Missing: []ads.Name{{Type: "EDS", Name: "a"}}}},
		{"a type that is not answered", map[string][]*anypb.Any{xdsresource.ClusterType: {packed(t, edsCluster("a", "", fromADS))}, xdsresource.ListenerType: nil},
			ads.Config{Missing: []ads.Name{{Type: "EDS", Name: "a"}}, Silent: []string{"EDS"}}},
		{"no listeners", map[string][]*anypb.Any{xdsresource.ClusterType: nil}, ads.Config{Silent: []string{"LDS"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := client(t, serve(t, &script{sotw: answering(test.answers)}), ads.Options{Quiet: 20 * time.Millisecond})
			got, err := c.Fetch(t.Context(), node(t, `{"id":"web"}`))
			if err != nil {
				t.Fatal(err)
			}
			got.Bytes, got.Resources = 0, nil
			if diff := cmp.Diff(test.want, *got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// One resource that cannot be read costs that resource only.
func TestFault(t *testing.T) {
	c := client(t, serve(t, &script{sotw: answering(map[string][]*anypb.Any{
		xdsresource.ClusterType:  {{TypeUrl: xdsresource.ClusterType, Value: []byte("\x0a\x09a")}, packed(t, &clusterv3.Cluster{Name: "b"})},
		xdsresource.ListenerType: {{TypeUrl: "type.googleapis.com/acme.Listener"}},
	})}), ads.Options{})
	got, err := c.Fetch(t.Context(), node(t, `{"id":"web"}`))
	if err != nil || len(got.Resources) != 1 || got.Resources[0].Name != "b" || len(got.Faults) != 2 || got.Faults[0].Type != "CDS" || !strings.Contains(got.Faults[1].Err.Error(), "acme.Listener") {
		t.Errorf("%+v, error %v", got, err)
	}
}

func TestErrors(t *testing.T) {
	quick := ads.Options{Quiet: 5 * time.Millisecond, Timeout: 200 * time.Millisecond, MaxBytes: 1 << 12}
	for _, test := range []struct {
		name string
		sotw func(exchange) error
		want []string
	}{
		{"refused", func(exchange) error { return status.Error(codes.Unauthenticated, "authentication required") }, []string{"ask for CDS, LDS at 127.0.0.1:", "Unauthenticated: authentication required", "--cert-dir"}},
		{"another's node", func(exchange) error { return status.Error(codes.PermissionDenied, "no identities match") }, []string{"PermissionDenied: no identities match", "service account"}},
		{"an id of another form", func(exchange) error { return status.Error(codes.InvalidArgument, "missing parts in the service node") }, []string{"missing parts", "TYPE~IP~POD.NAMESPACE"}},
		{"silence", func(s exchange) error { <-s.Context().Done(); return s.Context().Err() }, []string{"DeadlineExceeded: no answer within 200ms", "does the control plane know the node"}},
		{"closed at once", func(exchange) error { return nil }, []string{"EOF"}},
		{"lost in the middle", func(s exchange) error {
			s.Recv()
			s.Send(&discoveryv3.DiscoveryResponse{TypeUrl: xdsresource.ClusterType, Nonce: "abc"})
			s.Recv()
			return status.Error(codes.Unavailable, "going away")
		}, []string{"ask for LDS", "Unavailable: going away (after the answer with nonce abc)", "restarted"}},
		{"too long", func(s exchange) error {
			for {
				if err := s.Send(&discoveryv3.DiscoveryResponse{TypeUrl: xdsresource.ClusterType, Nonce: strings.Repeat("x", 1000)}); err != nil {
					return err
				}
			}
		}, []string{"ResourceExhausted", "4096 bytes"}},
		{"one too long", func(s exchange) error {
			s.Send(&discoveryv3.DiscoveryResponse{TypeUrl: xdsresource.ClusterType, Nonce: strings.Repeat("x", 10000)})
			<-s.Context().Done()
			return nil
		}, []string{"ResourceExhausted", "4096 bytes"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := client(t, serve(t, &script{sotw: test.sotw}), quick).Fetch(t.Context(), node(t, `{"id":"web"}`))
			var own *ads.Error
			if !errors.As(err, &own) {
				t.Fatalf("error %v, want an *ads.Error", err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q, want %q in it", err, want)
				}
			}
			if len(err.Error()) > 600 && test.name != "too long" {
				t.Errorf("error of %d bytes", len(err.Error()))
			}
		})
	}
}

// A server that never comes to an end is listened to for as long as the options say, and no longer.
func TestEndless(t *testing.T) {
	n := 0
	c := client(t, serve(t, &script{sotw: func(s exchange) error {
		s.Send(&discoveryv3.DiscoveryResponse{TypeUrl: xdsresource.ListenerType, Nonce: "l"})
		for {
			n++
			body := packed(t, edsCluster(strings.Repeat("a", n%50+1), "", fromADS))
			if err := s.Send(&discoveryv3.DiscoveryResponse{TypeUrl: xdsresource.ClusterType, Nonce: "c", Resources: []*anypb.Any{body}}); err != nil {
				return err
			}
			time.Sleep(time.Millisecond)
		}
	}}), ads.Options{Timeout: 200 * time.Millisecond, Quiet: 100 * time.Millisecond})
	got, err := c.Fetch(t.Context(), node(t, `{"id":"web"}`))
	if err != nil || len(got.Missing) == 0 {
		t.Errorf("%+v, error %v; want what there is, and names that are missing", got, err)
	}
}

func TestUnreachable(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := lis.Addr().String()
	lis.Close()
	_, err = client(t, address, ads.Options{}).Fetch(t.Context(), node(t, `{"id":"web"}`))
	if err == nil || !strings.Contains(err.Error(), "connection refused") || !strings.Contains(err.Error(), "is the control plane up") || strings.Contains(err.Error(), "desc =") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client(t, address, ads.Options{}).Fetch(ctx, node(t, `{"id":"web"}`)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v of what was called off", err)
	}
}

func TestTLS(t *testing.T) {
	p := startPlane(t, false)
	c, err := ads.New(ads.Endpoint{Address: p.address, TLS: &tls.Config{InsecureSkipVerify: true}}, ads.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Fetch(t.Context(), node(t, `{"id":"web"}`)); err == nil || !strings.Contains(err.Error(), "xds://") {
		t.Errorf("TLS with a port in plain text: error %v", err)
	}
	if _, err := ads.New(ads.Endpoint{Address: p.address, Token: func(context.Context) (string, error) { return "", nil }}, ads.Options{}); err == nil || !strings.Contains(err.Error(), "connect at") {
		t.Errorf("a token without TLS: error %v", err)
	}
}

func TestNodeFaults(t *testing.T) {
	for text, want := range map[string]string{`{}`: "no id", `{"id":1}`: "read the node", `[]`: "no id", ``: "no id"} {
		if _, err := ads.NewNode(rawjson.Value(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("NewNode(%s): error %v, want %q", text, err, want)
		}
	}
}

// The answer to the debug types is what istioctl prints, which syncz reads.
func TestAsk(t *testing.T) {
	var asked *discoveryv3.DiscoveryRequest
	c := client(t, serve(t, &script{sotw: func(s exchange) error {
		asked, _ = s.Recv()
		s.Send(&discoveryv3.DiscoveryResponse{
			TypeUrl: ads.IstioSyncStatus, VersionInfo: "v", Nonce: "n", ControlPlane: &corev3.ControlPlane{Identifier: `{"ID":"istiod-1"}`},
			Resources: []*anypb.Any{packed(t, &statusv3.ClientConfig{
				Node: &corev3.Node{Id: "web.default"},
				GenericXdsConfigs: []*statusv3.ClientConfig_GenericXdsConfig{
					{TypeUrl: xdsresource.ClusterType, ConfigStatus: statusv3.ConfigStatus_STALE},
					{TypeUrl: xdsresource.ListenerType, ConfigStatus: statusv3.ConfigStatus_ERROR, ErrorState: &adminv3.UpdateFailureState{Details: "no"}},
				},
			})},
		})
		<-s.Context().Done()
		return nil
	}}), ads.Options{})
	a, err := c.Ask(t.Context(), ads.Observer("istio-system"), ads.IstioSyncStatus)
	if err != nil {
		t.Fatal(err)
	}
	clients, err := syncz.Read(a.JSON())
	if err != nil || len(clients) != 1 || clients[0].Istiod != "istiod-1" || len(clients[0].Types) != 2 {
		t.Fatalf("%+v, error %v of %s", clients, err, a.JSON())
	}
	if s, _ := clients[0].Status("LDS"); s.Status != syncz.Rejected || s.Error != "no" {
		t.Errorf("LDS: %+v", s)
	}
	if asked.GetNode().GetMetadata().GetFields()["GENERATOR"].GetStringValue() != "event" {
		t.Errorf("asked as %v", asked.GetNode())
	}
}
