package builtins

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/origin"
	"github.com/meshlark/meshlark/xds/pattern"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
	"github.com/meshlark/meshlark/xds/route"
	"go.starlark.net/starlark"
)

// origins adds to the type that is being described, Resource or Part, what leads to the objects of Kubernetes that it was made from.
func (b *builder) origins(example string) {
	link(b, "origin_refs", "list", "Which objects of Kubernetes it was made from, by the marks that Istio leaves in it: kind, group, name, namespace, host (of a Service or ServiceEntry) "+
		"and mark, which is what tells: metadata, services, policy (the id of an RBAC policy) or name. Nothing is fetched.", example+`.origin_refs`,
		func(o *Object) (starlark.Value, error) {
			refs, err := refsOf(o)
			if err != nil {
				return nil, err
			}
			out := make([]starlark.Value, len(refs))
			for i, r := range refs {
				out[i] = record("kind", text(r.Kind), "group", text(r.Group), "name", text(r.Name), "namespace", text(r.Namespace), "host", text(r.Host), "mark", text(string(r.Mark)))
			}
			return frozenList(out), nil
		})
	b.method("origins", nil, "KubernetesObjects", "The objects of Kubernetes it was made from, fetched: those of origin_refs that there are. Those of the proxy's own cluster are preferred. "+
		"For listeners and route tables of a gateway's plain ports, which name none, the Gateways that open the port on it are given. "+
		"What Istio leaves no mark of (EnvoyFilter, Telemetry, PeerAuthentication, RequestAuthentication) is not among them.", example+`.origins()`, originsMethod)
}

// refsOf reads which objects an object of a configuration names. A ref without a namespace means the proxy's.
func refsOf(o *Object) ([]origin.Ref, error) {
	refs, err := marksOf(o)
	for i := range refs {
		if refs[i].Namespace == "" && o.proxy != nil {
			refs[i].Namespace = o.proxy.p.Namespace
		}
	}
	return refs, err
}

func marksOf(o *Object) ([]origin.Ref, error) {
	switch v := o.data.(type) {
	case *endpointView:
		return origin.Of(resource.Endpoint, "", clusterNamed(v.cluster)), nil
	case *certificateView:
		o = o.root()
	}
	raw, err := o.body()
	if err != nil {
		return nil, err
	}
	switch o.typ {
	case "FilterChain":
		v, err := view[listener.Chain](o)
		return origin.Chain(v), err
	case "VirtualHost":
		v, err := view[route.VirtualHost](o)
		return origin.VirtualHost(v), err
	case "Route":
		return origin.Route(raw), nil
	}
	if o.isPart() && o.typ != "RouteConfig" { // which can be written into a listener
		return nil, nil
	}
	return origin.Of(objectKind(o), resourceName(o), raw), nil
}

// clusterNamed is the endpoint assignment of a cluster, as far as its name tells.
func clusterNamed(name string) rawjson.Value {
	return append(rawjson.Quote([]byte(`{"cluster_name":`), name), '}')
}

// How many objects of one kind and namespace are got one by one, and how many namespaces are asked one by one; beyond it, what they are among is
// listed.
const (
	mostNames      = 3
	mostNamespaces = 16
)

func originsMethod(c *Call) (starlark.Value, error) {
	return originsOf(c, []*Object{c.Recv.(*Object)})
}

// collectionOrigins answers origins() for the elements of a collection together.
func collectionOrigins(c *Call) (starlark.Value, error) {
	xs := c.Recv.(*Collection)
	var objs []*Object
	for _, v := range xs.items {
		o, ok := v.(*Object)
		if !ok {
			return nil, fmt.Errorf("nothing tells what a %s was made from; a proxy's clusters, listeners, routes and secrets do", KindName(xs.elem))
		}
		objs = append(objs, o)
	}
	out, err := originsOf(c, objs)
	if err == nil {
		out.failures = slices.Concat(xs.failures, out.failures)
	}
	return out, err
}

// An originSearch finds the objects that configuration of one mesh was made from.
type originSearch struct {
	call  *Call
	mesh  *mesh.Mesh
	found []mesh.Object
	out   *Collection
	seen  map[[4]string]bool // kind, name, namespace, source
}

// originsOf gives the objects that some parts of configuration were made from, each once.
func originsOf(c *Call, objs []*Object) (*Collection, error) {
	out := newCollection("KubernetesObject", nil)
	var m *mesh.Mesh
	var refs []origin.Ref
	byObject := make([][]origin.Ref, len(objs))
	gateways := false
	for i, o := range objs {
		var err error
		if byObject[i], err = refsOf(o); err != nil {
			return nil, err
		}
		for _, r := range byObject[i] {
			if !slices.ContainsFunc(refs, r.Same) {
				refs = append(refs, r)
			}
		}
		gateways = gateways || portCarrier(o)
		if m == nil && o.proxy != nil {
			m = o.proxy.p.Mesh()
		}
	}
	queries := originQueries(refs)
	if gateways {
		queries = append(queries, mesh.ObjectQuery{Kind: "Gateway." + origin.Networking}, mesh.ObjectQuery{Kind: "Gateway." + origin.GatewayAPI})
	}
	if len(queries) == 0 {
		return out, nil
	}
	if m == nil {
		var err error
		if m, err = c.mesh(); err != nil {
			return nil, err
		}
	}
	results, err := m.FindObjects(c.Context(), queries)
	if err != nil {
		return nil, err
	}
	s := &originSearch{call: c, mesh: m, out: out, seen: map[[4]string]bool{}}
	for _, res := range results {
		s.found = append(s.found, res.Items...)
		for _, f := range res.Failures {
			if !slices.ContainsFunc(out.failures, func(g mesh.Failure) bool { return sameFailure(f, g) }) {
				out.failures = append(out.failures, f)
			}
		}
	}
	var missing []string
	for i, o := range objs {
		for _, name := range s.add(o, byObject[i]) {
			if !slices.Contains(missing, name) {
				missing = append(missing, name)
			}
		}
	}
	if len(missing) > 0 {
		c.note("not found in " + m.Name() + ": " + strings.Join(missing, ", "))
	}
	return out, nil
}

