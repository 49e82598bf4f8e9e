package istiod_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source/fetch"
	"github.com/meshlark/meshlark/mesh/source/istiod"
	"github.com/meshlark/meshlark/xds/pattern"
	"github.com/meshlark/meshlark/xds/resource"
)

// serve answers as an istiod with the given connections: id, cluster, time. The configuration it gives is named after the connection that it took.
func serve(t *testing.T, connections ...[3]string) (*istiod.Source, *mesh.Mesh) {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/syncz", func(w http.ResponseWriter, _ *http.Request) {
		var entries []string
		for _, c := range connections {
			entries = append(entries, fmt.Sprintf(`{"proxy":%q,"proxy_type":"sidecar","cluster_id":%q,"resources":{"type.googleapis.com/envoy.config.cluster.v3.Cluster":{"sent":%q,"acked":"x","sentTime":%q}}}`,
				c[0][:strings.LastIndex(c[0], "-")], c[1], "nonce of "+c[0], c[2]))
		}
		fmt.Fprintf(w, "[%s]", strings.Join(entries, ","))
	})
	all := func(w http.ResponseWriter, _ *http.Request) {
		var entries []string
		for _, c := range connections {
			entries = append(entries, fmt.Sprintf(`{"connectionId":%q,"connectedAt":%q,"metadata":{"CLUSTER_ID":%q}}`, c[0], c[2], c[1]))
		}
		fmt.Fprintf(w, `{"totalClients":%d,"clients":[%s]}`, len(entries), strings.Join(entries, ","))
	}
	mux.HandleFunc("/debug/adsz", all)
	mux.HandleFunc("/debug/connections", all)
	mux.HandleFunc("/debug/config_dump", func(w http.ResponseWriter, r *http.Request) {
		for _, c := range connections {
			if strings.Contains(c[0], r.URL.Query().Get("proxyID")) {
				fmt.Fprintf(w, `{"configs":[{"@type":"type.googleapis.com/envoy.config.cluster.v3.Cluster","name":%q}]}`, c[0])
				return
			}
		}
		http.Error(w, "Proxy not connected to this Pilot instance.", http.StatusNotFound)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s := istiod.New("istiod+"+server.URL, server.URL, fetch.Options{})
	return s, mesh.New([]mesh.Source{s}, mesh.Options{})
}

// desired reads the clusters that a proxy should have.
func desired(t *testing.T, p *mesh.Proxy) (string, error) {
	rs, err := p.Config(mesh.Desired).Resources(t.Context(), resource.Cluster, pattern.Pattern{})
	if err != nil {
		return "", err
	}
	return rs[0].Name(), nil
}

// A proxy that connects anew is one proxy, with its newest connection; the same name in another cluster is another one.
func TestConnections(t *testing.T) {
	_, m := serve(t,
		[3]string{"web-0.shop-3", "east", "2026-01-01T00:03:00Z"},
		[3]string{"web-0.shop-1", "east", "2026-01-01T00:01:00Z"},
		[3]string{"web-0.shop-4", "west", "2026-01-01T00:04:00Z"},
		[3]string{"db-0.shop-5", "east", "2026-01-01T00:00:00Z"},
		[3]string{"web-db-0.shop-51", "east", "2026-01-01T00:00:00Z"},
	)
	res, err := m.Proxies(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range res.Items {
		s, _ := p.Sync.Status("CDS")
		name, err := desired(t, p)
		var shared *istiod.NotAloneError
		if errors.As(err, &shared) {
			name = "not apart from " + strings.Join(shared.Others, ", ")
		} else if err != nil {
			t.Error(err)
		}
		got = append(got, fmt.Sprintf("%s %s %s %s: %s", p.Name, p.ClusterID, p.Since.Format("15:04"), s.SentNonce, name))
	}
	want := []string{
		"db-0.shop east 00:00 nonce of db-0.shop-5: not apart from web-db-0.shop",
		"web-0.shop east 00:03 nonce of web-0.shop-3: web-0.shop-3",
		"web-0.shop west 00:04 nonce of web-0.shop-4: web-0.shop-4",
		"web-db-0.shop east 00:00 nonce of web-db-0.shop-51: web-db-0.shop-51",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("proxies (-want +got):\n%s", diff)
	}
}

func TestMoved(t *testing.T) {
	s, _ := serve(t, [3]string{"web-0.shop-3", "east", "2026-01-01T00:03:00Z"})
	r, since, err := s.Moved(t.Context(), "web-0.shop", "east")
	if err != nil || since.Format("15:04") != "00:03" {
		t.Fatalf("since %v, error %v", since, err)
	}
	if a, err := r.Read(t.Context(), mesh.Request{Kind: resource.Cluster}); err != nil || a.Dump.Resources(resource.Cluster)[0].Name() != "web-0.shop-3" {
		t.Errorf("read: error %v", err)
	}
	for _, who := range [][2]string{{"web-0.shop", "west"}, {"eb-0.shop", "east"}, {"web-0.shop-3", "east"}} {
		if _, _, err := s.Moved(t.Context(), who[0], who[1]); !errors.Is(err, istiod.ErrNotConnected) {
			t.Errorf("%s of %s: error %v, want that it is not connected", who[0], who[1], err)
		}
	}
}
