package dumpfile_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source/dumpfile"
)

// Of each recorded proxy it is told what it has and what it lacks; those that are alike are told of together.
func TestExamine(t *testing.T) {
	const section = `{"@type":"type.googleapis.com/envoy.admin.v3.`
	whole := func(id string) string {
		return `{"configs":[` + section + `BootstrapConfigDump","bootstrap":{"node":{"id":"` + id + `"}}},` + section + `ListenersConfigDump"},` + section +
			`ClustersConfigDump","dynamic_active_clusters":[{"cluster":{"@type":"type.googleapis.com/envoy.config.cluster.v3.Cluster","name":"x"}}]},` + section + `RoutesConfigDump"},` + section + `SecretsConfigDump"}]}`
	}
	clusters := `{"configs":[` + section + `ClustersConfigDump"}]}`
	live := `{"cluster_statuses":[]}`
	const none = "/clusters, /server_info, /certs, /stats"
	for name, test := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"one with a part": {map[string]string{"a.json": clusters}, []string{
			"ok a: has 0 clusters [p.clusters()]",
			"absent a: has no bootstrap, listeners, routes, endpoints, secrets, " + none + " [p.bootstrap() p.listeners() p.routes() p.endpoints() p.secrets() e.health e.live e.stats p.server_info() p.certs() p.stats()]",
		}},
		"live endpoints": {map[string]string{"a/dump.json": whole("n1"), "a/clusters.json": live}, []string{
			"ok n1: has bootstrap, 0 listeners, 0 routes, 1 clusters, 0 secrets, /clusters [p.bootstrap() p.listeners() p.routes() p.clusters() p.endpoints() p.secrets() e.health e.live e.stats]",
			"absent n1: has no /server_info, /certs, /stats [p.server_info() p.certs() p.stats()]",
		}},
		"alike, and no dump": {map[string]string{"1.json": whole("sidecar~10.0.0.1~web-1.shop~shop.svc"), "2.json": whole("n2"), "note.json": `{"x":1}`}, []string{
			"absent note.json: config dump NOTE: it is neither a config dump nor a resource of one []",
			"ok 2 proxies: web-1.shop, n2: each has bootstrap, listeners, routes, clusters, secrets [p.bootstrap() p.listeners() p.routes() p.clusters() p.secrets()]",
			"absent 2 proxies: web-1.shop, n2: none has endpoints, " + none + " [p.endpoints() e.health e.live e.stats p.server_info() p.certs() p.stats()]",
		}},
		"no file": {nil, []string{"unreachable DIR: the directory has no .json, .json.gz, .yaml or .yml file [everything]"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := write(t, test.files)
			var got []string
			for _, f := range dumpfile.New(dir, nil).Examine(t.Context(), mesh.Examination{}) {
				line := fmt.Sprintf("%s %s: %s %s", f.Outcome, f.Subject, f.Detail, f.Questions)
				got = append(got, strings.ReplaceAll(strings.ReplaceAll(line, filepath.Join(dir, "note.json"), "NOTE"), dir, "DIR"))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
