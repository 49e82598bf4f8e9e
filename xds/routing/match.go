package routing

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/route"
)

// Match finds the route of a request and what becomes of the request there.
func (t *Table) Match(r *match.Request) Result {
	out := Result{Path: r.Path, Host: r.Host}
	h, step := t.find(r)
	out.Steps = append(out.Steps, step)
	if h == nil {
		if t.settings.Get("vhds").Exists() {
			out.Unmodelled = append(out.Unmodelled, "a virtual host that is delivered on demand")
		}
		return out.noRoute("no virtual host for host " + fmt.Sprintf("%q", r.Host))
	}
	out.HostFound, out.VirtualHost, out.HostView = true, h.name, h.view
	if r.ForwardedProto() == "" {
		return out.noRoute("x-forwarded-proto is empty, and then Envoy looks for no route")
	}
	if step, location, redirects := h.requireTLS(r); redirects {
		out.Steps = append(out.Steps, step)
		out.Found, out.Action, out.Redirect, out.Code, out.Details = true, route.Redirects, location, 301, "direct_response"
		out.Reason = fmt.Sprintf("virtual host %s redirects to https (require_tls %s)", h.name, h.tls)
		if location != "" {
			out.ResponseHeaders = match.Headers{{Name: "location", Value: location}}
		}
		return out
	} else if h.tls != "NONE" {
		out.Steps = append(out.Steps, step)
	}
	entries, ok := t.entries(h, r, &out)
	if !ok {
		return out.noRoute(fmt.Sprintf("the matcher of virtual host %s chooses no route", h.name))
	}
	branches, step := t.branches(entries, r)
	out.Unmodelled = append(out.Unmodelled, step.Unmodelled...)
	step.Answer = "none of them matches"
	if len(branches) == 0 {
		out.Steps = append(out.Steps, step)
		return out.noRoute(fmt.Sprintf("no route of virtual host %s matches", h.name))
	}
	split := newSplit(branches, r)
	best := split.likeliest()
	if best < 0 {
		out.Routes = split.routes()
		out.Steps = append(out.Steps, step)
		return out.noRoute(fmt.Sprintf("no route of virtual host %s matches", h.name))
	}
	e := branches[best].entry
	step.Answer = e.label
	out.Steps = append(out.Steps, step)
	out.Found, out.Route, out.Where, out.View = true, e.view.Name(), e.where, e.view
	out.Reason = fmt.Sprintf("virtual host %s, route %s", h.name, e.label)
	if len(branches) > 1 || !branches[0].fraction.Always() {
		out.Routes = split.routes()
	}
	before := out
	follow := func(out *Result, r *match.Request) { t.act(out, h, e, r, split, best) }
	follow(&out, r)
	out.resumable(before, follow)
	return out
}

// virtualCluster is the name of the virtual cluster a request is counted for. It is other, and named is false, where the virtual host has some and none
// fits.
func (h *host) virtualCluster(r *match.Request) (name string, named bool) {
	for v := range h.view.Fields().Get("virtual_clusters").Elems() {
		name = "other"
		fits := true
		for condition := range v.Get("headers").Elems() {
			fits = fits && match.NewHeaderMatch(condition).Match(r)
		}
		if fits {
			return v.Str("name"), true
		}
	}
	return name, false
}

func (r Result) noRoute(reason string) Result {
	r.Code, r.Flags, r.Details, r.Reason = 404, "NR", "route_not_found", reason
	return r
}

