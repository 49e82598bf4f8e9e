package match

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/meshlark/meshlark/xds/rawjson"
)

// maxDepth bounds how deep conditions may be nested: far beyond any that is written, and no strain on the stack.
const maxDepth = 64

// A Value is a condition on a piece of metadata (envoy.type.matcher.v3.ValueMatcher).
type Value struct {
	kind    string
	text    String
	flag    bool
	number  [2]float64 // exact value, or start and end
	inRange bool
	list    []Value
}

// NewValue reads a ValueMatcher.
func NewValue(v rawjson.Value) Value { return newValue(v, 0) }

func newValue(v rawjson.Value, depth int) Value {
	if depth > maxDepth {
		return Value{}
	}
	for kind, arg := range v.Members() {
		switch kind {
		case "null_match", "nullMatch":
			return Value{kind: "null"}
		case "bool_match", "boolMatch":
			return Value{kind: "bool", flag: arg.IsTrue()}
		case "present_match", "presentMatch":
			return Value{kind: "present", flag: arg.IsTrue()}
		case "string_match", "stringMatch":
			return Value{kind: "string", text: NewString(arg)}
		case "double_match", "doubleMatch":
			if r := arg.Get("range"); r.Exists() {
				start, _ := r.Get("start").Float()
				end, _ := r.Get("end").Float()
				return Value{kind: "double", inRange: true, number: [2]float64{start, end}}
			}
			exact, _ := arg.Get("exact").Float()
			return Value{kind: "double", number: [2]float64{exact}}
		case "list_match", "listMatch":
			return Value{kind: "list", list: []Value{newValue(arg.Get("one_of"), depth+1)}}
		case "or_match", "orMatch":
			out := Value{kind: "or"}
			for m := range arg.Get("value_matchers").Elems() {
				out.list = append(out.list, newValue(m, depth+1))
			}
			return out
		}
	}
	return Value{}
}

// Match reports whether the condition holds for a value as decoded from JSON. ok is false for a value that is not there.
func (v Value) Match(value any, ok bool) bool {
	if !ok && v.kind != "or" {
		return false
	}
	switch v.kind {
	case "null":
		return value == nil
	case "bool":
		b, isBool := value.(bool)
		return isBool && b == v.flag
	case "present":
		return v.flag
	case "string":
		s, isString := value.(string)
		return isString && v.text.Match(s)
	case "double":
		n, isNumber := number(value)
		if v.inRange {
			return isNumber && v.number[0] <= n && n < v.number[1]
		}
		return isNumber && n == v.number[0]
	case "list":
		elems, _ := value.([]any)
		for _, e := range elems {
			if v.list[0].Match(e, true) {
				return true
			}
		}
	case "or":
		for _, m := range v.list {
			if m.Match(value, ok) {
				return true
			}
		}
	}
	return false
}

func number(value any) (float64, bool) {
	switch n := value.(type) {
	case float64:
		return n, true
	case int:
		return float64(n), true
	case int64:
		return float64(n), true
	case uint64:
		return float64(n), true
	case json.Number:
		f, err := n.Float64()
		return f, err == nil
	}
	return 0, false
}

// A MetadataMatch is a condition on metadata (envoy.type.matcher.v3.MetadataMatcher).
type MetadataMatch struct {
	filter string
	path   []string
	value  Value
	invert bool
	text   string
}

// NewMetadataMatch reads a MetadataMatcher.
func NewMetadataMatch(v rawjson.Value) MetadataMatch {
	m := MetadataMatch{filter: v.Str("filter"), value: NewValue(v.Get("value")), invert: v.Get("invert").IsTrue()}
	for segment := range v.Get("path").Elems() {
		m.path = append(m.path, segment.Str("key"))
	}
	m.text = fmt.Sprintf("metadata %s:%s %s", m.filter, strings.Join(m.path, "."), v.Get("value"))
	if m.invert {
		m.text = "not " + m.text
	}
	return m
}

// Match reports whether the condition holds for metadata by the name of the filter. Metadata that is not there matches an inverted
// condition.
func (m MetadataMatch) Match(metadata map[string]any) bool {
	value, ok := m.find(metadata)
	return m.value.Match(value, ok) != m.invert
}

func (m MetadataMatch) find(metadata map[string]any) (any, bool) {
	at, ok := metadata[m.filter]
	if !ok || len(m.path) == 0 {
		return nil, false
	}
	for _, key := range m.path {
		object, isObject := at.(map[string]any)
		if !isObject {
			return nil, false
		}
		if at, ok = object[key]; !ok {
			return nil, false
		}
	}
	return at, true
}

// String is the condition in one line.
func (m MetadataMatch) String() string { return m.text }

// Why says in one phrase what there is in place of what the condition asks for.
func (m MetadataMatch) Why(metadata map[string]any) string {
	if value, ok := m.find(metadata); ok {
		return fmt.Sprintf("%s: it is %v", m.text, value)
	}
	return m.text + ": it is absent"
}

// A FilterStateMatch is a condition on an object of the filter state (envoy.type.matcher.v3.FilterStateMatcher).
type FilterStateMatch struct {
	key    string
	text   String
	ranges Ranges
	isIP   bool
	invert bool
}

// NewFilterStateMatch reads a FilterStateMatcher.
func NewFilterStateMatch(v rawjson.Value) FilterStateMatch {
	address := v.Get("address_match")
	return FilterStateMatch{
		key:    v.Str("key"),
		text:   NewString(v.Get("string_match")),
		ranges: NewRanges(address.Get("ranges")),
		isIP:   address.Exists(),
		invert: address.Get("invert_match").IsTrue(),
	}
}

// Match reports whether the condition holds; an object that is not there matches nothing.
func (m FilterStateMatch) Match(state map[string]string) bool {
	value, ok := state[m.key]
	if !ok {
		return false
	}
	if m.isIP {
		ip, err := parseIP(value)
		return err == nil && m.ranges.Contains(ip) != m.invert
	}
	return m.text.Match(value)
}

// String is the condition in one line.
func (m FilterStateMatch) String() string {
	if m.isIP {
		op := "="
		if m.invert {
			op = "!="
		}
		return "filter_state " + m.key + op + m.ranges.String()
	}
	return "filter_state " + m.key + "=" + m.text.String()
}
