package diff

import (
	"encoding/base64"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/schema"
)

// A scalar is how a value that is neither array nor object is to be read.
type scalar byte

const (
	asJSON  scalar = iota // nothing is known
	asWhole               // a whole number, as a number or a string
	asFloat
	asDouble
	asString
	asBool
	asBytes
	asEnum
	asDuration
	asTimestamp
	asFieldMask
	asTypeURL
)

func scalarOf(k schema.Kind) scalar {
	switch k {
	case schema.Int32Kind, schema.Uint32Kind, schema.Int64Kind, schema.Uint64Kind:
		return asWhole
	case schema.FloatKind:
		return asFloat
	case schema.DoubleKind:
		return asDouble
	case schema.StringKind:
		return asString
	case schema.BoolKind:
		return asBool
	case schema.BytesKind:
		return asBytes
	case schema.EnumKind:
		return asEnum
	}
	return asJSON
}

// zeroes are the normal forms of the values that fields without presence have when they are absent.
var zeroes = map[scalar]string{
	asWhole: "n0", asFloat: "n0", asDouble: "n0", asString: `s`, asBool: "false", asBytes: "b", asEnum: "n0",
}

// normal appends the normal form of a scalar: equal values have equal forms. What is not of the form that the definitions want
// is itself, as canonical JSON.
func normal(dst []byte, n *node) []byte {
	v := n.text
	switch n.scalar {
	case asWhole:
		if text, ok := number(v); ok {
			return append(append(dst, 'n'), text...)
		}
	case asFloat:
		return float(dst, v, 32)
	case asDouble:
		return float(dst, v, 64)
	case asString:
		if n.kind == rawjson.String {
			return append(append(dst, 's'), v.Text()...)
		}
	case asBytes:
		if b, ok := decodeBase64(v); ok {
			return append(append(dst, 'b'), b...)
		}
	case asEnum:
		if number, ok := enumNumber(n); ok {
			return strconv.AppendInt(append(dst, 'n'), int64(number), 10)
		}
	case asDuration:
		if seconds, nanos, ok := duration(v); ok {
			return append(append(append(append(dst, 'd'), seconds...), '.'), nanos...)
		}
	case asTimestamp:
		if t, err := time.Parse(time.RFC3339Nano, v.Text()); err == nil {
			return t.UTC().AppendFormat(append(dst, 't'), time.RFC3339Nano)
		}
	case asFieldMask:
		if n.kind == rawjson.String {
			return append(append(dst, 'm'), fieldMask(v.Text())...)
		}
	case asTypeURL:
		if n.kind == rawjson.String {
			return append(append(dst, 'u'), schema.TypeOfAny(v.Text())...)
		}
	}
	return rawjson.Canonical(dst, v)
}

// number gives the canonical text of a number that is written as a number or a string.
func number(v rawjson.Value) ([]byte, bool) {
	text := v.Text()
	if v.Kind() == rawjson.Bool || text == "" {
		return nil, false
	}
	compact, err := rawjson.Compact(nil, []byte(text))
	if err != nil || rawjson.Value(compact).Kind() != rawjson.Number {
		return nil, false
	}
	return rawjson.Canonical(nil, compact), true
}

// float appends a number as precisely as a field of so many bits holds it.
func float(dst []byte, v rawjson.Value, bits int) []byte {
	if k := v.Kind(); k == rawjson.Number || k == rawjson.String {
		f, err := strconv.ParseFloat(v.Text(), bits)
		switch {
		case err != nil:
		case f == 0 && !math.Signbit(f):
			return append(dst, "n0"...)
		default:
			return strconv.AppendFloat(append(dst, 'n'), f, 'g', -1, bits)
		}
	}
	return rawjson.Canonical(dst, v)
}

// decodeBase64 reads both alphabets, with padding or without.
func decodeBase64(v rawjson.Value) ([]byte, bool) {
	if v.Kind() != rawjson.String {
		return nil, false
	}
	text := strings.TrimRight(v.Text(), "=")
	enc := base64.RawStdEncoding
	if strings.ContainsAny(text, "-_") {
		enc = base64.RawURLEncoding
	}
	b, err := enc.DecodeString(text)
	return b, err == nil
}

func enumNumber(n *node) (int32, bool) {
	if n.kind == rawjson.String && n.enum != nil {
		return n.enum.Number(n.text.Text())
	}
	if n.kind != rawjson.Number {
		return 0, false
	}
	text, ok := number(n.text)
	if !ok {
		return 0, false
	}
	i, err := strconv.ParseInt(string(text), 10, 32)
	return int32(i), err == nil
}

// duration takes protobuf's form of a duration apart: seconds with a sign, and nanoseconds without trailing zeros.
func duration(v rawjson.Value) (seconds, nanos string, ok bool) {
	text, ok := strings.CutSuffix(v.Text(), "s")
	if !ok || v.Kind() != rawjson.String {
		return "", "", false
	}
	minus := strings.HasPrefix(text, "-")
	text = strings.TrimPrefix(text, "-")
	seconds, nanos, _ = strings.Cut(text, ".")
	if len(seconds)+len(nanos) == 0 || len(nanos) > 9 || !digits(seconds) || !digits(nanos) {
		return "", "", false
	}
	seconds, nanos = strings.TrimLeft(seconds, "0"), strings.TrimRight(nanos, "0")
	if minus && seconds+nanos != "" {
		seconds = "-" + seconds
	}
	return seconds, nanos, true
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// fieldMask sorts the paths of a mask, whose names are lowerCamelCase by the book and snake_case by habit.
func fieldMask(text string) string {
	var paths []string
	for path := range strings.SplitSeq(text, ",") {
		if path == "" {
			continue
		}
		paths = append(paths, schema.JSONName(path))
	}
	slices.Sort(paths)
	return strings.Join(slices.Compact(paths), ",")
}
