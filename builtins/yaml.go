package builtins

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/yamltext"
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
	nodes, err := yamltext.Read([]byte(src))
	if err != nil {
		return nil, err
	}
	docs := make([]starlark.Value, len(nodes))
	for i, n := range nodes {
		if docs[i], err = yamlValue(n); err != nil {
			return nil, err
		}
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

func yamlValue(n *yaml.Node) (starlark.Value, error) {
	switch n.Kind {
	case yaml.SequenceNode:
		elems := make([]starlark.Value, len(n.Content))
		for i, x := range n.Content {
			v, err := yamlValue(x)
			if err != nil {
				return nil, err
			}
			elems[i] = v
		}
		return starlark.NewList(elems), nil
	case yaml.MappingNode:
		d := starlark.NewDict(len(n.Content) / 2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			k, err := yamlValue(n.Content[i])
			if err != nil {
				return nil, err
			}
			v, err := yamlValue(n.Content[i+1])
			if err != nil {
				return nil, err
			}
			if err := d.SetKey(k, v); err != nil {
				return nil, fmt.Errorf("yaml: line %d: %w", n.Content[i].Line, err)
			}
		}
		return d, nil
	default:
		return yamlScalar(n)
	}
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
