package repl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"go.starlark.net/starlark"

	"github.com/meshlark/meshlark/display"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/repl/complete"
	"github.com/meshlark/meshlark/repl/editor"
	"github.com/meshlark/meshlark/repl/history"
	"github.com/meshlark/meshlark/session"
)

// Options are what a shell knows of the world. Only Session and Stdout must be
// set.
type Options struct {
	Session *session.Session
	Stdout  io.Writer         // results
	Stderr  io.Writer         // what stands beside them; nil is Stdout
	Style   display.Style     // its width is that of the editor's terminal, whenever something is shown
	Env     map[string]string // PAGER is looked at
	Clock   func() time.Time  // nil is a clock that stands still
	Banner  string            // shown at the beginning
	Debug   bool              // whether internal errors show their Go stack

	// Interrupts receives a value for every Ctrl-C while nothing is being
	// typed. The channel must have room for one.
	Interrupts <-chan os.Signal

	// History keeps what was typed; nil keeps it as long as the session.
	History *history.Store

	// Context tells where the questions go: cluster, namespace, source. It is
	// shown above the prompt when it changes. nil names the mesh's sources.
	Context func() string

	// OpenSource opens the mesh of other sources, for :source; nil refuses.
	OpenSource func(ctx context.Context, specs []string) (*mesh.Mesh, error)

	// SourceForms are the beginnings of source specs, to complete.
	SourceForms []string

	// Runbooks gives the names that run(...) knows, to complete.
	Runbooks func() []string

	// WriteFile writes a file of :save, whole or not at all; nil refuses.
	WriteFile func(path string, data []byte) error

	// Progress shows how far a fetch is; nil shows nothing. See Shell.Progress.
	Progress *display.Progress
}

// A Shell is one conversation.
type Shell struct {
	o        Options
	editor   editor.LineEditor
	engine   *complete.Engine
	names    *names
	commands []command

	context    string // as it was shown last
	timing     bool   // whether every statement is timed
	quit       bool
	interrupts int            // Ctrl-C on an empty line, in a row
	statements []statement    // that worked, for :save
	noHistory  bool           // it was said that the history is not kept
	told       []mesh.Failure // since the last :refresh

	mu      sync.Mutex
	working context.Context // of the evaluation that the person waits for; nil at the prompt
	cancel  context.CancelFunc
}

// A statement is what was typed and worked.
type statement struct {
	src  string
	echo bool // its value was shown
}

const (
	prompt       = ">>> "
	continuation = "... "
)

// New makes a shell.
func New(o Options) *Shell {
	if o.Stderr == nil {
		o.Stderr = o.Stdout
	}
	if o.Clock == nil {
		o.Clock = func() time.Time { return time.Time{} }
	}
	if o.History == nil {
		o.History, _ = history.Open("", o.Clock) // without a file nothing can fail
	}
	s := &Shell{o: o}
	s.names = newNames(o)
	s.commands = commands()
	s.engine = &complete.Engine{Env: s.env, Provider: s.names}
	for _, c := range s.commands {
		name := complete.CommandName{Name: c.name, Summary: c.summary}
		if c.complete != nil {
			name.Complete = func(ctx context.Context) []string { return c.complete(ctx, s) }
		}
		s.engine.Commands = append(s.engine.Commands, name)
	}
	return s
}

func (s *Shell) env() starlark.StringDict { return s.o.Session.Env() }

// EditorConfig is what the shell's line editor is to be opened with.
func (s *Shell) EditorConfig() editor.Config {
	return editor.Config{
		Incomplete:   incomplete,
		History:      s.o.History.Entries,
		Complete:     s.engine.Complete,
		Continuation: continuation,
	}
}

// incomplete reports whether what was typed needs more lines.
func incomplete(src string) bool {
	trimmed := strings.TrimSpace(src)
	if strings.HasPrefix(trimmed, ":") {
		return false
	}
	if _, ok := complete.Asks(src); ok {
		return false
	}
	return session.Incomplete(src + "\n")
}

