// Package house holds the repository to its own plan.
package house

import (
	"bytes"
	"encoding/json"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/meshlark/meshlark/"

// layers are the folders whose packages may import each other downwards only: each may import those of its list, and packages of its own
// folder. A folder that is not named here may be imported by tests only, unless cmd hands it in.
var layers = map[string][]string{
	"cmd":      {"repl", "display", "session", "builtins", "mesh", "kube", "xds", "scripts", "demo"},
	"repl":     {"display", "session", "builtins", "mesh", "xds"},
	"display":  {"session", "builtins", "mesh", "xds"},
	"session":  {"builtins", "mesh", "xds"},
	"scripts":  {"session"},
	"builtins": {"mesh", "xds"},
	"mesh":     {"kube", "xds"},
	"demo":     {"xds"},
	"kube":     {},
	"xds":      {},
	"internal": {"mesh", "xds"},
}

// outside says which modules a folder must not know, and why.
var outside = []struct{ folder, prefix, why string }{
	{"xds", "go.starlark.net", "Starlark values are known to builtins and up"},
	{"xds", "k8s.io", "xds knows nothing of Kubernetes"},
	{"xds", "net/http", "xds does no I/O"},
	{"mesh", "go.starlark.net", "Starlark values are known to builtins and up"},
	{"kube", "go.starlark.net", "Starlark values are known to builtins and up"},
	{"kube", "github.com/envoyproxy", "kube knows nothing of Envoy"},
	{"builtins", "os", "the environment, the clock and the terminal are handed in by cmd"},
	{"session", "os/exec", "scripts run no programs"},
	{"display", "os", "the environment and the terminal are handed in by cmd"},
}

// allowedOutside are exceptions, each with its reason.
var allowedOutside = map[string]string{}

type pkg struct {
	ImportPath string
	Imports    []string
}

func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var pkgs []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); err == io.EOF {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

func folder(path string) string {
	f, _, _ := strings.Cut(strings.TrimPrefix(path, module), "/")
	return f
}

// Arrows point down.
func TestImports(t *testing.T) {
	pkgs := list(t)
	if len(pkgs) < 20 {
		t.Fatalf("go list gave %d packages", len(pkgs))
	}
	for _, p := range pkgs {
		from := folder(p.ImportPath)
		allowed, known := layers[from]
		if !known {
			t.Errorf("%s is in a folder that the plan does not have", p.ImportPath)
			continue
		}
		for _, imp := range p.Imports {
			if !strings.HasPrefix(imp, module) {
				for _, o := range outside {
					if o.folder == from && (imp == o.prefix || strings.HasPrefix(imp, o.prefix+"/")) && allowedOutside[p.ImportPath+" "+imp] == "" {
						// Only whole packages count: os is not os/signal.
						if o.prefix == "os" && imp != "os" {
							continue
						}
						t.Errorf("%s imports %s: %s", p.ImportPath, imp, o.why)
					}
				}
				continue
			}
			to := folder(imp)
			if to == from || contains(allowed, to) {
				continue
			}
			t.Errorf("%s imports %s, which is not below it", p.ImportPath, imp)
		}
		// What opens sources is handed in by cmd.
		if !strings.HasPrefix(p.ImportPath, module+"cmd/") && !strings.HasPrefix(p.ImportPath, module+"mesh/source") {
			for _, imp := range p.Imports {
				if strings.HasPrefix(imp, module+"mesh/source") {
					t.Errorf("%s imports %s: sources are opened by cmd", p.ImportPath, imp)
				}
			}
		}
	}
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}
