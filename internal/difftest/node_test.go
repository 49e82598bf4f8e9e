package difftest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshlark/meshlark/internal/envoytest"
	"github.com/meshlark/meshlark/xds/cluster"
	"github.com/meshlark/meshlark/xds/endpoint"
	"github.com/meshlark/meshlark/xds/filterchain"
	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/route"
	"github.com/meshlark/meshlark/xds/routing"
)

// A node is the configuration of one proxy: what an Envoy is given, and what the prediction reads.
type node struct {
	name                                string
	identity                            string
	address                             netip.Addr
	listeners, clusters, tables, scopes []any
}

// parts are what the control plane gives the node, by kind.
func (n *node) parts() dict {
	return dict{"listeners": n.listeners, "clusters": n.clusters, "tables": n.tables, "scopes": n.scopes}
}

// A config is a node as the prediction reads it.
type config struct {
	*node
	views    []listener.Listener
	byName   map[string]cluster.Cluster
	routes   map[string]*routing.Table
	scopeSet []rawjson.Value
}

func newConfig(n *node) *config {
	c := &config{node: n, byName: map[string]cluster.Cluster{}, routes: map[string]*routing.Table{}}
	for _, l := range n.listeners {
		c.views = append(c.views, listener.New(text(l)))
	}
	for _, d := range n.clusters {
		c.byName[d.(dict)["name"].(string)] = cluster.New(text(d))
	}
	for _, d := range n.tables {
		c.routes[d.(dict)["name"].(string)] = routing.New(route.New(text(d)))
	}
	for _, d := range n.scopes {
		c.scopeSet = append(c.scopeSet, text(d))
	}
	return c
}

func (c *config) Name() string                                            { return c.name }
func (c *config) Identity() string                                        { return c.identity }
func (c *config) Address() netip.Addr                                     { return c.address }
func (c *config) Listeners() *filterchain.Listeners                       { return filterchain.NewListeners(c.views) }
func (c *config) Table(name string) (*routing.Table, bool)                { t, ok := c.routes[name]; return t, ok }
func (c *config) Scopes(string) []rawjson.Value                           { return c.scopeSet }
func (c *config) Cluster(name string) (cluster.Cluster, bool)             { v, ok := c.byName[name]; return v, ok }
func (c *config) Endpoints(v cluster.Cluster) (endpoint.Assignment, bool) { return v.Assignment() }
func (c *config) Envoy() match.Version                                    { return match.Version{} }

// resources are what the control plane gives the node.
func (n *node) resources(t testing.TB, log string) []proto.Message {
	t.Helper()
	var out []proto.Message
	for _, d := range n.clusters {
		out = append(out, decode(t, &clusterv3.Cluster{}, d.(dict)))
	}
	for _, d := range n.tables {
		out = append(out, decode(t, &routev3.RouteConfiguration{}, d.(dict)))
	}
	for _, d := range n.scopes {
		out = append(out, decode(t, &routev3.ScopedRouteConfiguration{}, d.(dict)))
	}
	for _, d := range n.logTo(log) {
		out = append(out, decode(t, &listenerv3.Listener{}, d.(dict)))
	}
	return out
}

// A logged is one line of an access log.
type logged struct {
	Of       string // connection, http or tcp
	Listener string
	Chain    string
	From     string // the address the connection came from
	ID       string // of the request
	Route    string
	Cluster  string
	Host     string // the endpoint
	Flags    string
	Details  string
	Code     int
	Local    string // the proxy's own address towards the endpoint
	Peer     string // the identity of the client
	Ended    string // why the connection was closed
}

// accessLog is a log that tells what became of a connection or request of a listener.
func accessLog(path, of, name string) []any {
	return []any{dict{"name": "file", "typed_config": dict{
		"@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog", "path": path,
		"log_format": dict{"json_format": dict{
			"Of": of, "Listener": name, "Chain": "%FILTER_CHAIN_NAME%", "From": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%", "ID": "%REQ(X-ID)%", "Route": "%ROUTE_NAME%",
			"Cluster": "%UPSTREAM_CLUSTER_RAW%", "Host": "%UPSTREAM_HOST%", "Flags": "%RESPONSE_FLAGS%", "Details": "%RESPONSE_CODE_DETAILS%", "Code": "%RESPONSE_CODE%",
			"Local": "%UPSTREAM_LOCAL_ADDRESS%", "Peer": "%DOWNSTREAM_PEER_URI_SAN%",
			"Ended": "%CONNECTION_TERMINATION_DETAILS%",
		}},
	}}}
}

