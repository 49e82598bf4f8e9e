package origin

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/xds/dump"
	"github.com/meshlark/meshlark/xds/resource"
)

var update = flag.Bool("update", false, "write testdata/recorded.txt")

// What a real istiod's and a real Envoy's configuration names.
func TestRecorded(t *testing.T) {
	files, err := filepath.Glob("../../mesh/source/istiod/testdata/recorded/config_dump-*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no recordings", err)
	}
	files = append(files, "../dump/testdata/envoy-1.40/config_dump.json")
	var out strings.Builder
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d, err := dump.Split(resource.NewStore(), src, dump.Options{Source: file})
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString(filepath.Base(file) + "\n")
		for _, kind := range resource.Kinds {
			var lines []string
			for _, r := range d.Resources(kind) {
				raw, err := r.Raw()
				if err != nil {
					t.Fatal(err)
				}
				if text := texts(Of(kind, r.Name(), raw)); text != "" {
					lines = append(lines, strings.Split(text, "\n")...)
				}
			}
			slices.Sort(lines)
			for _, line := range slices.Compact(lines) {
				out.WriteString("  " + string(kind) + ": " + line + "\n")
			}
		}
	}
	const golden = "testdata/recorded.txt"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", golden, diff)
	}
}
