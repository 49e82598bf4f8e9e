package mesh

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// A TooMuchError says that a question would fetch more than Options.MaxFetch.
type TooMuchError struct {
	Stage    string
	Estimate int64 // bytes
	Limit    int64 // bytes
	Proxies  int
}

func (e *TooMuchError) Error() string {
	return fmt.Sprintf("%s of %s would fetch about %s, more than the limit of %s; narrow the question (a name, proxy=, a namespace) or raise the limit with --max-fetch",
		e.Stage, Count(e.Proxies, "proxy"), size(e.Estimate), size(e.Limit))
}

func size(n int64) string {
	const unit = 1000
	switch {
	case n >= unit*unit*unit:
		return fmt.Sprintf("%.1f GB", float64(n)/(unit*unit*unit))
	case n >= unit*unit:
		return fmt.Sprintf("%.1f MB", float64(n)/(unit*unit))
	default:
		return fmt.Sprintf("%.1f kB", float64(n)/unit)
	}
}

// Gather puts one question to many proxies, at most Options.Parallel at a time, and gives the answers in the order of the proxies.
// A proxy that fails is left out and becomes a Failure; if all of them fail the call fails. What the proxies already read costs nothing
// towards Options.MaxFetch; the rest is estimated from the first answers.
func Gather[T any](ctx context.Context, m *Mesh, proxies []*Proxy, stage string, ask func(context.Context, *Proxy) ([]T, error)) (Result[T], error) {
	if len(proxies) == 0 {
		return Result[T]{}, nil
	}
	if len(proxies) > 1 {
		ctx = context.WithValue(ctx, fleetKey{}, true)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	type answer struct {
		items []T
		err   error
	}
	answers := make([]answer, len(proxies))
	budget := &budget{mesh: m, stage: stage, total: len(proxies), stop: cancel}
	ctx = context.WithValue(ctx, budgetKey{}, budget)
	var next, done atomic.Int64
	var wg sync.WaitGroup
	for range min(m.options.Parallel, len(proxies)) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(proxies) || ctx.Err() != nil {
					return
				}
				spent := &Recorder{}
				items, err := ask(WithRecorder(ctx, spent), proxies[i])
				answers[i] = answer{items, err}
				record(ctx, spent.Failures())
				if f := spent.Fetched(); f.Requests > 0 {
					recordFetches(ctx, f)
					if err := budget.spend(f.Bytes); err != nil {
						cancel(err)
					}
				}
				if m.options.Progress != nil {
					m.options.Progress(stage, int(done.Add(1)), len(proxies))
				}
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return Result[T]{}, context.Cause(ctx)
	}
	var res Result[T]
	var single error
	for i, a := range answers {
		if a.err != nil {
			single = a.err
			res.Failures = append(res.Failures, Failure{Proxy: proxies[i].Name, Source: proxies[i].Source, Stage: stage, Reason: a.err.Error(), Err: a.err})
			continue
		}
		res.Items = append(res.Items, a.items...)
	}
	if len(res.Failures) == len(proxies) {
		if len(proxies) == 1 {
			return Result[T]{}, single
		}
		return Result[T]{}, &AllFailedError{What: stage, Failures: res.Failures}
	}
	// What a source cannot give is no failure of a mesh in which others can: an istiod beside an Envoy has no live hosts.
	kept := res.Failures[:0]
	for _, f := range res.Failures {
		if !errors.Is(f.Err, ErrNotAvailable) {
			kept = append(kept, f)
		}
	}
	res.Failures = kept
	record(ctx, res.Failures)
	return res, nil
}

// budget watches the bytes that one question fetches.
type budget struct {
	mesh  *Mesh
	stage string
	total int
	stop  context.CancelCauseFunc // ends the question

	mu      sync.Mutex
	fetched int64
	asked   int64
	arrived int64 // of answers that may not have come to their end
	allowed bool
}

type budgetKey struct{}

// Arrived counts bytes of an answer as they come, for sources that answer over a network. The error is that the question has fetched more than it may: the
// answers under way are held in memory, so that their sum is bounded before any of them is whole. Where somebody can be asked, whole answers count.
func Arrived(ctx context.Context, bytes int) error {
	b, ok := ctx.Value(budgetKey{}).(*budget)
	if !ok || b.mesh.options.MaxFetch <= 0 || b.mesh.options.Confirm != nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.arrived += int64(bytes); b.arrived <= b.mesh.options.MaxFetch {
		return nil
	}
	err := &TooMuchError{Stage: b.stage, Estimate: b.arrived, Limit: b.mesh.options.MaxFetch, Proxies: b.total}
	b.stop(err)
	return err
}

func (b *budget) spend(n int64) error {
	limit := b.mesh.options.MaxFetch
	if limit <= 0 {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fetched += n
	b.asked++
	estimate := b.fetched / b.asked * int64(b.total)
	if estimate <= limit || b.allowed {
		return nil
	}
	if b.mesh.options.Confirm != nil && b.mesh.options.Confirm(estimate) {
		b.allowed = true
		return nil
	}
	return &TooMuchError{Stage: b.stage, Estimate: estimate, Limit: limit, Proxies: b.total}
}

func recordFetches(ctx context.Context, f Fetched) {
	if r, ok := ctx.Value(recorderKey{}).(*Recorder); ok {
		r.mu.Lock()
		r.fetched.Requests += f.Requests
		r.fetched.Bytes += f.Bytes
		r.mu.Unlock()
	}
}
