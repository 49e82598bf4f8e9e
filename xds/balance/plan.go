package balance

import "github.com/meshlark/meshlark/xds/match"

// hosts are some hosts, by their indexes, all and by health, with the sums of their weights.
type hosts struct {
	all, healthy, degraded []int
	excluded               int
	weights                struct{ all, healthy, degraded, excluded uint64 }
}

func (h *hosts) add(i int, health Health, weight uint64) {
	h.all = append(h.all, i)
	h.weights.all += weight
	switch health {
	case Healthy:
		h.healthy = append(h.healthy, i)
		h.weights.healthy += weight
	case Degraded:
		h.degraded = append(h.degraded, i)
		h.weights.degraded += weight
	case Excluded:
		h.excluded++
		h.weights.excluded += weight
	}
}

// counted is how many hosts count when health is computed.
func (h *hosts) counted() int { return len(h.all) - h.excluded }

// use are the healthy hosts, or the degraded ones.
func (h *hosts) use(degraded bool) []int {
	if degraded {
		return h.degraded
	}
	return h.healthy
}

// A group is the hosts of one priority.
type group struct {
	hosts
	priority int
	factor   uint64 // of overprovisioning, in percent
	byWeight bool   // health counts weights and not hosts
	places   []*place
}

// A place is the hosts of a group that are in one locality.
type place struct {
	hosts
	name   string
	weight uint32 // as configured
	whole  int    // how many hosts it has in all subsets together
}

// groups are the hosts that in has, nil for all, by priority.
func (s *spread) groups(in []bool) []group {
	var out []group
	for _, l := range s.assignment.Localities() {
		if n := int(l.Priority()); n < mostPriorities && n >= len(out) {
			out = append(out, make([]group, n+1-len(out))...)
		}
	}
	for n := range out {
		out[n].priority, out[n].factor, out[n].byWeight = n, uint64(s.assignment.OverprovisioningFactor()), s.assignment.WeightedPriorityHealth()
	}
	for i, h := range s.out.Hosts {
		n := int(h.View.Priority())
		if n >= len(out) || s.again[i] {
			continue
		}
		g := &out[n]
		p := g.place(s.places[i])
		p.whole++
		// A weight without a locality is the weight of none.
		if weight, ok := h.View.Locality().Weight(); ok && p.name != "" {
			p.weight = weight
		}
		if in != nil && !in[i] {
			continue
		}
		p.add(i, h.Health, uint64(h.View.Weight()))
		g.add(i, h.Health, uint64(h.View.Weight()))
	}
	return out
}

func (g *group) place(name string) *place {
	for _, p := range g.places {
		if p.name == name {
			return p
		}
	}
	p := &place{name: name}
	g.places = append(g.places, p)
	return p
}

// availability is how much the healthy and the degraded hosts of a group can take, 0 to 100.
func (g *group) availability() (healthy, degraded int) {
	if g.counted() == 0 {
		return 0, 0
	}
	count, h, d := uint64(g.counted()), uint64(len(g.healthy)), uint64(len(g.degraded))
	if g.byWeight {
		count, h, d = g.weights.all-g.weights.excluded, g.weights.healthy, g.weights.degraded
	}
	if count == 0 { // endpoints with a weight of 0, which Envoy refuses
		return 0, 0
	}
	return int(min(100, g.factor*h/count)), int(min(100, g.factor*d/count))
}

// usable is the percentage of the hosts of a group that are healthy or degraded.
func (g *group) usable() float64 {
	if g.counted() == 0 {
		return 0
	}
	return 100 * float64(len(g.healthy)+len(g.degraded)) / float64(g.counted())
}

// A plan is how requests are spread over priorities, in whole percentages that add up to 100.
type plan struct {
	groups         []group
	healthy        []int // availability of each priority
	load, degraded []int // what its healthy and its degraded hosts get
	panics         []bool
}

// newPlan gives every priority its load.
func newPlan(groups []group, threshold float64) plan {
	n := len(groups)
	p := plan{groups: groups, healthy: make([]int, n), load: make([]int, n), degraded: make([]int, n), panics: make([]bool, n)}
	if n == 0 {
		return p
	}
	degraded := make([]int, n)
	total := 0
	for i := range groups {
		p.healthy[i], degraded[i] = groups[i].availability()
		total = min(100, total+p.healthy[i]+degraded[i])
	}
	p.spread(degraded, total)
	all := true
	for i := range groups {
		p.panics[i] = total != 100 && groups[i].usable() < threshold
		all = all && p.panics[i]
	}
	switch {
	case threshold == 0 && total == 0:
		p.load[0] = 100 // of which nothing comes unless it has a host that rounding has lost
	case all:
		p.spreadInPanic()
	}
	return p
}

// spread spreads 100 over priorities: first over healthy hosts, what they do not take over degraded ones, and what rounding leaves to the first that has any.
func (p *plan) spread(degraded []int, total int) {
	if total == 0 {
		return
	}
	remaining := 100
	give := func(to, availability []int) int {
		first := -1
		for i, a := range availability {
			if first < 0 && a > 0 {
				first = i
			}
			to[i] = min(remaining, a*100/total)
			remaining -= to[i]
		}
		return first
	}
	firstHealthy, firstDegraded := give(p.load, p.healthy), give(p.degraded, degraded)
	switch {
	case firstHealthy >= 0:
		p.load[firstHealthy] += remaining
	case firstDegraded >= 0:
		p.degraded[firstDegraded] += remaining
	}
}

// spreadInPanic spreads by the number of hosts, when every priority is in panic.
func (p *plan) spreadInPanic() {
	clear(p.degraded)
	clear(p.load)
	hosts := 0
	for _, g := range p.groups {
		hosts += len(g.all)
	}
	if hosts == 0 {
		p.load[0] = 100
		return
	}
	left, first := 100, -1
	for i, g := range p.groups {
		if first < 0 && len(g.all) > 0 {
			first = i
		}
		p.load[i] = 100 * len(g.all) / hosts
		left -= p.load[i]
	}
	p.load[first] += left
}

// panicThreshold is a percentage; a runtime value comes before the cluster's, which Envoy cuts to a whole number as it computes it.
func (s *spread) panicThreshold() float64 {
	if value, ok := match.RuntimeUint(s.opts.Runtime["upstream.healthy_panic_threshold"]); ok {
		return float64(min(value, 100))
	}
	return float64(int(100 * (min(s.cluster.PanicThreshold(), 100) / 100)))
}
