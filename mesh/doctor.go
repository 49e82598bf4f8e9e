package mesh

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// An Outcome tells what came of examining one thing.
type Outcome string

// The outcomes.
const (
	OutcomeOK          Outcome = "ok"
	OutcomeLimited     Outcome = "limited"     // it works in part
	OutcomeDenied      Outcome = "denied"      // this user may not
	OutcomeAbsent      Outcome = "absent"      // there is no such thing
	OutcomeUnreachable Outcome = "unreachable" // it does not answer
)

// Outcomes lists the outcomes.
func Outcomes() []Outcome {
	return []Outcome{OutcomeOK, OutcomeLimited, OutcomeDenied, OutcomeAbsent, OutcomeUnreachable}
}

// A Finding is what was found out about one thing that questions need: a permission, a control plane, a section of a file.
type Finding struct {
	Source  string // the spec of the source; "" of the mesh as a whole
	Area    string // what kind of thing it is, a heading: "permissions", "control plane"
	Subject string // the thing
	Outcome Outcome
	Detail  string // what was found, or what is wrong
	// Questions are the calls and fields of the language that it answers or, where the outcome is not ok, leaves open. [Everything] stands for all.
	Questions []string
	// Asked is set where only somebody who asks for it needs it: a token, a certain kind of objects. Whoever lacks it lacks nothing otherwise.
	Asked bool
	Next  string // what to do about it; "" when there is nothing to do
}

// Open tells whether the finding leaves questions open that people ask without asking for something special.
func (f Finding) Open() bool { return f.Outcome != OutcomeOK && !f.Asked }

// Fatal tells whether the finding means that its source answers nothing at all.
func (f Finding) Fatal() bool {
	return f.Outcome != OutcomeOK && len(f.Questions) == 1 && f.Questions[0] == Everything
}

// Everything stands for all questions in Finding.Questions.
const Everything = "everything"

// ActualQuestions are the questions that the configuration of Envoys answers.
func ActualQuestions() []string {
	return []string{"p.listeners()", "p.routes()", "p.clusters()", "p.endpoints()", "p.secrets()", "p.bootstrap()"}
}

// DesiredQuestions are the questions that what a control plane would send answers, beside the configuration of Envoys.
func DesiredQuestions() []string { return []string{"p.desired()", "p.diff()"} }

// SyncQuestions are the questions that a control plane's view of its proxies answers.
func SyncQuestions() []string {
	return []string{"p.connected", "p.sync", "p.cds", "p.lds", "p.eds", "p.rds"}
}

// An Examination is how sources are examined.
type Examination struct {
	Now  func() time.Time // the clock of this machine
	Wait time.Duration    // how long one step may take; a source has two, one after the other, at most
}

// Step bounds one step of the examination. The context has no deadline of its own: a request that has one may take a part of it only, so that time is left for
// others, which here ask at the same time.
func (e Examination) Step(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	late := time.AfterFunc(e.Wait, func() { cancel(lateError(e.Wait)) })
	return ctx, func() {
		late.Stop()
		cancel(nil)
	}
}

// A lateError is that a step took longer than it may.
type lateError time.Duration

func (e lateError) Error() string {
	unit := time.Millisecond
	if time.Duration(e) >= time.Second {
		unit = 100 * time.Millisecond
	}
	return "no answer within " + time.Duration(e).Round(unit).String()
}

func (e lateError) Is(target error) bool { return target == context.DeadlineExceeded }

// An Examiner is a source that can tell what it can answer, and why not more. It only reads, and a part that does not answer leaves the others standing.
type Examiner interface {
	Examine(ctx context.Context, e Examination) []Finding
}

// examineWait is how long one step of an examination waits when the context sets no closer bound.
const examineWait = 10 * time.Second

