// Bench measures meshlark beside istioctl on the lab, as whole processes that ask a cluster: the overview of a mesh, and the configuration of ten proxies.
// The commands take turns, so that a busy machine is equally unkind to both; what is printed are medians and ratios. A single absolute time says little.
//
//	go run ./cmd/bench [-n RUNS] [-services N] [-clients N] [-meshlark PATH]
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/meshlark/meshlark/lab"
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == measure {
		os.Exit(measured(os.Args[2:]))
	}
	runs := flag.Int("n", 7, "counted `RUNS` of each command, after one that is not")
	services := flag.Int("services", 500, "add `N` services to the mesh, each of which is a cluster of every proxy")
	clients := flag.Int("clients", 100, "add `N` proxies to the mesh that have no Envoy, for the overview")
	program := flag.String("meshlark", "", "the meshlark at `PATH`; by default that of this clone is built")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *runs, *services, *clients, *program); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

const proxies = 10

func run(ctx context.Context, runs, services, clients int, program string) (err error) {
	if program == "" {
		dir, err := os.MkdirTemp("", "meshlark-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		program = filepath.Join(dir, "meshlark")
		build := exec.CommandContext(ctx, "go", "build", "-tags=grpcnotrace", "-trimpath", "-ldflags=-s -w", "-o", program, "./cmd/meshlark")
		build.Dir = ".."
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build meshlark: %w: %s", err, out)
		}
	}
	l, err := lab.Start(ctx, lab.Options{Log: os.Stderr})
	if err != nil {
		return err
	}
	defer func() {
		if closed := l.Close(); err == nil {
			err = closed
		}
	}()
	if err := addServices(ctx, l, services); err != nil {
		return err
	}
	before := len(l.Envoys())
	if err := l.AddEnvoys(ctx, proxies); err != nil {
		return err
	}
	if err := l.AddClients(ctx, clients); err != nil {
		return err
	}
	load := l.Envoys()[before:]
	if err := known(ctx, load, services); err != nil {
		return err
	}
	dump, err := load[0].Get(ctx, "/config_dump?include_eds")
	if err != nil {
		return err
	}
	fmt.Printf("%d proxies, two istiods; the dump of a sidecar has %.1f MB\n", len(l.Envoys())+clients, float64(len(dump))/1e6)

	each := func(args ...string) [][]string {
		var calls [][]string
		for _, e := range load {
			calls = append(calls, append([]string{"proxy-config", args[0], e.ID()}, args[1:]...))
		}
		return calls
	}
	const ten = `(proxy="load-*")`
	b := &bench{ctx: ctx, lab: l, meshlark: program, runs: runs, out: tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)}
	fmt.Fprintln(b.out, "QUESTION\tMESHLARK\tCPU\tMEMORY\tISTIOCTL\tCPU\tMEMORY\tRATIO\tCPU\tMEMORY")
	for _, q := range []question{
		{"overview, all revisions beside the default one", []string{"proxies()"}, [][]string{{"proxy-status", "-v", "1"}}},
		{"overview, all revisions beside both, one by one", []string{"proxies()"}, [][]string{{"proxy-status", "-v", "1"}, {"proxy-status", "-v", "1", "--revision", "canary"}}},
		{"clusters of ten proxies", []string{"clusters" + ten}, each("cluster")},
		{"routes of ten proxies", []string{"routes" + ten + ".routes"}, each("route")},
		{"endpoints of ten proxies", []string{"endpoints" + ten}, each("endpoint")},
		{"all configuration of ten proxies", []string{
			`[p.bootstrap() for p in proxies("load-*")]`, "clusters" + ten, "listeners" + ten, "routes" + ten + ".routes", "secrets" + ten, "endpoints" + ten,
		}, each("all")},
	} {
		if err := b.compare(q); err != nil {
			return err
		}
	}
	return b.out.Flush()
}

