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
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"go.starlark.net/starlark"

	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/display"
	"github.com/meshlark/meshlark/kube"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/repl"
	"github.com/meshlark/meshlark/repl/editor"
	"github.com/meshlark/meshlark/scripts"
	"github.com/meshlark/meshlark/session"
	"github.com/meshlark/meshlark/xds/resource"
)

// Run is the program: it does what args say and gives the exit status. Results
// go to stdout, everything else to stderr. env is the environment as
// os.Environ gives it. When ctx ends, or at Ctrl-C, Run ends soon, with the
// status of an interrupt. A shell that it opens takes Ctrl-C as a shell does.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, env []string) int {
	return newApp(stdin, stdout, stderr, newEnvironment(env)).run(ctx, args)
}

func (a *app) run(ctx context.Context, args []string) int {
	defer a.close()
	root := a.rootCommand()
	root.SetArgs(args)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	// A command keeps its own outcome; what cobra reports is a command line it
	// could not read.
	if cmd, err := root.ExecuteContextC(ctx); err != nil && a.err == nil {
		a.err = &usageError{err: err, hint: "See " + cmd.CommandPath() + " --help."}
	}
	return a.finish()
}

// close ends what sources hold.
func (a *app) close() {
	a.clusters.close()
	a.demo.close()
}

// app is one run of the program.
type app struct {
	env            environment
	stdin          io.Reader
	stdout, stderr io.Writer
	outStyle       display.Style
	errStyle       display.Style
	connecting     sync.Once         // the note that nodes appear connected
	progress       *display.Progress // nil where nobody looks
	transport      *transport
	store          *resource.Store // shared by all meshes of the run
	demo           embedded
	clusters       clusters
	options        options

	// openEditor opens the line editor on the terminal; nil when nobody types.
	openEditor func(editor.Config) (editor.LineEditor, error)
	prompts    bool        // the run is a shell
	shell      *repl.Shell // once it is made
	scripts    *scripts.Library

	err         error           // why the command ended; nil when it came to its end
	interrupted bool            // the run was told to end before it did
	failed      bool            // a check failed
	incomplete  bool            // something was left out of an answer
	told        map[string]bool // what was, as far as it was said
}

func newApp(stdin io.Reader, stdout, stderr io.Writer, env environment) *app {
	a := &app{
		env:      env,
		stdin:    stdin,
		stdout:   stdout,
		stderr:   stderr,
		outStyle: env.style(stdout),
		errStyle: env.style(stderr),
		store:    resource.NewStore(),
		options:  defaultOptions(),
	}
	a.demo.now = func() time.Time {
		if now := a.options.now.Time; !now.IsZero() {
			return now
		}
		return time.Now()
	}
	a.openEditor = env.editor(stdin, stdout, stderr)
	if env.isTerminal(stderr) {
		a.progress = display.NewProgress(stderr, a.errStyle, display.Patience)
		a.stdout, a.stderr = below{stdout, a.progress}, below{stderr, a.progress}
	}
	a.transport = newTransport(a)
	return a
}

// say tells what is under way, where somebody looks.
func (a *app) say(what string) {
	if a.shell != nil {
		a.shell.Progress(what)
	} else {
		a.progress.Update(what)
	}
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

// command makes cobra's form of a command's function, which Ctrl-C ends.
func (a *app) command(fn func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return a.conversation(func(ctx context.Context, args []string) error {
		return a.interruptible(ctx, func(ctx context.Context) error { return fn(ctx, args) })
	})
}

// conversation makes cobra's form of a function that sees to Ctrl-C itself. The
// outcome is kept in the app, so that cobra's own errors can be told from it.
func (a *app) conversation(fn func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		defer func() { a.interrupted = a.interrupted || ctx.Err() != nil }()
		if d := a.options.timeout; d > 0 {
			limited, cancel := context.WithTimeoutCause(ctx, d, fmt.Errorf("not done within %s (--timeout)", d))
			defer cancel()
			a.err = fn(limited, args)
		} else {
			a.err = fn(ctx, args)
		}
		return nil
	}
}

// interruptible calls a function with a context that the first Ctrl-C ends. A
// second one ends the process.
func (a *app) interruptible(ctx context.Context, fn func(context.Context) error) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, stop)
	err := fn(ctx)
	a.interrupted = errors.Is(ctx.Err(), context.Canceled)
	return err
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
	var usage *usageError
	var script *session.Error
	var unreachable *mesh.UnreachableError
	var none *kube.NoConfigError
	if errors.As(err, &usage) && errors.As(err, &none) && !a.options.debug {
		text = usage.Error() // the command line named no mesh, wherever in a script one was needed first
	} else if errors.As(err, &script) {
		text = script.Brief()
		if a.options.debug {
			text = script.Detail()
		}
		if errors.As(err, &unreachable) && !a.options.debug { // where it was asked for says nothing about it
			text = script.Msg
		}
		if script.Kind == session.Deadline {
			if waiting := a.transport.outstanding(); waiting != "" {
				text += "; still waiting for " + waiting
			}
		}
		if a.options.debug && script.Stack != "" {
			text += "\n" + script.Stack
		}
	}
	if usage != nil && usage.hint != "" {
		text += "\n" + usage.hint
	}
	const lead = "meshlark: "
	first, rest, more := strings.Cut(display.CleanLines(text), "\n")
	message := strings.Join(a.errStyle.Fold(lead+first), "\n")
	if more {
		message += "\n" + rest
	}
	a.note("%s", a.errStyle.Paint(display.Bad, lead)+strings.TrimPrefix(message, lead))
}

