package ads_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	statusv3 "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshlark/meshlark/internal/envoytest"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source/ads"
	protocol "github.com/meshlark/meshlark/xds/ads"
	"github.com/meshlark/meshlark/xds/pattern"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
)

const webNode = "sidecar~10.0.0.5~web-1.default~default.svc.cluster.local"

var fromADS = &corev3.ConfigSource{ResourceApiVersion: corev3.ApiVersion_V3, ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}}}

func edsCluster(name string) *clusterv3.Cluster {
	return &clusterv3.Cluster{Name: name, ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS}, EdsClusterConfig: &clusterv3.Cluster_EdsClusterConfig{EdsConfig: fromADS}}
}

// plane starts a control plane with two clusters, one of which has endpoints.
func plane(t *testing.T) string {
	t.Helper()
	cp := envoytest.StartControlPlane(t)
	if err := cp.Set("1", edsCluster("a"), edsCluster("b"), &endpointv3.ClusterLoadAssignment{ClusterName: "a"}); err != nil {
		t.Fatal(err)
	}
	return cp.Addr().String()
}

func open(t *testing.T, spec string, o ads.Options) *mesh.Mesh {
	t.Helper()
	s, err := ads.ParseSpec(spec)
	if err != nil {
		t.Fatal(err)
	}
	return mesh.New([]mesh.Source{ads.New(s, o)}, mesh.Options{})
}

// told collects what the user is told.
type told struct {
	mu    sync.Mutex
	lines []string
}

func (n *told) say(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, text)
}

func (n *told) text() string { return strings.Join(n.lines, "\n") }

func TestNode(t *testing.T) {
	var asked, notes told
	server := "xds://" + plane(t)
	m := open(t, server+"?node="+webNode, ads.Options{Connecting: func(way, node string) { asked.say(way + " " + node) }, Note: notes.say})
	all, err := m.Proxies(t.Context())
	if err != nil || len(all.Items) != 1 {
		t.Fatalf("proxies %v, error %v; want one", all.Items, err)
	}
	p := all.Items[0]
	if p.Name != "web-1.default" || p.Type != "sidecar" || p.IP != "10.0.0.5" || p.Connected != nil || p.Has(mesh.Actual) || !p.Has(mesh.Desired) {
		t.Errorf("%+v", p)
	}
	if asked.text() != "" {
		t.Errorf("listing the proxy connects: %s", asked.text())
	}
	var names []string
	for _, kind := range []resource.Kind{resource.Cluster, resource.Endpoint, resource.Cluster} {
		rs, err := p.Config(mesh.Any).Resources(t.Context(), kind, pattern.Pattern{})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rs {
			names = append(names, r.Name())
		}
	}
	if slices.Sort(names); strings.Join(names, " ") != "a a a b b" {
		t.Errorf("resources %v", names)
	}
	if want := server + " " + webNode; asked.text() != want {
		t.Errorf("connected %q, want once: %q", asked.text(), want)
	}
	if !strings.Contains(notes.text(), "was asked for and did not send EDS b") {
		t.Errorf("notes: %s", notes.text())
	}
	if ok, err := p.Config(mesh.Desired).Has(t.Context(), resource.Listener); !ok || err != nil {
		t.Errorf("listeners, of which there are none: %v, %v", ok, err)
	}
	if _, err := p.Config(mesh.Desired).Stats(t.Context(), ""); !errors.Is(err, mesh.ErrNotAvailable) {
		t.Errorf("stats: error %v, want ErrNotAvailable", err)
	}
}

