package sidecar

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// An upstream is a cluster in use, with its hosts.
type upstream struct {
	cluster *clusterv3.Cluster
	dynamic bool
	hosts   *endpointv3.ClusterLoadAssignment // nil for those that have none of their own
}

// upstreams gives the clusters in use. The lock is held.
func (s *Sidecar) upstreams() []upstream {
	var out []upstream
	for _, name := range sortedKeys(s.state.clusters) {
		c := s.state.clusters[name].message
		if s.state.warm(c) {
			out = append(out, upstream{c, true, s.state.endpoints[endpointName(c)].message})
		}
	}
	for _, c := range s.options.Bootstrap.GetStaticResources().GetClusters() {
		out = append(out, upstream{c, false, c.GetLoadAssignment()})
	}
	return out
}

func (s *Sidecar) ejected(h *endpointv3.LbEndpoint) bool {
	return slices.Contains(s.options.Ejected, h.GetEndpoint().GetAddress().GetSocketAddress().GetAddress())
}

// clusters answers /clusters, whose filter is a regular expression for a part of the name.
func (s *Sidecar) clusters(w http.ResponseWriter, req *http.Request) {
	match := func(string) bool { return true }
	if filter := req.URL.Query().Get("filter"); filter != "" {
		m, err := partMatch(filter)
		if err != nil {
			plain(w, http.StatusBadRequest, "Invalid re2 regex\n")
			return
		}
		match = m
	}
	answer := &adminv3.Clusters{}
	s.mu.Lock()
	for _, u := range s.upstreams() {
		if match(u.cluster.GetName()) {
			answer.ClusterStatuses = append(answer.ClusterStatuses, s.clusterStatus(u))
		}
	}
	s.mu.Unlock()
	switch format := req.URL.Query().Get("format"); format {
	case "json":
		show(w, answer, false)
	case "", "text":
		plain(w, http.StatusOK, clusterText(answer))
	default:
		plain(w, http.StatusBadRequest, "usage: /clusters?format=(json|text)\n\n")
	}
}

func (s *Sidecar) clusterStatus(u upstream) *adminv3.ClusterStatus {
	c := u.cluster
	out := &adminv3.ClusterStatus{
		Name:              c.GetName(),
		AddedViaApi:       u.dynamic,
		EdsServiceName:    c.GetEdsClusterConfig().GetServiceName(),
		CircuitBreakers:   thresholds(c),
		ObservabilityName: c.GetName(),
	}
	if c.GetAltStatName() != "" {
		out.ObservabilityName = c.GetAltStatName()
	}
	for _, group := range u.hosts.GetEndpoints() {
		for _, h := range group.GetLbEndpoints() {
			out.HostStatuses = append(out.HostStatuses, s.hostStatus(group, h))
		}
	}
	return out
}

func (s *Sidecar) hostStatus(group *endpointv3.LocalityLbEndpoints, h *endpointv3.LbEndpoint) *adminv3.HostStatus {
	health := &adminv3.HostHealthStatus{EdsHealthStatus: h.GetHealthStatus()}
	if h.GetHealthStatus() == corev3.HealthStatus_UNKNOWN {
		health.EdsHealthStatus = corev3.HealthStatus_HEALTHY
	}
	// What an Envoy without traffic counts, and for an ejected host the requests that ejected it.
	counts := map[string]uint64{}
	if s.ejected(h) {
		health.FailedOutlierCheck = true
		counts = map[string]uint64{"cx_total": 5, "cx_connect_fail": 5, "rq_total": 5, "rq_error": 5}
	}
	out := &adminv3.HostStatus{
		Address:      h.GetEndpoint().GetAddress(),
		HealthStatus: health,
		Weight:       max(h.GetLoadBalancingWeight().GetValue(), 1),
		Locality:     &corev3.Locality{Region: group.GetLocality().GetRegion(), Zone: group.GetLocality().GetZone()},
		Priority:     group.GetPriority(),
		Hostname:     h.GetEndpoint().GetHostname(),
	}
	for _, name := range []string{"cx_connect_fail", "cx_total", "rq_error", "rq_success", "rq_timeout", "rq_total"} {
		out.Stats = append(out.Stats, &adminv3.SimpleMetric{Name: name, Value: counts[name]})
	}
	for _, name := range []string{"cx_active", "rq_active", "rq_pending_active"} {
		out.Stats = append(out.Stats, &adminv3.SimpleMetric{Name: name, Type: adminv3.SimpleMetric_GAUGE})
	}
	return out
}

// thresholds are a cluster's circuit breakers for both priorities, with Envoy's defaults (config/cluster/v3/circuit_breaker.proto).
func thresholds(c *clusterv3.Cluster) *clusterv3.CircuitBreakers {
	out := &clusterv3.CircuitBreakers{}
	for _, priority := range []corev3.RoutingPriority{corev3.RoutingPriority_DEFAULT, corev3.RoutingPriority_HIGH} {
		t := &clusterv3.CircuitBreakers_Thresholds{
			Priority: priority, MaxConnections: wrapperspb.UInt32(1024), MaxPendingRequests: wrapperspb.UInt32(1024),
			MaxRequests: wrapperspb.UInt32(1024), MaxRetries: wrapperspb.UInt32(3),
		}
		for _, set := range c.GetCircuitBreakers().GetThresholds() {
			if set.GetPriority() == priority {
				proto.Merge(t, set)
			}
		}
		out.Thresholds = append(out.Thresholds, t)
	}
	return out
}