// Run holds the conversation until the person leaves, which is no error, or
// ctx ends, whose cause it then returns. It does not close the editor.
func (s *Shell) Run(ctx context.Context, e editor.LineEditor) error {
	s.editor = e
	if s.o.Banner != "" {
		fmt.Fprintln(s.o.Stdout, strings.TrimSuffix(s.o.Banner, "\n"))
	}
	for !s.quit {
		s.showContext()
		s.drain() // from now on a Ctrl-C is a key
		src, err := s.read(ctx)
		switch {
		case err == nil:
		case errors.Is(err, editor.ErrInterrupt):
			s.interrupts++
			if s.interrupts == 2 {
				s.note("Ctrl-D or :quit leaves the shell")
			}
			continue
		case errors.Is(err, io.EOF):
			return nil
		default:
			return err
		}
		s.interrupts = 0
		s.do(ctx, src)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

// read reads a statement, also from an editor that gives its lines one by one.
func (s *Shell) read(ctx context.Context) (string, error) {
	src, err := s.editor.ReadLine(ctx, prompt)
	for err == nil && incomplete(src) {
		var line string
		line, err = s.editor.ReadLine(ctx, continuation)
		if errors.Is(err, io.EOF) { // what there is may be worth an error
			return src + "\n", nil
		}
		src += "\n" + line
	}
	return src, err
}

// do does what was typed.
func (s *Shell) do(ctx context.Context, src string) {
	word := strings.TrimSpace(src)
	if word == "" {
		return
	}
	if err := s.o.History.Add(src); err != nil && !s.noHistory {
		s.noHistory = true
		s.note("%v", err)
	}
	about, help := complete.Asks(src)
	switch {
	case help:
		s.help(ctx, about)
	case strings.HasPrefix(word, ":"):
		s.command(ctx, word[1:])
	case s.leaving(word):
		s.note("to leave the shell, type :quit or press Ctrl-D")
	default:
		s.evaluate(ctx, src, s.timing)
	}
}

// leaving recognises the words with which other shells are left.
func (s *Shell) leaving(word string) bool {
	name := strings.TrimSuffix(word, "()")
	return (name == "exit" || name == "quit" || name == "q") && !s.env().Has(name)
}

func (s *Shell) help(ctx context.Context, about string) {
	text, err := s.engine.Help(about)
	if err != nil {
		s.fail(err)
		return
	}
	s.show(ctx, display.Wrap(text, s.style().Width))
}

// showContext tells where questions go when that is another place than before.
func (s *Shell) showContext() {
	now := ""
	if s.o.Context != nil {
		now = s.o.Context()
	} else if m, err := s.o.Session.Mesh(); m != nil {
		now = m.Name()
	} else if err != nil {
		now, _, _ = strings.Cut(err.Error(), "\n")
	}
	if now != s.context && now != "" {
		fmt.Fprintln(s.o.Stderr, s.style().Paint(display.Faint, display.Clean(now)))
	}
	s.context = now
}

// style is the style for the terminal as it is now.
func (s *Shell) style() display.Style {
	style := s.o.Style
	if s.editor != nil {
		if columns, _ := s.editor.Size(); columns > 0 {
			style.Width = columns
		}
	}
	return style
}

// note tells something beside the results.
func (s *Shell) note(format string, args ...any) {
	text := display.CleanLines(fmt.Sprintf(format, args...))
	fmt.Fprintln(s.o.Stderr, s.style().Paint(display.Faint, text))
}

// fail tells what went wrong.
func (s *Shell) fail(err error) {
	text := err.Error()
	var e *session.Error
	if errors.As(err, &e) {
		if e.Kind == session.Interrupted {
			s.note("interrupted")
			return
		}
		text = e.Brief()
		if s.o.Debug && e.Stack != "" {
			text += "\n" + e.Stack
		}
	}
	style := s.style()
	lines := strings.Split(strings.TrimRight(display.CleanLines(text), "\n"), "\n")
	for i, line := range lines {
		if i == 0 || strings.HasPrefix(line, "error: ") {
			folded := style.Fold(line)
			for n, l := range folded {
				folded[n] = style.Paint(display.Bad, l)
			}
			lines[i] = strings.Join(folded, "\n")
		}
	}
	fmt.Fprintln(s.o.Stderr, strings.Join(lines, "\n"))
}
