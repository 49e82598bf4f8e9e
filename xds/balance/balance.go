// Package balance says how Envoy spreads the requests for a cluster over its endpoints: by priority, health, panic, locality and weight, with subsets.
//
// A request goes to one endpoint that cannot be foretold; what can is the share each endpoint is expected to have. Not modelled: zone aware routing,
// slow start, active requests under LEAST_REQUEST, where on its ring a hash falls, and retries.
package balance

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/meshlark/meshlark/xds/cluster"
	"github.com/meshlark/meshlark/xds/endpoint"
	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// Health is what Envoy makes of all that is known of a host.
type Health string

// The healths. Excluded hosts do not count when the health of a priority is computed.
const (
	Healthy   Health = "healthy"
	Degraded  Health = "degraded"
	Unhealthy Health = "unhealthy"
	Excluded  Health = "excluded"
)

// Options are what shares depend on beside the cluster and its endpoints.
type Options struct {
	// Criteria are the values by which a subset of the hosts is chosen (metadata_match of the route, filter envoy.lb).
	Criteria map[string]rawjson.Value
	// Health overrules what the assignment says, as /clusters has it; nil when it is not known.
	Health func(endpoint.Endpoint) (Health, bool)
	// Runtime is runtime values by key.
	Runtime map[string]any
}

// A Host is an endpoint with what it is expected to get.
type Host struct {
	View   endpoint.Endpoint
	Health Health
	Share  float64 // of all requests of the cluster, 0 to 1
	Why    string
}

// A Priority is the hosts of one priority together.
type Priority struct {
	Number                  uint32
	Hosts, Healthy, Degrade int
	Availability            int     // 0 to 100: healthy hosts with overprovisioning
	Share                   float64 // of all requests
	Panic                   bool    // hosts are used whatever their health
}

// A Result is how requests are spread.
type Result struct {
	Hosts      []Host
	Priorities []Priority
	Dropped    float64 // share of requests that is refused before a host is chosen (drop_overloads)
	// Code, Flags and Details are Envoy's answer when no host is left.
	Code           int
	Flags, Details string
	Reason         string
	Step           explain.Step
}

// Spread computes the shares of the endpoints in a for requests to c.
func Spread(c cluster.Cluster, a endpoint.Assignment, opts Options) Result {
	s := &spread{cluster: c, assignment: a, opts: opts}
	s.out.Step = explain.Step{Question: "which endpoints of " + c.Name() + "?"}
	s.hosts()
	s.subset()
	s.priorities()
	s.drop()
	s.explain()
	return s.out
}

// mostPriorities is how many priorities are looked at: Envoy takes 128 at most.
const mostPriorities = 128

type spread struct {
	cluster    cluster.Cluster
	assignment endpoint.Assignment
	opts       Options
	out        Result
	chosen     []bool   // whether a host is in the subset that is used
	places     []string // the locality of each host
	unmatched  bool     // whether there is no subset and no fallback
}

func (s *spread) hosts() {
	for _, e := range s.assignment.Endpoints() {
		h := Host{View: e, Health: healthOf(e)}
		if s.opts.Health != nil {
			if known, ok := s.opts.Health(e); ok {
				h.Health = known
			}
		}
		s.out.Hosts = append(s.out.Hosts, h)
		s.chosen = append(s.chosen, true)
		s.places = append(s.places, string(e.Locality().Body().Get("locality")))
	}
}

func healthOf(e endpoint.Endpoint) Health {
	switch e.Health() {
	case "UNHEALTHY", "2", "TIMEOUT", "4":
		return Unhealthy
	case "DRAINING", "3":
		return Excluded
	case "DEGRADED", "5":
		return Degraded
	}
	return Healthy
}

// group is the hosts of one priority by health.
type group struct {
	all, healthy, degraded []int // indexes of hosts
	excluded               int
	weights                [4]uint64 // all, healthy, degraded, excluded
}

func (s *spread) groups() []group {
	var out []group
	for _, l := range s.assignment.Localities() {
		if n := int(l.Priority()); n < mostPriorities && n >= len(out) {
			out = append(out, make([]group, n+1-len(out))...)
		}
	}
	for i, h := range s.out.Hosts {
		n := int(h.View.Priority())
		if n >= len(out) || !s.chosen[i] {
			continue
		}
		g, weight := &out[n], uint64(h.View.Weight())
		g.all = append(g.all, i)
		g.weights[0] += weight
		switch h.Health {
		case Healthy:
			g.healthy = append(g.healthy, i)
			g.weights[1] += weight
		case Degraded:
			g.degraded = append(g.degraded, i)
			g.weights[2] += weight
		case Excluded:
			g.excluded++
			g.weights[3] += weight
		}
	}
	return out
}

// A plan is how requests are spread over priorities, in whole percentages that add up to 100.
type plan struct {
	groups         []group
	healthy        []int // availability of each priority
	load, degraded []int // what its healthy and its degraded hosts get
	panics         []bool
}

