// Package wire writes protobuf messages, in the binary form in which xDS carries them, as the JSON that Envoy's config dump shows of them.
//
// Names are those of the definitions (connect_timeout), fields come in the order of their numbers, what an Any holds stands beside its "@type", and
// what the definitions mark as sensitive is redacted. A message of a type that package schema does not know is kept as it was sent, in
// base64: {"@type": "type.googleapis.com/its.Type", "value": "CgNhYmM="}. Fields that are newer than the definitions are left out, as Envoy
// leaves out those it does not know.
//
// Nothing is linked or built beforehand: the definition of a type is looked up when a message of it is met.
package wire

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/schema"
)

// MaxDepth is how deeply messages may be nested, as in Envoy.
const MaxDepth = 100

// An Error says where a message stops being one.
type Error struct {
	Message string // full name of the type
	Field   string // "" where the fault is between fields
	Err     error
}

func (e *Error) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("read %s: %v", e.Message, e.Err)
	}
	return fmt.Sprintf("read %s.%s: %v", e.Message, e.Field, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

var (
	errUnknown = errors.New("its definition is not known")
	errDepth   = fmt.Errorf("messages are nested more than %d deep", MaxDepth)
)

// A Printer writes messages as JSON. The zero value is ready; it is not safe for concurrent use.
type Printer struct {
	// Visit, when set, is called with each message whose type is in Types as soon as it is written, the inner ones first. The body is valid
	// during the call.
	Visit func(message string, body rawjson.Value)
	Types map[string]bool

	// Unknown are the fields that were left out because the definitions do not have them, each once: the full name of the message, a space and the
	// number of the field.
	Unknown []string

	records []record // of the messages that are being written, the outermost first
}

// A record is one field as it stands in the binary form.
type record struct {
	field  *schema.Field
	typ    protowire.Type
	number uint64
	bytes  []byte
}

// at is where in a message the printer is.
type at struct {
	depth  int
	secret bool // a sensitive field holds it
}

func (a at) inside(f *schema.Field) at { return at{a.depth + 1, a.secret || f.Sensitive} }

// Message appends the JSON of a message of the type of that full name to dst. Errors are *Error; dst is then returned as it came. What an
// Any inside holds is no error, whatever it is.
func (p *Printer) Message(dst []byte, name string, b []byte) ([]byte, error) {
	m, ok := schema.LookupMessage(name)
	if !ok {
		return dst, &Error{Message: name, Err: errUnknown}
	}
	p.records = p.records[:0]
	return p.message(dst, m, b, at{})
}

// Any appends the JSON of an Any. A type that is not known, and bytes that are not of the type that they say, are kept in base64.
func (p *Printer) Any(dst []byte, typeURL string, value []byte) []byte {
	p.records = p.records[:0]
	return p.any(dst, typeURL, value, at{})
}

func (p *Printer) any(dst []byte, typeURL string, value []byte, where at) []byte {
	if typeURL == "" && len(value) == 0 {
		return append(dst, '{', '}')
	}
	start := len(dst)
	dst = append(dst, `{"@type":`...)
	dst = rawjson.Quote(dst, typeURL)
	if m, ok := schema.LookupMessage(schema.TypeOfAny(typeURL)); ok {
		whole := dst
		var err error
		if m.Form == schema.AsObject || m.Form == schema.AsEmpty {
			whole, err = p.fields(whole, m, value, where, true)
		} else {
			whole, err = p.message(append(whole, `,"value":`...), m, value, where)
		}
		if err == nil {
			whole = append(whole, '}')
			p.visit(m, whole[start:])
			return whole
		}
	}
	if where.secret {
		value = []byte(redacted)
	}
	dst = append(dst, `,"value":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, value)
	return append(dst, '"', '}')
}

func (p *Printer) visit(m *schema.Message, body rawjson.Value) {
	if p.Visit != nil && p.Types[m.Name] {
		p.Visit(m.Name, body)
	}
}

// message appends a message in its own form.
func (p *Printer) message(dst []byte, m *schema.Message, b []byte, where at) ([]byte, error) {
	if where.depth > MaxDepth {
		return dst, &Error{Message: m.Name, Err: errDepth}
	}
	if m.Form != schema.AsObject && m.Form != schema.AsEmpty {
		out, err := p.wellKnown(dst, m, b, where)
		if err != nil {
			return dst, err
		}
		p.visit(m, out[len(dst):])
		return out, nil
	}
	start := len(dst)
	out, err := p.fields(append(dst, '{'), m, b, where, false)
	if err != nil {
		return dst, err
	}
	out = append(out, '}')
	p.visit(m, out[start:])
	return out, nil
}

// fields appends the members of an object without its braces; comma says that there is one before them.
func (p *Printer) fields(dst []byte, m *schema.Message, b []byte, where at, comma bool) ([]byte, error) {
	mark := len(p.records)
	out, err := dst, p.read(m, b)
	for i := mark; i < len(p.records) && err == nil; {
		f := p.records[i].field
		end := i + 1
		for end < len(p.records) && p.records[end].field == f {
			end++
		}
		before := len(out)
		if comma {
			out = append(out, ',')
		}
		out = append(rawjson.Quote(out, f.Name), ':')
		value := len(out)
		out, err = p.field(out, f, i, end, where.inside(f))
		if len(out) == value { // absent, or as good as
			out = out[:before]
		} else {
			comma = true
		}
		i = end
	}
	p.records = p.records[:mark]
	if err != nil {
		var inner *Error
		if !errors.As(err, &inner) {
			err = &Error{Message: m.Name, Err: err}
		}
		return dst, err
	}
	return out, nil
}

// read appends the fields of a message to p.records, in the order of their numbers, those of one field in the order in which they were sent.
func (p *Printer) read(m *schema.Message, b []byte) error {
	mark := len(p.records)
	sorted := true
	for len(b) > 0 {
		number, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		f, known := m.FieldNumber(int32(number))
		if !known || !fits(f, typ) {
			if n = protowire.ConsumeFieldValue(number, typ, b); n < 0 {
				return protowire.ParseError(n)
			}
			b = b[n:]
			p.leaveOut(m, number)
			continue
		}
		r, n := consume(number, typ, b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		r.field = f
		if f.Oneof != "" { // the last one sent is set
			kept := slices.DeleteFunc(p.records[mark:], func(o record) bool { return o.field.Oneof == f.Oneof && o.field != f })
			p.records = p.records[:mark+len(kept)]
		}
		if len(p.records) > mark && p.records[len(p.records)-1].field.Number > f.Number {
			sorted = false
		}
		p.records = append(p.records, r)
	}
	if !sorted {
		slices.SortStableFunc(p.records[mark:], func(a, b record) int { return cmp.Compare(a.field.Number, b.field.Number) })
	}
	return nil
}

// consume takes a value of a type off b and gives how long it is, negative when it is broken. Of a group nothing is kept.
func consume(number protowire.Number, typ protowire.Type, b []byte) (r record, n int) {
	r.typ = typ
	switch typ {
	case protowire.VarintType:
		r.number, n = protowire.ConsumeVarint(b)
	case protowire.Fixed32Type:
		var v uint32
		v, n = protowire.ConsumeFixed32(b)
		r.number = uint64(v)
	case protowire.Fixed64Type:
		r.number, n = protowire.ConsumeFixed64(b)
	case protowire.BytesType:
		r.bytes, n = protowire.ConsumeBytes(b)
	default:
		n = protowire.ConsumeFieldValue(number, typ, b)
	}
	return r, n
}

// leaveOut notes a field that is not known. Of messages that are not what they say there may be any number; a few are enough to tell.
func (p *Printer) leaveOut(m *schema.Message, number protowire.Number) {
	const most = 100
	name := fmt.Sprintf("%s %d", m.Name, number)
	if len(p.Unknown) < most && !slices.Contains(p.Unknown, name) {
		p.Unknown = append(p.Unknown, name)
	}
}

// fits tells whether a field can be sent as that type.
func fits(f *schema.Field, typ protowire.Type) bool {
	if f.MapKey != schema.NoKind || f.Kind == schema.MessageKind || f.Kind == schema.StringKind || f.Kind == schema.BytesKind {
		return typ == protowire.BytesType
	}
	switch typ {
	case protowire.BytesType:
		return f.Repeated // packed
	case protowire.VarintType:
		return f.Kind != schema.FloatKind && f.Kind != schema.DoubleKind
	case protowire.Fixed32Type:
		return f.Kind == schema.FloatKind || f.Kind == schema.Int32Kind || f.Kind == schema.Uint32Kind
	case protowire.Fixed64Type:
		return f.Kind == schema.DoubleKind || f.Kind == schema.Int64Kind || f.Kind == schema.Uint64Kind
	}
	return false
}
