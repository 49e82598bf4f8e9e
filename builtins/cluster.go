package builtins

import (
	"cmp"
	"strings"

	"github.com/meshlark/meshlark/xds/cluster"
	"github.com/meshlark/meshlark/xds/naming"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
	"go.starlark.net/starlark"
)

func directions() []string { return []string{"inbound", "inbound-vip", "outbound"} }

// summary gives the columns of a cluster's table.
func summary(o *Object) cluster.Summary { return glance[cluster.Summary](o) }

// clusters describes Cluster and the calls that give clusters.
func (b *builder) clusters() {
	t := b.typ("Cluster", "Resource", "A cluster: the hosts that stand behind a service, and how connections to them are made.")
	t.view = func(_ *Object, raw rawjson.Value) any { return cluster.New(raw) }
	t.glance = func(raw rawjson.Value) any { return cluster.New(raw).Summary() }
	t.brief = func(o *Object) string { return summary(o).Type }
	ex := func(name string) string {
		return `[c.` + name + ` for c in proxy("productpage-v1").clusters(fqdn="reviews")]`
	}
	field(b, "fqdn", "string", "The service's full name, from the cluster's name; the whole name when it is not Istio's.", ex("fqdn"),
		func(o *Object) (starlark.Value, error) { return text(summary(o).FQDN), nil })
	field(b, "port", "int | None", "The service's port, None when the name has none.", ex("port"),
		func(o *Object) (starlark.Value, error) { return portOrNone(summary(o).Port), nil })
	field(b, "subset", "string", "The subset of the service, \"\" for all of it.", ex("subset"),
		func(o *Object) (starlark.Value, error) { return text(summary(o).Subset), nil })
	field(b, "direction", "string", "inbound, inbound-vip or outbound, \"\" for a cluster whose name is not Istio's.", ex("direction"),
		func(o *Object) (starlark.Value, error) { return text(summary(o).Direction), nil }).enum(append(directions(), "")...)
	field(b, "type", "string", "How it finds its hosts: STATIC, STRICT_DNS, LOGICAL_DNS, EDS, ORIGINAL_DST, or the name of a custom type.", ex("type"),
		func(o *Object) (starlark.Value, error) { return text(summary(o).Type), nil })
	field(b, "destination_rule", "string", "The DestinationRule that shaped it, as name.namespace.", ex("destination_rule"),
		func(o *Object) (starlark.Value, error) { return text(summary(o).DestinationRule), nil })
	prop(b, "eds_service", "string", "The name its endpoints are found by.", ex("eds_service"),
		func(_ *Object, v cluster.Cluster) starlark.Value { return text(v.EDSService()) })
	prop(b, "tls_mode", "string", "How connections leave: plaintext, TLS, mTLS, istio mTLS, internal, auto (by endpoint) or other.", ex("tls_mode"),
		func(_ *Object, v cluster.Cluster) starlark.Value { return text(v.TLSMode()) }).
		enum(cluster.Plaintext, cluster.TLS, cluster.MutualTLS, cluster.IstioTLS, cluster.Internal, cluster.Auto, cluster.OtherTLS)
	prop(b, "sni", "string", "The server name its connections ask for, \"\" for none.", ex("sni"),
		func(_ *Object, v cluster.Cluster) starlark.Value { return text(v.SNI()) })
	prop(b, "connect_timeout", "string", "How long a connection may take to be made.", ex("connect_timeout"),
		func(_ *Object, v cluster.Cluster) starlark.Value { s, _ := v.ConnectTimeout(); return text(s) })
	prop(b, "lb_policy", "string", "How a host is picked.", ex("lb_policy"),
		func(_ *Object, v cluster.Cluster) starlark.Value { return text(v.LbPolicy()) })
	prop(b, "http_protocol", "string", "What HTTP requests are sent with: http/1.1, http/2, http/3, auto or downstream.", ex("http_protocol"),
		func(_ *Object, v cluster.Cluster) starlark.Value { return text(v.HTTPProtocol()) }).enum("http/1.1", "http/2", "http/3", "auto", "downstream")
	prop(b, "circuit_breakers", "list", "The limits for priority DEFAULT and HIGH, Envoy's defaults included. They count per proxy.", ex("circuit_breakers"), circuitBreakers)
	prop(b, "panic_threshold", "float", "Below which percentage of healthy hosts all of them are used; 50 unless set, 0 for never.", ex("panic_threshold"),
		func(_ *Object, v cluster.Cluster) starlark.Value { return starlark.Float(v.PanicThreshold()) })
	prop(b, "outlier_detection", "JSONObject | None", "The settings by which hosts are ejected.", ex("outlier_detection"),
		func(_ *Object, v cluster.Cluster) starlark.Value { return jsonOrNone(v.OutlierDetection()) })
	prop(b, "secrets", "list", "The names of the secrets its connections need.", ex("secrets"),
		func(_ *Object, v cluster.Cluster) starlark.Value { return textList(v.Secrets()) })
	prop(b, "aggregated", "list", "The clusters an aggregate cluster draws from, the preferred first.", ex("aggregated"),
		func(_ *Object, v cluster.Cluster) starlark.Value { return textList(v.Aggregated()) })
	b.method("endpoints", endpointParams(), "Endpoints", "Its hosts: live ones with health and counters when the source has /clusters, else as the control plane sent them.",
		`proxy("productpage-v1").clusters(fqdn="reviews", subset="v1")[0].endpoints()`, clusterEndpoints)

	cell := func(name string, priority int, elide Elide, align Align, i int) column {
		return column{Column: Column{Name: name, Priority: priority, Elide: elide, Align: align}, Cell: func(v starlark.Value) string {
			return summary(v.(*Object)).Cells()[i]
		}}
	}
	t.columns = []column{
		cell("SERVICE FQDN", 0, ElideEnd, Left, 0),
		cell("PORT", 1, ElideNever, Right, 1),
		cell("SUBSET", 2, ElideMiddle, Left, 2),
		cell("DIRECTION", 3, ElideNever, Left, 3),
		cell("TYPE", 4, ElideMiddle, Left, 4),
		cell("DESTINATION RULE", 5, ElideMiddle, Left, 5),
		propColumn[cluster.Cluster]("TLS", func(v cluster.Cluster) string { return v.TLSMode() }),
		propColumn[cluster.Cluster]("LB", func(v cluster.Cluster) string { return v.LbPolicy() }),
		updatedColumn(),
		versionColumn(),
	}
	b.collection("Clusters", "Cluster", "Clusters of one proxy or several, sorted as istioctl sorts them: by service, subset, port and direction.")

	b.listing("clusters", []Param{
		{Name: "name", Type: "pattern", Default: "None", Doc: "names to keep, such as outbound|9080||reviews.default.svc.cluster.local"},
		stateParam,
		{Name: "fqdn", Type: "pattern", Default: "None", Doc: "services to keep; reviews and reviews.default will do"},
		{Name: "port", Type: "int", Default: "None", Doc: "the service's port"},
		{Name: "subset", Type: "pattern", Default: "None", Doc: "subsets to keep; \"=\" keeps those without one"},
		{Name: "direction", Type: "string", Default: "None", Doc: "which way connections go", Enum: directions()},
		{Name: "type", Type: "string", Default: "None", Doc: "how hosts are found: one of Envoy's types, or the name of a custom one"},
	}, "Clusters", "Clusters, those in use unless a state is given.", `clusters(fqdn="reviews", subset="v1")`, func(c *Call) (query, error) {
		q := query{kind: resource.Cluster, typ: "Cluster", state: c.Text("state"), order: clusterOrder}
		var err error
		if q.name, err = c.Pattern("name"); err != nil {
			return q, err
		}
		filter := naming.ClusterFilter{Direction: c.Text("direction")}
		if filter.FQDN, err = c.Pattern("fqdn"); err != nil {
			return q, err
		}
		if c.Given("subset") {
			subset, err := c.Pattern("subset")
			if err != nil {
				return q, err
			}
			filter.Subset = &subset
		}
		if port, ok := c.Int("port"); ok {
			filter.Port = port.String()
		}
		if hint, ok := filter.Pattern(); ok {
			q.hint = hint
		}
		typ := c.Text("type")
		q.keep = func(o *Object) (bool, error) {
			if !filter.Match(resourceName(o)) {
				return false, nil
			}
			if typ == "" {
				return true, nil
			}
			return summary(o).Type == typ, nil
		}
		return q, nil
	})
}

