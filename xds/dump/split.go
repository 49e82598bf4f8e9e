package dump

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/redact"
	"github.com/meshlark/meshlark/xds/resource"
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
		return nil, s.refuse(0, "it holds the dumps of %d proxies, want one", len(all))
	}
	return all[0].Dump, nil
}

// A splitter finds the resources of one text.
type splitter struct {
	src    []byte
	source string
	dump   *Dump
	looked bool // whether it was tried to start ahead
	ahead  *ahead
}

func newSplitter(store *resource.Store, src []byte, o Options) *splitter {
	return &splitter{
		src:    src,
		source: o.Source,
		dump:   &Dump{batch: resource.NewBatch(store, o.Source, src), kinds: map[resource.Kind]*group{}},
	}
}

// fault places an error in the text.
func (s *splitter) fault(err error) error {
	var syntax *rawjson.SyntaxError
	if errors.As(err, &syntax) {
		return resource.NewTextError(s.source, s.src, int(syntax.Offset), syntax.Msg)
	}
	return err
}

// refuse makes the error for a text that is no dump.
func (s *splitter) refuse(offset int, format string, args ...any) error {
	e := resource.NewTextError(s.source, s.src, offset, fmt.Sprintf(format, args...))
	e.Foreign = true
	return e
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
	if s.src[start] == '[' {
		end, err = s.list(start)
	} else {
		end, err = s.item(start, 0)
	}
	if err != nil {
		return err
	}
	end = rawjson.SkipSpace(s.src, end)
	if end < len(s.src) {
		return syntaxf(end, "%s after the end of the dump; one document is wanted", glimpse(s.src[end:]))
	}
	return nil
}

// list reads a list of sections or resources. An element that tells nothing of its kind is of that of the others.
func (s *splitter) list(start int) (int, error) {
	var silent []int
	end, err := s.elems(start, func(i int) (int, error) {
		end, err := s.item(i, 0)
		if errors.As(err, new(errUnknown)) {
			silent = append(silent, i)
			err = nil
		}
		return end, err
	})
	if err != nil || len(silent) == 0 {
		return end, err
	}
	if len(s.dump.kinds) != 1 {
		return end, errUnknown{silent[0]}
	}
	for kind := range s.dump.kinds {
		for _, i := range silent {
			v, _, err := s.body(i)
			if err != nil {
				return i, err
			}
			s.dump.add(resource.Spec{Kind: kind, Name: v.name, State: resource.Active, Text: s.src[v.start:v.end], Offset: v.start})
		}
	}
	return end, nil
}

