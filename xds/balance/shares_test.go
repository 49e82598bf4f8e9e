package balance_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/meshlark/meshlark/xds/balance"
	"github.com/meshlark/meshlark/xds/cluster"
	"github.com/meshlark/meshlark/xds/endpoint"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// endpoints writes an assignment as "0a 0a- 1b*3 {v:1}": hosts of priority 0 in zone a, of priority 1 in zone b. After the zone, - is unhealthy, ~ degraded, x draining, *3 the
// weight. Labels in braces (v=1,z=[x,y]) stand for the host before them. A line of its own, a=3, gives zone a its weight.
func endpoints(lines string) endpoint.Assignment {
	type place struct {
		key   string
		hosts []string
	}
	weights := map[string]string{}
	var places []place
	n := 0
	for word := range strings.FieldsSeq(lines) {
		if zone, weight, ok := strings.Cut(word, "="); ok && len(zone) == 1 {
			weights[zone] = weight
			continue
		}
		word, labels, _ := strings.Cut(word, "{")
		status, weight := "HEALTHY", "1"
		for i, c := range word[2:] {
			switch c {
			case '-':
				status = "UNHEALTHY"
			case '~':
				status = "DEGRADED"
			case 'x':
				status = "DRAINING"
			case '*':
				weight = word[2+i+1:]
			}
		}
		var list []string
		for pair := range strings.SplitSeq(strings.TrimSuffix(labels, "}"), ",") {
			if key, value, ok := strings.Cut(pair, ":"); ok {
				if several := strings.Split(value, "|"); len(several) > 1 {
					list = append(list, `"`+key+`":["`+strings.Join(several, `","`)+`"]`)
				} else {
					list = append(list, `"`+key+`":"`+value+`"`)
				}
			}
		}
		host := fmt.Sprintf(`{"endpoint":{"address":{"socket_address":{"address":"10.0.0.%d","port_value":80}}},"health_status":%q,"load_balancing_weight":%s,"metadata":{"filter_metadata":{"envoy.lb":{%s}}}}`, n, status, weight, strings.Join(list, ","))
		n++
		if at := len(places) - 1; at >= 0 && places[at].key == word[:2] {
			places[at].hosts = append(places[at].hosts, host)
		} else {
			places = append(places, place{word[:2], []string{host}})
		}
	}
	var list []string
	for _, p := range places {
		weight := ""
		if w := weights[p.key[1:]]; w != "" {
			weight = `,"load_balancing_weight":` + w
		}
		list = append(list, fmt.Sprintf(`{"priority":%s,"locality":{"zone":%q}%s,"lb_endpoints":[%s]}`, p.key[:1], p.key[1:], weight, strings.Join(p.hosts, ",")))
	}
	return endpoint.New(rawjson.Value(`{"endpoints":[` + strings.Join(list, ",") + `]}`))
}

// percent gives the shares of hosts in whole percent.
func percent(hosts []balance.Host) string {
	var out []string
	for _, h := range hosts {
		out = append(out, fmt.Sprint(math.Round(h.Share*100)))
	}
	return strings.Join(out, " ")
}

func values(json string) map[string]rawjson.Value {
	if json == "" {
		return nil
	}
	out := map[string]rawjson.Value{}
	for key, v := range rawjson.Value(json).Members() {
		out[key] = v
	}
	return out
}

