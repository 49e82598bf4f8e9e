package builtins

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/starlark"
)

func helpFunc(c *Call) (starlark.Value, error) {
	topic := c.Value("topic")
	if topic == nil {
		topic = starlark.None
	}
	out, err := Help(topic)
	if err != nil {
		return nil, err
	}
	if c.Thread.Print == nil {
		return nil, errors.New("nowhere to print to")
	}
	c.Thread.Print(c.Thread, strings.TrimSuffix(out, "\n"))
	return starlark.None, nil
}

// Help is the text of help(x): for None the list of topics; for a function, a
// method or a type, what it does; for a string, what it names ("Proxy",
// "clusters", "Proxy.clusters"); for any other value, its type.
func Help(x starlark.Value) (string, error) {
	switch x := x.(type) {
	case starlark.NoneType:
		return topics(), nil
	case starlark.String:
		return named(string(x))
	case *starlark.Builtin:
		if e, ok := EntryOf(x); ok {
			return e.help(), nil
		}
		if mod, name, ok := strings.Cut(x.Name(), "."); ok {
			if e, ok := Lookup(mod, name); ok {
				return e.help(), nil
			}
		}
		return x.Name() + ": a function of Starlark itself\n", nil
	case *starlark.Function:
		head := "def " + x.Name() + "(...)"
		if doc := x.Doc(); doc != "" {
			return head + "\n\n" + doc + "\n", nil
		}
		return head + ", defined at " + x.Position().String() + "\n", nil
	default:
		if t := types()[x.Type()]; t != nil {
			return t.help(), nil
		}
		if m, ok := x.(interface{ String() string }); ok && x.Type() == "module" {
			for name, e := range registry().funcs {
				if e.raw == x {
					return named(name)
				}
			}
			return m.String() + "\n", nil
		}
		return fmt.Sprintf("a %s, a value of Starlark itself\n", x.Type()), nil
	}
}

func named(topic string) (string, error) {
	t := registry()
	if info := t.types[topic]; info != nil && (t.funcs[topic] == nil || len(info.entries) > 0) {
		return info.help(), nil
	}
	if e := t.funcs[topic]; e != nil {
		return e.help(), nil
	}
	if recv, name, ok := strings.Cut(topic, "."); ok {
		if e := lookup(recv, name); e != nil {
			return e.help(), nil
		}
		if info := t.types[recv]; info != nil {
			return "", noAttr(recv, name, info.names)
		}
	}
	for _, info := range t.order {
		if strings.EqualFold(info.Name, topic) { // mesh, the value, for Mesh
			return info.help(), nil
		}
	}
	// A method or field that several types have: say which.
	var found []string
	for _, e := range t.entries {
		if e.Recv != "" && e.Name == topic {
			found = append(found, e.Recv+"."+e.Name)
		}
	}
	if len(found) > 0 {
		return topic + " belongs to: " + strings.Join(found, ", ") + "\n", nil
	}
	var all []string
	for name := range t.funcs {
		all = append(all, name)
	}
	for _, info := range t.order {
		all = append(all, info.Name)
	}
	if n := nearest(topic, all); n != "" {
		return "", fmt.Errorf("no help on %s; did you mean %s?", topic, n)
	}
	return "", fmt.Errorf("no help on %s; help() lists what there is", topic)
}

// firstSentence is the part of a doc that stands alone.
func firstSentence(doc string) string {
	if i := strings.Index(doc, ". "); i >= 0 {
		return doc[:i+1]
	}
	return doc
}

func topics() string {
	var b strings.Builder
	b.WriteString("Functions\n")
	var rows [][2]string
	for _, e := range registry().entries {
		if e.Recv == "" {
			rows = append(rows, [2]string{e.Name, firstSentence(e.Doc)})
		}
	}
	slices.SortFunc(rows, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	writeRows(&b, rows)
	b.WriteString("\nTypes\n")
	rows = nil
	for _, t := range registry().order {
		if t.Elem == "" && registry().funcs[t.Name] == nil {
			rows = append(rows, [2]string{t.Name, firstSentence(t.Doc)})
		}
	}
	writeRows(&b, rows)
	b.WriteString("\nhelp(clusters), help(\"Cluster\") and help(\"Cluster.endpoints\") tell more; so does x? at the prompt.\n")
	return b.String()
}

func writeRows(b *strings.Builder, rows [][2]string) {
	width := 0
	for _, r := range rows {
		width = max(width, len(r[0]))
	}
	for _, r := range rows {
		fmt.Fprintf(b, "  %-*s  %s\n", width, r[0], r[1])
	}
}

// help describes an entry in full.
func (e Entry) help() string {
	var b strings.Builder
	if e.Recv != "" {
		b.WriteString(e.Recv + ".")
	}
	b.WriteString(e.Usage())
	if e.Returns != "" && e.Kind != Module {
		b.WriteString(" -> " + e.Returns)
	}
	b.WriteString("\n\n" + e.Doc + "\n")
	if len(e.Enum) > 0 {
		b.WriteString("\nOne of " + strings.Join(quoteAll(e.Enum), ", ") + ".\n")
	}
	if len(e.Params) > 0 {
		b.WriteString("\n")
		var rows [][2]string
		for _, p := range e.Params {
			doc := p.Doc
			if all := append(slices.Clone(p.Enum), p.Free...); len(all) > 0 {
				doc += " (" + strings.Join(quoteAll(all), ", ") + ")"
			}
			rows = append(rows, [2]string{p.Name, doc})
		}
		writeRows(&b, rows)
	}
	if e.Example != "" {
		b.WriteString("\nExample: " + e.Example + "\n")
	}
	return b.String()
}

// help describes a type with its fields and methods, those of its bases last.
func (t *Type) help() string {
	var b strings.Builder
	b.WriteString(t.Name + "\n\n" + t.Doc + "\n")
	for base := t; base != nil; base = types()[base.Base] {
		var rows [][2]string
		for _, e := range base.entries {
			if t.attrs[e.Name] == e {
				name := e.Name
				if e.Kind != Field {
					name += "()"
				}
				rows = append(rows, [2]string{name, firstSentence(e.Doc)})
			}
		}
		if len(rows) == 0 {
			continue
		}
		if base != t {
			b.WriteString("\nas every " + strings.ToLower(base.Name) + "\n")
		} else {
			b.WriteString("\n")
		}
		writeRows(&b, rows)
	}
	return b.String()
}
