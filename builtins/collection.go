package builtins

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/mesh"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// A Collection is what a call of the plural kind gives: values of one type,
// with what could not be had and what is not shown.
//
// It is a sequence: it can be indexed, sliced, counted and gone over; it is
// false when empty; `"name" in xs` tests names; `xs + ys` joins and `xs - ys`
// compares.
type Collection struct {
	elem     string // the type of the elements
	items    []starlark.Value
	hidden   map[string]int // how many in each state were not asked for
	failures []mesh.Failure
	columns  []string // of its table, what was asked about
}

var (
	_ starlark.Sliceable  = (*Collection)(nil)
	_ starlark.Sequence   = (*Collection)(nil)
	_ starlark.Container  = (*Collection)(nil)
	_ starlark.HasAttrs   = (*Collection)(nil)
	_ starlark.HasBinary  = (*Collection)(nil)
	_ starlark.Comparable = (*Collection)(nil)
	_ Tabular             = (*Collection)(nil)
)

func newCollection(elem string, items []starlark.Value) *Collection {
	return &Collection{elem: elem, items: items}
}

// CollectionOf gives a list of values of one type, all of them such as
// collections have, as the collection of them. It reports false for any other
// value, and for an empty list, of which nobody knows what it is of.
func CollectionOf(v starlark.Value) (*Collection, bool) {
	switch v.(type) {
	case *starlark.List, starlark.Tuple, *starlark.Set:
	default:
		return nil, false
	}
	var c *Collection
	for x := range starlark.Elements(v.(starlark.Iterable)) {
		switch {
		case c == nil:
			if t := types()[x.Type()]; t == nil || len(t.columns) == 0 {
				return nil, false
			}
			c = newCollection(x.Type(), nil)
		case x.Type() != c.elem:
			return nil, false
		}
		c.items = append(c.items, x)
	}
	return c, c != nil
}

// with gives a collection of other elements that remembers the same failures.
func (c *Collection) with(items []starlark.Value) *Collection {
	return &Collection{elem: c.elem, items: items, failures: c.failures}
}

// Unreadable says which of the elements a table cannot show, if any, and why. What a glance at the text as it was sent tells needs no valid body.
func (c *Collection) Unreadable(wide bool) error {
	if t := types()[c.elem]; t != nil && t.glance != nil && !wide {
		return nil
	}
	for _, v := range c.items {
		if err := Unreadable(v); err != nil {
			return err
		}
	}
	return nil
}

// Elem is the type of the elements, such as "Cluster".
func (c *Collection) Elem() string { return c.elem }

// Kind is the kind of the elements' items, such as "cluster".
func (c *Collection) Kind() string { return KindName(c.elem) }

// Failures are the parts that could not be had.
func (c *Collection) Failures() []mesh.Failure { return c.failures }

// Hidden counts, by state, the resources that exist but were not asked for.
func (c *Collection) Hidden() map[string]int { return c.hidden }

// Items are the typed forms of the elements.
func (c *Collection) Items() []Item {
	out := make([]Item, 0, len(c.items))
	for _, v := range c.items {
		if it, ok := itemValue(v).(Item); ok {
			out = append(out, it)
		}
	}
	return out
}

func (c *Collection) Type() string {
	if t := registry().collections[c.elem]; t != nil {
		return t.Name
	}
	return "Collection"
}

func (c *Collection) String() string {
	return "<" + countText(len(c.items), c.elem) + ">"
}

// countText counts values of a type in words: 1 cluster, 2 route configs.
func countText(n int, typ string) string {
	word := strings.ReplaceAll(KindName(typ), "_", " ")
	if n != 1 && !strings.HasSuffix(word, "s") {
		if base, ok := strings.CutSuffix(word, "y"); ok {
			word = base + "ies"
		} else {
			word += "s"
		}
	}
	return fmt.Sprintf("%d %s", n, word)
}

