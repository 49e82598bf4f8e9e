package kubernetes_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshlark/meshlark/kube"
	"github.com/meshlark/meshlark/kube/kubetest"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source/fetch"
	"github.com/meshlark/meshlark/mesh/source/kubernetes"
	"github.com/meshlark/meshlark/xds/pattern"
	"github.com/meshlark/meshlark/xds/resource"
)

// istiodPod is a running istiod of a revision.
func istiodPod(namespace, name, revision string) corev1.Pod {
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": "istiod", "istio.io/rev": revision}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "discovery", Args: []string{"discovery"}}}},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
	}
}

// proxyPod is a running pod with a proxy of a role.
func proxyPod(namespace, name, role string, change ...func(*corev1.Pod)) corev1.Pod {
	p := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app"}, {
			Name: "istio-proxy", Args: []string{"proxy", role, "--domain", "x"},
			Env: []corev1.EnvVar{{Name: "ISTIO_META_CLUSTER_ID", Value: "c1"}},
		}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.0.0.9"},
	}
	for _, f := range change {
		f(&p)
	}
	return p
}

func phase(ph corev1.PodPhase) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Status.Phase = ph }
}

func proxyEnv(name, value string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		c := &p.Spec.Containers[1]
		c.Env = append(slices.DeleteFunc(slices.Clone(c.Env), func(v corev1.EnvVar) bool { return v.Name == name }), corev1.EnvVar{Name: name, Value: value})
	}
}

// istiod answers as an istiod to which the given proxies are connected: "pod.namespace" with what its node says.
type client struct{ name, typ, cluster, sent, metadata string }

