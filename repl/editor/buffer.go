package editor

import (
	"slices"
	"unicode"
)

// A buffer is a statement that is being edited.
type buffer struct {
	text []rune
	pos  int
}

func (b *buffer) insert(s []rune) {
	b.text = slices.Insert(slices.Clone(b.text), b.pos, s...)
	b.pos += len(s)
}

// cut takes a part of the text out and gives it. The cursor goes where the part
// was.
func (b *buffer) cut(from, to int) []rune {
	out := slices.Clone(b.text[from:to])
	b.text = slices.Delete(slices.Clone(b.text), from, to)
	b.pos = from
	return out
}

// lineStart is where the line begins that the cursor is on.
func (b *buffer) lineStart() int {
	for i := b.pos; i > 0; i-- {
		if b.text[i-1] == '\n' {
			return i
		}
	}
	return 0
}

// lineEnd is where that line ends.
func (b *buffer) lineEnd() int {
	for i := b.pos; i < len(b.text); i++ {
		if b.text[i] == '\n' {
			return i
		}
	}
	return len(b.text)
}

// up moves the cursor to the line above, if there is one.
func (b *buffer) up() bool {
	start := b.lineStart()
	if start == 0 {
		return false
	}
	column := b.pos - start
	b.pos = start - 1
	b.pos = min(b.lineStart()+column, start-1)
	return true
}

// down moves the cursor to the line below, if there is one.
func (b *buffer) down() bool {
	end := b.lineEnd()
	if end == len(b.text) {
		return false
	}
	column := b.pos - b.lineStart()
	b.pos = end + 1
	b.pos = min(b.pos+column, b.lineEnd())
	return true
}

func isWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// wordStart is where the word before the cursor begins.
func (b *buffer) wordStart(in func(rune) bool) int {
	i := b.pos
	for i > 0 && !in(b.text[i-1]) {
		i--
	}
	for i > 0 && in(b.text[i-1]) {
		i--
	}
	return i
}

// wordEnd is where the word after the cursor ends.
func (b *buffer) wordEnd() int {
	i := b.pos
	for i < len(b.text) && !isWord(b.text[i]) {
		i++
	}
	for i < len(b.text) && isWord(b.text[i]) {
		i++
	}
	return i
}

// transpose swaps the characters around the cursor.
func (b *buffer) transpose() {
	i := b.pos
	if i == len(b.text) {
		i--
	}
	if i < 1 || b.text[i] == '\n' || b.text[i-1] == '\n' {
		return
	}
	b.text = slices.Clone(b.text)
	b.text[i-1], b.text[i] = b.text[i], b.text[i-1]
	b.pos = i + 1
}

// bytePos is the cursor's position in the text's UTF-8 form.
func (b *buffer) bytePos() int { return len(string(b.text[:b.pos])) }
