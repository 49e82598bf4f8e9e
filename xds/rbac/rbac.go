// Package rbac decides whether access rules let a request or a connection pass, as Envoy's RBAC filters do, and says which policy decided.
//
// Policies are tried in the order of their ids. A policy holds when one of its permissions and one of its principals do. Rules with action ALLOW let
// pass what a policy holds for and nothing else; DENY refuses what a policy holds for; LOG lets everything pass. Where a condition asks for
// what is not known, or a rule is an extension that is not known, it is taken not to hold, and the decision says so.
package rbac

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/xds/cel"
	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/extension"
	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// A Decision is what one set of rules says.
type Decision struct {
	Allowed bool
	// Policy is the id of the policy that held, "" for none.
	Policy string
	Action string // of the rules: ALLOW, DENY, LOG; "" for a matcher tree
	Shadow bool   // the decision is only reported
	Reason string
	Step   explain.Step
	// Details is what Envoy logs for a request that is refused; Code is the status of its answer.
	Details string
	Code    int
	// Hint is what rules that say what is to be logged write into metadata for access logs (namespace envoy.common), nil for others.
	Hint map[string]any
}

// hint is such metadata.
func hint(logged bool) map[string]any { return map[string]any{"access_log_hint": logged} }

// Body is what Envoy answers a refused request with.
const Body = "RBAC: access denied"

// Evaluate asks one set of rules about a request. For a network filter the request has no headers.
func Evaluate(rules listener.RBAC, r *match.Request) Decision {
	e := evaluation{request: r}
	d := Decision{Action: rules.Action, Shadow: rules.Shadow}
	d.Step = explain.Step{Question: fmt.Sprintf("does %s let the request pass?", cmp.Or(rules.Filter, "RBAC"))}
	if rules.Shadow {
		d.Step.Question += " (shadow rules)"
	}
	if rules.Matcher.Exists() {
		e.tree(rules.Matcher, &d)
	} else {
		e.policies(rules, &d)
	}
	d.Step.Unmodelled = e.unmodelled
	if d.Step.Answer = "yes"; !d.Allowed {
		d.Step.Answer = "no"
	}
	if !d.Allowed && !d.Shadow {
		id := cmp.Or(d.Policy, "none")
		d.Code, d.Details = 403, "rbac_access_denied_matched_policy["+strings.ReplaceAll(id, " ", "_")+"]"
	}
	return d
}

type evaluation struct {
	request    *match.Request
	unmodelled []string
	steps      int
	work       int
}

// Limits on what a hostile configuration can ask for.
const (
	maxDepth = 64
	maxSteps = 100_000
	maxWork  = 32 << 20 // in bytes that are looked at, those of regular expressions counting more
)

// mostShown is how many of several rules that do not hold are told.
const mostShown = 10

func more(n int) string {
	if n > mostShown {
		return fmt.Sprintf("; and %d more", n-mostShown)
	}
	return ""
}

// affords counts the work of comparing something with a condition, and reports whether it may be done.
func (e *evaluation) affords(condition rawjson.Value, texts ...string) bool {
	factor := 1
	if bytes.Contains(condition, []byte("egex")) { // safe_regex, safe_regex_match, safeRegex
		factor = 20
	}
	e.work += factor * len(condition)
	for _, text := range texts {
		e.work += min(factor, 2) * len(text)
	}
	return e.work <= maxWork
}

func (e *evaluation) policies(rules listener.RBAC, d *Decision) {
	for _, p := range rules.Policies {
		c := explain.Candidate{Name: p.ID}
		holds, why := e.policy(p.Body)
		c.Won, c.Why = holds, why
		d.Step.Candidates = append(d.Step.Candidates, c)
		if holds {
			d.Policy = p.ID
			break
		}
	}
	switch rules.Action {
	case "DENY":
		d.Allowed = d.Policy == ""
	case "LOG":
		d.Allowed = true
		if !rules.Shadow {
			d.Hint = hint(d.Policy != "")
		}
	default:
		d.Allowed = d.Policy != ""
	}
	switch {
	case d.Policy != "":
		d.Reason = fmt.Sprintf("%s policy %s holds", rules.Action, d.Policy)
	case rules.Action == "ALLOW":
		d.Reason = fmt.Sprintf("none of %d ALLOW policies holds", len(rules.Policies))
	default:
		d.Reason = fmt.Sprintf("no %s policy holds", rules.Action)
	}
}

