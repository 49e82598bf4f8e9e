// Package pattern is how a user names things: the text after `name=`, `fqdn=`, `cluster=` and the like.
//
// Only two characters are special in plain text: `*` stands for any number of characters, `?` for one. Everything else,
// `.` and `|` and `[` among it, is itself, so an Envoy cluster name can be pasted as it is. Three prefixes change the reading:
//
//	=text   exactly this name, `*` and `?` included
//	~text   names that contain this text
//	re:x    names that the regular expression x (RE2 syntax, as in Go and in Envoy) matches as a whole
//
// An empty pattern, like `*`, matches every name. Upper and lower case differ; `re:(?i)x` ignores case.
package pattern

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

type form byte

const (
	all       form = iota // matches every name
	exact                 // text is the name, however it was asked for
	substring             // text is somewhere in the name
	glob                  // text has * or ?
	expr                  // re matches the whole name
)

// A Pattern selects names. The zero Pattern matches all of them. Patterns are immutable and may be used from several
// goroutines.
type Pattern struct {
	src    string
	form   form
	text   string
	re     *regexp.Regexp
	strict bool // exact was asked for with "=" or Exact, not only the outcome of having no wildcard
}

// An Error says where in a pattern a fault is.
type Error struct {
	Pattern string // as the user wrote it
	Offset  int    // bytes from its start to the fault
	Reason  string
}

func (e *Error) Error() string {
	return fmt.Sprintf("invalid pattern %q at offset %d: %s", e.Pattern, e.Offset, e.Reason)
}

// Parse reads a pattern. The error, if any, is an [*Error].
func Parse(s string) (Pattern, error) {
	if i := invalidUTF8(s); i >= 0 {
		return Pattern{}, &Error{s, i, "not UTF-8, so no name can match it"}
	}
	if text, ok := strings.CutPrefix(s, "="); ok {
		return Pattern{src: s, form: exact, text: text, strict: true}, nil
	}
	if text, ok := strings.CutPrefix(s, "~"); ok {
		if text == "" {
			return Pattern{src: s}, nil
		}
		return Pattern{src: s, form: substring, text: text}, nil
	}
	if text, ok := strings.CutPrefix(s, "re:"); ok {
		return parseExpr(s, text)
	}
	switch {
	case strings.Trim(s, "*") == "":
		return Pattern{src: s}, nil
	case strings.ContainsAny(s, "*?"):
		return Pattern{src: s, form: glob, text: s}, nil
	default:
		return Pattern{src: s, form: exact, text: s}, nil
	}
}

// Exact is the pattern that matches one name only, whatever characters are in it.
func Exact(name string) Pattern {
	return Pattern{src: "=" + name, form: exact, text: name, strict: true}
}

func parseExpr(src, text string) (Pattern, error) {
	re, err := regexp.Compile(text)
	if err != nil {
		return Pattern{}, exprError(src, text, err)
	}
	// Matching the whole name is asked of the match (the longest one starts at 0 and ends at the end), not of the text:
	// wrapping the text in \A(?:...)\z would change the meaning of expressions like `\Qa` and accept ones like `a)(?:b`.
	re.Longest()
	return Pattern{src: src, form: expr, text: text, re: re}, nil
}

func exprError(src, text string, err error) error {
	prefix := len(src) - len(text)
	var se *syntax.Error
	if !errors.As(err, &se) {
		return &Error{src, prefix, err.Error()}
	}
	off := prefix
	switch se.Code {
	case syntax.ErrTrailingBackslash:
		off = len(src) - 1
	case syntax.ErrMissingParen, syntax.ErrUnexpectedParen:
		off += unbalanced(text)
		return &Error{src, off, se.Code.String()}
	default:
		// The parser names the offending part, not its place; the first occurrence is it in all but contrived cases.
		if i := strings.Index(text, se.Expr); i > 0 {
			off += i
		}
	}
	reason := se.Code.String()
	if se.Expr != "" && se.Code != syntax.ErrTrailingBackslash {
		reason += ": " + se.Expr
	}
	return &Error{src, off, reason}
}

