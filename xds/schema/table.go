package schema

import (
	"cmp"
	_ "embed"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// The table is text. Blocks are sorted and end with an empty line; the first one is a comment. A message is
//
//	message FULL.NAME
//	FIELD NUMBER TYPE FLAG...
//
// where TYPE is a scalar's name, the full name of a message or "enum:" and the full name of an enum, with "[]" before it when
// repeated and "map[KEY]" when a map; flags are "json:NAME" (unless the name follows from the field's), "oneof:NAME", "optional",
// "deprecated", "sensitive" and "zigzag". An enum is
//
//	enum FULL.NAME
//	VALUE NUMBER
//
//go:embed schema.txt
var text string

// envoy is the embedded table. Its index is made when it is first asked for.
var envoy = sync.OnceValue(func() *table { return newTable(text) })

// A table finds blocks by name and decodes them when they are first touched.
type table struct {
	messages map[string]*messageBlock
	enums    map[string]*enumBlock
}

type messageBlock struct {
	name, lines string
	once        sync.Once
	message     *Message
}

type enumBlock struct {
	name, lines string
	once        sync.Once
	enum        *Enum
}

func newTable(text string) *table {
	t := &table{messages: make(map[string]*messageBlock, 2500), enums: make(map[string]*enumBlock, 300)}
	for block := range strings.SplitSeq(text, "\n\n") {
		head, lines, _ := strings.Cut(block, "\n")
		what, name, _ := strings.Cut(head, " ")
		switch what {
		case "message":
			t.messages[name] = &messageBlock{name: name, lines: lines}
		case "enum":
			t.enums[name] = &enumBlock{name: name, lines: lines}
		}
	}
	return t
}

// message gives the message of that name, nil if there is none.
func (t *table) message(name string) *Message { return t.decode(t.messages[name]) }

func (t *table) decode(b *messageBlock) *Message {
	if b == nil {
		return nil
	}
	b.once.Do(func() { b.message = t.newMessage(b.name, b.lines) })
	return b.message
}

// enum gives the enum of that name, nil if there is none.
func (t *table) enum(name string) *Enum {
	b := t.enums[name]
	if b == nil {
		return nil
	}
	b.once.Do(func() { b.enum = newEnum(b.name, b.lines) })
	return b.enum
}

func (t *table) newMessage(name, lines string) *Message {
	n := strings.Count(lines, "\n") + 1
	m := &Message{Name: name, Form: forms[name], Fields: make([]*Field, 0, n), byName: make(map[string]*Field, 2*n)}
	fields := make([]Field, n)
	for line := range strings.Lines(lines) {
		f := &fields[len(m.Fields)]
		f.table = t
		f.decode(strings.TrimSuffix(line, "\n"))
		m.Fields = append(m.Fields, f)
		m.byName[f.JSONName] = f
	}
	for _, f := range m.Fields {
		m.byName[f.Name] = f
	}
	m.byNumber = slices.SortedFunc(slices.Values(m.Fields), func(a, b *Field) int { return cmp.Compare(a.Number, b.Number) })
	return m
}

func (f *Field) decode(line string) {
	name, line, _ := strings.Cut(line, " ")
	number, line, _ := strings.Cut(line, " ")
	typ, flags, _ := strings.Cut(line, " ")
	f.Name, f.JSONName = name, JSONName(name)
	n, _ := strconv.ParseInt(number, 10, 32)
	f.Number = int32(n)
	for flag := range strings.SplitSeq(flags, " ") {
		key, value, _ := strings.Cut(flag, ":")
		switch key {
		case "json":
			f.JSONName = value
		case "oneof":
			f.Oneof = value
		case "optional":
			f.Optional = true
		case "deprecated":
			f.Deprecated = true
		case "sensitive":
			f.Sensitive = true
		case "zigzag":
			f.ZigZag = true
		}
	}
	if elem, ok := strings.CutPrefix(typ, "[]"); ok {
		f.Repeated, typ = true, elem
	} else if rest, ok := strings.CutPrefix(typ, "map["); ok {
		key, value, _ := strings.Cut(rest, "]")
		f.MapKey, typ = scalar(key), value
	}
	if enum, ok := strings.CutPrefix(typ, "enum:"); ok {
		f.Kind, f.TypeName = EnumKind, enum
	} else if f.Kind = scalar(typ); f.Kind == NoKind {
		f.Kind, f.TypeName = MessageKind, typ
	}
}

// scalar finds the kind of a scalar type. Names of messages have a dot in them, names of scalars have none.
func scalar(name string) Kind {
	for k := BoolKind; k < EnumKind; k++ {
		if kindNames[k] == name {
			return k
		}
	}
	return NoKind
}

// JSONName is the JSON name protobuf gives a field unless its definition gives it another: without underscores, the letter after each of them a capital.
func JSONName(name string) string {
	if strings.IndexByte(name, '_') < 0 {
		return name
	}
	b := make([]byte, 0, len(name))
	up := false
	for i := range len(name) {
		c := name[i]
		if c == '_' {
			up = true
			continue
		}
		if up && 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		up = false
		b = append(b, c)
	}
	return string(b)
}

func newEnum(name, lines string) *Enum {
	e := &Enum{Name: name}
	for line := range strings.Lines(lines) {
		value, number, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		n, _ := strconv.ParseInt(number, 10, 32)
		e.Values = append(e.Values, EnumValue{Name: value, Number: int32(n)})
	}
	return e
}
