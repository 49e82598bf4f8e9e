package mesh_test

import (
	"context"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/mesh"
)

// Progress names whom a question waits for: the others have answered.
func TestProgressNamesWhoIsWaitedFor(t *testing.T) {
	type step struct {
		Done, Total int
		Waiting     []string
	}
	var mu sync.Mutex
	var steps []step
	others := make(chan struct{})
	o := mesh.Options{Parallel: 3, Progress: func(_ string, done, total int, waiting []string) {
		mu.Lock()
		defer mu.Unlock()
		if steps = append(steps, step{done, total, waiting}); len(steps) == 2 {
			close(others)
		}
	}}
	f := newFar(t, o, 1, 1, 1)
	_, err := mesh.Gather(t.Context(), f.Mesh, f.proxies, "clusters", func(_ context.Context, p *mesh.Proxy) ([]int, error) {
		if p.Name == "p01" {
			<-others
		}
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]step{{2, 3, []string{"p01"}}, {3, 3, nil}}, steps[1:]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
