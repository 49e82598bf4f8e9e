package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/mesh"
	startime "go.starlark.net/lib/time"
	"go.starlark.net/starlark"
)

// An evaluation is one chunk or one run, with the threads of all it loads.
// It is also the host that its builtins see.
type evaluation struct {
	s        *Session
	name     string // of the runbook or chunk
	main     string // file name of its positions
	ctx      context.Context
	started  time.Time
	recorder *mesh.Recorder
	roots    []string // readable folders beyond those of the session

	// Of a run of a file. A chunk has none of them.
	info   *Info
	args   map[string]starlark.Value
	parent *evaluation // the run that called run(...)

	globals starlark.StringDict // of the main file, once it has run

	modules map[string]*module // by path or label

	abandoned *atomic.Bool // nobody waits for it any more; shared with nested runs
	exhausted *atomic.Bool // it took too many steps; shared with nested runs

	mu     sync.Mutex
	checks []builtins.Check
}

// begin makes an evaluation that belongs to none other.
func (s *Session) begin(ctx context.Context, name, main string) *evaluation {
	e := &evaluation{
		s:         s,
		name:      name,
		main:      main,
		recorder:  new(mesh.Recorder),
		modules:   map[string]*module{},
		abandoned: new(atomic.Bool),
		exhausted: new(atomic.Bool),
	}
	e.ctx = mesh.WithBudget(mesh.WithRecorder(ctx, e.recorder), new(mesh.Budget))
	if s.o.Clock != nil {
		e.started = s.o.Clock()
	}
	return e
}

// nested makes an evaluation for a runbook that e runs. What it fetches in
// vain is missing from e's answers too, so they share the recorder.
func (e *evaluation) nested(ctx context.Context, name, main string) *evaluation {
	n := &evaluation{
		s:         e.s,
		name:      name,
		main:      main,
		ctx:       ctx,
		recorder:  e.recorder,
		parent:    e,
		modules:   map[string]*module{},
		abandoned: e.abandoned,
		exhausted: e.exhausted,
	}
	if e.s.o.Clock != nil {
		n.started = e.s.o.Clock()
	}
	return n
}

func (e *evaluation) duration() time.Duration {
	if e.s.o.Clock == nil {
		return 0
	}
	return e.s.o.Clock().Sub(e.started)
}

// newThread makes a thread that ends with the evaluation. A parent is the
// thread that waits for it; it passes on the steps it has taken. finish must be
// called when the thread is done.
func (e *evaluation) newThread(name string, parent *starlark.Thread) (thread *starlark.Thread, finish func()) {
	thread = &starlark.Thread{
		Name:  name,
		Print: e.print,
		Load:  e.load,
		OnMaxSteps: func(t *starlark.Thread) {
			e.exhausted.Store(true)
			t.Cancel("too many steps")
		},
	}
	builtins.Bind(thread, e.ctx, e)
	startime.SetNow(thread, func() (time.Time, error) {
		now := e.Now()
		if now.IsZero() {
			return now, errors.New("there is no clock: open a mesh or give --now")
		}
		return now, nil
	})
	thread.SetMaxExecutionSteps(e.s.o.MaxSteps)
	if parent != nil {
		thread.Steps = parent.Steps
	}
	stop := context.AfterFunc(e.ctx, func() { thread.Cancel("interrupted") })
	return thread, func() {
		stop()
		if parent != nil {
			parent.Steps = thread.Steps
		}
	}
}

func (e *evaluation) print(_ *starlark.Thread, msg string) {
	if !e.abandoned.Load() {
		fmt.Fprintln(e.s.o.Stdout, msg)
	}
}

// An interrupted evaluation is given a moment to end by itself before it is left
// alone. A prompt is to be back within a tenth of a second; where a time limit
// ended it nobody sits and waits, and it is worth more to learn where it was.
const (
	patience      = 50 * time.Millisecond
	patienceLimit = time.Second
)

