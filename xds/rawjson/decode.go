package rawjson

import (
	"encoding/json"
	"math/bits"
	"strconv"
	"sync"
	"unicode/utf8"
)

// Decode turns a value into Go values for jq: nil, bool, int, json.Number, string, []any and map[string]any. A whole number that fits
// an int is an int; every other number, and -0, keeps its text as a json.Number. Of duplicate keys the last one counts.
//
// The text is checked as by [Compact]; the error is a *SyntaxError. Equal strings share memory.
func Decode(v Value) (any, error) {
	d := decoders.Get().(*decoder)
	x, err := d.document(v)
	d.reset()
	decoders.Put(d)
	return x, err
}

var decoders = sync.Pool{New: func() any { return new(decoder) }}

// A decoder keeps what it has read recently: configuration says the same few words over and over, and each need be in memory once.
type decoder struct {
	src    []byte
	depth  int
	values []any    // of the arrays and objects that are open
	keys   []string // of the objects that are open
	words  [wordSlots]word
	nums   [numberSlots]word
}

// A word is a short text and what it decodes to.
type word struct {
	text  string
	value any
}

const (
	wordSlots   = 4096
	numberSlots = 256
	longestWord = 128 // bytes; longer strings are mostly met once
)

// mostSpare is how many elements of working memory are kept from one value to the next.
const mostSpare = 1 << 12

func (d *decoder) reset() {
	clear(d.values) // an error leaves some behind
	clear(d.keys)
	d.src, d.depth = nil, 0
	d.values, d.keys = spare(d.values), spare(d.keys)
}

// spare gives a slice for the next use, nothing when it has grown large. What it held was cleared when it was taken off.
func spare[T any](s []T) []T {
	if cap(s) > mostSpare {
		return nil
	}
	return s[:0]
}

func (d *decoder) document(src []byte) (any, error) {
	d.src = src
	x, i, err := d.value(SkipSpace(src, 0))
	if err != nil {
		return nil, err
	}
	if i = SkipSpace(src, i); i < len(src) {
		return nil, syntaxErrorf(i, "%s after the end of the value", char(src[i:]))
	}
	return x, nil
}

// value decodes the value at i and says where it ends.
func (d *decoder) value(i int) (any, int, error) {
	src := d.src
	if i >= len(src) {
		return nil, i, d.unexpected(i, "a value")
	}
	switch src[i] {
	case '"':
		end, plain, err := checkString(src, i)
		if err != nil {
			return nil, i, err
		}
		if !plain {
			return unquote(src[i:end]), end, nil
		}
		return d.word(src[i+1 : end-1]).value, end, nil
	case '{':
		return d.object(i)
	case '[':
		return d.array(i)
	case 't':
		if n := literalLen(src[i:], "true"); n > 0 {
			return true, i + n, nil
		}
	case 'f':
		if n := literalLen(src[i:], "false"); n > 0 {
			return false, i + n, nil
		}
	case 'n':
		if n := literalLen(src[i:], "null"); n > 0 {
			return nil, i + n, nil
		}
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		n := numberLen(src[i:])
		if n == 0 {
			return nil, i, syntaxErrorf(i, "invalid number")
		}
		return d.number(src[i : i+n]), i + n, nil
	}
	return nil, i, d.unexpected(i, "a value")
}

func (d *decoder) unexpected(i int, want string) error {
	c := compactor{src: d.src, i: i}
	return c.unexpected(want)
}

func (d *decoder) enter(i int) error {
	if d.depth == MaxDepth {
		return syntaxErrorf(i, "nested more than %d levels deep", MaxDepth)
	}
	d.depth++
	return nil
}

func (d *decoder) array(i int) (any, int, error) {
	if err := d.enter(i); err != nil {
		return nil, i, err
	}
	src, base := d.src, len(d.values)
	i = SkipSpace(src, i+1)
	if i < len(src) && src[i] == ']' {
		d.depth--
		return []any{}, i + 1, nil
	}
	for {
		x, end, err := d.value(i)
		if err != nil {
			return nil, end, err
		}
		d.values = append(d.values, x)
		i = SkipSpace(src, end)
		if i >= len(src) || src[i] != ',' && src[i] != ']' {
			return nil, i, d.unexpected(i, "',' or ']'")
		}
		i++
		if src[i-1] == ']' {
			break
		}
		i = SkipSpace(src, i)
	}
	xs := append(make([]any, 0, len(d.values)-base), d.values[base:]...)
	clear(d.values[base:])
	d.values = d.values[:base]
	d.depth--
	return xs, i, nil
}

