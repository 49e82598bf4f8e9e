package trace

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/extension"
	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/rbac"
	"github.com/meshlark/meshlark/xds/route"
	"github.com/meshlark/meshlark/xds/routing"
)

// filters takes the connection through the network filters of a chain.
func (t *tracer) filters(at next, chain listener.Chain, conn match.Connection) *next {
	for _, f := range chain.Filters() {
		switch {
		case f.Kind == listener.KindHTTP:
			manager, _ := chain.HTTP()
			return t.http(at, manager, conn)
		case f.Kind == listener.KindTCP:
			proxy, _ := chain.TCP()
			return t.tcp(at, proxy)
		case f.Is("RBAC"):
			request := &match.Request{Connection: conn, Envoy: at.config.Envoy()}
			for _, d := range rbac.Filter(f.Name, f.Value, request) {
				t.step(d.Step)
				if d.Details != "" {
					return t.end(Verdict{Details: "rbac_deny_close", Reason: d.Reason + ": the connection is closed"})
				}
			}
		case !harmless(f.Config):
			t.mayAnswer(f.Config)
		}
	}
	return t.end(Verdict{Reason: "chain " + chain.Name() + " ends in no filter that is known"})
}

// tcp is for a chain that passes bytes on.
func (t *tracer) tcp(at next, proxy listener.TCPProxy) *next {
	for _, w := range proxy.Clusters() {
		t.hop.Clusters = append(t.hop.Clusters, explain.Share{Name: w.Name, Share: w.Share})
	}
	best := ""
	most := -1.0
	for _, c := range t.hop.Clusters {
		if c.Share > most {
			best, most = c.Name, c.Share
		}
	}
	t.step(explain.Step{Question: "where does the TCP proxy go?", Answer: best})
	return t.cluster(at, best, nil)
}

// http is for a chain with an HTTP connection manager.
func (t *tracer) http(at next, manager listener.HTTPManager, conn match.Connection) *next {
	r := &match.Request{
		Method: cmp.Or(at.request.Method, "GET"), Host: at.request.Host, Path: at.request.Path, Headers: slices.Clone(at.request.Headers),
		Connection: conn, Metadata: at.request.Metadata, Runtime: at.request.Runtime, Random: at.request.Random, Envoy: at.config.Envoy(),
	}
	step, refused := Accept(manager, r)
	t.step(step)
	if refused != nil {
		return t.end(*refused)
	}
	table, step, ok := t.table(at.config, manager, r)
	t.step(step)
	var result routing.Result
	if ok {
		result = table.WithClusters(func(name string) bool { _, ok := at.config.Cluster(name); return ok }).Match(r)
	} else {
		result = routing.Result{Code: 404, Flags: "NR", Details: "route_not_found", Reason: step.Answer}
	}
	t.hop.HTTP = &result
	t.hop.Clusters = result.Clusters
	if result.Found {
		r.RouteMetadata = metadataOf(result.View.Body())
	}
	// Filters run before the router acts on the route, but the route is known to them.
	if v, refused := t.httpFilters(manager, &result, table, r); refused {
		for _, s := range result.Steps {
			t.step(s)
		}
		return t.end(v)
	}
	for _, s := range result.Steps {
		t.step(s)
	}
	if result.Code != 0 {
		return t.end(Verdict{Code: result.Code, Flags: result.Flags, Details: result.Details, Reason: result.Reason})
	}
	name := result.Cluster
	if name == "" {
		most := 0.0
		for _, c := range result.Clusters {
			if c.Share > most {
				name, most = c.Name, c.Share
			}
		}
	}
	at.request.Host, at.request.Path, at.request.Headers = result.Host, result.Path, result.RequestHeaders
	return t.cluster(at, name, result.Criteria)
}

func metadataOf(body rawjson.Value) map[string]any {
	value, err := rawjson.Decode(body.Get("metadata", "filter_metadata"))
	if err != nil {
		return map[string]any{}
	}
	m, _ := value.(map[string]any)
	if m == nil {
		m = map[string]any{}
	}
	return m
}

// httpFilters goes through the HTTP filters up to the router.
func (t *tracer) httpFilters(manager listener.HTTPManager, result *routing.Result, table *routing.Table, r *match.Request) (Verdict, bool) {
	for _, f := range manager.Filters() {
		settings := perRoute(f.Name, result, table)
		typ, value := extension.Any(settings)
		off := strings.HasSuffix(typ, "route.v3.FilterConfig") && value.Get("disabled").IsTrue()
		if off || f.Disabled && !settings.Exists() {
			t.step(explain.Step{Question: "does filter " + f.Name + " run?", Answer: "no: it is disabled here"})
			continue
		}
		switch {
		case f.Is("RBAC"):
			config := f.Value
			if strings.HasSuffix(typ, "RBACPerRoute") {
				if config = value.Get("rbac"); !config.Exists() {
					t.step(explain.Step{Question: "does filter " + f.Name + " run?", Answer: "no: the route turns it off"})
					continue
				}
			}
			for _, d := range rbac.Filter(f.Name, config, r) {
				t.step(d.Step)
				if d.Details != "" {
					return Verdict{Code: d.Code, Details: d.Details, Reason: d.Reason}, true
				}
			}
		case f.Is("Router") || f.Name == "envoy.filters.http.router":
			return Verdict{}, false
		case !harmless(f.Config):
			t.mayAnswer(f.Config)
		}
	}
	return Verdict{}, false
}

