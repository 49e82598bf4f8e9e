// Package vet finds mistakes in scripts without running them: text that does
// not parse, names that nothing defines, loads that will fail, arguments
// declared in a way that help and completion cannot see, keywords that a call
// does not have, and comparisons with a text that can never be equal.
//
// What it reports as an error fails or is meaningless whenever it is reached.
// It does not know the types of values: an attribute that is an enumeration of
// the language is taken for it wherever it appears, except below .raw.
package vet

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/session"
	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// Options say what the language is and where files are.
type Options struct {
	Names      []string             // predeclared names
	Enums      map[string][]string  // the attributes whose strings are a closed set; see builtins.Enumerations
	Signatures map[string]Signature // see Signatures

	// Dir is where relative loads of a file without a path begin.
	Dir string
	// Read gives the text of a module: of the file of an absolute path, or of a
	// label "@meshlark//file". Nil leaves loads unchecked.
	Read func(where string) (string, error)

	// WantChecks warns of a file that records no check.
	WantChecks bool
}

// A Signature is what a function or method takes by keyword.
type Signature struct {
	Params map[string][]string // the values of each that are allowed, nil for any
	Rest   bool                // whether other keywords are taken
	Fields bool                // whether those are names of attributes, whose values Options.Enums knows
}

// Signatures makes signatures of the entries of the registry, by the form in
// which they are called: "proxies" a function, "json.decode" a function of a
// module, ".clusters" a method of any type that has it; those of several types
// are united.
func Signatures(entries []builtins.Entry) map[string]Signature {
	modules := map[string]bool{}
	for _, e := range entries {
		if e.Kind == builtins.Module {
			modules[e.Name] = true
		}
	}
	out := map[string]Signature{}
	for _, e := range entries {
		if e.Kind != builtins.Function && e.Kind != builtins.Method {
			continue
		}
		key := e.Name
		switch {
		case modules[e.Recv]:
			key = e.Recv + "." + e.Name
		case e.Recv != "":
			key = "." + e.Name
		}
		sig, again := out[key]
		if !again {
			sig.Params = map[string][]string{}
		}
		for _, p := range e.Params {
			if strings.HasPrefix(p.Name, "**") {
				sig.Rest = true
				sig.Fields = sig.Fields || e.Kind == builtins.Method && p.Name == "**fields"
				continue
			}
			if strings.HasPrefix(p.Name, "*") {
				continue
			}
			values := slices.Concat(p.Enum, p.Free)
			if len(p.Enum) == 0 {
				values = nil
			}
			if prior, has := sig.Params[p.Name]; has && (prior == nil || values == nil) {
				values = nil // any value is right for one of the types
			} else {
				values = append(values, prior...)
			}
			sig.Params[p.Name] = values
		}
		out[key] = sig
	}
	return out
}

// A Severity says how bad a problem is.
type Severity string

// The severities of problems.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// A Problem is one mistake.
type Problem struct {
	Pos      syntax.Position
	Severity Severity
	Msg      string // one sentence, without position
	Line     string // the source line
}

// String gives position, severity if it is not an error, and message.
func (p Problem) String() string {
	if p.Severity == Error {
		return fmt.Sprintf("%s: %s", p.Pos, p.Msg)
	}
	return fmt.Sprintf("%s: %s: %s", p.Pos, p.Severity, p.Msg)
}

// File checks the text of a file. Positions carry the file name; path is the
// absolute path or the label of the file, from which its loads begin, and may
// be empty. Problems are in the order of the file.
func File(filename, path, src string, o Options) []Problem {
	c := &checker{o: o, src: src, lines: strings.Split(src, "\n"), path: path}
	f, err := session.Parse(filename, src)
	if err != nil {
		c.add(err)
		return c.problems
	}
	info := session.InspectFile(f, src)
	for _, p := range info.Problems {
		c.add(p)
	}
	c.shadowed = boundAnywhere(f)
	c.loads(f)
	for _, stmt := range f.Stmts {
		syntax.Walk(stmt, c.visit)
	}
	if o.WantChecks && !info.Records {
		c.report(Warning, syntax.MakePosition(&filename, 1, 1), "the runbook records nothing: it calls neither check(...) nor skip(...)")
	}
	// Resolving marks the tree, so it comes last.
	predeclared := func(name string) bool { return slices.Contains(o.Names, name) }
	if err := resolve.File(f, predeclared, starlark.Universe.Has); err != nil {
		names := slices.Concat(session.FileNames(f, false), o.Names, starlark.Universe.Keys())
		c.add(session.NewNameError(err, src, names))
	}
	slices.SortStableFunc(c.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Col, b.Pos.Col))
	})
	return c.problems
}

// A checker checks one file.
type checker struct {
	o        Options
	src      string
	lines    []string
	path     string
	shadowed map[string]bool // names that the file binds anywhere
	problems []Problem
}

// add takes over an error of the session package and all that follow it.
func (c *checker) add(err error) {
	var e *session.Error
	if !errors.As(err, &e) {
		c.report(Error, syntax.Position{}, "%v", err)
		return
	}
	c.report(Error, e.Pos, "%s", e.Msg)
	for _, more := range e.More {
		c.report(Error, more.Pos, "%s", more.Msg)
	}
}

func (c *checker) report(s Severity, pos syntax.Position, format string, args ...any) {
	p := Problem{Pos: pos, Severity: s, Msg: fmt.Sprintf(format, args...)}
	if i := int(pos.Line) - 1; i >= 0 && i < len(c.lines) {
		p.Line = strings.TrimRight(c.lines[i], "\r")
	}
	c.problems = append(c.problems, p)
}

// boundAnywhere lists the names that the file binds in any scope: what they
// mean where they are used is not followed.
func boundAnywhere(f *syntax.File) map[string]bool {
	bound := map[string]bool{}
	for _, name := range session.FileNames(f, false) {
		bound[name] = true
	}
	var target func(syntax.Expr)
	target = func(x syntax.Expr) {
		switch x := x.(type) {
		case *syntax.Ident:
			bound[x.Name] = true
		case *syntax.ParenExpr:
			target(x.X)
		case *syntax.TupleExpr:
			for _, e := range x.List {
				target(e)
			}
		case *syntax.ListExpr:
			for _, e := range x.List {
				target(e)
			}
		case *syntax.UnaryExpr: // *args, **kwargs
			if x.X != nil {
				target(x.X)
			}
		case *syntax.BinaryExpr: // name=default
			target(x.X)
		}
	}
	params := func(xs []syntax.Expr) {
		for _, x := range xs {
			target(x)
		}
	}
	for _, stmt := range f.Stmts {
		syntax.Walk(stmt, func(n syntax.Node) bool {
			switch n := n.(type) {
			case *syntax.DefStmt:
				target(n.Name)
				params(n.Params)
			case *syntax.LambdaExpr:
				params(n.Params)
			case *syntax.AssignStmt:
				target(n.LHS)
			case *syntax.ForStmt:
				target(n.Vars)
			case *syntax.ForClause:
				target(n.Vars)
			}
			return true
		})
	}
	return bound
}
