package difftest

import (
	"fmt"
	"strings"
)

// spread makes a cluster whose endpoints differ in health, priority, locality and weight, and the criteria its route has.
func (p picker) spread(name string, ports []int) (d dict, criteria dict) {
	d = dict{"name": name, "type": "STATIC", "connect_timeout": "1s", "load_assignment": p.assignment(name, ports)}
	common := dict{}
	p.maybe(common, .5, "healthy_panic_threshold", dict{"value": one(p, 0, 20, 29, 50, 57, 66.9, 80)})
	var subsets dict
	if p.chance(.5) {
		subsets, criteria = p.subsets()
	}
	kind := one(p, "ROUND_ROBIN", "RANDOM", "LEAST_REQUEST", "ROUND_ROBIN", "RANDOM", "LEAST_REQUEST", "RING_HASH", "MAGLEV")
	byLocality := p.chance(.4)
	if p.chance(.4) {
		d["load_balancing_policy"] = p.policies(kind, byLocality, subsets)
	} else {
		d["lb_policy"] = kind
		if kind == "RING_HASH" {
			d["ring_hash_lb_config"] = dict{"minimum_ring_size": ringSize}
		}
		switch {
		case byLocality:
			common["locality_weighted_lb_config"] = dict{}
		case p.chance(.3):
			common["zone_aware_lb_config"] = dict{"fail_traffic_on_panic": true}
		}
		if subsets != nil {
			if !byLocality { // Envoy refuses these then
				delete(subsets, "locality_weight_aware")
				delete(subsets, "scale_locality_weight")
			}
			d["lb_subset_config"] = subsets
		}
	}
	if len(common) > 0 {
		d["common_lb_config"] = common
	}
	return d, criteria
}

// ringSize is large enough for hosts of a ring to get nearly what their weights say.
const ringSize = 60_000

// hashes reports whether a cluster spreads requests by hashes.
func hashes(d dict) bool {
	all := strings.ToLower(string(text(d)))
	return strings.Contains(all, "ring_hash") || strings.Contains(all, "maglev")
}

// assignment is endpoints for a cluster.
func (p picker) assignment(name string, ports []int) dict {
	var localities []any
	hosts := some(p, 3+p.IntN(hostPorts-2), ports...)
	weighted := p.chance(.4)
	for priority := 0; len(hosts) > 0; priority++ {
		for range 1 + p.IntN(3) {
			n := min(len(hosts), 1+p.IntN(4))
			var endpoints []any
			for _, port := range hosts[:n] {
				e := dict{"endpoint": dict{"address": socket("127.0.0.1", port)}}
				p.maybe(e, .5, "health_status", one(p, "UNKNOWN", "HEALTHY", "UNHEALTHY", "UNHEALTHY", "DRAINING", "TIMEOUT", "DEGRADED", "DEGRADED"))
				if weighted {
					e["load_balancing_weight"] = one(p, 1, 2, 5)
				}
				p.maybe(e, .85, "metadata", dict{"filter_metadata": dict{"envoy.lb": p.labels()}})
				endpoints = append(endpoints, e)
			}
			l := dict{"priority": priority, "lb_endpoints": endpoints}
			p.maybe(l, .9, "locality", dict{"zone": fmt.Sprintf("z%d", p.IntN(3))})
			p.maybe(l, .8, "load_balancing_weight", one(p, 1, 3, 10))
			localities = append(localities, l)
			if hosts = hosts[n:]; len(hosts) == 0 {
				break
			}
		}
	}
	out := dict{"cluster_name": name, "endpoints": localities}
	if p.chance(.3) {
		rules := dict{"overprovisioning_factor": one(p, 100, 120, 200)}
		p.maybe(rules, .5, "weighted_priority_health", true)
		out["policy"] = rules
	}
	return out
}

// labels are an endpoint's, by which subsets are made.
func (p picker) labels() dict {
	d := dict{"v": one(p, "1", "2"), "z": one(p, "a", "b")}
	p.maybe(d, .2, "v", one[any](p, []any{"1", "2"}, []any{"1"}, 1, []any{"2", "3"}))
	p.maybe(d, .2, "q", "x")
	if p.chance(.1) {
		delete(d, "z")
	}
	return d
}

