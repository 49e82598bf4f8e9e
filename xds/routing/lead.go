package routing

import (
	"slices"

	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/route"
)

// A Lead is a route that can lead to a cluster somebody asks for, and what keeps a request from being led there. It is led there when the virtual host
// is the request's, nothing is unmet, nothing comes first, and a cluster has a share.
type Lead struct {
	VirtualHost string
	Domains     []string
	Serves      bool // the virtual host is the one of the request's host
	Route       string
	Where       string
	Object      string          // the Istio object the route was made from
	Clusters    []explain.Share // those asked for, with the shares the route gives them
	Mirror      bool            // it sends copies there, and no answer comes back
	Unmet       []string        // the conditions the request does not meet
	// First is a route before it in the virtual host that takes the request, or takes part of requests like it; "" for none. It counts when
	// everything else were met.
	First      string
	FirstWhere string
}

// Leads are the routes that can lead to a cluster, those of the request's virtual host first.
func (t *Table) Leads(r *match.Request, cluster func(name string) bool) []Lead {
	serving, _ := t.find(r)
	var out []Lead
	for _, h := range t.hosts {
		entries := h.ready().routes
		if h.tree.Exists() {
			if outcome := match.Tree(h.tree, r); outcome.Found {
				entries, _ = h.treeEntries(outcome.Action)
			}
		}
		first := (*entry)(nil)
		for _, e := range entries {
			if lead, ok := e.lead(r, cluster); ok {
				lead.VirtualHost, lead.Domains, lead.Serves = h.name, h.view.Domains(), h == serving
				for why := range e.mismatches(r, t.ignoreParams) {
					lead.Unmet = append(lead.Unmet, why)
				}
				if first != nil {
					lead.First, lead.FirstWhere = first.label, first.where
				}
				out = append(out, lead)
			}
			if why, _ := e.mismatch(r, t.ignoreParams); first == nil && why == "" && e.takes(r) {
				first = e
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Lead) int {
		switch {
		case a.Serves == b.Serves:
			return 0
		case a.Serves:
			return -1
		}
		return 1
	})
	return out
}

// takes reports whether a route whose conditions are met takes the request, by the fraction of requests it is for; one that decides by a random
// number that is not given does not.
func (e *entry) takes(r *match.Request) bool {
	if !e.fraction.Exists() {
		return true
	}
	f := match.RuntimeFraction(e.fraction, r.Runtime)
	return f.Always() || r.Random != nil && f.Holds(*r.Random)
}

// lead tells where a route goes, as far as it is asked for.
func (e *entry) lead(r *match.Request, cluster func(string) bool) (Lead, bool) {
	lead := Lead{Route: e.label, Where: e.where, Object: e.view.Config()}
	c := e.clusters(r)
	for i, name := range c.names {
		if name == "" || !cluster(name) {
			continue
		}
		share := 1.0
		if e.view.Action() == route.ToWeightedClusters {
			share = 0
			if c.total > 0 {
				share = float64(c.weights[i]) / float64(c.total)
			}
		}
		lead.Clusters = append(lead.Clusters, explain.Share{Name: name, Share: share})
	}
	if len(lead.Clusters) > 0 {
		return lead, true
	}
	for _, m := range e.view.Mirrors() {
		if m.Cluster != "" && cluster(m.Cluster) {
			lead.Mirror = true
			lead.Clusters = append(lead.Clusters, explain.Share{Name: m.Cluster, Share: m.Percent / 100})
		}
	}
	return lead, lead.Mirror
}
