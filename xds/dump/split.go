package dump

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/redact"
	"github.com/meshlark/meshlark/xds/resource"
	"github.com/meshlark/meshlark/xds/schema"
)

// Split reads a dump. It keeps src, which must not change afterwards. The error is an *Error.
//
// A text that holds the dumps of several proxies is refused; see [SplitAll].
func Split(store *resource.Store, src []byte, o Options) (*Dump, error) {
	all, err := SplitAll(store, src, o)
	if err != nil {
		return nil, err
	}
	if len(all) != 1 {
		s := newSplitter(store, src, o)
		return nil, s.refuse(s.Position(0), "it holds the dumps of %d proxies, want one", len(all))
	}
	return all[0].Dump, nil
}

// Read is Split for a text that arrives: each resource is interned as it comes, as [Dump.Settle] does, and none of the text is kept. A fault in a body is an
// error at once. Where the text breaks off the error is that of r.
func Read(store *resource.Store, r io.Reader, o Options) (*Dump, error) {
	f := rawjson.NewFeed(r)
	defer f.Close()
	f.Ahead(0, schema.Telling)
	return read(f, resource.NewInterning(store, f.Text), o)
}

func read(f *rawjson.Feed, batch *resource.Batch, o Options) (*Dump, error) {
	s := &splitter{Feed: f, source: o.Source, dump: newDump(batch), arrives: true}
	err := s.document()
	if broken := f.Err(); broken != nil {
		return nil, broken
	}
	var unknown errUnknown
	if errors.As(err, &unknown) {
		return nil, s.foreign(unknown)
	}
	if err != nil {
		return nil, s.fault(err)
	}
	return s.dump, nil
}

// A splitter finds the resources of one text.
type splitter struct {
	*rawjson.Feed
	source  string
	dump    *Dump
	arrives bool    // resources are interned as they are found
	own     wrapper // of the element that is being read
	looked  bool    // whether it was tried to start ahead
	ahead   *ahead
}

func newSplitter(store *resource.Store, src []byte, o Options) *splitter {
	return &splitter{Feed: rawjson.Whole(src), source: o.Source, dump: newDump(resource.NewBatch(store, o.Source, src))}
}

// fault places an error in the text.
func (s *splitter) fault(err error) error {
	var syntax *rawjson.SyntaxError
	if !errors.As(err, &syntax) {
		return err
	}
	p := s.Position(int(syntax.Offset))
	return &Error{Source: s.source, Offset: p.Offset, Line: p.Line, Column: p.Column, Reason: syntax.Msg}
}

// refuse makes the error for a text that is no dump.
func (s *splitter) refuse(at rawjson.Position, format string, args ...any) error {
	return &Error{Source: s.source, Offset: at.Offset, Line: at.Line, Column: at.Column, Reason: fmt.Sprintf(format, args...), Foreign: true}
}

// foreign makes the error for JSON that is nothing else.
func (s *splitter) foreign(e errUnknown) error {
	return s.refuse(e.at, "it is neither a config dump nor a resource of one")
}

func syntaxf(offset int, format string, args ...any) error {
	return &rawjson.SyntaxError{Offset: int64(offset), Msg: fmt.Sprintf(format, args...)}
}

// document reads the whole text.
func (s *splitter) document() error {
	start, err := s.begin()
	if err != nil {
		return err
	}
	var end int
	if s.Is(start, '[') {
		end, err = s.list(start)
	} else {
		end, err = s.item(start, 0)
	}
	if err != nil {
		return err
	}
	if end = s.Space(end); end < len(s.Text) {
		end = s.Ahead(end, utf8.UTFMax)
		return syntaxf(end, "%s after the end of the dump; one document is wanted", glimpse(s.Text[end:]))
	}
	return nil
}

