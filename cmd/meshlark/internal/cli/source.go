package cli

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source"
)

// errNoSource is why there is no mesh when the command line names none.
var errNoSource = &usageError{err: errors.New("no source: name one with -s"), hint: sourceForms()}

// sourceForms lists the ways to name a source, a line each.
func sourceForms() string {
	var b strings.Builder
	for _, f := range source.Forms() {
		fmt.Fprintf(&b, "  -s %-26s %s\n", f.Spec, f.Doc)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// newSources makes the sources that specs name, each once. Nothing is read yet,
// so the only errors are specs that can name nothing.
func newSources(o source.Opener, specs []string) ([]mesh.Source, error) {
	var sources []mesh.Source
	for i, spec := range specs {
		if slices.Contains(specs[:i], spec) {
			continue
		}
		if isOther(spec) {
			return nil, &usageError{err: fmt.Errorf("source %q: it is no config dump, and no kind of source is named so", spec), hint: sourceForms()}
		}
		s, err := o.Open(spec)
		if err != nil {
			return nil, &usageError{err: err}
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
