package mesh

import (
	"context"
	"errors"
	"testing"
	"time"
)

// While a control plane is asked as a proxy, it is not asked about the proxy; two questions about it may be under way otherwise.
func TestTurns(t *testing.T) {
	turns := newTurns()
	take := func(side Side) (func(), error) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		return turns.take(ctx, side)
	}
	must := func(side Side) func() {
		t.Helper()
		leave, err := take(side)
		if err != nil {
			t.Fatalf("%s: %v", side, err)
		}
		return leave
	}
	first, second := must(Desired), must(Desired)
	if _, err := take(ByADS); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("asked as the proxy beside questions about it: error %v", err)
	}
	first()
	second()
	leave := must(ByADS)
	for _, side := range []Side{ByADS, Desired} {
		if _, err := take(side); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s while asked as the proxy: error %v", side, err)
		}
	}
	must(Actual)()
	leave()
	must(Desired)()
}
