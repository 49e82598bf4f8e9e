package builtins

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/diff"
	"github.com/meshlark/meshlark/xds/pattern"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// minus is the operator - of everything that diff compares: b - a is
// diff(a, b). An operator is told of no evaluation, so what has to be read is
// read for the one that made a side.
func minus(op syntax.Token, x, y starlark.Value, side starlark.Side) (starlark.Value, error) {
	if op != syntax.MINUS || side != starlark.Left {
		return nil, nil
	}
	ctx := context.Background()
	for _, v := range []starlark.Value{x, y} {
		if made := madeIn(v); made != nil && made.Err() == nil {
			ctx = made
			break
		}
	}
	return compare(ctx, y, x, diff.Options{})
}

// madeIn is the context of the evaluation that made a value, nil when that is
// not known.
func madeIn(v starlark.Value) context.Context {
	switch v := v.(type) {
	case *Proxy:
		return v.ctx
	case *Mesh:
		return v.ctx
	case *Object:
		if v.proxy != nil {
			return v.proxy.ctx
		}
	case *Collection:
		if len(v.items) > 0 {
			return madeIn(v.items[0])
		}
	}
	return nil
}

// Binary compares with another proxy.
func (p *Proxy) Binary(op syntax.Token, y starlark.Value, side starlark.Side) (starlark.Value, error) {
	return minus(op, p, y, side)
}

// Binary compares with another mesh.
func (m *Mesh) Binary(op syntax.Token, y starlark.Value, side starlark.Side) (starlark.Value, error) {
	return minus(op, m, y, side)
}

// Binary compares with another object.
func (o *Object) Binary(op syntax.Token, y starlark.Value, side starlark.Side) (starlark.Value, error) {
	return minus(op, o, y, side)
}

// compare finds out how b differs from a. Lists of objects of one type are
// compared as the collections of them.
func compare(ctx context.Context, a, b starlark.Value, o diff.Options) (*Diff, error) {
	for _, v := range []*starlark.Value{&a, &b} {
		if c, ok := CollectionOf(*v); ok {
			*v = c
		}
	}
	if isPopulation(a) || isPopulation(b) {
		return comparePopulations(ctx, a, b, o)
	}
	switch l := a.(type) {
	case *Object:
		if r, ok := b.(*Object); ok && l.typ == r.typ {
			return compareObjects(l, r, o)
		}
	case *Collection:
		r, ok := b.(*Collection)
		if ok && (l.elem == r.elem || len(l.items) == 0 || len(r.items) == 0) {
			return compareCollections(l, r, o)
		}
	}
	return compareJSON(a, b, o)
}

// compareJSON compares the JSON forms of two values.
func compareJSON(a, b starlark.Value, o diff.Options) (*Diff, error) {
	// A resource and a dict, as one writes it, say the same kind of thing; a cluster and a listener do not.
	if isOpaque(a) && isOpaque(b) && a.Type() != b.Type() {
		return nil, fmt.Errorf("cannot compare a %s with a %s: want two of a kind", a.Type(), b.Type())
	}
	l, err := Body(a)
	if err != nil {
		return nil, err
	}
	r, err := Body(b)
	if err != nil {
		return nil, err
	}
	message := ""
	for _, v := range []starlark.Value{a, b} {
		if x, ok := v.(*Object); ok {
			message = messages[x.typ]
		}
	}
	d, err := diff.Values(l, r, message, o)
	if err != nil {
		return nil, err
	}
	return &Diff{one: d}, nil
}

func isOpaque(v starlark.Value) bool {
	switch v.(type) {
	case *Object, *Collection:
		return true
	}
	return false
}

// messages are what the bodies of objects are, where the Envoy API has a
// message for them.
var messages = map[string]string{
	"Cluster":     "envoy.config.cluster.v3.Cluster",
	"Listener":    "envoy.config.listener.v3.Listener",
	"FilterChain": "envoy.config.listener.v3.FilterChain",
	"RouteConfig": "envoy.config.route.v3.RouteConfiguration",
	"VirtualHost": "envoy.config.route.v3.VirtualHost",
	"Route":       "envoy.config.route.v3.Route",
	"Secret":      "envoy.extensions.transport_sockets.tls.v3.Secret",
	"Bootstrap":   "envoy.config.bootstrap.v3.Bootstrap",
	"Node":        "envoy.config.core.v3.Node",
}

