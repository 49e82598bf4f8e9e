package mesh

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/xds/pattern"
)

// A NoProxyError says that no proxy, or more than one workload's, answers to a name.
type NoProxyError struct {
	Name       string
	Candidates []string // proxies of several workloads, or near misses
	Ambiguous  bool
	Clusters   bool // the candidates are of several clusters
}

func (e *NoProxyError) Error() string {
	const shown = 10
	names := e.Candidates
	more := ""
	if len(names) > shown {
		more = fmt.Sprintf(" and %d more", len(names)-shown)
		names = names[:shown]
	}
	list := strings.Join(names, ", ") + more
	switch {
	case e.Ambiguous && e.Clusters:
		return fmt.Sprintf("proxy %q could be any of %d of several clusters: %s; name one with cluster_id=", e.Name, len(e.Candidates), list)
	case e.Ambiguous:
		return fmt.Sprintf("proxy %q could be any of %d of several workloads: %s; name one", e.Name, len(e.Candidates), list)
	case len(e.Candidates) == 0:
		return fmt.Sprintf("no proxy %q: the mesh has none", e.Name)
	default:
		return fmt.Sprintf("no proxy %q; there are: %s", e.Name, list)
	}
}

// A Query says which proxy is meant.
type Query struct {
	// Name is what people call it: its name ("pod.namespace"), a pod, a workload ("deploy/x", "deploy/x.ns", "x.ns"), a service ("svc/x"), a Gateway
	// ("gateway/x"), a node id, an IP, a pattern or a prefix of the name.
	Name string
	// Namespace keeps the proxies of one namespace; "" is all, those of the user's own namespace first.
	Namespace string
	// ClusterID keeps the proxies of one cluster, by its id, or by the source it is read from; "" is all.
	ClusterID string
}

// Proxy finds one proxy by what people call it (see Query).
func (m *Mesh) Proxy(ctx context.Context, name string) (p *Proxy, note string, err error) {
	return m.Find(ctx, Query{Name: name})
}

// Find finds one proxy. A proxy's whole name, node id or address is looked for everywhere. Other names mean the proxies of the user's own namespace, and
// those of others only if none there answers to the name; what matches exactly wins over a prefix. Of several proxies of one workload the first that is
// connected and ready is taken, and the note says so.
func (m *Mesh) Find(ctx context.Context, q Query) (p *Proxy, note string, err error) {
	res, err := m.Proxies(ctx)
	if err != nil {
		return nil, "", err
	}
	all := filter(res.Items, func(p *Proxy) bool {
		return (q.Namespace == "" || p.Namespace == q.Namespace) && (q.ClusterID == "" || p.ClusterID == q.ClusterID || p.cluster == q.ClusterID)
	})
	kind, rest, ok := strings.Cut(q.Name, "/")
	if find := kindOf[strings.ToLower(kind)]; ok && find != nil && rest != "" {
		found, err := find(ctx, m, all, Query{Name: rest, Namespace: q.Namespace})
		if err != nil {
			return nil, "", err
		}
		if len(found) == 0 {
			return nil, "", noProxy(q.Name, rest, all)
		}
		return choose(found, q.Name, selectsSeveral[strings.ToLower(kind)])
	}
	found := filter(all, func(p *Proxy) bool {
		return p.Name == q.Name || p.NodeID == q.Name || q.Name != "" && p.hasAddress(q.Name)
	})
	named := q.Name
	if ip, name, ok := cutNodeID(q.Name); ok && len(found) == 0 {
		named = name
		found = filter(all, func(p *Proxy) bool { return p.NodeID == "" && p.Name == name && (p.IP == "" || p.hasAddress(ip)) })
	}
	if len(found) == 0 {
		found, err = atHome(all, func(all []*Proxy) ([]*Proxy, error) { return matchNames(all, q.Name) })
	}
	if err != nil {
		return nil, "", err
	}
	if len(found) == 0 {
		return nil, "", noProxy(q.Name, named, all)
	}
	return choose(found, q.Name, false)
}

func (p *Proxy) hasAddress(ip string) bool { return p.IP == ip || slices.Contains(p.ips, ip) }

// cutNodeID takes apart an id as Istio gives it to Envoys, "TYPE~IP~POD.NAMESPACE~DOMAIN": a source that finds proxies by their pods does not know the ids.
func cutNodeID(id string) (ip, name string, ok bool) {
	parts := strings.Split(id, "~")
	if len(parts) != 4 {
		return "", "", false
	}
	return parts[1], parts[2], true
}

// noProxy names what there is, the names that begin like what was asked for first.
func noProxy(asked, base string, all []*Proxy) error {
	alike := func(name string) int {
		n := 0
		for n < len(name) && n < len(base) && name[n] == base[n] {
			n++
		}
		return n
	}
	names := make([]string, len(all))
	for i, p := range all {
		names[i] = p.Name
	}
	slices.SortStableFunc(names, func(a, b string) int { return alike(b) - alike(a) })
	return &NoProxyError{Name: asked, Candidates: names}
}

