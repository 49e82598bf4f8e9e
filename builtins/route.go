package builtins

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/meshlark/meshlark/xds/pattern"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
	"github.com/meshlark/meshlark/xds/route"
	"go.starlark.net/starlark"
)

const clusterNamesDoc = "The names of the clusters it names anywhere, whether the proxy has them or not; clusters() gives those it has."

func routeActions() []string {
	return []string{route.ToCluster, route.ToWeightedClusters, route.ToClusterHeader, route.ToClusterPlugin, route.Redirects, route.DirectResponse, route.FilterAction, route.NonForwarding, ""}
}

// routes describes RouteConfig, VirtualHost and Route, and the calls that give
// route tables.
func (b *builder) routes() {
	t := b.typ("RouteConfig", "Resource", "A route table: virtual hosts by domain, each with its routes.")
	type o = *Object
	type v = route.RouteConfig
	t.view = func(_ o, raw rawjson.Value) any { return route.New(raw) }
	t.brief = func(x o) string {
		r, err := view[v](x)
		if err != nil {
			return ""
		}
		return countText(len(r.VirtualHosts()), "VirtualHost")
	}
	ex := func(name string) string { return `[r.` + name + ` for r in proxy("productpage-v1").routes("9080")]` }
	prop(b, "virtual_hosts", "VirtualHosts", "Its virtual hosts in order.", ex("virtual_hosts"), func(x o, r v) starlark.Value { return virtualHosts(x, r) })
	propLink(b, "routes", "Routes", "The routes of all its virtual hosts, in order.", ex("routes"), func(x o, r v) starlark.Value {
		return routesIn(virtualHosts(x, r))
	})
	prop(b, "domains", "list", "The domains of all its virtual hosts.", ex("domains"), func(_ o, r v) starlark.Value {
		var out []string
		for _, h := range r.VirtualHosts() {
			out = append(out, h.Domains()...)
		}
		return textList(out)
	})
	prop(b, "ignores_port", "bool", "Whether a port in the Host header is left out when virtual hosts are matched.", ex("ignores_port"),
		func(_ o, r v) starlark.Value { return starlark.Bool(r.IgnoresPort()) })
	propLink(b, "listener", "Listener | None", "The listener it is written into, None for a table of its own.", ex("listener"), func(x o, _ v) starlark.Value {
		if x.parent != nil {
			return x.parent
		}
		return starlark.None
	})
	prop(b, "cluster_names", "list", clusterNamesDoc, ex("cluster_names"), func(_ o, r v) starlark.Value { return textList(r.Clusters()) })
	b.method("clusters", nil, "Clusters", "The clusters it names anywhere, as the proxy has them.", `proxy("productpage-v1").routes("9080")[0].clusters()`,
		func(c *Call) (starlark.Value, error) {
			r, err := view[v](c.Recv.(o))
			if err != nil {
				return nil, err
			}
			return clustersNamed(c.Context(), c.Recv.(o), r.Clusters())
		})
	t.columns = []column{
		{Column: Column{Name: "NAME", Elide: ElideMiddle}, Cell: func(x starlark.Value) string { return resourceName(x.(o)) }},
		{Column: Column{Name: "VIRTUAL HOSTS", Align: Right}, Cell: func(x starlark.Value) string {
			r, err := view[v](x.(o))
			if err != nil {
				return ""
			}
			return strconv.Itoa(len(r.VirtualHosts()))
		}},
		{Column: Column{Name: "DOMAINS", Elide: ElideEnd}, Cell: func(x starlark.Value) string {
			r, err := view[v](x.(o))
			if err != nil {
				return ""
			}
			var cells []string
			for _, h := range r.VirtualHosts() {
				cells = append(cells, h.DomainsCell())
			}
			return strings.Join(cells, "; ")
		}},
		updatedColumn(),
		versionColumn(),
	}
	b.routeMatches()
	b.collection("RouteConfigs", "RouteConfig", "Route tables of one proxy or several, sorted by name, numbers by value.")
	link(b, "routes", "Routes", "The routes of all of them, in order.", `proxy("productpage-v1").routes().routes`, func(c *Collection) (starlark.Value, error) {
		hosts, err := hostsIn(c)
		if err != nil {
			return nil, err
		}
		return routesIn(hosts), nil
	})
	link(b, "virtual_hosts", "VirtualHosts", "The virtual hosts of all of them, in order.", `proxy("productpage-v1").routes().virtual_hosts`,
		func(c *Collection) (starlark.Value, error) { return hostsIn(c) })

	b.virtualHostType()
	b.routeType()

	b.listing("routes", []Param{
		{Name: "name", Type: "pattern", Default: "None", Doc: "tables to keep, such as 9080"},
		stateParam,
		{Name: "host", Type: "pattern", Default: "None", Doc: "only tables with a virtual host for it; reviews and reviews.default will do, a catch-all does not count"},
	}, "RouteConfigs", "Route tables, those in use unless a state is given. Their routes are in .routes.", `routes("9080", host="reviews")`, func(c *Call) (query, error) {
		q := query{kind: resource.RouteConfig, typ: "RouteConfig", state: c.Text("state"), order: byResourceName}
		var err error
		if q.name, err = c.Pattern("name"); err != nil {
			return q, err
		}
		host, err := c.Pattern("host")
		if err != nil || host.IsAll() {
			return q, err
		}
		q.keep = func(x *Object) (bool, error) {
			r, err := view[v](x)
			return err == nil && r.HostMatch(host) > route.AnyHost, err
		}
		return q, nil
	})
}

