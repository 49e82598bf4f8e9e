package session

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/mesh"
	"go.starlark.net/starlark"
)

var _ builtins.Host = (*evaluation)(nil)

// Mesh implements [builtins.Host].
func (e *evaluation) Mesh() *mesh.Mesh {
	m, _ := e.s.Mesh()
	return m
}

// MeshError implements [builtins.Host].
func (e *evaluation) MeshError() error {
	m, err := e.s.Mesh()
	if m == nil && err == nil {
		return errNoMesh
	}
	return err
}

// OpenMesh implements [builtins.Host].
func (e *evaluation) OpenMesh(ctx context.Context, spec string) (*mesh.Mesh, error) {
	if err := e.allowSource(spec); err != nil {
		return nil, err
	}
	if e.s.o.Open == nil {
		return nil, fmt.Errorf("cannot open %s: this session opens no sources", spec)
	}
	e.s.mu.Lock()
	m := e.s.opened[spec]
	e.s.mu.Unlock()
	if m != nil {
		return m, nil
	}
	m, err := e.s.o.Open(ctx, spec)
	if err != nil {
		return nil, err
	}
	e.s.mu.Lock()
	defer e.s.mu.Unlock()
	if first := e.s.opened[spec]; first != nil {
		return first, nil
	}
	e.s.opened[spec] = m
	return m, nil
}

// ReadFile implements [builtins.Host].
func (e *evaluation) ReadFile(thread *starlark.Thread, path string) ([]byte, error) {
	dir := ""
	if fr, ok := caller(thread); ok {
		e.s.mu.Lock()
		from := e.s.sources[fr.Pos.Filename()].Path
		e.s.mu.Unlock()
		if filepath.IsAbs(from) {
			dir = filepath.Dir(from)
		}
	}
	data, err := e.readFile(e.s.resolve(dir, path))
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	return data, nil
}

// WriteFile implements [builtins.Host].
func (e *evaluation) WriteFile(path string, data []byte) error {
	if e.s.o.OutDir == "" || e.s.o.Files == nil {
		return fmt.Errorf("cannot write %s: scripts write only below the folder that --out names, and none is named", path)
	}
	rel, ok := within(e.s.o.OutDir, e.s.resolve(e.s.o.OutDir, path))
	if !ok || rel == "." {
		return fmt.Errorf("cannot write %s: scripts write only below %s", path, e.s.o.OutDir)
	}
	if e.abandoned.Load() {
		return context.Canceled
	}
	if err := e.s.o.Files.WriteFile(e.s.o.OutDir, rel, data); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, reason(err))
	}
	return nil
}

// RecordCheck implements [builtins.Host].
func (e *evaluation) RecordCheck(thread *starlark.Thread, c builtins.Check) error {
	if c.ID == "" && !c.Skipped {
		return errors.New("a check needs an id")
	}
	if c.Severity == "" {
		c.Severity = builtins.SeverityError
	}
	if !slices.Contains(builtins.Severities(), c.Severity) {
		return fmt.Errorf("no severity %q: it is one of %s", c.Severity, strings.Join(builtins.Severities(), ", "))
	}
	if !c.Pos.IsValid() {
		if fr, ok := caller(thread); ok {
			c.Pos = fr.Pos
		}
	}
	if c.Runbook == "" {
		c.Runbook = e.name
	}
	if e.abandoned.Load() {
		return context.Canceled
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.checks = append(e.checks, c)
	return nil
}

// Arg implements [builtins.Host].
func (e *evaluation) Arg(thread *starlark.Thread, spec builtins.ArgSpec) (starlark.Value, error) {
	fr, _ := caller(thread)
	if e.info != nil && fr.Pos.Filename() == e.main {
		if v, ok := e.args[spec.Name]; ok {
			return v, nil
		}
		if e.info.Arg(spec.Name) == nil {
			return nil, errors.New(argForm)
		}
	}
	if err := completeSpec(&spec); err != nil {
		return nil, err
	}
	if spec.Default == nil {
		return nil, fmt.Errorf("argument %s has no value: it is given when the file is run, and has no default", spec.Name)
	}
	return spec.Default, nil
}

// RunRunbook implements [builtins.Host].
func (e *evaluation) RunRunbook(thread *starlark.Thread, name string, positional []starlark.Value, args map[string]starlark.Value) (starlark.Value, error) {
	src, err := e.findRunbook(thread, name)
	if err != nil {
		return nil, err
	}
	filename := e.s.filename(src)
	chain := []string{src.Name}
	for up := e; up != nil && up.info != nil; up = up.parent {
		chain = append(chain, up.name)
		if up.main == filename {
			slices.Reverse(chain)
			return nil, fmt.Errorf("runbooks run each other in a cycle: %s", strings.Join(chain, " -> "))
		}
	}
	n := e.nested(builtins.Context(thread), src.Name, filename)
	bind := func(info *Info) (map[string]starlark.Value, error) { return info.Bind(positional, args) }
	if err := n.runFile(thread, src, filename, bind); err != nil {
		return nil, fmt.Errorf("run %s: %w", name, err)
	}
	return builtins.NewChecks(n.recorded()), nil
}

// findRunbook finds what run(...) names: a runbook of the library, or a file
// when the name looks like one.
func (e *evaluation) findRunbook(thread *starlark.Thread, name string) (Source, error) {
	if !looksLikeFile(name) {
		return e.s.runbook(name)
	}
	from := ""
	if fr, ok := caller(thread); ok {
		e.s.mu.Lock()
		from = e.s.sources[fr.Pos.Filename()].Path
		e.s.mu.Unlock()
	}
	where, err := ResolveLoad(name, from, e.s.o.WorkDir)
	if err != nil {
		return Source{}, err
	}
	if file, ok := strings.CutPrefix(where, Shipped); ok {
		if e.s.o.Library == nil {
			return Source{}, fmt.Errorf("no runbook %s: there is no library here", name)
		}
		text, err := e.s.o.Library.Module(file)
		return Source{Name: runbookName(file), Path: where, Text: text}, err
	}
	data, err := e.readFile(where)
	if err != nil {
		return Source{}, fmt.Errorf("cannot read %s: %w", name, err)
	}
	return Source{Name: runbookName(where), Path: where, Text: string(data)}, nil
}

// NewGeneration implements [builtins.Host].
func (e *evaluation) NewGeneration() { e.s.NewGeneration() }

// Sleep implements [builtins.Host].
func (e *evaluation) Sleep(ctx context.Context, d time.Duration) error {
	if e.s.o.Sleep != nil {
		return e.s.o.Sleep(ctx, d)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Now implements [builtins.Host].
func (e *evaluation) Now() time.Time {
	if e.s.o.Now != nil {
		return e.s.o.Now()
	}
	if m := e.Mesh(); m != nil {
		return m.Now(e.ctx)
	}
	if e.s.o.Clock != nil {
		return e.s.o.Clock()
	}
	return time.Time{}
}

// Note implements [builtins.Host].
func (e *evaluation) Note(format string, args ...any) {
	if !e.abandoned.Load() {
		fmt.Fprintf(e.s.o.Notes, format+"\n", args...)
	}
}

// Show implements [builtins.Host].
func (e *evaluation) Show(v starlark.Value) (string, bool) {
	if e.s.o.Show == nil {
		return "", false
	}
	return e.s.o.Show(v)
}
