package reference

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the generated files")

// TestGenerated compares the files in docs with what the registry says now.
func TestGenerated(t *testing.T) {
	schema, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct{ name, text string }{
		{"reference.md", Markdown()},
		{"meshlark.pyi", Stubs()},
		{"schema.json", string(schema)},
	} {
		file := "../../docs/" + f.name
		if *update {
			if err := os.WriteFile(file, []byte(f.text), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		have, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.Split(string(have), "\n"), strings.Split(f.text, "\n")); diff != "" {
			t.Errorf("%s is out of date; go test ./builtins/reference -update writes it anew (-file +registry):\n%s", file, diff)
		}
	}
}
