// Package pilot is a simulated istiod: go-control-plane's snapshot cache and ADS server with istiod's debug API in front of them.
//
// What the debug API says of a client is what happened on its stream: the nonces that were sent and acknowledged, when, and
// what the client said when it refused. Only the configuration is given from outside, with Set.
package pilot

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/sotw/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/meshlark/meshlark/demo/blueprint"
)

// Options say what an istiod is called and what time it has.
type Options struct {
	Name    string           // of its pod
	Version string           // of Istio
	Now     func() time.Time // stamps connections and pushes
}

// An Istiod serves ADS and the debug API on two free loopback ports.
type Istiod struct {
	options   Options
	snapshots cache.SnapshotCache
	xds       net.Listener
	debug     net.Listener
	grpc      *grpc.Server
	http      *http.Server
	stop      context.CancelFunc
	ended     sync.WaitGroup

	mu      sync.Mutex
	push    string             // version of the last push
	objects []blueprint.Object // that the configuration is made from
	clients map[string]*client // by node id
	streams map[int64]*connection
	changed chan struct{} // closed, and replaced, whenever a stream got on
}

// A client is a node that the control plane has configuration for.
type client struct {
	number   int // counts clients; connections are named by it
	snapshot *cache.Snapshot
	would    blueprint.Config // what a push would send now
}

// A connection is one stream of a client.
type connection struct {
	id      string // pod.namespace-number
	node    *corev3.Node
	at      time.Time
	address string
	watches map[string]*watch // by type URL
}

// A watch is how far a connection is with one type.
type watch struct {
	names       []string
	sent, acked string // nonces
	sentAt      time.Time
	version     string // of what was sent
	lastError   string
}

// Start serves until Close.
func Start(o Options) (*Istiod, error) {
	i := &Istiod{
		options: o,
		// Not the cache's ADS mode: it withholds an answer until every name in it is asked for, and istiod does not.
		snapshots: cache.NewSnapshotCache(false, cache.IDHash{}, nil),
		grpc:      grpc.NewServer(),
		clients:   map[string]*client{},
		streams:   map[int64]*connection{},
		changed:   make(chan struct{}),
	}
	var err error
	if i.xds, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("listen for ADS of %s on a loopback port: %w", o.Name, err)
	}
	if i.debug, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		i.xds.Close()
		return nil, fmt.Errorf("listen for the debug API of %s on a loopback port: %w", o.Name, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	i.stop = stop
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(i.grpc, &adsServer{
		streams: sotw.NewServer(ctx, patientCache{i.snapshots, i}, &observer{i}, sotw.WithOrderedADS()),
	})
	i.http = &http.Server{Handler: i.handler(), ReadHeaderTimeout: 10 * time.Second}
	i.ended.Go(func() { _ = i.grpc.Serve(i.xds) })
	i.ended.Go(func() { _ = i.http.Serve(i.debug) })
	return i, nil
}

// Close ends all streams and gives the ports back.
func (i *Istiod) Close() error {
	i.stop()
	i.grpc.Stop()
	err := i.http.Close()
	i.ended.Wait()
	return err
}

// Name is the name of the pod.
func (i *Istiod) Name() string { return i.options.Name }

// XDS is the address of the ADS server.
func (i *Istiod) XDS() string { return i.xds.Addr().String() }

// Debug is the address of the debug API.
func (i *Istiod) Debug() string { return i.debug.Addr().String() }

// Configure tells which objects the configuration that is set from now on is made from.
func (i *Istiod) Configure(objects []blueprint.Object) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.objects = objects
}

// Set pushes a configuration to a node, now or when it connects, as the push of the given version. Types of which nothing changed are not sent
// again, and types that are empty and were never sent, clusters and listeners apart, have nothing to send.
func (i *Istiod) Set(node, version string, c blueprint.Config) error {
	i.mu.Lock()
	cl := i.client(node)
	next := &cache.Snapshot{}
	for kind, resources := range byKind(c) {
		was := cache.Resources{}
		if cl.snapshot != nil {
			was = cl.snapshot.Resources[kind]
		}
		next.Resources[kind] = cache.NewResources(version, resources)
		always := kind == int(types.Cluster) || kind == int(types.Listener)
		if same(was.Items, next.Resources[kind].Items) && (was.Version != "" || !always) {
			next.Resources[kind] = was
		}
	}
	was := cl.snapshot
	cl.snapshot, cl.would, i.push = next, c, version
	i.mu.Unlock()
	// Without the lock: the streams report what this sends. One type after the other, in istiod's order: the cache by itself has none.
	step := &cache.Snapshot{}
	if was != nil {
		step.Resources = was.Resources
	}
	for _, kind := range []types.ResponseType{types.Cluster, types.Endpoint, types.Listener, types.Route} {
		following := &cache.Snapshot{Resources: step.Resources}
		following.Resources[kind] = next.Resources[kind]
		if err := i.snapshots.SetSnapshot(context.Background(), node, following); err != nil {
			return fmt.Errorf("push version %s to %s: %w", version, node, err)
		}
		step = following
	}
	return nil
}

