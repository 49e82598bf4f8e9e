package difftest

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshlark/meshlark/xds/filterchain"
	"github.com/meshlark/meshlark/xds/trace"
)

const (
	tunnelPort = 15008
	waypointIP = "10.244.1.5"
)

// tunnelEnds is a mesh of a waypoint and of what ends tunnels at the pod behind it.
type tunnelEnds struct{ server *config }

// ProxyAt is the pod's end of tunnels; its other ports are the application's own.
func (m tunnelEnds) ProxyAt(at netip.AddrPort) (trace.Config, bool) {
	return m.server, at.Port() == tunnelPort && at.Addr() == m.server.address
}

// openTunnels has a chain end the tunnels that CONNECT requests ask for, before which its filters run.
func openTunnels(cluster string, filters ...any) dict {
	host := func(name, cluster string, domains ...string) dict {
		return dict{"name": name, "domains": domains, "routes": []any{dict{
			"name": name, "match": dict{"connect_matcher": dict{}},
			"route": dict{"cluster": cluster, "upgrade_configs": []any{dict{"upgrade_type": "CONNECT", "connect_config": dict{}}}},
		}}}
	}
	chain := httpChain("tunnels", dict{
		"upgrade_configs": []any{dict{"upgrade_type": "CONNECT"}}, "http2_protocol_options": dict{"allow_connect": true}, "delayed_close_timeout": "0s",
		"route_config": dict{"name": "tunnels", "validate_clusters": false, "virtual_hosts": []any{host("tunnel", cluster, "*"), host("in-tunnel", "again", fmt.Sprintf("%s:%d", podIP, tunnelPort))}},
	}, nil)
	manager := chain["filters"].([]any)[0].(dict)["typed_config"].(dict)
	manager["http_filters"] = append(slices.Clone(filters), manager["http_filters"].([]any)...)
	return chain
}

// object is an object of the filter state, made by a format.
func object(key, factory, format, shared string) dict {
	d := dict{"object_key": key, "format_string": dict{"text_format_source": dict{"inline_string": format}}, "shared_with_upstream": shared}
	if factory != "" {
		d["factory_key"] = factory
	}
	return d
}

// inside makes a cluster of a listener inside the proxy. metadata is that of its endpoint.
func inside(name, listener string, metadata dict, passes bool) dict {
	endpoint := dict{"endpoint": dict{"address": dict{"envoy_internal_address": dict{"server_listener_name": listener}}}}
	if metadata != nil {
		endpoint["metadata"] = dict{"filter_metadata": dict{"envoy.filters.listener.original_dst": metadata}}
	}
	socket := dict{"transport_socket": dict{"name": "raw", "typed_config": dict{"@type": "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"}}}
	if passes {
		socket["passthrough_metadata"] = []any{dict{"kind": dict{"host": dict{}}, "name": "envoy.filters.listener.original_dst"}}
	}
	return single(dict{"name": name, "type": "STATIC", "connect_timeout": "1s", "load_assignment": dict{"cluster_name": name, "endpoints": []any{dict{"lb_endpoints": []any{endpoint}}}},
		"transport_socket": dict{"name": "internal", "typed_config": withType(socket, "envoy.extensions.transport_sockets.internal_upstream.v3.InternalUpstreamTransport")}}, dict{"http_protocol_options": dict{}})
}

// single has connections to a cluster serve one request each.
func single(d, protocol dict) dict {
	d["typed_extension_protocol_options"] = dict{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": withType(dict{
		"common_http_protocol_options": dict{"max_requests_per_connection": 1}, "explicit_http_config": protocol,
	}, "envoy.extensions.upstreams.http.v3.HttpProtocolOptions")}
	return d
}