// begin finds the first bracket and refuses what is no JSON document at all.
func (s *splitter) begin() (int, error) {
	i := rawjson.SkipSpace(s.src, 0)
	if i == 0 && bytes.HasPrefix(s.src, []byte("\xef\xbb\xbf")) {
		i = rawjson.SkipSpace(s.src, 3)
	}
	if i >= len(s.src) {
		return 0, s.refuse(i, "it is empty")
	}
	if s.src[i] != '{' && s.src[i] != '[' {
		return 0, s.refuse(i, "want a JSON object or array, got %q", redact.FirstLine(s.src[i:]))
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

// members calls f with each member of the object at i; f says where the value ends.
func (s *splitter) members(i int, f func(key string, at int) (int, error)) (int, error) {
	src := s.src
	i = rawjson.SkipSpace(src, i+1)
	if i < len(src) && src[i] == '}' {
		return i + 1, nil
	}
	for {
		if i >= len(src) {
			return i, syntaxf(i, "unexpected end, want a quoted key")
		}
		if src[i] != '"' {
			return i, syntaxf(i, "unexpected %s, want a quoted key", glimpse(src[i:]))
		}
		end, err := rawjson.SkipString(src, i)
		if err != nil {
			return i, err
		}
		key := text(src[i:end])
		i = rawjson.SkipSpace(src, end)
		if i >= len(src) || src[i] != ':' {
			return i, syntaxf(i, "want ':' after the key %q", key)
		}
		if i, err = f(key, rawjson.SkipSpace(src, i+1)); err != nil {
			return i, err
		}
		i = rawjson.SkipSpace(src, i)
		if i >= len(src) {
			return i, syntaxf(i, "unexpected end, want ',' or '}'")
		}
		switch src[i] {
		case ',':
			i = rawjson.SkipSpace(src, i+1)
		case '}':
			return i + 1, nil
		default:
			return i, syntaxf(i, "unexpected %s, want ',' or '}'", glimpse(src[i:]))
		}
	}
}

// elems calls f with the start of each element of the array at i; f says where it ends.
func (s *splitter) elems(i int, f func(at int) (int, error)) (int, error) {
	src := s.src
	i = rawjson.SkipSpace(src, i+1)
	if i < len(src) && src[i] == ']' {
		return i + 1, nil
	}
	for {
		var err error
		if i, err = f(i); err != nil {
			return i, err
		}
		i = rawjson.SkipSpace(src, i)
		if i >= len(src) {
			return i, syntaxf(i, "unexpected end, want ',' or ']'")
		}
		switch src[i] {
		case ',':
			i = rawjson.SkipSpace(src, i+1)
		case ']':
			return i + 1, nil
		default:
			return i, syntaxf(i, "unexpected %s, want ',' or ']'", glimpse(src[i:]))
		}
	}
}

// at reports whether the value at i begins with c.
func (s *splitter) at(i int, c byte) bool { return i < len(s.src) && s.src[i] == c }

// str reads the string at i; a value of another kind is skipped and gives "".
func (s *splitter) str(i int) (string, int, error) {
	end, err := rawjson.Skip(s.src, i)
	if err != nil || s.src[i] != '"' {
		return "", end, err
	}
	return text(s.src[i:end]), end, nil
}

// text decodes a quoted string; one without escapes shares the memory of the dump.
func text(quoted []byte) string {
	if bytes.IndexByte(quoted, '\\') >= 0 {
		return rawjson.Value(quoted).Text()
	}
	in := quoted[1 : len(quoted)-1]
	return unsafe.String(unsafe.SliceData(in), len(in))
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
	if s.at(i, '[') {
		return s.elems(i, item)
	}
	return s.members(i, func(_ string, at int) (int, error) {
		switch {
		case s.at(at, '{'):
			return item(at)
		case s.at(at, '['):
			return s.elems(at, item)
		}
		return rawjson.Skip(s.src, at)
	})
}

// named reads resources of a kind under their names, as kumactl gives them under the type.
func (s *splitter) named(i int, kind resource.Kind) (int, error) {
	s.dump.group(kind)
	return s.members(i, func(name string, at int) (int, error) {
		v, end, err := s.body(at)
		if err == nil {
			s.dump.add(resource.Spec{Kind: kind, Name: name, State: resource.Active, Text: s.src[v.start:v.end], Offset: v.start})
		}
		return end, err
	})
}

// item reads the value at i: a ConfigDump, one section, one element of a section, or a resource.
func (s *splitter) item(i, depth int) (int, error) {
	if !s.at(i, '{') {
		if i >= len(s.src) {
			return i, syntaxf(i, "unexpected end, want an object")
		}
		return i, syntaxf(i, "unexpected %s, want an object: a section or a resource", glimpse(s.src[i:]))
	}
	var (
		typeURL string
		found   bool          // a ConfigDump or a section
		guess   resource.Kind // by members that only one kind has
		section string        // the message whose lists were found
		boot    value         // a bootstrap
		updated string        // its time
	)
	end, err := s.members(i, func(key string, at int) (int, error) {
		if kind, ok := messageKind(key); ok && s.at(at, '{') {
			found = true
			return s.named(at, kind)
		}
		key = snake(key)
		switch key {
		case "@type":
			var end int
			var err error
			typeURL, end, err = s.str(at)
			return end, err
		case "configs":
			if (s.at(at, '[') || s.at(at, '{')) && depth < envelopes {
				found = true
				return s.items(at, depth+1)
			}
			found = found || s.at(at, 'n')
		case "resources": // of a discovery response
			if s.at(at, '[') && depth < envelopes {
				found = true
				return s.items(at, depth+1)
			}
		case "type_url": // of one, which may have no resources
			url, end, err := s.str(at)
			if kind, ok := messageKind(url); ok {
				found = true
				s.dump.group(kind)
			}
			return end, err
		case "xds": // around named resources
			if s.at(at, '{') && bytes.HasPrefix(s.src[rawjson.SkipSpace(s.src, at+1):], []byte(`"type.googleapis.com/`)) {
				found = true
				return s.item(at, depth+1)
			}
		case "resource": // one of them, with its name around it
			if s.at(at, '{') && depth < envelopes {
				found = true
				return s.item(at, depth+1)
			}
		case "config_dump":
			if s.at(at, '{') && depth < envelopes {
				found = true
				return s.item(at, depth+1)
			}
		case "last_updated":
			var end int
			var err error
			updated, end, err = s.str(at)
			return end, err
		case "name", "version_info":
			return rawjson.Skip(s.src, at)
		}
		if l, ok := lists[key]; ok && (typeURL == "" || adminType(typeURL) != "") {
			if key == "bootstrap" && s.at(at, '{') {
				found, section = true, l.section
				end, err := rawjson.Skip(s.src, at)
				boot = value{start: at, end: end}
				return end, err
			}
			if s.at(at, '[') {
				found, section = true, l.section
				s.dump.group(l.kind)
				return s.elems(at, func(i int) (int, error) { return s.element(i, l) })
			}
		}
		if guess == "" {
			guess = telling[key]
		}
		return rawjson.Skip(s.src, at)
	})
	if err != nil {
		return end, err
	}
	if boot.end > 0 {
		s.dump.add(resource.Spec{
			Kind: resource.Bootstrap, State: resource.Static, LastUpdated: updated,
			Text: s.src[boot.start:boot.end], Offset: boot.start,
		})
	}
	return end, s.classify(i, end, depth, typeURL, section, found, guess)
}
