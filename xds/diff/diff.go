package diff

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
)

// Options say what makes a difference.
type Options struct {
	// Ignore adds to what is ignored: paths as in Edit.Path, from a resource's body. In a name or in brackets * stands for any
	// characters, * alone for one name, index or label, and ** for any number of them. All that is below a path is ignored too.
	Ignore []string

	// Exact ignores nothing, not even what Ignore names, and compares token for token.
	Exact bool

	// Desired says that the left side is what a control plane would send, as istiod's debug/config_dump tells. It knows nothing of
	// bootstraps, static resources and endpoints that a proxy did not get from it, so these are left out. What the proxy has accepted but
	// not yet put to use (warming) counts where it has no other version in use; a secret that it waits for, and has nothing of, does not.
	Desired bool
}

// A Config is what one proxy has, or should have.
type Config struct {
	Name      string // of the proxy or the side, such as "desired"
	Resources []*resource.Resource
	// Missing are kinds that could not be read; no dump has all sections. They are not compared.
	Missing []resource.Kind
}

// An Item is one resource as it is compared.
type Item struct {
	Kind  resource.Kind
	Name  string
	State resource.State
	// Entry is what the dump says of the resource, as an object: version_info, last_updated, client_status, error_state.
	Entry rawjson.Value
	Body  rawjson.Value // absent for a rejected update that was not sent

	body *resource.Body     // with the text of Body, if there is one
	of   *resource.Resource // which has what Entry says, until that is filled in
}

// A Change is a resource that one side has and the other has not, or that both have and that differs.
type Change struct {
	Kind  resource.Kind
	Name  string
	State resource.State
	Op    Op
	Left  *Item  // nil when added
	Right *Item  // nil when removed
	Edits []Edit // when changed; paths that begin with "entry" are of Item.Entry, others of Item.Body
}

// A Diff is the difference between two configurations. Its lists are in the order of kinds (as in Summary), names and states.
type Diff struct {
	Name        string // of the proxy, when it is one of several
	Left, Right string // names of the sides
	Added       []Change
	Removed     []Change
	Changed     []Change
	Kinds       []Count

	options Options
	value   string // message of what is compared if it is a value
	isValue bool
	plugins map[string]string // see restore
}

// A Count says how many resources of a kind were found to differ.
type Count struct {
	Kind                          resource.Kind
	Compared                      bool // false when one side could not be read
	Same, Added, Removed, Changed int
}

// Empty reports whether there is no difference.
func (d *Diff) Empty() bool { return len(d.Added)+len(d.Removed)+len(d.Changed) == 0 }

// Items gives the resources of a configuration in the order of a diff. The error is that of a body that is not valid JSON.
func Items(c Config) ([]Item, error) {
	items, err := itemsOf(c)
	for i := range items {
		items[i].fill()
	}
	sortItems(items)
	return items, err
}

// itemsOf is Items without entries and without order.
func itemsOf(c Config) ([]Item, error) {
	items := make([]Item, 0, len(c.Resources))
	for _, r := range c.Resources {
		body, err := r.Body()
		if err != nil {
			return nil, fmt.Errorf("comparing %s %s of %s: %w", r.Kind(), r.Name(), c.Name, err)
		}
		items = append(items, Item{Kind: r.Kind(), Name: r.Name(), State: r.State(), Body: body.Raw(), body: body, of: r})
	}
	return items, nil
}

// fill makes the entry. Of most items nobody wants to see it.
func (it *Item) fill() {
	if it.of != nil {
		it.Entry, it.of = entry(it.of), nil
	}
}

func sortItems(items []Item) {
	if !slices.IsSortedFunc(items, compareItems) {
		slices.SortStableFunc(items, compareItems)
	}
}