// requireTLS says whether a virtual host that wants requests to have come by TLS redirects to https, and where to. A request without a path
// is told no location.
func (h *host) requireTLS(r *match.Request) (step explain.Step, location string, redirects bool) {
	step = explain.Step{
		Question: "does the virtual host want TLS?",
		Inputs:   []explain.Input{{Name: "require_tls", Value: h.tls}, {Name: "x-forwarded-proto", Value: r.ForwardedProto()}},
		Answer:   "no redirect",
	}
	if r.ForwardedProto() == "https" || h.tls != "ALL" && h.tls != "EXTERNAL_ONLY" {
		return step, "", false
	}
	if h.tls == "EXTERNAL_ONLY" {
		internal, _ := r.First("x-envoy-internal")
		step.Inputs = append(step.Inputs, explain.Input{Name: "x-envoy-internal", Value: internal})
		if internal == "true" {
			return step, "", false
		}
	}
	if r.Path != "" {
		location = "https://" + r.Host + r.Path
	}
	step.Answer = "redirect to https"
	return step, location, true
}

// entries are the routes to be tried; ok is false when the virtual host's matcher chooses none.
func (t *Table) entries(h *host, r *match.Request, out *Result) (entries []*entry, ok bool) {
	if !h.tree.Exists() {
		return h.routes, true
	}
	outcome := match.Tree(h.tree, r)
	step := explain.Step{Question: "what does the virtual host's matcher choose?", Candidates: outcome.Candidates, Unmodelled: outcome.Unmodelled, Answer: "nothing"}
	if outcome.Found {
		step.Answer = cmp.Or(outcome.Action.Name, outcome.Action.ShortType())
		entries, ok = h.treeEntries(outcome.Action)
		if !ok {
			step.Unmodelled = append(step.Unmodelled, "action "+outcome.Action.Type)
		}
	}
	out.Steps = append(out.Steps, step)
	out.Unmodelled = append(out.Unmodelled, step.Unmodelled...)
	return entries, ok
}

// A branch is a route that matches a part of the requests that are like the one asked for.
type branch struct {
	entry    *entry
	fraction match.Fraction
}

// branches tries routes in order. With the request's random number there is at most one branch; without it those whose fraction the
// number decides, up to the first that takes every request.
func (t *Table) branches(entries []*entry, r *match.Request) ([]branch, explain.Step) {
	step := explain.Step{Question: "which route?", Inputs: []explain.Input{
		{Name: "method", Value: cmp.Or(r.Method, "GET")}, {Name: "path", Value: r.Path},
	}}
	var out []branch
	work := 0
	for i, e := range entries {
		if work += e.work(r); work > maxWork {
			tooMuch(&step, len(entries)-i)
			return out, step
		}
		if why, open := e.mismatch(r, t.ignoreParams); why != "" {
			step.Candidates = append(step.Candidates, e.candidate(false, why))
			if open != nil {
				step.Unmodelled = append(step.Unmodelled, "route "+e.label+": "+open.Error())
			}
			continue
		}
		fraction := match.Fraction{Numerator: 1, Denominator: 1}
		if e.fraction.Exists() {
			fraction = match.RuntimeFraction(e.fraction, r.Runtime)
		}
		if e.weightless(r) {
			step.Candidates = append(step.Candidates, e.candidate(false, "it matches, and the weights of its clusters add up to 0"))
			continue
		}
		switch {
		case fraction.Always():
			step.Candidates = append(step.Candidates, e.candidate(true, "matches"))
		case fraction.Never():
			step.Candidates = append(step.Candidates, e.candidate(false, "it is for 0% of requests"))
			continue
		case r.Random == nil:
			out = append(out, branch{e, fraction})
			step.Candidates = append(step.Candidates, e.candidate(true, "matches "+fraction.String()+" of requests"))
			continue
		case !fraction.Holds(*r.Random):
			step.Candidates = append(step.Candidates, e.candidate(false, fmt.Sprintf("it is for %v of requests, and the random number %d is not one of them", fraction, *r.Random)))
			continue
		default:
			step.Candidates = append(step.Candidates, e.candidate(true, fmt.Sprintf("matches; it is for %v of requests, and the random number %d is one of them", fraction, *r.Random)))
			fraction = match.Fraction{Numerator: 1, Denominator: 1}
		}
		if rest := len(entries) - i - 1; rest > 0 {
			step.Candidates = append(step.Candidates, explain.Candidate{Name: fmt.Sprintf("%d more", rest), Why: "not looked at: the first that matches is taken"})
		}
		return append(out, branch{e, fraction}), step
	}
	return out, step
}

