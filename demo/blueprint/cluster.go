package blueprint

import (
	"cmp"
	"math"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	rawbufferv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/raw_buffer/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// TrustDomain is the mesh's.
const TrustDomain = "cluster.local"

// Identity is the SPIFFE identity of a service account.
func Identity(trustDomain, namespace, account string) string {
	return "spiffe://" + trustDomain + "/ns/" + namespace + "/sa/" + account
}

func outboundCluster(s *Service, p Port, subset string) *clusterv3.Cluster {
	name := ClusterName(p.Number, subset, s.Host())
	about := map[string]any{"services": []any{map[string]any{"host": s.Host(), "name": s.Name, "namespace": s.Namespace}}}
	c := &clusterv3.Cluster{
		Name:                 name,
		AltStatName:          name + ";",
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS},
		EdsClusterConfig:     &clusterv3.Cluster_EdsClusterConfig{EdsConfig: viaADS(), ServiceName: name},
		ConnectTimeout:       seconds(10),
		LbPolicy:             clusterv3.Cluster_LEAST_REQUEST,
		CircuitBreakers:      unlimited(),
		CommonLbConfig:       &clusterv3.Cluster_CommonLbConfig{HealthyPanicThreshold: &typev3.Percent{}},
	}
	if len(s.Subsets) > 0 || s.RingSize > 0 {
		about["config"] = configRef(s.Namespace, "destination-rule", s.Name)
	}
	if subset != "" {
		about["subset"] = subset
	}
	if s.RingSize > 0 {
		c.LbPolicy = clusterv3.Cluster_RING_HASH
		c.LbConfig = &clusterv3.Cluster_RingHashLbConfig_{RingHashLbConfig: &clusterv3.Cluster_RingHashLbConfig{MinimumRingSize: wrapperspb.UInt64(s.RingSize)}}
	}
	for _, pod := range s.Pods {
		if pod.Mesh {
			c.TransportSocketMatches = autoTLS(s, p, subset)
			break
		}
	}
	c.Metadata = istioMetadata(about)
	return c
}

// autoTLS is Istio's choice per endpoint: mutual TLS to those with a sidecar, plain text to others.
func autoTLS(s *Service, p Port, subset string) []*clusterv3.Cluster_TransportSocketMatch {
	sni := "outbound_." + decimal(p.Number) + "_." + subset + "_." + s.Host()
	tls := &tlsv3.UpstreamTlsContext{
		Sni: sni,
		CommonTlsContext: &tlsv3.CommonTlsContext{
			TlsParams:                      tlsVersions(),
			AlpnProtocols:                  []string{"istio-peer-exchange", "istio"},
			TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{fromAgent("default")},
			ValidationContextType: trusted(&matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{
				Exact: Identity(TrustDomain, s.Namespace, s.Account),
			}}),
		},
	}
	return []*clusterv3.Cluster_TransportSocketMatch{
		{
			Name:            "tlsMode-istio",
			Match:           &structpb.Struct{Fields: map[string]*structpb.Value{"tlsMode": structpb.NewStringValue("istio")}},
			TransportSocket: &corev3.TransportSocket{Name: "envoy.transport_sockets.tls", ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: packed(tls)}},
		},
		{
			Name:  "tlsMode-disabled",
			Match: &structpb.Struct{},
			TransportSocket: &corev3.TransportSocket{Name: "envoy.transport_sockets.raw_buffer", ConfigType: &corev3.TransportSocket_TypedConfig{
				TypedConfig: packed(&rawbufferv3.RawBuffer{}),
			}},
		},
	}
}

func tlsVersions() *tlsv3.TlsParameters {
	return &tlsv3.TlsParameters{
		TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_2,
		TlsMaximumProtocolVersion: tlsv3.TlsParameters_TLSv1_3,
	}
}

// trusted is a validation context whose roots come from the agent.
func trusted(name *matcherv3.StringMatcher) *tlsv3.CommonTlsContext_CombinedValidationContext {
	return &tlsv3.CommonTlsContext_CombinedValidationContext{CombinedValidationContext: &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{
		//lint:ignore SA1019 Istio sends this field: the newer one tells the types of names apart, and Istio does not.
		DefaultValidationContext:         &tlsv3.CertificateValidationContext{MatchSubjectAltNames: []*matcherv3.StringMatcher{name}},
		ValidationContextSdsSecretConfig: fromAgent("ROOTCA"),
	}}
}

