package mesh

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// A Budget counts what one question moves over the network, with all the calls that it is made of: a script that asks a thousand proxies one by one
// moves as much as one that asks all of them at once. The zero value has counted nothing. See Options.MaxFetch.
type Budget struct {
	mu      sync.Mutex
	moved   int64
	granted bool // somebody was asked, and wants it whatever it costs
}

type budgetKey struct{}

// WithBudget gives a context under which everything that is fetched counts as one question. Without one, each call is a question of its own.
func WithBudget(ctx context.Context, b *Budget) context.Context {
	return context.WithValue(ctx, budgetKey{}, b)
}

func budgetOf(ctx context.Context) *Budget {
	if b, ok := ctx.Value(budgetKey{}).(*Budget); ok {
		return b
	}
	return new(Budget)
}

// A TooMuchError says that a question would fetch more than Options.MaxFetch.
type TooMuchError struct {
	Stage    string
	Estimate int64 // bytes, with those of Before
	Limit    int64 // bytes
	Before   int64 // bytes that the question had fetched when it came to this
	Proxies  int
	Stopped  bool // in the middle of the answers: there is more to them than the estimate
}

func (e *TooMuchError) Error() string {
	what, about := e.Stage, "about"
	if e.Proxies > 0 {
		what += " of " + Count(e.Proxies, "proxy")
	}
	if e.Stopped {
		about = "at least"
	}
	earlier := ""
	if e.Before > 0 {
		earlier = ", with the " + Size(e.Before) + " that this question fetched before"
	}
	next := "narrow the question (a name, proxy=, a namespace) or raise the limit with --max-fetch"
	if e.Proxies == 0 { // there is nothing to narrow
		next = "raise the limit with --max-fetch"
	}
	return fmt.Sprintf("%s would fetch %s %s, more than the limit of %s%s; %s", what, about, Size(e.Estimate), Size(e.Limit), earlier, next)
}

