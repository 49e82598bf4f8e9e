package envoy_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/internal/envoytest"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source/dumpfile"
	"github.com/meshlark/meshlark/mesh/source/envoy"
	"github.com/meshlark/meshlark/mesh/source/fetch"
	"github.com/meshlark/meshlark/xds/pattern"
	"github.com/meshlark/meshlark/xds/resource"
)

// spy passes requests on to a real Envoy and keeps their request lines and the sizes of their answers.
type spy struct {
	mu    sync.Mutex
	asked []string
	moved int64
}

func (s *spy) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r.Method+" "+r.URL.RequestURI())
	if err == nil {
		resp.Body = &counted{resp.Body, s}
	}
	return resp, err
}

type counted struct {
	body interface {
		Read([]byte) (int, error)
		Close() error
	}
	spy *spy
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.body.Read(p)
	c.spy.mu.Lock()
	c.spy.moved += int64(n)
	c.spy.mu.Unlock()
	return n, err
}

func (c *counted) Close() error { return c.body.Close() }

func only(t *testing.T, m *mesh.Mesh) *mesh.Proxy {
	t.Helper()
	res, err := m.Proxies(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Items) != 1 {
		t.Fatalf("%d proxies, want 1", len(res.Items))
	}
	return res.Items[0]
}

// describe gives a line for each resource of a kind: what identifies it, its state and its canonical body.
func describe(t *testing.T, p *mesh.Proxy, kind resource.Kind, name pattern.Pattern) []string {
	t.Helper()
	rs, err := p.Config(mesh.Any).Resources(t.Context(), kind, name)
	if err != nil {
		t.Fatalf("%s: %v", kind, err)
	}
	var lines []string
	for _, r := range rs {
		body, err := r.Body()
		if err != nil {
			t.Fatalf("%s %q: %v", kind, r.Name(), err)
		}
		failure := ""
		if f := r.Failure(); f != nil {
			failure = f.Details
		}
		sum := body.Canonical()
		lines = append(lines, fmt.Sprintf("%s %q %s %q %s %q %x", r.Kind(), r.Name(), r.State(), r.VersionInfo(), r.LastUpdated().Format(time.RFC3339Nano), failure, sum[:6]))
	}
	// Envoy gives inline route tables in the order of a hash.
	slices.Sort(lines)
	return lines
}

// A running Envoy, read section by section, and the dump saved from it at the same time give equal resources.
func TestLiveEqualsSaved(t *testing.T) {
	scene := envoytest.StartScene(t)
	watch := &spy{}
	live := only(t, mesh.New([]mesh.Source{envoy.New(scene.AdminURL(), scene.AdminURL(), fetch.Options{Transport: watch})}, mesh.Options{}))
	file := filepath.Join(t.TempDir(), "dump.json")
	if err := os.WriteFile(file, scene.Get(t, "/config_dump?include_eds"), 0o600); err != nil {
		t.Fatal(err)
	}
	saved := only(t, mesh.New([]mesh.Source{dumpfile.New(file, nil)}, mesh.Options{}))

	if live.Name != saved.Name || live.Workload != saved.Workload || live.NodeID != saved.NodeID || live.ClusterID != saved.ClusterID || live.EnvoyVersion != saved.EnvoyVersion {
		t.Errorf("identity: live %s %s %s %s, saved %s %s %s %s", live.Name, live.Workload, live.NodeID, live.EnvoyVersion, saved.Name, saved.Workload, saved.NodeID, saved.EnvoyVersion)
	}
	for _, kind := range resource.Kinds {
		a, b := describe(t, live, kind, pattern.Pattern{}), describe(t, saved, kind, pattern.Pattern{})
		if len(a) == 0 {
			t.Errorf("%s: none, though the scene has some", kind)
		}
		if diff := cmp.Diff(b, a); diff != "" {
			t.Errorf("%s (-saved +live):\n%s", kind, diff)
		}
	}
	for _, line := range watch.asked {
		u, err := url.Parse(strings.TrimPrefix(line, "GET "))
		if err != nil || !strings.HasPrefix(line, "GET /") {
			t.Errorf("asked %q, want only GET", line)
			continue
		}
		if u.Path == "/config_dump" && u.Query().Get("mask") == "" {
			t.Errorf("asked %q, want one section at a time", line)
		}
	}
}

