package rawjson

import (
	"strings"
	"testing"
)

func TestFirstLine(t *testing.T) {
	long := strings.Repeat("x", 159)
	for text, want := range map[string]string{
		"":                            "",
		" \r\n\t\n":                   "",
		"one\ntwo":                    "one",
		"\n\n  <html>\r\nrest":        "<html>",
		"a\x00b\x1b[31m\tc":           "a b [31m c",
		"\xff\xfe bad":                "? bad",
		long + "y":                    long + "y",
		long + "yz":                   long + "y...",
		long + "é":                    long + "...", // never half of a rune
		"\x01\x02\nafter the unusual": "after the unusual",
	} {
		if got := FirstLine([]byte(text)); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
