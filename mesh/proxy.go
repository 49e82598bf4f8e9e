package mesh

import (
	"context"
	"strings"
	"sync"

	"github.com/meshlark/meshlark/xds/naming"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/syncz"
)

// Side tells what Envoy runs from what the control plane would send it.
type Side string

// The sides of a proxy's configuration. Any is the actual one where it can be read and the desired one elsewhere.
const (
	Any     Side = ""
	Actual  Side = "actual"
	Desired Side = "desired"
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
	Sync         *syncz.Client // nil when no source is a control plane
	Source       string        // the specs it is known from, comma separated

	mesh    *Mesh
	actual  Reader
	desired Reader

	mu     sync.Mutex
	gen    int
	parts  map[partKey]*flight[part]
	admins map[adminKey]*flight[[]byte]
}

// Has tells whether a source can give that side of the proxy's configuration.
func (p *Proxy) Has(side Side) bool {
	switch side {
	case Actual:
		return p.actual != nil
	case Desired:
		return p.desired != nil
	default:
		return p.actual != nil || p.desired != nil
	}
}

// Mesh is the mesh the proxy belongs to.
func (p *Proxy) Mesh() *Mesh { return p.mesh }

// Config gives one side of the proxy's configuration. Reading from a side that no source gives fails with ErrNotAvailable.
func (p *Proxy) Config(side Side) Config {
	if side == Any {
		side = Actual
		if p.actual == nil {
			side = Desired
		}
	}
	return Config{proxy: p, side: side}
}

// add joins a source's record with what is known: to the proxy of the same name and cluster that lacks what the record has,
// else as a proxy of its own. Two recordings of one proxy thus stay two.
func (sv *survey) add(m *Mesh, r Record, s Source) {
	p := newProxy(m, r, s.Spec())
	for _, known := range sv.proxies {
		if known.Name == p.Name && (known.ClusterID == p.ClusterID || known.ClusterID == "" || p.ClusterID == "") && known.complements(p) {
			known.join(p)
			return
		}
	}
	sv.proxies = append(sv.proxies, p)
}

func newProxy(m *Mesh, r Record, spec string) *Proxy {
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
		Sync:         r.Sync,
		Source:       spec,
		mesh:         m,
		actual:       r.Actual,
		desired:      r.Desired,
	}
	if p.IP == "" && len(id.IPs) > 0 {
		p.IP = id.IPs[0]
	}
	if r.Sync != nil {
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
	return p
}

// complements tells whether neither knows a side that the other knows too.
func (p *Proxy) complements(o *Proxy) bool {
	return (p.actual == nil || o.actual == nil) && (p.desired == nil || o.desired == nil) && (p.Sync == nil || o.Sync == nil)
}

func (p *Proxy) join(o *Proxy) {
	p.Pod, p.Namespace, p.Workload = first(p.Pod, o.Pod), first(p.Namespace, o.Namespace), first(p.Workload, o.Workload)
	p.ClusterID, p.Type, p.IP, p.NodeID = first(p.ClusterID, o.ClusterID), first(p.Type, o.Type), first(p.IP, o.IP), first(p.NodeID, o.NodeID)
	p.IstioVersion, p.EnvoyVersion = first(p.IstioVersion, o.IstioVersion), first(p.EnvoyVersion, o.EnvoyVersion)
	p.Istiod = first(p.Istiod, o.Istiod)
	if len(p.Labels) == 0 {
		p.Labels = o.Labels
	}
	if len(p.Metadata) == 0 {
		p.Metadata = o.Metadata
	}
	if p.Connected == nil {
		p.Connected = o.Connected
	}
	if p.Sync == nil {
		p.Sync = o.Sync
	}
	if p.actual == nil {
		p.actual = o.actual
	}
	if p.desired == nil {
		p.desired = o.desired
	}
	if p.Source != o.Source { // a source may know a proxy twice, once by each side
		p.Source += ", " + o.Source
	}
}

// An Istiod is one control plane instance.
type Istiod struct {
	Name     string
	Version  string
	Revision string
	Source   string

	debug func(context.Context, string) ([]byte, error)
	mesh  *Mesh
}

// Mesh is the mesh the instance belongs to.
func (i *Istiod) Mesh() *Mesh { return i.mesh }

// Debug gets a path of the instance's debug API, such as "syncz". Paths that change something are refused.
func (i *Istiod) Debug(ctx context.Context, path string) ([]byte, error) {
	b, err := i.debug(ctx, path)
	if err == nil {
		recordFetch(ctx, int64(len(b)))
	}
	return b, err
}

// Proxies gives the proxies that are connected to this instance.
func (i *Istiod) Proxies(ctx context.Context) (Result[*Proxy], error) {
	all, err := i.mesh.Proxies(ctx)
	if err != nil {
		return all, err
	}
	var mine []*Proxy
	for _, p := range all.Items {
		if p.Sync != nil && p.Istiod == i.Name {
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
