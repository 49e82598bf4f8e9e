package blueprint

import (
	"cmp"
	"maps"
	"slices"
	"strconv"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	previoushostsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

func decimal(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// routes makes a table for each HTTP port number, as sidecars ask for them.
func (r *Registry) routes(services []*Service) []*routev3.RouteConfiguration {
	tables := map[uint32]*routev3.RouteConfiguration{}
	for _, s := range services {
		for _, p := range s.Ports {
			if p.Protocol != HTTP {
				continue
			}
			t := tables[p.Number]
			if t == nil {
				t = &routev3.RouteConfiguration{
					Name:                           decimal(p.Number),
					ValidateClusters:               boolean(false),
					MaxDirectResponseBodySizeBytes: number(1 << 20),
					IgnorePortInHostMatching:       true,
				}
				tables[p.Number] = t
			}
			t.VirtualHosts = append(t.VirtualHosts, r.virtualHost(s, p))
		}
	}
	out := make([]*routev3.RouteConfiguration, 0, len(tables))
	for _, port := range slices.Sorted(maps.Keys(tables)) {
		t := tables[port]
		slices.SortFunc(t.VirtualHosts, func(a, b *routev3.VirtualHost) int { return cmp.Compare(a.Name, b.Name) })
		t.VirtualHosts = append(t.VirtualHosts, &routev3.VirtualHost{
			Name:    "allow_any",
			Domains: []string{"*"},
			Routes: []*routev3.Route{{
				Name:  "allow_any",
				Match: everything(),
				Action: &routev3.Route_Route{Route: &routev3.RouteAction{
					ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: "PassthroughCluster"}, Timeout: seconds(0),
				}},
			}},
			IncludeRequestAttemptCount: true,
		})
		out = append(out, t)
	}
	return out
}

func (r *Registry) virtualHost(s *Service, p Port) *routev3.VirtualHost {
	host := s.Host()
	return &routev3.VirtualHost{
		Name:                       host + ":" + decimal(p.Number),
		Domains:                    []string{host, host + ".", s.Name, s.Name + "." + s.Namespace + ".svc", s.Name + "." + s.Namespace, s.VIP},
		Routes:                     r.rulesOf(s, p),
		IncludeRequestAttemptCount: true,
	}
}

// rulesOf gives the routes of a service's VirtualService, or the one that Istio makes where there is none.
func (r *Registry) rulesOf(s *Service, p Port) []*routev3.Route {
	operation := &routev3.Decorator{Operation: s.Host() + ":" + decimal(p.Number) + "/*"}
	rules := r.Rules[s.Host()]
	if len(rules) == 0 {
		action := routed([]Share{{Host: s.Host()}}, p)
		return []*routev3.Route{{Name: "default", Match: everything(), Action: action, Decorator: operation}}
	}
	var out []*routev3.Route
	for _, rule := range rules {
		match := everything()
		if rule.User != "" {
			match.CaseSensitive = boolean(true)
			match.Headers = []*routev3.HeaderMatcher{{
				Name: "end-user",
				HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{StringMatch: &matcherv3.StringMatcher{
					MatchPattern: &matcherv3.StringMatcher_Exact{Exact: rule.User},
				}},
			}}
		}
		out = append(out, &routev3.Route{
			Name:      rule.Name,
			Match:     match,
			Action:    routed(rule.Shares, p),
			Metadata:  istioMetadata(map[string]any{"config": configRef(s.Namespace, "virtual-service", s.Name)}),
			Decorator: operation,
		})
	}
	return out
}

func everything() *routev3.RouteMatch {
	return &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}}
}

func routed(shares []Share, p Port) *routev3.Route_Route {
	a := &routev3.RouteAction{Timeout: seconds(0), RetryPolicy: retries()}
	if len(shares) == 1 {
		a.ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: ClusterName(p.Number, shares[0].Subset, shares[0].Host)}
		return &routev3.Route_Route{Route: a}
	}
	weighted := &routev3.WeightedCluster{}
	for _, share := range shares {
		weighted.Clusters = append(weighted.Clusters, &routev3.WeightedCluster_ClusterWeight{
			Name: ClusterName(p.Number, share.Subset, share.Host), Weight: number(share.Weight),
		})
	}
	a.ClusterSpecifier = &routev3.RouteAction_WeightedClusters{WeightedClusters: weighted}
	return &routev3.Route_Route{Route: a}
}

// retries are Istio's, for a route that says nothing about them.
func retries() *routev3.RetryPolicy {
	return &routev3.RetryPolicy{
		RetryOn:    "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes",
		NumRetries: number(2),
		RetryHostPredicate: []*routev3.RetryPolicy_RetryHostPredicate{{
			Name:       "envoy.retry_host_predicates.previous_hosts",
			ConfigType: &routev3.RetryPolicy_RetryHostPredicate_TypedConfig{TypedConfig: packed(&previoushostsv3.PreviousHostsPredicate{})},
		}},
		HostSelectionRetryMaxAttempts: 5,
	}
}

// inlineRoutes is a table inside a listener that sends everything, or one path, to one cluster.
func inlineRoutes(name, virtualHost, prefix, cluster, operation string) *routev3.RouteConfiguration {
	route := &routev3.Route{
		Match: &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: prefix}},
		Action: &routev3.Route_Route{Route: &routev3.RouteAction{
			ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: cluster},
		}},
	}
	t := &routev3.RouteConfiguration{
		Name:         name,
		VirtualHosts: []*routev3.VirtualHost{{Name: virtualHost, Domains: []string{"*"}, Routes: []*routev3.Route{route}}},
	}
	if operation != "" {
		route.Name = "default"
		route.Decorator = &routev3.Decorator{Operation: operation}
		route.GetRoute().Timeout = seconds(0)
		t.ValidateClusters = boolean(false)
	}
	return t
}
