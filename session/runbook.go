package session

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/mesh"
	"go.starlark.net/starlark"
)

// An Outcome is how the run of a runbook ended.
type Outcome struct {
	Runbook  string              // its name
	Info     *Info               // what it declares; nil if it could not be parsed
	Checks   []builtins.Check    // checks and skips in the order they were recorded
	Failures []mesh.Failure      // what the answers of the run lacked
	Fetched  mesh.Fetched        // what had to be read from the sources
	Duration time.Duration       // 0 without Options.Clock
	Globals  starlark.StringDict // of the file, frozen; nil after an error
	Err      error               // a [*UsageError] or an [*Error]; nil when the run came to its end
}

// Counts counts the checks: those that passed, those that make the run fail,
// those that are not ok but only warn or inform, and what was skipped.
func (o *Outcome) Counts() (ok, failed, warned, skipped int) {
	for _, c := range o.Checks {
		switch {
		case c.Skipped:
			skipped++
		case c.OK:
			ok++
		case c.Failed():
			failed++
		default:
			warned++
		}
	}
	return ok, failed, warned, skipped
}

// Empty reports whether the run came to its end and recorded nothing: neither
// a check nor a skip.
func (o *Outcome) Empty() bool { return o.Err == nil && len(o.Checks) == 0 }

// Failed reports whether a check of severity error was not ok.
func (o *Outcome) Failed() bool {
	_, failed, _, _ := o.Counts()
	return failed > 0
}

// RunFile runs a file with command line arguments. The path is relative to the
// working directory; the file's own folder becomes readable.
func (s *Session) RunFile(ctx context.Context, path string, args []string) *Outcome {
	abs := s.resolve("", path)
	src := Source{Name: runbookName(abs), Path: abs}
	if s.o.Files == nil {
		return &Outcome{Runbook: src.Name, Err: &UsageError{Msg: fmt.Sprintf("cannot read %s: there are no files here", path)}}
	}
	// The user names the file, wherever it is: its own folder is where it really is.
	real, err := s.o.Files.Real(abs)
	var data []byte
	if err == nil {
		src.Path = real
		data, err = s.o.Files.ReadFile(filepath.Dir(real), filepath.Base(real))
	}
	if err != nil {
		return &Outcome{Runbook: src.Name, Err: &UsageError{Msg: fmt.Sprintf("cannot read %s: %v", path, reason(err)), cause: err}}
	}
	src.Text = string(data)
	return s.RunSource(ctx, src, args)
}

// RunRunbook runs a runbook of the library with command line arguments.
func (s *Session) RunRunbook(ctx context.Context, name string, args []string) *Outcome {
	src, err := s.runbook(name)
	if err != nil {
		return &Outcome{Runbook: name, Err: err}
	}
	return s.RunSource(ctx, src, args)
}

// RunSource runs the text of a script with command line arguments.
func (s *Session) RunSource(ctx context.Context, src Source, args []string) *Outcome {
	filename := s.filename(src)
	e := s.begin(ctx, src.Name, filename)
	bind := func(info *Info) (map[string]starlark.Value, error) { return info.Parse(src.Name, args) }
	out := &Outcome{Runbook: src.Name}
	var globals starlark.StringDict
	var usage *UsageError
	info, err := Inspect(filename, src.Text)
	if err == nil {
		out.Info = info
		err = e.await(func() error {
			err := e.runInspected(nil, src, filename, info, bind)
			if errors.As(err, &usage) {
				return nil
			}
			globals = e.globals
			return err
		})
	}
	switch {
	case err != nil:
		out.Err = err
	case usage != nil:
		out.Err = usage
	default:
		out.Globals = globals
	}
	out.Checks = e.recorded()
	out.Failures = e.settle()
	out.Fetched = e.recorder.Fetched()
	out.Duration = e.duration()
	return out
}

// runFile runs a file as the evaluation's main one.
func (e *evaluation) runFile(parent *starlark.Thread, src Source, filename string, bind func(*Info) (map[string]starlark.Value, error)) error {
	info, err := Inspect(filename, src.Text)
	if err != nil {
		return err
	}
	return e.runInspected(parent, src, filename, info, bind)
}

func (e *evaluation) runInspected(parent *starlark.Thread, src Source, filename string, info *Info, bind func(*Info) (map[string]starlark.Value, error)) error {
	if len(info.Problems) > 0 {
		return info.problem()
	}
	args, err := bind(info)
	if err != nil {
		return err
	}
	e.info, e.args = info, args
	if filepath.IsAbs(src.Path) {
		e.roots = append(e.roots, filepath.Dir(src.Path))
	}
	thread, finish := e.newThread(src.Name, parent)
	defer finish()
	if src.Path != "" {
		thread.SetLocal(loadingKey, []string{src.Path})
		e.modules[src.Path] = new(module)
	}
	e.globals, err = e.execFile(thread, src, filename)
	return err
}

// runbook finds a runbook of the library.
func (s *Session) runbook(name string) (Source, error) {
	if s.o.Library == nil {
		return Source{}, &UsageError{Msg: fmt.Sprintf("no runbook %q: there is no library here", name), cause: fs.ErrNotExist}
	}
	src, err := s.o.Library.Runbook(name)
	if err == nil {
		return src, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return Source{}, &UsageError{Msg: fmt.Sprintf("cannot read runbook %q: %v", name, reason(err)), cause: err}
	}
	names := s.o.Library.Names()
	msg := fmt.Sprintf("no runbook %q%s", name, didYouMean(name, names))
	if len(names) > 0 {
		msg += "; there are: " + strings.Join(names, ", ")
	}
	return Source{}, &UsageError{Msg: msg, cause: err}
}

// filename is the name under which positions show a source.
func (s *Session) filename(src Source) string {
	if src.Path == "" {
		return src.Name
	}
	return s.displayModule(src.Path)
}

// runbookName is the name of the runbook in a file.
func runbookName(path string) string {
	return strings.TrimSuffix(filepath.Base(path), ".star")
}

func looksLikeFile(name string) bool {
	return strings.HasSuffix(name, ".star") || strings.ContainsAny(name, `/\`)
}
