package complete

import (
	"slices"
	"strings"
	"sync"

	startime "go.starlark.net/lib/time"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/session"
)

// thing is what is known of an expression without running it: its value, or
// else the name of its type.
type thing struct {
	value starlark.Value  // nil when it would have to be computed
	typ   string          // as the registry names it; "" when unknown
	elem  *thing          // of a list: what is known of its elements
	entry *builtins.Entry // of a function or method
	recv  *thing          // of a method: what it belongs to
	enum  []string        // of a field that is one of some strings
}

// scope is what names mean where the text ends.
type scope struct {
	env   starlark.StringDict
	local map[string]func() thing
	depth int // of locals that depend on each other
}

// lookup tells what a name means.
func (s *scope) lookup(name string) thing {
	if def := s.local[name]; def != nil {
		if s.depth > 8 {
			return thing{}
		}
		s.depth++
		defer func() { s.depth-- }()
		return def()
	}
	if v := s.env[name]; v != nil {
		return known(v)
	}
	if v := starlark.Universe[name]; v != nil {
		return known(v)
	}
	return thing{}
}

// known is a thing whose value is at hand.
func known(v starlark.Value) thing {
	t := thing{value: v, typ: v.Type()}
	if fn, ok := v.(*starlark.Builtin); ok {
		if e, ok := builtins.EntryOf(fn); ok {
			t.entry = &e
			if r := fn.Receiver(); r != nil {
				recv := known(r)
				t.recv = &recv
			}
		}
	}
	return t
}

// ofType is a thing of which the registry tells the type, such as
// "string | None".
func ofType(returns string) thing {
	for alt := range strings.SplitSeq(returns, "|") {
		alt = strings.TrimSpace(alt)
		if alt != "" && alt != "None" && alt != "any" {
			return thing{typ: alt}
		}
	}
	return thing{}
}

// inferText tells what is known of an expression by its source.
func (s *scope) inferText(src string) thing {
	expr, err := session.Dialect().ParseExpr("", src, 0)
	if err != nil {
		return thing{}
	}
	return s.infer(expr)
}

func (s *scope) infer(x syntax.Expr) thing {
	switch x := x.(type) {
	case *syntax.Ident:
		return s.lookup(x.Name)
	case *syntax.ParenExpr:
		return s.infer(x.X)
	case *syntax.Literal:
		switch v := x.Value.(type) {
		case string:
			return known(starlark.String(v))
		case int64:
			return known(starlark.MakeInt64(v))
		}
	case *syntax.DotExpr:
		return attribute(s.infer(x.X), x.Name.Name)
	case *syntax.CallExpr:
		return s.call(x)
	case *syntax.IndexExpr:
		return subscript(s.infer(x.X), x.Y)
	case *syntax.SliceExpr:
		t := s.infer(x.X)
		t.value = nil
		return t
	case *syntax.BinaryExpr:
		if x.Op == syntax.PLUS || x.Op == syntax.OR || x.Op == syntax.AND {
			t := s.infer(x.X)
			t.value = nil
			return t
		}
	case *syntax.CondExpr:
		t := s.infer(x.True)
		t.value = nil
		return t
	case *syntax.ListExpr:
		t := thing{typ: "list"}
		if len(x.List) > 0 {
			first := s.infer(x.List[0])
			t.elem = &first
		}
		return t
	case *syntax.DictExpr:
		return thing{typ: "dict"}
	case *syntax.Comprehension:
		if x.Curly {
			return thing{typ: "dict"}
		}
		body := s.comprehension(x)
		return thing{typ: "list", elem: &body}
	}
	return thing{}
}

// comprehension tells what is known of the elements of one.
func (s *scope) comprehension(x *syntax.Comprehension) thing {
	inner := &scope{env: s.env, local: map[string]func() thing{}, depth: s.depth + 1}
	for name, def := range s.local {
		inner.local[name] = def
	}
	for _, clause := range x.Clauses {
		if f, ok := clause.(*syntax.ForClause); ok {
			if id, ok := f.Vars.(*syntax.Ident); ok {
				elem := element(inner.infer(f.X))
				inner.local[id.Name] = func() thing { return elem }
			}
		}
	}
	if s.depth > 8 {
		return thing{}
	}
	return inner.infer(x.Body)
}

// call tells what a call gives. It calls nothing.
func (s *scope) call(x *syntax.CallExpr) thing {
	fn := s.infer(x.Fn)
	if fn.entry == nil {
		b, ok := fn.value.(*starlark.Builtin)
		if !ok {
			return thing{}
		}
		switch b.Name() {
		case "sorted", "reversed", "list":
			t := thing{typ: "list"}
			if len(x.Args) > 0 {
				elem := element(s.infer(x.Args[0]))
				t.elem = &elem
			}
			return t
		case "str", "repr", "type":
			return thing{typ: "string"}
		case "dict":
			return thing{typ: "dict"}
		}
		if b.Receiver() != nil && b.Receiver().Type() == "string" {
			return stringMethod(b.Name())
		}
		return thing{}
	}
	t := ofType(fn.entry.Returns)
	switch {
	case fn.recv == nil:
	case t.typ == "Collection": // as many as the receiver has, or fewer
		t.typ = fn.recv.typ
	case t.typ == "" && fn.entry.Name == "one":
		t = element(*fn.recv)
	}
	return t
}

