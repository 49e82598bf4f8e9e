package diff

import (
	"hash/maphash"
	"slices"

	"github.com/meshlark/meshlark/xds/rawjson"
)

// leaves gives, sorted, a hash for every scalar in a node: what it says and where, without the places in lists.
func (n *node) leaves() []uint64 {
	if n.features == nil {
		n.features = n.collect(make([]uint64, 0, 16), 1)
		slices.Sort(n.features)
	}
	return n.features
}

func (n *node) collect(dst []uint64, path uint64) []uint64 {
	const odd = 0x9e3779b97f4a7c15
	if len(n.kids) == 0 {
		return append(dst, (n.sum[0]^path)*odd)
	}
	for i := range n.kids {
		k := &n.kids[i]
		if !k.counts() {
			continue
		}
		at := path
		if k.key != nil {
			at = path*odd ^ maphash.String(seeds[0], k.name)
		}
		dst = k.node.collect(dst, at)
	}
	return dst
}

// common counts the leaves that two nodes have in common.
func common(x, y []uint64) int {
	n := 0
	for len(x) > 0 && len(y) > 0 {
		switch {
		case x[0] == y[0]:
			n++
			x, y = x[1:], y[1:]
		case x[0] < y[0]:
			x = x[1:]
		default:
			y = y[1:]
		}
	}
	return n
}

// likeness is the share of leaves that two nodes have in common, from 0 to 1.
func likeness(l, r *node) float32 {
	x, y := l.leaves(), r.leaves()
	if len(x)+len(y) == 0 {
		return 1
	}
	return float32(2*common(x, y)) / float32(len(x)+len(y))
}

// near reports whether two nodes that belong to nothing else are so alike that one has become the other: half of each is the same,
// or all but one value.
func near(l, r *node) bool {
	if container(l.kind) != container(r.kind) {
		return false
	}
	if likeness(l, r) >= 0.5 {
		return true
	}
	x, y := l.leaves(), r.leaves()
	same := common(x, y)
	return len(x)-same <= 1 && len(y)-same <= 1
}

func container(k rawjson.Kind) bool { return k == rawjson.Array || k == rawjson.Object }
