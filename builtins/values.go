package builtins

import (
	"github.com/meshlark/meshlark/xds/syncz"
	"go.starlark.net/starlark"

	"github.com/meshlark/meshlark/xds/resource"
)

var (
	filterParam = Param{Name: "f", Type: "string", Doc: "the jq filter"}
	eachParam   = Param{Name: "each", Type: "bool", Default: "False", Doc: "feed elements one by one, with $name, $proxy, $state and $version_info bound"}
	varsParam   = Param{Name: "**vars", Type: "any", Doc: "variables of the filter: x=1 is $x"}
)

// states are the states of resources, in the order of their life.
func states() []string {
	return []string{string(resource.Active), string(resource.Static), string(resource.Warming), string(resource.Draining), string(resource.Error)}
}

// values describes what all values have in common.
func (b *builder) values() {
	b.typ("Value", "", "What every value of meshlark can do: jq and its JSON and YAML forms.")
	b.method("jq", []Param{filterParam, eachParam, varsParam}, "list",
		"The outputs of a jq filter, always as a list. A resource is its body, a collection the array of bodies.",
		`clusters().jq(".[].name")`, jqMethod)
	b.method("jq1", []Param{filterParam, eachParam, varsParam}, "any",
		"The one output of a jq filter. It is an error when there is none or more than one.",
		`clusters().jq1("length")`, jq1Method)
	b.method("json", []Param{{Name: "indent", Type: "string", Default: `"  "`, Doc: `what a level is indented by; "" gives one line`}}, "string",
		"The JSON form as text. Of a resource that is what Envoy or the control plane sent, with secrets taken out.",
		`proxy("productpage-v1").bootstrap().json()`, jsonMethod)
	b.method("yaml", nil, "string", "The JSON form written as YAML.",
		`clusters()[0].yaml()`, yamlMethod)

	b.typ("Resource", "Value", "What every resource of a proxy's configuration has.")
	field(b, "name", "string", "The name the proxy knows the resource by.", `clusters()[0].name`,
		func(o *Object) (starlark.Value, error) { return text(resourceName(o)), nil })
	field(b, "kind", "string", "What the resource configures.", `clusters()[0].kind == "cluster"`,
		func(o *Object) (starlark.Value, error) { return text(KindName(o.typ)), nil })
	field(b, "state", "string", "Where in its life the resource is. Calls give active and static resources unless another state is asked for.",
		`clusters(state="*").by("state")`,
		func(o *Object) (starlark.Value, error) { return text(o.root().stateText()), nil }).enum(states()...)
	field(b, "static", "bool", "Whether it comes from the bootstrap rather than from the control plane.", `clusters().where(static=True)`,
		func(o *Object) (starlark.Value, error) {
			return starlark.Bool(o.root().stateText() == string(resource.Static)), nil
		})
	field(b, "version_info", "string", "The version under which the control plane sent it, \"\" when that is not known.", `clusters()[0].version_info`,
		func(o *Object) (starlark.Value, error) {
			if r := o.root().res; r != nil {
				return text(r.VersionInfo()), nil
			}
			return text(""), nil
		})
	field(b, "last_updated", "time.time | None", "When the proxy took it over.", `clusters()[0].last_updated`,
		func(o *Object) (starlark.Value, error) {
			if r := o.root().res; r != nil {
				return timeOrNone(r.LastUpdated()), nil
			}
			return starlark.None, nil
		})
	field(b, "error", "Rejection | None", "Why the proxy rejected the last update of this resource.", `[c.error.details for c in clusters(state="error")]`,
		func(o *Object) (starlark.Value, error) {
			if o.res == nil || o.res.Failure() == nil {
				return starlark.None, nil
			}
			return &rejection{o.res.Failure()}, nil
		})
	field(b, "proxy", "Proxy | None", "The proxy that has it, None for one that a script made.", `clusters()[0].proxy.name`,
		func(o *Object) (starlark.Value, error) { return o.proxyOf(), nil })
	link(b, "source", "string", "The source it was read from.", `clusters()[0].source`, sourceOf)
	link(b, "raw", "JSONObject | None", "The body as nested values, keys in the order they were sent. Fields that have their default value are not in it.",
		`clusters()[0].raw["name"]`, rawOf)
	b.origins(`clusters(fqdn="reviews")[0]`)

	b.typ("Part", "Value", "What every part of a resource has: a filter chain, a virtual host, a route, an endpoint.")
	field(b, "proxy", "Proxy | None", "The proxy that has it, None for a part of something a script made.", `routes().routes[0].proxy`,
		func(o *Object) (starlark.Value, error) { return o.proxyOf(), nil })
	link(b, "source", "string", "The source it was read from.", `routes().routes[0].source`, sourceOf)
	link(b, "raw", "JSONObject | None", "The body as nested values.", `routes().routes[0].raw["match"]`, rawOf)
	b.origins(`routes("9080").routes[0]`)

	b.typ("Rejection", "Value", "Why a proxy rejected an update of a resource.")
	field(b, "details", "string", "The reason in Envoy's words, which may hold all of the resource.", `[x.error.details for x in clusters(state="error")]`,
		func(r *rejection) (starlark.Value, error) { return text(r.f.Details), nil })
	field(b, "reason", "string", "The same on one line.", `[x.error.reason for x in clusters(state="error")]`,
		func(r *rejection) (starlark.Value, error) { return text(syncz.RejectionLine(r.f.Details)), nil })
	field(b, "last_attempt", "time.time | None", "When the proxy rejected it last.", `[x.error.last_attempt for x in clusters(state="error")]`,
		func(r *rejection) (starlark.Value, error) { return timeOrNone(r.f.LastAttempt), nil })
	field(b, "version_info", "string", "The version of the rejected update.", `[x.error.version_info for x in clusters(state="error")]`,
		func(r *rejection) (starlark.Value, error) { return text(r.f.VersionInfo), nil })
	link(b, "failed", "JSONObject | None", "The rejected configuration, where the dump has it.", `[x.error.failed for x in clusters(state="error")]`,
		func(r *rejection) (starlark.Value, error) { return jsonOrNone(r.f.Failed.Raw()), nil })

	b.typ("Failure", "Value", "A part of an answer that could not be had.")
	field(b, "proxy", "string | None", "The proxy that failed, None when a whole source did.", `[f.proxy for f in clusters().errors]`,
		func(f *failureValue) (starlark.Value, error) { return textOrNone(f.f.Proxy), nil })
	field(b, "source", "string", "The source it was read from.", `[f.source for f in clusters().errors]`,
		func(f *failureValue) (starlark.Value, error) { return text(f.f.Source), nil })
	field(b, "stage", "string", "What was attempted.", `[f.stage for f in clusters().errors]`,
		func(f *failureValue) (starlark.Value, error) { return text(f.f.Stage), nil })
	field(b, "reason", "string", "Why it failed.", `[f.reason for f in clusters().errors]`,
		func(f *failureValue) (starlark.Value, error) { return text(f.f.Reason), nil })

	b.typ("JSONObject", "Value", "A JSON object as it was sent. It works like a dict that cannot be changed; its members are attributes as well, unless a method has the name.")
	raw := `proxy("productpage-v1").bootstrap().raw`
	b.method("get", []Param{{Name: "key", Type: "string", Doc: "the member's name"}, {Name: "default", Type: "any", Default: "None", Doc: "the result when there is none"}}, "any",
		"A member, or the default when there is none.", raw+`.get("no_such_field", 0)`, func(c *Call) (starlark.Value, error) {
			v, ok, _ := c.Recv.(jsonObject).Get(c.Value("key"))
			if !ok {
				v = c.Value("default")
			}
			return v, nil
		})
	b.method("keys", nil, "list", "The names of the members in order.", raw+`.keys()`, func(c *Call) (starlark.Value, error) {
		var out []starlark.Value
		for k := range starlark.Elements(c.Recv.(jsonObject)) {
			out = append(out, k)
		}
		return starlark.NewList(out), nil
	})
	b.method("values", nil, "list", "The members' values in order.", raw+`.values()`, func(c *Call) (starlark.Value, error) {
		var out []starlark.Value
		for _, kv := range c.Recv.(jsonObject).Items() {
			out = append(out, kv[1])
		}
		return starlark.NewList(out), nil
	})
	b.method("items", nil, "list", "The members as pairs of name and value, in order.", `[k for k, v in `+raw+`.items()]`, func(c *Call) (starlark.Value, error) {
		var out []starlark.Value
		for _, kv := range c.Recv.(jsonObject).Items() {
			out = append(out, kv)
		}
		return starlark.NewList(out), nil
	})
	b.typ("JSONArray", "Value", "A JSON array as it was sent. It works like a list that cannot be changed.")

	b.typ("Table", "", "Rows and columns of a script's choice: what table(...) gives. Iterating gives the rows as tuples.")
	b.typ("Filter", "", "A jq filter that waits for its input on the left of |: what jq(f) gives when called with the filter alone.")

	b.typ("Collection", "Value", "What calls of the plural kind give. It can be indexed and sliced, has a length, is false when empty, tests names with `in`, joins with +, and b - a is diff(a, b).")
	xs := `proxy("productpage-v1").clusters()`
	b.method("where", []Param{
		{Name: "fn", Type: "callable", Default: "None", Doc: "keeps the elements it is true for"},
		{Name: "**fields", Type: "any", Doc: "field=value; strings are patterns unless the field is an enumeration"},
	}, "Collection", "The elements that pass a test. Tests are a function, fields, or both; all must hold.",
		xs+`.where(type="EDS", fqdn="reviews")`, whereMethod)
	b.method("by", []Param{{Name: "key", Type: "string|callable", Doc: "a field's name, or a function of the element"}}, "dict",
		"The elements in groups: a dict from each key to the collection of its elements.", xs+`.by("direction")`, byMethod)
	link(b, "names", "list", "The names of the elements.", xs+`.names`,
		func(c *Collection) (starlark.Value, error) { return textList(c.nameList()), nil })
	b.method("one", nil, "any", "The element, when there is exactly one. Otherwise an error that lists them.",
		xs+`.where(fqdn="reviews", subset="v1").one()`, oneMethod)
	b.method("origins", nil, "KubernetesObjects", "Of parts of a configuration: the objects of Kubernetes that they were made from, fetched, each once; see Resource.origins.",
		xs+`.where(fqdn="reviews").origins()`, collectionOrigins)
	link(b, "errors", "list", "What could not be had: each with proxy, source, stage and reason.", `proxies().errors`,
		func(c *Collection) (starlark.Value, error) {
			out := make([]starlark.Value, len(c.failures))
			for i, f := range c.failures {
				out[i] = &failureValue{f}
			}
			return frozenList(out), nil
		})
	b.method("table", []Param{{Name: "*columns", Type: "any", Doc: `fields ("name", "sync.rds.age"), functions, or ("heading", function)`}}, "Table",
		"The elements as a table with the columns given, or their usual ones.", xs+`.table("fqdn", "port", ("hosts", lambda c: len(c.endpoints())))`, tableMethod)
}

