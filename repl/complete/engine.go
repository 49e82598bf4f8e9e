package complete

import (
	"context"
	"slices"
	"strings"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/session"
)

// Deadline is how long a person waits for completion without wondering.
const Deadline = 250 * time.Millisecond

// An Engine completes.
type Engine struct {
	// Env gives the names that a statement sees, beside those of Starlark.
	Env func() starlark.StringDict

	// Commands are the words that can follow a colon at the beginning.
	Commands []CommandName

	// Provider gives real names inside strings; nil gives none.
	Provider Provider

	// Deadline bounds a completion; 0 is the constant of that name.
	Deadline time.Duration
}

// A CommandName is a word that can follow a colon.
type CommandName struct {
	Name    string
	Summary string
	// Complete gives what its argument can be; nil when that is anything.
	Complete func(ctx context.Context) []string
}

// A Provider knows the names that mean something inside a string.
type Provider interface {
	// Names gives what the argument can be. It returns soon after ctx ends with
	// what it has.
	Names(ctx context.Context, a Argument) []string
}

// An Argument is where in a call a string is.
type Argument struct {
	Function  string         // "proxy", or with its type for a method: "Proxy.clusters"
	Parameter string         // the parameter's name
	First     string         // the string given for the function's first parameter, "" when none is
	Receiver  starlark.Value // of a method, nil when it would have to be computed
}

