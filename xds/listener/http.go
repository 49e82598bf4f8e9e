package listener

import (
	"strings"

	"github.com/meshlark/meshlark/xds/extension"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/route"
)

// An HTTPManager is an HTTP connection manager filter.
type HTTPManager struct {
	body    rawjson.Fields
	filters []HTTPFilter // nil when they are looked up in the body
}

func newHTTPManager(v rawjson.Value) HTTPManager { return HTTPManager{body: rawjson.NewFields(v)} }

// keep gives the same view with its fields found and its filters read beforehand.
func (m HTTPManager) keep() HTTPManager {
	return HTTPManager{m.body.Index(2), m.Filters()}
}

// Body is the JSON the view reads.
func (m HTTPManager) Body() rawjson.Value { return m.body.Value() }

// Fields are those of the connection manager, for looking up what the view has no method for.
func (m HTTPManager) Fields() rawjson.Fields { return m.body }

// StatPrefix is what its statistics are named by.
func (m HTTPManager) StatPrefix() string { return m.body.Str("stat_prefix") }

// RouteName is the route table it asks RDS for, "" where it has the table inline or chooses tables by scope.
func (m HTTPManager) RouteName() string { return m.body.Str("rds", "route_config_name") }

// Routes is the inline route table; ok is false where there is none.
func (m HTTPManager) Routes() (table route.RouteConfig, ok bool) {
	v := m.body.Get("route_config")
	return route.New(v), v.Exists()
}

// A Scopes is how an HTTP connection manager chooses among route tables by the request (SRDS).
type Scopes struct {
	Name   string
	Keys   rawjson.Value   // scope_key_builder: how the key is made from the request
	Inline []rawjson.Value // ScopedRouteConfigurations written here
	// Collection is the collection scopes are asked for by; "" with SRDS that has none, or with inline scopes.
	Collection string
}

// Scopes is how a table is chosen by the request; ok is false where there is one table for all.
func (m HTTPManager) Scopes() (scopes Scopes, ok bool) {
	v := m.body.Get("scoped_routes")
	if !v.Exists() {
		return Scopes{}, false
	}
	scopes = Scopes{
		Name:       v.Str("name"),
		Keys:       v.Get("scope_key_builder"),
		Collection: v.Str("scoped_rds", "srds_resources_locator"),
	}
	for s := range v.Get("scoped_route_configurations_list", "scoped_route_configurations").Elems() {
		scopes.Inline = append(scopes.Inline, s)
	}
	return scopes, true
}

// An HTTPFilter is one filter of an HTTP connection manager.
type HTTPFilter struct {
	extension.Config
	Disabled bool // runs only where a route enables it
	Optional bool // left out by an Envoy that does not know the type
}

// Filters are the HTTP filters in the order requests pass them. They must not be changed.
func (m HTTPManager) Filters() []HTTPFilter {
	if m.filters != nil {
		return m.filters
	}
	var out []HTTPFilter
	for v := range m.body.Get("http_filters").Elems() {
		out = append(out, HTTPFilter{extension.New(v), v.Get("disabled").IsTrue(), v.Get("is_optional").IsTrue()})
	}
	return out
}

func (m HTTPManager) destination() string {
	if table, ok := m.Routes(); ok {
		return inlineDestination(table)
	}
	if name := m.RouteName(); name != "" {
		return "Route: " + name
	}
	return "HTTP"
}

// inlineDestination follows istioctl: a table that sends everything to one cluster is that cluster, any other is listed.
func inlineDestination(table route.RouteConfig) string {
	hosts := table.VirtualHosts()
	if name, ok := onlyCluster(hosts); ok {
		return clusterCell(name)
	}
	texts := make([]string, len(hosts))
	for i, h := range hosts {
		var matches []string
		for _, r := range h.Routes() {
			matches = append(matches, r.Match().Cell())
		}
		texts[i] = strings.Join(matches, ", ")
		if domains := h.Domains(); len(domains) != 1 || domains[0] != "*" {
			if text := strings.Join(domains, "/"); text != "" {
				texts[i] = text + " " + texts[i]
			}
		}
	}
	return "Inline Route: " + strings.Join(texts, "; ")
}

func onlyCluster(hosts []route.VirtualHost) (name string, ok bool) {
	if len(hosts) != 1 {
		return "", false
	}
	domains, routes := hosts[0].Domains(), hosts[0].Routes()
	if len(domains) != 1 || domains[0] != "*" || len(routes) != 1 {
		return "", false
	}
	r := routes[0]
	if kind, path := r.Match().Path(); kind != route.Prefix || path != "/" || r.Action() != route.ToCluster {
		return "", false
	}
	return r.Cluster(), true
}
