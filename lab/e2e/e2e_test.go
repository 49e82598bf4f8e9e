// Package e2e holds meshlark to a real mesh: the program itself, run on the lab, beside istioctl.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meshlark/meshlark/lab"
)

var meshlarkFlag = flag.String("meshlark", "", "the meshlark to test; by default that of this clone is built")

// mesh is the lab that the tests share. Each leaves it healthy.
var mesh *lab.Lab

// meshlark is the path of the program under test.
var meshlark string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) (status int) {
	dir, err := os.MkdirTemp("", "meshlark-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if meshlark = *meshlarkFlag; meshlark == "" {
		meshlark = filepath.Join(dir, "meshlark")
		build := exec.Command("go", "build", "-o", meshlark, "./cmd/meshlark")
		build.Dir = "../.."
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build meshlark: %v: %s\n", err, out)
			return 1
		}
	}
	if mesh, err = lab.Start(context.Background(), lab.Options{Log: os.Stderr}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if status != 0 {
			mesh.Keep()
			fmt.Fprintln(os.Stderr, "the logs of the lab are in", mesh.Dir())
		}
		if err := mesh.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = max(status, 1)
		}
	}()
	return m.Run()
}

// An answer is what a program gave.
type answer struct {
	stdout, stderr string
	status         int
	took           time.Duration
	memory         int64 // bytes that it had resident at most
}

// runProgram runs a program with nothing of this user's configuration but the kubeconfig of the lab.
func runProgram(t *testing.T, program string, args ...string) answer {
	t.Helper()
	return runWith(t, mesh.Kubeconfig, program, args...)
}

// runWith runs a program with a kubeconfig. The test fails if it has not ended within a minute.
func runWith(t *testing.T, kubeconfig, program string, args ...string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = []string{"HOME=" + mesh.Dir(), "KUBECONFIG=" + kubeconfig}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	start := time.Now()
	err := cmd.Run()
	took := time.Since(start)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("%s %q: %v, %v: %s", filepath.Base(program), args, err, ctx.Err(), stderr.Bytes())
	}
	got := answer{stdout: stdout.String(), stderr: stderr.String(), status: cmd.ProcessState.ExitCode(), took: took}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		got.memory = usage.Maxrss << 10 // Linux counts in kilobytes
	}
	if strings.Contains(got.stderr, "goroutine ") {
		t.Errorf("%s %q panicked:\n%s", filepath.Base(program), args, got.stderr)
	}
	return got
}

// sources are the arguments that name sources.
func sources(specs ...string) []string {
	var args []string
	for _, spec := range specs {
		args = append(args, "-s", spec)
	}
	return args
}

// istiods are the sources of all istiods.
func istiods() []string {
	var specs []string
	for _, i := range mesh.Istiods() {
		specs = append(specs, "istiod+"+i.Debug)
	}
	return sources(specs...)
}

// The cluster as a source, for the user that may do everything and for the one that may read.
var (
	cluster = sources("kube:lab")
	reader  = sources("kube:lab-reader")
)

// ask evaluates an expression and gives what meshlark printed; it fails the test unless that is the whole answer.
func ask(t *testing.T, sources []string, expr string, args ...string) string {
	t.Helper()
	got := runProgram(t, meshlark, append(append(sources[:len(sources):len(sources)], "-e", expr), args...)...)
	if got.status != 0 {
		t.Fatalf("meshlark %q -e %s: exit status %d: %s", sources, expr, got.status, got.stderr)
	}
	return got.stdout
}

// items asks for the items of an expression and reads them into a list.
func items[T any](t *testing.T, sources []string, expr string, args ...string) []T {
	t.Helper()
	var doc struct{ Items []T }
	out := ask(t, sources, expr, append(args, "-o", "json")...)
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		t.Fatalf("%s: %v in %.300s", expr, err, out)
	}
	return doc.Items
}

// A failure is what meshlark says of something that it left out.
type failure struct{ Proxy, Source, Stage, Reason string }

// partly asks what cannot be answered wholly: it gives the items, and what was left out.
func partly[T any](t *testing.T, sources []string, expr string, args ...string) ([]T, []failure) {
	t.Helper()
	items, missing, _ := left[T](t, sources, expr, args...)
	return items, missing
}

// left does as partly, and gives the whole answer too.
func left[T any](t *testing.T, sources []string, expr string, args ...string) ([]T, []failure, answer) {
	t.Helper()
	args = append(append(sources[:len(sources):len(sources)], "-e", expr, "-o", "json"), args...)
	got := runProgram(t, meshlark, args...)
	if got.status != 5 {
		t.Fatalf("meshlark %q: exit status %d, want 5 for an answer with something left out; it said:\n%s%s", args, got.status, got.stdout, got.stderr)
	}
	doc := read[struct {
		Items  []T
		Errors []failure
	}](t, []byte(got.stdout))
	if len(doc.Errors) == 0 || !strings.Contains(got.stderr, "left out") {
		t.Errorf("%s: it does not say what was left out:\n%s%s", expr, got.stdout, got.stderr)
	}
	return doc.Items, doc.Errors, got
}

// istioctl runs istioctl as the user of the lab and gives its standard output.
func istioctl(t *testing.T, args ...string) string {
	t.Helper()
	got := runProgram(t, mesh.Istioctl, append([]string{"--kubeconfig", mesh.Kubeconfig}, args...)...)
	if got.status != 0 {
		t.Fatalf("istioctl %q: exit status %d: %s", args, got.status, got.stderr)
	}
	return got.stdout
}

// play plays a scene until the end of the test.
func play(t *testing.T, undo lab.Undo, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := undo(context.Background()); err != nil {
			t.Fatalf("undo the scene: %v", err)
		}
	})
}

// cells reads a table that istioctl printed: the cells below the named heads, row by row.
func cells(t *testing.T, table string, heads ...string) [][]string {
	t.Helper()
	lines := strings.Split(strings.TrimRight(table, "\n"), "\n")
	var starts []int
	for _, head := range heads {
		start := strings.Index(lines[0]+" ", head+" ")
		if start < 0 || len(starts) > 0 && start <= starts[len(starts)-1] {
			t.Fatalf("istioctl printed no column %s after the ones before it:\n%.2000s", head, table)
		}
		starts = append(starts, start)
	}
	var rows [][]string
	for _, line := range lines[1:] {
		row := make([]string, len(heads))
		for i, start := range starts {
			end := len(line)
			if i+1 < len(starts) {
				end = min(end, starts[i+1])
			}
			if start < end {
				row[i] = strings.TrimSpace(line[start:end])
			}
		}
		rows = append(rows, row)
	}
	return rows
}
