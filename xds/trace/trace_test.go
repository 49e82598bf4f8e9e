package trace_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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

// A proxy is a configuration written into a test.
type proxy struct {
	name      string
	listeners []listener.Listener
	tables    map[string]*routing.Table
	clusters  map[string]cluster.Cluster
}

func (p *proxy) Name() string                                { return p.name }
func (p *proxy) Listeners() *filterchain.Listeners           { return filterchain.NewListeners(p.listeners) }
func (p *proxy) Table(name string) (*routing.Table, bool)    { t, ok := p.tables[name]; return t, ok }
func (p *proxy) Scopes(string) []rawjson.Value               { return nil }
func (p *proxy) Cluster(name string) (cluster.Cluster, bool) { c, ok := p.clusters[name]; return c, ok }
func (p *proxy) Endpoints(c cluster.Cluster) (endpoint.Assignment, bool) {
	return c.Assignment()
}
func (p *proxy) Envoy() match.Version { return match.Version{} }

func newProxy(name string, listeners, tables, clusters []string) *proxy {
	p := &proxy{name: name, tables: map[string]*routing.Table{}, clusters: map[string]cluster.Cluster{}}
	for _, body := range listeners {
		p.listeners = append(p.listeners, listener.New(rawjson.Value(body)))
	}
	for _, body := range tables {
		view := route.New(rawjson.Value(body))
		p.tables[view.Name()] = routing.New(view)
	}
	for _, body := range clusters {
		c := cluster.New(rawjson.Value(body))
		p.clusters[c.Name()] = c
	}
	return p
}

type mesh map[string]*proxy

func (m mesh) ProxyAt(address netip.AddrPort) (trace.Config, bool) {
	p, ok := m[address.Addr().String()]
	return p, ok
}

const (
	virtualOutbound = `{"name":"virtualOutbound","traffic_direction":"OUTBOUND","use_original_dst":true,"address":{"socket_address":{"address":"0.0.0.0","port_value":15001}},
		"filter_chains":[{"name":"passthrough","filters":[{"name":"tcp","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy","cluster":"PassthroughCluster"}}]}]}`
	manager  = `"@type":"type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"`
	router   = `{"name":"envoy.filters.http.router","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}`
	httpPort = `{"name":"0.0.0.0_9080","traffic_direction":"OUTBOUND","bind_to_port":false,"address":{"socket_address":{"address":"0.0.0.0","port_value":9080}},
		"filter_chains":[{"name":"http","filters":[{"name":"http","typed_config":{` + manager + `,"rds":{"route_config_name":"9080"},
			"http_filters":[{"name":"ext","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz"}},` + router + `]}}]}]}`
	table = `{"name":"9080","virtual_hosts":[{"name":"reviews","domains":["reviews:9080"],"routes":[
		{"name":"jason","match":{"prefix":"/","headers":[{"name":"end-user","string_match":{"exact":"jason"}}]},"route":{"cluster":"v2"}},
		{"name":"rest","match":{"prefix":"/"},"route":{"cluster":"v1"}}]}]}`
	mutual = `"transport_socket":{"name":"tls","typed_config":{"@type":"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext","common_tls_context":{"alpn_protocols":["istio"],
		"tls_certificate_sds_secret_configs":[{"name":"default"}]}}}`
	passthrough = `{"name":"PassthroughCluster","type":"ORIGINAL_DST"}`
	appCluster  = `{"name":"inbound|9080||","type":"ORIGINAL_DST"}`
)

func static(name, extra, ip string) string {
	return `{"name":"` + name + `","type":"STATIC",` + extra + `"load_assignment":{"endpoints":[{"lb_endpoints":[{"endpoint":{"address":{"socket_address":{"address":"` + ip + `","port_value":9080}}}}]}]}}`
}

// inbound is the listener of a workload that wants mutual TLS of everybody, with access rules.
func inbound(rules string) string {
	return `{"name":"virtualInbound","traffic_direction":"INBOUND","address":{"socket_address":{"address":"0.0.0.0","port_value":15006}},
		"listener_filters":[{"name":"envoy.filters.listener.original_dst"},{"name":"envoy.filters.listener.tls_inspector"}],
		"filter_chains":[{"name":"0.0.0.0_9080","filter_chain_match":{"destination_port":9080,"transport_protocol":"tls"},
			"transport_socket":{"name":"tls","typed_config":{"@type":"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext","require_client_certificate":true,
				"common_tls_context":{"tls_certificate_sds_secret_configs":[{"name":"default"}]}}},
			"filters":[{"name":"http","typed_config":{` + manager + `,"route_config":{"name":"inbound","virtual_hosts":[{"name":"inbound","domains":["*"],"routes":[{"name":"default","match":{"prefix":"/"},"route":{"cluster":"inbound|9080||"}}]}]},
				"http_filters":[{"name":"envoy.filters.http.rbac","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC","rules":` + rules + `}},` + router + `]}}]}]}`
}

