package builtins

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/pattern"
	"github.com/meshlark/meshlark/xds/resource"
	"go.starlark.net/starlark"
)

// A query is what a call such as p.clusters(...) asks of each proxy.
type query struct {
	kind  resource.Kind
	typ   string // of the values it gives
	name  pattern.Pattern
	hint  pattern.Pattern // matches the names of all that keep may keep; where no name is asked for
	state string          // "" is what is in use, "*" everything
	keep  func(*Object) (bool, error)
	order func([]*Object) // puts the answer in its order; nil leaves it as it was sent

	// read replaces the usual reading of resources, for what is not one resource each.
	read func(ctx context.Context, p *Proxy) (found, error)
}

// found is one proxy's answer.
type found struct {
	items  []starlark.Value
	hidden map[string]int
}

// on asks one proxy.
func (q query) on(ctx context.Context, p *Proxy) (found, error) {
	if q.read != nil {
		return q.read(ctx, p)
	}
	read, name := p.Config().Resources, q.name
	if q.name.IsAll() {
		read, name = p.Config().Candidates, q.hint
	}
	all, err := read(ctx, q.kind, name)
	if err != nil {
		return found{}, err
	}
	var objs []*Object
	var f found
	for i, r := range all {
		if i%1024 == 1023 && ctx.Err() != nil {
			return found{}, context.Cause(ctx)
		}
		o := newResource(q.typ, p, r)
		if q.keep != nil {
			if ok, err := q.keep(o); err != nil {
				return found{}, fmt.Errorf("%s of %s: %w", resourceName(o), p.p.Name, err)
			} else if !ok {
				continue
			}
		}
		if state := string(r.State()); !q.wants(state) {
			if f.hidden == nil {
				f.hidden = map[string]int{}
			}
			f.hidden[state]++
			continue
		}
		objs = append(objs, o)
	}
	if q.order != nil {
		q.order(objs)
	}
	f.items = make([]starlark.Value, len(objs))
	for i, o := range objs {
		f.items[i] = o
	}
	return f, nil
}

func (q query) wants(state string) bool {
	switch q.state {
	case "":
		return usualState(state)
	case "*":
		return true
	default:
		return state == q.state
	}
}

// one asks a single proxy and gives the collection; a failure is the call's.
func (q query) one(ctx context.Context, p *Proxy) (*Collection, error) {
	f, err := q.on(ctx, p)
	if err != nil {
		return nil, err
	}
	return &Collection{elem: q.typ, items: f.items, hidden: f.hidden}, nil
}