// compareItems orders items by what they are known by.
func compareItems(a, b Item) int {
	if a.Kind != b.Kind {
		return cmp.Or(cmp.Compare(kindPlace(a.Kind), kindPlace(b.Kind)), cmp.Compare(a.Kind, b.Kind))
	}
	if a.Name != b.Name {
		return cmp.Compare(a.Name, b.Name)
	}
	return cmp.Compare(a.State, b.State)
}

func kindPlace(k resource.Kind) int {
	for i, s := range sections {
		if s.kind == k {
			return i
		}
	}
	return len(sections)
}

// entry makes an object of what a resource says beside its body.
func entry(r *resource.Resource) rawjson.Value {
	w := writer{object: true}
	w.open()
	text := func(w *writer, name, text string) {
		if text != "" {
			w.kid(rawjson.Quote(nil, name), rawjson.Quote(nil, text))
		}
	}
	moment := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339Nano)
	}
	text(&w, "version_info", r.VersionInfo())
	text(&w, "last_updated", moment(r.LastUpdated()))
	text(&w, "client_status", r.ClientStatus())
	if f := r.Failure(); f != nil {
		in := writer{object: true}
		in.open()
		text(&in, "details", f.Details)
		text(&in, "last_update_attempt", moment(f.LastAttempt))
		text(&in, "version_info", f.VersionInfo)
		w.kid(rawjson.Value(`"error_state"`), in.close())
	}
	return w.close()
}

// Compare tells how the configuration on the right differs from the one on the left. The error is that of a body that is not valid JSON
// or of a path in Options.Ignore.
func Compare(left, right Config, o Options) (*Diff, error) {
	e, err := newEngine(o)
	if err != nil {
		return nil, err
	}
	return e.configs(left, right)
}

// CompareItems is Compare for items.
func CompareItems(left, right []Item, o Options) (*Diff, error) {
	e, err := newEngine(o)
	if err != nil {
		return nil, err
	}
	return e.items(slices.Clone(left), slices.Clone(right), nil), nil
}

// An engine compares, and remembers what it has found for two bodies: proxies of one mesh share them.
type engine struct {
	options Options
	c       *comparer
	entries *patterns
	bodies  *patterns
	known   map[[2]*resource.Body]found
}

// found is how two bodies differ.
type found struct{ edits []Edit }

func newEngine(o Options) (*engine, error) {
	e := &engine{options: o, c: newComparer(o), known: map[[2]*resource.Body]found{}}
	var texts []string
	if !o.Exact {
		for _, r := range Ignored {
			texts = append(texts, r.What)
		}
		texts = append(texts, o.Ignore...)
	} else if _, err := newPatterns(o.Ignore); err != nil {
		return nil, err
	}
	var err error
	if e.entries, err = newPatterns(texts); err != nil {
		return nil, err
	}
	var bodies []string
	for _, text := range texts {
		if text != "entry" && !bytes.HasPrefix([]byte(text), []byte("entry.")) {
			bodies = append(bodies, text)
		}
	}
	e.bodies, err = newPatterns(bodies)
	return e, err
}

// node reads a value and finds out what counts of it.
func (e *engine) node(v rawjson.Value, message string) *node {
	c := e.c
	n := c.read(v, c.message(message))
	if !c.exact {
		c.ignore = e.bodies.within(v)
		c.hide(n, c.ignore.start())
	}
	c.weigh(n)
	return n
}

// edits gives the differences between the bodies of two items.
func (e *engine) edits(left, right *Item) []Edit {
	var edits []Edit
	if e.options.Exact || left.State == resource.Error || right.State == resource.Error {
		left.fill()
		right.fill()
		edits = e.entry(left, right)
	}
	if bytes.Equal(left.Body, right.Body) {
		return edits
	}
	if left.body == nil || right.body == nil {
		return append(edits, e.values(left.Body, right.Body, messageOf(left))...)
	}
	key := [2]*resource.Body{left.body, right.body}
	f, ok := e.known[key]
	if !ok {
		if e.options.Exact || left.body.Canonical() != right.body.Canonical() {
			f.edits = e.values(left.Body, right.Body, messageOf(left))
		}
		e.known[key] = f
	}
	return append(edits, f.edits...)
}