// clustersOf are the clusters of a route with their weights.
type clustersOf struct {
	names   []string
	weights []uint64
	total   uint64
	fixed   int // the one the request decides by itself, -1 for none
	index   []int
	note    string
}

// clusters lists where a route sends the request. A route that sends it to one cluster gives that with all the weight.
func (e *entry) clusters(r *match.Request) clustersOf {
	one := func(name string) clustersOf {
		return clustersOf{names: []string{name}, weights: []uint64{1}, total: 1, fixed: 0, index: []int{-1}}
	}
	switch e.view.Action() {
	case route.ToCluster:
		return one(e.view.Cluster())
	case route.ToClusterHeader:
		name, _ := r.First(match.Lower(e.view.ClusterHeader()))
		return one(name)
	case route.ToClusterPlugin:
		name, note := e.pluginCluster(r)
		c := one(name)
		c.note = note
		return c
	case route.ToWeightedClusters:
	default:
		return clustersOf{fixed: -1}
	}
	c := clustersOf{fixed: -1}
	body := e.view.Fields().Get("route", route.ToWeightedClusters)
	prefix := body.Str("runtime_key_prefix")
	for i, w := range e.view.WeightedClusters() {
		name, weight := w.Name, uint64(w.Weight)
		if w.Header != "" {
			name, _ = r.First(match.Lower(w.Header))
		}
		if prefix != "" {
			if value, ok := match.RuntimeUint(r.Runtime[prefix+"."+w.Name]); ok {
				weight = min(value, 1<<32-1)
			}
		}
		c.names, c.weights, c.index = append(c.names, name), append(c.weights, weight), append(c.index, i)
		c.total += weight
	}
	if c.total == 0 {
		return c
	}
	if only := slices.Index(c.weights, c.total); only >= 0 {
		c.fixed = only
		return c
	}
	if name := body.Str("header_name"); name != "" {
		if values := r.Values(match.Lower(name)); len(values) == 1 {
			// As Envoy reads numbers: white space around it and a plus sign are no fault.
			if n, err := strconv.ParseUint(strings.TrimPrefix(strings.TrimSpace(values[0]), "+"), 10, 64); err == nil {
				c.fixed = c.pick(n)
				return c
			}
		}
	}
	if body.Get("use_hash_policy").IsTrue() && len(e.view.HashPolicies()) > 0 {
		c.note = "weighted clusters chosen by hash policy"
		return c
	}
	if r.Random != nil {
		c.fixed = c.pick(*r.Random)
	}
	return c
}

// pluginCluster is the cluster that an extension names. Of Envoy's own extensions the matcher can be followed; note says why another cannot.
func (e *entry) pluginCluster(r *match.Request) (name, note string) {
	if !e.plugin.Is("MatcherClusterSpecifier") {
		return "", "cluster specifier plugin " + e.view.ClusterPlugin()
	}
	outcome := match.Tree(e.plugin.Value.Get("cluster_matcher"), r)
	if outcome.Found {
		return outcome.Action.Value.Str("cluster"), ""
	}
	return "", strings.Join(outcome.Unmodelled, "; ")
}

// weightless reports a route whose weights runtime has made 0, which Envoy passes over.
func (e *entry) weightless(r *match.Request) bool {
	return len(r.Runtime) > 0 && e.view.Action() == route.ToWeightedClusters && e.clusters(r).total == 0
}

// pick is the cluster a random number chooses.
func (c clustersOf) pick(random uint64) int {
	value := random % c.total
	for i, weight := range c.weights {
		if value < weight {
			return i
		}
		value -= weight
	}
	return -1
}

