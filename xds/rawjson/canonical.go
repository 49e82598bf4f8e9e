package rawjson

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unsafe"
)

// Canonical appends the canonical form of a value: keys sorted, of duplicate keys the last, numbers and string escapes in one
// spelling (1.0, 1 and 1e0 are equal; integers of any size are exact), no white space. Two values are equal when their canonical forms
// are. The form is itself JSON, and its own canonical form.
//
// The value must be valid JSON, as from [Compact]; of other text the form is unspecified.
func Canonical(dst []byte, v Value) []byte {
	c := canonizers.Get().(*canonizer)
	c.src, c.out = v, dst
	if c.measure() {
		c.value(SkipSpace(v, 0), 0)
		dst = c.out
	}
	c.src, c.out, c.sizes, c.members = nil, nil, spare(c.sizes), spare(c.members)
	canonizers.Put(c)
	return dst
}

var canonizers = sync.Pool{New: func() any { return new(canonizer) }}

// A canonizer writes objects member by member in the order of their keys. So that a value can be passed over at once, however
// deep it is, a first pass notes the size of every array and object.
type canonizer struct {
	src, out []byte
	sizes    []size   // in the order in which the containers open
	members  []member // of the objects that are being written
}

// A size is how far an array or object reaches.
type size struct {
	end  int // offset after it
	next int // index in sizes of the first container that opens after it has closed
}

// A member is a member of an object: where its value stands, and which container that value is if it is one.
type member struct {
	key       string
	quoted    []byte
	at, index int
}

// measure fills sizes and reports whether all brackets match.
func (c *canonizer) measure() bool {
	src := c.src
	var small [64]int
	open := small[:0]
	for i := 0; i < len(src); {
		switch src[i] {
		case '"':
			end, err := SkipString(src, i)
			if err != nil {
				return false
			}
			i = end
			continue
		case '{', '[':
			if len(open) == MaxDepth {
				return false
			}
			open = append(open, len(c.sizes))
			c.sizes = append(c.sizes, size{})
		case '}', ']':
			if len(open) == 0 {
				return false
			}
			c.sizes[open[len(open)-1]] = size{end: i + 1, next: len(c.sizes)}
			open = open[:len(open)-1]
		}
		i++
	}
	return len(open) == 0
}

// pass gives the offset after the value at i, and the index of the next container after it; index is that of the value if it is one.
func (c *canonizer) pass(i, index int) (int, int) {
	switch c.src[i] {
	case '{', '[':
		return c.sizes[index].end, c.sizes[index].next
	}
	end, err := Skip(c.src, i)
	if err != nil {
		return len(c.src), index
	}
	return end, index
}

// value writes the value at i, which is the container of an index if it is one.
func (c *canonizer) value(i, index int) {
	src := c.src
	if i >= len(src) {
		return
	}
	switch src[i] {
	case '{':
		c.object(i, index)
	case '[':
		c.array(i, index)
	case '"':
		end, _ := c.pass(i, index)
		c.string(src[i:end])
	default:
		end, _ := c.pass(i, index)
		if v := Value(src[i:end]); v.Kind() == Number {
			c.out = appendNumber(c.out, string(v))
		} else {
			c.out = append(c.out, v...)
		}
	}
}

func (c *canonizer) array(i, index int) {
	src, end := c.src, c.sizes[index].end
	index++
	c.out = append(c.out, '[')
	first := true
	for i = SkipSpace(src, i+1); i < end-1; {
		if !first {
			c.out = append(c.out, ',')
		}
		first = false
		c.value(i, index)
		i, index = c.pass(i, index)
		i = SkipSpace(src, i)
		if i < end && src[i] == ',' {
			i = SkipSpace(src, i+1)
			continue
		}
		break
	}
	c.out = append(c.out, ']')
}

