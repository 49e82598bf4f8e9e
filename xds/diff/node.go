package diff

import (
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/schema"
)

// maxDepth is how deeply arrays and objects are looked into. What is deeper is compared as a whole.
const maxDepth = 500

// A node is one JSON value with what is known about it.
type node struct {
	text   rawjson.Value // as sent
	kind   rawjson.Kind
	scalar scalar          // how a scalar is to be read
	enum   *schema.Enum    // of a scalar that is one
	msg    *schema.Message // of an object whose members are its fields
	any    bool            // the object is an Any; its type may be unknown
	policy *policy         // of an array
	kids   []kid           // of an array or object that is looked into
	whole  bool            // array or object that is not looked into

	sum      sum
	zero     bool // says no more than if it were absent
	labels   []string
	features []uint64
}

// A kid is an element of an array or a member of an object.
type kid struct {
	name   string        // of a member: the field's own name, if it is a field
	key    rawjson.Value // of a member: the name as sent, quoted
	node   *node
	field  *schema.Field // nil if the member is no field
	hidden bool          // does not take part
}

// counts reports whether a kid says anything.
func (k *kid) counts() bool { return !k.hidden && !k.node.zero }

// member finds a member by name.
func (n *node) member(name string) *node {
	for i := range n.kids {
		if k := &n.kids[i]; k.name == name && k.key != nil {
			return k.node
		}
	}
	return nil
}

// at follows a path of names.
func (n *node) at(path []string) *node {
	for _, name := range path {
		if n = n.member(name); n == nil {
			return nil
		}
	}
	return n
}

// A typ is what is known about a value before it is read.
type typ struct {
	scalar scalar
	enum   *schema.Enum
	msg    *schema.Message // of an object; nil if nothing is known
	any    bool
	list   *policy // of an array; nil for one that is not expected
	of     *typ    // of the elements of an array or the values of a map
	opaque bool    // arbitrary JSON, in which "@type" means nothing
}

var (
	unknown = &typ{}
	opaque  = &typ{opaque: true}
)

// message gives the type of the message of that name, or of an Any if there is no name.
func (c *comparer) message(name string) *typ {
	if name == "" {
		return unknown
	}
	m, ok := schema.LookupMessage(name)
	if !ok {
		return unknown
	}
	return c.messageType(m)
}

func (c *comparer) messageType(m *schema.Message) *typ {
	if m == nil {
		return unknown
	}
	if t := c.messages[m]; t != nil {
		return t
	}
	t := &typ{}
	switch m.Form {
	case schema.AsObject, schema.AsEmpty:
		t.msg = m
	case schema.AsAny:
		t.any = true
	case schema.AsWrapper:
		if f, ok := m.Field("value"); ok {
			t.scalar = scalarOf(f.Kind)
		}
	case schema.AsDuration:
		t.scalar = asDuration
	case schema.AsTimestamp:
		t.scalar = asTimestamp
	case schema.AsFieldMask:
		t.scalar = asFieldMask
	default:
		t.opaque = true
	}
	c.messages[m] = t
	return t
}

// fieldType gives the type of a field of a message.
func (c *comparer) fieldType(m *schema.Message, f *schema.Field) *typ {
	if t := c.fields[f]; t != nil {
		return t
	}
	one := &typ{scalar: scalarOf(f.Kind), enum: f.Enum()}
	if f.Kind == schema.MessageKind {
		one = c.messageType(f.Message())
	}
	t := one
	switch {
	case f.Repeated:
		t = &typ{list: policyOf(m.Name, f.Name), of: one}
	case f.MapKey != schema.NoKind:
		t = &typ{of: one}
	}
	c.fields[f] = t
	return t
}

// A reader makes nodes from compact, valid JSON.
type reader struct {
	c   *comparer
	src []byte
}

func (c *comparer) read(src rawjson.Value, t *typ) *node {
	if len(src) == 0 {
		return &node{zero: true}
	}
	r := reader{c: c, src: src}
	n, _ := r.value(0, t, 0)
	return n
}