func virtualHosts(x *Object, r route.RouteConfig) *Collection {
	out := newCollection("VirtualHost", nil)
	for _, h := range r.VirtualHosts() {
		out.items = append(out.items, newPart("VirtualHost", x, h.Body(), h))
	}
	return out
}

func hostsIn(tables *Collection) (*Collection, error) {
	out := &Collection{elem: "VirtualHost", failures: tables.failures, hidden: tables.hidden}
	for _, x := range tables.items {
		r, err := view[route.RouteConfig](x.(*Object))
		if err != nil {
			return nil, err
		}
		out.items = append(out.items, virtualHosts(x.(*Object), r).items...)
	}
	return out, nil
}

// routeView is a route and the conditions of the matcher tree it stands in, if
// it does.
type routeView struct {
	route.Route
	path []string
}

func routesIn(hosts *Collection) *Collection {
	out := &Collection{elem: "Route", failures: hosts.failures, hidden: hosts.hidden}
	for _, x := range hosts.items {
		h := x.(*Object).data.(route.VirtualHost)
		for _, r := range h.Routes() {
			out.items = append(out.items, newPart("Route", x.(*Object), r.Body(), &routeView{r, nil}))
		}
		for _, r := range h.TreeRoutes() {
			out.items = append(out.items, newPart("Route", x.(*Object), r.Body(), &routeView{r.Route, r.Path}))
		}
	}
	return out
}

func (b *builder) virtualHostType() {
	t := b.typ("VirtualHost", "Part", "A virtual host of a route table: the routes of a set of domains.")
	type o = *Object
	type v = route.VirtualHost
	t.brief = func(x o) string {
		h, _ := view[v](x)
		return h.DomainsCell()
	}
	ex := func(name string) string {
		return `[h.` + name + ` for h in proxy("productpage-v1").routes("9080").virtual_hosts]`
	}
	prop(b, "name", "string", "Its name, for logs and statistics; requests are matched by domain.", ex("name"), func(_ o, h v) starlark.Value { return text(h.Name()) })
	propLink(b, "route_config", "RouteConfig", "The route table it belongs to.", ex("route_config"), func(x o, _ v) starlark.Value { return x.parent })
	prop(b, "domains", "list", "The hosts it serves, as written.", ex("domains"), func(_ o, h v) starlark.Value { return textList(h.Domains()) })
	prop(b, "require_tls", "string", "Which requests without TLS are redirected: NONE, EXTERNAL_ONLY or ALL.", ex("require_tls"),
		func(_ o, h v) starlark.Value { return text(h.RequireTLS()) }).enum("NONE", "EXTERNAL_ONLY", "ALL")
	prop(b, "routes", "Routes", "Its routes in the order they are tried.", ex("routes"), func(x o, _ v) starlark.Value {
		return routesIn(newCollection("VirtualHost", []starlark.Value{x}))
	})
	prop(b, "cluster_names", "list", clusterNamesDoc, ex("cluster_names"), func(_ o, h v) starlark.Value { return textList(h.Clusters()) })
	b.method("clusters", nil, "Clusters", "The clusters it names anywhere, as the proxy has them.", `proxy("productpage-v1").routes("9080").virtual_hosts[0].clusters()`,
		func(c *Call) (starlark.Value, error) {
			h, err := view[v](c.Recv.(o))
			if err != nil {
				return nil, err
			}
			return clustersNamed(c.Context(), c.Recv.(o), h.Clusters())
		})
	t.columns = []column{
		{Column: Column{Name: "ROUTE CONFIG", Priority: 1, Elide: ElideMiddle}, Cell: func(x starlark.Value) string { return resourceName(x.(o).parent) }},
		{Column: Column{Name: "NAME", Elide: ElideMiddle}, Cell: func(x starlark.Value) string { n, _ := nameOf(x); return n }},
		{Column: Column{Name: "DOMAINS", Elide: ElideEnd}, Cell: func(x starlark.Value) string { return x.(o).data.(v).DomainsCell() }},
		{Column: Column{Name: "ROUTES", Align: Right}, Cell: func(x starlark.Value) string {
			h := x.(o).data.(v)
			return strconv.Itoa(len(h.Routes()) + len(h.TreeRoutes()))
		}},
	}
	b.collection("VirtualHosts", "VirtualHost", "Virtual hosts of route tables, in the order of each table.")
	link(b, "routes", "Routes", "The routes of all of them, in order.", `proxy("productpage-v1").routes().virtual_hosts.routes`,
		func(c *Collection) (starlark.Value, error) { return routesIn(c), nil })
}