// unbalanced gives the offset of the parenthesis that has no partner. It steps over escapes, \Q...\E and classes as the
// regular expression parser does.
func unbalanced(text string) int {
	var open []int
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			if strings.HasPrefix(text[i:], `\Q`) {
				end := strings.Index(text[i:], `\E`)
				if end < 0 {
					i = len(text)
					break
				}
				i += end
			}
			i++
		case '[':
			j := i + 1
			if j < len(text) && text[j] == '^' {
				j++
			}
			if j < len(text) && text[j] == ']' {
				j++
			}
			for j < len(text) && text[j] != ']' {
				if text[j] == '\\' {
					j++
				}
				j++
			}
			i = j
		case '(':
			open = append(open, i)
		case ')':
			if len(open) == 0 {
				return i
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		return open[len(open)-1]
	}
	return 0
}

func invalidUTF8(s string) int {
	if utf8.ValidString(s) {
		return -1
	}
	for i, r := range s {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(s[i:]); n == 1 {
				return i
			}
		}
	}
	return -1
}

// Match reports whether the pattern selects the name s.
func (p Pattern) Match(s string) bool {
	switch p.form {
	case all:
		return true
	case exact:
		return s == p.text
	case substring:
		return strings.Contains(s, p.text)
	case glob:
		return matchGlob(p.text, s)
	default:
		loc := p.re.FindStringIndex(s)
		return loc != nil && loc[0] == 0 && loc[1] == len(s)
	}
}

// matchGlob remembers only the last star: what stands before it has been matched as early as possible, so no other
// placing of an earlier star could help.
func matchGlob(pat, s string) bool {
	p, i := 0, 0
	star, from := -1, 0 // place after the last star, and where in s its text is being tried to end
	for i < len(s) {
		if p < len(pat) {
			switch c := pat[p]; {
			case c == '*':
				p++
				star, from = p, i
				continue
			case c == '?':
				_, n := utf8.DecodeRuneInString(s[i:])
				p, i = p+1, i+n
				continue
			case c == s[i]:
				p, i = p+1, i+1
				continue
			}
		}
		if star < 0 {
			return false
		}
		_, n := utf8.DecodeRuneInString(s[from:])
		from += n
		p, i = star, from
	}
	return strings.Trim(pat[p:], "*") == ""
}

// IsAll reports whether the pattern matches every name because nothing was asked for (empty, `*`, `~`). `re:.*` is
// not looked into.
func (p Pattern) IsAll() bool { return p.form == all }

// Literal gives the one name the pattern can match, if it has no wildcard.
func (p Pattern) Literal() (name string, ok bool) { return p.text, p.form == exact }

// IsExact reports whether exactly one spelling was asked for (`=text`), so that no other form of the name will do.
func (p Pattern) IsExact() bool { return p.strict }

// Regexp gives a regular expression that matches, as a whole, the names Match selects: what Envoy's admin parameter
// name_regex wants (RE2, full match).
func (p Pattern) Regexp() string {
	const any, one = `(?s:.*)`, `(?s:.)`
	switch p.form {
	case all:
		return any
	case exact:
		return regexp.QuoteMeta(p.text)
	case substring:
		return any + regexp.QuoteMeta(p.text) + any
	case expr:
		return p.text
	}
	var b strings.Builder
	start := 0
	for i := 0; i < len(p.text); i++ {
		c := p.text[i]
		if c != '*' && c != '?' {
			continue
		}
		b.WriteString(regexp.QuoteMeta(p.text[start:i]))
		start = i + 1
		switch {
		case c == '?':
			b.WriteString(one)
		case i > 0 && p.text[i-1] == '*':
			// a run of stars is one star
		default:
			b.WriteString(any)
		}
	}
	b.WriteString(regexp.QuoteMeta(p.text[start:]))
	return b.String()
}

// String gives the pattern as the user wrote it.
func (p Pattern) String() string { return p.src }
