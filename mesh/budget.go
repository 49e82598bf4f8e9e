package mesh

import (
	"context"
	"fmt"
	"sync"
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
	place  int    // of the proxy in the fleet
	kind   answerKind
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
	t := &transfer{mesh: m, budget: budgetOf(ctx), kind: kind, stage: stage, proxies: proxies}
	if held != nil {
		if part, ok := ctx.Value(fleetKey{}).(fleetPart); ok {
			t.fleet, t.place = part.fleet, part.place
		}
	}
	if limit := m.options.MaxFetch; limit > 0 {
		if err := t.admit(limit, held); err != nil {
			return ctx, nil, err
		}
	}
	return context.WithValue(ctx, transferKey{}, t), t, nil
}

func (t *transfer) admit(limit int64, held func(*Proxy) bool) error {
	t.mesh.mu.Lock()
	known := t.mesh.sizes[t.kind]
	t.mesh.mu.Unlock()
	each := int64(0)
	if known.answers > 0 {
		each = known.bytes / known.answers
	}
	t.budget.mu.Lock()
	moved, granted := t.budget.moved, t.budget.granted
	t.before = moved
	estimate := moved + each
	var coming []coming
	if t.fleet != nil {
		t.before = t.fleet.before
		t.fleet.parts[t.place].moving(t.kind)
		estimate, coming = t.fleet.estimate(t.kind, moved, each, limit)
	}
	t.budget.mu.Unlock()
	for _, c := range coming { // outside of the lock, and only where it matters: each proxy has to be looked into
		if held(c.proxy) {
			estimate -= c.bytes
		}
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
func (t *transfer) end(bytes int64, err error) error {
	t.budget.mu.Lock()
	late := max(bytes-t.arrived, 0)
	t.count(late)
	moved, over := t.budget.moved, t.over
	if t.fleet != nil {
		t.fleet.parts[t.place].moved = true
	}
	t.budget.mu.Unlock()
	if over != nil {
		return over
	}
	if err == nil {
		t.mesh.mu.Lock()
		known := t.mesh.sizes[t.kind]
		t.mesh.sizes[t.kind] = average{known.bytes + bytes, known.answers + 1}
		t.mesh.mu.Unlock()
	}
	if limit := t.mesh.options.MaxFetch; err == nil && late > 0 && limit > 0 && moved > limit {
		return t.tooMuch(moved, false)
	}
	return err
}

// count adds bytes to what was moved, under the lock of the budget.
func (t *transfer) count(bytes int64) {
	t.arrived += bytes
	t.budget.moved += bytes
	if t.fleet != nil {
		t.fleet.parts[t.place].arrived += bytes
	}
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
	t.count(int64(bytes))
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
	budget  *Budget
	before  int64 // bytes that were moved when it began
	stop    context.CancelCauseFunc
	gate    *gate

	// Both are guarded by the budget, so that an answer is never counted as moved and as still to come.
	parts []fleetProgress // by the proxies' order
	left  int             // proxies that did not answer yet

	asking  sync.Mutex // held while somebody is asked
	refused error
}

func newFleet(ctx context.Context, m *Mesh, stage string, proxies []*Proxy, workers int, stop context.CancelCauseFunc) *fleet {
	b := budgetOf(ctx)
	b.mu.Lock()
	moved, granted := b.moved, b.granted
	b.mu.Unlock()
	limit := m.options.MaxFetch
	f := &fleet{stage: stage, proxies: proxies, budget: b, before: moved, stop: stop, parts: make([]fleetProgress, len(proxies)), left: len(proxies)}
	f.gate = newGate(workers, limit <= 0 || granted || moved+int64(len(proxies))*largeAnswer <= limit)
	return f
}

// ask notes that a proxy is asked.
func (f *fleet) ask(place int) {
	f.budget.mu.Lock()
	f.parts[place].asked = true
	f.budget.mu.Unlock()
}

// waiting gives the names of the proxies that are asked and have not answered, and how many have not, with those that are not asked yet.
func (f *fleet) waiting() (names []string, left int) {
	f.budget.mu.Lock()
	defer f.budget.mu.Unlock()
	for i, p := range f.parts {
		if p.asked && !p.answered {
			names = append(names, f.proxies[i].Name)
		}
	}
	return names, f.left
}

// answer notes that a proxy has answered. Nothing is learned from one that failed, so that another one takes its place.
func (f *fleet) answer(place int, err error) {
	f.budget.mu.Lock()
	f.parts[place].answered = true
	f.left--
	f.budget.mu.Unlock()
	if err == nil {
		f.gate.openWide()
	} else {
		f.gate.more()
	}
}

// A fleetPart is the place of one proxy in a question to many; contexts carry it.
type fleetPart struct {
	fleet *fleet
	place int
}

// fleetProgress is how far one proxy's answer to a question to many is.
type fleetProgress struct {
	asked    bool
	answered bool // all that was asked of it
	// Of the last of the transfers that the answer takes:
	kind    answerKind
	arrived int64 // bytes
	moved   bool  // whole
}

// moving notes that a transfer begins.
func (p *fleetProgress) moving(kind answerKind) { p.kind, p.arrived, p.moved = kind, 0, false }

// coming is what is expected of a proxy.
type coming struct {
	proxy *Proxy
	bytes int64
}

// estimate is what the question will have moved at its end, where each answer has that size. Where that is too much, the second result is what is
// expected of proxies that no answer was asked of yet: some may have it already.
func (f *fleet) estimate(kind answerKind, moved, each, limit int64) (int64, []coming) {
	estimate := moved + each*int64(f.left)
	if each == 0 || estimate <= limit {
		return estimate, nil
	}
	estimate = moved
	var expected []coming
	for i, p := range f.parts {
		switch {
		case p.answered:
		case p.kind != kind:
			estimate += each
			expected = append(expected, coming{f.proxies[i], each})
		case !p.moved:
			estimate += max(each-p.arrived, 0)
		}
	}
	return estimate, expected
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
