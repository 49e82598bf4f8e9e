package builtins

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"

	"github.com/meshlark/meshlark/xds/rawjson"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// JSON is a JSON object or array as a Starlark value: what .raw gives. It is a
// view of the text: members are looked at when they are asked for, the order
// of keys is kept, integers of any size are exact.
//
// An object is a mapping whose members are also attributes; an array is a
// sequence. Strings, numbers, booleans and null inside them are the Starlark
// values.
type JSON struct {
	value rawjson.Value
	once  sync.Once
	keys  []string
	elems []rawjson.Value // of an array, or the members' values in the order of keys
	index map[string]int
}

// jsonObject and jsonArray are JSON with the methods that suit the one or the
// other: a Starlark value that has Get cannot be indexed by position.
type (
	jsonObject struct{ *JSON }
	jsonArray  struct{ *JSON }
)

var (
	_ starlark.IterableMapping = jsonObject{}
	_ starlark.Sequence        = jsonObject{}
	_ starlark.HasAttrs        = jsonObject{}
	_ starlark.Comparable      = jsonObject{}
	_ starlark.Sliceable       = jsonArray{}
	_ starlark.Sequence        = jsonArray{}
	_ starlark.HasAttrs        = jsonArray{}
	_ starlark.Comparable      = jsonArray{}
)

// NewJSON gives a JSON text as a Starlark value. The text must be valid, see
// rawjson.Compact.
func NewJSON(v rawjson.Value) starlark.Value {
	switch v.Kind() {
	case rawjson.Object:
		return jsonObject{&JSON{value: v}}
	case rawjson.Array:
		return jsonArray{&JSON{value: v}}
	default:
		return scalar(v)
	}
}

func scalar(v rawjson.Value) starlark.Value {
	switch v.Kind() {
	case rawjson.Bool:
		return starlark.Bool(v.IsTrue())
	case rawjson.String:
		return starlark.String(v.Text())
	case rawjson.Number:
		return number(string(v))
	default:
		return starlark.None
	}
}

// number reads a JSON number: an int when it is written as one.
func number(text string) starlark.Value {
	if !strings.ContainsAny(text, ".eE") {
		if n, ok := new(big.Int).SetString(text, 10); ok {
			return starlark.MakeBigInt(n)
		}
	}
	f, ok := rawjson.Value(text).Float()
	if !ok {
		return starlark.String(text)
	}
	return starlark.Float(f)
}

// plain converts JSON to ordinary dicts and lists, which a script may change.
func plain(v rawjson.Value) starlark.Value {
	switch v.Kind() {
	case rawjson.Object:
		d := starlark.NewDict(8)
		for k, x := range v.Members() {
			d.SetKey(starlark.String(k), plain(x)) // a new dict and a string key: cannot fail
		}
		return d
	case rawjson.Array:
		var elems []starlark.Value
		for x := range v.Elems() {
			elems = append(elems, plain(x))
		}
		return starlark.NewList(elems)
	default:
		return scalar(v)
	}
}

func (j *JSON) parse() {
	j.once.Do(func() {
		if j.value.Kind() == rawjson.Array {
			for x := range j.value.Elems() {
				j.elems = append(j.elems, x)
			}
			return
		}
		j.index = map[string]int{}
		for k, x := range j.value.Members() {
			if i, ok := j.index[k]; ok {
				j.elems[i] = x // of duplicate keys the last one counts
				continue
			}
			j.index[k] = len(j.keys)
			j.keys = append(j.keys, k)
			j.elems = append(j.elems, x)
		}
	})
}

// Raw is the JSON text.
func (j *JSON) Raw() rawjson.Value { return j.value }

// MarshalJSON gives the text as it is.
func (j *JSON) MarshalJSON() ([]byte, error) { return j.value, nil }

func (j *JSON) Freeze() {}

// Len is the number of members or elements.
func (j *JSON) Len() int { j.parse(); return len(j.elems) }

