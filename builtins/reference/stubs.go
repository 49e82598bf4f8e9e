package reference

import (
	"fmt"
	"strings"

	"github.com/meshlark/meshlark/builtins"
)

// Stubs gives the language as a Python stub file. Saved as __builtins__.pyi in
// the root of a project it makes Pyright and Pylance complete, document and
// check scripts that are opened as Python.
func Stubs() string {
	var b strings.Builder
	b.WriteString("# Generated from the registry of the language; `go test ./builtins/reference -update` writes it anew.\n")
	b.WriteString("from typing import Any, Callable, Iterator, Literal\n")
	for _, t := range objectTypes() {
		writeClass(&b, t)
	}
	for _, m := range modules() {
		fmt.Fprintf(&b, "\nclass _%s:\n    %s\n", m.Name, docstring(m.Doc))
		members := moduleFunctions(m.Name)
		for _, e := range members {
			writeDef(&b, e, "    ", true)
		}
		if len(members) == 0 {
			b.WriteString("    def __getattr__(self, name: str) -> Any: ...\n")
		}
		fmt.Fprintf(&b, "\n%s: _%s\n", m.Name, m.Name)
	}
	b.WriteString("\nmesh: Mesh\n")
	for _, e := range functions() {
		b.WriteString("\n")
		writeDef(&b, e, "", false)
	}
	return b.String()
}

func writeClass(b *strings.Builder, t builtins.Type) {
	base := ""
	if t.Base != "" {
		base = "(" + t.Base + ")"
	}
	fmt.Fprintf(b, "\nclass %s%s:\n    %s\n", t.Name, base, docstring(t.Doc))
	switch {
	case t.Elem != "":
		fmt.Fprintf(b, "    def __iter__(self) -> Iterator[%s]: ...\n    def __getitem__(self, i: Any) -> Any: ...\n", t.Elem)
	case t.Name == "Collection":
		b.WriteString("    def __len__(self) -> int: ...\n    def __iter__(self) -> Iterator[Any]: ...\n    def __getitem__(self, i: Any) -> Any: ...\n" +
			"    def __contains__(self, x: Any) -> bool: ...\n    def __add__(self, other: Any) -> Any: ...\n")
	case t.Name == "JSONObject":
		b.WriteString("    def __getitem__(self, key: str) -> Any: ...\n    def __contains__(self, key: Any) -> bool: ...\n    def __len__(self) -> int: ...\n" +
			"    def __iter__(self) -> Iterator[str]: ...\n    def __getattr__(self, name: str) -> Any: ...\n")
	case t.Name == "JSONArray":
		b.WriteString("    def __getitem__(self, i: Any) -> Any: ...\n    def __len__(self) -> int: ...\n    def __iter__(self) -> Iterator[Any]: ...\n")
	case t.Name == "Filter":
		b.WriteString("    def __ror__(self, left: Any) -> list: ...\n")
	case t.Name == "Table":
		b.WriteString("    def __len__(self) -> int: ...\n    def __iter__(self) -> Iterator[tuple]: ...\n")
	}
	for _, e := range t.Entries() {
		if e.Kind == builtins.Field {
			fmt.Fprintf(b, "    @property\n    def %s(self) -> %s:\n        %s\n", e.Name, fieldType(e), docstring(e.Doc))
			continue
		}
		writeDef(b, e, "    ", true)
	}
}

func fieldType(e builtins.Entry) string {
	if len(e.Enum) == 0 {
		return pythonType(e.Returns)
	}
	t := literal(e.Enum)
	if strings.HasSuffix(e.Returns, "| None") {
		t += " | None"
	}
	return t
}

func literal(values []string) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = fmt.Sprintf("%q", v)
	}
	return "Literal[" + strings.Join(quoted, ", ") + "]"
}

func writeDef(b *strings.Builder, e builtins.Entry, indent string, self bool) {
	var params []string
	if self {
		params = append(params, "self")
	}
	star := false
	for _, p := range e.Params {
		if p.KwOnly && !star {
			params = append(params, "*")
			star = true
		}
		if strings.HasPrefix(p.Name, "*") && !strings.HasPrefix(p.Name, "**") {
			star = true
		}
		text := p.Name + ": " + paramType(p)
		if p.Default != "" {
			text += " = " + p.Default
		}
		params = append(params, text)
	}
	fmt.Fprintf(b, "%sdef %s(%s) -> %s:\n%s    %s\n", indent, e.Name, strings.Join(params, ", "), pythonType(e.Returns), indent, docstring(e.Doc))
}

func paramType(p builtins.Param) string {
	var parts []string
	if len(p.Enum) > 0 {
		parts = []string{literal(append(append([]string{}, p.Enum...), p.Free...))}
	} else {
		for t := range strings.SplitSeq(p.Type, "|") {
			parts = append(parts, pythonTypes(t)...)
		}
	}
	if p.Default == "None" {
		parts = append(parts, "None")
	}
	for _, t := range parts {
		if t == "Any" {
			return "Any"
		}
	}
	return strings.Join(parts, " | ")
}

// pythonTypes gives Python's name for a type of the registry.
func pythonTypes(t string) []string {
	switch t {
	case "string", "pattern":
		return []string{"str"}
	case "text":
		return []string{"str", "bytes"}
	case "number":
		return []string{"int", "float"}
	case "duration":
		return []string{"str", "int", "float", "Any"}
	case "list":
		return []string{"list", "tuple", "Collection"}
	case "callable":
		return []string{"Callable"}
	case "any", "time.time", "time.duration", "struct", "module":
		return []string{"Any"}
	default:
		return []string{t}
	}
}

func pythonType(returns string) string {
	var parts []string
	for t := range strings.SplitSeq(returns, " | ") {
		if t == "list" {
			parts = append(parts, "list")
			continue
		}
		parts = append(parts, pythonTypes(t)...)
	}
	return strings.Join(parts, " | ")
}

func docstring(doc string) string {
	return `"""` + strings.ReplaceAll(strings.ReplaceAll(doc, `\`, `\\`), `"`, `\"`) + `"""`
}
