package rawjson

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"sync"
	"unicode/utf8"
	"unsafe"
)

// A Feed is JSON text that is read while it arrives. It holds the value that is being read and lets go of what is behind it, so that a text of any length
// takes the memory of the largest value that is read in one piece. A text that is there already can be read in the same way, and is held whole.
//
// Offsets are into Text. To take in more moves what is held: methods that may do so give the offsets that hold afterwards, and strings and slices of Text
// are good until then.
type Feed struct {
	Text []byte // what is held

	from   io.Reader // nil when nothing more comes
	err    error     // why nothing more comes, when that is not the end of the text
	size   int       // of what is taken in at a time
	pinned bool      // a value is being read in one piece
	marks  []*Mark
	gone   Position // of Text[0]
}

// A Position is a place in the whole text.
type Position struct {
	Offset int64 // bytes from its start
	Line   int   // from 1
	Column int   // in bytes, from 1
}

// A Mark is a place in what is held that is not let go of.
type Mark struct{ at int }

// At is where the place is now.
func (m *Mark) At() int { return m.at }

// usualSize is how much is held of a text of which no value is larger.
const usualSize = 64 << 10

// buffers are of the usual size.
var buffers = sync.Pool{New: func() any { return new([usualSize]byte) }}

func buffer(size int) []byte {
	if size != usualSize {
		return make([]byte, 0, size)
	}
	return buffers.Get().(*[usualSize]byte)[:0]
}

func giveBack(b []byte) {
	if cap(b) == usualSize {
		buffers.Put((*[usualSize]byte)(b[:usualSize]))
	}
}

// NewFeed starts to read a text that arrives. Close gives back its memory.
func NewFeed(r io.Reader) *Feed { return NewFeedSize(r, usualSize) }

// NewFeedSize is NewFeed that holds no more than so many bytes, one at least, as long as no value is larger.
func NewFeedSize(r io.Reader, size int) *Feed {
	size = max(size, 1)
	return &Feed{Text: buffer(size), from: r, size: size, gone: Position{0, 1, 1}}
}

// Whole gives a feed of a text that is all there. It does not change the text.
func Whole(text []byte) *Feed { return &Feed{Text: text, gone: Position{0, 1, 1}} }

// Close ends the use of a feed that NewFeed made, and of its Text.
func (f *Feed) Close() {
	if f.size > 0 {
		giveBack(f.Text)
	}
	f.Text, f.from = nil, nil
}

// Held gives a feed of what is held before an offset, as a text that is there already.
func (f *Feed) Held(end int) *Feed { return &Feed{Text: f.Text[:end], gone: f.gone} }

// Err is why the text broke off; nil when it did not.
func (f *Feed) Err() error { return f.err }

// Position gives the place in the whole text of an offset.
func (f *Feed) Position(i int) Position {
	before := f.Text[:min(max(i, 0), len(f.Text))]
	p := f.gone
	p.Offset += int64(len(before))
	if n := bytes.Count(before, []byte{'\n'}); n > 0 {
		p.Line += n
		p.Column = 0
		before = before[bytes.LastIndexByte(before, '\n'):]
	}
	p.Column += len(before)
	return p
}

// Mark holds on to what begins at i, until Forget.
func (f *Feed) Mark(i int) *Mark {
	m := &Mark{i}
	f.marks = append(f.marks, m)
	return m
}

// Forget lets go of a mark; it may have been let go of before.
func (f *Feed) Forget(m *Mark) {
	if i := slices.Index(f.marks, m); i >= 0 {
		f.marks = slices.Delete(f.marks, i, i+1)
	}
}

// more takes in more of the text, as much as there is room for, and adjusts *i. What is before *i and all marks is let go of. It gives false when it is known
// that nothing more comes, or nothing may move: then all is as it was.
func (f *Feed) more(i *int) bool { return f.take(i, false) }

