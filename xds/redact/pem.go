package redact

import "bytes"

var (
	wordPrivate = []byte("PRIVATE")
	wordKey     = []byte("KEY")
	puttyLines  = []byte("Private-Lines:")
	puttyEnd    = []byte("Private-MAC:")
	ageKey      = []byte("AGE-SECRET-KEY-1")
)

// pem finds blocks that begin with "-----BEGIN ... PRIVATE KEY-----" and the like, with or without the line breaks. A block that has lost
// its end goes on to the next one or to the end of the text; one that has lost its beginning began after the block before.
func (f *finder) pem() {
	open := -1 // where a block began that has not ended yet
	for i := 0; ; {
		m, ok := f.marker(i)
		if !ok {
			break
		}
		switch {
		case m.begin && open >= 0:
			f.replace(open, m.from, redactedText)
			open = m.from
		case m.begin:
			open = m.from
		case open >= 0:
			f.replace(open, m.to, redactedText)
			open = -1
		default:
			from := i
			if n := bytes.LastIndex(f.text[i:m.from], []byte("----")); n >= 0 {
				from += n + 4
			}
			f.replace(from, m.to, redactedText)
		}
		i = m.to
	}
	if open >= 0 {
		f.replace(open, len(f.text), redactedText)
	}
	for i := 0; ; {
		n := bytes.Index(f.text[i:], puttyLines)
		if n < 0 {
			break
		}
		from := i + n
		to := len(f.text)
		if n := bytes.Index(f.text[from:], puttyEnd); n >= 0 {
			to = from + n
		}
		f.replace(from, to, redactedText)
		i = to
	}
	for i := 0; ; {
		n := bytes.Index(f.text[i:], ageKey)
		if n < 0 {
			break
		}
		from := i + n
		for i = from; i < len(f.text) && class[f.text[i]] == digit; i++ {
		}
		f.replace(from, i, redactedText)
	}
}

// A marker is the line before or after a private key.
type marker struct {
	from, to int
	begin    bool
}

// marker finds the next "-----BEGIN x PRIVATE KEY-----" or END at or after start.
func (f *finder) marker(start int) (marker, bool) {
	for i := start; ; {
		n := bytes.Index(f.text[i:], wordPrivate)
		if n < 0 {
			return marker{}, false
		}
		at := i + n
		i = at + len(wordPrivate)
		to := i
		for to < len(f.text) && to < i+4 && class[f.text[to]] != other && !bytes.HasPrefix(f.text[to:], wordKey) {
			to++
		}
		if !bytes.HasPrefix(f.text[to:], wordKey) {
			continue
		}
		to += len(wordKey)
		line := f.text[max(start, at-64):at]
		begin, end := bytes.LastIndex(line, []byte("BEGIN")), bytes.LastIndex(line, []byte("END"))
		word := max(begin, end)
		if word < 0 || bytes.ContainsFunc(line[word:], func(r rune) bool { return r > 0x7f || class[byte(r)] == other }) {
			continue
		}
		from := at - len(line) + word
		for from > start && (f.text[from-1] == '-' || f.text[from-1] == ' ') {
			from--
		}
		for _, rest := range []string{" BLOCK", "BLOCK"} {
			if bytes.HasPrefix(f.text[to:], []byte(rest)) {
				to += len(rest)
			}
		}
		for to < len(f.text) && (f.text[to] == '-' || f.text[to] == ' ') {
			to++
		}
		return marker{from, to, begin > end}, true
	}
}
