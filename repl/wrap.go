package repl

import (
	"strings"

	"github.com/meshlark/meshlark/display"
)

// wrap breaks lines that are too wide for the terminal between words. What goes
// on begins where the line's text does: below the second column of a list.
func wrap(text string, width int) string {
	if width < 20 {
		return text
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		indent := hanging(line)
		if indent > width/2 {
			indent = 0
		}
		for display.Width(line) > width {
			at := breakAt(line, indent, width)
			if at < 0 {
				break
			}
			b.WriteString(strings.TrimRight(line[:at], " ") + "\n")
			line = strings.Repeat(" ", indent) + strings.TrimLeft(line[at:], " ")
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// hanging is the column in which the text of a line begins, after the name of
// a list's row if there is one.
func hanging(line string) int {
	lead := len(line) - len(strings.TrimLeft(line, " "))
	if gap := strings.Index(line[lead:], "  "); lead > 0 && gap > 0 {
		at := lead + gap
		return at + len(line[at:]) - len(strings.TrimLeft(line[at:], " "))
	}
	return lead
}

// breakAt finds the last space at which a line can be broken to fit, -1 if there
// is none.
func breakAt(line string, indent, width int) int {
	at, used := -1, 0
	for i, r := range line {
		used += display.Width(string(r))
		if r == ' ' && i > indent {
			at = i
		}
		if used > width && at > 0 {
			return at
		}
	}
	return at
}