// values gives the differences between two values.
func (e *engine) values(left, right rawjson.Value, message string) []Edit {
	return e.c.edits(e.node(left, message), e.node(right, message))
}

// entry gives the differences between what the dumps say of two items.
func (e *engine) entry(left, right *Item) []Edit {
	if bytes.Equal(left.Entry, right.Entry) {
		return nil
	}
	edits := e.c.edits(e.entryNode(left.Entry), e.entryNode(right.Entry))
	for i := range edits {
		edits[i].entry = true
		if edits[i].Path == "." {
			edits[i].Path = "entry"
		} else {
			edits[i].Path = "entry." + edits[i].Path
		}
	}
	return edits
}

// entryNode reads what a dump says of an item.
func (e *engine) entryNode(v rawjson.Value) *node {
	c := e.c
	n := c.read(v, unknown)
	if !c.exact {
		c.ignore = e.entries
		at, ignored := c.ignore.next(nil, c.ignore.start(), func() step { return step{text: "entry"} })
		if ignored {
			return &node{zero: true}
		}
		c.hide(n, at)
	}
	c.weigh(n)
	return n
}

// messages are what bodies without @type are.
var messages = map[resource.Kind]string{
	resource.Cluster:      "envoy.config.cluster.v3.Cluster",
	resource.Listener:     "envoy.config.listener.v3.Listener",
	resource.RouteConfig:  "envoy.config.route.v3.RouteConfiguration",
	resource.Endpoint:     "envoy.config.endpoint.v3.ClusterLoadAssignment",
	resource.Secret:       "envoy.extensions.transport_sockets.tls.v3.Secret",
	resource.Bootstrap:    "envoy.config.bootstrap.v3.Bootstrap",
	resource.ScopedRoutes: "envoy.admin.v3.ScopedRoutesConfigDump.InlineScopedRouteConfigs",
	resource.Extension:    "envoy.config.core.v3.TypedExtensionConfig",
}

// messageOf gives the message of an item's body; "" when its @type says so.
func messageOf(i *Item) string {
	if i.Kind == "" || i.Body.Get("@type").Exists() {
		return ""
	}
	return messages[i.Kind]
}

func (e *engine) configs(left, right Config) (*Diff, error) {
	l, err := itemsOf(left)
	if err != nil {
		return nil, err
	}
	r, err := itemsOf(right)
	if err != nil {
		return nil, err
	}
	d := e.items(l, r, append(slices.Clone(left.Missing), right.Missing...))
	d.Left, d.Right = left.Name, right.Name
	return d, nil
}

// items compares two lists of items, which it may change.
func (e *engine) items(left, right []Item, missing []resource.Kind) *Diff {
	if e.options.Desired {
		right = received(right)
		missing = append(missing, resource.Bootstrap)
	}
	d := &Diff{options: e.options}
	if !e.options.Exact {
		d.plugins = plugins(right)
		ours := plugins(left)
		restore(left, d.plugins)
		restore(right, ours)
	}
	sortItems(left)
	sortItems(right)
	count := func(k resource.Kind) *Count {
		if n := len(d.Kinds); n > 0 && d.Kinds[n-1].Kind == k {
			return &d.Kinds[n-1]
		}
		d.Kinds = append(d.Kinds, Count{Kind: k, Compared: !slices.Contains(missing, k)})
		return &d.Kinds[len(d.Kinds)-1]
	}
	for len(left)+len(right) > 0 {
		// The items of one kind, name and state.
		var first Item
		if len(right) == 0 || len(left) > 0 && compareItems(left[0], right[0]) <= 0 {
			first = left[0]
		} else {
			first = right[0]
		}
		l, r := run(left, first), run(right, first)
		left, right = left[len(l):], right[len(r):]
		n := count(first.Kind)
		if !n.Compared {
			continue
		}
		e.group(d, n, l, r)
	}
	return d
}

