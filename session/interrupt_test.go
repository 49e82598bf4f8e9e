package session

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/meshlark/meshlark/mesh"
	"go.starlark.net/starlark"
)

// stuck is a builtin that waits for the test, not for its context.
type stuck struct {
	entered chan struct{}
	leave   chan struct{}
}

func newStuck() *stuck {
	return &stuck{entered: make(chan struct{}), leave: make(chan struct{})}
}

func (s *stuck) builtin() *starlark.Builtin {
	return starlark.NewBuiltin("stuck", func(thread *starlark.Thread, _ *starlark.Builtin, _ starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
		close(s.entered)
		<-s.leave
		return starlark.MakeInt(1), nil
	})
}

func kindOf(err error) Kind {
	var e *Error
	if !errors.As(err, &e) {
		return ""
	}
	return e.Kind
}

func TestInterrupt(t *testing.T) {
	for _, tt := range []struct {
		name, src string
	}{
		{"loop", "x = 2\nwhile True: pass"},
		{"builtin", "x = 2\nwaits()"},
		{"sleep", "x = 2\nsleeps()"},
		{"attempt", "x = 2\nwhile True: attempt(waits)"},
		{"callback", "x = 2\ndef forever(_):\n  while True: pass\nsorted([1], key=forever)"},
		{"load", "x = 2\nload('spin.star', 'y')"},
		{"run", "x = 2\nrun('spin')"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spin := "y = 1\nwhile True: y += 1\n"
			s := New(Options{Predeclared: testLanguage(), Files: memory{"/desk/spin.star": spin}, WorkDir: "/desk", Library: shelf{"spin.star": spin}})
			if _, err := s.Eval(context.Background(), "", "x = 1\ndef f(): return x"); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(20*time.Millisecond, cancel)
			_, err := s.Eval(ctx, "", tt.src)
			if kindOf(err) != Interrupted || !errors.Is(err, context.Canceled) {
				t.Fatalf("got %v (%s), want an interruption", err, kindOf(err))
			}
			// The session goes on, and the chunk changed nothing.
			res, err := s.Eval(context.Background(), "", "f()")
			if err != nil || res.Value != starlark.Value(starlark.MakeInt(1)) {
				t.Errorf("after the interrupt x is %v, %v; want 1", res.Value, err)
			}
		})
	}
}

func TestDeadline(t *testing.T) {
	for name, clock := range map[string]func() time.Time{"clock": time.Now, "none": nil} {
		t.Run(name, func(t *testing.T) {
			s := New(Options{Predeclared: testLanguage(), Clock: clock})
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
			defer cancel()
			_, err := s.Eval(ctx, "", "while True: pass")
			if kindOf(err) != Deadline || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v (%s), want a deadline", err, kindOf(err))
			}
			if !strings.Contains(err.Error(), "deadline") {
				t.Errorf("%q does not speak of a deadline", err)
			}
		})
	}
	s := New(Options{Predeclared: testLanguage()})
	ctx, cancel := context.WithTimeoutCause(context.Background(), 20*time.Millisecond, errors.New("--timeout 20ms passed"))
	defer cancel()
	o := s.RunSource(ctx, Source{Name: "w", Text: "waits()"}, nil)
	if kindOf(o.Err) != Deadline || !strings.Contains(o.Err.Error(), "--timeout 20ms passed") {
		t.Errorf("got %v, want the cause of the context", o.Err)
	}
}

// A timeout inside a builtin is an error of the script, not the end of the evaluation.
func TestInnerTimeout(t *testing.T) {
	s := New(Options{Predeclared: starlark.StringDict{"fetch": starlark.NewBuiltin("fetch", func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
		return nil, &mesh.UnreachableError{Source: "x", Err: context.DeadlineExceeded}
	})}})
	_, err := s.Eval(context.Background(), "", "fetch()")
	if kindOf(err) != RunError {
		t.Errorf("got kind %s for %v, want %s", kindOf(err), err, RunError)
	}
}

// What an abandoned builtin does later changes nothing.
func TestAbandoned(t *testing.T) {
	st := newStuck()
	dict := testLanguage()
	dict["stuck"] = st.builtin()
	var out strings.Builder
	s := New(Options{Predeclared: dict, Stdout: &out})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-st.entered
		cancel()
	}()
	res, err := s.Eval(ctx, "", "x = 1\ny = stuck()\nprint('late')\ncheck('late', True)\nx = 2")
	if kindOf(err) != Interrupted {
		t.Fatalf("got %v, want an interruption", err)
	}
	close(st.leave)
	time.Sleep(10 * time.Millisecond) // the abandoned goroutine runs to its end
	if out.Len() > 0 || len(res.Checks) > 0 || len(s.Globals()) > 0 {
		t.Errorf("abandoned chunk printed %q, recorded %v, assigned %v", out.String(), res.Checks, s.Globals())
	}
}

func TestPanic(t *testing.T) {
	s := New(Options{Predeclared: testLanguage()})
	_, err := s.Eval(context.Background(), "", "x = 1\npanics()")
	var e *Error
	if !errors.As(err, &e) || e.Kind != InternalError {
		t.Fatalf("got %v, want an internal error", err)
	}
	if !strings.Contains(e.Msg, "internal error in session.testLanguage") || !strings.Contains(e.Msg, "index out of range") {
		t.Errorf("message %q does not say what panicked and why", e.Msg)
	}
	if !strings.Contains(e.Stack, "session_test.go") {
		t.Errorf("stack does not reach the builtin:\n%s", e.Stack)
	}
	if res, err := s.Eval(context.Background(), "", "x"); err != nil || res.Value.String() != "1" {
		t.Errorf("after the panic: %v, %v", res.Value, err)
	}
}

func TestCause(t *testing.T) {
	files := memory{"/desk/lib.star": "def ask(): unreachable()\n", "/desk/main.star": "load('lib.star', 'ask')\nask()\n", "/desk/outer.star": "run('./main.star')\n"}
	for _, file := range []string{"main.star", "outer.star"} {
		s := New(Options{Predeclared: testLanguage(), Files: files, WorkDir: "/desk"})
		o := s.RunFile(context.Background(), file, nil)
		var u *mesh.UnreachableError
		if !errors.As(o.Err, &u) {
			t.Errorf("%s: no UnreachableError in %#v", file, o.Err)
		}
	}
}

// The budget of steps covers what is loaded and run, together.
func TestSteps(t *testing.T) {
	busy := "def work():\n  for i in range(1000): pass\nwork()\nx = 1\n"
	files := memory{"/desk/a.star": busy, "/desk/b.star": busy, "/desk/main.star": "load('a.star', a='x')\nload('b.star', b='x')\nrun('busy')\n"}
	run := func(max uint64) error {
		s := New(Options{Predeclared: testLanguage(), Files: files, WorkDir: "/desk", Library: shelf{"busy.star": busy}, MaxSteps: max})
		return s.RunFile(context.Background(), "main.star", nil).Err
	}
	if err := run(0); err != nil {
		t.Errorf("no limit: %v", err)
	}
	single := uint64(7000)
	if err := run(3 * single); err != nil {
		t.Errorf("%d steps: %v", 3*single, err)
	}
	if err := run(single); kindOf(err) != TooManySteps {
		t.Errorf("%d steps: got %v, want the end of the budget", single, err)
	}
}
