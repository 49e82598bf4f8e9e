package wire

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/schema"
)

// The fields of google.protobuf.Value, of which one is set.
const (
	numberValue = 2
	stringValue = 3
	boolValue   = 4
	structValue = 5
	listValue   = 6
)

// wellKnown appends a message that has a form of its own in JSON.
func (p *Printer) wellKnown(dst []byte, m *schema.Message, b []byte, where at) ([]byte, error) {
	mark := len(p.records)
	defer func() { p.records = p.records[:mark] }()
	if err := p.read(m, b); err != nil {
		return dst, &Error{Message: m.Name, Err: err}
	}
	// last gives what field n was set to; the zero record when it was not.
	last := func(n int32) record {
		var found record
		for _, r := range p.records[mark:] {
			if r.field.Number == n {
				found = r
			}
		}
		return found
	}
	switch m.Form {
	case schema.AsAny:
		if where.depth > MaxDepth {
			return dst, &Error{Message: m.Name, Err: errDepth}
		}
		where.depth++
		return p.any(dst, string(last(1).bytes), last(2).bytes, where), nil
	case schema.AsWrapper:
		f := m.Fields[0]
		r := last(1)
		if where.secret && f.Kind != schema.StringKind && f.Kind != schema.BytesKind {
			r = record{}
		}
		return scalar(dst, f, f.Kind, r, where), nil
	case schema.AsDuration:
		return duration(dst, int64(last(1).number), int32(last(2).number)), nil
	case schema.AsTimestamp:
		t := time.Unix(int64(last(1).number), int64(int32(last(2).number))).UTC()
		return append(append(append(dst, '"'), timestamp(t)...), '"'), nil
	case schema.AsFieldMask:
		var paths []string
		for _, r := range p.records[mark:] {
			paths = append(paths, schema.JSONName(string(r.bytes)))
		}
		return rawjson.Quote(dst, strings.Join(paths, ",")), nil
	case schema.AsStruct:
		if len(p.records) == mark {
			return append(dst, '{', '}'), nil
		}
		return p.mapped(dst, m.Fields[0], mark, len(p.records), at{where.depth + 1, where.secret})
	case schema.AsListValue:
		if len(p.records) == mark {
			return append(dst, '[', ']'), nil
		}
		return p.list(dst, m.Fields[0], mark, len(p.records), at{where.depth + 1, where.secret})
	case schema.AsValue:
		return p.value(dst, mark, where)
	}
	return dst, &Error{Message: m.Name, Err: fmt.Errorf("its form in JSON is not known")}
}

// value appends a google.protobuf.Value, of which p.records[i:] has what is set.
func (p *Printer) value(dst []byte, i int, where at) ([]byte, error) {
	if len(p.records) == i {
		return append(dst, "null"...), nil
	}
	r := p.records[len(p.records)-1]
	switch r.field.Number {
	case numberValue:
		if where.secret {
			return append(dst, "null"...), nil
		}
		return float(dst, math.Float64frombits(r.number), 64), nil
	case stringValue, boolValue:
		return scalar(dst, r.field, r.field.Kind, r, where), nil
	case structValue, listValue:
		return p.field(dst, r.field, i, len(p.records), at{where.depth + 1, where.secret})
	}
	return append(dst, "null"...), nil
}

// duration appends seconds with as many decimals as it takes, in groups of three.
func duration(dst []byte, seconds int64, nanos int32) []byte {
	dst = append(dst, '"')
	if seconds < 0 || nanos < 0 {
		dst = append(dst, '-')
	}
	dst = strconv.AppendUint(dst, magnitude(seconds), 10)
	return append(append(dst, decimals(uint32(magnitude(int64(nanos))))...), 's', '"')
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

func decimals(nanos uint32) string {
	switch {
	case nanos == 0:
		return ""
	case nanos%1e6 == 0:
		return fmt.Sprintf(".%03d", nanos/1e6)
	case nanos%1e3 == 0:
		return fmt.Sprintf(".%06d", nanos/1e3)
	}
	return fmt.Sprintf(".%09d", nanos)
}

func timestamp(t time.Time) string {
	return t.Format("2006-01-02T15:04:05") + decimals(uint32(t.Nanosecond())) + "Z"
}
