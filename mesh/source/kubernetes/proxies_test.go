package kubernetes_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
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

// A pod that is connected to no istiod is told as fully as one that is: its variables, labels and annotations say what its proxy would.
func TestUnconnected(t *testing.T) {
	s := kubetest.New(t)
	s.Add(istiodPod("istio-system", "istiod-1", ""))
	s.Listen("istio-system", "istiod-1", 15014, istiod())
	s.Add(proxyPod("shop", "cart-6d4cf56db6-x2kqz", "router", func(p *corev1.Pod) {
		p.Labels = map[string]string{"app": "cart", "istio.io/rev": "next"}
		p.Annotations = map[string]string{"sidecar.istio.io/status": `{"revision":"canary","containers":["istio-proxy"]}`}
		p.Spec.ServiceAccountName, p.Spec.NodeName = "cart-account", "node-1"
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
		p.Status.PodIPs = []corev1.PodIP{{IP: "10.0.0.9"}, {IP: "fd00::9"}}
		p.Spec.Containers[1].Image = "docker.io/istio/proxyv2:1.30.1-distroless@sha256:0"
	}, proxyEnv("ISTIO_META_WORKLOAD_NAME", "cart"), proxyEnv("ISTIO_META_OWNER", "kubernetes://apis/apps/v1/namespaces/shop/deployments/cart"),
		proxyEnv("ISTIO_META_MESH_ID", "mesh1"), proxyEnv("ISTIO_META_NETWORK", "n1"), proxyEnv("JWT_POLICY", "third-party-jwt")))
	m := open(s, t)
	for _, name := range []string{"cart", "deploy/cart.shop", "10.0.0.9", "fd00::9", "router~10.0.0.9~cart-6d4cf56db6-x2kqz.shop~shop.svc.cluster.local"} {
		p, note, err := m.Proxy(t.Context(), name)
		if err != nil || note != "" {
			t.Fatalf("%s: error %v, note %q", name, err, note)
		}
		got := fmt.Sprint(p.Name, p.Type, p.Workload, p.ClusterID, p.IstioVersion, p.IP, p.Revision, *p.Connected, *p.Ready, p.Labels["app"], p.Metadata.Str("MESH_ID"), p.Metadata.Str("NETWORK"), p.Metadata.Str("SERVICE_ACCOUNT"), p.Metadata.Str("NODE_NAME"), p.Metadata.Str("INSTANCE_IPS"))
		want := fmt.Sprint("cart-6d4cf56db6-x2kqz.shop", "router", "cart", "c1", "1.30.1", "10.0.0.9", "canary", false, true, "cart", "mesh1", "n1", "cart-account", "node-1", "10.0.0.9,fd00::9")
		if got != want {
			t.Errorf("%s:\n%s, want\n%s", name, got, want)
		}
		if err := p.Lacks(mesh.Desired); err == nil || !strings.Contains(err.Error(), "it is connected to no istiod") {
			t.Errorf("what it should run: error %v", err)
		}
		if _, _, err := m.Proxy(t.Context(), "sts/cart.shop"); err == nil {
			t.Error("a deployment is no stateful set")
		}
	}
}

