package display

import (
	"fmt"
	"io"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// document makes the document of a result: {kind, items, errors}. The kind says
// what the items are: that of the elements for a collection ("cluster"), else
// that of the value ("list", "string", "int"). A value that holds nothing else
// is the only item; None has no items. Items are the typed fields of values
// that have them; with full they are the whole JSON form, which for a resource
// is what was received, token for token.
func document(r Result, full bool) (rawjson.Value, error) {
	kind, items, err := itemsOf(r.Value, full)
	if err != nil {
		return nil, err
	}
	return appendDocument(kind, items, r.Failures), nil
}

func appendDocument(kind string, items []rawjson.Value, failures []mesh.Failure) rawjson.Value {
	dst := rawjson.Quote([]byte(`{"kind":`), kind)
	dst = append(dst, `,"items":[`...)
	for i, it := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, it...)
	}
	dst = append(dst, `],"errors":[`...)
	for i, f := range failures {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = builtins.Item{Fields: []builtins.ItemField{
			{Name: "proxy", Value: f.Proxy}, {Name: "source", Value: f.Source}, {Name: "stage", Value: f.Stage}, {Name: "reason", Value: f.Reason},
		}}.AppendJSON(dst)
	}
	return append(dst, "]}"...)
}

// WriteItems writes a document of items, or the items a line each.
func WriteItems(w io.Writer, kind string, items []builtins.Item, failures []mesh.Failure, f Format) error {
	texts := make([]rawjson.Value, len(items))
	for i, it := range items {
		texts[i] = it.AppendJSON(nil)
	}
	if f == JSONLines {
		return writeLines(w, texts)
	}
	return writeDocument(w, appendDocument(kind, texts, failures), f)
}

// writeDocument writes a document as indented JSON or as YAML.
func writeDocument(w io.Writer, doc rawjson.Value, f Format) error {
	if f == YAML {
		_, err := io.WriteString(w, builtins.YAML(doc))
		return err
	}
	_, err := w.Write(append(appendIndented(nil, doc), '\n'))
	return err
}

// itemsOf takes a value apart into the items of its document.
func itemsOf(v starlark.Value, full bool) (kind string, items []rawjson.Value, err error) {
	one := func(kind string) (string, []rawjson.Value, error) {
		b, err := itemOf(v, full)
		return kind, []rawjson.Value{b}, err
	}
	switch v := v.(type) {
	case nil, starlark.NoneType:
		return "none", nil, nil
	case *builtins.Collection:
		kind = v.Kind()
	case builtins.Itemer:
		return one(v.Item().Kind)
	case starlark.IterableMapping:
		return one(builtins.KindName(v.Type()))
	case starlark.Iterable:
		kind = builtins.KindName(v.Type())
	default:
		return one(builtins.KindName(v.Type()))
	}
	for x := range starlark.Elements(v.(starlark.Iterable)) {
		b, err := itemOf(x, full)
		if err != nil {
			return "", nil, err
		}
		items = append(items, b)
	}
	return kind, items, nil
}

// itemOf gives one value as JSON, by its typed fields or in full.
func itemOf(v starlark.Value, full bool) (rawjson.Value, error) {
	if full {
		return builtins.Body(v)
	}
	return appendTyped(nil, v, 0)
}

// deepest bounds how deep values may nest, which catches those that contain
// themselves.
const deepest = 500

// appendTyped appends a value as JSON in which every object of the language, at
// any depth, is its typed fields.
func appendTyped(dst []byte, v starlark.Value, depth int) ([]byte, error) {
	if depth > deepest {
		return nil, fmt.Errorf("the value is nested too deep, or contains itself")
	}
	first := true
	comma := func() {
		if !first {
			dst = append(dst, ',')
		}
		first = false
	}
	var err error
	switch v := v.(type) {
	case builtins.Itemer:
		if err := builtins.Unreadable(v.(starlark.Value)); err != nil {
			return nil, err
		}
		return v.Item().AppendJSON(dst), nil
	case *starlarkstruct.Struct:
		dst = append(dst, '{')
		for _, name := range v.AttrNames() {
			comma()
			x, err := v.Attr(name)
			if err != nil {
				return nil, err
			}
			dst = append(rawjson.Quote(dst, name), ':')
			if dst, err = appendTyped(dst, x, depth+1); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	case *starlark.Dict:
		dst = append(dst, '{')
		for k, x := range starlark.Entries(v) {
			comma()
			dst = append(rawjson.Quote(dst, builtins.CellText(k)), ':')
			if dst, err = appendTyped(dst, x, depth+1); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	case *builtins.Collection, *starlark.List, starlark.Tuple, *starlark.Set:
		dst = append(dst, '[')
		for x := range starlark.Elements(v.(starlark.Iterable)) {
			comma()
			if dst, err = appendTyped(dst, x, depth+1); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	default:
		b, err := builtins.Body(v)
		if err != nil {
			return nil, err
		}
		return append(dst, b...), nil
	}
}