func (e *evaluation) policy(body rawjson.Value) (holds bool, why string) {
	permission, why := e.any(body.Get("permissions"), true)
	if !permission {
		return false, "no permission holds: " + why
	}
	principal, also := e.any(body.Get("principals"), false)
	if !principal {
		return false, "no principal holds: " + also
	}
	condition := body.Get("condition") // checked_condition says nothing: Envoy does not look at it
	if !condition.Exists() {
		return true, why + "; " + also
	}
	switch holds, err := match.Expression(condition, e.request); {
	case errors.Is(err, cel.ErrUnknown):
		e.unmodelled = append(e.unmodelled, "the condition of a policy: "+err.Error())
		return false, "its condition is not decided: " + err.Error()
	case err != nil:
		return false, "its condition gives nothing: " + err.Error()
	case !holds:
		return false, "its condition does not hold"
	}
	return true, why + "; " + also + "; its condition holds"
}

// any reports whether one of a list of rules holds, and why: the one that does, or each that does not.
func (e *evaluation) any(list rawjson.Value, permission bool) (bool, string) {
	var whys []string
	for v := range list.Elems() {
		holds, text := e.rule(v, permission, 0)
		if holds {
			return true, text
		}
		if len(whys) < mostShown {
			whys = append(whys, text)
		}
	}
	if len(whys) == 0 {
		return false, "there is none"
	}
	return false, strings.Join(whys, "; ") + more(list.Len())
}

// rule evaluates one Permission or Principal.
func (e *evaluation) rule(v rawjson.Value, permission bool, depth int) (holds bool, text string) {
	e.steps++
	e.work += len(v)
	if depth > maxDepth || e.steps > maxSteps || e.work > maxWork {
		return e.tooMuch()
	}
	for kind, arg := range v.Members() {
		return e.arm(kind, arg, permission, depth)
	}
	return false, "an empty rule"
}

// tooMuch is for a rule that is not looked at because it is nested too deep, or because too many came before it.
func (e *evaluation) tooMuch() (holds bool, text string) {
	const note = "rules that are nested too deep or too many"
	if !slices.Contains(e.unmodelled, note) {
		e.unmodelled = append(e.unmodelled, note)
	}
	return false, "..."
}

