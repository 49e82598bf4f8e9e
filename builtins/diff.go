package builtins

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/diff"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// Diff is the difference between two values: what diff(a, b) gives. It is false
// when there is none.
type Diff struct {
	one      *diff.Diff // of two configurations or values
	all      *diff.Mesh // of two sets of proxies, when one is nil
	failures []mesh.Failure

	once    sync.Once
	changed []*change
}

var (
	_ starlark.HasAttrs = (*Diff)(nil)
	_ Itemer            = (*Diff)(nil)
)

// Empty reports whether there is no difference.
func (d *Diff) Empty() bool {
	if d.one != nil {
		return d.one.Empty()
	}
	return d.all.Empty()
}

// Failures are the proxies that could not be read.
func (d *Diff) Failures() []mesh.Failure { return d.failures }

// Summary tells in one line what matches and how much of the rest does not.
func (d *Diff) Summary() string {
	if d.one != nil {
		return d.one.Summary()
	}
	return d.all.Summary()
}

// Words tells the same, a line for each kind of resource: "Clusters Don't
// Match: 2 removed", "Listeners Match". Of many proxies it is one line.
func (d *Diff) Words() []string {
	if d.one == nil {
		return []string{d.Summary()}
	}
	return strings.Split(d.Summary(), "; ")
}

// Lines gives the differences resource by resource; fold is how many lines of a
// value are given, 0 for all.
func (d *Diff) Lines(fold int) []diff.Line {
	o := diff.TextOptions{Fold: fold}
	if d.one != nil {
		return d.one.Lines(o)
	}
	return d.all.Lines(o)
}

// Text gives the words and all lines.
func (d *Diff) Text() string {
	var b strings.Builder
	for _, w := range d.Words() {
		b.WriteString(w + "\n")
	}
	for i, l := range d.Lines(0) {
		if i == 0 || l.Op == diff.LineHeader && !strings.HasPrefix(l.Text, "+++") {
			b.WriteByte('\n')
		}
		b.WriteString(l.Text + "\n")
	}
	return b.String()
}

// Changes gives the changes as values: what was removed, what was added, and
// each place at which something changed.
func (d *Diff) Changes() *Collection { return d.changes("") }

func (d *Diff) String() string {
	return "<diff: " + clip(d.Summary(), 160) + ">"
}
func (d *Diff) Type() string                          { return "Diff" }
func (d *Diff) Freeze()                               {}
func (d *Diff) Truth() starlark.Bool                  { return starlark.Bool(!d.Empty()) }
func (d *Diff) Hash() (uint32, error)                 { return 0, fmt.Errorf("unhashable type: Diff") }
func (d *Diff) Attr(n string) (starlark.Value, error) { return attr(d, n) }
func (d *Diff) AttrNames() []string                   { return attrNames(d) }
func (d *Diff) Item() Item                            { return itemOf(d, "diff") }

// change is one change in the language.
type change struct {
	proxy       string
	kind        resource.Kind
	name        string
	state       resource.State
	whole       diff.Op // what happened to the resource
	op          diff.Op
	path        string
	leftPath    string // where its elements have other numbers on the left
	left, right rawjson.Value
}

func (c *change) String() string {
	parts := []string{"change:", string(c.op), string(c.kind), clip(c.name, 120)}
	if c.path != "." {
		parts = append(parts, clip(c.path, 120))
	}
	return "<" + strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " ") + ">"
}
func (c *change) Type() string                          { return "Change" }
func (c *change) Freeze()                               {}
func (c *change) Truth() starlark.Bool                  { return true }
func (c *change) Hash() (uint32, error)                 { return starlark.String(c.name + c.path).Hash() }
func (c *change) Attr(n string) (starlark.Value, error) { return attr(c, n) }
func (c *change) AttrNames() []string                   { return attrNames(c) }
func (c *change) Item() Item                            { return itemOf(c, "change") }

func (c *change) CompareSameType(op syntax.Token, y starlark.Value, _ int) (bool, error) {
	o := y.(*change)
	same := c.proxy == o.proxy && c.kind == o.kind && c.name == o.name && c.state == o.state && c.op == o.op && c.path == o.path &&
		string(c.left) == string(o.left) && string(c.right) == string(o.right)
	return compareSame(op, same, "changes")
}

