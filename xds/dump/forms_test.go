package dump

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/xds/resource"
)

// Forms that are no dump of today's Envoy are read too: each of these has the same listener and cluster.
func TestForms(t *testing.T) {
	const (
		listener = `{"@type":"type.googleapis.com/envoy.config.listener.v3.Listener","name":"l"}`
		cluster  = `{"@type":"type.googleapis.com/envoy.config.cluster.v3.Cluster","name":"c"}`
	)
	untyped := func(text string) string { return `{` + text[strings.Index(text, `"name"`):] }
	for _, test := range []struct{ name, text, state string }{
		{"a discovery response", `{"versionInfo":"1","resources":[` + listener + `,` + cluster + `],"typeUrl":"t","nonce":"n"}`, "active"},
		{"one with names around its resources", `{"resources":[{"name":"l","version":"1","resource":` + listener + `},{"@type":"type.googleapis.com/envoy.service.discovery.v3.Resource","name":"c","resource":` + cluster + `}]}`, "active"},
		{"resources under their types and names", `{"type.googleapis.com/envoy.config.listener.v3.Listener":{"l":` + untyped(listener) + `},"type.googleapis.com/envoy.config.cluster.v3.Cluster":{"c":` + untyped(cluster) + `}}`, "active"},
		{"those in a wrapper", `{"diff":[],"xds":{"type.googleapis.com/envoy.config.cluster.v3.Cluster":{"c":` + untyped(cluster) + `},"type.googleapis.com/envoy.config.listener.v3.Listener":{"l":` + untyped(listener) + `}}}`, "active"},
		{"sections under keys", `{"configs":{"listeners":{"@type":"type.googleapis.com/envoy.admin.v2alpha.ListenersConfigDump","dynamic_active_listeners":[{"version_info":"1","listener":` + listener + `}]},` +
			`"clusters":{"@type":"type.googleapis.com/envoy.admin.v2alpha.ClustersConfigDump","dynamic_active_clusters":[{"cluster":` + cluster + `}]}}}`, "active"},
		{"a list of listeners for each state", `{"configs":[{"@type":"type.googleapis.com/envoy.admin.v2alpha.ListenersConfigDump","dynamic_warming_listeners":[{"listener":` + listener + `}]},{"dynamicWarmingClusters":[{"cluster":` + cluster + `}]}]}`, "warming"},
		{"a dump inside a dump", `{"configs":{"configs":[{"dynamic_listeners":[{"name":"l","active_state":{"listener":` + listener + `}}]},{"dynamic_active_clusters":[{"cluster":` + cluster + `}]}]}}`, "active"},
		{"a bootstrap", `{"node":{"id":"n"},"static_resources":{"listeners":[` + untyped(listener) + `],"clusters":[` + untyped(cluster) + `]}}`, "static"},
		{"a bootstrap in camelCase", `{"staticResources":{"clusters":[` + untyped(cluster) + `],"listeners":[` + untyped(listener) + `]}}`, "static"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for size := range len(test.text) + 2 {
				agree(t, []byte(test.text), size)
			}
			d := split(t, resource.NewStore(), []byte(test.text), Options{})
			var got []string
			for _, kind := range resource.Kinds {
				for _, r := range d.Resources(kind) {
					if _, err := r.Raw(); err != nil {
						t.Error(err)
					}
					if kind != resource.Bootstrap {
						got = append(got, fmt.Sprintf("%s %s %s", r.Kind(), r.Name(), r.State()))
					}
				}
			}
			want := []string{"listener l " + test.state, "cluster c " + test.state}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// In a list, what could be of any kind is of the kind of the rest; a list of nothing else is refused, and so is the state of clients.
func TestSilentElements(t *testing.T) {
	d := split(t, resource.NewStore(), []byte(`[{"name":"a"},{"name":"b","lb_policy":"MAGLEV"},{"name":"c","type":"STATIC"}]`), Options{})
	var names []string
	for _, r := range d.Resources(resource.Cluster) {
		names = append(names, r.Name())
	}
	if diff := cmp.Diff([]string{"b", "a", "c"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, text := range []string{`{"resources":[{"@type":"type.googleapis.com/envoy.service.status.v3.ClientConfig","node":{"id":"n"}}],"typeUrl":"type.googleapis.com/envoy.service.status.v3.ClientConfig"}`,
		`[{"name":"a"},{"name":"b"}]`, `[{"name":"a"},{"lb_policy":"MAGLEV"},{"filter_chains":[]}]`} {
		for size := range len(text) + 2 {
			agree(t, []byte(text), size)
		}
		if _, err := Split(resource.NewStore(), []byte(text), Options{}); err == nil {
			t.Errorf("%s is accepted", text)
		}
	}
}

// A response for a type of which there is nothing says so, and is not taken for something else.
func TestEmptyResponse(t *testing.T) {
	d := split(t, resource.NewStore(), []byte(`{"nonce":"1","typeUrl":"type.googleapis.com/envoy.config.route.v3.RouteConfiguration","versionInfo":"1"}`), Options{})
	if !d.Has(resource.RouteConfig) || len(d.Resources(resource.RouteConfig)) != 0 || d.Has(resource.Cluster) {
		t.Errorf("sections %q, want that there are no route tables", d.Sections())
	}
}

// A dump that has only its bootstrap, as a question for one section gives it, says nothing of clusters.
func TestBootstrapAlone(t *testing.T) {
	d := split(t, resource.NewStore(), []byte(`{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.BootstrapConfigDump","bootstrap":{"static_resources":{"clusters":[{"name":"c"}]}}}]}`), Options{})
	if d.Has(resource.Cluster) || d.Bootstrap() == nil {
		t.Error("want a bootstrap and no section of clusters")
	}
}