func (e *evaluation) arm(kind string, arg rawjson.Value, permission bool, depth int) (bool, string) {
	r := e.request
	conn := &r.Connection
	verdict := func(holds bool, text string) (bool, string) {
		if holds {
			return true, text
		}
		return false, "not " + text
	}
	switch kind {
	case "and_rules", "andRules", "or_rules", "orRules", "and_ids", "andIds", "or_ids", "orIds":
		list := arg.Get("rules")
		if !permission {
			list = arg.Get("ids")
		}
		return e.several(list, strings.HasPrefix(kind, "or"), permission, depth)
	case "any":
		return true, "any"
	case "not_rule", "notRule", "not_id", "notId":
		holds, text := e.rule(arg, permission, depth+1)
		if rest, negated := strings.CutPrefix(text, "not "); negated {
			return !holds, rest + " does not hold"
		}
		return !holds, explain.Short("not (" + text + ")")
	case "header":
		if !e.affords(arg, r.Values(match.Lower(arg.Str("name")))...) {
			return e.tooMuch()
		}
		h := match.NewHeaderMatch(arg)
		if h.MatchRBAC(r) {
			return true, "header " + h.String()
		}
		return false, h.Why(r)
	case "url_path", "urlPath":
		if !e.affords(arg, r.RulePath()) {
			return e.tooMuch()
		}
		s := match.NewString(arg.Get("path"))
		return verdict(r.Path != "" && s.Match(r.RulePath()), fmt.Sprintf("path %s (it is %q)", s, explain.Short(r.RulePath())))
	case "uri_template", "uriTemplate":
		if !e.affords(arg, r.RulePath(), r.RulePath()) {
			return e.tooMuch()
		}
		tmpl := match.NewTemplate(extension.New(arg).Value.Str("path_template"))
		return verdict(tmpl.Match(r.RulePath()), fmt.Sprintf("path template %s (it is %q)", extension.New(arg).Value.Str("path_template"), explain.Short(r.RulePath())))
	case "destination_ip", "destinationIp":
		return e.inRange(arg, "destination IP", conn.Destination.Addr().Unmap().String())
	case "source_ip", "sourceIp":
		return e.inRange(arg, "source IP", conn.Source.Addr().Unmap().String())
	case "direct_remote_ip", "directRemoteIp":
		return e.inRange(arg, "direct remote IP", conn.Direct().Addr().Unmap().String())
	case "remote_ip", "remoteIp":
		return e.inRange(arg, "remote IP", conn.Remote().Addr().Unmap().String())
	case "destination_port", "destinationPort":
		n, _ := arg.Uint()
		return verdict(conn.Destination.IsValid() && uint64(conn.Destination.Port()) == n, fmt.Sprintf("destination port %d (it is %d)", n, conn.Destination.Port()))
	case "destination_port_range", "destinationPortRange":
		start, _ := arg.Get("start").Int()
		end, _ := arg.Get("end").Int()
		port := int64(conn.Destination.Port())
		return verdict(conn.Destination.IsValid() && start <= port && port < end, fmt.Sprintf("destination port in [%d,%d) (it is %d)", start, end, port))
	case "requested_server_name", "requestedServerName":
		s := match.NewString(arg)
		return verdict(s.Match(conn.SNI), fmt.Sprintf("server name %s (it is %q)", s, conn.SNI))
	case "metadata":
		m := match.NewMetadataMatch(arg)
		return verdict(m.Match(r.Metadata), m.String())
	case "sourced_metadata", "sourcedMetadata":
		m := match.NewMetadataMatch(arg.Get("metadata_matcher"))
		if source := arg.Str("metadata_source"); source == "ROUTE" || source == "1" {
			return verdict(r.RouteMetadata != nil && m.Match(r.RouteMetadata), "route "+m.String())
		}
		return verdict(m.Match(r.Metadata), m.String())
	case "filter_state", "filterState":
		m := match.NewFilterStateMatch(arg)
		return verdict(m.Match(r.FilterState), m.String())
	case "authenticated":
		if !e.affords(arg, append(conn.Peer.URISANs, conn.Peer.DNSSANs...)...) {
			return e.tooMuch()
		}
		return e.authenticated(arg)
	case "custom":
		if c := extension.New(arg); strings.Contains(c.Type, ".mtls_authenticated.") {
			if !e.affords(arg, append(conn.Peer.URISANs, conn.Peer.DNSSANs...)...) {
				return e.tooMuch()
			}
			return e.mutual(c.Value.Get("san_matcher"))
		}
	}
	e.unmodelled = append(e.unmodelled, "rule "+kind)
	return false, kind + " is not modelled"
}

func (e *evaluation) several(list rawjson.Value, or, permission bool, depth int) (bool, string) {
	var texts []string
	for v := range list.Elems() {
		holds, text := e.rule(v, permission, depth+1)
		if holds == or {
			return holds, text
		}
		if len(texts) < mostShown {
			texts = append(texts, text)
		}
	}
	return !or, explain.Short(strings.Join(texts, " and "))
}

func (e *evaluation) inRange(arg rawjson.Value, what, got string) (bool, string) {
	p, err := match.NewRange(arg)
	if err != nil {
		return false, err.Error()
	}
	ranges := match.Ranges{p}
	holds := ranges.ContainsText(got)
	text := fmt.Sprintf("%s in %s (it is %s)", what, ranges, got)
	if !holds {
		text = "not " + text
	}
	return holds, text
}

