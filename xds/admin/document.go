package admin

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/redact"
)

// An Error says why a body is not the answer of an admin path.
type Error struct {
	Path   string // the path and query the answer belongs to, as /clusters?format=json
	Offset int64  // bytes from the start of the body to the fault
	Reason string
}

func (e *Error) Error() string {
	return fmt.Sprintf("read the answer of Envoy's %s: at offset %d: %s", e.Path, e.Offset, e.Reason)
}

// compact validates a body of an admin path and drops its white space.
func compact(path string, src []byte) (rawjson.Value, error) {
	start := len(src) - len(bytes.TrimLeft(src, " \t\r\n"))
	if start == len(src) {
		return nil, &Error{path, 0, "the body is empty"}
	}
	if c := src[start]; c != '{' && c != '[' {
		return nil, &Error{path, int64(start), notJSON(path, redact.FirstLine(src[start:]))}
	}
	doc, err := rawjson.Compact(nil, src)
	if err != nil {
		var se *rawjson.SyntaxError
		if errors.As(err, &se) {
			return nil, &Error{path, se.Offset, "invalid JSON: " + se.Msg}
		}
		return nil, &Error{path, 0, err.Error()}
	}
	return doc, nil
}

// notJSON describes a body by its first line. Several admin paths answer in a text form of their own unless asked for
// JSON, and that is the usual mistake.
func notJSON(path, line string) string {
	if _, query, ok := strings.Cut(path, "?"); ok && !strings.HasPrefix(line, "<") {
		return fmt.Sprintf("text, not JSON: it starts with %q; save it again with %s in the query (%s)", line, query, path)
	}
	return fmt.Sprintf("not JSON: it starts with %q", line)
}

// section gives the field that holds the whole of an answer. Envoy leaves out an empty one, so an empty object is an answer; an
// object with other fields only is something else.
func section(path string, doc rawjson.Value, name string) (rawjson.Value, error) {
	if doc.Kind() != rawjson.Object {
		return nil, &Error{path, 0, "an array, want an object with " + name}
	}
	if v := doc.Get(name); len(v) > 0 {
		if v.Exists() && v.Kind() != rawjson.Array {
			return nil, &Error{path, 0, name + " is not an array"}
		}
		return v, nil
	}
	var keys []string
	for key := range doc.Members() {
		if keys = append(keys, key); len(keys) > shownFields {
			break
		}
	}
	if len(keys) > 0 {
		return nil, otherDocument(path, name, keys)
	}
	return nil, nil
}

// shownFields is how many fields tell what a document is.
const shownFields = 5

// otherDocument says that an object has no field that holds the answer, and some of those that it has.
func otherDocument(path, name string, keys []string) error {
	var quoted []string
	for _, key := range keys[:min(len(keys), shownFields)] {
		quoted = append(quoted, strconv.Quote(key))
	}
	if len(keys) > shownFields {
		quoted = append(quoted, "...")
	}
	return &Error{path, 0, fmt.Sprintf("no %s: this is some other document, its fields are %s", name, strings.Join(quoted, ", "))}
}

// snake gives the name of a field as Envoy writes it; istioctl writes lowerCamelCase.
func snake(key string) string {
	if strings.IndexFunc(key, isUpper) < 0 {
		return key
	}
	b := make([]byte, 0, len(key)+4)
	for i := range len(key) {
		if c := key[i]; isUpper(rune(c)) {
			b = append(b, '_', c+'a'-'A')
		} else {
			b = append(b, c)
		}
	}
	return string(b)
}

func isUpper(r rune) bool { return 'A' <= r && r <= 'Z' }

// A Number is the text of a number as Envoy wrote it, so that nothing is lost to a conversion: "18446744073709551615", "3e+05",
// "NaN". It is empty where Envoy gave none (absent or null).
type Number string

// Float converts the number; ok is false for an empty one.
func (n Number) Float() (f float64, ok bool) {
	f, err := strconv.ParseFloat(string(n), 64)
	return f, err == nil
}

// Uint converts the number; ok is false for an empty one and for one that is negative, broken or too large.
func (n Number) Uint() (u uint64, ok bool) {
	u, err := strconv.ParseUint(string(n), 10, 64)
	return u, err == nil
}

func number(v rawjson.Value) Number {
	if k := v.Kind(); k != rawjson.Number && k != rawjson.String {
		return ""
	}
	return Number(v.Text())
}

// percent reads an envoy.type.v3.Percent. Its value is left out when it is 0.
func percent(v rawjson.Value) Number {
	if v.Kind() != rawjson.Object {
		return ""
	}
	if n := number(v.Get("value")); n != "" {
		return n
	}
	return "0"
}

// percentJSON is the reverse of percent.
func percentJSON(n Number) rawjson.Value {
	if v, err := rawjson.Compact(nil, []byte(n)); err != nil || rawjson.Value(v).Kind() != rawjson.Number {
		return append(rawjson.Quote([]byte(`{"value":`), string(n)), '}') // "NaN" and the like
	}
	return rawjson.Value(`{"value":` + string(n) + `}`)
}

// timestamp reads a time as proto JSON has it; the zero time where there is none.
func timestamp(v rawjson.Value) time.Time {
	t, err := time.Parse(time.RFC3339Nano, v.Text())
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// duration reads a duration as proto JSON has it ("9s", "0.250s").
func duration(v rawjson.Value) time.Duration {
	d, err := time.ParseDuration(v.Text())
	if err != nil {
		return 0
	}
	return d
}
