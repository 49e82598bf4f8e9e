package explain_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/meshlark/meshlark/xds/explain"
)

func TestShort(t *testing.T) {
	for _, text := range []string{"", "/a", strings.Repeat("a", 200)} {
		if got := explain.Short(text); got != text {
			t.Errorf("%q becomes %q", text, got)
		}
	}
	for _, text := range []string{strings.Repeat("a", 201), strings.Repeat("é", 5000), strings.Repeat("\x80", 300)} {
		got := explain.Short(text)
		if len(got) > 203 || !strings.HasSuffix(got, "...") || utf8.ValidString(text) && !utf8.ValidString(got) {
			t.Errorf("%d bytes become %q", len(text), got)
		}
	}
}
