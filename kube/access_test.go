package kube_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	rbac "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/meshlark/meshlark/kube"
)

// roles are the roles of the page on access, by name.
func roles(t *testing.T, page string) map[string][]rbac.PolicyRule {
	found := map[string][]rbac.PolicyRule{}
	for _, block := range regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$").FindAllStringSubmatch(page, -1) {
		for text := range strings.SplitSeq(block[1], "\n---\n") {
			var role rbac.ClusterRole
			if err := yaml.UnmarshalStrict([]byte(text), &role); err != nil {
				var binding rbac.ClusterRoleBinding
				if err := yaml.UnmarshalStrict([]byte(text), &binding); err != nil {
					t.Errorf("neither a role nor a binding: %v\n%s", err, text)
				} else if found[binding.RoleRef.Name] == nil {
					t.Errorf("%s binds %s, which is no role of the page", binding.Name, binding.RoleRef.Name)
				}
				continue
			}
			found[role.Name] = role.Rules
		}
	}
	return found
}

// The page on access names every access that is used and no other, and its roles grant them and no more.
func TestAccessPage(t *testing.T) {
	text, err := os.ReadFile("../docs/access.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	needed := map[string]bool{}
	for _, n := range kube.Needs() {
		needed[n.String()] = true
	}
	_, table, _ := strings.Cut(page, "## Permissions")
	table, _, _ = strings.Cut(table, "## Roles")
	listed := map[string]bool{}
	for _, row := range regexp.MustCompile(`(?m)^\| ([^|]*)\|`).FindAllStringSubmatch(table, -1) {
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1) {
			listed[m[1]] = true
			if !needed[m[1]] {
				t.Errorf("the table lists %q, which nothing uses", m[1])
			}
		}
	}
	for need := range needed {
		if !listed[need] {
			t.Errorf("the table does not list %q", need)
		}
	}

	granted := map[string]bool{}
	for name, rules := range roles(t, page) {
		for _, r := range rules {
			for _, verb := range r.Verbs {
				for _, group := range r.APIGroups {
					for _, resource := range r.Resources {
						resource, sub, _ := strings.Cut(resource, "/")
						a := kube.Access{Verb: verb, Group: group, Resource: resource, Subresource: sub}
						granted[a.String()] = true
						every := kube.Access{Verb: verb, Group: "*", Resource: "*"}
						ofMesh := strings.HasSuffix(group, ".istio.io") || group == "gateway.networking.k8s.io" || a.String() == "list services"
						if !needed[a.String()] && !(ofMesh && needed[every.String()]) {
							t.Errorf("role %s grants %q, which nothing needs", name, a)
						}
						if resource == "secrets" || resource == "*" && !ofMesh {
							t.Errorf("role %s grants %q: that may be secrets", name, a)
						}
					}
				}
			}
		}
	}
	for _, n := range kube.Needs() {
		everybody := n.Group == "authorization.k8s.io" // which system:basic-user grants
		if !granted[n.String()] && !everybody && n.Resource != "*" {
			t.Errorf("no role of the page grants %q", n)
		}
	}
	if verbs := []string{"get *.networking.istio.io", "list *.networking.istio.io"}; !slices.ContainsFunc(verbs, func(v string) bool { return granted[v] }) {
		t.Errorf("no role of the page grants the objects of Istio: %v", granted)
	}
}