// all asks many proxies at a time. Those that fail are left out and listed.
func (q query) all(ctx context.Context, m *mesh.Mesh, proxies []*Proxy, failures []mesh.Failure) (*Collection, error) {
	out := &Collection{elem: q.typ, failures: slices.Clone(failures)}
	for _, side := range sides(proxies) {
		if err := q.gather(ctx, m, side, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// sides splits a list of proxies by the side that they read, each proxy once.
func sides(proxies []*Proxy) [][]*Proxy {
	var order []mesh.Side
	bySide := map[mesh.Side][]*Proxy{}
	seen := map[Proxy]bool{}
	for _, p := range proxies {
		if id := (Proxy{p: p.p, side: p.side}); seen[id] {
			continue
		} else {
			seen[id] = true
		}
		if bySide[p.side] == nil {
			order = append(order, p.side)
		}
		bySide[p.side] = append(bySide[p.side], p)
	}
	var out [][]*Proxy
	for _, s := range order {
		out = append(out, bySide[s])
	}
	return out
}

// gather adds the answers of proxies, of which the model has each once.
func (q query) gather(ctx context.Context, m *mesh.Mesh, proxies []*Proxy, out *Collection) error {
	values := make(map[*mesh.Proxy]*Proxy, len(proxies))
	list := make([]*mesh.Proxy, len(proxies))
	for i, p := range proxies {
		values[p.p], list[i] = p, p.p
	}
	res, err := mesh.Gather(ctx, m, list, kindStage(q.kind), func(ctx context.Context, p *mesh.Proxy) ([]found, error) {
		f, err := q.on(ctx, values[p])
		return []found{f}, err
	})
	if err != nil {
		return err
	}
	out.failures = append(out.failures, res.Failures...)
	for _, f := range res.Items {
		out.items = append(out.items, f.items...)
		for state, n := range f.hidden {
			if out.hidden == nil {
				out.hidden = map[string]int{}
			}
			out.hidden[state] += n
		}
	}
	return nil
}

var stateParam = Param{Name: "state", Type: "string", Default: "None", Doc: `"warming", "draining" or "error" gives those instead; "*" gives all`, Enum: states(), Free: []string{"*"}}

var proxyParam = Param{Name: "proxy", Type: "string|Proxy|list", Default: "None", Doc: "whose: a proxy, the name of one, a pattern of names, or a list of these", KwOnly: true}

// listing describes a call that gives a collection: as a method of Proxy, as
// one of Mesh with proxy= to narrow, and as a function on the session's mesh.
func (b *builder) listing(name string, params []Param, returns, doc, example string, make func(*Call) (query, error)) {
	b.cur = b.t.types["Proxy"]
	b.method(name, params, returns, doc, `proxy("productpage-v1").`+example, func(c *Call) (starlark.Value, error) {
		q, err := make(c)
		if err != nil {
			return nil, err
		}
		return q.one(c.Context(), c.Recv.(*Proxy))
	})
	fleet := append(slices.Clone(params), proxyParam)
	across := func(c *Call, m *mesh.Mesh) (starlark.Value, error) {
		q, err := make(c)
		if err != nil {
			return nil, err
		}
		proxies, failures, err := narrow(c, m)
		if err != nil {
			return nil, err
		}
		return q.all(c.Context(), m, proxies, failures)
	}
	b.cur = b.t.types["Mesh"]
	b.method(name, fleet, returns, doc, "mesh."+example, func(c *Call) (starlark.Value, error) { return across(c, c.Recv.(*Mesh).m) })
	b.function(name, fleet, returns, doc, example, func(c *Call) (starlark.Value, error) {
		m, err := c.mesh()
		if err != nil {
			return nil, err
		}
		return across(c, m)
	})
}

// mesh is the session's mesh.
func (c *Call) mesh() (*mesh.Mesh, error) {
	h, err := c.Host()
	if err != nil {
		return nil, err
	}
	if m := h.Mesh(); m != nil {
		return m, nil
	}
	if err := h.MeshError(); err != nil {
		return nil, err
	}
	return nil, errors.New("no mesh is open")
}

// narrow resolves proxy=: nothing is every proxy; a plain name one, found as
// proxy(name) finds it; a pattern those whose names it matches.
func narrow(c *Call, m *mesh.Mesh) ([]*Proxy, []mesh.Failure, error) {
	ctx := c.Context()
	want := c.Value("proxy")
	switch want := want.(type) {
	case *Proxy:
		return []*Proxy{want}, nil, nil
	case nil, starlark.String:
		return namedProxies(c, m, c.Text("proxy"))
	default:
		var out []*Proxy
		var failures []mesh.Failure
		for x := range starlark.Elements(want.(starlark.Iterable)) {
			switch x := x.(type) {
			case *Proxy:
				out = append(out, x)
			case starlark.String:
				ps, fs, err := namedProxies(c, m, string(x))
				if err != nil {
					return nil, nil, err
				}
				out = append(out, ps...)
				failures = append(failures, fs...)
			default:
				return nil, nil, fmt.Errorf("proxy: got a list with a %s, want proxies or their names", x.Type())
			}
		}
		if xs, ok := want.(*Collection); ok {
			failures = append(failures, xs.failures...)
		}
		return out, failures, context.Cause(ctx)
	}
}

func namedProxies(c *Call, m *mesh.Mesh, name string) ([]*Proxy, []mesh.Failure, error) {
	pat, err := pattern.Parse(name)
	if err != nil {
		return nil, nil, fmt.Errorf("proxy: %w", err)
	}
	if _, plain := pat.Literal(); plain && !pat.IsExact() {
		p, note, err := m.Proxy(c.Context(), name)
		if err != nil {
			return nil, nil, err
		}
		c.note(note)
		return []*Proxy{NewProxy(c.Context(), p)}, nil, nil
	}
	all, err := m.Proxies(c.Context())
	if err != nil {
		return nil, nil, err
	}
	var out []*Proxy
	for _, p := range all.Items {
		if pat.Match(p.Name) || p.Pod != "" && pat.Match(p.Pod) {
			out = append(out, NewProxy(c.Context(), p))
		}
	}
	return out, all.Failures, nil
}

func (c *Call) note(text string) {
	if h := HostOf(c.Thread); h != nil && text != "" {
		h.Note("%s", text)
	}
}

// sortByKey sorts by keys that take some work to find, each found once.
func sortByKey[T, K any](items []T, key func(T) K, compare func(a, b K) int) {
	type keyed struct {
		item T
		key  K
	}
	all := make([]keyed, len(items))
	for i, x := range items {
		all[i] = keyed{x, key(x)}
	}
	slices.SortStableFunc(all, func(a, b keyed) int { return compare(a.key, b.key) })
	for i, x := range all {
		items[i] = x.item
	}
}

// byResourceName orders resources by their names.
func byResourceName(objs []*Object) { sortByKey(objs, resourceName, byName) }

// byName orders names as istioctl does: numbers by value and before other
// names.
func byName(a, b string) int {
	na, nb := isNumber(a), isNumber(b)
	switch {
	case na && nb:
		return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
	case na != nb:
		if na {
			return -1
		}
		return 1
	default:
		return strings.Compare(a, b)
	}
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
