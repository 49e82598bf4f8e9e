package balance

import (
	"slices"

	"github.com/meshlark/meshlark/xds/cluster"
	"github.com/meshlark/meshlark/xds/extension"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// A policy is how a cluster picks a host of a priority.
type policy struct {
	name         string        // as lb_policy has it
	byLocality   bool          // localities are weighted
	zones        rawjson.Value // how localities near the proxy are preferred (zone_aware_lb_config), which needs no settings
	failsInPanic bool          // a priority in panic gets no host
	subsets      *subsets      // nil for none
	unmodelled   []string
}

// hashes reports whether hosts are found by a hash of the request: then degraded hosts are never used, and localities are weighted as configured.
func (p policy) hashes() bool { return p.name == "RING_HASH" || p.name == "MAGLEV" }

// policyOf reads the policy of a cluster, in the older form or as the first of its extensions that is known.
func policyOf(c cluster.Cluster) policy {
	if list := c.Fields().Get("load_balancing_policy", "policies"); list.Len() > 0 {
		return extensionPolicy(list, 0)
	}
	common := c.Fields().Get("common_lb_config")
	zones := common.Get("zone_aware_lb_config")
	return policy{
		name: c.LbPolicy(), byLocality: common.Get("locality_weighted_lb_config").Exists(),
		zones: zones, failsInPanic: zones.Get("fail_traffic_on_panic").IsTrue(),
		subsets: newSubsets(c.Fields().Get("lb_subset_config")),
	}
}

// maxNested bounds how deep policies that use others may be nested.
const maxNested = 8

// extensionPolicy reads the first of a list of policies that Envoy has.
func extensionPolicy(list rawjson.Value, depth int) policy {
	names := map[string]string{
		"RoundRobin": "ROUND_ROBIN", "LeastRequest": "LEAST_REQUEST", "Random": "RANDOM", "RingHash": "RING_HASH", "Maglev": "MAGLEV",
		"ClusterProvided": "CLUSTER_PROVIDED", "ClientSideWeightedRoundRobin": "ROUND_ROBIN",
	}
	unknown := policy{unmodelled: []string{"load balancing policies that are not known"}}
	for v := range list.Elems() {
		e := extension.New(v.Get("typed_extension_config"))
		config := e.Value
		nested := func(field string) policy {
			if depth == maxNested {
				return unknown
			}
			return extensionPolicy(config.Get(field, "policies"), depth+1)
		}
		kind := e.ShortType()
		locality := config.Get("locality_lb_config")
		zones := locality.Get("zone_aware_lb_config")
		p := policy{
			name: names[kind], byLocality: locality.Get("locality_weighted_lb_config").Exists() || config.Get("locality_weighted_lb_config").Exists(),
			zones: zones, failsInPanic: zones.Get("fail_traffic_on_panic").IsTrue(),
		}
		switch kind {
		case "ClientSideWeightedRoundRobin":
			p.unmodelled = []string{"weights that endpoints report"}
		case "WrrLocality", "LoadAwareLocality":
			p = nested("endpoint_picking_policy")
			p.byLocality = true
			if kind == "LoadAwareLocality" {
				p.unmodelled = append(slices.Clip(p.unmodelled), "weights of localities by the load that endpoints report")
			}
		case "Subset":
			p = nested("subset_lb_policy")
			p.subsets = newSubsets(config)
		case "OverrideHost":
			p = nested("fallback_policy")
			p.unmodelled = append(slices.Clip(p.unmodelled), "endpoints that a header or metadata names (override_host)")
		}
		if p.name != "" {
			return p
		}
	}
	return unknown
}