// perRoute is the settings of the filter of that name for the route: of the route itself, else of its virtual host, else of its table.
func perRoute(name string, result *routing.Result, table *routing.Table) rawjson.Value {
	levels := []rawjson.Value{result.View.Body(), result.HostView.Body()}
	if table != nil {
		levels = append(levels, table.Config().Body())
	}
	for _, body := range levels {
		for key, v := range body.Get("typed_per_filter_config").Members() {
			if key == name {
				return v
			}
		}
	}
	return nil
}

func (t *tracer) mayAnswer(c extension.Config) {
	name := cmp.Or(c.Name, c.ShortType())
	t.hop.MayAnswer = append(t.hop.MayAnswer, name)
	t.step(explain.Step{Question: "does filter " + name + " answer?", Answer: "it may", Unmodelled: []string{"filter " + name}})
}

// harmless tells the filters that never answer by themselves, by a part of the full name of their type.
func harmless(c extension.Config) bool {
	for _, part := range [...]string{
		".alpn.", ".grpc_stats.", ".header_mutation.", ".header_to_metadata.", ".set_metadata.", ".set_filter_state.", "peer_metadata.", "stats.PluginConfig",
		".grpc_web.", ".compressor.", ".decompressor.", ".tap.", ".on_demand.", "metadataexchange.", ".istio_authn.", ".sni_cluster.", ".credential_injector.",
	} {
		if strings.Contains(c.Type, part) {
			return true
		}
	}
	return false
}

// table is the route table of a connection manager for a request.
func (t *tracer) table(config Config, manager listener.HTTPManager, r *match.Request) (*routing.Table, explain.Step, bool) {
	step := explain.Step{Question: "which route table?"}
	if inline, ok := manager.Routes(); ok {
		step.Answer = "inline: " + cmp.Or(inline.Name(), "without a name")
		return routing.New(inline), step, true
	}
	name := manager.RouteName()
	if scopes, ok := manager.Scopes(); ok {
		bodies := append(scopes.Inline, config.Scopes(scopes.Name)...)
		body, key := scope(scopes.Keys, bodies, r)
		step.Inputs = []explain.Input{{Name: "scope", Value: strings.Join(key, ",")}}
		if inline := body.Get("route_configuration"); inline.Exists() {
			step.Answer = "inline, of scope " + body.Str("name")
			return routing.New(route.New(inline)), step, true
		}
		if name = body.Str("route_configuration_name"); name == "" {
			step.Answer = "none: no scope has that key"
			return nil, step, false
		}
	}
	table, ok := config.Table(name)
	if !ok {
		step.Answer = fmt.Sprintf("%s, which the proxy does not have", name)
		return nil, step, false
	}
	step.Answer = name
	return table, step, true
}

// scope finds the scoped route configuration whose key is that of the request. Its key is made of fragments of headers, all of which have to be
// there.
func scope(builder rawjson.Value, bodies []rawjson.Value, r *match.Request) (body rawjson.Value, key []string) {
	for fragment := range builder.Get("fragments").Elems() {
		extractor := fragment.Get("header_value_extractor")
		value, ok := r.First(match.Lower(extractor.Str("name")))
		if !ok {
			return nil, key
		}
		parts := []string{value}
		if separator := extractor.Str("element_separator"); separator != "" {
			parts = strings.Split(value, separator)
		}
		found := false
		if element := extractor.Get("element"); element.Exists() {
			for _, part := range parts {
				name, rest, cut := strings.Cut(part, element.Str("separator"))
				if name == element.Str("key") {
					if value, found = rest, true; !cut {
						value = part
					}
					break
				}
			}
		} else {
			n, _ := extractor.Get("index").Uint()
			if found = n < uint64(len(parts)); found {
				value = parts[n]
			}
		}
		if !found {
			return nil, key
		}
		key = append(key, value)
	}
	for _, body := range bodies {
		var have []string
		for fragment := range body.Get("key", "fragments").Elems() {
			have = append(have, fragment.Str("string_key"))
		}
		if len(key) > 0 && slices.Equal(have, key) {
			return body, key
		}
	}
	return nil, key
}
