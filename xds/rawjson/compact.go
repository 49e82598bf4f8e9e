package rawjson

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode/utf8"
)

// MaxDepth is how deeply arrays and objects may be nested in text that Compact accepts. Envoy's own JSON stays below a few hundred.
const MaxDepth = 10000

// A Watch looks for text that passes through CompactWatch, at next to no cost while there is none.
type Watch struct {
	Keys       *KeySet                  // keys to look for; a key with escapes counts as one of them
	Long       int                      // how many bytes a string, key or value, must have as sent for LongString to see it
	LongString func(quoted []byte) bool // reports whether a long string is what is looked for; it may not keep the text
	Found      bool                     // set when there was anything; nothing is looked for then
}

// A KeySet is a set of object keys that can be tested quickly.
type KeySet struct {
	names       map[string]bool
	first, last [64]uint64 // by the length of a quoted key: which first and last letters occur, by their low six bits
}

// NewKeySet makes a set. Keys of more than 60 bytes are not possible.
func NewKeySet(keys ...string) *KeySet {
	s := &KeySet{names: map[string]bool{}}
	for _, k := range keys {
		s.names[k] = true
		s.first[len(k)+2] |= 1 << (k[0] & 63)
		s.last[len(k)+2] |= 1 << (k[len(k)-1] & 63)
	}
	return s
}

// Has tells whether a quoted key is in the set.
func (s *KeySet) Has(quoted []byte) bool {
	n := len(quoted)
	return n > 2 && n < len(s.first) && s.first[n]>>(quoted[1]&63)&1 != 0 && s.last[n]>>(quoted[n-2]&63)&1 != 0 &&
		s.names[string(quoted[1:n-1])]
}

// Compact appends the JSON text src to dst without the white space between tokens. Everything else stays as it was sent: key
// order, duplicate keys, the text of numbers, escapes. The text is checked completely (RFC 8259 grammar, UTF-8, at most MaxDepth levels);
// the error is a *SyntaxError. On an error dst is returned as it came.
func Compact(dst, src []byte) ([]byte, error) { return CompactWatch(dst, src, nil) }

// CompactWatch is Compact that looks at what passes; a nil w looks at nothing.
func CompactWatch(dst, src []byte, w *Watch) ([]byte, error) {
	base := len(dst)
	// Eight bytes of slack: strings are copied eight bytes at a time.
	dst = slices.Grow(dst, len(src)+8)
	c := compactor{src: src, out: dst[:cap(dst)], o: base, watch: w}
	if err := c.text(); err != nil {
		return dst[:base], err
	}
	return c.out[:c.o], nil
}

// A compactor reads src[i:] and writes out[o:], which is always long enough.
type compactor struct {
	src   []byte
	out   []byte
	i, o  int
	watch *Watch // nil once it has found something
}

func (c *compactor) put(b byte) {
	c.out[c.o] = b
	c.o++
}

// text reads one value and the white space around it.
func (c *compactor) text() error {
	src := c.src
	var small [64]byte
	stack := small[:0] // the closing bracket of every open container
	var shut byte      // the closing bracket of the innermost one
	c.i = SkipSpace(src, 0)
value:
	if c.i >= len(src) {
		return c.unexpected("a value")
	}
	switch b := src[c.i]; b {
	case '"':
		if err := c.string(false); err != nil {
			return err
		}
	case '{', '[':
		if len(stack) == MaxDepth {
			return syntaxErrorf(c.i, "nested more than %d levels deep", MaxDepth)
		}
		c.put(b)
		c.i = SkipSpace(src, c.i+1)
		shut = b + 2 // '{'+2 == '}', '['+2 == ']'
		if c.i < len(src) && src[c.i] == shut {
			c.put(shut)
			c.i++
			break
		}
		stack = append(stack, shut)
		if b == '{' {
			goto key
		}
		goto value
	default:
		if err := c.scalar(); err != nil {
			return err
		}
	}
after:
	c.i = SkipSpace(src, c.i)
	if len(stack) == 0 {
		if c.i < len(src) {
			return syntaxErrorf(c.i, "%s after the end of the value", char(src[c.i:]))
		}
		return nil
	}
	shut = stack[len(stack)-1]
	if c.i >= len(src) {
		return c.unexpected("',' or '" + string(rune(shut)) + "'")
	}
	switch src[c.i] {
	case shut:
		c.put(shut)
		c.i++
		stack = stack[:len(stack)-1]
		goto after
	case ',':
		c.put(',')
		c.i = SkipSpace(src, c.i+1)
		if shut == '}' {
			goto key
		}
		goto value
	default:
		return c.unexpected("',' or '" + string(rune(shut)) + "'")
	}
key:
	if c.i >= len(src) || src[c.i] != '"' {
		return c.unexpected("a quoted key")
	}
	if err := c.string(true); err != nil {
		return err
	}
	c.i = SkipSpace(src, c.i)
	if c.i >= len(src) || src[c.i] != ':' {
		return c.unexpected("':' after the key")
	}
	c.put(':')
	c.i = SkipSpace(src, c.i+1)
	goto value
}

