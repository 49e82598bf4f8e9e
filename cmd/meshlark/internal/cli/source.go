package cli

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source"
	"github.com/meshlark/meshlark/mesh/source/fetch"
	"github.com/meshlark/meshlark/mesh/source/kubernetes"
)

// errTyped is why standard input is no source of a shell.
var errTyped = &usageError{err: errors.New("source -: standard input is what is typed here")}

// sourceForms lists the ways to name a source, a line each, after the word that
// does so: the flag, or the shell's command.
func sourceForms(word string) string {
	var b strings.Builder
	forms := slices.Concat(
		[]source.Form{{Spec: kubernetes.Prefix + "CONTEXT", Doc: "a Kubernetes cluster, by its context in the kubeconfig; kube: is the current one"}},
		source.Forms(),
		[]source.Form{{Spec: demoSpec, Doc: "a simulated mesh inside meshlark"}},
	)
	for _, f := range forms {
		if f.Spec != "-" || word == "-s" {
			fmt.Fprintf(&b, "  %s %-26s %s\n", word, f.Spec, f.Doc)
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// sourceBeginnings is what a source that is no file begins with, for completion.
var sourceBeginnings = []string{demoSpec, kubernetes.Prefix, "http://", "https://", "istiod+http://", "istiod+https://", "xds://", "xds+tls://"}

func (a *app) completeSource(_ *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	var found []string
	if strings.HasPrefix(toComplete, kubernetes.Prefix) {
		for _, name := range a.contexts() {
			found = append(found, kubernetes.Prefix+name)
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
	for _, spec := range sourceBeginnings {
		if strings.HasPrefix(spec, toComplete) {
			found = append(found, spec)
		}
	}
	return found, cobra.ShellCompDirectiveNoSpace
}

// sourceHint lists the ways to name a source where it is asked for.
func (a *app) sourceHint() string {
	if a.prompts {
		return sourceForms(":source")
	}
	return sourceForms("-s")
}

// fetchOptions bound what is asked of istiods and Envoys. One answer may have what is usual or, where somebody lets questions have more than they
// usually may, all of that.
func (a *app) fetchOptions() fetch.Options {
	o := fetch.Options{Transport: a.transport, Quiet: a.options.patience}
	if o.Quiet > 0 {
		o.Timeout = max(o.Quiet, time.Minute)
	}
	switch limit := a.options.maxFetch; {
	case limit == 0:
		o.MaxBytes = math.MaxInt64 - 1
	case limit > defaultOptions().maxFetch:
		o.MaxBytes = int64(limit)
	}
	return o
}

// newSources makes the sources that specs name, each once. Nothing is read yet,
// so the only errors are specs that can name nothing.
func (a *app) newSources(specs []string) ([]mesh.Source, error) {
	if err := a.options.xds.check(); err != nil {
		return nil, err
	}
	o := source.Opener{Stdin: a.stdin, Fetch: a.fetchOptions(), ADS: a.adsOptions(), Way: a.xdsWay()}
	var sources []mesh.Source
	for i, spec := range specs {
		if slices.Contains(specs[:i], spec) {
			continue
		}
		if spec == "-" && a.prompts {
			return nil, errTyped
		}
		if spec == demoSpec {
			sources = append(sources, &demoSource{demo: &a.demo, opener: o})
			continue
		}
		if strings.HasPrefix(spec, kubernetes.Prefix) {
			c := a.newCluster(spec)
			if !slices.ContainsFunc(sources, func(s mesh.Source) bool { return s.Spec() == c.Spec() }) {
				sources = append(sources, c)
				a.clusters.add(c)
			}
			continue
		}
		if isOther(spec) {
			return nil, &usageError{err: fmt.Errorf("source %q: it is no config dump, and no kind of source is named so", spec), hint: a.sourceHint()}
		}
		s, err := o.Open(spec)
		if err != nil {
			return nil, &usageError{err: err, hint: a.sourceHint()}
		}
		sources = append(sources, s)
	}
	return sources, nil
}

// isOther tells specs that cannot mean a dump: archives, and words that name no
// file and do not look as if they should.
func isOther(spec string) bool {
	for _, ext := range []string{".mlk", ".tar.gz", ".tgz"} {
		if strings.HasSuffix(spec, ext) {
			return true
		}
	}
	if spec == "" || spec == "-" || strings.ContainsAny(spec, `./\:`) {
		return false
	}
	_, err := os.Stat(spec)
	return err != nil
}
