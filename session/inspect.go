package session

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/builtins"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// Info is what a file declares, found by [Inspect] without running it.
type Info struct {
	Doc      string    // the string that begins the file, without the indentation of its lines
	Args     []Arg     // in the order of the file
	Loads    []Load    // in the order of the file
	Checks   []CheckID // the checks whose id is a literal, each id once
	Records  bool      // whether the file calls check or skip at all, in whatever form
	Problems []*Error  // calls of arg that are not as they must be; such a file does not run
}

// An Arg is an argument that a file declares.
type Arg struct {
	builtins.ArgSpec                 // with its type, and a default of that type
	Var              string          // the variable it is assigned to
	Pos              syntax.Position // of the call of arg
}

// A Load is a load statement.
type Load struct {
	Module string
	Names  []string // as the module calls them
	Pos    syntax.Position
}

// A CheckID is the literal id of a check.
type CheckID struct {
	ID  string
	Pos syntax.Position
}

const argForm = `arg(...) must be the value of a top-level assignment, with literals as parameters: name = arg("name", default="...")`

// Inspect tells what the text of a file declares. Its error is the [*Error] of
// a text that does not parse.
func Inspect(filename, src string) (*Info, error) {
	f, err := Parse(filename, src)
	if err != nil {
		return nil, err
	}
	return InspectFile(f, src), nil
}

// InspectFile is [Inspect] for a text that is parsed already.
func InspectFile(f *syntax.File, src string) *Info {
	info := new(Info)
	problem := func(pos syntax.Position, format string, args ...any) {
		info.Problems = append(info.Problems, &Error{Kind: NameError, Pos: pos, Line: sourceLine(src, int(pos.Line)), Msg: fmt.Sprintf(format, args...)})
	}
	if len(f.Stmts) > 0 {
		if x, ok := f.Stmts[0].(*syntax.ExprStmt); ok {
			if lit, ok := x.X.(*syntax.Literal); ok && lit.Token == syntax.STRING {
				info.Doc = dedent(lit.Value.(string))
			}
		}
	}
	// A file that defines one of these names itself means its own.
	own := FileNames(f, false)
	calls := func(c *syntax.CallExpr, name string) bool {
		id, ok := c.Fn.(*syntax.Ident)
		return ok && id.Name == name && !slices.Contains(own, name)
	}

	declared := map[*syntax.CallExpr]bool{}
	for _, stmt := range f.Stmts {
		switch stmt := stmt.(type) {
		case *syntax.LoadStmt:
			l := Load{Module: stmt.ModuleName(), Pos: stmt.Load}
			for _, id := range stmt.From {
				l.Names = append(l.Names, id.Name)
			}
			info.Loads = append(info.Loads, l)
		case *syntax.AssignStmt:
			call, ok := stmt.RHS.(*syntax.CallExpr)
			if !ok || !calls(call, "arg") {
				continue
			}
			id, ok := stmt.LHS.(*syntax.Ident)
			if !ok || stmt.Op != syntax.EQ {
				continue
			}
			declared[call] = true
			pos := syntax.Start(call)
			spec, at, err := argSpec(call)
			if err != nil {
				problem(at, "%v", err)
				continue
			}
			if prior := info.Arg(spec.Name); prior != nil {
				problem(pos, "argument %s is declared at line %d already", spec.Name, prior.Pos.Line)
				continue
			}
			if spec.Positional {
				if i := slices.IndexFunc(info.Args, func(a Arg) bool { return a.Positional }); i >= 0 {
					problem(pos, "only one argument can be positional, and %s is", info.Args[i].Name)
					continue
				}
			}
			info.Args = append(info.Args, Arg{ArgSpec: spec, Var: id.Name, Pos: pos})
		}
	}

	for _, stmt := range f.Stmts {
		syntax.Walk(stmt, func(n syntax.Node) bool {
			call, ok := n.(*syntax.CallExpr)
			if !ok {
				return true
			}
			switch {
			case calls(call, "arg"):
				if !declared[call] {
					problem(syntax.Start(call), "%s", argForm)
				}
			case calls(call, "skip"):
				info.Records = true
			case calls(call, "check"):
				info.Records = true
				id, ok := checkID(call)
				if ok && !slices.ContainsFunc(info.Checks, func(c CheckID) bool { return c.ID == id }) {
					info.Checks = append(info.Checks, CheckID{ID: id, Pos: syntax.Start(call)})
				}
			}
			return true
		})
	}
	slices.SortStableFunc(info.Problems, func(a, b *Error) int { return comparePos(a.Pos, b.Pos) })
	return info
}

// Arg is the declared argument of that name, or nil.
func (i *Info) Arg(name string) *Arg {
	for j := range i.Args {
		if i.Args[j].Name == name {
			return &i.Args[j]
		}
	}
	return nil
}

// Runnable reports whether the file can run without arguments: all have defaults.
func (i *Info) Runnable() bool {
	return !slices.ContainsFunc(i.Args, func(a Arg) bool { return a.Default == nil })
}

// Summary is the first sentence of the documentation, without its full stop.
func (i *Info) Summary() string {
	text, _, _ := strings.Cut(i.Doc, "\n\n")
	text = strings.Join(strings.Fields(text), " ")
	if j := strings.Index(text, ". "); j >= 0 {
		text = text[:j]
	}
	return strings.TrimSuffix(text, ".")
}

// problem gives the problems as one error.
func (i *Info) problem() error {
	first := *i.Problems[0]
	first.More = i.Problems[1:]
	return &first
}

