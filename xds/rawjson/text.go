package rawjson

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Quote appends s as a JSON string. Only what must be escaped is: quotes, backslashes and control characters; bytes that are not UTF-8
// become U+FFFD.
func Quote(dst []byte, s string) []byte {
	dst = append(dst, '"')
	plain := 0
	for i := 0; i < len(s); {
		b := s[i]
		if b >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(dst, s[plain:i]...)
				dst = append(dst, "\uFFFD"...)
				plain = i + 1
			}
			i += n
			continue
		}
		if b >= ' ' && b != '"' && b != '\\' {
			i++
			continue
		}
		dst = append(dst, s[plain:i]...)
		switch b {
		case '"', '\\':
			dst = append(dst, '\\', b)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			const digits = "0123456789abcdef"
			dst = append(dst, '\\', 'u', '0', '0', digits[b>>4], digits[b&15])
		}
		i++
		plain = i
	}
	dst = append(dst, s[plain:]...)
	return append(dst, '"')
}

// Unquote appends the decoded text of a quoted string to dst. An escape that is none is kept as it stands; half of a surrogate
// pair becomes U+FFFD, as in encoding/json.
func Unquote(dst, quoted []byte) []byte {
	s := quoted
	if len(s) > 0 && s[0] == '"' {
		s = s[1:]
	}
	if len(s) > 0 && s[len(s)-1] == '"' {
		s = s[:len(s)-1]
	}
	for i := 0; i < len(s); {
		if s[i] != '\\' {
			dst = append(dst, s[i])
			i++
			continue
		}
		r, n := Unescape(s[i:])
		dst = utf8.AppendRune(dst, r)
		i += n
	}
	return dst
}

// Unescape decodes the escape at the start of s, which begins with a backslash, and says how long it is. What is not an escape
// is a backslash of length one.
func Unescape(s []byte) (rune, int) {
	switch n := escapeLen(s); n {
	case 2:
		switch s[1] {
		case 'b':
			return '\b', n
		case 'f':
			return '\f', n
		case 'n':
			return '\n', n
		case 'r':
			return '\r', n
		case 't':
			return '\t', n
		}
		return rune(s[1]), n
	case 6:
		r := hexRune(s[2:6])
		if !utf16.IsSurrogate(r) {
			return r, n
		}
		if rest := s[6:]; escapeLen(rest) == 6 {
			if pair := utf16.DecodeRune(r, hexRune(rest[2:6])); pair != utf8.RuneError {
				return pair, 12
			}
		}
		return utf8.RuneError, n
	}
	return '\\', 1
}

func hexRune(s []byte) rune {
	n, _ := strconv.ParseUint(string(s), 16, 32)
	return rune(n)
}

// unquote gives the decoded text of a quoted string, without an allocation beyond the result.
func unquote(quoted []byte) string {
	if len(quoted) < 2 {
		return ""
	}
	text := quoted[1 : len(quoted)-1]
	for _, b := range text {
		if b == '\\' {
			return string(Unquote(nil, quoted))
		}
	}
	return string(text)
}
