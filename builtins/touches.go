package builtins

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/origin"
	"github.com/meshlark/meshlark/xds/pattern"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// carriers are the kinds of resources that can be made from an object, by the object's group and kind.
var carriers = map[string][]resource.Kind{
	"/Service":                               {resource.Cluster},
	"/Secret":                                {resource.Secret},
	origin.Networking + "/DestinationRule":   {resource.Cluster},
	origin.Networking + "/ServiceEntry":      {resource.Cluster},
	origin.Networking + "/VirtualService":    {resource.RouteConfig, resource.Listener},
	origin.Networking + "/Gateway":           {resource.RouteConfig, resource.Listener},
	origin.Networking + "/Sidecar":           {resource.Listener},
	origin.Security + "/AuthorizationPolicy": {resource.Listener},
	origin.Extensions + "/WasmPlugin":        {resource.Listener, resource.Extension},
	origin.Extensions + "/TrafficExtension":  {resource.Listener, resource.Extension},
	origin.GatewayAPI + "/Gateway":           {resource.RouteConfig, resource.Listener},
	origin.GatewayAPI + "/HTTPRoute":         {resource.RouteConfig, resource.Listener},
	origin.GatewayAPI + "/GRPCRoute":         {resource.RouteConfig, resource.Listener},
	origin.GatewayAPI + "/TLSRoute":          {resource.Listener},
	origin.GatewayAPI + "/TCPRoute":          {resource.Listener},
}

// carrierQuery asks for all resources of one of those kinds.
func carrierQuery(kind resource.Kind) query {
	q := query{kind: kind, order: byResourceName}
	switch kind {
	case resource.Cluster:
		q.typ, q.order = "Cluster", clusterOrder
	case resource.Listener:
		q.typ, q.order = "Listener", listenerOrder
	case resource.RouteConfig:
		q.typ = "RouteConfig"
	case resource.Secret:
		q.typ = "Secret"
	case resource.Extension:
		q.typ = "Extension"
	}
	return q
}

// touches describes the way from an object to the configuration that was made from it. The type KubernetesObject is being described.
func (b *builder) touches() {
	anyProxy := proxyParam
	anyProxy.KwOnly = false
	b.method("touches", []Param{anyProxy}, "Resources", "The resources of the proxies that were made from it, by the marks that Istio leaves in them: clusters of a DestinationRule, Service or ServiceEntry, "+
		"route tables and listeners of a VirtualService, Gateway or route of the Gateway API, listeners of an AuthorizationPolicy, Sidecar or WasmPlugin, secrets of a Secret. "+
		"An error for kinds that leave no mark, such as EnvoyFilter.", `objects("dr", "reviews")[0].touches().proxies`, touchesMethod)
}

// resources describes collections of resources of several kinds.
func (b *builder) resources() {
	t := b.t.types["Resource"]
	t.columns = []column{
		{Column: Column{Name: "KIND"}, Cell: func(v starlark.Value) string { return KindName(v.(*Object).typ) }},
		{Column: Column{Name: "NAME", Elide: ElideMiddle}, Cell: func(v starlark.Value) string { return resourceName(v.(*Object)) }},
		updatedColumn(),
		versionColumn(),
	}
	b.collection("Resources", "Resource", "Resources of several kinds.")
	link(b, "proxies", "Proxies", "The proxies that have them, each once.", `objects("vs", "reviews")[0].touches().proxies`, func(c *Collection) (starlark.Value, error) {
		out := &Collection{elem: "Proxy", failures: c.failures}
		seen := map[*mesh.Proxy]bool{}
		for _, v := range c.items {
			if p := v.(*Object).proxy; p != nil && !seen[p.p] {
				seen[p.p] = true
				out.items = append(out.items, p)
			}
		}
		return out, nil
	})
}

