package kubernetes_test

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/meshlark/meshlark/kube/kubetest"
	"github.com/meshlark/meshlark/mesh"
	istiodsource "github.com/meshlark/meshlark/mesh/source/istiod"
)

// plane is an istiod whose proxies come and go: connections by their ids, with the time they were made.
type plane struct {
	name string
	sent string // when something was last sent to its proxies; "" is when they connected

	mu          sync.Mutex
	connections map[string]string
	asked       []string
}

func (p *plane) connect(id, at string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.connections == nil {
		p.connections = map[string]string{}
	}
	p.connections[id] = at
}

func (p *plane) disconnect(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.connections, id)
}

func (p *plane) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, r.URL.RequestURI())
	switch r.URL.Path {
	case "/version":
		io.WriteString(w, "1.30.1-abc-Clean")
	case "/debug/syncz":
		var entries []string
		for id, at := range p.connections {
			entries = append(entries, fmt.Sprintf(`{"cluster_id":"c1","proxy":%q,"proxy_type":"sidecar","resources":{"type.googleapis.com/envoy.config.cluster.v3.Cluster":{"sent":"1","acked":"1","sentTime":%q}}}`,
				id[:strings.LastIndex(id, "-")], cmp.Or(p.sent, at)))
		}
		fmt.Fprintf(w, "[%s]", strings.Join(entries, ","))
	case "/debug/adsz", "/debug/connections":
		var entries []string
		for id, at := range p.connections {
			entries = append(entries, fmt.Sprintf(`{"connectionId":%q,"connectedAt":%q,"metadata":{}}`, id, at))
		}
		fmt.Fprintf(w, `{"totalClients":%d,"clients":[%s]}`, len(entries), strings.Join(entries, ","))
	case "/debug/config_dump":
		for id := range p.connections {
			if asked := r.URL.Query().Get("proxyID"); strings.Contains(id, asked) {
				fmt.Fprintf(w, `{"configs":[{"@type":"type.googleapis.com/envoy.config.cluster.v3.Cluster","name":"%s of %s"}]}`, id, p.name)
				return
			}
		}
		http.Error(w, "Proxy not connected to this Pilot instance. It may be connected to another instance.", http.StatusNotFound)
	default:
		http.NotFound(w, r)
	}
}

// twoPlanes is a cluster with a proxy, connected to istiod a, and istiod b.
func twoPlanes(t *testing.T) (s *kubetest.Server, a, b *plane, m *mesh.Mesh) {
	s = kubetest.New(t)
	s.Add(istiodPod("istio-system", "a", "default"), istiodPod("istio-system", "b", "canary"), proxyPod("shop", "web-1", "sidecar"))
	a, b = &plane{name: "a"}, &plane{name: "b"}
	s.Listen("istio-system", "a", 15014, a)
	s.Listen("istio-system", "b", 15014, b)
	a.connect("web-1.shop-7", "2026-01-01T00:00:00Z")
	return s, a, b, open(s, t)
}

// A proxy that connects anew between the survey and the question is followed: to another number at the same istiod, to another istiod, to a
// new istiod in the place of one that is gone.
func TestFollow(t *testing.T) {
	s, a, b, m := twoPlanes(t)
	desired := func(want string) {
		t.Helper()
		got, err := clusters(t, m, "web-1.shop", mesh.Desired)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("desired: %q, want %q", got, want)
		}
	}
	describe(t, m) // the survey
	a.disconnect("web-1.shop-7")
	a.connect("web-1.shop-8", "2026-01-01T00:01:00Z")
	a.connect("xweb-1.shop-81", "2026-01-01T00:01:00Z") // whose id holds that of the other
	desired("may take it for xweb-1.shop")
	a.disconnect("xweb-1.shop-81")
	m.Refresh()
	describe(t, m)
	desired("web-1.shop-8 of a")

	m.Refresh()
	describe(t, m)
	a.disconnect("web-1.shop-8")
	a.connect("web-1.shop-9", "2026-01-01T00:02:00Z") // a has not noticed that it is gone
	b.connect("web-1.shop-3", "2026-01-01T00:03:00Z")
	a.disconnect("web-1.shop-9")
	desired("web-1.shop-3 of b")

	// b is replaced by c.
	b.disconnect("web-1.shop-3")
	m.Refresh()
	b.connect("web-1.shop-4", "2026-01-01T00:04:00Z")
	describe(t, m)
	s.Remove("istio-system", "b")
	s.Cut()
	c := &plane{name: "c"}
	s.Add(istiodPod("istio-system", "c", "canary"))
	s.Listen("istio-system", "c", 15014, c)
	c.connect("web-1.shop-1", "2026-01-01T00:05:00Z")
	desired("web-1.shop-1 of c")

	// It is nowhere.
	m.Refresh()
	describe(t, m)
	c.disconnect("web-1.shop-1")
	desired("it was connected to c, and is not any more; nor is it connected to a; it connects anew within a minute or so: refresh and ask again")
	if _, err := clusters(t, m, "web-1.shop", mesh.Desired); !errors.Is(err, istiodsource.ErrNotConnected) {
		t.Errorf("error %v, want one that says that it is not connected", err)
	}
}

// An istiod that lists a proxy which has connected elsewhere since does not count, even if it sent it something later.
func TestNewestConnection(t *testing.T) {
	_, a, b, m := twoPlanes(t)
	b.connect("web-1.shop-2", "2026-01-01T00:09:00Z")
	a.sent = "2026-01-01T00:10:00Z"
	a.connect("other.shop-1", "2026-01-01T00:00:00Z")
	lines, failures := describe(t, m)
	want := []string{"other.shop sidecar other c1 true a desired", "web-1.shop sidecar web c1 true b actual desired"}
	if diff := gocmp.Diff(want, lines); diff != "" || len(failures) > 0 {
		t.Errorf("proxies, with failures %q (-want +got):\n%s", failures, diff)
	}
	if got, err := clusters(t, m, "web-1.shop", mesh.Desired); err != nil || got != "web-1.shop-2 of b" {
		t.Errorf("desired: %q, %v", got, err)
	}
}

// An istiod that restarts says so, and the rest of the answer stands.
func TestRestarting(t *testing.T) {
	s, _, _, m := twoPlanes(t)
	starting := istiodPod("istio-system", "c", "canary")
	starting.Status.Conditions = nil
	s.Add(starting)
	lost := proxyPod("shop", "lost-1", "sidecar", func(p *corev1.Pod) {
		p.Annotations = map[string]string{"sidecar.istio.io/status": `{"revision":"canary"}`}
	})
	s.Add(lost)
	lines, failures := describe(t, m)
	if diff := gocmp.Diff([]string{"lost-1.shop sidecar lost-1 c1 ? - actual", "web-1.shop sidecar web c1 true a actual desired"}, lines); diff != "" {
		t.Errorf("proxies (-want +got):\n%s", diff)
	}
	if len(failures) != 1 || !strings.Contains(failures[0], "istiod c of kube:test: its pod is not ready, it may be starting or restarting: refresh in a while") {
		t.Errorf("failures: %q", failures)
	}
	p, _, err := m.Proxy(t.Context(), "lost-1")
	if err != nil {
		t.Fatal(err)
	}
	err = p.Lacks(mesh.Desired)
	var unreachable *mesh.UnreachableError
	if !errors.Is(err, mesh.ErrNotAvailable) || !errors.As(err, &unreachable) || !strings.Contains(err.Error(), "no istiod that answered knows it, and not all did") {
		t.Errorf("what it should run: error %v", err)
	}
	if p.Revision != "canary" {
		t.Errorf("revision %q", p.Revision)
	}
}