// waypoint makes a proxy that gets requests by tunnels, and sends them on by others.
func (p picker) waypoint(certs pki) *node {
	n := &node{name: "waypoint", address: netip.MustParseAddr(waypointIP)}
	pod := func(port int) string { return fmt.Sprintf("%s:%d", podIP, port) }
	n.clusters = []any{
		inside("main", "main_internal", nil, true),
		inside("encap", "connect_originate", nil, p.chance(.5)),
		inside("by-pod", "connect_originate", dict{"local": pod(8000)}, true),
		inside("by-other", "connect_originate", dict{"local": "10.96.7.7:8000", "waypoint": pod(tunnelPort)}, true),
		inside("by-both", "inner_originate", dict{"local": pod(tunnelPort), "target": pod(8000)}, p.chance(.9)),
		single(inside("inner", "connect_originate", nil, true), dict{"http2_protocol_options": dict{"allow_connect": true}}),
		inside("unmarked", "connect_originate", dict{"local": pod(8000)}, false),
		single(staticCluster("plain", podIP, 8000), dict{"http_protocol_options": dict{}}),
		single(dict{"name": "connect_originate", "type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED", "connect_timeout": "1s",
			"original_dst_lb_config": dict{"upstream_port_override": tunnelPort, "metadata_key": dict{"key": "envoy.filters.listener.original_dst", "path": []any{dict{"key": "waypoint"}}}}}, dict{"http2_protocol_options": dict{"allow_connect": true}}),
	}
	somewhere := func() string {
		return one(p, "by-pod", "by-pod", "by-other", "by-both", "by-both", "unmarked", "plain", "encap")
	}
	state := []any{object("envoy.filters.listener.original_dst.local_ip", "", "%REQ(:AUTHORITY)%", one(p, "ONCE", "ONCE", "ONCE", "TRANSITIVE", "NONE"))}
	if p.chance(.8) {
		state = append(state, object("peer", "envoy.string", "%DOWNSTREAM_PEER_URI_SAN%", one(p, "ONCE", "ONCE", "NONE")))
	}
	if p.chance(.7) {
		state = append(state, object("envoy.filters.listener.original_dst.remote_ip", "", "%DOWNSTREAM_REMOTE_ADDRESS%", "ONCE"))
	}
	front := openTunnels("main", dict{"name": "connect_authority", "typed_config": withType(dict{"on_request_headers": state}, "envoy.extensions.filters.http.set_filter_state.v3.Config")})
	if p.chance(.7) {
		front["transport_socket"] = dict{"name": "tls", "typed_config": withType(dict{"require_client_certificate": true, "common_tls_context": dict{
			"tls_certificates":   []any{dict{"certificate_chain": dict{"inline_string": certs.server}, "private_key": dict{"inline_string": certs.serverKey}}},
			"validation_context": dict{"trusted_ca": dict{"inline_string": certs.root}},
		}}, "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext")}
	}
	service := httpChain("service", dict{"delayed_close_timeout": "0s", "route_config": dict{"name": "service", "validate_clusters": false, "virtual_hosts": []any{dict{"name": "service", "domains": []string{"*"}, "routes": []any{
		dict{"name": "gone", "match": dict{"prefix": "/gone"}, "direct_response": dict{"status": 410}},
		dict{"name": "a", "match": dict{"path_separated_prefix": "/a"}, "route": dict{"cluster": somewhere()}},
		dict{"name": "rest", "match": dict{"prefix": "/"}, "route": dict{"cluster": somewhere()}},
	}}}}}, nil)
	if p.chance(.6) {
		rules := dict{"action": one(p, "ALLOW", "DENY"), "policies": dict{"peers": dict{
			"permissions": []any{dict{"any": true}},
			"principals": []any{one(p,
				dict{"filter_state": dict{"key": "peer", "string_match": dict{"prefix": spiffeWords[0]}}},
				dict{"direct_remote_ip": dict{"address_prefix": direct + "5", "prefix_len": 32}},
			)},
		}}}
		manager := service["filters"].([]any)[0].(dict)["typed_config"].(dict)
		manager["http_filters"] = append([]any{dict{"name": "rbac", "typed_config": withType(dict{"rules": rules}, "envoy.extensions.filters.http.rbac.v3.RBAC")}}, manager["http_filters"].([]any)...)
	}
	others := tcpChain("others", "encap", nil)
	others["filters"] = append([]any{network("connect_authority", "set_filter_state.v3.Config", dict{"on_new_connection": []any{
		object("envoy.filters.listener.original_dst.local_ip", "", "%FILTER_STATE(envoy.filters.listener.original_dst.local_ip:PLAIN)%", "ONCE"),
	}})}, others["filters"].([]any)...)
	choose := func(chain string) dict {
		return dict{"action": dict{"name": chain, "typed_config": dict{"@type": "type.googleapis.com/google.protobuf.StringValue", "value": chain}}}
	}
	byPort := dict{"matcher": dict{"matcher_tree": dict{"input": networkInput("DestinationPortInput"), "exact_match_map": dict{"map": dict{"80": choose("service"), "81": choose("stream")}}}}}
	tree := dict{"matcher_tree": dict{"input": networkInput("DestinationIPInput"), "custom_match": dict{"name": "ip", "typed_config": dict{
		"@type": "type.googleapis.com/xds.type.matcher.v3.IPMatcher", "range_matchers": []any{dict{"ranges": []any{dict{"address_prefix": "10.96.0.1", "prefix_len": 32}}, "on_match": byPort}},
	}}}}
	if p.chance(.7) {
		tree["on_no_match"] = choose("others")
	}
	outward := tcpChain("outward", "connect_originate", nil)
	outward["filters"].([]any)[0].(dict)["typed_config"].(dict)["tunneling_config"] = dict{"hostname": "%DOWNSTREAM_LOCAL_ADDRESS%"}
	// Of a tunnel in a tunnel the connection's metadata tell both ends.
	inner := tcpChain("inner", "inner", nil)
	inner["filters"].([]any)[0].(dict)["typed_config"].(dict)["tunneling_config"] = dict{"hostname": "%FILTER_STATE(target:PLAIN)%"}
	inner["filters"] = append([]any{network("propagate", "set_filter_state.v3.Config", dict{"on_new_connection": []any{
		object("envoy.filters.listener.original_dst.local_ip", "", "%DYNAMIC_METADATA(envoy.filters.listener.original_dst:local)%", "TRANSITIVE"),
		object("target", "envoy.string", "%DYNAMIC_METADATA(envoy.filters.listener.original_dst:target)%", "NONE"),
	}})}, inner["filters"].([]any)...)
	n.listeners = []any{
		dict{"name": "inner_originate", "internal_listener": dict{}, "filter_chains": []any{inner}},
		dict{"name": "connect_terminate", "address": socket(waypointIP, tunnelPort), "filter_chains": []any{front}},
		dict{"name": "main_internal", "internal_listener": dict{}, "listener_filters": inspectors("original_dst"), "filter_chain_matcher": tree,
			"filter_chains": []any{service, tcpChain("stream", somewhere(), nil), others}},
		dict{"name": "connect_originate", "internal_listener": dict{}, "listener_filters": inspectors("original_dst"), "filter_chains": []any{outward}},
	}
	return n
}

