package e2e

import (
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// What the Envoys run is what their istiods would send them, asked for in both ways: its own account of it, and by ADS as the node of the proxy. Afterwards
// the istiods know the same proxies as before.
func TestDesiredIsActual(t *testing.T) {
	before := items[string](t, cluster, `sorted([p.name + " " + p.istiod for p in proxies()])`)
	for name, desired := range map[string]string{"the istiod's account": `p.desired()`, "ADS": `p.desired(via="ads")`} {
		t.Run(name, func(t *testing.T) {
			got := items[string](t, cluster, `[p.name + "\n" + diff(`+desired+`, p.actual()).text() for p in proxies(type="sidecar")]`)
			if len(got) != 6 {
				t.Errorf("%d proxies were compared, want 6", len(got))
			}
			for _, text := range got {
				for _, kind := range []string{"Clusters", "Listeners", "Routes", "Endpoints"} {
					if !strings.Contains(text, kind+" Match\n") {
						t.Errorf("%s of %s", kind, text)
					}
				}
			}
		})
	}
	after := items[string](t, cluster, `sorted([p.name + " " + p.istiod for p in proxies()])`)
	if diff := gocmp.Diff(before, after); diff != "" {
		t.Errorf("the proxies that istiods know (-before +after):\n%s", diff)
	}
	if len(before) != 7 {
		t.Errorf("%d proxies are known, want 7", len(before))
	}
}

// A proxy that rejects its clusters runs others than its istiod would send it, by either account.
func TestDesiredIsNotActual(t *testing.T) {
	undo, err := mesh.Nack(t.Context(), "details-v1")
	play(t, undo, err)
	for _, desired := range []string{`p.desired()`, `p.desired(via="ads")`} {
		got := items[[]string](t, cluster, `[sorted({c.name: 1 for c in diff(`+desired+`, p.actual()).changed}) for p in proxies(workload="details-v1")]`)
		want := [][]string{{
			"outbound|9080|v1|reviews.default.svc.cluster.local", "outbound|9080|v2|reviews.default.svc.cluster.local",
			"outbound|9080|v3|reviews.default.svc.cluster.local", "outbound|9080||reviews.default.svc.cluster.local",
		}}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("what changed between %s and what it runs (-want +got):\n%s", desired, diff)
		}
	}
}
