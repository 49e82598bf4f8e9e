package mesh_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/pattern"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// shelf is a source with objects: VirtualServices, each "name uid more".
type shelf struct {
	spec    string
	objects []string
	err     error
	asked   atomic.Int32
}

func (s *shelf) Spec() string                                 { return s.spec }
func (s *shelf) Live() bool                                   { return true }
func (s *shelf) Survey(context.Context) (*mesh.Survey, error) { return &mesh.Survey{}, nil }
func (s *shelf) ObjectKinds(context.Context) ([]mesh.ObjectKind, error) {
	return []mesh.ObjectKind{{Name: "VirtualService", Group: "networking.istio.io", Version: "v1", Plural: "virtualservices", Namespaced: true}}, s.err
}

func (s *shelf) ObjectKind(ctx context.Context, name string) (mesh.ObjectKind, error) {
	if name != "vs" && s.err == nil {
		return mesh.ObjectKind{}, &mesh.NoKindError{Kind: name, Where: s.spec, Known: []string{"vs"}}
	}
	kinds, err := s.ObjectKinds(ctx)
	return kinds[0], err
}

func (s *shelf) Objects(context.Context, mesh.ObjectRequest) (mesh.ObjectAnswer, error) {
	s.asked.Add(1)
	var a mesh.ObjectAnswer
	for _, o := range s.objects {
		var name, uid, more string
		fmt.Sscan(o, &name, &uid, &more)
		a.Objects = append(a.Objects, mesh.Object{Kind: "VirtualService", APIVersion: "networking.istio.io/v1", Name: name, Namespace: "default",
			JSON: rawjson.Value(fmt.Sprintf(`{"metadata": {"uid": %q}, "spec": %q}`, uid, more))})
	}
	return a, s.err
}

func shelved(res mesh.Result[mesh.Object]) string {
	var out []string
	for _, o := range res.Items {
		out = append(out, o.Name+" of "+o.Source+" "+o.JSON.Str("spec"))
	}
	return strings.Join(out, ", ")
}

func TestObjectsOfSeveralSources(t *testing.T) {
	east := &shelf{spec: "east", objects: []string{"a 1 short", "b 2 x"}}
	istiod := &shelf{spec: "istiod", objects: []string{"a 1 longer-text", "c 4 x"}}
	west := &shelf{spec: "west", objects: []string{"a 3 x"}}
	down := &shelf{spec: "down", err: errors.New("no route")}
	m := mesh.New([]mesh.Source{east, istiod, west, down}, mesh.Options{})
	recorder := &mesh.Recorder{}
	res, err := m.Objects(mesh.WithRecorder(t.Context(), recorder), mesh.ObjectQuery{Kind: "vs"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := shelved(res), "a of istiod longer-text, a of west x, b of east x, c of istiod x"; got != want {
		t.Errorf("got %s, want %s: one object is seen by two, and two clusters have another each", got, want)
	}
	if len(res.Failures) != 1 || res.Failures[0].Source != "down" || len(recorder.Failures()) != 1 || recorder.Fetched().Requests != 3 {
		t.Errorf("failures %v, recorded %v, fetched %v", res.Failures, recorder.Failures(), recorder.Fetched())
	}

	m = mesh.New([]mesh.Source{east, west}, mesh.Options{})
	var no *mesh.NoKindError
	if _, err := m.Objects(t.Context(), mesh.ObjectQuery{Kind: "svc"}); !errors.As(err, &no) || err.Error() != `no kind of objects is called "svc" in east, west` {
		t.Errorf("got %v", err)
	}
	results, err := m.FindObjects(t.Context(), []mesh.ObjectQuery{{Kind: "vs", Name: pattern.Exact("b")}, {Kind: "svc"}})
	if err != nil || shelved(results[0]) != "b of east x" || len(results[1].Items)+len(results[1].Failures) != 0 {
		t.Errorf("got %v, %v", results, err)
	}
	if _, err := mesh.New([]mesh.Source{down}, mesh.Options{}).FindObjects(t.Context(), []mesh.ObjectQuery{{Kind: "vs"}}); err == nil || err.Error() != "no route" {
		t.Errorf("got %v", err)
	}
}

// What was read is asked for again when it is too old, and not before.
func TestObjectsGetOld(t *testing.T) {
	s := &shelf{spec: "s", objects: []string{"a 1 x"}}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	m := mesh.New([]mesh.Source{s}, mesh.Options{TTL: time.Minute, Clock: func() time.Time { return now }})
	for i, want := range []int32{1, 1, 2} {
		if i == 2 {
			now = now.Add(2 * time.Minute)
		}
		if _, err := m.Objects(t.Context(), mesh.ObjectQuery{Kind: "vs"}); err != nil {
			t.Fatal(err)
		}
		if got := s.asked.Load(); got != want {
			t.Errorf("asked %d times, want %d", got, want)
		}
	}
}