// Revisions are those of the istiods, and their tags those of the webhooks; an istiod without the label serves the default one.
func TestRevisions(t *testing.T) {
	s := scene(t)
	plain := istiodPod("istio-system", "istiod-plain", "")
	delete(plain.Labels, "istio.io/rev")
	s.Add(plain)
	s.Listen("istio-system", "istiod-plain", 15014, istiod())
	tags := func(m *mesh.Mesh) map[string]string {
		res, err := m.Istiods(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, i := range res.Items {
			got[i.Name] = fmt.Sprintf("%s %q %v", i.Revision, i.Tags, i.Tags == nil)
		}
		return got
	}
	unknown := map[string]string{"istiod-1": `default [] true`, "istiod-canary-1": `canary [] true`, "istiod-plain": `default [] true`}
	if diff := cmp.Diff(unknown, tags(open(s, t))); diff != "" {
		t.Errorf("without webhooks (-want +got):\n%s", diff)
	}
	s.ServeJSON("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", `{"items":[
		{"metadata":{"name":"a","labels":{"istio.io/rev":"canary"}}},
		{"metadata":{"name":"b","labels":{"istio.io/rev":"canary","istio.io/tag":"next"}}},
		{"metadata":{"name":"c","labels":{"istio.io/rev":"canary","istio.io/tag":"edge"}}}]}`)
	m := open(s, t)
	want := map[string]string{"istiod-1": `default [] false`, "istiod-canary-1": `canary ["edge" "next"] false`, "istiod-plain": `default [] false`}
	if diff := cmp.Diff(want, tags(m)); diff != "" {
		t.Errorf("with webhooks (-want +got):\n%s", diff)
	}
	p, _, err := m.Proxy(t.Context(), "api-1")
	if err != nil || p.Revision != "canary" {
		t.Errorf("a proxy of istiod-canary-1: revision %q, error %v", p.Revision, err)
	}
}

// Where no configuration tells the port of the admin interface the arguments of older agents may, and else whoever asks.
func TestAdminPortOtherwise(t *testing.T) {
	s := kubetest.New(t)
	args := func(more ...string) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Spec.Containers[1].Args = append(p.Spec.Containers[1].Args, more...) }
	}
	s.Add(proxyPod("shop", "argument-1", "sidecar", args("--proxyAdminPort=15504")), proxyPod("shop", "word-1", "sidecar", args("--proxyAdminPort", "15505")),
		proxyPod("shop", "odd-1", "sidecar", args("--proxyAdminPort")), proxyPod("shop", "silent-1", "sidecar"))
	m := open(s, t, func(o *kubernetes.Options) { o.AdminPort = 15506 })
	for name, port := range map[string]int{"argument-1": 15504, "word-1": 15505, "odd-1": 15506, "silent-1": 15506} {
		s.Listen("shop", name, port, envoy)
		if got, err := clusters(t, m, name+".shop", mesh.Actual); err != nil || got != fmt.Sprintf("actual of %s.shop:%d", name, port) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// Each way in which one proxy of many fails is told with what to do, and the others' answer stands.
func TestOneFails(t *testing.T) {
	block := strings.Repeat(" ", 1<<20)
	tests := map[string]struct {
		play func(s *kubetest.Server)
		want string
		is   error
	}{
		"hangs": {func(s *kubetest.Server) {
			s.Listen("shop", "web-2", 15000, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		}, "no answer within 1s; it hangs, or is slow: see --request-timeout", context.DeadlineExceeded},
		"hangs in the middle": {func(s *kubetest.Server) {
			s.Listen("shop", "web-2", 15000, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, `{"configs":[`)
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			}))
		}, "no end of the answer within 1s, after 12 bytes", context.DeadlineExceeded},
		"its tunnel hangs": {func(s *kubetest.Server) {
			s.Serve("/api/v1/namespaces/shop/pods/web-2/portforward", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		}, "no answer within 1s", context.DeadlineExceeded},
		"is gone": {func(s *kubetest.Server) { s.Remove("shop", "web-2") }, "there is no such pod any more; refresh to see what took its place", kube.NotFound},
		"goes away in the middle": {func(s *kubetest.Server) {
			s.Listen("shop", "web-2", 15000, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, `{"configs":[`)
				w.(http.Flusher).Flush()
				s.Remove("shop", "web-2")
				panic(http.ErrAbortHandler)
			}))
		}, "pod web-2.shop is gone; refresh to see what took its place", kube.NotFound},
		"sends without end": {func(s *kubetest.Server) {
			s.Listen("shop", "web-2", 15000, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for fmt.Fprint(w, `{"configs":[`); r.Context().Err() == nil; {
					if _, err := fmt.Fprint(w, block); err != nil {
						return
					}
				}
			}))
		}, "more than the limit of 3000000 bytes; ask for less (a name), or raise it with --max-fetch", nil},
		"is forbidden": {func(s *kubetest.Server) {
			s.Refuse(func(r *http.Request) *metav1.Status {
				if strings.Contains(r.URL.Path, "/web-2/portforward") {
					return kubetest.Forbidden(`pods "web-2" is forbidden: User "tester" cannot create resource`)
				}
				return nil
			})
		}, "that takes the verb create on pods/portforward in namespace shop", kube.Forbidden},
		"credentials expire": {func(s *kubetest.Server) {
			s.Refuse(func(r *http.Request) *metav1.Status {
				if strings.Contains(r.URL.Path, "/web-2/portforward") {
					return &metav1.Status{Status: "Failure", Code: 401, Reason: metav1.StatusReasonUnauthorized, Message: "Unauthorized"}
				}
				return nil
			})
		}, "does not accept the credentials of user tester; they may have expired: log in again", kube.Unauthorized},
		"nothing listens": {func(s *kubetest.Server) { s.Reject("shop", "web-2", 15000, "connection refused") }, "nothing listens on port 15000 in pod web-2.shop", kube.NotListening},
		"is no Envoy": {func(s *kubetest.Server) {
			s.Listen("shop", "web-2", 15000, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "<html>") }))
		}, "the answer is HTML, want JSON", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := kubetest.New(t)
			s.Add(istiodPod("istio-system", "istiod-1", "default"), proxyPod("shop", "web-1", "sidecar"), proxyPod("shop", "web-2", "sidecar"), proxyPod("shop", "web-3", "sidecar"))
			s.Listen("istio-system", "istiod-1", 15014, istiod())
			for _, pod := range []string{"web-1", "web-2", "web-3"} {
				s.Listen("shop", pod, 15000, envoy)
			}
			quiet := 30 * time.Second // a busy machine is no failure
			if test.is == context.DeadlineExceeded {
				quiet = time.Second
			}
			m := open(s, t, func(o *kubernetes.Options) { o.Fetch = fetch.Options{Quiet: quiet, MaxBytes: 3e6} })
			all, err := m.Proxies(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			test.play(s)
			res, err := mesh.Gather(t.Context(), m, all.Items, "clusters", func(ctx context.Context, p *mesh.Proxy) ([]string, error) {
				_, err := p.Config(mesh.Actual).Resources(ctx, resource.Cluster, pattern.Pattern{})
				return []string{p.Name}, err
			})
			if err != nil || !slices.Equal(res.Items, []string{"web-1.shop", "web-3.shop"}) {
				t.Errorf("the rest: %v, %v", res.Items, err)
			}
			if len(res.Failures) != 1 || res.Failures[0].Proxy != "web-2.shop" || res.Failures[0].Stage != "clusters" || !strings.Contains(res.Failures[0].Reason, test.want) {
				t.Fatalf("failures %v, want %q", res.Failures, test.want)
			}
			if test.is != nil && !errors.Is(res.Failures[0], test.is) {
				t.Errorf("failure %v is none of %v", res.Failures[0], test.is)
			}
		})
	}
}