// changes gives those of one operation on whole resources, "" for all.
func (d *Diff) changes(op diff.Op) *Collection {
	d.once.Do(func() {
		if d.one != nil {
			d.add(d.one)
			return
		}
		const proxy = resource.Kind("proxy")
		for _, name := range d.all.Removed {
			d.changed = append(d.changed, &change{proxy: name, kind: proxy, name: name, whole: diff.Removed, op: diff.Removed, path: "."})
		}
		for _, name := range d.all.Added {
			d.changed = append(d.changed, &change{proxy: name, kind: proxy, name: name, whole: diff.Added, op: diff.Added, path: "."})
		}
		for _, one := range d.all.Changed {
			d.add(one)
		}
	})
	out := &Collection{elem: "Change", failures: d.failures}
	for _, c := range d.changed {
		if op == "" || c.whole == op {
			out.items = append(out.items, c)
		}
	}
	return out
}

func (d *Diff) add(one *diff.Diff) {
	for _, list := range [][]diff.Change{one.Removed, one.Added, one.Changed} {
		for _, c := range list {
			base := change{proxy: one.Name, kind: c.Kind, name: c.Name, state: c.State, whole: c.Op, op: c.Op, path: "."}
			if c.Op != diff.Changed {
				if c.Left != nil {
					base.left = c.Left.Body
				}
				if c.Right != nil {
					base.right = c.Right.Body
				}
				d.changed = append(d.changed, &base)
				continue
			}
			for _, e := range c.Edits {
				edit := base
				edit.op, edit.path, edit.leftPath, edit.left, edit.right = e.Op, e.Path, e.LeftPath, e.Left, e.Right
				d.changed = append(d.changed, &edit)
			}
		}
	}
}

// counts gives how many resources of each kind differ, for all proxies
// together.
func (d *Diff) counts() []diff.Count {
	if d.one != nil {
		return d.one.Kinds
	}
	out := []diff.Count{{Kind: "proxy", Compared: true, Same: d.all.Same, Added: len(d.all.Added), Removed: len(d.all.Removed), Changed: len(d.all.Changed)}}
	for _, one := range d.all.Changed {
		for _, n := range one.Kinds {
			i := slices.IndexFunc(out, func(x diff.Count) bool { return x.Kind == n.Kind })
			if i < 0 {
				out = append(out, n)
				continue
			}
			out[i].Compared = out[i].Compared && n.Compared
			out[i].Same += n.Same
			out[i].Added += n.Added
			out[i].Removed += n.Removed
			out[i].Changed += n.Changed
		}
	}
	return out
}

var (
	ignoreParam = Param{Name: "ignore", Type: "list|string", Default: "[]",
		Doc: `paths that make no difference, as in Change.path; * stands for any characters or one step, ** for any number of steps: "**.connect_timeout"`}
	exactParam = Param{Name: "exact", Type: "bool", Default: "False",
		Doc: "whether everything counts: versions and times of the dump, the order of sets, defaults that are written out, every token"}
)

func diffOptions(c *Call) (diff.Options, error) {
	o := diff.Options{Exact: c.Bool("exact")}
	switch v := c.Value("ignore").(type) {
	case starlark.String:
		o.Ignore = []string{string(v)}
	case starlark.Iterable:
		for x := range starlark.Elements(v) {
			s, ok := starlark.AsString(x)
			if !ok {
				return o, fmt.Errorf("ignore: got a list with a %s, want paths", x.Type())
			}
			o.Ignore = append(o.Ignore, s)
		}
	}
	if o.Exact && len(o.Ignore) > 0 {
		return o, fmt.Errorf("exact=True ignores nothing: leave out ignore or exact")
	}
	return o, nil
}

