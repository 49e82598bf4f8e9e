package difftest

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshlark/meshlark/xds/cluster"
	"github.com/meshlark/meshlark/xds/filterchain"
	"github.com/meshlark/meshlark/xds/trace"
)

// twoNodes is a mesh of a client's proxy and the one of the service behind 10.244.1.1.
type twoNodes struct{ server *config }

// ProxyAt is the server's for all addresses: redirection in the namespace sends it all that comes from the client's proxy.
func (m twoNodes) ProxyAt(netip.AddrPort) (trace.Config, bool) { return m.server, true }

const meshFrom = toInbound + "10" // the client proxy's connections come from there

// The protocols clusters of a mesh offer and chains ask for.
var meshProtocols = [][]string{{"istio-peer-exchange", "istio"}, {"istio"}, {"istio-http/1.1", "istio"}, {"http/1.1"}, nil}

// meshSocket is a TLS socket for the client's side. A client without a certificate has none to show.
func (p picker) meshSocket(certs pki, id identity) dict {
	common := dict{"validation_context": dict{"trusted_ca": dict{"inline_string": certs.root}}}
	if alpn := one(p, meshProtocols...); alpn != nil {
		common["alpn_protocols"] = alpn
	}
	if id.cert != nil {
		common["tls_certificates"] = []any{id.pem()}
	}
	d := dict{"common_tls_context": common}
	if p.chance(.5) {
		d["sni"] = one(p, "outbound_.9080_._.srv", "a.com")
	}
	return dict{"name": "tls", "typed_config": withType(d, "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext")}
}

// once has connections to a cluster serve one request each, from an address of the client's proxy.
func once(d dict) dict {
	d["typed_extension_protocol_options"] = dict{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": withType(dict{
		"common_http_protocol_options": dict{"max_requests_per_connection": 1}, "explicit_http_config": dict{"http_protocol_options": dict{}},
	}, "envoy.extensions.upstreams.http.v3.HttpProtocolOptions")}
	d["upstream_bind_config"] = dict{"source_address": dict{"address": meshFrom, "port_value": 0}}
	return d
}

// toServer makes a cluster of the service's port, with connections of one kind or of a kind for each endpoint.
func (p picker) toServer(name string, port int, certs pki, id identity) dict {
	d := once(staticCluster(name, podIP, port))
	secure := func() dict { return p.meshSocket(certs, id) }
	switch p.IntN(5) {
	case 0:
	case 1:
		d["transport_socket_matches"] = []any{
			dict{"name": "tlsMode-istio", "match": dict{"tlsMode": "istio"}, "transport_socket": secure()},
			dict{"name": "tlsMode-disabled", "match": dict{}, "transport_socket": dict{"name": "raw", "typed_config": dict{"@type": "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"}}},
		}
		if p.chance(.5) {
			lb := d["load_assignment"].(dict)["endpoints"].([]any)[0].(dict)["lb_endpoints"].([]any)[0].(dict)
			lb["metadata"] = dict{"filter_metadata": dict{"envoy.transport_socket_match": dict{"tlsMode": "istio"}}}
		}
	default:
		d["transport_socket"] = secure()
	}
	return d
}

// aggregate makes a cluster of others.
func aggregate(name string, of ...string) dict {
	return dict{"name": name, "connect_timeout": "1s", "lb_policy": "CLUSTER_PROVIDED", "cluster_type": dict{
		"name": "envoy.clusters.aggregate", "typed_config": withType(dict{"clusters": of}, "envoy.extensions.clusters.aggregate.v3.ClusterConfig"),
	}}
}

