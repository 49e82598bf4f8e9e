// Package balance says how Envoy spreads the requests for a cluster over its endpoints: by priority, health, panic, locality and weight, with subsets.
//
// A request goes to one endpoint that cannot be foretold; what can is the share each endpoint is expected to have. Not modelled: slow start, active requests
// under LEAST_REQUEST, where on its ring a hash falls and how evenly a ring is divided, loads that endpoints report, and retries.
package balance

import (
	"fmt"
	"slices"

	"github.com/meshlark/meshlark/xds/cluster"
	"github.com/meshlark/meshlark/xds/endpoint"
	"github.com/meshlark/meshlark/xds/explain"
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
	// Local gives where the proxy is; nil, or what it gives, when no locality is the proxy's own. It is called when that matters.
	Local func() *Local
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
	s := newSpread(c, a, opts)
	s.take(s.choose(nil))
	s.drop()
	s.explain()
	return s.out
}

// mostPriorities is how many priorities are looked at: Envoy takes 128 at most.
const mostPriorities = 128

type spread struct {
	cluster    cluster.Cluster
	assignment endpoint.Assignment
	policy     policy
	opts       Options
	out        Result
	again      []bool   // whether a host is listed a second time
	places     []string // the locality of each host
	in         []bool   // the hosts of the subset that is used, nil for all
	what       string   // which subset that is, "" for none
}

func newSpread(c cluster.Cluster, a endpoint.Assignment, opts Options) *spread {
	s := &spread{cluster: c, assignment: a, policy: policyOf(c), opts: opts}
	s.out.Step = explain.Step{Question: "which endpoints of " + c.Name() + "?", Unmodelled: s.policy.unmodelled}
	seen := map[string]bool{}
	for _, e := range a.Endpoints() {
		h := Host{View: e, Health: healthOf(e)}
		if opts.Health != nil {
			if known, ok := opts.Health(e); ok {
				h.Health = known
			}
		}
		// Discovery may list a host more than once; the first counts.
		address := e.Address().String()
		s.again = append(s.again, c.Type() == "EDS" && seen[address])
		seen[address] = true
		s.out.Hosts = append(s.out.Hosts, h)
		s.places = append(s.places, string(rawjson.Canonical(nil, e.Locality().Body().Get("locality"))))
	}
	return s
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

// take gives hosts their shares.
func (s *spread) take(p pick) {
	s.in, s.what = p.in, p.what
	for i, share := range p.shares {
		s.out.Hosts[i].Share = share
	}
	for n, g := range p.plan.groups {
		s.out.Priorities = append(s.out.Priorities, Priority{Number: uint32(n), Hosts: len(g.all), Healthy: len(g.healthy), Degrade: len(g.degraded),
			Availability: p.plan.healthy[n], Share: float64(p.plan.load[n]+p.plan.degraded[n]) / 100, Panic: p.plan.panics[n]})
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
		s.out.Reason = fmt.Sprintf("none of the %d endpoints can be used", len(s.out.Hosts))
		switch {
		case len(s.out.Hosts) == 0:
			s.out.Reason = "the cluster has no endpoints"
		case s.what != "" && !slices.Contains(s.in, true):
			s.out.Reason = s.what
		}
	}
}

func (s *spread) explain() {
	for i := range s.out.Hosts {
		h := &s.out.Hosts[i]
		p := h.View.Priority()
		inPanic := int(p) < len(s.out.Priorities) && s.out.Priorities[p].Panic
		switch {
		case s.again[i]:
			h.Why = "listed a second time, of which the first counts"
		case s.in != nil && !s.in[i]:
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
	if s.what != "" {
		s.out.Step.Inputs = append(s.out.Step.Inputs, explain.Input{Name: "subset", Value: s.what})
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
