package ads

import (
	"context"
	"fmt"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/wire"
)

// The types that an istiod answers of itself, by its debug API over xDS (pilot/pkg/xds/statusgen.go, debuggen.go): who is connected and how far each is;
// what it would send to the proxy named "pod.namespace"; and any path of the HTTP debug API that the name gives.
const (
	IstioSyncStatus = "istio.io/debug/syncz"
	IstioConfigDump = "istio.io/debug/config_dump"
	IstioDebug      = "istio.io/debug"
)

// An Answer is one response of a control plane.
type Answer struct {
	TypeURL   string
	Version   string
	Nonce     string
	Control   string // identifier of the control plane, where it says one
	Resources []*anypb.Any
	Bytes     int64
}

// Ask asks one question about one type, in the form of the state of the world, and gives the first answer to it. The state of no connected Envoy depends on
// the answer, so none is acknowledged. Errors are *Error.
func (c *Client) Ask(ctx context.Context, n Node, typeURL string, names ...string) (*Answer, error) {
	timed, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	a, err := c.ask(timed, n, typeURL, names)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, c.explain(timed, "ask for "+label(typeURL), "", err)
	}
	return a, nil
}

func (c *Client) ask(ctx context.Context, n Node, typeURL string, names []string) (*Answer, error) {
	ctx, err := c.identified(ctx)
	if err != nil {
		return nil, err
	}
	s, err := discoveryv3.NewAggregatedDiscoveryServiceClient(c.conn).StreamAggregatedResources(ctx)
	if err != nil {
		return nil, err
	}
	sending := s.Send(&discoveryv3.DiscoveryRequest{Node: n.node, TypeUrl: typeURL, ResourceNames: names})
	for {
		r, err := s.Recv()
		if err != nil {
			return nil, err
		}
		if sending != nil {
			return nil, sending
		}
		if r.TypeUrl == typeURL {
			return &Answer{
				TypeURL: r.TypeUrl, Version: r.VersionInfo, Nonce: r.Nonce, Control: r.GetControlPlane().GetIdentifier(),
				Resources: r.Resources, Bytes: int64(proto.Size(r)),
			}, nil
		}
	}
}

// JSON writes the answer as protobuf writes a DiscoveryResponse, with the names of the definitions.
func (a *Answer) JSON() []byte {
	var p wire.Printer
	out := rawjson.Quote([]byte(`{"version_info":`), a.Version)
	out = append(out, `,"resources":[`...)
	for i, r := range a.Resources {
		if i > 0 {
			out = append(out, ',')
		}
		out = p.Any(out, r.GetTypeUrl(), r.GetValue())
	}
	out = rawjson.Quote(append(out, `],"type_url":`...), a.TypeURL)
	out = rawjson.Quote(append(out, `,"nonce":`...), a.Nonce)
	out = rawjson.Quote(append(out, `,"control_plane":{"identifier":`...), a.Control)
	return append(out, '}', '}')
}

// Observer is a node for questions about the control plane itself, in the name of a namespace.
func Observer(namespace string) Node {
	return Node{&corev3.Node{
		Id: fmt.Sprintf("sidecar~0.0.0.0~meshlark.%s~%s.svc.cluster.local", namespace, namespace),
		Metadata: &structpb.Struct{Fields: map[string]*structpb.Value{
			"GENERATOR": structpb.NewStringValue("event"), "NAMESPACE": structpb.NewStringValue(namespace),
		}},
	}}
}
