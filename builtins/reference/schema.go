package reference

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/builtins"
)

// object keeps the members of a JSON object in order.
type object []member

type member struct {
	name  string
	value any
}

func (o object) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, m := range o {
		if i > 0 {
			b = append(b, ',')
		}
		name, err := json.Marshal(m.name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		b = append(append(append(b, name...), ':'), value...)
	}
	return append(b, '}'), nil
}

// Schema gives the JSON schema of the documents that `-o json` prints, with the
// typed fields of every kind of item.
func Schema() ([]byte, error) {
	defs := object{}
	var kinds []string
	items := []any{}
	for _, t := range objectTypes() {
		props, required := fields(t)
		if len(props) == 0 || abstract(t.Name) {
			continue
		}
		kind := builtins.KindName(t.Name)
		kinds = append(kinds, kind)
		defs = append(defs, member{kind, object{
			{"description", t.Doc},
			{"type", "object"},
			{"properties", props},
			{"required", required},
		}})
		items = append(items, object{
			{"if", object{{"properties", object{{"kind", object{{"const", kind}}}}}}},
			{"then", object{{"properties", object{{"items", object{{"items", object{{"$ref", "#/$defs/" + kind}}}}}}}}},
		})
	}
	doc := object{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"title", "meshlark -o json"},
		{"description", "What -o json prints: the items of a result and what could not be had. With -o json=full the items of resources are what was received instead."},
		{"type", "object"},
		{"properties", object{
			{"kind", object{{"description", "What the items are: " + strings.Join(kinds, ", ") + ", or the kind of an ordinary value."}, {"type", "string"}}},
			{"items", object{{"type", "array"}}},
			{"errors", object{{"type", "array"}, {"items", object{{"$ref", "#/$defs/failure"}}}}},
		}},
		{"required", []string{"kind", "items", "errors"}},
		{"allOf", items},
		{"$defs", defs},
	}
	out, err := json.MarshalIndent(doc, "", "  ")
	return append(out, '\n'), err
}

// fields gives the typed fields of a type, those of its bases first, in the
// order in which they are printed.
func fields(t builtins.Type) (props object, required []string) {
	if t.Elem != "" {
		return nil, nil
	}
	for _, base := range builtins.Types() {
		if base.Name == t.Base {
			props, required = fields(base)
		}
	}
	for _, e := range t.Entries() {
		if !e.Typed() {
			continue
		}
		props = append(props, member{e.Name, fieldSchema(e)})
		if e.Name != "proxy" { // which parts have only by themselves, not within their resource
			required = append(required, e.Name)
		}
	}
	return props, required
}

func abstract(name string) bool { return slices.Contains([]string{"Value", "Resource", "Part"}, name) }

func fieldSchema(e builtins.Entry) object {
	out := object{{"description", e.Doc}}
	null := strings.HasSuffix(e.Returns, " | None")
	base := strings.TrimSuffix(e.Returns, " | None")
	typed := func(t string) object {
		if null {
			return append(out, member{"type", []string{t, "null"}})
		}
		return append(out, member{"type", t})
	}
	ref := func(kind string) object {
		r := object{{"$ref", "#/$defs/" + kind}}
		if null {
			return append(out, member{"anyOf", []any{r, object{{"type", "null"}}}})
		}
		return append(out, r...)
	}
	switch base {
	case "string":
		out = typed("string")
		if len(e.Enum) > 0 {
			values := []any{}
			for _, v := range e.Enum {
				values = append(values, v)
			}
			if null {
				values = append(values, nil)
			}
			out = append(out, member{"enum", values})
		}
		return out
	case "int":
		return typed("integer")
	case "float":
		return typed("number")
	case "bool":
		return typed("boolean")
	case "time.time":
		return append(typed("string"), member{"format", "date-time"})
	case "time.duration":
		return append(typed("string"), member{"pattern", `^-?[0-9.]+s$`})
	case "list":
		return typed("array")
	case "dict", "struct", "JSONObject":
		return typed("object")
	case "Proxy": // by its name
		return typed("string")
	}
	for _, t := range builtins.Types() {
		if t.Name == base {
			if t.Elem != "" {
				return append(typed("array"), member{"items", object{{"$ref", "#/$defs/" + builtins.KindName(t.Elem)}}})
			}
			return ref(builtins.KindName(base))
		}
	}
	return out
}