// clusterText is the form of /clusters that people read.
func clusterText(answer *adminv3.Clusters) string {
	var b strings.Builder
	for _, c := range answer.GetClusterStatuses() {
		fmt.Fprintf(&b, "%s::observability_name::%s\n", c.GetName(), c.GetObservabilityName())
		for _, t := range c.GetCircuitBreakers().GetThresholds() {
			prefix := c.GetName() + "::" + strings.ToLower(t.GetPriority().String()) + "_priority::"
			fmt.Fprintf(&b, "%smax_connections::%d\n", prefix, t.GetMaxConnections().GetValue())
			fmt.Fprintf(&b, "%smax_pending_requests::%d\n", prefix, t.GetMaxPendingRequests().GetValue())
			fmt.Fprintf(&b, "%smax_requests::%d\n", prefix, t.GetMaxRequests().GetValue())
			fmt.Fprintf(&b, "%smax_retries::%d\n", prefix, t.GetMaxRetries().GetValue())
		}
		fmt.Fprintf(&b, "%s::added_via_api::%t\n", c.GetName(), c.GetAddedViaApi())
		if c.GetEdsServiceName() != "" {
			fmt.Fprintf(&b, "%s::eds_service_name::%s\n", c.GetName(), c.GetEdsServiceName())
		}
		for _, h := range c.GetHostStatuses() {
			hostText(&b, c.GetName(), h)
		}
	}
	return b.String()
}

func hostText(b *strings.Builder, cluster string, h *adminv3.HostStatus) {
	address := h.GetAddress().GetPipe().GetPath()
	if sock := h.GetAddress().GetSocketAddress(); sock != nil {
		address = fmt.Sprintf("%s:%d", sock.GetAddress(), sock.GetPortValue())
	}
	line := func(name string, value any) { fmt.Fprintf(b, "%s::%s::%s::%v\n", cluster, address, name, value) }
	stats := slices.SortedFunc(slices.Values(h.GetStats()), func(x, y *adminv3.SimpleMetric) int { return strings.Compare(x.GetName(), y.GetName()) })
	for _, m := range stats {
		line(m.GetName(), m.GetValue())
	}
	flags := ""
	if h.GetHealthStatus().GetFailedOutlierCheck() {
		flags += "/failed_outlier_check"
	}
	if h.GetHealthStatus().GetEdsHealthStatus() == corev3.HealthStatus_UNHEALTHY {
		flags += "/failed_eds_health"
	}
	if flags == "" {
		flags = "healthy"
	}
	line("hostname", h.GetHostname())
	line("health_flags", flags)
	line("weight", h.GetWeight())
	line("region", h.GetLocality().GetRegion())
	line("zone", h.GetLocality().GetZone())
	line("sub_zone", h.GetLocality().GetSubZone())
	line("canary", false)
	line("priority", h.GetPriority())
	line("success_rate", -1)
	line("local_origin_success_rate", -1)
}

// endpointSection is Envoy's account of the hosts of the clusters in use. It is made from what Envoy uses, not from what it was sent: every
// cluster has an entry, weights and health are always there, and the health is the one that counts.
func (s *Sidecar) endpointSection(match func(string) bool) *adminv3.EndpointsConfigDump {
	out := &adminv3.EndpointsConfigDump{}
	for _, u := range s.upstreams() {
		name := endpointName(u.cluster)
		if !match(name) {
			continue
		}
		cla := &endpointv3.ClusterLoadAssignment{
			ClusterName: name,
			Policy:      &endpointv3.ClusterLoadAssignment_Policy{OverprovisioningFactor: wrapperspb.UInt32(140)},
		}
		for _, group := range u.hosts.GetEndpoints() {
			cla.Endpoints = append(cla.Endpoints, s.liveGroup(group))
		}
		if u.dynamic {
			out.DynamicEndpointConfigs = append(out.DynamicEndpointConfigs, &adminv3.EndpointsConfigDump_DynamicEndpointConfig{EndpointConfig: pack(cla)})
		} else {
			out.StaticEndpointConfigs = append(out.StaticEndpointConfigs, &adminv3.EndpointsConfigDump_StaticEndpointConfig{EndpointConfig: pack(cla)})
		}
	}
	return out
}

func (s *Sidecar) liveGroup(group *endpointv3.LocalityLbEndpoints) *endpointv3.LocalityLbEndpoints {
	live := proto.CloneOf(group)
	if live.Locality == nil {
		live.Locality = &corev3.Locality{}
	}
	if live.LoadBalancingWeight == nil {
		live.LoadBalancingWeight = wrapperspb.UInt32(0)
	}
	for _, h := range live.LbEndpoints {
		h.GetEndpoint().HealthCheckConfig = &endpointv3.Endpoint_HealthCheckConfig{}
		if h.LoadBalancingWeight == nil {
			h.LoadBalancingWeight = wrapperspb.UInt32(1)
		}
		switch {
		case s.ejected(h):
			h.HealthStatus = corev3.HealthStatus_UNHEALTHY
		case h.HealthStatus == corev3.HealthStatus_UNKNOWN:
			h.HealthStatus = corev3.HealthStatus_HEALTHY
		}
	}
	return live
}
