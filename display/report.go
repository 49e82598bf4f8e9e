package display

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/mesh"
)

// A Report is the outcome of one or more runbooks.
type Report struct {
	Runs     []Run
	Failures []mesh.Failure // what could not be read meanwhile
}

// A Run is the outcome of one runbook.
type Run struct {
	Runbook string
	Checks  []builtins.Check
	Err     error // why it stopped before its end; nil when it did not
}

// Checks gives the checks of all runs in their order.
func (r Report) Checks() []builtins.Check {
	var all []builtins.Check
	for _, run := range r.Runs {
		all = append(all, run.Checks...)
	}
	return all
}

// Write prints the report in a format. The notes belong beside the output.
func (r Report) Write(w io.Writer, f Format, s Style) (notes []string, err error) {
	switch f {
	case JUnit:
		return nil, r.WriteJUnit(w)
	case JSON, YAML, JSONLines:
		return nil, WriteItems(w, "check", builtins.NewChecks(r.Checks()).Items(), r.errors(), f)
	}
	t := r.table(f == Wide)
	if len(t.Rows) == 0 {
		return nil, nil
	}
	if f == Table && s.Width > 0 && tableWidth(t) > s.Width {
		return nil, writeChecklist(w, r.Checks(), s)
	}
	hidden, err := WriteTable(w, t, s)
	if len(hidden) > 0 {
		notes = append(notes, hiddenNote(hidden))
	}
	return notes, err
}

// errors are what is missing from the report: what could not be read, and the
// runbooks that stopped before their end.
func (r Report) errors() []mesh.Failure {
	all := slices.Clone(r.Failures)
	for _, run := range r.Runs {
		if run.Err != nil {
			all = append(all, mesh.Failure{Source: run.Runbook, Stage: "run", Reason: run.Err.Error()})
		}
	}
	return all
}

// table gives the checks as a table. It tells the runbooks when there are
// several, or when it is the wide one.
func (r Report) table(wide bool) builtins.Table {
	checks := r.Checks()
	several := slices.ContainsFunc(checks, func(c builtins.Check) bool { return c.Runbook != checks[0].Runbook })
	return builtins.NewChecks(checks).Table(wide || several)
}

// Summary counts the outcomes in one line: "2 checks failed, 10 ok, 1
// skipped".
func (r Report) Summary() string {
	var ok, failed, skipped int
	milder := map[string]int{} // not ok, by severity
	checks := r.Checks()
	for _, c := range checks {
		switch {
		case c.Skipped:
			skipped++
		case c.OK:
			ok++
		case c.Failed():
			failed++
		default:
			milder[c.Severity]++
		}
	}
	var parts []string
	add := func(n int, text string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, text))
		}
	}
	warnings := milder[builtins.SeverityWarning]
	add(failed, "failed")
	add(warnings, plural(warnings, "warning"))
	add(milder[builtins.SeverityInfo], "to note")
	add(ok, "ok")
	add(skipped, "skipped")
	stopped := 0
	for _, run := range r.Runs {
		if run.Err != nil {
			stopped++
		}
	}
	add(stopped, plural(stopped, "runbook")+" stopped by an error")
	text := fmt.Sprintf("%d %s", len(checks), plural(len(checks), "check"))
	if len(parts) == 0 {
		return text
	}
	return text + ": " + strings.Join(parts, ", ")
}

func plural(n int, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}
