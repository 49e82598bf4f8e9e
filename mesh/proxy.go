package mesh

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/meshlark/meshlark/xds/naming"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/syncz"
)

// Side tells what Envoy runs from what the control plane would send it.
type Side string

// The sides of a proxy's configuration. Any is the actual one, and the desired one only where no source reads Envoys at all: a source that reads those of
// other proxies and not this one's tells why, and that is the answer.
const (
	Any     Side = ""
	Actual  Side = "actual"
	Desired Side = "desired"
	// ByADS is the desired configuration as the control plane sends it to who connects as the proxy. Reading it does that.
	ByADS Side = "desired by ADS"
)

// A Proxy is one proxy of a mesh. Its fields never change; its configuration is read through Config.
type Proxy struct {
	Name         string // "pod.namespace" of an Istio proxy, else the node id or what its source calls it
	Pod          string
	Namespace    string
	Workload     string
	ClusterID    string
	Type         string // sidecar, router, waypoint, ztunnel ...; "" when the node id does not say
	IstioVersion string
	EnvoyVersion string
	Istiod       string // the control plane instance it is connected to
	IP           string
	NodeID       string
	Labels       map[string]string
	Metadata     rawjson.Value // of the node
	Connected    *bool         // nil when no source can tell
	Ready        *bool         // whether its pod is ready for requests; nil when no source can tell
	Revision     string        // of the control plane it is connected to, else of the one its pod was made for
	Since        time.Time     // when it connected to its control plane; zero when no source can tell
	Sync         *syncz.Client // nil when no source is a control plane
	Source       string        // the specs it is known from, comma separated
	// Cluster is what tells its Kubernetes cluster from the others of the mesh: the cluster's id, or where several have that id (as those nobody gave
	// one, which all have Istio's default) the source it is read from. It is "" where the proxies of the mesh are of one cluster.
	Cluster string

	mesh    *Mesh
	actual  Reader
	desired Reader
	ads     Reader
	turns   turns // of asking its control plane
	why     error // why there is no desired side; nil where its sources have none of any proxy
	hidden  error // likewise why there is no actual one
	live    bool
	plane   string   // the spec of the source that knows its control plane
	cluster string   // the spec of the source in whose Kubernetes cluster its pod is
	home    bool     // it is of the namespace that names mean first
	owner   string   // the kind of what its pod belongs to, in the plural of a Kubernetes path (deployments); "" when unknown
	ips     []string // all its addresses, where its node tells them

	mu     sync.Mutex
	gen    int
	parts  map[partKey]*flight[part]
	admins map[adminKey]*flight[any]
	memos  map[memoKey]memo
}

// nameClusters sets the Cluster of the proxies of a mesh.
func nameClusters(proxies []*Proxy) {
	read := map[string]string{} // from what the clusters of an id are read
	several := map[string]bool{}
	for _, p := range proxies {
		if before, ok := read[p.ClusterID]; ok && p.cluster != "" && before != "" && before != p.cluster {
			several[p.ClusterID] = true
		}
		read[p.ClusterID] = first(read[p.ClusterID], p.cluster)
	}
	delete(read, "")
	if len(read) < 2 && len(several) == 0 {
		return
	}
	for _, p := range proxies {
		p.Cluster = first(p.ClusterID, p.Source)
		if several[p.ClusterID] && p.cluster != "" {
			p.Cluster = p.cluster
		}
	}
}

// Has tells whether a source can give that side of the proxy's configuration.
func (p *Proxy) Has(side Side) bool {
	switch side {
	case Actual:
		return p.actual != nil
	case Desired:
		return p.desired != nil
	case ByADS:
		return p.ads != nil
	default:
		return p.actual != nil || p.desired != nil
	}
}

// Lacks says why there is no such side of the proxy's configuration; nil where there is one. The error wraps ErrNotAvailable, unless Envoys of other proxies
// are read and this one cannot be, which is a failure.
func (p *Proxy) Lacks(side Side) error {
	switch {
	case p.Has(side):
		return nil
	case side == Desired && p.why != nil:
		return fmt.Errorf("%w: %w", ErrNotAvailable, p.why)
	case side == Actual && p.hidden != nil:
		return p.hidden
	default:
		return fmt.Errorf("%w: %s knows the other side only", ErrNotAvailable, p.Source)
	}
}

// Mesh is the mesh the proxy belongs to.
func (p *Proxy) Mesh() *Mesh { return p.mesh }