// Truth is false for an empty object or array.
func (j *JSON) Truth() starlark.Bool { return j.Len() > 0 }

func (j *JSON) String() string { return clip(string(j.value), 200) }

func (j *JSON) Hash() (uint32, error) {
	return starlark.String(rawjson.Canonical(nil, j.value)).Hash()
}

func (j *JSON) equal(op syntax.Token, o *JSON) (bool, error) {
	same := string(rawjson.Canonical(nil, j.value)) == string(rawjson.Canonical(nil, o.value))
	switch op {
	case syntax.EQL:
		return same, nil
	case syntax.NEQ:
		return !same, nil
	default:
		return false, fmt.Errorf("JSON values have no order")
	}
}

// clip shortens a text to at most n runes, with dots for what is missing.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	r := []rune(s[:min(len(s), 4*n)])
	if len(r) <= n {
		return s
	}
	return string(r[:n-3]) + "..."
}

func (o jsonObject) Type() string { return "JSONObject" }

// Get gives the member of a name.
func (o jsonObject) Get(k starlark.Value) (starlark.Value, bool, error) {
	name, ok := starlark.AsString(k)
	if !ok {
		return nil, false, nil
	}
	o.parse()
	i, ok := o.index[name]
	if !ok {
		return nil, false, nil
	}
	return NewJSON(o.elems[i]), true, nil
}

func (o jsonObject) Items() []starlark.Tuple {
	o.parse()
	out := make([]starlark.Tuple, len(o.keys))
	for i, k := range o.keys {
		out[i] = starlark.Tuple{starlark.String(k), NewJSON(o.elems[i])}
	}
	return out
}

// Iterate goes over the keys, as over a dict's.
func (o jsonObject) Iterate() starlark.Iterator {
	o.parse()
	keys := make(starlark.Tuple, len(o.keys))
	for i, k := range o.keys {
		keys[i] = starlark.String(k)
	}
	return keys.Iterate()
}

// Attr gives a method or, where there is none of that name, a member.
func (o jsonObject) Attr(name string) (starlark.Value, error) {
	if e := lookup("JSONObject", name); e != nil {
		return e.builtin(o), nil
	}
	if v, ok, _ := o.Get(starlark.String(name)); ok {
		return v, nil
	}
	return nil, noAttr("JSONObject", name, o.AttrNames())
}

func (o jsonObject) AttrNames() []string {
	o.parse()
	return append(slices.Clone(o.keys), attrNames(o)...)
}

func (o jsonObject) CompareSameType(op syntax.Token, y starlark.Value, _ int) (bool, error) {
	return o.equal(op, y.(jsonObject).JSON)
}

func (a jsonArray) Type() string { return "JSONArray" }

func (a jsonArray) Index(i int) starlark.Value {
	a.parse()
	return NewJSON(a.elems[i])
}

func (a jsonArray) Slice(start, end, step int) starlark.Value {
	a.parse()
	var out []starlark.Value
	for i := start; step > 0 && i < end || step < 0 && i > end; i += step {
		out = append(out, NewJSON(a.elems[i]))
	}
	return starlark.NewList(out)
}

func (a jsonArray) Iterate() starlark.Iterator {
	a.parse()
	return &indexIterator{a, 0}
}

func (a jsonArray) Attr(name string) (starlark.Value, error) { return attr(a, name) }
func (a jsonArray) AttrNames() []string                      { return attrNames(a) }

func (a jsonArray) CompareSameType(op syntax.Token, y starlark.Value, _ int) (bool, error) {
	return a.equal(op, y.(jsonArray).JSON)
}

// indexIterator goes over anything that is indexed.
type indexIterator struct {
	xs starlark.Indexable
	i  int
}

func (it *indexIterator) Next(p *starlark.Value) bool {
	if it.i >= it.xs.Len() {
		return false
	}
	*p = it.xs.Index(it.i)
	it.i++
	return true
}

func (it *indexIterator) Done() {}
