package builtins

import (
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/schema"
)

// usualForm appends the JSON of a message to dst as Envoy prints it. Envoy reads some things that it never prints, and people write them into YAML: one
// element without the list around it (domains: "*"), and true and false in quotes. What the definitions do not know stays as it is.
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
		if m := f.Message(); m != nil && m.Form == schema.AsWrapper && m.Name == "google.protobuf.BoolValue" {
			return append(dst, usualBool(v)...)
		}
		return usualForm(dst, v, f.Message(), depth+1)
	case schema.BoolKind:
		return append(dst, usualBool(v)...)
	}
	return append(dst, v...)
}

func usualBool(v rawjson.Value) rawjson.Value {
	switch string(v) {
	case `"true"`:
		return rawjson.Value("true")
	case `"false"`:
		return rawjson.Value("false")
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
