package builtins

import (
	"cmp"
	"context"
	"strconv"
	"strings"

	"github.com/meshlark/meshlark/xds/endpoint"
	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/naming"
	"github.com/meshlark/meshlark/xds/pattern"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
	"go.starlark.net/starlark"
)

func listenerTypes() []string {
	return []string{listener.HTTP, listener.TCP, listener.HTTPAndTCP, listener.UnknownType}
}

func listenerDirections() []string { return []string{"inbound", "outbound"} }

// listeners describes Listener, its filter chains and the calls that give
// listeners.
func (b *builder) listeners() {
	t := b.typ("Listener", "Resource", "A listener: an address where connections arrive, and the filter chains that take them.")
	t.view = func(_ *Object, raw rawjson.Value) any { return listener.New(raw) }
	t.brief = func(o *Object) string {
		l, err := view[listener.Listener](o)
		if err != nil {
			return ""
		}
		if a := l.Address(); !a.IsZero() && a.String() != l.Name() {
			return l.Type() + " " + a.String()
		}
		return l.Type()
	}
	type o = *Object
	type v = listener.Listener
	ex := func(name string) string {
		return `[l.` + name + ` for l in proxy("productpage-v1").listeners(port=9080)]`
	}
	prop(b, "address", "string", "Where it listens: the IP address, or the whole address of a socket; \"\" for an internal listener.", ex("address"),
		func(_ o, l v) starlark.Value { return text(hostOf(l.Address())) })
	prop(b, "addresses", "list", "All its addresses with their ports.", ex("addresses"), func(_ o, l v) starlark.Value {
		var out []string
		for _, a := range l.Addresses() {
			if !a.IsZero() {
				out = append(out, a.String())
			}
		}
		return textList(out)
	})
	prop(b, "port", "int | None", "Its port, None where there is none.", ex("port"), func(_ o, l v) starlark.Value { return portOrNone(l.Port()) })
	prop(b, "type", "string", "What it takes: HTTP, TCP, HTTP+TCP (chains of both) or UNKNOWN.", ex("type"),
		func(_ o, l v) starlark.Value { return text(l.Type()) }).enum(listenerTypes()...)
	prop(b, "direction", "string", "inbound, outbound or \"\".", ex("direction"),
		func(_ o, l v) starlark.Value { return text(l.Direction()) }).enum(append(listenerDirections(), "")...)
	prop(b, "internal", "bool", "Whether only clusters of the same Envoy can connect to it.", ex("internal"),
		func(_ o, l v) starlark.Value { return starlark.Bool(l.Internal()) })
	prop(b, "bind_to_port", "bool", "Whether it opens its port, rather than taking connections that another listener hands over.", ex("bind_to_port"),
		func(_ o, l v) starlark.Value { return starlark.Bool(l.BindToPort()) })
	prop(b, "use_original_dst", "bool", "Whether it hands connections to the listener of the address they were meant for.", ex("use_original_dst"),
		func(_ o, l v) starlark.Value { return starlark.Bool(l.UseOriginalDst()) })
	prop(b, "config", "string", "The Istio object it was made from, as name.namespace.", ex("config"),
		func(_ o, l v) starlark.Value { return text(naming.Cell(l.Config())) })
	prop(b, "filter_chains", "FilterChains", "Its filter chains in order, the default one last.", ex("filter_chains"), func(x o, l v) starlark.Value { return filterChains(x, l) })
	prop(b, "listener_filters", "list", "The names of the filters that look at a connection before a chain is chosen.", ex("listener_filters"),
		func(_ o, l v) starlark.Value {
			var out []string
			for _, f := range l.ListenerFilters() {
				out = append(out, f.Name)
			}
			return textList(out)
		})
	prop(b, "destinations", "list", "Where its chains lead, in istioctl's words.", ex("destinations"), func(_ o, l v) starlark.Value { return textList(l.Destinations()) })
	prop(b, "route_names", "list", "The names of the route tables its chains ask for.", ex("route_names"), func(_ o, l v) starlark.Value { return textList(l.RouteNames()) })
	prop(b, "secrets", "list", "The names of the secrets its chains need.", ex("secrets"), func(_ o, l v) starlark.Value { return textList(l.Secrets()) })
	b.method("routes", nil, "RouteConfigs", "The route tables its chains use: those they name, and those written into them.",
		`proxy("productpage-v1").listeners(port=9080)[0].routes()`, func(c *Call) (starlark.Value, error) {
			l, err := view[v](c.Recv.(o))
			if err != nil {
				return nil, err
			}
			return routesOf(c.Context(), c.Recv.(o), l.Chains(), l.RouteNames())
		})
	t.expand = func(x starlark.Value) []starlark.Value {
		l, err := view[v](x.(o))
		if err != nil {
			return nil
		}
		return filterChains(x.(o), l).items
	}
	t.columns = []column{
		listenerColumn("NAME", 2, ElideMiddle, func(x o, _ v) string { return resourceName(x) }),
		listenerColumn("ADDRESSES", 0, ElideMiddle, func(_ o, l v) string { return l.AddressCell() }),
		listenerColumn("PORT", 0, ElideNever, func(_ o, l v) string { return strconv.FormatUint(uint64(l.Port()), 10) }),
		listenerColumn("TYPE", 3, ElideNever, func(_ o, l v) string { return l.Type() }),
		chainColumn("MATCH", 1, ElideEnd, func(c listener.Chain) string { return c.Match().Cell() }),
		chainColumn("DESTINATION", 0, ElideEnd, listener.Chain.Destination),
		propColumn[v]("DIRECTION", func(l v) string { return l.Direction() }),
		updatedColumn(),
		versionColumn(),
	}
	t.columns[2].Align = Right
	b.listenerMatches()
	b.collection("Listeners", "Listener", "Listeners of one proxy or several, sorted as istioctl sorts them: by port, address and type.")

	b.filterChainType()

	b.listing("listeners", []Param{
		{Name: "name", Type: "pattern", Default: "None", Doc: "names to keep, such as 0.0.0.0_9080"},
		stateParam,
		{Name: "port", Type: "int", Default: "None", Doc: "the port"},
		{Name: "address", Type: "pattern", Default: "None", Doc: "addresses to keep, with or without the port"},
		{Name: "type", Type: "string", Default: "None", Doc: "what it takes", Enum: listenerTypes()},
		{Name: "direction", Type: "string", Default: "None", Doc: "which way connections go", Enum: listenerDirections()},
	}, "Listeners", "Listeners, those in use unless a state is given.", `listeners(port=9080)`, func(c *Call) (query, error) {
		q := query{kind: resource.Listener, typ: "Listener", state: c.Text("state"), order: listenerOrder}
		var err error
		if q.name, err = c.Pattern("name"); err != nil {
			return q, err
		}
		address, err := c.Pattern("address")
		if err != nil {
			return q, err
		}
		port, hasPort := c.Int("port")
		typ, direction := c.Text("type"), c.Text("direction")
		if !hasPort && address.IsAll() && typ == "" && direction == "" {
			return q, nil
		}
		q.keep = func(o *Object) (bool, error) {
			l, err := view[v](o)
			if err != nil {
				return false, err
			}
			return (!hasPort || port.IsUint64() && port.Uint64() == uint64(l.Port())) &&
				(typ == "" || l.Type() == typ) &&
				(direction == "" || l.Direction() == direction) &&
				hasAddress(l, address), nil
		}
		return q, nil
	})
}