// isResource tells whether the objects of a type are whole resources.
func isResource(typ string) bool {
	t := types()[typ]
	return t != nil && t.Base == "Resource"
}

// compareObjects compares two objects of a type, whatever their names are.
func compareObjects(l, r *Object, o diff.Options) (*Diff, error) {
	name, left, right := objectLabels(l, r)
	message := messages[l.typ]
	o.Desired = isDesired(l) && !isDesired(r)
	swap := isDesired(r) && !isDesired(l)
	if swap {
		l, r, o.Desired = r, l, true
	}
	if o.Exact && !l.isPart() && !r.isPart() && resourceName(l) == resourceName(r) && l.stateText() == r.stateText() && !o.Desired {
		// What the dumps say of the resources counts too.
		d, err := compareResources([]*Object{l}, []*Object{r}, o)
		if err != nil {
			return nil, err
		}
		d.Left, d.Right = left, right
		return &Diff{one: d}, nil
	}
	a, err := said(l)
	if err != nil {
		return nil, err
	}
	b, err := said(r)
	if err != nil {
		return nil, err
	}
	d, err := diff.Values(a, b, message, o)
	if err != nil {
		return nil, err
	}
	kind := objectKind(l)
	n := diff.Count{Kind: kind, Compared: true, Same: 1}
	for i := range d.Changed {
		c := &d.Changed[i]
		c.Kind, c.Name, c.State = kind, name, resource.State(l.stateText())
		n.Same, n.Changed = 0, 1
	}
	out := &diff.Diff{Left: left, Right: right, Changed: d.Changed, Kinds: []diff.Count{n}}
	if swap {
		out.Left, out.Right = right, left
		out = inverted(out)
	}
	return &Diff{one: out}, nil
}

// said is the JSON of an object that counts when it is compared: of a live
// host not the counters.
func said(o *Object) (rawjson.Value, error) {
	if o.isPart() {
		if v, ok := o.data.(interface{ identity() rawjson.Value }); ok {
			return v.identity(), nil
		}
	}
	return o.body()
}

// objectKind is the kind under which an object is compared.
func objectKind(o *Object) resource.Kind {
	if o.res != nil {
		return o.res.Kind()
	}
	return resource.Kind(kindName(o.typ))
}

// objectLabels says what the change of an object is called and what its sides
// are.
func objectLabels(l, r *Object) (name, left, right string) {
	name = resourceName(l)
	if other := resourceName(r); other != name {
		return name, name, other
	}
	if l.proxy != nil && r.proxy != nil {
		left, right = proxyLabels(l.proxy, r.proxy)
	}
	return name, left, right
}

func isDesired(o *Object) bool {
	return o.proxy != nil && o.proxy.Config().Side() == mesh.Desired
}

// compareResources compares lists of whole resources by kind, name and state.
func compareResources(l, r []*Object, o diff.Options) (*diff.Diff, error) {
	left, fromDumps := configOf(l)
	right, too := configOf(r)
	if fromDumps && too {
		return diff.Compare(left, right, o)
	}
	a, err := itemsToCompare(l)
	if err != nil {
		return nil, err
	}
	b, err := itemsToCompare(r)
	if err != nil {
		return nil, err
	}
	return diff.CompareItems(a, b, o)
}

// configOf gives the resources of objects. It reports false when some are not
// resources of a proxy: made by a script, or written into a listener.
func configOf(objs []*Object) (diff.Config, bool) {
	var c diff.Config
	for _, o := range objs {
		if o.res == nil {
			return diff.Config{}, false
		}
		c.Resources = append(c.Resources, o.res)
	}
	return c, true
}

func itemsToCompare(objs []*Object) ([]diff.Item, error) {
	items := make([]diff.Item, len(objs))
	for i, o := range objs {
		body, err := o.body()
		if err != nil {
			return nil, err
		}
		items[i] = diff.Item{Kind: objectKind(o), Name: resourceName(o), State: resource.State(o.root().stateText()), Body: body}
	}
	return items, nil
}

