// Package reference writes what builtins.Registry says for readers outside the
// program: the reference of the language in Markdown, stubs by which Python
// editors complete and check scripts, and a JSON schema of what `-o json`
// prints.
package reference

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/builtins"
)

// Markdown gives the reference: the functions by name, then each type with its
// fields and methods, then the modules.
func Markdown() string {
	var b strings.Builder
	b.WriteString("# Reference\n\n")
	b.WriteString("Generated from the registry of the language; `go test ./builtins/reference -update` writes it anew.\n")
	b.WriteString("The same text is at the prompt: `help(clusters)`, `help(\"Cluster\")`, `clusters?`.\n\n")
	writeContents(&b)
	b.WriteString("\n## Functions\n")
	for _, e := range functions() {
		writeEntry(&b, e)
	}
	b.WriteString("\n## Types\n")
	for _, t := range objectTypes() {
		fmt.Fprintf(&b, "\n### %s\n\n%s\n", t.Name, t.Doc)
		if t.Elem != "" {
			fmt.Fprintf(&b, "\nA [Collection](#collection) of [%s](#%s).\n", t.Elem, anchor(t.Elem))
		} else if t.Base != "" && t.Base != "Value" {
			fmt.Fprintf(&b, "\nIt has what every [%s](#%s) has as well.\n", t.Base, anchor(t.Base))
		}
		writeFields(&b, t)
		for _, e := range t.Entries() {
			if e.Kind != builtins.Field {
				writeEntry(&b, e)
			}
		}
	}
	b.WriteString("\n## Modules\n")
	for _, m := range modules() {
		fmt.Fprintf(&b, "\n### %s\n\n%s\n", m.Name, m.Doc)
		for _, e := range moduleFunctions(m.Name) {
			writeEntry(&b, e)
		}
	}
	return b.String()
}

func writeContents(b *strings.Builder) {
	list := func(title string, names []string) {
		links := make([]string, len(names))
		for i, n := range names {
			links[i] = fmt.Sprintf("[%s](#%s)", n, anchor(n))
		}
		fmt.Fprintf(b, "%s: %s.\n", title, strings.Join(links, ", "))
	}
	var fs, ts, ms []string
	for _, e := range functions() {
		fs = append(fs, e.Name)
	}
	for _, t := range objectTypes() {
		ts = append(ts, t.Name)
	}
	for _, m := range modules() {
		ms = append(ms, m.Name)
	}
	list("Functions", fs)
	b.WriteString("\n")
	list("Types", ts)
	b.WriteString("\n")
	list("Modules", ms)
}

// anchor is the name by which a heading is linked to. A function and a type
// that differ in case only (cluster, Cluster) have the same heading for
// GitHub, which numbers the second.
func anchor(name string) string {
	a := strings.ToLower(name)
	if name != a {
		for _, e := range functions() {
			if e.Name == a {
				return a + "-1"
			}
		}
	}
	return a
}

// functions are the functions that belong to no value, by name.
func functions() []builtins.Entry {
	var out []builtins.Entry
	for _, e := range builtins.Registry() {
		if e.Recv == "" && e.Kind == builtins.Function {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b builtins.Entry) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func modules() []builtins.Entry {
	var out []builtins.Entry
	for _, e := range builtins.Registry() {
		if e.Kind == builtins.Module {
			out = append(out, e)
		}
	}
	return out
}

func moduleFunctions(module string) []builtins.Entry {
	for _, t := range builtins.Types() {
		if t.Name == module {
			return t.Entries()
		}
	}
	return nil
}

// objectTypes are the types that are no modules.
func objectTypes() []builtins.Type {
	var names []string
	for _, m := range modules() {
		names = append(names, m.Name)
	}
	return slices.DeleteFunc(builtins.Types(), func(t builtins.Type) bool { return slices.Contains(names, t.Name) })
}

func writeEntry(b *strings.Builder, e builtins.Entry) {
	head := e.Name
	if e.Recv != "" {
		head = e.Recv + "." + e.Name
	}
	level := "####"
	if e.Recv == "" {
		level = "###"
	}
	fmt.Fprintf(b, "\n%s %s\n\n```python\n%s -> %s\n```\n\n%s\n", level, head, usage(e), e.Returns, e.Doc)
	if len(e.Params) > 0 {
		b.WriteString("\n")
		for _, p := range e.Params {
			fmt.Fprintf(b, "- `%s` (%s): %s%s\n", p.Name, strings.ReplaceAll(p.Type, "|", " or "), p.Doc+stop(p), allowed(append(slices.Clone(p.Enum), p.Free...)))
		}
	}
	fmt.Fprintf(b, "\n```python\n%s\n```\n", e.Example)
}

func usage(e builtins.Entry) string {
	if e.Recv != "" {
		return e.Recv + "." + e.Usage()
	}
	return e.Usage()
}

// stop ends a parameter's phrase when a sentence follows.
func stop(p builtins.Param) string {
	if len(p.Enum) > 0 {
		return "."
	}
	return ""
}

func allowed(values []string) string {
	if len(values) == 0 {
		return ""
	}
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = fmt.Sprintf("`%q`", v)
	}
	return " One of " + strings.Join(quoted, ", ") + "."
}

func writeFields(b *strings.Builder, t builtins.Type) {
	head := false
	for _, e := range t.Entries() {
		if e.Kind != builtins.Field {
			continue
		}
		if !head {
			b.WriteString("\n| field | type | |\n|---|---|---|\n")
			head = true
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", e.Name, strings.ReplaceAll(e.Returns, " | ", " or "), cell(e.Doc+allowed(e.Enum)))
	}
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
