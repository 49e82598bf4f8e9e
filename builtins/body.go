package builtins

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"time"

	"github.com/meshlark/meshlark/xds/rawjson"
	startime "go.starlark.net/lib/time"
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

// maxDepth bounds how deep lists and dicts may nest, which catches those that
// contain themselves.
const maxDepth = 500

var errDepth = errors.New("nested too deep, or containing itself")

// bodied is a value whose JSON form is JSON that was received.
type bodied interface {
	body() (rawjson.Value, error)
}

// decodedBody is a value that keeps its body decoded for jq.
type decodedBody interface {
	decoded() (any, error)
}

// Body gives the JSON form of a value: what .json() prints and what jq works
// on. A resource is what was received; a collection the array of its elements'
// forms; a proxy and other values their typed fields; a dict an object in the
// order of its keys.
func Body(v starlark.Value) (rawjson.Value, error) {
	return appendBody(nil, v, 0)
}

func appendBody(dst []byte, v starlark.Value, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	switch v := v.(type) {
	case nil, starlark.NoneType:
		return append(dst, "null"...), nil
	case starlark.Bool:
		return strconv.AppendBool(dst, bool(v)), nil
	case starlark.Int:
		return append(dst, v.String()...), nil
	case starlark.Float:
		return appendFloat(dst, float64(v)), nil
	case starlark.String:
		return rawjson.Quote(dst, string(v)), nil
	case starlark.Bytes:
		return rawjson.Quote(dst, string(v)), nil
	case startime.Time:
		return rawjson.Quote(dst, TimeText(time.Time(v))), nil
	case startime.Duration:
		return rawjson.Quote(dst, durationText(time.Duration(v))), nil
	case interface{ Raw() rawjson.Value }:
		return append(dst, v.Raw()...), nil
	case bodied:
		b, err := v.body()
		return append(dst, b...), err
	case *Collection:
		return appendBodies(dst, v, depth)
	case Itemer:
		return v.Item().AppendJSON(dst), nil
	case *starlarkstruct.Struct:
		d := starlark.StringDict{}
		v.ToStringDict(d)
		return appendMembers(dst, depth, func(yield func(string, starlark.Value) bool) {
			for _, k := range d.Keys() {
				if !yield(k, d[k]) {
					return
				}
			}
		})
	case starlark.IterableMapping:
		var bad starlark.Value
		dst, err := appendMembers(dst, depth, func(yield func(string, starlark.Value) bool) {
			for k, x := range starlark.Entries(v) {
				name, ok := starlark.AsString(k)
				if !ok {
					bad = k
					return
				}
				if !yield(name, x) {
					return
				}
			}
		})
		if bad != nil {
			return nil, fmt.Errorf("a dict with the key %s has no JSON form: keys must be strings", bad)
		}
		return dst, err
	case starlark.Iterable:
		return appendBodies(dst, v, depth)
	default:
		return nil, fmt.Errorf("a %s has no JSON form", v.Type())
	}
}

func appendBodies(dst []byte, xs starlark.Iterable, depth int) ([]byte, error) {
	dst = append(dst, '[')
	first := true
	for x := range starlark.Elements(xs) {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		var err error
		if dst, err = appendBody(dst, x, depth+1); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

func appendMembers(dst []byte, depth int, members func(func(string, starlark.Value) bool)) ([]byte, error) {
	dst = append(dst, '{')
	first := true
	for k, x := range members {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(rawjson.Quote(dst, k), ':')
		var err error
		if dst, err = appendBody(dst, x, depth+1); err != nil {
			return nil, err
		}
	}
	return append(dst, '}'), nil
}

// decode gives a value in the form that gojq takes.
func decode(v starlark.Value, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	switch v := v.(type) {
	case nil, starlark.NoneType:
		return nil, nil
	case starlark.Bool:
		return bool(v), nil
	case starlark.Int:
		if n, ok := v.Int64(); ok && int64(int(n)) == n {
			return int(n), nil
		}
		return v.BigInt(), nil
	case starlark.Float:
		return float64(v), nil
	case starlark.String:
		return string(v), nil
	case decodedBody:
		return v.decoded()
	case *Collection:
		return decodeList(v, depth)
	case *starlark.List:
		return decodeList(v, depth)
	case starlark.Tuple:
		return decodeList(v, depth)
	default:
		b, err := appendBody(nil, v, depth)
		if err != nil {
			return nil, err
		}
		return rawjson.Decode(b)
	}
}

func decodeList(xs starlark.Iterable, depth int) (any, error) {
	out := []any{}
	for x := range starlark.Elements(xs) {
		d, err := decode(x, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

// encode gives what gojq put out as Starlark values: ordinary dicts and lists
// which the script may change. Keys come sorted, as jq orders them.
func encode(v any) starlark.Value {
	switch v := v.(type) {
	case bool:
		return starlark.Bool(v)
	case int:
		return starlark.MakeInt(v)
	case float64:
		return starlark.Float(v)
	case *big.Int:
		return starlark.MakeBigInt(v)
	case json.Number:
		return number(string(v))
	case string:
		return starlark.String(v)
	case []any:
		elems := make([]starlark.Value, len(v))
		for i, x := range v {
			elems[i] = encode(x)
		}
		return starlark.NewList(elems)
	case map[string]any:
		d := starlark.NewDict(len(v))
		for _, k := range sortedKeys(v) {
			d.SetKey(starlark.String(k), encode(v[k])) // a new dict and a string key: cannot fail
		}
		return d
	default:
		return starlark.None
	}
}
