package display

import (
	"github.com/meshlark/meshlark/xds/rawjson"
)

const indentation = "  "

// appendIndented appends a compact JSON text spread over lines. Not a token is
// changed: key order, number text and duplicate keys stay.
func appendIndented(dst []byte, v rawjson.Value) []byte {
	open := 0
	for i := 0; i < len(v); i++ {
		switch c := v[i]; c {
		case '"':
			end := i + 1
			for ; end < len(v) && v[end] != '"'; end++ {
				if v[end] == '\\' {
					end++
				}
			}
			end = min(end, len(v)-1)
			dst = append(dst, v[i:end+1]...)
			i = end
		case '{', '[':
			dst = append(dst, c)
			if i+1 < len(v) && v[i+1] == c+2 { // '{' and '}', '[' and ']' are two apart
				dst = append(dst, v[i+1])
				i++
				continue
			}
			open++
			dst = newline(dst, open)
		case '}', ']':
			open--
			dst = append(newline(dst, open), c)
		case ',':
			dst = newline(append(dst, c), open)
		case ':':
			dst = append(dst, ':', ' ')
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

func newline(dst []byte, depth int) []byte {
	dst = append(dst, '\n')
	for range depth {
		dst = append(dst, indentation...)
	}
	return dst
}
