package display

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/mesh"
)

// WriteFailures tells what an answer lacks: each reason once, with the proxies
// it was met on. With all set every proxy is named, else a few of them.
func WriteFailures(w io.Writer, failures []mesh.Failure, s Style, all bool) error {
	const named = 3
	type cause struct{ stage, reason string }
	var causes []cause
	subjects := map[cause][]string{}
	for _, f := range failures {
		c := cause{f.Stage, f.Reason}
		if subjects[c] == nil {
			causes = append(causes, c)
		}
		if name := failureSubject(f); !slices.Contains(subjects[c], name) {
			subjects[c] = append(subjects[c], name)
		}
	}
	for _, c := range causes {
		names := subjects[c]
		more := ""
		if n := len(names) - named; n > 0 && !all {
			names, more = names[:named], fmt.Sprintf(" and %d more", n)
		}
		line := fmt.Sprintf("left out: %s of %s%s: %s", c.stage, strings.Join(names, ", "), more, c.reason)
		if len(names) == 1 && strings.Contains(c.reason, names[0]) {
			line = "left out: " + c.reason // it says itself what it is about
		}
		if err := writeWarning(w, line, s); err != nil {
			return err
		}
	}
	return nil
}

// WriteFailuresAgain reminds of what an answer lacks for reasons that were told
// before.
func WriteFailuresAgain(w io.Writer, failures []mesh.Failure, s Style) error {
	if len(failures) == 0 {
		return nil
	}
	var subjects []string
	for _, f := range failures {
		subject := failureSubject(f)
		if f.Stage != "open" { // not all of it
			subject = f.Stage + " of " + subject
		}
		if !slices.Contains(subjects, subject) {
			subjects = append(subjects, subject)
		}
	}
	return writeWarning(w, "left out, as before: "+mesh.Some(subjects)+"; :refresh asks again", s)
}

// writeWarning writes a message that fits the terminal.
func writeWarning(w io.Writer, message string, s Style) error {
	for _, l := range s.Fold(Clean(message)) {
		if _, err := fmt.Fprintln(w, s.Paint(Warn, l)); err != nil {
			return err
		}
	}
	return nil
}

// failureSubject names what failed: a proxy, or a whole source.
func failureSubject(f mesh.Failure) string {
	if f.Proxy != "" {
		return f.Proxy
	}
	return f.Source
}
