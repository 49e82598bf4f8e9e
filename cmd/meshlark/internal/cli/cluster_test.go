package cli

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshlark/meshlark/internal/replay"
	"github.com/meshlark/meshlark/kube/kubetest"
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
		!strings.Contains(screen, `there is no context "nosuch"; there are: test`) {
		t.Errorf("the shell:\n%s", screen)
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

// A pod that takes the question and says nothing is a source that is waited for.
func TestClusterLate(t *testing.T) {
	s := startCluster(t)
	s.Listen("shop", "lost-1", 15000, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	var stderr strings.Builder
	status := Run(t.Context(), []string{"--timeout", "1s", "-e", `proxy("lost-1").clusters()`}, strings.NewReader(""), io.Discard, &stderr, []string{"KUBECONFIG=" + s.Kubeconfig()})
	if status != exitUnreachable || !strings.Contains(stderr.String(), "not done within 1s") {
		t.Errorf("exit status %d: %s", status, &stderr)
	}
}
