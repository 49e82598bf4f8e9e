package diff

import "slices"

// An alignment is how the elements of two lists belong together, by their places among the elements that count.
type alignment struct {
	pairs         []pair
	removed       []int // on the left
	added         []int // on the right
	lefts, rights []int // places of the elements that count among all kids
}

// match pairs the elements of two arrays by the policy of their list.
func (c *comparer) match(left, right *node) *alignment {
	a := &alignment{lefts: left.places(), rights: right.places()}
	l, r := left.elems(), right.elems()
	if c.exact || left.policy.order == Ordered {
		a.pairs = align(l, r, left.policy)
	} else {
		m := matcher{left: l, right: r, policy: left.policy}
		m.group(all(len(l)), all(len(r)), 0)
		a.pairs = m.pairs
		if left.policy.order == Keyed {
			a.keepOrder(r, left.policy)
		}
	}
	hasLeft, hasRight := make([]bool, len(l)), make([]bool, len(r))
	for _, p := range a.pairs {
		hasLeft[p.left], hasRight[p.right] = true, true
	}
	for i, has := range hasLeft {
		if !has {
			a.removed = append(a.removed, i)
		}
	}
	for i, has := range hasRight {
		if !has {
			a.added = append(a.added, i)
		}
	}
	return a
}

// keepOrder gives up pairs of a keyed list by which elements of one key would not come in the order that they have on the right.
func (a *alignment) keepOrder(right []*node, p *policy) {
	groups := map[sum][]int{}
	for r, n := range right {
		var b []byte
		for _, k := range p.keys {
			s, _ := k.of(n)
			b = s.append(b)
		}
		s := sumOf(b)
		groups[s] = append(groups[s], r)
	}
	if len(groups) == len(right) {
		return
	}
	for again := true; again; {
		again = false
		outcome := a.outcome(len(right))
		for _, group := range groups {
			if len(group) > 1 && !slices.IsSortedFunc(group, func(x, y int) int { return outcome[x] - outcome[y] }) {
				a.pairs = slices.DeleteFunc(a.pairs, func(p pair) bool { return slices.Contains(group, p.right) })
				again = true
			}
		}
	}
}

// outcome gives the place that each element of the right list has after the edits were applied: what stays keeps its order, what is
// added takes the place it has on the right (see apply).
func (a *alignment) outcome(n int) []int {
	slices.SortFunc(a.pairs, func(x, y pair) int { return x.left - y.left })
	paired := make([]bool, n)
	for _, p := range a.pairs {
		paired[p.right] = true
	}
	places, place, next := make([]int, n), 0, 0
	add := func(most int) {
		for ; next < n && (paired[next] || next <= most); next++ {
			if !paired[next] {
				places[next] = place
				place++
				most = max(most, place)
			}
		}
	}
	for _, p := range a.pairs {
		add(place)
		places[p.right] = place
		place++
	}
	add(n)
	return places
}

// places gives the places of the elements that count.
func (n *node) places() []int {
	places := make([]int, 0, len(n.kids))
	for i := range n.kids {
		if !n.kids[i].hidden {
			places = append(places, i)
		}
	}
	return places
}

func all(n int) []int {
	places := make([]int, n)
	for i := range places {
		places[i] = i
	}
	return places
}

// A matcher pairs elements whose order means nothing.
type matcher struct {
	left, right []*node
	policy      *policy
	pairs       []pair
}

// group pairs the elements at some places. They have the first level keys in common. What could not be paired is given back.
func (m *matcher) group(left, right []int, level int) (restLeft, restRight []int) {
	key := func(n *node) (sum, bool) { return n.sum, true }
	switch {
	case m.policy.order == Set && level == 1, m.policy.order == Keyed && level == len(m.policy.keys):
		return m.align(left, right)
	case m.policy.order == Keyed:
		key = m.policy.keys[level].of
	}
	type group struct {
		left, right []int
		named       bool
	}
	groups := map[sum]*group{}
	for _, l := range left {
		s, named := key(m.left[l])
		g := groups[s]
		if g == nil {
			g = &group{named: named}
			groups[s] = g
		}
		g.left = append(g.left, l)
	}
	for _, r := range right {
		s, _ := key(m.right[r])
		if g := groups[s]; g != nil {
			g.right = append(g.right, r)
		} else {
			restRight = append(restRight, r)
		}
	}
	for _, l := range left { // in the order of the list, so that the outcome is always the same
		s, _ := key(m.left[l])
		g := groups[s]
		if g == nil {
			continue
		}
		delete(groups, s)
		l, r := g.left, g.right
		if len(r) > 0 {
			l, r = m.group(l, r, level+1)
			if g.named && level+1 < len(m.policy.keys) && len(l) > 0 && len(r) > 0 {
				// They have a key that names them in common: they are what changed.
				l, r = m.align(l, r)
			}
		}
		restLeft, restRight = append(restLeft, l...), append(restRight, r...)
	}
	if level == 0 && len(restLeft) == 1 && len(restRight) == 1 && near(m.left[restLeft[0]], m.right[restRight[0]]) {
		// Its key has changed and little else.
		m.pairs = append(m.pairs, pair{restLeft[0], restRight[0]})
		return nil, nil
	}
	return restLeft, restRight
}

// align pairs the elements at some places in their order.
func (m *matcher) align(left, right []int) (restLeft, restRight []int) {
	l, r := make([]*node, len(left)), make([]*node, len(right))
	for i, at := range left {
		l[i] = m.left[at]
	}
	for i, at := range right {
		r[i] = m.right[at]
	}
	hasLeft, hasRight := make([]bool, len(l)), make([]bool, len(r))
	for _, p := range align(l, r, m.policy) {
		m.pairs = append(m.pairs, pair{left[p.left], right[p.right]})
		hasLeft[p.left], hasRight[p.right] = true, true
	}
	for i, has := range hasLeft {
		if !has {
			restLeft = append(restLeft, left[i])
		}
	}
	for i, has := range hasRight {
		if !has {
			restRight = append(restRight, right[i])
		}
	}
	return restLeft, restRight
}