// A question about one cluster moves that cluster only, and the body is the one that the whole section has, stored once.
func TestOneCluster(t *testing.T) {
	scene := envoytest.StartScene(t)
	watch := &spy{}
	store := resource.NewStore()
	m := mesh.New([]mesh.Source{envoy.New(scene.AdminURL(), scene.AdminURL(), fetch.Options{Transport: watch})}, mesh.Options{Store: store})
	p := only(t, m)
	const name = "outbound|9080|v1|reviews.default.svc.cluster.local"
	before := watch.moved
	one, err := p.Config(mesh.Actual).Resources(t.Context(), resource.Cluster, pattern.Exact(name))
	if err != nil || len(one) != 1 {
		t.Fatalf("%d clusters, error %v; want 1", len(one), err)
	}
	moved := watch.moved - before
	all, err := p.Config(mesh.Actual).Resources(t.Context(), resource.Cluster, pattern.Pattern{})
	if err != nil {
		t.Fatal(err)
	}
	if whole := watch.moved - before - moved; moved*4 > whole {
		t.Errorf("one cluster moved %d bytes, all of them %d; want less than a quarter", moved, whole)
	}
	oneBody, err := one[0].Body()
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(all, func(r *resource.Resource) bool { return r.Name() == name })
	if at < 0 {
		t.Fatalf("the section does not have %s", name)
	}
	if allBody, err := all[at].Body(); err != nil || allBody != oneBody {
		t.Errorf("the cluster read by name and by section is stored twice (error %v)", err)
	}
}

// Envoy's other answers reach the language as they are.
func TestAdmin(t *testing.T) {
	scene := envoytest.StartScene(t)
	p := only(t, mesh.New([]mesh.Source{envoy.New(scene.AdminURL(), scene.AdminURL(), fetch.Options{})}, mesh.Options{}))
	c := p.Config(mesh.Actual)
	hosts, err := c.LiveClusters(t.Context(), pattern.Exact("outbound|9080||reviews.default.svc.cluster.local"))
	if err != nil || len(hosts) != 1 || len(hosts[0].Hosts) == 0 {
		t.Fatalf("live hosts of reviews: %d clusters, error %v", len(hosts), err)
	}
	info, err := c.ServerInfo(t.Context())
	if err != nil || info.State != "LIVE" {
		t.Errorf("server_info: %+v, error %v; want LIVE", info, err)
	}
	certs, err := c.Certs(t.Context())
	if err != nil || len(certs) == 0 {
		t.Errorf("certs: %d, error %v", len(certs), err)
	}
	stats, err := c.Stats(t.Context(), `^listener_manager\.lds\.update_rejected$`)
	if err != nil || len(stats.Values) != 1 {
		t.Errorf("stats: %v, error %v; want the one asked for", stats, err)
	}
}

// A path that changes something is never sent, nor is anything but GET.
func TestAllowList(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path)
	}))
	defer server.Close()
	r := envoy.NewReader("x", server.URL, fetch.Options{})
	for _, path := range []string{"quitquitquit", "logging?level=debug", "drain_listeners", "reset_counters", "tap", "runtime_modify?a=b", "../quitquitquit", "clusters/../quitquitquit", ""} {
		if _, err := r.Admin(t.Context(), path, func(io.Reader) error { return nil }); err == nil {
			t.Errorf("%q was asked", path)
		}
	}
	if len(asked) > 0 {
		t.Errorf("asked %v", asked)
	}
}
