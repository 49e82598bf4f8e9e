package mesh_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/dump"
	"github.com/meshlark/meshlark/xds/pattern"
	"github.com/meshlark/meshlark/xds/resource"
)

// network answers with a number of bytes, in pieces, as something far away does.
type network struct {
	store *resource.Store
	bytes int
	moved *atomic.Int64 // by all that share it
	asked *atomic.Int64
	hangs bool
}

const piece = 1000

func (n *network) Read(ctx context.Context, _ mesh.Request) (mesh.Answer, error) {
	n.asked.Add(1)
	if n.hangs {
		<-ctx.Done()
		return mesh.Answer{}, context.Cause(ctx)
	}
	for sent := 0; sent < n.bytes; sent += piece {
		n.moved.Add(piece)
		if err := mesh.Arrived(ctx, piece); err != nil {
			return mesh.Answer{}, &mesh.UnreachableError{Source: "far", Err: err}
		}
	}
	d, err := dump.Split(n.store, []byte(`{"configs":[]}`), dump.Options{Source: "test"})
	return mesh.Answer{Dump: d, Covers: mesh.CoversKind, Bytes: int64(n.bytes)}, err
}

func (n *network) Admin(context.Context, string, func(io.Reader) error) (int64, error) {
	return 0, mesh.ErrNotAvailable
}

// far is a mesh of proxies that answer over a network.
type far struct {
	*mesh.Mesh
	proxies      []*mesh.Proxy
	moved, asked atomic.Int64
}