func (c *compactor) unexpected(want string) error {
	if c.i >= len(c.src) {
		return syntaxErrorf(len(c.src), "unexpected end, want %s", want)
	}
	return syntaxErrorf(c.i, "unexpected %s, want %s", char(c.src[c.i:]), want)
}

// string copies the string at c.i.
func (c *compactor) string(key bool) error {
	src, out, start := c.src, c.out, c.o
	i, o := c.i+1, c.o+1
	out[start] = '"'
	escaped := false
	for {
		for i+8 <= len(src) {
			w := load(src, i)
			binary.LittleEndian.PutUint64(out[o:], w)
			// A quote, a backslash, a control character or a byte beyond ASCII needs a look.
			m := zeroes(w^quotes) | zeroes(w^slants) | (w-spaces)&^w&highs | w&highs
			if m != 0 {
				n := bits.TrailingZeros64(m) >> 3
				i += n
				o += n
				break
			}
			i += 8
			o += 8
		}
		if i >= len(src) {
			return syntaxErrorf(c.i, "string that is never closed")
		}
		switch b := src[i]; {
		case b == '"':
			out[o] = '"'
			c.i, c.o = i+1, o+1
			if w := c.watch; w != nil {
				quoted := out[start:c.o]
				if key && (escaped || w.Keys.Has(quoted)) || len(quoted)-2 >= w.Long && w.LongString(quoted) {
					w.Found, c.watch = true, nil
				}
			}
			return nil
		case b == '\\':
			n := escapeLen(src[i:])
			if n == 0 {
				return syntaxErrorf(i, "invalid escape in a string")
			}
			o += copy(out[o:], src[i:i+n])
			i += n
			escaped = true
		case b < ' ':
			return syntaxErrorf(i, "control character 0x%02x in a string", b)
		case b < utf8.RuneSelf:
			out[o] = b
			i++
			o++
		default:
			r, n := utf8.DecodeRune(src[i:])
			if r == utf8.RuneError && n == 1 {
				return syntaxErrorf(i, "invalid UTF-8 in a string (byte 0x%02x)", b)
			}
			o += copy(out[o:], src[i:i+n])
			i += n
		}
	}
}

// escapeLen is how long the escape at the start of s is, 0 when it is not one.
func escapeLen(s []byte) int {
	if len(s) < 2 {
		return 0
	}
	switch s[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(s) >= 6 && isHex(s[2]) && isHex(s[3]) && isHex(s[4]) && isHex(s[5]) {
			return 6
		}
	}
	return 0
}

func isHex(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b|0x20 && b|0x20 <= 'f'
}

// scalar copies the number or literal at c.i.
func (c *compactor) scalar() error {
	s := c.src[c.i:]
	n := 0
	switch s[0] {
	case 't':
		n = literalLen(s, "true")
	case 'f':
		n = literalLen(s, "false")
	case 'n':
		n = literalLen(s, "null")
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		n = numberLen(s)
		if n == 0 {
			return syntaxErrorf(c.i, "invalid number")
		}
	}
	if n == 0 {
		return c.unexpected("a value")
	}
	c.o += copy(c.out[c.o:], s[:n])
	c.i += n
	return nil
}

func literalLen(s []byte, word string) int {
	if len(s) >= len(word) && string(s[:len(word)]) == word {
		return len(word)
	}
	return 0
}

// numberLen is how long the number at the start of s is, 0 when it is not one.
func numberLen(s []byte) int {
	i := 0
	if s[0] == '-' {
		i++
	}
	if i < len(s) && s[i] == '0' {
		i++
	} else if end := skipDigits(s, i); end > i {
		i = end
	} else {
		return 0
	}
	if i < len(s) && s[i] == '.' {
		end := skipDigits(s, i+1)
		if end == i+1 {
			return 0
		}
		i = end
	}
	if i < len(s) && s[i]|0x20 == 'e' {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		end := skipDigits(s, i)
		if end == i {
			return 0
		}
		i = end
	}
	return i
}

func skipDigits(s []byte, i int) int {
	for i < len(s) && '0' <= s[i] && s[i] <= '9' {
		i++
	}
	return i
}
