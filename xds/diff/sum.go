package diff

import (
	"encoding/binary"
	"hash/maphash"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/schema"
)

// A sum is a keyed 128-bit hash of what a node says: two nodes say the same when their sums are equal. The keys are random, so nobody
// can make two values of one sum.
type sum [2]uint64

var seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

func sumOf(b []byte) sum { return sum{maphash.Bytes(seeds[0], b), maphash.Bytes(seeds[1], b)} }

func (s sum) append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, s[0])
	return binary.LittleEndian.AppendUint64(dst, s[1])
}

func (s sum) compare(t sum) int {
	if s[0] != t[0] {
		if s[0] < t[0] {
			return -1
		}
		return 1
	}
	switch {
	case s[1] < t[1]:
		return -1
	case s[1] > t[1]:
		return 1
	}
	return 0
}

// A comparer holds what one comparison needs.
type comparer struct {
	exact    bool
	desired  bool
	ignore   *patterns
	messages map[*schema.Message]*typ
	fields   map[*schema.Field]*typ
	buf      []byte
}

func newComparer(o Options) *comparer {
	return &comparer{exact: o.Exact, desired: o.Desired, messages: map[*schema.Message]*typ{}, fields: map[*schema.Field]*typ{}}
}

// weigh fills in the sums of a node and all below it, and which of them are zero.
func (c *comparer) weigh(n *node) {
	for i := range n.kids {
		c.weigh(n.kids[i].node)
	}
	if c.exact {
		n.sum, n.zero = sumOf(n.text), len(n.text) == 0
		return
	}
	for i := range n.kids {
		k := &n.kids[i]
		if k.field != nil && n.msg != nil {
			k.node.zero = isZero(n.msg, k.field, k.node)
		}
	}
	b := c.buf[:0]
	switch {
	case len(n.text) == 0:
		return
	case n.whole || n.kind != rawjson.Array && n.kind != rawjson.Object:
		b = normal(b, n)
	case n.kind == rawjson.Array:
		b = append(b, '[')
		for _, elem := range sorted(n) {
			b = elem.sum.append(b)
		}
	case isRedacted(n):
		b = append(b, "redacted"...)
	default:
		b = append(b, '{')
		if n.any {
			b = append(b, '@')
		}
		members := make([]*kid, 0, len(n.kids))
		for i := range n.kids {
			if n.kids[i].counts() {
				members = append(members, &n.kids[i])
			}
		}
		slices.SortFunc(members, func(x, y *kid) int { return strings.Compare(x.name, y.name) })
		for _, k := range members {
			b = binary.AppendUvarint(b, uint64(len(k.name)))
			b = append(b, k.name...)
			b = k.node.sum.append(b)
		}
	}
	n.sum = sumOf(b)
	c.buf = b
}

// sorted gives the elements that count, in an order that is the same for lists that say the same.
func sorted(n *node) []*node {
	elems := n.elems()
	if n.policy.order == Ordered {
		return elems
	}
	type keyed struct {
		sums []sum
		node *node
	}
	all := make([]keyed, len(elems))
	for i, elem := range elems {
		all[i].node = elem
		if n.policy.order == Set {
			all[i].sums = []sum{elem.sum}
			continue
		}
		for _, k := range n.policy.keys {
			s, _ := k.of(elem)
			all[i].sums = append(all[i].sums, s)
		}
	}
	slices.SortStableFunc(all, func(x, y keyed) int { return slices.CompareFunc(x.sums, y.sums, sum.compare) })
	for i := range all {
		elems[i] = all[i].node
	}
	return elems
}

// elems gives the elements of an array that count.
func (n *node) elems() []*node {
	elems := make([]*node, 0, len(n.kids))
	for i := range n.kids {
		if !n.kids[i].hidden {
			elems = append(elems, n.kids[i].node)
		}
	}
	return elems
}

// of gives the key of an element, and whether it has one.
func (k key) of(elem *node) (sum, bool) {
	var b []byte
	has := false
	for _, path := range k {
		field := elem.at(path)
		if field == nil || field.zero {
			b = sum{}.append(b)
			continue
		}
		has = true
		b = field.sum.append(b)
	}
	return sumOf(b), has
}

// isZero reports whether a field says no more than if it were absent.
func isZero(m *schema.Message, f *schema.Field, n *node) bool {
	if n.kind == rawjson.Null && n.scalar != asJSON || n.kind == rawjson.Null && f.Kind == schema.MessageKind && !anyJSON(f) {
		return true
	}
	if sameAsAbsent(m, f, n) {
		return true
	}
	if f.HasPresence() {
		return false
	}
	switch {
	case f.Repeated:
		return n.kind == rawjson.Null || n.kind == rawjson.Array && !n.whole && len(n.elems()) == 0
	case f.MapKey != schema.NoKind:
		return n.kind == rawjson.Null || n.kind == rawjson.Object && !n.whole && !n.hasKids()
	}
	zero, ok := zeroes[n.scalar]
	return ok && mayBeZero(n.text) && string(normal(nil, n)) == zero
}

// mayBeZero reports whether a scalar is worth a closer look.
func mayBeZero(text rawjson.Value) bool {
	switch text[0] {
	case '"':
		return len(text) == 2 || text[1] == '0' || text[1] == '-' || text[1] == '=' || text[1] == '\\' || text[1] >= 'A' && text[1] <= 'Z'
	case '0', '-', 'f':
		return true
	}
	return false
}

// anyJSON reports whether a field may hold null as a value.
func anyJSON(f *schema.Field) bool {
	m := f.Message()
	return !f.Repeated && f.MapKey == schema.NoKind && m != nil && m.Form == schema.AsValue
}

// hasKids reports whether any kid counts.
func (n *node) hasKids() bool {
	for i := range n.kids {
		if n.kids[i].counts() {
			return true
		}
	}
	return false
}
