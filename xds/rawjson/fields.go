package rawjson

// Fields are those of an object that is asked for many of them, or often. Until it is indexed a lookup scans the text, as [Value.Get] does; with an
// index it passes over nothing. Fields are immutable and may be used from several goroutines.
type Fields struct {
	text  Value
	index *index // nil when there is none
}

// An index is the members of an object in order.
type index struct {
	members []indexed
	derived Derived
}

type indexed struct {
	key    string
	fields Fields
}

// NewFields are the fields of v, without an index. That of a value which is no object has none.
func NewFields(v Value) Fields { return Fields{text: v} }

// Index gives the same fields with an index, and those of the objects in them down to a depth: 1 is for the members of the object alone. It pays
// for what is kept and asked again.
func (f Fields) Index(depth int) Fields {
	if depth == 0 || f.text.Kind() != Object {
		return Fields{text: f.text}
	}
	ix := &index{}
	for key, v := range f.text.Members() {
		ix.members = append(ix.members, indexed{key, NewFields(v).Index(depth - 1)})
	}
	return Fields{f.text, ix}
}

// Value is the object's text.
func (f Fields) Value() Value { return f.text }

// Get follows a path of field names, as [Value.Get] does.
func (f Fields) Get(path ...string) Value {
	for i, name := range path {
		if f.index == nil {
			return f.text.Get(path[i:]...)
		}
		f = f.index.find(name)
		if len(f.text) == 0 {
			return nil
		}
	}
	return f.text
}

// Str is the text at a path of field names, "" when absent.
func (f Fields) Str(path ...string) string { return f.Get(path...).Text() }

// Under gives the fields of the object at a path, with their index where it reaches that deep.
func (f Fields) Under(path ...string) Fields {
	for i, name := range path {
		if f.index == nil {
			return NewFields(f.text.Get(path[i:]...))
		}
		f = f.index.find(name)
	}
	return f
}

// Derived gives what make makes of the fields. With an index it is made once for each key and kept with it; it must then be safe for concurrent use.
func (f Fields) Derived(key any, make func() any) any {
	if f.index == nil {
		return make()
	}
	return f.index.derived.Get(key, make)
}

// find gives the last member of a name, the one that counts.
func (ix *index) find(name string) Fields {
	for i := len(ix.members) - 1; i >= 0; i-- {
		if m := &ix.members[i]; m.key == name || camelIs(m.key, name) {
			return m.fields
		}
	}
	return Fields{}
}

// camelIs reports whether a key is protobuf's JSON name of a snake_case field that is spelled otherwise.
func camelIs[T string | []byte](key T, name string) bool {
	if len(key) >= len(name) || len(key) == 0 || key[0] != name[0] {
		return false
	}
	i, up := 0, false
	for j := 0; j < len(name); j++ {
		c := name[j]
		if c == '_' {
			up = true
			continue
		}
		if up && 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		up = false
		if i == len(key) || key[i] != c {
			return false
		}
		i++
	}
	return i == len(key)
}
