package demo_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/diff"
	"github.com/meshlark/meshlark/xds/pattern"
	"github.com/meshlark/meshlark/xds/resource"
)

// What meshlark's own comparison finds between the two sides, endpoints included.
func TestDiff(t *testing.T) {
	_, m := start(t)
	want := map[string][]string{
		"details-v1": {
			"removed cluster outbound|443||public-cr0bdc785ce3f14722918080a97e1f26be-alb1.kube-system.svc.cluster.local",
			"removed cluster outbound|53||kube-dns.kube-system.svc.cluster.local",
		},
		"productpage-v1": {"changed route_config 9080"},
		"cart-v1":        {"changed cluster outbound|8080||sessions.faults.svc.cluster.local"},
		"shipping-v1":    {"changed listener 0.0.0.0_8080"}, // the warming cluster counts: it has been accepted
	}
	kinds := []resource.Kind{resource.Cluster, resource.Listener, resource.RouteConfig, resource.Endpoint}
	for _, p := range proxies(t, m) {
		side := func(s mesh.Side) diff.Config {
			c := diff.Config{Name: string(s)}
			for _, kind := range kinds {
				rs, err := p.Config(s).Resources(t.Context(), kind, pattern.Pattern{})
				if err != nil {
					t.Fatal(err)
				}
				c.Resources = append(c.Resources, rs...)
			}
			return c
		}
		d, err := diff.Compare(side(mesh.Desired), side(mesh.Actual), diff.Options{Desired: true})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for op, list := range map[string][]diff.Change{"added": d.Added, "removed": d.Removed, "changed": d.Changed} {
			for _, c := range list {
				got = append(got, fmt.Sprintf("%s %s %s", op, c.Kind, c.Name))
			}
		}
		slices.Sort(got)
		if d := cmp.Diff(want[p.Workload], got); d != "" {
			t.Errorf("%s (-want +got):\n%s", p.Name, d)
		}
	}
}
