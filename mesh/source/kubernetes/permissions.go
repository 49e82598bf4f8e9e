package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/meshlark/meshlark/kube"
	"github.com/meshlark/meshlark/mesh"
)

const areaAccess = "permissions"

// remedy is what to do about a permission that is missing.
const remedy = "docs/access.md has the roles to ask an administrator for"

// QuestionsOf tells which calls and fields of the language an access answers.
func QuestionsOf(a kube.Access) []string {
	switch {
	case a.Resource == "pods" && a.Subresource == "" && a.Verb == "list":
		return []string{"proxies()", "istiods()"}
	case a.Resource == "pods" && a.Subresource == "" && a.Verb == "get":
		return []string{".errors"}
	case a.Subresource == "portforward":
		return slices.Concat([]string{"istiods()"}, mesh.ActualQuestions(), mesh.DesiredQuestions(), mesh.SyncQuestions())
	case a.Resource == "replicasets":
		return []string{"p.workload"}
	case a.Resource == "mutatingwebhookconfigurations":
		return []string{"istiods()"}
	case a.Resource == "services":
		return []string{"proxy()"}
	case a.Resource == "*":
		return []string{"mesh.objects()"}
	case a.Group == "authorization.k8s.io":
		return []string{"doctor()"}
	case a.Subresource == "token":
		return []string{`p.desired(via="ads")`}
	default:
		return nil
	}
}

// namespaced tells whether a permission may be given for one namespace.
func namespaced(a kube.Access) bool {
	return a.Group != "authorization.k8s.io" && a.Resource != "mutatingwebhookconfigurations"
}

// verdict is where a user has an access.
type verdict struct {
	everywhere bool
	in         []string // namespaces, where it is not everywhere
	asked      bool     // namespaces were asked about
	reason     string   // why not, if the API server says
	err        error    // why it could not be found out
}

// namespaces are those that are asked about, and read, where not all may be: the one that was chosen and that of the control plane.
func (x *examiner) namespaces() []string {
	chosen := x.cluster.Config().Namespace
	istio := cmp.Or(x.source.options.IstioNamespace, usualNamespace)
	if chosen == istio {
		return []string{chosen}
	}
	return []string{chosen, istio}
}

func (x *examiner) may(ctx context.Context, a kube.Access) verdict {
	all, err := x.cluster.May(ctx, a)
	if err != nil || all.Allowed {
		return verdict{everywhere: all.Allowed, err: err}
	}
	v := verdict{reason: all.Reason}
	if !namespaced(a) {
		return v
	}
	v.asked = true
	for _, n := range x.namespaces() {
		a.Namespace = n
		one, err := x.cluster.May(ctx, a)
		if err != nil {
			return verdict{err: err}
		}
		if one.Allowed {
			v.in = append(v.in, n)
		}
	}
	return v
}

// permissions asks for everything that questions need, except objects.
func (x *examiner) permissions(ctx context.Context) []mesh.Finding {
	needs := slices.DeleteFunc(kube.Needs(), func(n kube.Need) bool { return n.Resource == "*" })
	verdicts := make([]verdict, len(needs))
	var wg sync.WaitGroup
	for i, n := range needs {
		wg.Go(func() { verdicts[i] = x.may(ctx, n.Access) })
	}
	wg.Wait()
	if !slices.ContainsFunc(verdicts, func(v verdict) bool { return v.err == nil }) {
		f := x.failed(areaAccess, "all", verdicts[0].err, "doctor()")
		f.Detail = "what this user may do cannot be found out: " + f.Detail
		if errors.Is(verdicts[0].err, kube.Unauthorized) {
			f.Questions = []string{mesh.Everything}
		}
		return []mesh.Finding{f}
	}
	var found []mesh.Finding
	for i, n := range needs {
		if n.Subresource == "portforward" {
			continue // told of together
		}
		f := x.permission(n.String(), n.For, verdicts[i], QuestionsOf(n.Access))
		f.Asked = n.Asked
		if n.Verb == "list" && n.Resource == "pods" && f.Outcome == mesh.OutcomeDenied {
			f.Questions = []string{mesh.Everything} // neither istiods nor proxies can be found
		}
		found = append(found, f)
	}
	return slices.Insert(found, min(1, len(found)), x.tunnels(needs, verdicts))
}

// tunnels tells whether ports of pods may be reached. The verb create is enough, for SPDY. get is enough for a websocket where the API server asks for no
// more; since Kubernetes 1.35 it asks for create as well (feature gate AuthorizePodWebsocketUpgradeCreatePermission).
func (x *examiner) tunnels(needs []kube.Need, verdicts []verdict) mesh.Finding {
	const subject, what = "create pods/portforward", "tunnels to control planes and proxies"
	of := map[string]verdict{}
	for i, n := range needs {
		if n.Subresource == "portforward" {
			of[n.Verb] = verdicts[i]
		}
	}
	create, get := of["create"], of["get"]
	f := x.permission(subject, what, create, QuestionsOf(kube.Access{Resource: "pods", Subresource: "portforward"}))
	switch {
	case create.everywhere && !get.everywhere && get.err == nil:
		f.Detail += ", by SPDY; the verb get as well lets websockets be used, which more proxies on the way understand"
	case f.Outcome == mesh.OutcomeDenied && (get.everywhere || len(get.in) > 0):
		f.Outcome = mesh.OutcomeLimited
		f.Detail = what + "; this user has the verb get alone, which only API servers before Kubernetes 1.35 take for enough"
	}
	return f
}

