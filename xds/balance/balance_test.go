package balance_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/xds/balance"
	"github.com/meshlark/meshlark/xds/cluster"
	"github.com/meshlark/meshlark/xds/endpoint"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// hosts writes endpoints of one priority: letters h, d, u and x for healthy, degraded, unhealthy and draining.
func hosts(priority int, letters string) string {
	status := map[rune]string{'h': "HEALTHY", 'd': "DEGRADED", 'u': "UNHEALTHY", 'x': "DRAINING"}
	var list []string
	for i, letter := range letters {
		list = append(list, fmt.Sprintf(`{"endpoint":{"address":{"socket_address":{"address":"10.0.%d.%d","port_value":80}}},"health_status":%q}`, priority, i, status[letter]))
	}
	return fmt.Sprintf(`{"priority":%d,"lb_endpoints":[%s]}`, priority, strings.Join(list, ","))
}

func TestPriorities(t *testing.T) {
	for _, tc := range []struct {
		what    string
		groups  []string
		cluster string
		shares  []float64 // of the priorities
		panics  []bool
		details string
	}{
		{"all healthy", []string{"hh", "hh"}, `{}`, []float64{1, 0}, []bool{false, false}, ""},
		// 1 of 2 with a factor of 140 is 70%.
		{"half healthy", []string{"hu", "hh"}, `{}`, []float64{.7, .3}, []bool{false, false}, ""},
		// 35 and 70 make more than 100, so that no scaling is done.
		{"the second too", []string{"huuu", "hu"}, `{}`, []float64{.35, .65}, []bool{false, false}, ""},
		{"degraded hosts take what is left", []string{"hddd"}, `{}`, []float64{1}, []bool{false}, ""},
		{"draining hosts do not count", []string{"hxxx", "h"}, `{}`, []float64{1, 0}, []bool{false, false}, ""},
		{"panic", []string{"huuu"}, `{}`, []float64{1}, []bool{true}, ""},
		{"panic everywhere goes by the number of hosts", []string{"uu", "uuuuuu"}, `{}`, []float64{.25, .75}, []bool{true, true}, ""},
		{"no panic wanted", []string{"uu"}, `{"common_lb_config":{"healthy_panic_threshold":{}}}`, []float64{1}, []bool{false}, "no_healthy_upstream"},
		{"nothing", []string{""}, `{}`, []float64{1}, []bool{true}, "no_healthy_upstream"},
	} {
		var groups []string
		for i, letters := range tc.groups {
			groups = append(groups, hosts(i, letters))
		}
		a := endpoint.New(rawjson.Value(`{"endpoints":[` + strings.Join(groups, ",") + `]}`))
		got := balance.Spread(cluster.New(rawjson.Value(tc.cluster)), a, balance.Options{})
		var shares []float64
		var panics []bool
		total := 0.0
		for _, p := range got.Priorities {
			shares, panics = append(shares, p.Share), append(panics, p.Panic)
		}
		for _, h := range got.Hosts {
			total += h.Share
			if h.Why == "" {
				t.Errorf("%s: host %s does not say why", tc.what, h.View.Cell())
			}
		}
		if diff := cmp.Diff(tc.shares, shares); diff != "" {
			t.Errorf("%s: shares (-want +got):\n%s", tc.what, diff)
		}
		if diff := cmp.Diff(tc.panics, panics); diff != "" {
			t.Errorf("%s: panics (-want +got):\n%s", tc.what, diff)
		}
		if got.Details != tc.details {
			t.Errorf("%s: details %q, want %q", tc.what, got.Details, tc.details)
		}
		if want := 1.0; tc.details == "" && math.Abs(total-want) > 1e-9 {
			t.Errorf("%s: the hosts get %v in all, want 1", tc.what, total)
		}
	}
}

func TestLocalityWeights(t *testing.T) {
	const body = `{"endpoints":[
		{"locality":{"zone":"a"},"load_balancing_weight":3,"lb_endpoints":[{"endpoint":{"address":{"socket_address":{"address":"10.0.0.1"}}}},{"endpoint":{"address":{"socket_address":{"address":"10.0.0.2"}}},"load_balancing_weight":2}]},
		{"locality":{"zone":"b"},"load_balancing_weight":1,"lb_endpoints":[{"endpoint":{"address":{"socket_address":{"address":"10.0.0.3"}}}}]},
		{"locality":{"zone":"c"},"lb_endpoints":[{"endpoint":{"address":{"socket_address":{"address":"10.0.0.4"}}}}]}]}`
	for config, want := range map[string][]float64{
		`{"common_lb_config":{"locality_weighted_lb_config":{}}}`: {.25, .5, .25, 0},
		`{}`:                     {.2, .4, .2, .2},
		`{"lb_policy":"RANDOM"}`: {.25, .25, .25, .25}, // looks at no weights
	} {
		var got []float64
		for _, h := range balance.Spread(cluster.New(rawjson.Value(config)), endpoint.New(rawjson.Value(body)), balance.Options{}).Hosts {
			got = append(got, math.Round(h.Share*1000)/1000)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", config, diff)
		}
	}
}

func TestSubsets(t *testing.T) {
	host := func(ip, version string) string {
		return `{"endpoint":{"address":{"socket_address":{"address":"` + ip + `"}}},"metadata":{"filter_metadata":{"envoy.lb":{"v":"` + version + `"}}}}`
	}
	a := endpoint.New(rawjson.Value(`{"endpoints":[{"lb_endpoints":[` + host("10.0.0.1", "1") + `,` + host("10.0.0.2", "2") + `]}]}`))
	for _, tc := range []struct {
		fallback string
		criteria string
		want     []float64
	}{
		{"NO_FALLBACK", `"1"`, []float64{1, 0}},
		{"NO_FALLBACK", `1`, []float64{0, 0}}, // a number is no string
		{"NO_FALLBACK", "", []float64{0, 0}},
		{"ANY_ENDPOINT", `"3"`, []float64{.5, .5}},
		{"DEFAULT_SUBSET", `"3"`, []float64{0, 1}},
	} {
		c := cluster.New(rawjson.Value(`{"lb_subset_config":{"fallback_policy":"` + tc.fallback + `","default_subset":{"v":"2"},"subset_selectors":[{"keys":["v"]}]}}`))
		var opts balance.Options
		if tc.criteria != "" {
			opts.Criteria = map[string]rawjson.Value{"v": rawjson.Value(tc.criteria)}
		}
		var got []float64
		for _, h := range balance.Spread(c, a, opts).Hosts {
			got = append(got, h.Share)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s for %s (-want +got):\n%s", tc.fallback, tc.criteria, diff)
		}
	}
}

func FuzzSpread(f *testing.F) {
	f.Add([]byte(`{"common_lb_config":{"healthy_panic_threshold":{"value":-1}}}`), []byte(`{"endpoints":[`+hosts(0, "hdux")+`]}`))
	f.Add([]byte(`{"lb_subset_config":{"subset_selectors":[{}]}}`), []byte(`{"policy":{"overprovisioning_factor":4294967295,"weighted_priority_health":true},"endpoints":[{"priority":4294967295,"lb_endpoints":[{"load_balancing_weight":4294967295}]}]}`))
	f.Fuzz(func(t *testing.T, c, a []byte) {
		balance.Spread(cluster.New(c), endpoint.New(a), balance.Options{})
	})
}