// add adds the objects that the refs of a part of configuration mean, and gives the refs for which there is none.
func (s *originSearch) add(o *Object, refs []origin.Ref) (missing []string) {
	near := func(objects []mesh.Object) []mesh.Object {
		if o.proxy == nil {
			return objects
		}
		return nearObjects(objects, o.proxy.p)
	}
	for _, ref := range refs {
		objects := near(objectsNamed(ref, s.found))
		if len(objects) == 0 {
			missing = append(missing, ref.String())
		}
		s.put(objects)
	}
	if !portCarrier(o) {
		return missing
	}
	var gateways []mesh.Object
	for _, x := range s.found {
		k := s.value(x)
		if k.isGateway() && newTouchSearch(s.call.Context(), k).serves(objectKind(o), o) {
			gateways = append(gateways, x)
		}
	}
	s.put(near(gateways))
	return missing
}

func (s *originSearch) put(objects []mesh.Object) {
	for _, x := range objects {
		if id := [4]string{x.Kind, x.Name, x.Namespace, x.Source}; !s.seen[id] {
			s.seen[id] = true
			s.out.items = append(s.out.items, s.value(x))
		}
	}
}

func (s *originSearch) value(o mesh.Object) *KubernetesObject {
	return newKubernetesObject(&Mesh{s.mesh, s.call.Context()}, o, s.mesh.Now(s.call.Context()), false)
}

// originQueries ask for the objects that refs can mean.
func originQueries(refs []origin.Ref) []mesh.ObjectQuery {
	type group struct{ kind, namespace string }
	var order []group
	names := map[group][]string{} // "" for one that is not known by its name
	for _, ref := range refs {
		for _, r := range ref.Candidates() {
			g := group{r.Kind, r.Namespace}
			if r.Group != "" {
				g.kind += "." + r.Group
			}
			if names[g] == nil {
				order = append(order, g)
			}
			names[g] = append(names[g], r.Name)
		}
	}
	namespaces := map[string]int{} // by kind
	for _, g := range order {
		namespaces[g.kind]++
	}
	var queries []mesh.ObjectQuery
	for _, g := range order {
		q := mesh.ObjectQuery{Kind: g.kind}
		if namespaces[g.kind] > mostNamespaces {
			if !slices.Contains(queries, q) {
				queries = append(queries, q)
			}
			continue
		}
		if g.namespace != "" {
			q.Namespace = pattern.Exact(g.namespace)
		}
		if len(names[g]) > mostNames || slices.Contains(names[g], "") {
			queries = append(queries, q)
			continue
		}
		for _, name := range names[g] {
			q.Name = pattern.Exact(name)
			queries = append(queries, q)
		}
	}
	return queries
}

// objectsNamed gives the objects that a ref means: of its candidates the first that there is.
func objectsNamed(ref origin.Ref, all []mesh.Object) []mesh.Object {
	for _, r := range ref.Candidates() {
		var found []mesh.Object
		for _, o := range all {
			if means(r, o) && !slices.ContainsFunc(found, func(f mesh.Object) bool {
				return f.Name == o.Name && f.Namespace == o.Namespace && f.Source == o.Source
			}) {
				found = append(found, o)
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

// means tells whether a ref without alternatives names the object.
func means(r origin.Ref, o mesh.Object) bool {
	group, _, ok := strings.Cut(o.APIVersion, "/")
	if !ok {
		group = ""
	}
	if r.Kind != o.Kind || r.Group != group || r.Namespace != "" && r.Namespace != o.Namespace {
		return false
	}
	if r.Name != "" {
		return r.Name == o.Name
	}
	for h := range o.JSON.Get("spec", "hosts").Elems() {
		if h.Text() == r.Host {
			return true
		}
	}
	return false
}

// nearObjects keeps the objects of the sources that the proxy is known from; where none has any, those of the cluster that configures it are meant.
func nearObjects(objects []mesh.Object, p *mesh.Proxy) []mesh.Object {
	sources := strings.Split(p.Source, ", ")
	var near []mesh.Object
	for _, o := range objects {
		if slices.Contains(sources, o.Source) {
			near = append(near, o)
		}
	}
	if len(near) > 0 {
		return near
	}
	return objects
}
