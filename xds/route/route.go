// Package route reads Envoy route tables: virtual hosts, what a route matches, and what becomes of the request.
//
// Views are cheap: they hold the JSON text and look fields up when they are asked for. A body of another shape gives empty
// fields. The package says what is written; which route a request takes is for xds/trace.
package route

import (
	"slices"

	"github.com/meshlark/meshlark/xds/rawjson"
)

// A RouteConfig is one envoy.config.route.v3.RouteConfiguration.
type RouteConfig struct {
	body rawjson.Value

	// Found in one pass: tables have thousands of virtual hosts, and looking for a member means to pass all of them.
	name    string
	hosts   rawjson.Value
	mirrors rawjson.Value
}

// New views v as a RouteConfiguration.
func New(v rawjson.Value) RouteConfig {
	r := RouteConfig{body: v}
	for key, member := range v.Members() {
		switch key {
		case "name":
			r.name = member.Text()
		case "virtual_hosts", "virtualHosts":
			r.hosts = member
		case "request_mirror_policies", "requestMirrorPolicies":
			r.mirrors = member
		}
	}
	return r
}

// Body is the JSON the view reads.
func (r RouteConfig) Body() rawjson.Value { return r.body }

// Name is the table's name.
func (r RouteConfig) Name() string { return r.name }

// VirtualHosts are the virtual hosts in order. Those that VHDS has delivered are among them in a dump.
func (r RouteConfig) VirtualHosts() []VirtualHost {
	var out []VirtualHost // not counted beforehand: they may be megabytes to pass over
	for v := range r.hosts.Elems() {
		out = append(out, VirtualHost{rawjson.NewFields(v), r.mirrors})
	}
	return out
}

// OnDemand reports whether hosts the table does not have are asked for by VHDS when a request comes.
func (r RouteConfig) OnDemand() bool { return r.body.Get("vhds").Exists() }

// IgnoresPort reports whether a port in the Host header is left out when virtual hosts are matched.
func (r RouteConfig) IgnoresPort() bool { return r.body.Get("ignore_port_in_host_matching").IsTrue() }

// ValidatesClusters reports whether Envoy refuses the table when a cluster it names is unknown. ok is false when the table does not
// say: then inline tables are validated and tables from RDS are not.
func (r RouteConfig) ValidatesClusters() (validates, ok bool) {
	v := r.body.Get("validate_clusters")
	return v.IsTrue(), v.Exists()
}

// FilterNames are the HTTP filters, by name, that have settings for the whole table.
func (r RouteConfig) FilterNames() []string {
	return memberNames(r.body.Get("typed_per_filter_config"))
}

// Clusters are the clusters the table names anywhere, each once, in order.
func (r RouteConfig) Clusters() []string {
	var out []string
	seen := map[string]bool{}
	for _, h := range r.VirtualHosts() {
		for _, name := range h.Clusters() {
			if !seen[name] {
				seen[name] = true
				out = append(out, name)
			}
		}
	}
	return out
}

// A VirtualHost is the routes of a set of domains.
type VirtualHost struct {
	body    rawjson.Fields
	mirrors rawjson.Value // of the table it is part of
}

// NewVirtualHost views v as a VirtualHost on its own, as VHDS delivers it.
func NewVirtualHost(v rawjson.Value) VirtualHost { return VirtualHost{body: rawjson.NewFields(v)} }

// Index gives the same view with its fields found beforehand, which pays for a virtual host that is kept.
func (h VirtualHost) Index() VirtualHost {
	h.body = h.body.Index(1)
	return h
}

// Fields are those of the virtual host, for looking up what the view has no method for.
func (h VirtualHost) Fields() rawjson.Fields { return h.body }

// Body is the JSON the view reads.
func (h VirtualHost) Body() rawjson.Value { return h.body.Value() }

// Name is for logs and statistics; requests are matched by domain.
func (h VirtualHost) Name() string { return h.body.Str("name") }

// Domains are the hosts it serves, as written.
func (h VirtualHost) Domains() []string { return texts(h.body.Get("domains")) }

// Routes are the routes in the order they are tried. They are empty for a virtual host with a matcher; see TreeRoutes.
func (h VirtualHost) Routes() []Route {
	list, of := h.body.Get("routes"), h.routeOf()
	out := make([]Route, 0, list.Len())
	for v := range list.Elems() {
		of.body = rawjson.NewFields(v)
		out = append(out, of)
	}
	return out
}

// routeOf is a route without a body, with what routes have from the levels above them.
func (h VirtualHost) routeOf() Route {
	r := Route{mirrors: h.body.Get("request_mirror_policies"), retry: h.body.Get("retry_policy")}
	if r.mirrors.Len() == 0 {
		r.mirrors = h.mirrors
	}
	return r
}

// A TreeRoute is a route that is reached through the matcher of a virtual host. The match of the Route has to hold as well.
type TreeRoute struct {
	Path []string // conditions from the root of the tree, as MatcherLeaf has them
	Route
}

// TreeRoutes are the routes of a virtual host that chooses by a matcher tree instead of a list.
func (h VirtualHost) TreeRoutes() []TreeRoute {
	var out []TreeRoute
	of := h.routeOf()
	add := func(path []string, v rawjson.Value) {
		of.body = rawjson.NewFields(v)
		out = append(out, TreeRoute{path, of})
	}
	for _, leaf := range Leaves(h.body.Get("matcher")) {
		switch {
		case leaf.Action.Is("Route"):
			add(leaf.Path, leaf.Action.Value)
		case leaf.Action.Is("RouteList"):
			for v := range leaf.Action.Value.Get("routes").Elems() {
				add(leaf.Path, v)
			}
		}
	}
	return out
}

// RequireTLS is which requests without TLS are redirected to https: NONE, EXTERNAL_ONLY or ALL.
func (h VirtualHost) RequireTLS() string {
	return enum(h.body.Get("require_tls"), "NONE", "EXTERNAL_ONLY", "ALL")
}

// Retry is the retry policy of routes that have none of their own.
func (h VirtualHost) Retry() (policy Retry, ok bool) { return newRetry(h.body.Get("retry_policy")) }

// FilterNames are the HTTP filters, by name, that have settings for this virtual host.
func (h VirtualHost) FilterNames() []string {
	return memberNames(h.body.Get("typed_per_filter_config"))
}

// Clusters are the clusters the virtual host names anywhere, each once, in order.
func (h VirtualHost) Clusters() []string {
	var out []string
	add := func(names []string) {
		for _, name := range names {
			if !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	for _, r := range h.Routes() {
		add(r.Clusters())
	}
	for _, r := range h.TreeRoutes() {
		add(r.Clusters())
	}
	return out
}

// texts are the elements of a list of strings.
func texts(list rawjson.Value) []string {
	var out []string
	for v := range list.Elems() {
		out = append(out, v.Text())
	}
	return out
}

// memberNames are the keys of an object, sorted: the order of a protobuf map says nothing.
func memberNames(v rawjson.Value) []string {
	var out []string
	for name := range v.Members() {
		out = append(out, name)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