// take is more that takes in all of the object or array at *i, where that is wanted and there is one.
func (f *Feed) take(i *int, all bool) bool {
	if f.from == nil || f.pinned {
		return false
	}
	keep := *i
	for _, m := range f.marks {
		keep = min(keep, m.at)
	}
	f.gone = f.Position(keep)
	for _, m := range f.marks {
		m.at -= keep
	}
	*i -= keep
	held, room := f.Text[keep:], f.Text[:0]
	if len(held) <= cap(room)/2 {
		f.Text = f.fill(append(room, held...))
		return true
	}
	f.Text = nil
	if all {
		f.Text = f.container(held, *i)
	}
	if f.Text == nil { // what is begun again because more has come doubles with what has come
		f.Text = f.fill(append(make([]byte, 0, 2*cap(room)), held...))
	}
	giveBack(room)
	return true
}

// fill takes in as much as there is room for.
func (f *Feed) fill(b []byte) []byte {
	for len(b) < cap(b) && f.from != nil {
		n, err := f.from.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err != nil {
			f.from = nil
			if err != io.EOF {
				f.err = err
			}
		}
	}
	return b
}

// container takes in the rest of the object or array at i, in pieces that are put together once it is known how long it is. It gives nil where there is
// none, or nothing is missing of it.
func (f *Feed) container(held []byte, i int) []byte {
	if i == len(held) || held[i] != '{' && held[i] != '[' {
		return nil
	}
	n := nesting{depth: 1}
	from, done := n.follow(held, i+1)
	if done {
		return nil
	}
	var pieces [][]byte
	size, last := len(held), len(held)
	for !done && f.from != nil {
		p := f.fill(buffer(f.size))
		pieces = append(pieces, p)
		from, done = n.follow(p, from-last)
		last = len(p)
		size += last
	}
	whole := append(make([]byte, 0, size), held...)
	for _, p := range pieces {
		whole = append(whole, p...)
		giveBack(p)
	}
	return whole
}

// cut tells whether what was read of what is held may be another thing when more has come: it is a fault, or an end, at the end of it. A message names
// the character at a fault, so that all of that is needed.
func (f *Feed) cut(end int, err error) bool {
	if err == nil {
		return end == len(f.Text)
	}
	var syntax *SyntaxError
	return errors.As(err, &syntax) && (syntax.Short || int(syntax.Offset)+utf8.UTFMax > len(f.Text))
}

// Ahead takes in more of the text until n bytes from i on are held, or all that comes.
func (f *Feed) Ahead(i, n int) (at int) {
	for len(f.Text)-i < n && f.more(&i) {
	}
	return i
}

// Space skips white space: at is where something else is, or the end of the text.
func (f *Feed) Space(i int) (at int) {
	for {
		if i = SkipSpace(f.Text, i); i < len(f.Text) || !f.more(&i) {
			return i
		}
	}
}

// Step reads something in one piece. While what is held ends before read does, it is called again, with more of the text. It is told where to begin and
// tells the end; both are given as they are afterwards.
func (f *Feed) Step(i int, read func(i int) (end int, err error)) (start, end int, err error) {
	for f.from != nil && !f.pinned {
		f.pinned = true
		end, err = read(i)
		f.pinned = false
		if !f.cut(end, err) {
			return i, end, err
		}
		f.take(&i, true)
	}
	end, err = read(i)
	return i, end, err
}

// Skip reads a value in one piece, see the function of that name.
func (f *Feed) Skip(i int) (start, end int, err error) {
	if f.from == nil || f.pinned { // as it is mostly
		end, err = Skip(f.Text, i)
		return i, end, err
	}
	return f.Step(i, func(i int) (int, error) { return Skip(f.Text, i) })
}

// Compact checks the value at i and appends it to dst without white space, see the function of that name.
func (f *Feed) Compact(dst []byte, i int) (text []byte, end int, err error) {
	i, end, err = f.Skip(i)
	if err != nil {
		return dst, end, err
	}
	text, err = Compact(dst, f.Text[i:end])
	var syntax *SyntaxError
	if errors.As(err, &syntax) {
		err = syntaxErrorf(i+int(syntax.Offset), "%s", syntax.Msg)
	}
	return text, end, err
}

