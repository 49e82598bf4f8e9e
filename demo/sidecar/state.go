package sidecar

import (
	"slices"
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/proto"
)

// An entry is a resource with what Envoy notes beside it.
type entry[M proto.Message] struct {
	message M
	version string
	at      time.Time
}

// A drained listener takes no connections any more and keeps those it has.
type drained struct {
	entry[*listenerv3.Listener]
	since time.Time
}

// A refusal is a listener that Envoy did not take.
type refusal struct {
	listener *listenerv3.Listener
	reason   string
	at       time.Time
}

// A counter counts the updates of a type.
type counter struct{ attempts, successes, rejections int }

// state is the configuration that a sidecar holds.
type state struct {
	clusters  map[string]entry[*clusterv3.Cluster]
	endpoints map[string]entry[*endpointv3.ClusterLoadAssignment]
	listeners map[string]entry[*listenerv3.Listener]
	routes    map[string]entry[*routev3.RouteConfiguration]
	draining  map[string]drained
	refused   map[string]refusal
	versions  map[string]string // of the last update of a type, by type URL, taken whole or in part
	counts    map[string]counter
}

func newState() state {
	return state{
		clusters:  map[string]entry[*clusterv3.Cluster]{},
		endpoints: map[string]entry[*endpointv3.ClusterLoadAssignment]{},
		listeners: map[string]entry[*listenerv3.Listener]{},
		routes:    map[string]entry[*routev3.RouteConfiguration]{},
		draining:  map[string]drained{},
		refused:   map[string]refusal{},
		versions:  map[string]string{},
		counts:    map[string]counter{},
	}
}

// apply takes what can be taken of a response. It gives Envoy's reason where something could not.
func (s *Sidecar) apply(resp *discoveryv3.DiscoveryResponse) (refused string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, version := s.options.Now(), resp.GetVersionInfo()
	switch resp.GetTypeUrl() {
	case resource.ClusterType:
		reasons := replace(s.state.clusters, received[*clusterv3.Cluster](resp), version, now, s.options.Refuses, nil)
		if len(reasons) > 0 {
			refused = "Error adding/updating cluster(s) " + strings.Join(reasons, ", ")
		}
	case resource.ListenerType:
		refused = s.takeListeners(received[*listenerv3.Listener](resp), version, now)
	case resource.EndpointType:
		merge(s.state.endpoints, received[*endpointv3.ClusterLoadAssignment](resp), version, now)
	case resource.RouteType:
		merge(s.state.routes, received[*routev3.RouteConfiguration](resp), version, now)
	}
	c := s.state.counts[resp.GetTypeUrl()]
	c.attempts++
	if refused == "" {
		c.successes++
	} else {
		c.rejections++
	}
	s.state.counts[resp.GetTypeUrl()] = c
	s.state.versions[resp.GetTypeUrl()] = version
	return refused
}

func (s *Sidecar) takeListeners(update []*listenerv3.Listener, version string, now time.Time) string {
	clear(s.state.refused)
	for _, l := range update {
		was, known := s.state.listeners[l.GetName()]
		reason, refuses := s.options.Refuses[l.GetName()]
		if refuses && known && !proto.Equal(was.message, l) {
			s.state.refused[l.GetName()] = refusal{l, reason, now}
		}
	}
	reasons := replace(s.state.listeners, update, version, now, s.options.Refuses, func(old entry[*listenerv3.Listener]) {
		s.state.draining[old.message.GetName()] = drained{old, now}
	})
	if len(reasons) == 0 {
		return ""
	}
	return "Error adding/updating listener(s) " + strings.Join(reasons, "\n") + "\n"
}

// replace makes held what an update of the whole type says: what it lacks goes, what it changes comes, unless refused. What did not change keeps
// its version, as in Envoy. It gives the reasons of what was refused.
func replace[M proto.Message](held map[string]entry[M], update []M, version string, now time.Time, refuses map[string]string, removed func(entry[M])) (reasons []string) {
	present := map[string]bool{}
	for _, m := range update {
		name := cache.GetResourceName(types.Resource(m))
		present[name] = true
		was, known := held[name]
		if known && proto.Equal(was.message, m) {
			continue
		}
		if reason, ok := refuses[name]; ok && known {
			reasons = append(reasons, name+": "+reason)
			continue
		}
		held[name] = entry[M]{m, version, now}
	}
	for name, old := range held {
		if !present[name] {
			delete(held, name)
			if removed != nil {
				removed(old)
			}
		}
	}
	slices.Sort(reasons)
	return reasons
}

// merge takes an update of named resources, which need not have all.
func merge[M proto.Message](held map[string]entry[M], update []M, version string, now time.Time) {
	for _, m := range update {
		held[cache.GetResourceName(types.Resource(m))] = entry[M]{m, version, now}
	}
}

func received[M proto.Message](resp *discoveryv3.DiscoveryResponse) []M {
	var out []M
	for _, a := range resp.GetResources() {
		if m, err := a.UnmarshalNew(); err == nil {
			if typed, ok := m.(M); ok {
				out = append(out, typed)
			}
		}
	}
	return out
}

// endpointNames are the load assignments that the clusters need.
func (st *state) endpointNames() []string {
	names := map[string]bool{}
	for _, c := range st.clusters {
		if c.message.GetType() == clusterv3.Cluster_EDS {
			names[endpointName(c.message)] = true
		}
	}
	return sortedKeys(names)
}

// endpointName is what a cluster calls its load assignment.
func endpointName(c *clusterv3.Cluster) string {
	if name := c.GetEdsClusterConfig().GetServiceName(); name != "" {
		return name
	}
	return c.GetName()
}

// warm tells whether a cluster has what it needs to be used.
func (st *state) warm(c *clusterv3.Cluster) bool {
	_, ok := st.endpoints[endpointName(c)]
	return ok || c.GetType() != clusterv3.Cluster_EDS
}

// routeNames are the route tables that the listeners need.
func (st *state) routeNames() []string {
	names := map[string]bool{}
	for _, l := range st.listeners {
		for _, m := range managers(l.message) {
			if name := m.GetRds().GetRouteConfigName(); name != "" {
				names[name] = true
			}
		}
	}
	return sortedKeys(names)
}

// ready tells whether a listener takes connections: it has its route tables, or does not wait for them for ever.
func (st *state) ready(l *listenerv3.Listener) bool {
	for _, m := range managers(l) {
		if rds := m.GetRds(); rds != nil && rds.GetConfigSource().GetInitialFetchTimeout().AsDuration() == 0 {
			if _, ok := st.routes[rds.GetRouteConfigName()]; !ok {
				return false
			}
		}
	}
	return true
}

// managers gives the HTTP connection managers of a listener.
func managers(l *listenerv3.Listener) []*hcmv3.HttpConnectionManager {
	chains := l.GetFilterChains()
	if d := l.GetDefaultFilterChain(); d != nil {
		chains = append(slices.Clone(chains), d)
	}
	var out []*hcmv3.HttpConnectionManager
	for _, chain := range chains {
		for _, f := range chain.GetFilters() {
			m := &hcmv3.HttpConnectionManager{}
			if f.GetTypedConfig().MessageIs(m) && f.GetTypedConfig().UnmarshalTo(m) == nil {
				out = append(out, m)
			}
		}
	}
	return out
}
