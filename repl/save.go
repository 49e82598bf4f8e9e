package repl

import (
	"fmt"
	"strings"
	"time"

	"go.starlark.net/syntax"

	"github.com/meshlark/meshlark/session"
)

// script writes statements of a prompt as a file that does the same: the values
// that the prompt showed are printed, and _ is assigned where it is used.
func script(statements []statement, now time.Time) string {
	var b strings.Builder
	b.WriteString("# Saved from the meshlark prompt")
	if !now.IsZero() {
		b.WriteString(" on " + now.Format("2006-01-02 15:04"))
	}
	b.WriteString(".\n")
	for i, st := range statements {
		last := ""
		if st.echo {
			last = "print(%s)"
			if usesLast(statements[i+1:]) {
				last = "_ = %s\nprint(_)"
			}
		}
		b.WriteString("\n" + strings.TrimRight(withLast(st.src, last), " \n") + "\n")
	}
	return b.String()
}

// withLast writes the expression that ends a statement in another way.
func withLast(src, form string) string {
	f, err := session.Parse("", src)
	if form == "" || err != nil || len(f.Stmts) == 0 {
		return src
	}
	expr, ok := f.Stmts[len(f.Stmts)-1].(*syntax.ExprStmt)
	if !ok {
		return src
	}
	at := offset(src, syntax.Start(expr))
	text := strings.TrimRight(src[at:], " \n;")
	if strings.ContainsAny(text, "\n#") {
		text = "(\n" + text + "\n)"
	}
	out := src[:at] + fmt.Sprintf(form, text)
	if _, err := session.Parse("", out); err != nil {
		return src
	}
	return out
}

// offset is where a position is in the text, in bytes. Columns count characters.
func offset(src string, pos syntax.Position) int {
	at := 0
	for range pos.Line - 1 {
		at += strings.IndexByte(src[at:], '\n') + 1
	}
	for range pos.Col - 1 {
		for n := range src[at:] {
			if n > 0 {
				at += n
				break
			}
		}
	}
	return at
}

// usesLast reports whether the statements use _ before one of them gives it
// another value.
func usesLast(statements []statement) bool {
	for _, st := range statements {
		f, err := session.Parse("", st.src)
		if err != nil {
			continue
		}
		found := false
		syntax.Walk(f, func(n syntax.Node) bool {
			if id, ok := n.(*syntax.Ident); ok && id.Name == "_" {
				found = true
			}
			return !found
		})
		if found {
			return true
		}
		if st.echo {
			return false
		}
	}
	return false
}
