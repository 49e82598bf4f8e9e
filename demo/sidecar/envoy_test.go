package sidecar_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	gocmp "github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshlark/meshlark/demo/blueprint"
	"github.com/meshlark/meshlark/demo/sidecar"
	"github.com/meshlark/meshlark/internal/envoytest"
)

// questions are asked of a real Envoy and of a simulated one that hold the same configuration. They are to give the same answers, the times
// and the order of hash maps apart.
var questions = []string{
	"/config_dump?resource=dynamic_active_clusters",
	"/config_dump?resource=dynamic_active_clusters&mask=",
	"/config_dump?resource=dynamic_active_clusters&mask=cluster.name,cluster.type,version_info",
	"/config_dump?resource=dynamic_active_clusters&mask=cluster",
	"/config_dump?resource=dynamic_active_clusters&mask=version_info",
	"/config_dump?resource=dynamic_active_clusters&mask=cluster.eds_cluster_config.service_name",
	"/config_dump?resource=dynamic_active_clusters&mask=cluster.circuit_breakers.thresholds.max_retries",
	"/config_dump?resource=dynamic_active_clusters&mask=cluster.no_such_field",
	"/config_dump?resource=dynamic_active_clusters&mask=no_such_field",
	"/config_dump?resource=dynamic_active_clusters&name_regex=outbound%5C%7C9080%5C%7Cv1%5C%7Creviews.*",
	"/config_dump?resource=dynamic_active_clusters&name_regex=outbound",
	"/config_dump?resource=dynamic_active_clusters&name_regex=.*reviews.*&mask=cluster.name",
	"/config_dump?resource=dynamic_warming_clusters",
	"/config_dump?resource=dynamic_listeners",
	"/config_dump?resource=dynamic_listeners&mask=name,active_state",
	"/config_dump?resource=dynamic_listeners&mask=active_state.version_info",
	"/config_dump?resource=dynamic_listeners&mask=active_state.listener.name",
	"/config_dump?resource=dynamic_listeners&name_regex=virtualOutbound",
	"/config_dump?resource=dynamic_route_configs",
	"/config_dump?resource=dynamic_route_configs&mask=route_config.name,route_config.virtual_hosts",
	"/config_dump?resource=dynamic_route_configs&mask=route_config.virtual_hosts.name",
	"/config_dump?resource=dynamic_endpoint_configs&include_eds",
	"/config_dump?resource=dynamic_endpoint_configs&include_eds=false&name_regex=.*%7Cv2%7C.*",
	"/config_dump?resource=dynamic_endpoint_configs",
	"/config_dump?resource=bootstrap",
	"/config_dump?resource=version_info",
	"/config_dump?resource=no_such_field",
	"/config_dump?mask=version_info",
	"/config_dump?mask=dynamic_active_clusters",
	"/config_dump?mask=dynamic_active_clusters,version_info",
	"/config_dump?mask=dynamic_active_clusters,dynamic_listeners",
	"/config_dump?mask=dynamic_active_clusters.cluster",
	"/config_dump?mask=dynamic_route_configs",
	"/config_dump?mask=dynamic_route_configs&name_regex=80",
	"/config_dump?mask=dynamic_endpoint_configs&include_eds",
	"/config_dump?mask=no_such_field",
	"/config_dump?name_regex=%5B",
	"/config_dump?name_regex=(",
	"/config_dump?name_regex=*",
	"/clusters?format=json&filter=reviews",
	"/clusters?format=json&filter=^BlackHole",
	"/clusters?format=json&filter=%5B",
	"/clusters?filter=outbound",
	"/listeners?format=json",
	"/listeners",
	"/stats?format=yaml",
	"/stats?filter=%5B",
	"/stats?format=json&filter=^cluster_manager.cds.update_(success|rejected)$",
	"/stats?filter=^listener_manager.total_listeners_(active|warming|draining)$",
	"/ready",
}

