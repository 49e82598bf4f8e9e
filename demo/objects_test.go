package demo_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/origin"
	"github.com/meshlark/meshlark/xds/pattern"
	"github.com/meshlark/meshlark/xds/resource"
)

// The objects that the control planes show are those that the configuration says it was made from: none is missing and none is idle. The Gateway
// leaves no mark.
func TestObjects(t *testing.T) {
	_, m := start(t)
	var have []string
	for _, kind := range []string{"vs", "dr", "ap", "gw"} {
		res, err := m.Objects(t.Context(), mesh.ObjectQuery{Kind: kind})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range res.Items {
			if o.JSON.Str("metadata", "annotations", "simulated") != "true" {
				t.Errorf("%s %s does not say that it is simulated", o.Kind, o.Name)
			}
			have = append(have, o.Kind+"/"+o.Name+"."+o.Namespace)
		}
	}
	named := []string{"Gateway/bookinfo-gateway.default"}
	for _, p := range proxies(t, m) {
		for _, kind := range []resource.Kind{resource.Cluster, resource.Listener, resource.RouteConfig} {
			all, err := p.Config(mesh.Actual).Resources(t.Context(), kind, pattern.Pattern{})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range all {
				raw, err := r.Raw()
				if err != nil {
					t.Fatal(err)
				}
				for _, ref := range origin.Of(kind, r.Name(), raw) {
					if strings.HasSuffix(ref.Group, ".istio.io") {
						named = append(named, ref.String())
					}
				}
			}
		}
	}
	slices.Sort(have)
	slices.Sort(named)
	if named = slices.Compact(named); !slices.Equal(have, named) {
		t.Errorf("the objects are\n%s\nand the configuration names\n%s", strings.Join(have, "\n"), strings.Join(named, "\n"))
	}
}