// subsets are settings of subset load balancing, and criteria of a route.
func (p picker) subsets() (d, criteria dict) {
	fallbacks := []string{"NO_FALLBACK", "ANY_ENDPOINT", "DEFAULT_SUBSET"}
	var selectors []any
	for range 1 + p.IntN(3) {
		keys := one(p, []string{"v"}, []string{"z"}, []string{"v", "z"}, []string{"q"}, []string{"q", "v"}, []string{"q", "v", "z"})
		s := dict{"keys": keys}
		if p.chance(.5) {
			s["fallback_policy"] = one(p, fallbacks...)
			if len(keys) > 1 && p.chance(.4) {
				s["fallback_policy"], s["fallback_keys_subset"] = "KEYS_SUBSET", some(p, len(keys)-1, keys...)
			}
		}
		p.maybe(s, .15, "single_host_per_subset", true)
		selectors = append(selectors, s)
	}
	d = dict{"fallback_policy": one(p, fallbacks...), "subset_selectors": selectors, "default_subset": one(p, dict{"v": "1"}, dict{"v": "9"}, dict{}, dict{"z": "a"})}
	p.maybe(d, .4, "list_as_any", true)
	p.maybe(d, .4, "panic_mode_any", true)
	if p.chance(.5) {
		d["locality_weight_aware"] = true
		p.maybe(d, .5, "scale_locality_weight", true)
	}
	criteria = dict{"v": one[any](p, "1", "2", "3", 1, []any{"1", "2"})}
	p.maybe(criteria, .5, "z", one(p, "a", "b", "c"))
	p.maybe(criteria, .2, "q", "x")
	if p.chance(.15) {
		criteria = one(p, nil, dict{"z": "a"}, dict{"q": "x"})
	}
	if criteria != nil && p.chance(.25) {
		d["metadata_fallback_policy"] = "FALLBACK_LIST"
		criteria["fallback_list"] = one(p, []any{dict{"v": "3"}, dict{"v": "2"}}, []any{}, []any{dict{}}, []any{dict{"z": "b"}, dict{"v": "1"}})
	}
	return d, criteria
}

// policies is a load_balancing_policy in the form of extensions.
func (p picker) policies(kind string, byLocality bool, subsets dict) dict {
	message := map[string]string{"ROUND_ROBIN": "round_robin.v3.RoundRobin", "RANDOM": "random.v3.Random", "LEAST_REQUEST": "least_request.v3.LeastRequest", "RING_HASH": "ring_hash.v3.RingHash", "MAGLEV": "maglev.v3.Maglev"}[kind]
	hash := kind == "RING_HASH" || kind == "MAGLEV"
	config := dict{}
	switch {
	case byLocality && hash:
		config["locality_weighted_lb_config"] = dict{}
	case byLocality:
		config["locality_lb_config"] = dict{"locality_weighted_lb_config": dict{}}
	case !hash && p.chance(.3):
		config["locality_lb_config"] = dict{"zone_aware_lb_config": dict{"fail_traffic_on_panic": true}}
	}
	if kind == "RING_HASH" {
		config["minimum_ring_size"] = ringSize
	}
	named := func(name string, message string, config dict) []any {
		return []any{dict{"typed_extension_config": dict{"name": name, "typed_config": typed("load_balancing_policies."+message, config)}}}
	}
	list := named("pick", message, config)
	if subsets != nil {
		subsets["subset_lb_policy"] = dict{"policies": list}
		p.maybe(subsets, .5, "allow_redundant_keys", true)
		list = named("subset", "subset.v3.Subset", subsets)
	}
	if p.chance(.2) { // one that Envoy does not know is passed over
		list = append([]any{dict{"typed_extension_config": dict{"name": "own", "typed_config": dict{"@type": "type.googleapis.com/xds.type.v3.TypedStruct", "type_url": "type.googleapis.com/my.Own", "value": dict{}}}}}, list...)
	}
	return dict{"policies": list}
}