func circuitBreakers(_ *Object, v cluster.Cluster) starlark.Value {
	var out []starlark.Value
	for _, t := range v.CircuitBreakers() {
		out = append(out, record(
			"priority", text(t.Priority),
			"set", starlark.Bool(t.Set),
			"max_connections", uintValue(t.MaxConnections),
			"max_pending_requests", uintValue(t.MaxPendingRequests),
			"max_requests", uintValue(t.MaxRequests),
			"max_retries", uintValue(t.MaxRetries),
			"max_connection_pools", uintValue(t.MaxPools),
			"max_connections_per_host", uintValue(t.MaxPerHost)))
	}
	return frozenList(out)
}

// clusterOrder is istioctl's: by service, subset, port and direction. Only the
// name is looked at.
func clusterOrder(objs []*Object) {
	sortByKey(objs, func(o *Object) naming.ClusterName {
		n, _ := naming.ParseClusterName(resourceName(o))
		return n
	}, func(a, b naming.ClusterName) int {
		return cmp.Or(strings.Compare(a.Host, b.Host), strings.Compare(a.Subset, b.Subset), byName(a.Port, b.Port), strings.Compare(a.Direction, b.Direction))
	})
}

// propColumn is a column of the wide table that shows text of the typed view.
func propColumn[T any](name string, get func(T) string) column {
	return column{Column: Column{Name: name, Priority: 9, Elide: ElideMiddle}, Wide: true, Cell: func(v starlark.Value) string {
		o := v.(*Object)
		if o.typ == "FilterChain" { // a row of its listener
			o = o.root()
		}
		if v, err := view[T](o); err == nil {
			return get(v)
		}
		return ""
	}}
}

func updatedColumn() column {
	return column{Column: Column{Name: "LAST UPDATED", Priority: 9}, Wide: true, Cell: func(v starlark.Value) string {
		if r := v.(*Object).root().res; r != nil {
			return TimeText(r.LastUpdated())
		}
		return ""
	}}
}

func versionColumn() column {
	return column{Column: Column{Name: "VERSION", Priority: 9, Elide: ElideMiddle}, Wide: true, Cell: func(v starlark.Value) string {
		if r := v.(*Object).root().res; r != nil {
			return r.VersionInfo()
		}
		return ""
	}}
}