func TestSubsetRules(t *testing.T) {
	const hosts = "0a{v:1,z:a} 0a{v:1,z:b} 0a{v:2,z:a} 0a{v:2|3} 0a-{v:4} 0a-{v:5} 0a-{v:6} 1a{v:1,z:a}"
	legacy := func(rest string) string { return `{"lb_subset_config":{` + rest + `}}` }
	selectors := func(list ...string) string { return `"subset_selectors":[` + strings.Join(list, ",") + `]` }
	const v, vz = `{"keys":["v"]}`, `{"keys":["z","v"]}`
	for _, tc := range []struct {
		what, cluster, criteria string
		want                    string
	}{
		{"one key", legacy(selectors(v)), `{"v":"1"}`, "50 50 0 0 0 0 0 0"},
		{"two keys, in any order", legacy(selectors(v, vz)), `{"z":"a","v":"1"}`, "100 0 0 0 0 0 0 0"},
		{"keys that no selector has", legacy(selectors(v)), `{"z":"a","v":"1"}`, "0 0 0 0 0 0 0 0"},
		{"unless more keys may come", `{"load_balancing_policy":{"policies":[{"typed_extension_config":{"typed_config":{"@type":"x.Subset","allow_redundant_keys":true,"subset_lb_policy":{"policies":[{"typed_extension_config":{"typed_config":{"@type":"x.RoundRobin"}}}]},` + selectors(v) + `}}}]}}`, `{"z":"a","v":"1"}`, "50 50 0 0 0 0 0 0"},
		{"a list is a value", legacy(selectors(v)), `{"v":["2","3"]}`, "0 0 0 100 0 0 0 0"},
		{"a list stands for its elements", legacy(`"list_as_any":true,` + selectors(v)), `{"v":"2"}`, "0 0 50 50 0 0 0 0"},
		{"a subset of one host", legacy(selectors(`{"keys":["v"],"single_host_per_subset":true}`)), `{"v":"1"}`, "100 0 0 0 0 0 0 0"},
		{"whatever its health", legacy(selectors(`{"keys":["v"],"single_host_per_subset":true}`)), `{"v":"4"}`, "0 0 0 0 100 0 0 0"},
		{"an unhealthy subset is in panic by itself", legacy(selectors(v)), `{"v":"4"}`, "0 0 0 0 100 0 0 0"},
		{"no criteria", legacy(`"fallback_policy":"DEFAULT_SUBSET","default_subset":{"v":"2"},` + selectors(v)), "", "0 0 100 0 0 0 0 0"},
		{"a default subset of all", legacy(`"fallback_policy":2,` + selectors(v)), `{"v":"9"}`, "20 20 20 20 0 0 0 20"},
		{"the selector's fallback", legacy(`"fallback_policy":"ANY_ENDPOINT",` + selectors(`{"keys":["v"],"fallback_policy":"NO_FALLBACK"}`)), `{"v":"9"}`, "0 0 0 0 0 0 0 0"},
		{"fewer keys", legacy(selectors(v, `{"keys":["v","z"],"fallback_policy":"KEYS_SUBSET","fallback_keys_subset":["v"]}`)), `{"v":"2","z":"x"}`, "0 0 100 0 0 0 0 0"},
		{"fewer keys, and then none", legacy(selectors(`{"keys":["v"],"fallback_policy":"ANY_ENDPOINT"}`, `{"keys":["v","z"],"fallback_policy":"KEYS_SUBSET","fallback_keys_subset":["v"]}`)), `{"v":"9","z":"x"}`, "20 20 20 20 0 0 0 20"},
		{"a selector whose keys go on takes the place", legacy(`"fallback_policy":"ANY_ENDPOINT",` + selectors(`{"keys":["v","z"]}`, `{"keys":["v"],"fallback_policy":"NO_FALLBACK"}`)), `{"v":"9"}`, "20 20 20 20 0 0 0 20"},
		{"a default that has no host, and then any", legacy(`"fallback_policy":"DEFAULT_SUBSET","default_subset":{"v":"9"},"panic_mode_any":true,` + selectors(v)), `{"v":"8"}`, "20 20 20 20 0 0 0 20"},
		{"a default that has no host", legacy(`"fallback_policy":"DEFAULT_SUBSET","default_subset":{"v":"9"},` + selectors(v)), `{"v":"8"}`, "0 0 0 0 0 0 0 0"},
		{"not after no fallback", legacy(`"panic_mode_any":true,` + selectors(v)), `{"v":"8"}`, "0 0 0 0 0 0 0 0"},
		{"others in turn", legacy(`"metadata_fallback_policy":"FALLBACK_LIST",` + selectors(v)), `{"v":"9","fallback_list":[{"v":"8"},{"v":"1"},{"v":"2"}]}`, "50 50 0 0 0 0 0 0"},
		{"an empty list of others", legacy(`"metadata_fallback_policy":1,` + selectors(v)), `{"v":"1","fallback_list":[]}`, "50 50 0 0 0 0 0 0"},
		{"a list that nobody asked for is a key", legacy(selectors(v)), `{"v":"1","fallback_list":[]}`, "0 0 0 0 0 0 0 0"},
		{"no selectors", legacy(`"fallback_policy":"NO_FALLBACK"`), `{"v":"1"}`, "20 20 20 20 0 0 0 20"},
	} {
		got := balance.Spread(cluster.New(rawjson.Value(tc.cluster)), endpoints(hosts), balance.Options{Criteria: values(tc.criteria)})
		if shares := percent(got.Hosts); shares != tc.want {
			t.Errorf("%s: %s, want %s (%s)", tc.what, shares, tc.want, got.Reason)
		}
	}
}

