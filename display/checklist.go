package display

import (
	"bufio"
	"io"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/builtins"
)

// writeChecklist prints checks for a person whose terminal is too narrow for their table: each begins with its outcome, and its message, which
// tells what to do, is never cut.
func writeChecklist(w io.Writer, checks []builtins.Check, s Style) error {
	several := slices.ContainsFunc(checks, func(c builtins.Check) bool { return c.Runbook != checks[0].Runbook })
	out := bufio.NewWriter(w)
	const margin = 9 // of everything below an outcome
	runbook := ""
	for i, c := range checks {
		if several && (i == 0 || c.Runbook != runbook) {
			if i > 0 {
				out.WriteByte('\n')
			}
			out.WriteString(s.Paint(Strong, Clean(c.Runbook)) + "\n")
		}
		runbook = c.Runbook
		outcome := c.Outcome()
		out.WriteString(s.Paint(toneOf(outcome), outcome))
		writeSpaces(out, margin-Width(outcome))
		head := strings.TrimSpace(Clean(c.ID) + "  " + Clean(c.Subject))
		message := Clean(c.Message)
		if head == "" { // a skip of the whole runbook
			head, message = message, ""
		}
		if (c.OK || message == "") && margin+Width(head)+2+Width(message) <= s.Width {
			out.WriteString(head)
			if message != "" {
				out.WriteString("  " + message)
			}
			out.WriteByte('\n')
			continue
		}
		for n, line := range words(head, s.Width-margin) {
			if n > 0 {
				writeSpaces(out, margin)
			}
			out.WriteString(line + "\n")
		}
		for _, line := range words(message, s.Width-margin) {
			writeSpaces(out, margin)
			out.WriteString(line + "\n")
		}
	}
	return out.Flush()
}
