package builtins

import (
	"slices"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/diff"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
)

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
	return resource.Kind(KindName(o.typ))
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
		switch elem {
		case "Endpoint":
			return hostsByCluster(c)
		case "KubernetesObject":
			return writtenByName(c), nil
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