func (c *Collection) Freeze()                               {}
func (c *Collection) Truth() starlark.Bool                  { return len(c.items) > 0 }
func (c *Collection) Hash() (uint32, error)                 { return 0, fmt.Errorf("unhashable type: %s", c.Type()) }
func (c *Collection) Len() int                              { return len(c.items) }
func (c *Collection) Index(i int) starlark.Value            { return c.items[i] }
func (c *Collection) Iterate() starlark.Iterator            { return &indexIterator{c, 0} }
func (c *Collection) Attr(n string) (starlark.Value, error) { return attr(c, n) }
func (c *Collection) AttrNames() []string                   { return attrNames(c) }

// Slice gives a part, as of a list.
func (c *Collection) Slice(start, end, step int) starlark.Value {
	if step == 1 {
		return c.with(c.items[start:end:end])
	}
	var items []starlark.Value
	for i := start; step > 0 && i < end || step < 0 && i > end; i += step {
		items = append(items, c.items[i])
	}
	return c.with(items)
}

// Has tells whether there is an element of this name, or equal to this value.
func (c *Collection) Has(y starlark.Value) (bool, error) {
	name, isName := starlark.AsString(y)
	for _, v := range c.items {
		if isName {
			if n, ok := nameOf(v); ok && n == name {
				return true, nil
			}
			continue
		}
		if same, err := starlark.Equal(v, y); err != nil || same {
			return same, err
		}
	}
	return false, nil
}

// Binary joins collections of one type with + and compares them with -.
func (c *Collection) Binary(op syntax.Token, y starlark.Value, side starlark.Side) (starlark.Value, error) {
	if op == syntax.MINUS {
		return minus(op, c, y, side)
	}
	o, ok := y.(*Collection)
	if op != syntax.PLUS || !ok || side != starlark.Left {
		return nil, nil
	}
	if o.elem != c.elem && len(o.items) > 0 && len(c.items) > 0 {
		return nil, fmt.Errorf("cannot join %s and %s: a collection has one type of element; list(a) + list(b) makes a list", c.Type(), o.Type())
	}
	out := &Collection{elem: c.elem, items: slices.Concat(c.items, o.items)}
	if len(c.items) == 0 {
		out.elem = o.elem
	}
	out.failures = slices.Clone(c.failures)
	for _, f := range o.failures {
		if !slices.ContainsFunc(out.failures, func(g mesh.Failure) bool { return sameFailure(f, g) }) {
			out.failures = append(out.failures, f)
		}
	}
	for _, h := range []map[string]int{c.hidden, o.hidden} {
		for state, n := range h {
			if out.hidden == nil {
				out.hidden = map[string]int{}
			}
			out.hidden[state] += n
		}
	}
	return out, nil
}

func sameFailure(a, b mesh.Failure) bool {
	return a.Proxy == b.Proxy && a.Source == b.Source && a.Stage == b.Stage && a.Reason == b.Reason
}

// CompareSameType compares element by element.
func (c *Collection) CompareSameType(op syntax.Token, y starlark.Value, depth int) (bool, error) {
	o := y.(*Collection)
	if op != syntax.EQL && op != syntax.NEQ {
		return false, errors.New("collections have no order")
	}
	same := len(c.items) == len(o.items)
	for i := 0; same && i < len(c.items); i++ {
		eq, err := starlark.EqualDepth(c.items[i], o.items[i], depth-1)
		if err != nil {
			return false, err
		}
		same = eq
	}
	return same == (op == syntax.EQL), nil
}

// nameOf gives the name of a value that has one.
func nameOf(v starlark.Value) (string, bool) {
	naming := "name"
	if t := types()[v.Type()]; t != nil && t.naming != "" {
		naming = t.naming
	}
	e := lookup(v.Type(), naming)
	if e == nil || e.Kind != Field {
		return "", false
	}
	n, err := e.get(v)
	if err != nil {
		return "", false
	}
	return starlark.AsString(n)
}

func (c *Collection) nameList() []string {
	var out []string
	for _, v := range c.items {
		n, ok := nameOf(v)
		if !ok {
			n = v.String()
		}
		out = append(out, n)
	}
	return out
}

// owner is the name of the proxy that a value belongs to, "" for none.
func owner(v starlark.Value) string {
	if o, ok := v.(*Object); ok && o.proxy != nil {
		p := o.proxy.p
		if p.Cluster != "" {
			return p.Name + " (" + p.Cluster + ")"
		}
		return p.Name
	}
	return ""
}

