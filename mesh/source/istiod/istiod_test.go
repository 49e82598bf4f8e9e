package istiod_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/internal/replay"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source/fetch"
	"github.com/meshlark/meshlark/mesh/source/istiod"
	"github.com/meshlark/meshlark/xds/pattern"
	"github.com/meshlark/meshlark/xds/resource"
)

func open(t *testing.T) (*mesh.Mesh, *replay.Istiod) {
	t.Helper()
	recorded := replay.NewIstiod("testdata/recorded")
	server := httptest.NewServer(recorded)
	t.Cleanup(server.Close)
	return mesh.New([]mesh.Source{istiod.New("istiod+"+server.URL, server.URL, fetch.Options{})}, mesh.Options{}), recorded
}

func status(p *mesh.Proxy, types ...string) string {
	var cells []string
	for _, typ := range types {
		if s, ok := p.Sync.Status(typ); ok {
			cells = append(cells, string(s.Status))
		} else {
			cells = append(cells, "-")
		}
	}
	return strings.Join(cells, " ")
}

// The states are those of the scene that was recorded; testdata/README.md tells it.
func TestSurvey(t *testing.T) {
	m, recorded := open(t)
	res, err := m.Proxies(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range res.Items {
		got = append(got, fmt.Sprintf("%s %s %s %s: %s", p.Workload, p.Namespace, p.Type, p.IP, status(p, "CDS", "LDS", "EDS", "RDS", "ECDS", "SDS")))
	}
	want := []string{
		"bookinfo-gateway-istio default router 10.244.0.21: SYNCED SYNCED SYNCED SYNCED - SYNCED",
		"details-v1 default sidecar 10.244.0.15: ERROR SYNCED SYNCED SYNCED - -",
		"istio-ingressgateway istio-system router 10.244.0.20: SYNCED SYNCED SYNCED - - NOT_SENT",
		"productpage-v1 default sidecar 10.244.0.11: SYNCED SYNCED SYNCED SYNCED SYNCED -",
		"reviews-grpc-client default sidecar 10.244.0.30: SYNCED SYNCED STALE SYNCED - -",
		"reviews-v1 default sidecar 10.244.0.12: STALE STALE STALE STALE - -",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("proxies (-want +got):\n%s", diff)
	}
	details, _, err := m.Proxy(t.Context(), "details-v1")
	if err != nil {
		t.Fatal(err)
	}
	if s, _ := details.Sync.Status("CDS"); !strings.Contains(s.Error, "Error adding/updating cluster") {
		t.Errorf("CDS of details: error %q, want the text of the NACK", s.Error)
	}
	istiods, err := m.Istiods(t.Context())
	if err != nil || len(istiods.Items) != 1 || istiods.Items[0].Version != "1.31-dev-eed52ebb66ad" {
		t.Errorf("istiods: %v, error %v; want one of version 1.31-dev-eed52ebb66ad", istiods.Items, err)
	}
	if want := []string{"GET /debug/adsz", "GET /debug/syncz", "GET /version"}; !cmp.Equal(recorded.Asked(), want) {
		t.Errorf("asked %v, want %v", recorded.Asked(), want)
	}
}

// A question about one kind asks for that kind only, of the connection's own id, which no other proxy's contains.
func TestDesired(t *testing.T) {
	m, recorded := open(t)
	p, _, err := m.Proxy(t.Context(), "productpage-v1")
	if err != nil {
		t.Fatal(err)
	}
	if p.Has(mesh.Actual) || !p.Has(mesh.Desired) {
		t.Errorf("an istiod gives actual=%v desired=%v, want only desired", p.Has(mesh.Actual), p.Has(mesh.Desired))
	}
	c := p.Config(mesh.Any)
	counts := map[resource.Kind]int{}
	for _, kind := range []resource.Kind{resource.Cluster, resource.Listener, resource.RouteConfig, resource.Endpoint, resource.Secret, resource.Extension} {
		rs, err := c.Resources(t.Context(), kind, pattern.Pattern{})
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		counts[kind] = len(rs)
		for _, r := range rs {
			if r.Name() == "" || r.Kind() != kind || r.State() != resource.Active {
				t.Errorf("%s %q in state %s, want a name and state active", r.Kind(), r.Name(), r.State())
			}
		}
	}
	want := map[resource.Kind]int{resource.Cluster: 21, resource.Listener: 12, resource.RouteConfig: 5, resource.Endpoint: 17, resource.Extension: 1, resource.Secret: 0}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
	if !slices.Contains(recorded.Asked(), "GET /debug/config_dump?proxyID="+p.Name+"-1&types=cds") {
		t.Errorf("asked %v, want the clusters by the connection's id", recorded.Asked())
	}
	if _, err := c.Stats(t.Context(), ""); !errors.Is(err, mesh.ErrNotAvailable) {
		t.Errorf("stats: error %v, want ErrNotAvailable", err)
	}
}

// What istiod prints in protobuf's camel case is read as Envoy would print it.
func TestSnakeCase(t *testing.T) {
	m, _ := open(t)
	p, _, err := m.Proxy(t.Context(), "productpage-v1")
	if err != nil {
		t.Fatal(err)
	}
	rs, err := p.Config(mesh.Desired).Resources(t.Context(), resource.RouteConfig, pattern.Exact("9080"))
	if err != nil || len(rs) != 1 {
		t.Fatalf("route 9080: %d, error %v", len(rs), err)
	}
	raw, err := rs[0].Raw()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(raw), `"virtual_hosts":`) || strings.Contains(string(raw), `"virtualHosts"`) {
		t.Errorf("body %.200s, want virtual_hosts", raw)
	}
}

