package difftest

import (
	"bufio"
	"flag"
	"math"
	"net"
	"strings"
	"testing"

	"github.com/meshlark/meshlark/xds/balance"
	"github.com/meshlark/meshlark/xds/cluster"
)

var perScene = flag.Int("scene", 500, "how many requests TestShares sends for each scene; 10,000 for bounds that mean something")

// A hostLine is an endpoint of a scene: priority, zone, health and weight.
type hostLine struct {
	priority int
	zone     string
	health   string
	weight   int
}

// hostLines reads endpoints as they are written below: "0a 0a- 1b*3" are two of priority 0 in zone a, the second unhealthy, and one of priority 1 in zone b
// of weight 3. After the zone, - is unhealthy, ~ degraded, x draining.
func hostLines(line string) []hostLine {
	var out []hostLine
	for word := range strings.FieldsSeq(line) {
		h := hostLine{priority: int(word[0] - '0'), zone: word[1:2], health: "HEALTHY", weight: 1}
		for i, c := range word[2:] {
			switch c {
			case '-':
				h.health = "UNHEALTHY"
			case '~':
				h.health = "DEGRADED"
			case 'x':
				h.health = "DRAINING"
			case '*':
				h.weight = int(word[2+i+1] - '0')
			}
		}
		out = append(out, h)
	}
	return out
}

// A scene is a cluster whose endpoints differ, and how much each of its requests an endpoint gets.
type scene struct {
	name    string
	hosts   []string // one line for a cluster, several for an aggregate of as many
	policy  string   // of balancing
	weights map[string]int
	common  dict  // common_lb_config
	rules   dict  // policy of the assignment
	factors []int // of overprovisioning, one for each member of an aggregate
	nested  bool  // the last member is the only one of another aggregate
}

var scenes = []scene{
	{name: "two priorities, the first a third healthy", hosts: []string{"0a 0a- 0a- 1a 1a"}},
	{name: "three priorities that need each other", hosts: []string{"0a 0a- 0a- 0a- 1a 1a- 1a- 1a- 2a"}, policy: "RANDOM"},
	{name: "overprovisioning of 100", hosts: []string{"0a 0a 0a- 0a- 1a"}, rules: dict{"overprovisioning_factor": 100}},
	{name: "weights count for health", hosts: []string{"0a*9 0a-*1 0a-*5 1a"}, rules: dict{"weighted_priority_health": true, "overprovisioning_factor": 100}, policy: "RANDOM"},
	{name: "panic of all", hosts: []string{"0a 0a- 0a- 0a- 1a- 1a- 1a-"}},
	{name: "panic of one", hosts: []string{"0a 0a- 0a- 0a- 1a 1a- 1a- 1a- 1a- 1a- 1a-"}, policy: "RANDOM"},
	{name: "no panic", hosts: []string{"0a 0a- 0a- 0a- 1a- 1a-"}, common: dict{"healthy_panic_threshold": dict{"value": 0}}},
	{name: "panic at 80", hosts: []string{"0a 0a 0a- 0a- 0a-"}, common: dict{"healthy_panic_threshold": dict{"value": 80}}, policy: "RANDOM"},
	{name: "degraded", hosts: []string{"0a 0a~ 0a~ 0a-"}},
	{name: "degraded in two priorities", hosts: []string{"0a 0a~ 0a- 0a- 1a~ 1a"}, policy: "RANDOM"},
	{name: "degraded alone", hosts: []string{"0a- 0a~ 1a~ 1a~"}},
	{name: "draining does not count", hosts: []string{"0a 0ax 0ax 1a"}},
	{name: "weights", hosts: []string{"0a*1 0a*2 0a*5"}},
	{name: "weights at random", hosts: []string{"0a*1 0a*2 0a*5 0a*9"}, policy: "RANDOM"},
	{name: "localities", hosts: []string{"0a 0a 0b 0c"}, weights: map[string]int{"a": 1, "b": 3, "c": 6}, common: dict{"locality_weighted_lb_config": dict{}}},
	{name: "localities, partly healthy", hosts: []string{"0a 0a- 0a- 0b 0b 0c 1a"}, weights: map[string]int{"a": 5, "b": 3, "c": 0}, common: dict{"locality_weighted_lb_config": dict{}}, policy: "RANDOM"},
	{name: "localities, degraded and weighted", hosts: []string{"0a*3 0a~ 0b 0b- 0b- 0c~*2"}, weights: map[string]int{"a": 5, "b": 3, "c": 2}, common: dict{"locality_weighted_lb_config": dict{}}, policy: "RANDOM"},
	{name: "an aggregate", hosts: []string{"0a 0a- 0a-", "0a 0a"}},
	{name: "an aggregate of priorities", hosts: []string{"0a 0a- 0a- 2a 2a- 2a-", "0a~ 1a"}, policy: "RANDOM"},
	{name: "an aggregate, the first empty", hosts: []string{"", "0a 0a- 0a-", "0a"}},
	{name: "an aggregate with a factor for each", hosts: []string{"0a 0a- 0a-", "0a 0a- 1a"}, factors: []int{100, 200}},
	{name: "an aggregate with another in it", hosts: []string{"0a 0a- 0a-", "0a 0a"}, nested: true},
	{name: "an aggregate of rings", hosts: []string{"0a 0a- 0a- 1a", "0a 0a"}, policy: "MAGLEV"},
}