// compareCollections compares collections of resources by kind, name and
// state; those of several proxies proxy by proxy.
func compareCollections(l, r *Collection, o diff.Options) (*Diff, error) {
	elem := l.elem
	if len(l.items) == 0 {
		elem = r.elem
	}
	failures := slices.Concat(l.failures, r.failures)
	if !isResource(elem) {
		d, err := compareParts(elem, l, r, o)
		if err != nil {
			return nil, err
		}
		d.failures = failures
		return d, nil
	}
	lefts, rights := byOwner(l), byOwner(r)
	if len(lefts) <= 1 && len(rights) <= 1 {
		var a, b ownedObjects
		if len(lefts) == 1 {
			a = lefts[0]
		}
		if len(rights) == 1 {
			b = rights[0]
		}
		d, err := compareOwned(a, b, o)
		if err != nil {
			return nil, err
		}
		return &Diff{one: d, failures: failures}, nil
	}
	all := &diff.Mesh{}
	for _, a := range lefts {
		i := slices.IndexFunc(rights, func(b ownedObjects) bool { return b.name == a.name })
		if i < 0 {
			all.Removed = append(all.Removed, a.name)
			continue
		}
		d, err := compareOwned(a, rights[i], o)
		if err != nil {
			return nil, err
		}
		rights = slices.Delete(rights, i, i+1)
		if d.Empty() {
			all.Same++
			continue
		}
		d.Name = a.name
		all.Changed = append(all.Changed, d)
	}
	for _, b := range rights {
		all.Added = append(all.Added, b.name)
	}
	return &Diff{all: all, failures: failures}, nil
}

// ownedObjects are the objects of one proxy.
type ownedObjects struct {
	name string
	objs []*Object
}

func byOwner(c *Collection) []ownedObjects {
	var out []ownedObjects
	places := map[string]int{}
	for _, v := range c.items {
		name := owner(v)
		i, ok := places[name]
		if !ok {
			i = len(out)
			places[name] = i
			out = append(out, ownedObjects{name: name})
		}
		out[i].objs = append(out[i].objs, v.(*Object))
	}
	return out
}

func compareOwned(l, r ownedObjects, o diff.Options) (*diff.Diff, error) {
	desired := func(x ownedObjects) bool { return len(x.objs) > 0 && isDesired(x.objs[0]) }
	swap := desired(r) && !desired(l) && len(l.objs) > 0
	o.Desired = swap || desired(l) && !desired(r) && len(r.objs) > 0
	a, b := l, r
	if swap {
		a, b = r, l
	}
	d, err := compareResources(a.objs, b.objs, o)
	if err != nil {
		return nil, err
	}
	if swap {
		d = inverted(d)
	}
	d.Left, d.Right = l.name, r.name
	if len(l.objs) > 0 && len(r.objs) > 0 && l.objs[0].proxy != nil && r.objs[0].proxy != nil {
		d.Left, d.Right = proxyLabels(l.objs[0].proxy, r.objs[0].proxy)
	}
	return d, nil
}

// compareParts compares collections of what is no whole resource: put together
// again as the list that they are in, so that its rules hold.
func compareParts(elem string, l, r *Collection, o diff.Options) (*Diff, error) {
	lists := map[string][2]string{ // the message and its field
		"FilterChain": {messages["Listener"], "filter_chains"},
		"VirtualHost": {messages["RouteConfig"], "virtual_hosts"},
		"Route":       {messages["VirtualHost"], "routes"},
	}
	message := lists[elem][0]
	join := func(c *Collection) (rawjson.Value, error) {
		if elem == "Endpoint" {
			return hostsByCluster(c)
		}
		dst := []byte("[")
		for i, v := range c.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			var err error
			if dst, err = appendBody(dst, v, 0); err != nil {
				return nil, err
			}
		}
		dst = append(dst, ']')
		if message != "" {
			dst = append(append([]byte(`{"`+lists[elem][1]+`":`), dst...), '}')
		}
		return dst, nil
	}
	a, err := join(l)
	if err != nil {
		return nil, err
	}
	b, err := join(r)
	if err != nil {
		return nil, err
	}
	d, err := diff.Values(a, b, message, o)
	if err != nil {
		return nil, err
	}
	return &Diff{one: d}, nil
}

// hostsByCluster gives hosts as an object of objects, by cluster and address.
// In what order they came says nothing.
func hostsByCluster(c *Collection) (rawjson.Value, error) {
	hosts := map[string]map[string]rawjson.Value{}
	for _, v := range c.items {
		e, err := view[*endpointView](v.(*Object))
		if err != nil {
			return nil, err
		}
		if hosts[e.cluster] == nil {
			hosts[e.cluster] = map[string]rawjson.Value{}
		}
		hosts[e.cluster][e.cell()] = e.identity()
	}
	dst := []byte("{")
	for i, cluster := range sortedKeys(hosts) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(rawjson.Quote(dst, cluster), `:{`...)
		for j, address := range sortedKeys(hosts[cluster]) {
			if j > 0 {
				dst = append(dst, ',')
			}
			dst = append(append(rawjson.Quote(dst, address), ':'), hosts[cluster][address]...)
		}
		dst = append(dst, '}')
	}
	return append(dst, '}'), nil
}