func touchesMethod(c *Call) (starlark.Value, error) {
	k := c.Recv.(*KubernetesObject)
	kinds := carriers[k.group()+"/"+k.o.Kind]
	if kinds == nil {
		return nil, fmt.Errorf("nothing in a proxy's configuration names the %s that it was made from; it names those of kind %s", k.o.Kind, strings.Join(markedKinds(), ", "))
	}
	m := k.mesh.m
	proxies, failures, err := narrow(c, m)
	if err != nil {
		return nil, err
	}
	if k.several {
		if proxies, err = ownProxies(c.Context(), k, proxies); err != nil {
			return nil, err
		}
	}
	s := newTouchSearch(c.Context(), k)
	out := &Collection{elem: "Resource", failures: slices.Clone(failures)}
	for _, kind := range kinds {
		q := carrierQuery(kind)
		q.keep = func(o *Object) (bool, error) { return s.has(kind, o) }
		found, err := q.all(c.Context(), m, proxies, nil)
		if err != nil {
			return nil, err
		}
		part := *found
		part.elem = out.elem
		joined, err := out.Binary(syntax.PLUS, &part, starlark.Left)
		if err != nil {
			return nil, err
		}
		out = joined.(*Collection)
	}
	return out, nil
}

// ownProxies leaves out the proxies of other clusters that have an object of the same name themselves.
func ownProxies(ctx context.Context, k *KubernetesObject, proxies []*Proxy) ([]*Proxy, error) {
	kind := k.o.Kind
	if g := k.group(); g != "" {
		kind += "." + g
	}
	same, err := k.mesh.m.Objects(ctx, mesh.ObjectQuery{Kind: kind, Name: pattern.Exact(k.o.Name), Namespace: pattern.Exact(k.o.Namespace)})
	if err != nil {
		return nil, err
	}
	var own []*Proxy
	for _, p := range proxies {
		if slices.ContainsFunc(nearObjects(same.Items, p.p), func(o mesh.Object) bool { return o.Source == k.o.Source }) {
			own = append(own, p)
		}
	}
	return own, nil
}

// markedKinds are the kinds of objects that configuration tells of.
func markedKinds() []string {
	var out []string
	for name := range carriers {
		_, kind, _ := strings.Cut(name, "/")
		if !slices.Contains(out, kind) {
			out = append(out, kind)
		}
	}
	slices.Sort(out)
	return out
}

// A touchSearch looks for the marks of an object. Proxies share bodies, so that each body is looked at once.
type touchSearch struct {
	ctx    context.Context
	object *KubernetesObject
	words  [][]byte // one of which a body with a mark contains

	mu       sync.Mutex
	bodies   map[*resource.Body]bool
	gateways map[*mesh.Proxy]map[int]bool
}

func newTouchSearch(ctx context.Context, k *KubernetesObject) *touchSearch {
	s := &touchSearch{ctx: ctx, object: k, bodies: map[*resource.Body]bool{}, gateways: map[*mesh.Proxy]map[int]bool{}}
	if k.o.Kind == "ServiceEntry" {
		for h := range k.raw.Get("spec", "hosts").Elems() {
			s.words = append(s.words, []byte(h.Text()))
		}
	} else {
		s.words = [][]byte{[]byte(k.o.Name)}
	}
	return s
}

func (s *touchSearch) has(kind resource.Kind, o *Object) (bool, error) {
	if kind == resource.Secret {
		refs, err := refsOf(o) // whose namespace can be the proxy's
		return s.named(refs), err
	}
	if s.object.isGateway() && s.serves(kind, o) {
		return true, nil
	}
	body, err := o.stored()
	if err != nil || body == nil {
		return false, err
	}
	s.mu.Lock()
	known, seen := s.bodies[body]
	s.mu.Unlock()
	if seen {
		return known, nil
	}
	raw := body.Raw()
	found := slices.ContainsFunc(s.words, func(w []byte) bool { return bytes.Contains(raw, w) }) && s.named(origin.Of(kind, resourceName(o), raw))
	s.mu.Lock()
	s.bodies[body] = found
	s.mu.Unlock()
	return found, nil
}

// named tells whether one of the refs can mean the object.
func (s *touchSearch) named(refs []origin.Ref) bool {
	return slices.ContainsFunc(refs, func(r origin.Ref) bool {
		return slices.ContainsFunc(r.Candidates(), func(r origin.Ref) bool { return means(r, s.object.o) })
	})
}

