package cluster_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/meshlark/meshlark/xds/cluster"
	"github.com/meshlark/meshlark/xds/rawjson"
)

func TestSummary(t *testing.T) {
	for _, tc := range []struct {
		name  string
		body  string
		want  cluster.Summary
		cells [6]string
	}{
		{
			"subset with rule",
			`{"name":"outbound|9080|v1|reviews.default.svc.cluster.local","type":"EDS","metadata":{"filter_metadata":{"istio":
			{"config":"/apis/networking.istio.io/v1alpha3/namespaces/default/destination-rule/reviews"}}}}`,
			cluster.Summary{
				Name: "outbound|9080|v1|reviews.default.svc.cluster.local",
				FQDN: "reviews.default.svc.cluster.local", Port: 9080, Subset: "v1", Direction: "outbound", Type: "EDS",
				Config:          "/apis/networking.istio.io/v1alpha3/namespaces/default/destination-rule/reviews",
				DestinationRule: "reviews.default",
			},
			[6]string{"reviews.default.svc.cluster.local", "9080", "v1", "outbound", "EDS", "reviews.default"},
		},
		{
			"camel case",
			`{"name":"inbound|8080||","type":"ORIGINAL_DST","metadata":{"filterMetadata":{"istio":{"config":"/elsewhere"}}}}`,
			cluster.Summary{
				Name: "inbound|8080||", Port: 8080, Direction: "inbound", Type: "ORIGINAL_DST",
				Config: "/elsewhere", DestinationRule: "<unknown>",
			},
			[6]string{"", "8080", "-", "inbound", "ORIGINAL_DST", "<unknown>"},
		},
		{
			"zero of the enumeration is left out",
			`{"name":"BlackHoleCluster","connect_timeout":"10s"}`,
			cluster.Summary{Name: "BlackHoleCluster", FQDN: "BlackHoleCluster", Type: "STATIC"},
			[6]string{"BlackHoleCluster", "-", "-", "-", "STATIC", ""},
		},
		{
			"enumeration as a number",
			`{"name":"a","type":2}`,
			cluster.Summary{Name: "a", FQDN: "a", Type: "LOGICAL_DNS"},
			[6]string{"a", "-", "-", "-", "LOGICAL_DNS", ""},
		},
		{
			"custom type",
			`{"name":"a","clusterType":{"name":"envoy.clusters.aggregate"}}`,
			cluster.Summary{Name: "a", FQDN: "a", Type: "envoy.clusters.aggregate"},
			[6]string{"a", "-", "-", "-", "envoy.clusters.aggregate", ""},
		},
		{
			"custom type without a name",
			`{"name":"a","cluster_type":{"typed_config":{"@type":"type.googleapis.com/x.Y"}}}`,
			cluster.Summary{Name: "a", FQDN: "a", Type: "x.Y"},
			[6]string{"a", "-", "-", "-", "x.Y", ""},
		},
		{
			"reached by SNI",
			`{"name":"outbound_.80_.v1_.host.example"}`,
			cluster.Summary{
				Name: "outbound_.80_.v1_.host.example",
				FQDN: "host.example", Port: 80, Subset: "v1", Direction: "outbound", Type: "STATIC",
			},
			[6]string{"host.example", "80", "v1", "outbound", "STATIC", ""},
		},
		{
			"white space, and the last of repeated members",
			` { "name" : "a" , "type" : "EDS" , "name" : "b" , "type" : "STRICT_DNS" } `[1:],
			cluster.Summary{Name: "b", FQDN: "b", Type: "STRICT_DNS"},
			[6]string{"b", "-", "-", "-", "STRICT_DNS", ""},
		},
		{"not an object", `[1,2]`, cluster.Summary{Type: "STATIC"}, [6]string{"", "-", "-", "-", "STATIC", ""}},
		{"nothing", ``, cluster.Summary{Type: "STATIC"}, [6]string{"", "-", "-", "-", "STATIC", ""}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := cluster.New(rawjson.Value(tc.body)).Summary()
			if diff := cmp.Diff(tc.want, got, cmpopts.IgnoreUnexported(got)); diff != "" {
				t.Errorf("summary (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.cells, got.Cells()); diff != "" {
				t.Errorf("cells (-want +got):\n%s", diff)
			}
		})
	}
}

// benchmarkClusters makes what a sidecar among 2,000 services has: 4,000 clusters of 2.5 kB with mTLS by endpoint.
func benchmarkClusters() []rawjson.Value {
	socket := `{"name":"tlsMode-istio","match":{"tlsMode":"istio"},"transport_socket":{"name":"envoy.transport_sockets.tls",` +
		`"typed_config":{"@type":"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",` +
		`"common_tls_context":{"alpn_protocols":["istio-peer-exchange","istio"],"filler":[` +
		strings.TrimSuffix(strings.Repeat(`{"name":"default","sds_config":{"api_type":"GRPC"}},`, 36), ",") + `]}}}}`
	out := make([]rawjson.Value, 4000)
	for i := range out {
		out[i] = rawjson.Value(fmt.Sprintf(`{"@type":"type.googleapis.com/envoy.config.cluster.v3.Cluster","transport_socket_matches":[%s],`+
			`"name":"outbound|80||svc-%d.default.svc.cluster.local","type":"EDS","eds_cluster_config":{"service_name":"s"},`+
			`"connect_timeout":"10s","lb_policy":"LEAST_REQUEST","metadata":{"filter_metadata":{"istio":{"services":[{"name":"svc"}]}}}}`,
			socket, i))
	}
	return out
}

func BenchmarkSummary(b *testing.B) {
	bodies := benchmarkClusters()
	size := 0
	for _, body := range bodies {
		size += len(body)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		for _, body := range bodies {
			if cluster.New(body).Summary().Port != 80 {
				b.Fatal("no port")
			}
		}
	}
}
