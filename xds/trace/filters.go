package trace

import (
	"cmp"
	"fmt"
	"maps"
	"strings"

	"github.com/meshlark/meshlark/xds/cors"
	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/extension"
	"github.com/meshlark/meshlark/xds/fault"
	"github.com/meshlark/meshlark/xds/jwt"
	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/rbac"
	"github.com/meshlark/meshlark/xds/routing"
)

// A passage is a request on its way through the HTTP filters of a connection manager. The route is looked up before the first of them, which is what their
// settings go by, and again when one of them says so.
type passage struct {
	*tracer
	at      next
	manager rawjson.Fields
	request *match.Request
	table   *routing.Table // nil for none
	result  *routing.Result
	levels  []rawjson.Value // that may have settings for filters
	// response are headers filters set on the answer.
	response match.Headers
}

// httpFilters goes through the HTTP filters up to the router. refused says that one of them answers every such request.
func (t *tracer) httpFilters(at next, manager listener.HTTPManager, result *routing.Result, table *routing.Table, r *match.Request) (v Verdict, refused bool) {
	p := &passage{tracer: t, at: at, manager: manager.Fields(), request: r, table: table, result: result}
	p.request.Metadata = maps.Clone(r.Metadata)
	defer func() { result.ResponseHeaders = append(result.ResponseHeaders, p.response...) }()
	p.reroute()
	filters, step, ok := upgradeFilters(manager, result, r)
	if step != nil {
		t.step(*step)
	}
	if !ok && result.Found {
		return Verdict{Code: 403, Details: "upgrade_failed", Reason: "the connection may not become " + upgrade(r)}, true
	}
	if splitSettings(result) {
		t.step(explain.Step{
			Question: "by which weighted cluster do filters go?", Answer: "by " + followed(result) + ", which most requests go to",
			Unmodelled: []string{"filter settings of the other weighted clusters"},
		})
	}
	// Which filters run is decided before the first of them does.
	type running struct {
		listener.HTTPFilter
		off bool
	}
	var run []running
	for _, f := range filters {
		settings := settingsFor(f.Name, p.levels)
		run = append(run, running{f, settings.off || f.Disabled && !settings.on})
	}
	for _, f := range run {
		if f.off {
			p.skipped(f.Name, "it is disabled here")
			continue
		}
		if f.Is("Router") || f.Name == "envoy.filters.http.router" {
			return Verdict{}, false
		}
		config, skip := p.unwrap(f.Config)
		if skip {
			p.skipped(f.Name, "its matcher has the request skip it")
			continue
		}
		if v := p.filter(config, settingsFor(f.Name, p.levels)); v != nil {
			return *v, true
		}
	}
	return Verdict{}, false
}

// reroute takes over what the route says about filters.
func (p *passage) reroute() {
	p.levels = levelsOf(p.result, p.table)
	p.request.RouteMetadata = nil
	p.request.IgnoreParameters = p.result.Found && p.table.Settings().Get("ignore_path_parameters_in_path_matching").IsTrue()
	if p.result.Found && p.result.View.Body().Exists() {
		p.request.RouteMetadata = metadataOf(p.result.View.Fields())
	}
}

func (p *passage) skipped(name, why string) {
	p.step(explain.Step{Question: "does filter " + name + " run?", Answer: "no: " + why})
}

// unwrap takes a filter out of a matcher that chooses what requests it is for.
func (p *passage) unwrap(c extension.Config) (inner extension.Config, skip bool) {
	if !c.Is("ExtensionWithMatcher") {
		return c, false
	}
	tree := c.Value.Get("xds_matcher")
	if !tree.Exists() {
		tree = c.Value.Get("matcher")
	}
	got := match.Tree(tree, p.request)
	if len(got.Unmodelled) > 0 {
		p.step(explain.Step{Question: "does filter " + c.Name + " run?", Answer: "it may", Candidates: got.Candidates, Unmodelled: got.Unmodelled})
	}
	inner = extension.New(c.Value.Get("extension_config"))
	inner.Name = c.Name
	return inner, got.Found && got.Action.Is("SkipFilter")
}