// meshClient makes the proxy of a client.
func (p picker) meshClient(certs pki, id identity) *node {
	n := &node{name: "client", address: netip.MustParseAddr(meshFrom)}
	if len(id.peer.URISANs) > 0 {
		n.identity = id.peer.URISANs[0]
	}
	passthrough := once(dict{"name": "PassthroughCluster", "type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED", "connect_timeout": "1s"})
	n.clusters = []any{
		passthrough, dict{"name": "empty", "type": "STATIC", "connect_timeout": "1s"}, dict{"name": "BlackHoleCluster", "type": "STATIC", "connect_timeout": "1s"},
		p.toServer("to-9080", 9080, certs, id), p.toServer("to-9080-b", 9080, certs, id), p.toServer("to-8000", 8000, certs, id), p.toServer("to-8001", 8001, certs, id),
		aggregate("all", some(p, 2, "empty", "to-9080", "to-8000", "missing")...),
		dict{"name": "inside", "type": "STATIC", "connect_timeout": "1s", "load_assignment": dict{"cluster_name": "inside", "endpoints": []any{dict{"lb_endpoints": []any{dict{
			"endpoint": dict{"address": dict{"envoy_internal_address": dict{"server_listener_name": "inner"}}},
		}}}}}},
	}
	somewhere := func() string {
		return one(p, "to-9080", "to-9080", "to-9080-b", "to-9080-b", "to-8000", "to-8001", "all", "inside", "empty", "PassthroughCluster")
	}
	routes := func(name string) dict {
		return dict{"name": name, "validate_clusters": false, "virtual_hosts": []any{dict{"name": name, "domains": []string{"*"}, "routes": []any{
			dict{"name": name + "-jason", "match": dict{"prefix": "/", "headers": []any{dict{"name": "end-user", "string_match": dict{"exact": "jason"}}}}, "route": dict{"cluster": somewhere()}},
			dict{"name": name + "-a", "match": dict{"path_separated_prefix": "/a"}, "route": dict{"cluster": somewhere(), "prefix_rewrite": one(p, "/", "/b", "/a")}},
			dict{"name": name + "-rest", "match": dict{"prefix": "/"}, "route": dict{"cluster": somewhere()}},
		}}}}
	}
	n.tables = append(n.tables, routes("blue"), routes("green"), routes("9080"))
	n.scopes = []any{
		dict{"name": "s1", "route_configuration_name": "blue", "key": dict{"fragments": []any{dict{"string_key": "one"}}}},
		dict{"name": "s2", "route_configuration_name": "green", "key": dict{"fragments": []any{dict{"string_key": "two"}}}},
	}
	extractor := dict{"name": "x-tenant"}
	switch p.IntN(4) {
	case 0:
		extractor["index"] = 0
	case 1:
		extractor["index"], extractor["element_separator"] = p.IntN(2), ","
	case 2:
		extractor["element_separator"], extractor["element"] = ";", dict{"key": "t", "separator": "="}
	case 3:
		extractor["element_separator"], extractor["element"] = ",", dict{"key": "t", "separator": ":"}
	}
	inner := routes("inner")
	for _, r := range inner["virtual_hosts"].([]any)[0].(dict)["routes"].([]any) {
		if action := r.(dict)["route"].(dict); action["cluster"] == "inside" || action["cluster"] == "PassthroughCluster" {
			action["cluster"] = "to-9080" // inside would come to itself; where the client wanted to go is not known here
		}
	}
	n.listeners = []any{
		dict{"name": "virtualOutbound", "address": socket("0.0.0.0", 15001), "use_original_dst": true, "traffic_direction": "OUTBOUND", "filter_chains": []any{
			tcpChain("virtualOutbound-blackhole", "BlackHoleCluster", dict{"destination_port": 15001}), tcpChain("virtualOutbound-catchall-tcp", "PassthroughCluster", nil),
		}},
		dict{"name": "0.0.0.0_9080", "address": socket("0.0.0.0", 9080), "bind_to_port": false, "traffic_direction": "OUTBOUND", "listener_filters": inspectors("tls_inspector", "http_inspector"),
			"filter_chains":        []any{httpChain("9080-http", dict{"rds": dict{"route_config_name": "9080", "config_source": ads}}, plainHTTP())},
			"default_filter_chain": tcpChain("9080-tcp", one(p, "to-9080", "PassthroughCluster"), nil)},
		dict{"name": "10.96.0.1_8000", "address": socket("10.96.0.1", 8000), "bind_to_port": false, "traffic_direction": "OUTBOUND",
			"filter_chains": []any{tcpChain("8000-tcp", one(p, "to-8000", "to-8001", "all"), nil)}},
		dict{"name": "10.96.0.2_8001", "address": socket("10.96.0.2", 8001), "bind_to_port": false, "traffic_direction": "OUTBOUND",
			"filter_chains": []any{httpChain("8001-scoped", dict{"scoped_routes": dict{
				"name": "by-tenant", "scope_key_builder": dict{"fragments": []any{dict{"header_value_extractor": extractor}}},
				"rds_config_source": ads, "scoped_rds": dict{"scoped_rds_config_source": ads},
			}}, nil)}},
		dict{"name": "inner", "internal_listener": dict{}, "filter_chains": []any{httpChain("inner-http", dict{"route_config": inner}, nil)}},
	}
	return n
}