func (c *canonizer) object(i, index int) {
	src, end, base := c.src, c.sizes[index].end, len(c.members)
	index++
	sorted := true
	for i = SkipSpace(src, i+1); i < end && src[i] == '"'; {
		keyEnd, err := SkipString(src, i)
		if err != nil {
			break
		}
		m := member{quoted: src[i:keyEnd], index: index}
		m.key = c.key(m.quoted)
		i = SkipSpace(src, keyEnd)
		if i >= end || src[i] != ':' {
			break
		}
		i = SkipSpace(src, i+1)
		if i >= end {
			break
		}
		m.at = i
		if n := len(c.members); n > base && c.members[n-1].key >= m.key {
			sorted = false
		}
		c.members = append(c.members, m)
		i, index = c.pass(i, index)
		i = SkipSpace(src, i)
		if i < end && src[i] == ',' {
			i = SkipSpace(src, i+1)
		}
	}
	top := len(c.members)
	if !sorted {
		slices.SortStableFunc(c.members[base:], func(a, b member) int { return strings.Compare(a.key, b.key) })
	}
	c.out = append(c.out, '{')
	first := true
	for n := base; n < top; n++ {
		m := c.members[n]
		if n+1 < top && c.members[n+1].key == m.key {
			continue
		}
		if !first {
			c.out = append(c.out, ',')
		}
		first = false
		c.string(m.quoted)
		c.out = append(c.out, ':')
		c.value(m.at, m.index)
	}
	c.out = append(c.out, '}')
	clear(c.members[base:top])
	c.members = c.members[:base]
}

// key decodes a key; one without escapes shares the memory of the text, for as long as it is being written.
func (c *canonizer) key(quoted []byte) string {
	if bytes.IndexByte(quoted, '\\') >= 0 {
		return Value(quoted).Text()
	}
	in := quoted[1 : len(quoted)-1]
	return unsafe.String(unsafe.SliceData(in), len(in))
}

// string writes a string in its one spelling. What has no escapes has it already.
func (c *canonizer) string(quoted []byte) {
	if bytes.IndexByte(quoted, '\\') >= 0 {
		c.out = Quote(c.out, Value(quoted).Text())
		return
	}
	c.out = append(c.out, quoted...)
}

// plainDigits is how many digits a number may have before or after its point and still be written without an exponent.
const plainDigits = 21

// appendNumber writes a number in one spelling: no leading or trailing zeros, an exponent only beyond plainDigits. A number that cannot be
// read, or whose exponent does not fit, is copied.
func appendNumber(dst []byte, text string) []byte {
	s, exp := text, int64(0)
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		n, err := strconv.ParseInt(strings.TrimPrefix(s[i+1:], "+"), 10, 62)
		if err != nil {
			return append(dst, text...)
		}
		s, exp = s[:i], n
	}
	minus := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(s, "-")
	if whole, frac, ok := strings.Cut(s, "."); ok {
		exp -= int64(len(frac))
		s = whole + frac
	}
	s = strings.TrimLeft(s, "0")
	if n := len(s); n > 0 {
		s = strings.TrimRight(s, "0")
		exp += int64(n - len(s))
	}
	if s == "" {
		return append(dst, '0')
	}
	if minus {
		dst = append(dst, '-')
	}
	point := int64(len(s)) + exp // where the point stands, counted from the first digit
	switch {
	case exp >= 0 && exp <= plainDigits:
		dst = append(dst, s...)
		for range exp {
			dst = append(dst, '0')
		}
	case exp < 0 && point > 0:
		dst = append(dst, s[:point]...)
		dst = append(dst, '.')
		dst = append(dst, s[point:]...)
	case exp < 0 && point > -plainDigits:
		dst = append(dst, "0."...)
		for range -point {
			dst = append(dst, '0')
		}
		dst = append(dst, s...)
	default:
		dst = append(dst, s...)
		dst = append(dst, 'e')
		dst = strconv.AppendInt(dst, exp, 10)
	}
	return dst
}
