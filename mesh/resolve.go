package mesh

import (
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
	case e.Ambiguous:
		return fmt.Sprintf("proxy %q could be any of %d of several workloads: %s; name one", e.Name, len(e.Candidates), list)
	case len(e.Candidates) == 0:
		return fmt.Sprintf("no proxy %q: the mesh has none", e.Name)
	default:
		return fmt.Sprintf("no proxy %q; there are: %s", e.Name, list)
	}
}

// Proxy finds one proxy by what people call it: its name ("pod.namespace"), a pod, a workload ("deploy/x", "deploy/x.ns", "x.ns"), a node id, an IP,
// a pattern or a prefix of the name. What matches exactly wins over a prefix. Of several proxies of one workload the first
// connected one is taken, and the note says so.
func (m *Mesh) Proxy(ctx context.Context, name string) (p *Proxy, note string, err error) {
	all, err := m.Proxies(ctx)
	if err != nil {
		return nil, "", err
	}
	found, err := matchProxies(all.Items, name)
	if err != nil {
		return nil, "", err
	}
	if len(found) == 0 {
		names := make([]string, len(all.Items))
		for i, p := range all.Items {
			names[i] = p.Name
		}
		return nil, "", &NoProxyError{Name: name, Candidates: names}
	}
	return choose(found, name)
}

// matchProxies tries the ways to name a proxy, the exact ones first, and gives the matches of the first way that has any.
func matchProxies(all []*Proxy, name string) ([]*Proxy, error) {
	if kind, rest, ok := strings.Cut(name, "/"); ok && workloadKinds[strings.ToLower(kind)] {
		workload, ns, hasNS := cutLast(rest, ".")
		if kind == "pod" || kind == "pods" || kind == "po" {
			return filter(all, func(p *Proxy) bool { return p.Pod == rest || p.Name == rest }), nil
		}
		found := filter(all, func(p *Proxy) bool { return p.Workload == rest })
		if len(found) == 0 && hasNS {
			found = filter(all, func(p *Proxy) bool { return p.Workload == workload && p.Namespace == ns })
		}
		return found, nil
	}
	workload, ns, _ := cutLast(name, ".")
	ways := []func(*Proxy) bool{
		func(p *Proxy) bool { return p.Name == name || p.NodeID == name },
		func(p *Proxy) bool { return p.Pod == name || p.IP == name },
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

// workloadKinds are the prefixes kubectl users put before a workload's name.
var workloadKinds = map[string]bool{
	"deploy": true, "deployment": true, "deployments": true, "sts": true, "statefulset": true, "statefulsets": true,
	"ds": true, "daemonset": true, "daemonsets": true, "rs": true, "replicaset": true, "job": true,
	"pod": true, "pods": true, "po": true,
}

func choose(found []*Proxy, name string) (*Proxy, string, error) {
	if len(found) == 1 {
		return found[0], "", nil
	}
	same := func(p *Proxy) bool {
		f := found[0]
		return p.Workload == f.Workload && p.Namespace == f.Namespace && p.ClusterID == f.ClusterID && p.Workload != ""
	}
	if slices.ContainsFunc(found, func(p *Proxy) bool { return !same(p) }) {
		names := make([]string, len(found))
		for i, p := range found {
			names[i] = p.Name
			if i > 0 && names[i] == found[i-1].Name || i+1 < len(found) && names[i] == found[i+1].Name {
				names[i] += " (" + p.Source + ")"
			}
		}
		return nil, "", &NoProxyError{Name: name, Candidates: names, Ambiguous: true}
	}
	at := max(0, slices.IndexFunc(found, func(p *Proxy) bool { return p.Connected != nil && *p.Connected }))
	return found[at], fmt.Sprintf("%s is 1 of %d proxies of %s", found[at].Name, len(found), found[at].Workload), nil
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
