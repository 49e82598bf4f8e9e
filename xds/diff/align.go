package diff

import "slices"

// A pair is an element of the left list and one of the right that belong together, by their places.
type pair struct{ left, right int }

// Limits on the work that aligning two lists may take. Beyond them the alignment is still right, but may have more additions and
// removals than need be.
const (
	mostEdits = 400     // insertions and deletions that are looked for exactly
	mostPairs = 1 << 16 // pairs of changed elements whose likeness is measured at once
	mostLikes = 1 << 26 // values that are compared for it
)

// align pairs the elements of two lists in their order: pairs never cross. First what is equal is paired, then, between the equal
// ones, what is alike.
func align(left, right []*node, p *policy) []pair {
	a := aligner{left: left, right: right, policy: p}
	a.equal(0, len(left), 0, len(right))
	return a.pairs
}

type aligner struct {
	left, right []*node
	policy      *policy
	pairs       []pair
}

// equal pairs what is equal in left[l0:l1] and right[r0:r1], and what is alike in between.
func (a *aligner) equal(l0, l1, r0, r1 int) {
	same := func(l, r int) bool { return a.left[l].sum == a.right[r].sum }
	var before, middle, after []pair
	for l0 < l1 && r0 < r1 && same(l0, r0) {
		before = append(before, pair{l0, r0})
		l0++
		r0++
	}
	for l0 < l1 && r0 < r1 && same(l1-1, r1-1) {
		l1--
		r1--
		after = append(after, pair{l1, r1})
	}
	slices.Reverse(after)
	if l0 < l1 && r0 < r1 {
		var ok bool
		if middle, ok = shortest(l1-l0, r1-r0, func(l, r int) bool { return same(l0+l, r0+r) }); ok {
			for i := range middle {
				middle[i].left += l0
				middle[i].right += r0
			}
		} else {
			middle = anchors(l0, l1, r0, r1, func(l int) (sum, bool) { return a.left[l].sum, true }, func(r int) (sum, bool) { return a.right[r].sum, true })
		}
	}
	a.pairs = append(a.pairs, before...)
	for _, m := range middle {
		a.alike(l0, m.left, r0, m.right, 0)
		a.pairs = append(a.pairs, m)
		l0, r0 = m.left+1, m.right+1
	}
	a.alike(l0, l1, r0, r1, 0)
	a.pairs = append(a.pairs, after...)
}

// shortest finds the longest common subsequence of two lists of n and m elements if they differ in few places (Myers, "An O(ND)
// difference algorithm and its variations", 1986).
func shortest(n, m int, same func(l, r int) bool) ([]pair, bool) {
	most := min(n+m, mostEdits)
	v := make([]int, 2*most+3) // by diagonal, of which most+1 is the main one: how far the left list has been read
	var trace [][]int          // v before each number of edits, without what was not reached
	for d := range most + 1 {
		trace = append(trace, slices.Clone(v[most-d:most+d+3]))
		for k := -d; k <= d; k += 2 {
			x := v[most+k] + 1
			if k == -d || k != d && v[most+k] < v[most+k+2] {
				x = v[most+k+2]
			}
			for x < n && x-k < m && same(x, x-k) {
				x++
			}
			v[most+1+k] = x
			if x >= n && x-k >= m {
				return backtrack(trace, n, m), true
			}
		}
	}
	return nil, false
}

// backtrack finds the way that led to the end. trace[d][k+d+1] is how far the left list had been read on diagonal k before the
// d-th edit.
func backtrack(trace [][]int, x, y int) []pair {
	var pairs []pair
	for d := len(trace) - 1; d >= 0; d-- {
		v, k := trace[d], x-y
		from := k - 1
		if k == -d || k != d && v[k+d] < v[k+d+2] {
			from = k + 1
		}
		px := v[from+d+1]
		for x > px && y > px-from {
			x--
			y--
			pairs = append(pairs, pair{x, y})
		}
		if d > 0 {
			x, y = px, px-from
		}
	}
	slices.Reverse(pairs)
	return pairs
}

// anchors pairs elements whose sum occurs once on either side, as many as can be without crossing.
func anchors(l0, l1, r0, r1 int, leftSum, rightSum func(int) (sum, bool)) []pair {
	type where struct{ left, right, lefts, rights int }
	places := map[sum]*where{}
	for l := l0; l < l1; l++ {
		if s, ok := leftSum(l); ok {
			w := places[s]
			if w == nil {
				w = &where{}
				places[s] = w
			}
			w.left, w.lefts = l, w.lefts+1
		}
	}
	for r := r0; r < r1; r++ {
		if s, ok := rightSum(r); ok {
			if w := places[s]; w != nil {
				w.right, w.rights = r, w.rights+1
			}
		}
	}
	var found []pair
	for _, w := range places {
		if w.lefts == 1 && w.rights == 1 {
			found = append(found, pair{w.left, w.right})
		}
	}
	slices.SortFunc(found, func(x, y pair) int { return x.left - y.left })
	return rising(found)
}