func istiod(clients ...client) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "1.30.1-abc-Clean") })
	mux.HandleFunc("/debug/syncz", func(w http.ResponseWriter, _ *http.Request) {
		var entries []string
		for _, c := range clients {
			entries = append(entries, fmt.Sprintf(`{"cluster_id":%q,"proxy":%q,"proxy_type":%q,"resources":{"type.googleapis.com/envoy.config.cluster.v3.Cluster":{"sent":"1","acked":"1","sentTime":%q}}}`, c.cluster, c.name, c.typ, c.sent))
		}
		fmt.Fprintf(w, "[%s]", strings.Join(entries, ","))
	})
	mux.HandleFunc("/debug/adsz", func(w http.ResponseWriter, _ *http.Request) {
		var entries []string
		for i, c := range clients {
			m := c.metadata
			if m == "" {
				m = "{}"
			}
			entries = append(entries, fmt.Sprintf(`{"connectionId":"%s-%d","connectedAt":"2026-01-01T00:00:00Z","metadata":%s}`, c.name, i+1, m))
		}
		fmt.Fprintf(w, `{"totalClients":%d,"clients":[%s]}`, len(clients), strings.Join(entries, ","))
	})
	mux.HandleFunc("/debug/config_dump", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"configs":[{"@type":"type.googleapis.com/envoy.config.cluster.v3.Cluster","name":"desired of `+r.URL.Query().Get("proxyID")+`"}]}`)
	})
	return mux
}

var envoy = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	io.WriteString(w, `{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.ClustersConfigDump","dynamic_active_clusters":[
		{"cluster":{"@type":"type.googleapis.com/envoy.config.cluster.v3.Cluster","name":"actual of `+r.Host+`"}}]}]}`)
})

func open(s *kubetest.Server, t *testing.T, change ...func(*kubernetes.Options)) *mesh.Mesh {
	o := kubernetes.Options{Kube: kube.Options{Kubeconfig: s.Kubeconfig()}}
	for _, f := range change {
		f(&o)
	}
	source := kubernetes.New("kube:test", o)
	t.Cleanup(source.Close)
	return mesh.New([]mesh.Source{source}, mesh.Options{})
}

// describe is a line for each proxy: name type workload cluster connected istiod sides.
func describe(t *testing.T, m *mesh.Mesh) (lines, failures []string) {
	t.Helper()
	res, err := m.Proxies(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range res.Items {
		connected, sides := "?", ""
		if p.Connected != nil {
			connected = fmt.Sprint(*p.Connected)
		}
		if p.Has(mesh.Actual) {
			sides += " actual"
		}
		if p.Has(mesh.Desired) {
			sides += " desired"
		}
		istiod := p.Istiod
		if istiod == "" {
			istiod = "-"
		}
		lines = append(lines, fmt.Sprintf("%s %s %s %s %s %s%s", p.Name, p.Type, p.Workload, p.ClusterID, connected, istiod, sides))
	}
	for _, f := range res.Failures {
		failures = append(failures, f.Error())
	}
	return lines, failures
}

func scene(t *testing.T) *kubetest.Server {
	s := kubetest.New(t)
	yes, always := true, corev1.ContainerRestartPolicyAlways
	ending := istiodPod("istio-system", "istiod-0", "default")
	ending.DeletionTimestamp = &metav1.Time{Time: time.Unix(0, 0)}
	s.Add(ending,
		istiodPod("istio-system", "istiod-1", "default"), istiodPod("istio-system", "istiod-canary-1", "canary"),
		proxyPod("default", "web-1", "sidecar"),
		proxyPod("default", "api-1", "sidecar"),
		proxyPod("default", "lost-5c9d-x", "sidecar", func(p *corev1.Pod) {
			p.Labels = map[string]string{"pod-template-hash": "5c9d"}
			p.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "lost-5c9d", Controller: &yes}}
		}),
		proxyPod("default", "native-1", "sidecar", func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{p.Spec.Containers[1]}
			p.Spec.InitContainers[0].RestartPolicy = &always
			p.Spec.Containers = p.Spec.Containers[:1]
		}),
		proxyPod("edge", "gateway-1", "router"),
		proxyPod("default", "starting-1", "sidecar", phase(corev1.PodPending)),
		proxyPod("default", "done-1", "sidecar", phase(corev1.PodSucceeded)),
		proxyPod("default", "ending-1", "sidecar", func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: time.Unix(0, 0)} }),
		proxyPod("istio-system", "ztunnel-1", "ztunnel"),
		proxyPod("default", "plain-1", "", func(p *corev1.Pod) { p.Spec.Containers = p.Spec.Containers[:1] }),
		proxyPod("default", "twin-1", "sidecar"),
	)
	s.Listen("istio-system", "istiod-1", 15014, istiod(
		client{"web-1.default", "sidecar", "c1", "2026-01-01T00:00:00Z", `{"CLUSTER_ID":"c1"}`},
		client{"vm-1.default", "sidecar", "c1", "2026-01-01T00:00:00Z", ""},
		client{"twin-1.default", "sidecar", "c2", "2026-01-01T00:00:00Z", `{"CLUSTER_ID":"c2"}`},
		client{"ztunnel-1.istio-system", "ztunnel", "c1", "2026-01-01T00:00:00Z", ""},
	))
	s.Listen("istio-system", "istiod-canary-1", 15014, istiod(
		client{"api-1.default", "sidecar", "c1", "2026-01-01T00:00:00Z", ""},
		client{"grpc-1.default", "sidecar", "c1", "2026-01-01T00:00:00Z", `{"GENERATOR":"grpc"}`},
	))
	s.Listen("default", "web-1", 15000, envoy)
	s.Listen("default", "lost-5c9d-x", 15000, envoy)
	return s
}

func TestSurvey(t *testing.T) {
	s := scene(t)
	m := open(s, t)
	if len(s.Requests()) != 0 {
		t.Errorf("requests before anything was asked: %q", s.Requests())
	}
	lines, failures := describe(t, m)
	want := []string{
		"api-1.default sidecar api c1 true istiod-canary-1 actual desired",
		"gateway-1.edge router gateway-1 c1 false - actual",
		"grpc-1.default sidecar grpc c1 true istiod-canary-1 actual desired",
		"lost-5c9d-x.default sidecar lost c1 false - actual",
		"native-1.default sidecar native-1 c1 false - actual",
		"starting-1.default sidecar starting-1 c1 false - actual",
		"twin-1.default sidecar twin c2 true istiod-1 desired",
		"twin-1.default sidecar twin-1 c1 false - actual",
		"vm-1.default sidecar vm c1 true istiod-1 desired",
		"web-1.default sidecar web c1 true istiod-1 actual desired",
		"ztunnel-1.istio-system ztunnel ztunnel c1 true istiod-1 actual desired",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("proxies (-want +got):\n%s", diff)
	}
	if len(failures) != 0 {
		t.Errorf("failures: %q", failures)
	}
	istiods, err := m.Istiods(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, i := range istiods.Items {
		got = append(got, i.Name+" "+i.Version+" "+i.Revision)
	}
	if diff := cmp.Diff([]string{"istiod-1 1.30.1 default", "istiod-canary-1 1.30.1 canary"}, got); diff != "" {
		t.Errorf("istiods (-want +got):\n%s", diff)
	}
	for _, r := range s.Requests() {
		if method, path, _ := strings.Cut(r, " "); method != http.MethodGet {
			t.Errorf("%s %s: not a request that reads", method, path)
		}
	}
}

// clusters reads one side of a proxy.
func clusters(t *testing.T, m *mesh.Mesh, name string, side mesh.Side) (string, error) {
	t.Helper()
	res, err := m.Proxies(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range res.Items {
		if p.Name != name || !p.Has(side) {
			continue
		}
		all, err := p.Config(side).Resources(t.Context(), resource.Cluster, pattern.Pattern{})
		var names []string
		for _, r := range all {
			names = append(names, r.Name())
		}
		return strings.Join(names, " "), err
	}
	t.Fatalf("no proxy %s with the side %s", name, side)
	return "", nil
}

func TestRead(t *testing.T) {
	s := scene(t)
	var asked atomic.Int64
	m := open(s, t, func(o *kubernetes.Options) {
		o.Around = func(inner http.RoundTripper) http.RoundTripper {
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				asked.Add(1)
				return inner.RoundTrip(r)
			})
		}
	})
	tests := []struct {
		proxy string
		side  mesh.Side
		want  string // what is read, or the error
		is    error
	}{
		{"web-1.default", mesh.Actual, "actual of web-1.default:15000", nil},
		{"web-1.default", mesh.Desired, "desired of web-1.default-1", nil},
		{"api-1.default", mesh.Desired, "desired of api-1.default-1", nil},
		{"lost-5c9d-x.default", mesh.Actual, "actual of lost-5c9d-x.default:15000", nil},
		{"gateway-1.edge", mesh.Actual, "nothing listens on port 15000 in pod gateway-1.edge", kube.NotListening},
		{"starting-1.default", mesh.Actual, "its pod is Pending, not running", mesh.ErrNotAvailable},
		{"ztunnel-1.istio-system", mesh.Actual, "a ztunnel is no Envoy", mesh.ErrNotAvailable},
		{"grpc-1.default", mesh.Actual, "a gRPC client without an Envoy", mesh.ErrNotAvailable},
	}
	for _, tt := range tests {
		got, err := clusters(t, m, tt.proxy, tt.side)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, tt.want) || !errors.Is(err, tt.is) {
			t.Errorf("%s %s: %q, want %q", tt.proxy, tt.side, got, tt.want)
		}
	}
	// Three requests to each istiod for the survey, and the reads that reach a pod.
	if got := asked.Load(); got != 2*3+5 {
		t.Errorf("%d requests went through the round tripper around, want 11", got)
	}
	// web, lost, gateway and two istiods.
	if _, opened := s.Tunnels(); opened > 5 {
		t.Errorf("%d tunnels were opened, want one for each pod that was asked", opened)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Whether a proxy is connected cannot be told while an istiod does not answer.
func TestOneIstiodFails(t *testing.T) {
	s := scene(t)
	s.Add(istiodPod("istio-system", "istiod-2", "default"))
	pending := istiodPod("istio-system", "istiod-3", "default")
	pending.Status.Phase = corev1.PodPending
	s.Add(pending)
	lines, failures := describe(t, open(s, t))
	if !slices.Contains(lines, "gateway-1.edge router gateway-1 c1 ? - actual") || !slices.Contains(lines, "web-1.default sidecar web c1 true istiod-1 actual desired") {
		t.Errorf("proxies:\n%s", strings.Join(lines, "\n"))
	}
	want := []string{
		"istiod istiod-2 of kube:test: GET :15014/debug/syncz: nothing listens on port 15014 in pod istiod-2.istio-system; is it the right port, and its container running?",
		"istiod istiod-3 of kube:test: its pod is Pending, not running",
	}
	if diff := cmp.Diff(want, failures); diff != "" {
		t.Errorf("failures (-want +got):\n%s", diff)
	}
}

// A user who sees some namespaces only gets the proxies of those.
func TestOneNamespace(t *testing.T) {
	s := scene(t)
	s.Refuse(func(r *http.Request) *metav1.Status {
		if strings.HasPrefix(r.URL.Path, "/api/v1/namespaces/default/") {
			return nil
		}
		return kubetest.Forbidden("not " + r.URL.Path)
	})
	lines, failures := describe(t, open(s, t))
	if len(lines) != 6 || !slices.Contains(lines, "web-1.default sidecar web-1 c1 ? - actual") {
		t.Errorf("proxies:\n%s", strings.Join(lines, "\n"))
	}
	if len(failures) != 2 || !strings.HasPrefix(failures[0], "pods of other namespaces of kube:test: ") || !strings.HasPrefix(failures[1], "istiods of kube:test: ") {
		t.Errorf("failures: %q", failures)
	}
	for _, f := range failures {
		if !strings.Contains(f, "forbidden") || !strings.Contains(f, "ask for ") {
			t.Errorf("failure without reason and next step: %s", f)
		}
	}
}

// A user who may list no pods at all but reach an istiod is a case of its own: the control plane cannot be found either.
func TestNothingReadable(t *testing.T) {
	s := scene(t)
	s.Refuse(func(*http.Request) *metav1.Status { return kubetest.Forbidden("no") })
	_, err := open(s, t).Proxies(t.Context())
	var unreachable *mesh.UnreachableError
	if !errors.As(err, &unreachable) || unreachable.Source != "kube:test" || !errors.Is(err, kube.Forbidden) {
		t.Errorf("error %v, want that the source is unreachable because all is forbidden", err)
	}
}

// Whoever logs in again after the credentials expired is served without a new start.
func TestLogInAgain(t *testing.T) {
	s := scene(t)
	s.Refuse(func(r *http.Request) *metav1.Status {
		if r.Header.Get("Authorization") == "Bearer secret" {
			return &metav1.Status{Status: "Failure", Code: 401, Reason: metav1.StatusReasonUnauthorized, Message: "Unauthorized"}
		}
		return nil
	})
	var config string
	m := open(s, t, func(o *kubernetes.Options) { config = o.Kube.Kubeconfig })
	if _, err := m.Proxies(t.Context()); !errors.Is(err, kube.Unauthorized) || !strings.Contains(err.Error(), "log in again") {
		t.Fatalf("error %v, want unauthorized", err)
	}
	b, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, []byte(strings.Replace(string(b), "token: secret", "token: renewed", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Proxies(t.Context()); err != nil {
		t.Errorf("after the log-in: %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	s := scene(t)
	m := open(s, t)
	s.Close()
	_, err := m.Proxies(t.Context())
	var unreachable *mesh.UnreachableError
	if !errors.As(err, &unreachable) || !errors.Is(err, kube.Unreachable) || !strings.Contains(err.Error(), "is the cluster up") {
		t.Errorf("error %v, want that the API server is unreachable", err)
	}
	_, err = mesh.New([]mesh.Source{kubernetes.New("kube:", kubernetes.Options{})}, mesh.Options{}).Proxies(t.Context())
	var none *kube.NoConfigError
	if !errors.As(err, &none) || !strings.HasPrefix(err.Error(), "cannot read kube: ") {
		t.Errorf("error %v, want that there is no kubeconfig", err)
	}
	_, err = mesh.New([]mesh.Source{kubernetes.New("kube:other", kubernetes.Options{Kube: kube.Options{Kubeconfig: s.Kubeconfig()}})}, mesh.Options{}).Proxies(t.Context())
	var config *kube.ConfigError
	if !errors.As(err, &config) || !strings.Contains(err.Error(), `no context "other"; there are: test`) {
		t.Errorf("error %v, want that there is no such context", err)
	}
}

func TestNoControlPlane(t *testing.T) {
	for _, external := range []bool{false, true} {
		t.Run(fmt.Sprintf("external=%v", external), func(t *testing.T) {
			s := kubetest.New(t)
			s.Add(proxyPod("default", "web-1", "sidecar"))
			want := "no istiod in any namespace (no pods labelled app=istiod)"
			if external {
				s.ServeJSON("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", `{"items":[{"metadata":{"name":"w"},"webhooks":[
					{"clientConfig":{"url":"https://istiod.example.com:15017/inject"}},{"clientConfig":{"service":{"name":"istiod"}}}]}]}`)
				want = "its control plane is outside, at istiod.example.com:15017; name its debug API with -s istiod+http://"
			}
			lines, failures := describe(t, open(s, t))
			if diff := cmp.Diff([]string{"web-1.default sidecar web-1 c1 ? - actual"}, lines); diff != "" {
				t.Errorf("proxies (-want +got):\n%s", diff)
			}
			if len(failures) != 1 || !strings.Contains(failures[0], want) {
				t.Errorf("failures %q, want %q", failures, want)
			}
		})
	}
}

func TestIstioElsewhere(t *testing.T) {
	s := kubetest.New(t)
	odd := istiodPod("mesh", "istiod-1", "default")
	odd.Spec.Containers[0].Args = []string{"discovery", "--monitoringAddr=:9999"}
	s.Add(odd, proxyPod("default", "web-1", "sidecar"))
	s.Listen("mesh", "istiod-1", 9999, istiod(client{"web-1.default", "sidecar", "c1", "2026-01-01T00:00:00Z", ""}))
	want := []string{"web-1.default sidecar web c1 true istiod-1 actual desired"}
	for _, namespace := range []string{"", "mesh"} {
		lines, failures := describe(t, open(s, t, func(o *kubernetes.Options) { o.IstioNamespace = namespace }))
		if !cmp.Equal(lines, want) || len(failures) != 0 {
			t.Errorf("namespace %q: %q, failures %q, want %q", namespace, lines, failures, want)
		}
	}
	if _, failures := describe(t, open(s, t, func(o *kubernetes.Options) { o.IstioNamespace = "other" })); len(failures) != 1 || !strings.Contains(failures[0], "no istiod in namespace other") {
		t.Errorf("a namespace that was asked for: failures %q", failures)
	}
}

// A proxy that moved is known to both istiods for a moment.
func TestReconnected(t *testing.T) {
	s := kubetest.New(t)
	s.Add(istiodPod("istio-system", "istiod-1", ""), istiodPod("istio-system", "istiod-2", ""), proxyPod("default", "web-1", "sidecar"))
	s.Listen("istio-system", "istiod-1", 15014, istiod(client{"web-1.default", "sidecar", "c1", "2026-01-01T00:00:00Z", ""}))
	s.Listen("istio-system", "istiod-2", 15014, istiod(client{"web-1.default", "sidecar", "c1", "2026-01-01T00:00:09Z", ""}))
	lines, _ := describe(t, open(s, t))
	if diff := cmp.Diff([]string{"web-1.default sidecar web c1 true istiod-2 actual desired"}, lines); diff != "" {
		t.Errorf("proxies (-want +got):\n%s", diff)
	}
}

func TestAdminPort(t *testing.T) {
	s := kubetest.New(t)
	s.Add(istiodPod("istio-system", "istiod-1", ""),
		proxyPod("default", "told-1", "sidecar"),
		proxyPod("default", "env-1", "sidecar", proxyEnv("PROXY_CONFIG", `{"proxyAdminPort":15001}`)),
		proxyPod("default", "note-1", "sidecar", func(p *corev1.Pod) {
			p.Annotations = map[string]string{"proxy.istio.io/config": "concurrency: 2\nproxyAdminPort: 15002\n"}
		}),
		proxyPod("default", "odd-1", "sidecar", proxyEnv("PROXY_CONFIG", `{"proxyAdminPort":"x"}`)))
	s.Listen("istio-system", "istiod-1", 15014, istiod(client{"told-1.default", "sidecar", "c1", "2026-01-01T00:00:00Z", `{"PROXY_CONFIG":{"proxyAdminPort":15003}}`}))
	m := open(s, t)
	for name, port := range map[string]int{"told-1": 15003, "env-1": 15001, "note-1": 15002, "odd-1": 15000} {
		s.Listen("default", name, port, envoy)
		want := fmt.Sprintf("actual of %s.default:%d", name, port)
		if got, err := clusters(t, m, name+".default", mesh.Actual); got != want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
}

// A proxy gets one request at a time, also when one of an older survey is under way.
func TestOneRequestAtATime(t *testing.T) {
	s := kubetest.New(t)
	s.Add(proxyPod("default", "web-1", "sidecar"))
	var now, most atomic.Int64
	entered, leave := make(chan bool, 2), make(chan bool)
	s.Listen("default", "web-1", 15000, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		most.Store(max(most.Load(), now.Add(1)))
		entered <- true
		<-leave
		now.Add(-1)
		envoy(w, r)
	}))
	m := open(s, t)
	var wg sync.WaitGroup
	read := func() {
		if _, err := clusters(t, m, "web-1.default", mesh.Actual); err != nil {
			t.Error(err)
		}
	}
	wg.Go(read)
	<-entered
	m.Refresh()
	wg.Go(read)
	select {
	case <-entered:
	case <-time.After(50 * time.Millisecond): // long enough for one that does not wait
	}
	close(leave)
	wg.Wait()
	if most.Load() != 1 {
		t.Errorf("%d requests at a time, want 1", most.Load())
	}
}

// What belongs to pods goes with them.
func TestRefresh(t *testing.T) {
	s := scene(t)
	m := open(s, t, func(o *kubernetes.Options) { o.Fetch = fetch.Options{MaxBytes: 1 << 20} })
	before, err := clusters(t, m, "web-1.default", mesh.Actual)
	if err != nil {
		t.Fatal(err)
	}
	s.Remove("default", "lost-5c9d-x")
	m.Refresh()
	lines, _ := describe(t, m)
	if slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "lost") }) {
		t.Errorf("a pod that is gone is still there:\n%s", strings.Join(lines, "\n"))
	}
	if after, err := clusters(t, m, "web-1.default", mesh.Actual); err != nil || after != before {
		t.Errorf("after the refresh: %q, %v, want %q", after, err, before)
	}
}