func TestAnswersAsEnvoy(t *testing.T) {
	resources := configuration(t)
	real := envoytest.StartEnvoy(t, envoytest.Options{Resources: resources, Version: "2026-11-20T10:00:00Z/1"})
	proxy := blueprint.Proxy{Pod: "productpage-v1-abc", Namespace: "default", Type: "sidecar", App: "productpage", Port: 9080, IP: "10.0.0.1"}
	bootstrap := proxy.Bootstrap()
	bootstrap.StaticResources = nil // those of the other Envoy are the harness's
	s, err := sidecar.Start(sidecar.Options{Bootstrap: bootstrap, Control: real.ControlPlane.Addr().String(), Now: time.Now, DrainTime: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	real.WaitFor(t, "hold its routes", func() bool {
		const path, tables = "/config_dump?resource=dynamic_route_configs", 2
		_, held := real.Fetch(t, path)
		_, simulated := get(t, s, path)
		return bytes.Count(held, []byte(`"route_config"`)) == tables && bytes.Count(simulated, []byte(`"route_config"`)) == tables
	})
	for _, q := range questions {
		t.Run(q, func(t *testing.T) {
			wantStatus, want := real.Fetch(t, q)
			status, got := get(t, s, q)
			if status != wantStatus {
				t.Errorf("status %d, Envoy's is %d\nbody %.300s\nEnvoy's %.300s", status, wantStatus, got, want)
			}
			if d := gocmp.Diff(comparable(t, want), comparable(t, got)); d != "" {
				t.Errorf("answer (-Envoy +simulated):\n%s", d)
			}
		})
	}
}

// configuration is what both are given: clusters of every kind, listeners and routes of the outbound side. What needs an agent or Istio's own
// Envoy is left out: mutual TLS, and the filters named istio.
func configuration(t *testing.T) []proto.Message {
	t.Helper()
	reviews := blueprint.Host("reviews", "default")
	r := &blueprint.Registry{
		Services: []*blueprint.Service{
			{Name: "reviews", Namespace: "default", VIP: "10.51.240.14", Ports: []blueprint.Port{{Number: 9080}}, Subsets: []string{"v1", "v2"}, Pods: []blueprint.Pod{
				{Name: "reviews-v1", Workload: "reviews-v1", Version: "v1", IP: "10.48.0.14", Zone: "us-central1-a"},
				{Name: "reviews-v2", Workload: "reviews-v2", Version: "v2", IP: "10.48.0.15", Zone: "us-central1-b", Unhealthy: true},
				{Name: "reviews-v3", Workload: "reviews-v3", Version: "v2", IP: "10.48.0.16", Zone: "us-central1-b", Weight: 3},
			}},
			{Name: "kube-dns", Namespace: "kube-system", VIP: "10.51.240.10", Ports: []blueprint.Port{{Number: 53, Protocol: blueprint.TCP}, {Number: 80}}},
		},
		Rules: map[string][]blueprint.Rule{reviews: {
			{Name: "jason", User: "jason", Shares: []blueprint.Share{{Host: reviews, Subset: "v2"}}},
			{Name: "rest", Shares: []blueprint.Share{{Host: reviews, Subset: "v1", Weight: 80}, {Host: reviews, Subset: "v2", Weight: 20}}},
		}},
	}
	c := r.Draw(&blueprint.Proxy{Pod: "productpage-v1-abc", Namespace: "default", Type: "sidecar", App: "productpage", Port: 9080})
	var out []proto.Message
	for _, m := range c.Clusters {
		out = append(out, m)
	}
	for _, m := range c.Endpoints {
		out = append(out, m)
	}
	for _, m := range c.Routes {
		out = append(out, m)
	}
	for _, m := range c.Listeners {
		if m.GetName() == "virtualInbound" {
			continue
		}
		m.BindToPort = c.Listeners[0].GetBindToPort() // false: no port of the machine is taken
		for _, chain := range append(slices.Clone(m.GetFilterChains()), m.GetDefaultFilterChain()) {
			upstreamOnly(t, chain)
		}
		out = append(out, m)
	}
	return out
}

// upstreamOnly removes Istio's own HTTP filters from a chain.
func upstreamOnly(t *testing.T, chain *listenerv3.FilterChain) {
	t.Helper()
	for _, f := range chain.GetFilters() {
		m := &hcmv3.HttpConnectionManager{}
		if !f.GetTypedConfig().MessageIs(m) {
			continue
		}
		if err := f.GetTypedConfig().UnmarshalTo(m); err != nil {
			t.Fatal(err)
		}
		m.HttpFilters = slices.DeleteFunc(m.HttpFilters, func(h *hcmv3.HttpFilter) bool { return strings.HasPrefix(h.GetName(), "istio.") })
		a, err := anypb.New(m)
		if err != nil {
			t.Fatal(err)
		}
		f.ConfigType = &listenerv3.Filter_TypedConfig{TypedConfig: a}
	}
}

func get(t *testing.T, s *sidecar.Sidecar, path string) (int, []byte) {
	t.Helper()
	resp, err := http.Get("http://" + s.Admin() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

// comparable gives an answer without what two Envoys may differ in: times, the order of lists by name, and the harness's own cluster.
func comparable(t *testing.T, body []byte) any {
	t.Helper()
	if len(body) == 0 || body[0] != '{' {
		var lines []string
		for line := range strings.Lines(string(body)) {
			line = debugMark.ReplaceAllString(line, "goo.gle/debugstr")
			if line = strings.Join(strings.Fields(line), " "); !strings.HasPrefix(line, "xds::") {
				lines = append(lines, line)
			}
		}
		slices.Sort(lines)
		return lines
	}
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("%v: %.300s", err, body)
	}
	return plain(v)
}

// debugMark is what the C++ library writes before a message that is printed for people: another word in each run, so that nobody relies on it.
var debugMark = regexp.MustCompile(`goo\.gle/debug\w+`)

func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		delete(v, "last_updated")
		for key, x := range v {
			v[key] = plain(x)
		}
	case []any:
		for i, x := range v {
			v[i] = plain(x)
		}
		if len(v) > 0 && nameOf(v[0]) != "" {
			slices.SortStableFunc(v, func(a, b any) int { return cmp.Compare(nameOf(a), nameOf(b)) })
		}
	}
	return v
}

// nameOf finds what a list of the dump is ordered by. Filters and virtual hosts keep their order on both sides, as sorting either way is harmless.
func nameOf(v any) string {
	m, ok := v.(map[string]any)
	if !ok {
		return ""
	}
	for _, key := range []string{"name", "cluster", "route_config", "endpoint_config", "cluster_name"} {
		switch x := m[key].(type) {
		case string:
			return x
		case map[string]any:
			return cmp.Or(nameOf(x), fmt.Sprint(x))
		}
	}
	return ""
}