// podEnd ends the tunnels of a pod, for the application beside it.
func podEnd() *node {
	return &node{name: "pod", address: netip.MustParseAddr(podIP), clusters: []any{staticCluster("app", "127.0.0.1", 8000), staticCluster("again", podIP, tunnelPort)},
		listeners: []any{dict{"name": "connect_terminate", "address": socket(podIP, tunnelPort), "filter_chains": []any{openTunnels("app")}}}}
}

// A tunnelled is a request inside of a tunnel to the waypoint.
type tunnelled struct {
	request
	to  string // what the tunnel is asked for
	id  identity
	tls bool
}

func (p picker) tunnelled(secure bool, certs pki) tunnelled {
	r := tunnelled{request: request{Method: "GET", Host: "a.com", Path: one(p, "/", "/a", "/a/b", "/gone", "/gone")}, tls: secure}
	r.to = one(p, "10.96.0.1:80", "10.96.0.1:80", "10.96.0.1:80", "10.96.0.1:81", "10.96.0.1:82", podIP+":8000", "10.96.0.9:80")
	if secure {
		r.id = certs.clients[p.IntN(len(certs.clients))]
	}
	return r
}

// run asks for the tunnel, and sends the request through it.
func (r tunnelled) run() error {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(direct + "5")}, Timeout: 3 * time.Second}
	conn, err := dialer.Dial("tcp", netip.AddrPortFrom(netip.MustParseAddr(waypointIP), tunnelPort).String())
	if err != nil {
		return err
	}
	defer conn.Close()
	if r.tls {
		config := &tls.Config{InsecureSkipVerify: true}
		if r.id.cert != nil {
			config.Certificates = []tls.Certificate{*r.id.cert}
		}
		conn = tls.Client(conn, config)
	}
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nhost: %s\r\n\r\n", r.to, r.to)
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, &http.Request{Method: "CONNECT"})
	if err != nil || resp.StatusCode != http.StatusOK {
		return timeout(err)
	}
	_, err = r.send(conn, in)
	return timeout(err)
}