// A split is how requests that are alike apart from their random number are spread over branches and their clusters.
type split struct {
	branches []branch
	clusters []clustersOf
	share    []float64   // of each branch
	within   [][]float64 // of all requests, for each branch and cluster
}

// maxSplit bounds the work of finding exact shares, in random numbers tried times what each may choose from. The same number decides fractions and
// weights, so that shares are not simply products. Beyond it they are taken as if they were.
const maxSplit = 1 << 22

func newSplit(branches []branch, r *match.Request) *split {
	s := &split{branches: branches, share: make([]float64, len(branches))}
	period, width := uint64(1), uint64(len(branches))
	varies := false
	for _, b := range branches {
		c := b.entry.clusters(r)
		s.clusters = append(s.clusters, c)
		s.within = append(s.within, make([]float64, len(c.names)))
		width += uint64(len(c.names))
		if !b.fraction.Always() {
			period, varies = lcm(period, b.fraction.Denominator), true
		}
		if c.fixed < 0 && c.total > 0 && c.note == "" {
			period = lcm(period, c.total)
		}
	}
	if !varies {
		// At most one branch, which takes every request.
		if len(branches) == 1 {
			s.share[0] = 1
			s.spread(0, 1)
		}
		return s
	}
	if period > maxSplit/width {
		rest := 1.0
		for i, b := range branches {
			s.share[i] = rest * b.fraction.Share()
			s.spread(i, s.share[i])
			rest -= s.share[i]
		}
		return s
	}
	counts := make([][]int, len(branches))
	total := make([]int, len(branches))
	for i, c := range s.clusters {
		counts[i] = make([]int, len(c.names))
	}
	for random := range period {
		for i, b := range branches {
			if !b.fraction.Holds(random) {
				continue
			}
			total[i]++
			if c := s.clusters[i]; c.fixed < 0 && c.total > 0 && c.note == "" {
				if k := c.pick(random); k >= 0 {
					counts[i][k]++
				}
			}
			break
		}
	}
	for i, c := range s.clusters {
		s.share[i] = float64(total[i]) / float64(period)
		if c.fixed >= 0 || c.note != "" {
			s.spread(i, s.share[i])
			continue
		}
		for k, n := range counts[i] {
			s.within[i][k] = float64(n) / float64(period)
		}
	}
	return s
}

// spread divides the share of a branch over its clusters by their weights.
func (s *split) spread(i int, share float64) {
	c := s.clusters[i]
	if c.fixed >= 0 {
		s.within[i][c.fixed] = share
		return
	}
	for k, weight := range c.weights {
		if c.total > 0 {
			s.within[i][k] = share * float64(weight) / float64(c.total)
		}
	}
}

func lcm(a, b uint64) uint64 {
	if b == 0 || a > maxSplit {
		return a
	}
	x, y := a, b
	for y != 0 {
		x, y = y, x%y
	}
	return a / x * b
}

// likeliest is the branch most requests take, -1 when more of them take none.
func (s *split) likeliest() int {
	best, most, rest := -1, 0.0, 1.0
	for i, share := range s.share {
		rest -= share
		if share > most {
			best, most = i, share
		}
	}
	if rest > most+1e-9 {
		return -1
	}
	return best
}

func (s *split) routes() []explain.Share {
	var out []explain.Share
	for i, b := range s.branches {
		if s.share[i] > 0 {
			out = append(out, explain.Share{Name: b.entry.label, Share: s.share[i]})
		}
	}
	return out
}

// total are the shares of all clusters, each cluster once.
func (s *split) total() []explain.Share {
	var out []explain.Share
	for i, c := range s.clusters {
		for k, name := range c.names {
			share := s.within[i][k]
			if share == 0 || name == "" {
				continue
			}
			if at := slices.IndexFunc(out, func(x explain.Share) bool { return x.Name == name }); at >= 0 {
				out[at].Share += share
			} else {
				out = append(out, explain.Share{Name: name, Share: share})
			}
		}
	}
	return out
}
