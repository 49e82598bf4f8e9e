package builtins

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/admin"
	"github.com/meshlark/meshlark/xds/cluster"
	"github.com/meshlark/meshlark/xds/endpoint"
	"github.com/meshlark/meshlark/xds/pattern"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
	"go.starlark.net/starlark"
)

// endpointView is one host of a cluster: a live one as Envoy runs it, or one
// as it was sent.
type endpointView struct {
	cluster string
	live    *admin.Host
	sent    endpoint.Endpoint
}

// body is the JSON of the host. Envoy's answer is kept in two parts, what all
// proxies share and what is this proxy's own.
func (e *endpointView) body() rawjson.Value {
	if e.live == nil {
		return e.sent.Body()
	}
	config, state := e.live.Config(), e.live.State()
	if len(state) <= 2 {
		return config
	}
	if len(config) <= 2 {
		return state
	}
	out := append(slices.Clone(config[:len(config)-1]), ',')
	return append(out, state[1:]...)
}

// identity is what counts for equality: counters do not.
func (e *endpointView) identity() rawjson.Value {
	if e.live != nil {
		return e.live.Config()
	}
	return e.sent.Body()
}

func (e *endpointView) address() endpoint.Address {
	if e.live != nil {
		return e.live.Address()
	}
	return e.sent.Address()
}

// host is the address without its port; the whole of it for one that has none.
func (e *endpointView) host() string {
	if a := e.address(); a.Host != "" {
		return a.Host
	}
	return e.cell()
}

// cell is istioctl's ENDPOINT column.
func (e *endpointView) cell() string {
	if e.live != nil {
		return e.live.Cell()
	}
	return e.sent.Cell()
}

func (e *endpointView) health() string {
	if e.live != nil {
		return e.live.Health().EDS
	}
	return e.sent.Health()
}

func (e *endpointView) outlier() string {
	if e.live == nil {
		return ""
	}
	if e.live.Health().Has(admin.FailedOutlierCheck) {
		return "FAILED"
	}
	return "OK"
}

func (e *endpointView) weight() uint32 {
	if e.live != nil {
		return e.live.Weight()
	}
	return e.sent.Weight()
}

func (e *endpointView) priority() uint32 {
	if e.live != nil {
		return e.live.Priority()
	}
	return e.sent.Priority()
}

func (e *endpointView) locality() string {
	if e.live != nil {
		return e.live.Locality()
	}
	return e.sent.Locality().String()
}

func (e *endpointView) hostname() string {
	if e.live != nil {
		return e.live.Hostname()
	}
	return e.sent.Hostname()
}

func (e *endpointView) stats() starlark.Value {
	if e.live == nil {
		return starlark.None
	}
	stats := e.live.Stats()
	d := starlark.NewDict(len(stats))
	for _, s := range stats {
		d.SetKey(text(s.Name), number(string(s.Value))) // a new dict and a string key: cannot fail
	}
	d.Freeze()
	return d
}

func (e *endpointView) stat(name string) string {
	if e.live != nil {
		for _, s := range e.live.Stats() {
			if s.Name == name {
				return string(s.Value)
			}
		}
	}
	return ""
}

func healthStates() []string {
	return []string{"HEALTHY", "UNHEALTHY", "DRAINING", "TIMEOUT", "DEGRADED", "UNKNOWN"}
}

func endpointParams() []Param {
	return []Param{
		{Name: "address", Type: "pattern", Default: "None", Doc: "addresses to keep, with or without the port"},
		{Name: "port", Type: "int", Default: "None", Doc: "the port"},
		{Name: "status", Type: "string", Default: "None", Doc: "the health to keep", Enum: healthStates()},
	}
}