// meshServer makes the proxy of the service.
func (p picker) meshServer(certs pki) *node {
	n := &node{name: "server", address: netip.MustParseAddr(podIP)}
	ending := func() dict {
		d := dict{"common_tls_context": dict{
			"tls_certificates":   []any{dict{"certificate_chain": dict{"inline_string": certs.server}, "private_key": dict{"inline_string": certs.serverKey}}},
			"validation_context": dict{"trusted_ca": dict{"inline_string": certs.root}}, "alpn_protocols": []string{"istio-peer-exchange", "http/1.1"},
		}}
		if p.chance(.8) {
			d["require_client_certificate"] = true
		}
		return dict{"name": "tls", "typed_config": withType(d, "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext")}
	}
	bound := dict{"source_address": dict{"address": "127.0.0.6", "port_value": 0}}
	n.clusters = []any{
		dict{"name": "BlackHoleCluster", "type": "STATIC", "connect_timeout": "1s"},
		dict{"name": "InboundPassthroughCluster", "type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED", "connect_timeout": "1s", "upstream_bind_config": bound},
	}
	chains := []any{tcpChain("virtualInbound-blackhole", "BlackHoleCluster", dict{"destination_port": 15006})}
	for _, port := range []int{9080, 8000} {
		name := fmt.Sprintf("inbound|%d||", port)
		n.clusters = append(n.clusters, dict{"name": name, "type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED", "connect_timeout": "1s", "upstream_bind_config": bound})
		http := port == 9080 || p.chance(.4)
		make := func(kind string, fits dict) dict {
			fits["destination_port"] = port
			var chain dict
			if http {
				chain = httpChain(fmt.Sprint(port, "-", kind), dict{"route_config": dict{"name": name, "validate_clusters": false, "virtual_hosts": []any{dict{"name": name, "domains": []string{"*"}, "routes": []any{
					dict{"name": "gone", "match": dict{"prefix": "/gone"}, "direct_response": dict{"status": 410}},
					dict{"name": "default", "match": dict{"prefix": "/"}, "route": dict{"cluster": name}},
				}}}}}, fits)
				manager := chain["filters"].([]any)[0].(dict)["typed_config"].(dict)
				if p.chance(.6) {
					manager["http_filters"] = append([]any{dict{"name": "envoy.filters.http.rbac", "typed_config": withType(dict{"rules": p.meshRules(true)}, "envoy.extensions.filters.http.rbac.v3.RBAC")}}, manager["http_filters"].([]any)...)
				}
			} else {
				chain = tcpChain(fmt.Sprint(port, "-", kind), name, fits)
			}
			if p.chance(.3) {
				chain["filters"] = append([]any{network("envoy.filters.network.rbac", "rbac.v3.RBAC", dict{"stat_prefix": "rbac", "rules": p.meshRules(false)})}, chain["filters"].([]any)...)
			}
			return chain
		}
		secure := func(kind string, fits dict) dict {
			chain := make(kind, fits)
			chain["transport_socket"] = ending()
			return chain
		}
		mode := one(p, "STRICT", "PERMISSIVE", "PERMISSIVE", "DISABLE", "ANY-TLS")
		switch mode {
		case "STRICT", "PERMISSIVE":
			chains = append(chains, secure("mtls", dict{"transport_protocol": "tls", "application_protocols": one(p, []string{"istio", "istio-peer-exchange", "istio-http/1.1"}, []string{"istio-peer-exchange"}, []string{"istio-http/1.1", "http/1.1"})}))
		case "ANY-TLS":
			chains = append(chains, secure("tls", dict{"transport_protocol": "tls"}))
		}
		if mode != "STRICT" {
			chains = append(chains, make("plain", dict{"transport_protocol": "raw_buffer"}))
		}
	}
	if p.chance(.5) {
		last := tcpChain("virtualInbound-tls", "InboundPassthroughCluster", dict{"transport_protocol": "tls", "application_protocols": []string{"istio", "istio-peer-exchange"}})
		last["transport_socket"] = ending()
		chains = append(chains, last)
	}
	chains = append(chains, tcpChain("virtualInbound-catchall", one(p, "InboundPassthroughCluster", "BlackHoleCluster"), one(p, nil, dict{"transport_protocol": "raw_buffer"})))
	n.listeners = []any{dict{"name": "virtualInbound", "address": socket("0.0.0.0", 15006), "traffic_direction": "INBOUND", "filter_chains": chains, "listener_filters": inspectors("original_dst", "tls_inspector", "http_inspector")}}
	return n
}