// inverted gives the difference in the other direction.
func inverted(d *diff.Diff) *diff.Diff {
	turn := map[diff.Op]diff.Op{diff.Added: diff.Removed, diff.Removed: diff.Added, diff.Changed: diff.Changed}
	all := func(changes []diff.Change) []diff.Change {
		out := slices.Clone(changes)
		for i := range out {
			c := &out[i]
			c.Op, c.Left, c.Right = turn[c.Op], c.Right, c.Left
			c.Edits = slices.Clone(c.Edits)
			for j := range c.Edits {
				e := &c.Edits[j]
				e.Op, e.Left, e.Right = turn[e.Op], e.Right, e.Left
			}
		}
		return out
	}
	out := &diff.Diff{Name: d.Name, Left: d.Right, Right: d.Left, Added: all(d.Removed), Removed: all(d.Added), Changed: all(d.Changed), Kinds: slices.Clone(d.Kinds)}
	for i := range out.Kinds {
		n := &out.Kinds[i]
		n.Added, n.Removed = n.Removed, n.Added
	}
	return out
}

// A population is a set of proxies to compare: one, those of a mesh, or a
// collection of them.
type population struct {
	name     string // what it is called, "" for a collection
	single   bool   // it is one proxy by itself
	proxies  []*Proxy
	failures []mesh.Failure
}

func isPopulation(v starlark.Value) bool {
	switch v := v.(type) {
	case *Proxy, *Mesh:
		return true
	case *Collection:
		return v.elem == "Proxy"
	}
	return false
}

func populationOf(ctx context.Context, v starlark.Value) (population, error) {
	switch v := v.(type) {
	case *Proxy:
		return population{name: v.p.Name, single: true, proxies: []*Proxy{v}}, nil
	case *Mesh:
		p := population{name: v.m.Name()}
		all, err := v.m.Proxies(ctx)
		if err != nil {
			return p, err
		}
		p.failures = all.Failures
		for _, x := range all.Items {
			p.proxies = append(p.proxies, NewProxy(ctx, x))
		}
		return p, nil
	case *Collection:
		if v.elem == "Proxy" || len(v.items) == 0 {
			p := population{failures: v.failures}
			for _, x := range v.items {
				p.proxies = append(p.proxies, x.(*Proxy))
			}
			return p, nil
		}
	}
	return population{}, fmt.Errorf("cannot compare a %s with a proxy or a mesh: want two of a kind", v.Type())
}

// comparePopulations compares proxies. One against one are compared whatever
// their names, others by name.
func comparePopulations(ctx context.Context, a, b starlark.Value, o diff.Options) (*Diff, error) {
	l, err := populationOf(ctx, a)
	if err != nil {
		return nil, err
	}
	r, err := populationOf(ctx, b)
	if err != nil {
		return nil, err
	}
	for _, pair := range [][2]*population{{&l, &r}, {&r, &l}} {
		one, many := pair[0], pair[1]
		if !one.single || many.single || len(many.proxies) == 1 {
			continue
		}
		i := slices.IndexFunc(many.proxies, func(p *Proxy) bool { return p.p.Name == one.name })
		if i < 0 {
			return nil, fmt.Errorf("cannot compare %s: no proxy of this name in %s; name the one to compare it with, as in open(...).proxy(name)", one.name, cmp.Or(many.name, "the collection"))
		}
		many.proxies = many.proxies[i : i+1]
	}
	if len(l.proxies) == 1 && len(r.proxies) == 1 {
		d, err := compareProxies(ctx, l.proxies[0], r.proxies[0], o)
		if err != nil {
			return nil, err
		}
		return &Diff{one: d, failures: slices.Concat(l.failures, r.failures)}, nil
	}
	return compareMeshes(ctx, l, r, o)
}

// A direction says which of two sides is what a control plane would send.
type direction int

const (
	alike    direction = iota // both are, or neither
	forward                   // the left one
	backward                  // the right one
)

func directionOf(a, b *Proxy) direction {
	left, right := a.Config().Side() == mesh.Desired, b.Config().Side() == mesh.Desired
	switch {
	case left == right:
		return alike
	case left:
		return forward
	default:
		return backward
	}
}

// proxyLabels tells two proxies, or two sides of one, apart.
func proxyLabels(a, b *Proxy) (left, right string) {
	switch {
	case a.p.Name != b.p.Name:
		return a.p.Name, b.p.Name
	case a.Config().Side() != b.Config().Side():
		return string(a.Config().Side()), string(b.Config().Side())
	case a.p.Source != b.p.Source:
		return a.p.Source, b.p.Source
	default:
		return "", ""
	}
}

// compareProxies compares what two proxies have, or what one should have with
// what it has.
func compareProxies(ctx context.Context, a, b *Proxy, o diff.Options) (*diff.Diff, error) {
	how := directionOf(a, b)
	if how == backward {
		d, err := compareProxies(ctx, b, a, o)
		if err != nil {
			return nil, err
		}
		return inverted(d), nil
	}
	o.Desired = how == forward
	left, right, err := readBoth(ctx, a, b)
	if err != nil {
		return nil, err
	}
	if o.Desired {
		right.Resources = slices.DeleteFunc(right.Resources, ownSecret(left))
	}
	left.Name, right.Name = proxyLabels(a, b)
	return diff.Compare(left, right, o)
}

// readBoth reads two proxies at a time.
func readBoth(ctx context.Context, a, b *Proxy) (left, right diff.Config, err error) {
	kinds := comparedKinds(a, b)
	var errs [2]error
	var wg sync.WaitGroup
	wg.Go(func() { left, errs[0] = a.read(ctx, kinds) })
	wg.Go(func() { right, errs[1] = b.read(ctx, kinds) })
	wg.Wait()
	if errs[0] == nil {
		errs[0] = errs[1]
	}
	return left, right, errs[0]
}

// comparedKinds are the kinds that two proxies are compared by. A control plane
// knows nothing of the others, nor of extensions that the proxy does not ask
// for, which it would take its whole dump to see.
func comparedKinds(a, b *Proxy) []resource.Kind {
	if a.Config().Side() != mesh.Desired && b.Config().Side() != mesh.Desired {
		return resource.Kinds[:]
	}
	kinds := []resource.Kind{resource.Cluster, resource.Listener, resource.RouteConfig, resource.Endpoint, resource.Secret}
	for _, p := range []*Proxy{a, b} {
		if p.p.Sync == nil || p.syncOf("ECDS") != nil {
			return append(kinds, resource.Extension)
		}
	}
	return kinds
}

// ownSecret gives what finds the secrets that a proxy has of its own agent
// rather than of the control plane: certificates of the workload and files. The
// control plane's are named by where it has them from, as kubernetes://NAME.
func ownSecret(desired diff.Config) func(*resource.Resource) bool {
	sent := map[string]bool{}
	for _, r := range desired.Resources {
		if r.Kind() == resource.Secret {
			sent[r.Name()] = true
		}
	}
	return func(r *resource.Resource) bool {
		return r.Kind() == resource.Secret && !sent[r.Name()] && !strings.Contains(r.Name(), "://")
	}
}

// read gives the resources of the side of the configuration that the value
// reads.
func (p *Proxy) read(ctx context.Context, kinds []resource.Kind) (diff.Config, error) {
	var c diff.Config
	config := p.Config()
	fail := func(kind resource.Kind, err error) (diff.Config, error) {
		return diff.Config{}, fmt.Errorf("reading the %s %s of %s: %w", config.Side(), strings.ReplaceAll(kindStage(kind), "_", " "), p.p.Name, err)
	}
	for _, kind := range kinds {
		has, err := config.Has(ctx, kind)
		if err != nil {
			return fail(kind, err)
		}
		if !has {
			c.Missing = append(c.Missing, kind)
			continue
		}
		rs, err := config.Resources(ctx, kind, pattern.Pattern{})
		if err != nil {
			return fail(kind, err)
		}
		c.Resources = append(c.Resources, rs...)
	}
	return c, nil
}