// list reads a list of sections or resources. An element that tells nothing of its kind is of that of the others.
func (s *splitter) list(start int) (int, error) {
	var silent []*rawjson.Mark
	end, err := s.Elems(start, func(i int) (int, error) {
		begin := s.Mark(i)
		end, err := s.item(i, 0)
		if errors.As(err, new(errUnknown)) {
			silent = append(silent, begin)
			return end, nil
		}
		s.Forget(begin)
		return end, err
	})
	if err != nil || len(silent) == 0 {
		return end, err
	}
	if len(s.dump.kinds) != 1 {
		return end, errUnknown{s.Position(silent[0].At())}
	}
	part := s.held(end)
	for kind := range s.dump.kinds {
		for _, begin := range silent {
			v, _, err := part.body(begin.At())
			if err == nil {
				err = part.bare(kind, v.name, resource.Active, v)
			}
			if err != nil {
				return end, err
			}
		}
	}
	return end, nil
}

// held reads what is there before an offset, and takes in no more meanwhile.
func (s *splitter) held(end int) *splitter {
	if !s.arrives {
		return s
	}
	return &splitter{Feed: s.Held(end), source: s.source, dump: s.dump, arrives: s.arrives, looked: true}
}

const (
	mark     = "\xef\xbb\xbf" // that some editors begin a text with
	headline = 1 << 10        // bytes of a text that is no JSON, to tell what it is
)

// begin finds the first bracket and refuses what is no JSON document at all.
func (s *splitter) begin() (int, error) {
	i := s.Ahead(0, len(mark))
	if bytes.HasPrefix(s.Text, []byte(mark)) {
		i += len(mark)
	}
	i = s.Space(i)
	if i == len(s.Text) {
		return 0, s.refuse(s.Position(i), "it is empty")
	}
	if s.Text[i] != '{' && s.Text[i] != '[' {
		i = s.Ahead(i, headline)
		return 0, s.refuse(s.Position(i), "want a JSON object or array, got %q", redact.FirstLine(s.Text[i:min(i+headline, len(s.Text))]))
	}
	return i, nil
}

// glimpse names the byte at the start of a text.
func glimpse(text []byte) string {
	r, n := utf8.DecodeRune(text)
	if r == utf8.RuneError && n <= 1 {
		return fmt.Sprintf("byte 0x%02x", text[0])
	}
	return fmt.Sprintf("%q", r)
}

// want is the error of a value at i that is no object.
func (s *splitter) want(i int, what string) error {
	if i = s.Ahead(i, utf8.UTFMax); i == len(s.Text) {
		return syntaxf(i, "unexpected end, want an object")
	}
	return syntaxf(i, "unexpected %s, want an object%s", glimpse(s.Text[i:]), what)
}

