package session

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// reserved maps the words that Starlark reserves without using them to what a
// person who wrote one as a statement or operator is looking for.
var reserved = map[string]string{
	"as":       "it has no meaning in Starlark",
	"async":    "fetching from many proxies is parallel by itself",
	"await":    "calls wait by themselves",
	"class":    "there are no classes; use struct(name=value)",
	"del":      "use x.pop(key) to remove an element",
	"except":   "there are no exceptions; use attempt(fn, ...)",
	"finally":  "there are no exceptions; use attempt(fn, ...)",
	"from":     `use load("./file.star", "name")`,
	"global":   "a function cannot assign globals; return a value",
	"import":   `use load("./file.star", "name")`,
	"is":       "compare with == or !=",
	"nonlocal": "a function cannot assign outer variables; return a value",
	"raise":    "use fail(message)",
	"try":      "there are no exceptions; use attempt(fn, ...)",
	"with":     "there are no context managers; just call",
	"yield":    "there are no generators; return a list",
}

// keywords are the words that Starlark uses, which are no names either.
var keywords = strings.Fields("and break continue def elif else for if in lambda load not or pass return while")

// IsReserved reports whether Starlark reserves the word, so that it can be
// neither a name, nor an attribute, nor the name of an argument.
func IsReserved(word string) bool {
	if _, ok := reserved[word]; ok {
		return true
	}
	for _, k := range keywords {
		if word == k {
			return true
		}
	}
	return false
}

// explainSyntax replaces the parser's message where it would puzzle someone
// who writes Starlark as if it were Python, and moves the position to the word
// that is meant: the parser reports some at their end.
func explainSyntax(e *Error) {
	line := []rune(e.Line)
	at := min(max(int(e.Pos.Col)-1, 0), len(line))
	start, word := wordAt(line, at)
	before := strings.TrimSpace(string(line[:start]))
	after := strings.TrimLeft(string(line[start+len([]rune(word)):]), " \t")

	e.Pos.Col = int32(tokenStart(line, at, word, start, e.Msg) + 1)
	hint, isReserved := reserved[word]
	switch {
	case isReserved || IsReserved(word) && e.Msg == "not an identifier":
		e.Pos.Col = int32(start + 1)
		asName := before != "" && strings.HasSuffix(before, ".") ||
			before != "" && (strings.HasPrefix(after, ")") || strings.HasPrefix(after, ",")) ||
			strings.HasPrefix(after, "=") && !strings.HasPrefix(after, "==") ||
			strings.HasSuffix(before, "for") || strings.HasSuffix(before, "def") || strings.HasSuffix(before, "lambda")
		if asName || hint == "" {
			e.Msg = fmt.Sprintf("`%s` is a reserved word in Starlark and cannot be a name", word)
		} else {
			e.Msg = fmt.Sprintf("`%s` is a reserved word in Starlark: %s", word, hint)
		}
	case strings.HasPrefix(e.Msg, "got string literal, want"):
		// The position is behind the literal; a prefix letter is before it.
		literal := strings.LastIndexAny(string(line[:max(at-1, 0)]), `"'`)
		text := string(line[:at])
		if literal < 0 {
			return
		}
		if i := strings.LastIndexAny(text[:literal+1], "fF"); i >= 0 && i == firstQuoteAfter(text, i)-1 && (i == 0 || !isWordRune(rune(text[i-1]))) {
			e.Pos.Col = int32(len([]rune(text[:i])) + 1)
			e.Msg = `there are no f-strings in Starlark: use "...{}".format(x) or "...%s" % x`
		} else if strings.HasPrefix(strings.TrimSpace(e.Line), "print ") {
			e.Msg = "print is a function: print(...)"
		}
	case strings.HasPrefix(e.Msg, "unexpected input character '@'"):
		e.Msg = "there are no decorators in Starlark"
	case e.Msg == "got ':', want newline" && strings.HasPrefix(after, "="):
		e.Msg = "there is no := in Starlark: assign before"
	case strings.HasPrefix(e.Msg, "got '=', want ':'"):
		e.Msg = "an assignment cannot be a condition: compare with =="
	case strings.HasPrefix(e.Msg, "got indent, want"):
		e.Msg = "unexpected indentation"
	case strings.HasSuffix(e.Msg, "want indent"):
		e.Msg = "an indented block must follow"
	}
	e.Msg = strings.ReplaceAll(e.Msg, "want primary expression", "want an expression")
}

var gotToken = regexp.MustCompile(`^got (?:'([^']+)'|(?:identifier|\w+ literal)), want`)

// tokenStart finds where the token begins that the message says the parser
// got: it reports some tokens at their end.
func tokenStart(line []rune, at int, word string, wordStart int, msg string) int {
	m := gotToken.FindStringSubmatch(msg)
	switch {
	case m == nil:
	case m[1] != "":
		if head := string(line[:at]); !strings.HasPrefix(string(line[at:]), m[1]) && strings.HasSuffix(head, m[1]) {
			return at - len(m[1])
		}
	case word != "":
		return wordStart
	}
	return at
}

// firstQuoteAfter is the byte offset of the first quote in text from i on.
func firstQuoteAfter(text string, i int) int {
	q := strings.IndexAny(text[i:], `"'`)
	if q < 0 {
		return -1
	}
	return i + q
}

// wordAt finds the word that begins at a rune offset of the line, or ends there.
func wordAt(line []rune, at int) (start int, word string) {
	if at < len(line) && isWordRune(line[at]) && (at == 0 || !isWordRune(line[at-1])) {
		start = at
	} else {
		start = at
		for start > 0 && isWordRune(line[start-1]) {
			start--
		}
	}
	end := start
	for end < len(line) && isWordRune(line[end]) {
		end++
	}
	return start, string(line[start:end])
}

func isWordRune(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }
