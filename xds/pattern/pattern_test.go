package pattern

import (
	"errors"
	"regexp"
	"testing"
	"unicode/utf8"
)

func mustParse(t *testing.T, s string) Pattern {
	t.Helper()
	p, err := Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestMatch(t *testing.T) {
	const reviews = "outbound|9080|v1|reviews.default.svc.cluster.local"
	tests := []struct {
		pattern, name string
		want          bool
	}{
		{"", "", true},
		{"", reviews, true},
		{"*", reviews, true},
		{"***", "", true},
		{"~", reviews, true},
		{reviews, reviews, true},
		{reviews, reviews + "x", false},
		{"outbound|9080|*", reviews, true},
		{"outbound|9080|", reviews, false},
		{"outbound?9080?v1?reviews*", reviews, true},
		{"*|reviews.default.*", reviews, true},
		{"*|reviewsXdefault.*", reviews, false},
		{"*reviews.default.svc.cluster.local", reviews, true},
		{"out*9080*local", reviews, true},
		{"out*9081*local", reviews, false},
		{"a*b*c", "abcbc", true},
		{"a*b*c", "abcbd", false},
		{"*ab", "aab", true},
		{"*a?", "aab", true},
		{"?", "é", true},
		{"??", "é", false},
		{"?", "", false},
		{"*?", "", false},
		{"a*", "a", true},
		{"[ab]", "a", false},
		{"[ab]", "[ab]", true},
		{`a\*`, `a\xyz`, true},
		{`a\*`, `a*`, false},
		{"a\nb*", "a\nbc", true},
		{"Reviews*", "reviews", false},
		{"=*", "*", true},
		{"=*", "x", false},
		{"=", "", true},
		{"=", "x", false},
		{"==x", "=x", true},
		{"=re:x", "re:x", true},
		{"~|9080|", reviews, true},
		{"~*", reviews, false},
		{"~*", "*.example.com:80", true},
		{"re:outbound.*", reviews, true},
		{"re:outbound", reviews, false},
		{"re:reviews", reviews, false},
		{"re:a|ab", "ab", true},
		{"re:ab|a", "ab", true},
		{"re:a*?", "aaa", true},
		{"re:(?U)a*", "aaa", true},
		{"re:^a$", "a", true},
		{"re:(?m)^a$", "a\nb", false},
		{`re:\Qa|b`, "a|b", true},
		{`re:\Qa|b`, "a", false},
		{"re:(?i)REVIEWS", "reviews", true},
		{"re:", "", true},
		{"re:", "x", false},
	}
	for _, tt := range tests {
		p := mustParse(t, tt.pattern)
		if got := p.Match(tt.name); got != tt.want {
			t.Errorf("Parse(%q).Match(%q) = %v, want %v", tt.pattern, tt.name, got, tt.want)
		}
		if got := fullMatch(t, p.Regexp(), tt.name); got != tt.want {
			t.Errorf("Parse(%q).Regexp() = %q on %q: %v, want %v", tt.pattern, p.Regexp(), tt.name, got, tt.want)
		}
		if p.String() != tt.pattern {
			t.Errorf("Parse(%q).String() = %q", tt.pattern, p.String())
		}
	}
}

// fullMatch matches as RE2's FullMatch does.
func fullMatch(t testing.TB, expr, s string) bool {
	t.Helper()
	re, err := regexp.Compile(expr)
	if err != nil {
		t.Fatalf("Regexp gave %q: %v", expr, err)
	}
	re.Longest()
	loc := re.FindStringIndex(s)
	return loc != nil && loc[0] == 0 && loc[1] == len(s)
}

func TestRegexp(t *testing.T) {
	tests := []struct{ pattern, want string }{
		{"", `(?s:.*)`},
		{"outbound|80||a.b", `outbound\|80\|\|a\.b`},
		{"outbound|80|**|a?b", `outbound\|80\|(?s:.*)\|a(?s:.)b`},
		{"=a*", `a\*`},
		{"~a+", `(?s:.*)a\+(?s:.*)`},
		{"re:a|b", `a|b`},
	}
	for _, tt := range tests {
		if got := mustParse(t, tt.pattern).Regexp(); got != tt.want {
			t.Errorf("Parse(%q).Regexp() = %q, want %q", tt.pattern, got, tt.want)
		}
	}
}

func TestLiteral(t *testing.T) {
	tests := []struct {
		pattern   string
		name      string
		ok, exact bool
		all       bool
	}{
		{"", "", false, false, true},
		{"**", "", false, false, true},
		{"a|b", "a|b", true, false, false},
		{"=a*", "a*", true, true, false},
		{"=", "", true, true, false},
		{"~a", "a", false, false, false},
		{"a*", "a*", false, false, false},
		{"re:a", "a", false, false, false},
	}
	for _, tt := range tests {
		p := mustParse(t, tt.pattern)
		name, ok := p.Literal()
		if ok != tt.ok || ok && name != tt.name {
			t.Errorf("Parse(%q).Literal() = %q, %v", tt.pattern, name, ok)
		}
		if p.IsExact() != tt.exact || p.IsAll() != tt.all {
			t.Errorf("Parse(%q): IsExact %v IsAll %v", tt.pattern, p.IsExact(), p.IsAll())
		}
	}
	p := Exact("re:*")
	if !p.Match("re:*") || p.Match("re:x") || !p.IsExact() || p.String() != "=re:*" {
		t.Errorf("Exact(%q) = %+v", "re:*", p)
	}
	var zero Pattern
	if !zero.IsAll() || !zero.Match("x") {
		t.Error("the zero Pattern does not match all")
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct {
		pattern string
		offset  int
		text    string
	}{
		{"a\xffb", 1, `invalid pattern "a\xffb" at offset 1: not UTF-8, so no name can match it`},
		{"re:ab(c", 5, `invalid pattern "re:ab(c" at offset 5: missing closing )`},
		{"re:ab)c", 5, `invalid pattern "re:ab)c" at offset 5: unexpected )`},
		{"re:(a)[(]b)c", 10, `invalid pattern "re:(a)[(]b)c" at offset 10: unexpected )`},
		{`re:\(a)`, 6, `invalid pattern "re:\\(a)" at offset 6: unexpected )`},
		{`re:\Q(\E)`, 8, `invalid pattern "re:\\Q(\\E)" at offset 8: unexpected )`},
		{"re:a)(?:b", 4, `invalid pattern "re:a)(?:b" at offset 4: unexpected )`},
		{"re:*.reviews", 3, `invalid pattern "re:*.reviews" at offset 3: missing argument to repetition operator: *`},
		{"re:ab[c", 5, `invalid pattern "re:ab[c" at offset 5: missing closing ]: [c`},
		{`re:ab\`, 5, `invalid pattern "re:ab\\" at offset 5: trailing backslash at end of expression`},
		{"re:(?=x)", 3, `invalid pattern "re:(?=x)" at offset 3: invalid or unsupported Perl syntax: (?=`},
		{"re:x{1001}", 4, `invalid pattern "re:x{1001}" at offset 4: invalid repeat count: {1001}`},
	}
	for _, tt := range tests {
		_, err := Parse(tt.pattern)
		var pe *Error
		if !errors.As(err, &pe) {
			t.Errorf("Parse(%q) = %v, want an *Error", tt.pattern, err)
			continue
		}
		if pe.Offset != tt.offset || pe.Error() != tt.text {
			t.Errorf("Parse(%q): %s\nwant offset %d: %s", tt.pattern, pe, tt.offset, tt.text)
		}
	}
}

func FuzzMatchAgreesWithRegexp(f *testing.F) {
	for _, seed := range [][2]string{
		{"outbound|9080|*", "outbound|9080|v1|reviews"}, {"a*b*c", "abcbc"}, {"?*?", "é|"}, {"=x*", "x*"}, {"~.", "a.b"},
		{"re:a|ab", "ab"}, {`re:\Qa`, "a"}, {"re:(?m)^a$|b", "a\nb"}, {"re:a)(b", ""}, {"**?", "ab"}, {`[\^$.|+()`, "["},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, src, name string) {
		p, err := Parse(src)
		if err != nil {
			var pe *Error
			if !errors.As(err, &pe) || pe.Offset < 0 || pe.Offset > len(src) {
				t.Fatalf("Parse(%q): %v", src, err)
			}
			return
		}
		// Names in JSON are UTF-8; on other text a regular expression takes broken bytes for U+FFFD.
		if !utf8.ValidString(name) {
			p.Match(name)
			return
		}
		if got, want := p.Match(name), fullMatch(t, p.Regexp(), name); got != want {
			t.Fatalf("Parse(%q).Match(%q) = %v, its regexp %q says %v", src, name, got, p.Regexp(), want)
		}
		if lit, ok := p.Literal(); ok && !p.Match(lit) {
			t.Fatalf("Parse(%q) does not match its literal %q", src, lit)
		}
	})
}
