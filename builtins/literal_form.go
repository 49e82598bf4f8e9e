package builtins

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/schema"
)

// usualForm appends the JSON of a message to dst as Envoy prints it. Envoy reads some things that it never prints, and people write them into YAML: one
// element without the list around it (domains: "*"), true and false in quotes or as YAML 1.1 had them (yes, off), values of enumerations in lower case or by
// number, and whole numbers with a fraction (80.0). What the definitions do not know stays as it is.
func usualForm(dst []byte, v rawjson.Value, m *schema.Message, depth int) []byte {
	if m == nil || v.Kind() != rawjson.Object || depth > maxDepth {
		return append(dst, v...)
	}
	switch m.Form {
	case schema.AsObject:
	case schema.AsAny:
		inner, ok := schema.LookupMessage(schema.TypeOfAny(v.Str("@type")))
		if !ok || inner.Form != schema.AsObject {
			return append(dst, v...)
		}
		m = inner
	default:
		return append(dst, v...)
	}
	return appendObject(dst, v, func(dst []byte, key string, x rawjson.Value) []byte {
		f, ok := m.Field(key)
		if !ok || x.Kind() == rawjson.Null {
			return append(dst, x...)
		}
		switch {
		case f.MapKey != schema.NoKind:
			return appendObject(dst, x, func(dst []byte, _ string, x rawjson.Value) []byte { return usualValue(dst, x, f, depth) })
		case !f.Repeated:
			return usualValue(dst, x, f, depth)
		}
		dst = append(dst, '[')
		if x.Kind() != rawjson.Array {
			return append(usualValue(dst, x, f, depth), ']')
		}
		first := true
		for e := range x.Elems() {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = usualValue(dst, e, f, depth)
		}
		return append(dst, ']')
	})
}

// usualValue appends one value of a field, or one element of it.
func usualValue(dst []byte, v rawjson.Value, f *schema.Field, depth int) []byte {
	switch f.Kind {
	case schema.MessageKind:
		m := f.Message()
		if m == nil || m.Form != schema.AsWrapper {
			return usualForm(dst, v, m, depth+1)
		}
		switch strings.TrimPrefix(m.Name, "google.protobuf.") {
		case "BoolValue":
			return append(dst, usualBool(v)...)
		case "Int32Value", "UInt32Value", "Int64Value", "UInt64Value":
			return append(dst, usualWhole(v)...)
		}
	case schema.BoolKind:
		return append(dst, usualBool(v)...)
	case schema.Int32Kind, schema.Uint32Kind, schema.Int64Kind, schema.Uint64Kind:
		return append(dst, usualWhole(v)...)
	case schema.EnumKind:
		return append(dst, usualEnum(v, f.Enum())...)
	}
	return append(dst, v...)
}

func usualBool(v rawjson.Value) rawjson.Value {
	if v.Kind() != rawjson.String {
		return v
	}
	switch strings.ToLower(v.Text()) {
	case "true", "yes", "on", "y":
		return rawjson.Value("true")
	case "false", "no", "off", "n":
		return rawjson.Value("false")
	}
	return v
}

// usualWhole writes a whole number without a fraction and an exponent, where it can be told exactly.
func usualWhole(v rawjson.Value) rawjson.Value {
	const exact = 1 << 53
	if v.Kind() != rawjson.Number || !bytes.ContainsAny(v, ".eE") {
		return v
	}
	if n, ok := v.Float(); ok && n == math.Trunc(n) && math.Abs(n) <= exact {
		return strconv.AppendInt(nil, int64(n), 10)
	}
	return v
}

func usualEnum(v rawjson.Value, enum *schema.Enum) rawjson.Value {
	if enum == nil || v.Kind() != rawjson.String && v.Kind() != rawjson.Number {
		return v
	}
	text := usualWhole(v).Text()
	if n, err := strconv.ParseInt(text, 10, 32); err == nil {
		if name := enum.ValueName(int32(n)); name != "" {
			return rawjson.Quote(nil, name)
		}
		return v
	}
	if _, ok := enum.Number(text); ok {
		return v
	}
	for _, value := range enum.Values {
		if strings.EqualFold(value.Name, text) {
			return rawjson.Quote(nil, value.Name)
		}
	}
	return v
}

// appendObject appends an object with its values made anew; anything else as it is.
func appendObject(dst []byte, v rawjson.Value, value func(dst []byte, key string, x rawjson.Value) []byte) []byte {
	if v.Kind() != rawjson.Object {
		return append(dst, v...)
	}
	dst = append(dst, '{')
	first := true
	for key, x := range v.Members() {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(rawjson.Quote(dst, key), ':')
		dst = value(dst, key, x)
	}
	return append(dst, '}')
}
