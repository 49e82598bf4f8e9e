package blueprint

import (
	"cmp"
	"maps"
	"slices"
	"time"

	udpav1 "github.com/cncf/xds/go/udpa/type/v1"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	rbacconfigv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	httpinspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/http_inspector/v3"
	originaldstv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/original_dst/v3"
	tlsinspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	networkrbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// listeners makes the listeners of a sidecar: one per address of TCP ports, one per number of HTTP ports, and the two that traffic is
// redirected to.
func (r *Registry) listeners(n *Proxy, services []*Service) []*listenerv3.Listener {
	var out []*listenerv3.Listener
	http := map[uint32]bool{}
	for _, s := range services {
		for _, p := range s.Ports {
			if p.Protocol == HTTP {
				http[p.Number] = true
				continue
			}
			out = append(out, outboundTCP(s, p))
		}
	}
	for _, port := range slices.Sorted(maps.Keys(http)) {
		out = append(out, OutboundHTTP(port, 0))
	}
	slices.SortFunc(out, func(a, b *listenerv3.Listener) int { return cmp.Compare(a.Name, b.Name) })
	return append(out, virtualOutbound(), r.virtualInbound(n))
}

func outboundTCP(s *Service, p Port) *listenerv3.Listener {
	return &listenerv3.Listener{
		Name:                             s.VIP + "_" + decimal(p.Number),
		Address:                          socketAddress(s.VIP, p.Number),
		FilterChains:                     []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{tcpProxy(ClusterName(p.Number, "", s.Host()))}}},
		ListenerFiltersTimeout:           seconds(0),
		ContinueOnListenerFiltersTimeout: true,
		TrafficDirection:                 corev3.TrafficDirection_OUTBOUND,
		BindToPort:                       boolean(false),
	}
}

// OutboundHTTP is the listener for HTTP requests to a port number, whatever their address. Its route table has the number as its name. It
// takes requests without one after the given time; 0, which istiod says, is never.
func OutboundHTTP(port uint32, patience time.Duration) *listenerv3.Listener {
	routes := viaADS()
	routes.InitialFetchTimeout = durationpb.New(patience)
	name := "0.0.0.0_" + decimal(port)
	return &listenerv3.Listener{
		Name:    name,
		Address: socketAddress("0.0.0.0", port),
		FilterChains: []*listenerv3.FilterChain{{
			FilterChainMatch: plainHTTP(),
			Filters: []*listenerv3.Filter{connectionManager(&hcmv3.HttpConnectionManager{
				StatPrefix:     "outbound_" + name + ";",
				RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{ConfigSource: routes, RouteConfigName: decimal(port)}},
			})},
		}},
		DefaultFilterChain:               &listenerv3.FilterChain{Name: "PassthroughFilterChain", FilterChainMatch: &listenerv3.FilterChainMatch{}, Filters: []*listenerv3.Filter{tcpProxy("PassthroughCluster")}},
		ListenerFilters:                  []*listenerv3.ListenerFilter{listenerFilter("envoy.filters.listener.http_inspector", &httpinspectorv3.HttpInspector{})},
		ListenerFiltersTimeout:           seconds(0),
		ContinueOnListenerFiltersTimeout: true,
		TrafficDirection:                 corev3.TrafficDirection_OUTBOUND,
		BindToPort:                       boolean(false),
	}
}

func virtualOutbound() *listenerv3.Listener {
	return &listenerv3.Listener{
		Name:    "virtualOutbound",
		Address: socketAddress("0.0.0.0", 15001),
		FilterChains: []*listenerv3.FilterChain{
			{
				Name:             "virtualOutbound-blackhole",
				FilterChainMatch: &listenerv3.FilterChainMatch{DestinationPort: number(15001)},
				Filters:          []*listenerv3.Filter{tcpProxy("BlackHoleCluster")},
			},
			{Name: "virtualOutbound-catchall-tcp", Filters: []*listenerv3.Filter{tcpProxy("PassthroughCluster")}},
		},
		UseOriginalDst:                       boolean(true),
		TrafficDirection:                     corev3.TrafficDirection_OUTBOUND,
		MaxConnectionsToAcceptPerSocketEvent: number(1),
	}
}

