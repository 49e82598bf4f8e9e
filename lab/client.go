package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/structpb"
)

// A client stands in for an Envoy where there is to be a multitude: it asks istiod for what a sidecar asks for, acknowledges all and keeps
// nothing. It has no admin interface.
type client struct {
	conn   *grpc.ClientConn
	cancel context.CancelFunc
	done   chan struct{}

	node  *corev3.Node
	ads   discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesClient
	names map[string][]string // asked for, by type
}

// AddClients adds n pods with a sidecar, "fleet-0001" and so on in namespace default, that are connected to istiod but have no Envoy: for numbers.
// They stay, and it returns when istiod has sent each what it asked for.
func (l *Lab) AddClients(ctx context.Context, n int) error {
	l.mu.Lock()
	first := len(l.clients)
	l.mu.Unlock()
	var numbers []int
	for i := range n {
		numbers = append(numbers, first+i+1)
	}
	istiod := l.Istiod("default")
	var ids []string
	for batch := range slices.Chunk(numbers, 16) {
		pods := make([]*Pod, len(batch))
		for i, number := range batch {
			p := l.extraPod("fleet-v1", 0)
			p.Name = fmt.Sprintf("fleet-%04d", number)
			p.IP = fmt.Sprintf("10.244.%d.%d", 1+number/250, 1+number%250)
			pods[i] = p
			ids = append(ids, p.ID())
		}
		err := together(pods, func(p *Pod) error {
			_, err := l.cluster.apply(ctx, p.object(nil))
			return err
		})
		if err != nil {
			return err
		}
		for _, p := range pods {
			c, err := newClient(p, istiod.GRPC)
			if err != nil {
				return err
			}
			l.mu.Lock()
			l.clients = append(l.clients, c)
			l.mu.Unlock()
		}
	}
	for _, id := range ids {
		for _, kind := range []string{"CDS", "LDS", "EDS", "RDS"} {
			if err := istiod.WaitSync(ctx, id, kind, "SYNCED"); err != nil {
				return err
			}
		}
	}
	return nil
}

// newClient connects a client for a pod with an istiod.
func newClient(p *Pod, address string) (*client, error) {
	meta, err := structpb.NewStruct(object{
		"PROXY_CONFIG": object{}, "NAME": p.Name, "NAMESPACE": p.Namespace, "LABELS": p.labels(), "CLUSTER_ID": "Kubernetes", "ISTIO_VERSION": "1.30.0",
		"WORKLOAD_NAME": p.Workload, "SERVICE_ACCOUNT": p.Account, "INSTANCE_IPS": p.IP, "MESH_ID": "cluster.local", "INTERCEPTION_MODE": "REDIRECT",
	})
	if err != nil {
		return nil, fmt.Errorf("describe %s: %w", p.ID(), err)
	}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(1<<30)))
	if err != nil {
		return nil, fmt.Errorf("connect %s with istiod: %w", p.ID(), err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &client{
		conn: conn, cancel: cancel, done: make(chan struct{}), names: map[string][]string{},
		node: &corev3.Node{Id: fmt.Sprintf("sidecar~%s~%s~%s.svc.cluster.local", p.IP, p.ID(), p.Namespace), Metadata: meta},
	}
	c.ads, err = discoveryv3.NewAggregatedDiscoveryServiceClient(conn).StreamAggregatedResources(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connect %s with istiod: %w", p.ID(), err), conn.Close())
	}

	go func() {
		defer close(c.done)
		_ = c.run() // it ends with the connection; that it has shows at istiod
	}()
	return c, nil
}

func (c *client) close() {
	c.cancel()
	<-c.done
	c.conn.Close()
}

func (c *client) run() error {
	for _, url := range []string{resource.ClusterType, resource.ListenerType} {
		if err := c.ads.Send(&discoveryv3.DiscoveryRequest{Node: c.node, TypeUrl: url}); err != nil {
			return err
		}
	}
	for {
		answer, err := c.ads.Recv()
		if err != nil {
			return err
		}
		err = c.ads.Send(&discoveryv3.DiscoveryRequest{
			TypeUrl: answer.TypeUrl, ResourceNames: c.names[answer.TypeUrl], VersionInfo: answer.VersionInfo, ResponseNonce: answer.Nonce,
		})
		if err != nil {
			return err
		}
		switch answer.TypeUrl {
		case resource.ClusterType:
			err = c.ask(resource.EndpointType, assignments(answer))
		case resource.ListenerType:
			err = c.ask(resource.RouteType, routeTables(answer))
		}
		if err != nil {
			return err
		}
	}
}

// ask asks for resources by name, unless it did before.
func (c *client) ask(url string, names []string) error {
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) == 0 || slices.Equal(names, c.names[url]) {
		return nil
	}
	c.names[url] = names
	return c.ads.Send(&discoveryv3.DiscoveryRequest{TypeUrl: url, ResourceNames: names})
}

// assignments are the names of the load assignments that clusters need.
func assignments(answer *discoveryv3.DiscoveryResponse) []string {
	var names []string
	for _, r := range answer.Resources {
		c := &clusterv3.Cluster{}
		if r.UnmarshalTo(c) == nil && c.GetType() == clusterv3.Cluster_EDS {
			name := c.GetEdsClusterConfig().GetServiceName()
			if name == "" {
				name = c.GetName()
			}
			names = append(names, name)
		}
	}
	return names
}

// routeTables are the names of the route tables that listeners need.
func routeTables(answer *discoveryv3.DiscoveryResponse) []string {
	var names []string
	for _, r := range answer.Resources {
		l := &listenerv3.Listener{}
		if r.UnmarshalTo(l) != nil {
			continue
		}
		for _, chain := range append(l.GetFilterChains(), l.GetDefaultFilterChain()) {
			for _, filter := range chain.GetFilters() {
				h := &hcmv3.HttpConnectionManager{}
				if filter.GetTypedConfig().MessageIs(h) && filter.GetTypedConfig().UnmarshalTo(h) == nil {
					if name := h.GetRds().GetRouteConfigName(); name != "" {
						names = append(names, name)
					}
				}
			}
		}
	}
	return names
}
