package display

import "strings"

// Wrap breaks lines that are too wide for the terminal between words. What goes
// on begins where the line's text does: below the second column of a list.
func Wrap(text string, width int) string {
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
		for Width(line) > width {
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
		used += Width(string(r))
		if r == ' ' && i > indent {
			at = i
		}
		if used > width && at > 0 {
			return at
		}
	}
	return at
}

// Fold breaks a message of one line between words to fit the terminal. What goes on is indented.
func (s Style) Fold(message string) []string {
	const indent = "  "
	lines := s.paragraph(message, len(indent))
	for i := range lines[1:] {
		lines[i+1] = indent + lines[i+1]
	}
	return lines
}

// paragraph breaks a text between words to fit the terminal beside a margin.
func (s Style) paragraph(text string, margin int) []string {
	const shortest = 20 // what a margin leaves at least
	if s.Width <= 0 || text == "" {
		return []string{text}
	}
	return words(text, max(s.Width-margin, shortest))
}

// words breaks text at its blanks into lines of at most width cells; a longer word has a line of its own. An empty text has no line.
func words(text string, width int) []string {
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
