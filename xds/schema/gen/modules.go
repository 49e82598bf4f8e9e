package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A module holds Go packages generated from API definitions.
type module struct {
	path string

	// Version is empty for a module this repository depends on: go.mod says which version. The others are read here and nowhere else.
	version string

	// Folders are the parts of the module to read; none means all of it.
	folders []string

	// Support marks a module whose messages are in the table only if a field of another module's message leads to them.
	support bool
}

var modules = []module{
	{path: "github.com/envoyproxy/go-control-plane/envoy"},
	{path: "github.com/cncf/xds/go"},
	{path: "google.golang.org/genproto/googleapis/api", support: true},
	{path: "google.golang.org/genproto/googleapis/rpc", support: true},
	{path: "cel.dev/expr", support: true},
	{path: "go.opentelemetry.io/proto/otlp", version: "v1.11.0", support: true},
	// Istio's own filters, then the name tables and workloads istiod serves.
	{path: "istio.io/api", version: "v1.31.1", folders: []string{"envoy"}},
	{path: "istio.io/istio", version: "v0.0.0-20260827124520-eed52ebb66ad", folders: []string{"pkg/dns/proto", "pkg/workloadapi"}},
}

// A source is a module that is on this machine.
type source struct {
	module
	dir string
}

// locate finds the module in the module cache, and downloads it if it is not there.
func (m module) locate() (source, error) {
	cmd := exec.Command("go", "mod", "download", "-json", m.path)
	if m.version != "" {
		// Outside of this repository's module, so that go.mod and go.sum do not come into it.
		cmd = exec.Command("go", "mod", "download", "-json", m.path+"@"+m.version)
		cmd.Dir = os.TempDir()
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var answer struct{ Version, Dir, Error string }
	if jsonErr := json.Unmarshal(out, &answer); jsonErr != nil || err != nil || answer.Dir == "" {
		return source{}, fmt.Errorf("locate module %s: %s: %s%s", m.path, strings.Join(cmd.Args, " "), answer.Error, stderr.String())
	}
	m.version = answer.Version
	return source{module: m, dir: answer.Dir}, nil
}

// files lists the Go files that may hold a definition.
func (s source) files() ([]string, error) {
	folders := s.folders
	if folders == nil {
		folders = []string{"."}
	}
	var files []string
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join(s.dir, folder), func(path string, d os.DirEntry, err error) error {
			if err != nil {
				return fmt.Errorf("list the files of module %s: %w", s.path, err)
			}
			if strings.HasSuffix(path, ".pb.go") && !strings.HasSuffix(path, "_vtproto.pb.go") && !strings.HasSuffix(path, "_grpc.pb.go") {
				files = append(files, path)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}
