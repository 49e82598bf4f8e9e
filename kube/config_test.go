package kube_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshlark/meshlark/kube"
	"github.com/meshlark/meshlark/kube/kubetest"
)

func environment(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const twoContexts = `apiVersion: v1
kind: Config
clusters: [{name: c1, cluster: {server: "https://one.example.com:6443"}}, {name: c2, cluster: {server: "https://two.example.com"}}]
users: [{name: u1, user: {token: a}}, {name: u2, user: {token: b}}]
contexts: [{name: one, context: {cluster: c1, user: u1, namespace: team}}, {name: two, context: {cluster: c2, user: u2}}]
current-context: one
`

const thirdContext = `apiVersion: v1
kind: Config
clusters: [{name: c3, cluster: {server: "https://three.example.com"}}]
contexts: [{name: three, context: {cluster: c3, user: u1}}]
`

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "two"), twoContexts)
	other := write(t, filepath.Join(dir, "three"), thirdContext)
	none := write(t, filepath.Join(dir, "none"), strings.Replace(twoContexts, "current-context: one", "", 1))
	gone := write(t, filepath.Join(dir, "gone"), strings.Replace(twoContexts, "cluster: c1,", "cluster: c9,", 1))
	left := write(t, filepath.Join(dir, "left"), strings.Replace(twoContexts, "user: u1,", "user: u9,", 1))
	broken := write(t, filepath.Join(dir, "broken"), "clusters: [")
	home := filepath.Join(dir, "home")
	write(t, filepath.Join(home, ".kube", "config"), twoContexts)
	pod := filepath.Join(dir, "pod")
	write(t, filepath.Join(pod, "token"), "t")
	write(t, filepath.Join(pod, "namespace"), "prod\n")
	inside := map[string]string{"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}

	tests := []struct {
		name string
		o    kube.Options
		want string // context cluster user namespace server, or the error
	}{
		{"file", kube.Options{Kubeconfig: file}, "one c1 u1 team https://one.example.com:6443"},
		{"context", kube.Options{Kubeconfig: file, Context: "two"}, "two c2 u2 default https://two.example.com"},
		{"overrides", kube.Options{Kubeconfig: file, Cluster: "c2", User: "u2", Namespace: "x"}, "one c2 u2 x https://two.example.com"},
		{"environment", kube.Options{Env: environment(map[string]string{"KUBECONFIG": file})}, "one c1 u1 team https://one.example.com:6443"},
		{"several files", kube.Options{Env: environment(map[string]string{"KUBECONFIG": file + string(filepath.ListSeparator) + other}), Context: "three"}, "three c3 u1 default https://three.example.com"},
		{"home", kube.Options{Env: environment(map[string]string{"HOME": home})}, "one c1 u1 team https://one.example.com:6443"},
		{"the file before the environment", kube.Options{Kubeconfig: file, Env: environment(map[string]string{"KUBECONFIG": other})}, "one c1 u1 team https://one.example.com:6443"},
		{"in a pod", kube.Options{Env: environment(inside), Pod: pod}, " - the pod's service account prod https://[fd00::1]:443"},
		{"in a pod that tells its namespace", kube.Options{Env: environment(map[string]string{"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443", "POD_NAMESPACE": "told"}), Pod: pod}, " - the pod's service account told https://10.0.0.1:443"},
		{"a context in a pod without a kubeconfig", kube.Options{Env: environment(inside), Pod: pod, Context: "x"}, `kubeconfig: there is none that has the context "x": nothing in $KUBECONFIG, ~/.kube/config`},
		{"a user in a pod without a kubeconfig", kube.Options{Env: environment(inside), Pod: pod, User: "x"}, `kubeconfig: there is none that has the user "x"`},
		{"no such context", kube.Options{Kubeconfig: file, Context: "x"}, `kubeconfig: there is no context "x"; there are: one, two`},
		{"no current context", kube.Options{Kubeconfig: none}, "kubeconfig: it has no current context; name one with --context; there are: one, two"},
		{"a cluster without a context", kube.Options{Kubeconfig: none, Cluster: "c2"}, " c2 - default https://two.example.com"},
		{"nothing", kube.Options{}, "no kubeconfig: nothing in $KUBECONFIG, ~/.kube/config, and this is no pod of a cluster"},
		{"no token in the pod", kube.Options{Env: environment(inside), Pod: dir}, "no kubeconfig: nothing in $KUBECONFIG, ~/.kube/config, and this is no pod of a cluster"},
		{"no such file", kube.Options{Kubeconfig: filepath.Join(dir, "missing")}, "no such file"},
		{"broken", kube.Options{Kubeconfig: broken}, "kubeconfig: error loading config file"},
		{"no such cluster", kube.Options{Kubeconfig: file, Cluster: "x"}, `kubeconfig: the cluster "x", which is not there; there are: c1, c2`},
		{"no such user", kube.Options{Kubeconfig: file, User: "x"}, `kubeconfig: the user "x", which is not there; there are: u1, u2`},
		{"a context whose cluster is gone", kube.Options{Kubeconfig: gone}, `kubeconfig: context "one" names the cluster "c9", which is not there; there are: c1, c2`},
		{"a context whose user is gone", kube.Options{Kubeconfig: left}, `kubeconfig: context "one" names the user "u9", which is not there; there are: u1, u2`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := kube.Load(tt.o)
			if err != nil {
				if !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %q, want %q", err, tt.want)
				}
				var none *kube.NoConfigError
				if wantNone := strings.HasPrefix(tt.want, "no kubeconfig"); errors.As(err, &none) != wantNone {
					t.Errorf("error %T, want that there is no kubeconfig: %v", err, wantNone)
				}
				return
			}
			dash := func(s string) string {
				if s == "" {
					return "-"
				}
				return s
			}
			got := strings.Join([]string{c.Context, dash(c.Cluster), dash(c.User), c.Namespace, c.Server}, " ")
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestContexts(t *testing.T) {
	names, current, err := kube.Contexts(kube.Options{Kubeconfig: write(t, filepath.Join(t.TempDir(), "c"), twoContexts)})
	if err != nil || !cmp.Equal(names, []string{"one", "two"}) || current != "one" {
		t.Errorf("contexts %v, current %q, %v", names, current, err)
	}
}

// What identifies the user goes with requests and with tunnels alike.
func TestImpersonation(t *testing.T) {
	s := kubetest.New(t)
	s.Add(pod("default", "web"))
	s.Listen("default", "web", 80, echo)
	var headers []http.Header
	s.Refuse(func(r *http.Request) *metav1.Status {
		headers = append(headers, r.Header)
		return nil
	})
	config, err := kube.Load(kube.Options{Kubeconfig: s.Kubeconfig(), As: "jane", AsGroups: []string{"dev", "ops"}, UserAgent: "meshlark/1.2"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := kube.New(config)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Pods(t.Context(), kube.PodQuery{}); err != nil {
		t.Fatal(err)
	}
	if _, err := get(t.Context(), c, "http://web.default:80/"); err != nil {
		t.Fatal(err)
	}
	if len(headers) != 2 {
		t.Fatalf("%d requests, want 2", len(headers))
	}
	for i, h := range headers {
		got := []string{h.Get("Authorization"), h.Get("Impersonate-User"), strings.Join(h["Impersonate-Group"], ","), h.Get("User-Agent")}
		if want := []string{"Bearer secret", "jane", "dev,ops", "meshlark/1.2"}; !cmp.Equal(got, want) {
			t.Errorf("request %d: %v, want %v", i, got, want)
		}
	}
}
