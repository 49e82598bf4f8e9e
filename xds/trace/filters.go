package trace

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
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
	manager listener.HTTPManager
	request *match.Request
	table   *routing.Table // nil for none
	result  *routing.Result
	levels  []rawjson.Value // that may have settings for filters
	cleared string          // the filter that wants the route to be looked up again, "" for none
	// connection is the filter state of the connection.
	connection state
	changed    bool     // whether the request, or what is known with it, is another than when the route was looked up
	unknown    []string // parts of format strings that are not known
}

// A running filter is one that the request passes.
type running struct {
	listener.HTTPFilter
	off    bool
	answer func(*routing.Answer) // what it does to an answer, nil for nothing
}

// httpFilters goes through the HTTP filters up to the router. refused says that one of them answers every such request.
func (t *tracer) httpFilters(at next, manager listener.HTTPManager, result *routing.Result, table *routing.Table, r *match.Request) (v Verdict, refused bool) {
	p := &passage{tracer: t, at: at, manager: manager, request: r, table: table, result: result, connection: t.state}
	p.request.Metadata = maps.Clone(r.Metadata)
	p.reroute()
	filters, step, ok := upgradeFilters(manager, result, r)
	if step != nil {
		t.step(*step)
	}
	if splitSettings(result) {
		t.step(explain.Step{
			Question: "by which weighted cluster do filters go?", Answer: "by " + followed(result) + ", which most requests go to",
			Unmodelled: []string{"filter settings of the other weighted clusters"},
		})
	}
	// Which filters run is decided before the first of them does.
	var run []running
	for _, f := range filters {
		if f.Is("Router") || f.Name == "envoy.filters.http.router" {
			break
		}
		settings := settingsFor(f.Name, p.levels)
		run = append(run, running{HTTPFilter: f, off: settings.off || f.Disabled && !settings.on})
	}
	var refusal *Verdict
	if !ok && result.Found {
		refusal = &Verdict{Code: 403, Details: "upgrade_failed", Reason: "the connection may not become " + upgrade(r)}
	} else if refusal = p.pass(run); refusal == nil {
		if p.lookUp(); p.changed {
			*p.result = p.result.Resume(p.request)
		}
	}
	p.answered(run, refusal)
	if refusal != nil {
		return *refusal, true
	}
	return Verdict{}, false
}

// pass has the filters do their work in turn, until one of them answers.
func (p *passage) pass(run []running) *Verdict {
	for i := range run {
		f := &run[i]
		if f.off {
			p.skipped(f.Name, "it is disabled here")
			continue
		}
		config, skip := p.unwrap(f.Config)
		if skip != "" {
			f.off = true
			p.skipped(f.Name, skip)
			continue
		}
		if asksForRoute(config) {
			p.lookUp()
		}
		if v := p.filter(f, config, settingsFor(f.Name, p.levels)); v != nil {
			return v
		}
	}
	return nil
}

