package endpoint_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/meshlark/meshlark/xds/endpoint"
	"github.com/meshlark/meshlark/xds/rawjson"
)

func TestAddress(t *testing.T) {
	for _, tc := range []struct{ body, want string }{
		{`{"socket_address":{"address":"10.0.0.1","port_value":80}}`, "10.0.0.1:80"},
		{`{"socketAddress":{"address":"10.0.0.1","portValue":80}}`, "10.0.0.1:80"},
		{`{"socket_address":{"address":"::1","port_value":80}}`, "[::1]:80"},
		{`{"socket_address":{"address":"srv.example","named_port":"http"}}`, "srv.example:http"},
		{`{"socket_address":{"address":"10.0.0.1"}}`, "10.0.0.1:0"},
		{`{"pipe":{"path":"/run/x.sock"}}`, "unix:///run/x.sock"},
		{`{"envoy_internal_address":{"server_listener_name":"main","endpoint_id":"10.0.0.1:80"}}`, "envoy://main/10.0.0.1:80"},
		{`{}`, "unknown"},
		{`7`, "unknown"},
	} {
		if got := endpoint.NewAddress(rawjson.Value(tc.body)).String(); got != tc.want {
			t.Errorf("address %s: %q, want %q", tc.body, got, tc.want)
		}
	}
}

func TestAssignment(t *testing.T) {
	a := endpoint.New(rawjson.Value(`{"cluster_name":"c",
		"endpoints":[
			{"locality":{"region":"r","zone":"z","sub_zone":"s"},"priority":1,"load_balancing_weight":3,"lb_endpoints":[
				{"endpoint":{"address":{"socket_address":{"address":"10.0.0.1","port_value":80}},"hostname":"h",
					"additional_addresses":[{"address":{"socket_address":{"address":"fd00::1","port_value":80}}}]},
				 "health_status":"DRAINING","load_balancing_weight":5,"metadata":{"filter_metadata":{
					"envoy.transport_socket_match":{"tlsMode":"istio","tunnel":"http"},
					"istio":{"workload":"w;ns;name;rev;cluster"}}}}]},
			{"locality":{"region":"r","sub_zone":"s"},"loadBalancerEndpoints":{"lbEndpoints":[{"endpointName":"n"}]}}],
		"named_endpoints":{"n":{"address":{"pipe":{"path":"/p"}}}},
		"policy":{"overprovisioning_factor":100,"drop_overloads":[
			{"category":"a","drop_percentage":{"numerator":5}},{"category":"b","drop_percentage":{"numerator":5,"denominator":"MILLION"}}]}}`))
	type row struct {
		Cell, Health, Locality, Hostname, TLSMode, Tunnel string
		Weight, Priority, Port, LocalityWeight            uint32
		Workload                                          endpoint.Workload
	}
	var got []row
	for _, e := range a.Endpoints() {
		weight, _ := e.Locality().Weight()
		got = append(got, row{
			e.Cell(), e.Health(), e.Locality().String(), e.Hostname(), e.TLSMode(), e.Tunnel(),
			e.Weight(), e.Priority(), e.Port(), weight, e.Workload(),
		})
	}
	want := []row{
		{
			"10.0.0.1:80,[fd00::1]:80", "DRAINING", "r/z/s", "h", "istio", "http", 5, 1, 80, 3,
			endpoint.Workload{"w", "ns", "name", "rev", "cluster"},
		},
		{"unix:///p", "UNKNOWN", "r", "", "", "", 1, 0, 0, 0, endpoint.Workload{}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("endpoints (-want +got):\n%s", diff)
	}
	if a.ClusterName() != "c" || a.OverprovisioningFactor() != 100 {
		t.Errorf("name %q factor %d", a.ClusterName(), a.OverprovisioningFactor())
	}
	if diff := cmp.Diff([]endpoint.Drop{{"a", 5}, {"b", .0005}}, a.Drops()); diff != "" {
		t.Errorf("drops (-want +got):\n%s", diff)
	}
	if got := endpoint.New(nil).OverprovisioningFactor(); got != 140 {
		t.Errorf("factor unless set: %d, want 140", got)
	}
}

func TestParseWorkload(t *testing.T) {
	for text, want := range map[string]endpoint.Workload{
		"":            {},
		"w":           {Name: "w"},
		"w;ns;;;c":    {Name: "w", Namespace: "ns", Cluster: "c"},
		"w;ns;n;r;c;": {"w", "ns", "n", "r", "c"},
	} {
		if got := endpoint.ParseWorkload(text); got != want {
			t.Errorf("workload %q: %+v, want %+v", text, got, want)
		}
	}
}

func TestZeroEndpoint(t *testing.T) {
	var e endpoint.Endpoint
	if got := e.Cell(); got != "unknown" || e.Priority() != 0 {
		t.Errorf("zero endpoint: %q, priority %d", got, e.Priority())
	}
}
