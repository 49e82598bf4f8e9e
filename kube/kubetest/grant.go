package kubetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	authorization "k8s.io/api/authorization/v1"
	rbac "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A Grant is what the user may do in a namespace, or in all of them and with what is in none.
type Grant struct {
	Namespace string // "" is all
	Rules     []rbac.PolicyRule
}

// Authorize lets the user do what the grants say and nothing else: the rest is refused, as the reviews of what the user may do say before. Reviews themselves
// are granted like anything else.
func (s *Server) Authorize(grants ...Grant) {
	may := func(a authorization.ResourceAttributes) bool {
		resource := a.Resource
		if a.Subresource != "" {
			resource += "/" + a.Subresource
		}
		return slices.ContainsFunc(grants, func(g Grant) bool {
			return (g.Namespace == "" || g.Namespace == a.Namespace) && slices.ContainsFunc(g.Rules, func(r rbac.PolicyRule) bool {
				return covers(r.Verbs, a.Verb) && covers(r.APIGroups, a.Group) && covers(r.Resources, resource) && len(r.ResourceNames) == 0
			})
		})
	}
	s.Refuse(func(r *http.Request) *metav1.Status {
		a, ok := attributesOf(r)
		if !ok || may(a) {
			return nil
		}
		where := " at the cluster scope"
		if a.Namespace != "" {
			where = fmt.Sprintf(" in the namespace %q", a.Namespace)
		}
		return Forbidden(fmt.Sprintf("%s is forbidden: User \"tester\" cannot %s resource %q in API group %q%s", a.Resource, a.Verb, a.Resource, a.Group, where))
	})
	s.Serve("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review authorization.SelfSubjectAccessReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			s.t.Errorf("access review: %v", err)
		}
		review.Status.Allowed = may(*review.Spec.ResourceAttributes)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		json.NewEncoder(w).Encode(review)
	}))
	s.Serve("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review authorization.SelfSubjectRulesReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			s.t.Errorf("rules review: %v", err)
		}
		for _, g := range grants {
			if g.Namespace != "" && g.Namespace != review.Spec.Namespace {
				continue
			}
			for _, rule := range g.Rules {
				review.Status.ResourceRules = append(review.Status.ResourceRules, authorization.ResourceRule{Verbs: rule.Verbs, APIGroups: rule.APIGroups, Resources: rule.Resources, ResourceNames: rule.ResourceNames})
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		json.NewEncoder(w).Encode(review)
	}))
}

// covers tells whether a list of a rule has a word; "*" is every word, and as a word, which asks for all, only that covers it.
func covers(list []string, word string) bool {
	return slices.Contains(list, "*") || slices.Contains(list, word)
}

// attributesOf tells what a request does, as an API server does; what is no resource needs no permission here.
func attributesOf(r *http.Request) (authorization.ResourceAttributes, bool) {
	var a authorization.ResourceAttributes
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case len(parts) >= 3 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) >= 4 && parts[0] == "apis":
		a.Group, parts = parts[1], parts[3:]
	default:
		return a, false
	}
	if parts[0] == "namespaces" && len(parts) >= 3 {
		a.Namespace, parts = parts[1], parts[2:]
	}
	a.Resource = parts[0]
	if len(parts) > 1 {
		a.Name = parts[1]
	}
	if len(parts) > 2 {
		a.Subresource = parts[2]
	}
	switch {
	case r.Method == http.MethodPost:
		a.Verb = "create"
	case a.Name != "":
		a.Verb = "get"
	default:
		a.Verb = "list"
	}
	return a, true
}
