package mesh_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/syncz"
)

// examined is a source that finds something.
type examined struct {
	fixed
	found []mesh.Finding
	asked func(ctx context.Context, e mesh.Examination)
}

func (s *examined) Examine(ctx context.Context, e mesh.Examination) []mesh.Finding {
	if s.asked != nil {
		s.asked(ctx, e)
	}
	return s.found
}

func examine(t *testing.T, sources ...mesh.Source) []string {
	t.Helper()
	found, err := mesh.New(sources, mesh.Options{}).Examine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range found {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s/%s %s: %s %s", f.Source, f.Area, f.Subject, f.Outcome, f.Detail, strings.Join(f.Questions, " "))))
	}
	return lines
}

func TestExamine(t *testing.T) {
	both := mesh.Survey{Proxies: []mesh.Record{
		{Name: "a", Actual: &reader{}, Desired: &reader{}, Sync: &syncz.Client{}},
		{Name: "b", Actual: &reader{}},
	}}
	got := examine(t,
		&examined{fixed: fixed{spec: "s", survey: both}, found: []mesh.Finding{{Area: "x", Subject: "y", Outcome: mesh.OutcomeOK, Detail: "well"}}},
		&fixed{spec: "plain", survey: mesh.Survey{Failures: []mesh.Failure{{Stage: "part", Reason: "gone"}}}},
		&fixed{spec: "dead", err: &mesh.UnreachableError{Source: "dead", Err: errors.New("refused")}})
	want := []string{
		"s x/y ok: well",
		"plain source/plain ok: 0 proxies",
		"plain source/part limited: gone",
		"dead source/dead unreachable: refused everything",
		"proxies/list ok: 2 proxies known proxies()",
		"proxies/what they run ok: a source gives it of all of them p.listeners() p.routes() p.clusters() p.endpoints() p.secrets() p.bootstrap()",
		"proxies/what they should run ok: a source gives it of 1 of them; not of b p.desired() p.diff()",
		"proxies/how far they are ok: a source gives it of 1 of them; not of b p.connected p.sync p.cds p.lds p.eds p.rds",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A side that no source gives leaves open what it answers; the other side answers the calls that name none.
func TestExamineSides(t *testing.T) {
	for name, test := range map[string]struct {
		record mesh.Record
		open   string
	}{
		"an Envoy":        {mesh.Record{Actual: &reader{}}, "p.desired() p.diff() p.connected p.sync p.cds p.lds p.eds p.rds"},
		"a control plane": {mesh.Record{Desired: &reader{}, Sync: &syncz.Client{}}, "p.actual() p.diff() p.stats() e.health"},
		"a list":          {mesh.Record{Sync: &syncz.Client{}}, "p.listeners() p.routes() p.clusters() p.endpoints() p.secrets() p.bootstrap() p.actual() p.diff() p.stats() e.health p.desired() p.diff()"},
	} {
		t.Run(name, func(t *testing.T) {
			test.record.Name = "a"
			found, err := mesh.New([]mesh.Source{&examined{fixed: fixed{spec: "s", survey: mesh.Survey{Proxies: []mesh.Record{test.record}}}}}, mesh.Options{}).Examine(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var open []string
			for _, f := range found {
				if f.Open() {
					open = append(open, f.Questions...)
				}
			}
			if got := strings.Join(open, " "); got != test.open {
				t.Errorf("left open: %s\nwant: %s", got, test.open)
			}
		})
	}
}

// What a source says that it lacks, and why, is not told again of the mesh.
func TestExamineTold(t *testing.T) {
	source := &examined{fixed: fixed{spec: "s", survey: mesh.Survey{Proxies: []mesh.Record{{Name: "a", Actual: &reader{}}}}},
		found: []mesh.Finding{{Area: "x", Subject: "istiod", Outcome: mesh.OutcomeDenied, Detail: "forbidden", Questions: append(mesh.DesiredQuestions(), mesh.SyncQuestions()...)}}}
	got := examine(t, source)
	want := []string{
		"s x/istiod denied: forbidden p.desired() p.diff() p.connected p.sync p.cds p.lds p.eds p.rds",
		"proxies/list ok: 1 proxy known proxies()",
		"proxies/what they run ok: a source gives it of all of them p.listeners() p.routes() p.clusters() p.endpoints() p.secrets() p.bootstrap()",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A run that may take so long only waits less for each step, so that there is time to tell.
func TestExamineDeadline(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	var wait time.Duration
	source := &examined{fixed: fixed{spec: "s"}, asked: func(_ context.Context, e mesh.Examination) { wait = e.Wait }}
	if _, err := mesh.New([]mesh.Source{source}, mesh.Options{}).Examine(ctx); err != nil {
		t.Fatal(err)
	}
	if wait <= 0 || wait > 2*time.Second {
		t.Errorf("a step may take %s of 5s", wait)
	}
	if _, err := mesh.New([]mesh.Source{source}, mesh.Options{}).Examine(t.Context()); err != nil || wait != 10*time.Second {
		t.Errorf("a step may take %s, error %v", wait, err)
	}
	cause := errors.New("stopped")
	stopped, stop := context.WithCancelCause(t.Context())
	stop(cause)
	if _, err := mesh.New([]mesh.Source{source}, mesh.Options{}).Examine(stopped); !errors.Is(err, cause) {
		t.Errorf("after the end of the context: %v", err)
	}
}

func TestFinding(t *testing.T) {
	for _, test := range []struct {
		f           mesh.Finding
		open, fatal bool
	}{
		{mesh.Finding{Outcome: mesh.OutcomeOK, Questions: []string{mesh.Everything}}, false, false},
		{mesh.Finding{Outcome: mesh.OutcomeDenied, Questions: []string{mesh.Everything}}, true, true},
		{mesh.Finding{Outcome: mesh.OutcomeLimited, Questions: []string{"p.x"}}, true, false},
		{mesh.Finding{Outcome: mesh.OutcomeDenied, Asked: true, Questions: []string{"p.x"}}, false, false},
	} {
		if test.f.Open() != test.open || test.f.Fatal() != test.fatal {
			t.Errorf("%+v: open %v, fatal %v", test.f, test.f.Open(), test.f.Fatal())
		}
	}
}
