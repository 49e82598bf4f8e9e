package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	rbac "k8s.io/api/rbac/v1"

	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/kube"
	"github.com/meshlark/meshlark/kube/kubetest"
	"github.com/meshlark/meshlark/mesh"
)

// needs are the rules of a user who may do what meshlark needs, but for some accesses.
func needs(without ...string) []rbac.PolicyRule {
	var rules []rbac.PolicyRule
	for _, n := range kube.Needs() {
		if slices.Contains(without, n.String()) {
			continue
		}
		resource := n.Resource
		if n.Subresource != "" {
			resource += "/" + n.Subresource
		}
		group := n.Group
		if group == "*" {
			group = "networking.istio.io"
		}
		rules = append(rules, rbac.PolicyRule{Verbs: []string{n.Verb}, APIGroups: []string{group}, Resources: []string{resource}})
	}
	return rules
}

// startClinic starts a cluster that tells its version and what the user may do.
func startClinic(t *testing.T, without ...string) *kubetest.Server {
	s := startCluster(t)
	s.ServeJSON("/version", `{"gitVersion":"v1.34.1"}`)
	s.ServeJSON("/api", `{"kind":"APIGroupDiscoveryList","items":[]}`)
	s.ServeJSON("/apis", `{"kind":"APIGroupDiscoveryList","items":[{"metadata":{"name":"networking.istio.io"},"versions":[{"version":"v1","resources":[
		{"resource":"virtualservices","responseKind":{"kind":"VirtualService"},"scope":"Namespaced","singularResource":"virtualservice","verbs":["get","list"]}]}]}]}`)
	info := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"version":"abc/1.36.0/Clean/RELEASE/BoringSSL","state":"LIVE"}`)
	})
	s.Listen("default", "details-v1-79dfbd6fff-t7c5k", 15000, info)
	s.Listen("shop", "lost-1", 15000, info)
	s.Authorize(kubetest.Grant{Rules: needs(without...)})
	return s
}

func doctor(t *testing.T, s *kubetest.Server, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	status = Run(t.Context(), append([]string{"doctor"}, args...), strings.NewReader(""), &out, &errs, []string{"KUBECONFIG=" + s.Kubeconfig()})
	return status, strings.ReplaceAll(out.String(), s.URL, "URL"), errs.String()
}

// The exit status tells whether something is left open, what is optional aside.
func TestDoctorStatus(t *testing.T) {
	for _, test := range []struct {
		without []string
		args    []string
		status  int
		want    string // in what is printed
	}{
		{nil, nil, exitOK, "Nothing is left open."},
		{[]string{"create serviceaccounts/token", "get *.*"}, nil, exitOK, "Of what most people ask nothing is left open."},
		{[]string{"get pods/portforward"}, nil, exitOK, "by SPDY; the verb get as well"},
		{[]string{"create pods/portforward"}, nil, exitIncomplete, "this user has the verb get alone"},
		{[]string{"list replicasets.apps"}, nil, exitIncomplete, "Left open, in whole or in part: p.workload."},
		{[]string{"list replicasets.apps"}, []string{"--allow-partial"}, exitOK, "Left open, in whole or in part: p.workload."},
		{[]string{"get pods/portforward", "create pods/portforward"}, nil, exitIncomplete, "denied       create pods/portforward"},
		{[]string{"list pods"}, nil, exitUnreachable, "leaves open: everything"},
	} {
		t.Run(strings.Join(test.without, ","), func(t *testing.T) {
			status, stdout, stderr := doctor(t, startClinic(t, test.without...), test.args...)
			if status != test.status || !strings.Contains(stdout, test.want) {
				t.Errorf("exit status %d, want %d, and %q in\n%s", status, test.status, test.want, stdout)
			}
			if (stderr != "") != (status == exitUnreachable) {
				t.Errorf("standard error has %q", stderr)
			}
		})
	}
}

// Documents have what the language has.
func TestDoctorDocument(t *testing.T) {
	_, stdout, _ := doctor(t, startClinic(t, "list replicasets.apps"), "-o", "json")
	var doc struct {
		Kind  string
		Items []struct {
			Source, Area, Subject, Outcome, Detail, Next string
			Questions                                    []string
			Asked                                        bool
		}
	}
	if err := json.Unmarshal([]byte(stdout), &doc); err != nil {
		t.Fatal(err)
	}
	denied := 0
	for _, f := range doc.Items {
		if f.Outcome == string(mesh.OutcomeDenied) {
			denied++
			if f.Source != "kube:test" || f.Area != "permissions" || f.Subject != "list replicasets.apps" || f.Asked || f.Next == "" || !slices.Equal(f.Questions, []string{"p.workload"}) {
				t.Errorf("finding %+v", f)
			}
		}
	}
	if doc.Kind != "finding" || denied != 1 {
		t.Errorf("kind %q with %d denials:\n%s", doc.Kind, denied, stdout)
	}
	for _, format := range []string{"jsonl", "yaml", "table", "wide"} {
		status, stdout, stderr := doctor(t, startClinic(t), "-o", format)
		if status != exitOK || !strings.Contains(stdout, "list pods") || stderr != "" {
			t.Errorf("-o %s: exit status %d, %s\n%s", format, status, stderr, stdout)
		}
	}
}

// An istiod that does not answer is not waited for beyond the time of the run, and
// what does answer is told.
func TestDoctorHanging(t *testing.T) {
	s := startClinic(t)
	s.Listen("istio-system", "istiod-1", 15014, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	status, stdout, stderr := doctor(t, s, "--timeout", "5s")
	if status != exitIncomplete || !strings.Contains(stdout, "unreachable  istiod-1 in istio-system") || !strings.Contains(stdout, "ok           list pods") {
		t.Errorf("exit status %d, %s\n%s", status, stderr, stdout)
	}
}

// What findings say of the language is in the language.
func TestDoctorQuestions(t *testing.T) {
	seen := map[string]bool{}
	collect := func(specs ...string) {
		var out strings.Builder
		Run(t.Context(), append([]string{"doctor", "-o", "jsonl"}, specs...), strings.NewReader(""), &out, io.Discard, []string{"KUBECONFIG=" + startClinic(t).Kubeconfig()})
		for line := range strings.Lines(out.String()) {
			var f struct{ Questions []string }
			if err := json.Unmarshal([]byte(line), &f); err != nil {
				t.Fatal(err)
			}
			for _, q := range f.Questions {
				seen[q] = true
			}
		}
	}
	collect()
	collect("-s", "demo")
	collect("-s", "../../../../mesh/source/istiod/testdata/recorded")
	collect("-s", "kube:nosuch")
	if len(seen) < 20 {
		t.Errorf("only %d questions", len(seen))
	}
	types := map[string]string{"p": "Proxy", "e": "Endpoint", "s": "Secret", "mesh": "Mesh", "": "Collection"}
	for q := range seen {
		if q == mesh.Everything {
			continue
		}
		m := regexp.MustCompile(`^(?:(p|e|s|mesh|)\.)?(\w+)(\(.*\))?$`).FindStringSubmatch(q)
		if m == nil {
			t.Errorf("%q is no call or field", q)
			continue
		}
		recv := ""
		if strings.Contains(q, ".") && !strings.HasPrefix(q, m[2]) {
			recv = types[m[1]]
		}
		e, ok := builtins.Lookup(recv, m[2])
		if !ok || (m[3] == "") != (e.Kind == builtins.Field) {
			t.Errorf("%q is not in the language, or is no %s", q, e.Kind)
		}
	}
}

// A shell shows the findings as sentences.
func TestDoctorShell(t *testing.T) {
	s := startClinic(t, "list replicasets.apps")
	_, screen := converse(t, &typist{lines: []string{`doctor()`, `[f.subject for f in doctor() if not f]`}}, []string{"KUBECONFIG=" + s.Kubeconfig()})
	if !strings.Contains(screen, "leaves open: p.workload") || strings.Count(screen, "list replicasets.apps") < 2 {
		t.Errorf("the shell:\n%s", screen)
	}
}
