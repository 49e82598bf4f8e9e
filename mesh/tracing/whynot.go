package tracing

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/pattern"
	"github.com/meshlark/meshlark/xds/resource"
	"github.com/meshlark/meshlark/xds/routing"
	"github.com/meshlark/meshlark/xds/trace"
)

// A WhyNot says what would have to be otherwise for a request to go to a cluster.
type WhyNot struct {
	Goes     bool            // it does go there, or a part of requests like it
	Shares   []explain.Share // of the clusters asked for, that requests like it go to
	Clusters []string        // the clusters asked for that the proxies on the way have
	Ways     []Way           // the ways there, those that lack the least first
	Ends     string          // how the request ends; "" when it goes where it was asked for and arrives
}

// A Way is a part of a proxy's configuration that leads to the cluster.
type Way struct {
	Proxy    string
	Listener string
	Chain    string
	routing.Lead
	Lacks []string // what would have to be otherwise, a phrase each; empty for a way that is taken
}

// WhyNot looks along the way of a request for what leads to clusters of a name.
func (a *Answer) WhyNot(ctx context.Context, name pattern.Pattern) (*WhyNot, error) {
	out := &WhyNot{}
	r := a.Request
	seen := map[string]bool{}
	for _, hop := range a.Hops {
		for _, c := range hop.Clusters {
			if name.Match(c.Name) && c.Share > 0 {
				out.Goes = true
				out.Shares = append(out.Shares, c)
			}
		}
		if len(hop.Clusters) == 0 && hop.Cluster != "" && name.Match(hop.Cluster) {
			out.Goes = true
			out.Shares = append(out.Shares, explain.Share{Name: hop.Cluster, Share: 1})
		}
		v := a.views[hop.Proxy]
		if v == nil || hop.Tunnel { // how a tunnel goes is not how the request does
			continue
		}
		v = viewOf(ctx, v.config)
		if !seen[hop.Proxy] {
			seen[hop.Proxy] = true
			for _, c := range v.inUse(resource.Cluster, name) {
				if !slices.Contains(out.Clusters, c.Name()) {
					out.Clusters = append(out.Clusters, c.Name())
				}
			}
		}
		out.Ways = append(out.Ways, v.ways(hop, r, name)...)
		if err := v.failure(); err != nil {
			return nil, err
		}
		out.Ways = append(out.Ways, v.pending(ctx, hop, r, name, out.Ways)...)
		if hop.HTTP != nil && hop.HTTP.Found && hop.HTTP.Code == 0 {
			r.Host, r.Path, r.Headers = hop.HTTP.Host, hop.HTTP.Path, hop.HTTP.RequestHeaders
		}
	}
	for i := range out.Ways {
		w := &out.Ways[i]
		for _, c := range w.Lead.Clusters {
			if !slices.Contains(out.Clusters, c.Name) {
				w.Lacks = append(w.Lacks, w.Proxy+" has no cluster "+c.Name)
			}
		}
	}
	slices.SortStableFunc(out.Ways, func(a, b Way) int { return cmp.Compare(len(a.Lacks), len(b.Lacks)) })
	if !out.Goes || !a.OK() {
		out.Ends = a.Verdict.String()
	}
	return out, nil
}

// Lines are the answer in sentences.
func (w *WhyNot) Lines() []string {
	var out []string
	for _, s := range w.Shares {
		out = append(out, fmt.Sprintf("it goes to %s: %s of requests like it", s.Name, percent(s.Share)))
	}
	if len(w.Clusters) == 0 {
		out = append(out, "no proxy on the way has such a cluster")
	}
	if len(w.Ways) == 0 {
		out = append(out, "nothing on the way leads there")
	}
	for _, way := range w.Ways {
		out = append(out, way.String())
	}
	if w.Ends != "" {
		out = append(out, "as it is: "+w.Ends)
	}
	return out
}

// String is the way in one sentence.
func (w Way) String() string {
	what := w.Proxy + ": "
	switch {
	case w.Route == "":
		what += "listener " + w.Listener + ", chain " + cmp.Or(w.Chain, "without a name")
	default:
		what += "virtual host " + w.VirtualHost + ", route " + w.Route + " (" + w.Where + ")"
	}
	var to []string
	for _, c := range w.Lead.Clusters {
		to = append(to, c.Name+" "+percent(c.Share))
	}
	verb := " leads to "
	if w.Mirror {
		verb = " sends copies to "
	}
	what += verb + strings.Join(to, ", ")
	if len(w.Lacks) == 0 {
		return what
	}
	return what + ", but " + strings.Join(w.Lacks, "; and ")
}

func percent(share float64) string { return strconv.FormatFloat(share*100, 'g', 4, 64) + "%" }

