package session

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/mesh"
	"go.starlark.net/starlark"
)

// patchy is a source that knows nothing and misses two parts.
type patchy struct{ surveys int }

func (p *patchy) Spec() string { return "patchy" }
func (p *patchy) Live() bool   { return true }
func (p *patchy) Survey(context.Context) (*mesh.Survey, error) {
	p.surveys++
	return &mesh.Survey{Failures: []mesh.Failure{
		{Proxy: "a.default", Source: "patchy", Stage: "listeners", Reason: "timeout"},
		{Proxy: "b.default", Source: "patchy", Stage: "listeners", Reason: "timeout"},
	}}, nil
}

// countProxies is a builtin that asks the session's mesh.
func countProxies() *starlark.Builtin {
	return starlark.NewBuiltin("count", func(thread *starlark.Thread, _ *starlark.Builtin, _ starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
		h := builtins.HostOf(thread)
		if h.Mesh() == nil {
			return nil, h.MeshError()
		}
		res, err := h.Mesh().Proxies(builtins.Context(thread))
		return starlark.MakeInt(len(res.Items)), err
	})
}

func TestMesh(t *testing.T) {
	why := errors.New("no kubeconfig")
	ctx := context.Background()
	s := New(Options{MeshError: why, Predeclared: starlark.StringDict{"count": countProxies()}})
	for _, src := range []string{"count()", "mesh.name"} {
		if _, err := s.Eval(ctx, "", src); err == nil || !errors.Is(err, why) {
			t.Errorf("%s: got %v, want %v", src, err, why)
		}
	}
	if _, err := s.Eval(ctx, "", "def f(): return mesh"); err != nil {
		t.Fatal(err)
	}
	s.SetMesh(mesh.New(nil, mesh.Options{Name: "lab"}), nil)
	res, err := s.Eval(ctx, "", "f()")
	if err != nil || res.Value.String() != "<mesh lab>" {
		t.Errorf("got %v, %v", res.Value, err)
	}
	// A global of that name stays the user's.
	if _, err := s.Eval(ctx, "", "mesh = 1"); err != nil {
		t.Fatal(err)
	}
	s.SetMesh(mesh.New(nil, mesh.Options{Name: "other"}), nil)
	if res, err := s.Eval(ctx, "", "f()"); err != nil || res.Value.String() != "1" {
		t.Errorf("got %v, %v", res.Value, err)
	}
}

func TestFailures(t *testing.T) {
	source := new(patchy)
	s := New(Options{
		Mesh:        mesh.New([]mesh.Source{source}, mesh.Options{}),
		Predeclared: starlark.StringDict{"count": countProxies(), "run": testLanguage()["run"], "check": testLanguage()["check"]},
		Library:     shelf{"inner.star": "count()\ncheck('c', True)\n"},
	})
	want := []mesh.Failure{
		{Proxy: "a.default", Source: "patchy", Stage: "listeners", Reason: "timeout"},
		{Proxy: "b.default", Source: "patchy", Stage: "listeners", Reason: "timeout"},
	}
	ignore := cmpopts.IgnoreFields(mesh.Failure{}, "Err")
	ctx := context.Background()
	for _, src := range []string{"count()\ncount()", "run('inner')"} {
		res, err := s.Eval(ctx, "", src)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, res.Failures, ignore); diff != "" {
			t.Errorf("%s:\n%s", src, diff)
		}
		o := s.RunSource(ctx, Source{Name: "r", Text: src}, nil)
		if diff := cmp.Diff(want, o.Failures, ignore); diff != "" || o.Err != nil {
			t.Errorf("run of %s: %v\n%s", src, o.Err, diff)
		}
	}
	if diff := cmp.Diff(want, s.Failures(), ignore); diff != "" {
		t.Errorf("of the session:\n%s", diff)
	}
	s.ResetFailures()
	if res, err := s.Eval(ctx, "", "1"); err != nil || len(res.Failures) > 0 || len(s.Failures()) > 0 {
		t.Errorf("a chunk that asks nothing: %v, %v, %v", res.Failures, s.Failures(), err)
	}

	if source.surveys != 1 {
		t.Errorf("%d surveys in one generation", source.surveys)
	}
	s.NewGeneration()
	if _, err := s.Eval(ctx, "", "count()"); err != nil || source.surveys != 2 {
		t.Errorf("%d surveys after a new generation, %v", source.surveys, err)
	}
}
