package diff

import (
	"slices"

	"github.com/meshlark/meshlark/xds/rawjson"
)

// Op says what happened on the way from left to right.
type Op string

// The operations.
const (
	Added   Op = "added"
	Removed Op = "removed"
	Changed Op = "changed"
)

// An Edit is one difference between two values.
type Edit struct {
	// Path leads to it: names with dots between them, elements and entries of maps in brackets, as
	// virtual_hosts[reviews.default.svc.cluster.local:9080].routes[0].route.timeout. An element is known by what its list is keyed by,
	// else by its number, on the right unless it was removed. The path of the whole value is ".".
	Path string
	// LeftPath leads to it on the left, where some element on the way has another number there; else it is "".
	LeftPath string

	Op    Op
	Left  rawjson.Value // as sent; absent when added
	Right rawjson.Value // as sent; absent when removed

	trail []pair        // from kid to kid; -1 for the side that has none
	key   rawjson.Value // of a member that was added
	entry bool          // it is of the entry, not of the body
}

// An editor lists differences.
type editor struct {
	c     *comparer
	edits []Edit
	trail []pair
	left  []step // the path on the left, a step of the trail each
}

// edits gives the differences between two values.
func (c *comparer) edits(left, right *node) []Edit {
	if left.sum == right.sum {
		return nil
	}
	e := editor{c: c}
	e.node(left, right, "")
	return e.edits
}

func (e *editor) add(path string, op Op, left, right *node, key rawjson.Value) {
	edit := Edit{Path: path, Op: op, trail: slices.Clone(e.trail), key: key}
	if path == "" {
		edit.Path = "."
	} else if left != nil && len(e.left) > 0 {
		if at := joinSteps(e.left); at != path {
			edit.LeftPath = at
		}
	}
	if left != nil {
		edit.Left = left.text
	}
	if right != nil {
		edit.Right = right.text
	}
	switch { // of whole values
	case len(edit.Left) == 0:
		edit.Op = Added
	case len(edit.Right) == 0:
		edit.Op = Removed
	}
	e.edits = append(e.edits, edit)
}

// node compares two values that are not equal.
func (e *editor) node(left, right *node, path string) {
	switch {
	case e.c.desired && (downloaded(left, right) || sameFraction(left, right)):
	case left.kind != right.kind || left.whole || right.whole || !container(left.kind) || len(left.text) == 0 || len(right.text) == 0:
		e.add(path, Changed, left, right, nil)
	case left.kind == rawjson.Array:
		e.array(left, right, path)
	case !sameType(left, right) || e.c.exact && !sameOrder(left, right):
		e.add(path, Changed, left, right, nil)
	default:
		e.object(left, right, path)
	}
}

// sameType reports whether two objects can be compared member by member.
func sameType(left, right *node) bool {
	if left.any != right.any || left.msg != right.msg {
		return false
	}
	if !left.any {
		return true
	}
	l, r := left.member("@type"), right.member("@type")
	return l == nil && r == nil || l != nil && r != nil && l.sum == r.sum
}

// sameOrder reports whether the members that two objects have in common come in the same order and have keys of the same spelling.
func sameOrder(left, right *node) bool {
	places := make(map[string]int, len(right.kids))
	for i := range right.kids {
		places[right.kids[i].name] = i
	}
	last := -1
	for i := range left.kids {
		at, ok := places[left.kids[i].name]
		if !ok {
			continue
		}
		if at < last || string(right.kids[at].key) != string(left.kids[i].key) {
			return false
		}
		last = at
	}
	return true
}

func (e *editor) object(left, right *node, path string) {
	places := make(map[string]int, len(right.kids))
	for i := range right.kids {
		places[right.kids[i].name] = i
	}
	for i := range left.kids {
		l := &left.kids[i]
		if l.hidden {
			delete(places, l.name)
			continue
		}
		j, ok := places[l.name]
		if ok {
			delete(places, l.name)
			r := &right.kids[j]
			if l.node.sum == r.node.sum || l.node.zero && r.node.zero || e.c.desired && isHealth(left.msg, l.name) && !r.node.zero {
				continue
			}
			e.step(pair{i, j}, right.step(j), func() { e.node(l.node, r.node, appendStep(path, right.step(j))) })
			continue
		}
		if !l.node.zero {
			e.step(pair{i, -1}, left.step(i), func() { e.add(appendStep(path, left.step(i)), Removed, l.node, nil, nil) })
		}
	}
	for j := range right.kids {
		r := &right.kids[j]
		if _, ok := places[r.name]; ok && r.counts() && !(e.c.desired && isHealth(right.msg, r.name)) {
			e.step(pair{-1, j}, step{}, func() { e.add(appendStep(path, right.step(j)), Added, nil, r.node, r.key) })
		}
	}
}

// step goes on to a kid, which is called left on the left.
func (e *editor) step(p pair, left step, f func()) {
	e.trail, e.left = append(e.trail, p), append(e.left, left)
	f()
	e.trail, e.left = e.trail[:len(e.trail)-1], e.left[:len(e.left)-1]
}

func joinSteps(steps []step) string {
	path := ""
	for _, s := range steps {
		path = appendStep(path, s)
	}
	return path
}

// array compares two arrays. Its edits come in the order of the right list, what was removed where it stood between them.
func (e *editor) array(left, right *node, path string) {
	a := e.c.match(left, right)
	type change struct{ order, removed, left, right int }
	changes := make([]change, 0, len(a.pairs))
	partner := make([]int, len(a.lefts))
	for i := range partner {
		partner[i] = -1
	}
	for _, p := range a.pairs {
		partner[p.left] = p.right
		if left.kids[a.lefts[p.left]].node.sum != right.kids[a.rights[p.right]].node.sum {
			changes = append(changes, change{2*p.right + 1, 1, p.left, p.right})
		}
	}
	for _, r := range a.added {
		changes = append(changes, change{2*r + 1, 1, -1, r})
	}
	if len(a.removed) > 0 {
		order := 0 // after the partner of the nearest element before
		next := 0
		for _, l := range a.removed {
			for ; next < l; next++ {
				if partner[next] >= 0 {
					order = 2*partner[next] + 2
				}
			}
			changes = append(changes, change{order, 0, l, -1})
		}
	}
	slices.SortStableFunc(changes, func(x, y change) int {
		if x.order != y.order {
			return x.order - y.order
		}
		return x.left - y.left
	})
	for _, ch := range changes {
		switch {
		case ch.right < 0:
			i := a.lefts[ch.left]
			e.step(pair{i, -1}, left.step(i), func() { e.add(appendStep(path, left.step(i)), Removed, left.kids[i].node, nil, nil) })
		case ch.left < 0:
			j := a.rights[ch.right]
			// The place of an addition is counted among the elements that count.
			e.step(pair{-1, ch.right}, step{}, func() { e.add(appendStep(path, right.step(j)), Added, nil, right.kids[j].node, nil) })
		default:
			i, j := a.lefts[ch.left], a.rights[ch.right]
			e.step(pair{i, ch.right}, left.step(i), func() { e.node(left.kids[i].node, right.kids[j].node, appendStep(path, right.step(j))) })
		}
	}
}
