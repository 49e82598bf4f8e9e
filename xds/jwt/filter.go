// Package jwt decides whether a request's JSON Web Tokens satisfy Envoy's JWT authentication filter (jwt_authn), and what the filter makes of a request
// it lets pass: headers from claims, the payload as metadata for access rules, the token taken off.
//
// Signatures are verified where the keys are in the configuration (local_jwks, as Istio writes them). Keys that Envoy fetches or reads from a file are
// not known: then everything else about a token decides, and the decision says that its signature was not verified.
package jwt

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/route"
)

// Namespace is the namespace of the metadata the filter writes, whatever the filter is called.
const Namespace = "envoy.filters.http.jwt_authn"

// A Filter is the settings of one JWT authentication filter. It is safe for concurrent use.
type Filter struct {
	name      string
	body      rawjson.Value
	providers map[string]*provider
	names     []string // of the providers, sorted
}

// New reads a JwtAuthentication. name is what decisions call the filter.
func New(name string, v rawjson.Value) *Filter {
	f := &Filter{name: name, body: v, providers: map[string]*provider{}}
	for key, body := range v.Get("providers").Members() {
		f.providers[key] = &provider{body: body}
	}
	f.names = slices.Sorted(maps.Keys(f.providers))
	return f
}

// A Decision is what the filter does with a request.
type Decision struct {
	// Code and Details are of the answer to a request that is refused; Code is 0 for one that passes.
	Code    int
	Details string
	Reason  string
	// Unverified says that the request passes only if a signature is good that could not be verified.
	Unverified bool
	// Changes are what becomes of the request, in order.
	Changes []Change
	// Metadata is what the filter writes into its Namespace.
	Metadata map[string]any
	// Again says that the route is looked up again, by the changed request.
	Again bool
	Step  explain.Step
}

// Forged are the changes by which the filter, before it asks for the route, takes the headers that its providers set off a request: no client can forge them. Before
// 1.40 only those of the providers that were asked for were taken off.
func (f *Filter) Forged(r *match.Request) []Change {
	if !r.Envoy.AtLeast(1, 40) {
		return nil
	}
	c := &check{filter: f, request: *r}
	for _, name := range f.names {
		c.strip(f.providers[name].body)
	}
	return c.changes
}

// Check asks the filter about a request. perRoute is the filter's settings for the route (PerRouteConfig), absent for none. The times of a token are not
// checked when now is zero.
func (f *Filter) Check(r *match.Request, perRoute rawjson.Value, now time.Time) Decision {
	d := Decision{Step: explain.Step{Question: fmt.Sprintf("does %s let the request pass?", cmp.Or(f.name, "JWT authentication")), Answer: "yes"}}
	c := &check{filter: f, request: *r, now: now}
	for _, change := range f.Forged(r) {
		c.change(change)
	}
	r = &c.request
	pass := func(why string) Decision {
		d.Reason, d.Step.Answer, d.Changes = why, "yes: "+why, c.changes
		return d
	}
	if f.Bypassed(r) {
		return pass("a CORS preflight needs no token")
	}
	var requirement rawjson.Value
	if perRoute.Exists() {
		name := perRoute.Str("requirement_name")
		switch {
		case perRoute.Get("disabled").IsTrue():
			return pass("the route turns it off")
		case !f.named(name).Exists():
			var names []string
			for key := range f.body.Get("requirement_map").Members() {
				names = append(names, key)
			}
			slices.Sort(names)
			text := fmt.Sprintf("Wrong requirement_name: %s. It should be one of [%s]", name, strings.Join(names, ","))
			d.Code, d.Details, d.Reason, d.Step.Answer = 403, details(text), "the route names requirement "+name+", which there is not", "no: "+text
			return d
		}
		d.Step.Inputs = append(d.Step.Inputs, explain.Input{Name: "requirement of the route", Value: name})
		requirement = f.named(name)
	} else {
		var found bool
		if requirement, found = f.rule(r, &d); !found {
			return pass("no rule is for the request")
		}
		if !requirement.Exists() {
			return pass("its rule requires nothing")
		}
	}
	status := c.require(requirement, 0)
	d.Changes, d.Again, d.Unverified = c.changes, c.again, c.unverified && status == OK
	d.Step.Candidates = append(d.Step.Candidates, c.candidates...)
	d.Step.Unmodelled = append(d.Step.Unmodelled, c.unmodelled...)
	d.Metadata = c.metadata
	d.Reason = status.String()
	switch {
	case status != OK:
		d.Code, d.Details, d.Step.Answer = status.Code(), status.Details(), "no: "+status.String()
	case d.Unverified:
		d.Step.Answer = "yes, if the signature of the token is good"
		d.Reason = "a token whose signature was not verified"
	}
	return d
}