// note writes a line beside the results.
func (a *app) note(format string, args ...any) {
	fmt.Fprintf(a.stderr, format+"\n", args...)
}

// openMesh makes the mesh of some sources. Nothing is read until it is asked.
// What a script asks is answered from one reading; at a prompt, where time goes
// by, what was read is good for a while.
func (a *app) openMesh(specs []string) (*mesh.Mesh, error) {
	sources, err := a.newSources(specs)
	if err != nil {
		return nil, err
	}
	o := mesh.Options{
		Now:       a.options.now.Time,
		Namespace: a.options.cluster.namespace,
		MaxFetch:  int64(a.options.maxFetch),
		Store:     a.store,
		Progress: func(stage string, done, total int, waiting []string) {
			a.transport.silent.Store(done < total)
			a.say(howFar(stage, done, total, waiting))
		},
	}
	if a.prompts {
		o.TTL = promptTTL
		o.Confirm = a.confirmFetch
	}
	return mesh.New(sources, o), nil
}

// howFar says how far a question about many proxies is, and whom it waits for.
func howFar(stage string, done, total int, waiting []string) string {
	text := fmt.Sprintf("%s: %d of %d proxies", stage, done, total)
	if len(waiting) == 0 {
		return text
	}
	text += "; waiting for " + waiting[0]
	if more := len(waiting) - 1; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// session makes a session on the mesh that the flags name. What scripts print
// goes to stdout, or beside the results when a program reads those.
func (a *app) session(f display.Format) (*session.Session, error) {
	o, err := a.sessionOptions(f)
	if err != nil {
		return nil, err
	}
	return session.New(o), nil
}

func (a *app) sessionOptions(f display.Format) (session.Options, error) {
	dir, err := os.Getwd()
	if err != nil {
		return session.Options{}, err
	}
	library, err := a.library()
	if err != nil {
		return session.Options{}, err
	}
	specs, noMesh := a.named()
	o := session.Options{
		Predeclared:    builtins.Predeclared(),
		Open:           func(_ context.Context, spec string) (*mesh.Mesh, error) { return a.openMesh([]string{spec}) },
		AllowedSources: slices.Concat(specs, a.options.allowSources, []string{demoSpec}),
		Files:          session.Disk{},
		WorkDir:        dir,
		Library:        library,
		Clock:          time.Now,
		Stdout:         printed(a.stdout, a.outStyle),
		Notes:          printed(a.stderr, a.errStyle),
		MaxSteps:       a.options.maxSteps,
		MeshError:      noMesh,
		Show:           func(v starlark.Value) (string, bool) { return display.Show(v, a.outStyle.Colorless()) }, // what is printed is cleaned
	}
	if f.IsDocument() {
		o.Stdout = o.Notes
	}
	if a.options.outDir != "" {
		if o.OutDir, err = filepath.Abs(a.options.outDir); err != nil {
			return session.Options{}, &usageError{err: fmt.Errorf("--out %s: %w", a.options.outDir, err)}
		}
	}
	if !a.options.now.IsZero() {
		o.Now = func() time.Time { return a.options.now.Time }
	}
	if noMesh == nil {
		if o.Mesh, err = a.openMesh(specs); err != nil {
			return session.Options{}, err
		}
	}
	return o, nil
}

// left tells what answers lacked, of several answers each thing once.
func (a *app) left(failures []mesh.Failure) {
	if len(failures) == 0 {
		return
	}
	a.incomplete = true
	failures = slices.DeleteFunc(slices.Clone(failures), func(f mesh.Failure) bool {
		key := f.Source + "\x00" + f.Error()
		if a.told[key] {
			return true
		}
		if a.told == nil {
			a.told = map[string]bool{}
		}
		a.told[key] = true
		return false
	})
	display.WriteFailures(a.stderr, failures, a.errStyle, a.options.debug)
}

// fetched tells what was read, for --debug.
func (a *app) fetched(f mesh.Fetched, d time.Duration) {
	if a.options.debug {
		a.note("read %d documents, %.1f MB; %s", f.Requests, float64(f.Bytes)/1e6, d.Round(time.Millisecond))
	}
}