// filter has one filter do its work. nil lets the request pass.
func (p *passage) filter(c extension.Config, settings routeSettings) *Verdict {
	own := settings.most()
	switch {
	case c.Is("JwtAuthentication"):
		return p.jwt(c, own) // which does something even where the route turns it off
	case own.Value.Get("disabled").IsTrue() && strings.Contains(own.ShortType(), "PerRoute"):
		p.skipped(c.Name, "the route turns it off")
		return nil
	case c.Is("RBAC"):
		return p.rbac(c, own)
	case c.Is("HTTPFault"):
		return p.fault(c, own)
	case c.Is("Cors"):
		return p.cors(c, settings)
	case c.Is("LocalRateLimit"):
		return p.localLimit(c, own)
	case c.Is("HealthCheck"):
		return p.healthCheck(c)
	case c.Is("ExtAuthz"):
		return p.authorize(c)
	case setsState(c):
		p.setState(p.at.config, c, "on_request_headers", p.request)
	case changes(c):
		p.step(unknownChange(c))
	case !harmless(c):
		p.mayAnswer(c)
	}
	return nil
}

// unknownChange is the step for a filter that answers nothing and whose work is not known.
func unknownChange(c extension.Config) explain.Step {
	return explain.Step{Question: "does filter " + name(c) + " answer?", Answer: "no, but it may change what later decisions go by", Unmodelled: []string{"what filter " + name(c) + " changes"}}
}

func name(c extension.Config) string { return cmp.Or(c.Name, c.ShortType()) }

func (t *tracer) mayAnswer(c extension.Config) {
	t.hop.MayAnswer = append(t.hop.MayAnswer, name(c))
	t.step(explain.Step{Question: "does filter " + name(c) + " answer?", Answer: "it may", Unmodelled: []string{"filter " + name(c)}})
}

// sometimes notes an answer that not every request like this one gets.
func (p *passage) sometimes(c extension.Config, share float64, v Verdict) {
	p.hop.MayAnswer = append(p.hop.MayAnswer, name(c))
	p.hop.Answers = append(p.hop.Answers, Answer{name(c), share, v})
}

// write puts values into a namespace of the request's metadata, beside those that are there.
func (p *passage) write(namespace string, values map[string]any) {
	if len(values) == 0 {
		return
	}
	if p.request.Metadata == nil {
		p.request.Metadata = map[string]any{}
	}
	before, _ := p.request.Metadata[namespace].(map[string]any)
	merged := make(map[string]any, len(before)+len(values))
	maps.Copy(merged, before)
	maps.Copy(merged, values)
	p.request.Metadata[namespace] = merged
}

// rbac asks access rules, and writes what they say where external authorization looks for it.
func (p *passage) rbac(c, own extension.Config) *Verdict {
	config := c.Value
	if own.Is("RBACPerRoute") {
		if config = own.Value.Get("rbac"); !config.Exists() {
			p.skipped(c.Name, "the route turns it off")
			return nil
		}
	}
	for _, d := range rbac.Filter(c.Name, config, p.request) {
		p.step(d.Step)
		prefix := config.Str("rules_stat_prefix") + "enforced_"
		if d.Shadow {
			prefix = config.Str("shadow_rules_stat_prefix") + "shadow_"
		}
		values := map[string]any{prefix + "engine_result": "denied"}
		if d.Allowed {
			values[prefix+"engine_result"] = "allowed"
		}
		if d.Policy != "" {
			values[prefix+"effective_policy_id"] = d.Policy
		}
		p.write("envoy.filters.http.rbac", values)
		if d.Details != "" {
			return &Verdict{Code: d.Code, Details: d.Details, Reason: d.Reason}
		}
	}
	return nil
}

// tokensKey is what a JWT filter with its keys is kept under with its connection manager: the text of its settings.
type tokensKey struct {
	name string
	text *byte
}

