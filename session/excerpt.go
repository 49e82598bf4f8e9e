package session

import (
	"strings"
	"unicode"

	"github.com/mattn/go-runewidth"
)

// sourceLine is the n-th line of src, counted from 1.
func sourceLine(src string, n int) string {
	if n < 1 {
		return ""
	}
	for ; n > 1; n-- {
		_, rest, ok := strings.Cut(src, "\n")
		if !ok {
			return ""
		}
		src = rest
	}
	line, _, _ := strings.Cut(src, "\n")
	return strings.TrimSuffix(line, "\r")
}

const excerptWidth = 100 // runes of a source line that are shown around the caret

// excerpt is the source line and, below, a caret under its col-th rune, both
// indented and ended by newlines. Control characters are replaced. It is empty when the line is not known.
// Tabs stay tabs in both lines, so that the caret is right whatever their
// width; a long line is cut on both sides of the caret.
func excerpt(line string, col int) string {
	if strings.TrimSpace(line) == "" {
		return ""
	}
	runes := []rune(strings.Map(printable, line))
	at := min(max(col-1, 0), len(runes))
	start := 0
	for start < at && (runes[start] == ' ' || runes[start] == '\t') {
		start++
	}
	head, tail := "", ""
	if at-start > excerptWidth/2 && len(runes)-start > excerptWidth {
		start = min(at-excerptWidth/2, len(runes)-excerptWidth)
		head = "..."
	}
	end := len(runes)
	if end-start > excerptWidth {
		end = start + excerptWidth
		tail = "..."
	}
	text := head + string(runes[start:end]) + tail
	const indent = "    "
	out := indent + strings.TrimRight(text, " \t") + "\n"
	if col < 1 {
		return out
	}
	return out + indent + padding(head+string(runes[start:at])) + "^\n"
}

// printable replaces what a terminal would obey rather than show.
func printable(r rune) rune {
	if r != '\t' && unicode.IsControl(r) {
		return unicode.ReplacementChar
	}
	return r
}

// padding is white space as wide as s.
func padding(s string) string {
	cond := &runewidth.Condition{}
	parts := strings.Split(s, "\t")
	for i, part := range parts {
		parts[i] = strings.Repeat(" ", cond.StringWidth(part))
	}
	return strings.Join(parts, "\t")
}
