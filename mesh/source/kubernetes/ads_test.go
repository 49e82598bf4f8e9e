package kubernetes_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	statusv3 "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshlark/meshlark/kube/kubetest"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source/kubernetes"
	protocol "github.com/meshlark/meshlark/xds/ads"
)

// xds is an istiod's ADS: one cluster for everybody, named after who asks, no listeners, and the status of one proxy.
type xds struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	t *testing.T

	mu     sync.Mutex
	nodes  []*corev3.Node
	tokens []string
}

func (x *xds) StreamAggregatedResources(s discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	md, _ := metadata.FromIncomingContext(s.Context())
	for {
		r, err := s.Recv()
		if err != nil {
			return nil
		}
		if r.ResponseNonce != "" {
			continue
		}
		x.mu.Lock()
		if r.Node != nil {
			x.nodes = append(x.nodes, r.Node)
			x.tokens = append(x.tokens, strings.Join(md.Get("authorization"), ","))
		}
		who := x.nodes[len(x.nodes)-1].GetId()
		x.mu.Unlock()
		var m proto.Message
		switch r.TypeUrl {
		case protocol.IstioSyncStatus:
			m = &statusv3.ClientConfig{Node: &corev3.Node{Id: "web-1.default"}, GenericXdsConfigs: []*statusv3.ClientConfig_GenericXdsConfig{
				{TypeUrl: "type.googleapis.com/envoy.config.cluster.v3.Cluster", ConfigStatus: statusv3.ConfigStatus_SYNCED},
			}}
		case "type.googleapis.com/envoy.config.cluster.v3.Cluster":
			m = &clusterv3.Cluster{Name: "sent to " + who}
		}
		answer := &discoveryv3.DiscoveryResponse{TypeUrl: r.TypeUrl, Nonce: "1"}
		if m != nil {
			body, err := anypb.New(m)
			if err != nil {
				x.t.Error(err)
			}
			answer.Resources = append(answer.Resources, body)
		}
		if err := s.Send(answer); err != nil {
			return err
		}
	}
}

func (x *xds) serve(o ...grpc.ServerOption) string {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		x.t.Fatal(err)
	}
	g := grpc.NewServer(o...)
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, x)
	go g.Serve(lis)
	x.t.Cleanup(g.Stop)
	return lis.Addr().String()
}

// selfSigned is a certificate that nobody trusts.
func selfSigned(t *testing.T) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// withNode is an Envoy that tells its node.
var withNode = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Query().Get("mask"), "bootstrap") {
		envoy(w, r)
		return
	}
	io.WriteString(w, `{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.BootstrapConfigDump","bootstrap":{"node":
		{"id":"sidecar~10.0.0.9~web-1.default~default.svc.example.org","cluster":"web.default","metadata":{"SERVICE_ACCOUNT":"web","AUTO_REGISTER_GROUP":"vms"}}}}]}`)
})

func bySent(t *testing.T, m *mesh.Mesh, proxy string) (string, error) {
	return clusters(t, m, proxy, mesh.ByADS)
}

// The istiod that a proxy is connected to is asked as the proxy, by what its Envoy tells of it, in plain text and without a token.
func TestByADS(t *testing.T) {
	s := kubetest.New(t)
	s.Add(istiodPod("istio-system", "istiod-1", ""), istiodPod("istio-system", "istiod-2", ""), proxyPod("default", "web-1", "sidecar"), proxyPod("default", "lost-1", "sidecar"), proxyPod("default", "old-1", "sidecar"))
	s.Listen("istio-system", "istiod-1", 15014, istiod(client{"other-1.default", "sidecar", "c1", "2026-01-01T00:00:00Z", ""}))
	s.Listen("istio-system", "istiod-2", 15014, istiod(
		client{"web-1.default", "sidecar", "c1", "2026-01-01T00:00:00Z", `{"SERVICE_ACCOUNT":"web"}`},
		client{"old-1.default", "router", "c1", "2026-01-01T00:00:00Z", `{"NAMESPACE":"default","INSTANCE_IPS":"10.0.0.7","WORKLOAD_ENTRY":"vm-1"}`}))
	s.Listen("default", "web-1", 15000, withNode)
	first, second := &xds{t: t}, &xds{t: t}
	s.ListenAt("istio-system", "istiod-1", 15010, first.serve())
	s.ListenAt("istio-system", "istiod-2", 15010, second.serve())
	m := open(s, t)
	if got, err := bySent(t, m, "web-1.default"); err != nil || got != "sent to sidecar~10.0.0.9~web-1.default~default.svc.example.org" {
		t.Errorf("web: %q, %v", got, err)
	}
	if got, err := bySent(t, m, "old-1.default"); err != nil || got != "sent to router~10.0.0.7~old-1.default~default.svc.cluster.local" {
		t.Errorf("a proxy whose Envoy does not answer: %q, %v", got, err)
	}
	if len(first.nodes) != 0 || len(second.nodes) != 2 {
		t.Fatalf("%d and %d connections, want that the istiod of the proxy alone is asked", len(first.nodes), len(second.nodes))
	}
	if web := second.nodes[0]; web.GetCluster() != "web.default" || len(web.GetMetadata().GetFields()) != 1 || second.tokens[0] != "" {
		t.Errorf("asked as %v with token %q", web, second.tokens[0])
	}
	if f := second.nodes[1].GetMetadata().GetFields(); f["WORKLOAD_ENTRY"] != nil || f["NAMESPACE"] == nil {
		t.Errorf("asked with metadata %v", f)
	}
	if slices.ContainsFunc(s.Requests(), func(r string) bool { return strings.Contains(r, "/token") }) {
		t.Errorf("a token was made: %q", s.Requests())
	}
	// One that is connected to none is asked for at an istiod of its revision.
	if got, err := bySent(t, m, "lost-1.default"); err != nil || got != "sent to sidecar~10.0.0.9~lost-1.default~default.svc.cluster.local" || len(first.nodes) != 1 {
		t.Errorf("lost: %q, %v, %d questions", got, err, len(first.nodes))
	}
}

