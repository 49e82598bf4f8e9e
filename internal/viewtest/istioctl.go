// Package viewtest tests the views of xds: it holds them to what istioctl printed of the same recorded dumps, and calls
// everything a view offers on whatever text it is given.
package viewtest

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/google/go-cmp/cmp"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// A List is a list of resources in a section of a config dump and the way from an element to the resource.
type List struct {
	section string
	field   string
	state   string
	path    []string
}

// The lists istioctl shows, in its order.
var (
	Clusters = []List{
		{"ClustersConfigDump", "dynamic_active_clusters", "", []string{"cluster"}},
		{"ClustersConfigDump", "static_clusters", "", []string{"cluster"}},
	}
	Listeners = []List{
		{"ListenersConfigDump", "dynamic_listeners", "", []string{"active_state", "listener"}},
		{"ListenersConfigDump", "static_listeners", "", []string{"listener"}},
	}
	Routes = []List{
		{"RoutesConfigDump", "dynamic_route_configs", "", []string{"route_config"}},
		{"RoutesConfigDump", "static_route_configs", "", []string{"route_config"}},
	}
	Endpoints = []List{
		{"EndpointsConfigDump", "dynamic_endpoint_configs", "", []string{"endpoint_config"}},
		{"EndpointsConfigDump", "static_endpoint_configs", "", []string{"endpoint_config"}},
	}
	Secrets = []List{
		{"SecretsConfigDump", "dynamic_warming_secrets", "WARMING", []string{"secret"}},
		{"SecretsConfigDump", "dynamic_active_secrets", "ACTIVE", []string{"secret"}},
	}
	Bootstrap = []List{{"BootstrapConfigDump", "", "", nil}}
)

// A Resource is one body of a dump.
type Resource struct {
	Name  string // of the element around it
	State string
	Body  rawjson.Value
}

// IstiodDumps are the recorded answers of an istiod that istioctl was run on, by the name of the proxy. root is the way to the
// top of the repository.
func IstiodDumps(t testing.TB, root string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "mesh/source/istiod/testdata/recorded/config_dump-*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no recorded answers of istiod under %s: %v", root, err)
	}
	dumps := map[string]string{}
	for _, file := range files {
		proxy := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "config_dump-"), ".json")
		dumps[proxy] = file
	}
	return dumps
}

// IstiodTable is the file with what istioctl printed of the dump of one proxy.
func IstiodTable(root, kind, proxy string) string {
	return filepath.Join(root, "mesh/source/istiod/testdata/istioctl", kind+"-"+proxy+".txt")
}

// EnvoyDump is the recorded /config_dump?include_eds of an Envoy. What istioctl proxy-config printed of it (the same istioctl as in
// the recordings of istiod, `proxy-config KIND -f`) is in testdata/istioctl-envoy-1.40.txt of the view's package.
func EnvoyDump(root string) string {
	return filepath.Join(root, "xds/dump/testdata/envoy-1.40/config_dump.json")
}

// Read gives the resources of some lists of a dump.
func Read(t testing.TB, file string, lists []List) []Resource {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(file, ".gz") {
		z, err := gzip.NewReader(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if text, err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
	}
	compact, err := rawjson.Compact(nil, text)
	if err != nil {
		t.Fatal(err)
	}
	var out []Resource
	for _, list := range lists {
		for section := range rawjson.Value(compact).Get("configs").Elems() {
			if !strings.HasSuffix(section.Str("@type"), "."+list.section) {
				continue
			}
			if list.field == "" {
				out = append(out, Resource{Body: section})
				continue
			}
			for elem := range section.Get(list.field).Elems() {
				if body := elem.Get(list.path...); body.Exists() {
					out = append(out, Resource{elem.Str("name"), list.state, body})
				}
			}
		}
	}
	return out
}

// Compare renders rows, the header among them, as istioctl does and compares them with what it printed. The order of rows is left
// out: it is for whoever displays them, and istioctl's own is not always the same.
func Compare(t *testing.T, file string, padding int, rows [][]string) {
	t.Helper()
	printed, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 8, padding, ' ', 0)
	for _, row := range rows {
		io.WriteString(w, strings.Join(row, "\t")+"\n")
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(lines(printed), lines(b.Bytes())); diff != "" {
		t.Errorf("rows differ from %s (- istioctl, + ours):\n%s", filepath.Base(file), diff)
	}
}

func lines(text []byte) []string {
	out := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	slices.Sort(out)
	return out
}
