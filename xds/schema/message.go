package schema

import (
	"cmp"
	"slices"
	"sync/atomic"
)

// A Message is the definition of a message. It must not be changed.
type Message struct {
	Name   string
	Fields []*Field // in the order of the definition, the order in which protobuf prints them as JSON
	Form   Form

	byName   map[string]*Field // by proto name and by JSON name
	byNumber []*Field          // in the order of the numbers
}

// Field finds a field by its proto name (connect_timeout) or its JSON name (connectTimeout).
func (m *Message) Field(name string) (*Field, bool) {
	f, ok := m.byName[name]
	return f, ok
}

// FieldNumber finds a field by the number that stands for it in protobuf's binary form.
func (m *Message) FieldNumber(n int32) (*Field, bool) {
	// The numbers of most messages are 1, 2, 3...
	if i := int(n) - 1; i >= 0 && i < len(m.byNumber) && m.byNumber[i].Number == n {
		return m.byNumber[i], true
	}
	i, ok := slices.BinarySearchFunc(m.byNumber, n, func(f *Field, n int32) int { return cmp.Compare(f.Number, n) })
	if !ok {
		return nil, false
	}
	return m.byNumber[i], true
}

// Form is how a message is written in JSON.
type Form byte

// The forms. All but AsObject belong to messages of the package google.protobuf. In the JSON of an Any, a message that is
// AsObject has its fields beside "@type"; one of any other form is whole, under the key "value".
const (
	AsObject    Form = iota // an object with a key for each field that is set
	AsAny                   // an object with "@type" and the message that is inside
	AsWrapper               // BoolValue, UInt32Value and the like: the JSON of the wrapped scalar (of field "value")
	AsDuration              // a string of seconds, "0.250s"
	AsTimestamp             // a string, RFC 3339
	AsFieldMask             // a string of lowerCamelCase paths with commas between them
	AsStruct                // an object whose keys and values mean nothing to protobuf
	AsValue                 // any JSON value
	AsListValue             // an array of any JSON values
	AsEmpty                 // an object without keys
)

var forms = map[string]Form{
	"google.protobuf.Any":         AsAny,
	"google.protobuf.BoolValue":   AsWrapper,
	"google.protobuf.BytesValue":  AsWrapper,
	"google.protobuf.DoubleValue": AsWrapper,
	"google.protobuf.Duration":    AsDuration,
	"google.protobuf.Empty":       AsEmpty,
	"google.protobuf.FieldMask":   AsFieldMask,
	"google.protobuf.FloatValue":  AsWrapper,
	"google.protobuf.Int32Value":  AsWrapper,
	"google.protobuf.Int64Value":  AsWrapper,
	"google.protobuf.ListValue":   AsListValue,
	"google.protobuf.StringValue": AsWrapper,
	"google.protobuf.Struct":      AsStruct,
	"google.protobuf.Timestamp":   AsTimestamp,
	"google.protobuf.UInt32Value": AsWrapper,
	"google.protobuf.UInt64Value": AsWrapper,
	"google.protobuf.Value":       AsValue,
}

// A Field is the definition of one field of a message. It must not be changed.
type Field struct {
	Name     string // as in the definition and as Envoy prints it
	JSONName string // as protobuf's JSON has it by default
	Number   int32  // stands for it in protobuf's binary form

	Kind     Kind   // what the field holds; of a repeated field its elements, of a map its values
	TypeName string // full name of the message or enum, "" for other kinds
	Repeated bool   // a JSON array
	MapKey   Kind   // kind of the keys of a map, which is a JSON object; NoKind if the field is not a map

	Oneof      string // name of the group of which at most one field is set, or ""
	Optional   bool   // a scalar marked optional
	Deprecated bool
	Sensitive  bool // Envoy redacts what the field holds (udpa.annotations.sensitive)
	ZigZag     bool // the binary form of an integer alternates between positive and negative ones

	table   *table
	message atomic.Pointer[Message]
}

// HasPresence reports whether the field being absent differs from it being zero. For other fields absent means false,
// 0, "", the enum's value 0, an empty array or an empty map.
func (f *Field) HasPresence() bool {
	return !f.Repeated && f.MapKey == NoKind && (f.Kind == MessageKind || f.Oneof != "" || f.Optional)
}

// Message gives the definition of the message that the field (or each element or map value) holds. It is nil for other kinds
// and if the definition is not known.
func (f *Field) Message() *Message {
	if f.Kind != MessageKind {
		return nil
	}
	m := f.message.Load()
	if m == nil {
		m = f.table.message(f.TypeName)
		f.message.Store(m)
	}
	return m
}

// Enum gives the definition of the enum that the field (or each element or map value) holds, nil for other kinds.
func (f *Field) Enum() *Enum {
	if f.Kind != EnumKind {
		return nil
	}
	return f.table.enum(f.TypeName)
}

// Kind is the kind of value a field holds.
type Kind byte

// The kinds. Protobuf has several encodings of some integers (sint32, fixed32); in JSON they are alike, and one kind here.
const (
	NoKind      Kind = iota
	BoolKind         // true or false
	Int32Kind        // a number
	Uint32Kind       // a number
	Int64Kind        // a string of digits
	Uint64Kind       // a string of digits
	FloatKind        // a number, or "NaN", "Infinity", "-Infinity"; 32 bits
	DoubleKind       // the same; 64 bits
	StringKind       // a string
	BytesKind        // a string, base64
	EnumKind         // the name of a value; its number if the writer knew no name
	MessageKind      // see Form
)

var kindNames = [...]string{
	NoKind: "", BoolKind: "bool", Int32Kind: "int32", Uint32Kind: "uint32", Int64Kind: "int64", Uint64Kind: "uint64",
	FloatKind: "float", DoubleKind: "double", StringKind: "string", BytesKind: "bytes", EnumKind: "enum", MessageKind: "message",
}

// String gives the kind's name in the protobuf language.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return ""
}

// An Enum is the definition of an enum. It must not be changed.
type Enum struct {
	Name   string
	Values []EnumValue // in the order of the definition; several may have the same number
}

// An EnumValue is one value of an enum.
type EnumValue struct {
	Name   string
	Number int32
}

// Number gives the number of the value of that name.
func (e *Enum) Number(name string) (int32, bool) {
	for _, v := range e.Values {
		if v.Name == name {
			return v.Number, true
		}
	}
	return 0, false
}

// ValueName gives the first name of a number, which is the one protobuf prints, or "" if the number has none.
func (e *Enum) ValueName(number int32) string {
	for _, v := range e.Values {
		if v.Number == number {
			return v.Name
		}
	}
	return ""
}