// endpoints describes Endpoint and the calls that give endpoints.
func (b *builder) endpoints() {
	t := b.typ("Endpoint", "Part", "A host of a cluster. A live one comes from Envoy's /clusters and has health and counters; other sources have it as the control plane sent it.")
	t.brief = func(o *Object) string {
		v, _ := view[*endpointView](o)
		return strings.TrimSpace(v.health() + " " + v.cluster)
	}
	ex := func(name string) string {
		return `[e.` + name + ` for e in proxy("productpage-v1").endpoints("*reviews*")]`
	}
	type o = *Object
	type v = *endpointView
	prop(b, "name", "string", "The address with its port, as istioctl prints it.", ex("name"), func(_ o, e v) starlark.Value { return text(e.cell()) })
	prop(b, "address", "string", "The IP address; for a socket or an internal listener the whole address.", ex("address"), func(_ o, e v) starlark.Value { return text(e.host()) })
	prop(b, "port", "int | None", "The port, None where there is none.", ex("port"), func(_ o, e v) starlark.Value { return portOrNone(e.address().Port) })
	prop(b, "cluster", "string", "The name of its cluster.", ex("cluster"), func(_ o, e v) starlark.Value { return text(e.cluster) })
	prop(b, "health", "string", "The health that discovery gave it. What load balancing goes by is condition.", ex("health"),
		func(_ o, e v) starlark.Value { return text(e.health()) }).enum(healthStates()...)
	prop(b, "condition", "string | None", "What load balancing goes by, all checks together: healthy, degraded or unhealthy. None when it is not live.", ex("condition"),
		func(_ o, e v) starlark.Value {
			if e.live == nil {
				return starlark.None
			}
			return text(e.live.Health().Coarse())
		}).enum("healthy", "degraded", "unhealthy")
	prop(b, "flags", "list", "What Envoy holds against it: failed_active_health_check, failed_outlier_check, pending_dynamic_removal, ...", ex("flags"),
		func(_ o, e v) starlark.Value {
			if e.live == nil {
				return textList(nil)
			}
			return textList(e.live.Health().Flags)
		})
	prop(b, "outlier", "string | None", "FAILED when outlier detection has ejected it, else OK. None when it is not live.", ex("outlier"),
		func(_ o, e v) starlark.Value { return textOrNone(e.outlier()) }).enum("OK", "FAILED")
	prop(b, "weight", "int", "Its share among the hosts of its locality.", ex("weight"), func(_ o, e v) starlark.Value { return uintValue(e.weight()) })
	prop(b, "priority", "int", "The level it is in; 0 is used first.", ex("priority"), func(_ o, e v) starlark.Value { return uintValue(e.priority()) })
	prop(b, "locality", "string", "Where it runs, as region/zone/subzone.", ex("locality"), func(_ o, e v) starlark.Value { return text(e.locality()) })
	prop(b, "hostname", "string", "The name it is known by, often \"\".", ex("hostname"), func(_ o, e v) starlark.Value { return text(e.hostname()) })
	prop(b, "tls_mode", "string | None", "istio where a sidecar takes mTLS, \"\" elsewhere; None when it is live, for /clusters does not say.", ex("tls_mode"),
		func(_ o, e v) starlark.Value {
			if e.live != nil {
				return starlark.None
			}
			return text(e.sent.TLSMode())
		})
	prop(b, "workload", "string | None", "The workload it belongs to, as name.namespace; None when it is live, for /clusters does not say.", ex("workload"),
		func(_ o, e v) starlark.Value {
			if e.live != nil {
				return starlark.None
			}
			w := e.sent.Workload()
			if w.Name == "" || w.Namespace == "" {
				return text(w.Name)
			}
			return text(w.Name + "." + w.Namespace)
		})
	prop(b, "stats", "dict | None", "Its counters and gauges in this proxy, None when it is not live.", ex("stats"), func(_ o, e v) starlark.Value { return e.stats() })
	prop(b, "live", "bool", "Whether it is a host as Envoy runs it, rather than as it was sent.", ex("live"), func(_ o, e v) starlark.Value { return starlark.Bool(e.live != nil) })

	cell := func(name string, priority int, elide Elide, wide bool, get func(v) string) column {
		c := propColumn[v](name, get)
		c.Wide, c.Priority, c.Elide = wide, priority, elide
		return c
	}
	t.columns = []column{
		cell("ENDPOINT", 0, ElideMiddle, false, v.cell),
		cell("STATUS", 0, ElideNever, false, v.health),
		cell("OUTLIER CHECK", 1, ElideNever, false, v.outlier),
		cell("FLAGS", 3, ElideEnd, false, func(e v) string {
			if e.live == nil {
				return ""
			}
			return strings.Join(e.live.Health().Flags, ",")
		}),
		cell("CLUSTER", 1, ElideEnd, false, func(e v) string { return e.cluster }),
		cell("WEIGHT", 8, ElideNever, true, func(e v) string { return uintValue(e.weight()).String() }),
		cell("PRIORITY", 8, ElideNever, true, func(e v) string { return uintValue(e.priority()).String() }),
		cell("LOCALITY", 8, ElideMiddle, true, v.locality),
		cell("RQ", 9, ElideNever, true, func(e v) string { return e.stat("rq_total") }),
		cell("RQ ERR", 9, ElideNever, true, func(e v) string { return e.stat("rq_error") }),
		cell("CX", 9, ElideNever, true, func(e v) string { return e.stat("cx_active") }),
	}
	b.collection("Endpoints", "Endpoint", "Hosts of clusters, sorted as istioctl sorts them: by address, port and cluster.")

	params := append([]Param{{Name: "cluster", Type: "pattern|Cluster", Default: "None", Doc: "clusters whose hosts to give: names, or a Cluster"}}, endpointParams()...)
	b.listing("endpoints", params, "Endpoints", "The hosts of clusters: live ones with health and counters when the source has /clusters, else as they were sent.",
		`endpoints("outbound|9080|*", status="HEALTHY")`, func(c *Call) (query, error) {
			var name pattern.Pattern
			if cl, ok := c.Value("cluster").(*Object); ok {
				name = pattern.Exact(resourceName(cl))
			} else {
				var err error
				if name, err = c.Pattern("cluster"); err != nil {
					return query{}, err
				}
			}
			return endpointQuery(c, name)
		})
}