// inZones is endpoints of one priority in zones.
func (p picker) inZones(name string, ports []int, zones []string, healths ...string) dict {
	weighted := p.chance(.4)
	ports = some(p, len(ports), ports...)
	var localities []any
	for _, zone := range zones {
		var endpoints []any
		for _, port := range ports[:min(len(ports), 1+p.IntN(5))] {
			e := dict{"endpoint": dict{"address": socket("127.0.0.1", port)}, "health_status": one(p, healths...)}
			if weighted {
				e["load_balancing_weight"] = one(p, 1, 2, 5)
			}
			endpoints = append(endpoints, e)
		}
		ports = ports[len(endpoints):]
		if len(endpoints) > 0 {
			localities = append(localities, dict{"locality": dict{"zone": zone}, "lb_endpoints": endpoints})
		}
	}
	return dict{"cluster_name": name, "endpoints": localities}
}

// proxies is the cluster of the proxies like the one that is asked, which is in z0.
func (p picker) proxies(ports []int) dict {
	zones := one(p, []string{"z0", "z1"}, []string{"z0", "z1", "z2"}, []string{"z0"}, []string{"z1", "z2"}, []string{"z0", "z1", "z1"})
	return dict{"name": "local", "type": "STATIC", "connect_timeout": "1s", "load_assignment": p.inZones("local", ports, zones, one(p, []string{"HEALTHY"}, []string{"HEALTHY", "HEALTHY", "UNHEALTHY"})...)}
}

// zoned makes a cluster whose requests are to stay in their zone.
func (p picker) zoned(name string, ports []int) (d, criteria dict) {
	zones := one(p, []string{"z0", "z1"}, []string{"z0", "z1", "z2"}, []string{"z1", "z2"}, []string{"z1", "z0", "z2"}, []string{"z0", "z3"})
	healths := one(p, []string{"HEALTHY"}, []string{"HEALTHY", "HEALTHY", "HEALTHY", "UNHEALTHY"}, []string{"HEALTHY", "DEGRADED"}, []string{"HEALTHY", "HEALTHY", "HEALTHY", "DRAINING"})
	assignment := p.inZones(name, ports[1:], zones, healths...)
	if p.chance(.3) {
		assignment["endpoints"] = append(assignment["endpoints"].([]any), dict{"priority": 1, "locality": dict{"zone": "z0"}, "lb_endpoints": []any{dict{"endpoint": dict{"address": socket("127.0.0.1", ports[0])}}}})
	}
	d = dict{"name": name, "type": "STATIC", "connect_timeout": "1s", "load_assignment": assignment}
	aware := dict{}
	p.maybe(aware, .6, "min_cluster_size", one(p, 1, 2, 4, 8))
	p.maybe(aware, .3, "fail_traffic_on_panic", true)
	p.maybe(aware, .3, "routing_enabled", dict{"value": one(p, 0, 30, 100)})
	common := dict{}
	kind := one(p, "ROUND_ROBIN", "RANDOM", "LEAST_REQUEST")
	if p.chance(.6) {
		p.maybe(aware, .3, "force_local_zone", one(p, dict{}, dict{"min_size": 2}, dict{"min_size": 4}))
		p.maybe(aware, .4, "locality_basis", "HEALTHY_HOSTS_WEIGHT")
		p.maybe(aware, .15, "force_locality_direct_routing", true)
		config := dict{}
		p.maybe(config, .85, "locality_lb_config", dict{"zone_aware_lb_config": aware})
		message := map[string]string{"ROUND_ROBIN": "round_robin.v3.RoundRobin", "RANDOM": "random.v3.Random", "LEAST_REQUEST": "least_request.v3.LeastRequest"}[kind]
		d["load_balancing_policy"] = dict{"policies": []any{dict{"typed_extension_config": dict{"name": "pick", "typed_config": typed("load_balancing_policies."+message, config)}}}}
	} else {
		d["lb_policy"], common["zone_aware_lb_config"] = kind, aware
	}
	p.maybe(common, .3, "healthy_panic_threshold", dict{"value": one(p, 0, 80)})
	if len(common) > 0 {
		d["common_lb_config"] = common
	}
	return d, nil
}
