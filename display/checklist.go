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
		for n, line := range wrap(head, s.Width-margin) {
			if n > 0 {
				writeSpaces(out, margin)
			}
			out.WriteString(line + "\n")
		}
		for _, line := range wrap(message, s.Width-margin) {
			writeSpaces(out, margin)
			out.WriteString(line + "\n")
		}
	}
	return out.Flush()
}

// wrap breaks text at its blanks into lines of at most width cells; a longer word has a line of its own. An empty text has no line.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case Width(line)+1+Width(word) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
