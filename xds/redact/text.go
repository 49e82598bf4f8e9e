package redact

import (
	"bytes"
	"slices"
)

// What a byte may be inside an encoded key.
const (
	other = iota
	digit // of base64, standard or URL alphabet
	blank // white space, and the backslash that is left of escaped white space
	pad   // =
)

var class = func() (t [256]byte) {
	for c := range 256 {
		switch b := byte(c); {
		case 'A' <= b && b <= 'Z', 'a' <= b && b <= 'z', '0' <= b && b <= '9', b == '+', b == '/', b == '-', b == '_':
			t[c] = digit
		case b == ' ', b == '\n', b == '\r', b == '\t', b == '\\':
			t[c] = blank
		case b == '=':
			t[c] = pad
		}
	}
	return t
}()

// leastRun is how many digits of base64 the shortest key needs: 32 bytes of it.
const leastRun = 40

// hasRun reports whether a string has a stretch in which an encoded key could be: leastRun bytes that are all digits, white
// space, padding, or part of an escape, and not merely words in lower case (paths of configuration are such stretches; base64
// without a capital or hexadecimal without figures is no key).
func hasRun(s []byte) bool {
	for start := 0; start+leastRun <= len(s); {
		i := start + leastRun - 1
		for i >= start && runByte[s[i]] != 0 {
			i--
		}
		if i >= start {
			start = i + 1
			continue
		}
		capitals, figures := 0, 0
		for ; start < len(s) && runByte[s[start]] != 0; start++ {
			switch runByte[s[start]] {
			case 'A':
				capitals++
			case '0':
				figures++
			}
		}
		if capitals > 0 || figures >= leastFigures {
			return true
		}
	}
	return false
}

// searchable reports whether a string may have anything in it that scrub finds.
func searchable(quoted []byte) bool {
	return len(quoted) >= leastRun+2 && hasRun(quoted) || isNotation(quoted) && (bytes.Contains(quoted, wordKeyType) || assigns(quoted))
}

// isNotation reports whether a string may be JSON, YAML or a script: those have quotes or ends of lines, which are escaped, as little else is.
func isNotation(quoted []byte) bool { return bytes.IndexByte(quoted, '\\') >= 0 }

// wordKeyType is in every JSON Web Key.
var wordKeyType = []byte("kty")

// leastFigures is how many of the 64 digits of the shortest hexadecimal key are figures, at the least.
const leastFigures = 6

// runByte has 'A' for capitals, '0' for figures, 'a' for what else can be in an encoded key and 0 for the rest.
var runByte = func() (t [256]byte) {
	for c := range 256 {
		switch b := byte(c); {
		case 'A' <= b && b <= 'Z':
			t[c] = 'A'
		case '0' <= b && b <= '9':
			t[c] = '0'
		case class[b] != other || b == '%':
			t[c] = 'a'
		}
	}
	return t
}()

// An edit replaces text[from:to].
type edit struct {
	from, to int
	with     string
}

// nesting is how many encodings may lie around a key: base64 of JSON of base64 and so on.
const nesting = 6

// scrubAll replaces what scrub finds, until it finds no more, and counts.
func scrubAll(text []byte) (clean []byte, n int) {
	for range nesting {
		edits := scrub(text, 0)
		if len(edits) == 0 {
			return text, n
		}
		n += len(edits)
		text = apply(text, edits)
	}
	return []byte(redactedText), n
}

func apply(text []byte, edits []edit) []byte {
	var out []byte
	at := 0
	for _, e := range edits {
		out = append(append(out, text[at:e.from]...), e.with...)
		at = e.to
	}
	return append(out, text[at:]...)
}

// scrub finds the private keys in a text, which may have escapes. The edits are in order and do not overlap.
func scrub(text []byte, depth int) []edit {
	v := unescape(text)
	f := finder{text: v.text, depth: depth}
	f.pem()
	f.runs()
	f.webKeys()
	f.assignments()
	edits := merge(f.edits)
	for i := range edits {
		edits[i].from, edits[i].to = v.offset(edits[i].from), v.offset(edits[i].to)
	}
	return merge(edits)
}

// merge sorts edits and joins those that overlap.
func merge(edits []edit) []edit {
	slices.SortFunc(edits, func(a, b edit) int {
		if a.from != b.from {
			return a.from - b.from
		}
		return b.to - a.to
	})
	out := edits[:0]
	for _, e := range edits {
		if n := len(out); n > 0 && e.from < out[n-1].to {
			last := &out[n-1]
			if e.to > last.to {
				last.to = e.to
			}
			if e.from != last.from || e.to != last.to || len(e.with) < len(last.with) {
				// Two findings in one place: neither's own text may come back.
				last.with = shorter(last.with, e.with)
			}
			continue
		}
		out = append(out, e)
	}
	return out
}

func shorter(a, b string) string {
	if a == redactedText || a == redactedBase64 {
		return a
	}
	if b == redactedText || b == redactedBase64 {
		return b
	}
	return redactedText
}

// A finder collects edits for one text without escapes.
type finder struct {
	text  []byte
	depth int
	edits []edit
}

func (f *finder) replace(from, to int, with string) {
	f.edits = append(f.edits, edit{from, to, with})
}

// webKeys finds the private members of JSON Web Keys written as text, JSON or YAML.
func (f *finder) webKeys() {
	t := f.text
	if !bytes.Contains(t, wordKeyType) {
		return
	}
	for i := 0; i < len(t); {
		if class[t[i]] != digit {
			i++
			continue
		}
		from := i
		for i < len(t) && class[t[i]] == digit {
			i++
		}
		if !privateMember(t[:from]) {
			continue
		}
		f.replace(from, i, redactedText)
	}
}

// privateMember reports whether a text ends with the name of a private member and what stands between a name and its value.
func privateMember(t []byte) bool {
	trim := func(set string) bool {
		n := len(t)
		t = bytes.TrimRight(t, set)
		return len(t) < n
	}
	trim(" \t\r\n\"'")
	if !trim(":=") {
		return false
	}
	trim(" \t\r\n\"'")
	end := len(t)
	for len(t) > 0 && 'a' <= t[len(t)-1]|0x20 && t[len(t)-1]|0x20 <= 'z' {
		t = t[:len(t)-1]
	}
	switch string(t[len(t):end]) {
	case "d", "p", "q", "dp", "dq", "qi", "k":
		return true
	}
	return false
}
