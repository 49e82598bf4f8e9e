package kubernetes_test

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	rbac "k8s.io/api/rbac/v1"

	"github.com/meshlark/meshlark/kube"
	"github.com/meshlark/meshlark/kube/kubetest"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source/kubernetes"
)

var update = flag.Bool("update", false, "write golden files")

// noon is the time of the API server and of this machine in the tests.
var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// ward is a cluster with two istiods, two proxies, and kinds of Istio.
func ward(t *testing.T) *kubetest.Server {
	s := kubetest.New(t)
	s.Add(istiodPod("istio-system", "istiod-1", "default"), istiodPod("istio-system", "istiod-canary-1", "canary"),
		proxyPod("default", "web-1", "sidecar"), proxyPod("default", "web-2", "sidecar"), proxyPod("shop", "cart-1", "sidecar"))
	s.Listen("istio-system", "istiod-1", 15014, istiod(client{"web-1.default", "sidecar", "c1", "2026-01-01T00:00:00Z", `{"CLUSTER_ID":"c1"}`}))
	s.Listen("istio-system", "istiod-canary-1", 15014, istiod(client{"cart-1.shop", "sidecar", "c1", "2026-01-01T00:00:00Z", ""}))
	info := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"version":"abc/1.36.0/Clean/RELEASE/BoringSSL","state":"LIVE"}`)
	})
	for namespace, names := range map[string][]string{"default": {"web-1", "web-2"}, "shop": {"cart-1"}} {
		for _, name := range names {
			s.Listen(namespace, name, 15000, info)
		}
	}
	s.Serve("/version", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", noon.Format(http.TimeFormat))
		io.WriteString(w, `{"gitVersion":"v1.34.1"}`)
	}))
	s.ServeJSON("/api", `{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","items":[]}`)
	resource := func(plural string) string {
		return fmt.Sprintf(`{"resource":%q,"responseKind":{"kind":"K"},"scope":"Namespaced","singularResource":"k","verbs":["get","list"]}`, plural)
	}
	s.ServeJSON("/apis", `{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","items":[
		{"metadata":{"name":"networking.istio.io"},"versions":[{"version":"v1","resources":[`+resource("virtualservices")+","+resource("envoyfilters")+`]}]},
		{"metadata":{"name":"gateway.networking.k8s.io"},"versions":[{"version":"v1","resources":[`+resource("httproutes")+`]}]}]}`)
	s.ServeJSON("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", `{"kind":"List","items":[]}`)
	s.ServeJSON("/apis/apps/v1/replicasets", `{"kind":"List","items":[]}`)
	return s
}

// needed are the rules that grant every need but those that are left out.
func needed(without ...string) []rbac.PolicyRule {
	var rules []rbac.PolicyRule
	for _, n := range kube.Needs() {
		if slices.Contains(without, n.String()) {
			continue
		}
		resource := n.Resource
		if n.Subresource != "" {
			resource += "/" + n.Subresource
		}
		rule := rbac.PolicyRule{Verbs: []string{n.Verb}, APIGroups: []string{n.Group}, Resources: []string{resource}}
		if resource == "*" {
			rule.APIGroups = []string{"networking.istio.io", "gateway.networking.k8s.io"}
		}
		rules = append(rules, rule)
	}
	return rules
}

// reviews let a user find out what it may do, which everybody may.
func reviews() []rbac.PolicyRule {
	return []rbac.PolicyRule{{Verbs: []string{"create"}, APIGroups: []string{"authorization.k8s.io"}, Resources: []string{"selfsubjectaccessreviews", "selfsubjectrulesreviews"}}}
}

func examine(t *testing.T, s *kubetest.Server, change ...func(*kubernetes.Options)) []mesh.Finding {
	o := kubernetes.Options{Kube: kube.Options{Kubeconfig: s.Kubeconfig(), Context: "test"}}
	for _, f := range change {
		f(&o)
	}
	source := kubernetes.New("kube:"+o.Kube.Context, o)
	t.Cleanup(source.Close)
	return source.Examine(t.Context(), mesh.Examination{Now: func() time.Time { return noon }, Wait: 20 * time.Second})
}

// lines is a line for each finding.
func lines(s *kubetest.Server, found []mesh.Finding) string {
	var b strings.Builder
	for _, f := range found {
		fmt.Fprintf(&b, "%-11s %s: %s: %s", f.Outcome, f.Area, f.Subject, f.Detail)
		if f.Asked {
			b.WriteString(" (asked)")
		}
		b.WriteByte('\n')
		if f.Outcome != mesh.OutcomeOK {
			if len(f.Questions) > 0 {
				fmt.Fprintf(&b, "            open: %s\n", strings.Join(f.Questions, ", "))
			}
			if f.Next != "" {
				fmt.Fprintf(&b, "            next: %s\n", f.Next)
			}
		}
	}
	return strings.ReplaceAll(b.String(), s.URL, "URL")
}

