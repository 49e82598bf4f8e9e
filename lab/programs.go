package lab

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A program is one that the lab builds: a package of one of its modules.
type program struct {
	name, module, pkg string
}

var (
	apiserver = program{"apiserver", "apiserver", "."}
	pilot     = program{"pilot-discovery", "istio", "istio.io/istio/pilot/cmd/pilot-discovery"}
	istioctl  = program{"istioctl", "istio", "istio.io/istio/istioctl/cmd/istioctl"}
)

// Programs are the paths of the programs that the lab runs.
type Programs struct {
	APIServer string // etcd and kube-apiserver in one
	Discovery string // istiod
	Istioctl  string

	// IstioDir is the folder of the Istio module that Discovery and Istioctl are made of: its manifests and samples.
	IstioDir string
	// IstioVersion is what Discovery and Istioctl say is their version.
	IstioVersion string
}

// BuildPrograms builds the programs of the lab, or finds them built by an earlier run in the user's cache folder: they are kept there by
// their modules' versions. A build from nothing takes about ten minutes on two processors. Progress goes to log.
func BuildPrograms(ctx context.Context, log io.Writer) (*Programs, error) {
	here, err := goOutput(ctx, "", "list", "-f", "{{.Dir}}", "github.com/meshlark/meshlark/lab")
	if err != nil {
		return nil, fmt.Errorf("find the lab's modules: %w; the working directory has to be in the folder lab of a clone", err)
	}
	istio := filepath.Join(here, "istio")
	// The module may not have been downloaded yet; -m alone would give no folder then.
	if _, err := goOutput(ctx, istio, "mod", "download", "istio.io/istio"); err != nil {
		return nil, err
	}
	module, err := goOutput(ctx, istio, "list", "-m", "-f", "{{.Dir}}\n{{.Version}}", "istio.io/istio")
	if err != nil {
		return nil, err
	}
	dir, version, _ := strings.Cut(module, "\n")
	commit := version[strings.LastIndexByte(version, '-')+1:]
	p := &Programs{IstioDir: dir, IstioVersion: "1.31-dev-" + commit}
	variables := map[string]string{
		"buildVersion": p.IstioVersion, "buildTag": p.IstioVersion, "buildGitRevision": commit, "buildStatus": "Clean",
	}
	for _, b := range []struct {
		program
		path *string
	}{{apiserver, &p.APIServer}, {pilot, &p.Discovery}, {istioctl, &p.Istioctl}} {
		ldflags := "-s -w"
		if b.module == "istio" {
			for _, name := range slices.Sorted(maps.Keys(variables)) {
				ldflags += " -X istio.io/istio/pkg/version." + name + "=" + variables[name]
			}
		}
		if *b.path, err = b.build(ctx, log, filepath.Join(here, b.module), ldflags); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// build gives the path of the program, in the cache.
func (b program) build(ctx context.Context, log io.Writer, dir, ldflags string) (string, error) {
	key, err := b.key(ctx, dir, ldflags)
	if err != nil {
		return "", err
	}
	cache, err := cacheFolder()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(cache, b.name+"-"+key)
	path := filepath.Join(folder, b.name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	fmt.Fprintf(log, "building %s (minutes, the first time)\n", b.name)
	start := time.Now()
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", fmt.Errorf("make the cache of the lab's programs: %w", err)
	}
	// Built beside its place and renamed into it, so that an interrupted build leaves nothing that looks complete.
	tmp, err := os.MkdirTemp(folder, "build-")
	if err != nil {
		return "", fmt.Errorf("make the cache of the lab's programs: %w", err)
	}
	defer os.RemoveAll(tmp)
	built := filepath.Join(tmp, b.name)
	if _, err := goOutput(ctx, dir, "build", "-ldflags", ldflags, "-o", built, b.pkg); err != nil {
		return "", err
	}
	if err := os.Rename(built, path); err != nil {
		return "", fmt.Errorf("keep %s: %w", b.name, err)
	}
	fmt.Fprintf(log, "built %s in %v\n", b.name, time.Since(start).Round(time.Second))
	return path, nil
}

// key stands for everything that the program is made of: the versions of its modules, the lab's own source, Go and the flags.
func (b program) key(ctx context.Context, dir, ldflags string) (string, error) {
	version, err := goOutput(ctx, dir, "env", "GOVERSION", "GOOS", "GOARCH")
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintln(h, version, b.pkg, ldflags)
	for _, pattern := range []string{"go.mod", "go.sum", "*.go"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return "", err
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return "", fmt.Errorf("read the source of %s: %w", b.name, err)
			}
			fmt.Fprintf(h, "%s %d\n%s", filepath.Base(file), len(text), text)
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}

// cacheFolder is where built programs are kept, beside the Envoy of .ci/envoy.
func cacheFolder() (string, error) {
	dir := os.Getenv("XDG_CACHE_HOME")
	if dir == "" {
		home := os.Getenv("HOME")
		if home == "" {
			return "", errors.New("neither XDG_CACHE_HOME nor HOME says where to keep the lab's programs")
		}
		dir = filepath.Join(home, ".cache")
	}
	return filepath.Join(dir, "meshlark", "lab"), nil
}

// goOutput runs the go command and gives what it printed.
func goOutput(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimSpace(stdout.String()), nil
}
