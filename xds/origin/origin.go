// Package origin tells which objects of Kubernetes a piece of Envoy configuration was made from, as far as the configuration itself
// says so. Istio leaves marks:
//
//   - clusters, routes and some filter chains have metadata filter_metadata.istio.config, the path of a DestinationRule,
//     VirtualService, Sidecar or Gateway;
//   - clusters have metadata filter_metadata.istio.services, the services they stand for; the name of a cluster tells one too;
//   - policies of RBAC filters are called after their AuthorizationPolicy;
//   - route tables of a gateway's HTTPS servers are called after the Gateway, filters of a WasmPlugin after the plugin, and secrets
//     from Kubernetes after the Secret.
//
// Where Istio made an object of its own out of one of the Gateway API, and put that object's name into the mark, the Gateway API's is given.
// EnvoyFilter, Telemetry, PeerAuthentication and RequestAuthentication leave no mark.
package origin

import (
	"regexp"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/naming"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
	"github.com/meshlark/meshlark/xds/route"
)

// The groups of the kinds that Istio makes configuration from. Services and Secrets are of the core group, "".
const (
	Networking = "networking.istio.io"
	Security   = "security.istio.io"
	Extensions = "extensions.istio.io"
	GatewayAPI = "gateway.networking.k8s.io"
)

// Mark is what a piece of configuration names its origin by.
type Mark string

// The marks.
const (
	Metadata Mark = "metadata" // filter_metadata.istio.config
	Services Mark = "services" // filter_metadata.istio.services
	Policy   Mark = "policy"   // the id of an RBAC policy
	Name     Mark = "name"     // the name of the resource or of a filter
)

// A Ref names an object.
type Ref struct {
	Kind      string // VirtualService
	Group     string // "" is the core group
	Name      string // "" for a ServiceEntry, which configuration tells by its host alone
	Namespace string // "" where the configuration does not say: that of the proxy
	Host      string // of a Service or ServiceEntry
	Mark      Mark
}

// String is kind/name.namespace, for messages.
func (r Ref) String() string {
	name := r.Name
	if name == "" {
		name = r.Host
	}
	if r.Namespace != "" {
		name += "." + r.Namespace
	}
	return r.Kind + "/" + name
}

// Candidates are the objects that the ref can mean, the likeliest first. It is more than one where the configuration leaves it open: a route of
// the Gateway API does not tell HTTPRoute from GRPCRoute, and x-cacert is the Secret of that name or else x.
func (r Ref) Candidates() []Ref {
	out := []Ref{r}
	other := r
	switch {
	case r.Kind == "HTTPRoute" && r.Group == GatewayAPI:
		other.Kind = "GRPCRoute"
	case r.Kind == "Secret" && strings.HasSuffix(r.Name, caSuffix):
		other.Name = strings.TrimSuffix(r.Name, caSuffix)
	default:
		return out
	}
	return append(out, other)
}

// caSuffix is what Istio adds to a Secret's name to ask for the authority that clients are verified with.
const caSuffix = "-cacert"

// Same tells whether two refs name the same object, whatever they name it by.
func (r Ref) Same(o Ref) bool {
	return r.Kind == o.Kind && r.Group == o.Group && r.Name == o.Name && r.Namespace == o.Namespace && (r.Name != "" || r.Host == o.Host)
}

// Of gives the refs of a whole resource, those of its parts included, each object once. Other kinds than clusters, listeners, route tables, endpoints
// and secrets have none.
func Of(kind resource.Kind, name string, body rawjson.Value) []Ref {
	switch kind {
	case resource.Cluster:
		return Cluster(body)
	case resource.Listener:
		return Listener(body)
	case resource.RouteConfig:
		return RouteConfig(body)
	case resource.Endpoint:
		return service(nil, body.Str("cluster_name"))
	case resource.Secret:
		return Secret(name)
	case resource.Extension:
		return plugin(nil, name)
	}
	return nil
}

// Cluster gives the DestinationRule that shaped a cluster and the services it stands for.
func Cluster(body rawjson.Value) []Ref {
	var refs []Ref
	marks := body.Get("metadata", "filter_metadata", "istio")
	refs = marked(refs, marks)
	for s := range marks.Get("services").Elems() {
		r := Ref{Kind: "Service", Name: s.Str("name"), Namespace: s.Str("namespace"), Host: s.Str("host"), Mark: Services}
		if r.Name == r.Host {
			// Istio calls the service of a ServiceEntry after its host.
			r.Kind, r.Group, r.Name = "ServiceEntry", Networking, ""
		}
		refs = add(refs, r)
	}
	if !marks.Get("services").Exists() {
		refs = service(refs, body.Str("name"))
	}
	return refs
}

