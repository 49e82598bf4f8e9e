package wire

import (
	"encoding/base64"
	"math"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/schema"
)

// redacted is what Envoy puts in the place of strings and bytes that are private.
const redacted = "[redacted]"

// field appends the value of a field that was sent in p.records[i:end]; nothing when it is as good as absent.
func (p *Printer) field(dst []byte, f *schema.Field, i, end int, where at) ([]byte, error) {
	switch {
	case f.MapKey != schema.NoKind:
		return p.mapped(dst, f, i, end, where)
	case f.Repeated:
		return p.list(dst, f, i, end, where)
	case f.Kind == schema.MessageKind:
		b := p.records[i].bytes
		for _, more := range p.records[i+1 : end] { // parts of one message, by the rules of protobuf
			b = slices.Concat(b, more.bytes)
		}
		return p.inner(dst, f, b, where)
	}
	r := p.records[end-1] // the last one counts
	if !f.HasPresence() && r.number == 0 && len(r.bytes) == 0 {
		return dst, nil
	}
	if where.secret && f.Kind != schema.StringKind && f.Kind != schema.BytesKind {
		return dst, nil
	}
	return scalar(dst, f, f.Kind, r, where), nil
}

// inner appends the message that a field, an element or a map's value is.
func (p *Printer) inner(dst []byte, f *schema.Field, b []byte, where at) ([]byte, error) {
	m := f.Message()
	if m == nil {
		return dst, &Error{Message: f.TypeName, Err: errUnknown}
	}
	return p.message(dst, m, b, where)
}

func (p *Printer) list(dst []byte, f *schema.Field, i, end int, where at) ([]byte, error) {
	start := len(dst)
	dst = append(dst, '[')
	comma := func() {
		if len(dst) > start+1 {
			dst = append(dst, ',')
		}
	}
	for ; i < end; i++ {
		r := p.records[i]
		switch {
		case f.Kind == schema.MessageKind:
			comma()
			var err error
			if dst, err = p.inner(dst, f, r.bytes, where); err != nil {
				return dst, err
			}
		case r.typ == protowire.BytesType && f.Kind != schema.StringKind && f.Kind != schema.BytesKind:
			for packed := r.bytes; len(packed) > 0; {
				var n int
				if r.number, n = unpack(f.Kind, packed); n < 0 {
					return dst, &Error{Message: "packed list", Field: f.Name, Err: protowire.ParseError(n)}
				}
				packed = packed[n:]
				comma()
				dst = scalar(dst, f, f.Kind, record{number: r.number}, where)
			}
		default:
			comma()
			dst = scalar(dst, f, f.Kind, r, where)
		}
	}
	if len(dst) == start+1 {
		return dst[:start], nil
	}
	return append(dst, ']'), nil
}

// unpack takes the first number off a packed list. That of fixed size is of a kind that the table does not tell from its varint brother;
// no definition that it has packs one.
func unpack(kind schema.Kind, b []byte) (uint64, int) {
	switch kind {
	case schema.FloatKind:
		v, n := protowire.ConsumeFixed32(b)
		return uint64(v), n
	case schema.DoubleKind:
		return protowire.ConsumeFixed64(b)
	}
	return protowire.ConsumeVarint(b)
}

// mapped appends a map with its keys sorted; protobuf gives them no order.
func (p *Printer) mapped(dst []byte, f *schema.Field, i, end int, where at) ([]byte, error) {
	type entry struct {
		key   string
		value record
	}
	var entries []entry
	for ; i < end; i++ {
		var key, value record
		for b := p.records[i].bytes; len(b) > 0; {
			number, typ, n := protowire.ConsumeTag(b)
			if n < 0 {
				return dst, &Error{Message: "map", Field: f.Name, Err: protowire.ParseError(n)}
			}
			b = b[n:]
			r, n := consume(number, typ, b)
			if n < 0 {
				return dst, &Error{Message: "map", Field: f.Name, Err: protowire.ParseError(n)}
			}
			b = b[n:]
			switch number {
			case 1:
				key = r
			case 2:
				value = r
			}
		}
		text := string(scalar(nil, f, f.MapKey, key, at{}))
		if !strings.HasPrefix(text, `"`) {
			text = `"` + text + `"`
		}
		entries = append(entries, entry{text, value})
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	dst = append(dst, '{')
	for i, e := range entries {
		if i+1 < len(entries) && entries[i+1].key == e.key {
			continue // the last one counts
		}
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst = append(append(dst, e.key...), ':')
		if f.Kind != schema.MessageKind {
			dst = scalar(dst, f, f.Kind, e.value, where)
			continue
		}
		var err error
		if dst, err = p.inner(dst, f, e.value.bytes, where); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

// scalar appends a number, a string or the like.
func scalar(dst []byte, f *schema.Field, kind schema.Kind, r record, where at) []byte {
	switch kind {
	case schema.BoolKind:
		return strconv.AppendBool(dst, r.number != 0)
	case schema.Int32Kind, schema.Int64Kind:
		v := int64(r.number)
		if f.ZigZag {
			v = protowire.DecodeZigZag(r.number)
		}
		if kind == schema.Int32Kind {
			return strconv.AppendInt(dst, int64(int32(v)), 10)
		}
		return append(strconv.AppendInt(append(dst, '"'), v, 10), '"')
	case schema.Uint32Kind:
		return strconv.AppendUint(dst, uint64(uint32(r.number)), 10)
	case schema.Uint64Kind:
		return append(strconv.AppendUint(append(dst, '"'), r.number, 10), '"')
	case schema.FloatKind:
		return float(dst, float64(math.Float32frombits(uint32(r.number))), 32)
	case schema.DoubleKind:
		return float(dst, math.Float64frombits(r.number), 64)
	case schema.StringKind:
		if where.secret {
			return rawjson.Quote(dst, redacted)
		}
		return rawjson.Quote(dst, string(r.bytes))
	case schema.BytesKind:
		b := r.bytes
		if where.secret {
			b = []byte(redacted)
		}
		return append(base64.StdEncoding.AppendEncode(append(dst, '"'), b), '"')
	case schema.EnumKind:
		number := int32(r.number)
		if f.TypeName == "google.protobuf.NullValue" {
			return append(dst, "null"...)
		}
		if e := f.Enum(); e != nil {
			if name := e.ValueName(number); name != "" {
				return rawjson.Quote(dst, name)
			}
		}
		return strconv.AppendInt(dst, int64(number), 10)
	}
	return append(dst, "null"...)
}

// float appends a number in its shortest form that reads back as the same.
func float(dst []byte, v float64, bits int) []byte {
	switch {
	case math.IsNaN(v):
		return append(dst, `"NaN"`...)
	case math.IsInf(v, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(v, -1):
		return append(dst, `"-Infinity"`...)
	}
	if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.AppendFloat(dst, v, 'e', -1, bits)
	}
	return strconv.AppendFloat(dst, v, 'f', -1, bits)
}
