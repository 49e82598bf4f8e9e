package balance

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/meshlark/meshlark/xds/cluster"
	"github.com/meshlark/meshlark/xds/endpoint"
	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// A Member is one of the clusters of an aggregate cluster, with its endpoints.
type Member struct {
	Cluster    cluster.Cluster
	Assignment endpoint.Assignment
}

// Aggregate computes the shares of the endpoints of all members for requests to the aggregate cluster c. Which priority of which member a request goes to is
// decided as if their priorities, those without endpoints left out, came one after another in one cluster with the panic threshold of c and the
// overprovisioning factor of the first. Among the hosts of a priority it is decided as in the member by itself: by its panic, its localities and its
// subsets. of gives for each host which of the members it is from.
func Aggregate(c cluster.Cluster, members []Member, opts Options) (r Result, of []int) {
	type place struct{ member, priority int }
	var places []place
	var localities []json.RawMessage
	var policy rawjson.Value
	for i, m := range members {
		used := endpointPriorities(m.Assignment)
		for _, l := range m.Assignment.Localities() {
			at := slices.Index(used, l.Priority())
			if at < 0 || len(l.Endpoints()) == 0 {
				continue
			}
			if moved, ok := withPriority(l.Body(), len(places)+at); ok {
				localities = append(localities, moved)
			}
		}
		for _, priority := range used {
			places = append(places, place{i, int(priority)})
		}
		if len(used) > 0 && !policy.Exists() {
			policy = m.Assignment.Body().Get("policy")
		}
	}
	all := map[string]any{"endpoints": localities}
	if policy.Exists() {
		all["policy"] = json.RawMessage(policy)
	}
	text, err := json.Marshal(all)
	if err != nil {
		text = nil // what is no JSON has no endpoints
	}
	whole := &spread{cluster: c, assignment: endpoint.New(text), opts: opts}
	whole.out.Step = explain.Step{Question: "which endpoints of " + c.Name() + "?"}
	whole.hosts()
	total, ok := whole.plan()
	whole.out.Hosts, whole.chosen, whole.places = nil, nil, nil
	for i, m := range members {
		s := &spread{cluster: m.Cluster, assignment: m.Assignment, opts: opts}
		s.hosts()
		s.subset()
		if own, fits := s.plan(); ok && fits {
			clear(own.load)
			clear(own.degraded)
			for n, at := range places {
				if at.member != i || n >= len(total.load) || at.priority >= len(own.load) {
					continue
				}
				own.load[at.priority], own.degraded[at.priority] = total.load[n], total.degraded[n]
			}
			s.carryOut(own)
		}
		s.explain()
		whole.out.Hosts = append(whole.out.Hosts, s.out.Hosts...)
		for _, p := range s.out.Priorities {
			whole.out.Step.Inputs = append(whole.out.Step.Inputs, explain.Input{Name: fmt.Sprintf("priority %d of %s", p.Number, m.Cluster.Name()),
				Value: fmt.Sprintf("%d of %d healthy, gets %.0f%%", p.Healthy, p.Hosts, p.Share*100)})
		}
		whole.out.Step.Candidates = append(whole.out.Step.Candidates, s.out.Step.Candidates...)
		of = append(of, slices.Repeat([]int{i}, len(s.out.Hosts))...)
	}
	whole.drop()
	if whole.out.Reason == "" {
		whole.out.Reason = fmt.Sprintf("%d endpoints of %d clusters", len(whole.out.Hosts), len(members))
	}
	whole.out.Step.Answer = whole.out.Reason
	return whole.out, of
}

// endpointPriorities are the priorities that have endpoints, in order.
func endpointPriorities(a endpoint.Assignment) []uint32 {
	var out []uint32
	for _, l := range a.Localities() {
		if len(l.Endpoints()) > 0 && l.Priority() < mostPriorities && !slices.Contains(out, l.Priority()) {
			out = append(out, l.Priority())
		}
	}
	slices.Sort(out)
	return out
}

// withPriority is a locality at another priority.
func withPriority(l rawjson.Value, priority int) (json.RawMessage, bool) {
	fields := map[string]json.RawMessage{}
	for key, v := range l.Members() {
		fields[key] = json.RawMessage(v)
	}
	number, err := json.Marshal(priority)
	if err != nil {
		return nil, false
	}
	fields["priority"] = number
	out, err := json.Marshal(fields)
	return out, err == nil
}
