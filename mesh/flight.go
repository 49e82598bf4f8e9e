package mesh

import (
	"context"
	"sync"
	"time"
)

// A flight is one value that is being read, or was: whoever asks while it is under way waits for the same answer. A failed or
// abandoned flight is tried again by the next asker.
type flight[T any] struct {
	started time.Time

	mu    sync.Mutex
	ready chan struct{} // non-nil while somebody reads
	done  bool
	value T
}

func newFlight[T any](now time.Time) *flight[T] { return &flight[T]{started: now} }

func (f *flight[T]) stale(now time.Time, ttl time.Duration) bool {
	return ttl > 0 && f.finished() && now.Sub(f.started) > ttl
}

func (f *flight[T]) finished() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.done
}

// do gives the value, reading it if nobody did. An error is given to the reader that met it and is not kept.
func (f *flight[T]) do(ctx context.Context, read func(context.Context) (T, error)) (T, error) {
	var zero T
	for {
		f.mu.Lock()
		if f.done {
			defer f.mu.Unlock()
			return f.value, nil
		}
		if wait := f.ready; wait != nil {
			f.mu.Unlock()
			select {
			case <-wait:
				continue
			case <-ctx.Done():
				return zero, context.Cause(ctx)
			}
		}
		ready := make(chan struct{})
		f.ready = ready
		f.mu.Unlock()

		landed := false
		defer func() {
			// A panic in read must not leave the waiters waiting.
			if !landed {
				f.land(ready, zero, false)
			}
		}()
		v, err := read(ctx)
		landed = true
		f.land(ready, v, err == nil)
		return v, err
	}
}

func (f *flight[T]) land(ready chan struct{}, v T, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ready = nil
	if ok {
		f.done, f.value = true, v
	}
	close(ready)
}