const onlyProductpage = `{"policies":{"ns[default]-policy[reviews]-rule[0]":{"permissions":[{"any":true}],"principals":[{"authenticated":{"principal_name":{"exact":"spiffe://cluster.local/ns/default/sa/productpage"}}}]}}}`

func twoProxies() (*proxy, mesh) {
	client := newProxy("productpage", []string{virtualOutbound, httpPort}, []string{table}, []string{
		passthrough, static("v1", mutual+",", "10.0.0.2"), static("v2", "", "10.0.0.2"),
	})
	server := newProxy("reviews", []string{inbound(onlyProductpage)}, nil, []string{appCluster})
	return client, mesh{"10.0.0.2": server}
}

func request() trace.Request {
	return trace.Request{
		Host: "reviews:9080", Path: "/reviews/7",
		Source: netip.MustParseAddrPort("10.0.0.1:40000"), Destination: netip.MustParseAddrPort("10.96.0.5:9080"),
		Principal: "spiffe://cluster.local/ns/default/sa/productpage",
	}
}

func TestRun(t *testing.T) {
	client, others := twoProxies()
	for _, tc := range []struct {
		what    string
		change  func(*trace.Request)
		hops    []string // proxy listener chain cluster
		verdict string
	}{
		{"through both proxies", func(*trace.Request) {}, []string{"productpage 0.0.0.0_9080 http v1", "reviews virtualInbound 0.0.0.0_9080 inbound|9080||"}, "10.0.0.2:9080 gets the request"},
		{"plaintext to a chain for TLS", func(r *trace.Request) { r.Headers = match.Headers{{Name: "end-user", Value: "jason"}} }, []string{"productpage 0.0.0.0_9080 http v2", "reviews virtualInbound  "}, "NR filter_chain_not_found"},
		{"another identity", func(r *trace.Request) { r.Principal = "spiffe://x" }, []string{"productpage 0.0.0.0_9080 http v1", "reviews virtualInbound 0.0.0.0_9080 "}, "403 rbac_access_denied_matched_policy[none]"},
		{"a host without routes", func(r *trace.Request) { r.Host = "ratings:9080" }, []string{"productpage 0.0.0.0_9080 http "}, "404 NR route_not_found"},
		{"a port nobody listens on", func(r *trace.Request) { r.Destination = netip.MustParseAddrPort("10.7.7.7:5432") }, []string{"productpage virtualOutbound passthrough PassthroughCluster"}, "10.7.7.7:5432 gets the request"},
		{"without a path", func(r *trace.Request) { r.Path = "" }, []string{"productpage 0.0.0.0_9080 http "}, "404 missing_path_rejected"},
		{"no HTTP to a chain for it", func(r *trace.Request) { r.Client.Opaque = true }, []string{"productpage 0.0.0.0_9080 http "}, "400 DPE http1.codec_error"},
		{"no HTTP through TCP chains", func(r *trace.Request) {
			r.Destination, r.Client.Opaque = netip.MustParseAddrPort("10.7.7.7:5432"), true
		}, []string{"productpage virtualOutbound passthrough PassthroughCluster"}, "10.7.7.7:5432 gets the request"},
	} {
		r := request()
		tc.change(&r)
		got := trace.Run(client, others, r)
		var hops []string
		for _, h := range got.Hops {
			hops = append(hops, strings.Join([]string{h.Proxy, h.Listener, h.Chain, h.Cluster}, " "))
			for _, s := range h.Steps {
				if s.Question == "" || s.Answer == "" {
					t.Errorf("%s: a step without question or answer: %+v", tc.what, s)
				}
			}
		}
		if diff := cmp.Diff(tc.hops, hops); diff != "" {
			t.Errorf("%s: hops (-want +got):\n%s", tc.what, diff)
		}
		if !strings.HasPrefix(got.Verdict.String(), tc.verdict) {
			t.Errorf("%s: verdict %q, want %q", tc.what, got.Verdict, tc.verdict)
		}
		if reached := strings.Contains(tc.verdict, "gets the request"); got.Verdict.Reached != reached {
			t.Errorf("%s: reached %t, want %t", tc.what, got.Verdict.Reached, reached)
		}
	}
}

