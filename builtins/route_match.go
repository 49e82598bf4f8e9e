package builtins

import (
	"strconv"
	"strings"

	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/route"
	"github.com/meshlark/meshlark/xds/routing"
	"go.starlark.net/starlark"
)

// routeMatch is what a route table makes of a request: what rc.match(...) gives. It is false when no route was found.
type routeMatch struct {
	table   *Object
	request *match.Request
	routing.Result
}

var (
	_ starlark.HasAttrs = (*routeMatch)(nil)
	_ Explained         = (*routeMatch)(nil)
)

// Steps are the decisions in order.
func (m *routeMatch) Steps() []explain.Step { return m.Result.Steps }

func (m *routeMatch) String() string                        { return "<route_match " + clip(m.summary(), 160) + ">" }
func (m *routeMatch) Type() string                          { return "RouteMatch" }
func (m *routeMatch) Freeze()                               {}
func (m *routeMatch) Truth() starlark.Bool                  { return starlark.Bool(m.Found) }
func (m *routeMatch) Hash() (uint32, error)                 { return starlark.String(m.Where + m.summary()).Hash() }
func (m *routeMatch) Attr(n string) (starlark.Value, error) { return attr(m, n) }
func (m *routeMatch) AttrNames() []string                   { return attrNames(m) }
func (m *routeMatch) Item() Item                            { return itemOf(m, "route_match") }

// summary is the outcome in one phrase.
func (m *routeMatch) summary() string {
	switch {
	case m.Code != 0:
		parts := []string{strconv.Itoa(m.Code), m.Flags, m.Details}
		if m.Redirect != "" {
			parts = append(parts, "to "+m.Redirect)
		}
		return strings.Join(strings.Fields(strings.Join(parts, " ")), " ")
	case m.Cluster != "":
		return "to " + m.Cluster
	case len(m.Clusters) > 0:
		return "to " + shareText(m.Clusters)
	default:
		return m.Reason
	}
}

// matched is the route that was found as a value, with its parents.
func (m *routeMatch) matched() starlark.Value {
	if !m.Found || !m.View.Body().Exists() {
		return starlark.None
	}
	host := newPart("VirtualHost", m.table, m.HostView.Body(), m.HostView)
	return newPart("Route", host, m.View.Body(), &routeView{m.View, nil})
}

// headerDict gives header lines as a dict. The values of lines of one name are joined with commas, which is how Envoy's own conditions see
// them.
func headerDict(headers match.Headers) starlark.Value {
	d := starlark.NewDict(len(headers))
	for _, h := range headers {
		value := h.Value
		if old, ok, _ := d.Get(text(h.Name)); ok {
			value = string(old.(starlark.String)) + "," + value
		}
		d.SetKey(text(h.Name), text(value)) // a new dict and a string key: cannot fail
	}
	d.Freeze()
	return d
}

const headersDoc = "names in lower case, values of repeated ones joined with commas"

// routeMatches describes RouteConfig.match and what it gives. The type RouteConfig is the current one.
func (b *builder) routeMatches() {
	b.method("match", noneIsLeftOut([]Param{
		{Name: "method", Type: "string", Default: `"GET"`, Doc: "the request's method"},
		{Name: "host", Type: "string", Default: `""`, Doc: "its host, with the port if it has one"},
		{Name: "path", Type: "string", Default: `"/"`, Doc: "its path, with the query"},
		headersParam,
		{Name: "tls", Type: "bool", Default: "False", Doc: "whether it came by TLS: x-forwarded-proto is https"},
		{Name: "internal", Type: "bool", Default: "False", Doc: "whether it is from inside: x-envoy-internal is true"},
		sourceIPParam, randomParam, runtimeParam, metadataParam, principalParam, filterStateParam,
	}), "RouteMatch", "Which route a request takes through this table and what becomes of it there. None for an argument is as if it were left out. The table is taken by itself: what a connection manager does before (normalising the path, stripping the host's port, discarding headers) is not done, filters are not run, and whether clusters exist is not asked.",
		`proxy("productpage-v1").routes("9080")[0].match(host="reviews:9080", path="/reviews/7", headers={"end-user": "jason"})`, routeMatchMethod)
}

func routeMatchMethod(c *Call) (starlark.Value, error) {
	o := c.Recv.(*Object)
	r, err := requestOf(c)
	if err != nil {
		return nil, err
	}
	proto := r.SchemeOr()
	if r.FilterState, err = stateOf(c); err != nil {
		return nil, err
	}
	if c.Bool("tls") {
		proto = "https"
		r.Connection.TLS, r.Connection.Transport = true, "tls"
	}
	add := func(name, value string) {
		if _, ok := r.Headers.Get(name); !ok {
			r.Headers = append(r.Headers, match.Header{Name: name, Value: value})
		}
	}
	add("x-forwarded-proto", proto)
	if c.Bool("internal") {
		add("x-envoy-internal", "true")
	}
	if o.proxy != nil {
		r.Envoy = match.ParseVersion(o.proxy.p.EnvoyVersion)
	}
	table, err := tableOf(o)
	if err != nil {
		return nil, err
	}
	return &routeMatch{o, r, table.Match(r)}, nil
}