// Table gives the elements as the columns of their family. A column says whose
// each element is when there are several proxies, and another in which state
// it is when that is not the usual one.
func (c *Collection) Table(wide bool) Table {
	cols := tableColumns(c.elem, wide)
	if len(cols) == 0 {
		cols = []column{{Column: Column{Name: "VALUE", Elide: ElideEnd}, Cell: func(v starlark.Value) string { return v.String() }}}
	}
	glanceAll(c.items)
	owners := map[string]bool{}
	states := false
	for _, v := range c.items {
		owners[owner(v)] = true
		if o, ok := v.(*Object); ok && o.stateText() != "" {
			states = states || !usualState(o.stateText())
		}
	}
	if len(owners) > 1 || c.elem == "Resource" { // which are asked for across proxies
		cols = append([]column{{Column: Column{Name: "PROXY", Elide: ElideMiddle}, Cell: owner}}, cols...)
	}
	if states && c.elem != "Secret" { // whose STATUS column says it
		cols = append(cols, column{Column: Column{Name: "STATE"}, Cell: func(v starlark.Value) string { return v.(*Object).root().stateText() }})
	}
	cols = slices.DeleteFunc(cols, func(col column) bool {
		empty := func(v starlark.Value) bool { return col.Cell(v) == "" }
		return col.Optional && all(c.items, empty) || col.Unless != nil && !slices.Contains(c.columns, col.Name) && all(c.items, col.Unless)
	})
	var t Table
	for _, col := range cols {
		t.Columns = append(t.Columns, col.Column)
	}
	expand := func(starlark.Value) []starlark.Value { return nil }
	if info := types()[c.elem]; info != nil && info.expand != nil {
		expand = info.expand
	}
	t.Rows = make([][]string, 0, len(c.items))
	for _, v := range c.items {
		rows := expand(v)
		if len(rows) == 0 {
			rows = []starlark.Value{v}
		}
		for _, v := range rows {
			row := make([]string, len(cols))
			for i, col := range cols {
				row[i] = col.Cell(v)
			}
			t.Rows = append(t.Rows, row)
		}
	}
	t.Notes = c.notes()
	return t
}

func all(items []starlark.Value, is func(starlark.Value) bool) bool {
	return !slices.ContainsFunc(items, func(v starlark.Value) bool { return !is(v) })
}

func (c *Collection) notes() []string {
	var parts []string
	for _, state := range slices.Sorted(maps.Keys(c.hidden)) {
		parts = append(parts, fmt.Sprintf("%d %s", c.hidden[state], state))
	}
	if len(parts) == 0 {
		return nil
	}
	return []string{fmt.Sprintf(`not shown: %s (state="*" shows all)`, strings.Join(parts, ", "))}
}

// failureValue is a mesh.Failure in the language.
type failureValue struct{ f mesh.Failure }

func (f *failureValue) String() string                        { return "<failure: " + clip(f.f.Error(), 160) + ">" }
func (f *failureValue) Type() string                          { return "Failure" }
func (f *failureValue) Freeze()                               {}
func (f *failureValue) Truth() starlark.Bool                  { return true }
func (f *failureValue) Hash() (uint32, error)                 { return starlark.String(f.f.Error()).Hash() }
func (f *failureValue) Attr(n string) (starlark.Value, error) { return attr(f, n) }
func (f *failureValue) AttrNames() []string                   { return attrNames(f) }
func (f *failureValue) Item() Item                            { return itemOf(f, "failure") }

func (f *failureValue) CompareSameType(op syntax.Token, y starlark.Value, _ int) (bool, error) {
	return compareSame(op, sameFailure(f.f, y.(*failureValue).f), "failures")
}

// compareSame answers == and != and refuses the other comparisons.
func compareSame(op syntax.Token, same bool, what string) (bool, error) {
	switch op {
	case syntax.EQL:
		return same, nil
	case syntax.NEQ:
		return !same, nil
	default:
		return false, fmt.Errorf("%s have no order", what)
	}
}