// TestLocalitiesOfSubsets is for weighted localities with subsets in them.
func TestLocalitiesOfSubsets(t *testing.T) {
	const hosts = "a=9 b=1 0a{v:1} 0a{v:2} 0a{v:2} 0b{v:1}"
	for rest, want := range map[string]string{
		"":                              "50 0 0 50", // the weights are those of the whole
		`"locality_weight_aware":true,`: "90 0 0 10",
		`"locality_weight_aware":true,"scale_locality_weight":true,`: "75 0 0 25", // a third of 9, and all of 1
	} {
		c := cluster.New(rawjson.Value(`{"common_lb_config":{"locality_weighted_lb_config":{}},"lb_subset_config":{` + rest + `"subset_selectors":[{"keys":["v"]}]}}`))
		if got := percent(balance.Spread(c, endpoints(hosts), balance.Options{Criteria: values(`{"v":"1"}`)}).Hosts); got != want {
			t.Errorf("%s: %s, want %s", rest, got, want)
		}
	}
}

func TestPolicies(t *testing.T) {
	extension := func(list ...string) string {
		var out []string
		for _, config := range list {
			out = append(out, `{"typed_extension_config":{"name":"p","typed_config":{"@type":"type.googleapis.com/envoy.extensions.load_balancing_policies.`+config+`}}}`)
		}
		return `{"load_balancing_policy":{"policies":[` + strings.Join(out, ",") + `]}}`
	}
	inner := func(config string) string {
		return `{"policies":[{"typed_extension_config":{"name":"p","typed_config":{"@type":"type.googleapis.com/envoy.extensions.load_balancing_policies.` + config + `}}}]}`
	}
	const localities = `"locality_lb_config":{"locality_weighted_lb_config":{}}`
	for _, tc := range []struct {
		what, cluster, hosts, want string
		unknown                    bool
	}{
		{"round robin", extension(`round_robin.v3.RoundRobin"`), "0a 0a*3", "25 75", false},
		{"random", extension(`random.v3.Random"`), "0a 0a*3", "50 50", false},
		{"least request", extension(`least_request.v3.LeastRequest"`), "0a 0a*3", "25 75", false},
		{"localities", extension(`round_robin.v3.RoundRobin",` + localities), "a=1 b=4 0a 0b 0b", "20 40 40", false},
		{"localities that are not asked for", extension(`round_robin.v3.RoundRobin"`), "a=1 b=4 0a 0b", "50 50", false},
		{"localities without weights are as if not asked for", extension(`round_robin.v3.RoundRobin",` + localities), "0a 0b 0b", "33 33 33", false},
		{"localities by a policy around", extension(`wrr_locality.v3.WrrLocality","endpoint_picking_policy":` + inner(`round_robin.v3.RoundRobin"`)), "a=1 b=4 0a 0b", "20 80", false},
		{"the first that is known", extension(`own.Own"`, `random.v3.Random"`), "0a 0a*3", "50 50", false},
		{"none that is known", extension(`own.Own"`), "0a 0a*3", "25 75", true},
		{"a ring", extension(`ring_hash.v3.RingHash"`), "0a 0a~ 0a*3", "25 0 75", false},
		{"a ring in panic", extension(`ring_hash.v3.RingHash"`), "0a 0a- 0a-", "33 33 33", false},
		{"a ring by the older field", `{"lb_policy":"RING_HASH"}`, "0a 0a~", "100 0", false},
		{"a table", `{"lb_policy":"MAGLEV","common_lb_config":{"locality_weighted_lb_config":{}}}`, "a=1 b=4 0a 0b 0b~", "20 80 0", false},
		{"a table without weighted localities has none", `{"lb_policy":"MAGLEV","common_lb_config":{"locality_weighted_lb_config":{}}}`, "0a 0b", "0 0", false},
		{"subsets", extension(`subset.v3.Subset","subset_selectors":[{"keys":["v"]}],"fallback_policy":"ANY_ENDPOINT","subset_lb_policy":` + inner(`random.v3.Random"`)), "0a 0a*3", "50 50", false},
		{"reported loads", extension(`client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin"`), "0a 0a*3", "25 75", true},
		{"an endpoint by a header", extension(`override_host.v3.OverrideHost","fallback_policy":` + inner(`random.v3.Random"`)), "0a 0a*3", "50 50", true},
	} {
		got := balance.Spread(cluster.New(rawjson.Value(tc.cluster)), endpoints(tc.hosts), balance.Options{})
		if shares := percent(got.Hosts); shares != tc.want || (len(got.Step.Unmodelled) > 0) != tc.unknown {
			t.Errorf("%s: %s, want %s; not known %v", tc.what, shares, tc.want, got.Step.Unmodelled)
		}
	}
}

