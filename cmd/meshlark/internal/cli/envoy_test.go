package cli_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/cmd/meshlark/internal/cli"
	"github.com/meshlark/meshlark/internal/envoytest"
)

// ask runs meshlark on a source and gives its standard output.
func ask(t *testing.T, source string, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := cli.Run(t.Context(), append([]string{"-s", source}, args...), strings.NewReader(""), &stdout, &stderr, nil); code != 0 {
		t.Fatalf("%q: exit status %d: %s", args, code, stderr.String())
	}
	return stdout.String()
}

// What a user asks of a running Envoy and of the dump saved from it has one answer.
func TestRealEnvoy(t *testing.T) {
	scene := envoytest.StartScene(t)
	saved := filepath.Join(t.TempDir(), "dump.json")
	if err := os.WriteFile(saved, scene.Get(t, "/config_dump?include_eds"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, expr := range []string{
		`proxies()`, `clusters(state="*")`, `clusters("outbound|*reviews*")`, `listeners(state="*")`, `listeners(port=9080)`, `routes()`, `routes("9080").routes`,
		`secrets(state="*")`, `proxy("productpage-v1").bootstrap()`, `proxy("productpage-v1").extensions()`, `proxy("productpage-v1").scoped_routes()`,
		`clusters(fqdn="reviews", subset="v1").jq(".[].eds_cluster_config.service_name")`,
	} {
		live := items(t, ask(t, scene.AdminURL(), "-e", expr, "-o", "json=full"))
		if len(live) == 0 {
			t.Errorf("%s: nothing, though the scene has some", expr)
		}
		if diff := cmp.Diff(items(t, ask(t, saved, "-e", expr, "-o", "json=full")), live); diff != "" {
			t.Errorf("%s (-saved +live):\n%s", expr, diff)
		}
	}
}

// items decodes the items of a document, in an order of their own: Envoy lists some things in the order of a hash. Where they were read from
// is left out.
func items(t *testing.T, document string) map[string]int {
	t.Helper()
	var doc struct{ Items []any }
	if err := json.Unmarshal([]byte(document), &doc); err != nil {
		t.Fatalf("%v in %.300s", err, document)
	}
	set := map[string]int{}
	for _, item := range doc.Items {
		if fields, ok := item.(map[string]any); ok {
			delete(fields, "source")
			delete(fields, "connected")
		}
		b, err := json.Marshal(item)
		if err != nil {
			t.Fatal(err)
		}
		set[string(b)]++
	}
	return set
}

// What istioctl does not show of this Envoy, a user of meshlark sees.
func TestRealEnvoyBlindSpots(t *testing.T) {
	scene := envoytest.StartScene(t)
	for expr, want := range map[string]string{
		`[l.error for l in listeners(state="error")]`:                            "duplicate matcher",
		`clusters(state="warming").names`:                                        envoytest.WarmingCluster,
		`listeners(state="warming").names`:                                       envoytest.WarmingListener,
		`secrets(state="warming").names`:                                         envoytest.WarmingSecret,
		`[len(s.certificates) for s in secrets("default")]`:                      "2",
		`endpoints(status="DRAINING")`:                                           "10.0.1.",
		`[(e.weight, e.priority, e.locality) for e in endpoints(port=9080)]`:     "us-west-2/us-west-2a",
		`[r.match for r in routes("9080").routes]`:                               "end-user",
		`[w.weight for r in routes("9080").routes for w in r.weighted_clusters]`: "90",
	} {
		if got := ask(t, scene.AdminURL(), "-e", expr); !strings.Contains(got, want) {
			t.Errorf("%s: %q is not in\n%s", expr, want, got)
		}
	}
}
