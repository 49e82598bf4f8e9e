package blueprint

import (
	"strings"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"google.golang.org/protobuf/types/known/anypb"
)

// clusterID is what Istio calls its only Kubernetes cluster.
const clusterID = "Kubernetes"

// A Proxy is one data plane member.
type Proxy struct {
	Pod, Namespace string
	Type           string // sidecar or router
	App            string // label, and the service it belongs to
	Workload       string
	Version        string // label; "" for none
	Account        string
	IP, Zone       string
	Port           uint32   // that the application listens on
	Egress         []string // names of the services of its namespace that it may call; nil is everything (a Sidecar object limits it)
	Publishes      string   // the service of default that a gateway publishes
	Istio          string   // version of Istio's part of the proxy
	Envoy          Build
	Discovery      string // address of the control plane
}

// A Build is a build of Envoy.
type Build struct {
	Commit              string
	Major, Minor, Patch uint32
}

// Name is how Istio calls the proxy: pod.namespace.
func (n *Proxy) Name() string { return n.Pod + "." + n.Namespace }

// ID is the proxy's node id.
func (n *Proxy) ID() string {
	return n.Type + "~" + n.IP + "~" + n.Name() + "~" + n.Namespace + ".svc.cluster.local"
}

// Node is what the proxy says of itself to its control plane.
func (n *Proxy) Node() *corev3.Node {
	labels := map[string]any{
		"app":                                 n.App,
		"service.istio.io/canonical-name":     n.App,
		"service.istio.io/canonical-revision": "latest",
	}
	if n.Version != "" {
		labels["version"] = n.Version
		labels["service.istio.io/canonical-revision"] = n.Version
	}
	if n.Type == "router" {
		labels["istio"] = strings.TrimPrefix(n.App, "istio-")
	}
	if hash, ok := strings.CutPrefix(n.Pod, n.Workload+"-"); ok {
		hash, _, _ = strings.Cut(hash, "-")
		labels["pod-template-hash"] = hash
	}
	return &corev3.Node{
		Id:      n.ID(),
		Cluster: n.App + "." + n.Namespace,
		Metadata: structure(map[string]any{
			"CLUSTER_ID":        clusterID,
			"INSTANCE_IPS":      n.IP,
			"INTERCEPTION_MODE": "REDIRECT",
			"ISTIO_VERSION":     n.Istio,
			"LABELS":            labels,
			"MESH_ID":           TrustDomain,
			"NAME":              n.Pod,
			"NAMESPACE":         n.Namespace,
			"NODE_NAME":         "gke-demo-" + n.Zone,
			"OWNER":             "kubernetes://apis/apps/v1/namespaces/" + n.Namespace + "/deployments/" + n.Workload,
			"PROXY_CONFIG": map[string]any{
				"concurrency": 2, "configPath": "./etc/istio/proxy", "discoveryAddress": n.Discovery,
				"drainDuration": "45s", "proxyAdminPort": 15000, "serviceCluster": n.App + "." + n.Namespace, "statusPort": 15020,
			},
			"SERVICE_ACCOUNT": n.Account,
			"WORKLOAD_NAME":   n.Workload,
		}),
		Locality:      locality(n.Zone),
		UserAgentName: "envoy",
		UserAgentVersionType: &corev3.Node_UserAgentBuildVersion{UserAgentBuildVersion: &corev3.BuildVersion{
			Version: &typev3.SemanticVersion{MajorNumber: n.Envoy.Major, MinorNumber: n.Envoy.Minor, Patch: n.Envoy.Patch},
			Metadata: structure(map[string]any{
				"build.type": "RELEASE", "revision.sha": n.Envoy.Commit, "revision.status": "Clean", "ssl.version": "BoringSSL",
			}),
		}},
	}
}

// Bootstrap is what the agent starts Envoy with.
func (n *Proxy) Bootstrap() *bootstrapv3.Bootstrap {
	return &bootstrapv3.Bootstrap{
		Node: n.Node(),
		StaticResources: &bootstrapv3.Bootstrap_StaticResources{
			Clusters: []*clusterv3.Cluster{
				localCluster("prometheus_stats", socketAddress("127.0.0.1", 15000), false),
				localCluster("agent", socketAddress("127.0.0.1", 15020), false),
				localCluster("sds-grpc", pipeAddress("./var/run/secrets/workload-spiffe-uds/socket"), true),
				localCluster("xds-grpc", pipeAddress("./etc/istio/proxy/XDS"), true),
			},
			// Istio's bootstrap gives them no names.
			Listeners: []*listenerv3.Listener{
				localListener(15090, "stats", "backend", "/stats/prometheus", "prometheus_stats"),
				localListener(15021, "agent", "backend", "/healthz/ready", "agent"),
			},
		},
		DynamicResources: &bootstrapv3.Bootstrap_DynamicResources{
			LdsConfig: viaADS(),
			CdsConfig: viaADS(),
			AdsConfig: &corev3.ApiConfigSource{
				ApiType:                   corev3.ApiConfigSource_GRPC,
				TransportApiVersion:       corev3.ApiVersion_V3,
				GrpcServices:              []*corev3.GrpcService{grpcService("xds-grpc")},
				SetNodeOnFirstMessageOnly: true,
			},
		},
		Admin: &bootstrapv3.Admin{Address: socketAddress("127.0.0.1", 15000)},
	}
}

func localCluster(name string, address *corev3.Address, grpc bool) *clusterv3.Cluster {
	c := &clusterv3.Cluster{
		Name:                 name,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		ConnectTimeout:       seconds(1),
		LoadAssignment: &endpointv3.ClusterLoadAssignment{
			ClusterName: name,
			Endpoints: []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{{
				HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: address}},
			}}}},
		},
	}
	if grpc {
		c.TypedExtensionProtocolOptions = http2()
	}
	return c
}

func http2() map[string]*anypb.Any {
	return map[string]*anypb.Any{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": packed(&httpv3.HttpProtocolOptions{
		UpstreamProtocolOptions: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_{ExplicitHttpConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig{
			ProtocolConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{Http2ProtocolOptions: &corev3.Http2ProtocolOptions{}},
		}},
	})}
}

func localListener(port uint32, statPrefix, virtualHost, prefix, cluster string) *listenerv3.Listener {
	return &listenerv3.Listener{
		Address: socketAddress("0.0.0.0", port),
		FilterChains: []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{networkFilter("envoy.filters.network.http_connection_manager", &hcmv3.HttpConnectionManager{
			StatPrefix:     statPrefix,
			RouteSpecifier: &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: inlineRoutes("", virtualHost, prefix, cluster, "")},
			HttpFilters:    []*hcmv3.HttpFilter{httpFilter("envoy.filters.http.router", &routerv3.Router{})},
		})}}},
	}
}
