package display

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.starlark.net/syntax"

	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/mesh"
)

func report() Report {
	file := "checks/stale.star"
	at := func(line int32) syntax.Position { return syntax.MakePosition(&file, line, 1) }
	return Report{
		Runs: []Run{
			{Runbook: "stale", Checks: []builtins.Check{
				{ID: "rds-synced", Subject: "details-v1-79dfbd6fff-t7c5k.default", OK: true, Severity: "error", Runbook: "stale", Pos: at(3)},
				{ID: "rds-synced", Subject: "reviews-v1-598b896c9d-9bxvm.default", Message: "STALE for 3m\nsent but not acknowledged", Severity: "error", Runbook: "stale", Pos: at(3)},
				{ID: "age", Message: `<old> & "dusty" ` + "\x00\x1b[31m\ufffe", Severity: "warning", Runbook: "stale", Pos: at(5)},
				{ID: "note", Message: "for the record", Severity: "info", Runbook: "stale", Pos: at(6)},
			}},
			{Runbook: "certs", Checks: []builtins.Check{
				{Message: "no secrets in this dump", Skipped: true, Severity: "error", Runbook: "certs"},
			}},
			{Runbook: "broken", Err: errors.New("broken.star:1:2: undefined: x\nand more")},
		},
		Failures: []mesh.Failure{{Proxy: "ratings-v1.default", Source: "kubernetes", Stage: "clusters", Reason: "connection refused"}},
	}
}

func TestReport(t *testing.T) {
	for _, f := range []Format{Table, Wide, JSON, JSONLines, YAML, JUnit} {
		var b strings.Builder
		if _, err := report().Write(&b, f, Style{}); err != nil {
			t.Fatal(err)
		}
		golden(t, "report."+string(f), b.String())
	}
	var b strings.Builder
	notes, err := report().Write(&b, Table, Style{Width: 60, Color: true})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "report.terminal", b.String()+strings.Join(notes, "\n")+"\n"+report().Summary()+"\n")
}

func TestSummary(t *testing.T) {
	for _, test := range []struct {
		report Report
		want   string
	}{
		{Report{}, "0 checks"},
		{Report{Runs: []Run{{Checks: []builtins.Check{{OK: true}}}}}, "1 check: 1 ok"},
		{report(), "5 checks: 1 failed, 1 warning, 1 to note, 1 ok, 1 skipped, 1 runbook stopped by an error"},
	} {
		if got := test.report.Summary(); got != test.want {
			t.Errorf("Summary() = %q, want %q", got, test.want)
		}
	}
}

// JUnit is read by programs that give up on the first character that XML does
// not allow.
func FuzzJUnit(f *testing.F) {
	f.Add("id", "subject", "message \x00 \x1b \ufffe \xff ]]> & < \"")
	f.Fuzz(func(t *testing.T, id, subject, message string) {
		r := Report{Runs: []Run{{Runbook: subject, Err: errors.New(message), Checks: []builtins.Check{
			{ID: id, Subject: subject, Message: message}, {ID: id, Message: message, Skipped: true}, {ID: id, Message: message, Severity: "info"},
		}}}, Failures: []mesh.Failure{{Proxy: subject, Stage: id, Reason: message}}}
		var b strings.Builder
		if err := r.WriteJUnit(&b); err != nil {
			t.Fatal(err)
		}
		var doc junitSuites
		if err := xml.Unmarshal([]byte(b.String()), &doc); err != nil {
			t.Fatalf("%v in\n%s", err, b.String())
		}
		if got, want := fmt.Sprint(doc.Tests, doc.Failures, doc.Errors, doc.Skipped), "5 1 2 1"; got != want {
			t.Errorf("tests, failures, errors, skipped: %s, want %s", got, want)
		}
	})
}

func TestWriteFailures(t *testing.T) {
	var failures []mesh.Failure
	for i := range 40 {
		failures = append(failures, mesh.Failure{Proxy: fmt.Sprintf("p%d.default", i), Stage: "clusters", Reason: "connection refused"})
	}
	failures = append(failures, mesh.Failure{Source: "b.json", Stage: "open", Reason: "no such file\x1b[2J"},
		mesh.Failure{Source: "c.json", Stage: "open", Reason: "cannot read c.json: no such file"})
	var b strings.Builder
	if err := WriteFailures(&b, failures, Style{}, false); err != nil {
		t.Fatal(err)
	}
	const want = `left out: clusters of p0.default, p1.default, p2.default and 37 more: connection refused
left out: open of b.json: no such file\x1b[2J
left out: cannot read c.json: no such file
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	b.Reset()
	if err := WriteFailures(&b, failures, Style{}, true); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "p39.default: connection refused") {
		t.Errorf("all failures, but the last is not there:\n%s", b.String())
	}
}
