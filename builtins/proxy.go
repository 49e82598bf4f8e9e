package builtins

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/pattern"
	"github.com/meshlark/meshlark/xds/resource"
	"github.com/meshlark/meshlark/xds/syncz"
	startime "go.starlark.net/lib/time"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// Proxy is one proxy of a mesh, or one side of its configuration.
type Proxy struct {
	p     *mesh.Proxy
	side  mesh.Side
	now   time.Time       // of the mesh when the value was made, for ages
	share *float64        // see EndpointShare; nil when it was not asked for or is not known
	ctx   context.Context // of the evaluation that made the value, for the operator -, which is told of none
}

var (
	_ starlark.HasAttrs   = (*Proxy)(nil)
	_ starlark.Comparable = (*Proxy)(nil)
	_ starlark.HasBinary  = (*Proxy)(nil)
	_ Itemer              = (*Proxy)(nil)
)

// NewProxy makes the value of a proxy.
func NewProxy(ctx context.Context, p *mesh.Proxy) *Proxy {
	return &Proxy{p: p, now: p.Mesh().Now(ctx), ctx: ctx}
}

// on gives the proxy with another side for its calls to read.
func (p *Proxy) on(side mesh.Side) *Proxy {
	q := *p
	q.side = side
	return &q
}

// Proxy is the proxy of the model.
func (p *Proxy) Proxy() *mesh.Proxy { return p.p }

// Config is the side of the proxy's configuration that the value reads.
func (p *Proxy) Config() mesh.Config { return p.p.Config(p.side) }

func (p *Proxy) String() string {
	text := "proxy " + clip(p.p.Name, 120)
	for _, s := range []string{p.p.Type, string(p.side)} {
		if s != "" {
			text += " " + s
		}
	}
	return "<" + text + ">"
}

func (p *Proxy) Type() string                             { return "Proxy" }
func (p *Proxy) Freeze()                                  {}
func (p *Proxy) Truth() starlark.Bool                     { return true }
func (p *Proxy) Attr(name string) (starlark.Value, error) { return attr(p, name) }
func (p *Proxy) AttrNames() []string                      { return attrNames(p) }
func (p *Proxy) Item() Item                               { return itemOf(p, "proxy") }

func (p *Proxy) key() string {
	return strings.Join([]string{p.p.Name, p.p.ClusterID, p.p.Source, string(p.side)}, "\x00")
}

func (p *Proxy) Hash() (uint32, error) {
	h := fnv.New32a()
	h.Write([]byte(p.key()))
	return h.Sum32(), nil
}

// CompareSameType compares identities: the same proxy of the same source, and
// the same side of it.
func (p *Proxy) CompareSameType(op syntax.Token, y starlark.Value, _ int) (bool, error) {
	o := y.(*Proxy)
	same := p.key() == o.key() && p.p.Mesh() == o.p.Mesh()
	return compareSame(op, same, "proxies")
}

// SyncStatus is what a control plane says of a proxy: p.sync.
type SyncStatus struct{ proxy *Proxy }

func (s *SyncStatus) String() string                        { return "<sync of " + clip(s.proxy.p.Name, 120) + ">" }
func (s *SyncStatus) Type() string                          { return "SyncStatus" }
func (s *SyncStatus) Freeze()                               {}
func (s *SyncStatus) Truth() starlark.Bool                  { return s.proxy.p.Sync != nil }
func (s *SyncStatus) Hash() (uint32, error)                 { return s.proxy.Hash() }
func (s *SyncStatus) Attr(n string) (starlark.Value, error) { return attr(s, n) }
func (s *SyncStatus) AttrNames() []string                   { return attrNames(s) }
func (s *SyncStatus) Item() Item                            { return itemOf(s, "sync_status") }

// typeSync is the state of one type of configuration: p.sync.rds.
type typeSync struct {
	s     syncz.TypeStatus
	proxy *Proxy
}

func (t *typeSync) String() string {
	text := "sync " + t.s.Type + " " + string(t.s.Status)
	if !t.s.SentAt.IsZero() {
		text += " " + AgeText(t.proxy.now.Sub(t.s.SentAt))
	}
	return "<" + text + ">"
}
func (t *typeSync) Type() string                          { return "TypeSync" }
func (t *typeSync) Freeze()                               {}
func (t *typeSync) Truth() starlark.Bool                  { return true }
func (t *typeSync) Hash() (uint32, error)                 { return starlark.String(t.s.TypeURL + t.s.SentNonce).Hash() }
func (t *typeSync) Attr(n string) (starlark.Value, error) { return attr(t, n) }
func (t *typeSync) AttrNames() []string                   { return attrNames(t) }
func (t *typeSync) Item() Item                            { return itemOf(t, "type_sync") }