func clusterEndpoints(c *Call) (starlark.Value, error) {
	o := c.Recv.(*Object)
	q, err := endpointQuery(c, pattern.Exact(resourceName(o)))
	if err != nil {
		return nil, err
	}
	if o.proxy != nil {
		return q.one(c.Context(), o.proxy)
	}
	// What a script made has the endpoints that are written into it.
	v, err := view[cluster.Cluster](o)
	if err != nil {
		return nil, err
	}
	keep, err := endpointFilter(c)
	if err != nil {
		return nil, err
	}
	assignment, _ := v.Assignment()
	return newCollection("Endpoint", sentEndpoints(nil, o.proxy, v.Name(), assignment, keep)), nil
}

// endpointFilter is what a call's filters other than the cluster keep.
func endpointFilter(c *Call) (func(*endpointView) bool, error) {
	address, err := c.Pattern("address")
	if err != nil {
		return nil, err
	}
	port, hasPort := c.Int("port")
	status := c.Text("status")
	return func(e *endpointView) bool {
		if status != "" && e.health() != status {
			return false
		}
		if hasPort && (!port.IsUint64() || uint64(e.address().Port) != port.Uint64()) {
			return false
		}
		return address.IsAll() || address.Match(e.host()) || address.Match(e.cell())
	}, nil
}

func endpointQuery(c *Call, name pattern.Pattern) (query, error) {
	q := query{kind: resource.Endpoint, typ: "Endpoint"}
	keep, err := endpointFilter(c)
	if err != nil {
		return q, err
	}
	q.read = func(ctx context.Context, p *Proxy) (found, error) {
		items, err := readEndpoints(ctx, p, name, keep)
		if err != nil {
			return found{}, err
		}
		sortEndpoints(items)
		return found{items: items}, nil
	}
	return q, nil
}

// sortEndpoints puts endpoints in istioctl's order: by address, port and
// cluster.
func sortEndpoints(items []starlark.Value) {
	type place struct {
		host    string
		port    uint32
		cluster string
	}
	sortByKey(items, func(v starlark.Value) place {
		e := v.(*Object).data.(*endpointView)
		return place{e.host(), e.address().Port, e.cluster}
	}, func(a, b place) int {
		return cmp.Or(strings.Compare(a.host, b.host), cmp.Compare(a.port, b.port), strings.Compare(a.cluster, b.cluster))
	})
}

func newEndpoint(p *Proxy, e *endpointView) *Object {
	return &Object{typ: "Endpoint", proxy: p, data: e}
}

// readEndpoints gives the live hosts, or where the source has none the
// assignments that were sent.
func readEndpoints(ctx context.Context, p *Proxy, name pattern.Pattern, keep func(*endpointView) bool) ([]starlark.Value, error) {
	config := p.Config()
	var items []starlark.Value
	if config.Side() != mesh.Desired {
		live, err := config.LiveClusters(ctx, name)
		if err == nil {
			for _, c := range live {
				for i := range c.Hosts {
					if e := (&endpointView{cluster: c.Name, live: &c.Hosts[i]}); keep(e) {
						items = append(items, newEndpoint(p, e))
					}
				}
			}
			return items, nil
		}
		if !errors.Is(err, mesh.ErrNotAvailable) {
			return nil, err
		}
	}
	// A cluster finds its assignment by its EDS service name, which several may share.
	assignments, err := config.Resources(ctx, resource.Endpoint, pattern.Pattern{})
	if err != nil {
		return nil, err
	}
	byService := map[string]endpoint.Assignment{}
	var services []string
	for _, r := range assignments {
		raw, err := r.Raw()
		if err != nil {
			return nil, err
		}
		a := endpoint.New(raw)
		if _, ok := byService[a.ClusterName()]; !ok {
			services = append(services, a.ClusterName())
		}
		byService[a.ClusterName()] = a
	}
	clusters, err := config.Resources(ctx, resource.Cluster, name)
	if err != nil {
		return nil, err
	}
	owned := map[string]bool{}
	for _, r := range clusters {
		if !usualState(string(r.State())) {
			continue
		}
		raw, err := r.Raw()
		if err != nil {
			return nil, err
		}
		c := cluster.New(raw)
		a, ok := byService[c.EDSService()]
		owned[c.EDSService()] = true
		if !ok {
			a, ok = c.Assignment()
		}
		if ok {
			items = sentEndpoints(items, p, r.Name(), a, keep)
		}
	}
	for _, s := range services {
		if !owned[s] && name.Match(s) {
			items = sentEndpoints(items, p, s, byService[s], keep)
		}
	}
	return items, nil
}

func sentEndpoints(items []starlark.Value, p *Proxy, cluster string, a endpoint.Assignment, keep func(*endpointView) bool) []starlark.Value {
	for _, ep := range a.Endpoints() {
		if e := (&endpointView{cluster: cluster, sent: ep}); keep(e) {
			items = append(items, newEndpoint(p, e))
		}
	}
	return items
}
