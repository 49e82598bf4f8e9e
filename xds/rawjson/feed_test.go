package rawjson

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// A walk writes down what a feed has, with the place of every value.
type walk struct {
	*Feed
	seen []string
}

func (w *walk) note(i int, what string) {
	p := w.Position(i)
	w.seen = append(w.seen, fmt.Sprintf("%d:%d at %d: %s", p.Line, p.Column, p.Offset, what))
}

// value reads objects and arrays by their parts, but in one piece below two levels.
func (w *walk) value(i, depth int) (int, error) {
	switch {
	case depth < 2 && w.Is(i, '{'):
		w.note(i, "object")
		begin := w.Mark(i)
		defer w.Forget(begin)
		end, err := w.Members(i, func(key string, at int) (int, error) {
			w.note(at, "of "+key)
			return w.value(at, depth+1)
		})
		if at := begin.At(); err == nil && depth == 1 && w.Text[at] != '{' {
			w.note(at, "lost the mark")
		}
		return end, err
	case depth < 2 && w.Is(i, '['):
		w.note(i, "array")
		return w.Elems(i, func(at int) (int, error) { return w.value(at, depth+1) })
	case depth%2 == 0:
		text, end, err := w.String(i)
		w.note(end, "string "+text)
		return end, err
	}
	text, end, err := w.Compact(nil, i)
	w.note(end, string(text))
	return end, err
}

func walked(f *Feed) []string {
	w := &walk{Feed: f}
	end, err := w.value(w.Space(0), 0)
	var syntax *SyntaxError
	if errors.As(err, &syntax) {
		w.note(int(syntax.Offset), syntax.Msg)
	} else if end = w.Space(end); end < len(w.Text) {
		w.note(end, "more")
	}
	return w.seen
}

// alike holds a text that arrives to the same text when it is there, where so many bytes of it are held at first.
func alike(t *testing.T, text []byte, size int) {
	t.Helper()
	f := NewFeedSize(bytes.NewReader(text), size)
	defer f.Close()
	if diff := cmp.Diff(walked(Whole(text)), walked(f)); diff != "" {
		t.Fatalf("%q of which %d bytes are held (-there +arriving):\n%s", text, size, diff)
	}
	if f.Err() != nil {
		t.Errorf("error %v", f.Err())
	}
}

var feeds = []string{
	"", " ", "1", `"a"`, "[]", "{ }", " [ 1 , 22 ,\n\"three\" , [ 4 , [ 5 ] ] , { \"six\" : 6 } ] ",
	"{\n \"a\": {\n  \"b\": [1, 2, {\"c\": \"}]\\\"\"}],\n  \"d\": \"e\"\n },\n \"\\u0066\": \"g\\\\\",\n \"h\": null, \"long\": \"" + strings.Repeat("x", 300) + "\"\n}",
	`{"a":{"b":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `},"c":[` + strings.Repeat(`{"d":"e"},`, 30) + `{}]}`,
	"{\"a\":1\n,}", "{\"a\":1\n \"b\":2}", "{\"a\" 1}", "{a:1}", "[1,\n2 3]", "[1,2\n", "{\"a\":{\"b\":[1,2}\n", "{\"a\":{\"b\":\"never", "[1,\xc3\xa9]", "{\"a\":1}x", "{\"a\":\"\x01\"}", "[[tru]]",
	"{\"\xc3\xa9\" \xc3\xa9", `["\`, `{"a":["\`,
}

// Wherever a text is cut, it says what it says in one piece, and so do its faults.
func TestFeed(t *testing.T) {
	for _, text := range feeds {
		for size := range len(text) + 3 {
			alike(t, []byte(text), size)
		}
	}
}

func FuzzFeed(f *testing.F) {
	for _, text := range feeds {
		f.Add([]byte(text), uint16(5))
	}
	f.Fuzz(func(t *testing.T, text []byte, size uint16) { alike(t, text, int(size)) })
}

// Of a long list no more is held than of a short one, and of a long value no more than it.
func TestFeedHolds(t *testing.T) {
	const elements = 10_000
	long := `"` + strings.Repeat("y", 3*usualSize) + `"`
	text := `{"a":[` + strings.Repeat(`{"b": "`+strings.Repeat("x", 100)+`"}, `, elements) + "{}], \"c\": {\"d\": [" + long + `]}, "e": ` + long + `}`
	f := NewFeed(iotest.HalfReader(strings.NewReader(text)))
	defer f.Close()
	n, most := 0, 0
	_, err := f.Members(f.Space(0), func(key string, at int) (int, error) {
		if key != "a" {
			_, end, err := f.Skip(at)
			return end, err
		}
		return f.Elems(at, func(i int) (int, error) {
			n++
			most = max(most, cap(f.Text))
			_, end, err := f.Skip(i)
			return end, err
		})
	})
	if err != nil || n != elements+1 {
		t.Errorf("%d elements, error %v", n, err)
	}
	if most > usualSize || cap(f.Text) > 3*len(long) {
		t.Errorf("%d bytes are held of elements, %d of a value of %d", most, cap(f.Text), len(long))
	}
}

// To look ahead takes in no more than that, whatever is there.
func TestFeedAhead(t *testing.T) {
	text := `{"a":[` + strings.Repeat(`"b",`, 1<<20) + `"c"]}`
	f := NewFeedSize(strings.NewReader(text), 10)
	defer f.Close()
	if i := f.Ahead(0, 1000); i != 0 || len(f.Text) < 1000 || cap(f.Text) > 4000 {
		t.Errorf("%d bytes are held at %d, want 1000", len(f.Text), i)
	}
	if i := f.Ahead(0, len(text)+1); i != 0 || string(f.Text) != text {
		t.Errorf("%d bytes are held at %d, want all %d", len(f.Text), i, len(text))
	}
}

// Why a text broke off is kept apart from what is wrong with it then.
func TestFeedBroken(t *testing.T) {
	why := errors.New("cut off")
	f := NewFeed(io.MultiReader(strings.NewReader(`{"a": [1, 2`), iotest.ErrReader(why)))
	defer f.Close()
	_, end, err := f.Skip(0)
	var syntax *SyntaxError
	if !errors.As(err, &syntax) || !syntax.Short || end != len(f.Text) || f.Err() != why {
		t.Errorf("got %d, %v and %v", end, err, f.Err())
	}
}