// meshRules makes access rules by principal, as AuthorizationPolicies become.
func (p picker) meshRules(http bool) dict {
	principal := func() dict {
		switch p.IntN(4) {
		case 0:
			return dict{"direct_remote_ip": dict{"address_prefix": meshFrom, "prefix_len": 32}}
		case 1:
			return dict{"authenticated": dict{}}
		}
		return dict{"authenticated": dict{"principal_name": one(p, dict{"exact": spiffeWords[0]}, dict{"exact": spiffeWords[1]}, dict{"prefix": "spiffe://cluster.local/ns/a/"})}}
	}
	permission := func() dict {
		if http && p.chance(.5) {
			return dict{"url_path": dict{"path": dict{"prefix": one(p, "/a", "/b")}}}
		}
		return one(p, dict{"any": true}, dict{"any": true}, dict{"destination_port": one(p, servicePorts...)})
	}
	policies := dict{}
	for i := range 1 + p.IntN(2) {
		policies[fmt.Sprintf("ns[a]-policy[p]-rule[%d]", i)] = dict{"permissions": []any{permission()}, "principals": []any{principal()}}
	}
	return dict{"action": one(p, "ALLOW", "DENY"), "policies": policies}
}

// meshDial makes a connection of the client's application.
func (p picker) meshDial(port int) dial {
	d := dial{from: netip.AddrPortFrom(netip.MustParseAddr(toOutbound+"5"), uint16(port)), request: request{Method: "GET", Host: "srv", Path: one(p, "/", "/a", "/a/b", "/b", "/gone")}}
	d.request.set("x-id", d.from.String())
	if p.chance(.35) {
		d.request.set("end-user", "jason")
	}
	switch p.IntN(8) {
	case 0:
		d.to = netip.MustParseAddrPort("10.96.0.1:8000")
	case 1, 2:
		d.to = netip.MustParseAddrPort("10.96.0.2:8001")
	case 3:
		d.to = netip.MustParseAddrPort(fmt.Sprintf("%s:%d", podIP, one(p, 8000, 8001)))
	default:
		d.to = netip.MustParseAddrPort(one(p, podIP, podIP, "10.96.0.3") + ":9080")
	}
	if p.chance(.85) {
		d.request.set("x-tenant", one(p, "one", "two", "one,two", "t=one;u=two", "a;t=two", "u:x,t:one", "t", "three,one"))
	}
	if d.to.Port() != 8001 && p.chance(.12) {
		d.client = filterchain.Client{TLS: true, SNI: one(p, secureHosts...), ALPN: one(p, meshProtocols...)}
	}
	return d
}

// A meshCase is one connection through both proxies, and what their logs have of it.
type meshCase struct {
	dial
	want   trace.Trace
	hops   [][]logged // as the prediction has hops
	unseen bool       // the logs do not tell which of the server's connections it was
}

