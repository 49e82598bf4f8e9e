package blueprint

import (
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

// access is the rules that the AuthorizationPolicy of a proxy's service makes, as Istio nests and names them; nil where there is none.
func (r *Registry) access(n *Proxy) *rbacv3.RBAC {
	callers := r.Callers[Host(n.App, n.Namespace)]
	if len(callers) == 0 {
		return nil
	}
	var anyOf []*rbacv3.Principal
	for _, account := range callers {
		anyOf = append(anyOf, &rbacv3.Principal{Identifier: &rbacv3.Principal_Authenticated_{Authenticated: &rbacv3.Principal_Authenticated{
			PrincipalName: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: Identity(TrustDomain, n.Namespace, account)}},
		}}})
	}
	callersOf := &rbacv3.Principal{Identifier: &rbacv3.Principal_OrIds{OrIds: &rbacv3.Principal_Set{Ids: anyOf}}}
	return &rbacv3.RBAC{
		Action: rbacv3.RBAC_ALLOW,
		Policies: map[string]*rbacv3.Policy{
			"ns[" + n.Namespace + "]-policy[" + n.App + "]-rule[0]": {
				Permissions: []*rbacv3.Permission{{Rule: &rbacv3.Permission_AndRules{AndRules: &rbacv3.Permission_Set{
					Rules: []*rbacv3.Permission{{Rule: &rbacv3.Permission_Any{Any: true}}},
				}}}},
				Principals: []*rbacv3.Principal{{Identifier: &rbacv3.Principal_AndIds{AndIds: &rbacv3.Principal_Set{Ids: []*rbacv3.Principal{callersOf}}}}},
			},
		},
	}
}
