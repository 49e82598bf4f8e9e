package display

import (
	"bufio"
	"io"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// A Result is the value of an expression and what is missing from it.
type Result struct {
	Value    starlark.Value
	Failures []mesh.Failure
}

// WriteValue prints a result in a format.
//
// As text, a collection is a table, and so are what the table function gives and a
// list of objects of one type; a proxy, a cluster or another object is its
// fields, one a line; a diff is what matches and then each change; any other
// list is an element a line; a string is printed bare, as jq -r does, so that it
// can be piped on; a dict of collections, as by(...) gives, is a table for each key;
// another dict or JSON is indented JSON. Anything else prints as in
// Starlark, and None not at all. The notes are sentences that belong beside the
// output: what is not shown, and why.
//
// As a document it is {kind, items, errors}. As lines of JSON it is an item a
// line: a row of a table, a change of a diff.
func WriteValue(w io.Writer, r Result, f Format, s Style) (notes []string, err error) {
	switch f {
	case JSON, JSONFull, YAML:
		doc, err := document(r, f == JSONFull)
		if err != nil {
			return nil, err
		}
		return nil, writeDocument(w, doc, f)
	case JSONLines:
		switch v := r.Value.(type) {
		case *builtins.TableValue:
			return nil, WriteItems(w, "row", v.Items(), nil, f)
		case *builtins.Diff:
			return nil, WriteItems(w, "change", v.Changes().Items(), nil, f)
		}
		_, items, err := itemsOf(r.Value, false)
		if err != nil {
			return nil, err
		}
		return nil, writeLines(w, items)
	}
	s.Wide = f == Wide
	switch v := r.Value.(type) {
	case builtins.Tabular:
		if c, ok := v.(*builtins.Collection); ok && s.Width > 0 && !s.Wide {
			if found, ok := findingsOf(c); ok { // sentences, of which a table would cut most
				return nil, WriteFindings(w, found, s)
			}
			if checks, ok := builtins.ChecksOf(c); ok && tableWidth(c.Table(false)) > s.Width {
				return nil, writeChecklist(w, checks, s)
			}
		}
		return writeTabular(w, v, s)
	case *builtins.Diff:
		return writeDiff(w, v, s)
	case *builtins.Trace:
		return nil, writeTrace(w, v, s)
	case *builtins.WhyNot:
		return nil, writeWhyNot(w, v, s)
	case builtins.Explained:
		return nil, writeExplained(w, v, s)
	case *builtins.KubernetesObject: // as kubectl get -o yaml does
		_, err := io.WriteString(w, CleanLines(v.YAML()))
		return nil, err
	case builtins.Itemer:
		return nil, writeFields(w, v, s)
	}
	if c, ok := builtins.CollectionOf(r.Value); ok {
		return writeTabular(w, c, s)
	}
	if d, ok := r.Value.(*starlark.Dict); ok && ofObjects(d) {
		return writeDict(w, d, s)
	}
	text, err := textOf(r.Value)
	if err != nil || text == "" {
		return nil, err
	}
	if _, ok := r.Value.(starlark.String); !ok || !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	if s.Width > 0 { // a person looks at it
		text = CleanLines(text)
	}
	_, err = io.WriteString(w, text)
	return nil, err
}

// Show gives a value as WriteValue prints it as text, for those that have a
// richer form than their string. It ends without a newline.
func Show(v starlark.Value, s Style) (string, bool) {
	switch v.(type) {
	case builtins.Tabular, builtins.Itemer:
	default:
		return "", false
	}
	var b strings.Builder
	notes, err := WriteValue(&b, Result{Value: v}, Table, s)
	if err != nil {
		return "", false
	}
	return strings.TrimSuffix(b.String()+strings.Join(notes, "\n"), "\n"), true
}

func writeTabular(w io.Writer, v builtins.Tabular, s Style) (notes []string, err error) {
	if c, ok := v.(*builtins.Collection); ok {
		if err := c.Unreadable(s.Wide); err != nil {
			return nil, err
		}
	}
	t := v.Table(s.Wide)
	if len(t.Rows) == 0 {
		return append([]string{"none found"}, t.Notes...), nil
	}
	hidden, err := WriteTable(w, t, s)
	if len(hidden) > 0 {
		notes = append(notes, hiddenNote(hidden))
	}
	return append(notes, t.Notes...), err
}

// hiddenNote says which columns a narrow terminal had no room for.
func hiddenNote(columns []string) string {
	return "no room for the columns " + strings.Join(columns, ", ")
}

// textOf gives a value as lines for a person, without a newline at the end.
func textOf(v starlark.Value) (string, error) {
	switch v := v.(type) {
	case nil, starlark.NoneType:
		return "", nil
	case starlark.String:
		if v == "" {
			return "\n", nil
		}
		return string(v), nil
	case *starlark.List, starlark.Tuple, *starlark.Set:
		var lines []string
		for x := range starlark.Elements(v.(starlark.Iterable)) {
			lines = append(lines, elementText(x))
		}
		return strings.Join(lines, "\n"), nil
	case starlark.Iterable, *starlarkstruct.Struct:
		body, err := builtins.Body(v)
		if err != nil {
			return v.String(), nil
		}
		return string(appendIndented(nil, body)), nil
	default:
		return v.String(), nil
	}
}

// elementText gives an element of a list on one line: strings bare, dicts and
// lists as JSON, other values as they print.
func elementText(v starlark.Value) string {
	switch v := v.(type) {
	case starlark.String:
		return string(v)
	case builtins.Itemer, builtins.Tabular: // one short line, though some are iterable
	case starlark.Iterable, *starlarkstruct.Struct:
		if body, err := builtins.Body(v); err == nil {
			return string(body)
		}
	}
	return v.String()
}

// writeFields prints an object as its typed fields, one a line.
func writeFields(w io.Writer, v builtins.Itemer, s Style) error {
	if x, ok := v.(starlark.Value); ok {
		if err := builtins.Unreadable(x); err != nil {
			return err
		}
	}
	fields := v.Item().Fields
	if _, ok := v.(builtins.Explained); ok { // its steps are written below, and what means nothing in this case is left out
		fields = slices.DeleteFunc(fields, func(f builtins.ItemField) bool { return f.Name == "steps" || saysNothing(f.Value) })
	}
	widest := 0
	for _, f := range fields {
		widest = max(widest, Width(f.Name))
	}
	var b strings.Builder
	for i := range fields {
		name := Clean(fields[i].Name)
		value := rawjson.Value(builtins.Item{Fields: fields[i : i+1]}.AppendJSON(nil)).Get(fields[i].Name)
		text := string(value)
		switch value.Kind() {
		case rawjson.Null, rawjson.Absent:
			text = "-"
		case rawjson.String:
			text = value.Text()
		}
		text = Clean(text)
		if s.Width > 0 {
			text = shorten(text, max(s.Width-widest-gap, shortest), builtins.ElideEnd)
		}
		b.WriteString(s.Paint(Strong, name))
		b.WriteString(strings.Repeat(" ", widest-Width(name)+gap))
		b.WriteString(s.Paint(toneOf(text), text))
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeLines writes items one a line.
func writeLines(w io.Writer, items []rawjson.Value) error {
	out := bufio.NewWriter(w)
	for _, it := range items {
		out.Write(it)
		out.WriteByte('\n')
	}
	return out.Flush()
}
