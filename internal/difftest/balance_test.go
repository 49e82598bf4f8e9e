package difftest

import (
	"bufio"
	"flag"
	"fmt"
	"math"
	"net"
	"strings"
	"testing"

	"github.com/meshlark/meshlark/xds/balance"
	"github.com/meshlark/meshlark/xds/cluster"
	"github.com/meshlark/meshlark/xds/rawjson"
)

var perConfig = flag.Int("balanced", 0, "how many requests TestBalance sends for each configuration, where more than -requests")

// hostPorts is how many upstreams there are to be endpoints.
const hostPorts = 12

// upstreams listens on loopback ports and answers everything.
func upstreams(t testing.TB) []int {
	t.Helper()
	var ports []int
	for range hostPorts {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatalf("listen for an upstream: %v", err)
		}
		t.Cleanup(func() { l.Close() })
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go echo(conn)
			}
		}()
	}
	return ports
}

// spread makes a cluster whose endpoints differ in health, priority, locality and weight, and the criteria its route has.
func (p picker) spread(name string, ports []int) (d dict, criteria dict) {
	var localities []any
	hosts := some(p, 3+p.IntN(hostPorts-2), ports...)
	weighted := p.chance(.4)
	for priority := 0; len(hosts) > 0; priority++ {
		for zone := range 1 + p.IntN(2) {
			n := min(len(hosts), 1+p.IntN(4))
			var endpoints []any
			for _, port := range hosts[:n] {
				e := dict{"endpoint": dict{"address": socket("127.0.0.1", port)}}
				if p.chance(.5) {
					e["health_status"] = one(p, "UNKNOWN", "HEALTHY", "UNHEALTHY", "UNHEALTHY", "DRAINING", "TIMEOUT", "DEGRADED")
				}
				if weighted {
					e["load_balancing_weight"] = one(p, 1, 2, 5)
				}
				if p.chance(.8) {
					e["metadata"] = dict{"filter_metadata": dict{"envoy.lb": dict{"v": one(p, "1", "2"), "z": one(p, "a", "b")}}}
				}
				endpoints = append(endpoints, e)
			}
			l := dict{"priority": priority, "locality": dict{"zone": fmt.Sprintf("z%d", zone)}, "lb_endpoints": endpoints}
			if p.chance(.8) {
				l["load_balancing_weight"] = one(p, 1, 3, 10)
			}
			localities = append(localities, l)
			if hosts = hosts[n:]; len(hosts) == 0 {
				break
			}
		}
	}
	assignment := dict{"cluster_name": name, "endpoints": localities}
	if p.chance(.3) {
		assignment["policy"] = dict{"overprovisioning_factor": one(p, 100, 120, 200)}
		if p.chance(.5) {
			assignment["policy"].(dict)["weighted_priority_health"] = true
		}
	}
	d = dict{"name": name, "type": "STATIC", "connect_timeout": "1s", "lb_policy": one(p, "ROUND_ROBIN", "RANDOM", "LEAST_REQUEST"), "load_assignment": assignment}
	common := dict{}
	if p.chance(.5) {
		common["healthy_panic_threshold"] = dict{"value": one(p, 0, 20, 50, 80)}
	}
	if p.chance(.3) {
		common["locality_weighted_lb_config"] = dict{}
	}
	if len(common) > 0 {
		d["common_lb_config"] = common
	}
	if p.chance(.3) {
		selector := dict{"keys": one(p, []string{"v"}, []string{"v", "z"})}
		if p.chance(.4) {
			selector["fallback_policy"] = one(p, "NO_FALLBACK", "ANY_ENDPOINT", "DEFAULT_SUBSET")
		}
		d["lb_subset_config"] = dict{"fallback_policy": one(p, "NO_FALLBACK", "ANY_ENDPOINT", "DEFAULT_SUBSET"), "subset_selectors": []any{selector}, "default_subset": dict{"v": "1"}}
		criteria = dict{"v": one(p, "1", "2", "3")}
		if p.chance(.4) {
			criteria["z"] = "a"
		}
		if p.chance(.2) {
			criteria = one(p, nil, dict{"z": "a"})
		}
		delete(common, "locality_weighted_lb_config")
	}
	return d, criteria
}

