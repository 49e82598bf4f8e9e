package trace

import (
	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/extension"
	"github.com/meshlark/meshlark/xds/match"
)

// authorize is external authorization: what the service says is not known, but whether it is asked is. Istio has it asked where the shadow rules of an RBAC
// filter before it have written a policy's name into metadata.
func (p *passage) authorize(c extension.Config) *Verdict {
	if !p.result.Found {
		p.skipped(c.Name, "the request has no route, and only those with one are asked about")
		return nil
	}
	why := ""
	if v := c.Value.Get("filter_enabled"); v.Exists() {
		if f := match.RuntimeFraction(v, p.request.Runtime); f.Never() {
			why = "filter_enabled is for no request"
		}
	}
	if v := c.Value.Get("filter_enabled_metadata"); v.Exists() {
		if m := match.NewMetadataMatch(v); !m.Match(p.request.Metadata) {
			why = m.Why(p.request.Metadata)
		}
	}
	if why == "" {
		p.mayAnswer(c)
		return nil
	}
	step := explain.Step{Question: "does filter " + name(c) + " answer?", Answer: "no: " + why}
	defer func() { p.step(step) }()
	deny := c.Value.Get("deny_at_disable")
	denies := deny.Get("default_value").IsTrue()
	if value, ok := p.request.Runtime[deny.Str("runtime_key")].(bool); ok {
		denies = value
	}
	if !denies {
		return nil
	}
	step.Answer = "yes: it denies what it is not asked about (deny_at_disable), " + why
	return &Verdict{Code: statusCode(c.Value.Get("status_on_error"), 403), Flags: "UAEX", Details: "ext_authz_error", Reason: name(c) + " denies what it is not asked about: " + why}
}
