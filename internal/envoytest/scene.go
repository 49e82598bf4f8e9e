package envoytest

import (
	"bytes"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/template"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	runtimev3 "github.com/envoyproxy/go-control-plane/envoy/service/runtime/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"sigs.k8s.io/yaml"
)

// Versions of the scene's updates, written as istiod writes them. The first is
// accepted. Of the second the listeners and clusters are rejected in part. The
// third brings clusters that stay warming.
const (
	FirstVersion  = "2026-11-20T10:00:00Z/1"
	SecondVersion = "2026-11-20T10:00:00Z/2"
	ThirdVersion  = "2026-11-20T10:00:00Z/3"
)

// Names of the scene's resources that are in an unusual state.
const (
	RejectedListener  = "0.0.0.0_7070"                                       // never accepted
	RejectedChange    = "0.0.0.0_80"                                         // active as it was before a rejected change
	RejectedCluster   = "outbound|9080||rejected.default.svc.cluster.local"  // never accepted
	WarmingListener   = "0.0.0.0_6060"                                       // waits for a route table
	WarmingChange     = "10.96.0.20_27017"                                   // active, and warming in its next form
	WarmingCluster    = "outbound|9080||warming.default.svc.cluster.local"   // waits for endpoints
	SecretlessCluster = "outbound|8443||no-secret.default.svc.cluster.local" // waits for a secret
	WarmingSecret     = "never-sent"
	DrainingListener  = "10.96.0.50_9999"                                    // removed
	DrainingChange    = "10.96.0.60_3306"                                    // active, and draining in its old form
	EjectedCluster    = "outbound|9090||ejected.default.svc.cluster.local"   // its host is ejected by outlier detection
	UnhealthyCluster  = "outbound|9090||unhealthy.default.svc.cluster.local" // its hosts fail active health checks
)

//go:embed scene
var sceneFiles embed.FS

// sceneTypes are the resources that each file of the scene lists.
var sceneTypes = map[string]proto.Message{
	"clusters":      (*clusterv3.Cluster)(nil),
	"endpoints":     (*endpointv3.ClusterLoadAssignment)(nil),
	"extensions":    (*corev3.TypedExtensionConfig)(nil),
	"listeners":     (*listenerv3.Listener)(nil),
	"routes":        (*routev3.RouteConfiguration)(nil),
	"runtimes":      (*runtimev3.Runtime)(nil),
	"scoped_routes": (*routev3.ScopedRouteConfiguration)(nil),
	"secrets":       (*tlsv3.Secret)(nil),
}

// Scene is an Envoy in the situation that the files in the folder scene
// describe: an Istio sidecar of productpage with every kind of resource, after
// an update of which it rejected a part and waits for another.
type Scene struct {
	*Envoy
	certificates *certificates
}