func TestMetadata(t *testing.T) {
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/server_info" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		fmt.Fprintf(w, `{"version":"x","node":{"id":%q,"metadata":{"NAME":"of-admin"}}}`, webNode)
	}))
	defer admin.Close()
	files := map[string]string{
		"metadata.json":  `{"NAME":"of-metadata","NAMESPACE":"default","INSTANCE_IPS":"10.0.0.5,fe80::1"}`,
		"node.json":      `{"id":"` + webNode + `","metadata":{"NAME":"of-node"}}`,
		"bootstrap.json": `{"node":{"id":"` + webNode + `","metadata":{"NAME":"of-bootstrap"}},"admin":{}}`,
		"dump.json":      `{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.BootstrapConfigDump","bootstrap":{"node":{"id":"` + webNode + `","metadata":{"NAME":"of-dump"}}}}]}`,
		"unnamed.json":   `{"LABELS":{"app":"x"}}`, "list.json": `[]`, "text.json": `hello`, "other.json": `{"configs":[]}`,
	}
	o := ads.Options{ReadFile: func(name string) ([]byte, error) {
		if text, ok := files[name]; ok {
			return []byte(text), nil
		}
		return nil, fmt.Errorf("open %s: %w", name, os.ErrNotExist)
	}}
	for query, want := range map[string]string{
		"metadata=metadata.json":             strings.Replace(webNode, "web-1", "of-metadata", 1) + " of-metadata",
		"metadata=node.json":                 webNode + " of-node",
		"metadata=bootstrap.json":            webNode + " of-bootstrap",
		"metadata=dump.json":                 webNode + " of-dump",
		"metadata=dump.json&node=other":      "other of-dump",
		"node=other&metadata=metadata.json":  "other of-metadata",
		"metadata=" + admin.URL:              webNode + " of-admin",
		"node=other&metadata=unnamed.json":   "other ",
		"metadata=unnamed.json":              "error it has no id; name one with ?node=ID",
		"metadata=list.json":                 "error it is no JSON object",
		"metadata=text.json":                 "error metadata of the node: text.json",
		"metadata=other.json":                "error does not say whose it is",
		"metadata=nosuch.json":               "error metadata of the node: open nosuch.json",
		"metadata=http://127.0.0.1:1&node=x": "error connection refused",
	} {
		all, err := open(t, "xds://127.0.0.1:1?"+query, o).Proxies(t.Context())
		if text, bad := strings.CutPrefix(want, "error "); bad {
			var unreachable *mesh.UnreachableError
			if !errors.As(err, &unreachable) || !strings.Contains(err.Error(), text) {
				t.Errorf("%s: error %v, want an UnreachableError with %q", query, err, text)
			}
			continue
		}
		if err != nil || len(all.Items) != 1 {
			t.Errorf("%s: %v, error %v", query, all.Items, err)
			continue
		}
		if p := all.Items[0]; p.NodeID+" "+p.Metadata.Str("NAME") != want {
			t.Errorf("%s: %s %s, want %s", query, p.NodeID, p.Metadata, want)
		}
	}
}

// istiod answers the debug types.
type istiod struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	t      *testing.T
	refuse error
}

func (s *istiod) StreamAggregatedResources(stream discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	r, err := stream.Recv()
	if err != nil || s.refuse != nil {
		return s.refuse
	}
	answer := &discoveryv3.DiscoveryResponse{TypeUrl: r.TypeUrl, Nonce: "n", ControlPlane: &corev3.ControlPlane{Identifier: `{"Component":"istiod","ID":"istiod-1","Info":{"version":"1.31.0","revision":"abc"}}`}}
	switch r.TypeUrl {
	case protocol.IstioSyncStatus:
		answer.Resources = pack(s.t, &statusv3.ClientConfig{Node: &corev3.Node{Id: "web-1.default"}, GenericXdsConfigs: []*statusv3.ClientConfig_GenericXdsConfig{
			{TypeUrl: "type.googleapis.com/envoy.config.cluster.v3.Cluster", ConfigStatus: statusv3.ConfigStatus_STALE},
		}}, &statusv3.ClientConfig{Node: &corev3.Node{Id: "gone-1.default"}})
	case protocol.IstioConfigDump:
		if slices.Equal(r.ResourceNames, []string{"web-1.default"}) {
			answer.Resources = pack(s.t, &adminv3.ClustersConfigDump{DynamicActiveClusters: []*adminv3.ClustersConfigDump_DynamicCluster{{Cluster: pack(s.t, edsCluster("a"))[0]}}})
		}
	}
	return stream.Send(answer)
}

func pack(t *testing.T, ms ...proto.Message) []*anypb.Any {
	var out []*anypb.Any
	for _, m := range ms {
		a, err := anypb.New(m)
		if err != nil {
			t.Error(err)
		}
		out = append(out, a)
	}
	return out
}

func serve(t *testing.T, s discoveryv3.AggregatedDiscoveryServiceServer, o ...grpc.ServerOption) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(o...)
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, s)
	go g.Serve(lis)
	t.Cleanup(g.Stop)
	return lis.Addr().String()
}

