package yamltext

import (
	"bytes"
	"encoding/json"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/meshlark/meshlark/xds/rawjson"
	"go.yaml.in/yaml/v3"
)

// JSON writes YAML as JSON: one document as its value, several as the list of theirs, none as null.
func JSON(src []byte) ([]byte, error) {
	docs, err := Read(src)
	if err != nil {
		return nil, err
	}
	switch len(docs) {
	case 0:
		return []byte("null"), nil
	case 1:
		return appendJSON(nil, docs[0])
	}
	return appendJSON(nil, &yaml.Node{Kind: yaml.SequenceNode, Content: docs})
}

func appendJSON(dst []byte, n *yaml.Node) ([]byte, error) {
	var err error
	switch n.Kind {
	case yaml.SequenceNode:
		dst = append(dst, '[')
		for i, x := range n.Content {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = appendJSON(dst, x); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	case yaml.MappingNode:
		dst = append(dst, '{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind != yaml.ScalarNode {
				return nil, faultf(key, "a key is no text but a list or a mapping")
			}
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(rawjson.Quote(dst, key.Value), ':')
			if dst, err = appendJSON(dst, n.Content[i+1]); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	}
	return appendScalar(dst, n)
}

func appendScalar(dst []byte, n *yaml.Node) ([]byte, error) {
	switch n.ShortTag() {
	case "!!null":
		return append(dst, "null"...), nil
	case "!!bool":
		var b bool
		if err := n.Decode(&b); err != nil {
			return nil, err
		}
		return strconv.AppendBool(dst, b), nil
	case "!!int":
		if i, ok := new(big.Int).SetString(strings.ReplaceAll(n.Value, "_", ""), 0); ok {
			return i.Append(dst, 10), nil
		}
	case "!!float":
		var f float64
		switch err := n.Decode(&f); {
		case err != nil: // too large
		case math.IsNaN(f):
			return append(dst, `"NaN"`...), nil
		case math.IsInf(f, 1):
			return append(dst, `"Infinity"`...), nil
		case math.IsInf(f, -1):
			return append(dst, `"-Infinity"`...), nil
		case json.Valid([]byte(n.Value)): // as it is written
			return append(dst, n.Value...), nil
		default:
			return strconv.AppendFloat(dst, f, 'g', -1, 64), nil
		}
	case "!!binary":
		return rawjson.Quote(dst, string(bytes.Join(bytes.Fields([]byte(n.Value)), nil))), nil
	}
	return rawjson.Quote(dst, n.Value), nil // text, and times as they are written
}
