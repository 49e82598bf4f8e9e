package builtins

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"testing"

	"go.starlark.net/starlark"
)

// TestBehaviour runs the scripts of testdata on the fixture. In them
//
//	eq(got, want)        fails unless the two are equal
//	true(x)              fails unless x is true
//	fails(fn, pattern)   fails unless fn() fails with a message that the pattern is found in
//	notes()              gives what the user was told beside results, and forgets it
//	checks()             gives the checks recorded
//	printed()            gives what was printed, and forgets it
func TestBehaviour(t *testing.T) {
	files, err := filepath.Glob("testdata/*.star")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			var out bytes.Buffer
			thread, host, env := newThread(t, context.Background(), &out)
			maps.Copy(env, assertions(t, host, &out))
			if _, err := starlark.ExecFileOptions(dialect, thread, file, nil, env); err != nil {
				var e *starlark.EvalError
				if errors.As(err, &e) {
					t.Fatal(e.Backtrace())
				}
				t.Fatal(err)
			}
		})
	}
}

func assertions(t *testing.T, host *testHost, out *bytes.Buffer) starlark.StringDict {
	type fn = func(thread *starlark.Thread, args starlark.Tuple) (starlark.Value, error)
	env := starlark.StringDict{}
	add := func(name string, n int, f fn) {
		env[name] = starlark.NewBuiltin(name, func(thread *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
			if len(args) != n {
				return nil, fmt.Errorf("want %d arguments", n)
			}
			return f(thread, args)
		})
	}
	at := func(thread *starlark.Thread) string { return thread.CallFrame(1).Pos.String() }
	add("eq", 2, func(thread *starlark.Thread, args starlark.Tuple) (starlark.Value, error) {
		same, err := starlark.Equal(args[0], args[1])
		if err == nil && !same {
			t.Errorf("%s:\n got  %s\n want %s", at(thread), args[0], args[1])
		}
		return starlark.None, err
	})
	add("true", 1, func(thread *starlark.Thread, args starlark.Tuple) (starlark.Value, error) {
		if !args[0].Truth() {
			t.Errorf("%s: got %s", at(thread), args[0])
		}
		return starlark.None, nil
	})
	add("fails", 2, func(thread *starlark.Thread, args starlark.Tuple) (starlark.Value, error) {
		_, err := starlark.Call(thread, args[0], nil, nil)
		pattern, _ := starlark.AsString(args[1])
		if err == nil {
			t.Errorf("%s: did not fail, want %s", at(thread), pattern)
		} else if msg := errorText(err); !regexp.MustCompile(pattern).MatchString(msg) {
			t.Errorf("%s:\n got  %s\n want %s", at(thread), msg, pattern)
		}
		return starlark.None, nil
	})
	add("notes", 0, func(*starlark.Thread, starlark.Tuple) (starlark.Value, error) {
		v := textList(host.notes)
		host.notes = nil
		return v, nil
	})
	add("checks", 0, func(*starlark.Thread, starlark.Tuple) (starlark.Value, error) { return NewChecks(host.checks), nil })
	add("generations", 0, func(*starlark.Thread, starlark.Tuple) (starlark.Value, error) {
		return starlark.MakeInt(host.generations), nil
	})
	add("printed", 0, func(*starlark.Thread, starlark.Tuple) (starlark.Value, error) {
		v := text(out.String())
		out.Reset()
		return v, nil
	})
	return env
}