func (d *decoder) object(i int) (any, int, error) {
	if err := d.enter(i); err != nil {
		return nil, i, err
	}
	src, base, baseKeys := d.src, len(d.values), len(d.keys)
	i = SkipSpace(src, i+1)
	if i < len(src) && src[i] == '}' {
		d.depth--
		return map[string]any{}, i + 1, nil
	}
	for {
		if i >= len(src) || src[i] != '"' {
			return nil, i, d.unexpected(i, "a quoted key")
		}
		end, plain, err := checkString(src, i)
		if err != nil {
			return nil, i, err
		}
		if plain {
			d.keys = append(d.keys, d.word(src[i+1:end-1]).text)
		} else {
			d.keys = append(d.keys, unquote(src[i:end]))
		}
		i = SkipSpace(src, end)
		if i >= len(src) || src[i] != ':' {
			return nil, i, d.unexpected(i, "':' after the key")
		}
		x, end, err := d.value(SkipSpace(src, i+1))
		if err != nil {
			return nil, end, err
		}
		d.values = append(d.values, x)
		i = SkipSpace(src, end)
		if i >= len(src) || src[i] != ',' && src[i] != '}' {
			return nil, i, d.unexpected(i, "',' or '}'")
		}
		i++
		if src[i-1] == '}' {
			break
		}
		i = SkipSpace(src, i)
	}
	keys := d.keys[baseKeys:]
	m := make(map[string]any, len(keys))
	for n, x := range d.values[base:] {
		m[keys[n]] = x
	}
	clear(d.values[base:])
	clear(keys)
	d.values, d.keys = d.values[:base], d.keys[:baseKeys]
	d.depth--
	return m, i, nil
}

// word gives the decoded form of a string without escapes. It is valid until the next call.
func (d *decoder) word(text []byte) *word {
	if len(text) > longestWord {
		s := string(text)
		return &word{s, s}
	}
	w := &d.words[hash(text)%wordSlots]
	if w.text != string(text) || w.value == nil {
		s := string(text)
		*w = word{s, s}
	}
	return w
}

// number decodes a number that is known to be valid.
func (d *decoder) number(text []byte) any {
	if len(text) > 20 {
		return json.Number(text)
	}
	w := &d.nums[hash(text)%numberSlots]
	if w.value == nil || w.text != string(text) {
		s := string(text)
		if n, err := strconv.Atoi(s); err == nil && s != "-0" {
			*w = word{s, n}
		} else {
			*w = word{s, json.Number(s)}
		}
	}
	return w.value
}

// hash mixes the length and up to the first and last 16 bytes of a text, which for words of configuration is enough.
func hash(b []byte) uint64 {
	const m = 0x9e3779b97f4a7c15
	n := len(b)
	h := uint64(n) * m
	switch {
	case n >= 16:
		h = (h ^ load(b, 0)) * m
		h = (bits.RotateLeft64(h, 29) ^ load(b, 8)) * m
		h = (bits.RotateLeft64(h, 29) ^ load(b, n-16)) * m
		h = (bits.RotateLeft64(h, 29) ^ load(b, n-8)) * m
	case n >= 8:
		h = (h ^ load(b, 0)) * m
		h = (bits.RotateLeft64(h, 29) ^ load(b, n-8)) * m
	default:
		for _, c := range b {
			h = (h ^ uint64(c)) * m
			h = bits.RotateLeft64(h, 29)
		}
		h *= m
	}
	return h >> 40
}

// checkString gives the offset after the string at i, and whether it is free of escapes. The string is checked as by Compact.
func checkString(src []byte, i int) (end int, plain bool, err error) {
	start := i
	plain = true
	i++
	for {
		for i+8 <= len(src) {
			w := load(src, i)
			m := zeroes(w^quotes) | zeroes(w^slants) | (w-spaces)&^w&highs | w&highs
			if m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				break
			}
			i += 8
		}
		if i >= len(src) {
			return i, false, syntaxErrorf(start, "string that is never closed")
		}
		switch b := src[i]; {
		case b == '"':
			return i + 1, plain, nil
		case b == '\\':
			n := escapeLen(src[i:])
			if n == 0 {
				return i, false, syntaxErrorf(i, "invalid escape in a string")
			}
			i += n
			plain = false
		case b < ' ':
			return i, false, syntaxErrorf(i, "control character 0x%02x in a string", b)
		case b < utf8.RuneSelf:
			i++
		default:
			r, n := utf8.DecodeRune(src[i:])
			if r == utf8.RuneError && n == 1 {
				return i, false, syntaxErrorf(i, "invalid UTF-8 in a string (byte 0x%02x)", b)
			}
			i += n
		}
	}
}