func (p *passage) tokens(c extension.Config) *jwt.Filter {
	if len(c.Value) == 0 {
		return jwt.New(c.Name, nil)
	}
	return p.manager.Derived(tokensKey{c.Name, &c.Value[0]}, func() any { return jwt.New(c.Name, c.Value) }).(*jwt.Filter)
}

func (p *passage) jwt(c, own extension.Config) *Verdict {
	d := p.tokens(c).Check(p.request, own.Value, p.at.request.Now)
	p.step(d.Step)
	for _, change := range d.Changes {
		p.request.Headers, p.request.Path = change.Apply(p.request.Headers, p.request.Path)
		p.result.RequestHeaders, p.result.Path = change.Apply(p.result.RequestHeaders, p.result.Path)
	}
	p.write(jwt.Namespace, d.Metadata)
	if d.Code != 0 {
		return &Verdict{Code: d.Code, Details: d.Details, Reason: d.Reason}
	}
	if d.Unverified {
		bad := jwt.NotVerified
		p.sometimes(c, 0, Verdict{Code: bad.Code(), Details: bad.Details(), Reason: bad.String()})
	}
	if d.Again && p.table != nil {
		*p.result = p.table.Match(p.request)
		p.reroute()
		p.step(explain.Step{Question: "does the route stay the same?", Answer: fmt.Sprintf("it is looked up again after %s, which clears the route cache", name(c))})
	}
	return nil
}

func (p *passage) fault(c, own extension.Config) *Verdict {
	settings := c.Value
	if own.Is("HTTPFault") {
		settings = own.Value
	}
	d := fault.Check(c.Name, settings, p.request, p.cluster())
	p.step(d.Step)
	if d.DelayShare > 0 {
		p.hop.Delay, p.hop.DelayShare = d.Delay, max(d.DelayShare, p.hop.DelayShare)
	}
	if d.DelayShare == 1 || d.AbortShare == 1 {
		if v, err := rawjson.Decode(d.Metadata); err == nil {
			values, _ := v.(map[string]any)
			p.write(c.Name, values)
		}
	}
	if d.AbortShare == 0 {
		return nil
	}
	v := Verdict{Code: d.Code, Flags: fault.Flags, Details: fault.Details, Reason: c.Name + " injects a fault: " + d.Reason}
	if d.AbortShare == 1 {
		return &v
	}
	p.sometimes(c, d.AbortShare, v)
	return nil
}

// cluster is the cluster of the route as filters see it, "" where there is none.
func (p *passage) cluster() string {
	if !p.forwards() {
		return ""
	}
	return followed(p.result)
}

// forwards reports whether the route sends the request on, whether or not its cluster exists.
func (p *passage) forwards() bool {
	return p.result.Found && len(p.result.View.Fields().Get("route")) > 0
}

func (p *passage) cors(c extension.Config, settings routeSettings) *Verdict {
	if !p.forwards() {
		return nil
	}
	var policies []rawjson.Value
	for _, s := range settings.configs {
		policies = append(policies, s.Value)
	}
	if len(policies) == 0 {
		// The older place for policies, which counts where there is no other.
		for _, v := range [...]rawjson.Value{p.result.View.Fields().Get("route", "cors"), p.result.HostView.Fields().Get("cors")} {
			if len(v) > 0 {
				policies = append(policies, v)
			}
		}
	}
	d := cors.Check(c.Name, policies, p.request)
	p.step(d.Step)
	if d.Share == 0 || d.Share == 1 { // otherwise chance decides whether the answer has them
		p.response = append(p.response, d.Headers...)
	}
	v := Verdict{Code: 200, Details: cors.Details, Reason: c.Name + " answers " + d.Reason}
	switch d.Share {
	case 0:
		return nil
	case 1:
		p.result.ResponseHeaders = nil // of which a filter's answer has none
		return &v
	}
	p.sometimes(c, d.Share, v)
	return nil
}