func (r *Registry) virtualInbound(n *Proxy) *listenerv3.Listener {
	own := "inbound|" + decimal(n.Port) + "||"
	rules := r.access(n)
	service := func() *listenerv3.Filter {
		return inboundHTTP(rules, "inbound_0.0.0.0_"+decimal(n.Port)+";", inlineRoutes(own, "inbound|http|"+decimal(n.Port), "/", own, Host(n.App, n.Namespace)+":"+decimal(n.Port)+"/*"))
	}
	rest := func() *listenerv3.Filter {
		return inboundHTTP(rules, "InboundPassthroughCluster;", inlineRoutes("InboundPassthroughCluster", "inbound|http|0", "/", "InboundPassthroughCluster", ":0/*"))
	}
	bytes := func() []*listenerv3.Filter {
		filters := []*listenerv3.Filter{peerExchange(), tcpProxy("InboundPassthroughCluster")}
		if rules != nil {
			filters = slices.Insert(filters, 1, networkFilter("envoy.filters.network.rbac", &networkrbacv3.RBAC{Rules: rules, StatPrefix: "tcp."}))
		}
		return filters
	}
	istioALPN := []string{"istio-http/1.0", "istio-http/1.1", "istio-h2"}
	return &listenerv3.Listener{
		Name:    "virtualInbound",
		Address: socketAddress("0.0.0.0", 15006),
		FilterChains: []*listenerv3.FilterChain{
			{
				Name:             "virtualInbound-blackhole",
				FilterChainMatch: &listenerv3.FilterChainMatch{DestinationPort: number(15006)},
				Filters:          []*listenerv3.Filter{peerExchange(), tcpProxy("BlackHoleCluster")},
			},
			{
				Name:             "virtualInbound-catchall-http",
				FilterChainMatch: &listenerv3.FilterChainMatch{TransportProtocol: "tls", ApplicationProtocols: istioALPN},
				Filters:          []*listenerv3.Filter{peerExchange(), rest()},
				TransportSocket:  mutualTLS("h2", "http/1.1"),
			},
			{
				Name:             "virtualInbound-catchall-http",
				FilterChainMatch: plainHTTP(),
				Filters:          []*listenerv3.Filter{peerExchange(), rest()},
			},
			{
				Name:             "virtualInbound",
				FilterChainMatch: &listenerv3.FilterChainMatch{TransportProtocol: "tls", ApplicationProtocols: []string{"istio-peer-exchange", "istio"}},
				Filters:          bytes(),
				TransportSocket:  mutualTLS("istio-peer-exchange", "h2", "http/1.1"),
			},
			{
				Name:             "virtualInbound",
				FilterChainMatch: &listenerv3.FilterChainMatch{TransportProtocol: "raw_buffer"},
				Filters:          bytes(),
			},
			{
				Name:             "0.0.0.0_" + decimal(n.Port),
				FilterChainMatch: &listenerv3.FilterChainMatch{DestinationPort: number(n.Port), TransportProtocol: "tls", ApplicationProtocols: append([]string{"istio", "istio-peer-exchange"}, istioALPN...)},
				Filters:          []*listenerv3.Filter{peerExchange(), service()},
				TransportSocket:  mutualTLS("h2", "http/1.1"),
			},
			{
				Name:             "0.0.0.0_" + decimal(n.Port),
				FilterChainMatch: &listenerv3.FilterChainMatch{DestinationPort: number(n.Port), TransportProtocol: "raw_buffer"},
				Filters:          []*listenerv3.Filter{peerExchange(), service()},
			},
		},
		ListenerFilters: []*listenerv3.ListenerFilter{
			listenerFilter("envoy.filters.listener.original_dst", &originaldstv3.OriginalDst{}),
			listenerFilter("envoy.filters.listener.tls_inspector", &tlsinspectorv3.TlsInspector{}),
			listenerFilter("envoy.filters.listener.http_inspector", &httpinspectorv3.HttpInspector{}),
		},
		ListenerFiltersTimeout:               seconds(0),
		ContinueOnListenerFiltersTimeout:     true,
		TrafficDirection:                     corev3.TrafficDirection_INBOUND,
		MaxConnectionsToAcceptPerSocketEvent: number(1),
	}
}

func plainHTTP() *listenerv3.FilterChainMatch {
	return &listenerv3.FilterChainMatch{TransportProtocol: "raw_buffer", ApplicationProtocols: []string{"http/1.1", "h2c"}}
}

