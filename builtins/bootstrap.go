package builtins

import (
	"errors"
	"fmt"
	"strings"

	"github.com/meshlark/meshlark/xds/bootstrap"
	"github.com/meshlark/meshlark/xds/extension"
	"github.com/meshlark/meshlark/xds/pattern"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
	"go.starlark.net/starlark"
)

// bootstrap describes Bootstrap, and the resources that are only shown as they
// were sent: scoped routes and extension configuration.
func (b *builder) bootstrap() {
	t := b.typ("Bootstrap", "Resource", "The configuration an Envoy started with.")
	type o = *Object
	type v = bootstrap.Bootstrap
	t.view = func(_ o, raw rawjson.Value) any { return bootstrap.New(raw) }
	t.brief = func(x o) string {
		s, err := view[v](x)
		if err != nil {
			return ""
		}
		return s.Node().ID()
	}
	ex := func(name string) string { return `proxy("productpage-v1").bootstrap().` + name }
	prop(b, "node", "Node", "How the Envoy introduces itself.", ex("node.id"), func(x o, s v) starlark.Value {
		return &Object{typ: "Node", proxy: x.proxy, parent: x, part: orNull(s.Node().Body()), data: s.Node()}
	})
	prop(b, "admin", "string | None", "Where its admin interface listens.", ex("admin"), func(_ o, s v) starlark.Value {
		if a := s.Admin(); !a.IsZero() {
			return text(a.String())
		}
		return starlark.None
	})
	prop(b, "discovery_address", "string", "Where its configuration comes from, \"\" when it does not say.", ex("discovery_address"),
		func(_ o, s v) starlark.Value { return text(s.DiscoveryAddress()) })
	prop(b, "discovery", "list", "The places its configuration comes from: what for, API, cluster and addresses.", ex("discovery"), func(_ o, s v) starlark.Value {
		var out []starlark.Value
		for _, d := range s.Discovery() {
			out = append(out, record("types", textList(d.For), "api", text(d.API), "cluster", text(d.Cluster), "addresses", textList(d.Addresses)))
		}
		return frozenList(out)
	})
	for _, kind := range []string{"listeners", "clusters", "secrets"} {
		prop(b, "static_"+kind, "list", "The names of the "+kind+" it started with.", ex("static_"+kind), func(_ o, s v) starlark.Value { return textList(s.StaticNames(kind)) })
	}
	prop(b, "istio_version", "string", "The version of its Istio, \"\" elsewhere.", ex("istio_version"), func(_ o, s v) starlark.Value { return text(s.Node().IstioVersion()) })
	prop(b, "envoy_version", "string", "The version of its Envoy.", ex("envoy_version"), func(_ o, s v) starlark.Value { return text(s.Node().EnvoyVersion()) })
	prop(b, "runtime_layers", "list", "Its layers of runtime settings: name, kind and values; later ones win.", ex("runtime_layers"), func(_ o, s v) starlark.Value {
		var out []starlark.Value
		for _, l := range s.RuntimeLayers() {
			out = append(out, record("name", text(l.Name), "kind", text(l.Kind), "values", jsonOrNone(l.Values)))
		}
		return frozenList(out)
	})

	b.typ("Node", "Part", "How an Envoy introduces itself to its control plane.")
	type n = bootstrap.Node
	exn := func(name string) string { return `proxy("productpage-v1").bootstrap().node.` + name }
	prop(b, "id", "string", "The node id.", exn("id"), func(_ o, s n) starlark.Value { return text(s.ID()) })
	prop(b, "name", "string", "The node id.", exn("name"), func(_ o, s n) starlark.Value { return text(s.ID()) })
	prop(b, "cluster", "string", "The service it says it belongs to.", exn("cluster"), func(_ o, s n) starlark.Value { return text(s.Cluster()) })
	prop(b, "locality", "string", "Where it runs, as region/zone/subzone.", exn("locality"), func(_ o, s n) starlark.Value { return text(s.Locality()) })
	prop(b, "metadata", "JSONObject | None", "What it tells about itself.", exn("metadata"), func(_ o, s n) starlark.Value { return jsonOrNone(s.Metadata()) })
	prop(b, "build_version", "string", "Envoy's version with label, status, type and TLS library.", exn("build_version"), func(_ o, s n) starlark.Value { return text(s.BuildVersion()) })
	prop(b, "istio_version", "string", "The version of its Istio, \"\" elsewhere.", exn("istio_version"), func(_ o, s n) starlark.Value { return text(s.IstioVersion()) })

	b.cur = b.t.types["Proxy"]
	b.method("bootstrap", nil, "Bootstrap", "The configuration its Envoy started with.", `proxy("productpage-v1").bootstrap()`, func(c *Call) (starlark.Value, error) {
		p := c.Recv.(*Proxy)
		all, err := p.Config().Resources(c.Context(), resource.Bootstrap, pattern.Pattern{})
		if err != nil {
			return nil, err
		}
		if len(all) == 0 {
			return nil, fmt.Errorf("%s: %w", p.p.Name, errNoBootstrap)
		}
		return newResource("Bootstrap", p, all[0]), nil
	})

	b.scopedRoutes()
	b.extensions()
}

