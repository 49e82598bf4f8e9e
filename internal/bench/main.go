//go:build unix

// Bench measures meshlark as whole processes beside the tools a user would otherwise take, jq and istioctl, in one run: the commands
// take turns, so that a busy machine is equally unkind to all. Where two commands answer one question their outputs are compared. What is
// printed are medians and ratios; a single absolute time says little.
//
//	go run ./internal/bench [-n RUNS] [-istioctl PATH] [DUMP.json ...]
//	go run ./internal/bench -scale FILE.svg
//
// Without files a dump of a sidecar in a mesh of 2,000 services is generated.
package main

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	runs := flag.Int("n", 7, "counted runs of each command, after one that is not")
	istioctl := flag.String("istioctl", "istioctl", "the istioctl to compare with, if there is one")
	plot := flag.String("scale", "", "measure instead what a trace costs by the size of a route table, and draw it into this `file` (SVG)")
	flag.Parse()
	measure := func() error { return run(os.Stdout, *runs, *istioctl, flag.Args()) }
	if *plot != "" {
		measure = func() error { return scale(os.Stdout, *plot) }
	}
	if err := measure(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, runs int, istioctl string, dumps []string) error {
	dir, err := os.MkdirTemp("", "meshlark-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "meshlark")
	if b, err := exec.Command("go", "build", "-trimpath", "-tags=grpcnotrace", "-ldflags=-s -w", "-o", binary, "github.com/meshlark/meshlark/cmd/meshlark").CombinedOutput(); err != nil {
		return fmt.Errorf("building meshlark: %v\n%s", err, b)
	}
	if _, err := exec.LookPath("jq"); err != nil {
		return fmt.Errorf("jq is what this compares with: %w", err)
	}
	if len(dumps) == 0 {
		dump, err := generated(dir)
		if err != nil {
			return err
		}
		dumps = []string{dump}
	}
	b := &bench{out: out, dir: dir, runs: runs, meshlark: binary}
	if path, err := exec.LookPath(istioctl); err == nil {
		b.istioctl = path
	}
	info, err := os.Stat(binary)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "binary: %.1f MB\n", float64(info.Size())/1e6)
	if b.istioctl != "" {
		if info, err := os.Stat(b.istioctl); err == nil {
			fmt.Fprintf(out, "istioctl's: %.1f MB\n", float64(info.Size())/1e6)
		}
	}
	b.startUp()
	for _, dump := range dumps {
		info, err := os.Stat(dump)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "\n%s: %.1f MB\n", filepath.Base(dump), float64(info.Size())/1e6)
		if err := b.dump(dump); err != nil {
			return err
		}
	}
	return b.err
}

type bench struct {
	out      io.Writer
	dir      string // for what the commands read
	runs     int
	meshlark string
	istioctl string
	err      error
}

// A contender is one command that answers a question.
type contender struct {
	name string
	argv []string
	// answer reduces its output to what the contenders must agree on; nil leaves it out of the comparison.
	answer func([]byte) string
}

func (b *bench) startUp() {
	cs := []contender{{name: "meshlark version", argv: []string{b.meshlark, "version"}}}
	if b.istioctl != "" {
		cs = append(cs, contender{name: "istioctl version", argv: []string{b.istioctl, "version", "--remote=false"}})
	}
	b.compare("start-up", cs)
}

func (b *bench) dump(file string) error {
	const clusters = `.configs[] | (.dynamic_active_clusters // [])[] | .cluster`
	b.compare("table of all clusters", []contender{
		{"meshlark clusters()", []string{b.meshlark, "-s", file, "-e", "clusters()"}, countRows},
		{"jq, counting them", []string{"jq", "[" + clusters + "] | length", file}, strings1},
		{"istioctl pc cluster", []string{b.istioctl, "proxy-config", "cluster", "-f", file}, countRows},
	})
	name, err := exec.Command("jq", "-r", "["+clusters+" | .name | select(startswith(\"outbound\"))] | .[length / 2 | floor]", file).Output()
	if err != nil {
		return fmt.Errorf("choosing a cluster: %w", err)
	}
	one := strings.TrimSpace(string(name))
	b.compare("one cluster by name, its body", []contender{
		{"meshlark clusters(name)", []string{b.meshlark, "-s", file, "-e", fmt.Sprintf("clusters(%q)[0].jq1('.')", "="+one), "-o", "json=full"}, sorted},
		{"jq select(.name == ...)", []string{"jq", "--arg", "n", one, clusters + " | select(.name == $n)", file}, sorted},
	})
	b.compare("where(lambda) over all clusters", []contender{
		{"meshlark .where(lambda)", []string{b.meshlark, "-s", file, "-e", `len(clusters().where(lambda c: c.port == 8080 and c.type == "EDS"))`}, strings1},
		{"jq select", []string{"jq", "[" + clusters + ` | select((.name | split("|")[1]) == "8080" and .type == "EDS")] | length`, file}, strings1},
	})
	b.compare("jq over all bodies", []contender{
		{"meshlark .jq", []string{b.meshlark, "-s", file, "-e", `clusters().jq('[.[] | select(.type == "EDS") | .eds_cluster_config.service_name | length] | add')[0]`}, strings1},
		{"jq", []string{"jq", "[" + clusters + ` | select(.type == "EDS") | .eds_cluster_config.service_name | length] | add`, file}, strings1},
	})
	return b.traces(file)
}

