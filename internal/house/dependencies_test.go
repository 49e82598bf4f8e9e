package house

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Every module that go.mod names directly has its reason in docs/dependencies.md, and no other module has.
func TestDependencies(t *testing.T) {
	cmd := exec.Command("go", "mod", "edit", "-json")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go mod edit: %v", err)
	}
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for line := range strings.Lines(string(page)) {
		if cell, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " |"); ok && strings.HasPrefix(line, "| ") {
			for m := range strings.SplitSeq(cell, ",") {
				listed[strings.TrimSpace(m)] = true
			}
		}
	}
	direct := 0
	for _, r := range mod.Require {
		switch {
		case !r.Indirect && !listed[r.Path]:
			t.Errorf("docs/dependencies.md does not say why %s is there", r.Path)
		case r.Indirect && listed[r.Path]:
			t.Errorf("docs/dependencies.md has %s, which is not a direct dependency", r.Path)
		}
		if !r.Indirect {
			direct++
		}
	}
	if direct < 10 {
		t.Errorf("go.mod names %d modules directly", direct)
	}
}