// Nothing that changes an istiod is ever sent to it.
func TestReadOnly(t *testing.T) {
	m, recorded := open(t)
	istiods, err := m.Istiods(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before := len(recorded.Asked())
	for _, path := range []string{
		"adsz?push=true", "adsz?push", "/debug/adsz?push=true", "cachez?clear=true", "cachez?clear", "force_disconnect?proxyID=x",
		"pprof/heap", "../quitquitquit", "", "syncz?%70ush=true", "config_dump?proxyID=x&push=1", "syncz#?push", "adsz;push=true",
	} {
		if b, err := istiods.Items[0].Debug(t.Context(), path); err == nil {
			t.Errorf("debug(%q) was answered: %.60s", path, b)
		}
	}
	if asked := recorded.Asked(); len(asked) != before {
		t.Errorf("asked %v", asked)
	}
	if b, err := istiods.Items[0].Debug(t.Context(), "syncz"); err != nil || !strings.HasPrefix(string(b), "[") {
		t.Errorf("debug(syncz) = %.60s, error %v", b, err)
	}
}

func TestFaults(t *testing.T) {
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status); fmt.Fprint(w, body) }
	}
	for _, test := range []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{"503", answer(503, "no healthy upstream\n"), "HTTP status 503 Service Unavailable: no healthy upstream"},
		{"401", answer(401, "not authenticated"), "port-forward"},
		{"404", answer(404, "404 page not found"), "is this istiod's"},
		{"HTML", answer(200, "<!DOCTYPE html><html>"), "is HTML"},
		{"text", answer(200, "hello"), "plain text, want JSON: hello"},
		{"empty", answer(200, ""), "empty"},
		{"truncated", answer(200, `[{"proxy":"a.b"`), "invalid JSON"},
		{"closed", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, `[{"proxy"`)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, "closed in the middle of the answer, after 9 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(test.handler)
			defer server.Close()
			m := mesh.New([]mesh.Source{istiod.New("istiod+"+server.URL, server.URL, fetch.Options{})}, mesh.Options{})
			_, err := m.Proxies(context.Background())
			var unreachable *mesh.UnreachableError
			if !errors.As(err, &unreachable) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want an UnreachableError with %q", err, test.want)
			}
		})
	}
}
