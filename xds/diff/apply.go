package diff

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/meshlark/meshlark/xds/rawjson"
)

// apply makes, of the text of a node, what the edits say. They belong to it and are depth steps above their place.
func apply(n *node, edits []Edit, depth int) (rawjson.Value, error) {
	var (
		inner = map[int][]Edit{}
		added []Edit
		gone  = map[int]bool{}
	)
	for _, e := range edits {
		if len(e.trail) == depth {
			if !bytes.Equal(e.Left, n.text) {
				return nil, mismatch(e, n.text)
			}
			return e.Right, nil
		}
		at := e.trail[depth]
		if at.left < 0 {
			added = append(added, e)
			continue
		}
		if at.left >= len(n.kids) || n.whole {
			return nil, fmt.Errorf("applying a difference at %s: the value is not there", e.Path)
		}
		if e.Op == Removed && len(e.trail) == depth+1 {
			if have := n.kids[at.left].node.text; !bytes.Equal(e.Left, have) {
				return nil, mismatch(e, have)
			}
			gone[at.left] = true
			continue
		}
		inner[at.left] = append(inner[at.left], e)
	}
	if !container(n.kind) {
		return nil, fmt.Errorf("applying a difference at %s: the value is not there", edits[0].Path)
	}
	slices.SortStableFunc(added, func(x, y Edit) int { return x.trail[depth].right - y.trail[depth].right })
	w := writer{object: n.kind == rawjson.Object, out: make([]byte, 0, len(n.text)+64)}
	w.open()
	place := 0 // among those that count
	add := func() {
		w.kid(added[0].key, added[0].Right)
		added = added[1:]
		place++
	}
	for i := range n.kids {
		k := &n.kids[i]
		if !k.hidden && !gone[i] {
			for len(added) > 0 && added[0].trail[depth].right <= place {
				add()
			}
		}
		switch {
		case gone[i]:
			continue
		case inner[i] != nil:
			text, err := apply(k.node, inner[i], depth+1)
			if err != nil {
				return nil, err
			}
			w.kid(k.key, text)
		default:
			w.kid(k.key, k.node.text)
		}
		if !k.hidden {
			place++
		}
	}
	for len(added) > 0 {
		add()
	}
	return w.close(), nil
}

func mismatch(e Edit, have rawjson.Value) error {
	return fmt.Errorf("applying a difference at %s: it is %s there, want %s", e.Path, short(string(have)), short(string(e.Left)))
}

// A writer writes an array or an object.
type writer struct {
	object bool
	out    []byte
	some   bool
}

func (w *writer) open() {
	w.out = append(w.out, '[')
	if w.object {
		w.out[0] = '{'
	}
}

func (w *writer) kid(key, v rawjson.Value) {
	if w.some {
		w.out = append(w.out, ',')
	}
	w.some = true
	if w.object {
		w.out = append(append(w.out, key...), ':')
	}
	w.out = append(w.out, v...)
}

func (w *writer) close() rawjson.Value { return append(w.out, w.out[0]+2) }

// Apply makes, of the resources on the left, resources that are equal to those on the right: no difference is left under the options of
// d, and with Options.Exact not a token. The items must be those that were compared; the error says where they are not.
func (d *Diff) Apply(left []Item) ([]Item, error) {
	e, err := newEngine(d.options)
	if err != nil {
		return nil, err
	}
	items := slices.Clone(left)
	if !d.options.Exact {
		restore(items, d.plugins)
	}
	take := func(want *Item) (*Item, error) {
		for i := range items {
			if it := &items[i]; compareItems(*it, *want) == 0 && bytes.Equal(it.Body, want.Body) && bytes.Equal(it.Entry, want.Entry) {
				return it, nil
			}
		}
		return nil, fmt.Errorf("applying a difference of %s %s (%s): there is no such resource", want.Kind, want.Name, want.State)
	}
	for _, c := range d.Changed {
		it, err := take(c.Left)
		if err != nil {
			return nil, err
		}
		if *it, err = d.change(e, *it, c); err != nil {
			return nil, fmt.Errorf("%s %s: %w", c.Kind, c.Name, err)
		}
	}
	for _, c := range d.Removed {
		it, err := take(c.Left)
		if err != nil {
			return nil, err
		}
		*it = items[len(items)-1]
		items = items[:len(items)-1]
	}
	for _, c := range d.Added {
		items = append(items, *c.Right)
	}
	sortItems(items)
	return items, nil
}

// change applies the edits of one resource.
func (d *Diff) change(e *engine, it Item, c Change) (Item, error) {
	var entries, bodies []Edit
	for _, edit := range c.Edits {
		if edit.entry {
			entries = append(entries, edit)
		} else {
			bodies = append(bodies, edit)
		}
	}
	var err error
	if len(entries) > 0 {
		if it.Entry, err = apply(e.entryNode(it.Entry), entries, 0); err != nil {
			return it, err
		}
	}
	if len(bodies) > 0 {
		message := messageOf(&it)
		if d.isValue {
			message = d.value
		}
		if it.Body, err = apply(e.node(it.Body, message), bodies, 0); err != nil {
			return it, err
		}
		it.body = nil
	}
	return it, nil
}

// ApplyValue is Apply for what Values has compared.
func (d *Diff) ApplyValue(left rawjson.Value) (rawjson.Value, error) {
	body, err := compact(left)
	if err != nil || len(d.Changed) == 0 {
		return body, err
	}
	items, err := d.Apply([]Item{{Body: body}})
	if err != nil {
		return nil, err
	}
	return items[0].Body, nil
}
