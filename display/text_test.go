package display

import (
	"testing"
	"unicode/utf8"

	"github.com/meshlark/meshlark/builtins"
)

func TestShorten(t *testing.T) {
	for _, test := range []struct {
		text  string
		width int
		how   builtins.Elide
		want  string
	}{
		{"reviews.default.svc.cluster.local", 40, builtins.ElideMiddle, "reviews.default.svc.cluster.local"},
		{"reviews.default.svc.cluster.local", 16, builtins.ElideMiddle, "reviews…er.local"},
		{"reviews.default.svc.cluster.local", 17, builtins.ElideMiddle, "reviews.…er.local"},
		{"a long sentence", 8, builtins.ElideEnd, "a long …"},
		{"12345", 3, builtins.ElideNever, "12345"},
		{"abc", 1, builtins.ElideMiddle, "…"},
		{"abc", 0, builtins.ElideMiddle, ""},
		{"日本語の名前", 7, builtins.ElideMiddle, "日… 前"}, // half of a character is a space,
		{"日本語の名前", 12, builtins.ElideMiddle, "日本語の名前"},
	} {
		got := shorten(test.text, test.width, test.how)
		if got != test.want {
			t.Errorf("shorten(%q, %d) = %q, want %q", test.text, test.width, got, test.want)
		}
		if w := Width(got); test.how != builtins.ElideNever && w > test.width {
			t.Errorf("shorten(%q, %d) is %d wide", test.text, test.width, w)
		}
	}
}

func TestClean(t *testing.T) {
	for _, test := range []struct{ text, want, lines string }{
		{"plain", "plain", "plain"},
		{"two\nlines\tand a tab", `two\nlines\tand a tab`, "two\nlines\tand a tab"},
		{"\x1b[2Jgone\r", `\x1b[2Jgone\r`, `\x1b[2Jgone\r`},
		{"\u009b31m", `\x9b31m`, `\x9b31m`},
		{"\xff\xfe", `\xff\xfe`, `\xff\xfe`},
		{"evil\u202egnp.exe", `evil\u202egnp.exe`, `evil\u202egnp.exe`},
		{"Grüße, 世界 🙂", "Grüße, 世界 🙂", "Grüße, 世界 🙂"},
		{"\ufffd", "\ufffd", "\ufffd"},
	} {
		if got := Clean(test.text); got != test.want {
			t.Errorf("Clean(%q) = %q, want %q", test.text, got, test.want)
		}
		if got := CleanLines(test.text); got != test.lines {
			t.Errorf("CleanLines(%q) = %q, want %q", test.text, got, test.lines)
		}
	}
}

// Whatever is sent, it comes out as valid text on one line without control
// characters, and fits.
func FuzzShorten(f *testing.F) {
	f.Add("outbound|9080|v1|reviews.default.svc.cluster.local", 20)
	f.Add("\x1b[31m日本\u0301\u200d語", 3)
	f.Fuzz(func(t *testing.T, text string, width int) {
		if width < 0 || width > 1000 {
			return
		}
		clean := Clean(text)
		if !utf8.ValidString(clean) {
			t.Errorf("Clean(%q) = %q is not UTF-8", text, clean)
		}
		for _, r := range clean {
			if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
				t.Errorf("Clean(%q) = %q has the control character %U", text, clean, r)
			}
		}
		for _, how := range []builtins.Elide{builtins.ElideMiddle, builtins.ElideEnd} {
			if got := shorten(clean, width, how); Width(got) > width {
				t.Errorf("shorten(%q, %d) = %q is %d wide", clean, width, got, Width(got))
			}
		}
	})
}
