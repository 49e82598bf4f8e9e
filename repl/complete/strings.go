package complete

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/session"
)

// inString completes the string that the text ends in.
func (e *Engine) inString(ctx context.Context, s *scope, t text, after string) Result {
	last := len(t.toks) - 1
	tok := t.toks[last]
	pos := len(t.src)
	res := Result{Start: tok.content, End: pos}
	all := e.values(ctx, s, t, last)
	if len(all) == 0 {
		if ctx.Err() != nil {
			res.Note = "the names are still being read; try again"
		}
		return res
	}
	typed := unescape(t.src[tok.content:], tok)
	match := func(ok func(string) bool) {
		for _, name := range all {
			if !ok(name) {
				continue
			}
			escaped, can := escape(name, tok)
			if !can {
				continue
			}
			if !strings.HasPrefix(after, tok.quote) {
				escaped += tok.quote
			}
			res.Candidates = append(res.Candidates, Candidate{Text: escaped, Label: name, Kind: Value})
		}
	}
	match(func(name string) bool { return strings.HasPrefix(name, typed) })
	if len(res.Candidates) == 0 { // a part of it that somebody remembers
		match(func(name string) bool { return strings.Contains(strings.ToLower(name), strings.ToLower(typed)) })
	}
	return res
}

// values lists what the string at token i can be, by where it is.
func (e *Engine) values(ctx context.Context, s *scope, t text, i int) []string {
	first := i // of what is written for an argument
	open := t.open()
	if n := len(open); n > 0 && t.is(open[n-1].at, "[") && open[n-1].argument == i {
		at := open[n-1].at
		if p := t.primary(at - 1); p >= 0 && open[n-1].commas == 0 { // a subscript
			return keys(s.inferText(t.between(p, at-1)))
		}
		first, open = at, open[:n-1] // an element of a list
	}
	switch {
	case t.is(first-1, "=="), t.is(first-1, "!="), t.is(first-1, "in"):
		left := first - 2
		if t.is(first-1, "in") && t.is(left, "not") {
			left--
		}
		if p := t.primary(left); p >= 0 {
			return s.inferText(t.between(p, left)).enum
		}
		return nil
	}
	if len(open) == 0 {
		return nil
	}
	b := open[len(open)-1]
	fn, ok := s.callee(t, b)
	if !ok || fn.entry == nil {
		return nil
	}
	var p builtins.Param
	switch {
	case first == b.argument && b.commas < len(fn.entry.Params):
		p = fn.entry.Params[b.commas]
		if p.KwOnly {
			return nil
		}
	case first == b.argument+2 && t.is(b.argument+1, "="):
		name := t.word(b.argument)
		n := slices.IndexFunc(fn.entry.Params, func(p builtins.Param) bool { return p.Name == name })
		if n < 0 {
			return e.field(fn, name)
		}
		p = fn.entry.Params[n]
	default:
		return nil
	}
	if len(p.Enum) > 0 {
		return append(slices.Clone(p.Enum), p.Free...)
	}
	if e.Provider == nil {
		return nil
	}
	a := Argument{Function: fn.entry.Name, Parameter: strings.TrimLeft(p.Name, "*")}
	if b.argument > b.at+1 {
		a.First = t.literal(b.at+1, fn.entry.Params[0].Name)
	}
	if fn.recv != nil {
		a.Function = fn.recv.typ + "." + fn.entry.Name
		a.Receiver = fn.recv.value
	}
	return e.Provider.Names(ctx, a)
}

// literal is the string that is written out for an argument which begins at token i, alone or after its name; "" for anything else.
func (t text) literal(i int, name string) string {
	if t.is(i, name) && t.is(i+1, "=") {
		i += 2
	}
	if i+1 >= len(t.toks) || t.toks[i].kind != stringToken || !t.is(i+1, ",") {
		return ""
	}
	tok := t.toks[i]
	return unescape(t.src[tok.content:tok.end-len(tok.quote)], tok)
}

// field lists what a field of a collection's elements can be, for calls that
// take fields by name.
func (e *Engine) field(fn thing, name string) []string {
	if fn.recv == nil || !slices.ContainsFunc(fn.entry.Params, func(p builtins.Param) bool { return strings.HasPrefix(p.Name, "**") }) {
		return nil
	}
	return attribute(element(*fn.recv), name).enum
}

// keys lists the keys of a dict that are strings.
func keys(x thing) []string {
	m, ok := x.value.(starlark.Iterable)
	if _, isMap := x.value.(starlark.Mapping); !ok || !isMap {
		return nil
	}
	const most = 5000
	var out []string
	for k := range starlark.Elements(m) {
		if s, ok := starlark.AsString(k); ok {
			out = append(out, s)
		}
		if len(out) == most {
			break
		}
	}
	return out
}

// unescape gives the string that a part of a literal stands for.
func unescape(src string, tok token) string {
	if tok.raw || !strings.Contains(src, `\`) {
		return src
	}
	expr, err := session.Dialect().ParseExpr("", tok.quote+src+tok.quote, 0)
	if err == nil {
		if lit, ok := expr.(*syntax.Literal); ok {
			if s, ok := lit.Value.(string); ok {
				return s
			}
		}
	}
	return src
}

// escape writes a string as a part of a literal. It reports false when the kind
// of literal cannot hold it.
func escape(s string, tok token) (string, bool) {
	if tok.raw {
		return s, utf8.ValidString(s) && !strings.ContainsAny(s, tok.quote[:1]+"\n\r\\")
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\\', r == rune(tok.quote[0]):
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r == 0x7f:
			return "", false
		default:
			b.WriteRune(r)
		}
	}
	return b.String(), utf8.ValidString(s)
}
