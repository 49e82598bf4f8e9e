package session

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// Dialect gives the options under which files are parsed: sets, while loops,
// control flow and reassignment at top level, and recursion. Prompts and files
// share them, so that text can move between the two.
func Dialect() *syntax.FileOptions {
	return &syntax.FileOptions{
		Set:             true,
		While:           true,
		TopLevelControl: true,
		GlobalReassign:  true,
		Recursion:       true,
	}
}

// promptDialect is the dialect of a prompt, whose load statements bind names
// that later chunks see.
func promptDialect() *syntax.FileOptions {
	opts := Dialect()
	opts.LoadBindsGlobally = true
	return opts
}

// Parse parses a file under the [Dialect]. Its errors are of type [*Error],
// with the line and a message that knows the habits of people who come from Python.
func Parse(filename, src string) (*syntax.File, error) {
	return parse(Dialect(), filename, src)
}

func parse(opts *syntax.FileOptions, filename, src string) (*syntax.File, error) {
	src = trimBOM(src)
	if err := checkText(filename, src); err != nil {
		return nil, err
	}
	f, err := opts.Parse(filename, src, 0)
	if err != nil {
		return nil, newSyntaxError(err, src)
	}
	return f, nil
}

func trimBOM(src string) string { return strings.TrimPrefix(src, "\ufeff") }

// checkText refuses text that the scanner would take for something else: it
// ends a file at a NUL byte and passes broken UTF-8 on.
func checkText(filename, src string) error {
	at := strings.IndexByte(src, 0)
	msg := "a NUL byte: the file is not text"
	if !utf8.ValidString(src) {
		for i, r := range src {
			if r == utf8.RuneError && !strings.HasPrefix(src[i:], "\ufffd") {
				if at < 0 || i < at {
					at, msg = i, fmt.Sprintf("byte 0x%02x: the file is not UTF-8", src[i])
				}
				break
			}
		}
	}
	if at < 0 {
		return nil
	}
	before := []byte(src[:at])
	line := bytes.Count(before, []byte("\n"))
	col := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
	pos := syntax.MakePosition(&filename, int32(line+1), int32(col+1))
	return &Error{Kind: SyntaxError, Pos: pos, Msg: msg}
}

// Incomplete reports whether src, typed at a prompt, is the beginning of
// something that needs more lines: an open bracket or string, a line that
// continues, or a block, which an empty line ends.
func Incomplete(src string) bool {
	if strings.TrimSpace(src) == "" {
		return false
	}
	lines := strings.Split(strings.TrimSuffix(src, "\n"), "\n")
	last := lines[len(lines)-1]
	if strings.HasSuffix(last, "\\") && !strings.Contains(last, "#") {
		return true
	}
	f, err := promptDialect().Parse("", src+"\n", 0)
	if e, ok := err.(syntax.Error); ok {
		if strings.Contains(e.Msg, "unexpected EOF in string") {
			return true // its position is the beginning of the string
		}
		open := strings.Contains(e.Msg, "end of file") || strings.Contains(e.Msg, "want indent")
		return open && int(e.Pos.Line) >= len(lines)
	}
	if err != nil || len(f.Stmts) == 0 {
		return false
	}
	switch f.Stmts[len(f.Stmts)-1].(type) {
	case *syntax.DefStmt, *syntax.IfStmt, *syntax.ForStmt, *syntax.WhileStmt:
		return strings.TrimSpace(last) != ""
	}
	return false
}

// boundNames lists the names that a statement binds at the top level, in the
// order of their appearance, each once.
func boundNames(stmt syntax.Stmt) []string {
	var names []string
	seen := map[string]bool{}
	add := func(id *syntax.Ident) {
		if !seen[id.Name] {
			seen[id.Name] = true
			names = append(names, id.Name)
		}
	}
	var target func(e syntax.Expr)
	target = func(e syntax.Expr) {
		switch e := e.(type) {
		case *syntax.Ident:
			add(e)
		case *syntax.ParenExpr:
			target(e.X)
		case *syntax.TupleExpr:
			for _, x := range e.List {
				target(x)
			}
		case *syntax.ListExpr:
			for _, x := range e.List {
				target(x)
			}
		}
	}
	syntax.Walk(stmt, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.DefStmt:
			add(n.Name)
			return false
		case *syntax.LambdaExpr, *syntax.Comprehension:
			return false
		case *syntax.AssignStmt:
			target(n.LHS)
		case *syntax.ForStmt:
			target(n.Vars)
		case *syntax.LoadStmt:
			for _, id := range n.To {
				add(id)
			}
			return false
		}
		return true
	})
	return names
}

// FileNames lists the names that a file binds at its top level, in order.
// With exported, only those that another file can load: no loaded names and
// none with a leading underscore.
func FileNames(f *syntax.File, exported bool) []string {
	var names []string
	seen := map[string]bool{}
	for _, stmt := range f.Stmts {
		if _, isLoad := stmt.(*syntax.LoadStmt); isLoad && exported {
			continue
		}
		for _, name := range boundNames(stmt) {
			if seen[name] || exported && strings.HasPrefix(name, "_") {
				continue
			}
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
}

// universe lists the names that every Starlark program has.
func universe() []string { return starlark.Universe.Keys() }
