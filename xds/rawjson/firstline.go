package rawjson

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// FirstLine is the first line of a text that is not blank, fit for a message: printable, and cut after 160 bytes. It shows what a text is that is not
// the JSON it should be, such as an error page.
func FirstLine(text []byte) string {
	const most = 160
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		cut := len(line) > most
		if cut {
			end := most
			for end > most-utf8.UTFMax && !utf8.RuneStart(line[end]) {
				end--
			}
			line = line[:end]
		}
		s := strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return ' '
			}
			return r
		}, strings.ToValidUTF8(string(line), "?"))
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		if cut {
			s += "..."
		}
		return s
	}
	return ""
}