// golden compares with, or writes, a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// What the doctor says where all is well, where nothing is allowed, and where one namespace is.
func TestExamine(t *testing.T) {
	var out strings.Builder
	for _, scene := range []struct {
		name   string
		grants []kubetest.Grant
		change func(*kubetest.Server)
		option func(*kubernetes.Options)
	}{
		{name: "everything", grants: []kubetest.Grant{{Rules: []rbac.PolicyRule{{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}}}}}},
		{name: "what is needed", grants: []kubetest.Grant{{Rules: needed()}}},
		{name: "nothing", grants: []kubetest.Grant{{Rules: reviews()}}},
		{name: "not even reviews"},
		{name: "one namespace", grants: []kubetest.Grant{{Rules: reviews()}, {Namespace: "shop", Rules: needed()}, {Namespace: "istio-system", Rules: needed()}},
			option: func(o *kubernetes.Options) { o.Kube.Namespace = "shop" }},
		{name: "one namespace without that of Istio", grants: []kubetest.Grant{{Rules: reviews()}, {Namespace: "shop", Rules: needed()}},
			option: func(o *kubernetes.Options) { o.Kube.Namespace = "shop" }},
		{name: "no istiod, no kinds, no proxies", grants: []kubetest.Grant{{Rules: needed()}}, change: func(s *kubetest.Server) {
			for _, p := range [][2]string{{"istio-system", "istiod-1"}, {"istio-system", "istiod-canary-1"}, {"default", "web-1"}, {"default", "web-2"}, {"shop", "cart-1"}} {
				s.Remove(p[0], p[1])
			}
			s.ServeJSON("/apis", `{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","items":[]}`)
		}},
		{name: "an istiod and a proxy do not listen", grants: []kubetest.Grant{{Rules: needed()}}, change: func(s *kubetest.Server) {
			s.Add(istiodPod("istio-system", "istiod-2", "default"), proxyPod("shop", "mute-1", "sidecar"))
		}},
		{name: "clocks apart", grants: []kubetest.Grant{{Rules: needed()}}, change: func(s *kubetest.Server) {
			s.Serve("/version", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Date", noon.Add(5*time.Minute).Format(http.TimeFormat))
				io.WriteString(w, `{"gitVersion":"v1.34.1"}`)
			}))
		}},
		{name: "down", change: func(s *kubetest.Server) { s.Close() }},
		{name: "no such context", option: func(o *kubernetes.Options) { o.Kube.Context = "elsewhere" }},
	} {
		s := ward(t)
		s.Authorize(scene.grants...)
		if scene.change != nil {
			scene.change(s)
		}
		option := func(*kubernetes.Options) {}
		if scene.option != nil {
			option = scene.option
		}
		text := lines(s, examine(t, s, option))
		if scene.name == "down" {
			text = strings.ReplaceAll(text, strings.TrimPrefix(s.URL, "https://"), "ADDRESS")
		}
		fmt.Fprintf(&out, "# %s\n%s\n", scene.name, text)
	}
	golden(t, "examine.txt", out.String())
}

// Whoever lacks one permission is told of that one, of what it is for and what it leaves open. The rest is as it was.
func TestExamineWithoutOne(t *testing.T) {
	s := ward(t)
	s.Authorize(kubetest.Grant{Rules: needed()})
	whole := lines(s, examine(t, s))
	var out strings.Builder
	for _, n := range kube.Needs() {
		s := ward(t)
		s.Authorize(kubetest.Grant{Rules: needed(n.String())})
		fmt.Fprintf(&out, "# %s\n", n)
		changed := false
		for line := range strings.Lines(lines(s, examine(t, s))) {
			if !strings.Contains(whole, line) {
				out.WriteString(line)
				changed = true
			}
		}
		if !changed {
			t.Errorf("without %q nothing changes", n)
		}
		out.WriteByte('\n')
	}
	golden(t, "without-one.txt", out.String())
}

// An access that is needed answers some question.
func TestQuestionsOfNeeds(t *testing.T) {
	for _, n := range kube.Needs() {
		if len(kubernetes.QuestionsOf(n.Access)) == 0 {
			t.Errorf("nothing is said to need %q", n)
		}
	}
}

// What does not answer is not waited for, and the rest is told.
func TestExamineHanging(t *testing.T) {
	s := ward(t)
	s.Authorize(kubetest.Grant{Rules: needed()})
	hang := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	s.Listen("istio-system", "istiod-canary-1", 15014, hang)
	s.Listen("shop", "cart-1", 15000, hang)
	source := kubernetes.New("kube:test", kubernetes.Options{Kube: kube.Options{Kubeconfig: s.Kubeconfig()}})
	t.Cleanup(source.Close)
	found := source.Examine(t.Context(), mesh.Examination{Now: func() time.Time { return noon }, Wait: 2 * time.Second})
	got := map[string]string{}
	for _, f := range found {
		got[f.Subject] = string(f.Outcome) + " " + f.Detail
	}
	for subject, want := range map[string]string{
		"list pods": "ok ",
		"istiod-1 in istio-system, revision default":       "ok version 1.30.1, 1 proxy connected",
		"istiod-canary-1 in istio-system, revision canary": "unreachable no answer within 2s",
		"cart-1.shop":      "unreachable no answer within 2s",
		"admin interfaces": "limited asked all of them: 2 answered, Envoy 1.36.0",
	} {
		if !strings.HasPrefix(got[subject], want) {
			t.Errorf("%s: %q, want %q", subject, got[subject], want)
		}
	}
}

// The examination asks only what it is documented to ask.
func TestExamineReads(t *testing.T) {
	s := ward(t)
	s.Authorize(kubetest.Grant{Rules: needed()})
	examine(t, s)
	for _, r := range s.Requests() {
		method, path, _ := strings.Cut(r, " ")
		if method != http.MethodGet && !strings.HasPrefix(path, "/apis/authorization.k8s.io/") && !strings.Contains(path, "/portforward") {
			t.Errorf("asked %s", r)
		}
	}
}
