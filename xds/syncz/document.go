package syncz

import (
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/redact"
)

// An Error says why a body is not what istiod answers.
type Error struct {
	What   string // sync status, or connections
	Offset int64  // bytes from the start of the body to the fault
	Reason string
}

func (e *Error) Error() string {
	return fmt.Sprintf("read istiod's %s: at offset %d: %s", e.What, e.Offset, e.Reason)
}

// documents iterates over JSON documents one after another, as istioctl prints one for each istiod, with the offset of
// each, without the white space inside them. Private material is still there: most of the text is nonces and names, which nobody need search. It ends after
// the first error.
func documents(what string, src []byte) iter.Seq2[int64, document] {
	return func(yield func(int64, document) bool) {
		start := rawjson.SkipSpace(src, 0)
		if start == len(src) {
			yield(0, document{err: &Error{what, 0, "the body is empty"}})
			return
		}
		for start < len(src) {
			off := int64(start)
			if c := src[start]; c != '{' && c != '[' {
				yield(off, document{err: notJSON(what, off, src[start:])})
				return
			}
			end, err := rawjson.Skip(src, start)
			if err == nil {
				var v rawjson.Value
				if v, err = rawjson.Compact(nil, src[start:end]); err == nil {
					if !yield(off, document{v: v}) {
						return
					}
					start = rawjson.SkipSpace(src, end)
					continue
				}
			} else {
				// The whole rest is one broken document: its validation finds the first fault, not only that the end is missing.
				if _, inner := rawjson.Compact(nil, src[start:]); inner != nil {
					err = inner
				}
			}
			yield(off, document{err: syntaxError(what, off, err)})
			return
		}
	}
}

type document struct {
	v   rawjson.Value
	err error
}

func syntaxError(what string, start int64, err error) error {
	var se *rawjson.SyntaxError
	if errors.As(err, &se) {
		return &Error{what, start + se.Offset, "invalid JSON: " + se.Msg}
	}
	return &Error{what, start, err.Error()}
}

// notJSON is the error for what is none.
func notJSON(what string, off int64, text []byte) error {
	return &Error{what, off, fmt.Sprintf("not JSON: it starts with %q", redact.FirstLine(text))}
}

// otherDocument is the error for well-formed JSON of another kind.
func otherDocument(what string, off int64, v rawjson.Value) error {
	if v.Kind() != rawjson.Object {
		return &Error{what, off, "not a " + what + " document: it has the element " + strconv.Quote(redact.FirstLine(v))}
	}
	var keys []string
	for key := range v.Members() {
		keys = append(keys, key)
	}
	return otherFields(what, off, keys)
}

func otherFields(what string, off int64, keys []string) error {
	if len(keys) == 0 {
		return &Error{what, off, "not a " + what + " document: it has no fields"}
	}
	const most = 5
	var quoted []string
	for _, key := range keys[:min(len(keys), most)] {
		quoted = append(quoted, strconv.Quote(key))
	}
	if len(keys) > most {
		quoted = append(quoted, "...")
	}
	return &Error{what, off, "not a " + what + " document: its fields are " + strings.Join(quoted, ", ")}
}

// timestamp reads a time; Go writes the zero time where there was none.
func timestamp(v rawjson.Value) time.Time {
	t, err := time.Parse(time.RFC3339Nano, v.Text())
	if err != nil || t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}
