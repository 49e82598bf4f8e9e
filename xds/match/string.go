// Package match evaluates the conditions Envoy's configuration is full of: on strings, headers, query parameters, cookies, metadata,
// addresses, fractions of requests, and the generic matcher tree. What they are evaluated on is a [Request].
//
// A condition that can never hold because it is faulty (a regular expression that does not compile), that is not modelled (an
// extension), or that compares with a token that was redacted does not match, and its Err says why. An Envoy refuses the whole resource for a faulty one.
//
// Where Envoy's rules have changed, those of the Version in the request count.
package match

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"sync"

	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/route"
)

// A String is a condition on a text (envoy.type.matcher.v3.StringMatcher). The zero String matches nothing.
type String struct {
	view   route.StringMatch
	folded string // Value in lower case, for contains
	re     *lazyRegexp
	err    error
}

// A lazyRegexp is a regular expression that is compiled when something is first matched with it: a table may have thousands.
type lazyRegexp struct {
	text string
	once sync.Once
	re   *regexp.Regexp
	err  error
}

func (l *lazyRegexp) compiled() (*regexp.Regexp, error) {
	l.once.Do(func() { l.re, l.err = FullRegexp(l.text) })
	return l.re, l.err
}

// NewString reads a StringMatcher.
func NewString(v rawjson.Value) String { return NewStringMatch(route.NewStringMatch(v)) }

// NewStringMatch compiles what the view says.
func NewStringMatch(view route.StringMatch) String {
	s := String{view: view}
	if strings.Contains(view.Value, "[redacted]") {
		s.err = errors.New("what it compares with was taken out as private")
	}
	switch view.Kind {
	case "contains":
		s.folded = lower(view.Value)
	case "safe_regex":
		s.re = &lazyRegexp{text: view.Value}
	case "custom":
		s.err = fmt.Errorf("string matcher extension %s is not modelled", view.Value)
	}
	return s
}

// FullRegexp compiles a regular expression so that it has to match a text as a whole. Envoy's RE2 and Go's regexp have the same syntax.
func FullRegexp(text string) (*regexp.Regexp, error) {
	// Parsed by itself first, so that it cannot close the group around it.
	if _, err := syntax.Parse(text, syntax.Perl); err != nil {
		return nil, fmt.Errorf("compile regular expression %q: %w", text, err)
	}
	re, err := regexp.Compile(`\A(?:` + text + `)\z`)
	if err != nil {
		return nil, fmt.Errorf("compile regular expression %q: %w", text, err)
	}
	return re, nil
}

// Match reports whether the condition holds. Regular expressions have to match the whole text. Ignoring case is for ASCII only.
func (s String) Match(text string) bool {
	if s.err != nil {
		return false
	}
	switch want := s.view.Value; s.view.Kind {
	case "exact":
		return text == want || s.view.IgnoreCase && equalFold(text, want)
	case "prefix":
		return len(text) >= len(want) && (text[:len(want)] == want || s.view.IgnoreCase && equalFold(text[:len(want)], want))
	case "suffix":
		end := len(text) - len(want)
		return end >= 0 && (text[end:] == want || s.view.IgnoreCase && equalFold(text[end:], want))
	case "contains":
		if s.view.IgnoreCase {
			return strings.Contains(lower(text), s.folded)
		}
		return strings.Contains(text, want)
	case "safe_regex":
		if s.re == nil {
			return false
		}
		re, _ := s.re.compiled()
		return re != nil && re.MatchString(text)
	}
	return false
}

// Err says why the condition can never hold, nil when it can.
func (s String) Err() error {
	if s.err == nil && s.re != nil {
		_, err := s.re.compiled()
		return err
	}
	return s.err
}

// String is the condition as route.StringMatch writes it.
func (s String) String() string { return s.view.String() }

// equalFold compares two texts, upper and lower case of ASCII letters being the same.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if lowerByte(a[i]) != lowerByte(b[i]) {
			return false
		}
	}
	return true
}

func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// lower changes ASCII letters only, as Envoy does.
func lower(s string) string {
	for i := 0; i < len(s); i++ {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				b[i] = lowerByte(b[i])
			}
			return string(b)
		}
	}
	return s
}

// Lower gives a text with its ASCII letters in lower case, as Envoy lowers hosts, server names and header names.
func Lower(s string) string { return lower(s) }

// longest bounds what Replace makes of a text: far beyond what any proxy takes for a path or a header.
const longest = 1 << 20

// Replace replaces every match of re in text. In the substitution \0 to \9 stand for what the groups matched and \\ for a
// backslash, as in RE2.
func Replace(re *regexp.Regexp, text, substitution string) string {
	var b strings.Builder
	last := 0
	for _, loc := range re.FindAllStringSubmatchIndex(text, -1) {
		if b.Len() > longest {
			return b.String()[:longest]
		}
		b.WriteString(text[last:loc[0]])
		expand(&b, text, substitution, loc)
		last = loc[1]
	}
	b.WriteString(text[last:])
	return b.String()
}

func expand(b *strings.Builder, text, substitution string, loc []int) {
	for i := 0; i < len(substitution); i++ {
		c := substitution[i]
		if c != '\\' || i+1 == len(substitution) {
			b.WriteByte(c)
			continue
		}
		i++
		n := int(substitution[i]) - '0'
		switch {
		case n < 0 || n > 9:
			b.WriteByte(substitution[i])
		case 2*n+1 < len(loc) && loc[2*n] >= 0:
			b.WriteString(text[loc[2*n]:loc[2*n+1]])
		}
	}
}