// find takes what the logs have of the connection.
func (c *meshCase) find(client, server []logged) {
	from := c.from.String()
	var mine []logged
	for _, l := range client {
		if l.From == from || l.ID == from {
			mine = append(mine, l)
		}
	}
	for i, hop := range c.want.Hops {
		var lines []logged
		if hop.Proxy == "client" {
			for _, l := range mine {
				if l.Listener == hop.Listener || i == 0 && l.From == from {
					lines = append(lines, l)
				}
			}
			if hop.Listener == "inner" && len(lines) == 1 {
				lines = append(lines, logged{Of: "connection", Listener: lines[0].Listener, Chain: lines[0].Chain}) // whose address tells nothing
			}
		} else {
			local := ""
			for _, l := range c.hops[i-1] {
				if l.Of != "connection" {
					local = l.Local
				}
			}
			for _, l := range server {
				if l.ID == from {
					local = l.From // redirection may have changed the port
				}
			}
			for _, l := range server {
				if l.From == local && local != "" {
					lines = append(lines, l)
				}
			}
			ends := 0
			for _, l := range lines {
				if l.Of == "connection" {
					ends++
				}
			}
			c.unseen = ends != 1 // or it is of two connections one after the other
		}
		c.hops = append(c.hops, lines)
	}
}

// differences are how the proxies did otherwise than predicted.
func (c *meshCase) differences() []string {
	var out []string
	for i, hop := range c.want.Hops {
		last := i == len(c.want.Hops)-1
		v := &c.want.Verdict
		if !last {
			v = nil
		}
		if last && c.unseen {
			if v.Reached && hop.HTTP == nil && c.want.Hops[i-1].TLS != cluster.Plaintext {
				continue // the application does not know TLS
			}
			if v.Reached && !slices.ContainsFunc(c.hops[i-1], func(l logged) bool { return l.Local != "" }) {
				out = append(out, fmt.Sprintf("hop %d: no connection was made, predicted %v", i-1, v))
			}
			for _, l := range c.hops[i-1] {
				if l.Of != "connection" && l.Local == "" && !strings.Contains(l.Flags, "UF") {
					out = append(out, fmt.Sprintf("hop %d: flags: Envoy %s, predicted a failure to connect", i-1, l.Flags))
				}
			}
			continue
		}
		for _, text := range hopDifferences(hop, c.hops[i], v) {
			out = append(out, fmt.Sprintf("hop %d: %s", i, text))
		}
	}
	return out
}

// differs runs both proxies for the connection alone, and reports whether they did otherwise than predicted.
func (c *meshCase) differs(t *testing.T, nodes []*node) bool {
	server, problem := nodes[1].start(t)
	if problem != "" {
		return false
	}
	client, problem := nodes[0].start(t)
	if problem != "" || c.run() != nil {
		return false
	}
	again := &meshCase{dial: c.dial}
	again.want = again.predictFrom(newConfig(nodes[0]), twoNodes{newConfig(nodes[1])})
	lines := client.lines(t, soon(func(lines []logged) []string { return unclosed(lines, map[string]dial{c.from.String(): c.dial}) }))
	until := time.Now().Add(time.Second / 5) // the server's end comes soon after
	again.find(lines, server.lines(t, func([]logged) []string {
		if time.Now().Before(until) {
			return []string{"its end"}
		}
		return nil
	}))
	return len(again.differences()) > 0
}