// rising gives the longest subsequence in which right places rise too.
func rising(found []pair) []pair {
	var tails []int // of the best subsequence of each length, the index of its last pair
	before := make([]int, len(found))
	for i, p := range found {
		n, _ := slices.BinarySearchFunc(tails, p.right, func(t, right int) int { return found[t].right - right })
		before[i] = -1
		if n > 0 {
			before[i] = tails[n-1]
		}
		if n == len(tails) {
			tails = append(tails, i)
		} else {
			tails[n] = i
		}
	}
	out := make([]pair, len(tails))
	if len(tails) > 0 {
		for n, i := len(tails)-1, tails[len(tails)-1]; i >= 0; n, i = n-1, before[i] {
			out[n] = found[i]
		}
	}
	return out
}

// alike pairs what is alike in left[l0:l1] and right[r0:r1], of which nothing is equal. Level is how many of the keys and hints have
// been used to divide a long list.
func (a *aligner) alike(l0, l1, r0, r1, level int) {
	if l0 == l1 || r0 == r1 {
		return
	}
	n, m := l1-l0, r1-r0
	if n*m <= mostPairs && a.likes(l0, l1, r0, r1) <= mostLikes {
		a.best(l0, l1, r0, r1)
		return
	}
	keys := a.policy.keys
	if level >= len(keys) {
		keys = append(slices.Clone(keys), a.policy.hints...)
	}
	if level < len(keys) {
		k := keys[level]
		middle := anchors(l0, l1, r0, r1, func(l int) (sum, bool) { return k.of(a.left[l]) }, func(r int) (sum, bool) { return k.of(a.right[r]) })
		for _, p := range middle {
			a.alike(l0, p.left, r0, p.right, level+1)
			a.pairs = append(a.pairs, p)
			l0, r0 = p.left+1, p.right+1
		}
		a.alike(l0, l1, r0, r1, level+1)
		return
	}
	// Nothing tells them apart: look at as many as can be at a time.
	const window = 128
	for l0 < l1 && r0 < r1 {
		l, r := min(l0+window, l1), min(r0+window, r1)
		if a.likes(l0, l, r0, r) <= mostLikes {
			a.best(l0, l, r0, r)
		} else {
			for i := range min(l-l0, r-r0) {
				a.pairs = append(a.pairs, pair{l0 + i, r0 + i})
			}
		}
		l0, r0 = l, r
	}
}

// likes is how much work it is to compare all with all.
func (a *aligner) likes(l0, l1, r0, r1 int) int {
	lefts, rights := 0, 0
	for _, n := range a.left[l0:l1] {
		lefts += len(n.leaves())
	}
	for _, n := range a.right[r0:r1] {
		rights += len(n.leaves())
	}
	return lefts*(r1-r0) + rights*(l1-l0)
}

// best pairs elements so that together they are as alike as can be without crossing.
func (a *aligner) best(l0, l1, r0, r1 int) {
	n, m := l1-l0, r1-r0
	score := make([]float32, (n+1)*(m+1)) // of the rest from a place on
	like := make([]float32, n*m)
	for i := n - 1; i >= 0; i-- {
		for j := m - 1; j >= 0; j-- {
			w := a.weight(a.left[l0+i], a.right[r0+j])
			like[i*m+j] = w
			best := max(score[(i+1)*(m+1)+j], score[i*(m+1)+j+1])
			if w > 0 {
				best = max(best, w+score[(i+1)*(m+1)+j+1])
			}
			score[i*(m+1)+j] = best
		}
	}
	from := pair{l0, r0}
	for i, j := 0, 0; ; {
		if i < n && j < m {
			w := like[i*m+j]
			switch here := score[i*(m+1)+j]; {
			case w > 0 && here == w+score[(i+1)*(m+1)+j+1]:
				a.lone(from, pair{l0 + i, r0 + j})
				a.pairs = append(a.pairs, pair{l0 + i, r0 + j})
				i++
				j++
				from = pair{l0 + i, r0 + j}
			case here == score[(i+1)*(m+1)+j]:
				i++
			default:
				j++
			}
			continue
		}
		break
	}
	a.lone(from, pair{l1, r1})
}

// lone pairs the one element that is left over on either side between two pairs, if they differ in one value only.
func (a *aligner) lone(from, to pair) {
	if to.left-from.left == 1 && to.right-from.right == 1 && near(a.left[from.left], a.right[from.right]) {
		a.pairs = append(a.pairs, from)
	}
}

// weight says how well two elements go together; 0 is not at all.
func (a *aligner) weight(l, r *node) float32 {
	if l.sum == r.sum {
		return 4
	}
	w := likeness(l, r)
	for _, k := range a.policy.keys {
		ls, ok := k.of(l)
		if !ok {
			continue
		}
		if rs, _ := k.of(r); ls == rs {
			return 1 + w
		}
		break
	}
	if w < 0.5 {
		return 0
	}
	for _, k := range a.policy.hints {
		ls, ok := k.of(l)
		if rs, _ := k.of(r); ok && ls == rs {
			w += 0.25
		}
	}
	return w
}
