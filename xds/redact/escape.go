package redact

import (
	"bytes"
	"encoding/hex"

	"github.com/meshlark/meshlark/xds/rawjson"
)

// A view is a text with its escapes decoded. at has, for each byte, where it began in the original; nil when nothing was decoded.
type view struct {
	text []byte
	at   []int
}

func (v view) offset(i int) int {
	if v.at == nil {
		return i
	}
	return v.at[i]
}

// unescape decodes JSON's escapes, those of text inside such text, and percent-encoding, as often as there are any. A character beyond ASCII
// becomes one byte that is no part of a key.
func unescape(text []byte) view {
	v := view{text: text}
	for range 2 * nesting {
		first := bytes.IndexAny(v.text, `\%`)
		if first < 0 {
			return v
		}
		next := view{text: make([]byte, first, len(v.text)), at: make([]int, first, len(v.text)+1)}
		copy(next.text, v.text)
		for i := range first {
			next.at[i] = v.offset(i)
		}
		changed := false
		for i := first; i < len(v.text); {
			b, n := decodeOne(v.text[i:])
			changed = changed || n > 1
			next.text = append(next.text, b)
			next.at = append(next.at, v.offset(i))
			i += n
		}
		if !changed {
			return v
		}
		next.at = append(next.at, v.endOffset(len(v.text), len(text)))
		v = next
	}
	return v
}

// endOffset is offset for the end of the view's text, which is the end of the original.
func (v view) endOffset(i, end int) int {
	if v.at == nil {
		return end
	}
	return v.at[i]
}

// decodeOne decodes the escape at the start of s, or gives its first byte.
func decodeOne(s []byte) (byte, int) {
	switch {
	case s[0] == '%' && len(s) >= 3:
		var b [1]byte
		if n, _ := hex.Decode(b[:], s[1:3]); n == 1 {
			return b[0], 3
		}
	case s[0] == '\\' && len(s) >= 4 && s[1] == 'x':
		var b [1]byte
		if n, _ := hex.Decode(b[:], s[2:4]); n == 1 {
			return b[0], 4
		}
	case s[0] == '\\':
		if r, n := rawjson.Unescape(s); n > 1 {
			if r >= 0x80 {
				return 0, n
			}
			return byte(r), n
		}
	}
	return s[0], 1
}