// await runs fn, which is the evaluation, and returns what it returns, or an
// Error soon after the context ends.
func (e *evaluation) await(fn func() error) error {
	done := make(chan error, 1)
	go func() { done <- e.guard(fn) }()
	var err error
	select {
	case err = <-done:
	case <-e.ctx.Done():
		moment := patience
		if errors.Is(e.ctx.Err(), context.DeadlineExceeded) {
			moment = patienceLimit
		}
		timer := time.NewTimer(moment)
		defer timer.Stop()
		select {
		case err = <-done:
		case <-timer.C:
			e.abandoned.Store(true)
			err = context.Cause(e.ctx)
		}
	}
	if err == nil && e.ctx.Err() == nil {
		return nil
	}
	return e.explain(err)
}

// guard turns a panic of a builtin into an Error.
func (e *evaluation) guard(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			where := "a builtin"
			if name := panicSite(); name != "" {
				where = name
			}
			err = &Error{Kind: InternalError, Msg: fmt.Sprintf("internal error in %s: %v (this is a bug in meshlark, not in the script)", where, p), Stack: panicStack()}
		}
	}()
	return fn()
}

// panicSite names the function that panicked. It must be called by the
// deferred function that recovers.
func panicSite() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	panicking := false
	for {
		fr, more := frames.Next()
		if fr.Function == "runtime.gopanic" {
			panicking = true
		} else if panicking && !strings.HasPrefix(fr.Function, "runtime.") {
			return fr.Function[strings.LastIndexByte(fr.Function, '/')+1:]
		}
		if !more {
			return ""
		}
	}
}

// panicStack is the Go stack from the panic down.
func panicStack() string {
	stack := debug.Stack()
	if i := bytes.Index(stack, []byte("\npanic(")); i >= 0 {
		stack = stack[i+1:]
	}
	return string(stack)
}

// explain makes an Error of what an evaluation returned; when the context has
// ended or the steps have run out, that is the reason, whatever was returned.
func (e *evaluation) explain(err error) error {
	var out *Error
	if err != nil {
		out = newRunError(err, e.s.Text)
	} else {
		out = &Error{}
	}
	switch {
	case e.ctx.Err() != nil:
		cause := context.Cause(e.ctx)
		kind, msg := Interrupted, "interrupted"
		if errors.Is(e.ctx.Err(), context.DeadlineExceeded) {
			kind, msg = Deadline, e.deadlineMsg()
		}
		if !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
			msg = cause.Error()
		}
		return &Error{Kind: kind, Pos: out.Pos, Line: out.Line, Msg: msg, Frames: out.Frames, cause: cause}
	case e.exhausted.Load():
		return &Error{Kind: TooManySteps, Pos: out.Pos, Line: out.Line, Frames: out.Frames, cause: out.cause,
			Msg: fmt.Sprintf("stopped after %d steps: the script loops, or the limit of steps is too low for it", e.s.o.MaxSteps)}
	}
	return out
}

func (e *evaluation) deadlineMsg() string {
	at, ok := e.ctx.Deadline()
	if !ok || e.s.o.Clock == nil {
		return "the deadline passed"
	}
	d := at.Sub(e.started)
	unit := time.Millisecond
	if d > time.Second {
		unit = 100 * time.Millisecond
	}
	return fmt.Sprintf("the deadline of %v passed", d.Round(unit))
}

// settle adds what the evaluation could not fetch to the session's failures
// and returns it.
func (e *evaluation) settle() []mesh.Failure {
	fs := e.recorder.Failures()
	e.s.mu.Lock()
	defer e.s.mu.Unlock()
	e.s.failures.add(fs)
	return fs
}

func (e *evaluation) recorded() []builtins.Check {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]builtins.Check(nil), e.checks...)
}

// caller is the file of the Starlark code that is executing.
func caller(thread *starlark.Thread) (starlark.CallFrame, bool) {
	for i := range thread.CallStackDepth() {
		if fr := thread.CallFrame(i); fr.Pos.Filename() != builtinFile {
			return fr, true
		}
	}
	return starlark.CallFrame{}, false
}
