package mesh

import (
	"context"

	"golang.org/x/sync/semaphore"
)

// turns keeps an istiod from being asked about a proxy while it is asked as that proxy: it finds connections by a part of their ids, and could answer
// with the one that is there for the asking.
type turns struct{ held *semaphore.Weighted }

// everyone is how many questions about a proxy there may be at a time when there is none as the proxy.
const everyone = 1 << 20

func newTurns() turns { return turns{semaphore.NewWeighted(everyone)} }

// take waits for the turn of a side, until leave is called.
func (t turns) take(ctx context.Context, side Side) (leave func(), err error) {
	n := int64(0)
	switch side {
	case ByADS:
		n = everyone
	case Desired:
		n = 1
	}
	if err := t.held.Acquire(ctx, n); err != nil {
		return nil, context.Cause(ctx)
	}
	return func() { t.held.Release(n) }, nil
}
