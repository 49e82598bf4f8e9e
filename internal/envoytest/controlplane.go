package envoytest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/sotw/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// Rejection is one update that an Envoy refused (a NACK).
type Rejection struct {
	TypeURL string
	// Version is the version of the refused update.
	Version string
	// Details is Envoy's reason, one line per resource it could not accept.
	Details string
}

// ControlPlane is an ADS server (state of the world) on a loopback port that
// gives every Envoy the same resources.
type ControlPlane struct {
	addr      *net.TCPAddr
	snapshots cache.SnapshotCache

	mu       sync.Mutex
	current  *cache.Snapshot
	rejected []Rejection
}

// everyNode puts all Envoys under one key, so that a test need not repeat its
// node's id.
type everyNode struct{}

func (everyNode) ID(*corev3.Node) string { return "every node" }

// StartControlPlane serves ADS until the test ends. It holds requests back
// until Set is called.
func StartControlPlane(t testing.TB) *ControlPlane {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen for ADS on a loopback port: %v", err)
	}
	cp := &ControlPlane{
		addr: lis.Addr().(*net.TCPAddr),
		// Not the cache's ADS mode: it withholds load assignments and route
		// tables until every one is asked for, and some here never are.
		snapshots: cache.NewSnapshotCache(false, everyNode{}, nil),
		current:   &cache.Snapshot{},
	}
	ctx, cancel := context.WithCancel(context.Background())
	grpcServer := grpc.NewServer()
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(grpcServer, &adsServer{
		streams: sotw.NewServer(ctx, quietCache{cp.snapshots, cp}, nil),
	})
	served := make(chan error, 1)
	go func() { served <- grpcServer.Serve(lis) }()
	t.Cleanup(func() {
		cancel()
		grpcServer.Stop()
		// A server stopped before it began is one that no Envoy was started for.
		if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Errorf("serve ADS: %v", err)
		}
	})
	return cp
}

// adsServer serves ADS alone, and of it the state of the world.
type adsServer struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	streams sotw.Server
}

func (s *adsServer) StreamAggregatedResources(stream discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	return s.streams.StreamHandler(stream, resource.AnyType)
}

// Addr is the address on which ADS is served.
func (cp *ControlPlane) Addr() *net.TCPAddr { return cp.addr }

// Set replaces what Envoys are given by resources, which may be of any xDS
// type. Types of which nothing changed keep the version they had, so that no
// update is sent for them.
func (cp *ControlPlane) Set(version string, resources ...proto.Message) error {
	var byType [types.UnknownType][]types.Resource
	for _, r := range resources {
		url := typeURL(r)
		kind := cache.GetResponseType(url)
		if kind == types.UnknownType {
			return fmt.Errorf("set resources at version %q: %s is not a type that xDS delivers", version, url)
		}
		byType[kind] = append(byType[kind], r)
	}
	cp.mu.Lock()
	defer cp.mu.Unlock()
	next := &cache.Snapshot{}
	for kind := range byType {
		was := cp.current.Resources[kind]
		next.Resources[kind] = cache.NewResources(version, byType[kind])
		if was.Version != "" && sameItems(was.Items, next.Resources[kind].Items) {
			next.Resources[kind] = was
		}
	}
	if err := cp.snapshots.SetSnapshot(context.Background(), everyNode{}.ID(nil), next); err != nil {
		return fmt.Errorf("set resources at version %q: %w", version, err)
	}
	cp.current = next
	return nil
}

// Rejected gives the updates that Envoys refused so far, in order.
func (cp *ControlPlane) Rejected() []Rejection {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	return slices.Clone(cp.rejected)
}

func sameItems(a, b map[string]types.ResourceWithTTL) bool {
	if len(a) != len(b) {
		return false
	}
	for name, item := range a {
		other, ok := b[name]
		if !ok || !proto.Equal(item.Resource, other.Resource) {
			return false
		}
	}
	return true
}

func typeURL(m proto.Message) string {
	return "type.googleapis.com/" + string(m.ProtoReflect().Descriptor().FullName())
}

// quietCache does not send a refused version again. The snapshot cache by
// itself answers a NACK at once with the same update, and so on forever; istiod
// waits for the next change, as this does.
type quietCache struct {
	cache.SnapshotCache
	cp *ControlPlane
}

func (q quietCache) CreateWatch(req *cache.Request, sub cache.Subscription, responses chan cache.Response) (func(), error) {
	if req.GetErrorDetail() != nil {
		q.cp.mu.Lock()
		refused := q.cp.current.GetVersion(req.GetTypeUrl())
		q.cp.rejected = append(q.cp.rejected, Rejection{
			TypeURL: req.GetTypeUrl(),
			Version: refused,
			Details: req.GetErrorDetail().GetMessage(),
		})
		q.cp.mu.Unlock()
		req = proto.CloneOf(req)
		req.VersionInfo = refused
	}
	return q.SnapshotCache.CreateWatch(req, sub, responses)
}