// result is what the counted runs of a contender took.
type result struct {
	contender
	wall   []time.Duration
	cpu    []time.Duration // of all processors, which a busy machine changes less
	peak   []int64         // bytes
	answer string
}

// compare runs the contenders in turn and gives what they took, nothing when one failed.
func (b *bench) compare(question string, cs []contender) []*result {
	cs = slices.DeleteFunc(cs, func(c contender) bool { return c.argv[0] == "" })
	results := make([]*result, len(cs))
	for i, c := range cs {
		results[i] = &result{contender: c}
	}
	for n := range b.runs + 1 {
		for _, r := range results {
			cmd := exec.Command(r.argv[0], r.argv[1:]...)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			start := time.Now()
			err := cmd.Run()
			wall := time.Since(start)
			if err != nil {
				b.err = cmp.Or(b.err, fmt.Errorf("%s: %v: %.300s", r.name, err, stderr.Bytes()))
				fmt.Fprintf(b.out, "  %-34s %s\n", question, b.err)
				return nil
			}
			if n == 0 {
				if r.contender.answer != nil {
					r.answer = r.contender.answer(stdout.Bytes())
				}
				continue
			}
			r.wall = append(r.wall, wall)
			r.cpu = append(r.cpu, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
			if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
				r.peak = append(r.peak, usage.Maxrss*1024)
			}
		}
	}
	fmt.Fprintf(b.out, "  %s\n", question)
	base := results[0]
	for _, r := range results {
		fmt.Fprintf(b.out, "    %-26s %7.3f s (%.3f to %.3f)  CPU %.3f s  %6.1f MB", r.name, median(r.wall).Seconds(), slices.Min(r.wall).Seconds(), slices.Max(r.wall).Seconds(), median(r.cpu).Seconds(), float64(median(r.peak))/1e6)
		if r != base {
			var ratios []float64
			for i := range base.wall {
				ratios = append(ratios, base.wall[i].Seconds()/r.wall[i].Seconds())
			}
			fmt.Fprintf(b.out, "   meshlark takes %.3f of its time, %.3f of its CPU time, %.2f of its memory", median(ratios), median(base.cpu).Seconds()/median(r.cpu).Seconds(), float64(median(base.peak))/float64(median(r.peak)))
		}
		fmt.Fprintln(b.out)
		if r.contender.answer != nil && r.answer != base.answer {
			b.err = cmp.Or(b.err, fmt.Errorf("%s: the outputs differ: %s gives %.200q, %s gives %.200q", question, base.name, base.answer, r.name, r.answer))
			fmt.Fprintf(b.out, "    DIFFERENT OUTPUTS: %v\n", b.err)
		}
	}
	return results
}

func median[T cmp.Ordered](xs []T) T {
	s := slices.Sorted(slices.Values(xs))
	return s[len(s)/2]
}

// countRows gives the number of a table's rows without its header.
func countRows(out []byte) string {
	return fmt.Sprint(bytes.Count(out, []byte{'\n'}) - 1)
}

func strings1(out []byte) string { return strings.TrimSpace(string(out)) }

// sorted gives the JSON of an answer in one form.
func sorted(out []byte) string {
	cmd := exec.Command("jq", "-cS", "if type == \"object\" and has(\"items\") then .items[0] else . end")
	cmd.Stdin = bytes.NewReader(out)
	b, err := cmd.Output()
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b))
}