func TestZones(t *testing.T) {
	const aware = `"common_lb_config":{"zone_aware_lb_config":{"min_cluster_size":2`
	for _, tc := range []struct {
		what, cluster, hosts, proxies string
		runtime                       map[string]any
		want                          string
	}{
		{"as many here as there are proxies", `{` + aware + `}}}`, "0a 0b", "0a 0b", nil, "100 0"},
		{"more", `{` + aware + `}}}`, "0a 0a 0b", "0a 0b", nil, "50 50 0"},
		{"fewer", `{` + aware + `}}}`, "0a 0b 0b 0b", "0a 0b", nil, "50 17 17 17"},
		{"fewer, and most are further away", `{` + aware + `}}}`, "0a 0b 0b 0c", "0a 0a 0b 0c", nil, "50 25 25 0"},
		{"too few hosts", `{}`, "0a 0b 0b 0b", "0a 0b", nil, "25 25 25 25"},
		{"enough by a runtime value", `{}`, "0a 0b 0b 0b", "0a 0b", map[string]any{"upstream.zone_routing.min_cluster_size": 2}, "50 17 17 17"},
		{"half of them", `{` + aware + `,"routing_enabled":{"value":50}}}}`, "0a 0b", "0a 0b", nil, "75 25"},
		{"by a runtime value", `{` + aware + `}}}`, "0a 0b", "0a 0b", map[string]any{"upstream.zone_routing.enabled": 0}, "50 50"},
		{"no proxy here", `{` + aware + `}}}`, "0a 0b", "0b 0c", nil, "50 50"},
		{"proxies in one zone", `{` + aware + `}}}`, "0a 0b", "0a 0a", nil, "50 50"},
		{"hosts in one zone", `{` + aware + `}}}`, "0b 0b", "0a 0b", nil, "50 50"},
		{"proxies in panic", `{` + aware + `}}}`, "0a 0b", "0a 0b- 0b- 0b-", nil, "50 50"},
		{"no requests in panic", `{` + aware + `,"fail_traffic_on_panic":true}}}`, "0a 0b- 0b- 0b-", "0a 0b", nil, "0 0 0 0"},
		{"only the first priority", `{` + aware + `}}}`, "0a- 0b- 1a 1b", "0a 0b", nil, "0 0 50 50"},
		{"forced", `{"load_balancing_policy":{"policies":[{"typed_extension_config":{"typed_config":{"@type":"x.RoundRobin","locality_lb_config":{"zone_aware_lb_config":{"min_cluster_size":1,"force_local_zone":{"min_size":1}}}}}}]}}`, "0a 0b 0b 0b", "0a 0b", nil, "100 0 0 0"},
		{"forced, and too few", `{"load_balancing_policy":{"policies":[{"typed_extension_config":{"typed_config":{"@type":"x.RoundRobin","locality_lb_config":{"zone_aware_lb_config":{"min_cluster_size":1,"force_local_zone":{"min_size":2}}}}}}]}}`, "0a 0b 0b 0b", "0a 0b", nil, "50 17 17 17"},
		{"by weight", `{"load_balancing_policy":{"policies":[{"typed_extension_config":{"typed_config":{"@type":"x.RoundRobin","locality_lb_config":{"zone_aware_lb_config":{"min_cluster_size":1,"locality_basis":"HEALTHY_HOSTS_WEIGHT"}}}}}]}}`, "0a*3 0b", "0a 0b", nil, "100 0"},
		{"without settings", `{"lb_policy":"RANDOM"}`, "0a 0a 0a 0b 0b 0b", "0a 0b", nil, "33 33 33 0 0 0"},
	} {
		local := &balance.Local{Locality: rawjson.Value(`{"zone":"a"}`), Assignment: endpoints(tc.proxies)}
		options := balance.Options{Local: func() *balance.Local { return local }, Runtime: tc.runtime}
		if got := percent(balance.Spread(cluster.New(rawjson.Value(tc.cluster)), endpoints(tc.hosts), options).Hosts); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.what, got, tc.want)
		}
	}
}