// snake gives a member's name in snake_case; names are mostly that already.
func snake(name string) string {
	up := strings.IndexFunc(name, func(r rune) bool { return 'A' <= r && r <= 'Z' })
	if up < 0 || strings.IndexByte(name, '_') >= 0 {
		return name
	}
	b := []byte(name[:up])
	for _, c := range []byte(name[up:]) {
		if 'A' <= c && c <= 'Z' {
			b = append(b, '_')
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return string(b)
}

// envelopes is how many objects may be wrapped around a dump, as egctl does.
const envelopes = 4

// items reads what a ConfigDump or a discovery response holds: a list, or, as the first Envoys that had dumps wrote it, an object with a section
// under each key.
func (s *splitter) items(i, depth int) (int, error) {
	item := func(at int) (int, error) { return s.item(at, depth) }
	if s.Is(i, '[') {
		return s.Elems(i, item)
	}
	return s.Members(i, func(_ string, at int) (int, error) {
		switch {
		case s.Is(at, '{'):
			return item(at)
		case s.Is(at, '['):
			return s.Elems(at, item)
		}
		return s.skip(at)
	})
}

// named reads resources of a kind under their names, as kumactl gives them under the type.
func (s *splitter) named(i int, kind resource.Kind) (int, error) {
	s.dump.group(kind)
	return s.Members(i, func(name string, at int) (int, error) {
		name = strings.Clone(name)
		v, end, err := s.one(at)
		if err == nil {
			err = s.bare(kind, name, resource.Active, v)
		}
		return end, err
	})
}

// one is body for a resource that is still arriving.
func (s *splitter) one(i int) (v value, end int, err error) {
	_, end, err = s.Step(i, func(i int) (int, error) {
		var end int
		var err error
		v, end, err = s.body(i)
		return end, err
	})
	return v, end, err
}

// begins reports whether the first key of the object at i begins so.
func (s *splitter) begins(i int, quoted string) (at int, yes bool) {
	at, _, _ = s.Step(i, func(i int) (int, error) {
		key := rawjson.SkipSpace(s.Text, i+1)
		yes = bytes.HasPrefix(s.Text[key:], []byte(quoted))
		return min(key+len(quoted), len(s.Text)), nil
	})
	return at, yes
}

// item reads the value at i: a ConfigDump, one section, one element of a section, or a resource.
func (s *splitter) item(i, depth int) (int, error) {
	if !s.Is(i, '{') {
		return i, s.want(i, ": a section or a resource")
	}
	var (
		typeURL string
		section string        // the message whose lists were found
		guess   resource.Kind // by members that only one kind has
		boot    *rawjson.Mark // of a bootstrap
		length  int           // of that
		updated string        // its time
		found   bool          // a ConfigDump or a section
	)
	// What it is may be known at its end only, and then it may be a resource, so that all of it is wanted.
	start := s.Mark(i)
	defer func() {
		s.Forget(start)
		s.Forget(boot)
	}()
	find := func(name string) {
		found, section = true, name
		s.Forget(start)
	}
	end, err := s.Members(i, func(key string, at int) (int, error) {
		if kind, ok := messageKind(key); ok && s.Is(at, '{') {
			find(section)
			return s.named(at, kind)
		}
		key = snake(key)
		switch key {
		case "@type":
			return s.copied(at, &typeURL)
		case "configs":
			if (s.Is(at, '[') || s.Is(at, '{')) && depth < envelopes {
				find(section)
				return s.items(at, depth+1)
			}
			found = found || s.Is(at, 'n')
		case "resources": // of a discovery response
			if s.Is(at, '[') && depth < envelopes {
				find(section)
				return s.items(at, depth+1)
			}
		case "type_url": // of one, which may have no resources
			url, end, err := s.String(at)
			if kind, ok := messageKind(url); ok {
				find(section)
				s.dump.group(kind)
			}
			return end, err
		case "xds": // around named resources
			if s.Is(at, '{') {
				var named bool
				if at, named = s.begins(at, `"type.googleapis.com/`); named {
					find(section)
					return s.item(at, depth+1)
				}
			}
		case "resource": // one of them, with its name around it
			if s.Is(at, '{') && depth < envelopes {
				find(section)
				return s.item(at, depth+1)
			}
		case "config_dump":
			if s.Is(at, '{') && depth < envelopes {
				find(section)
				return s.item(at, depth+1)
			}
		case "last_updated":
			return s.copied(at, &updated)
		case "name", "version_info":
			return s.skip(at)
		}
		if l, ok := lists[key]; ok && (typeURL == "" || adminType(typeURL) != "") {
			if key == "bootstrap" && s.Is(at, '{') {
				at, end, err := s.Skip(at)
				s.Forget(boot)
				boot, length = s.Mark(at), end-at
				find(l.section)
				return end, err
			}
			if s.Is(at, '[') {
				find(l.section)
				s.dump.group(l.kind)
				return s.Elems(at, func(i int) (int, error) { return s.element(i, l) })
			}
		}
		if guess == "" {
			guess = telling[key]
		}
		return s.skip(at)
	})
	if err != nil {
		return end, err
	}
	if boot != nil {
		at := boot.At()
		if err := s.add(resource.Spec{
			Kind: resource.Bootstrap, State: resource.Static, LastUpdated: updated, Text: s.Text[at : at+length], Offset: at,
		}); err != nil {
			return end, err
		}
	}
	if found {
		s.section(typeURL, section)
		return end, nil
	}
	return end, s.held(end).classify(start.At(), end, depth, typeURL, guess)
}

// skip is Skip for one who does not want the value.
func (s *splitter) skip(i int) (int, error) {
	_, end, err := s.Skip(i)
	return end, err
}

// copied reads a string that is kept while more is taken in.
func (s *splitter) copied(i int, to *string) (int, error) {
	text, end, err := s.String(i)
	*to = strings.Clone(text)
	return end, err
}