// service adds the Service of Kubernetes that the name of a cluster tells of.
func service(refs []Ref, cluster string) []Ref {
	host := ClusterHost(cluster)
	parts := strings.SplitN(host, ".", 4)
	if len(parts) == 4 && parts[2] == "svc" {
		refs = add(refs, Ref{Kind: "Service", Name: parts[0], Namespace: parts[1], Host: host, Mark: Name})
	}
	return refs
}

// ClusterHost is the service's host in the name of a cluster; "" for a name that is not Istio's.
func ClusterHost(cluster string) string {
	if n, ok := naming.ParseClusterName(cluster); ok {
		return n.Host
	}
	return ""
}

// Listener gives what a listener and its filter chains name.
func Listener(body rawjson.Value) []Ref {
	l := listener.New(body)
	refs := marked(nil, body.Get("metadata", "filter_metadata", "istio"))
	for _, c := range l.Chains() {
		refs = chain(refs, c)
	}
	return refs
}

// Chain gives what a filter chain names: the object of its metadata, the authorization policies of its RBAC filters, plugins, the Gateway of
// the route table that it asks for, and what a route table written into it names.
func Chain(c listener.Chain) []Ref { return chain(nil, c) }

func chain(refs []Ref, c listener.Chain) []Ref {
	refs = marked(refs, c.Body().Get("metadata", "filter_metadata", "istio"))
	for _, rules := range c.RBAC() {
		for _, p := range rules.Policies {
			refs = add(refs, Ref{Kind: "AuthorizationPolicy", Group: Security, Name: p.PolicyID.Name, Namespace: p.PolicyID.Namespace, Mark: Policy})
		}
	}
	for _, f := range c.Filters() {
		refs = plugin(refs, f.Name)
	}
	if m, ok := c.HTTP(); ok {
		for _, f := range m.Filters() {
			refs = plugin(refs, f.Name)
		}
		refs = gateway(refs, m.RouteName())
		if table, ok := m.Routes(); ok {
			refs = routeConfig(refs, table)
		}
	}
	return refs
}

// RouteConfig gives what the routes of a table name, and the Gateway that it is called after.
func RouteConfig(body rawjson.Value) []Ref {
	table := route.New(body)
	return routeConfig(gateway(nil, body.Str("name")), table)
}

func routeConfig(refs []Ref, table route.RouteConfig) []Ref {
	for _, h := range table.VirtualHosts() {
		refs = virtualHost(refs, h)
	}
	return refs
}

// VirtualHost gives what the routes of a virtual host name.
func VirtualHost(h route.VirtualHost) []Ref { return virtualHost(nil, h) }

func virtualHost(refs []Ref, h route.VirtualHost) []Ref {
	refs = marked(refs, h.Body().Get("metadata", "filter_metadata", "istio"))
	for _, r := range h.Routes() {
		refs = marked(refs, r.Body().Get("metadata", "filter_metadata", "istio"))
	}
	for _, r := range h.TreeRoutes() {
		refs = marked(refs, r.Body().Get("metadata", "filter_metadata", "istio"))
	}
	return refs
}

// Route gives the VirtualService, HTTPRoute or the like that a route names.
func Route(body rawjson.Value) []Ref {
	return marked(nil, body.Get("metadata", "filter_metadata", "istio"))
}

// Secret gives the Secret of Kubernetes that the name of a secret tells of: kubernetes://name or kubernetes://namespace/name, which for the
// certificates that clients are verified with may end in -cacert; see Ref.Candidates.
func Secret(name string) []Ref {
	rest, ok := strings.CutPrefix(name, "kubernetes://")
	if !ok {
		rest, ok = strings.CutPrefix(name, "kubernetes-gateway://")
	}
	if !ok {
		return nil
	}
	r := Ref{Kind: "Secret", Name: rest, Mark: Name}
	if namespace, object, two := strings.Cut(rest, "/"); two {
		r.Namespace, r.Name = namespace, object
	}
	return add(nil, r)
}

// marked adds the object that metadata istio.config names.
func marked(refs []Ref, marks rawjson.Value) []Ref {
	config := marks.Str("config")
	name, namespace, kebab, ok := naming.ConfigRef(config)
	if !ok {
		return refs
	}
	group, _, _ := strings.Cut(strings.TrimPrefix(config, "/apis/"), "/")
	return add(refs, ofGatewayAPI(Ref{Kind: kindOf(kebab), Group: group, Name: name, Namespace: namespace, Mark: Metadata}))
}