func TestMembers(t *testing.T) {
	member := func(body, hosts string) balance.Member {
		return balance.Member{Cluster: cluster.New(rawjson.Value(body)), Assignment: endpoints(hosts)}
	}
	factor := func(m balance.Member, factor string) balance.Member {
		m.Assignment = endpoint.New(rawjson.Value(strings.Replace(string(m.Assignment.Body()), "{", `{"policy":{"overprovisioning_factor":`+factor+`},`, 1)))
		return m
	}
	for _, tc := range []struct {
		what, outer string
		members     []balance.Member
		want        string
	}{
		{"the second has what the first leaves", `{}`, []balance.Member{member(`{}`, "0a 0a-"), member(`{}`, "0a")}, "70 0 30"},
		{"each by its own factor", `{}`, []balance.Member{factor(member(`{}`, "0a 0a-"), "100"), member(`{}`, "0a 0a-")}, "50 0 50 0"},
		{"each by its own policy", `{}`, []balance.Member{member(`{"lb_policy":"RANDOM"}`, "0a 0a*3"), member(`{}`, "0a")}, "50 50 0"},
		{"a ring spreads by its own priorities", `{}`, []balance.Member{member(`{}`, "0a 0a"), member(`{"lb_policy":"RING_HASH"}`, "0a 0a- 1a")}, "50 50 0 0 0"},
		{"a member is in panic by itself", `{}`, []balance.Member{member(`{}`, "0a 0a- 0a-"), member(`{"lb_policy":"RING_HASH"}`, "0a 0a- 1a")}, "15 15 15 38 0 16"},
		{"the outer has no panic, the first member has", `{"common_lb_config":{"healthy_panic_threshold":{"value":0}}}`, []balance.Member{member(`{}`, "0a-"), member(`{}`, "0a-")}, "100 0"},
		{"panic", `{}`, []balance.Member{member(`{}`, "0a-"), member(`{}`, "0a- 0a- 0a-")}, "25 25 25 25"},
	} {
		got, owners := balance.Aggregate(cluster.New(rawjson.Value(tc.outer)), tc.members, balance.Options{})
		if shares := percent(got.Hosts); shares != tc.want || len(owners) != len(got.Hosts) {
			t.Errorf("%s: %s of %d, want %s", tc.what, shares, len(owners), tc.want)
		}
	}
}

func TestTwice(t *testing.T) {
	for kind, want := range map[string]string{"EDS": "100 0", "STATIC": "50 50"} {
		twice := strings.ReplaceAll(string(endpoints("0a 0a").Body()), "10.0.0.1", "10.0.0.0")
		if got := percent(balance.Spread(cluster.New(rawjson.Value(`{"type":"`+kind+`"}`)), endpoint.New(rawjson.Value(twice)), balance.Options{}).Hosts); got != want {
			t.Errorf("an endpoint that a cluster of type %s lists twice: %s, want %s", kind, got, want)
		}
	}
}

// TestThreshold is for a threshold that Envoy cuts to a whole number, in a computation that loses one.
func TestThreshold(t *testing.T) {
	for value, panics := range map[string]bool{"29": false, "29.1": true, "28.9": false, "80": true} {
		c := cluster.New(rawjson.Value(`{"common_lb_config":{"healthy_panic_threshold":{"value":` + value + `}}}`))
		got := balance.Spread(c, endpoints("0a 0a 0a- 0a- 0a- 0a- 0a-"), balance.Options{}) // 2 of 7 are 28.57 %
		if got.Priorities[0].Panic != panics {
			t.Errorf("a threshold of %s: panic %v", value, got.Priorities[0].Panic)
		}
	}
	runtime := map[string]any{"upstream.healthy_panic_threshold": 20}
	if got := balance.Spread(cluster.New(rawjson.Value(`{}`)), endpoints("0a 0a 0a- 0a- 0a- 0a- 0a-"), balance.Options{Runtime: runtime}); got.Priorities[0].Panic {
		t.Error("a runtime value for the threshold does not count")
	}
}
