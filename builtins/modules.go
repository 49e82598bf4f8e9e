package builtins

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/xds/rawjson"
	"go.starlark.net/lib/math"
	startime "go.starlark.net/lib/time"
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

// modules describes json, yaml, math and time.
func (b *builder) modules() {
	b.checks()
	x := Param{Name: "x", Type: "any", Doc: "the value"}
	j := b.typ("json", "", "JSON, for ordinary values and for those of the mesh.")
	b.method("encode", []Param{x}, "string", "The JSON form of a value on one line. A resource is its body as it was sent; a dict keeps its order.",
		`json.encode({"a": [1, 2.5, None]})`, func(c *Call) (starlark.Value, error) {
			body, err := Body(c.Value("x"))
			return text(string(body)), err
		})
	b.method("encode_indent", []Param{x, {Name: "indent", Type: "string", Default: `"  "`, Doc: "what a level is indented by"}}, "string",
		"The JSON form of a value, an element a line.", `json.encode_indent({"a": [1, 2]})`, func(c *Call) (starlark.Value, error) {
			body, err := Body(c.Value("x"))
			return text(indentJSON(body, c.Text("indent"))), err
		})
	b.method("decode", []Param{{Name: "text", Type: "text", Doc: "the JSON"}, {Name: "default", Type: "any", Default: "None", Doc: "the result when the text is no JSON"}}, "any",
		"The value of a JSON text, as dicts and lists. Integers of any size are exact.", `json.decode('{"a": 18446744073709551615}')["a"]`, func(c *Call) (starlark.Value, error) {
			doc, err := rawjson.Compact(nil, []byte(c.Text("text")))
			if err != nil {
				if c.Given("default") {
					return c.Value("default"), nil
				}
				return nil, err
			}
			return plain(doc), nil
		})
	b.method("indent", []Param{{Name: "text", Type: "text", Doc: "the JSON"}, {Name: "indent", Type: "string", Default: `"  "`, Doc: "what a level is indented by"}}, "string",
		"A JSON text with an element a line.", `json.indent('{"a":1}')`, func(c *Call) (starlark.Value, error) {
			doc, err := rawjson.Compact(nil, []byte(c.Text("text")))
			return text(indentJSON(doc, c.Text("indent"))), err
		})
	y := b.typ("yaml", "", "YAML, for ordinary values and for those of the mesh.")
	b.method("encode", []Param{x}, "string", "The JSON form of a value written as YAML.", `yaml.encode({"a": [1, "yes"]})`, func(c *Call) (starlark.Value, error) {
		body, err := Body(c.Value("x"))
		if err != nil {
			return nil, err
		}
		return text(YAML(body)), nil
	})
	b.method("decode", []Param{{Name: "text", Type: "text", Doc: "the YAML"}}, "any", "The value of a YAML document; of several documents, the list of their values.",
		`yaml.decode("a: [1, 2]")["a"]`, func(c *Call) (starlark.Value, error) { return decodeYAML(c.Text("text")) })
	for _, t := range []*Type{j, y} {
		members := starlark.StringDict{}
		for _, e := range t.entries {
			e.Kind = Function
			members[e.Name] = starlark.NewBuiltin(t.Name+"."+e.Name, func(thread *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
				return e.call(thread, nil, args, kwargs)
			})
		}
		b.module(t.Name, t.Doc, t.Name+"."+t.entries[0].Name, members)
	}

	b.typ("math", "", "Mathematics: "+memberList(math.Module)+".")
	b.module("math", b.cur.Doc, `math.ceil(2.5)`, math.Module.Members)
	members := maps.Clone(startime.Module.Members)
	b.typ("time", "", "Times and durations: "+memberList(startime.Module)+". now() is the mesh's clock.")
	members["now"] = starlark.NewBuiltin("time.now", func(thread *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		if len(args)+len(kwargs) > 0 {
			return nil, errors.New("time.now takes no arguments")
		}
		h := HostOf(thread)
		if h == nil {
			return nil, errors.New("not available here: no session")
		}
		return startime.Time(h.Now()), nil
	})
	b.module("time", b.cur.Doc, `time.now() - time.parse_duration("1h")`, members)
}

func memberList(m *starlarkstruct.Module) string {
	return strings.Join(slices.Sorted(maps.Keys(m.Members)), ", ")
}

// module adds a module under its name.
func (b *builder) module(name, doc, example string, members starlark.StringDict) {
	m := &starlarkstruct.Module{Name: name, Members: members}
	b.t.funcs[name] = &Entry{Name: name, Kind: Module, Returns: "module", Doc: doc, Example: example, raw: m}
	b.t.entries = append(b.t.entries, b.t.funcs[name])
}

// indentJSON writes JSON an element a line; the text of keys and numbers stays
// as it is.
func indentJSON(v rawjson.Value, indent string) string {
	if indent == "" {
		return string(v)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, v, "", indent); err != nil {
		return string(v)
	}
	return b.String()
}

func jsonMethod(c *Call) (starlark.Value, error) {
	b, err := Body(c.Recv)
	if err != nil {
		return nil, err
	}
	return text(indentJSON(b, c.Text("indent"))), nil
}

func yamlMethod(c *Call) (starlark.Value, error) {
	b, err := Body(c.Recv)
	if err != nil {
		return nil, err
	}
	return text(YAML(b)), nil
}
