// Package cli is the command tree of meshlark: it reads the command line, wires
// sources, session and display together, and turns what happened into an exit
// status.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"go.starlark.net/starlark"

	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/display"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source"
	"github.com/meshlark/meshlark/mesh/source/fetch"
	"github.com/meshlark/meshlark/session"
	"github.com/meshlark/meshlark/xds/resource"
)

// Run is the program: it does what args say and gives the exit status. Results
// go to stdout, everything else to stderr. env is the environment as
// os.Environ gives it. When ctx ends, Run ends soon, with the status of an
// interrupt.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, env []string) int {
	a := newApp(ctx, stdin, stdout, stderr, newEnvironment(env))
	root := a.rootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	// A command keeps its own outcome; what cobra reports is a command line it
	// could not read.
	if cmd, err := root.ExecuteContextC(ctx); err != nil && a.err == nil {
		a.err = &usageError{err: err, hint: "See " + cmd.CommandPath() + " --help."}
	}
	return a.finish()
}

// app is one run of the program.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	outStyle       display.Style
	errStyle       display.Style
	progress       *display.Progress // nil where nobody looks
	transport      *transport
	store          *resource.Store // shared by all meshes of the run
	interrupted    func() bool     // whether the context of the run has ended
	options        options

	err        error // why the command ended; nil when it came to its end
	failed     bool  // a check failed
	incomplete bool  // something was left out of an answer
}

func newApp(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, env environment) *app {
	a := &app{
		stdin:       stdin,
		stdout:      stdout,
		stderr:      stderr,
		outStyle:    env.style(stdout),
		errStyle:    env.style(stderr),
		store:       resource.NewStore(),
		interrupted: func() bool { return ctx.Err() != nil },
		options:     defaultOptions(),
	}
	if env.isTerminal(stderr) {
		a.progress = display.NewProgress(stderr, a.errStyle, display.Patience)
		a.stdout, a.stderr = below{stdout, a.progress}, below{stderr, a.progress}
	}
	a.transport = newTransport(a.progress)
	return a
}

// below writes to a terminal on which there may be a status line.
type below struct {
	io.Writer
	progress *display.Progress
}

func (b below) Write(p []byte) (int, error) {
	b.progress.Clear()
	return b.Writer.Write(p)
}

// printed is where scripts print. What a mesh answered may be in it, which must
// not be able to steer a terminal.
func printed(w io.Writer, s display.Style) io.Writer {
	if s.Width == 0 {
		return w
	}
	return cleaned{w}
}

type cleaned struct{ w io.Writer }

func (c cleaned) Write(p []byte) (int, error) {
	_, err := io.WriteString(c.w, display.CleanLines(string(p)))
	return len(p), err
}

// command makes cobra's form of a command's function: the outcome is kept in
// the app, so that cobra's own errors can be told from it.
func (a *app) command(fn func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		if d := a.options.timeout; d > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeoutCause(ctx, d, fmt.Errorf("not done within %s (--timeout)", d))
			defer cancel()
		}
		a.err = fn(ctx, args)
		return nil
	}
}

// finish reports how the run ended and gives the exit status.
func (a *app) finish() int {
	a.progress.Clear()
	status := a.statusOf(a.err)
	switch {
	case status != exitOK:
		a.report(a.err)
	case a.failed:
		status = exitFailed
	case a.incomplete && !a.options.allowPartial:
		status = exitIncomplete
	}
	return status
}

// report tells what went wrong.
func (a *app) report(err error) {
	if isBrokenPipe(err) {
		return
	}
	text := err.Error()
	var script *session.Error
	if errors.As(err, &script) {
		text = script.Detail()
		if a.options.debug && script.Stack != "" {
			text += "\n" + script.Stack
		}
	}
	var usage *usageError
	if errors.As(err, &usage) && usage.hint != "" {
		text += "\n" + usage.hint
	}
	a.note("%s", a.errStyle.Paint(display.Bad, "meshlark: ")+display.CleanLines(text))
}

// note writes a line beside the results.
func (a *app) note(format string, args ...any) {
	fmt.Fprintf(a.stderr, format+"\n", args...)
}

// openMesh makes the mesh of some sources. Nothing is read until it is asked.
func (a *app) openMesh(specs []string) (*mesh.Mesh, error) {
	opener := source.Opener{Stdin: a.stdin, Fetch: fetch.Options{Transport: a.transport}}
	sources, err := newSources(opener, specs)
	if err != nil {
		return nil, err
	}
	return mesh.New(sources, mesh.Options{
		Now:      a.options.now.Time,
		MaxFetch: int64(a.options.maxFetch),
		Store:    a.store,
		Progress: func(stage string, done, total int) {
			a.transport.silent.Store(done < total)
			a.progress.Update(fmt.Sprintf("%s: %d of %d proxies", stage, done, total))
		},
	}), nil
}

// session makes a session on the mesh that the flags name. What scripts print
// goes to stdout, or beside the results when a program reads those.
func (a *app) session(f display.Format) (*session.Session, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	o := session.Options{
		Predeclared:    builtins.Predeclared(),
		Open:           func(_ context.Context, spec string) (*mesh.Mesh, error) { return a.openMesh([]string{spec}) },
		AllowedSources: append(append([]string(nil), a.options.sources...), a.options.allowSources...),
		Files:          session.Disk{},
		WorkDir:        dir,
		Clock:          time.Now,
		Stdout:         printed(a.stdout, a.outStyle),
		Notes:          printed(a.stderr, a.errStyle),
		MaxSteps:       a.options.maxSteps,
		MeshError:      errNoSource,
	}
	if f.IsDocument() {
		o.Stdout = o.Notes
	}
	if a.options.outDir != "" {
		if o.OutDir, err = filepath.Abs(a.options.outDir); err != nil {
			return nil, &usageError{err: fmt.Errorf("--out %s: %w", a.options.outDir, err)}
		}
	}
	if !a.options.now.IsZero() {
		o.Now = func() time.Time { return a.options.now.Time }
	}
	if len(a.options.sources) > 0 {
		if o.Mesh, err = a.openMesh(a.options.sources); err != nil {
			return nil, err
		}
		o.MeshError = nil
		o.Predeclared["mesh"] = builtins.NewMesh(o.Mesh)
	}
	o.Show = func(v starlark.Value) (string, bool) { return display.Show(v, a.outStyle) }
	return session.New(o), nil
}

// left tells what answers lacked.
func (a *app) left(failures []mesh.Failure) {
	if len(failures) == 0 {
		return
	}
	a.incomplete = true
	display.WriteFailures(a.stderr, failures, a.errStyle, a.options.debug)
}

// fetched tells what was read, for --debug.
func (a *app) fetched(f mesh.Fetched, d time.Duration) {
	if a.options.debug {
		a.note("read %d documents, %.1f MB; %s", f.Requests, float64(f.Bytes)/1e6, d.Round(time.Millisecond))
	}
}
