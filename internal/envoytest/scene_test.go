package envoytest

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestScene asks one Envoy in the scene everything: that each kind of resource
// is there in each state, as the tests of other packages rely on.
func TestScene(t *testing.T) {
	s := StartScene(t)
	t.Run("answers", func(t *testing.T) { testAnswers(t, s) })
	t.Run("sections", func(t *testing.T) { testSections(t, s) })
	t.Run("listeners", func(t *testing.T) { testListenerStates(t, s) })
	t.Run("rejections", func(t *testing.T) { testRejections(t, s) })
	t.Run("health", func(t *testing.T) { testHealth(t, s) })
	t.Run("node", func(t *testing.T) { testNode(t, s) })
}

// decode reads an answer of the admin API.
func decode[T any](t *testing.T, s *Scene, path string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(s.Get(t, path), &v); err != nil {
		t.Fatalf("read %s: %v", path, err)
	}
	return v
}

type configDump struct {
	Configs []map[string]json.RawMessage
}

func testSections(t *testing.T, s *Scene) {
	count := map[string]int{}
	for _, section := range decode[configDump](t, s, "/config_dump?include_eds").Configs {
		var kind string
		if err := json.Unmarshal(section["@type"], &kind); err != nil {
			t.Fatal(err)
		}
		kind = kind[strings.LastIndex(kind, ".")+1:]
		count[kind]++
		for field, value := range section {
			var list []json.RawMessage
			if json.Unmarshal(value, &list) == nil {
				count[kind+"."+field] += len(list)
			}
		}
	}
	want := map[string]int{
		"BootstrapConfigDump":                                 1,
		"ClustersConfigDump":                                  1,
		"ClustersConfigDump.static_clusters":                  3,
		"ClustersConfigDump.dynamic_active_clusters":          21,
		"ClustersConfigDump.dynamic_warming_clusters":         2,
		"EcdsConfigDump":                                      2, // one for HTTP filters, one for network filters
		"EcdsConfigDump.ecds_filters":                         2,
		"EndpointsConfigDump":                                 1,
		"EndpointsConfigDump.static_endpoint_configs":         3,
		"EndpointsConfigDump.dynamic_endpoint_configs":        21,
		"ListenersConfigDump":                                 1,
		"ListenersConfigDump.static_listeners":                1,
		"ListenersConfigDump.dynamic_listeners":               17,
		"RoutesConfigDump":                                    1,
		"RoutesConfigDump.static_route_configs":               5, // inbound|9080|| twice
		"RoutesConfigDump.dynamic_route_configs":              4,
		"ScopedRoutesConfigDump":                              1,
		"ScopedRoutesConfigDump.inline_scoped_route_configs":  1,
		"ScopedRoutesConfigDump.dynamic_scoped_route_configs": 1,
		"SecretsConfigDump":                                   1,
		"SecretsConfigDump.static_secrets":                    2,
		"SecretsConfigDump.dynamic_active_secrets":            5,
		"SecretsConfigDump.dynamic_warming_secrets":           1,
	}
	if diff := cmp.Diff(want, count); diff != "" {
		t.Errorf("sections and their resources (-want +got):\n%s", diff)
	}
	for path, want := range map[string][]string{
		"dynamic_warming_secrets":  {WarmingSecret},
		"dynamic_warming_clusters": {WarmingCluster, SecretlessCluster},
	} {
		var got []string
		for _, c := range decode[struct {
			Configs []struct {
				Name    string
				Cluster struct{ Name string }
			}
		}](t, s, "/config_dump?resource="+path).Configs {
			got = append(got, c.Name+c.Cluster.Name)
		}
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

func testListenerStates(t *testing.T, s *Scene) {
	got := map[string][]string{}
	for _, l := range decode[configDump](t, s, "/config_dump?resource=dynamic_listeners").Configs {
		var name string
		if raw, ok := l["name"]; ok {
			if err := json.Unmarshal(raw, &name); err != nil {
				t.Fatal(err)
			}
		}
		for field := range l {
			if state, ok := strings.CutSuffix(field, "_state"); ok {
				got[name] = append(got[name], state)
			}
		}
		slices.Sort(got[name])
	}
	want := map[string][]string{
		"0.0.0.0_8443":    {"active"},
		"0.0.0.0_9080":    {"active"},
		"10.96.0.30_8000": {"active"},
		"10.96.0.30_8001": {"active"},
		"by-matcher":      {"active"},
		"main_internal":   {"active"},
		"probe":           {"active"},
		"virtualInbound":  {"active"},
		"virtualOutbound": {"active"},

		RejectedListener: {"error"},
		RejectedChange:   {"active", "error"},
		"":               {"error", "error"}, // each rejection a second time, without a name
		WarmingListener:  {"warming"},
		WarmingChange:    {"active", "warming"},
		DrainingListener: {"draining"},
		DrainingChange:   {"active", "draining"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("states of listeners (-want +got):\n%s", diff)
	}
}

func testRejections(t *testing.T, s *Scene) {
	var got []Rejection
	for _, r := range s.ControlPlane.Rejected() {
		for _, line := range strings.Split(strings.TrimSpace(r.Details), "\n") {
			got = append(got, Rejection{r.TypeURL, r.Version, line})
		}
	}
	listener, cluster := "type.googleapis.com/envoy.config.listener.v3.Listener", "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	for _, want := range []Rejection{
		{listener, SecondVersion, RejectedListener + ": error adding listener '0.0.0.0:7070': filter chain 'second' has the same matching rules defined as 'first'"},
		{listener, SecondVersion, RejectedChange + ": Didn't find a registered implementation for 'no.such.filter' with type URL: 'example.NoSuchFilter'"},
		{cluster, SecondVersion, RejectedCluster + ": malformed IP address: not-an-ip"},
	} {
		if !slices.ContainsFunc(got, func(r Rejection) bool {
			return r.TypeURL == want.TypeURL && r.Version == want.Version && strings.Contains(r.Details, want.Details)
		}) {
			t.Errorf("the control plane was not told %q of %s at %s; it was told %q", want.Details, want.TypeURL, want.Version, got)
		}
	}

	type errorState struct {
		Name       string
		ErrorState struct{ Details string } `json:"error_state"`
	}
	details := map[string]string{}
	for _, l := range decode[struct{ Configs []errorState }](t, s, "/config_dump?resource=dynamic_listeners").Configs {
		details[l.Name] = l.ErrorState.Details
	}
	for name, want := range map[string]string{
		RejectedListener: "has the same matching rules defined as 'first'",
		RejectedChange:   "Didn't find a registered implementation for 'no.such.filter'",
	} {
		if !strings.Contains(details[name], want) {
			t.Errorf("error_state of %s has details %q, want %q in it", name, details[name], want)
		}
	}
}

func testHealth(t *testing.T, s *Scene) {
	type clusters struct {
		Statuses []struct {
			Name  string
			Hosts []struct {
				Address struct {
					Socket struct {
						Address string
					} `json:"socket_address"`
				}
				Health map[string]any `json:"health_status"`
			} `json:"host_statuses"`
		} `json:"cluster_statuses"`
	}
	got := map[string]map[string]any{}
	for _, c := range decode[clusters](t, s, "/clusters?format=json").Statuses {
		switch c.Name {
		case "outbound|9080||reviews.default.svc.cluster.local", EjectedCluster, UnhealthyCluster:
			for _, h := range c.Hosts {
				got[c.Name+" "+h.Address.Socket.Address] = h.Health
			}
		case WarmingCluster, SecretlessCluster:
			t.Errorf("/clusters shows %s, which is warming", c.Name)
		}
	}
	reviews := "outbound|9080||reviews.default.svc.cluster.local "
	want := map[string]map[string]any{
		reviews + "10.0.1.1":            {"eds_health_status": "HEALTHY"},
		reviews + "10.0.1.2":            {"eds_health_status": "HEALTHY"},
		reviews + "10.0.1.3":            {"eds_health_status": "UNHEALTHY"},
		reviews + "10.0.1.4":            {"eds_health_status": "DRAINING"},
		reviews + "10.0.1.5":            {"eds_health_status": "DEGRADED"},
		reviews + "10.0.1.6":            {"eds_health_status": "UNHEALTHY"}, // TIMEOUT, as the load assignment says
		reviews + "10.1.1.7":            {"eds_health_status": "HEALTHY"},
		reviews + "2001:db8::8":         {"eds_health_status": "HEALTHY"},
		EjectedCluster + " 127.0.0.1":   {"eds_health_status": "HEALTHY", "failed_outlier_check": true},
		UnhealthyCluster + " 127.0.0.1": {"eds_health_status": "HEALTHY", "failed_active_health_check": true},
		UnhealthyCluster + " 127.0.0.2": {"eds_health_status": "HEALTHY", "failed_active_health_check": true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("health of hosts (-want +got):\n%s", diff)
	}
}

func testNode(t *testing.T, s *Scene) {
	info := decode[struct {
		Node struct {
			ID       string
			Metadata map[string]any
		}
	}](t, s, "/server_info")
	if want := "sidecar~10.0.0.5~productpage-v1-abc.default~default.svc.cluster.local"; info.Node.ID != want {
		t.Errorf("node id is %q, want %q", info.Node.ID, want)
	}
	for _, key := range []string{"NAMESPACE", "NAME", "LABELS", "ISTIO_VERSION", "CLUSTER_ID", "WORKLOAD_NAME", "PROXY_CONFIG", "INSTANCE_IPS"} {
		if info.Node.Metadata[key] == nil {
			t.Errorf("node metadata has no %s", key)
		}
	}
}