// ways are what leads to clusters of a name where a request passes one listener of a proxy.
func (v *view) ways(hop trace.Hop, r trace.Request, name pattern.Pattern) []Way {
	chain, ok := v.chainOf(hop)
	if manager, http := chain.HTTP(); ok && http {
		return v.httpWays(hop, manager, r, name)
	}
	// Chains that take connections on whole, in this listener and the others of the port that was meant.
	var out []Way
	for _, l := range v.Listeners().All() {
		if l.Port() != uint32(r.Destination.Port()) && l.Name() != hop.Listener {
			continue
		}
		for _, c := range l.Chains() {
			proxy, tcp := c.TCP()
			if !tcp {
				continue
			}
			way := Way{Proxy: v.Name(), Listener: l.Name(), Chain: c.Name()}
			for _, w := range proxy.Clusters() {
				if name.Match(w.Name) {
					way.Lead.Clusters = append(way.Lead.Clusters, explain.Share{Name: w.Name, Share: w.Share})
				}
			}
			if len(way.Lead.Clusters) == 0 {
				continue
			}
			if l.Name() != hop.Listener {
				way.Lacks = append(way.Lacks, fmt.Sprintf("the connection comes to listener %s, as it is meant for %s", cmp.Or(hop.Listener, "none"), r.Destination))
			} else if c.Name() != hop.Chain {
				way.Lacks = append(way.Lacks, fmt.Sprintf("the connection takes chain %s, and that one is for %s", cmp.Or(hop.Chain, "without a name"), c.Match()))
			}
			out = append(out, way)
		}
	}
	return out
}

// pending are the ways that the control plane would give the proxy and its Envoy does not have, as far as they are not known already. What cannot be
// read there is left out.
func (v *view) pending(ctx context.Context, hop trace.Hop, r trace.Request, name pattern.Pattern, known []Way) []Way {
	p := v.config.Proxy()
	if v.config.Side() != mesh.Actual || !p.Has(mesh.Desired) {
		return nil
	}
	desired := viewOf(ctx, p.Config(mesh.Desired))
	var out []Way
	for _, way := range desired.ways(hop, r, name) {
		same := func(w Way) bool {
			return w.Proxy == way.Proxy && w.Listener == way.Listener && w.Chain == way.Chain && w.VirtualHost == way.VirtualHost && w.Route == way.Route &&
				slices.Equal(w.Lead.Clusters, way.Lead.Clusters)
		}
		if !slices.ContainsFunc(known, same) {
			way.Lacks = append([]string{"only the control plane has it so far: its Envoy does not"}, way.Lacks...)
			out = append(out, way)
		}
	}
	return out
}

// chainOf is the filter chain of a hop.
func (v *view) chainOf(hop trace.Hop) (listener.Chain, bool) {
	for _, l := range v.Listeners().All() {
		if l.Name() != hop.Listener {
			continue
		}
		for _, c := range l.Chains() {
			if _, http := c.HTTP(); c.Name() == hop.Chain && http == (hop.HTTP != nil) {
				return c, true
			}
		}
		break
	}
	return listener.Chain{}, false
}

func (v *view) httpWays(hop trace.Hop, manager listener.HTTPManager, r trace.Request, name pattern.Pattern) []Way {
	request := &match.Request{
		Method: cmp.Or(r.Method, "GET"), Host: r.Host, Path: r.Path, Headers: slices.Clone(r.Headers),
		Connection: match.Connection{Source: r.Source, Destination: r.Destination, TLS: r.Client.TLS, Peer: r.Peer},
		Metadata:   r.Metadata, Runtime: r.Runtime, Random: r.Random, Envoy: v.Envoy(),
	}
	trace.Accept(manager, request)
	var table *routing.Table
	if inline, ok := manager.Routes(); ok {
		table = routing.New(inline)
	} else if found, ok := v.Table(manager.RouteName()); ok {
		table = found
	}
	if table == nil {
		return nil
	}
	var out []Way
	for _, lead := range table.Leads(request, name.Match) {
		way := Way{Proxy: v.Name(), Listener: hop.Listener, Chain: hop.Chain, Lead: lead}
		if !lead.Serves {
			way.Lacks = append(way.Lacks, fmt.Sprintf("it is for the hosts %s, and the request is for %s", strings.Join(lead.Domains, ", "), cmp.Or(request.Host, "none")))
		}
		way.Lacks = append(way.Lacks, lead.Unmet...)
		if lead.First != "" && lead.Serves {
			way.Lacks = append(way.Lacks, fmt.Sprintf("route %s (%s) comes before it and takes the request", lead.First, lead.FirstWhere))
		}
		for _, c := range lead.Clusters {
			if c.Share == 0 {
				way.Lacks = append(way.Lacks, "it gives "+c.Name+" the weight 0")
			}
		}
		if lead.Mirror {
			way.Lacks = append(way.Lacks, "those are copies, whose answers nobody gets")
		}
		out = append(out, way)
	}
	return out
}
