package cli

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// options is what the flags say that all commands share.
type options struct {
	sources      []string
	cluster      clusterFlags
	xds          xdsFlags
	allowSources []string
	runbooks     []string // folders
	allowPartial bool
	now          moment
	maxFetch     byteSize
	maxSteps     uint64
	timeout      time.Duration
	patience     time.Duration // with one istiod or Envoy
	outDir       string
	debug        bool
}

func defaultOptions() options {
	return options{maxFetch: 2e9}
}

func (o *options) bind(f *pflag.FlagSet) {
	f.StringArrayVarP(&o.sources, "source", "s", nil, "read the mesh from `SOURCE`, as meshlark --help lists them; may be repeated")
	o.cluster.bind(f)
	o.xds.bind(f)
	f.StringArrayVar(&o.allowSources, "allow-source", nil, "let scripts open `SOURCE` over the network, beside those of --source; may be repeated")
	f.StringArrayVar(&o.runbooks, "runbooks", nil, "also know the runbooks of the folder `DIR` by name, before the shipped ones; may be repeated")
	f.BoolVar(&o.allowPartial, "allow-partial", false, "take an answer from which something was left out for a whole one")
	f.Var(&o.now, "now", "the `TIME` (RFC 3339) that ages are counted from; otherwise that of the recording, or of the clock")
	f.Var(&o.maxFetch, "max-fetch", "refuse a question that would fetch more than `SIZE` with all its calls, by estimate, and stop one that does; 0 is no limit")
	f.DurationVar(&o.timeout, "timeout", 0, "end the whole run after `DURATION`")
	f.DurationVar(&o.patience, "request-timeout", 0, "leave out an istiod or an Envoy from which nothing comes for `DURATION`, and wait no longer for the API server; otherwise 30s, and at most half of what is left of --timeout")
	f.Uint64Var(&o.maxSteps, "max-steps", 0, "end an expression or a runbook after `N` steps of the interpreter")
	f.StringVar(&o.outDir, "out", "", "let scripts write files below `DIR`")
	f.BoolVar(&o.debug, "debug", false, "tell what was fetched, and name all that was left out")
}

// moment is a flag's point in time.
type moment struct{ time.Time }

func (m *moment) Set(s string) error {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return fmt.Errorf("want a time such as 2026-01-31T15:04:05Z")
	}
	m.Time = t
	return nil
}

func (m *moment) Type() string { return "TIME" }

func (m *moment) String() string {
	if m.IsZero() {
		return ""
	}
	return m.Format(time.RFC3339)
}

// byteSize is a flag's number of bytes, written as 500MB, 2GB or 1.5GiB.
type byteSize int64

var byteUnits = []struct {
	suffix string
	bytes  float64
}{{"KIB", 1 << 10}, {"MIB", 1 << 20}, {"GIB", 1 << 30}, {"TIB", 1 << 40}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}}

func (b *byteSize) Set(s string) error {
	number, unit := strings.ToUpper(strings.TrimSpace(s)), 1.0
	for _, u := range byteUnits {
		if rest, ok := strings.CutSuffix(number, u.suffix); ok {
			number, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || n < 0 || n*unit >= math.MaxInt64 || math.IsNaN(n) {
		return fmt.Errorf("want a number of bytes such as 500MB or 2GB")
	}
	*b = byteSize(n * unit)
	return nil
}

func (b *byteSize) Type() string { return "SIZE" }

func (b *byteSize) String() string {
	n := int64(*b)
	for i := len(byteUnits) - 2; i >= 4; i-- {
		if u := int64(byteUnits[i].bytes); n >= u && n%u == 0 {
			return fmt.Sprintf("%d%s", n/u, byteUnits[i].suffix)
		}
	}
	return strconv.FormatInt(n, 10)
}