// stringMethod tells what a method of a string gives.
func stringMethod(name string) thing {
	switch name {
	case "split", "rsplit", "splitlines", "elems", "partition", "rpartition":
		elem := thing{typ: "string"}
		return thing{typ: "list", elem: &elem}
	case "capitalize", "format", "join", "lower", "lstrip", "removeprefix", "removesuffix", "replace", "rstrip", "strip", "title", "upper":
		return thing{typ: "string"}
	}
	return thing{}
}

// attribute tells what x.name is. It evaluates attributes only where the
// registry does not know their type: those of structs, modules and JSON.
func attribute(x thing, name string) thing {
	if e, ok := builtins.Lookup(x.typ, name); ok {
		if e.Kind != builtins.Field {
			t := thing{entry: &e, recv: &x}
			if v := attrOf(x.value, name); v != nil && e.Kind == builtins.Method {
				t.value, t.typ = v, v.Type()
			}
			return t
		}
		t := ofType(e.Returns)
		t.enum = e.Enum
		if t.typ != "" && !strings.HasPrefix(t.typ, "JSON") {
			return t
		}
		if v := attrOf(x.value, name); v != nil {
			return known(v)
		}
		return t
	}
	if v := attrOf(x.value, name); v != nil {
		return known(v)
	}
	if v := attrOf(sample(x.typ), name); v != nil {
		return known(v)
	}
	return thing{}
}

// attrOf is an attribute of a value, nil when there is none or it cannot be had.
func attrOf(x starlark.Value, name string) (v starlark.Value) {
	h, ok := x.(starlark.HasAttrs)
	if !ok {
		return nil
	}
	defer func() {
		if recover() != nil {
			v = nil
		}
	}()
	v, err := h.Attr(name)
	if err != nil {
		return nil
	}
	return v
}

// subscript tells what x[key] is. Only literal keys are looked up.
func subscript(x thing, key syntax.Expr) thing {
	lit, ok := key.(*syntax.Literal)
	if !ok || x.value == nil {
		return element(x)
	}
	switch k := lit.Value.(type) {
	case string:
		if m, ok := x.value.(starlark.Mapping); ok {
			if v, found, err := m.Get(starlark.String(k)); err == nil && found {
				return known(v)
			}
			return thing{}
		}
	case int64:
		if m, ok := x.value.(starlark.Mapping); ok {
			if v, found, err := m.Get(starlark.MakeInt64(k)); err == nil && found {
				return known(v)
			}
			return thing{}
		}
		if seq, ok := x.value.(starlark.Indexable); ok && k >= 0 && k < int64(seq.Len()) {
			return known(seq.Index(int(k)))
		}
	}
	return element(x)
}

// element tells what the elements of x are.
func element(x thing) thing {
	if x.elem != nil {
		return *x.elem
	}
	if t, ok := types()[x.typ]; ok && t.Elem != "" {
		return thing{typ: t.Elem}
	}
	if x.value != nil {
		if seq, ok := x.value.(starlark.Indexable); ok && seq.Len() > 0 && x.typ != "string" {
			return known(seq.Index(0))
		}
	}
	return thing{}
}

var types = sync.OnceValue(func() map[string]builtins.Type {
	m := map[string]builtins.Type{}
	for _, t := range builtins.Types() {
		m[t.Name] = t
	}
	return m
})

// sample is a value of one of Starlark's own types, for its attributes.
func sample(typ string) starlark.Value {
	switch typ {
	case "string":
		return starlark.String("")
	case "list":
		return starlark.NewList(nil)
	case "dict":
		return starlark.NewDict(0)
	case "bytes":
		return starlark.Bytes("")
	case "set":
		return starlark.NewSet(0)
	case "time.time":
		return startime.Time{}
	case "time.duration":
		return startime.Duration(0)
	}
	return nil
}

// attributes lists what can follow a dot after x.
func attributes(x thing) []Candidate {
	var out []Candidate
	seen := map[string]bool{}
	add := func(c Candidate) {
		if !seen[c.Text] {
			seen[c.Text] = true
			out = append(out, c)
		}
	}
	for t, ok := types()[x.typ]; ok; t, ok = types()[t.Base] {
		for _, e := range t.Entries() {
			add(entryCandidate(e))
		}
	}
	v := x.value
	if v == nil {
		v = sample(x.typ)
	}
	if h, ok := v.(starlark.HasAttrs); ok {
		for _, name := range h.AttrNames() {
			c := Candidate{Text: name, Label: name, Kind: Attribute}
			if !isIdentifier(name) || seen[name] {
				continue
			}
			if e, ok := builtins.Lookup(x.typ, name); ok {
				c = entryCandidate(e)
			} else if _, ok := attrOf(v, name).(starlark.Callable); ok {
				c.Kind, c.Label = Method, name+"()"
			}
			add(c)
		}
	}
	slices.SortFunc(out, func(a, b Candidate) int { return strings.Compare(a.Text, b.Text) })
	return out
}

func entryCandidate(e builtins.Entry) Candidate {
	c := Candidate{Text: e.Name, Label: e.Name, Kind: Attribute, Doc: firstSentence(e.Doc)}
	switch e.Kind {
	case builtins.Method:
		c.Kind, c.Label = Method, e.Name+"()"
	case builtins.Function:
		c.Kind, c.Label = Function, e.Name+"()"
	}
	return c
}

func firstSentence(doc string) string {
	if i := strings.Index(doc, ". "); i >= 0 {
		return doc[:i+1]
	}
	return doc
}

func isIdentifier(s string) bool {
	toks := scan(s)
	return len(toks) == 1 && toks[0].kind == nameToken && toks[0].end == len(s) && !keywords[s]
}