// diffs describes Diff and Change and the calls that give them. Those of Proxy
// are in proxyDiff.
func (b *builder) diffs() {
	b.function("diff", []Param{
		{Name: "a", Type: "any", Doc: "the left side: a proxy, a mesh, a collection, a resource, or a dict or list"},
		{Name: "b", Type: "any", Doc: "the right side, of the same kind"},
		ignoreParam, exactParam,
	}, "Diff", "How b differs from a, by what they say: resources by kind, name and state, virtual hosts by name, endpoints by address, routes in their order; what cannot matter is ignored. Two meshes are compared proxy by proxy, or, when each has one, these two. b - a is the same.",
		`diff(proxy("reviews-v1"), proxy("productpage-v1"), ignore=["node"]).summary`, func(c *Call) (starlark.Value, error) {
			o, err := diffOptions(c)
			if err != nil {
				return nil, err
			}
			return asValue(compare(c.Context(), orNone(c.Value("a")), orNone(c.Value("b")), o))
		})

	b.typ("Diff", "Value", "A difference: what diff(a, b) and p.diff() give. It is false when there is none. The prompt shows what matches and the changes, resource by resource; -o wide and .table() give a row a change.")
	ex := func(name string) string { return `proxy("productpage-v1").diff().` + name }
	d := func(name, returns, doc string, get func(*Diff) starlark.Value) {
		field(b, name, returns, doc, ex(name), func(d *Diff) (starlark.Value, error) { return get(d), nil })
	}
	d("left", "string", "What the left side is called.", func(d *Diff) starlark.Value {
		if d.one != nil {
			return text(d.one.Left)
		}
		return text(d.all.Left)
	})
	d("right", "string", "What the right side is called.", func(d *Diff) starlark.Value {
		if d.one != nil {
			return text(d.one.Right)
		}
		return text(d.all.Right)
	})
	d("empty", "bool", "Whether there is no difference.", func(d *Diff) starlark.Value { return starlark.Bool(d.Empty()) })
	d("summary", "string", "What matches, and how much of the rest does not, in one line: Clusters Don't Match: 1 added; Listeners Match.",
		func(d *Diff) starlark.Value { return text(d.Summary()) })
	d("sections", "list", "How many resources of each kind differ: kind, match, compared (False when one side does not tell of them), same, added, removed and changed.",
		func(d *Diff) starlark.Value {
			var out []starlark.Value
			for _, n := range d.counts() {
				out = append(out, record("kind", text(string(n.Kind)), "match", starlark.Bool(n.Compared && n.Added+n.Removed+n.Changed == 0), "compared", starlark.Bool(n.Compared),
					"same", starlark.MakeInt(n.Same), "added", starlark.MakeInt(n.Added), "removed", starlark.MakeInt(n.Removed), "changed", starlark.MakeInt(n.Changed)))
			}
			return frozenList(out)
		})
	d("added", "Changes", "The resources (or proxies) that only the right side has.", func(d *Diff) starlark.Value { return d.changes(diff.Added) })
	d("removed", "Changes", "The resources (or proxies) that only the left side has.", func(d *Diff) starlark.Value { return d.changes(diff.Removed) })
	d("changed", "Changes", "The places at which resources that both sides have differ; a resource that differs at three places is there three times.",
		func(d *Diff) starlark.Value { return d.changes(diff.Changed) })
	link(b, "changes", "Changes", "All of these: removed, added, changed.", ex("changes"), func(d *Diff) (starlark.Value, error) { return d.Changes(), nil })
	link(b, "errors", "list", "The proxies that could not be compared: each with proxy, source, stage and reason.", ex("errors"),
		func(d *Diff) (starlark.Value, error) { return attr(d.Changes(), "errors") })
	b.method("text", nil, "string", "What matches, and the changes resource by resource, as the prompt shows them but whole and without colour.",
		`print(`+ex("text()")+`)`, func(c *Call) (starlark.Value, error) { return text(c.Recv.(*Diff).Text()), nil })
	b.method("table", []Param{{Name: "*columns", Type: "any", Doc: `fields ("name", "path"), functions, or ("heading", function)`}}, "Table",
		"The changes as a table with the columns given, or their usual ones.", ex(`table("kind", "name", "op", "path")`), func(c *Call) (starlark.Value, error) {
			changes := *c
			changes.Recv = c.Recv.(*Diff).Changes()
			return tableMethod(&changes)
		})

	t := b.typ("Change", "Value", "One change: a resource that only one side has, or one place at which a resource differs.")
	x := func(name string) string { return `[c.` + name + ` for c in proxy("productpage-v1").diff().changes]` }
	k := func(name, returns, doc string, get func(*change) starlark.Value) *Entry {
		return field(b, name, returns, doc, x(name), func(c *change) (starlark.Value, error) { return get(c), nil })
	}
	k("kind", "string", "What the resource configures; proxy for a whole proxy, \"\" when other values were compared.", func(c *change) starlark.Value { return text(string(c.kind)) })
	k("name", "string", "The resource's name.", func(c *change) starlark.Value { return text(c.name) })
	k("state", "string", "Where in its life the resource is, \"\" where that means nothing.", func(c *change) starlark.Value { return text(string(c.state)) }).enum(append(states(), "")...)
	k("op", "string", "What happened on the way from left to right, at this place.", func(c *change) starlark.Value { return text(string(c.op)) }).
		enum(string(diff.Added), string(diff.Removed), string(diff.Changed))
	k("path", "string", "Where in the resource, as virtual_hosts[NAME].routes[0].route.timeout; \".\" for all of it. Elements of lists are in brackets, by what they are known by or by number, on the right unless they were removed.",
		func(c *change) starlark.Value { return text(c.path) })
	k("left_path", "string | None", "Where it is on the left when an element on the way to it has another number there, else None.", func(c *change) starlark.Value { return textOrNone(c.leftPath) })
	k("left", "any", "What is there on the left, None for nothing.", func(c *change) starlark.Value { return jsonOrNone(c.left) })
	k("right", "any", "What is there on the right, None for nothing.", func(c *change) starlark.Value { return jsonOrNone(c.right) })
	k("proxy", "string | None", "The proxy's name, when several were compared.", func(c *change) starlark.Value { return textOrNone(c.proxy) })
	col := func(name string, priority int, elide Elide, get func(*change) string) column {
		return column{Column: Column{Name: name, Priority: priority, Elide: elide}, Cell: func(v starlark.Value) string { return get(v.(*change)) }}
	}
	t.columns = []column{
		col("PROXY", 1, ElideMiddle, func(c *change) string { return c.proxy }),
		col("KIND", 2, ElideNever, func(c *change) string { return string(c.kind) }),
		col("NAME", 0, ElideMiddle, func(c *change) string { return c.name }),
		col("OP", 0, ElideNever, func(c *change) string { return string(c.op) }),
		col("PATH", 0, ElideMiddle, func(c *change) string { return c.path }),
		col("LEFT", 1, ElideEnd, func(c *change) string { return glimpse(c.left) }),
		col("RIGHT", 1, ElideEnd, func(c *change) string { return glimpse(c.right) }),
	}
	t.columns[0].Optional = true
	b.collection("Changes", "Change", "Changes of a diff.")
}

// glimpse is JSON in a cell: an object or array of some size only begins there,
// since the table is for an overview.
func glimpse(v rawjson.Value) string { return clip(string(v), 120) }

// proxyDiff describes diff and the like of Proxy.
func (b *builder) proxyDiff() {
	b.method("diff", []Param{ignoreParam, exactParam}, "Diff",
		"How what its Envoy has differs from what the control plane would send it now: left is desired, right is actual, so what the Envoy lacks is removed. Endpoints, secrets of the control plane and extensions are compared too. diff(p, q) compares two proxies.",
		`proxy("productpage-v1").diff()`, func(c *Call) (starlark.Value, error) {
			o, err := diffOptions(c)
			if err != nil {
				return nil, err
			}
			return asValue(compareSides(c.Context(), c.Recv.(*Proxy), o))
		})
}

// asValue keeps a nil *Diff from becoming a value.
func asValue(d *Diff, err error) (starlark.Value, error) {
	if err != nil {
		return nil, err
	}
	return d, nil
}

func orNone(v starlark.Value) starlark.Value {
	if v == nil {
		return starlark.None
	}
	return v
}