// The control plane goes on to list a proxy whose pod has ended. What that proxy runs cannot be read, and what it should run is no answer to what it runs.
func TestPodIsGone(t *testing.T) {
	s := scene(t)
	m := open(s, t)
	for range 2 {
		all, err := m.Proxies(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var asked []*mesh.Proxy
		for _, p := range all.Items {
			if p.Name == "vm-1.default" || p.Name == "web-1.default" {
				asked = append(asked, p)
			}
		}
		res, err := mesh.Gather(t.Context(), m, asked, "clusters", func(ctx context.Context, p *mesh.Proxy) ([]string, error) {
			_, err := p.Config(mesh.Any).Resources(ctx, resource.Cluster, pattern.Pattern{})
			return []string{p.Name}, err
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"web-1.default"}, res.Items); diff != "" {
			t.Errorf("who answered (-want +got):\n%s", diff)
		}
		const want = "there is no such pod in kube:test"
		if len(res.Failures) != 1 || res.Failures[0].Proxy != "vm-1.default" || !strings.Contains(res.Failures[0].Reason, want) {
			t.Errorf("failures %v, want one of vm-1.default with %q", res.Failures, want)
		}
		if _, err := clusters(t, m, "vm-1.default", mesh.Desired); err != nil {
			t.Errorf("what it should run: %v", err)
		}
		m.Refresh()
	}
}

// Answers without end are held in memory together no further than what one question may fetch.
func TestFetchBound(t *testing.T) {
	s := kubetest.New(t)
	block := strings.Repeat(" ", 1<<16)
	for i := range 4 {
		name := fmt.Sprintf("web-%d", i)
		s.Add(proxyPod("shop", name, "sidecar"))
		s.Listen("shop", name, 15000, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := fmt.Fprint(w, block); err != nil {
					return
				}
			}
		}))
	}
	source := kubernetes.New("kube:test", kubernetes.Options{Kube: kube.Options{Kubeconfig: s.Kubeconfig()}, Fetch: fetch.Options{MaxBytes: 1 << 30}})
	t.Cleanup(source.Close)
	m := mesh.New([]mesh.Source{source}, mesh.Options{MaxFetch: 10e6})
	all, err := m.Proxies(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = mesh.Gather(t.Context(), m, all.Items, "clusters", func(ctx context.Context, p *mesh.Proxy) ([]int, error) {
		_, err := p.Config(mesh.Actual).Resources(ctx, resource.Cluster, pattern.Pattern{})
		return nil, err
	})
	var tooMuch *mesh.TooMuchError
	if !errors.As(err, &tooMuch) || tooMuch.Estimate > 20e6 {
		t.Errorf("error %v, want one about too much, soon", err)
	}
}