// syncTypes are the types that sync has an attribute for, in the order in which
// they are shown.
var syncTypes = []struct{ name, short, what string }{
	{"cds", "CDS", "clusters"},
	{"lds", "LDS", "listeners"},
	{"eds", "EDS", "endpoints"},
	{"rds", "RDS", "routes"},
	{"ecds", "ECDS", "extension configuration"},
	{"sds", "SDS", "secrets"},
}

func syncStates() []string {
	return []string{string(syncz.Synced), string(syncz.Stale), string(syncz.NotSent), string(syncz.Rejected)}
}

func (p *Proxy) syncOf(short string) *typeSync {
	if p.p.Sync == nil {
		return nil
	}
	s, ok := p.p.Sync.Status(short)
	if !ok {
		return nil
	}
	return &typeSync{s, p}
}

func (p *Proxy) syncState(short string) starlark.Value {
	if t := p.syncOf(short); t != nil {
		return text(string(t.s.Status))
	}
	return starlark.None
}

func stringField(b *builder, name, doc string, get func(*mesh.Proxy) string) *Entry {
	return field(b, name, "string", doc, `proxies()[0].`+name, func(p *Proxy) (starlark.Value, error) { return text(get(p.p)), nil })
}

// proxyTypes are the kinds of proxies that Istio has.
func proxyTypes() []string {
	return []string{"sidecar", "router", "waypoint", "ztunnel", "agentgateway"}
}

