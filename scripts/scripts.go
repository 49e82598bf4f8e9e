// Package scripts holds the runbooks that are shipped inside the binary, and
// joins them with those of a user's folders.
//
// A runbook is a .star file at the top of its folder; modules that runbooks
// share are in folders below. Scripts run a runbook by name, run("stale"), and
// load any shipped file by its label, load("@meshlark//lib/faults.star", ...).
//
// The shipped runbooks and the ids of their checks:
//
//	stale       stale, rejected-update, disconnected
//	unsynced    unsynced
//	endpoints   no-healthy-endpoint, panic-threshold, ejected-endpoint
//	certs       cert-expired, cert-expires-soon, cert-not-yet-valid,
//	            cert-unreadable, wrong-trust-domain, secret-missing
//	references  missing-cluster, missing-route-table, empty-subset
//	rejected    rejected-resource, rejected-update, warming, draining
//	versions    version-skew, mixed-versions
//	reach       unreachable, unknown-host, partly-unreachable, wrong-cluster,
//	            may-answer
//
// All but reach look at the mesh as it is; reach asks about one request, which has to be named.
//
// A check is named after its fault. It is recorded once with ok when the mesh
// does not have the fault, else once for each fault, whichever proxies have it:
// the message tells which do. Ids are stable; subjects are names of the mesh.
package scripts

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/session"
)

//go:embed *.star lib/*.star
var shipped embed.FS

// A Library has runbooks by name: the shipped ones and those of the folders
// that were added. It implements [session.Library]. Adding folders must be
// over before it is used.
type Library struct {
	runbooks map[string]session.Source
}

var _ session.Library = (*Library)(nil)

// New makes a library of the shipped runbooks.
func New() *Library {
	l := &Library{runbooks: map[string]session.Source{}}
	found, err := read(shipped, func(file string) string { return session.Shipped + file })
	if err != nil {
		panic("scripts: reading embedded files: " + err.Error()) // they are in memory
	}
	for _, src := range found {
		l.runbooks[src.Name] = src
	}
	return l
}

// Dir adds the runbooks of a folder: the .star files in it, not those below.
// The folder's absolute path is where their relative loads begin; files is what
// it holds, as os.DirFS gives it.
//
// A runbook of the folder replaces the shipped one of its name, wherever that
// is run by name: a team's own idea of stale is meant to win. Loading
// "@meshlark//stale.star" still gives the shipped file. Two folders must not
// have runbooks of one name; the error names both files.
func (l *Library) Dir(folder string, files fs.FS) error {
	found, err := read(files, func(file string) string { return filepath.Join(folder, file) })
	if err != nil {
		return fmt.Errorf("cannot read the runbooks of %s: %w", folder, reason(err))
	}
	for _, src := range found {
		if prior, ok := l.runbooks[src.Name]; ok && !IsShipped(prior) {
			return fmt.Errorf("runbook %s is in both %s and %s: rename one of them", src.Name, prior.Path, src.Path)
		}
	}
	for _, src := range found {
		l.runbooks[src.Name] = src
	}
	return nil
}

// IsShipped tells a shipped runbook from one of a folder.
func IsShipped(src session.Source) bool { return strings.HasPrefix(src.Path, session.Shipped) }

// Runbook finds a runbook by name. Its error wraps fs.ErrNotExist when there is
// none.
func (l *Library) Runbook(name string) (session.Source, error) {
	src, ok := l.runbooks[name]
	if !ok {
		return session.Source{}, fmt.Errorf("no runbook %q: %w", name, fs.ErrNotExist)
	}
	return src, nil
}

// Names lists the runbooks, sorted.
func (l *Library) Names() []string { return slices.Sorted(maps.Keys(l.runbooks)) }

// Module gives the text of the shipped file @meshlark//file. Its error wraps
// fs.ErrNotExist when there is none.
func (l *Library) Module(file string) (string, error) {
	text, err := fs.ReadFile(shipped, file)
	if err != nil {
		return "", fmt.Errorf("%s%s is not shipped: %w", session.Shipped, file, reason(err))
	}
	return string(text), nil
}

// read gives the runbooks at the top of a file system.
func read(files fs.FS, where func(file string) string) ([]session.Source, error) {
	names, err := fs.Glob(files, "*.star")
	if err != nil {
		return nil, err
	}
	// Glob keeps silent about a folder that cannot be read.
	if _, err := fs.ReadDir(files, "."); err != nil {
		return nil, err
	}
	var out []session.Source
	for _, file := range names {
		info, err := fs.Stat(files, file)
		if err != nil {
			return nil, err
		}
		if info.IsDir() {
			continue
		}
		text, err := fs.ReadFile(files, file)
		if err != nil {
			return nil, err
		}
		out = append(out, session.Source{Name: strings.TrimSuffix(path.Base(file), ".star"), Path: where(file), Text: string(text)})
	}
	return out, nil
}

// reason strips the path from an error that is shown with one.
func reason(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
