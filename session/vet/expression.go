package vet

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/builtins"
	"go.starlark.net/syntax"
)

// visit checks one node of the tree; it is a function for syntax.Walk.
func (c *checker) visit(n syntax.Node) bool {
	switch n := n.(type) {
	case *syntax.CallExpr:
		c.call(n)
	case *syntax.BinaryExpr:
		c.comparison(n)
	}
	return true
}

// comparison reports x.attr == "literal" and x.attr in ["literal", ...] when
// the attribute never has that value.
func (c *checker) comparison(b *syntax.BinaryExpr) {
	switch b.Op {
	case syntax.EQL, syntax.NEQ:
		x, y := b.X, b.Y
		if _, ok := text(x); ok {
			x, y = y, x
		}
		c.never(x, y, b.Op)
	case syntax.IN, syntax.NOT_IN:
		for _, y := range elements(b.Y) {
			c.never(b.X, y, b.Op)
		}
	}
}

// never reports literal if the attribute that x is never has its value.
func (c *checker) never(x, literal syntax.Expr, op syntax.Token) {
	value, ok := text(literal)
	if !ok {
		return
	}
	dot, ok := unparen(x).(*syntax.DotExpr)
	if !ok || belowRaw(dot.X) {
		return
	}
	values, ok := c.o.Enums[dot.Name.Name]
	if !ok || slices.Contains(values, value) {
		return
	}
	what := "is never"
	if op == syntax.NEQ || op == syntax.NOT_IN {
		what = "is always different from"
	}
	c.report(Error, syntax.Start(literal), ".%s %s %q%s", dot.Name.Name, what, value, choose(value, values))
}

// call checks the keywords of a call, and literal values of those that are
// enumerations.
func (c *checker) call(call *syntax.CallExpr) {
	name, sig, ok := c.signature(call.Fn)
	if !ok {
		return
	}
	for _, arg := range call.Args {
		kw, ok := arg.(*syntax.BinaryExpr)
		if !ok || kw.Op != syntax.EQ {
			continue
		}
		id := kw.X.(*syntax.Ident)
		values, known := sig.Params[id.Name]
		if !known && !sig.Rest {
			var names []string
			for p := range sig.Params {
				names = append(names, p)
			}
			slices.Sort(names)
			hint := "; it has none"
			if n := builtins.Nearest(id.Name, names); n != "" {
				hint = " (did you mean " + n + "?)"
			} else if len(names) > 0 {
				hint = "; it has: " + strings.Join(names, ", ")
			}
			c.report(Error, id.NamePos, "%s has no parameter %s%s", name, id.Name, hint)
			continue
		}
		if !known && sig.Fields {
			values = c.o.Enums[id.Name]
		}
		if values == nil {
			continue
		}
		given := elements(kw.Y)
		if given == nil {
			given = []syntax.Expr{kw.Y}
		}
		for _, x := range given {
			if value, ok := text(x); ok && !slices.Contains(values, value) {
				c.report(Error, syntax.Start(x), "%s of %s is never %q%s", id.Name, name, value, choose(value, values))
			}
		}
	}
}

// signature finds the signature of what is called.
func (c *checker) signature(fn syntax.Expr) (name string, sig Signature, ok bool) {
	switch fn := fn.(type) {
	case *syntax.Ident:
		if c.shadowed[fn.Name] {
			return "", sig, false
		}
		sig, ok = c.o.Signatures[fn.Name]
		return fn.Name, sig, ok
	case *syntax.DotExpr:
		if x, isName := fn.X.(*syntax.Ident); isName && !c.shadowed[x.Name] {
			name = x.Name + "." + fn.Name.Name
			if sig, ok = c.o.Signatures[name]; ok {
				return name, sig, true
			}
		}
		if belowRaw(fn.X) {
			return "", sig, false
		}
		name = "." + fn.Name.Name
		sig, ok = c.o.Signatures[name]
		return name, sig, ok
	}
	return "", sig, false
}

// choose tells which values there are.
func choose(value string, values []string) string {
	if n := builtins.Nearest(value, values); n != "" && len(value) > 1 {
		return fmt.Sprintf(" (did you mean %q?)", n)
	}
	return "; it is one of " + strings.Join(values, ", ")
}

// belowRaw reports whether an expression goes through the attribute raw, below
// which names are those of the resource's JSON.
func belowRaw(x syntax.Expr) bool {
	for {
		switch e := x.(type) {
		case *syntax.DotExpr:
			if e.Name.Name == "raw" {
				return true
			}
			x = e.X
		case *syntax.IndexExpr:
			x = e.X
		case *syntax.SliceExpr:
			x = e.X
		case *syntax.ParenExpr:
			x = e.X
		case *syntax.CallExpr:
			x = e.Fn
		default:
			return false
		}
	}
}

func unparen(x syntax.Expr) syntax.Expr {
	for {
		p, ok := x.(*syntax.ParenExpr)
		if !ok {
			return x
		}
		x = p.X
	}
}

// text is the value of a string literal.
func text(x syntax.Expr) (string, bool) {
	lit, ok := unparen(x).(*syntax.Literal)
	if !ok || lit.Token != syntax.STRING {
		return "", false
	}
	return lit.Value.(string), true
}

// elements lists the elements of a list or tuple that is written out, and the
// keys of a dict.
func elements(x syntax.Expr) []syntax.Expr {
	switch x := unparen(x).(type) {
	case *syntax.ListExpr:
		return x.List
	case *syntax.TupleExpr:
		return x.List
	case *syntax.DictExpr:
		var keys []syntax.Expr
		for _, e := range x.List {
			if entry, ok := e.(*syntax.DictEntry); ok {
				keys = append(keys, entry.Key)
			}
		}
		return keys
	}
	return nil
}
