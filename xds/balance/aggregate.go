package balance

import (
	"fmt"
	"slices"

	"github.com/meshlark/meshlark/xds/cluster"
	"github.com/meshlark/meshlark/xds/endpoint"
	"github.com/meshlark/meshlark/xds/explain"
)

// A Member is one of the clusters of an aggregate cluster, with its endpoints.
type Member struct {
	Cluster    cluster.Cluster
	Assignment endpoint.Assignment
}

// Aggregate computes the shares of the endpoints of all members for requests to the aggregate cluster c. Which priority of which member a request goes to is
// decided as if their priorities, those without endpoints left out, came one after another in one cluster with the panic threshold of c. Among the hosts of
// a priority it is decided as in the member by itself: by its panic, its localities and its subsets. A member whose hosts are found by a hash spreads what comes
// to it over its priorities by itself. of gives for each host which of the members it is from.
func Aggregate(c cluster.Cluster, members []Member, opts Options) (r Result, of []int) {
	whole := newSpread(c, endpoint.Assignment{}, opts)
	type at struct{ member, priority int }
	var places []at
	var all []group
	spreads := make([]*spread, len(members))
	for i, m := range members {
		spreads[i] = newSpread(m.Cluster, m.Assignment, opts)
		for n, g := range spreads[i].groups(nil) {
			if len(g.all) > 0 {
				places, all = append(places, at{i, n}), append(all, g)
			}
		}
	}
	total := newPlan(all, whole.panicThreshold())
	for i, s := range spreads {
		sum := s.choose(&target{priority: noPriority})
		sum.shares = make([]float64, len(s.out.Hosts))
		clear(sum.plan.load)
		clear(sum.plan.degraded)
		for n, place := range places {
			if place.member != i {
				continue
			}
			sum.add(s.choose(&target{place.priority, false}), total.load[n])
			sum.add(s.choose(&target{place.priority, true}), total.degraded[n])
			if place.priority < len(sum.plan.load) {
				sum.plan.load[place.priority], sum.plan.degraded[place.priority] = total.load[n], total.degraded[n]
			}
		}
		s.take(sum)
		s.explain()
		whole.out.Hosts = append(whole.out.Hosts, s.out.Hosts...)
		whole.again = append(whole.again, s.again...)
		for _, p := range s.out.Priorities {
			whole.out.Step.Inputs = append(whole.out.Step.Inputs, explain.Input{Name: fmt.Sprintf("priority %d of %s", p.Number, s.cluster.Name()),
				Value: fmt.Sprintf("%d of %d healthy, gets %.0f%%", p.Healthy, p.Hosts, p.Share*100)})
		}
		whole.out.Step.Candidates = append(whole.out.Step.Candidates, s.out.Step.Candidates...)
		whole.out.Step.Unmodelled = append(slices.Clip(whole.out.Step.Unmodelled), s.out.Step.Unmodelled...)
		of = append(of, slices.Repeat([]int{i}, len(s.out.Hosts))...)
	}
	whole.drop()
	if whole.out.Reason == "" {
		whole.out.Reason = fmt.Sprintf("%d endpoints of %d clusters", len(whole.out.Hosts), len(members))
	}
	whole.out.Step.Answer = whole.out.Reason
	return whole.out, of
}

// noPriority is a target without hosts.
const noPriority = -1

// add has so many percent of the requests spread as n says.
func (p *pick) add(n pick, percent int) {
	for i, share := range n.shares {
		p.shares[i] += share * float64(percent) / 100
	}
}
