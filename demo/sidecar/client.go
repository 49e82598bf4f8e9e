package sidecar

import (
	"context"
	"maps"
	"slices"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

// A subscription is what the stream remembers of one type.
type subscription struct {
	names   []string
	version string // that was accepted last
	nonce   string // of the last response
	updates int
}

// A stream speaks the state-of-the-world protocol for one sidecar.
type stream struct {
	sidecar *Sidecar
	ads     discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesClient
	types   map[string]*subscription
}

// follow talks to the control plane until the sidecar is closed. Whether it got on shows on the control plane's side.
func (s *Sidecar) follow(ctx context.Context) {
	ads, err := discoveryv3.NewAggregatedDiscoveryServiceClient(s.conn).StreamAggregatedResources(ctx, grpc.WaitForReady(true))
	if err != nil {
		return
	}
	st := &stream{sidecar: s, ads: ads, types: map[string]*subscription{}}
	if st.ask(resource.ClusterType, nil) != nil {
		return
	}
	for {
		resp, err := ads.Recv()
		if err != nil {
			return
		}
		if st.take(resp) != nil {
			return
		}
	}
}

// take applies a response, asks for what it makes necessary, and acknowledges or refuses it: in this order, so that who sees the acknowledgement
// sees everything.
func (st *stream) take(resp *discoveryv3.DiscoveryResponse) error {
	sub := st.types[resp.GetTypeUrl()]
	if sub == nil {
		return nil
	}
	sub.nonce = resp.GetNonce()
	sub.updates++
	if st.sidecar.options.Silent == resp.GetTypeUrl() && sub.updates > 1 {
		return nil
	}
	refused := st.sidecar.apply(resp)
	if refused == "" {
		sub.version = resp.GetVersionInfo()
	}
	if err := st.askNext(resp.GetTypeUrl()); err != nil {
		return err
	}
	return st.send(resp.GetTypeUrl(), refused)
}

// askNext subscribes to what an update of a type names, in Envoy's order: endpoints before listeners, and listeners before routes.
func (st *stream) askNext(typeURL string) error {
	s := st.sidecar
	s.mu.Lock()
	endpoints, routes := s.state.endpointNames(), s.state.routeNames()
	s.mu.Unlock()
	switch typeURL {
	case resource.ClusterType:
		if len(endpoints) > 0 {
			return st.ask(resource.EndpointType, endpoints)
		}
		return st.ask(resource.ListenerType, nil)
	case resource.EndpointType:
		return st.ask(resource.ListenerType, nil)
	case resource.ListenerType:
		if len(routes) > 0 || s.options.AsksRoutes {
			return st.ask(resource.RouteType, routes)
		}
	}
	return nil
}

// ask subscribes to names of a type, or to all of it, unless that is what the stream asks for already.
func (st *stream) ask(typeURL string, names []string) error {
	sub := st.types[typeURL]
	if sub != nil && slices.Equal(sub.names, names) {
		return nil
	}
	if sub == nil {
		sub = &subscription{}
		st.types[typeURL] = sub
	}
	sub.names = names
	return st.send(typeURL, "")
}

func (st *stream) send(typeURL, refused string) error {
	sub := st.types[typeURL]
	req := &discoveryv3.DiscoveryRequest{
		TypeUrl:       typeURL,
		VersionInfo:   sub.version,
		ResponseNonce: sub.nonce,
		ResourceNames: sub.names,
	}
	if len(st.types) == 1 && sub.nonce == "" {
		req.Node = st.sidecar.options.Bootstrap.GetNode() // on the first message only, as Istio configures it
	}
	if refused != "" {
		req.ErrorDetail = &rpcstatus.Status{Code: int32(codes.Internal), Message: refused}
	}
	return st.ads.Send(req)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