func hostOf(a endpoint.Address) string {
	switch {
	case a.IsZero():
		return ""
	case a.Host != "":
		return a.Host
	default:
		return a.String()
	}
}

func hasAddress(l listener.Listener, p pattern.Pattern) bool {
	if p.IsAll() {
		return true
	}
	for _, a := range l.Addresses() {
		if p.Match(hostOf(a)) || p.Match(a.String()) {
			return true
		}
	}
	return false
}

// listenerOrder is istioctl's: by port, address and type. What cannot be read
// comes last, by name.
func listenerOrder(objs []*Object) {
	type place struct {
		unread        bool
		port          uint32
		address, kind string
	}
	sortByKey(objs, func(o *Object) place {
		l, err := view[listener.Listener](o)
		if err != nil {
			return place{unread: true, address: resourceName(o)}
		}
		return place{port: l.Port(), address: l.AddressCell(), kind: l.Type()}
	}, func(a, b place) int {
		if a.unread != b.unread {
			if a.unread {
				return 1
			}
			return -1
		}
		return cmp.Or(cmp.Compare(a.port, b.port), strings.Compare(a.address, b.address), strings.Compare(a.kind, b.kind))
	})
}

// listenerColumn is a column of the table of listeners, which has a row for
// each filter chain.
func listenerColumn(name string, priority int, elide Elide, get func(*Object, listener.Listener) string) column {
	return column{Column: Column{Name: name, Priority: priority, Elide: elide}, Cell: func(x starlark.Value) string {
		o := x.(*Object).root()
		l, err := view[listener.Listener](o)
		if err != nil {
			return ""
		}
		return get(o, l)
	}}
}

