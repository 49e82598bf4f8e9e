package repl

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.starlark.net/starlark"

	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/display"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/session"
)

// grace is how long work that was interrupted may take to end by itself. With
// it the prompt is back within a tenth of a second.
const grace = 80 * time.Millisecond

// await runs fn, whose work the person waits for, and returns what it returns.
// A Ctrl-C ends the context; work that does not end with it, or not before a
// second Ctrl-C, is left alone: await reports false, and what fn returns later
// is dropped.
func await[T any](ctx context.Context, s *Shell, fn func(ctx context.Context) T) (result T, ok bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.begin(ctx, cancel)
	defer s.end()
	done := make(chan T, 1)
	go func() { done <- fn(ctx) }()

	select {
	case result = <-done:
		return result, true
	case <-s.o.Interrupts:
		cancel()
		if columns, _ := s.editor.Size(); columns > 0 {
			fmt.Fprintln(s.o.Stderr) // the terminal shows a ^C
		}
	case <-ctx.Done():
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case result = <-done:
		return result, true
	case <-s.o.Interrupts:
	case <-timer.C:
	}
	return result, false
}

// drain forgets a Ctrl-C that was meant for something that is over.
func (s *Shell) drain() {
	select {
	case <-s.o.Interrupts:
	default:
	}
}

// begin says that the person waits for work under ctx from now on.
func (s *Shell) begin(ctx context.Context, cancel context.CancelFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.working, s.cancel = ctx, cancel
}

// end says that the person waits for nothing.
func (s *Shell) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.working, s.cancel = nil, nil
	s.o.Progress.Clear()
}

// Progress shows what is under way on the status line, as long as the person
// waits for it: completion fetches too, and work that was abandoned may still
// report. It may be called from any goroutine.
func (s *Shell) Progress(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.working != nil && s.working.Err() == nil {
		s.o.Progress.Update(text)
	}
}

// Confirm asks a question of the person who waits for an evaluation, and
// reports whether the answer is yes. Ctrl-C ends the evaluation. It may be
// called from any goroutine; when nobody can be asked, the answer is no.
func (s *Shell) Confirm(question string) bool {
	s.mu.Lock()
	ctx, cancel := s.working, s.cancel
	s.mu.Unlock()
	if ctx == nil || ctx.Err() != nil || s.editor == nil {
		return false
	}
	s.o.Progress.Clear()
	fmt.Fprintf(s.o.Stderr, "%s [y/N] ", display.Clean(question))
	var key rune
	err := s.editor.ReadKeys(ctx, func(k rune) bool {
		key = k
		return false
	})
	yes := err == nil && (key == 'y' || key == 'Y')
	answer := "no"
	if yes {
		answer = "yes"
	}
	fmt.Fprintln(s.o.Stderr, answer)
	if key == 3 {
		cancel()
	}
	return yes
}

// outcome is what came of a statement.
type outcome struct {
	session.Result
	err   error
	text  string   // the value as it is shown
	notes []string // what belongs beside it
}

// evaluate evaluates a statement and shows what came of it. It reports whether
// it worked.
func (s *Shell) evaluate(ctx context.Context, src string, timed bool) bool {
	style := s.style()
	began := s.o.Clock()
	out, ok := await(ctx, s, func(ctx context.Context) (out outcome) {
		out.Result, out.err = s.o.Session.Eval(ctx, "", src)
		if out.err == nil && out.Echo {
			out.text, out.notes = render(out.Value, style)
		}
		return out
	})
	took := s.o.Clock().Sub(began)
	if !ok {
		s.note("interrupted; what was under way is left alone and changes nothing")
		return false
	}
	if out.err != nil {
		s.fail(out.err)
		s.missing(out)
		if timed {
			s.note("took %s", durationText(took))
		}
		return false
	}
	s.statements = append(s.statements, statement{src, out.Echo})
	if len(out.Checks) > 0 {
		text, _ := render(builtins.NewChecks(out.Checks), style)
		s.show(ctx, text)
	}
	if out.Echo {
		s.show(ctx, out.text)
	}
	for _, n := range out.notes {
		s.note("%s", n)
	}
	s.missing(out)
	s.footer(out, took, timed)
	return true
}

// render gives a value as the prompt shows it. A value that cannot be displayed
// is shown as its string, with a note.
func render(v starlark.Value, style display.Style) (text string, notes []string) {
	defer func() {
		if p := recover(); p != nil {
			text, notes = plain(v), []string{fmt.Sprintf("internal error while displaying a %s: %v (this is a bug in meshlark)", v.Type(), p)}
		}
	}()
	var b strings.Builder
	notes, err := display.WriteValue(&b, display.Result{Value: v}, display.Table, style)
	if err != nil {
		return plain(v), []string{fmt.Sprintf("cannot display the %s: %v", v.Type(), err)}
	}
	return b.String(), notes
}

// plain is a value's string, whatever happens.
func plain(v starlark.Value) (text string) {
	defer func() {
		if recover() != nil {
			text = "<" + v.Type() + ">\n"
		}
	}()
	return v.String() + "\n"
}

// missing tells what the answer lacks: what was told before in short, what an
// error tells not again.
func (s *Shell) missing(out outcome) {
	var told, untold []mesh.Failure
	for _, f := range out.Failures {
		same := func(old mesh.Failure) bool { return old.Source == f.Source && old.Error() == f.Error() }
		switch {
		case out.err != nil && strings.Contains(out.err.Error(), f.Reason):
		case slices.ContainsFunc(s.told, same):
			told = append(told, f)
		default:
			untold = append(untold, f)
		}
	}
	s.told = append(s.told, untold...)
	style := s.style()
	display.WriteFailures(s.o.Stderr, untold, style, false)
	display.WriteFailuresAgain(s.o.Stderr, told, style)
}

// slow is when a person wants to know how long something took.
const slow = 2 * time.Second

// footer tells what was fetched for an answer, from where, how long it took and
// how old the answer is.
func (s *Shell) footer(out outcome, took time.Duration, timed bool) {
	var parts []string
	if n := out.Fetched.Requests; n > 0 {
		what := "read " + count(n, "document")
		if b := out.Fetched.Bytes; b > 0 { // files are not counted
			what = "fetched " + count(n, "document") + ", " + size(b) + ","
		}
		if m, _ := s.o.Session.Mesh(); m != nil {
			what += " from " + from(m.Sources())
		}
		parts = append(parts, what+" in "+durationText(took))
	} else {
		if out.Echo && asks(out.Value) {
			if m, _ := s.o.Session.Mesh(); m != nil && m.Age() >= time.Second {
				parts = append(parts, fmt.Sprintf("as it was %s ago; :refresh reads it anew", durationText(m.Age())))
			}
		}
		if timed || took >= slow {
			parts = append(parts, "took "+durationText(took))
		}
	}
	if n := len(out.Failures); n > 0 {
		parts = append(parts, fmt.Sprintf("%d left out", n))
	}
	if len(parts) > 0 {
		s.note("%s", strings.Join(parts, "; "))
	}
}

// asks tells values that were read from the mesh.
func asks(v starlark.Value) bool {
	switch v.(type) {
	case builtins.Tabular, builtins.Itemer:
		return true
	}
	return false
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func from(specs []string) string {
	const most = 2
	if n := len(specs) - most; n > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(specs[:most], ", "), n)
	}
	return strings.Join(specs, " and ")
}

func size(n int64) string {
	switch {
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d bytes", n)
}

func durationText(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return d.Round(time.Second).String()
}