func (r tunnelled) predict(n *node, mesh trace.Mesh) trace.Trace {
	in := trace.Request{Method: r.Method, Host: r.Host, Path: r.Path, Destination: netip.MustParseAddrPort(r.to), Inbound: true, Client: filterchain.Client{HTTP: "http/1.1"}}
	return trace.Run(newConfig(n), mesh, trace.Request{
		Method: "CONNECT", Host: r.to, Source: netip.MustParseAddrPort(direct + "5:40000"), Destination: netip.AddrPortFrom(n.address, tunnelPort), Inbound: true,
		Client: filterchain.Client{TLS: r.tls}, Peer: r.id.peer, Inside: &in,
	})
}

// TestTunnel compares the way of requests that come to a waypoint by a tunnel, through its listeners inside, and by another tunnel to a pod.
func TestTunnel(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	application(t, 8000)
	server := podEnd()
	pod, problem := server.start(t)
	if problem != "" {
		t.Fatalf("Envoy refuses the pod's configuration: %s", problem)
	}
	certs := newPKI(t)
	outcomes := map[string]int{}
	pairs := 0
	count := max(3, *configs/8)
	for i := range count {
		seed := *seedFlag + uint64(i)
		p := newPicker(seed)
		n := p.waypoint(certs)
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			proc, problem := n.start(t)
			if problem != "" {
				t.Fatalf("Envoy refuses the configuration: %s", problem)
			}
			secure := strings.Contains(string(text(n.listeners)), "DownstreamTlsContext")
			for range min(*requests, 50) {
				r := p.tunnelled(secure, certs)
				tr := r.predict(n, tunnelEnds{newConfig(server)})
				pairs++
				outcomes[outcome(tr)]++
				before := map[string]int{n.name: len(proc.lines(t, nothing)), server.name: len(pod.lines(t, nothing))}
				if err := r.run(); err != nil {
					t.Errorf("seed %d: %+v: %v", seed, r, err)
					continue
				}
				for k, hop := range tr.Hops {
					of := proc
					if hop.Proxy == server.name {
						of = pod
					}
					var v *trace.Verdict
					if k == len(tr.Hops)-1 && !tr.Verdict.Reached { // else how the tunnels end, and whether there is an end, is another matter
						v = &tr.Verdict
					}
					compare := func(lines []logged) []string { return closest(hop, lines[before[hop.Proxy]:], v) }
					lines := of.lines(t, soon(compare))
					if diffs := compare(lines); len(diffs) > 0 {
						t.Errorf("seed %d: %s %+v, hop %d\n  %s\npredicted %v\n%+v\n%s\n%s", seed, r.to, r.request, k, strings.Join(diffs, "\n  "), tr.Verdict, lines[before[hop.Proxy]:], text(n.listeners), text(n.clusters))
						break
					}
				}
			}
		})
	}
	t.Logf("seeds %d to %d: %d configurations, %d pairs", *seedFlag, *seedFlag+uint64(count)-1, count, pairs)
	balanced(t, outcomes, pairs)
}

// closest are the differences from the connection to the hop's listener that has the fewest: a tunnel in a tunnel comes to one listener twice.
func closest(hop trace.Hop, lines []logged, v *trace.Verdict) []string {
	from := map[string][]logged{"": nil}
	for _, l := range lines {
		if l.Listener == hop.Listener {
			from[l.From] = append(from[l.From], l)
		}
	}
	var best []string
	for _, of := range from {
		if diffs := hopDifferences(hop, of, v); best == nil || len(diffs) < len(best) {
			if best = diffs; len(best) == 0 {
				return nil
			}
		}
	}
	return best
}

func nothing([]logged) []string { return nil }