// Complete finds what could stand at pos, in bytes, of a statement. It returns
// after the deadline at the latest.
func (e *Engine) Complete(ctx context.Context, src string, pos int) Result {
	limit := e.Deadline
	if limit == 0 {
		limit = Deadline
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	done := make(chan Result, 1)
	go func() {
		defer cancel()
		res := Result{Start: pos, End: pos}
		defer func() {
			if recover() != nil { // a value's attributes are not our code
				res = Result{Start: pos, End: pos}
			}
			done <- res
		}()
		res = e.find(ctx, src, pos)
	}()
	select {
	case res := <-done:
		return res
	case <-ctx.Done():
	}
	select { // both may be ready
	case res := <-done:
		return res
	default:
		return Result{Start: pos, End: pos, Note: "the names are still being read; try again"}
	}
}

func (e *Engine) find(ctx context.Context, src string, pos int) Result {
	before := src[:pos]
	if strings.HasPrefix(strings.TrimLeft(before, " "), ":") {
		return e.command(ctx, before)
	}
	for _, tok := range scan(before) {
		if tok.kind == commentToken && tok.end == pos {
			return Result{Start: pos, End: pos}
		}
	}
	t := newText(before)
	s := e.scope(src, t)
	last := len(t.toks) - 1
	if last >= 0 && t.toks[last].kind == openString {
		return e.inString(ctx, s, t, src[pos:])
	}
	prefix, prev := "", last
	if last >= 0 && t.toks[last].end == pos {
		switch t.toks[last].kind {
		case nameToken:
			prefix, prev = t.word(last), last-1
		case numberToken:
			return Result{Start: pos, End: pos}
		}
	}
	res := Result{Start: pos - len(prefix), End: pos}
	switch {
	case t.is(prev, "."):
		if first := t.primary(prev - 1); first >= 0 {
			res.Candidates = matching(attributes(s.inferText(t.between(first, prev-1))), prefix)
		}
	case t.is(prev, "def"), t.is(prev, "for"), t.is(prev, "lambda"):
		// a new name
	default:
		all := e.arguments(s, t, prev)
		if asked := strings.TrimSpace(before); !strings.HasPrefix(asked, "?") || prefix != "" {
			all = append(all, names(s)...)
		}
		res.Candidates = matching(all, prefix)
	}
	return res
}

// scope finds the names that the statement itself binds, before the position or
// after it: those of loops, comprehensions, functions and assignments.
func (e *Engine) scope(src string, before text) *scope {
	s := &scope{local: map[string]func() thing{}}
	if e.Env != nil {
		s.env = e.Env()
	}
	t := newText(src)
	for i := range t.toks {
		if t.toks[i].kind != nameToken {
			continue
		}
		switch {
		case t.is(i, "for") && t.is(i+2, "in"):
			expr := t.between(i+3, t.expressionEnd(i+3))
			s.local[t.word(i+1)] = func() thing { return element(s.inferText(expr)) }
		case t.is(i, "lambda") && t.is(i+2, ":"):
			s.local[t.word(i+1)] = func() thing { return s.lambdaArgument(before) }
		case t.is(i+1, "=") && (i == 0 || t.toks[i-1].kind == newlineToken || t.is(i-1, ";")):
			expr := t.between(i+2, t.expressionEnd(i+2))
			name := t.word(i)
			if expr != "" && t.toks[i].start < len(before.src) {
				outer := s.local[name]
				s.local[name] = func() thing {
					// x = x.f() speaks of the x before it
					inner := &scope{env: s.env, local: map[string]func() thing{}, depth: s.depth + 1}
					for n, d := range s.local {
						inner.local[n] = d
					}
					inner.local[name] = outer
					return inner.inferText(expr)
				}
			}
		}
	}
	return s
}

// expressionEnd gives the last token of the expression that begins at token i.
func (t text) expressionEnd(i int) int {
	depth := 0
	for ; i < len(t.toks); i++ {
		if depth == 0 && (t.toks[i].kind == newlineToken || t.is(i, "if") || t.is(i, "for") || t.is(i, ":") || t.is(i, ",") || t.is(i, ";")) {
			break
		}
		if t.toks[i].kind != opToken {
			continue
		}
		switch t.word(i) {
		case "(", "[", "{":
			depth++
		case ")", "]", "}":
			depth--
		}
		if depth < 0 {
			break
		}
	}
	return i - 1
}

// lambdaArgument tells what a function gets that is written in a call of a
// collection's method: an element.
func (s *scope) lambdaArgument(t text) thing {
	open := t.open()
	for i := len(open) - 1; i >= 0; i-- {
		if fn, ok := s.callee(t, open[i]); ok && fn.recv != nil {
			return element(*fn.recv)
		}
	}
	return thing{}
}

// callee tells what is called with the bracket.
func (s *scope) callee(t text, b bracket) (fn thing, ok bool) {
	if !t.is(b.at, "(") {
		return fn, false
	}
	first := t.primary(b.at - 1)
	if first < 0 || t.is(first-1, "def") {
		return fn, false
	}
	fn = s.inferText(t.between(first, b.at-1))
	return fn, fn.entry != nil || fn.value != nil
}

// arguments lists the parameters that an argument which begins after token
// prev can name.
func (e *Engine) arguments(s *scope, t text, prev int) []Candidate {
	open := t.open()
	if len(open) == 0 {
		return nil
	}
	b := open[len(open)-1]
	if prev != b.argument-1 {
		return nil
	}
	fn, ok := s.callee(t, b)
	if !ok {
		return nil
	}
	given := map[string]bool{}
	positional := 0
	start, depth := b.at+1, 0
	for i := b.at + 1; i < b.argument; i++ {
		switch {
		case t.is(i, "(") || t.is(i, "[") || t.is(i, "{"):
			depth++
		case t.is(i, ")") || t.is(i, "]") || t.is(i, "}"):
			depth--
		case depth == 0 && t.is(i, ","):
			if t.is(start+1, "=") {
				given[t.word(start)] = true
			} else {
				positional++
			}
			start = i + 1
		}
	}
	var out []Candidate
	add := func(i int, name, doc string) {
		if i >= positional && !given[name] && !strings.HasPrefix(name, "*") {
			out = append(out, Candidate{Text: name + "=", Label: name + "=", Kind: Parameter, Doc: doc})
		}
	}
	if fn.entry != nil {
		for i, p := range fn.entry.Params {
			at := i
			if p.KwOnly {
				at = len(fn.entry.Params) + positional
			}
			add(at, p.Name, p.Doc)
			if strings.HasPrefix(p.Name, "**") && fn.recv != nil { // fields of the elements
				for _, c := range attributes(element(*fn.recv)) {
					if c.Kind == Attribute {
						add(positional, c.Text, c.Doc)
					}
				}
			}
		}
		return out
	}
	if f, ok := fn.value.(*starlark.Function); ok {
		for i := range f.NumParams() {
			name, _ := f.Param(i)
			add(i, name, "")
		}
	}
	return out
}

// names lists everything that has a name.
func names(s *scope) []Candidate {
	var out []Candidate
	for name := range s.local {
		if s.env[name] == nil {
			out = append(out, Candidate{Text: name, Label: name, Kind: Variable})
		}
	}
	value := func(name string, v starlark.Value) {
		c := Candidate{Text: name, Label: name, Kind: Variable}
		switch v := v.(type) {
		case *starlark.Builtin:
			c.Kind, c.Label = Function, name+"()"
			if e, ok := builtins.EntryOf(v); ok {
				c.Doc = firstSentence(e.Doc)
			}
		case *starlark.Function:
			c.Kind, c.Label, c.Doc = Function, name+"()", firstSentence(v.Doc())
		}
		out = append(out, c)
	}
	for name, v := range s.env {
		value(name, v)
	}
	for name, v := range starlark.Universe {
		if s.env[name] == nil {
			value(name, v)
		}
	}
	for word := range keywords {
		out = append(out, Candidate{Text: word, Label: word, Kind: Keyword})
	}
	slices.SortFunc(out, func(a, b Candidate) int { return strings.Compare(a.Text, b.Text) })
	return out
}

// matching keeps the candidates that begin with the prefix; when none does,
// those that do but for upper and lower case.
func matching(all []Candidate, prefix string) []Candidate {
	keep := func(match func(string) bool) []Candidate {
		var out []Candidate
		for _, c := range all {
			if match(c.Text) && (!strings.HasPrefix(c.Text, "_") || strings.HasPrefix(prefix, "_")) {
				out = append(out, c)
			}
		}
		return out
	}
	if out := keep(func(s string) bool { return strings.HasPrefix(s, prefix) }); len(out) > 0 {
		return out
	}
	return keep(func(s string) bool { return strings.HasPrefix(strings.ToLower(s), strings.ToLower(prefix)) })
}

// command completes what follows a colon.
func (e *Engine) command(ctx context.Context, before string) Result {
	colon := strings.IndexByte(before, ':')
	word, arg, hasArg := strings.Cut(before[colon+1:], " ")
	pos := len(before)
	if !hasArg {
		res := Result{Start: colon + 1, End: pos}
		for _, c := range e.Commands {
			if strings.HasPrefix(c.Name, word) {
				res.Candidates = append(res.Candidates, Candidate{Text: c.Name, Label: ":" + c.Name, Kind: Command, Doc: c.Summary})
			}
		}
		return res
	}
	arg = arg[strings.LastIndexByte(arg, ' ')+1:]
	res := Result{Start: pos - len(arg), End: pos}
	for _, c := range e.Commands {
		if c.Name != word || c.Complete == nil {
			continue
		}
		for _, s := range c.Complete(ctx) {
			if strings.HasPrefix(s, arg) {
				res.Candidates = append(res.Candidates, Candidate{Text: s, Label: s, Kind: Value})
			}
		}
	}
	return res
}

// Help gives the help text on an expression, which is not run: help on its
// value, or on what it would give.
func (e *Engine) Help(src string) (string, error) {
	if src == "" {
		return builtins.Help(starlark.None)
	}
	expr, err := session.Dialect().ParseExpr("", src, 0)
	if err != nil {
		return builtins.Help(starlark.String(src))
	}
	s := e.scope("", text{})
	switch x := expr.(type) {
	case *syntax.Literal:
		if topic, ok := x.Value.(string); ok {
			return builtins.Help(starlark.String(topic))
		}
	case *syntax.DotExpr:
		recv := s.infer(x.X)
		if _, ok := builtins.Lookup(recv.typ, x.Name.Name); ok {
			return builtins.Help(starlark.String(recv.typ + "." + x.Name.Name))
		}
	}
	x := s.infer(expr)
	switch {
	case x.typ == "string": // its value would be taken for a topic
		return "a string, a value of Starlark itself\n", nil
	case x.value != nil:
		return builtins.Help(x.value)
	case types()[x.typ].Name != "":
		return builtins.Help(starlark.String(x.typ))
	case sample(x.typ) != nil:
		return builtins.Help(sample(x.typ))
	}
	return builtins.Help(starlark.String(src))
}
