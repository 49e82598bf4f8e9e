package rawjson

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode/utf8"
)

// A SyntaxError says where text stops being JSON and why.
type SyntaxError struct {
	Offset int64 // bytes from the start of the text
	Msg    string
	Short  bool // the text ends in the middle of something
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("invalid JSON at offset %d: %s", e.Offset, e.Msg)
}

func syntaxErrorf(off int, format string, args ...any) error {
	return &SyntaxError{Offset: int64(off), Msg: fmt.Sprintf(format, args...)}
}

// short is the error of a text that ends in the middle of something.
func short(off int, format string, args ...any) error {
	return &SyntaxError{Offset: int64(off), Msg: fmt.Sprintf(format, args...), Short: true}
}

// Patterns of eight equal bytes, for looking at eight bytes of text at once.
const (
	ones   = 0x0101010101010101
	highs  = 0x8080808080808080
	spaces = ones * ' '
	quotes = ones * '"'
	slants = ones * '\\'
)

func load(s []byte, i int) uint64 { return binary.LittleEndian.Uint64(s[i:]) }

// zeroes marks, by its high bit, the lowest zero byte of x. Marks above the lowest one may be wrong.
func zeroes(x uint64) uint64 { return (x - ones) &^ x & highs }

// SkipSpace gives the offset of the first byte at or after i that is not JSON white space, or len(s).
func SkipSpace(s []byte, i int) int {
	if i < len(s) && s[i] > ' ' {
		return i
	}
	return skipSpaces(s, i)
}

func skipSpaces(s []byte, i int) int {
	for i+8 <= len(s) {
		x := load(s, i) ^ spaces
		if x == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(x) >> 3
		if c := s[i]; c != '\n' && c != '\r' && c != '\t' {
			return i
		}
		i++
	}
	for i < len(s) && (s[i] == ' ' || s[i] == '\n' || s[i] == '\t' || s[i] == '\r') {
		i++
	}
	return i
}

// SkipString gives the offset after the string whose opening quote is at i. What the string holds is not checked.
func SkipString(s []byte, i int) (int, error) {
	start := i
	i++
	for i+8 <= len(s) {
		w := load(s, i)
		m := zeroes(w^quotes) | zeroes(w^slants)
		if m == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(m) >> 3
		if s[i] == '"' {
			return i + 1, nil
		}
		i += 2
	}
	for i < len(s) {
		switch s[i] {
		case '"':
			return i + 1, nil
		case '\\':
			i++
		}
		i++
	}
	return len(s), short(start, "string that is never closed")
}

// Skip gives the offset after the value that starts at i. It follows strings and brackets only: what is inside is
// not validated (Compact does that).
func Skip(s []byte, i int) (int, error) {
	if i >= len(s) {
		return i, short(i, "unexpected end, want a value")
	}
	switch s[i] {
	case '"':
		return SkipString(s, i)
	case '{', '[':
		return skipContainer(s, i)
	}
	start := i
	for i < len(s) && scalarByte[s[i]] {
		i++
	}
	if i == start {
		return i, syntaxErrorf(i, "unexpected %s, want a value", char(s[i:]))
	}
	return i, nil
}

// scalarByte holds the bytes that do not end a number or a literal.
var scalarByte = func() (t [256]bool) {
	for c := range t {
		t[c] = c > ' ' && bytes.IndexByte([]byte(`,:"{}[]`), byte(c)) < 0
	}
	return t
}()

// skipContainer gives the offset after the object or array that opens at i.
func skipContainer(s []byte, i int) (int, error) {
	n := nesting{depth: 1}
	end, done := n.follow(s, i+1)
	switch {
	case done:
		return end, nil
	case n.inString != 0:
		return len(s), short(len(s), "unexpected end inside a string of the value that starts %d bytes before", len(s)-i)
	}
	return len(s), short(len(s), "unexpected end, the value that starts %d bytes before is not closed", len(s)-i)
}

// A nesting follows strings and brackets through a text, which may come in pieces, to where an open container ends.
type nesting struct {
	depth    int    // open containers
	inString uint64 // all ones inside a string
}

// follow reads s from i on, which is beyond its end where an escape goes on in the next piece. It gives where the container ends, else where to go on.
//
// It reads blocks of 64 bytes: one bit a byte for quotes, opening and closing brackets; a running exclusive or over the
// quotes tells which bytes are inside strings, and only when a block has enough closing brackets to end the container are they
// looked at one by one. Blocks with a backslash are read byte by byte.
func (n *nesting) follow(s []byte, i int) (end int, done bool) {
	depth, inString := n.depth, n.inString
	for i+64 <= len(s) {
		b := (*[64]byte)(s[i:])
		var quote, open, shut, slant uint64
		for k := 0; k < 64; k += 8 {
			w := binary.LittleEndian.Uint64(b[k : k+8 : 64])
			slant |= zeroes(w ^ slants)
			quote |= gather(equal(w^quotes)) << k
			folded := w | spaces // folds [ to { and ] to }
			open |= gather(equal(folded^(ones*'{'))) << k
			shut |= gather(equal(folded^(ones*'}'))) << k
		}
		if slant != 0 {
			if i, done, inString = skipBytes(s, i, i+64, &depth, inString); done {
				return i, true
			}
			continue
		}
		inside := prefixXor(quote) ^ inString
		inString = uint64(int64(inside) >> 63)
		open &^= inside
		shut &^= inside
		n := bits.OnesCount64(shut)
		if n < depth {
			depth += bits.OnesCount64(open) - n
			i += 64
			continue
		}
		for closed := 1; shut != 0; closed++ {
			at := bits.TrailingZeros64(shut)
			shut &= shut - 1
			if depth+bits.OnesCount64(open&(1<<at-1))-closed == 0 {
				return i + at + 1, true
			}
		}
		depth += bits.OnesCount64(open) - n
		i += 64
	}
	i, done, inString = skipBytes(s, i, len(s), &depth, inString)
	n.depth, n.inString = depth, inString
	return i, done
}

// skipBytes follows s[i:end] byte by byte. It says where it stopped (one beyond end when an escape straddles it), whether
// depth came down to zero there, and whether it stopped inside a string (all ones).
func skipBytes(s []byte, i, end int, depth *int, inString uint64) (int, bool, uint64) {
	d := *depth
	for i < end {
		c := s[i]
		i++
		if inString != 0 {
			switch c {
			case '"':
				inString = 0
			case '\\':
				i++
			}
			continue
		}
		switch c {
		case '"':
			inString = ^uint64(0)
		case '{', '[':
			d++
		case '}', ']':
			d--
			if d == 0 {
				return i, true, 0
			}
		}
	}
	*depth = d
	return i, false, inString
}

// equal marks exactly the zero bytes of x by their high bits.
func equal(x uint64) uint64 { return ^((x&^highs + ^uint64(highs)) | x | ^uint64(highs)) }

// gather packs the high bits of eight bytes into the low eight bits.
func gather(x uint64) uint64 { return (x >> 7) * 0x0102040810204080 >> 56 }

// prefixXor gives, for every bit, the exclusive or of that bit and all lower ones.
func prefixXor(x uint64) uint64 {
	x ^= x << 1
	x ^= x << 2
	x ^= x << 4
	x ^= x << 8
	x ^= x << 16
	x ^= x << 32
	return x
}

// char names the character at the start of s for an error message.
func char(s []byte) string {
	if len(s) == 0 {
		return "end of text"
	}
	if r, _ := utf8.DecodeRune(s); r != utf8.RuneError {
		return fmt.Sprintf("%q", r)
	}
	return fmt.Sprintf("byte 0x%02x", s[0])
}