// proxies describes Proxy, its sync status and its collection.
func (b *builder) proxies() {
	t := b.typ("Proxy", "Value", "One proxy of the mesh. Its configuration is read by its calls; its fields are known from the list of proxies.")
	stringField(b, "name", "pod.namespace of an Istio proxy, else the node id or what the source calls it.", func(p *mesh.Proxy) string { return p.Name })
	stringField(b, "namespace", "The namespace of its pod.", func(p *mesh.Proxy) string { return p.Namespace })
	stringField(b, "pod", "Its pod.", func(p *mesh.Proxy) string { return p.Pod })
	stringField(b, "workload", "The workload its pod belongs to, such as a deployment.", func(p *mesh.Proxy) string { return p.Workload })
	stringField(b, "cluster_id", "The id of its Kubernetes cluster.", func(p *mesh.Proxy) string { return p.ClusterID })
	stringField(b, "type", "What it is for: sidecar, router (a gateway), waypoint, ztunnel, agentgateway, or \"\" when the node id does not say.", func(p *mesh.Proxy) string { return p.Type }).
		enum(append(proxyTypes(), "")...)
	stringField(b, "istio_version", "The version of its Istio.", func(p *mesh.Proxy) string { return p.IstioVersion })
	stringField(b, "envoy_version", "The version of its Envoy.", func(p *mesh.Proxy) string { return p.EnvoyVersion })
	stringField(b, "istiod", "The control plane instance it is connected to.", func(p *mesh.Proxy) string { return p.Istiod })
	stringField(b, "node", "Its node id, as it tells the control plane.", func(p *mesh.Proxy) string { return p.NodeID })
	stringField(b, "ip", "Its address.", func(p *mesh.Proxy) string { return p.IP })
	field(b, "labels", "dict", "The labels of its pod.", `proxies().by(lambda p: p.labels.get("app"))`, func(p *Proxy) (starlark.Value, error) {
		d := starlark.NewDict(len(p.p.Labels))
		for _, k := range slices.Sorted(maps.Keys(p.p.Labels)) {
			d.SetKey(text(k), text(p.p.Labels[k])) // a new dict and a string key: cannot fail
		}
		d.Freeze()
		return d, nil
	})
	field(b, "connected", "bool | None", "Whether it is connected to a control plane, None when no source can tell.", `[p for p in proxies() if p.connected == False]`,
		func(p *Proxy) (starlark.Value, error) {
			if p.p.Connected == nil {
				return starlark.None, nil
			}
			return starlark.Bool(*p.p.Connected), nil
		})
	field(b, "ready", "bool | None", "Whether its pod is ready for requests, None when no source can tell.", `[p for p in proxies() if p.ready == False]`,
		func(p *Proxy) (starlark.Value, error) {
			if p.p.Ready == nil {
				return starlark.None, nil
			}
			return starlark.Bool(*p.p.Ready), nil
		})
	stringField(b, "revision", "The revision of the control plane it is connected to, else of the one its pod was made for.", func(p *mesh.Proxy) string { return p.Revision })
	field(b, "connected_at", "time.time | None", "When it connected to its control plane, None when no source can tell.", `proxies()[0].connected_at`,
		func(p *Proxy) (starlark.Value, error) { return timeOrNone(p.p.Since), nil })
	for _, st := range syncTypes {
		field(b, st.name, "string | None", "How far it is with its "+st.what+" ("+st.short+"); None when it does not watch them or no source can tell.",
			`[p.name for p in proxies() if p.`+st.name+` == "STALE"]`,
			func(p *Proxy) (starlark.Value, error) { return p.syncState(st.short), nil }).enum(syncStates()...)
	}
	link(b, "sync", "SyncStatus", "The sync status of each type with its details. It is false when no source is a control plane.", `proxies()[0].sync.rds`,
		func(p *Proxy) (starlark.Value, error) { return &SyncStatus{p}, nil })
	field(b, "source", "string", "The sources it is known from.", `proxies()[0].source`,
		func(p *Proxy) (starlark.Value, error) { return text(p.p.Source), nil })
	link(b, "side", "string | None", "Which side of the configuration the calls read, None for the actual one where it can be read.", `proxies()[0].desired().side`,
		func(p *Proxy) (starlark.Value, error) {
			if p.side == mesh.Any {
				return starlark.None, nil
			}
			return text(string(p.Config().Side())), nil
		}).enum(string(mesh.Actual), string(mesh.Desired))
	link(b, "metadata", "JSONObject | None", "The metadata of its node, as it tells the control plane.", `proxies()[0].metadata`,
		func(p *Proxy) (starlark.Value, error) { return jsonOrNone(p.p.Metadata), nil })
	b.proxySides()
	b.proxyDiff()
	b.proxyShare()
	b.method("has", []Param{{Name: "kind", Type: "string", Doc: "what the section configures", Enum: kindNames()}}, "bool",
		"Whether its configuration tells of a kind of resource at all, which tells \"none\" from \"not recorded\": no dump has all sections.",
		`proxy("productpage-v1").has("secret")`, func(c *Call) (starlark.Value, error) {
			ok, err := c.Recv.(*Proxy).Config().Has(c.Context(), resource.Kind(c.Text("kind")))
			return starlark.Bool(ok), err
		})
	b.method("stats", []Param{{Name: "filter", Type: "pattern", Default: "None", Doc: "which statistics, by name"}}, "dict",
		"The Envoy's counters, gauges and text readouts by name; histograms are left out. The fewer are asked for, the less the Envoy is bothered.",
		`attempt(proxy("productpage-v1").stats, "cluster_manager.*").ok`, statsMethod)
	t.columns = []column{
		{Column: Column{Name: "NAME", Elide: ElideMiddle}, Cell: func(v starlark.Value) string { return v.(*Proxy).p.Name }},
		// Of several clusters it says which row is which; of one it is the first to go.
		{Column: Column{Name: "CLUSTER", Elide: ElideMiddle}, Cell: func(v starlark.Value) string { return v.(*Proxy).p.Cluster },
			Unless: func(v starlark.Value) bool { return v.(*Proxy).p.Cluster == "" }},
		{Column: Column{Name: "CLUSTER", Priority: 5, Elide: ElideMiddle}, Cell: func(v starlark.Value) string { return v.(*Proxy).p.ClusterID },
			Unless: func(v starlark.Value) bool { return v.(*Proxy).p.Cluster != "" }},
	}
	for _, st := range syncTypes {
		c := column{Column: Column{Name: st.short, Priority: syncPriority(st.short), Elide: ElideAside}, Cell: func(v starlark.Value) string { return syncCell(v.(*Proxy), st.short) }}
		if st.short == "SDS" { // of few proxies: shown where it tells something
			c.Unless = func(v starlark.Value) bool {
				t := v.(*Proxy).syncOf(st.short)
				return t == nil || t.s.Status == syncz.Synced
			}
		}
		t.columns = append(t.columns, c)
	}
	t.columns = append(t.columns,
		column{Column: Column{Name: "ISTIOD", Priority: 4, Elide: ElideMiddle}, Cell: func(v starlark.Value) string { return v.(*Proxy).p.Istiod }},
		column{Column: Column{Name: "VERSION", Priority: 3}, Cell: func(v starlark.Value) string {
			p := v.(*Proxy).p
			if p.IstioVersion == "" {
				return p.EnvoyVersion
			}
			return p.IstioVersion
		}},
		column{Column: Column{Name: "ERROR", Priority: 1, Elide: ElideEnd}, Cell: func(v starlark.Value) string { return v.(*Proxy).rejections() }},
		column{Column: Column{Name: "TYPE"}, Wide: true, Cell: func(v starlark.Value) string { return v.(*Proxy).p.Type }},
		column{Column: Column{Name: "WORKLOAD"}, Wide: true, Cell: func(v starlark.Value) string { return v.(*Proxy).p.Workload }},
		column{Column: Column{Name: "REVISION"}, Wide: true, Cell: func(v starlark.Value) string { return v.(*Proxy).p.Revision }},
		column{Column: Column{Name: "READY"}, Wide: true, Cell: func(v starlark.Value) string {
			switch ready := v.(*Proxy).p.Ready; {
			case ready == nil:
				return ""
			case *ready:
				return "yes"
			default:
				return "no"
			}
		}},
		column{Column: Column{Name: "IP"}, Wide: true, Cell: func(v starlark.Value) string { return v.(*Proxy).p.IP }},
		column{Column: Column{Name: "SOURCE"}, Wide: true, Cell: func(v starlark.Value) string { return v.(*Proxy).p.Source }},
	)
	for i := range t.columns[1:] {
		t.columns[i+1].Optional = true
	}
	b.collection("Proxies", "Proxy", "Proxies of a mesh.")

	b.typ("SyncStatus", "Value", "What the control plane says a proxy has acknowledged, by type. A type the proxy does not watch is None.")
	for _, st := range syncTypes {
		field(b, st.name, "TypeSync | None", "The status of its "+st.what+" ("+st.short+").", `proxies()[0].sync.`+st.name,
			func(s *SyncStatus) (starlark.Value, error) {
				if t := s.proxy.syncOf(st.short); t != nil {
					return t, nil
				}
				return starlark.None, nil
			})
	}
	link(b, "types", "dict", "The status of every type the proxy watches, by its short name or its type URL.", `proxies()[0].sync.types.keys()`,
		func(s *SyncStatus) (starlark.Value, error) {
			d := starlark.NewDict(8)
			if c := s.proxy.p.Sync; c != nil {
				for _, st := range c.Types {
					d.SetKey(text(st.Type), &typeSync{st, s.proxy}) // a new dict and a string key: cannot fail
				}
			}
			d.Freeze()
			return d, nil
		})

	b.typ("TypeSync", "Value", "How far a proxy is with one type of configuration.")
	ts := func(name string) string { return `[p.sync.eds.` + name + ` for p in proxies() if p.eds]` }
	field(b, "type", "string", "The type: CDS, LDS, EDS, RDS, ... or its URL.", ts("type"), func(t *typeSync) (starlark.Value, error) { return text(t.s.Type), nil })
	field(b, "state", "string", "SYNCED: acknowledged. STALE: sent and not acknowledged, normal for a moment after a change. NOT_SENT: there is nothing to send. ERROR: rejected.",
		ts("state"), func(t *typeSync) (starlark.Value, error) { return text(string(t.s.Status)), nil }).enum(syncStates()...)
	field(b, "sent", "string", "The nonce of what was sent last.", ts("sent"), func(t *typeSync) (starlark.Value, error) { return text(t.s.SentNonce), nil })
	field(b, "acked", "string", "The nonce that was acknowledged last.", ts("acked"), func(t *typeSync) (starlark.Value, error) { return text(t.s.AckedNonce), nil })
	field(b, "sent_at", "time.time | None", "When the control plane sent it last.", ts("sent_at"), func(t *typeSync) (starlark.Value, error) { return timeOrNone(t.s.SentAt), nil })
	field(b, "age", "time.duration | None", "How long ago that was, by the mesh's clock.", ts("age"), func(t *typeSync) (starlark.Value, error) {
		if t.s.SentAt.IsZero() {
			return starlark.None, nil
		}
		return startime.Duration(t.proxy.now.Sub(t.s.SentAt).Round(time.Millisecond)), nil
	})
	field(b, "share", "float | None", "Of EDS: the share of the control plane's endpoints that the proxy holds, 0 to 1. Only proxies(share=True) finds it out; p.eds_share() does so for one proxy.",
		ts("share"), func(t *typeSync) (starlark.Value, error) {
			if t.s.Type != "EDS" || t.proxy.share == nil {
				return starlark.None, nil
			}
			return starlark.Float(*t.proxy.share), nil
		})
	field(b, "error", "string | None", "Why the proxy rejected it, in Envoy's words, which may hold all of what it rejected.", ts("error"), func(t *typeSync) (starlark.Value, error) { return textOrNone(t.s.Error), nil })
	field(b, "reason", "string | None", "The same on one line: what the proxy rejected, by its name, and why.", ts("reason"),
		func(t *typeSync) (starlark.Value, error) { return textOrNone(syncz.RejectionLine(t.s.Error)), nil })
}

