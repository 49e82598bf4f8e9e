package builtins

import (
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"

	"github.com/meshlark/meshlark/xds/rawjson"
	"go.starlark.net/starlark"
	"go.yaml.in/yaml/v3"
)

// YAML writes JSON as YAML. Keys keep their order and numbers their text.
func YAML(v rawjson.Value) string {
	var b strings.Builder
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(yamlNode(v)); err != nil {
		return string(v) // JSON is YAML
	}
	enc.Close()
	return b.String()
}

func yamlNode(v rawjson.Value) *yaml.Node {
	switch v.Kind() {
	case rawjson.Object:
		n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		at := map[string]int{}
		for k, x := range v.Members() {
			if i, ok := at[k]; ok { // YAML has no duplicate keys; the last one counts
				n.Content[i] = yamlNode(x)
				continue
			}
			n.Content = append(n.Content, yamlString(k), yamlNode(x))
			at[k] = len(n.Content) - 1
		}
		if len(n.Content) == 0 {
			n.Style = yaml.FlowStyle
		}
		return n
	case rawjson.Array:
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for x := range v.Elems() {
			n.Content = append(n.Content, yamlNode(x))
		}
		if len(n.Content) == 0 {
			n.Style = yaml.FlowStyle
		}
		return n
	case rawjson.String:
		return yamlString(v.Text())
	case rawjson.Number:
		tag := "!!int"
		if strings.ContainsAny(string(v), ".eE") {
			tag = "!!float"
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: string(v)}
	case rawjson.Bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: string(v)}
	default:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
	}
}

func yamlString(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	return n
}

// decodeYAML reads YAML: one document gives its value, several the list of
// theirs.
func decodeYAML(src string) (starlark.Value, error) {
	dec := yaml.NewDecoder(strings.NewReader(src))
	var docs []starlark.Value
	for {
		var n yaml.Node
		if err := dec.Decode(&n); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		r := yamlReader{budget: 1 << 20}
		v, err := r.value(&n, 0)
		if err != nil {
			return nil, err
		}
		docs = append(docs, v)
	}
	switch len(docs) {
	case 0:
		return starlark.None, nil
	case 1:
		return docs[0], nil
	default:
		return starlark.NewList(docs), nil
	}
}

// yamlReader turns nodes into values. The budget bounds what aliases of
// aliases can blow a small document up to.
type yamlReader struct{ budget int }

func (r *yamlReader) value(n *yaml.Node, depth int) (starlark.Value, error) {
	if r.budget--; depth > maxDepth || r.budget < 0 {
		return nil, fmt.Errorf("yaml: line %d: nested too deep, or too large once its aliases are replaced", n.Line)
	}
	switch n.Kind {
	case yaml.DocumentNode:
		return r.value(n.Content[0], depth)
	case yaml.AliasNode:
		return r.value(n.Alias, depth+1)
	case yaml.SequenceNode:
		elems := make([]starlark.Value, len(n.Content))
		for i, x := range n.Content {
			v, err := r.value(x, depth+1)
			if err != nil {
				return nil, err
			}
			elems[i] = v
		}
		return starlark.NewList(elems), nil
	case yaml.MappingNode:
		d := starlark.NewDict(len(n.Content) / 2)
		if err := r.members(d, n, depth); err != nil {
			return nil, err
		}
		return d, nil
	default:
		return yamlScalar(n)
	}
}

// members adds a mapping's members to d. What a merge key (<<) brings gives
// way to what is written.
func (r *yamlReader) members(d *starlark.Dict, n *yaml.Node, depth int) error {
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		if key.Tag == "!!merge" {
			merges = append(merges, val)
			continue
		}
		k, err := r.value(key, depth+1)
		if err != nil {
			return err
		}
		v, err := r.value(val, depth+1)
		if err != nil {
			return err
		}
		if _, found, err := d.Get(k); err != nil {
			return fmt.Errorf("yaml: line %d: %w", key.Line, err)
		} else if found {
			return fmt.Errorf("yaml: line %d: the key %s is there twice", key.Line, key.Value)
		}
		if err := d.SetKey(k, v); err != nil {
			return err
		}
	}
	for _, m := range merges {
		v, err := r.value(m, depth+1)
		if err != nil {
			return err
		}
		sources := []starlark.Value{v}
		if list, ok := v.(*starlark.List); ok {
			sources = nil
			for x := range list.Elements() {
				sources = append(sources, x)
			}
		}
		for _, src := range sources {
			from, ok := src.(*starlark.Dict)
			if !ok {
				return fmt.Errorf("yaml: line %d: << wants a mapping, not a %s", m.Line, src.Type())
			}
			for k, v := range from.Entries() {
				if _, found, _ := d.Get(k); !found {
					if err := d.SetKey(k, v); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

func yamlScalar(n *yaml.Node) (starlark.Value, error) {
	switch n.ShortTag() {
	case "!!null":
		return starlark.None, nil
	case "!!bool":
		var b bool
		err := n.Decode(&b)
		return starlark.Bool(b), err
	case "!!int":
		if i, ok := new(big.Int).SetString(strings.ReplaceAll(n.Value, "_", ""), 0); ok {
			return starlark.MakeBigInt(i), nil
		}
		return starlark.String(n.Value), nil
	case "!!float":
		var f float64
		if err := n.Decode(&f); err != nil {
			return starlark.String(n.Value), nil // too large for a float
		}
		return starlark.Float(f), nil
	case "!!binary":
		var s string
		err := n.Decode(&s)
		return starlark.Bytes(s), err
	default: // strings, and timestamps as they are written
		return starlark.String(n.Value), nil
	}
}
