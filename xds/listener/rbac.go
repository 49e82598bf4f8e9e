package listener

import (
	"slices"
	"strconv"
	"strings"

	"github.com/meshlark/meshlark/xds/extension"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// An RBAC is one set of access rules of a chain. A filter with enforced and shadow rules gives two.
type RBAC struct {
	Filter string // name of the filter; Istio gives all of them the same
	Layer  string // "network" for connections, "http" for requests
	// Action is ALLOW (nothing passes that no policy matches), DENY, LOG, or "" where a matcher tree decides.
	Action string
	Shadow bool // evaluated and reported, not enforced
	// Prefix is what the statistics and the metadata of these rules are named by; Istio tells dry runs (istio_dry_run_allow_) and
	// external authorization (istio_ext_authz_) apart by it.
	Prefix   string
	Policies []Policy // in the order Envoy tries them: by id
	Matcher  rawjson.Value
}

// A Policy is one policy of access rules: it matches when one of its permissions and one of its principals do.
type Policy struct {
	ID   string
	Body rawjson.Value // envoy.config.rbac.v3.Policy
	PolicyID
}

// A PolicyID is which Istio object a policy was made from.
type PolicyID struct {
	Namespace string
	Name      string
	Rule      int    // from 0
	Provider  string // external authorization provider of a CUSTOM policy
	Custom    bool   // made for external authorization
}

// RBAC are the access rules of the chain in the order they are evaluated, those of the network filters first.
func (c Chain) RBAC() []RBAC {
	var out []RBAC
	for v := range c.body.Get("filters").Elems() {
		f := newFilter(v)
		if isRBAC(f.Config, "envoy.filters.network.rbac") {
			out = appendRBAC(out, f.Config, "network")
		}
		if f.Kind != KindHTTP {
			continue
		}
		for _, h := range newHTTPManager(f.Value).Filters() {
			if isRBAC(h.Config, "envoy.filters.http.rbac") && !h.Disabled {
				out = appendRBAC(out, h.Config, "http")
			}
		}
	}
	return out
}

func isRBAC(c extension.Config, name string) bool {
	return c.Is("RBAC") || c.Type == "" && c.Name == name
}

func appendRBAC(out []RBAC, c extension.Config, layer string) []RBAC {
	for _, set := range [...]struct {
		rules, matcher, prefix string
		shadow                 bool
	}{
		// Envoy evaluates shadow rules first.
		{"shadow_rules", "shadow_matcher", "shadow_rules_stat_prefix", true},
		{"rules", "matcher", "rules_stat_prefix", false},
	} {
		r := RBAC{Filter: c.Name, Layer: layer, Shadow: set.shadow, Prefix: c.Value.Str(set.prefix)}
		// A matcher tree makes Envoy ignore the rules beside it.
		if r.Matcher = c.Value.Get(set.matcher); r.Matcher.Exists() {
			out = append(out, r)
			continue
		}
		rules := c.Value.Get(set.rules)
		if !rules.Exists() {
			continue
		}
		r.Action = action(rules.Str("action"))
		for id, v := range rules.Get("policies").Members() {
			p := Policy{ID: id, Body: v}
			p.PolicyID, _ = ParsePolicyID(id)
			r.Policies = append(r.Policies, p)
		}
		slices.SortStableFunc(r.Policies, func(a, b Policy) int { return strings.Compare(a.ID, b.ID) })
		out = append(out, r)
	}
	return out
}

func action(text string) string {
	switch text {
	case "", "0":
		return "ALLOW"
	case "1":
		return "DENY"
	case "2":
		return "LOG"
	}
	return text
}

// ParsePolicyID reads the ids Istio gives policies: ns[<namespace>]-policy[<name>]-rule[<number>], after
// istio-ext-authz-<provider>- for external authorization (older versions leave the provider out). ok is false for any other id;
// among those is the one by which Istio lets a policy without rules match nothing.
func ParsePolicyID(id string) (p PolicyID, ok bool) {
	const extAuthz = "istio-ext-authz-"
	start := strings.Index(id, "ns[")
	if start < 0 {
		return PolicyID{}, false
	}
	if rest, custom := strings.CutPrefix(id[:start], extAuthz); custom {
		p.Custom, p.Provider = true, strings.TrimSuffix(rest, "-")
	} else if start != 0 {
		return PolicyID{}, false
	}
	rest := id[start+len("ns["):]
	var found bool
	if p.Namespace, rest, found = strings.Cut(rest, "]-policy["); !found {
		return PolicyID{}, false
	}
	if p.Name, rest, found = strings.Cut(rest, "]-rule["); !found {
		return PolicyID{}, false
	}
	number, closed := strings.CutSuffix(rest, "]")
	n, err := strconv.Atoi(number)
	if !closed || err != nil || n < 0 {
		return PolicyID{}, false
	}
	p.Rule = n
	return p, true
}
