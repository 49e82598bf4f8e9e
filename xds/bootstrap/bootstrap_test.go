package bootstrap_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/meshlark/meshlark/internal/viewtest"
	"github.com/meshlark/meshlark/xds/bootstrap"
	"github.com/meshlark/meshlark/xds/rawjson"
)

const body = `{
	"node":{"id":"sidecar~10.0.0.5~a.default~default.svc.cluster.local","cluster":"a.default",
		"metadata":{"ISTIO_VERSION":"1.31.0","ISTIO_PROXY_SHA":"istio-proxy:abc","PROXY_CONFIG":{"discoveryAddress":"istiod:15012"}},
		"locality":{"region":"r","zone":"z"},"user_agent_name":"envoy",
		"user_agent_build_version":{"version":{"major_number":1,"minor_number":36},
			"metadata":{"build.label":"dev","revision.status":"Clean","build.type":"RELEASE","ssl.version":"BoringSSL"}}},
	"admin":{"address":{"socket_address":{"address":"127.0.0.1","port_value":15000}}},
	"static_resources":{
		"clusters":[
			{"name":"xds-grpc","load_assignment":{"endpoints":[{"lb_endpoints":[{"endpoint":{"address":{"pipe":{"path":"./etc/istio/proxy/XDS"}}}}]}]}},
			{"name":"other"}],
		"listeners":[{"name":"l"}]},
	"dynamic_resources":{
		"ads_config":{"api_type":"DELTA_GRPC","grpc_services":[{"envoy_grpc":{"cluster_name":"xds-grpc"}}]},
		"cds_config":{"path_config_source":{"path":"/etc/cds.yaml"}},
		"lds_config":{"api_config_source":{"api_type":"DELTA_GRPC","grpc_services":[{"envoy_grpc":{"cluster_name":"xds-grpc"}},{"google_grpc":{"target_uri":"dns:///x"}}]}}},
	"layered_runtime":{"layers":[{"name":"s","static_layer":{"a":1}},{"name":"r","rtds_layer":{}},{"name":"admin","admin_layer":{}}]}}`

func TestBootstrap(t *testing.T) {
	b := bootstrap.New(rawjson.Value(`{"bootstrap":` + body + `,"last_updated":"x"}`))
	n := b.Node()
	got := map[string]string{
		"id": n.ID(), "cluster": n.Cluster(), "locality": n.Locality(), "program": n.Program(), "envoy": n.EnvoyVersion(),
		"build": n.BuildVersion(), "istio": n.IstioVersion(), "commit": n.ProxyCommit(),
		"admin": b.Admin().String(), "discovery": b.DiscoveryAddress(),
	}
	want := map[string]string{
		"id": "sidecar~10.0.0.5~a.default~default.svc.cluster.local", "cluster": "a.default", "locality": "r/z", "program": "envoy",
		"envoy": "1.36.0-dev", "build": "1.36.0-dev/Clean/RELEASE/BoringSSL", "istio": "1.31.0", "commit": "abc",
		"admin": "127.0.0.1:15000", "discovery": "istiod:15012",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"xds-grpc", "other"}, b.StaticNames("clusters")); diff != "" {
		t.Errorf("static clusters (-want +got):\n%s", diff)
	}
	wantDiscovery := []bootstrap.Discovery{
		{For: []string{"ads", "lds"}, API: "DELTA_GRPC", Cluster: "xds-grpc", Addresses: []string{"unix://./etc/istio/proxy/XDS"}},
		{For: []string{"cds"}, API: "path", Addresses: []string{"/etc/cds.yaml"}},
		{For: []string{"lds"}, API: "DELTA_GRPC", Addresses: []string{"dns:///x"}},
	}
	if diff := cmp.Diff(wantDiscovery, b.Discovery()); diff != "" {
		t.Errorf("discovery (-want +got):\n%s", diff)
	}
	wantLayers := []bootstrap.Layer{
		{"s", "static_layer", rawjson.Value(`{"a":1}`)}, {"r", "rtds_layer", rawjson.Value(`{}`)}, {"admin", "admin_layer", rawjson.Value(`{}`)},
	}
	if diff := cmp.Diff(wantLayers, b.RuntimeLayers()); diff != "" {
		t.Errorf("layers (-want +got):\n%s", diff)
	}
}

func TestLocalCluster(t *testing.T) {
	for body, want := range map[string]string{`{"cluster_manager":{"local_cluster_name":"ours"}}`: "ours", `{"cluster_manager":{}}`: "", `{}`: ""} {
		if got := bootstrap.New(rawjson.Value(body)).LocalCluster(); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

func TestNothing(t *testing.T) {
	b := bootstrap.New(rawjson.Value(`{}`))
	if !b.Admin().IsZero() || b.DiscoveryAddress() != "" || b.Node().BuildVersion() != "0.0.0" {
		t.Errorf("admin %v, discovery %q, build %q", b.Admin(), b.DiscoveryAddress(), b.Node().BuildVersion())
	}
}

// What istioctl proxy-config bootstrap -o short prints of the recorded dump.
func TestEnvoy(t *testing.T) {
	r := viewtest.Read(t, viewtest.EnvoyDump("../.."), viewtest.Bootstrap)
	n := bootstrap.New(r[0].Body).Node()
	if n.IstioVersion() != "1.31.0" || n.BuildVersion() != "1.40.0/Clean/RELEASE/BoringSSL" {
		t.Errorf("Istio %q, Envoy %q", n.IstioVersion(), n.BuildVersion())
	}
}