// authenticated looks at the client's certificate: the URI names in it, then the DNS names, then the subject.
func (e *evaluation) authenticated(arg rawjson.Value) (bool, string) {
	conn := &e.request.Connection
	if !conn.TLS {
		return false, "not authenticated: the connection has no TLS"
	}
	name := arg.Get("principal_name")
	if !name.Exists() {
		return true, "TLS"
	}
	s := match.NewString(name)
	for _, list := range [...][]string{conn.Peer.URISANs, conn.Peer.DNSSANs, {conn.Peer.Subject}} {
		for _, got := range list {
			if s.Match(got) {
				return true, fmt.Sprintf("principal %s (it is %q)", s, got)
			}
		}
	}
	return false, fmt.Sprintf("not principal %s (it is %q)", s, append(conn.Peer.URISANs, conn.Peer.DNSSANs...))
}

// mutual looks for a client's certificate that was verified, with a name in it that fits, if one is asked for (mtls_authenticated).
func (e *evaluation) mutual(san rawjson.Value) (bool, string) {
	conn := &e.request.Connection
	switch {
	case !conn.TLS || !conn.Peer.Validated:
		return false, "not authenticated: no certificate of the client was verified"
	case !san.Exists():
		return true, "a verified certificate"
	}
	s := match.NewString(san.Get("matcher"))
	names, fits := conn.Peer.URISANs, s.Match
	switch kind := san.Str("san_type"); kind {
	case "URI", "3":
	case "DNS", "2":
		names = conn.Peer.DNSSANs
		if exact := san.Get("matcher", "exact"); exact.Exists() {
			fits = func(name string) bool { return coversHost(name, exact.Text()) }
		}
	default:
		names = nil
		e.unmodelled = append(e.unmodelled, "names of type "+kind+" in the client's certificate")
	}
	for _, got := range names {
		if fits(got) {
			return true, fmt.Sprintf("a verified certificate for %s (it is for %q)", s, got)
		}
	}
	return false, fmt.Sprintf("not a certificate for %s (it is for %q)", s, names)
}

// coversHost reports whether a name in a certificate is for a host: a * in its first label stands for any letters there.
func coversHost(name, host string) bool {
	name, host = match.Lower(name), match.Lower(host)
	if name == host {
		return true
	}
	label, rest, several := strings.Cut(name, ".")
	own, domain, _ := strings.Cut(host, ".")
	before, after, wild := strings.Cut(label, "*")
	return several && wild && domain == rest && !strings.Contains(rest, "*") && !strings.HasPrefix(label, "xn--") && !strings.Contains(after, "*") &&
		len(own) >= len(before)+len(after) && strings.HasPrefix(own, before) && strings.HasSuffix(own, after)
}

// tree has a matcher tree decide; what it chooses nothing for is refused.
func (e *evaluation) tree(v rawjson.Value, d *Decision) {
	outcome := match.Tree(v, e.request)
	d.Step.Candidates = outcome.Candidates
	e.unmodelled = append(e.unmodelled, outcome.Unmodelled...)
	if !outcome.Found {
		d.Reason = "the matcher chooses nothing, which is a refusal"
		return
	}
	d.Policy = outcome.Action.Value.Str("name")
	action := outcome.Action.Value.Str("action")
	d.Allowed = action != "DENY" && action != "1"
	if !d.Shadow && logs(v, 0) {
		d.Hint = hint(isLog(action))
	}
	d.Reason = fmt.Sprintf("the matcher chooses %s: %s", d.Policy, cmp.Or(action, "ALLOW"))
}

func isLog(action string) bool { return action == "LOG" || action == "2" }

// logs reports whether one of the actions of a matcher tree is LOG.
func logs(v rawjson.Value, depth int) bool {
	if depth > maxDepth*4 {
		return false
	}
	for key, arg := range v.Members() {
		if key == "action" && isLog(arg.Text()) || logs(arg, depth+1) {
			return true
		}
	}
	for elem := range v.Elems() {
		if logs(elem, depth+1) {
			return true
		}
	}
	return false
}
