package display

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"

	"github.com/meshlark/meshlark/builtins"
)

// cells measures text without regard to the locale: ambiguous characters are
// one column wide, as every terminal in a UTF-8 locale draws them.
var cells = &runewidth.Condition{}

// Width is the number of terminal columns that text takes.
func Width(text string) int {
	if isPlain(text) {
		return len(text)
	}
	return cells.StringWidth(text)
}

// isPlain reports whether text is printable ASCII, which most names are.
func isPlain(text string) bool {
	for i := 0; i < len(text); i++ {
		if c := text[i]; c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// Clean makes text safe to show on one line: control characters, line breaks,
// bytes that are not UTF-8, code points that are no characters and the marks
// that reverse the direction of writing appear as escapes. What a proxy answers must not be able to move the cursor.
func Clean(text string) string { return clean(text, false) }

// CleanLines is Clean for text of several lines: line breaks and tabs stay.
func CleanLines(text string) string { return clean(text, true) }

func clean(text string, lines bool) string {
	if isPlain(text) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size <= 1:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case lines && (r == '\n' || r == '\t'):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < ' ' || r >= 0x7f && r < 0xa0:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x2028, r == 0x2029, r&0xfffe == 0xfffe:
			b.WriteString(strings.Trim(strconv.QuoteToASCII(string(r)), `"`))
		default:
			b.WriteString(text[i : i+size])
		}
		i += size
	}
	return b.String()
}

const ellipsis = "…"

// shorten cuts text to a width in the given way.
func shorten(text string, width int, how builtins.Elide) string {
	full := Width(text)
	if full <= width || how == builtins.ElideNever {
		return text
	}
	if how == builtins.ElideAside {
		return withoutAside(text)
	}
	if width <= 0 {
		return ""
	}
	head, tail := width-1, 0
	if how == builtins.ElideMiddle {
		head = (width - 1) / 2
		tail = width - 1 - head
	}
	return cells.Truncate(text, head, "") + ellipsis + cells.TruncateLeft(text, full-tail, "")
}