// fromAgent is how a sidecar gets its certificates: from the agent beside it, not from the control plane.
func fromAgent(secret string) *tlsv3.SdsSecretConfig {
	return &tlsv3.SdsSecretConfig{Name: secret, SdsConfig: &corev3.ConfigSource{
		ConfigSourceSpecifier: &corev3.ConfigSource_ApiConfigSource{ApiConfigSource: &corev3.ApiConfigSource{
			ApiType:                   corev3.ApiConfigSource_GRPC,
			TransportApiVersion:       corev3.ApiVersion_V3,
			GrpcServices:              []*corev3.GrpcService{grpcService("sds-grpc")},
			SetNodeOnFirstMessageOnly: true,
		}},
		InitialFetchTimeout: seconds(0),
		ResourceApiVersion:  corev3.ApiVersion_V3,
	}}
}

func grpcService(cluster string) *corev3.GrpcService {
	return &corev3.GrpcService{TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: cluster}}}
}

func unlimited() *clusterv3.CircuitBreakers {
	return &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
		MaxConnections: number(math.MaxUint32), MaxPendingRequests: number(math.MaxUint32),
		MaxRequests: number(math.MaxUint32), MaxRetries: number(math.MaxUint32),
	}}}
}

// fixedCluster is one of those that every proxy has.
func fixedCluster(name string, kind clusterv3.Cluster_DiscoveryType) *clusterv3.Cluster {
	c := &clusterv3.Cluster{
		Name:                 name,
		AltStatName:          name + ";",
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: kind},
		ConnectTimeout:       seconds(10),
	}
	if kind == clusterv3.Cluster_ORIGINAL_DST {
		c.LbPolicy = clusterv3.Cluster_CLUSTER_PROVIDED
		c.CircuitBreakers = unlimited()
	}
	if name == "InboundPassthroughCluster" {
		c.UpstreamBindConfig = inboundBind()
	}
	return c
}

// inboundBind marks connections to the application, so that they are not caught again.
func inboundBind() *corev3.BindConfig {
	return &corev3.BindConfig{SourceAddress: &corev3.SocketAddress{Address: "127.0.0.6", PortSpecifier: &corev3.SocketAddress_PortValue{}}}
}

func inboundCluster(n *Proxy) *clusterv3.Cluster {
	c := fixedCluster("inbound|"+decimal(n.Port)+"||", clusterv3.Cluster_ORIGINAL_DST)
	c.UpstreamBindConfig = inboundBind()
	c.CommonLbConfig = &clusterv3.Cluster_CommonLbConfig{}
	c.Metadata = istioMetadata(map[string]any{"services": []any{map[string]any{"host": Host(n.App, n.Namespace), "name": n.App, "namespace": n.Namespace}}})
	return c
}

// loadAssignment groups the pods by zone, as istiod does, each zone with the weight of its pods.
func loadAssignment(s *Service, p Port, subset string) *endpointv3.ClusterLoadAssignment {
	cla := &endpointv3.ClusterLoadAssignment{ClusterName: ClusterName(p.Number, subset, s.Host())}
	zones := map[string]*endpointv3.LocalityLbEndpoints{}
	for _, pod := range s.Pods {
		if subset != "" && pod.Version != subset {
			continue
		}
		group := zones[pod.Zone]
		if group == nil {
			group = &endpointv3.LocalityLbEndpoints{Locality: locality(pod.Zone), LoadBalancingWeight: number(0)}
			zones[pod.Zone] = group
			cla.Endpoints = append(cla.Endpoints, group)
		}
		meta := istioMetadata(map[string]any{"workload": pod.Workload + ";" + s.Namespace + ";" + s.Name + ";" + pod.Version + ";" + clusterID})
		if pod.Mesh {
			meta.FilterMetadata["envoy.transport_socket_match"] = structure(map[string]any{"tlsMode": "istio"})
		}
		health := corev3.HealthStatus_HEALTHY
		if pod.Unhealthy {
			health = corev3.HealthStatus_UNHEALTHY
		}
		weight := max(pod.Weight, 1)
		group.LoadBalancingWeight.Value += weight
		group.LbEndpoints = append(group.LbEndpoints, &endpointv3.LbEndpoint{
			HostIdentifier:      &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: socketAddress(pod.IP, cmp.Or(p.Target, p.Number))}},
			HealthStatus:        health,
			Metadata:            meta,
			LoadBalancingWeight: number(weight),
		})
	}
	return cla
}

// Region is where the mesh runs.
const Region = "us-central1"

func locality(zone string) *corev3.Locality { return &corev3.Locality{Region: Region, Zone: zone} }