// isGateway tells whether it is a Gateway, Istio's or of the Gateway API.
func (k *KubernetesObject) isGateway() bool {
	return k.o.Kind == "Gateway" && (k.group() == origin.Networking || k.group() == origin.GatewayAPI)
}

// gatewayName is the label of the proxies that Istio starts for a Gateway of the Gateway API.
const gatewayName = origin.GatewayAPI + "/gateway-name"

// selects tells whether a Gateway is one of the proxy's, and gives the ports that it asks for.
func (k *KubernetesObject) selects(p *mesh.Proxy) (ports []int64, ok bool) {
	list, port := k.raw.Get("spec", "servers"), []string{"port", "number"}
	if k.group() == origin.GatewayAPI {
		list, port = k.raw.Get("spec", "listeners"), []string{"port"}
		ok = p.Labels[gatewayName] == k.o.Name && p.Namespace == k.o.Namespace
	} else {
		ok = hasLabels(p.Labels, k.raw.Get("spec", "selector"))
	}
	for v := range list.Elems() {
		if n, isPort := v.Get(port...).Int(); isPort {
			ports = append(ports, n)
		}
	}
	return ports, ok
}

// portCarrier tells whether an object is a listener or a route table of a gateway proxy.
func portCarrier(o *Object) bool {
	return o.proxy != nil && o.proxy.p.Type == "router" && !o.isPart() && (o.typ == "Listener" || o.typ == "RouteConfig")
}

// serves tells whether a listener or a route table without a mark is the Gateway's: that of a port that the gateway proxies which it selects
// open for it. Istio names the route table of plain HTTP servers after the port, as several Gateways share it.
func (s *touchSearch) serves(kind resource.Kind, o *Object) bool {
	if !portCarrier(o) {
		return false
	}
	ports := s.gatewayPorts(o.proxy.p)
	if len(ports) == 0 {
		return false
	}
	if kind == resource.Listener {
		l, err := view[listener.Listener](o)
		return err == nil && ports[int(l.Port())]
	}
	rest, ok := strings.CutPrefix(resourceName(o), "http.")
	port, _, _ := strings.Cut(rest, ".") // an address can follow
	n, err := strconv.Atoi(port)
	return ok && err == nil && ports[n]
}

// gatewayPorts are the ports that a gateway proxy opens for the Gateway: those of its servers, translated as the Services of the proxy say.
func (s *touchSearch) gatewayPorts(p *mesh.Proxy) map[int]bool {
	s.mu.Lock()
	ports, known := s.gateways[p]
	s.mu.Unlock()
	if known {
		return ports
	}
	ports = map[int]bool{}
	if asked, ok := s.object.selects(p); ok {
		targets := s.targetPorts(p)
		for _, n := range asked {
			if target := targets[n]; target != 0 {
				n = target
			}
			ports[int(n)] = true
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gateways[p] = ports
	return ports
}

// targetPorts are the ports of the proxy that the ports of its Services lead to. Where Services cannot be read, or name the port, a port is taken to
// lead to itself.
func (s *touchSearch) targetPorts(p *mesh.Proxy) map[int64]int64 {
	services, err := s.object.mesh.m.Objects(s.ctx, mesh.ObjectQuery{Kind: "Service", Namespace: pattern.Exact(p.Namespace)})
	if err != nil {
		return nil
	}
	targets := map[int64]int64{}
	for _, service := range services.Items {
		selector := service.JSON.Get("spec", "selector")
		if selector.Len() == 0 || !hasLabels(p.Labels, selector) {
			continue
		}
		for port := range service.JSON.Get("spec", "ports").Elems() {
			n, _ := port.Get("port").Int()
			target, ok := port.Get("targetPort").Int()
			if ok && targets[n] == 0 {
				targets[n] = target
			}
		}
	}
	return targets
}

// hasLabels tells whether every label of a selector is there.
func hasLabels(labels map[string]string, selector rawjson.Value) bool {
	for k, v := range selector.Members() {
		if have, ok := labels[k]; !ok || have != v.Text() {
			return false
		}
	}
	return true
}
