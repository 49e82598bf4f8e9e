package balance

import "math"

// A pick is how the requests that come to some hosts are spread over them.
type pick struct {
	shares []float64 // by host; nil for no requests at all
	in     []bool    // the hosts, nil for all
	what   string    // which those are, for a subset
	plan   plan
}

// served is the part of the requests that gets a host.
func (p pick) served() float64 {
	sum := 0.0
	for _, share := range p.shares {
		sum += share
	}
	return sum
}

// then spreads what gets no host by p as next says.
func (p pick) then(next func() pick) pick {
	left := 1 - p.served()
	if left < 1e-9 {
		return p
	}
	n := next()
	if p.shares == nil || left > 1-1e-9 {
		return n
	}
	for i, share := range n.shares {
		p.shares[i] += left * share
	}
	p.in = nil
	return p
}

// A target is the priority that requests go to, and whether to its degraded hosts.
type target struct {
	priority int
	degraded bool
}

// A weighting says how the weights of localities count.
type weighting int

const (
	asConfigured weighting = iota
	unweighted
	scaled // by the part of a locality's hosts that is in the subset
)

// among spreads requests over the hosts that in has, by priority first. Where hosts are found by a hash the target is not looked at, as in Envoy.
func (s *spread) among(in []bool, weights weighting, to *target, what string) pick {
	p := pick{shares: make([]float64, len(s.out.Hosts)), in: in, what: what, plan: newPlan(s.groups(in), s.panicThreshold())}
	for n := range p.plan.groups {
		g, inPanic := &p.plan.groups[n], p.plan.panics[n]
		switch {
		case s.policy.hashes():
			s.byHash(p.shares, g, inPanic, weights, float64(p.plan.load[n]+p.plan.degraded[n])/100)
		case to == nil:
			s.assign(p.shares, g, inPanic, weights, false, float64(p.plan.load[n])/100)
			s.assign(p.shares, g, inPanic, weights, true, float64(p.plan.degraded[n])/100)
		case to.priority == n:
			s.assign(p.shares, g, inPanic, weights, to.degraded, 1)
		}
	}
	return p
}

// single gives a host all requests, whatever its health.
func (s *spread) single(host int, what string) pick {
	p := pick{shares: make([]float64, len(s.out.Hosts)), in: make([]bool, len(s.out.Hosts)), what: what}
	p.shares[host], p.in[host] = 1, true
	return p
}

// assign spreads a share over the hosts of one priority, by locality first where localities are weighted.
func (s *spread) assign(out []float64, g *group, inPanic bool, weights weighting, degraded bool, share float64) {
	switch {
	case share == 0 || inPanic && s.policy.failsInPanic:
		return
	case inPanic:
		s.byWeight(out, g.all, share)
		return
	}
	if s.policy.byLocality && weights != unweighted {
		effective := make([]float64, len(g.places))
		sum := 0.0
		for i, p := range g.places {
			if n := p.counted(); n > 0 {
				usable := float64(len(p.use(degraded))) / float64(n)
				effective[i] = p.weighted(weights) * min(1, float64(g.factor)/100*usable)
			}
			sum += effective[i]
		}
		if sum > 0 {
			for i, p := range g.places {
				s.byWeight(out, p.use(degraded), share*effective[i]/sum)
			}
			return
		}
	}
	if near, part := s.near(g); near != nil {
		for i, p := range g.places {
			s.byWeight(out, p.use(degraded), share*part*near[i])
		}
		share *= 1 - part
	}
	s.byWeight(out, g.use(degraded), share)
}

// byHash spreads a share over hosts that are found by a hash: over all of a priority in panic, else over the healthy ones, degraded hosts being left out.
func (s *spread) byHash(out []float64, g *group, inPanic bool, weights weighting, share float64) {
	use := func(h *hosts) []int {
		if inPanic {
			return h.all
		}
		return h.healthy
	}
	if !s.policy.byLocality || weights == unweighted {
		s.byWeight(out, use(&g.hosts), share)
		return
	}
	sum := 0.0
	for _, p := range g.places {
		if len(use(&p.hosts)) > 0 {
			sum += p.weighted(weights)
		}
	}
	if sum == 0 {
		return
	}
	for _, p := range g.places {
		s.byWeight(out, use(&p.hosts), share*p.weighted(weights)/sum)
	}
}

// weighted is the weight of a locality.
func (p *place) weighted(weights weighting) float64 {
	if weights == scaled {
		return math.Round(float64(p.weight) * float64(len(p.all)) / float64(p.whole))
	}
	return float64(p.weight)
}

// byWeight spreads a share over hosts by their weights. RANDOM looks at no weights.
func (s *spread) byWeight(out []float64, hosts []int, share float64) {
	if share == 0 {
		return
	}
	weight := func(i int) float64 {
		if s.policy.name == "RANDOM" {
			return 1
		}
		return float64(max(1, s.out.Hosts[i].View.Weight()))
	}
	sum := 0.0
	for _, i := range hosts {
		sum += weight(i)
	}
	for _, i := range hosts {
		out[i] += share * weight(i) / sum
	}
}
