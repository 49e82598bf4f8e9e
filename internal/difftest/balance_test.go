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

// TestBalance compares which endpoints get requests and, over all configurations together, how many.
func TestBalance(t *testing.T) { compareSpreads(t, picker.spread, nil) }

// TestZones does so where requests are kept in the zone they come from.
func TestZones(t *testing.T) { compareSpreads(t, picker.zoned, picker.proxies) }

// compareSpreads sends requests to clusters that are made. local makes the cluster of the proxies that are like the one they are sent through, nil for none.
func compareSpreads(t *testing.T, made func(p picker, name string, ports []int) (cluster, criteria dict), local func(p picker, ports []int) dict) {
	// By tenths of the predicted share: requests expected, their variance, and seen.
	var expected, variance, seen [11]float64
	pairs, differ := 0, 0
	outcomes := map[string]int{}
	for from := 0; from < *configs; from += batch {
		ports := upstreams(t)
		var options balance.Options
		bootstrap := dict{}
		if local != nil {
			proxies := local(newPicker(*seedFlag+uint64(from)^1<<41), ports)
			assignment, _ := cluster.New(text(proxies)).Assignment()
			options.Local = func() *balance.Local {
				return &balance.Local{Locality: rawjson.Value(`{"zone":"z0"}`), Assignment: assignment}
			}
			bootstrap = dict{"node": dict{"locality": dict{"zone": "z0"}}, "cluster_manager": dict{"local_cluster_name": proxies["name"]}, "static_resources": dict{"clusters": []any{proxies}}}
		}
		b := newBench(t, bootstrap)
		var added []dict
		listeners, bodies, wanted := map[string]dict{}, map[string]dict{}, map[string]dict{}
		name := func(i int) string { return fmt.Sprintf("seed%d_", *seedFlag+uint64(i)) }
		for i := from; i < min(*configs, from+batch); i++ {
			body, criteria := made(newPicker(*seedFlag+uint64(i)), name(i), ports)
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
			options.Criteria = criteria
			want := balance.Spread(view, assignment, options)
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
				slack := 3.0
				if hashes(bodies[name(i)]) { // whose hosts do not get quite what their weights say
					slack += .06 * h.Share * float64(n)
				}
				if count > 0 && h.Share == 0 || count < n && h.Share > .9999 || math.Abs(float64(count)-h.Share*float64(n)) > 4.5*deviation+slack {
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