// value reads the value at i and says where it ends.
func (r *reader) value(i int, t *typ, depth int) (*node, int) {
	n := &node{kind: rawjson.Value(r.src[i:]).Kind()}
	end := i
	switch {
	case n.kind != rawjson.Object && n.kind != rawjson.Array:
		n.scalar, n.enum = t.scalar, t.enum
		end, _ = rawjson.Skip(r.src, i)
	case depth == maxDepth:
		n.whole = true
		end, _ = rawjson.Skip(r.src, i)
	case n.kind == rawjson.Array:
		end = r.array(n, i, t, depth)
	default:
		end = r.object(n, i, t, depth)
	}
	n.text = r.src[i:end:end]
	return n, end
}

func (r *reader) array(n *node, i int, t *typ, depth int) int {
	of := unknown
	n.policy = plain
	switch {
	case t.opaque:
		of = opaque
	case t.list != nil:
		n.policy, of = t.list, t.of
	}
	for i++; r.src[i] != ']'; {
		if r.src[i] == ',' {
			i++
		}
		var elem *node
		elem, i = r.value(i, of, depth+1)
		n.kids = append(n.kids, kid{node: elem})
	}
	return i + 1
}

func (r *reader) object(n *node, i int, t *typ, depth int) int {
	t = r.content(n, i, t)
	n.msg = t.msg
	for i++; r.src[i] != '}'; {
		if r.src[i] == ',' {
			i++
		}
		end, _ := rawjson.SkipString(r.src, i)
		k := kid{key: rawjson.Value(r.src[i:end:end])}
		k.name = k.key.Text()
		of := unknown
		switch {
		case t.opaque:
			of = opaque
		case t.of != nil:
			of = t.of
		case t.msg != nil && !(n.any && k.name == "@type"):
			if f, ok := t.msg.Field(k.name); ok {
				of = r.c.fieldType(t.msg, f)
				k.field = f
				if !r.c.exact {
					k.name = f.Name
				}
			}
		}
		if n.any && k.name == "@type" && !r.c.exact {
			of = typeURL
		}
		k.node, i = r.value(end+1, of, depth+1)
		n.kids = append(n.kids, k)
	}
	if dropEarlier(n) && r.c.exact {
		n.whole, n.kids = true, nil
	}
	return i + 1
}

var typeURL = &typ{scalar: asTypeURL}

// content gives the type of what an object holds, which for an Any is in the object itself.
func (r *reader) content(n *node, i int, t *typ) *typ {
	if t.opaque || t.msg != nil || t.of != nil {
		return t
	}
	url := rawjson.Value(r.typeURL(i)).Text()
	m, known := schema.LookupMessage(schema.TypeOfAny(url))
	if !known {
		n.any = t.any
		return unknown
	}
	n.any = true
	if m.Form == schema.AsObject {
		return r.c.messageType(m)
	}
	// The message is whole, under "value".
	inner := r.c.messageType(m)
	return &typ{of: inner}
}

// typeURL finds the "@type" of the object at i, which is first unless a tool has sorted the members.
func (r *reader) typeURL(i int) []byte {
	const first = `{"@type":"`
	if i+len(first) <= len(r.src) && string(r.src[i:i+len(first)]) == first {
		end, _ := rawjson.SkipString(r.src, i+len(first)-1)
		return r.src[i+len(first)-1 : end]
	}
	for i++; r.src[i] != '}'; {
		if r.src[i] == ',' {
			i++
		}
		end, _ := rawjson.SkipString(r.src, i)
		key := r.src[i:end]
		i, _ = rawjson.Skip(r.src, end+1)
		if string(key) == `"@type"` && r.src[end+1] == '"' {
			return r.src[end+1 : i]
		}
	}
	return nil
}

// dropEarlier keeps the last of several members of one name, and reports whether there were any.
func dropEarlier(n *node) bool {
	const few = 16
	dropped := false
	if len(n.kids) <= few {
		for i := 0; i < len(n.kids); i++ {
			for j := i + 1; j < len(n.kids); j++ {
				if n.kids[i].name == n.kids[j].name {
					n.kids = append(n.kids[:i], n.kids[i+1:]...)
					dropped = true
					i--
					break
				}
			}
		}
		return dropped
	}
	last := make(map[string]int, len(n.kids))
	for i, k := range n.kids {
		last[k.name] = i
	}
	if len(last) == len(n.kids) {
		return false
	}
	kept := n.kids[:0]
	for i, k := range n.kids {
		if last[k.name] == i {
			kept = append(kept, k)
		}
	}
	n.kids = kept
	return true
}