// What a request was routed by is known even where the table or the cluster does not exist.
func TestRouted(t *testing.T) {
	for _, tc := range []struct{ what, listener, tables, table, cluster, verdict string }{
		{"a table of its own", httpPort, table, "9080", "v1", "503 NC cluster_not_found"},
		{"no such table", httpPort, `{"name":"other"}`, "9080", "", "404 NR route_not_found"},
		{"an inline table", inbound(`{"policies":{}}`), `{"name":"other"}`, "inbound", "", "403 rbac_access_denied"},
	} {
		p := newProxy("p", []string{tc.listener}, []string{tc.tables}, nil)
		r := request()
		r.Client, r.Peer = filterchain.Client{TLS: tc.table == "inbound"}, match.Peer{Presented: true}
		r.Listener = p.listeners[0].Name()
		got := trace.Run(p, nil, r)
		if h := got.Hops[0]; h.Table != tc.table || h.Cluster != tc.cluster || !strings.HasPrefix(got.Verdict.String(), tc.verdict) {
			t.Errorf("%s: table %q, cluster %q, %s; want %q, %q, %s", tc.what, h.Table, h.Cluster, got.Verdict, tc.table, tc.cluster, tc.verdict)
		}
	}
}

func TestMayAnswer(t *testing.T) {
	client, others := twoProxies()
	got := trace.Run(client, others, request())
	if diff := cmp.Diff([]string{"ext"}, got.Hops[0].MayAnswer); diff != "" {
		t.Errorf("filters that may answer (-want +got):\n%s", diff)
	}
	if got.Hops[0].TLS != cluster.IstioTLS {
		t.Errorf("the connection is %s, want %s", got.Hops[0].TLS, cluster.IstioTLS)
	}
}

// Two proxies that send each other a request must not be followed forever.
func TestLoop(t *testing.T) {
	gateway := func(name, other string) *proxy {
		return newProxy(name, []string{`{"name":"l","address":{"socket_address":{"address":"0.0.0.0","port_value":9080}},
			"filter_chains":[{"filters":[{"name":"tcp","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy","cluster":"other"}}]}]}`}, nil, []string{static("other", "", other)})
	}
	a, b := gateway("a", "10.0.0.2"), gateway("b", "10.0.0.1")
	got := trace.Run(a, mesh{"10.0.0.1": a, "10.0.0.2": b}, trace.Request{Destination: netip.MustParseAddrPort("10.0.0.1:9080"), Inbound: true})
	if !strings.Contains(got.Verdict.Reason, "a loop") || len(got.Hops) != 2 {
		t.Errorf("%d hops, %s; want 2 and a loop", len(got.Hops), got.Verdict)
	}
}

func TestInternalListener(t *testing.T) {
	p := newProxy("waypoint", []string{
		`{"name":"front","address":{"socket_address":{"address":"0.0.0.0","port_value":15008}},"filter_chains":[{"filters":[{"name":"tcp","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy","cluster":"main"}}]}]}`,
		`{"name":"main_internal","internal_listener":{},"filter_chains":[{"name":"inner","filters":[{"name":"tcp","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy","cluster":"none"}}]}]}`,
	}, nil, []string{`{"name":"main","type":"STATIC","load_assignment":{"endpoints":[{"lb_endpoints":[{"endpoint":{"address":{"envoy_internal_address":{"server_listener_name":"main_internal"}}}}]}]}}`})
	got := trace.Run(p, nil, trace.Request{Destination: netip.MustParseAddrPort("10.0.0.1:15008")})
	if len(got.Hops) != 2 || got.Hops[1].Listener != "main_internal" || !strings.HasPrefix(got.Verdict.String(), "NC waypoint has no cluster") {
		t.Errorf("%d hops, verdict %s; want the internal listener, and NC without a status: a TCP proxy sends none", len(got.Hops), got.Verdict)
	}
}

