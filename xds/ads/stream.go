package ads

import (
	"context"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// An answer is one message of the control plane, in either form of the protocol.
type answer struct {
	typeURL, version, nonce string
	control                 string // identifier of the control plane, where it says one
	resources               []sent
	removed                 []string // names that are not there
	size                    int64
}

// A sent is a resource of an answer. The state of the world leaves its name to the resource.
type sent struct {
	name, version string
	body          *anypb.Any
}

// A stream is a conversation in one form of the protocol.
type stream interface {
	// ask tells which names of a type are wanted; all of a type that is asked for as a whole. ack says that it acknowledges an answer.
	ask(node *corev3.Node, k *kind, ack bool) error
	receive() (answer, error)
	// close ends the asking; the server ends the answering then.
	close() error
}

func (c *Client) open(ctx context.Context) (stream, error) {
	ctx, err := c.identified(ctx)
	if err != nil {
		return nil, err
	}
	client := discoveryv3.NewAggregatedDiscoveryServiceClient(c.conn)
	if c.options.Mode == Delta {
		s, err := client.DeltaAggregatedResources(ctx)
		return &deltaStream{stream: s}, err
	}
	s, err := client.StreamAggregatedResources(ctx)
	return &sotwStream{stream: s}, err
}

// sotwStream speaks of the state of the world: a request names all that is wanted of a type, and acknowledges the last answer about it.
type sotwStream struct {
	stream grpc.BidiStreamingClient[discoveryv3.DiscoveryRequest, discoveryv3.DiscoveryResponse]
}

func (s *sotwStream) ask(node *corev3.Node, k *kind, _ bool) error {
	return s.stream.Send(&discoveryv3.DiscoveryRequest{
		Node: node, TypeUrl: k.url, ResourceNames: k.wanted(), VersionInfo: k.version, ResponseNonce: k.nonce,
	})
}

func (s *sotwStream) close() error { return s.stream.CloseSend() }

// resourceType wraps resources that have a time to live.
const resourceType = "type.googleapis.com/envoy.service.discovery.v3.Resource"

func (s *sotwStream) receive() (answer, error) {
	r, err := s.stream.Recv()
	if err != nil {
		return answer{}, err
	}
	a := answer{typeURL: r.TypeUrl, version: r.VersionInfo, nonce: r.Nonce, control: r.GetControlPlane().GetIdentifier(), size: int64(proto.Size(r))}
	for _, body := range r.Resources {
		one := sent{version: r.VersionInfo, body: body}
		if wrapped := (&discoveryv3.Resource{}); body.GetTypeUrl() == resourceType && body.UnmarshalTo(wrapped) == nil {
			if wrapped.Resource == nil {
				continue // only the time to live is new
			}
			one.name, one.body = wrapped.Name, wrapped.Resource
		}
		a.resources = append(a.resources, one)
	}
	return a, nil
}

// deltaStream speaks of changes: a request names what is wanted beside what was named before.
type deltaStream struct {
	stream grpc.BidiStreamingClient[discoveryv3.DeltaDiscoveryRequest, discoveryv3.DeltaDiscoveryResponse]
}

func (s *deltaStream) ask(node *corev3.Node, k *kind, ack bool) error {
	r := &discoveryv3.DeltaDiscoveryRequest{Node: node, TypeUrl: k.url, ResourceNamesSubscribe: k.unasked()}
	if ack {
		r.ResponseNonce = k.nonce
	}
	return s.stream.Send(r)
}

func (s *deltaStream) close() error { return s.stream.CloseSend() }

func (s *deltaStream) receive() (answer, error) {
	r, err := s.stream.Recv()
	if err != nil {
		return answer{}, err
	}
	a := answer{
		typeURL: r.TypeUrl, version: r.SystemVersionInfo, nonce: r.Nonce, control: r.GetControlPlane().GetIdentifier(),
		removed: r.RemovedResources, size: int64(proto.Size(r)),
	}
	for _, named := range r.Resources {
		if named.Resource == nil {
			a.removed = append(a.removed, named.Name) // an alias that leads nowhere
			continue
		}
		a.resources = append(a.resources, sent{named.Name, named.Version, named.Resource})
	}
	return a, nil
}