func newFar(t *testing.T, o mesh.Options, bytes ...int) *far {
	t.Helper()
	f := &far{}
	store := resource.NewStore()
	var records []mesh.Record
	for i, n := range bytes {
		records = append(records, mesh.Record{Name: fmt.Sprintf("p%02d", i), Actual: &network{store: store, bytes: n, hangs: n < 0, moved: &f.moved, asked: &f.asked}})
	}
	f.Mesh = mesh.New([]mesh.Source{&fixed{spec: "far", live: true, survey: mesh.Survey{Proxies: records}}}, o)
	all, err := f.Proxies(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f.proxies = all.Items
	return f
}

func (f *far) one(ctx context.Context, i int, kind resource.Kind) error {
	_, err := f.proxies[i].Config(mesh.Actual).Resources(ctx, kind, pattern.Pattern{})
	return err
}

func (f *far) all(ctx context.Context, kind resource.Kind) error {
	_, err := mesh.Gather(ctx, f.Mesh, f.proxies, "clusters", func(ctx context.Context, p *mesh.Proxy) ([]int, error) {
		_, err := p.Config(mesh.Actual).Resources(ctx, kind, pattern.Pattern{})
		return nil, err
	})
	return err
}

func repeat(n, times int) []int {
	out := make([]int, times)
	for i := range out {
		out[i] = n
	}
	return out
}

// Calls on one proxy at a time count together: a loop moves no more than one question may.
func TestBudgetOfALoop(t *testing.T) {
	f := newFar(t, mesh.Options{MaxFetch: 100_000}, repeat(30_000, 10)...)
	ctx := mesh.WithBudget(t.Context(), new(mesh.Budget))
	var err error
	for i := range f.proxies {
		if err = f.one(ctx, i, resource.Cluster); err != nil {
			break
		}
	}
	var tooMuch *mesh.TooMuchError
	if !errors.As(err, &tooMuch) || !strings.Contains(err.Error(), "about 120.0 kB, more than the limit of 100.0 kB, with the 90.0 kB that this question fetched before") {
		t.Errorf("error %v, want the figure", err)
	}
	if f.moved.Load() != 90_000 {
		t.Errorf("%d bytes were moved, want those of three proxies: the fourth is known to be too much", f.moved.Load())
	}
	if err := f.one(ctx, 0, resource.Cluster); err != nil {
		t.Errorf("what was read is at hand all the same: %v", err)
	}
	if err := f.one(mesh.WithBudget(t.Context(), new(mesh.Budget)), 5, resource.Cluster); err != nil {
		t.Errorf("another question begins anew: %v", err)
	}
}

// An answer whose size nobody knows is stopped at the limit, and that is no fault of the source.
func TestBudgetStopsAnAnswer(t *testing.T) {
	f := newFar(t, mesh.Options{MaxFetch: 100_000}, 1_000_000)
	err := f.one(t.Context(), 0, resource.Cluster)
	var tooMuch *mesh.TooMuchError
	var unreachable *mesh.UnreachableError
	if !errors.As(err, &tooMuch) || errors.As(err, &unreachable) || !strings.Contains(err.Error(), "clusters of 1 proxy would fetch at least 101.0 kB, more than the limit of 100.0 kB") {
		t.Errorf("error %v, want the figure alone", err)
	}
	if f.moved.Load() > 100_000+piece {
		t.Errorf("%d bytes were moved, want the limit and a piece", f.moved.Load())
	}
}

// The first answer tells what all of them will be: no second one is moved.
func TestBudgetOfAFleet(t *testing.T) {
	f := newFar(t, mesh.Options{MaxFetch: 100_000}, repeat(10_000, 24)...)
	err := f.all(t.Context(), resource.Cluster)
	if err == nil || !strings.Contains(err.Error(), "clusters of 24 proxies would fetch about 240.0 kB, more than the limit of 100.0 kB") {
		t.Errorf("error %v, want the figure", err)
	}
	if f.asked.Load() != 1 || f.moved.Load() != 10_000 {
		t.Errorf("%d proxies were asked and %d bytes moved, want the first one", f.asked.Load(), f.moved.Load())
	}
	f.Refresh()
	if err := f.all(t.Context(), resource.Cluster); err == nil || f.asked.Load() != 1 {
		t.Errorf("error %v after %d requests, want the refusal without another one: the size is known", err, f.asked.Load())
	}
}

// The sizes of other answers are those of other answers, and what was read is not counted again, also while it comes from several proxies at once:
// hence the many rounds.
func TestBudgetKnowsWhatIsRead(t *testing.T) {
	for range 200 {
		f := newFar(t, mesh.Options{MaxFetch: 300_000}, repeat(10_000, 24)...)
		ctx := mesh.WithBudget(t.Context(), new(mesh.Budget))
		for i := range 20 {
			if err := f.one(ctx, i+4, resource.Cluster); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.all(ctx, resource.Cluster); err != nil || f.moved.Load() != 240_000 {
			t.Fatalf("error %v after %d bytes, want none: 200 kB of the 240 were there", err, f.moved.Load())
		}
		if err := f.all(ctx, resource.Cluster); err != nil {
			t.Fatalf("all of it was there: %v", err)
		}
		if err := f.all(ctx, resource.Listener); err == nil {
			t.Fatal("the listeners would be another 240 kB, want a refusal")
		}
	}
}

// At a prompt somebody is asked once for a question, before all of it is moved.
func TestBudgetIsGranted(t *testing.T) {
	var asked []int64
	yes := true
	o := mesh.Options{MaxFetch: 100_000, Confirm: func(n int64) bool { asked = append(asked, n); return yes }}
	f := newFar(t, o, repeat(10_000, 24)...)
	if err := f.all(mesh.WithBudget(t.Context(), new(mesh.Budget)), resource.Cluster); err != nil || len(asked) != 1 || asked[0] != 240_000 {
		t.Errorf("error %v, asked with %v; want one question about 240000", err, asked)
	}
	yes, asked = false, nil
	f.Refresh()
	before := f.moved.Load()
	if err := f.all(mesh.WithBudget(t.Context(), new(mesh.Budget)), resource.Cluster); err == nil || len(asked) != 1 || f.moved.Load() != before {
		t.Errorf("error %v, asked %v, %d more bytes; want a refusal after one question and nothing moved", err, asked, f.moved.Load()-before)
	}
}

// A first proxy that hangs keeps the others waiting for a moment only.
func TestBudgetDoesNotHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFar(t, mesh.Options{MaxFetch: 1_000_000}, append([]int{-1}, repeat(10_000, 23)...)...)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		f.all(ctx, resource.Cluster)
		if f.asked.Load() != 24 {
			t.Errorf("%d proxies were asked, want all", f.asked.Load())
		}
	})
}