// String reads a string and decodes it; a value of another kind is skipped and gives "". The result is a part of Text where nothing has to be decoded.
func (f *Feed) String(i int) (text string, end int, err error) {
	i, end, err = f.Skip(i)
	if err != nil || f.Text[i] != '"' {
		return "", end, err
	}
	return share(f.Text[i:end]), end, nil
}

// share decodes a quoted string; one without escapes shares its memory.
func share(quoted []byte) string {
	if bytes.IndexByte(quoted, '\\') >= 0 {
		return unquote(quoted)
	}
	in := quoted[1 : len(quoted)-1]
	return unsafe.String(unsafe.SliceData(in), len(in))
}

// Is reports whether the value at i begins with c.
func (f *Feed) Is(i int, c byte) bool { return i < len(f.Text) && f.Text[i] == c }

// Members calls each with the members of the object at i; it is told the key, which is good until it takes in more, and where the value begins, and tells
// where that ends. end is where the object does.
func (f *Feed) Members(i int, each func(key string, at int) (end int, err error)) (end int, err error) {
	i++
	for first := true; ; first = false {
		key, at, err := nextMember(f.Text, i, first)
		for f.from != nil && (err != nil || key != nil) && f.cut(at, err) && f.more(&i) {
			key, at, err = nextMember(f.Text, i, first)
		}
		if key == nil || err != nil {
			return at, err
		}
		if i, err = each(share(key), at); err != nil {
			return i, err
		}
	}
}

// nextMember reads on in an object, behind the opening bracket or a value: up to the next value, or with a nil key behind the closing bracket.
func nextMember(s []byte, i int, first bool) (key []byte, at int, err error) {
	if i = SkipSpace(s, i); !first {
		switch {
		case i >= len(s):
			return nil, i, short(i, "unexpected end, want ',' or '}'")
		case s[i] == '}':
			return nil, i + 1, nil
		case s[i] != ',':
			return nil, i, syntaxErrorf(i, "unexpected %s, want ',' or '}'", char(s[i:]))
		}
		i = SkipSpace(s, i+1)
	} else if i < len(s) && s[i] == '}' {
		return nil, i + 1, nil
	}
	if i >= len(s) {
		return nil, i, short(i, "unexpected end, want a quoted key")
	}
	if s[i] != '"' {
		return nil, i, syntaxErrorf(i, "unexpected %s, want a quoted key", char(s[i:]))
	}
	end, err := SkipString(s, i)
	if err != nil {
		return nil, i, err
	}
	key = s[i:end]
	if i = SkipSpace(s, end); i >= len(s) || s[i] != ':' {
		return nil, i, syntaxErrorf(i, "want ':' after the key %q", share(key))
	}
	return key, SkipSpace(s, i+1), nil
}

// Elems calls each with where an element of the array at i begins; it tells where that ends. end is where the array does.
func (f *Feed) Elems(i int, each func(at int) (end int, err error)) (end int, err error) {
	i++
	for first := true; ; first = false {
		at, done, err := nextElem(f.Text, i, first)
		for f.from != nil && !done && f.cut(at, err) && f.more(&i) {
			at, done, err = nextElem(f.Text, i, first)
		}
		if done || err != nil {
			return at, err
		}
		if i, err = each(at); err != nil {
			return i, err
		}
	}
}

// nextElem reads on in an array as nextMember does in an object.
func nextElem(s []byte, i int, first bool) (at int, done bool, err error) {
	if i = SkipSpace(s, i); first {
		if i < len(s) && s[i] == ']' {
			return i + 1, true, nil
		}
		return i, false, nil
	}
	switch {
	case i >= len(s):
		return i, false, short(i, "unexpected end, want ',' or ']'")
	case s[i] == ']':
		return i + 1, true, nil
	case s[i] != ',':
		return i, false, syntaxErrorf(i, "unexpected %s, want ',' or ']'", char(s[i:]))
	}
	return SkipSpace(s, i+1), false, nil
}