// clusters makes the clusters of a scene, the one requests are for last.
func (s scene) clusters(name string, ports []int) []dict {
	var out []dict
	next := 0
	for i, line := range s.hosts {
		var localities []any
		for _, h := range hostLines(line) {
			l := dict{"priority": h.priority, "locality": dict{"zone": h.zone}, "lb_endpoints": []any{}}
			if w := s.weights[h.zone]; w > 0 {
				l["load_balancing_weight"] = w
			}
			e := dict{"endpoint": dict{"address": socket("127.0.0.1", ports[next])}, "health_status": h.health, "load_balancing_weight": h.weight}
			next++
			found := false
			for _, old := range localities {
				if o := old.(dict); o["priority"] == h.priority && o["locality"].(dict)["zone"] == h.zone {
					o["lb_endpoints"] = append(o["lb_endpoints"].([]any), e)
					found = true
				}
			}
			if !found {
				l["lb_endpoints"] = []any{e}
				localities = append(localities, l)
			}
		}
		member := name
		if len(s.hosts) > 1 {
			member = name + string(rune('a'+i))
		}
		assignment := dict{"cluster_name": member, "endpoints": localities}
		if s.rules != nil {
			assignment["policy"] = s.rules
		}
		if s.factors != nil {
			assignment["policy"] = dict{"overprovisioning_factor": s.factors[i]}
		}
		d := dict{"name": member, "type": "STATIC", "connect_timeout": "1s", "load_assignment": assignment}
		if s.policy != "" {
			d["lb_policy"] = s.policy
		}
		if s.common != nil {
			d["common_lb_config"] = s.common
		}
		out = append(out, d)
	}
	if len(s.hosts) > 1 {
		var members []string
		for _, d := range out {
			members = append(members, d["name"].(string))
		}
		if last := len(members) - 1; s.nested {
			out = append(out, aggregate(name+"inner", members[last]))
			members[last] = name + "inner"
		}
		out = append(out, aggregate(name, members...))
	}
	return out
}

// predict gives the share of each endpoint.
func (s scene) predict(clusters []dict) balance.Result {
	views := map[string]cluster.Cluster{}
	for _, d := range clusters {
		views[d["name"].(string)] = cluster.New(text(d))
	}
	outer := views[clusters[len(clusters)-1]["name"].(string)]
	if assignment, ok := outer.Assignment(); ok {
		return balance.Spread(outer, assignment, balance.Options{})
	}
	var members []balance.Member
	for _, name := range outer.Aggregated() {
		if assignment, ok := views[name].Assignment(); ok { // an aggregate in it has none
			members = append(members, balance.Member{Cluster: views[name], Assignment: assignment})
		}
	}
	r, _ := balance.Aggregate(outer, members, balance.Options{})
	return r
}

// TestShares compares how many of many requests each endpoint gets with its predicted share.
func TestShares(t *testing.T) {
	b := newBench(t)
	ports := upstreams(t)
	var added []dict
	listeners, all := map[string]dict{}, map[string][]dict{}
	name := func(i int) string { return "scene" + string(rune('A'+i)) }
	for i, s := range scenes {
		all[name(i)] = s.clusters(name(i), ports)
		added = append(added, all[name(i)]...)
		listeners[name(i)] = httpListener(name(i), dict{"name": name(i), "virtual_hosts": []any{dict{"name": "v", "domains": []string{"*"}, "routes": []any{
			dict{"match": dict{"prefix": "/"}, "route": dict{"cluster": name(i)}, "response_headers_to_add": []any{dict{"header": dict{"key": "t-upstream", "value": "%UPSTREAM_HOST%"}}}},
		}}}})
	}
	b.add(t, added...)
	addresses, refused := b.load(t, listeners)
	if refused != "" {
		t.Fatalf("Envoy refuses a scene: %s", refused)
	}
	for i, s := range scenes {
		want := s.predict(all[name(i)])
		conn, err := net.Dial("tcp", addresses[name(i)])
		if err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(conn)
		got := map[string]int{}
		for range *perScene {
			reply, err := (request{Method: "GET", Host: "x", Path: "/"}).send(conn, in)
			if err != nil {
				t.Fatalf("%s: %v", s.name, err)
			}
			got[reply.Header.Get("t-upstream")]++
		}
		conn.Close()
		worst, n, served := 0.0, float64(*perScene), 0.0
		for _, h := range want.Hosts {
			count := float64(got[h.View.Address().String()])
			served += h.Share
			deviation := math.Sqrt(h.Share * (1 - h.Share) * n)
			off := math.Abs(count-h.Share*n) / max(deviation, 1)
			worst = max(worst, off)
			// Rounding of what comes in turns is a request or two.
			if off > 4.5 && math.Abs(count-h.Share*n) > 2 {
				t.Errorf("%s: %s got %.0f of %.0f, predicted %.1f (%s)", s.name, h.View.Address(), count, n, h.Share*n, h.Why)
			}
		}
		if refused := float64(got["-"] + got[""]); math.Abs(refused-(1-served)*n) > 4.5*math.Sqrt(served*(1-served)*n)+.01*n {
			t.Errorf("%s: %.0f of %.0f were refused, predicted %.1f", s.name, refused, n, (1-served)*n)
		}
		t.Logf("%-45s %d requests over %d endpoints, at most %.1f deviations off", s.name, *perScene, len(want.Hosts), worst)
	}
}
