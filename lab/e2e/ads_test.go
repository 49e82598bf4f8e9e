package e2e

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// What an istiod sends to who connects as a proxy is what its debug interface says that it would send, and what the Envoy has: of every proxy, from the
// cluster. The secret of the gateway is sent over TLS only.
func TestByADSIsWhatIstiodSaysAndEnvoyHas(t *testing.T) {
	type compared struct{ Name, Said, Has string }
	got := items[compared](t, cluster, `[{"name": p.name, "said": diff(p.desired(), p.desired(via="ads")).summary, "has": p.desired(via="ads").diff().summary} for p in proxies(connected=True)]`)
	if len(got) != 7 {
		t.Errorf("%d proxies, want 7", len(got))
	}
	for _, c := range got {
		for _, summary := range []string{c.Said, c.Has} {
			for _, kind := range []string{"Clusters", "Listeners", "Routes", "Endpoints"} {
				if !strings.Contains(summary, kind+" Match") {
					t.Errorf("%s: %s", c.Name, summary)
				}
			}
			if strings.Contains(summary, "Don't") {
				t.Errorf("%s: %s", c.Name, summary)
			}
		}
	}
}

// A control plane is a source of its own, in both forms of the protocol, and the proxy is joined with its Envoy.
func TestXDSSource(t *testing.T) {
	envoy := mesh.Envoy("productpage-v1")
	for _, mode := range []string{"sotw", "delta"} {
		spec := fmt.Sprintf("xds://%s?mode=%s&metadata=%s", mesh.Istiod("default").GRPC, mode, url.QueryEscape(envoy.Admin))
		summary := items[string](t, sources(spec, envoy.Admin), `[p.name + ": " + p.diff().summary for p in proxies()]`)
		if diff := gocmp.Diff([]string{envoy.ID() + ": Clusters Match; Listeners Match; Routes Match; Endpoints Match; Extensions Match"}, summary); diff != "" {
			t.Errorf("%s (-want +got):\n%s", mode, diff)
		}
	}
}