func mutualTLS(alpn ...string) *corev3.TransportSocket {
	return &corev3.TransportSocket{Name: "envoy.transport_sockets.tls", ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: packed(&tlsv3.DownstreamTlsContext{
		CommonTlsContext: &tlsv3.CommonTlsContext{
			TlsParams:                      tlsVersions(),
			AlpnProtocols:                  alpn,
			TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{fromAgent("default")},
			ValidationContextType: trusted(&matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Prefix{
				Prefix: "spiffe://" + TrustDomain + "/",
			}}),
		},
		RequireClientCertificate: boolean(true),
	})}}
}

func inboundHTTP(rules *rbacconfigv3.RBAC, statPrefix string, routes *routev3.RouteConfiguration) *listenerv3.Filter {
	var filters []*hcmv3.HttpFilter
	if rules != nil {
		filters = append(filters, httpFilter("envoy.filters.http.rbac", &rbacv3.RBAC{Rules: rules}))
	}
	return connectionManager(&hcmv3.HttpConnectionManager{
		StatPrefix:               statPrefix,
		RouteSpecifier:           &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: routes},
		ServerName:               "istio-envoy",
		ForwardClientCertDetails: hcmv3.HttpConnectionManager_APPEND_FORWARD,
		SetCurrentClientCertDetails: &hcmv3.HttpConnectionManager_SetCurrentClientCertDetails{
			Subject: boolean(true), Dns: true, Uri: true,
		},
	}, filters...)
}

// connectionManager completes an HTTP connection manager with what all of Istio's have, behind access rules, if any.
func connectionManager(m *hcmv3.HttpConnectionManager, access ...*hcmv3.HttpFilter) *listenerv3.Filter {
	m.HttpFilters = []*hcmv3.HttpFilter{
		httpFilter("istio.metadata_exchange", typedStruct("io.istio.http.peer_metadata.Config", map[string]any{
			"upstream_discovery":   []any{map[string]any{"istio_headers": map[string]any{}}, map[string]any{"workload_discovery": map[string]any{}}},
			"upstream_propagation": []any{map[string]any{"istio_headers": map[string]any{}}},
		})),
		httpFilter("envoy.filters.http.fault", &faultv3.HTTPFault{}),
		httpFilter("envoy.filters.http.cors", &corsv3.Cors{}),
		httpFilter("envoy.filters.http.router", &routerv3.Router{}),
	}
	m.HttpFilters = slices.Insert(m.HttpFilters, 1, access...)
	m.StreamIdleTimeout = seconds(0)
	m.UseRemoteAddress = boolean(false)
	m.Proxy_100Continue = true
	m.UpgradeConfigs = []*hcmv3.HttpConnectionManager_UpgradeConfig{{UpgradeType: "websocket"}}
	m.NormalizePath = boolean(true)
	m.PathWithEscapedSlashesAction = hcmv3.HttpConnectionManager_KEEP_UNCHANGED
	return networkFilter("envoy.filters.network.http_connection_manager", m)
}

func tcpProxy(cluster string) *listenerv3.Filter {
	return networkFilter("envoy.filters.network.tcp_proxy", &tcpv3.TcpProxy{
		StatPrefix: cluster, ClusterSpecifier: &tcpv3.TcpProxy_Cluster{Cluster: cluster},
	})
}

// peerExchange is a filter of Istio's own Envoy, configured without its type being known here.
func peerExchange() *listenerv3.Filter {
	return networkFilter("istio.metadata_exchange", typedStruct("envoy.tcp.metadataexchange.config.MetadataExchange", map[string]any{
		"enable_discovery": true, "protocol": "istio-peer-exchange",
	}))
}

func typedStruct(name string, value map[string]any) *udpav1.TypedStruct {
	return &udpav1.TypedStruct{TypeUrl: "type.googleapis.com/" + name, Value: structure(value)}
}

func networkFilter(name string, config proto.Message) *listenerv3.Filter {
	return &listenerv3.Filter{Name: name, ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: packed(config)}}
}

func httpFilter(name string, config proto.Message) *hcmv3.HttpFilter {
	return &hcmv3.HttpFilter{Name: name, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: packed(config)}}
}

func listenerFilter(name string, config proto.Message) *listenerv3.ListenerFilter {
	return &listenerv3.ListenerFilter{Name: name, ConfigType: &listenerv3.ListenerFilter_TypedConfig{TypedConfig: packed(config)}}
}
