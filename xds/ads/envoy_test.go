package ads_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/internal/envoytest"
	"github.com/meshlark/meshlark/xds/ads"
	"github.com/meshlark/meshlark/xds/dump"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
)

// What is fetched reads, but for the order of maps, as an Envoy shows the same resources, private material redacted. Endpoints are left out: what Envoy
// shows of them is what it made of them.
func TestAsEnvoy(t *testing.T) {
	scene := envoytest.StartScene(t)
	store := resource.NewStore()
	shown, err := dump.Split(store, scene.Get(t, "/config_dump"), dump.Options{Source: "envoy"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := client(t, scene.ControlPlane.Addr().String(), ads.Options{}).Fetch(t.Context(), node(t, `{"id":"envoytest"}`))
	if err != nil {
		t.Fatal(err)
	}
	fetched, err := dump.Split(store, got.Dump(), dump.Options{Source: "ads"})
	if err != nil {
		t.Fatal(err)
	}
	read := func(r *resource.Resource) rawjson.Value {
		raw, err := r.Raw()
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	same, reordered := map[resource.Kind]int{}, 0
	for _, kind := range []resource.Kind{resource.Cluster, resource.Listener, resource.RouteConfig, resource.Secret, resource.Extension, resource.ScopedRoutes} {
		bodies := map[string]rawjson.Value{}
		for _, r := range fetched.Resources(kind) {
			bodies[r.Name()] = read(r)
		}
		// What Envoy refused, and what it goes on to run while the new one is warming, is not what it was sent last.
		old := map[string]bool{}
		for _, r := range shown.Resources(kind) {
			old[r.Name()] = old[r.Name()] || r.State() == resource.Error || r.State() == resource.Warming
		}
		for _, r := range shown.Resources(kind) {
			own, ok := bodies[r.Name()]
			if !ok || r.State() != resource.Warming && (old[r.Name()] || r.State() != resource.Active) {
				continue
			}
			if diff := cmp.Diff(string(rawjson.Canonical(nil, read(r))), string(rawjson.Canonical(nil, own))); diff != "" {
				t.Errorf("%s %s (-Envoy +fetched):\n%s", kind, r.Name(), diff)
			}
			same[kind]++
			if !bytes.Equal(read(r), own) {
				reordered++
			}
		}
	}
	t.Logf("compared %v; other bytes of the same meaning: %d", same, reordered)
	for kind, least := range map[resource.Kind]int{resource.Cluster: 20, resource.Listener: 10, resource.RouteConfig: 4, resource.Secret: 4, resource.Extension: 1, resource.ScopedRoutes: 1} {
		if same[kind] < least {
			t.Errorf("compared %d of %s, want at least %d", same[kind], kind, least)
		}
	}
}
