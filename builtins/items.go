package builtins

import (
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/meshlark/meshlark/xds/rawjson"
	startime "go.starlark.net/lib/time"
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

// An Itemer is a value with typed fields whose names stay the same from
// version to version: what `-o json` prints.
type Itemer interface{ Item() Item }

// An Item is the typed form of a value: its fields in a fixed order.
type Item struct {
	Kind   string // what it is, such as "cluster"
	Fields []ItemField
}

// An ItemField is one typed field. Its value is nil, a bool, an int64, a
// *big.Int, a float64, a string, a []any of these, an Item or a rawjson.Value.
type ItemField struct {
	Name  string
	Value any
}

// AppendJSON appends the item as a compact JSON object.
func (it Item) AppendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	for i, f := range it.Fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = rawjson.Quote(dst, f.Name)
		dst = append(dst, ':')
		dst = appendItemValue(dst, f.Value)
	}
	return append(dst, '}')
}

// MarshalJSON gives the item as a JSON object.
func (it Item) MarshalJSON() ([]byte, error) { return it.AppendJSON(nil), nil }

func appendItemValue(dst []byte, v any) []byte {
	switch v := v.(type) {
	case bool:
		return strconv.AppendBool(dst, v)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case *big.Int:
		return v.Append(dst, 10)
	case float64:
		return appendFloat(dst, v)
	case string:
		return rawjson.Quote(dst, v)
	case rawjson.Value:
		return append(dst, v...)
	case Item:
		return v.AppendJSON(dst)
	case []any:
		dst = append(dst, '[')
		for i, x := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendItemValue(dst, x)
		}
		return append(dst, ']')
	default:
		return append(dst, "null"...)
	}
}

// appendFloat writes a number as JSON. What JSON has no number for is written
// as protobuf does, in a string.
func appendFloat(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(dst, `"-Infinity"`...)
	case f == math.Trunc(f) && math.Abs(f) < 1e15:
		return strconv.AppendFloat(dst, f, 'f', 1, 64)
	default:
		return strconv.AppendFloat(dst, f, 'g', -1, 64)
	}
}

// itemOf collects the typed fields of a value from the registry.
func itemOf(v starlark.Value, kind string) Item {
	it := Item{Kind: kind}
	for t := types()[v.Type()]; t != nil; t = types()[t.Base] {
		var own []ItemField
		for _, e := range t.entries {
			if e.Kind != Field || !e.item {
				continue
			}
			x, err := e.get(v)
			if err != nil {
				x = starlark.None
			}
			own = append(own, ItemField{e.Name, itemValue(x)})
		}
		it.Fields = append(own, it.Fields...)
	}
	return it
}

// itemValue gives the typed form of a field's value. Times are RFC 3339,
// durations are seconds with an s, as protobuf prints them. A resource within
// another's field is its name.
func itemValue(v starlark.Value) any {
	switch v := v.(type) {
	case nil, starlark.NoneType:
		return nil
	case starlark.Bool:
		return bool(v)
	case starlark.Int:
		if n, ok := v.Int64(); ok {
			return n
		}
		return v.BigInt()
	case starlark.Float:
		return float64(v)
	case starlark.String:
		return string(v)
	case startime.Time:
		return TimeText(time.Time(v))
	case startime.Duration:
		return durationText(time.Duration(v))
	case interface{ Raw() rawjson.Value }:
		return v.Raw()
	case *Collection:
		return itemList(v)
	case *Proxy:
		return v.p.Name
	case *Object:
		if !v.isPart() {
			return resourceName(v)
		}
		it := v.Item()
		it.Fields = slices.DeleteFunc(it.Fields, func(f ItemField) bool { return f.Name == "proxy" })
		return it
	case Itemer:
		return v.Item()
	case *starlarkstruct.Struct:
		it := Item{}
		for _, name := range v.AttrNames() {
			x, _ := v.Attr(name)
			it.Fields = append(it.Fields, ItemField{name, itemValue(x)})
		}
		return it
	case starlark.IterableMapping:
		it := Item{}
		for k, x := range starlark.Entries(v) {
			it.Fields = append(it.Fields, ItemField{CellText(k), itemValue(x)})
		}
		return it
	case starlark.Iterable:
		return itemList(v)
	default:
		return CellText(v)
	}
}

func itemList(xs starlark.Iterable) []any {
	out := []any{}
	for x := range starlark.Elements(xs) {
		out = append(out, itemValue(x))
	}
	return out
}

// TimeText is how a moment is written: RFC 3339 in UTC, to the millisecond.
func TimeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.999Z07:00")
}

func durationText(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s"
}

// AgeText is how old something is, in the two largest units: 3d4h, 2m10s, 45s.
func AgeText(d time.Duration) string {
	if d < 0 {
		return "-" + AgeText(-d)
	}
	units := []struct {
		name string
		size time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}}
	for i, u := range units {
		if d < u.size && i < len(units)-1 {
			continue
		}
		text := strconv.FormatInt(int64(d/u.size), 10) + u.name
		if i+1 < len(units) {
			if rest := d % u.size / units[i+1].size; rest > 0 {
				text += strconv.FormatInt(int64(rest), 10) + units[i+1].name
			}
		}
		return text
	}
	return "0s"
}

// KindName turns a type's name into the kind of its items: RouteConfig into
// route_config, JSONObject into json_object.
func KindName(typ string) string {
	var b strings.Builder
	lower := false
	runes := []rune(typ)
	for i, r := range runes {
		if unicode.IsUpper(r) {
			if lower || i > 0 && i+1 < len(runes) && unicode.IsLower(runes[i+1]) {
				b.WriteByte('_')
			}
			r = unicode.ToLower(r)
			lower = false
		} else {
			lower = true
		}
		b.WriteRune(r)
	}
	return strings.ReplaceAll(b.String(), ".", "_")
}