// priorities spreads requests over the hosts, by priority first.
func (s *spread) priorities() {
	if p, ok := s.plan(); ok {
		s.carryOut(p)
	}
}

// plan gives every priority its load.
func (s *spread) plan() (plan, bool) {
	groups := s.groups()
	if len(groups) == 0 || s.unmatched {
		return plan{}, false
	}
	factor := uint64(s.assignment.OverprovisioningFactor())
	healthy, degraded := make([]int, len(groups)), make([]int, len(groups))
	total := 0
	for i, g := range groups {
		count, h, d := uint64(len(g.all)-g.excluded), uint64(len(g.healthy)), uint64(len(g.degraded))
		if s.assignment.WeightedPriorityHealth() {
			count, h, d = g.weights[0]-g.weights[3], g.weights[1], g.weights[2]
		}
		if count > 0 {
			healthy[i], degraded[i] = int(min(100, factor*h/count)), int(min(100, factor*d/count))
		}
		total = min(100, total+healthy[i]+degraded[i])
	}
	load, degradedLoad := s.loads(healthy, degraded, total)
	threshold := s.panicThreshold()
	panics := make([]bool, len(groups))
	all := true
	for i, g := range groups {
		count := len(g.all) - g.excluded
		available := 0.0
		if count > 0 {
			available = 100 * float64(len(g.healthy)+len(g.degraded)) / float64(count)
		}
		panics[i] = total != 100 && available < threshold
		all = all && panics[i]
	}
	switch {
	case threshold == 0 && total == 0:
		clear(panics)
		load[0] = 100 // of which nothing comes: there is no host to take it
	case all:
		load, degradedLoad = s.panicLoads(groups)
	}
	return plan{groups, healthy, load, degradedLoad, panics}, true
}

// carryOut gives hosts their shares.
func (s *spread) carryOut(of plan) {
	for i, g := range of.groups {
		p := Priority{Number: uint32(i), Hosts: len(g.all), Healthy: len(g.healthy), Degrade: len(g.degraded), Availability: of.healthy[i],
			Share: float64(of.load[i]+of.degraded[i]) / 100, Panic: of.panics[i]}
		s.out.Priorities = append(s.out.Priorities, p)
		if of.panics[i] {
			if !s.cluster.Fields().Get("common_lb_config", "zone_aware_lb_config", "fail_traffic_on_panic").IsTrue() {
				s.assign(g, g.all, p.Share, false)
			}
			continue
		}
		s.assign(g, g.healthy, float64(of.load[i])/100, true)
		s.assign(g, g.degraded, float64(of.degraded[i])/100, true)
	}
}

// loads spreads 100 over priorities: first over healthy hosts, what they do not take over degraded ones, and what rounding leaves to the first that has any.
func (s *spread) loads(healthy, degraded []int, total int) (load, degradedLoad []int) {
	load, degradedLoad = make([]int, len(healthy)), make([]int, len(healthy))
	if total == 0 {
		return load, degradedLoad
	}
	remaining := 100
	give := func(to, availability []int) int {
		first, budget := -1, remaining
		for i, a := range availability {
			if first < 0 && a > 0 {
				first = i
			}
			to[i] = min(budget, a*100/total)
			budget -= to[i]
		}
		remaining = budget
		return first
	}
	firstHealthy := give(load, healthy)
	firstDegraded := give(degradedLoad, degraded)
	switch {
	case firstHealthy >= 0:
		load[firstHealthy] += remaining
	case firstDegraded >= 0:
		degradedLoad[firstDegraded] += remaining
	}
	return load, degradedLoad
}

// panicLoads spreads by the number of hosts, when every priority is in panic.
func (s *spread) panicLoads(groups []group) (load, degradedLoad []int) {
	load, degradedLoad = make([]int, len(groups)), make([]int, len(groups))
	hosts := 0
	for _, g := range groups {
		hosts += len(g.all)
	}
	if hosts == 0 {
		load[0] = 100
		return load, degradedLoad
	}
	left, first := 100, -1
	for i, g := range groups {
		if first < 0 && len(g.all) > 0 {
			first = i
		}
		load[i] = 100 * len(g.all) / hosts
		left -= load[i]
	}
	load[first] += left
	return load, degradedLoad
}

// panicThreshold is a percentage; a runtime value comes before the cluster's.
func (s *spread) panicThreshold() float64 {
	if value, ok := match.RuntimeUint(s.opts.Runtime["upstream.healthy_panic_threshold"]); ok {
		return float64(min(value, 100))
	}
	return float64(int(min(s.cluster.PanicThreshold(), 100)))
}

// assign spreads a share over hosts of one priority, by locality first where localities are weighted.
func (s *spread) assign(g group, hosts []int, share float64, byLocality bool) {
	if share == 0 || len(hosts) == 0 {
		return
	}
	if byLocality && s.localityWeighted() {
		if weights := s.localityWeights(g, hosts); len(weights) > 0 {
			sum := 0.0
			for _, w := range weights {
				sum += w
			}
			inside := map[string][]int{}
			for _, i := range hosts {
				inside[s.places[i]] = append(inside[s.places[i]], i)
			}
			for place, w := range weights {
				s.among(inside[place], share*w/sum)
			}
			return
		}
	}
	s.among(hosts, share)
}