// addServices gives the mesh services with two endpoints each.
func addServices(ctx context.Context, l *lab.Lab, n int) error {
	var manifest strings.Builder
	for i := range n {
		text, err := json.Marshal(map[string]any{
			"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": map[string]any{"name": fmt.Sprintf("service-%04d", i), "namespace": "default"},
			"spec": map[string]any{
				"hosts": []any{fmt.Sprintf("service-%04d.example.com", i)}, "location": "MESH_INTERNAL", "resolution": "STATIC",
				"ports":     []any{map[string]any{"number": 80, "name": "http", "protocol": "HTTP"}},
				"endpoints": []any{map[string]any{"address": fmt.Sprintf("10.250.%d.%d", i/200, 1+i%200)}, map[string]any{"address": fmt.Sprintf("10.251.%d.%d", i/200, 1+i%200)}},
			},
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(&manifest, "%s\n---\n", text)
	}
	return l.Apply(ctx, manifest.String())
}

// known returns when Envoys have the services, which istiod tells them of when no more have come for a while.
func known(ctx context.Context, envoys []*lab.Envoy, services int) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for _, e := range envoys {
		for {
			clusters, err := e.Get(ctx, "/clusters?filter=service-")
			if err != nil {
				return err
			}
			// One line of each has its name and the limit of its connections.
			if bytes.Count(clusters, []byte("::default_priority::max_connections::")) >= services {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	return nil
}

type bench struct {
	ctx      context.Context
	lab      *lab.Lab
	meshlark string
	runs     int
	out      *tabwriter.Writer
}

// A question is what one run of meshlark evaluates, and the calls of istioctl that answer it, one after the other.
type question struct {
	name     string
	exprs    []string
	istioctl [][]string
}

// A cost is what it took to answer once.
type cost struct {
	Took   time.Duration
	CPU    time.Duration // of the process itself, not of the cluster that answers it
	Memory int64         // bytes resident, of the call that had most
}

func (b *bench) compare(q question) error {
	args := []string{"-s", "kube:lab"}
	for _, expr := range q.exprs {
		args = append(args, "-e", expr)
	}
	var ours, theirs []cost
	for range b.runs + 1 {
		one, err := b.time(b.meshlark, args...)
		if err != nil {
			return err
		}
		ours = append(ours, one)
		var all cost
		for _, args := range q.istioctl {
			one, err := b.time(b.lab.Istioctl, args...)
			if err != nil {
				return err
			}
			all.Took += one.Took
			all.CPU += one.CPU
			all.Memory = max(all.Memory, one.Memory)
		}
		theirs = append(theirs, all)
	}
	us, them := median(ours[1:]), median(theirs[1:])
	show := func(c cost) string {
		return fmt.Sprintf("%.0f ms\t%.0f ms\t%.0f MB", float64(c.Took)/1e6, float64(c.CPU)/1e6, float64(c.Memory)/1e6)
	}
	fmt.Fprintf(b.out, "%s\t%s\t%s\t%.2f\t%.2f\t%.2f\n", q.name, show(us), show(them), float64(us.Took)/float64(them.Took), float64(us.CPU)/float64(them.CPU), float64(us.Memory)/float64(them.Memory))
	return nil
}

// median gives the medians of times and of memory, each on its own.
func median(costs []cost) cost {
	return cost{
		middle(costs, func(c cost) time.Duration { return c.Took }),
		middle(costs, func(c cost) time.Duration { return c.CPU }),
		middle(costs, func(c cost) int64 { return c.Memory }),
	}
}

func middle[T cmp.Ordered](costs []cost, of func(cost) T) T {
	var all []T
	for _, c := range costs {
		all = append(all, of(c))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// measure has this program run another and print what that cost, as the last line of standard error. A process begins with the memory of the one that
// starts it, by the kernel's account; this one is small, the lab is not.
const measure = "measure"

func (b *bench) time(program string, args ...string) (cost, error) {
	self, err := os.Executable()
	if err != nil {
		return cost{}, err
	}
	cmd := exec.CommandContext(b.ctx, self, append([]string{measure, program}, args...)...)
	cmd.Env = []string{"HOME=" + b.lab.Dir(), "KUBECONFIG=" + b.lab.Kubeconfig}
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.Discard, &stderr
	if err := cmd.Run(); err != nil {
		return cost{}, fmt.Errorf("%s %q: %w: %s", filepath.Base(program), args, err, stderr.Bytes())
	}
	var c cost
	lines := bytes.Split(bytes.TrimSpace(stderr.Bytes()), []byte("\n"))
	if err := json.Unmarshal(lines[len(lines)-1], &c); err != nil {
		return cost{}, fmt.Errorf("read what %s cost: %w: %s", filepath.Base(program), err, stderr.Bytes())
	}
	return c, nil
}

func measured(args []string) int {
	cmd := exec.Command(args[0], args[1:]...)
	// Read, as by a person's terminal.
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	start := time.Now()
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	c := cost{Took: time.Since(start), CPU: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		c.Memory = usage.Maxrss << 10
	}
	json.NewEncoder(os.Stderr).Encode(c)
	return 0
}