// generated is what Istio puts into the names of the objects that it makes out of those of the Gateway API.
const generated = "istio-autogenerated-k8s-gateway"

// ofGatewayAPI gives the object of the Gateway API behind one that Istio made: <route>~<number>~istio-autogenerated-k8s-gateway, with
// tcp or tls before the number, and <gateway>~istio-autogenerated-k8s-gateway~<listener>. Older versions of Istio write - for ~.
func ofGatewayAPI(r Ref) Ref {
	if r.Group != Networking || !strings.Contains(r.Name, generated) {
		return r
	}
	before, _, _ := strings.Cut(r.Name, generated)
	switch r.Kind {
	case "Gateway":
		if name := strings.TrimRight(before, "~-"); name != "" {
			r.Group, r.Name = GatewayAPI, name
		}
	case "VirtualService":
		sep := "~"
		if !strings.HasSuffix(before, sep) {
			sep = "-"
		}
		parts := strings.Split(strings.TrimSuffix(before, sep), sep)
		if len(parts) < 2 || strings.Trim(parts[len(parts)-1], "0123456789") != "" {
			return r
		}
		parts = parts[:len(parts)-1]
		kind := "HTTPRoute" // or a GRPCRoute, which the name does not tell
		if last := parts[len(parts)-1]; len(parts) > 1 && (last == "tcp" || last == "tls") {
			kind, parts = strings.ToUpper(last)+"Route", parts[:len(parts)-1]
		}
		r.Kind, r.Group, r.Name = kind, GatewayAPI, strings.Join(parts, sep)
	}
	return r
}

// gateway adds the Gateway that a route table of an HTTPS server is called after: https.<port>.<port name>.<gateway>.<namespace>, and the
// address for a server that binds to one.
func gateway(refs []Ref, table string) []Ref {
	rest, ok := strings.CutPrefix(table, "https.")
	if !ok {
		return refs
	}
	if bound := bindSuffix.FindString(rest); bound != "" {
		rest = strings.TrimSuffix(rest, bound)
	}
	parts := strings.Split(rest, ".")
	n := len(parts)
	if n < 4 || strings.Trim(parts[0], "0123456789") != "" {
		return refs
	}
	return add(refs, ofGatewayAPI(Ref{Kind: "Gateway", Group: Networking, Name: strings.Join(parts[2:n-1], "."), Namespace: parts[n-1], Mark: Name}))
}

// bindSuffix is the address at the end of the name of a route table, IPv4 or IPv6.
var bindSuffix = regexp.MustCompile(`\.(\d+\.\d+\.\d+\.\d+|[0-9a-fA-F]*:[0-9a-fA-F:.]*)$`)

// translated is what Istio puts after the name of the TrafficExtension that it makes out of a WasmPlugin.
const translated = "~istio-translated-wasmplugin"

// plugin adds the WasmPlugin or TrafficExtension that a filter is called after: extensions.istio.io/wasmplugin/<namespace>.<name>. Istio itself has
// misspelt the group.
func plugin(refs []Ref, filter string) []Ref {
	group, rest, _ := strings.Cut(filter, "/")
	if group != Extensions && group != "extenstions.istio.io" {
		return refs
	}
	kind, rest, _ := strings.Cut(rest, "/")
	namespace, name, ok := strings.Cut(rest, ".")
	kinds := map[string]string{"wasmplugin": "WasmPlugin", "trafficextension": "TrafficExtension"}
	if !ok || kinds[kind] == "" {
		return refs
	}
	r := Ref{Kind: kinds[kind], Group: Extensions, Name: name, Namespace: namespace, Mark: Name}
	if plugin, ok := strings.CutSuffix(name, translated); ok {
		r.Kind, r.Name = "WasmPlugin", plugin
	}
	return add(refs, r)
}

// add adds a ref that names something and is not there yet.
func add(refs []Ref, r Ref) []Ref {
	named := r.Name != "" || r.Kind == "ServiceEntry" && r.Host != ""
	if r.Kind == "" || !named {
		return refs
	}
	if slices.ContainsFunc(refs, r.Same) {
		return refs
	}
	return append(refs, r)
}

// kindOf turns virtual-service into VirtualService, http-route into HTTPRoute.
func kindOf(kebab string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(kebab, "-") {
		switch part {
		case "http", "grpc", "tcp", "tls", "udp":
			b.WriteString(strings.ToUpper(part))
		case "":
		default:
			b.WriteString(strings.ToUpper(part[:1]) + part[1:])
		}
	}
	return b.String()
}