// atHome looks among the proxies of the user's own namespace, and among all if there is none.
func atHome(all []*Proxy, find func([]*Proxy) ([]*Proxy, error)) ([]*Proxy, error) {
	if own := filter(all, func(p *Proxy) bool { return p.home }); len(own) > 0 {
		if found, err := find(own); err != nil || len(found) > 0 {
			return found, err
		}
	}
	return find(all)
}

// matchNames tries the ways to name a proxy without a kind, the exact ones first, and gives the matches of the first way that has any.
func matchNames(all []*Proxy, name string) ([]*Proxy, error) {
	workload, ns, _ := cutLast(name, ".")
	ways := []func(*Proxy) bool{
		func(p *Proxy) bool { return p.Pod == name },
		func(p *Proxy) bool { return p.Workload == name },
		func(p *Proxy) bool { return ns != "" && p.Workload == workload && p.Namespace == ns },
	}
	for _, way := range ways {
		if found := filter(all, way); len(found) > 0 {
			return found, nil
		}
	}
	if strings.ContainsAny(name, "*?") || strings.HasPrefix(name, "re:") || strings.HasPrefix(name, "~") || strings.HasPrefix(name, "=") {
		pat, err := pattern.Parse(name)
		if err != nil {
			return nil, err
		}
		return filter(all, func(p *Proxy) bool { return pat.Match(p.Name) || pat.Match(p.Pod) }), nil
	}
	if found := filter(all, func(p *Proxy) bool { return name != "" && strings.HasPrefix(p.Name, name) }); len(found) > 0 {
		return found, nil
	}
	return filter(all, func(p *Proxy) bool {
		return ns != "" && p.Namespace == ns && strings.HasPrefix(p.Pod, workload)
	}), nil
}

// A finder finds the proxies that what stands after the slash of a name such as deploy/x means, among those of the query's namespace and cluster.
type finder func(ctx context.Context, m *Mesh, all []*Proxy, q Query) ([]*Proxy, error)

// kindOf are the words that people put before a name, as with kubectl.
var kindOf = func() map[string]finder {
	kinds := map[string]finder{}
	for words, find := range map[string]finder{
		"pod pods po": byName(func(p *Proxy, name string) bool { return p.Pod == name }),
		"replicaset replicasets rs": byName(func(p *Proxy, name string) bool {
			return strings.HasPrefix(p.Pod, name+"-") && !strings.Contains(p.Pod[len(name)+1:], "-")
		}),
		"deployment deployments deploy":       byOwner("deployments"),
		"statefulset statefulsets sts":        byOwner("statefulsets"),
		"daemonset daemonsets ds":             byOwner("daemonsets"),
		"job jobs":                            byOwner("jobs", "cronjobs"),
		"cronjob cronjobs cj":                 byOwner("cronjobs", "jobs"),
		"gateway gateways gtw":                byName(func(p *Proxy, name string) bool { return name != "" && p.Labels[gatewayLabel] == name }),
		"service services svc":                byService,
		"replicationcontroller rc workload":   byOwner(),
		"serviceaccount serviceaccounts sa":   byName(func(p *Proxy, name string) bool { return p.Metadata.Str("SERVICE_ACCOUNT") == name }),
		"workloadentry workloadentries we vm": byName(func(p *Proxy, name string) bool { return p.Pod == name }),
	} {
		for word := range strings.FieldsSeq(words) {
			kinds[word] = find
		}
	}
	return kinds
}()

// selectsSeveral are the words that mean several workloads, of which any will do, as istioctl has it.
var selectsSeveral = map[string]bool{"service": true, "services": true, "svc": true, "serviceaccount": true, "serviceaccounts": true, "sa": true}

// gatewayLabel is what Istio puts on the pods of a Gateway of the Kubernetes Gateway API.
const gatewayLabel = "gateway.networking.k8s.io/gateway-name"

// byName finds those that a function takes for the named ones, "x" or "x.namespace".
func byName(is func(p *Proxy, name string) bool) finder {
	return func(_ context.Context, _ *Mesh, all []*Proxy, q Query) ([]*Proxy, error) {
		return atHome(all, func(all []*Proxy) ([]*Proxy, error) {
			if found := filter(all, func(p *Proxy) bool { return is(p, q.Name) }); len(found) > 0 {
				return found, nil
			}
			bare, ns, _ := cutLast(q.Name, ".")
			return filter(all, func(p *Proxy) bool { return ns != "" && p.Namespace == ns && is(p, bare) }), nil
		})
	}
}

