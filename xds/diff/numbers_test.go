package diff_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/xds/diff"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// The path of a route says which side its number counts on, where that is not plain.
func TestNumbers(t *testing.T) {
	table := func(routes ...string) rawjson.Value {
		return rawjson.Value(`{"@type":"type.googleapis.com/envoy.config.route.v3.RouteConfiguration","virtual_hosts":[{"name":"v","domains":["*"],"routes":[` + strings.Join(routes, ",") + `]}]}`)
	}
	route := func(prefix, cluster, timeout string) string {
		return fmt.Sprintf(`{"match":{"prefix":%q},"route":{"cluster":%q,"timeout":%q}}`, prefix, cluster, timeout)
	}
	a, b, c := route("/a", "a", "1s"), route("/b", "b", "1s"), route("/c", "c", "1s")
	for name, test := range map[string]struct {
		left, right rawjson.Value
		want        []string
	}{
		"removed before changed": {table(a, b, c), table(a, route("/c", "c", "2s")), []string{
			"@@ virtual_hosts[v].routes[1] (on the left)",
			"@@ virtual_hosts[v].routes[1].route.timeout (routes[2] on the left)"}},
		"added before changed": {table(a, c), table(a, b, route("/c", "c", "2s")), []string{
			"@@ virtual_hosts[v].routes[1]",
			"@@ virtual_hosts[v].routes[2].route.timeout (routes[1] on the left)"}},
		"changed in its place": {table(a, b), table(a, route("/b", "b", "2s")), []string{"@@ virtual_hosts[v].routes[1].route.timeout"}},
		"a member removed":     {table(b, c), table(`{"match":{"prefix":"/c"},"route":{"cluster":"c"}}`), []string{"@@ virtual_hosts[v].routes[0] (on the left)", "@@ virtual_hosts[v].routes[0].route.timeout (routes[1] on the left)"}},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := diff.Values(test.left, test.right, "", diff.Options{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for line := range strings.Lines(d.Text()) {
				if strings.HasPrefix(line, "@@") {
					got = append(got, strings.TrimSuffix(line, "\n"))
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
