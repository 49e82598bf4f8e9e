package balance

import (
	"math"

	"github.com/meshlark/meshlark/xds/endpoint"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// Local is where a proxy is and the cluster of the proxies like it (local_cluster_name of the bootstrap): by both, requests are kept in the proxy's own locality as
// far as the hosts there can be expected to take them.
type Local struct {
	Locality   rawjson.Value // of the node, absent for none
	Assignment endpoint.Assignment
}

// near is the share of requests for the first priority that each of its places gets, where the proxy's own is preferred; nil where none is. part is the part of
// the requests that goes by it.
func (s *spread) near(g *group) (shares []float64, part float64) {
	if s.opts.Local == nil || g.priority != 0 || len(g.places) < 2 || len(g.healthy) < s.zoneSize() {
		return nil, 0
	}
	if part = s.zonePart(); part == 0 {
		return nil, 0
	}
	local := s.opts.Local()
	if local == nil || !local.Locality.Exists() {
		return nil, 0
	}
	own := string(rawjson.Canonical(nil, local.Locality))
	here := newSpread(s.cluster, local.Assignment, Options{Health: s.opts.Health}).groups(nil)
	if len(here) == 0 {
		return nil, 0
	}
	proxies := &here[0]
	forced, isForced := s.forcedSize()
	if !isForced && len(proxies.places) < 2 || len(proxies.find(own).all) == 0 {
		return nil, 0
	}
	shares = make([]float64, len(g.places))
	if proxies.usable() < s.panicThreshold() {
		if s.policy.failsInPanic {
			return shares, part
		}
		return nil, 0
	}
	atHome, left := -1, 0
	room := make([]int, len(g.places))
	for i, p := range g.places {
		there, of := s.percentage(g, p.name), s.percentage(proxies, p.name)
		if p.name != own {
			room[i] = max(0, there-of)
			left += room[i]
			continue
		}
		atHome = i
		switch {
		case there > 0 && there >= of, isForced && len(p.healthy) >= forced:
			shares[i] = 1
			return shares, part
		case of > 0:
			shares[i] = float64(there*10_000/of) / 10_000
		}
	}
	rest := 1.0
	if atHome >= 0 {
		rest -= shares[atHome]
	}
	for i := range shares {
		if left == 0 {
			shares[i] += rest / float64(len(shares))
		} else {
			shares[i] += rest * float64(room[i]) / float64(left)
		}
	}
	return shares, part
}

// find is a place of a group, an empty one when it has none of that name.
func (g *group) find(name string) *place {
	for _, p := range g.places {
		if p.name == name {
			return p
		}
	}
	return &place{}
}

// percentage is which part of the healthy hosts of a group is in a place, in hundredths of a percent.
func (s *spread) percentage(g *group, name string) int {
	here, all := uint64(len(g.find(name).healthy)), uint64(len(g.healthy))
	if enum(s.policy.zones.Get("locality_basis"), "HEALTHY_HOSTS_NUM", "HEALTHY_HOSTS_WEIGHT") == "HEALTHY_HOSTS_WEIGHT" {
		here, all = g.find(name).weights.healthy, g.weights.healthy
	}
	if all == 0 {
		return 0
	}
	return int(10_000 * here / all)
}

// zonePart is the part of requests for which localities near the proxy are preferred.
func (s *spread) zonePart() float64 {
	percent := uint64(100)
	if v := s.policy.zones.Get("routing_enabled"); v.Exists() {
		value, _ := v.Get("value").Float()
		percent = uint64(max(0, value))
	}
	if value, ok := match.RuntimeUint(s.opts.Runtime["upstream.zone_routing.enabled"]); ok {
		percent = value
	}
	return float64(min(percent, 100)) / 100
}

// zoneSize is how many healthy hosts there have to be for localities to be preferred.
func (s *spread) zoneSize() int {
	size := uint64(6)
	if n, ok := s.policy.zones.Get("min_cluster_size").Uint(); ok {
		size = n
	}
	if value, ok := match.RuntimeUint(s.opts.Runtime["upstream.zone_routing.min_cluster_size"]); ok {
		size = value
	}
	return int(min(size, math.MaxInt32))
}

// forcedSize is how many healthy hosts in the proxy's own locality take all requests; ok is false where that is not asked for.
func (s *spread) forcedSize() (size int, ok bool) {
	if value, ok := match.RuntimeUint(s.opts.Runtime["upstream.zone_routing.force_local_zone.min_size"]); ok && value > 0 {
		return int(min(value, math.MaxInt32)), true
	}
	if force := s.policy.zones.Get("force_local_zone"); force.Exists() {
		if n, ok := force.Get("min_size").Uint(); ok {
			return int(min(n, math.MaxInt32)), true
		}
		return 1, true
	}
	return 1, s.policy.zones.Get("force_locality_direct_routing").IsTrue()
}
