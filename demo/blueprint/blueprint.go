// Package blueprint draws the configuration that an istiod would make of a small service registry: the clusters, listeners,
// routes and load assignments of each proxy, its node and its bootstrap, under the names that Istio gives them.
//
// It is part of the demo's simulation. It knows as much of Istio as a bookinfo mesh needs, and is no reimplementation of it.
package blueprint

import (
	"fmt"
	"slices"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// A Protocol is how Istio treats a service port.
type Protocol int

// HTTP ports get route tables, TCP ports a listener for each address.
const (
	HTTP Protocol = iota
	TCP
)

// A Port is one port of a service.
type Port struct {
	Number   uint32
	Protocol Protocol
	Target   uint32 // that the pods listen on; 0 for the same number
}

// A Pod is one endpoint of a service.
type Pod struct {
	Name, Workload, Version string
	IP                      string
	Zone                    string
	Weight                  uint32
	Mesh                    bool // has a sidecar, and so takes mutual TLS
	Unhealthy               bool // its readiness probe fails
}

// A Service is an entry of the registry.
type Service struct {
	Name, Namespace string
	VIP             string
	Account         string // of its pods; their certificates name it
	Ports           []Port
	Subsets         []string // that a DestinationRule of the service's name defines, by version label
	RingSize        uint64   // a consistent-hash minimum ring size of that DestinationRule; 0 for none
	Pods            []Pod
}

// Host is the service's name in the cluster.
func (s *Service) Host() string { return Host(s.Name, s.Namespace) }

// Host is the name of a service in the cluster.
func Host(name, namespace string) string { return name + "." + namespace + ".svc.cluster.local" }

// A Rule is one HTTP route of a VirtualService: for a user, if it names one, to shares of subsets.
type Rule struct {
	Name   string
	User   string // value of the header end-user
	Shares []Share
}

// A Share is a part of the requests, in percent, that go to a subset ("" for the whole service).
type Share struct {
	Host, Subset string
	Weight       uint32
}

// A Registry is what the control plane knows of the mesh.
type Registry struct {
	Services []*Service
	Rules    map[string][]Rule // of the VirtualServices of sidecars, by host
	// Callers are the service accounts of the same namespace that the AuthorizationPolicy of a service's name lets call it, by host. Services that
	// are not here have none, and let everybody.
	Callers map[string][]string
}

// visible gives the services that a proxy may call: all, or those of its egress list.
func (r *Registry) visible(n *Proxy) []*Service {
	if n.Egress == nil {
		return slices.DeleteFunc(slices.Clone(r.Services), func(s *Service) bool { return s.Namespace == privateNamespace })
	}
	return slices.DeleteFunc(slices.Clone(r.Services), func(s *Service) bool { return !slices.Contains(n.Egress, s.Name) || s.Namespace != n.Namespace })
}

// privateNamespace is exported to itself only (exportTo: "."), so that what is wrong there shows nowhere else.
const privateNamespace = "faults"

// Config is what a control plane sends one proxy.
type Config struct {
	Clusters  []*clusterv3.Cluster
	Endpoints []*endpointv3.ClusterLoadAssignment
	Listeners []*listenerv3.Listener
	Routes    []*routev3.RouteConfiguration
}

// WithoutClusters gives a copy that lacks the named clusters and their endpoints.
func (c Config) WithoutClusters(names ...string) Config {
	c.Clusters = slices.DeleteFunc(slices.Clone(c.Clusters), func(x *clusterv3.Cluster) bool { return slices.Contains(names, x.GetName()) })
	return c.WithoutEndpoints(names...)
}

// WithoutEndpoints gives a copy that lacks the load assignments of the named clusters.
func (c Config) WithoutEndpoints(names ...string) Config {
	c.Endpoints = slices.DeleteFunc(slices.Clone(c.Endpoints), func(x *endpointv3.ClusterLoadAssignment) bool { return slices.Contains(names, x.GetClusterName()) })
	return c
}

// Draw makes a proxy's configuration.
func (r *Registry) Draw(n *Proxy) Config {
	var c Config
	services := r.visible(n)
	for _, s := range services {
		for _, p := range s.Ports {
			for _, subset := range append([]string{""}, s.Subsets...) {
				c.Clusters = append(c.Clusters, outboundCluster(s, p, subset))
				c.Endpoints = append(c.Endpoints, loadAssignment(s, p, subset))
			}
		}
	}
	c.Clusters = append(c.Clusters, fixedCluster("BlackHoleCluster", clusterv3.Cluster_STATIC))
	if n.Type == "router" {
		c.Listeners, c.Routes = r.gateway(n)
		return c
	}
	c.Clusters = append(c.Clusters, fixedCluster("PassthroughCluster", clusterv3.Cluster_ORIGINAL_DST), inboundCluster(n))
	c.Clusters = append(c.Clusters, fixedCluster("InboundPassthroughCluster", clusterv3.Cluster_ORIGINAL_DST))
	c.Listeners = r.listeners(n, services)
	c.Routes = r.routes(services)
	return c
}

// ClusterName is Istio's name of a cluster.
func ClusterName(port uint32, subset, host string) string {
	return fmt.Sprintf("outbound|%d|%s|%s", port, subset, host)
}

// packed puts a message into an Any, the same bytes each time: control planes compare them. It panics for text that is no UTF-8, which none of
// the constants here is.
func packed(m proto.Message) *anypb.Any {
	a := &anypb.Any{}
	if err := anypb.MarshalFrom(a, m, proto.MarshalOptions{Deterministic: true}); err != nil {
		panic(fmt.Sprintf("pack %s: %v", m.ProtoReflect().Descriptor().FullName(), err))
	}
	return a
}

// structure makes a Struct of what JSON has: strings, numbers, booleans, lists and maps. It panics for anything else.
func structure(fields map[string]any) *structpb.Struct {
	s, err := structpb.NewStruct(fields)
	if err != nil {
		panic(fmt.Sprintf("make a struct: %v", err))
	}
	return s
}

// istioMetadata is what Istio notes on a resource about where it comes from.
func istioMetadata(fields map[string]any) *corev3.Metadata {
	return &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{"istio": structure(fields)}}
}

// configRef is how Istio refers to an object.
func configRef(namespace, kind, name string) string {
	return "/apis/networking.istio.io/v1/namespaces/" + namespace + "/" + kind + "/" + name
}

func seconds(n int) *durationpb.Duration      { return durationpb.New(time.Duration(n) * time.Second) }
func number(n uint32) *wrapperspb.UInt32Value { return wrapperspb.UInt32(n) }
func boolean(b bool) *wrapperspb.BoolValue    { return wrapperspb.Bool(b) }

func socketAddress(ip string, port uint32) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: ip, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
	}}}
}

func pipeAddress(path string) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: path}}}
}

// viaADS is how everything but secrets is fetched.
func viaADS() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
		InitialFetchTimeout:   seconds(0),
		ResourceApiVersion:    corev3.ApiVersion_V3,
	}
}
