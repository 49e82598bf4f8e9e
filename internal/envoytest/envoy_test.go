package envoytest

import (
	"net/http"
	"strings"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

func TestStartEnvoyWithNothing(t *testing.T) {
	e := StartEnvoy(t, Options{})
	if got := string(e.Get(t, "/ready")); got != "LIVE\n" {
		t.Errorf("/ready says %q, want LIVE", got)
	}
	status, body := e.Fetch(t, "/nowhere")
	if status != http.StatusNotFound {
		t.Errorf("an unknown path: status %d: %s", status, body)
	}
}

func TestEnvoyFollowsControlPlane(t *testing.T) {
	cluster := func(name string) *clusterv3.Cluster {
		return &clusterv3.Cluster{
			Name:                 name,
			ConnectTimeout:       durationpb.New(1e9),
			ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		}
	}
	e := StartEnvoy(t, Options{
		Node:      &corev3.Node{Id: "router~10.0.0.1~gw.ns~ns.svc.cluster.local", Cluster: "gw"},
		Bootstrap: &bootstrapv3.Bootstrap{Node: &corev3.Node{Cluster: "merged"}},
		Resources: []proto.Message{cluster("before")},
	})
	if got := string(e.Get(t, "/server_info")); !strings.Contains(got, `"cluster": "merged"`) || !strings.Contains(got, `"id": "router~`) {
		t.Errorf("/server_info does not show the node of the options with what the bootstrap lays over it:\n%.400s", got)
	}
	if got := string(e.Get(t, "/clusters")); !strings.Contains(got, "before::") {
		t.Errorf("/clusters does not show the first cluster:\n%s", got)
	}
	if err := e.ControlPlane.Set("2", cluster("after")); err != nil {
		t.Fatal(err)
	}
	e.WaitFor(t, "replace its cluster", func() bool {
		got := string(e.Get(t, "/clusters"))
		return strings.Contains(got, "after::") && !strings.Contains(got, "before::")
	})
	if got := e.ControlPlane.Rejected(); len(got) > 0 {
		t.Errorf("Envoy rejected %v", got)
	}
}
