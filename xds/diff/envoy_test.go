package diff_test

import (
	"os"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/meshlark/meshlark/xds/diff"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
)

// What a real Envoy was sent and what it says it has: every route table and load assignment is the same.
func TestRealEnvoy(t *testing.T) {
	const scene = "../../internal/envoytest/scene/"
	section := func(file, message, name, list, member string) string {
		text, err := os.ReadFile(scene + file)
		if err != nil {
			t.Fatal(err)
		}
		array, err := yaml.YAMLToJSON(text)
		if err != nil {
			t.Fatal(err)
		}
		var elems []string
		for v := range rawjson.Value(array).Elems() {
			elems = append(elems, `{"`+member+`":{"@type":"type.googleapis.com/`+message+`",`+string(v[1:])+`}`)
		}
		return `{"@type":"type.googleapis.com/envoy.admin.v3.` + name + `","` + list + `":[` + strings.Join(elems, ",") + `]}`
	}
	sent := `{"configs":[` + strings.Join([]string{
		section("endpoints.yaml", "envoy.config.endpoint.v3.ClusterLoadAssignment", "EndpointsConfigDump", "dynamic_endpoint_configs", "endpoint_config"),
		section("routes.yaml", "envoy.config.route.v3.RouteConfiguration", "RoutesConfigDump", "dynamic_route_configs", "route_config"),
	}, ",") + `]}`
	store := resource.NewStore()
	desired, actual := config(t, store, "sent", []byte(sent)), config(t, store, "held", read(t, "../dump/testdata/envoy-1.40/config_dump.json"))
	d, err := diff.Compare(desired, actual, diff.Options{Desired: true})
	if err != nil {
		t.Fatal(err)
	}
	if !d.Empty() {
		t.Errorf("%s\n%s", d.Summary(), d.Text())
	}
	for _, n := range d.Kinds {
		if n.Compared && n.Same < 4 {
			t.Errorf("%d resources of kind %s were compared", n.Same, n.Kind)
		}
	}
}