// syncCell is istioctl's cell: the state with the age of the last push, and of
// EDS the share of the endpoints where it is known, or IGNORED for a type the
// proxy does not watch. That it is not connected stands in the first of the
// cells, which no table is too narrow for, or that a control plane which may
// know it did not answer; those of a proxy of which nothing is known are empty.
func syncCell(p *Proxy, short string) string {
	t := p.syncOf(short)
	switch {
	case t == nil && p.p.Sync == nil && short == syncTypes[0].short && p.p.Connected != nil && !*p.p.Connected:
		return "not connected"
	case t == nil && p.p.Sync == nil && short == syncTypes[0].short && p.controlPlaneFailed():
		return "unknown"
	case t == nil && p.p.Sync == nil:
		return ""
	case t == nil:
		return "IGNORED"
	case t.s.Status == syncz.NotSent:
		return "NOT SENT"
	}
	var asides []string
	if short == "EDS" && p.share != nil {
		asides = append(asides, percentText(*p.share))
	}
	if !t.s.SentAt.IsZero() {
		asides = append(asides, AgeText(p.now.Sub(t.s.SentAt)))
	}
	if len(asides) == 0 {
		return string(t.s.Status)
	}
	return fmt.Sprintf("%s (%s)", t.s.Status, strings.Join(asides, ", "))
}

