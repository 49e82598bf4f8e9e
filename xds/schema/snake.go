package schema

import (
	"bytes"

	"github.com/meshlark/meshlark/xds/rawjson"
)

// maxDepth is how deeply messages are followed into messages; Envoy's own limit is 100. It bounds the stack.
const maxDepth = 1000

// Snake appends body to dst with the names of fields as Envoy prints them: a key that is a field's lowerCamelCase JSON name
// becomes the field's own name. Message is the full name of the message that body is the JSON of; "" means that body is an Any,
// whose "@type" says what it holds.
//
// Only keys that the definitions say are names of fields are touched. Keys of maps (labels, typed_per_filter_config), all
// that is inside a Struct, Value or TypedStruct, fields that are not known and messages of types that are not known stay as they were
// sent, and so do all values, the order of keys and white space.
//
// If there is nothing to change, Snake appends nothing and reports false. Of text that is not JSON, what follows the fault
// is left as it is.
func Snake(dst []byte, body rawjson.Value, message string) ([]byte, bool) {
	if message == "" {
		message = "google.protobuf.Any"
	}
	s := snake{table: envoy(), src: body, out: dst}
	s.message(rawjson.SkipSpace(body, 0), s.table.message(message), 0)
	if !s.changed {
		return dst, false
	}
	return append(s.out, s.src[s.copied:]...), true
}

// A snake walks over src and appends it to out with some keys replaced. Its methods take the offset of a value and give the
// offset after it, or -1 where src stops being JSON.
type snake struct {
	table   *table
	src     []byte
	out     []byte
	copied  int // how much of src is in out
	changed bool
}

// message follows the JSON of a message of type m, which is nil if the type is not known.
func (s *snake) message(i int, m *Message, depth int) int {
	if m == nil || depth > maxDepth || !s.at(i, '{') {
		return s.skip(i)
	}
	switch m.Form {
	case AsObject:
		return s.fields(i, m, depth)
	case AsAny:
		return s.any(i, m, depth)
	}
	return s.skip(i)
}

// fields follows an object whose keys are names of m's fields.
func (s *snake) fields(i int, m *Message, depth int) int {
	i = s.enter(i)
	for s.at(i, '"') {
		key, value := s.key(i)
		f := m.byName[string(key)]
		if f == nil && bytes.IndexByte(key, '\\') >= 0 {
			f = m.byName[string(rawjson.Unquote(nil, key))]
		}
		if f != nil && string(key) != f.Name {
			s.replace(i+1, len(key), f.Name)
		}
		if f != nil && f.Kind == MessageKind {
			value = s.field(value, f, depth+1)
		} else {
			value = s.skip(value)
		}
		i = s.next(value, '}')
	}
	return s.leave(i, '}')
}

// field follows the value of a field that holds messages.
func (s *snake) field(i int, f *Field, depth int) int {
	m := f.Message()
	switch {
	case f.Repeated && s.at(i, '['):
		i = s.enter(i)
		for i >= 0 && !s.at(i, ']') {
			i = s.next(s.message(i, m, depth), ']')
		}
		return s.leave(i, ']')
	case f.MapKey != NoKind && s.at(i, '{'):
		i = s.enter(i)
		for s.at(i, '"') {
			_, value := s.key(i)
			i = s.next(s.message(value, m, depth), '}')
		}
		return s.leave(i, '}')
	case f.Repeated || f.MapKey != NoKind:
		return s.skip(i)
	}
	return s.message(i, m, depth)
}

// any follows the JSON of an Any, whose own definition is m.
func (s *snake) any(i int, m *Message, depth int) int {
	inner := s.inner(i)
	switch {
	case inner == nil:
		return s.skip(i)
	case inner.Form == AsObject:
		return s.fields(i, inner, depth)
	case inner.Form != AsAny:
		return s.skip(i)
	}
	i = s.enter(i)
	for s.at(i, '"') {
		key, value := s.key(i)
		if string(key) == "value" {
			value = s.message(value, m, depth+1)
		} else {
			value = s.skip(value)
		}
		i = s.next(value, '}')
	}
	return s.leave(i, '}')
}

// inner gives the definition of the message in the Any at i by its "@type", which comes first unless a tool has moved it.
func (s *snake) inner(i int) *Message {
	i = s.enter(i)
	for s.at(i, '"') {
		key, value := s.key(i)
		end := s.skip(value)
		if string(key) != "@type" {
			i = s.next(end, '}')
			continue
		}
		if end < 0 || !s.at(value, '"') {
			return nil
		}
		url := s.src[value+1 : end-1]
		return s.table.decode(s.table.messages[string(url[bytes.LastIndexByte(url, '/')+1:])])
	}
	return nil
}

// replace puts a name in the place of the n bytes at i.
func (s *snake) replace(i, n int, name string) {
	s.out = append(s.out, s.src[s.copied:i]...)
	s.out = append(s.out, name...)
	s.copied = i + n
	s.changed = true
}

func (s *snake) at(i int, c byte) bool { return i >= 0 && i < len(s.src) && s.src[i] == c }

func (s *snake) skip(i int) int {
	if i < 0 {
		return -1
	}
	end, err := rawjson.Skip(s.src, i)
	if err != nil {
		return -1
	}
	return end
}

// enter gives the offset of what comes first in the object or array at i: a member, an element or the closing bracket.
func (s *snake) enter(i int) int { return rawjson.SkipSpace(s.src, i+1) }

// key gives the text between the quotes of the key at i and the offset of the member's value.
func (s *snake) key(i int) (key []byte, value int) {
	end, err := rawjson.SkipString(s.src, i)
	if err != nil {
		return nil, -1
	}
	key = s.src[i+1 : end-1]
	end = rawjson.SkipSpace(s.src, end)
	if !s.at(end, ':') {
		return key, -1
	}
	return key, rawjson.SkipSpace(s.src, end+1)
}

// next gives, from the offset after a member or an element, the offset of the next one or of the closing bracket.
func (s *snake) next(i int, bracket byte) int {
	if i < 0 {
		return -1
	}
	i = rawjson.SkipSpace(s.src, i)
	switch {
	case s.at(i, ','):
		return rawjson.SkipSpace(s.src, i+1)
	case s.at(i, bracket):
		return i
	}
	return -1
}

func (s *snake) leave(i int, bracket byte) int {
	if !s.at(i, bracket) {
		return -1
	}
	return i + 1
}