// Config gives one side of the proxy's configuration. Reading from a side that no source gives fails with ErrNotAvailable.
func (p *Proxy) Config(side Side) Config {
	if side == Any {
		side = Actual
		if p.actual == nil && p.hidden == nil {
			side = Desired
		}
	}
	return Config{proxy: p, side: side}
}

// add joins a source's record with what is known: to the proxy of the same name and cluster that lacks what the record has,
// else as a proxy of its own. Two recordings of one proxy thus stay two.
func (sv *survey) add(m *Mesh, r Record, s Source) {
	p := newProxy(m, r, s)
	if known := sv.same(p); known != nil {
		known.join(p)
		return
	}
	sv.proxies = append(sv.proxies, p)
	if sv.byName == nil {
		sv.byName = map[string][]*Proxy{}
	}
	sv.byName[p.Name] = append(sv.byName[p.Name], p)
}

// same finds the proxy that is known already; nil when there is none. A cluster that one of the two does not tell may be any, but only if no choice is
// left.
func (sv *survey) same(p *Proxy) *Proxy {
	var maybe []*Proxy
	for _, known := range sv.byName[p.Name] {
		switch {
		case !known.complements(p):
		case known.ClusterID == p.ClusterID:
			return known
		case known.ClusterID == "" || p.ClusterID == "":
			maybe = append(maybe, known)
		}
	}
	if len(maybe) == 1 {
		return maybe[0]
	}
	return nil
}

func newProxy(m *Mesh, r Record, s Source) *Proxy {
	node, _ := naming.ParseNode(r.NodeID)
	id := naming.Subject(r.Metadata)
	p := &Proxy{
		Name:         first(r.Name, first(podName(node.Pod, node.Namespace), r.NodeID)),
		Pod:          first(node.Pod, id.Pod),
		Namespace:    first(node.Namespace, id.Namespace),
		Workload:     id.Workload,
		ClusterID:    id.ClusterID,
		Type:         node.Type,
		IstioVersion: id.IstioVersion,
		EnvoyVersion: naming.EnvoyVersion(r.BuildInfo),
		Istiod:       r.Istiod,
		IP:           first(r.IP, node.IP),
		NodeID:       r.NodeID,
		Labels:       id.Labels,
		Metadata:     r.Metadata,
		Connected:    r.Connected,
		Ready:        r.Ready,
		Revision:     first(r.Revision, id.Labels["istio.io/rev"]),
		Since:        r.Since,
		Sync:         r.Sync,
		Source:       s.Spec(),
		mesh:         m,
		actual:       r.Actual,
		desired:      r.Desired,
		why:          r.NoDesired,
		hidden:       r.NoActual,
		ads:          r.ADS,
		live:         s.Live(),
		turns:        newTurns(),
		owner:        ownerKind(id.Owner),
		ips:          id.IPs,
	}
	if p.IP == "" && len(id.IPs) > 0 {
		p.IP = id.IPs[0]
	}
	if r.Sync != nil {
		p.plane = s.Spec()
		p.ClusterID = first(p.ClusterID, r.Sync.ClusterID)
		p.Type = first(p.Type, r.Sync.Type)
		p.IstioVersion = first(p.IstioVersion, r.Sync.IstioVersion)
		p.Istiod = first(p.Istiod, r.Sync.Istiod)
		if pod, ns, ok := cutLast(p.Name, "."); ok && p.Pod == "" {
			p.Pod, p.Namespace = pod, first(p.Namespace, ns)
		}
	}
	if p.Workload == "" && p.Pod != "" {
		p.Workload = naming.WorkloadOfPod(p.Pod)
	}
	namespace := m.options.Namespace
	if n, ok := s.(Namespacer); ok {
		namespace = first(namespace, n.Namespace())
		if r.Actual != nil {
			p.cluster = s.Spec()
		}
	}
	p.home = namespace != "" && p.Namespace == namespace
	return p
}

// ownerKind takes the kind out of a reference such as kubernetes://apis/apps/v1/namespaces/default/deployments/reviews-v1, as the injector
// leaves it in the node's metadata.
func ownerKind(owner string) string {
	parts := strings.Split(owner, "/")
	if len(parts) < 2 {
		return ""
	}
	return parts[len(parts)-2]
}

// complements tells whether two records can be of one proxy: neither knows a side that the other knows too. Several control planes may list a proxy at
// the same moment, as it has moved from one to another; at different addresses there are different pods.
func (p *Proxy) complements(o *Proxy) bool {
	if p.actual != nil && o.actual != nil {
		return false
	}
	if p.live && o.live && p.Sync != nil && o.Sync != nil {
		return p.IP == "" || o.IP == "" || p.IP == o.IP
	}
	return (p.desired == nil || o.desired == nil) && (p.Sync == nil || o.Sync == nil)
}