func (b *builder) routeType() {
	t := b.typ("Route", "Part", "A route: which requests it takes and what becomes of them.")
	type o = *Object
	type v = *routeView
	t.brief = func(x o) string {
		r, _ := view[v](x)
		return r.Match().String() + " -> " + r.Destination()
	}
	ex := func(name string) string {
		return `[r.` + name + ` for r in proxy("productpage-v1").routes("9080").routes]`
	}
	prop(b, "name", "string", "Its name, often \"\".", ex("name"), func(_ o, r v) starlark.Value { return text(r.Name()) })
	propLink(b, "virtual_host", "VirtualHost", "The virtual host it belongs to.", ex("virtual_host"), func(x o, _ v) starlark.Value { return x.parent })
	propLink(b, "route_config", "RouteConfig", "The route table it belongs to.", ex("route_config.name"), func(x o, _ v) starlark.Value { return x.parent.parent })
	prop(b, "match", "string", "What a request has to be, in one line: the path, then everything else.", ex("match"),
		func(_ o, r v) starlark.Value {
			return text(strings.Join(append(slices.Clone(r.path), r.Match().String()), "; "))
		})
	prop(b, "path", "string", "The path alone, in istioctl's words: /p* for a prefix, /p, regex r.", ex("path"), func(_ o, r v) starlark.Value { return text(r.Match().Cell()) })
	prop(b, "headers", "list", "The conditions on headers, each name=match, name!=match, name or !name.", ex("headers"), func(_ o, r v) starlark.Value {
		var out []string
		for _, f := range r.Match().Headers() {
			out = append(out, f.String())
		}
		return textList(out)
	})
	prop(b, "action", "string", "What becomes of the request.", ex("action"), func(_ o, r v) starlark.Value { return text(r.Action()) }).enum(routeActions()...)
	prop(b, "destination", "string", "Where the request goes, in one phrase: a cluster, clusters with shares, a redirect, a response.", ex("destination"),
		func(_ o, r v) starlark.Value { return text(r.Destination()) })
	prop(b, "cluster", "string", "The name of its cluster; \"\" when it has several or none.", ex("cluster"), func(_ o, r v) starlark.Value { return text(r.Cluster()) })
	prop(b, "weighted_clusters", "list", "The clusters it spreads requests over: cluster, weight and share (0 to 1).", ex("weighted_clusters"), func(_ o, r v) starlark.Value {
		var out []starlark.Value
		for _, w := range r.WeightedClusters() {
			out = append(out, record("cluster", text(w.Name), "header", text(w.Header), "weight", uintValue(w.Weight), "share", starlark.Float(w.Share)))
		}
		return frozenList(out)
	})
	prop(b, "mirrors", "list", "Where copies of its requests go: cluster and percent.", ex("mirrors"), func(_ o, r v) starlark.Value {
		var out []starlark.Value
		for _, m := range r.Mirrors() {
			out = append(out, record("cluster", text(m.Cluster), "header", text(m.Header), "percent", starlark.Float(m.Percent)))
		}
		return frozenList(out)
	})
	prop(b, "virtual_service", "string", "The VirtualService (or HTTPRoute) it was made from, as name.namespace.", ex("virtual_service"),
		func(_ o, r v) starlark.Value { return text(r.VirtualService()) })
	prop(b, "timeout", "string", "How long the whole response may take; 15s unless set, 0s for no limit, \"\" when it does not go to a cluster.", ex("timeout"),
		func(_ o, r v) starlark.Value { s, _ := r.Timeout(); return text(s) })
	prop(b, "idle_timeout", "string", "How long nothing may happen, \"\" where the listener's setting holds.", ex("idle_timeout"),
		func(_ o, r v) starlark.Value { return text(r.IdleTimeout()) })
	prop(b, "retries", "struct | None", "Its retry policy (its own, else its virtual host's): on, attempts, per_try_timeout, status_codes.", ex("retries"), func(_ o, r v) starlark.Value {
		p, ok := r.Retry()
		if !ok {
			return starlark.None
		}
		var codes []starlark.Value
		for _, c := range p.StatusCodes {
			codes = append(codes, uintValue(c))
		}
		return record("on", text(p.On), "attempts", uintValue(p.Attempts), "per_try_timeout", text(p.PerTryTimeout), "status_codes", frozenList(codes))
	})
	prop(b, "rewrite", "string", "How the path is changed, \"\" when it is not.", ex("rewrite"), func(_ o, r v) starlark.Value { return text(r.Rewrite().String()) })
	prop(b, "host_rewrite", "string", "How the Host header is changed, \"\" when it is not.", ex("host_rewrite"), func(_ o, r v) starlark.Value { return text(r.HostRewrite().String()) })
	prop(b, "hash_policies", "list", "What ties a request to a host, where the cluster hashes.", ex("hash_policies"), func(_ o, r v) starlark.Value { return textList(r.HashPolicies()) })
	prop(b, "filters", "list", "The names of the HTTP filters that have settings for it.", ex("filters"), func(_ o, r v) starlark.Value { return textList(r.FilterNames()) })
	prop(b, "cluster_names", "list", clusterNamesDoc, ex("cluster_names"), func(_ o, r v) starlark.Value { return textList(r.Clusters()) })
	b.method("clusters", nil, "Clusters", "The clusters it names, mirrors last, as the proxy has them.", `proxy("productpage-v1").routes("9080").routes[0].clusters()`,
		func(c *Call) (starlark.Value, error) {
			r, err := view[v](c.Recv.(o))
			if err != nil {
				return nil, err
			}
			return clustersNamed(c.Context(), c.Recv.(o), r.Clusters())
		})
	col := func(name string, priority int, elide Elide, get func(o, v) string) column {
		return column{Column: Column{Name: name, Priority: priority, Elide: elide}, Cell: func(x starlark.Value) string { return get(x.(o), x.(o).data.(v)) }}
	}
	t.columns = []column{
		col("NAME", 1, ElideMiddle, func(x o, _ v) string { return resourceName(x.parent.parent) }),
		col("VHOST NAME", 3, ElideMiddle, func(x o, _ v) string { n, _ := nameOf(x.parent); return n }),
		col("DOMAINS", 2, ElideEnd, func(x o, _ v) string { return x.parent.data.(route.VirtualHost).DomainsCell() }),
		col("MATCH", 0, ElideEnd, func(_ o, r v) string { return r.Match().String() }),
		col("DESTINATION", 0, ElideEnd, func(_ o, r v) string { return r.Destination() }),
		col("VIRTUAL SERVICE", 4, ElideMiddle, func(_ o, r v) string { return r.VirtualService() }),
		propColumn[v]("TIMEOUT", func(r v) string { s, _ := r.Timeout(); return s }),
		propColumn[v]("RETRIES", func(r v) string {
			if p, ok := r.Retry(); ok {
				return strconv.Itoa(int(p.Attempts))
			}
			return ""
		}),
	}
	b.collection("Routes", "Route", "Routes, in the order they are tried.")
}

// clustersNamed gives the clusters of a proxy by their names, in the order of
// the names. Names the proxy has no cluster for are left out.
func clustersNamed(ctx context.Context, x *Object, names []string) (starlark.Value, error) {
	p, err := x.fetchFrom("clusters")
	if err != nil {
		return nil, err
	}
	out := newCollection("Cluster", nil)
	for _, name := range names {
		found, err := query{kind: resource.Cluster, typ: "Cluster", name: pattern.Exact(name)}.on(ctx, p)
		if err != nil {
			return nil, err
		}
		out.items = append(out.items, found.items...)
	}
	return out, nil
}