// Without a node an istiod tells of its proxies.
func TestStatus(t *testing.T) {
	m := open(t, "xds://"+serve(t, &istiod{t: t}), ads.Options{})
	all, err := m.Proxies(t.Context())
	if err != nil || len(all.Items) != 2 {
		t.Fatalf("proxies %v, error %v", all.Items, err)
	}
	gone, web := all.Items[0], all.Items[1]
	if s, _ := web.Sync.Status("CDS"); web.Name != "web-1.default" || s.Status != "STALE" || web.Istiod != "istiod-1" || web.Connected == nil || !*web.Connected {
		t.Errorf("%+v, CDS %v", web, s)
	}
	rs, err := web.Config(mesh.Desired).Resources(t.Context(), resource.Cluster, pattern.Pattern{})
	if err != nil || len(rs) != 1 || rs[0].Name() != "a" {
		t.Errorf("clusters %v, error %v", rs, err)
	}
	if _, err := web.Config(mesh.Desired).Resources(t.Context(), resource.Endpoint, pattern.Pattern{}); !errors.Is(err, mesh.ErrNotAvailable) {
		t.Errorf("endpoints: error %v, want ErrNotAvailable", err)
	}
	if _, err := gone.Config(mesh.Desired).Resources(t.Context(), resource.Cluster, pattern.Pattern{}); err == nil || !strings.Contains(err.Error(), "not connected") {
		t.Errorf("a proxy that has gone: error %v", err)
	}
	istiods, err := m.Istiods(t.Context())
	if err != nil || len(istiods.Items) != 1 || istiods.Items[0].Name != "istiod-1" || istiods.Items[0].Version != "1.31.0" || istiods.Items[0].Revision != "" {
		t.Errorf("istiods %+v, error %v", istiods.Items, err)
	}

	_, err = open(t, "xds://"+serve(t, &istiod{t: t, refuse: status.Error(codes.Unauthenticated, "authentication required")}), ads.Options{}).Proxies(t.Context())
	var unreachable *mesh.UnreachableError
	if !errors.As(err, &unreachable) || !strings.Contains(err.Error(), "authentication required") || !strings.Contains(err.Error(), "15012") {
		t.Errorf("refused: error %v", err)
	}
}

// A second way is tried when nothing answers at the first, and not when it refuses.
func TestWays(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := lis.Addr().String()
	lis.Close()
	refusing := serve(t, &istiod{t: t, refuse: status.Error(codes.PermissionDenied, "no")})
	good := plane(t)
	for _, test := range []struct{ first, second, want string }{
		{nobody, good, ""}, {refusing, good, "PermissionDenied"}, {nobody, nobody, "; and cannot read way 2"}, {nobody, refusing, "PermissionDenied"},
	} {
		var ways []ads.Way
		for i, address := range []string{test.first, test.second} {
			ways = append(ways, ads.Way{Name: fmt.Sprintf("way %d", i+1), Endpoint: func() (protocol.Endpoint, error) { return protocol.Endpoint{Address: address}, nil }})
		}
		r := ads.NewReader(ways, "web", func(context.Context) (rawjson.Value, error) { return rawjson.Value(`{"id":"web"}`), nil }, protocol.SotW, ads.Options{})
		a, err := r.Read(t.Context(), mesh.Request{Kind: resource.Cluster})
		if test.want == "" && (err != nil || len(a.Dump.Resources(resource.Cluster)) != 2 || a.Bytes == 0) || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%+v: error %v, want %q", test, err, test.want)
		}
	}
}

func TestConnectedNode(t *testing.T) {
	got := ads.ConnectedNode("router", "10.0.0.1", "gw-1.shop", "", rawjson.Value(`{"NAMESPACE":"shop","INSTANCE_IPS":"10.0.0.9,10.0.0.8"}`), "eu/eu-1/a")
	want := `{"id":"router~10.0.0.9~gw-1.shop~shop.svc.cluster.local","metadata":{"NAMESPACE":"shop","INSTANCE_IPS":"10.0.0.9,10.0.0.8"},"locality":{"region":"eu","zone":"eu-1","sub_zone":"a"}}`
	if string(got) != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func write(t *testing.T, dir, name string, text []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
		t.Fatal(err)
	}
}