func resourceName(o *Object) string {
	if o.res != nil {
		if n := o.res.Name(); n != "" || o.typ != "Bootstrap" {
			return n
		}
		return "bootstrap"
	}
	raw, err := o.body()
	if err != nil {
		return ""
	}
	for _, key := range []string{"name", "cluster_name"} {
		if s := raw.Str(key); s != "" {
			return s
		}
	}
	return ""
}

func sourceOf(o *Object) (starlark.Value, error) {
	if o.proxy == nil {
		return text(""), nil
	}
	return text(o.proxy.p.Source), nil
}

func rawOf(o *Object) (starlark.Value, error) {
	v, err := o.body()
	if err != nil {
		return nil, err
	}
	return jsonOrNone(v), nil
}

// rejection is a resource.Failure in the language.
type rejection struct{ f *resource.Failure }

func (r *rejection) String() string                        { return "<rejection: " + clip(r.f.Details, 160) + ">" }
func (r *rejection) Type() string                          { return "Rejection" }
func (r *rejection) Freeze()                               {}
func (r *rejection) Truth() starlark.Bool                  { return true }
func (r *rejection) Hash() (uint32, error)                 { return starlark.String(r.f.Details).Hash() }
func (r *rejection) Attr(n string) (starlark.Value, error) { return attr(r, n) }
func (r *rejection) AttrNames() []string                   { return attrNames(r) }
func (r *rejection) Item() Item                            { return itemOf(r, "rejection") }
