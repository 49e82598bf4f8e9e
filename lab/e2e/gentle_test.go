package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshlark/meshlark/lab"
)

// What one question costs the mesh, seen by the kubelet: which section of which proxies is asked for, and how often.
func TestQuestionsFetchTheirSectionOnly(t *testing.T) {
	const clusters, listeners, routes = "static_clusters,dynamic_active_clusters,dynamic_warming_clusters", "static_listeners,dynamic_listeners", "static_route_configs,dynamic_route_configs"
	const secrets = "static_secrets,dynamic_active_secrets,dynamic_warming_secrets"
	const reviews = "outbound|9080||reviews.default.svc.cluster.local"
	whole := map[string]int64{} // bytes of all of a section, by its question
	for _, question := range []struct {
		expr string
		mask string // of each dump that is asked for; "" when none is
		name string // what is handed to the Envoy, where the question is for a name
		of   string // the question about all, which has to cost ten times as much
	}{
		{expr: `proxies()`},
		{expr: `istiods()`},
		{expr: `clusters()`, mask: clusters},
		{expr: `listeners()`, mask: listeners},
		{expr: `routes()`, mask: routes},
		{expr: `secrets()`, mask: secrets},
		{expr: `clusters("` + reviews + `")`, mask: clusters, name: reviews, of: `clusters()`},
		{expr: `clusters("*|v2|reviews*")`, mask: clusters, name: "|v2|reviews", of: `clusters()`},
		{expr: `clusters(fqdn="reviews", subset="v2", port=9080, direction="outbound")`, mask: clusters, name: "v2", of: `clusters()`},
		{expr: `listeners("virtualOutbound")`, mask: listeners, name: "virtualOutbound", of: `listeners()`},
		{expr: `secrets("ROOTCA")`, mask: secrets, name: "ROOTCA"},
	} {
		t.Run(question.expr, func(t *testing.T) {
			mesh.Kubelet.Forget()
			ask(t, reader, question.expr, "-o", "json")
			proxies := map[string]int{}
			for _, x := range proxied(mesh.Kubelet.Exchanges()) {
				proxies[x.Pod]++
				whole[question.expr] += x.Bytes
				u, err := url.Parse(x.URI)
				if err != nil {
					t.Fatal(err)
				}
				if u.Path != "/config_dump" || u.Query().Get("mask") != question.mask {
					t.Errorf("%s was asked %s, want the mask %q and no more", x.Pod, x.URI, question.mask)
				}
				if pattern := strings.ReplaceAll(u.Query().Get("name_regex"), `\`, ""); (pattern == "") != (question.name == "") || !strings.Contains(pattern, question.name) {
					t.Errorf("%s was asked for the names %q, want %q", x.Pod, pattern, question.name)
				}
			}
			if want := len(mesh.Envoys()); question.mask != "" && len(proxies) != want || question.mask == "" && len(proxies) != 0 {
				t.Errorf("%d proxies were asked; of %d any question but the overview asks all", len(proxies), want)
			}
			for pod, n := range proxies {
				if n != 1 {
					t.Errorf("%s was asked %d times", pod, n)
				}
			}
			if all := whole[question.of]; question.of != "" && whole[question.expr]*10 > all {
				t.Errorf("it moved %d bytes, more than a tenth of the %d of %s", whole[question.expr], all, question.of)
			}
		})
	}
}

// proxied are the exchanges with proxies, without those with istiods.
func proxied(exchanges []lab.Exchange) []lab.Exchange {
	return slices.DeleteFunc(slices.Clone(exchanges), func(x lab.Exchange) bool { return strings.HasPrefix(x.Pod, "istiod-") })
}

// A proxy answers one request at a time, and a mesh no more than the sixteen that the documentation says.
func TestRequestsAtOnce(t *testing.T) {
	slow := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(50 * time.Millisecond) // so that those that may be under way together are
		fmt.Fprint(w, `{"configs":[]}`)
	})
	fleet(t, 24, slow)
	mesh.Kubelet.Forget()
	ask(t, reader, `[(len(p.clusters()), len(p.listeners())) for p in proxies()] + [len(x) for x in (clusters(), listeners(), routes(), secrets())]`, "-o", "json")
	exchanges := mesh.Kubelet.Exchanges()
	pod, all := lab.AtOnce(proxied(exchanges))
	if want := (24 + 7) * 4; len(proxied(exchanges)) != want {
		t.Errorf("%d requests to proxies, want %d: each section of each proxy once", len(proxied(exchanges)), want)
		for _, x := range proxied(exchanges) {
			t.Logf("%+v", x)
		}
	}
	if pod != 1 {
		t.Errorf("%d requests were under way with one proxy, want 1", pod)
	}
	if all < 2 || all > 16 {
		t.Errorf("%d requests were under way in all, want some and at most 16", all)
	}
	istiods, _ := lab.AtOnce(slices.DeleteFunc(exchanges, func(x lab.Exchange) bool { return !strings.HasPrefix(x.Pod, "istiod-") }))
	if istiods > 4 {
		t.Errorf("%d requests were under way with one istiod, want at most 4", istiods)
	}
	t.Logf("at once: %d with a proxy, %d with all proxies, %d with an istiod", pod, all, istiods)
}

// fleet adds pods in whose place a handler answers, until the end of the test.
func fleet(t *testing.T, n int, handler http.Handler) []*lab.Pod {
	t.Helper()
	var pods []*lab.Pod
	for i := range n {
		p, undo, err := mesh.StandIn(t.Context(), fmt.Sprintf("standin%d-v1", i), handler)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := undo(context.Background()); err != nil {
				t.Error(err)
			}
		})
		pods = append(pods, p)
	}
	return pods
}

// A script that would move more than --max-fetch fails with the figure as soon as it is known: after the first answer. Where it asks one proxy after the
// other it fails at the limit.
func TestMaxFetch(t *testing.T) {
	const each, proxies, limit = 1 << 20, 24, 10_000_000
	filler := strings.Repeat("x", 1<<10)
	fleet(t, proxies, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.ClustersConfigDump","dynamic_active_clusters":[`)
		for i := range each / len(filler) {
			if i > 0 {
				fmt.Fprint(w, ",")
			}
			fmt.Fprintf(w, `{"cluster":{"@type":"type.googleapis.com/envoy.config.cluster.v3.Cluster","name":"c%d","alt_stat_name":"%s"}}`, i, filler)
		}
		fmt.Fprint(w, `]}]}`)
	}))
	for _, question := range []struct {
		expr  string
		asked int   // proxies at most
		moved int64 // bytes at most
	}{
		{`len(clusters("c*", proxy="standin*"))`, 1, each + each/4},
		{`[len(p.clusters("c*")) for p in proxies("standin*")]`, limit / each, limit},
	} {
		mesh.Kubelet.Forget()
		got := runProgram(t, meshlark, append(reader, "--max-fetch", fmt.Sprint(limit), "-e", question.expr)...)
		if got.status != 3 || !strings.Contains(got.stderr, "MB, more than the limit of 10.0 MB") || !strings.Contains(got.stderr, "--max-fetch") {
			t.Errorf("%s: exit status %d, want 3 and the figure:\n%s%s", question.expr, got.status, got.stdout, got.stderr)
		}
		var moved int64
		for _, tunnel := range mesh.Kubelet.Tunnels() {
			moved += tunnel.Received
		}
		if n := len(proxied(mesh.Kubelet.Exchanges())); n > question.asked || moved > question.moved {
			t.Errorf("%s: %d proxies were asked and %d bytes moved, want %d and %d at most", question.expr, n, moved, question.asked, question.moved)
		}
	}
	if got := items[int](t, reader, `[len(clusters("c*", proxy="standin1-*"))]`, "--max-fetch", fmt.Sprint(limit)); got[0] != each/len(filler) {
		t.Errorf("a question within the limit has %d clusters, want %d", got[0], each/len(filler))
	}
}
