package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/meshlark/meshlark/display"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/repl"
	"github.com/meshlark/meshlark/repl/history"
	"github.com/meshlark/meshlark/session"
)

// promptTTL is how long what was read answers questions at a prompt.
const promptTTL = 30 * time.Second

// greeting begins a shell on a mesh that needs no introduction.
const greeting = ":help tells what can be typed; Ctrl-D leaves"

// answer does what the flags of a question say: evaluates expressions; without
// any opens the shell, or where nobody types runs the script on standard input.
func (a *app) answer(ctx context.Context, exprs []string, format display.Format, banner string) error {
	if len(exprs) == 0 && a.openEditor != nil {
		return a.converse(ctx, banner)
	}
	return a.interruptible(ctx, func(ctx context.Context) error {
		if len(exprs) == 0 {
			return a.runInput(ctx, nil, format)
		}
		return a.evaluate(ctx, exprs, format)
	})
}

// converse is the shell, on the terminal.
func (a *app) converse(ctx context.Context, banner string) error {
	a.prompts = true
	o, err := a.sessionOptions(display.Text)
	if err != nil {
		return err
	}
	o.AnySource = true
	// While a statement runs, Ctrl-C is a signal; at the prompt it is a key.
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	past, err := history.Open(history.Path(func(name string) string { return a.env[name] }), time.Now)
	if err != nil {
		a.note("%v", err)
	}
	s := session.New(o)
	if m, err := s.Mesh(); err == nil && m != nil {
		if err := a.clusters.fault(m); err != nil {
			a.note("%v", err)
		}
	}
	a.shell = repl.New(repl.Options{
		Session: s,
		Context: func() string {
			m, err := s.Mesh()
			if m == nil {
				return err.Error()
			}
			return a.clusters.describe(m)
		},
		Stdout:      a.stdout,
		Stderr:      a.stderr,
		Style:       a.outStyle,
		Env:         a.env,
		Clock:       time.Now,
		Banner:      banner,
		Debug:       a.options.debug,
		Interrupts:  interrupts,
		History:     past,
		OpenSource:  a.openNamed,
		SourceForms: sourceBeginnings,
		Runbooks:    o.Library.Names,
		WriteFile:   writeFile,
		Progress:    a.progress,
	})
	e, err := a.openEditor(a.shell.EditorConfig())
	if err != nil {
		return fmt.Errorf("cannot use the terminal: %w; -e evaluates an expression without one", err)
	}
	defer e.Close()
	return a.shell.Run(ctx, e)
}

// openNamed opens the sources that a person names at the prompt. There a hint is
// part of the message.
func (a *app) openNamed(_ context.Context, specs []string) (*mesh.Mesh, error) {
	m, err := a.openMesh(specs)
	var usage *usageError
	if errors.As(err, &usage) && usage.hint != "" {
		return nil, fmt.Errorf("%w\n%s", err, usage.hint)
	}
	if err != nil {
		return nil, err
	}
	if err := a.clusters.fault(m); err != nil { // a person has not left the mesh that works yet
		return nil, err
	}
	return m, nil
}

// confirmFetch asks whether a question may exceed --max-fetch.
func (a *app) confirmFetch(estimate int64) bool {
	return a.shell.Confirm(fmt.Sprintf("This fetches about %s, more than --max-fetch %s. Go on?", mesh.Size(estimate), &a.options.maxFetch))
}

// writeFile writes a file of the shell, in a folder that exists.
func writeFile(path string, data []byte) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	dir, name := filepath.Split(path)
	if _, err := os.Stat(dir); err != nil {
		return reasonOf(err)
	}
	return reasonOf(session.Disk{}.WriteFile(dir, name, data))
}

// runInput runs the script on standard input.
func (a *app) runInput(ctx context.Context, args []string, format display.Format) error {
	text, err := a.readInput(ctx)
	if err != nil {
		return err
	}
	s, err := a.session(format)
	if err != nil {
		return err
	}
	out := s.RunSource(ctx, session.Source{Name: "stdin", Text: text}, args)
	a.fetched(out.Fetched, out.Duration)
	return a.conclude(s, []*session.Outcome{out}, format)
}

// readInput reads standard input to its end, which may be long to come.
func (a *app) readInput(ctx context.Context) (string, error) {
	for _, spec := range a.options.sources {
		if spec == "-" {
			return "", &usageError{err: errors.New("standard input is a dump, by -s -: give an expression with -e, or a runbook with meshlark run")}
		}
	}
	type input struct {
		text []byte
		err  error
	}
	done := make(chan input, 1)
	go func() {
		text, err := io.ReadAll(a.stdin)
		done <- input{text, err}
	}()
	select {
	case <-ctx.Done():
		return "", context.Cause(ctx)
	case in := <-done:
		if in.err != nil {
			return "", fmt.Errorf("cannot read standard input: %w", in.err)
		}
		if strings.TrimSpace(string(in.text)) == "" {
			a.note("%s", rootExamples)
			return "", &usageError{err: errors.New("nothing to do: standard input is no terminal to open the shell on, and has no script; give an expression with -e"), hint: "See meshlark --help."}
		}
		return string(in.text), nil
	}
}