// run gives the items at the start of a list that are known by the same as first.
func run(items []Item, first Item) []Item {
	n := 0
	for n < len(items) && compareItems(items[n], first) == 0 {
		n++
	}
	return items[:n]
}

// group compares items of one kind, name and state. Where there are several, those with equal bodies belong together, then those
// with the same place among the rest.
func (e *engine) group(d *Diff, n *Count, left, right []Item) {
	switch {
	case e.options.Desired && n.Kind == resource.Endpoint && len(left) == 1 && len(right) > 1:
		// Clusters that share an EDS service have an entry each; all were sent the same.
		if i := slices.IndexFunc(right, func(it Item) bool { return len(e.edits(&left[0], &it)) > 0 }); i > 0 {
			right = right[i:]
		}
		right = right[:1]
	case len(left) > 1 || len(right) > 1:
		left, right = e.samePlaces(left, right)
	}
	for i := range max(len(left), len(right)) {
		switch {
		case i >= len(left):
			d.Added = append(d.Added, newChange(Added, nil, &right[i]))
			n.Added++
		case i >= len(right):
			d.Removed = append(d.Removed, newChange(Removed, &left[i], nil))
			n.Removed++
		default:
			edits := e.edits(&left[i], &right[i])
			if len(edits) == 0 {
				n.Same++
				continue
			}
			c := newChange(Changed, &left[i], &right[i])
			c.Edits = edits
			d.Changed = append(d.Changed, c)
			n.Changed++
		}
	}
}

// samePlaces puts items that belong together at the same places of two lists.
func (e *engine) samePlaces(left, right []Item) (l, r []Item) {
	places := map[sum][]int{} // of items on the right, by what they say
	for i := range right {
		s := e.node(right[i].Body, messageOf(&right[i])).sum
		places[s] = append(places[s], i)
	}
	taken := make([]bool, len(right))
	var rest []Item
	for _, it := range left {
		s := e.node(it.Body, messageOf(&it)).sum
		if len(places[s]) == 0 {
			rest = append(rest, it)
			continue
		}
		at := places[s][0]
		places[s], taken[at] = places[s][1:], true
		l, r = append(l, it), append(r, right[at])
	}
	l = append(l, rest...)
	for i, it := range right {
		if !taken[i] {
			r = append(r, it)
		}
	}
	return l, r
}

func newChange(op Op, left, right *Item) Change {
	var it *Item
	for _, side := range [...]*Item{left, right} {
		if side != nil {
			side.fill()
			it = side
		}
	}
	return Change{Kind: it.Kind, Name: it.Name, State: it.State, Op: op, Left: left, Right: right}
}

// Values compares two pieces of JSON. Message is the full name of the message they are the JSON of; "" means that their "@type" says so,
// if they have one. Either may be absent. The Diff has one change at most, of no kind and no name. The error is a
// *rawjson.SyntaxError or that of a path in Options.Ignore.
func Values(left, right rawjson.Value, message string, o Options) (*Diff, error) {
	e, err := newEngine(o)
	if err != nil {
		return nil, err
	}
	d := &Diff{options: o, value: message, isValue: true}
	l, r := Item{}, Item{}
	if l.Body, err = compact(left); err != nil {
		return nil, fmt.Errorf("comparing the left value: %w", err)
	}
	if r.Body, err = compact(right); err != nil {
		return nil, fmt.Errorf("comparing the right value: %w", err)
	}
	if edits := e.values(l.Body, r.Body, message); len(edits) > 0 {
		c := newChange(Changed, &l, &r)
		c.Edits = edits
		d.Changed = append(d.Changed, c)
	}
	return d, nil
}

func compact(v rawjson.Value) (rawjson.Value, error) {
	if len(v) == 0 {
		return nil, nil
	}
	return rawjson.Compact(nil, v)
}