// TestBalance compares which endpoints get requests and, over all configurations together, how many.
func TestBalance(t *testing.T) {
	// By tenths of the predicted share: requests expected, their variance, and seen.
	var expected, variance, seen [11]float64
	pairs, differ := 0, 0
	outcomes := map[string]int{}
	for from := 0; from < *configs; from += batch {
		b := newBench(t)
		ports := upstreams(t)
		var added []dict
		listeners, bodies, wanted := map[string]dict{}, map[string]dict{}, map[string]dict{}
		name := func(i int) string { return fmt.Sprintf("seed%d_", *seedFlag+uint64(i)) }
		for i := from; i < min(*configs, from+batch); i++ {
			body, criteria := newPicker(*seedFlag+uint64(i)).spread(name(i), ports)
			action := dict{"cluster": name(i)}
			if criteria != nil {
				action["metadata_match"] = dict{"filter_metadata": dict{"envoy.lb": criteria}}
			}
			bodies[name(i)], wanted[name(i)] = body, criteria
			added = append(added, body)
			listeners[name(i)] = httpListener(name(i), dict{"name": name(i), "validate_clusters": false, "virtual_hosts": []any{dict{"name": "v", "domains": []string{"*"}, "routes": []any{
				dict{"name": "r", "match": dict{"prefix": "/"}, "route": action, "response_headers_to_add": []any{dict{"header": dict{"key": "t-upstream", "value": "%UPSTREAM_HOST%"}}}},
			}}}})
		}
		b.add(t, added...)
		addresses, _ := b.load(t, listeners)
		for i := from; i < min(*configs, from+batch); i++ {
			body := rawjson.Value(text(bodies[name(i)]))
			view := cluster.New(body)
			assignment, _ := view.Assignment()
			criteria := map[string]rawjson.Value{}
			for key, v := range wanted[name(i)] {
				criteria[key] = text(v)
			}
			want := balance.Spread(view, assignment, balance.Options{Criteria: criteria})
			conn, err := net.Dial("tcp", addresses[name(i)])
			if err != nil {
				t.Fatal(err)
			}
			in := bufio.NewReader(conn)
			n := max(min(*requests, 50), *perConfig)
			got := map[string]int{}
			for range n {
				reply, err := (request{Method: "GET", Host: "x", Path: "/"}).send(conn, in)
				if err != nil {
					t.Fatalf("seed %d: %v", *seedFlag+uint64(i), err)
				}
				got[strings.TrimPrefix(reply.Header.Get("t-upstream"), "-")+" "+strings.TrimPrefix(reply.Header.Get("t-flags"), "-")]++
				pairs++
			}
			conn.Close()
			served := 0.0
			var faults []string
			for _, h := range want.Hosts {
				served += h.Share
				count := got[h.View.Address().String()+" "]
				deviation := math.Sqrt(h.Share * (1 - h.Share) * float64(n))
				if count > 0 && h.Share == 0 || count < n && h.Share > .9999 || math.Abs(float64(count)-h.Share*float64(n)) > 4.5*deviation+3 {
					faults = append(faults, fmt.Sprintf("%s: Envoy %d of %d, predicted %.2f (%s)", h.View.Address(), count, n, h.Share, h.Why))
				}
				bucket := int(h.Share * 10)
				expected[bucket] += h.Share * float64(n)
				variance[bucket] += h.Share * (1 - h.Share) * float64(n)
				seen[bucket] += float64(count)
			}
			if refused := got[" UH"]; (refused > 0) != (served < .9999) && n > 20 || refused > 0 && served > .9999 {
				faults = append(faults, fmt.Sprintf("Envoy refused %d of %d, predicted to serve %.2f (%s)", refused, n, served, want.Reason))
			}
			outcomes[fmt.Sprintf("%d hosts", len(got))]++
			if len(faults) > 0 {
				if differ++; differ <= 5 {
					t.Errorf("seed %d: %s\n%v %v\n%s", *seedFlag+uint64(i), strings.Join(faults, "\n  "), want.Priorities, criteria, body)
				}
			}
		}
	}
	t.Logf("%d configurations, %d requests, %d differences; %v", *configs, pairs, differ, outcomes)
	for i := range expected {
		if expected[i] == 0 && seen[i] == 0 {
			continue
		}
		t.Logf("share %.1f: expected %.0f, seen %.0f, deviation %.1f", float64(i)/10, expected[i], seen[i], math.Sqrt(variance[i]))
		if math.Abs(expected[i]-seen[i]) > 5*math.Sqrt(variance[i])+.02*expected[i] {
			t.Errorf("hosts with a share of about %.1f got %.0f requests, predicted %.0f", float64(i)/10, seen[i], expected[i])
		}
	}
}