// logTo is the listeners of the node, with every one of them, connection manager and TCP proxy writing an access log.
func (n *node) logTo(path string) []any {
	listeners := listOf(clone(n.listeners))
	for _, v := range listeners {
		l := v.(dict)
		name := l["name"].(string)
		l["access_log"] = accessLog(path, "connection", name)
		chains, _ := l["filter_chains"].([]any)
		if last, ok := l["default_filter_chain"]; ok {
			chains = append(chains[:len(chains):len(chains)], last)
		}
		for _, chain := range chains {
			for _, f := range listOf(chain.(dict)["filters"]) {
				d := f.(dict)["typed_config"].(dict)
				switch d["@type"] {
				case "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager":
					d["access_log"] = accessLog(path, "http", name)
				case "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy":
					d["access_log"] = accessLog(path, "tcp", name)
				}
			}
		}
	}
	return listeners
}

// clone copies a piece of configuration.
func clone(v any) any {
	var out any
	if err := json.Unmarshal(text(v), &out); err != nil {
		panic(err) // it was JSON a moment ago
	}
	return out
}

// A process is a node that runs.
type process struct {
	*node
	*envoytest.Envoy
	log string
}

// start runs an Envoy with the configuration of a node. problem is why it did not take all of it.
func (n *node) start(t testing.TB) (p process, problem string) {
	t.Helper()
	p = process{node: n, log: filepath.Join(t.TempDir(), "access.log")}
	bootstrap := decode(t, &bootstrapv3.Bootstrap{}, dict{
		"layered_runtime": dict{"layers": []any{dict{"name": "static", "static_layer": runtime}, dict{"name": "admin", "admin_layer": dict{}}}},
		"bootstrap_extensions": []any{dict{"name": "internal", "typed_config": dict{
			"@type": "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener",
		}}},
	})
	p.Envoy = envoytest.StartEnvoy(t, envoytest.Options{Bootstrap: bootstrap, Resources: n.resources(t, p.log),
		Args: []string{"--file-flush-interval-msec", "20", "--component-log-level", "misc:error,config:error,upstream:error,main:error"}})
	p.WaitFor(t, "take over its listeners", func() bool {
		if rejected := p.ControlPlane.Rejected(); len(rejected) > 0 {
			problem = rejected[0].Details
			return true
		}
		return bytes.Contains(p.Get(t, "/stats?filter=listener_manager.total_listeners_active"), fmt.Appendf(nil, "active: %d\n", len(n.listeners)))
	})
	return p, problem
}

// logLimit is how long an Envoy has to write what it logs, which it does every few milliseconds.
const logLimit = 15 * time.Second

// lines reads the access log until nothing is missing any more.
func (p process) lines(t testing.TB, missing func([]logged) []string) []logged {
	t.Helper()
	for deadline := time.Now().Add(logLimit); ; time.Sleep(10 * time.Millisecond) {
		var out []logged
		content, err := os.ReadFile(p.log)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		for line := range bytes.Lines(content) {
			if !bytes.HasSuffix(line, []byte("\n")) {
				break
			}
			var l logged
			if err := json.Unmarshal(line, &l); err != nil {
				t.Fatalf("read the access log: %v: %s", err, line)
			}
			out = append(out, l)
		}
		left := missing(out)
		if len(left) == 0 {
			return out
		}
		if time.Now().After(deadline) {
			t.Errorf("%s: the access log has nothing of %s", p.name, strings.Join(left, "; "))
			return out
		}
	}
}

// soon has lines wait for what is missing for a second only, and go on without it.
func soon(missing func([]logged) []string) func([]logged) []string {
	until := time.Now().Add(time.Second)
	return func(lines []logged) []string {
		if time.Now().After(until) {
			return nil
		}
		return missing(lines)
	}
}

// unclosed are the connections, by where they came from, whose end is not in the log.
func unclosed(lines []logged, from map[string]dial) []string {
	var out []string
	closed := map[string]bool{}
	for _, l := range lines {
		closed[l.From] = closed[l.From] || l.Of == "connection"
	}
	for name, d := range from {
		if !closed[name] {
			out = append(out, d.String())
		}
	}
	return out
}
