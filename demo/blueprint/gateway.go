package blueprint

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
)

// What bookinfo is published by: the port of its Gateway, and the paths of the VirtualService bound to it.
const gatewayPort = 8080

var (
	publishedPaths    = []string{"/productpage", "/login", "/logout"}
	publishedPrefixes = []string{"/static", "/api/v1/products"}
)

// gateway makes the listener and the route table of a gateway that bookinfo is published on. A gateway that no Gateway object selects
// has neither.
func (r *Registry) gateway(n *Proxy) ([]*listenerv3.Listener, []*routev3.RouteConfiguration) {
	if n.Publishes == "" {
		return nil, nil
	}
	l := &listenerv3.Listener{
		Name:    "0.0.0.0_8080",
		Address: socketAddress("0.0.0.0", gatewayPort),
		FilterChains: []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{connectionManager(&hcmv3.HttpConnectionManager{
			StatPrefix:     "outbound_0.0.0.0_8080;",
			RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{ConfigSource: viaADS(), RouteConfigName: "http.8080"}},
			ServerName:     "istio-envoy",
		})}}},
		ContinueOnListenerFiltersTimeout: true,
		TrafficDirection:                 corev3.TrafficDirection_OUTBOUND,
	}
	host := Host(n.Publishes, "default")
	vhost := &routev3.VirtualHost{Name: "*:80", Domains: []string{"*"}, IncludeRequestAttemptCount: true}
	for _, path := range publishedPaths {
		vhost.Routes = append(vhost.Routes, published(host, &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Path{Path: path}, CaseSensitive: boolean(true)}))
	}
	for _, prefix := range publishedPrefixes {
		vhost.Routes = append(vhost.Routes, published(host, &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: prefix}, CaseSensitive: boolean(true)}))
	}
	return []*listenerv3.Listener{l}, []*routev3.RouteConfiguration{{
		Name:                           "http.8080",
		VirtualHosts:                   []*routev3.VirtualHost{vhost},
		ValidateClusters:               boolean(false),
		MaxDirectResponseBodySizeBytes: number(1 << 20),
		IgnorePortInHostMatching:       true,
	}}
}

func published(host string, match *routev3.RouteMatch) *routev3.Route {
	return &routev3.Route{
		Match:     match,
		Action:    routed([]Share{{Host: host}}, Port{Number: 9080}),
		Metadata:  istioMetadata(map[string]any{"config": configRef("default", "virtual-service", "bookinfo")}),
		Decorator: &routev3.Decorator{Operation: host + ":9080/*"},
	}
}