// plainListing describes a call of Proxy that gives resources by name and
// state alone.
func (b *builder) plainListing(name string, kind resource.Kind, typ, returns, doc string) {
	b.cur = b.t.types["Proxy"]
	b.method(name, []Param{{Name: "name", Type: "pattern", Default: "None", Doc: "names to keep"}, stateParam}, returns, doc,
		`proxy("productpage-v1").`+name+`()`, func(c *Call) (starlark.Value, error) {
			pat, err := c.Pattern("name")
			if err != nil {
				return nil, err
			}
			return query{kind: kind, typ: typ, name: pat, state: c.Text("state")}.one(c.Context(), c.Recv.(*Proxy))
		})
}

// scopedRoutes describes ScopedRoutes and the call that gives them.
func (b *builder) scopedRoutes() {
	t := b.typ("ScopedRoutes", "Resource", "A set of scopes (SRDS): which route table a request gets, by a key made of the request.")
	type o = *Object
	t.view = func(_ o, raw rawjson.Value) any { return raw }
	prop(b, "scopes", "list", "Its scopes: name, key, and route_config, the name of the table.", `[s.scopes for s in proxy("productpage-v1").scoped_routes()]`,
		func(_ o, raw rawjson.Value) starlark.Value {
			var out []starlark.Value
			for s := range raw.Get("scoped_route_configs").Elems() {
				out = append(out, record("name", text(s.Str("name")), "key", text(scopeKey(s)), "route_config", text(scopeTable(s))))
			}
			return frozenList(out)
		})
	t.columns = []column{
		{Column: Column{Name: "NAME", Elide: ElideMiddle}, Cell: func(x starlark.Value) string { return resourceName(x.(o)) }},
		propColumn[rawjson.Value]("SCOPES", func(raw rawjson.Value) string {
			var out []string
			for s := range raw.Get("scoped_route_configs").Elems() {
				out = append(out, scopeKey(s)+" -> "+scopeTable(s))
			}
			return strings.Join(out, "; ")
		}),
		updatedColumn(),
		versionColumn(),
	}
	t.columns[1].Wide = false
	b.collection("ScopedRoutesList", "ScopedRoutes", "Sets of scopes of a proxy.")
	b.plainListing("scoped_routes", resource.ScopedRoutes, "ScopedRoutes", "ScopedRoutesList", "The sets of scopes that choose among route tables, those in use unless a state is given.")
}

// scopeKey is the key of a ScopedRouteConfiguration, its fragments with commas
// between.
func scopeKey(scope rawjson.Value) string {
	var parts []string
	for f := range scope.Get("key", "fragments").Elems() {
		parts = append(parts, f.Str("string_key"))
	}
	return strings.Join(parts, ",")
}

// scopeTable is the name of the route table of a ScopedRouteConfiguration.
func scopeTable(scope rawjson.Value) string {
	if name := scope.Str("route_configuration_name"); name != "" {
		return name
	}
	return scope.Str("route_configuration", "name")
}

// extensions describes Extension and the call that gives extensions.
func (b *builder) extensions() {
	t := b.typ("Extension", "Resource", "The configuration of one filter, by extension discovery (ECDS).")
	type o = *Object
	t.view = func(_ o, raw rawjson.Value) any { return extension.New(raw) }
	prop(b, "type", "string", "The full name of the protobuf message it is configured by.", `[x.type for x in proxy("productpage-v1").extensions()]`,
		func(_ o, c extension.Config) starlark.Value { return text(c.Type) })
	t.columns = []column{
		{Column: Column{Name: "ECDS NAME", Elide: ElideMiddle}, Cell: func(x starlark.Value) string { return resourceName(x.(o)) }},
		propColumn[extension.Config]("TYPE", func(c extension.Config) string { return c.Type }),
		updatedColumn(),
		versionColumn(),
	}
	t.columns[1].Wide = false
	b.collection("Extensions", "Extension", "Configurations of filters by extension discovery (ECDS).")
	b.plainListing("extensions", resource.Extension, "Extension", "Extensions", "Configurations of filters by extension discovery (ECDS), those in use unless a state is given.")
}

var errNoBootstrap = errors.New("the configuration has no bootstrap; a control plane's view has none, and neither have partial dumps")

func orNull(v rawjson.Value) rawjson.Value {
	if len(v) == 0 {
		return rawjson.Value("null")
	}
	return v
}