// controlPlaneFailed tells whether more would be known of the proxy if a control
// plane could be asked.
func (p *Proxy) controlPlaneFailed() bool {
	var unreachable *mesh.UnreachableError
	return errors.As(p.p.Lacks(mesh.Desired), &unreachable)
}

// rejections are the reasons for which the proxy rejects types.
func (p *Proxy) rejections() string {
	var parts []string
	if p.p.Sync != nil {
		for _, st := range p.p.Sync.Types {
			if st.Error != "" {
				parts = append(parts, st.Type+": "+syncz.RejectionLine(st.Error))
			}
		}
	}
	return strings.Join(parts, "; ")
}

func kindNames() []string {
	var out []string
	for _, k := range resource.Kinds {
		out = append(out, string(k))
	}
	return out
}

func statsMethod(c *Call) (starlark.Value, error) {
	name, err := c.Pattern("filter")
	if err != nil {
		return nil, err
	}
	filter := ""
	if !name.IsAll() {
		filter = "^(?:" + name.Regexp() + ")$"
	}
	stats, err := c.Recv.(*Proxy).Config().Stats(c.Context(), filter)
	if err != nil {
		return nil, err
	}
	d := starlark.NewDict(len(stats.Values))
	for _, s := range stats.Values {
		if !name.Match(s.Name) {
			continue
		}
		value := text(s.Text)
		if s.Number != "" {
			value = number(string(s.Number))
		}
		if err := d.SetKey(text(s.Name), value); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// proxyParams are the filters of proxies().
func proxyParams() []Param {
	params := []Param{
		{Name: "name", Type: "pattern", Default: "None", Doc: "names to keep; also those of pods and workloads"},
		{Name: "namespace", Type: "pattern", Default: "None", Doc: "namespaces to keep"},
		{Name: "workload", Type: "pattern", Default: "None", Doc: "workloads to keep"},
		{Name: "labels", Type: "dict", Default: "None", Doc: "labels that must be there, each with a pattern for its value"},
		{Name: "cluster_id", Type: "pattern", Default: "None", Doc: "Kubernetes clusters to keep"},
		{Name: "type", Type: "string", Default: "None", Doc: "the kind of proxy", Enum: proxyTypes()},
		{Name: "connected", Type: "bool", Default: "None", Doc: "only those that are, or are not, connected"},
		{Name: "ready", Type: "bool", Default: "None", KwOnly: true, Doc: "only those whose pods are, or are not, ready"},
		{Name: "revision", Type: "pattern", Default: "None", KwOnly: true, Doc: "revisions of the control plane to keep, by their names or tags"},
	}
	params = append(params, Param{Name: "share", Type: "bool", Default: "False", KwOnly: true,
		Doc: "also find out which share of the control plane's endpoints each holds, as EDS shows: SYNCED (100%); reads the endpoints of both sides"})
	for _, st := range syncTypes {
		params = append(params, Param{Name: st.name, Type: "string", Default: "None", Doc: "the sync state of its " + st.what, Enum: syncStates(), KwOnly: true})
	}
	return params
}

// listProxies answers proxies(...) for a mesh.
func listProxies(c *Call, all mesh.Result[*mesh.Proxy]) (*Collection, error) {
	pats := map[string]pattern.Pattern{}
	for _, name := range []string{"name", "namespace", "workload", "cluster_id", "revision"} {
		p, err := c.Pattern(name)
		if err != nil {
			return nil, err
		}
		pats[name] = p
	}
	labels := map[string]pattern.Pattern{}
	if d, ok := c.Value("labels").(starlark.IterableMapping); ok {
		for k, v := range starlark.Entries(d) {
			key, isText := starlark.AsString(k)
			want, isText2 := starlark.AsString(v)
			if !isText || !isText2 {
				return nil, errors.New("labels: want a dict of strings")
			}
			p, err := pattern.Parse(want)
			if err != nil {
				return nil, fmt.Errorf("labels: %w", err)
			}
			labels[key] = p
		}
	}
	typ, connected, ready := c.Text("type"), c.Value("connected"), c.Value("ready")
	tags, err := revisionTags(c, pats["revision"], all.Items)
	if err != nil {
		return nil, err
	}
	out := &Collection{elem: "Proxy", failures: all.Failures}
	for _, st := range syncTypes {
		if c.Value(st.name) != nil {
			out.columns = append(out.columns, st.short)
		}
	}
next:
	for _, p := range all.Items {
		name := pats["name"]
		if !name.Match(p.Name) && !(p.Pod != "" && name.Match(p.Pod)) && !(p.Workload != "" && name.Match(p.Workload)) {
			continue
		}
		if !pats["namespace"].Match(p.Namespace) || !pats["workload"].Match(p.Workload) || !pats["cluster_id"].Match(p.ClusterID) {
			continue
		}
		if typ != "" && p.Type != typ {
			continue
		}
		if connected != nil && (p.Connected == nil || *p.Connected != bool(connected.Truth())) {
			continue
		}
		if ready != nil && (p.Ready == nil || *p.Ready != bool(ready.Truth())) {
			continue
		}
		if !pats["revision"].Match(p.Revision) && !slices.ContainsFunc(tags[p.Revision], pats["revision"].Match) {
			continue
		}
		for k, pat := range labels {
			if have, ok := p.Labels[k]; !ok || !pat.Match(have) {
				continue next
			}
		}
		v := NewProxy(c.Context(), p)
		for _, st := range syncTypes {
			want := c.Value(st.name)
			if want == nil {
				continue
			}
			if same, _ := starlark.Equal(v.syncState(st.short), want); !same {
				continue next
			}
		}
		out.items = append(out.items, v)
	}
	if c.Bool("share") {
		if err := findShares(c.Context(), out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// revisionTags gives the tags of each revision where a filter asks for revisions.
func revisionTags(c *Call, revision pattern.Pattern, all []*mesh.Proxy) (map[string][]string, error) {
	if revision.IsAll() || len(all) == 0 {
		return nil, nil
	}
	istiods, err := all[0].Mesh().Istiods(c.Context())
	if err != nil {
		return nil, err
	}
	tags := map[string][]string{}
	for _, i := range istiods.Items {
		tags[i.Revision] = append(tags[i.Revision], i.Tags...)
	}
	return tags, nil
}

// kindStage names a fetch in failures: what the user called.
func kindStage(kind resource.Kind) string {
	switch kind {
	case resource.RouteConfig:
		return "routes"
	case resource.Bootstrap:
		return "bootstrap"
	case resource.ScopedRoutes:
		return "scoped_routes"
	default:
		return string(kind) + "s"
	}
}

// syncPriority is how early a type's column gives way: what many proxies do not watch goes first.
func syncPriority(short string) int {
	if short == "ECDS" {
		return 6
	}
	return 1
}
