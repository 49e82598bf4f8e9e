package rbac

import (
	"cmp"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// Filter asks a whole filter: its shadow rules first, which are only reported, then its rules. v is the configuration of an RBAC filter, of either
// layer; name is what decisions call it. A filter without rules lets everything pass and gives no decisions.
func Filter(name string, v rawjson.Value, r *match.Request) []Decision {
	var out []Decision
	for _, set := range [...]struct {
		rules, matcher string
		shadow         bool
	}{{"shadow_rules", "shadow_matcher", true}, {"rules", "matcher", false}} {
		rules := listener.RBAC{Filter: name, Shadow: set.shadow, Matcher: v.Get(set.matcher)}
		body := v.Get(set.rules)
		if !rules.Matcher.Exists() && !body.Exists() {
			continue
		}
		rules.Action = actionName(body.Str("action"))
		for id, policy := range body.Get("policies").Members() {
			rules.Policies = append(rules.Policies, listener.Policy{ID: id, Body: policy})
		}
		slices.SortStableFunc(rules.Policies, func(a, b listener.Policy) int { return strings.Compare(a.ID, b.ID) })
		out = append(out, Evaluate(rules, r))
	}
	return out
}

func actionName(text string) string {
	switch text {
	case "1":
		return "DENY"
	case "2":
		return "LOG"
	case "0":
		return "ALLOW"
	}
	return cmp.Or(text, "ALLOW")
}