// permission is what a verdict says.
func (x *examiner) permission(subject, what string, v verdict, questions []string) mesh.Finding {
	f := mesh.Finding{Area: areaAccess, Subject: subject, Outcome: mesh.OutcomeOK, Detail: what, Questions: questions}
	switch {
	case v.err != nil:
		f = x.failed(areaAccess, subject, v.err, questions...)
		f.Outcome = mesh.OutcomeLimited
		f.Detail = "cannot be found out: " + f.Detail
	case v.everywhere:
	case len(v.in) > 0:
		f.Outcome = mesh.OutcomeLimited
		f.Detail = what + "; in " + inNamespaces(v.in) + " only"
		f.Next = remedy
	default:
		f.Outcome = mesh.OutcomeDenied
		f.Detail = what + "; this user may not"
		if v.asked {
			f.Detail += ", neither in all namespaces nor in " + strings.Join(x.namespaces(), ", ")
		}
		if v.reason != "" {
			f.Detail += " (" + v.reason + ")"
		}
		f.Next = remedy
	}
	return f
}

func inNamespaces(names []string) string {
	if len(names) == 1 {
		return "namespace " + names[0]
	}
	return "namespaces " + strings.Join(names, ", ")
}

// meshGroups are the API groups whose objects a mesh is configured by; a suffix of theirs.
var meshGroups = []string{".istio.io", "gateway.networking.k8s.io"}

// objects tells which objects of the mesh the API server has kinds of, and which of them this user may read.
func (x *examiner) objects(ctx context.Context) []mesh.Finding {
	questions := QuestionsOf(kube.Access{Resource: "*"})
	const kindsSubject, subject = "kinds of Istio and the Gateway API", "get and list objects"
	kinds, err := x.cluster.Kinds(ctx)
	if err != nil {
		f := x.failed(areaServer, kindsSubject, err, questions...)
		f.Asked = true
		return []mesh.Finding{f}
	}
	var ours []kube.Kind
	groups := map[string]int{}
	var order []string
	for _, k := range kinds {
		if slices.ContainsFunc(meshGroups, func(g string) bool { return strings.HasSuffix(k.Group, g) }) {
			ours = append(ours, k)
			if groups[k.APIVersion()]++; groups[k.APIVersion()] == 1 {
				order = append(order, k.APIVersion())
			}
		}
	}
	if len(ours) == 0 {
		return []mesh.Finding{{Area: areaServer, Subject: kindsSubject, Outcome: mesh.OutcomeAbsent, Asked: true, Detail: "the API server serves none", Questions: questions,
			Next: "is Istio configured by another cluster, or not installed in this one?"}}
	}
	found := []mesh.Finding{{Area: areaServer, Subject: kindsSubject, Outcome: mesh.OutcomeOK, Detail: fmt.Sprintf("%d, of %s", len(ours), strings.Join(order, ", ")), Questions: questions}}
	return append(found, x.readable(ctx, subject, ours, questions))
}

// readable tells which kinds this user may read: all there are or, kind by kind, those in the namespaces that are asked about.
func (x *examiner) readable(ctx context.Context, subject string, kinds []kube.Kind, questions []string) mesh.Finding {
	f := mesh.Finding{Area: areaAccess, Subject: subject, Outcome: mesh.OutcomeOK, Asked: true, Questions: questions}
	verbs := []string{"get", "list"}
	everything := true
	for _, verb := range verbs {
		v, err := x.cluster.May(ctx, kube.Access{Verb: verb, Group: "*", Resource: "*"})
		everything = everything && err == nil && v.Allowed
	}
	if everything {
		f.Detail = "objects of every kind, in all namespaces"
		return f
	}
	var missing []string
	granted := 0
	for _, n := range x.namespaces() {
		rules, err := x.cluster.Rules(ctx, n)
		if err != nil {
			failed := x.failed(areaAccess, subject, err, questions...)
			failed.Asked = true
			return failed
		}
		for _, k := range kinds {
			if allowed(rules, verbs, k) {
				granted++
			} else if name := k.String(); !slices.Contains(missing, name) {
				missing = append(missing, name)
			}
		}
		if rules.Incomplete {
			f.Detail = "; the API server could not tell all: " + rules.Reason
		}
	}
	where := inNamespaces(x.namespaces())
	switch {
	case len(missing) == 0:
		f.Detail = fmt.Sprintf("those of Istio and the Gateway API, in %s", where) + f.Detail
	case granted == 0:
		f.Outcome, f.Next = mesh.OutcomeDenied, remedy
		f.Detail = fmt.Sprintf("none of Istio and the Gateway API, in %s", where) + f.Detail
	default:
		f.Outcome, f.Next = mesh.OutcomeLimited, remedy
		f.Detail = fmt.Sprintf("some of Istio and the Gateway API, in %s; not everywhere %s", where, mesh.Some(missing)) + f.Detail
	}
	return f
}

// allowed tells whether rules give all verbs on the objects of a kind, whatever their names.
func allowed(rules kube.Rules, verbs []string, k kube.Kind) bool {
	for _, verb := range verbs {
		if !slices.ContainsFunc(rules.Rules, func(r kube.Rule) bool {
			return len(r.ResourceNames) == 0 && has(r.Verbs, verb) && has(r.APIGroups, k.Group) && has(r.Resources, k.Plural)
		}) {
			return false
		}
	}
	return true
}

func has(list []string, one string) bool {
	return slices.Contains(list, one) || slices.Contains(list, "*")
}