// byOwner finds the proxies of a workload of one of the kinds, or of any kind where the proxy does not tell. Where none is called so it finds those of
// the versions of it, as people call them that say deploy/reviews and have reviews-v1.
func byOwner(kinds ...string) finder {
	owned := func(is func(workload, name string) bool) finder {
		return byName(func(p *Proxy, name string) bool {
			return is(p.Workload, name) && (len(kinds) == 0 || p.owner == "" || slices.Contains(kinds, p.owner))
		})
	}
	exact := owned(func(workload, name string) bool { return workload == name })
	version := owned(func(workload, name string) bool { return name != "" && strings.HasPrefix(workload, name+"-v") })
	return func(ctx context.Context, m *Mesh, all []*Proxy, q Query) ([]*Proxy, error) {
		if found, err := exact(ctx, m, all, q); err != nil || len(found) > 0 {
			return found, err
		}
		return version(ctx, m, all, q)
	}
}

// byService asks the clusters which pods a service sends requests to: "x.namespace", or "x" in the namespace that is asked for or the user's own.
func byService(ctx context.Context, m *Mesh, all []*Proxy, q Query) ([]*Proxy, error) {
	service, ns, qualified := cutLast(q.Name, ".") // a service's name has no dot
	if !qualified {
		ns, qualified = q.Namespace, q.Namespace != ""
	}
	var found []*Proxy
	var failed error = fmt.Errorf("services: %w: name a Kubernetes cluster as a source", ErrNotAvailable)
	known := false
	for _, s := range m.sources {
		f, ok := s.(ServiceFinder)
		if !ok {
			continue
		}
		if !known {
			known, failed = true, nil
		}
		namespace := ns
		if n, ok := s.(Namespacer); ok && !qualified {
			namespace = first(m.options.Namespace, n.Namespace())
		}
		labels, err := f.ServiceSelector(ctx, service, namespace)
		if err != nil {
			failed = cmp.Or(failed, err)
			continue
		}
		found = append(found, filter(all, func(p *Proxy) bool {
			return p.cluster == s.Spec() && p.Namespace == namespace && hasLabels(p, labels)
		})...)
	}
	switch {
	case len(found) > 0:
		return found, nil
	case failed != nil:
		return nil, fmt.Errorf("proxy %q: %w", "svc/"+q.Name, failed)
	default:
		return nil, nil
	}
}

func hasLabels(p *Proxy, labels map[string]string) bool {
	for k, v := range labels {
		if p.Labels[k] != v {
			return false
		}
	}
	return len(labels) > 0
}

// choose takes one of the proxies of a workload: one that is connected and ready before others. anyWorkload lets them be of several.
func choose(found []*Proxy, name string, anyWorkload bool) (*Proxy, string, error) {
	if len(found) == 1 {
		return found[0], "", nil
	}
	f := found[0]
	several := slices.ContainsFunc(found, func(p *Proxy) bool { return !f.sameCluster(p) })
	if several || !anyWorkload && slices.ContainsFunc(found, func(p *Proxy) bool { return p.Workload != f.Workload || p.Namespace != f.Namespace || p.Workload == "" }) {
		names := make([]string, len(found))
		byID := several && distinctIDs(found)
		for i, p := range found {
			names[i] = p.Name
			switch {
			case byID:
				names[i] += " (cluster " + p.ClusterID + ")"
			case several || i > 0 && p.Name == found[i-1].Name || i+1 < len(found) && p.Name == found[i+1].Name:
				names[i] += " (" + p.Source + ")"
			}
		}
		return nil, "", &NoProxyError{Name: name, Candidates: names, Ambiguous: true, Clusters: several}
	}
	best := slices.MaxFunc(found, func(a, b *Proxy) int { return a.fitness() - b.fitness() }) // the first of equals
	of := best.Workload
	if anyWorkload {
		of = name
	}
	return best, fmt.Sprintf("%s is 1 of %d proxies of %s", best.Name, len(found), of), nil
}

// distinctIDs tells whether the ids of the clusters tell them apart.
func distinctIDs(found []*Proxy) bool {
	return !slices.ContainsFunc(found, func(p *Proxy) bool {
		return p.ClusterID == "" || slices.ContainsFunc(found, func(o *Proxy) bool { return p.ClusterID == o.ClusterID && !p.sameCluster(o) })
	})
}

// sameCluster tells whether two proxies are of one cluster, as far as is known. Clusters that nobody gave an id all have Istio's default one.
func (p *Proxy) sameCluster(o *Proxy) bool {
	return p.ClusterID == o.ClusterID && (p.cluster == o.cluster || p.cluster == "" || o.cluster == "")
}

// fitness is how well a proxy stands for its workload.
func (p *Proxy) fitness() int {
	n := 0
	if p.Connected != nil && *p.Connected {
		n += 2
	}
	if p.Ready == nil || *p.Ready {
		n++
	}
	return n
}

func filter(all []*Proxy, keep func(*Proxy) bool) []*Proxy {
	var kept []*Proxy
	for _, p := range all {
		if keep(p) {
			kept = append(kept, p)
		}
	}
	return kept
}