// Examine asks every source, at the same time, what it can answer. A source that cannot be read is a finding. The error is that of the context.
func (m *Mesh) Examine(ctx context.Context) ([]Finding, error) {
	e := Examination{Now: m.options.Clock, Wait: examineWait}
	if deadline, ok := ctx.Deadline(); ok {
		const steps = 3.5 // those of a source, that of the mesh, and time to tell
		e.Wait = min(e.Wait, time.Duration(float64(time.Until(deadline))/steps))
	}
	parts := make([][]Finding, len(m.sources))
	var wg sync.WaitGroup
	for i, s := range m.sources {
		wg.Go(func() {
			examiner, ok := s.(Examiner)
			if !ok {
				examiner = surveyed{s}
			}
			parts[i] = examiner.Examine(ctx, e)
			for j := range parts[i] {
				parts[i][j].Source = s.Spec()
			}
		})
	}
	wg.Wait()
	var all []Finding
	readable := false
	for _, p := range parts {
		all = append(all, p...)
		readable = readable || !slices.ContainsFunc(p, Finding.Fatal)
	}
	if readable { // else it was told why nothing is known, and to ask again would only bother whoever has to log in
		all = append(all, m.examineSides(ctx, e, all)...)
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return all, nil
}

// surveyed examines a source that cannot tell more than its survey.
type surveyed struct{ source Source }

func (s surveyed) Examine(ctx context.Context, e Examination) []Finding {
	ctx, cancel := e.Step(ctx)
	defer cancel()
	const area = "source"
	sv, err := s.source.Survey(ctx)
	if err != nil {
		return []Finding{{Area: area, Subject: s.source.Spec(), Outcome: OutcomeUnreachable, Detail: Reason(err), Questions: []string{Everything}}}
	}
	found := []Finding{{Area: area, Subject: s.source.Spec(), Outcome: OutcomeOK, Detail: Count(len(sv.Proxies), "proxy")}}
	for _, f := range sv.Failures {
		found = append(found, Finding{Area: area, Subject: f.Stage, Outcome: OutcomeLimited, Detail: f.Reason})
	}
	return found
}

// examineSides tells which sides of the proxies' configurations the sources give together. What sources cannot give was told of them, with the reason,
// and is not told again.
func (m *Mesh) examineSides(ctx context.Context, e Examination, told []Finding) []Finding {
	// With a deadline a control plane that hangs takes a part of the time, and the rest is known.
	ctx, cancel := context.WithTimeoutCause(ctx, e.Wait, lateError(e.Wait))
	defer cancel()
	sv, err := m.surveyed(ctx)
	if err != nil {
		return nil
	}
	const area = "proxies"
	all := len(sv.proxies)
	if all == 0 {
		return []Finding{{Area: area, Subject: "list", Outcome: OutcomeAbsent, Detail: "no source knows a proxy", Questions: append([]string{"proxies()"}, ActualQuestions()...),
			Next: "is it the right context, namespace, address or file?"}}
	}
	var actual, desired, sync []string // those that lack it
	for _, p := range sv.proxies {
		if !p.Has(Actual) {
			actual = append(actual, p.Name)
		}
		if !p.Has(Desired) {
			desired = append(desired, p.Name)
		}
		if p.Sync == nil {
			sync = append(sync, p.Name)
		}
	}
	found := []Finding{{Area: area, Subject: "list", Outcome: OutcomeOK, Detail: Count(all, "proxy") + " known", Questions: []string{"proxies()"}}}
	side := func(subject string, lack, questions []string, absent Finding) {
		f := Finding{Area: area, Subject: subject, Outcome: OutcomeOK, Detail: "a source gives it of all of them", Questions: questions}
		switch len(lack) {
		case 0:
		case all:
			if slices.ContainsFunc(told, func(t Finding) bool { return t.Open() && coversAll(t.Questions, absent.Questions) }) {
				return
			}
			f.Outcome, f.Detail, f.Questions, f.Next = OutcomeAbsent, absent.Detail, absent.Questions, absent.Next
		default:
			f.Detail = fmt.Sprintf("a source gives it of %d of them; not of %s", all-len(lack), Some(lack))
		}
		found = append(found, f)
	}
	// Where the sources give one side, it answers the calls that name none.
	noEnvoy := Finding{Detail: "no source reaches an Envoy, or has its dump", Questions: []string{"p.actual()", "p.diff()", "p.stats()", "e.health"}, Next: "add the Envoy with -s http://HOST:15000, or its dump"}
	if len(desired) < all {
		noEnvoy.Detail += "; calls that name no side tell what it should run"
	} else {
		noEnvoy.Questions = append(ActualQuestions(), noEnvoy.Questions...)
	}
	const next = "add the control plane with -s istiod+http://HOST:15014"
	side("what they run", actual, ActualQuestions(), noEnvoy)
	side("what they should run", desired, DesiredQuestions(), Finding{Detail: "no source is a control plane that tells", Questions: DesiredQuestions(), Next: next})
	side("how far they are", sync, SyncQuestions(), Finding{Detail: "no source is a control plane that tells", Questions: SyncQuestions(), Next: next})
	return found
}

func coversAll(have, want []string) bool {
	return !slices.ContainsFunc(want, func(q string) bool { return !slices.Contains(have, q) })
}

// Count writes a number of things: 1 proxy, 2 proxies, 3 files.
func Count(n int, noun string) string {
	if n != 1 {
		if base, ok := strings.CutSuffix(noun, "y"); ok {
			noun = base + "ies"
		} else {
			noun += "s"
		}
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// Some names the first few of several things.
func Some(names []string) string {
	const shown = 3
	if len(names) <= shown+1 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}

// Reason is an error's text without the name of the source, where what stands beside it says that.
func Reason(err error) string {
	if u, ok := err.(*UnreachableError); ok {
		err = u.Err
	}
	return err.Error()
}
