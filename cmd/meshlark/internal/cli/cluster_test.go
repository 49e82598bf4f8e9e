package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshlark/meshlark/internal/replay"
	"github.com/meshlark/meshlark/kube/kubetest"
	"github.com/meshlark/meshlark/session"
)

// startCluster starts an API server in front of a recorded istiod and of the Envoys
// of two pods: one that is connected to the istiod, and one that is not.
func startCluster(t *testing.T) *kubetest.Server {
	t.Helper()
	recorded, err := filepath.Abs("../../../../mesh/source/istiod/testdata/recorded")
	if err != nil {
		t.Fatal(err)
	}
	pod := func(namespace, name, label string, containers ...corev1.Container) corev1.Pod {
		return corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": label}},
			Spec:       corev1.PodSpec{Containers: containers},
			Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.0.0.9"},
		}
	}
	sidecar := corev1.Container{Name: "istio-proxy", Args: []string{"proxy", "sidecar"}, Env: []corev1.EnvVar{{Name: "ISTIO_META_CLUSTER_ID", Value: "Kubernetes"}}}
	const connected = "details-v1-79dfbd6fff-t7c5k"
	s := kubetest.New(t)
	s.Add(pod("istio-system", "istiod-1", "istiod", corev1.Container{Name: "discovery", Args: []string{"discovery"}}),
		pod("default", connected, "details", sidecar), pod("shop", "lost-1", "lost", sidecar))
	s.Listen("istio-system", "istiod-1", 15014, replay.NewIstiod(recorded))
	for namespace, name := range map[string]string{"default": connected, "shop": "lost-1"} {
		s.Listen(namespace, name, 15000, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.ClustersConfigDump","dynamic_active_clusters":[
				{"cluster":{"@type":"type.googleapis.com/envoy.config.cluster.v3.Cluster","name":"runs in %s"}}]}]}`, name)
		}))
	}
	s.Listen("shop", "lost-1", 15099, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"configs":[]}`) }))
	return s
}

// What is asked of a cluster goes all the way: the kubeconfig, the API server,
// tunnels to an istiod and to Envoys. Nothing stays open.
func TestCluster(t *testing.T) {
	s := startCluster(t)
	env := []string{"KUBECONFIG=" + s.Kubeconfig()}
	for _, test := range []struct {
		args []string
		want []string
	}{
		{[]string{"-e", "proxies()"}, []string{"details-v1-79dfbd6fff-t7c5k.default", "lost-1.shop", "productpage-v1"}},
		{[]string{"-e", `[(p.name, p.connected) for p in proxies("lost-1*")]`}, []string{`["lost-1.shop",false]`}},
		{[]string{"-e", `proxy("deploy/details-v1").clusters().names`}, []string{"runs in details-v1-79dfbd6fff-t7c5k"}},
		{[]string{"-e", `len(proxy("details-v1").desired().clusters()) > 3`}, []string{"True"}},
		{[]string{"-s", "kube:", "-n", "shop", "-e", `clusters(proxy="lost-1").names`}, []string{"runs in lost-1"}},
		{[]string{"--proxy-admin-port", "15099", "-e", `len(proxy("lost-1").clusters())`}, []string{"0"}},
		{[]string{"-s", "kube:test", "-e", `istiods()`}, []string{"istiod-1", "1.31"}},
		{[]string{"-e", `proxies()`, "-o", "json"}, []string{`"source": "kube:test"`}},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			var stdout, stderr strings.Builder
			if status := Run(t.Context(), test.args, strings.NewReader(""), &stdout, &stderr, env); status != exitOK {
				t.Errorf("exit status %d: %s", status, &stderr)
			}
			for _, want := range test.want {
				if !strings.Contains(stdout.String(), want) {
					t.Errorf("%q is not in\n%s", want, &stdout)
				}
			}
			if stderr.Len() > 0 {
				t.Errorf("standard error has\n%s", &stderr)
			}
		})
	}
	open, opened := s.Tunnels()
	for wait := 0; open > 0 && wait < 1000; wait++ { // the server learns of it a little later
		time.Sleep(5 * time.Millisecond)
		open, _ = s.Tunnels()
	}
	if opened == 0 || open != 0 {
		t.Errorf("of %d tunnels %d are still open", opened, open)
	}
}

