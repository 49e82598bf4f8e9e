package routing_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/route"
	"github.com/meshlark/meshlark/xds/routing"
)

// sizes are the numbers of virtual hosts, and of routes in one of them, that the cost of a match is measured for.
var sizes = []int{10, 100, 1000, 10_000}

func config(hosts []string) route.RouteConfig {
	return route.New(rawjson.Value(`{"virtual_hosts":[` + strings.Join(hosts, ",") + `]}`))
}

// match1 measures matches of one request, which has to find a cluster.
func match1(b *testing.B, index *routing.Table, r *match.Request, want string) {
	b.ReportAllocs()
	for b.Loop() {
		if got := index.Match(r); got.Cluster != want {
			b.Fatalf("cluster %q, want %q", got.Cluster, want)
		}
	}
}

// BenchmarkHosts is the cost by the number of virtual hosts: it must not grow with it, whichever kind of domain is the one that fits.
func BenchmarkHosts(b *testing.B) {
	for _, n := range sizes {
		hosts := []string{`{"name":"rest","domains":["*"],"routes":[{"match":{"prefix":"/"},"route":{"cluster":"rest"}}]}`}
		for i := range n {
			hosts = append(hosts, fmt.Sprintf(`{"name":"v%[1]d","domains":["svc%[1]d.ns.svc.cluster.local","svc%[1]d.ns.svc.cluster.local:80","*.svc%[1]d.example.com","svc%[1]d.*"],
				"routes":[{"match":{"prefix":"/api"},"route":{"cluster":"api%[1]d"}},{"match":{"prefix":"/"},"route":{"cluster":"c%[1]d"}}]}`, i))
		}
		index := routing.New(config(hosts))
		middle := fmt.Sprintf("svc%d", n/2)
		for _, tc := range []struct{ domain, host, want string }{
			{"exact", middle + ".ns.svc.cluster.local", fmt.Sprintf("c%d", n/2)},
			{"suffix", "www." + middle + ".example.com", fmt.Sprintf("c%d", n/2)},
			{"prefix", middle + ".elsewhere", fmt.Sprintf("c%d", n/2)},
			{"any", "elsewhere", "rest"},
		} {
			b.Run(fmt.Sprintf("%s/n=%d", tc.domain, n), func(b *testing.B) {
				match1(b, index, &match.Request{Host: tc.host, Path: "/x"}, tc.want)
			})
		}
	}
}

// BenchmarkRoutes is the cost by the number of routes of one virtual host, which are tried in order: for the first, and for the last.
func BenchmarkRoutes(b *testing.B) {
	for _, n := range append([]int{1}, sizes...) {
		var routes []string
		for i := range n {
			routes = append(routes, fmt.Sprintf(`{"match":{"prefix":"/r%[1]d/"},"route":{"cluster":"c%[1]d"}}`, i))
		}
		index := routing.New(config([]string{`{"name":"one","domains":["*"],"routes":[` + strings.Join(routes, ",") + `]}`}))
		for _, tc := range []struct {
			route string
			i     int
		}{{"first", 0}, {"last", n - 1}} {
			b.Run(fmt.Sprintf("%s/n=%d", tc.route, n), func(b *testing.B) {
				match1(b, index, &match.Request{Host: "h", Path: fmt.Sprintf("/r%d/", tc.i)}, fmt.Sprintf("c%d", tc.i))
			})
		}
	}
}

// BenchmarkIndex is the cost of making a table ready.
func BenchmarkIndex(b *testing.B) {
	for _, n := range sizes {
		var hosts []string
		for i := range n {
			hosts = append(hosts, fmt.Sprintf(`{"name":"v%[1]d","domains":["svc%[1]d"],"routes":[{"match":{"prefix":"/"},"route":{"cluster":"c%[1]d"}}]}`, i))
		}
		view := config(hosts)
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			for b.Loop() {
				routing.New(view)
			}
		})
	}
}
