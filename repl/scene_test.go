package repl

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"testing"
	"time"

	"go.starlark.net/starlark"

	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source"
	"github.com/meshlark/meshlark/repl/editor"
	"github.com/meshlark/meshlark/repl/history"
	"github.com/meshlark/meshlark/session"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata")

// testDump is a dump that a real Envoy gave.
const testDump = "../xds/dump/testdata/envoy-1.40/config_dump.json"

// moment is when the tests take place.
var moment = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func testMesh(specs ...string) (*mesh.Mesh, error) {
	var sources []mesh.Source
	for _, spec := range specs {
		src, err := source.Opener{}.Open(spec)
		if err != nil {
			return nil, err
		}
		sources = append(sources, src)
	}
	name := ""
	if specs[0] == testDump {
		name = "test mesh"
	}
	return mesh.New(sources, mesh.Options{Name: name, Clock: func() time.Time { return moment }}), nil
}

// language is the real one with a few functions that misbehave.
func language() starlark.StringDict {
	dict := builtins.Predeclared()
	add := func(name string, fn func(thread *starlark.Thread, args starlark.Tuple) (starlark.Value, error)) {
		dict[name] = starlark.NewBuiltin(name, func(thread *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
			return fn(thread, args)
		})
	}
	add("boom", func(_ *starlark.Thread, args starlark.Tuple) (starlark.Value, error) { return args[7], nil })
	add("waits", func(thread *starlark.Thread, _ starlark.Tuple) (starlark.Value, error) {
		fmt.Fprintln(os.Stderr, "waiting")
		<-builtins.Context(thread).Done()
		return nil, errors.New("given up")
	})
	// stuck never ends: not even when it is asked to.
	add("stuck", func(*starlark.Thread, starlark.Tuple) (starlark.Value, error) {
		fmt.Fprintln(os.Stderr, "stuck now")
		select {}
	})
	add("rows", func(_ *starlark.Thread, args starlark.Tuple) (starlark.Value, error) {
		n, err := starlark.AsInt32(args[0])
		var rows [][]starlark.Value
		for i := range n {
			rows = append(rows, []starlark.Value{starlark.MakeInt(i), starlark.String("outbound|9080||reviews.default.svc.cluster.local.with.a.very.long.name.of.70.columns")})
		}
		return builtins.NewTable([]string{"N", "CLUSTER"}, rows), err
	})
	dict["broken"] = broken{}
	return dict
}

// broken is a value that cannot be displayed.
type broken struct{}

func (broken) String() string        { panic("no string") }
func (broken) Type() string          { return "broken" }
func (broken) Freeze()               {}
func (broken) Truth() starlark.Bool  { return true }
func (broken) Hash() (uint32, error) { return 0, nil }

// testOptions are those of a shell on the test mesh.
func testOptions(out io.Writer) (Options, error) {
	m, err := testMesh(testDump)
	if err != nil {
		return Options{}, err
	}
	dir, err := os.Getwd()
	if err != nil {
		return Options{}, err
	}
	return Options{
		Session: session.New(session.Options{Mesh: m, Predeclared: language(), Stdout: out, Notes: out, Files: session.Disk{}, WorkDir: dir}),
		Stdout:  out,
		Clock:   func() time.Time { return moment },
		OpenSource: func(_ context.Context, specs []string) (*mesh.Mesh, error) {
			return testMesh(specs...)
		},
		SourceForms: []string{"http://", "istiod+http://"},
	}, nil
}

// TestMain lets the test binary be the program that the terminal tests drive.
func TestMain(m *testing.M) {
	if file := os.Getenv("MESHLARK_TEST_SHELL"); file != "" {
		if err := shellProcess(file); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println("bye")
		return
	}
	os.Exit(m.Run())
}

// shellProcess is a shell on the terminal, with its history in a file.
func shellProcess(file string) error {
	o, err := testOptions(os.Stdout)
	if err != nil {
		return err
	}
	if o.History, err = history.Open(file, o.Clock); err != nil {
		return err
	}
	o.Env = map[string]string{"PAGER": os.Getenv("PAGER")}
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	o.Interrupts = interrupts
	s := New(o)
	e, err := editor.Open(os.Stdin, os.Stdout, s.EditorConfig())
	if err != nil {
		return err
	}
	defer e.Close()
	return s.Run(context.Background(), e)
}
