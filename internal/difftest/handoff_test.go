package difftest

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshlark/meshlark/xds/filterchain"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/trace"
)

var (
	servicePorts = []int{8000, 8001, 9080}
	serviceIPs   = []string{"10.96.0.1", "10.96.0.2", "10.96.0.3"}
	serviceHosts = []string{"a.ns.svc.cluster.local", "b.ns.svc.cluster.local", "elsewhere.org"}
	secureHosts  = []string{"a.com", "x.a.com", "b.org"}
)

const (
	boundPort   = 7777 // that a listener may open itself
	backendPort = 7001 // of endpoints
	podIP       = "10.244.1.1"
)

func network(name, kind string, d dict) dict {
	return dict{"name": name, "typed_config": withType(d, "envoy.extensions.filters.network."+kind)}
}

func tcpChain(name, cluster string, fits dict) dict {
	d := dict{"name": name, "filters": []any{network("tcp", "tcp_proxy.v3.TcpProxy", dict{"stat_prefix": name, "cluster": cluster})}}
	if fits != nil {
		d["filter_chain_match"] = fits
	}
	return d
}

func httpChain(name string, routes, fits dict) dict {
	manager := dict{"stat_prefix": name, "http_filters": []any{dict{"name": "envoy.filters.http.router", "typed_config": dict{"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}}}
	for k, v := range routes {
		manager[k] = v
	}
	d := dict{"name": name, "filters": []any{network("http", "http_connection_manager.v3.HttpConnectionManager", manager)}}
	if fits != nil {
		d["filter_chain_match"] = fits
	}
	return d
}

var ads = dict{"ads": dict{}, "resource_api_version": "V3"}

func inspectors(names ...string) []any {
	types := map[string]string{"original_dst": "OriginalDst", "tls_inspector": "TlsInspector", "http_inspector": "HttpInspector"}
	var out []any
	for _, name := range names {
		out = append(out, dict{"name": "envoy.filters.listener." + name, "typed_config": dict{"@type": "type.googleapis.com/envoy.extensions.filters.listener." + name + ".v3." + types[name]}})
	}
	return out
}

// meshClusters are those every node has: plain ones, one without endpoints, and where connections go that no service has.
func meshClusters() []any {
	var out []any
	for i, name := range clusters[:4] {
		out = append(out, staticCluster(name, fmt.Sprintf("10.50.0.%d", i+1), backendPort))
	}
	return append(out,
		dict{"name": "empty", "type": "STATIC", "connect_timeout": "1s"},
		dict{"name": "BlackHoleCluster", "type": "STATIC", "connect_timeout": "1s"},
		dict{"name": "PassthroughCluster", "type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED", "connect_timeout": "1s"},
	)
}

func staticCluster(name, ip string, port int) dict {
	return dict{"name": name, "type": "STATIC", "connect_timeout": "1s", "load_assignment": dict{"cluster_name": name, "endpoints": []any{dict{"lb_endpoints": []any{dict{
		"endpoint": dict{"address": socket(ip, port)},
	}}}}}}
}

// somewhere is a cluster connections may be sent to.
func (p picker) somewhere() string {
	return one(p, "c0", "c1", "c2", "c3", "c0", "c1", "c2", "c3", "empty", "missing", "PassthroughCluster", "PassthroughCluster")
}

// serviceTable makes a table as a sidecar has them for a port.
func (p picker) serviceTable(name string) dict {
	var hosts []any
	for i, host := range some(p, 1+p.IntN(2), serviceHosts[:2]...) {
		var routes []any
		if p.chance(.6) {
			routes = append(routes, dict{"name": fmt.Sprintf("h%dfirst", i), "match": dict{"prefix": "/", "headers": []any{dict{"name": "end-user", "string_match": dict{"exact": "jason"}}}}, "route": dict{"cluster": p.somewhere()}})
		}
		if p.chance(.6) {
			action := one(p, dict{"route": dict{"cluster": p.somewhere(), "prefix_rewrite": "/"}}, dict{"redirect": dict{"path_redirect": "/new"}}, dict{"direct_response": dict{"status": 418}})
			action["name"], action["match"] = fmt.Sprintf("h%dpath", i), dict{"path_separated_prefix": "/a"}
			routes = append(routes, action)
		}
		if p.chance(.8) {
			routes = append(routes, dict{"name": fmt.Sprintf("h%dlast", i), "match": dict{"prefix": "/"}, "route": dict{"cluster": p.somewhere()}})
		}
		hosts = append(hosts, dict{"name": host, "domains": []string{host, strings.Split(host, ".")[0], serviceIPs[i]}, "routes": routes})
	}
	switch p.IntN(3) {
	case 0:
		hosts = append(hosts, dict{"name": "allow_any", "domains": []string{"*"}, "routes": []any{dict{"name": "allow_any", "match": dict{"prefix": "/"}, "route": dict{"cluster": "PassthroughCluster"}}}})
	case 1:
		hosts = append(hosts, dict{"name": "block_all", "domains": []string{"*"}, "routes": []any{dict{"name": "block_all", "match": dict{"prefix": "/"}, "direct_response": dict{"status": 502}}}})
	}
	return dict{"name": name, "virtual_hosts": hosts, "validate_clusters": false}
}

// plainHTTP is the match of a chain for requests that are not encrypted.
func plainHTTP() dict {
	return dict{"transport_protocol": "raw_buffer", "application_protocols": []string{"http/1.1", "h2c"}}
}

// fill gives a listener inspectors and chains.
func (p picker) fill(n *node, l dict, name string) {
	table := func() dict {
		d := p.serviceTable(name)
		if p.chance(.4) {
			return dict{"route_config": d}
		}
		n.tables = append(n.tables, d)
		return dict{"rds": dict{"route_config_name": name, "config_source": ads}}
	}
	switch p.IntN(5) {
	case 0: // HTTP only
		l["filter_chains"] = []any{httpChain(name+"-http", table(), nil)}
	case 1: // TCP only
		l["filter_chains"] = []any{tcpChain(name+"-tcp", p.somewhere(), nil)}
	case 2: // by server name, and nothing else
		var chains []any
		for i, names := range some(p, 1+p.IntN(2), []string{"a.com"}, []string{"*.a.com", "b.org"}) {
			chains = append(chains, tcpChain(fmt.Sprintf("%s-sni%d", name, i), p.somewhere(), dict{"server_names": names, "transport_protocol": "tls"}))
		}
		l["filter_chains"], l["listener_filters"] = chains, inspectors("tls_inspector")
	default: // what is not HTTP goes on as it is
		l["filter_chains"], l["listener_filters"] = []any{httpChain(name+"-http", table(), plainHTTP())}, inspectors("tls_inspector", "http_inspector")
		if p.chance(.7) {
			l["default_filter_chain"] = tcpChain(name+"-default", p.somewhere(), nil)
		}
	}
	if len(l["filter_chains"].([]any)) > 0 && p.chance(.15) {
		l["listener_filters"] = append(inspectors("original_dst"), listOf(l["listener_filters"])...)
	}
}

func listOf(v any) []any {
	list, _ := v.([]any)
	return list
}

// outbound adds the listeners of a sidecar for what its application sends.
func (p picker) outbound(n *node) {
	blackHole := tcpChain("virtualOutbound-blackhole", "BlackHoleCluster", dict{"destination_port": 15001})
	chains := []any{blackHole, tcpChain("virtualOutbound-catchall-tcp", one(p, "PassthroughCluster", "PassthroughCluster", "BlackHoleCluster"), nil)}
	virtual := dict{"name": "virtualOutbound", "address": socket("0.0.0.0", 15001), "use_original_dst": true, "traffic_direction": "OUTBOUND", "filter_chains": chains}
	if p.chance(.3) {
		virtual["filter_chains"], virtual["default_filter_chain"] = chains[:1], chains[1]
	}
	virtual["additional_addresses"] = []any{dict{"address": socket("::", 15001)}}
	n.listeners = append(n.listeners, virtual)
	taken := map[string]bool{}
	for range 2 + p.IntN(5) {
		ip, port := one(p, "0.0.0.0", "0.0.0.0", serviceIPs[0], serviceIPs[1], "fd96::1", "::"), one(p, servicePorts...)
		name := fmt.Sprintf("%s_%d", ip, port)
		if taken[name] {
			continue
		}
		taken[name] = true
		l := dict{"name": name, "address": socket(ip, port), "bind_to_port": false, "traffic_direction": "OUTBOUND"}
		if ip == "::" && p.chance(.5) && !taken[fmt.Sprintf("0.0.0.0_%d", port)] {
			l["address"].(dict)["socket_address"].(dict)["ipv4_compat"] = true
			taken[fmt.Sprintf("0.0.0.0_%d", port)] = true
		}
		if ip == "0.0.0.0" && p.chance(.2) && !taken[fmt.Sprintf("fd96::1_%d", port)] {
			l["additional_addresses"] = []any{dict{"address": socket("fd96::1", port)}}
			taken[fmt.Sprintf("fd96::1_%d", port)] = true
		}
		p.fill(n, l, name)
		n.listeners = append(n.listeners, l)
	}
	if p.chance(.5) {
		l := dict{"name": "bound", "address": socket(one(p, "0.0.0.0", serviceIPs[0]), boundPort), "traffic_direction": "OUTBOUND"}
		l["filter_chains"] = []any{tcpChain("bound-tcp", one(p, "c0", "empty", "missing", "PassthroughCluster", "PassthroughCluster"), nil)}
		n.listeners = append(n.listeners, l)
	}
	p.Shuffle(len(n.listeners), func(i, j int) { n.listeners[i], n.listeners[j] = n.listeners[j], n.listeners[i] })
}

// inbound adds the listener of a sidecar for what comes to its application.
func (p picker) inbound(n *node) {
	n.clusters = append(n.clusters, dict{
		"name": "InboundPassthroughCluster", "type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED", "connect_timeout": "1s",
		"upstream_bind_config": dict{"source_address": dict{"address": "127.0.0.6", "port_value": 0}},
	})
	chains := []any{tcpChain("virtualInbound-blackhole", "BlackHoleCluster", dict{"destination_port": 15006})}
	for _, port := range some(p, 1+p.IntN(3), servicePorts...) {
		name := fmt.Sprintf("inbound|%d||", port)
		custom := dict{"name": name, "type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED", "connect_timeout": "1s"}
		custom["upstream_bind_config"] = dict{"source_address": dict{"address": "127.0.0.6", "port_value": 0}}
		if p.chance(.3) {
			custom["original_dst_lb_config"] = dict{"upstream_port_override": backendPort}
		}
		n.clusters = append(n.clusters, custom)
		fits := dict{"destination_port": port}
		if p.chance(.3) {
			fits["prefix_ranges"] = []any{dict{"address_prefix": podIP, "prefix_len": 32}}
		}
		if p.chance(.3) {
			fits["source_type"] = one(p, "EXTERNAL", "SAME_IP_OR_LOOPBACK")
		}
		if p.chance(.6) {
			for k, v := range plainHTTP() {
				fits[k] = v
			}
			routes := []any{dict{"name": "default", "match": dict{"prefix": "/"}, "route": dict{"cluster": name}}}
			if p.chance(.3) {
				routes = append([]any{dict{"name": "gone", "match": dict{"prefix": "/a"}, "direct_response": dict{"status": 410}}}, routes...)
			}
			chains = append(chains, httpChain(name, dict{"route_config": dict{"name": name, "validate_clusters": false, "virtual_hosts": []any{dict{"name": name, "domains": []string{"*"}, "routes": routes}}}}, fits))
		} else {
			chains = append(chains, tcpChain(name, name, fits))
		}
	}
	if p.chance(.7) {
		chains = append(chains, tcpChain("virtualInbound", "InboundPassthroughCluster", dict{"transport_protocol": one(p, "raw_buffer", "tls")}))
	}
	l := dict{"name": "virtualInbound", "address": socket("0.0.0.0", 15006), "traffic_direction": "INBOUND", "filter_chains": chains, "listener_filters": inspectors("original_dst", "tls_inspector", "http_inspector")}
	if p.chance(.3) {
		l["default_filter_chain"] = tcpChain("virtualInbound-default", one(p, "InboundPassthroughCluster", "c0"), nil)
	}
	if p.chance(.2) {
		l["use_original_dst"] = true
		own := dict{"name": podIP + "_9080", "address": socket(podIP, 9080), "bind_to_port": false, "traffic_direction": "INBOUND"}
		p.fill(n, own, podIP+"_9080")
		n.listeners = append(n.listeners, own)
	}
	n.listeners = append(n.listeners, l)
}

// A dial is a connection in the namespace and the request on it.
type dial struct {
	request  request
	from, to netip.AddrPort
	client   filterchain.Client
	inbound  bool
	listener string // it goes to, when it is not redirected
}

// dial makes one, to what the listeners are about.
func (p picker) dial(n *node, port int) dial {
	d := dial{request: request{Method: "GET", Host: one(p, serviceHosts...), Path: one(p, "/", "/a", "/a/b", "/ab")}}
	if p.chance(.3) {
		d.request.Host = one(p, serviceIPs...)
	}
	if p.chance(.3) {
		d.request.Headers = append(d.request.Headers, [2]string{"end-user", "jason"})
	}
	if p.chance(.35) {
		d.client = filterchain.Client{TLS: true, SNI: one(p, append(secureHosts, "")...), ALPN: some(p, p.IntN(3), "h2", "http/1.1")}
	}
	source := toOutbound
	own := toInbound + "5"
	if slices.ContainsFunc(n.listeners, func(l any) bool { return l.(dict)["name"] == podIP+"_9080" }) {
		own = podIP // what PassthroughCluster sends to its own address would come back
	}
	switch n := p.IntN(12); {
	case n < 3:
		source, d.inbound = toInbound, true
		d.to = netip.MustParseAddrPort(fmt.Sprintf("%s:%d", one(p, podIP, podIP, "10.244.1.2", own), one(p, append(slices.Repeat(servicePorts, 4), 15006)...)))
	case n == 3 && p.chance(.3):
		d.to = netip.MustParseAddrPort("10.96.0.9:15001")
	default:
		d.to = netip.MustParseAddrPort(fmt.Sprintf("%s:%d", one(p, serviceIPs...), one(p, servicePorts...)))
	}
	if !d.inbound && p.chance(.2) {
		d.to = netip.AddrPortFrom(netip.MustParseAddr(one(p, "fd96::1", "fd96::2")), uint16(one(p, servicePorts...)))
		source = "fd60::"
	}
	// Half of them go where a listener is.
	if l := one(p, n.listeners...).(dict)["address"].(dict)["socket_address"].(dict); !d.inbound && p.chance(.4) {
		if ip := netip.MustParseAddr(l["address"].(string)); !ip.IsUnspecified() && l["port_value"] != 9080 || l["port_value"] == boundPort {
			if ip.IsUnspecified() {
				ip = netip.MustParseAddr(serviceIPs[1])
			}
			d.to = netip.AddrPortFrom(ip, uint16(l["port_value"].(int)))
			source = toOutbound
			if ip.Is6() {
				source = "fd60::"
			} else if d.to.Port() == boundPort && (p.chance(.5) || bytes.Contains(text(n.listeners), []byte(`"cluster":"PassthroughCluster","stat_prefix":"bound-tcp"`))) {
				source, d.listener = direct, "bound" // redirected, it would come to itself again and again
			}
		}
	}
	d.from = netip.AddrPortFrom(netip.MustParseAddr(source+"5"), uint16(port))
	return d
}

func (d dial) String() string {
	return fmt.Sprintf("%+v %v to %v %+v", d.request, d.from, d.to, d.client)
}

// run connects and sends, and waits for the end.
func (d dial) run() error {
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(d.from), Timeout: 3 * time.Second}
	conn, err := dialer.Dial("tcp", d.to.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	if d.client.TLS {
		if err := conn.SetDeadline(time.Now().Add(3 * time.Second)); err != nil {
			return err
		}
		secure := tls.Client(conn, &tls.Config{ServerName: d.client.SNI, NextProtos: d.client.ALPN, InsecureSkipVerify: true})
		if err := secure.Handshake(); err != nil {
			return timeout(err) // most of those it reaches know nothing of TLS
		}
		conn = secure
	}
	_, err = d.request.send(conn, bufio.NewReader(conn))
	return timeout(err)
}

// timeout is an error when it is a timeout: a connection that is closed without an answer is an outcome too.
func timeout(err error) error {
	if err, ok := errors.AsType[net.Error](err); ok && err.Timeout() {
		return err
	}
	return nil
}

// differs runs a proxy for one connection, and reports whether it did otherwise than predicted.
func (d dial) differs(t *testing.T, n *node) bool {
	proc, problem := n.start(t)
	if problem != "" || d.run() != nil {
		return false
	}
	var lines []logged
	for _, l := range proc.lines(t, soon(func(lines []logged) []string { return unclosed(lines, map[string]dial{d.from.String(): d}) })) {
		if l.From == d.from.String() {
			lines = append(lines, l)
		}
	}
	tr := d.predict(newConfig(n))
	return len(hopDifferences(tr.Hops[0], lines, &tr.Verdict)) > 0
}

// predict says what becomes of it in one proxy.
func (d dial) predict(from trace.Config) trace.Trace { return trace.Run(from, nil, d.traced()) }

// traced is the connection and its request as they are traced.
func (d dial) traced() trace.Request {
	r := trace.Request{
		Method: d.request.Method, Host: d.request.Host, Path: d.request.Path, Source: d.from, Destination: d.to, Client: d.client, Inbound: d.inbound, Listener: d.listener, Runtime: runtime,
	}
	for _, h := range d.request.Headers {
		r.Headers = append(r.Headers, match.Header{Name: h[0], Value: h[1]})
	}
	return r
}

// outcome is what kind of end was predicted.
func outcome(tr trace.Trace) string {
	last := tr.Hops[len(tr.Hops)-1]
	kind := "tcp "
	if last.HTTP != nil {
		kind = "http "
	}
	if tr.Verdict.Reached {
		return kind + "to " + last.Cluster
	}
	return kind + cmp.Or(tr.Verdict.Details, tr.Verdict.Flags, tr.Verdict.Reason)
}

// hopDifferences are how a proxy did otherwise than a hop says. lines are those of its log about the connection.
func hopDifferences(hop trace.Hop, lines []logged, v *trace.Verdict) []string {
	var out []string
	differ := func(what string, got, want any) {
		if got != want && !(got == "-" && want == "") {
			out = append(out, fmt.Sprintf("%s: Envoy %v, predicted %v", what, got, want))
		}
	}
	of := "tcp"
	if hop.HTTP != nil || v != nil && v.Code != 0 {
		of = "http"
	}
	var conn, inner logged
	for _, l := range lines {
		switch l.Of {
		case "connection":
			conn = l
		default:
			inner = l
		}
	}
	differ("listener", conn.Listener, hop.Listener)
	differ("chain", conn.Chain, hop.Chain)
	if hop.Chain == "" {
		differ("flags", conn.Flags, v.Flags)
		differ("details", conn.Details, v.Details)
		return out
	}
	if v != nil && strings.HasPrefix(v.Details, "rbac_") && hop.HTTP == nil {
		differ("why it ended", conn.Ended, v.Details)
		if inner.Of == "http" {
			out = append(out, "a request was read from a connection that is not allowed")
		}
		return out
	}
	if v != nil && !v.Reached && hop.HTTP == nil && hop.Cluster == "" && of == "tcp" { // no handshake
		if inner.Of == "http" || conn.Peer != "" {
			out = append(out, "a connection was taken that fails the handshake")
		}
		return out
	}
	differ("kind", inner.Of, of)
	if inner.Flags != "NC" { // the name of a cluster that is missing is not logged
		want := hop.Cluster
		if len(hop.Clusters) > 0 && of == "tcp" {
			want = hop.Clusters[0].Name // which is the aggregate, where it is one
		} else if hop.HTTP != nil && hop.HTTP.Cluster != "" {
			want = hop.HTTP.Cluster
		}
		differ("cluster", inner.Cluster, want)
	}
	if hop.HTTP != nil {
		differ("route", inner.Route, hop.HTTP.Route)
	}
	if v == nil || v.Reached {
		differ("endpoint", inner.Host, hop.Endpoint)
	}
	if v != nil {
		differ("flags", inner.Flags, v.Flags)
		if of == "http" && !v.Reached {
			differ("code", inner.Code, v.Code)
			differ("details", inner.Details, v.Details)
		}
	}
	return out
}

// TestHandOff compares which listener, chain, route and cluster have a connection that was redirected to 15001 or 15006.
func TestHandOff(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	application(t, append(slices.Clone(servicePorts), backendPort)...)
	outcomes, kinds := map[string]int{}, map[string]int{}
	pairs, differ := 0, 0
	port := 20000
	count := max(3, *configs/8)
	for i := range count {
		seed := *seedFlag + uint64(i)
		p := newPicker(seed)
		var faults []func()
		whole := t
		n := &node{name: "sidecar", clusters: meshClusters()}
		p.outbound(n)
		p.inbound(n)
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			proc, problem := n.start(t)
			if problem != "" {
				t.Fatalf("Envoy refuses the configuration: %s", problem)
			}
			want := newConfig(n)
			sent := map[string]dial{}
			for range min(*requests, 50) {
				if port++; port > 60000 {
					port = 20001
				}
				d := p.dial(n, port)
				if err := d.run(); err != nil {
					t.Errorf("%+v: %v", d, err)
					continue
				}
				sent[d.from.String()] = d
			}
			byConnection := map[string][]logged{}
			for _, l := range proc.lines(t, func(lines []logged) []string { return unclosed(lines, sent) }) {
				byConnection[l.From] = append(byConnection[l.From], l)
			}
			for from, d := range sent {
				tr := d.predict(want)
				pairs++
				outcomes[outcome(tr)]++
				diffs := hopDifferences(tr.Hops[0], byConnection[from], &tr.Verdict)
				if len(diffs) == 0 {
					continue
				}
				differ++
				kind, _, _ := strings.Cut(diffs[0], ":")
				if kinds[kind]++; kinds[kind] <= 3 {
					t.Errorf("seed %d: %v\n  %s\npredicted %v\n%+v\n%s", seed, d, strings.Join(diffs, "\n  "), tr.Verdict, byConnection[from], text(n.listeners))
					faults = append(faults, func() {
						whole.Logf("seed %d: shrunk for %v: %s", seed, d, text(reduceNodes(whole, []*node{n}, func(t *testing.T, nodes []*node) bool { return d.differs(t, nodes[0]) })))
					})
				}
			}
		})
		shrinkSome(faults) // when its Envoy has ended, whose ports these need
	}
	t.Logf("seeds %d to %d: %d configurations, %d pairs, %d differences %v", *seedFlag, *seedFlag+uint64(count)-1, count, pairs, differ, kinds)
	balanced(t, outcomes, pairs)
}

// balanced logs the outcomes of a test and fails it where one of them is too many.
func balanced(t *testing.T, outcomes map[string]int, pairs int) {
	t.Helper()
	for _, name := range slices.SortedFunc(maps.Keys(outcomes), func(a, b string) int { return outcomes[b] - outcomes[a] }) {
		n := outcomes[name]
		t.Logf("%6d %4.1f %% %s", n, 100*float64(n)/float64(pairs), name)
		if pairs > 1000 && n*100 > pairs*30 {
			t.Errorf("%s is the outcome of %d of %d pairs: too many to prove much", name, n, pairs)
		}
	}
}