// An istiod without the port in plain text is asked over TLS, with a token of the proxy's own account.
func TestByADSWithToken(t *testing.T) {
	s := kubetest.New(t)
	s.Add(istiodPod("istio-system", "istiod-1", ""), proxyPod("default", "web-1", "sidecar"))
	s.Listen("istio-system", "istiod-1", 15014, istiod(client{"web-1.default", "sidecar", "c1", "2026-01-01T00:00:00Z", `{"SERVICE_ACCOUNT":"web"}`}))
	s.Listen("default", "web-1", 15000, withNode)
	server := &xds{t: t}
	s.ListenAt("istio-system", "istiod-1", 15012, server.serve(grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{selfSigned(t)}}))))
	m := open(s, t)
	if got, err := bySent(t, m, "web-1.default"); err == nil || !strings.Contains(err.Error(), "token") {
		t.Errorf("without the permission to make tokens: %q, %v", got, err)
	}
	s.ServeJSON("/api/v1/namespaces/default/serviceaccounts/web/token", `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","status":{"token":"of-web","expirationTimestamp":"2036-01-02T03:04:05Z"}}`)
	got, err := bySent(t, m, "web-1.default")
	if err != nil || !strings.HasPrefix(got, "sent to sidecar~") || !slices.Equal(server.tokens, []string{"Bearer of-web"}) {
		t.Errorf("%q, %v, tokens %q", got, err, server.tokens)
	}
}

// An istiod without its debug API over HTTP tells the status over xDS, if it does so without knowing who asks.
func TestStatusOverXDS(t *testing.T) {
	s := kubetest.New(t)
	s.Add(istiodPod("istio-system", "istiod-1", ""), proxyPod("default", "web-1", "sidecar"))
	s.Listen("istio-system", "istiod-1", 15014, http.NotFoundHandler())
	if _, failures := describe(t, open(s, t)); len(failures) != 1 || !strings.Contains(failures[0], "is this istiod's monitoring") {
		t.Errorf("neither way: failures %q, want that of HTTP", failures)
	}
	s.ListenAt("istio-system", "istiod-1", 15010, (&xds{t: t}).serve())
	lines, failures := describe(t, open(s, t))
	if len(lines) != 1 || len(failures) != 0 || !strings.Contains(lines[0], "true istiod-1 actual desired") {
		t.Errorf("%q, failures %q", lines, failures)
	}
}

// A control plane outside of the cluster is asked where the options say.
func TestOutside(t *testing.T) {
	s := kubetest.New(t)
	s.Add(proxyPod("default", "web-1", "sidecar"))
	s.Listen("default", "web-1", 15000, withNode)
	address := (&xds{t: t}).serve()
	m := open(s, t, func(o *kubernetes.Options) { o.XDS = &kubernetes.XDS{Address: address, Plain: true} })
	lines, failures := describe(t, m)
	if len(lines) != 1 || len(failures) != 0 || !strings.HasPrefix(lines[0], "web-1.default ") || !strings.Contains(lines[0], " true ") {
		t.Errorf("%q, failures %q", lines, failures)
	}
	if got, err := bySent(t, m, "web-1.default"); err != nil || !strings.HasPrefix(got, "sent to sidecar~") {
		t.Errorf("%q, %v", got, err)
	}
	m = open(s, t, func(o *kubernetes.Options) { o.XDS = &kubernetes.XDS{Address: "127.0.0.1:1", Plain: true} })
	if _, failures := describe(t, m); len(failures) == 0 || !strings.Contains(strings.Join(failures, "\n"), "connection refused") {
		t.Errorf("failures %q", failures)
	}
}