// join adds what another source knows of the proxy. What it told its control plane says more than what its pod says, and the newest connection says
// more than an older one, which a control plane goes on to list until it notices the end.
func (p *Proxy) join(o *Proxy) {
	a, b := p, o
	if o.knowsBetter(p) {
		a, b = o, p
	}
	p.Pod, p.Namespace, p.Workload = first(a.Pod, b.Pod), first(a.Namespace, b.Namespace), first(a.Workload, b.Workload)
	p.ClusterID, p.Type, p.IP, p.NodeID = first(a.ClusterID, b.ClusterID), first(a.Type, b.Type), first(a.IP, b.IP), first(a.NodeID, b.NodeID)
	p.IstioVersion, p.EnvoyVersion = first(a.IstioVersion, b.IstioVersion), first(a.EnvoyVersion, b.EnvoyVersion)
	p.Istiod, p.Revision, p.owner = first(a.Istiod, b.Istiod), first(a.Revision, b.Revision), first(a.owner, b.owner)
	p.plane, p.cluster = first(a.plane, b.plane), first(a.cluster, b.cluster)
	p.home, p.live = a.home || b.home, a.live || b.live
	if len(a.Labels) > 0 {
		p.Labels = a.Labels
	} else {
		p.Labels = b.Labels
	}
	if len(a.ips) > 0 {
		p.ips = a.ips
	} else {
		p.ips = b.ips
	}
	if len(a.Metadata) > 0 {
		p.Metadata = a.Metadata
	} else {
		p.Metadata = b.Metadata
	}
	p.Connected, p.Ready = either(a.Connected, b.Connected), either(a.Ready, b.Ready)
	p.Since, p.Sync = cmp.Or(a.Since, b.Since), cmp.Or(a.Sync, b.Sync)
	p.actual, p.desired, p.ads = cmp.Or(a.actual, b.actual), cmp.Or(a.desired, b.desired), cmp.Or(a.ads, b.ads)
	p.why, p.hidden = cmp.Or(a.why, b.why), cmp.Or(a.hidden, b.hidden)
	if p.Source != o.Source { // a source may know a proxy twice, once by each side
		p.Source += ", " + o.Source
	}
}

// knowsBetter tells whether the record says more of the proxy's connection than another one.
func (p *Proxy) knowsBetter(o *Proxy) bool {
	switch {
	case p.Sync == nil || o.Sync == nil:
		return p.Sync != nil && o.actual != nil && o.desired == nil
	case !p.Since.IsZero() && !o.Since.IsZero():
		return p.Since.After(o.Since)
	default:
		return p.Sync.LastSent().After(o.Sync.LastSent())
	}
}

// either is true when one source says so: another one that says the contrary has not heard of it.
func either(a, b *bool) *bool {
	if a == nil || b != nil && *b {
		return b
	}
	return a
}

// An Istiod is one control plane instance.
type Istiod struct {
	Name     string
	Version  string
	Revision string
	Tags     []string // names that stand for its revision; nil when its source cannot tell
	Source   string

	debug func(context.Context, string) ([]byte, error)
	mesh  *Mesh
}

// Mesh is the mesh the instance belongs to.
func (i *Istiod) Mesh() *Mesh { return i.mesh }

// Debug gets a path of the instance's debug API, such as "syncz". Paths that change something are refused.
func (i *Istiod) Debug(ctx context.Context, path string) ([]byte, error) {
	bare, _, _ := strings.Cut(path, "?")
	kind := answerKind{what: "debug " + bare}
	ctx, t, err := i.mesh.begin(ctx, bare+" of "+i.Name, 0, kind, nil)
	if err != nil {
		return nil, err
	}
	b, err := i.debug(ctx, path)
	if err := t.end(int64(len(b)), err); err != nil {
		return nil, err
	}
	recordFetch(ctx, int64(len(b)))
	return b, nil
}

// Proxies gives the proxies that are connected to this instance.
func (i *Istiod) Proxies(ctx context.Context) (Result[*Proxy], error) {
	all, err := i.mesh.Proxies(ctx)
	if err != nil {
		return all, err
	}
	var mine []*Proxy
	for _, p := range all.Items {
		if p.Sync != nil && p.Istiod == i.Name && p.plane == i.Source {
			mine = append(mine, p)
		}
	}
	return Result[*Proxy]{Items: mine, Failures: all.Failures}, nil
}

func podName(pod, namespace string) string {
	if pod == "" || namespace == "" {
		return ""
	}
	return pod + "." + namespace
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
