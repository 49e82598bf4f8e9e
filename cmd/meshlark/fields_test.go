package main

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/cmd/meshlark/internal/cli"
	"github.com/meshlark/meshlark/internal/replay"
)

// TestFields holds the fields that -o json prints of each kind against
// testdata/fields.txt. Programs read them: taking one away breaks those.
func TestFields(t *testing.T) {
	istiod := httptest.NewServer(replay.NewIstiod("../../mesh/source/istiod/testdata/recorded"))
	defer istiod.Close()
	var out strings.Builder
	for _, expr := range []string{
		`proxies()`, `istiods()`, `listeners()`, `routes()`, `routes().routes`, `clusters()`, `endpoints()`, `secrets()`,
		`proxy("productpage-v1-abc").bootstrap()`, `listeners(port=9080)[0].filter_chains`, `doctor()`, `routes("9080")[0].virtual_hosts`, `objects("vs")`,
		`routes("9080")[0].match(host="reviews", headers={"end-user": "jason"})`, `listeners(port=9080)[0].match(dst_ip="10.0.0.1")`,
		`proxy("productpage-v1-abc").trace("http://reviews:9080/")`, `why_not(proxy("productpage-v1-abc").trace("http://reviews:9080/"), "*v2*")`,
	} {
		var stdout, stderr strings.Builder
		status := cli.Run(t.Context(), []string{
			"-s", "../../xds/dump/testdata/envoy-1.40/config_dump.json", "-s", "istiod+" + istiod.URL, "--allow-partial", "-o", "json", "-e", expr,
		}, strings.NewReader(""), &stdout, &stderr, nil)
		if status != 0 {
			t.Errorf("%s: exit status %d: %s", expr, status, stderr.String())
			continue
		}
		var doc struct {
			Kind  string
			Items []map[string]any
		}
		if err := json.Unmarshal([]byte(stdout.String()), &doc); err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		if len(doc.Items) == 0 {
			t.Errorf("%s: no items to see the fields of", expr)
			continue
		}
		fmt.Fprintf(&out, "%s: %s\n", expr, doc.Kind)
		for _, name := range fieldNames("", doc.Items) {
			fmt.Fprintf(&out, "  %s\n", name)
		}
	}
	const path = "testdata/fields.txt"
	if *update {
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("%s (-want +got); if fields were only added: go test ./cmd/meshlark -run TestFields -update\n%s", path, diff)
	}
}

// fieldNames lists the paths of the fields of objects, those of objects in
// them included. The names of labels and annotations, and what Kubernetes
// objects say, are no fields.
func fieldNames(prefix string, objects []map[string]any) []string {
	var names []string
	for _, o := range objects {
		for name, v := range o {
			names = append(names, prefix+name)
			if slices.Contains([]string{"labels", "annotations", "spec", "status"}, name) {
				continue
			}
			switch v := v.(type) {
			case map[string]any:
				names = append(names, fieldNames(prefix+name+".", []map[string]any{v})...)
			case []any:
				for _, x := range v {
					if inner, ok := x.(map[string]any); ok {
						names = append(names, fieldNames(prefix+name+"[].", []map[string]any{inner})...)
					}
				}
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