// answered has the filters change the answer, the last first: those that were not reached too, of the kinds that look at answers without having seen the request.
func (p *passage) answered(run []running, refusal *Verdict) {
	if refusal == nil && p.result.Found && p.result.Code == 0 && p.forwards() { // the request as it was sent on is what an answer is to
		sent := *p.request
		sent.Headers, sent.Path, sent.Host = p.result.RequestHeaders, p.result.Path, p.result.Host
		p.request = &sent
	}
	p.lookUp() // an answer of a filter has it looked up too
	answer := &routing.Answer{Headers: &p.result.ResponseHeaders, Own: refusal != nil || p.result.Code != 0, Flags: p.hop.flags(p.result.Flags), Details: p.result.Details}
	if refusal != nil {
		answer.Flags, answer.Details = p.hop.flags(refusal.Flags), refusal.Details
		if !p.forwards() || refusal.Details == cors.Details { // what the route has is for answers of and for its cluster
			p.result.ResponseHeaders, p.result.ResponseRemoved = nil, nil
		}
	}
	for i := range run {
		f := &run[len(run)-1-i]
		switch {
		case f.off:
		case f.answer != nil:
			f.answer(answer)
		default:
			c := wrapped(f.Config)
			if c.Is("HeaderMutation") && (f.Type == c.Type || f.Value.Get("xds_matcher").Exists() || f.Value.Get("matcher").Exists()) {
				p.mutateAnswer(c, p.routeMutations(c), answer)
			}
		}
	}
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

// unwrap takes a filter out of a matcher that chooses what requests it is for, or which filter there is for them. skip says why none is for this one.
func (p *passage) unwrap(c extension.Config) (inner extension.Config, skip string) {
	if !c.Is("ExtensionWithMatcher") {
		return c, ""
	}
	p.lookUp()
	tree := c.Value.Get("xds_matcher")
	if !tree.Exists() {
		tree = c.Value.Get("matcher")
	}
	if own := settingsFor(c.Name, p.levels).most(); own.Is("ExtensionWithMatcherPerRoute") {
		tree = own.Value.Get("xds_matcher")
	}
	if !tree.Exists() {
		return wrapped(c), "it has no matcher that names requests for it"
	}
	got := match.Tree(tree, p.request)
	if len(got.Unmodelled) > 0 {
		p.step(explain.Step{Question: "does filter " + c.Name + " run?", Answer: "it may", Candidates: got.Candidates, Unmodelled: got.Unmodelled})
	}
	inner = wrapped(c)
	switch {
	case got.Found && got.Action.Is("SkipFilter"):
		return inner, "its matcher has the request skip it"
	case inner.Is("Composite") && !got.Found && len(got.Unmodelled) == 0:
		return inner, "its matcher names no filter for the request"
	case inner.Is("Composite") && got.Action.Is("ExecuteFilterAction") && got.Action.Value.Get("typed_config").Exists() && !got.Action.Value.Get("sample_percent").Exists():
		inner = extension.New(got.Action.Value.Get("typed_config"))
		inner.Name = c.Name
	}
	return inner, ""
}

// wrapped is a filter without a matcher around it.
func wrapped(c extension.Config) extension.Config {
	if !c.Is("ExtensionWithMatcher") {
		return c
	}
	inner := extension.New(c.Value.Get("extension_config"))
	inner.Name = c.Name
	return inner
}

// filter has one filter do its work. nil lets the request pass.
func (p *passage) filter(f *running, c extension.Config, settings routeSettings) *Verdict {
	own := settings.most()
	switch {
	case c.Is("JwtAuthentication"):
		return p.jwt(c) // which does something even where the route turns it off
	case own.Value.Get("disabled").IsTrue() && strings.Contains(own.ShortType(), "PerRoute"):
		p.skipped(c.Name, "the route turns it off")
		return nil
	case c.Is("RBAC"):
		return p.rbac(c, own)
	case c.Is("HTTPFault"):
		return p.fault(c, own)
	case c.Is("Cors"):
		return p.cors(f, c, settings)
	case c.Is("LocalRateLimit"):
		return p.localLimit(c, own)
	case c.Is("HealthCheck"):
		return p.healthCheck(c)
	case c.Is("ExtAuthz"):
		return p.authorize(c)
	case c.Is("HeaderMutation"):
		p.changing(c, func() { p.mutate(f, c) })
	case strings.Contains(c.Type, ".header_to_metadata."):
		p.changing(c, func() { p.headersToMetadata(c, own) })
	case strings.Contains(c.Type, ".set_metadata."):
		p.changing(c, func() { p.setMetadata(c) })
	case strings.Contains(c.Type, ".set_filter_state."):
		p.changing(c, func() { p.filterState(c) })
	case changes(c):
		p.step(unknownChange(c, "what filter "+name(c)+" changes"))
	case !harmless(c):
		p.mayAnswer(c)
	}
	return nil
}

// changing is for a filter that answers nothing and changes the request, or what later decisions go by.
func (p *passage) changing(c extension.Config, do func()) {
	before := *p.request
	before.Headers = slices.Clone(before.Headers)
	metadata := maps.Clone(before.Metadata)
	p.unknown = nil
	do()
	step := explain.Step{Question: "does filter " + name(c) + " change the request?", Answer: "no", Unmodelled: p.unknown}
	var parts []string
	for _, part := range [...]struct {
		what string
		is   bool
	}{
		{"method", before.Method != p.request.Method}, {"host", before.Host != p.request.Host}, {"path", before.Path != p.request.Path},
		{"headers", !slices.Equal(before.Headers, p.request.Headers)}, {"metadata", !reflect.DeepEqual(metadata, p.request.Metadata)},
		{"filter state", !maps.Equal(before.FilterState, p.request.FilterState)},
	} {
		if part.is {
			parts = append(parts, part.what)
		}
	}
	if len(parts) > 0 {
		step.Answer = "yes: " + strings.Join(parts, ", ")
	}
	p.step(step)
}

// unknownChange is the step for a filter that answers nothing and whose work, or a part of it, is not known.
func unknownChange(c extension.Config, what string) explain.Step {
	return explain.Step{Question: "does filter " + name(c) + " answer?", Answer: "no, but it may change what later decisions go by", Unmodelled: []string{what}}
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
	if len(values) > 0 {
		p.request.Metadata, p.changed = written(p.request.Metadata, namespace, values), true
	}
}

// written is metadata with values in a namespace, beside those that are there.
func written(metadata map[string]any, namespace string, values map[string]any) map[string]any {
	before, _ := metadata[namespace].(map[string]any)
	inside := make(map[string]any, len(before)+len(values))
	maps.Copy(inside, before)
	maps.Copy(inside, values)
	out := make(map[string]any, len(metadata)+1)
	maps.Copy(out, metadata)
	out[namespace] = inside
	return out
}

// common is the namespace of metadata for whoever asks.
const common = "envoy.common"

// said is what access rules write into metadata of their decision.
func said(d rbac.Decision, prefix string) map[string]any {
	values := map[string]any{prefix + "engine_result": "denied"}
	if d.Allowed {
		values[prefix+"engine_result"] = "allowed"
	}
	if d.Policy != "" {
		values[prefix+"effective_policy_id"] = d.Policy
	}
	return values
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
		p.write("envoy.filters.http.rbac", said(d, prefix))
		p.write(common, d.Hint)
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
	return p.manager.Fields().Derived(tokensKey{c.Name, &c.Value[0]}, func() any { return jwt.New(c.Name, c.Value) }).(*jwt.Filter)
}

func (p *passage) jwt(c extension.Config) *Verdict {
	tokens := p.tokens(c)
	apply := func(changes []jwt.Change) {
		for _, change := range changes {
			p.request.Headers, p.request.Path = change.Apply(p.request.Headers, p.request.Path)
			p.changed = true
		}
	}
	apply(tokens.Forged(p.request))
	if !tokens.Bypassed(p.request) {
		p.lookUp()
	}
	var ofRoute rawjson.Value
	if own := settingsFor(c.Name, p.levels).most(); own.Is("PerRouteConfig") {
		ofRoute = own.Value
	}
	d := tokens.Check(p.request, ofRoute, p.at.request.Now)
	p.step(d.Step)
	apply(d.Changes)
	p.write(jwt.Namespace, d.Metadata)
	if d.Again {
		p.cleared = name(c)
	}
	if d.Code != 0 {
		return &Verdict{Code: d.Code, Details: d.Details, Reason: d.Reason}
	}
	if d.Unverified {
		bad := jwt.NotVerified
		p.sometimes(c, 0, Verdict{Code: bad.Code(), Details: bad.Details(), Reason: bad.String()})
	}
	return nil
}

// lookUp looks the route up again when a filter has cleared it, for the request as it is by then: when somebody asks for the route next.
func (p *passage) lookUp() {
	if p.cleared == "" {
		return
	}
	table, _, ok := p.tracer.table(p.at.config, p.manager, p.request)
	if ok {
		p.table = known(p.at.config, table)
		*p.result, p.changed = p.table.Match(p.request), false
		p.reroute()
	}
	p.step(explain.Step{Question: "does the route stay the same?", Answer: fmt.Sprintf("it is looked up again after %s, which clears the route cache", p.cleared)})
	p.cleared = ""
}

// asksForRoute reports whether a filter asks for the route before it does anything with a request without a body.
func asksForRoute(c extension.Config) bool {
	for _, part := range [...]string{".jwt_authn.", ".buffer.", ".decompressor.", ".grpc_http1_bridge.", ".tap.", ".header_mutation.", ".health_check.", ".set_metadata.", ".set_filter_state.", ".grpc_stats.", ".grpc_web."} {
		if strings.Contains(c.Type, part) {
			return false
		}
	}
	return true
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

func (p *passage) cors(f *running, c extension.Config, settings routeSettings) *Verdict {
	if !p.forwards() {
		return nil
	}
	policies := settings.of("CorsPolicy")
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
		f.answer = func(a *routing.Answer) {
			for _, h := range d.Headers {
				answerLines{a.Headers, &p.result.ResponseRemoved}.set(h.Name, h.Value)
			}
		}
	}
	v := Verdict{Code: 200, Details: cors.Details, Reason: c.Name + " answers " + d.Reason}
	switch d.Share {
	case 0:
		return nil
	case 1:
		return &v
	}
	p.sometimes(c, d.Share, v)
	return nil
}
