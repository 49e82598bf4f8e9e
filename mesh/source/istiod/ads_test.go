package istiod_test

import (
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/meshlark/meshlark/internal/envoytest"
	"github.com/meshlark/meshlark/internal/replay"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source/ads"
	"github.com/meshlark/meshlark/mesh/source/fetch"
	"github.com/meshlark/meshlark/mesh/source/istiod"
	protocol "github.com/meshlark/meshlark/xds/ads"
	"github.com/meshlark/meshlark/xds/pattern"
	"github.com/meshlark/meshlark/xds/resource"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
)

// A proxy's configuration by ADS is asked for as the node that its connection tells of, where the control plane is said to be.
func TestByADS(t *testing.T) {
	cp := envoytest.StartControlPlane(t)
	if err := cp.Set("1", &clusterv3.Cluster{Name: "by ADS"}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(replay.NewIstiod("testdata/recorded"))
	t.Cleanup(server.Close)
	var mu sync.Mutex
	var asked []string
	s := istiod.New("istiod+"+server.URL, server.URL, fetch.Options{})
	way := &ads.Way{Name: "here", Endpoint: func() (protocol.Endpoint, error) { return protocol.Endpoint{Address: cp.Addr().String()}, nil }}
	s.UseADS(way, ads.Options{Connecting: func(way, node string) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, way+" "+node)
	}})
	m := mesh.New([]mesh.Source{s}, mesh.Options{})
	p, _, err := m.Proxy(t.Context(), "productpage-v1")
	if err != nil {
		t.Fatal(err)
	}
	if !p.Has(mesh.ByADS) || len(asked) != 0 {
		t.Fatalf("by ADS %v, asked before anybody wanted it: %q", p.Has(mesh.ByADS), asked)
	}
	for range 2 {
		rs, err := p.Config(mesh.ByADS).Resources(t.Context(), resource.Cluster, pattern.Pattern{})
		if err != nil || len(rs) != 1 || rs[0].Name() != "by ADS" {
			t.Fatalf("clusters %v, error %v", rs, err)
		}
	}
	if side := p.Config(mesh.ByADS).Side(); side != mesh.Desired {
		t.Errorf("side %q, want desired", side)
	}
	if want := "here sidecar~10.244.0.11~" + p.Name + "~default.svc.cluster.local"; strings.Join(asked, "\n") != want {
		t.Errorf("asked %q, want %q", asked, want)
	}
	rs, err := p.Config(mesh.Desired).Resources(t.Context(), resource.Cluster, pattern.Pattern{})
	if err != nil || len(rs) < 2 {
		t.Errorf("the debug API's view: %d clusters, error %v", len(rs), err)
	}
}
