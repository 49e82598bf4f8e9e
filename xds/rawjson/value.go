// Package rawjson reads JSON text without losing any of it.
//
// A [Value] is the text of one JSON value. Key order, the text of numbers, duplicate keys and unknown fields
// stay as they were sent; only white space between tokens may be dropped (see [Compact]). Values are read in place:
// [Value.Get], [Value.Members] and [Value.Elems] scan the text and return parts of it, so looking at two fields of a
// large object costs one pass and no allocation.
//
// Field names are looked up as Envoy's admin interface writes them (snake_case); where the text was written by a tool that
// prints protobuf's lowerCamelCase names, those are found too.
package rawjson

import (
	"bytes"
	"iter"
	"strconv"
)

// A Value is the text of one JSON value, without white space around it. The zero Value means "absent".
//
// Methods never panic. On text that is not valid JSON they give what could be read up to the fault; text that has been through
// [Compact] is valid.
type Value []byte

// Kind is what a JSON value is.
type Kind byte

// The kinds of JSON values. Absent is the kind of the zero Value.
const (
	Absent Kind = iota
	Null
	Bool
	Number
	String
	Array
	Object
)

// Kind tells what v is by its first byte.
func (v Value) Kind() Kind {
	if len(v) == 0 {
		return Absent
	}
	switch v[0] {
	case '{':
		return Object
	case '[':
		return Array
	case '"':
		return String
	case 't', 'f':
		return Bool
	case 'n':
		return Null
	default:
		return Number
	}
}

// Exists reports whether v is present and not null.
func (v Value) Exists() bool { return len(v) > 0 && v[0] != 'n' }

// Members iterates over an object's members in order, duplicates included. The key is decoded. Other kinds have none.
func (v Value) Members() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		for k, val := range v.rawMembers() {
			if !yield(Value(k).Text(), val) {
				return
			}
		}
	}
}

// rawMembers iterates with the key as the quoted text it was sent as.
func (v Value) rawMembers() iter.Seq2[[]byte, Value] {
	return func(yield func([]byte, Value) bool) {
		if v.Kind() != Object {
			return
		}
		i := SkipSpace(v, 1)
		for i < len(v) && v[i] == '"' {
			keyEnd, err := SkipString(v, i)
			if err != nil {
				return
			}
			key := v[i:keyEnd]
			i = SkipSpace(v, keyEnd)
			if i >= len(v) || v[i] != ':' {
				return
			}
			i = SkipSpace(v, i+1)
			end, err := Skip(v, i)
			if err != nil {
				return
			}
			if !yield(key, Value(v[i:end])) {
				return
			}
			i = SkipSpace(v, end)
			if i >= len(v) || v[i] != ',' {
				return
			}
			i = SkipSpace(v, i+1)
		}
	}
}

// Elems iterates over an array's elements. Other kinds have none.
func (v Value) Elems() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		if v.Kind() != Array {
			return
		}
		i := SkipSpace(v, 1)
		for i < len(v) && v[i] != ']' {
			end, err := Skip(v, i)
			if err != nil {
				return
			}
			if !yield(Value(v[i:end])) {
				return
			}
			i = SkipSpace(v, end)
			if i >= len(v) || v[i] != ',' {
				return
			}
			i = SkipSpace(v, i+1)
		}
	}
}

// Len counts an array's elements or an object's members.
func (v Value) Len() int {
	n := 0
	switch v.Kind() {
	case Array:
		for range v.Elems() {
			n++
		}
	case Object:
		for range v.rawMembers() {
			n++
		}
	}
	return n
}

// Get follows a path of field names from an object and gives the value there, or the zero Value. Of duplicate keys the
// last one counts, as in every common decoder. A name is found in snake_case and in lowerCamelCase.
func (v Value) Get(path ...string) Value {
	for _, name := range path {
		v = v.member(name)
		if len(v) == 0 {
			return nil
		}
	}
	return v
}

// Key gives the member of exactly that name, for objects whose keys are data and not field names; of duplicates the last.
func (v Value) Key(name string) Value {
	var found Value
	for k, val := range v.Members() {
		if k == name {
			found = val
		}
	}
	return found
}

func (v Value) member(name string) Value {
	var found Value
	for k, val := range v.rawMembers() {
		if keyIs(k, name) {
			found = val
		}
	}
	return found
}

// keyIs compares a quoted key with a name in snake_case, or in lowerCamelCase as protobuf's JSON has it; a key with escapes is decoded first.
func keyIs(quoted []byte, name string) bool {
	if len(quoted) == len(name)+2 && string(quoted[1:len(quoted)-1]) == name {
		return true
	}
	if len(quoted) < 2 {
		return false
	}
	if camelIs(quoted[1:len(quoted)-1], name) {
		return true
	}
	if bytes.IndexByte(quoted, '\\') < 0 {
		return false
	}
	text := Value(quoted).Text()
	return text == name || camelIs(text, name)
}

// Text gives a string's decoded text, the text of a number or a boolean as written, and "" for anything else.
func (v Value) Text() string {
	switch v.Kind() {
	case String:
		return unquote(v)
	case Number, Bool:
		return string(v)
	default:
		return ""
	}
}

// Str is the text at a path of field names, "" when absent.
func (v Value) Str(path ...string) string { return v.Get(path...).Text() }

// Int gives an integer written as a number or, as protobuf does for 64-bit integers, as a string.
func (v Value) Int() (int64, bool) {
	n, err := strconv.ParseInt(v.Text(), 10, 64)
	return n, err == nil
}

// Uint gives an unsigned integer written as a number or as a string.
func (v Value) Uint() (uint64, bool) {
	n, err := strconv.ParseUint(v.Text(), 10, 64)
	return n, err == nil
}

// Float gives a number written as a number or as a string; protobuf's "NaN", "Infinity" and "-Infinity" are read.
func (v Value) Float() (float64, bool) {
	f, err := strconv.ParseFloat(v.Text(), 64)
	return f, err == nil
}

// IsTrue reports whether v is the boolean true.
func (v Value) IsTrue() bool { return string(v) == "true" }