func checkID(call *syntax.CallExpr) (string, bool) {
	for i, x := range call.Args {
		if b, ok := x.(*syntax.BinaryExpr); ok && b.Op == syntax.EQ {
			if id, ok := b.X.(*syntax.Ident); !ok || id.Name != "id" {
				continue
			}
			x = b.Y
		} else if i > 0 {
			continue
		}
		if lit, ok := x.(*syntax.Literal); ok && lit.Token == syntax.STRING {
			return lit.Value.(string), true
		}
		return "", false
	}
	return "", false
}

// argParams are the parameters of arg in their order.
var argParams = []string{"name", "default", "type", "doc", "enum", "positional"}

// argSpec reads the parameters of a call of arg. An error comes with its position.
func argSpec(call *syntax.CallExpr) (spec builtins.ArgSpec, at syntax.Position, err error) {
	given := map[string]bool{}
	for i, x := range call.Args {
		at = syntax.Start(x)
		name := ""
		if b, ok := x.(*syntax.BinaryExpr); ok && b.Op == syntax.EQ {
			name = b.X.(*syntax.Ident).Name
			x = b.Y
			if !slices.Contains(argParams, name) {
				return spec, at, fmt.Errorf("arg has no parameter %s%s; it has: %s", name, didYouMean(name, argParams), strings.Join(argParams, ", "))
			}
		} else if i < len(argParams) {
			name = argParams[i]
		} else {
			return spec, at, fmt.Errorf("arg takes %d parameters at most", len(argParams))
		}
		if given[name] {
			return spec, at, fmt.Errorf("parameter %s of arg is given twice", name)
		}
		given[name] = true
		v, ok := literal(x)
		if !ok {
			return spec, syntax.Start(x), fmt.Errorf("parameter %s of arg is not a literal: %s", name, argForm)
		}
		if err := setParam(&spec, name, v); err != nil {
			return spec, syntax.Start(x), err
		}
	}
	at = syntax.Start(call)
	return spec, at, completeSpec(&spec)
}

func setParam(spec *builtins.ArgSpec, name string, v starlark.Value) error {
	var text *string
	switch name {
	case "name":
		text = &spec.Name
	case "type":
		text = &spec.Type
	case "doc":
		text = &spec.Doc
	case "default":
		spec.Default = v
		return nil
	case "positional":
		b, ok := v.(starlark.Bool)
		if !ok {
			return fmt.Errorf("parameter positional of arg is a %s, not a bool", v.Type())
		}
		spec.Positional = bool(b)
		return nil
	case "enum":
		seq, ok := v.(starlark.Iterable)
		if !ok {
			return fmt.Errorf("parameter enum of arg is a %s, not a list of strings", v.Type())
		}
		for x := range starlark.Elements(seq) {
			s, ok := starlark.AsString(x)
			if !ok {
				return fmt.Errorf("parameter enum of arg holds a %s, not only strings", x.Type())
			}
			spec.Enum = append(spec.Enum, s)
		}
		return nil
	}
	s, ok := starlark.AsString(v)
	if !ok {
		return fmt.Errorf("parameter %s of arg is a %s, not a string", name, v.Type())
	}
	*text = s
	return nil
}

// literal evaluates an expression that is written out: numbers, strings (also
// joined by +), True, False, None, and lists and tuples of them.
func literal(x syntax.Expr) (starlark.Value, bool) {
	switch x := x.(type) {
	case *syntax.Literal:
		switch v := x.Value.(type) {
		case string:
			if x.Token == syntax.STRING {
				return starlark.String(v), true
			}
		case int64:
			return starlark.MakeInt64(v), true
		case *big.Int:
			return starlark.MakeBigInt(v), true
		case float64:
			return starlark.Float(v), true
		}
	case *syntax.Ident:
		switch x.Name {
		case "True":
			return starlark.True, true
		case "False":
			return starlark.False, true
		case "None":
			return starlark.None, true
		}
	case *syntax.ParenExpr:
		return literal(x.X)
	case *syntax.UnaryExpr:
		if v, ok := literal(x.X); ok && x.Op == syntax.MINUS {
			switch v := v.(type) {
			case starlark.Int:
				return starlark.MakeInt(0).Sub(v), true
			case starlark.Float:
				return -v, true
			}
		}
	case *syntax.BinaryExpr:
		if x.Op != syntax.PLUS {
			return nil, false
		}
		a, okA := literal(x.X)
		b, okB := literal(x.Y)
		if okA && okB {
			s, okS := a.(starlark.String)
			t, okT := b.(starlark.String)
			return s + t, okS && okT
		}
	case *syntax.ListExpr:
		elems, ok := literals(x.List)
		list := starlark.NewList(elems)
		list.Freeze()
		return list, ok
	case *syntax.TupleExpr:
		elems, ok := literals(x.List)
		return starlark.Tuple(elems), ok
	}
	return nil, false
}

func literals(xs []syntax.Expr) ([]starlark.Value, bool) {
	elems := make([]starlark.Value, len(xs))
	for i, x := range xs {
		v, ok := literal(x)
		if !ok {
			return nil, false
		}
		elems[i] = v
	}
	return elems, true
}

// dedent strips the space around a documentation string and the indentation
// that all its lines but the first have.
func dedent(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	common := -1
	for _, line := range lines[1:] {
		if body := strings.TrimLeft(line, " \t"); body != "" {
			if n := len(line) - len(body); common < 0 || n < common {
				common = n
			}
		}
	}
	for i, line := range lines {
		if i > 0 && common > 0 && len(line) >= common {
			line = line[common:]
		}
		lines[i] = strings.TrimRight(line, " \t\r")
	}
	return strings.Join(lines, "\n")
}