func (s *spread) localityWeighted() bool {
	if s.cluster.Fields().Get("common_lb_config", "locality_weighted_lb_config").Exists() {
		return true
	}
	for p := range s.cluster.Fields().Get("load_balancing_policy", "policies").Elems() {
		config := p.Get("typed_extension_config", "typed_config")
		return config.Get("locality_lb_config", "locality_weighted_lb_config").Exists()
	}
	return false
}

// localityWeights are the weights of localities that have eligible hosts, lowered where fewer than 1 in factor of their hosts are.
func (s *spread) localityWeights(g group, eligible []int) map[string]float64 {
	type counts struct{ all, eligible, weight int }
	byName := map[string]*counts{}
	at := func(i int) *counts {
		name := s.places[i]
		if byName[name] == nil {
			weight, _ := s.out.Hosts[i].View.Locality().Weight()
			byName[name] = &counts{weight: int(weight)}
		}
		return byName[name]
	}
	for _, i := range g.all {
		if s.out.Hosts[i].Health != Excluded {
			at(i).all++
		}
	}
	for _, i := range eligible {
		at(i).eligible++
	}
	out := map[string]float64{}
	for name, c := range byName {
		if c.all == 0 {
			continue
		}
		ratio := min(1, float64(s.assignment.OverprovisioningFactor())/100*float64(c.eligible)/float64(c.all))
		if w := float64(c.weight) * ratio; w > 0 {
			out[name] = w
		}
	}
	return out
}

// among spreads a share over hosts by their weights. RANDOM looks at no weights.
func (s *spread) among(hosts []int, share float64) {
	policy := s.cluster.LbPolicy()
	weightless := policy == "RANDOM" || policy == "envoy.load_balancing_policies.random"
	var sum float64
	weight := func(i int) float64 {
		if weightless {
			return 1
		}
		return float64(max(1, s.out.Hosts[i].View.Weight()))
	}
	for _, i := range hosts {
		sum += weight(i)
	}
	for _, i := range hosts {
		s.out.Hosts[i].Share += share * weight(i) / sum
	}
}

// drop takes off what is refused before a host is chosen.
func (s *spread) drop() {
	kept := 1.0
	for _, d := range s.assignment.Drops() {
		kept *= 1 - d.Percent/100
	}
	s.out.Dropped = 1 - kept
	for i := range s.out.Hosts {
		s.out.Hosts[i].Share *= kept
	}
	served := slices.ContainsFunc(s.out.Hosts, func(h Host) bool { return h.Share > 0 })
	switch {
	case s.out.Dropped == 1:
		s.out.Code, s.out.Flags, s.out.Details, s.out.Reason = 503, "UDO", "unconditional_drop_overload", "all requests are dropped (drop_overloads)"
	case !served:
		s.out.Code, s.out.Flags, s.out.Details = 503, "UH", "no_healthy_upstream"
		s.out.Reason = cmp.Or(s.out.Reason, fmt.Sprintf("none of the %d endpoints can be used", len(s.out.Hosts)))
		if len(s.out.Hosts) == 0 {
			s.out.Reason = "the cluster has no endpoints"
		}
	}
}

func (s *spread) explain() {
	for i := range s.out.Hosts {
		h := &s.out.Hosts[i]
		p := h.View.Priority()
		inPanic := int(p) < len(s.out.Priorities) && s.out.Priorities[p].Panic
		switch {
		case !s.chosen[i]:
			h.Why = "not in the subset"
		case h.Share > 0 && inPanic:
			h.Why = fmt.Sprintf("%s; priority %d is in panic and uses all hosts", h.Health, p)
		case h.Share > 0:
			h.Why = fmt.Sprintf("%s, priority %d", h.Health, p)
		case s.out.Dropped == 1:
			h.Why = "all requests are dropped"
		case h.Health == Unhealthy || h.Health == Excluded:
			h.Why = string(h.Health)
		default:
			h.Why = fmt.Sprintf("%s; priority %d or its locality gets no requests", h.Health, p)
		}
		s.out.Step.Candidates = append(s.out.Step.Candidates, explain.Candidate{Name: h.View.Cell(), Won: h.Share > 0, Why: h.Why})
	}
	for _, p := range s.out.Priorities {
		s.out.Step.Inputs = append(s.out.Step.Inputs, explain.Input{Name: fmt.Sprintf("priority %d", p.Number),
			Value: fmt.Sprintf("%d of %d healthy, gets %.0f%%", p.Healthy, p.Hosts, p.Share*100)})
	}
	if s.out.Reason == "" {
		n := 0
		for _, h := range s.out.Hosts {
			if h.Share > 0 {
				n++
			}
		}
		s.out.Reason = fmt.Sprintf("%d of %d endpoints get requests", n, len(s.out.Hosts))
	}
	s.out.Step.Answer = s.out.Reason
}
