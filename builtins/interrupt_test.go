package builtins

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"go.starlark.net/starlark"
)

func mustDuration(t *testing.T, s string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestInterrupt shows that calls end with the evaluation, whatever they do,
// and that a script cannot catch it.
func TestInterrupt(t *testing.T) {
	stop := errors.New("interrupted")
	for _, src := range []string{
		`clusters()`,
		`jq(1, "repeat(1)")`,
		`[1] | jq("repeat(.)")`,
		`attempt(lambda: jq(1, "last(repeat(1))"))`,
		`wait(lambda: False, timeout="1000000h")`,
		`attempt(proxies)`,
	} {
		ctx, cancel := context.WithCancelCause(context.Background())
		thread, _, env := newThread(t, ctx, io.Discard)
		done := make(chan error, 1)
		go func() {
			_, err := starlark.EvalOptions(dialect, thread, "interrupt.star", src, env)
			done <- err
		}()
		// The calls that would end by themselves are interrupted before they begin.
		if !strings.Contains(src, "repeat") {
			cancel(stop)
		} else {
			time.AfterFunc(10*time.Millisecond, func() { cancel(stop) })
		}
		select {
		case err := <-done:
			// A call may have ended before the interrupt came.
			if err != nil && !errors.Is(err, stop) {
				t.Errorf("%s: %v, want the cause of the interrupt", src, err)
			}
			if err == nil && strings.Contains(src, "repeat") {
				t.Errorf("%s ended", src)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s goes on after the interrupt", src)
		}
		cancel(nil)
	}
}

// TestFilterOutlivesItsEvaluation shows that a filter kept at a prompt works in
// later evaluations.
func TestFilterOutlivesItsEvaluation(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	thread, _, env := newThread(t, ctx, io.Discard)
	f, err := starlark.EvalOptions(dialect, thread, "one.star", `jq(".[0]")`, env)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	later, _, env := newThread(t, context.Background(), io.Discard)
	env["f"] = f
	v, err := starlark.EvalOptions(dialect, later, "two.star", `[5] | f`, env)
	if err != nil || v.String() != "[5]" {
		t.Errorf("got %v, %v", v, err)
	}
}

// TestNoSession shows that the language without a session fails with a reason,
// not a panic.
func TestNoSession(t *testing.T) {
	env := Predeclared()
	for _, src := range []string{`proxies()`, `clusters()`, `time.now()`, `read_file("x")`, `check("x", True)`, `open("x")`, `run("x")`, `arg("x")`, `wait(lambda: True)`} {
		if _, err := starlark.EvalOptions(dialect, &starlark.Thread{}, "alone.star", src, env); err == nil || !strings.Contains(err.Error(), "no session") {
			t.Errorf("%s: %v", src, err)
		}
	}
	thread := &starlark.Thread{}
	Bind(thread, context.Background(), &testHost{})
	if _, err := starlark.EvalOptions(dialect, thread, "nomesh.star", `proxies()`, env); err == nil || !strings.Contains(err.Error(), "name one with --source") {
		t.Errorf("without a mesh: %v", err)
	}
}

// TestFetchedOnce shows that calls on one proxy share what was read.
func TestFetchedOnce(t *testing.T) {
	m, f := newFixture()
	thread := &starlark.Thread{}
	Bind(thread, context.Background(), &testHost{m: m})
	env := Predeclared()
	if _, err := starlark.EvalOptions(dialect, thread, "once.star", `[proxy("productpage-v1").clusters(), proxy("productpage-v1").listeners()[0].routes(), proxy("productpage-v1").clusters("zipkin")]`, env); err != nil {
		t.Fatal(err)
	}
	if f.dumps != 1 {
		t.Errorf("the dump was read %d times", f.dumps)
	}
}
