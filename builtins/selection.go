package builtins

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/xds/naming"
	"github.com/meshlark/meshlark/xds/pattern"
	"go.starlark.net/starlark"
)

// matchField tells whether a field of an element is what a filter asks for: an
// enumeration and anything that is no string must be equal, other strings
// follow the rules of patterns. A list matches when any of its elements does.
func matchField(e *Entry, have, want starlark.Value) (bool, error) {
	text, isText := starlark.AsString(want)
	if !isText || have == starlark.None || len(e.Enum) > 0 {
		return starlark.Equal(have, want)
	}
	switch have := have.(type) {
	case starlark.String:
		p, err := pattern.Parse(text)
		if err != nil {
			return false, err
		}
		if e.Name == "fqdn" {
			return naming.HostMatches(p, string(have)), nil
		}
		return p.Match(string(have)), nil
	case *Collection:
		p, err := pattern.Parse(text)
		if err != nil {
			return false, err
		}
		return slices.ContainsFunc(have.nameList(), p.Match), nil
	case starlark.Iterable:
		for x := range starlark.Elements(have) {
			if ok, err := matchField(e, x, want); ok || err != nil {
				return ok, err
			}
		}
		return false, nil
	default:
		return starlark.Equal(have, want)
	}
}

// fieldEntry finds a field of the elements by name, for where, by and table.
func (c *Collection) fieldEntry(name string) (*Entry, error) {
	t := types()[c.elem]
	if t == nil {
		return nil, fmt.Errorf("%s have no fields", c.Type())
	}
	e := t.attrs[name]
	if e == nil {
		return nil, noAttr(c.elem, name, t.fieldNames())
	}
	if e.Kind != Field {
		return nil, fmt.Errorf("%s.%s is a method, not a field: use a function, as in lambda x: x.%s()", c.elem, name, name)
	}
	return e, nil
}

func (t *Type) fieldNames() []string {
	var out []string
	for _, n := range t.names {
		if t.attrs[n].Kind == Field {
			out = append(out, n)
		}
	}
	return out
}

func whereMethod(c *Call) (starlark.Value, error) {
	xs := c.Recv.(*Collection)
	fn, _ := c.Value("fn").(starlark.Callable)
	type want struct {
		entry *Entry
		value starlark.Value
	}
	var wants []want
	for _, kw := range c.Kwargs {
		name := string(kw[0].(starlark.String))
		e, err := xs.fieldEntry(name)
		if err != nil {
			return nil, err
		}
		if s, ok := starlark.AsString(kw[1]); ok && len(e.Enum) > 0 {
			if err := checkEnum(name, s, e.Enum); err != nil {
				return nil, err
			}
		}
		wants = append(wants, want{e, kw[1]})
	}
	var kept []starlark.Value
next:
	for _, v := range xs.items {
		for _, w := range wants {
			have, err := w.entry.get(v)
			if err != nil {
				return nil, err
			}
			if ok, err := matchField(w.entry, have, w.value); err != nil {
				return nil, fmt.Errorf("%s: %w", w.entry.Name, err)
			} else if !ok {
				continue next
			}
		}
		if fn != nil {
			ok, err := starlark.Call(c.Thread, fn, starlark.Tuple{v}, nil)
			if err != nil {
				return nil, err
			}
			if !ok.Truth() {
				continue
			}
		}
		kept = append(kept, v)
	}
	out := xs.with(kept)
	out.hidden = xs.hidden
	return out, nil
}

// keyOf computes what by, table and similar methods are given: a field's name,
// several with dots between, or a function.
func (c *Collection) keyOf(key starlark.Value) (func(*starlark.Thread, starlark.Value) (starlark.Value, error), error) {
	if fn, ok := key.(starlark.Callable); ok {
		return func(thread *starlark.Thread, v starlark.Value) (starlark.Value, error) {
			return starlark.Call(thread, fn, starlark.Tuple{v}, nil)
		}, nil
	}
	path := strings.Split(string(key.(starlark.String)), ".")
	if _, err := c.fieldEntry(path[0]); err != nil {
		return nil, err
	}
	return func(_ *starlark.Thread, v starlark.Value) (starlark.Value, error) {
		for _, name := range path {
			h, ok := v.(starlark.HasAttrs)
			if !ok {
				if v == starlark.None {
					return v, nil
				}
				return nil, fmt.Errorf("%s: a %s has no attribute %s", strings.Join(path, "."), v.Type(), name)
			}
			x, err := h.Attr(name)
			if err != nil {
				return nil, err
			}
			if x == nil {
				return nil, fmt.Errorf("%s has no attribute %s", v.Type(), name)
			}
			v = x
		}
		return v, nil
	}, nil
}

func byMethod(c *Call) (starlark.Value, error) {
	xs := c.Recv.(*Collection)
	key, err := xs.keyOf(c.Value("key"))
	if err != nil {
		return nil, err
	}
	groups := starlark.NewDict(8)
	for _, v := range xs.items {
		k, err := key(c.Thread, v)
		if err != nil {
			return nil, err
		}
		g, found, err := groups.Get(k)
		if err != nil {
			return nil, err
		}
		if !found {
			g = xs.with(nil)
			if err := groups.SetKey(k, g); err != nil {
				return nil, err
			}
		}
		g.(*Collection).items = append(g.(*Collection).items, v)
	}
	return groups, nil
}

func oneMethod(c *Call) (starlark.Value, error) {
	xs := c.Recv.(*Collection)
	if len(xs.items) == 1 {
		return xs.items[0], nil
	}
	const shown = 10
	names := xs.nameList()
	more := ""
	if len(names) > shown {
		more = fmt.Sprintf(" and %d more", len(names)-shown)
		names = names[:shown]
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("want exactly 1 %s, got none%s", KindName(xs.elem), hiddenHint(xs))
	}
	return nil, fmt.Errorf("want exactly 1 %s, got %d: %s%s", KindName(xs.elem), len(xs.items), strings.Join(names, ", "), more)
}

func hiddenHint(xs *Collection) string {
	if n := xs.notes(); len(n) > 0 {
		return "; " + n[0]
	}
	return ""
}

func tableMethod(c *Call) (starlark.Value, error) {
	xs := c.Recv.(*Collection)
	if len(c.Args) == 0 {
		t := xs.Table(false)
		rows := make([][]starlark.Value, len(t.Rows))
		for i, row := range t.Rows {
			for _, cell := range row {
				rows[i] = append(rows[i], starlark.String(cell))
			}
		}
		return &TableValue{columns: t.Columns, rows: rows}, nil
	}
	var names []string
	var keys []func(*starlark.Thread, starlark.Value) (starlark.Value, error)
	for _, col := range c.Args {
		name, value := "", col
		if pair, ok := col.(starlark.Tuple); ok && len(pair) == 2 {
			name, _ = starlark.AsString(pair[0])
			value = pair[1]
		}
		switch v := value.(type) {
		case starlark.String:
			if name == "" {
				name = strings.ReplaceAll(string(v), ".", " ")
			}
		case starlark.Callable:
			if name == "" {
				name = v.Name()
			}
		default:
			return nil, fmt.Errorf(`a column is a field's name, a function, or ("heading", function), not a %s`, value.Type())
		}
		key, err := xs.keyOf(value)
		if err != nil {
			return nil, err
		}
		names, keys = append(names, name), append(keys, key)
	}
	rows := make([][]starlark.Value, len(xs.items))
	for i, v := range xs.items {
		for _, key := range keys {
			cell, err := key(c.Thread, v)
			if err != nil {
				return nil, err
			}
			rows[i] = append(rows[i], cell)
		}
	}
	return NewTable(names, rows), nil
}
