//go:build unix

package main

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/meshlark/meshlark/xds/cluster"
	"github.com/meshlark/meshlark/xds/endpoint"
	"github.com/meshlark/meshlark/xds/filterchain"
	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/route"
	"github.com/meshlark/meshlark/xds/routing"
	"github.com/meshlark/meshlark/xds/trace"
)

// sizes are the numbers of virtual hosts and of routes the cost of a trace is measured for.
var sizes = [...]int{10, 30, 100, 300, 1000, 3000, 10000}

// scale measures what traces cost by the size of the route table, beside jq, which is asked for the cluster of the same virtual host. It prints a table
// and draws it into a file.
func scale(out io.Writer, file string) error {
	dir, err := os.MkdirTemp("", "meshlark-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	lines := []line{
		{name: "jq, by virtual hosts", color: "#6b7280"},
		{name: "first trace, by virtual hosts", color: "#b45309"},
		{name: "further trace, by routes of one host", color: "#be185d"},
		{name: "further trace, by virtual hosts", color: "#1d4ed8"},
	}
	fmt.Fprintf(out, "%8s", "size")
	for _, l := range lines {
		fmt.Fprintf(out, "  %36s", l.name)
	}
	fmt.Fprintln(out)
	for _, n := range sizes {
		hosts, routes := tableOfHosts(n), tableOfRoutes(n)
		path := filepath.Join(dir, "table.json")
		if err := os.WriteFile(path, hosts, 0o600); err != nil {
			return err
		}
		byHosts, byRoutes := newScene(hosts), newScene(routes)
		ask := trace.Request{Host: host(n/2) + ":8080", Path: "/x", Destination: netip.MustParseAddrPort("10.0.0.1:8080")}
		want := outbound(host(n/2), 8080)
		jq, err := askJq(path, host(n/2), want)
		if err != nil {
			return err
		}
		first, err := fastest(func() error { return newScene(hosts).follow(ask, want) })
		if err != nil {
			return err
		}
		// The last route is the one that matches, after all others were tried.
		last := ask
		last.Host, last.Path = host(0)+":8080", fmt.Sprintf("/r%d/", n-1)
		further, err := fastest(func() error { return byRoutes.follow(last, outbound(host(n-1), 8080)) })
		if err != nil {
			return err
		}
		each, err := fastest(func() error { return byHosts.follow(ask, want) })
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%8d", n)
		for i, took := range [...]time.Duration{jq, first, further, each} {
			lines[i].points = append(lines[i].points, point{float64(n), took.Seconds()})
			fmt.Fprintf(out, "  %33.4f ms", took.Seconds()*1e3)
		}
		fmt.Fprintln(out)
	}
	p := plot{
		title: "What a trace costs by the size of the route table", lines: lines,
		x: axis{"virtual hosts, or routes of one virtual host", count}, y: axis{"seconds", seconds},
	}
	return os.WriteFile(file, p.svg(), 0o644)
}

// fastest is how long a call takes at best: a busy machine makes some take longer.
func fastest(call func() error) (time.Duration, error) {
	best := time.Duration(1<<63 - 1)
	for start := time.Now(); time.Since(start) < 500*time.Millisecond; {
		n := 0
		batch := time.Now()
		for ; n == 0 || time.Since(batch) < 5*time.Millisecond; n++ {
			if err := call(); err != nil {
				return 0, err
			}
		}
		best = min(best, time.Since(batch)/time.Duration(n))
	}
	return best, nil
}

// askJq is how long jq takes for the cluster of a virtual host.
func askJq(file, domain, want string) (time.Duration, error) {
	return fastest(func() error {
		out, err := exec.Command("jq", "-r", "--arg", "d", domain, `[.virtual_hosts[] | select(.domains | index($d))][0].routes[0].route.cluster`, file).Output()
		if got := string(bytes.TrimSpace(out)); err == nil && got != want {
			err = fmt.Errorf("jq gives %s, want %s", got, want)
		}
		return err
	})
}

func tableOfHosts(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"name":"8080","ignore_port_in_host_matching":true,"virtual_hosts":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		h := host(i)
		short := strings.TrimSuffix(h, ".svc.cluster.local")
		fmt.Fprintf(&b, `{"name":"%[1]s:8080","domains":["%[1]s","%[1]s.","%[2]s","%[2]s.svc","%[3]s"],"routes":[{"name":"default","match":{"prefix":"/"},"route":{"cluster":"%[4]s","timeout":"0s"},
			"decorator":{"operation":"%[1]s:8080/*"}}],"include_request_attempt_count":true}`, h, short, vip(i), outbound(h, 8080))
	}
	b.WriteString("]}")
	return b.Bytes()
}

func tableOfRoutes(n int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"name":"8080","ignore_port_in_host_matching":true,"virtual_hosts":[{"name":"one","domains":[%q],"routes":[`, host(0))
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"match":{"prefix":"/r%d/"},"route":{"cluster":%q}}`, i, outbound(host(i), 8080))
	}
	b.WriteString("]}]}")
	return b.Bytes()
}

// A scene is a proxy with one listener, one route table, and every cluster that is asked for.
type scene struct {
	listeners *filterchain.Listeners
	body      []byte
	table     *routing.Table // read when it is first asked for
	clusters  map[string]cluster.Cluster
}

func newScene(table []byte) *scene {
	body := rawjson.Value(`{"name":"0.0.0.0_8080","address":{"socket_address":{"address":"0.0.0.0","port_value":8080}},"filter_chains":[{"filters":[{"name":"http","typed_config":{
		"@type":"type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager","rds":{"route_config_name":"8080"},"http_filters":[
		{"name":"fault","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"}},
		{"name":"router","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}]}]}`)
	one := listener.Lazy(body, func() rawjson.Value { return body })
	return &scene{listeners: filterchain.NewListeners([]listener.Listener{one}), body: table, clusters: map[string]cluster.Cluster{}}
}

func (s *scene) Name() string                      { return "sidecar" }
func (s *scene) Listeners() *filterchain.Listeners { return s.listeners }
func (s *scene) Scopes(string) []rawjson.Value     { return nil }
func (s *scene) Envoy() match.Version              { return match.Version{} }
func (s *scene) Table(string) (*routing.Table, bool) {
	if s.table == nil {
		s.table = routing.New(route.New(rawjson.Value(s.body)))
	}
	return s.table, true
}

func (s *scene) Cluster(name string) (cluster.Cluster, bool) {
	c, ok := s.clusters[name]
	if !ok {
		c = cluster.New(fmt.Appendf(nil, `{"name":%q,"type":"STATIC","load_assignment":{"endpoints":[{"lb_endpoints":[{"endpoint":{"address":{"socket_address":{"address":"10.0.0.9","port_value":8080}}}}]}]}}`, name)).Index()
		s.clusters[name] = c
	}
	return c, true
}

func (s *scene) Endpoints(c cluster.Cluster) (endpoint.Assignment, bool) { return c.Assignment() }

// follow traces a request, which has to go to a cluster.
func (s *scene) follow(r trace.Request, want string) error {
	t := trace.Run(s, nil, r)
	if len(t.Hops) != 1 || t.Hops[0].Cluster != want {
		return fmt.Errorf("a request for %s%s does not go to %s: %s", r.Host, r.Path, want, t.Verdict)
	}
	return nil
}
