package mesh

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

// Gather puts one question to many proxies, at most Options.Parallel at a time, and gives the answers in the order of the proxies.
// A proxy that fails is left out and becomes a Failure; if all of them fail the call fails. What the proxies already read costs nothing
// towards Options.MaxFetch; the rest is estimated from earlier answers of the kind, or from the first one, which is then waited for.
func Gather[T any](ctx context.Context, m *Mesh, proxies []*Proxy, stage string, ask func(context.Context, *Proxy) ([]T, error)) (Result[T], error) {
	if len(proxies) == 0 {
		return Result[T]{}, nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	type answer struct {
		items []T
		err   error
	}
	answers := make([]answer, len(proxies))
	ctx = WithBudget(ctx, budgetOf(ctx))
	workers := min(m.options.Parallel, len(proxies))
	fleet := newFleet(ctx, m, stage, proxies, workers, cancel)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			defer fleet.gate.openWide()
			if !fleet.gate.enter(ctx) {
				return
			}
			for {
				i := int(next.Add(1)) - 1
				if i >= len(proxies) || ctx.Err() != nil {
					return
				}
				fleet.ask(i)
				spent := &Recorder{}
				asking := WithRecorder(ctx, spent)
				if len(proxies) > 1 {
					asking = context.WithValue(asking, fleetKey{}, fleetPart{fleet, i})
				}
				items, err := ask(asking, proxies[i])
				answers[i] = answer{items, err}
				record(ctx, spent.Failures())
				recordFetches(ctx, spent.Fetched())
				var tooMuch *TooMuchError
				if errors.As(err, &tooMuch) {
					cancel(tooMuch)
				}
				fleet.answer(i, err)
				if m.options.Progress != nil {
					waiting, left := fleet.waiting()
					m.options.Progress(stage, len(proxies)-left, len(proxies), waiting)
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

func recordFetches(ctx context.Context, f Fetched) {
	if r, ok := ctx.Value(recorderKey{}).(*Recorder); ok {
		r.mu.Lock()
		r.fetched.Requests += f.Requests
		r.fetched.Bytes += f.Bytes
		r.mu.Unlock()
	}
}