// chainColumn is a column about a filter chain. A listener without any has an
// empty cell.
func chainColumn(name string, priority int, elide Elide, get func(listener.Chain) string) column {
	return column{Column: Column{Name: name, Priority: priority, Elide: elide}, Cell: func(x starlark.Value) string {
		if c, ok := x.(*Object).data.(listener.Chain); ok {
			return get(c)
		}
		return ""
	}}
}

func filterChains(o *Object, l listener.Listener) *Collection {
	out := newCollection("FilterChain", nil)
	for _, c := range l.Chains() {
		out.items = append(out.items, newPart("FilterChain", o, c.Body(), c))
	}
	return out
}

func (b *builder) filterChainType() {
	t := b.typ("FilterChain", "Part", "A filter chain of a listener: which connections it takes and what is done with them.")
	type o = *Object
	type v = listener.Chain
	t.brief = func(x o) string {
		c, _ := view[v](x)
		return c.Match().Cell() + " -> " + c.Destination()
	}
	ex := func(name string) string {
		return `[c.` + name + ` for c in proxy("productpage-v1").listeners(port=9080)[0].filter_chains]`
	}
	prop(b, "name", "string", "Its name, often \"\".", ex("name"), func(_ o, c v) starlark.Value { return text(c.Name()) })
	propLink(b, "listener", "Listener", "The listener it belongs to.", ex("listener"), func(x o, _ v) starlark.Value { return x.parent })
	prop(b, "default", "bool", "Whether it takes the connections no other chain does.", ex("default"), func(_ o, c v) starlark.Value { return starlark.Bool(c.IsDefault()) })
	prop(b, "match", "string", "What a connection has to be, in one line; ALL for no condition.", ex("match"), func(_ o, c v) starlark.Value { return text(c.Match().String()) })
	prop(b, "sni", "list", "The server names it takes.", ex("sni"), func(_ o, c v) starlark.Value { return textList(c.SNI()) })
	prop(b, "alpn", "list", "The application protocols it takes.", ex("alpn"), func(_ o, c v) starlark.Value { return textList(c.ALPN()) })
	prop(b, "transport_protocol", "string", "tls or raw_buffer when it takes only one of them, else \"\".", ex("transport_protocol"),
		func(_ o, c v) starlark.Value { return text(c.Match().TransportProtocol) })
	prop(b, "destination_port", "int | None", "The port a connection has to be meant for.", ex("destination_port"), func(_ o, c v) starlark.Value {
		if p := c.Match().DestinationPort; p != nil {
			return uintValue(*p)
		}
		return starlark.None
	})
	prop(b, "prefix_ranges", "list", "The addresses a connection has to be meant for.", ex("prefix_ranges"), func(_ o, c v) starlark.Value { return textList(c.Match().PrefixRanges) })
	prop(b, "destination", "string", "Where it leads, in istioctl's words.", ex("destination"), func(_ o, c v) starlark.Value { return text(c.Destination()) })
	prop(b, "clusters", "list", "The names of the clusters it names itself; those of route tables from RDS are not there.", ex("clusters"),
		func(_ o, c v) starlark.Value { return textList(c.Clusters()) })
	prop(b, "filters", "list", "Its network filters in order: name, type and kind (http, tcp or \"\").", ex("filters"), func(_ o, c v) starlark.Value {
		var out []starlark.Value
		for _, f := range c.Filters() {
			out = append(out, record("name", text(f.Name), "type", text(f.Type), "kind", text(f.Kind)))
		}
		return frozenList(out)
	})
	prop(b, "http_filters", "list", "The HTTP filters in the order requests pass them: name, type and whether disabled.", ex("http_filters"), func(_ o, c v) starlark.Value {
		var out []starlark.Value
		if m, ok := c.HTTP(); ok {
			for _, f := range m.Filters() {
				out = append(out, record("name", text(f.Name), "type", text(f.Type), "disabled", starlark.Bool(f.Disabled)))
			}
		}
		return frozenList(out)
	})
	prop(b, "rbac", "list", "Its access rules: layer (network or http), action, shadow, and policies by id.", ex("rbac"), func(_ o, c v) starlark.Value {
		var out []starlark.Value
		for _, r := range c.RBAC() {
			var ids []string
			for _, p := range r.Policies {
				ids = append(ids, p.ID)
			}
			out = append(out, record("layer", text(r.Layer), "filter", text(r.Filter), "action", text(r.Action), "shadow", starlark.Bool(r.Shadow), "policies", textList(ids)))
		}
		return frozenList(out)
	})
	prop(b, "tls", "struct | None", "How it terminates TLS: secrets, whether a client certificate is required, and the protocols offered; None without TLS.", ex("tls"),
		func(_ o, c v) starlark.Value {
			ctx, ok := c.TLS()
			if !ok {
				return starlark.None
			}
			least, most := ctx.Versions()
			return record("certificates", textList(ctx.Certificates()), "validation", textList(ctx.Validation()), "require_client_certificate", starlark.Bool(ctx.RequireClientCertificate()),
				"alpn", textList(ctx.ALPN()), "min_version", text(least), "max_version", text(most))
		})
	b.method("routes", nil, "RouteConfigs", "The route tables it uses: the one it names, or the one written into it.",
		`proxy("productpage-v1").listeners(port=9080)[0].filter_chains[0].routes()`, func(c *Call) (starlark.Value, error) {
			x := c.Recv.(o)
			chain, err := view[v](x)
			if err != nil {
				return nil, err
			}
			return routesOf(c.Context(), x, []listener.Chain{chain}, chain.RouteNames())
		})
	t.columns = []column{
		{Column: Column{Name: "LISTENER", Priority: 2, Elide: ElideMiddle}, Cell: func(x starlark.Value) string { return resourceName(x.(o).root()) }},
		chainColumn("NAME", 0, ElideMiddle, v.Name),
		chainColumn("MATCH", 0, ElideEnd, func(c v) string { return c.Match().Cell() }),
		chainColumn("DESTINATION", 0, ElideEnd, v.Destination),
	}
	b.collection("FilterChains", "FilterChain", "Filter chains of listeners, in the order of each listener.")
}

// routesOf gives the route tables of chains: inline ones as parts of their
// chain's listener, the others as the proxy has them by name.
func routesOf(ctx context.Context, x *Object, chains []listener.Chain, names []string) (starlark.Value, error) {
	out := newCollection("RouteConfig", nil)
	for _, c := range chains {
		if m, ok := c.HTTP(); ok {
			if table, ok := m.Routes(); ok {
				out.items = append(out.items, &Object{typ: "RouteConfig", proxy: x.proxy, part: table.Body(), parent: x.root()})
			}
		}
	}
	if len(names) == 0 {
		return out, nil
	}
	p, err := x.fetchFrom("routes")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		found, err := query{kind: resource.RouteConfig, typ: "RouteConfig", name: pattern.Exact(name)}.on(ctx, p)
		if err != nil {
			return nil, err
		}
		out.items = append(out.items, found.items...)
	}
	return out, nil
}
