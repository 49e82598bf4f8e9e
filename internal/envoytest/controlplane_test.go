package envoytest

import (
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
)

func TestSetKeepsVersionOfUnchangedTypes(t *testing.T) {
	cp := StartControlPlane(t)
	listener := func() *listenerv3.Listener { return &listenerv3.Listener{Name: "same"} }
	if err := cp.Set("1", listener(), &clusterv3.Cluster{Name: "first"}); err != nil {
		t.Fatal(err)
	}
	if err := cp.Set("2", listener(), &clusterv3.Cluster{Name: "second"}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ url, want string }{
		{typeURL(&listenerv3.Listener{}), "1"},
		{typeURL(&clusterv3.Cluster{}), "2"},
	} {
		if got := cp.current.GetVersion(tt.url); got != tt.want {
			t.Errorf("%s is at version %q, want %q", tt.url, got, tt.want)
		}
	}
}

func TestSetRefusesWhatXDSDoesNotDeliver(t *testing.T) {
	err := StartControlPlane(t).Set("1", &corev3.Node{})
	if err == nil || !strings.Contains(err.Error(), "envoy.config.core.v3.Node") {
		t.Errorf("error is %v, want one that names the type", err)
	}
}