// named is a requirement of the requirement_map.
func (f *Filter) named(name string) rawjson.Value {
	var found rawjson.Value
	for key, v := range f.body.Get("requirement_map").Members() {
		if key == name {
			found = v
			if !v.Exists() {
				found = rawjson.Value("{}")
			}
		}
	}
	return found
}

// rule finds the requirement of the first rule for the request.
func (f *Filter) rule(r *match.Request, d *Decision) (requirement rawjson.Value, found bool) {
	i := 0
	for rule := range f.body.Get("rules").Elems() {
		view := route.NewMatch(rule.Get("match"))
		why := mismatch(view, r)
		candidate := explain.Candidate{Name: "rule " + view.String(), Where: fmt.Sprintf("rules[%d]", i), Won: why == "", Why: cmp.Or(why, "matches")}
		d.Step.Candidates = append(d.Step.Candidates, candidate)
		i++
		if why != "" {
			continue
		}
		if name := rule.Str("requirement_name"); name != "" {
			return f.named(name), true
		}
		return rule.Get("requires"), true
	}
	rules := f.body.Get("filter_state_rules")
	if name := rules.Str("name"); name != "" && rules.Get("requires").Len() > 0 {
		value, ok := r.FilterState[name]
		if r.FilterState == nil {
			d.Step.Unmodelled = append(d.Step.Unmodelled, "filter state "+name+", by which a requirement is chosen")
		}
		for key, v := range rules.Get("requires").Members() {
			if ok && key == value {
				return v, true
			}
		}
	}
	return nil, false
}

// mismatch says which condition of a rule does not hold, "" when all do. Of a RouteMatch the filter looks at the path, headers and query parameters.
func mismatch(m route.Match, r *match.Request) string {
	kind, value := m.Path()
	path := r.PathOnly()
	text := func(kind string) bool {
		return match.NewStringMatch(route.StringMatch{Kind: kind, Value: value, IgnoreCase: kind != "safe_regex" && !m.CaseSensitive()}).Match(path)
	}
	ok := false
	switch kind {
	case route.Prefix:
		ok = text("prefix")
	case route.Path:
		ok = text("exact")
	case route.Regex:
		ok = text("safe_regex")
	case route.SegmentedPrefix:
		ok = text("prefix") && (len(path) == len(value) || path[len(value)] == '/')
	case route.Template:
		ok = match.NewTemplate(value).Match(path)
	case route.Connect:
		ok = r.Method == "CONNECT"
	}
	if !ok {
		return fmt.Sprintf("path %q does not match", explain.Short(path))
	}
	for h := range m.Body().Get("headers").Elems() {
		if condition := match.NewHeaderMatch(h); !condition.Match(r) {
			return condition.Why(r)
		}
	}
	for p := range m.Body().Get("query_parameters").Elems() {
		if condition := match.NewParameterMatch(p); !condition.Match(r) {
			return condition.Why(r)
		}
	}
	return ""
}

// Bypassed reports whether the filter lets a request pass without asking for its route: a CORS preflight, where the filter is told to.
func (f *Filter) Bypassed(r *match.Request) bool {
	return f.body.Get("bypass_cors_preflight").IsTrue() && preflight(r)
}

func preflight(r *match.Request) bool {
	origin, _ := r.First("origin")
	method, _ := r.First("access-control-request-method")
	return r.Method == "OPTIONS" && origin != "" && method != ""
}

// A provider is where tokens come from (JwtProvider).
type provider struct {
	body  rawjson.Value
	once  sync.Once // for what follows
	known bool      // the keys are in the configuration
	keys  Keys
}

// signature verifies a token; known is false when the keys are not in the configuration.
func (p *provider) signature(t *Token) (status Status, known bool) {
	p.once.Do(p.read)
	switch {
	case !p.known:
		return OK, false
	case len(p.keys.keys) == 0:
		return NoValidKeys, true
	}
	return p.keys.Verify(t)
}

func (p *provider) read() {
	local := p.body.Get("local_jwks")
	text := []byte(local.Str("inline_string"))
	if b := local.Str("inline_bytes"); b != "" {
		text, _ = base64.StdEncoding.DecodeString(b)
	}
	switch {
	case len(text) > 0 && string(text) != hidden:
		// What cannot be read gives no keys, as in Envoy.
		p.keys, _ = ParseKeys(text)
		p.known = true
	case len(text) == 0 && local.Str("filename") == "" && local.Str("environment_variable") == "":
		p.known = !p.body.Get("remote_jwks").Exists()
	}
}