// Flags of kubectl reach the API server.
func TestClusterFlags(t *testing.T) {
	s := startCluster(t)
	seen := make(chan http.Header, 100)
	s.Refuse(func(r *http.Request) *metav1.Status {
		seen <- r.Header.Clone()
		return nil
	})
	status := Run(t.Context(), []string{"--kubeconfig", s.Kubeconfig(), "--context", "test", "--user", "tester", "--cluster", "test", "--as", "ann", "--as-group", "ops", "--as-group", "dev", "-i", "istio-system", "-e", "proxies()"},
		strings.NewReader(""), io.Discard, io.Discard, nil)
	if status != exitOK {
		t.Fatalf("exit status %d", status)
	}
	h := <-seen
	if got := fmt.Sprint(h["Impersonate-User"], h["Impersonate-Group"], h["Authorization"]); got != "[ann] [ops dev] [Bearer secret]" {
		t.Errorf("the API server was asked as %s", got)
	}
}

// The shell says which cluster and namespace it is in, and stays there when the
// kubeconfig's current context becomes another one.
func TestClusterShell(t *testing.T) {
	s := startCluster(t)
	config := s.Kubeconfig()
	status, screen := converse(t, &typist{lines: []string{`proxy("lost-1").name`}}, []string{"KUBECONFIG=" + config})
	if status != exitOK || !strings.Contains(screen, "\nkube:test (namespace default)\n") || !strings.Contains(screen, "lost-1.shop") {
		t.Errorf("exit status %d and\n%s", status, screen)
	}
	if _, screen = converse(t, &typist{lines: []string{":source kube:nosuch", "proxies()"}}, []string{"KUBECONFIG=" + config}, "-n", "shop"); !strings.Contains(screen, "kube:test (namespace shop)\n") ||
		!strings.Contains(screen, `there is no context "nosuch"; there are: test`) || !strings.Contains(screen, "lost-1.shop") {
		t.Errorf("the shell, which is to stay in the mesh it has:\n%s", screen)
	}
	if _, screen = converse(t, &typist{}, []string{"KUBECONFIG=" + config}, "--context", "nosuch"); !strings.HasPrefix(screen, `kubeconfig: there is no context "nosuch"`) {
		t.Errorf("the shell in a context that is not there:\n%s", screen)
	}
	a := newApp(strings.NewReader(""), io.Discard, io.Discard, newEnvironment([]string{"KUBECONFIG=" + config}))
	defer a.close()
	m, err := a.openMesh([]string{"kube:"})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, []byte(strings.Replace(string(text), "current-context: test", "current-context: elsewhere", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Proxies(t.Context()); err != nil {
		t.Errorf("after the current context became another one: %v", err)
	}
}

// A pod that takes the question and says nothing is named, with what it was asked for, before the time of the run is over.
func TestClusterLate(t *testing.T) {
	s := startCluster(t)
	s.Listen("shop", "lost-1", 15000, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	for _, test := range []struct {
		args   []string
		status int
		stdout string
		stderr []string
	}{
		{[]string{"--timeout", "1s", "-e", `proxy("lost-1").clusters()`}, exitUnreachable, "", []string{"cannot read lost-1.shop: GET :15000/config_dump?...: no answer", "no answer within ", "half of the time there was"}},
		{[]string{"--timeout", "2s", "-e", `clusters(proxy=["lost-1", "details-v1*"]).names`}, exitIncomplete, "runs in details-v1-79dfbd6fff-t7c5k", []string{"left out: ", "lost-1.shop: GET "}},
		{[]string{"--request-timeout", "200ms", "-e", `clusters(proxy=["lost-1", "details-v1*"]).names`, "-e", `clusters(proxy=["lost-1", "details-v1*"]).errors[0].proxy`}, exitIncomplete, "lost-1.shop", []string{"no answer within 200ms"}},
		{[]string{"--request-timeout", "200ms", "--allow-partial", "-e", `clusters(proxy=["lost-1", "details-v1*"]).names`}, exitOK, "runs in details", []string{"no answer within 200ms"}},
	} {
		var stdout, stderr strings.Builder
		status := Run(t.Context(), test.args, strings.NewReader(""), &stdout, &stderr, []string{"KUBECONFIG=" + s.Kubeconfig()})
		if status != test.status || !strings.Contains(stdout.String(), test.stdout) {
			t.Errorf("%q: exit status %d, want %d, and\n%s%s", test.args, status, test.status, &stdout, &stderr)
		}
		for _, want := range test.stderr {
			if !strings.Contains(stderr.String(), want) {
				t.Errorf("%q: %q is not in\n%s", test.args, want, &stderr)
			}
		}
	}
}

// When the time of the whole run is over it is told what it was waiting for.
func TestOutstanding(t *testing.T) {
	var stderr strings.Builder
	a := newApp(strings.NewReader(""), io.Discard, &stderr, newEnvironment(nil))
	defer a.close()
	ctx, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	<-ctx.Done()
	a.transport.begin(ctx, "clusters of web-1.shop")()
	a.transport.begin(t.Context(), "pods of kube:test")
	a.err = &session.Error{Kind: session.Deadline, Msg: "not done within 1s (--timeout)"}
	if status := a.finish(); status != exitUnreachable || !strings.Contains(stderr.String(), "not done within 1s (--timeout); still waiting for clusters of web-1.shop, pods of kube:test") {
		t.Errorf("exit status %d: %s", status, &stderr)
	}
}

// What goes wrong with the API server reaches the user whole, with what to do.
func TestClusterFaults(t *testing.T) {
	unauthorized := &metav1.Status{Status: "Failure", Code: http.StatusUnauthorized, Reason: metav1.StatusReasonUnauthorized, Message: "Unauthorized"}
	for name, test := range map[string]struct {
		play   func(*kubetest.Server)
		args   []string
		status int
		want   []string
	}{
		"expired": {func(s *kubetest.Server) { s.Refuse(func(*http.Request) *metav1.Status { return unauthorized }) }, nil, exitUnreachable,
			[]string{"cannot read kube:test: ", "does not accept the credentials of user tester; they may have expired: log in again"}},
		"forbidden": {func(s *kubetest.Server) {
			s.Refuse(func(*http.Request) *metav1.Status { return kubetest.Forbidden("nothing is allowed") })
		}, nil, exitUnreachable, []string{"list the pods of all namespaces in context test", "forbidden: nothing is allowed; ask for that permission"}},
		"one namespace": {func(s *kubetest.Server) {
			s.Refuse(func(r *http.Request) *metav1.Status {
				if strings.HasPrefix(r.URL.Path, "/api/v1/namespaces/shop/") {
					return nil
				}
				return kubetest.Forbidden("User \"tester\" cannot")
			})
		}, []string{"-n", "shop"}, exitIncomplete, []string{"only those of shop are known: list the pods of all namespaces", "list the pods of namespace istio-system"}},
		"gone": {func(s *kubetest.Server) { s.Close() }, nil, exitUnreachable, []string{"cannot read kube:test: ", "is the cluster up, the network path to it open (VPN, proxy), and this the context you mean?"}},
		"hangs": {func(s *kubetest.Server) {
			s.Serve("/api/v1/pods", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
			s.Serve("/api/v1/namespaces/istio-system/pods", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		}, []string{"--timeout", "2s"}, exitUnreachable, []string{"cannot read kube:test: list the pods of all namespaces in context test", "no answer in time; is the cluster up"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := startCluster(t)
			env := []string{"KUBECONFIG=" + s.Kubeconfig()}
			test.play(s)
			var stdout, stderr strings.Builder
			if status := Run(t.Context(), append(test.args, "-e", "proxies()"), strings.NewReader(""), &stdout, &stderr, env); status != test.status {
				t.Errorf("exit status %d, want %d", status, test.status)
			}
			for _, want := range test.want {
				if !strings.Contains(stderr.String(), want) {
					t.Errorf("%q is not in\n%s", want, &stderr)
				}
			}
			if test.status == exitIncomplete && !strings.Contains(stdout.String(), "lost-1.shop") {
				t.Errorf("the rest of the answer:\n%s", &stdout)
			}
		})
	}
}

// Two contexts are one mesh: each proxy is of its cluster, and the same name in both is two proxies.
func TestTwoContexts(t *testing.T) {
	config := func(s *kubetest.Server, name string) string {
		b, err := os.ReadFile(s.Kubeconfig())
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, regexp.MustCompile(`\btest\b`).ReplaceAll(b, []byte(name)), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	env := []string{"KUBECONFIG=" + config(startCluster(t), "east") + string(filepath.ListSeparator) + config(startCluster(t), "west")}
	for _, test := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"-e", `sorted([p.source for p in proxies("lost-1")])`}, exitOK, `"kube:east""kube:west"`},
		{[]string{"-e", `proxy("lost-1").name`}, exitScript, "lost-1.shop (kube:east), lost-1.shop (kube:west); name one with cluster_id="},
		{[]string{"-e", `[proxy("lost-1", cluster_id="kube:west").source]`}, exitOK, `"kube:west"`},
		{[]string{"-e", `proxy("lost-1", cluster_id="kube:west").clusters().names`}, exitOK, "runs in lost-1"},
	} {
		var stdout, stderr strings.Builder
		status := Run(t.Context(), append([]string{"-s", "kube:east", "-s", "kube:west", "-o", "jsonl"}, test.args...), strings.NewReader(""), &stdout, &stderr, env)
		if got := strings.ReplaceAll(stdout.String(), "\n", ""); status != test.status || !strings.Contains(got+stderr.String(), strings.ReplaceAll(test.want, "\n", "")) {
			t.Errorf("%q: exit status %d and\n%s%s", test.args, status, &stdout, &stderr)
		}
	}
}

// Names mean the proxies of --namespace first, else of the context's namespace.
func TestOwnNamespace(t *testing.T) {
	s := startCluster(t)
	sidecar := corev1.Container{Name: "istio-proxy", Args: []string{"proxy", "sidecar"}}
	for _, ns := range []string{"default", "shop"} {
		s.Add(corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "cart-" + ns, Labels: map[string]string{"app": "cart"}},
			Spec: corev1.PodSpec{Containers: []corev1.Container{sidecar}}, Status: corev1.PodStatus{Phase: corev1.PodRunning}})
		s.ServeJSON("/api/v1/namespaces/"+ns+"/services/cart", `{"apiVersion":"v1","kind":"Service","metadata":{"name":"cart","namespace":"`+ns+`"},"spec":{"selector":{"app":"cart"}}}`)
	}
	for args, want := range map[string]string{
		`-e proxy("cart").name`:                         "cart-default.default",
		`-n shop -e proxy("cart").name`:                 "cart-shop.shop",
		`-n shop -e proxy("cart-default").name`:         "cart-default.default",
		`-n shop -e proxy("details-v1").namespace`:      "default",
		`-n shop -e proxy("svc/cart").name`:             "cart-shop.shop",
		`-n shop -e proxy("svc/cart.default").name`:     "cart-default.default",
		`-n none -e proxy("cart",namespace="shop").pod`: "cart-shop",
	} {
		var stdout, stderr strings.Builder
		if status := Run(t.Context(), strings.Fields(args), strings.NewReader(""), &stdout, &stderr, []string{"KUBECONFIG=" + s.Kubeconfig()}); status != exitOK || strings.TrimSpace(stdout.String()) != want {
			t.Errorf("%s: exit status %d, %s%s, want %s", args, status, &stdout, &stderr, want)
		}
	}
}

// An istiod outside of the cluster is a source beside it: its proxies are those of the pods, and that the cluster has no istiod of its own is no failure.
func TestExternalIstiod(t *testing.T) {
	s := startCluster(t)
	s.Remove("istio-system", "istiod-1")
	recorded := httptest.NewServer(replay.NewIstiod("../../../../mesh/source/istiod/testdata/recorded"))
	defer recorded.Close()
	for _, test := range []struct {
		args   string
		status int
		want   string
	}{
		{`-s kube: -e [(p.connected,p.ready,p.side)for(p)in(proxies("details*"))]`, exitIncomplete, `[null,false,null]`},
		{`-s kube: -s istiod+` + recorded.URL + ` -e [(p.connected,p.ready,p.side)for(p)in(proxies("details*"))]`, exitOK, `[true,false,null]`},
		{`-s istiod+` + recorded.URL + ` -s kube: -e proxy("details-v1").clusters().names`, exitOK, `runs in details-v1`},
		{`-s istiod+` + recorded.URL + ` -s kube: -e len(proxy("details-v1").desired().clusters())>3`, exitOK, `True`},
	} {
		var stdout, stderr strings.Builder
		if status := Run(t.Context(), strings.Fields(test.args), strings.NewReader(""), &stdout, &stderr, []string{"KUBECONFIG=" + s.Kubeconfig()}); status != test.status || !strings.Contains(stdout.String(), test.want) {
			t.Errorf("%s: exit status %d, %s%s, want %s", test.args, status, &stdout, &stderr, test.want)
		}
	}
}