// sidesOf gives a proxy's two sides, or says which cannot be read and what to
// do about it.
func sidesOf(p *Proxy) (desired, actual *Proxy, err error) {
	missing, remedy := mesh.Side(""), ""
	switch {
	case !p.p.Has(mesh.Desired):
		missing, remedy = mesh.Desired, "add its control plane as a source (-s istiod+http://HOST:15014), or compare it with another proxy or an older dump: diff(a, b)"
	case !p.p.Has(mesh.Actual):
		missing, remedy = mesh.Actual, "add its admin address as a source (-s http://HOST:15000), or a dump of it"
	default:
		return p.on(mesh.Desired), p.on(mesh.Actual), nil
	}
	return nil, nil, fmt.Errorf("the %s configuration of %s: %w; %s", missing, p.p.Name, notAvailable(p, missing), remedy)
}

// compareMeshes compares the proxies of two meshes by name. Those that cannot
// be read on one side are left out.
func compareMeshes(ctx context.Context, l, r population, o diff.Options) (*Diff, error) {
	lefts, rights := l.keyed(), r.keyed()
	all := &diff.Mesh{Left: l.name, Right: r.name}
	type pair struct {
		name string
		a, b *Proxy
	}
	pairs := map[*mesh.Proxy]pair{}
	var common []*mesh.Proxy
	for _, name := range sortedKeys(lefts) {
		a, b := lefts[name], rights[name]
		if b == nil {
			all.Removed = append(all.Removed, name)
			continue
		}
		pairs[a.p] = pair{name, a, b}
		common = append(common, a.p)
	}
	for _, name := range sortedKeys(rights) {
		if lefts[name] == nil {
			all.Added = append(all.Added, name)
		}
	}
	out := &Diff{all: all, failures: slices.Concat(l.failures, r.failures)}
	if len(common) == 0 {
		return out, nil
	}
	type sides struct {
		left, right diff.Config
		how         direction
	}
	res, err := mesh.Gather(ctx, common[0].Mesh(), common, "diff", func(ctx context.Context, p *mesh.Proxy) ([]sides, error) {
		x := pairs[p]
		s := sides{how: directionOf(x.a, x.b)}
		var err error
		s.left, s.right, err = readBoth(ctx, x.a, x.b)
		s.left.Name, s.right.Name = x.name, x.name
		return []sides{s}, err
	})
	if err != nil {
		return nil, err
	}
	out.failures = append(out.failures, res.Failures...)
	for _, how := range []direction{alike, forward, backward} {
		var left, right []diff.Config
		for _, s := range res.Items {
			if s.how != how {
				continue
			}
			if how == backward {
				s.left, s.right = s.right, s.left
			}
			if how != alike {
				s.right.Resources = slices.DeleteFunc(s.right.Resources, ownSecret(s.left))
			}
			left, right = append(left, s.left), append(right, s.right)
		}
		o := o
		o.Desired = how != alike
		m, err := diff.Meshes(left, right, o)
		if err != nil {
			return nil, err
		}
		if how == backward {
			for i, d := range m.Changed {
				m.Changed[i] = inverted(d)
			}
		}
		all.Changed, all.Same = append(all.Changed, m.Changed...), all.Same+m.Same
	}
	slices.SortFunc(all.Changed, func(a, b *diff.Diff) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// keyed gives the proxies by name. Several of one name are told apart by their
// cluster, else by their source.
func (p population) keyed() map[string]*Proxy {
	counts := map[string]int{}
	for _, x := range p.proxies {
		counts[x.p.Name]++
	}
	out := map[string]*Proxy{}
	for _, x := range p.proxies {
		name := x.p.Name
		if counts[name] > 1 {
			name += " (" + cmp.Or(x.p.ClusterID, x.p.Source) + ")"
		}
		if out[name] != nil {
			name += " " + x.p.Source
		}
		out[name] = x
	}
	return out
}

// Compare tells how the mesh b differs from a, as diff(a, b) does. The error is
// that of a mesh that cannot be read, or of a path in the options.
func Compare(ctx context.Context, a, b *mesh.Mesh, o diff.Options) (*Diff, error) {
	return compare(ctx, NewMesh(a), NewMesh(b), o)
}

// CompareSides tells how what a proxy has differs from what the control plane
// would send it, as p.diff() does. The error says which side cannot be read.
func CompareSides(ctx context.Context, p *mesh.Proxy, o diff.Options) (*Diff, error) {
	return compareSides(ctx, NewProxy(ctx, p), o)
}

func compareSides(ctx context.Context, p *Proxy, o diff.Options) (*Diff, error) {
	desired, actual, err := sidesOf(p)
	if err != nil {
		return nil, err
	}
	d, err := compareProxies(ctx, desired, actual, o)
	if err != nil {
		return nil, err
	}
	return &Diff{one: d}, nil
}