// The scope of a request is made of parts of its headers. An element that is only the key has an empty value.
func TestScope(t *testing.T) {
	scope := func(key, status string) string {
		return `{"name":"s","key":{"fragments":[{"string_key":"` + key + `"}]},"route_configuration":{"virtual_hosts":[{"domains":["*"],
			"routes":[{"match":{"prefix":"/"},"direct_response":{"status":` + status + `}}]}]}}`
	}
	scoped := strings.Replace(httpPort, `"rds":{"route_config_name":"9080"}`, `"scoped_routes":{"name":"by-header","scope_key_builder":{"fragments":[
		{"header_value_extractor":{"name":"x-to","element_separator":";","element":{"key":"v","separator":"="}}}]},
		"scoped_route_configurations_list":{"scoped_route_configurations":[`+scope("one", "201")+`,`+scope("", "202")+`,`+scope("v", "203")+`]}}`, 1)
	p := newProxy("productpage", []string{virtualOutbound, scoped}, nil, nil)
	for value, want := range map[string]int{"a=1;v=one;v=": 201, "v": 202, "v=": 202, "v=v": 203, "w=one": 404} {
		r := request()
		r.Headers = match.Headers{{Name: "x-to", Value: value}}
		if got := trace.Run(p, nil, r).Verdict.Code; got != want {
			t.Errorf("header %q: %d, want %d", value, got, want)
		}
	}
}

func TestAccept(t *testing.T) {
	for _, tc := range []struct{ settings, host, path, want string }{
		{``, "h:80", "/a/../b//c", "h:80 /a/../b//c"},
		{`"normalize_path":true`, "h", "/a/../b//c?x=/../", "h /b//c?x=/../"},
		{`"normalize_path":true,"merge_slashes":true`, "h", "/%61/./b//c/..", "h /a/b/"},
		{`"normalize_path":true`, "h", `/a|"b"\c?"`, `h /a%7C%22b%22/c?"`},
		{`"normalize_path":true`, "h", "/a%00b", "400 path_normalization_failed"},
		{``, "h", "/a%00b", "h /a%00b"},
		{`"merge_slashes":true`, "h", "//?q", "h //?q"},
		{`"strip_any_host_port":true`, "[::1]:80", "/", "[::1] /"},
		{`"strip_matching_host_port":true`, "h:80", "/", "h:80 /"},
		{`"strip_matching_host_port":true`, "h:9080", "/", "h /"},
		{`"strip_trailing_host_dot":true`, "h.:80", "/", "h:80 /"},
		{`"path_with_escaped_slashes_action":"UNESCAPE_AND_FORWARD"`, "h", "/a%2fb?%2f", "h /a/b?%2f"},
		{`"path_with_escaped_slashes_action":"REJECT_REQUEST"`, "h", "/a%2fb", "400 path_normalization_failed"},
		{`"path_with_escaped_slashes_action":"UNESCAPE_AND_REDIRECT"`, "h", "/a%5Cb", "307 path_normalization_failed"},
		{``, "", "/", "400 missing_host_header"},
		{``, "h", "a", "404 absolute_path_rejected"},
		{``, "h", "/a#b", "400 path_normalization_failed"},
	} {
		l := listener.New(rawjson.Value(`{"filter_chains":[{"filters":[{"typed_config":{` + strings.TrimSuffix(manager+","+tc.settings, ",") + `}}]}]}`))
		m, ok := l.Chains()[0].HTTP()
		if !ok {
			t.Fatalf("%s: no connection manager", tc.settings)
		}
		r := &match.Request{Host: tc.host, Path: tc.path, Connection: match.Connection{Destination: netip.MustParseAddrPort("10.0.0.1:9080")}}
		_, refused := trace.Accept(m, r)
		got := r.Host + " " + r.Path
		if refused != nil {
			got = refused.String()
		}
		if !strings.HasPrefix(got, tc.want) {
			t.Errorf("%s: %s %s becomes %q, want %q", tc.settings, tc.host, tc.path, got, tc.want)
		}
	}
}

func FuzzRun(f *testing.F) {
	f.Add([]byte(virtualOutbound), []byte(table), []byte(passthrough), "h:80", "/a%2f..", uint16(9080))
	f.Add([]byte(httpPort), []byte(table), []byte(static("v1", "", "10.0.0.2")), "reviews:9080", "/", uint16(9080))
	f.Add([]byte(inbound(onlyProductpage)), []byte(`{}`), []byte(appCluster), "", "", uint16(0))
	f.Fuzz(func(t *testing.T, l, table, c []byte, host, path string, port uint16) {
		p := newProxy("p", []string{string(l)}, []string{string(table)}, []string{string(c)})
		dst := netip.AddrPortFrom(netip.MustParseAddr("10.0.0.2"), port)
		for _, inbound := range []bool{false, true} {
			trace.Run(p, mesh{"10.0.0.2": p}, trace.Request{Host: host, Path: path, Destination: dst, Inbound: inbound, Client: filterchain.Client{TLS: inbound}})
		}
	})
}
