package e2e

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/meshlark/meshlark/kube"
	"github.com/meshlark/meshlark/lab"
)

// What may be asked of an Envoy and of an istiod: paths of which none changes anything, and, where others of the same path would, their parameters.
var (
	envoyPaths  = []string{"/config_dump", "/clusters", "/server_info", "/certs", "/stats", "/listeners", "/ready", "/memory", "/runtime", "/init_dump"}
	istiodPaths = []string{
		"/version", "/debug/adsz", "/debug/config_dump", "/debug/configz", "/debug/connections", "/debug/edsz", "/debug/mesh", "/debug/registryz", "/debug/syncz",
	}
	istiodParameters = []string{"proxyID", "types", "include_eds", "namespace", "pretty", "sizes"}
)

// A user who may only read asks for everything there is. What the API server, the Envoys and the istiods were asked meanwhile is all read-only, and
// meshlark says itself that it does as much to the API server.
func TestReadOnly(t *testing.T) {
	begin := asked(t, "lab-reader")
	mesh.Kubelet.Forget()
	got := runProgram(t, meshlark, append(reader, "run", "testdata/everything.star")...)
	if got.status != 0 {
		t.Fatalf("asking for everything: exit status %d:\n%s%s", got.status, got.stdout, got.stderr)
	}

	requests := asked(t, "lab-reader")[len(begin):]
	for _, r := range requests {
		if r.Resource == "" {
			if r.Verb != "get" {
				t.Errorf("the API server was asked to %s %s", r.Verb, r.URI)
			}
			continue
		}
		readOnly := slices.Contains([]string{"get", "list", "watch"}, r.Verb) || r.Verb == "create" && r.Resource == "pods/portforward"
		if !readOnly || !needed(r) {
			t.Errorf("the API server was asked to %s %s (%s), which meshlark does not tell of or should not do", r.Verb, r.Resource, r.URI)
		}
		if r.Status >= 400 {
			t.Errorf("%s of %s was answered with status %d", r.Verb, r.URI, r.Status)
		}
	}
	verbs := lab.Verbs(requests)
	t.Logf("the API server was asked to %s", strings.Join(verbs, ", "))
	for _, must := range []string{"list pods", "get pods/portforward"} {
		if !slices.Contains(verbs, must) {
			t.Errorf("nobody asked to %s: this is not the run that it should be", must)
		}
	}

	seen := map[string]int{}
	for _, x := range mesh.Kubelet.Exchanges() {
		line, err := readOnlyRequest(x)
		if err != nil {
			t.Errorf("%s was asked %s %s: %v", x.Pod, x.Method, x.URI, err)
		}
		seen[line]++
	}
	for line, n := range seen {
		t.Logf("%4d %s", n, line)
	}
	for _, path := range []string{"Envoy: GET /config_dump", "Envoy: GET /clusters", "Envoy: GET /certs", "istiod: GET /debug/syncz", "istiod: GET /debug/config_dump"} {
		if seen[path] == 0 {
			t.Errorf("%s was not asked: this is not the run that it should be", path)
		}
	}
	if n := seen["Envoy: GET /config_dump"]; n < 7*8 {
		t.Errorf("%d dumps were asked for, want one of each kind of each proxy", n)
	}
}

// What this user may do is asked for in reviews, which store nothing, and in nothing else that is not reading.
func TestDoctorReadsOnly(t *testing.T) {
	begin := asked(t, "lab-reader")
	got := runProgram(t, meshlark, append(reader, "doctor")...)
	if got.status != 0 || !strings.Contains(got.stdout, mesh.Istiod("canary").Name) {
		t.Errorf("exit status %d:\n%s%s", got.status, got.stdout, got.stderr)
	}
	requests := asked(t, "lab-reader")[len(begin):]
	verbs := lab.Verbs(requests)
	t.Logf("the API server was asked to %s", strings.Join(verbs, ", "))
	for _, r := range requests {
		reads := slices.Contains([]string{"get", "list"}, r.Verb) || r.Verb == "create" && strings.HasPrefix(r.Resource, "selfsubject") || r.Resource == "pods/portforward"
		if !reads || r.Resource != "" && !told(r) {
			t.Errorf("the API server was asked to %s %s (%s), which meshlark does not tell of or should not do", r.Verb, r.Resource, r.URI)
		}
	}
	if !slices.Contains(verbs, "create selfsubjectaccessreviews") {
		t.Errorf("nobody asked what the user may do")
	}
}

// asked are the requests of a user until now.
func asked(t *testing.T, user string) []lab.Request {
	t.Helper()
	requests, err := mesh.Requests(user)
	if err != nil {
		t.Fatal(err)
	}
	return requests
}

// needed says whether meshlark tells that it makes such requests for what a mesh is asked, and told whether it tells so at all.
func needed(r lab.Request) bool {
	return told(r) && !strings.HasPrefix(r.Resource, "selfsubject") && r.Resource != "serviceaccounts/token"
}

func told(r lab.Request) bool {
	resource, subresource, _ := strings.Cut(r.Resource, "/")
	is := func(want, got string) bool { return want == got || want == "*" }
	return slices.ContainsFunc(kube.Needs(), func(n kube.Need) bool {
		return n.Verb == r.Verb && is(n.Group, r.Group) && is(n.Resource, resource) && n.Subresource == subresource
	})
}

// readOnlyRequest says what was asked of whom, and whether that only reads.
func readOnlyRequest(x lab.Exchange) (string, error) {
	u, err := url.Parse(x.URI)
	if err != nil {
		return "", err
	}
	who, paths := "Envoy", envoyPaths
	if strings.HasPrefix(x.Pod, "istiod-") {
		who, paths = "istiod", istiodPaths
	}
	line := fmt.Sprintf("%s: %s %s", who, x.Method, u.Path)
	switch {
	case x.Method != "GET":
		return line, fmt.Errorf("only GET is sure to change nothing")
	case !slices.Contains(paths, u.Path):
		return line, fmt.Errorf("it is none of %q", paths)
	}
	if who == "istiod" {
		for name := range u.Query() {
			if !slices.Contains(istiodParameters, name) {
				return line, fmt.Errorf("the parameters that only read are %q", istiodParameters)
			}
		}
	}
	return line, nil
}