// Hold notes a configuration that the node should have by now but that no push has sent.
func (i *Istiod) Hold(node string, c blueprint.Config) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.client(node).would = c
}

func (i *Istiod) client(node string) *client {
	if i.clients[node] == nil {
		i.clients[node] = &client{number: len(i.clients) + 1}
	}
	return i.clients[node]
}

func byKind(c blueprint.Config) [types.UnknownType][]types.Resource {
	var out [types.UnknownType][]types.Resource
	out[types.Cluster] = asResources(c.Clusters)
	out[types.Endpoint] = asResources(c.Endpoints)
	out[types.Listener] = asResources(c.Listeners)
	out[types.Route] = asResources(c.Routes)
	return out
}

func asResources[M proto.Message](messages []M) []types.Resource {
	out := make([]types.Resource, len(messages))
	for i, m := range messages {
		out[i] = m
	}
	return out
}

func same(a, b map[string]types.ResourceWithTTL) bool {
	return maps.EqualFunc(a, b, func(x, y types.ResourceWithTTL) bool { return proto.Equal(x.Resource, y.Resource) })
}

// A State is how far a node is with one type, counting only the newest push.
type State string

// The states of a type that a node asked for. Pending is not istiod's: a push that is not on its way yet.
const (
	Synced  State = "SYNCED"   // acknowledged
	Stale   State = "STALE"    // sent and not acknowledged
	NotSent State = "NOT SENT" // there is nothing to send
	Refused State = "ERROR"    // refused
	Pending State = "PENDING"
)

// Await waits until a node is in the wanted state for every type URL given. The error names the first type that is not when the context ends.
func (i *Istiod) Await(ctx context.Context, node string, want map[string]State) error {
	for {
		i.mu.Lock()
		changed, missing, is := i.changed, "", State("")
		for _, typeURL := range slices.Sorted(maps.Keys(want)) {
			if is = i.state(node, typeURL); is != want[typeURL] {
				missing = typeURL
				break
			}
		}
		i.mu.Unlock()
		if missing == "" {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s to be %s for %s, now %s: %w", node, want[missing], missing, is, context.Cause(ctx))
		}
	}
}

func (i *Istiod) state(node, typeURL string) State {
	for _, c := range i.streams {
		w := c.watches[typeURL]
		if c.node.GetId() != node || w == nil {
			continue
		}
		switch newest := i.client(node).snapshot.GetVersion(typeURL); {
		case newest == "" && w.sent == "":
			return NotSent
		case newest != w.version:
			return Pending
		case w.lastError != "":
			return Refused
		case w.acked == w.sent:
			return Synced
		default:
			return Stale
		}
	}
	return Pending
}

// adsServer serves ADS alone, and of it the state of the world.
type adsServer struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	streams sotw.Server
}

func (s *adsServer) StreamAggregatedResources(stream discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	err := s.streams.StreamHandler(stream, resource.AnyType)
	if errors.Is(err, context.Canceled) {
		return status.FromContextError(err).Err()
	}
	return err
}

// patientCache does not send a refused version again. The snapshot cache by itself answers a refusal at once with the same update, and so
// on forever; istiod waits for the next change.
type patientCache struct {
	cache.SnapshotCache
	istiod *Istiod
}

func (p patientCache) CreateWatch(req *cache.Request, sub cache.Subscription, responses chan cache.Response) (func(), error) {
	if req.GetErrorDetail() != nil {
		p.istiod.mu.Lock()
		refused := p.istiod.client(req.GetNode().GetId()).snapshot.GetVersion(req.GetTypeUrl())
		p.istiod.mu.Unlock()
		req = proto.CloneOf(req)
		req.VersionInfo = refused
	}
	return p.SnapshotCache.CreateWatch(req, sub, responses)
}