// Size writes a number of bytes, in units of a thousand.
func Size(n int64) string {
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

// A transfer is one request that is under way, and what has come of it.
type transfer struct {
	mesh   *Mesh
	budget *Budget
	fleet  *fleet // the question to many proxies that it belongs to; nil for none
	stage  string
	// The rest is for messages: what the question had moved when it came to this, and of how many proxies it is.
	before  int64
	proxies int

	// Both are guarded by the budget.
	arrived int64
	over    error // that more has come than may
}

type transferKey struct{}

// answerKind tells answers of about one size: one section of any proxy, cut to one name.
type answerKind struct {
	side Side
	what string
	name string
}

// average is the size of the answers of a kind.
type average struct{ bytes, answers int64 }

// begin counts a request in. It fails where what is known of the sizes of such answers says that the question would move too much. held tells which
// proxies have the answer already; it is nil for what is not asked of proxies.
func (m *Mesh) begin(ctx context.Context, stage string, proxies int, kind answerKind, held func(*Proxy) bool) (context.Context, *transfer, error) {
	t := &transfer{mesh: m, budget: budgetOf(ctx), stage: stage, proxies: proxies}
	if held != nil {
		t.fleet, _ = ctx.Value(fleetKey{}).(*fleet)
	}
	if limit := m.options.MaxFetch; limit > 0 {
		if err := t.admit(limit, kind, held); err != nil {
			return ctx, nil, err
		}
	}
	return context.WithValue(ctx, transferKey{}, t), t, nil
}

func (t *transfer) admit(limit int64, kind answerKind, held func(*Proxy) bool) error {
	t.mesh.mu.Lock()
	known := t.mesh.sizes[kind]
	t.mesh.mu.Unlock()
	each := int64(0)
	if known.answers > 0 {
		each = known.bytes / known.answers
	}
	t.budget.mu.Lock()
	moved, granted := t.budget.moved, t.budget.granted
	t.before = moved
	estimate := moved + each
	if t.fleet != nil {
		t.before = t.fleet.before
		estimate = moved - t.fleet.partial
	}
	t.budget.mu.Unlock()
	if t.fleet != nil {
		estimate = t.fleet.estimate(estimate, each, limit, held)
	}
	if !granted && (estimate > limit || moved >= limit) {
		if err := t.tooMuch(estimate, false); err != nil {
			return err
		}
	}
	if t.fleet != nil && known.answers > 0 {
		t.fleet.gate.openWide()
	}
	return nil
}

// tooMuch asks somebody whether the question may move that much. The error is that it may not.
func (t *transfer) tooMuch(estimate int64, stopped bool) error {
	e := &TooMuchError{Stage: t.stage, Estimate: estimate, Limit: t.mesh.options.MaxFetch, Before: t.before, Stopped: stopped}
	if t.fleet == nil {
		e.Proxies = t.proxies
		if t.confirmed(estimate) {
			return nil
		}
		return e
	}
	e.Stage, e.Proxies = t.fleet.stage, len(t.fleet.proxies)
	t.fleet.asking.Lock()
	defer t.fleet.asking.Unlock()
	if t.fleet.refused == nil && !t.confirmed(estimate) {
		t.fleet.refused = e
	}
	return t.fleet.refused
}

func (t *transfer) confirmed(estimate int64) bool {
	t.budget.mu.Lock()
	granted := t.budget.granted
	t.budget.mu.Unlock()
	if granted {
		return true
	}
	if t.mesh.options.Confirm == nil || !t.mesh.options.Confirm(estimate) {
		return false
	}
	t.budget.mu.Lock()
	t.budget.granted = true
	t.budget.mu.Unlock()
	return true
}

// end counts a request out. The bytes are those of the whole answer, 0 where it failed; of a source that tells of them as they come they are counted
// already. The error is that the answer was stopped, or that the question may not go on.
func (t *transfer) end(kind answerKind, bytes int64, err error) error {
	t.budget.mu.Lock()
	late := max(bytes-t.arrived, 0)
	t.budget.moved += late
	moved, over := t.budget.moved, t.over
	if t.fleet != nil {
		t.fleet.partial -= t.arrived
	}
	t.budget.mu.Unlock()
	if over != nil {
		return over
	}
	if err == nil {
		t.mesh.mu.Lock()
		known := t.mesh.sizes[kind]
		t.mesh.sizes[kind] = average{known.bytes + bytes, known.answers + 1}
		t.mesh.mu.Unlock()
	}
	if limit := t.mesh.options.MaxFetch; err == nil && late > 0 && limit > 0 && moved > limit {
		return t.tooMuch(moved, false)
	}
	return err
}

// Arrived counts bytes of an answer as they come, for sources that answer over a network. The error is that the question has fetched more than it may: an
// answer is stopped there, and what was to come of it is never moved. Where somebody can be asked, whole answers count.
func Arrived(ctx context.Context, bytes int) error {
	t, ok := ctx.Value(transferKey{}).(*transfer)
	if !ok {
		return nil
	}
	limit := t.mesh.options.MaxFetch
	b := t.budget
	b.mu.Lock()
	t.arrived += int64(bytes)
	b.moved += int64(bytes)
	if t.fleet != nil {
		t.fleet.partial += int64(bytes)
	}
	moved, granted := b.moved, b.granted || t.mesh.options.Confirm != nil
	b.mu.Unlock()
	if limit <= 0 || granted || moved <= limit {
		return nil
	}
	err := t.tooMuch(moved, true)
	b.mu.Lock()
	t.over = err
	b.mu.Unlock()
	if t.fleet != nil {
		t.fleet.stop(err)
	}
	return err
}

// A fleet is a question to many proxies.
type fleet struct {
	stage   string
	proxies []*Proxy
	before  int64 // bytes that were moved when it began
	stop    context.CancelCauseFunc
	gate    *gate

	answered []atomic.Bool // by the proxies' order
	left     atomic.Int64  // proxies that did not answer yet
	partial  int64         // bytes of answers that have not come to their end; guarded by the budget

	asking  sync.Mutex // held while somebody is asked
	refused error
}

func newFleet(ctx context.Context, m *Mesh, stage string, proxies []*Proxy, workers int, stop context.CancelCauseFunc) *fleet {
	b := budgetOf(ctx)
	b.mu.Lock()
	moved, granted := b.moved, b.granted
	b.mu.Unlock()
	limit := m.options.MaxFetch
	f := &fleet{stage: stage, proxies: proxies, before: moved, stop: stop, answered: make([]atomic.Bool, len(proxies))}
	f.left.Store(int64(len(proxies)))
	f.gate = newGate(workers, limit <= 0 || granted || moved+int64(len(proxies))*largeAnswer <= limit)
	return f
}

// answer notes that a proxy has answered. Nothing is learned from one that failed, so that another one takes its place.
func (f *fleet) answer(i int, err error) {
	f.answered[i].Store(true)
	f.left.Add(-1)
	if err == nil {
		f.gate.openWide()
	} else {
		f.gate.more()
	}
}

// estimate is what the question will have moved at its end, where each answer has that size. What proxies have read already is looked at only where it
// matters.
func (f *fleet) estimate(moved, each, limit int64, held func(*Proxy) bool) int64 {
	estimate := moved + each*f.left.Load()
	if each == 0 || estimate <= limit {
		return estimate
	}
	for i, p := range f.proxies {
		if !f.answered[i].Load() && held(p) {
			estimate -= each
		}
	}
	return estimate
}

// A gate lets the workers of a fleet begin: all at once where that is safe, else one, and the others when the size of an answer is known.
type gate struct {
	mu   sync.Mutex
	wide bool
	pass chan struct{} // closed when it is wide
}

// largeAnswer is a size that hardly any answer exceeds. Where that many bytes from every proxy stay below the limit, none has to be waited for.
const largeAnswer = 64 << 20

// hesitation is how long the first answer is waited for before others are asked too, as the first one may hang.
const hesitation = time.Second

func newGate(workers int, wide bool) *gate {
	g := &gate{pass: make(chan struct{}, workers)}
	if wide {
		g.openWide()
	} else {
		g.more()
	}
	return g
}

// enter waits until a worker may begin, or one more may because nothing is heard of those that did. It gives false when the question is over.
func (g *gate) enter(ctx context.Context) bool {
	for {
		timer := time.NewTimer(hesitation)
		select {
		case <-g.pass:
			timer.Stop()
			return ctx.Err() == nil
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-timer.C:
			g.more()
		}
	}
}

// more lets one more worker begin.
func (g *gate) more() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.wide {
		return
	}
	select {
	case g.pass <- struct{}{}:
	default: // all may
	}
}

func (g *gate) openWide() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.wide {
		g.wide = true
		close(g.pass)
	}
}