// TestMesh compares what becomes of connections that pass two proxies, the second of which asks for mutual TLS and has access rules.
func TestMesh(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	application(t, servicePorts...)
	certs := newPKI(t)
	outcomes, kinds := map[string]int{}, map[string]int{}
	pairs, differ, unseen := 0, 0, 0
	port := 20000
	count := max(3, *configs/8)
	for i := range count {
		seed := *seedFlag + uint64(i)
		p := newPicker(seed)
		id := one(p, certs.clients[0], certs.clients[1], certs.clients[1], certs.clients[3])
		var faults []func()
		whole := t
		from, to := p.meshClient(certs, id), p.meshServer(certs)
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			server, problem := to.start(t)
			if problem != "" {
				t.Fatalf("Envoy refuses the server's configuration: %s", problem)
			}
			client, problem := from.start(t)
			if problem != "" {
				t.Fatalf("Envoy refuses the client's configuration: %s", problem)
			}
			config, mesh := newConfig(from), twoNodes{newConfig(to)}
			var cases []*meshCase
			for range min(*requests, 50) {
				if port++; port > 60000 {
					port = 20001
				}
				c := &meshCase{dial: p.meshDial(port)}
				if err := c.run(); err != nil {
					t.Errorf("%v: %v", c.dial, err)
					continue
				}
				c.want = c.predictFrom(config, mesh)
				cases = append(cases, c)
			}
			sent := map[string]dial{}
			for _, c := range cases {
				sent[c.from.String()] = c.dial
			}
			clientLog := client.lines(t, func(lines []logged) []string { return unclosed(lines, sent) })
			reaching, asked := 0, time.Now()
			for _, c := range cases {
				if c.want.Hops[len(c.want.Hops)-1].Proxy == "server" {
					reaching++
				}
			}
			ends := map[string]bool{}
			for _, l := range clientLog {
				if strings.HasPrefix(l.Local, meshFrom+":") && l.Of != "connection" {
					ends[l.Local] = true
				}
			}
			serverLog := server.lines(t, func(lines []logged) []string {
				left, all := maps.Clone(ends), 0
				for _, l := range lines {
					if l.Of == "connection" {
						delete(left, l.From)
						all++
					}
				}
				if all >= reaching && len(left) == 0 || time.Since(asked) > 2*time.Second {
					return nil
				}
				return slices.Collect(maps.Keys(left))
			})
			// Not all can be told apart: of those that fail in the handshake the client does not log its address, and redirection may change the port.
			// So how many each chain has is compared too.
			alone := map[string]int{}
			for _, l := range serverLog {
				if l.Of == "connection" {
					alone[cmp.Or(l.Chain, l.Flags+" "+l.Details)]++
				}
			}
			for _, c := range cases {
				c.find(clientLog, serverLog)
				pairs++
				if c.unseen {
					unseen++
				}
				if last, v := c.want.Hops[len(c.want.Hops)-1], c.want.Verdict; last.Proxy == "server" {
					alone[cmp.Or(last.Chain, v.Flags+" "+v.Details)]--
				}
				outcomes[c.outcome()]++
				diffs := c.differences()
				if len(diffs) == 0 {
					continue
				}
				differ++
				kind := strings.Join(strings.SplitN(diffs[0], ":", 3)[:2], ":")
				if kinds[kind]++; kinds[kind] <= 3 {
					t.Errorf("seed %d: %v\n  %s\npredicted %v\n%+v\n%s\n%s", seed, c.dial, strings.Join(diffs, "\n  "), c.want.Verdict, c.hops, text(from.parts()), text(to.parts()))
					faults = append(faults, func() {
						whole.Logf("seed %d: shrunk for %v: %s", seed, c.dial, text(reduceNodes(whole, []*node{from, to}, c.differs)))
					})
				}
			}
			for chain, n := range alone {
				if n > 0 { // fewer alone are lines that came too late
					differ++
					t.Errorf("seed %d: Envoy has %d more connections at %q than predicted\n%s\n%s", seed, n, chain, text(from.parts()), text(to.parts()))
				}
			}
		})
		shrinkSome(faults)
	}
	t.Logf("seeds %d to %d: %d configurations, %d pairs, %d differences %v; of %d the logs do not tell the second hop", *seedFlag, *seedFlag+uint64(count)-1, count, pairs, differ, kinds, unseen)
	balanced(t, outcomes, pairs)
}

func (c *meshCase) predictFrom(from trace.Config, mesh trace.Mesh) trace.Trace {
	d := c.dial
	r := d.traced()
	if w, ok := from.(trace.Workload); ok {
		r.Principal = w.Identity()
	}
	return trace.Run(from, mesh, r)
}

// outcome is where it ended and how.
func (c *meshCase) outcome() string {
	last := c.want.Hops[len(c.want.Hops)-1]
	v := c.want.Verdict
	reason, _, _ := strings.Cut(v.Reason, ":")
	if v.Reached {
		return fmt.Sprintf("reached after %d through %s", len(c.want.Hops), cmp.Or(last.Chain, "none"))
	}
	return fmt.Sprintf("ended at %s %s: %s", last.Proxy, last.Chain, cmp.Or(v.Details, v.Flags, reason))
}