// StartScene starts an Envoy, brings it into the scene and returns when it is
// there.
func StartScene(t testing.TB) *Scene {
	t.Helper()
	certs, err := newCertificates(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	first, err := sceneResources(certs, "scene")
	if err != nil {
		t.Fatal(err)
	}
	changes, err := sceneResources(certs, "scene/update")
	if err != nil {
		t.Fatal(err)
	}
	warming, err := sceneResources(certs, "scene/warming")
	if err != nil {
		t.Fatal(err)
	}
	bootstrap := &bootstrapv3.Bootstrap{}
	if err := sceneBootstrap(certs, bootstrap); err != nil {
		t.Fatal(err)
	}
	s := &Scene{certificates: certs}
	s.Envoy = StartEnvoy(t, Options{
		Node:      sceneNode(),
		Bootstrap: bootstrap,
		Resources: first,
		Version:   FirstVersion,
		// What drains shall still be there when the test looks.
		Args: []string{"--drain-time-s", "3600", "--parent-shutdown-time-s", "4000"},
	})
	s.eject(t)
	second := updated(first, changes)
	if err := s.ControlPlane.Set(SecondVersion, second...); err != nil {
		t.Fatal(err)
	}
	s.WaitFor(t, "reject the second update of clusters and listeners", func() bool {
		rejected := map[string]bool{}
		for _, r := range s.ControlPlane.Rejected() {
			rejected[r.TypeURL] = true
		}
		return rejected[typeURL(&clusterv3.Cluster{})] && rejected[typeURL(&listenerv3.Listener{})]
	})
	// By itself, because Envoy answers no CDS update while a cluster is warming.
	if err := s.ControlPlane.Set(ThirdVersion, updated(second, warming)...); err != nil {
		t.Fatal(err)
	}
	s.settle(t)
	return s
}

// updated lays changes over resources, by name, and takes out the listener that
// the scene removes.
func updated(resources, changes []proto.Message) []proto.Message {
	key := func(m proto.Message) string { return typeURL(m) + " " + cache.GetResourceName(m) }
	byKey := map[string]proto.Message{}
	for _, m := range slices.Concat(resources, changes) {
		byKey[key(m)] = m
	}
	delete(byKey, key(&listenerv3.Listener{Name: DrainingListener}))
	return slices.Collect(maps.Values(byKey))
}

// eject sends the one request that makes outlier detection eject a host.
func (s *Scene) eject(t testing.TB) {
	t.Helper()
	var listeners struct {
		Statuses []struct {
			Name    string `json:"name"`
			Address struct {
				Socket struct {
					Address string `json:"address"`
					Port    int    `json:"port_value"`
				} `json:"socket_address"`
			} `json:"local_address"`
		} `json:"listener_statuses"`
	}
	if err := json.Unmarshal(s.Get(t, "/listeners?format=json"), &listeners); err != nil {
		t.Fatalf("read /listeners: %v", err)
	}
	for _, l := range listeners.Statuses {
		if l.Name != "probe" {
			continue
		}
		resp, err := s.client.Get(fmt.Sprintf("http://%s:%d/", l.Address.Socket.Address, l.Address.Socket.Port))
		if err != nil {
			t.Fatalf("send a request through Envoy: %v", err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusServiceUnavailable {
			t.Fatalf("a request to a host that takes no connections: status %d, want 503", resp.StatusCode)
		}
		return
	}
	t.Fatal("Envoy has no listener probe")
}

// settle waits until everything the scene promises can be seen.
func (s *Scene) settle(t testing.TB) {
	t.Helper()
	for _, state := range []struct{ what, path, text string }{
		{"keep a cluster without endpoints warming", "/config_dump?resource=dynamic_warming_clusters", WarmingCluster},
		{"keep a cluster without its secret warming", "/config_dump?resource=dynamic_warming_clusters", SecretlessCluster},
		{"wait for a secret", "/config_dump?resource=dynamic_warming_secrets", WarmingSecret},
		{"drain a listener", "/config_dump?resource=dynamic_listeners", `"draining_state"`},
		{"fail its health checks", "/clusters?filter=unhealthy", "127.0.0.2:1::health_flags::/failed_active_hc"},
		{"eject a host", "/clusters?filter=ejected", "/failed_outlier_check"},
		{"measure a request", "/stats?filter=^http.probe.downstream_rq_time&usedonly", "P99"},
		{"resolve a name", "/clusters?filter=external", "127.0.0.1:443::"},
	} {
		s.WaitFor(t, state.what, func() bool {
			return strings.Contains(string(s.Get(t, state.path)), state.text)
		})
	}
}

// sceneNode is the node of an Istio sidecar.
func sceneNode() *corev3.Node {
	metadata, err := structpb.NewStruct(map[string]any{
		"CLUSTER_ID":      "Kubernetes",
		"INSTANCE_IPS":    "10.0.0.5",
		"ISTIO_VERSION":   "1.31.0",
		"LABELS":          map[string]any{"app": "productpage", "version": "v1", "pod-template-hash": "abc"},
		"MESH_ID":         "cluster.local",
		"NAME":            "productpage-v1-abc",
		"NAMESPACE":       "default",
		"PROXY_CONFIG":    map[string]any{"discoveryAddress": "istiod.istio-system.svc:15012", "concurrency": 2},
		"SERVICE_ACCOUNT": "bookinfo-productpage",
		"WORKLOAD_NAME":   "productpage-v1",
	})
	if err != nil {
		panic(err) // the literal above is at fault
	}
	return &corev3.Node{
		Id:       "sidecar~10.0.0.5~productpage-v1-abc.default~default.svc.cluster.local",
		Cluster:  "productpage.default",
		Locality: &corev3.Locality{Region: "us-east-1", Zone: "us-east-1a"},
		Metadata: metadata,
	}
}

// sceneResources reads the resources in a folder of the scene.
func sceneResources(certs *certificates, dir string) ([]proto.Message, error) {
	names, err := fs.Glob(sceneFiles, dir+"/*.yaml")
	if err != nil {
		return nil, err
	}
	var all []proto.Message
	for _, name := range names {
		kind, known := sceneTypes[strings.TrimSuffix(strings.TrimPrefix(name, dir+"/"), ".yaml")]
		if !known {
			continue // bootstrap.yaml is no list of resources
		}
		text, err := sceneJSON(certs, name)
		if err != nil {
			return nil, err
		}
		var items []json.RawMessage
		if err := json.Unmarshal(text, &items); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		for i, item := range items {
			m := kind.ProtoReflect().New().Interface()
			if err := protojson.Unmarshal(item, m); err != nil {
				return nil, fmt.Errorf("read %s: item %d: %w", name, i+1, err)
			}
			all = append(all, m)
		}
	}
	return all, nil
}

func sceneBootstrap(certs *certificates, into *bootstrapv3.Bootstrap) error {
	const name = "scene/bootstrap.yaml"
	text, err := sceneJSON(certs, name)
	if err != nil {
		return err
	}
	if err := protojson.Unmarshal(text, into); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

// sceneJSON fills a file of the scene in with certs and gives it as JSON.
func sceneJSON(certs *certificates, name string) ([]byte, error) {
	tmpl, err := template.New(path.Base(name)).Funcs(template.FuncMap{
		"base64": func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
		"quote":  strconv.Quote, // PEM and base64 need no more for YAML to read them back
	}).ParseFS(sceneFiles, name)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	var filled bytes.Buffer
	if err := tmpl.Execute(&filled, certs); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	text, err := yaml.YAMLToJSON(filled.Bytes())
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return text, nil
}