// tableOf is the index of a route table; that of a table with a body of its own is kept.
func tableOf(o *Object) (*routing.Table, error) {
	if !o.isPart() {
		b, err := o.stored()
		if b == nil || err != nil {
			return routing.New(route.RouteConfig{}), err
		}
		return routing.Of(b), nil
	}
	v, err := view[route.RouteConfig](o)
	return routing.New(v), err
}

// routeMatchType describes RouteMatch.
func (b *builder) routeMatchType() {
	b.typ("RouteMatch", "Value", "What a route table makes of a request: what rc.match(...) gives. It is false when no route was found. Texts that mean nothing in a case are \"\".")
	f := func(name, returns, doc string, get func(*routeMatch) starlark.Value) *Entry {
		example := `proxy("productpage-v1").routes("9080")[0].match(host="reviews:9080", path="/reviews/7").` + name
		return field(b, name, returns, doc, example, func(m *routeMatch) (starlark.Value, error) { return get(m), nil })
	}
	f("found", "bool", "Whether a route was found.", func(m *routeMatch) starlark.Value { return starlark.Bool(m.Found) })
	f("virtual_host", "string", "The name of the virtual host, \"\" when none fits the host.", func(m *routeMatch) starlark.Value { return text(m.VirtualHost) })
	f("route", "string", "The name of the route, \"\" for one without; where says which it is.", func(m *routeMatch) starlark.Value { return text(m.Route) })
	f("where", "string", "Where the route is in the table: virtual_hosts[0].routes[2].", func(m *routeMatch) starlark.Value { return text(m.Where) })
	f("action", "string", "What the route does.", func(m *routeMatch) starlark.Value { return text(m.Action) }).enum(routeActions()...)
	f("cluster", "string", "The cluster the request goes to; \"\" when it goes to none, or when weights decide and the random number is not given.",
		func(m *routeMatch) starlark.Value { return text(m.Cluster) })
	f("clusters", "list", "The clusters requests like this one go to: each with name and share, 0 to 1. There are several when weights or fractions decide and the random number is not given.",
		func(m *routeMatch) starlark.Value { return shareList(m.Clusters) })
	f("routes", "list", "The routes requests like this one take, by name and share, when fractions decide and the random number is not given; the fields about the route are then those of the one most of them take.",
		func(m *routeMatch) starlark.Value { return shareList(m.Routes) })
	f("mirrors", "list", "The clusters that get copies: each with name and share.", func(m *routeMatch) starlark.Value { return shareList(m.Mirrors) })
	f("virtual_cluster", "string", "The virtual cluster whose statistics count the request, \"other\" when the virtual host has some and none fits, else \"\".",
		func(m *routeMatch) starlark.Value { return text(m.VirtualCluster) })
	f("path", "string", "The path with the query after rewriting.", func(m *routeMatch) starlark.Value { return text(m.Path) })
	f("host", "string", "The host after rewriting.", func(m *routeMatch) starlark.Value { return text(m.Host) })
	f("redirect", "string", "The location of a redirect.", func(m *routeMatch) starlark.Value { return text(m.Redirect) })
	f("code", "int | None", "The status Envoy answers with, None when a cluster answers.", func(m *routeMatch) starlark.Value {
		if m.Code == 0 {
			return starlark.None
		}
		return starlark.MakeInt(m.Code)
	})
	f("body", "string", "The body Envoy answers with.", func(m *routeMatch) starlark.Value { return text(m.Body) })
	f("flags", "string", "The response flags in the access log, as NR for no route.", func(m *routeMatch) starlark.Value { return text(m.Flags) })
	f("details", "string", "The response code details in the access log.", func(m *routeMatch) starlark.Value { return text(m.Details) })
	f("request_headers", "dict", "The headers of the request as it leaves for the cluster, pseudo-headers such as :path among them ("+headersDoc+"); empty when Envoy answers by itself. Those that the connection manager and the router add of their own are not there.",
		func(m *routeMatch) starlark.Value { return headerDict(m.Leaving(m.request)) })
	f("response_headers", "dict", "The headers that are put on the answer ("+headersDoc+").", func(m *routeMatch) starlark.Value { return headerDict(m.ResponseHeaders) })
	f("removed_headers", "list", "The names of the headers that are taken off the answer.", func(m *routeMatch) starlark.Value { return textList(m.ResponseRemoved) })
	f("reason", "string", "Why it came to this, in one sentence.", func(m *routeMatch) starlark.Value { return text(m.Reason) })
	f("steps", "list", "The decisions in order, each a Step.", func(m *routeMatch) starlark.Value { return stepList(m.Steps()) })
	f("unmodelled", "list", "What could not be decided from the configuration and the request alone.", func(m *routeMatch) starlark.Value { return textList(m.Unmodelled) })
	link(b, "matched", "Route | None", "The route that was found, as a value.", `proxy("productpage-v1").routes("9080")[0].match(host="reviews:9080", path="/reviews/7").matched`,
		func(m *routeMatch) (starlark.Value, error) { return m.matched(), nil })
}
