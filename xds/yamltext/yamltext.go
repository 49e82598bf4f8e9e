// Package yamltext reads configuration that is written as YAML: the files that Envoy is started with, and what tools print with -o yaml.
package yamltext

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
)

// maxDepth bounds how deep lists and mappings may nest, which catches those that contain themselves.
const maxDepth = 500

// spare is how many nodes a text may have beyond one for each of its bytes, so that aliases of aliases do not make a small text large.
const spare = 1 << 20

// Read gives the documents of a text. What aliases and merge keys stand for is in their place, no key is in a mapping twice, and the nodes must not be
// changed: aliases share them. Errors name the line.
func Read(src []byte) ([]*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(src))
	r := resolver{left: spare + len(src)}
	var docs []*yaml.Node
	for {
		var n yaml.Node
		if err := dec.Decode(&n); errors.Is(err, io.EOF) {
			return docs, nil
		} else if err != nil {
			return nil, err
		}
		if err := r.resolve(&n, 0); err != nil {
			return nil, err
		}
		docs = append(docs, n.Content[0])
	}
}

// A resolver replaces aliases and merge keys by what they stand for.
type resolver struct{ left int } // nodes

func (r *resolver) resolve(n *yaml.Node, depth int) error {
	if r.left--; depth > maxDepth || r.left < 0 {
		return faultf(n, "nested too deep, or too large once its aliases are replaced")
	}
	for i, x := range n.Content {
		if err := r.resolve(x, depth+1); err != nil {
			return err
		}
		if x.Kind == yaml.AliasNode {
			// What it names is resolved already, unless it is a part of itself, and is walked once more to be counted.
			if err := r.resolve(x.Alias, depth+1); err != nil {
				return err
			}
			n.Content[i] = x.Alias
		}
	}
	if n.Kind == yaml.MappingNode {
		return merge(n)
	}
	return nil
}

// merge puts what a mapping's merge keys (<<) bring after what is written in it, which counts first.
func merge(n *yaml.Node) error {
	type key struct{ tag, value string }
	has := map[key]bool{}
	var written, brought []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		switch id := (key{k.ShortTag(), k.Value}); {
		case k.Tag == "!!merge":
			from := []*yaml.Node{v}
			if v.Kind == yaml.SequenceNode {
				from = v.Content
			}
			brought = append(brought, from...)
		case k.Kind == yaml.ScalarNode && has[id]:
			return faultf(k, "the key %s is there twice", k.Value)
		default:
			has[id] = true
			written = append(written, k, v)
		}
	}
	for _, m := range brought {
		if m.Kind != yaml.MappingNode {
			return faultf(m, "<< wants a mapping")
		}
		for i := 0; i+1 < len(m.Content); i += 2 {
			if id := (key{m.Content[i].ShortTag(), m.Content[i].Value}); !has[id] {
				has[id] = true
				written = append(written, m.Content[i], m.Content[i+1])
			}
		}
	}
	n.Content = written
	return nil
}

func faultf(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("yaml: line %d: %s", n.Line, fmt.Sprintf(format, args...))
}
