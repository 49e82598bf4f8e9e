package complete

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind int

const (
	nameToken tokenKind = iota
	numberToken
	stringToken
	openString // a string that does not end
	opToken
	newlineToken
	commentToken
)

// A token is a piece of Starlark. Text that is being typed is seldom valid, so
// the scanner takes everything.
type token struct {
	kind       tokenKind
	start, end int
	content    int    // of a string: where its content begins
	quote      string // of a string: what ends it
	raw        bool   // of a string: whether backslashes are characters
}

func scan(src string) []token {
	var toks []token
	for i := 0; i < len(src); {
		r, size := utf8.DecodeRuneInString(src[i:])
		switch {
		case strings.HasPrefix(src[i:], "\\\n"): // the line goes on
			i += 2
		case r == '\n':
			toks = append(toks, token{kind: newlineToken, start: i, end: i + 1})
			i++
		case unicode.IsSpace(r) || r == '\\':
			i += size
		case r == '#':
			end := i + len(src[i:])
			if n := strings.IndexByte(src[i:], '\n'); n >= 0 {
				end = i + n
			}
			toks = append(toks, token{kind: commentToken, start: i, end: end})
			i = end
		case r == '_' || unicode.IsLetter(r):
			if t, ok := scanString(src, i); ok {
				toks = append(toks, t)
				i = t.end
				continue
			}
			end := i
			for end < len(src) {
				r, size := utf8.DecodeRuneInString(src[end:])
				if r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
					break
				}
				end += size
			}
			toks = append(toks, token{kind: nameToken, start: i, end: end})
			i = end
		case r >= '0' && r <= '9':
			end := i
			for end < len(src) && (src[end] == '.' || src[end] == '_' || src[end] < utf8.RuneSelf && (unicode.IsLetter(rune(src[end])) || unicode.IsDigit(rune(src[end])))) {
				end++
			}
			toks = append(toks, token{kind: numberToken, start: i, end: end})
			i = end
		case r == '"' || r == '\'':
			t, _ := scanString(src, i)
			toks = append(toks, t)
			i = t.end
		default:
			n := size
			for _, op := range []string{"**=", "//=", "<<=", ">>=", "==", "!=", "<=", ">=", "**", "//", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<", ">>"} {
				if strings.HasPrefix(src[i:], op) {
					n = len(op)
					break
				}
			}
			toks = append(toks, token{kind: opToken, start: i, end: i + n})
			i += n
		}
	}
	return toks
}

// scanString takes a string with its prefix, if there is one at i.
func scanString(src string, i int) (token, bool) {
	t := token{kind: openString, start: i}
	for i < len(src) && i-t.start < 2 && strings.IndexByte("rbRB", src[i]) >= 0 {
		t.raw = t.raw || src[i] == 'r' || src[i] == 'R'
		i++
	}
	if i == len(src) || src[i] != '"' && src[i] != '\'' {
		return t, false
	}
	t.quote = src[i : i+1]
	if triple := strings.Repeat(t.quote, 3); strings.HasPrefix(src[i:], triple) {
		t.quote = triple
	}
	i += len(t.quote)
	t.content = i
	for i < len(src) {
		switch {
		case strings.HasPrefix(src[i:], t.quote):
			t.kind, t.end = stringToken, i+len(t.quote)
			return t, true
		case src[i] == '\\' && i+1 < len(src):
			i += 2
		case src[i] == '\n' && len(t.quote) == 1: // an error, which ends it
			t.kind, t.end = stringToken, i
			return t, true
		default:
			i++
		}
	}
	t.end = len(src)
	return t, true
}

// text is what has been typed, as tokens.
type text struct {
	src  string
	toks []token // without comments, and without line ends inside brackets
}

func newText(src string) text {
	t := text{src: src}
	depth := 0
	for _, tok := range scan(src) {
		if tok.kind == opToken {
			switch src[tok.start:tok.end] {
			case "(", "[", "{":
				depth++
			case ")", "]", "}":
				depth = max(depth-1, 0)
			}
		}
		if tok.kind == commentToken || tok.kind == newlineToken && depth > 0 {
			continue
		}
		t.toks = append(t.toks, tok)
	}
	return t
}

// is reports whether the token at i is this operator or word.
func (t text) is(i int, s string) bool {
	return i >= 0 && i < len(t.toks) && t.toks[i].kind != stringToken && t.toks[i].kind != openString && t.word(i) == s
}

func (t text) word(i int) string { return t.src[t.toks[i].start:t.toks[i].end] }

// between is the source of some tokens, the last one included.
func (t text) between(first, last int) string {
	if first < 0 || last >= len(t.toks) || first > last {
		return ""
	}
	return t.src[t.toks[first].start:t.toks[last].end]
}

// operand reports whether the token at i can end an expression that a dot, a
// call or a subscript follows.
func (t text) operand(i int) bool {
	if i < 0 {
		return false
	}
	switch t.toks[i].kind {
	case nameToken:
		return !keywords[t.word(i)]
	case stringToken:
		return true
	case opToken:
		return t.is(i, ")") || t.is(i, "]") || t.is(i, "}")
	}
	return false
}

// primary gives the first token of the name, call, subscript or attribute that
// ends at token i, -1 if there is none.
func (t text) primary(i int) int {
	if !t.operand(i) {
		return -1
	}
	if t.toks[i].kind == opToken {
		open := t.opening(i)
		if open < 0 {
			return -1
		}
		if !t.is(i, "}") && t.operand(open-1) && t.toks[open-1].kind != stringToken {
			return t.primary(open - 1)
		}
		i = open
	}
	if t.is(i-1, ".") {
		return t.primary(i - 2)
	}
	return i
}

// opening finds the bracket that the one at token i closes.
func (t text) opening(i int) int {
	depth := 0
	for ; i >= 0; i-- {
		if t.toks[i].kind != opToken {
			continue
		}
		switch t.word(i) {
		case ")", "]", "}":
			depth++
		case "(", "[", "{":
			depth--
			if depth == 0 {
				return i
			}
		}
	}
	return -1
}

// A bracket is one that is open where the text ends.
type bracket struct {
	at       int // its token
	argument int // the first token of the argument or element that the text ends in
	commas   int // how many come before it
}

// open gives the brackets that are open where the text ends, outermost first.
func (t text) open() []bracket {
	var stack []bracket
	for i, tok := range t.toks {
		if tok.kind != opToken {
			continue
		}
		switch t.word(i) {
		case "(", "[", "{":
			stack = append(stack, bracket{at: i, argument: i + 1})
		case ")", "]", "}":
			if len(stack) > 0 {
				stack = stack[:len(stack)-1]
			}
		case ",":
			if n := len(stack); n > 0 {
				stack[n-1].argument = i + 1
				stack[n-1].commas++
			}
		}
	}
	return stack
}

var keywords = map[string]bool{
	"and": true, "break": true, "continue": true, "def": true, "elif": true, "else": true, "for": true, "if": true,
	"in": true, "lambda": true, "load": true, "not": true, "or": true, "pass": true, "return": true, "while": true,
}

// Asks reports whether what was typed asks for help, as x? or ?x, and on what.
func Asks(src string) (about string, ok bool) {
	src = strings.TrimSpace(src)
	t := newText(src)
	n := len(t.toks)
	switch {
	case n == 0 || strings.Contains(src, "\n"):
		return "", false
	case t.is(n-1, "?"):
		return strings.Trim(src[:t.toks[n-1].start], " ?"), true
	case t.is(0, "?"):
		return strings.Trim(src[1:], " ?"), true
	}
	return "", false
}
