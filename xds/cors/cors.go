// Package cors decides whether Envoy's CORS filter answers a request: a preflight (OPTIONS with the headers Origin and Access-Control-Request-Method) is
// answered by the filter itself, where the route or its virtual host has a policy.
package cors

import (
	"cmp"
	"fmt"

	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// Details are the response code details of an answer of the filter, whose status is 200.
const Details = "cors_response"

// A Decision is what the filter does with a request.
type Decision struct {
	// Share is the part of requests like this one that the filter answers, 0 to 1.
	Share float64
	// Allowed says whether the request's origin may read the answer.
	Allowed bool
	// Headers are the access control headers of the answer, or of the upstream's answer to a request that is no preflight.
	Headers match.Headers
	Reason  string
	Step    explain.Step
}

// Check asks the filter about a request. policies are the CORS policies of the route, the most specific first.
func Check(name string, policies []rawjson.Value, r *match.Request) Decision {
	var d Decision
	d.Step = explain.Step{Question: fmt.Sprintf("does %s answer?", cmp.Or(name, "CORS"))}
	origin, _ := r.First("origin")
	method, _ := r.First("access-control-request-method")
	d.Step.Inputs = []explain.Input{{Name: "origin", Value: origin}, {Name: "access-control-request-method", Value: method}}
	no := func(why string) Decision {
		d.Reason, d.Step.Answer = why, "no: "+why
		return d
	}
	if len(policies) == 0 {
		return no("the route has no policy")
	}
	enabled := fraction(policies[0], r)
	if enabled == 0 {
		return no("the policy is not enabled")
	}
	if origin == "" {
		return no("the request has no origin")
	}
	d.Allowed = d.allows(policies, origin)
	if d.Allowed {
		d.Headers = append(d.Headers, match.Header{Name: "access-control-allow-origin", Value: origin})
		if truth(policies, "allow_credentials", false) {
			d.Headers = append(d.Headers, match.Header{Name: "access-control-allow-credentials", Value: "true"})
		}
		if value := first(policies, "expose_headers"); value != "" {
			d.Headers = append(d.Headers, match.Header{Name: "access-control-expose-headers", Value: value})
		}
	}
	simple := func(why string) Decision {
		if enabled < 1 {
			d.Headers, d.Step.Unmodelled = nil, []string{"access control headers, which a part of the answers gets"}
		}
		return no(why)
	}
	if r.Method != "OPTIONS" || method == "" {
		return simple("it is no preflight")
	}
	if !d.Allowed && truth(policies, "forward_not_matching_preflights", true) {
		return simple("the origin is not allowed, and the preflight is passed on")
	}
	d.preflight(policies, r)
	d.Share = enabled
	d.Reason = "a preflight of an origin that is allowed"
	if !d.Allowed {
		d.Reason = "a preflight of an origin that is not allowed"
	}
	d.Step.Answer = "yes: " + d.Reason
	if enabled < 1 {
		d.Step.Answer = fmt.Sprintf("for %v%% of requests: %s", enabled*100, d.Reason)
	}
	return d
}

func fraction(policy rawjson.Value, r *match.Request) float64 {
	v := policy.Get("filter_enabled")
	if !v.Exists() {
		return 1
	}
	return match.RuntimeFraction(v, r.Runtime).Share()
}

// allows looks the origin up in the first policy that names any.
func (d *Decision) allows(policies []rawjson.Value, origin string) bool {
	for _, p := range policies {
		list := p.Get("allow_origin_string_match")
		if list.Len() == 0 {
			continue
		}
		for v := range list.Elems() {
			s := match.NewString(v)
			held := s.Match("*") || s.Match(origin)
			d.Step.Candidates = append(d.Step.Candidates, explain.Candidate{Name: "origin " + s.String(), Won: held, Why: fmt.Sprintf("it is %q", explain.Short(origin))})
			if held {
				return true
			}
		}
		return false
	}
	return false
}

// preflight makes the headers of the answer to a preflight.
func (d *Decision) preflight(policies []rawjson.Value, r *match.Request) {
	add := func(name, value string) {
		if value != "" {
			d.Headers = append(d.Headers, match.Header{Name: name, Value: value})
		}
	}
	if !d.Allowed && truth(policies, "allow_credentials", false) {
		add("access-control-allow-credentials", "true")
	}
	for _, h := range [...]struct{ field, name, asked string }{
		{"allow_methods", "access-control-allow-methods", "access-control-request-method"},
		{"allow_headers", "access-control-allow-headers", "access-control-request-headers"},
	} {
		value := first(policies, h.field)
		if value == "*" {
			value, _ = r.First(h.asked)
		}
		add(h.name, value)
	}
	add("access-control-max-age", first(policies, "max_age"))
	if private, _ := r.First("access-control-request-private-network"); private == "true" && truth(policies, "allow_private_network_access", false) {
		add("access-control-allow-private-network", "true")
	}
}

// first is a text of the first policy that has it.
func first(policies []rawjson.Value, field string) string {
	for _, p := range policies {
		if text := p.Str(field); text != "" {
			return text
		}
	}
	return ""
}

// truth is a flag of the first policy that sets it.
func truth(policies []rawjson.Value, field string, otherwise bool) bool {
	for _, p := range policies {
		if v := p.Get(field); v.Exists() {
			return v.IsTrue()
		}
	}
	return otherwise
}
