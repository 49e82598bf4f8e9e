package filterchain_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/meshlark/meshlark/xds/filterchain"
	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
)

func view(body string) listener.Listener { return listener.New(rawjson.Value(body)) }

func chain(name, match string) string {
	return `{"name":"` + name + `","filter_chain_match":{` + match + `}}`
}

const (
	port80  = `"destination_port":80`
	tenOne  = `"prefix_ranges":[{"address_prefix":"10.1.0.0","prefix_len":16}]`
	sniA    = `"server_names":["a.com"]`
	sniWild = `"server_names":["*.com"]`
	tls     = `"transport_protocol":"tls"`
	h2      = `"application_protocols":["h2"]`
	http11  = `"application_protocols":["http/1.1"]`
	local   = `"source_type":"SAME_IP_OR_LOOPBACK"`
)

func TestMatch(t *testing.T) {
	secure := match.Connection{Destination: netip.MustParseAddrPort("10.1.2.3:80"), Source: netip.MustParseAddrPort("10.9.0.1:1000"), Transport: "tls", SNI: "b.com", ALPN: []string{"h2", "http/1.1"}}
	plain := match.Connection{Destination: netip.MustParseAddrPort("10.1.2.3:80"), Source: netip.MustParseAddrPort("127.0.0.1:1000")}
	for _, tc := range []struct {
		what   string
		chains []string
		conn   match.Connection
		want   string
	}{
		{"a port that is named hides chains without one", []string{chain("port", port80+","+sniA), chain("any", "")}, secure, ""},
		{"so does an address", []string{chain("address", tenOne+","+sniA), chain("any", "")}, secure, ""},
		{"and a transport protocol", []string{chain("tls", tls), chain("h2", h2)}, secure, "tls"},
		{"the wildcard is taken where the name is not there", []string{chain("name", sniA), chain("wild", sniWild), chain("any", "")}, secure, "wild"},
		{"the client's order of protocols decides", []string{chain("one", http11), chain("two", h2)}, secure, "two"},
		{"loopback", []string{chain("local", local), chain("any", "")}, plain, "local"},
		{"not loopback", []string{chain("local", local), chain("any", "")}, secure, "any"},
		{"raw_buffer is what nothing has recognised", []string{chain("raw", `"transport_protocol":"raw_buffer"`)}, plain, "raw"},
		{"a source port", []string{chain("one", `"source_ports":[1000]`), chain("any", "")}, plain, "one"},
	} {
		for _, fallback := range []bool{false, true} {
			body := `{"filter_chains":[` + strings.Join(tc.chains, ",") + `]`
			want := tc.want
			if fallback {
				body += `,"default_filter_chain":{"name":"default"}`
				if want == "" {
					want = "default"
				}
			}
			got := filterchain.New(view(body + "}")).Match(&tc.conn)
			if got.Chain != want || got.Found != (want != "") || got.IsDefault != (want == "default") {
				t.Errorf("%s: chain %q, want %q (%s)", tc.what, got.Chain, want, got.Reason)
			}
			if !got.Found && (got.Flags != "NR" || got.Details != "filter_chain_not_found") {
				t.Errorf("%s: %s %s, want NR filter_chain_not_found", tc.what, got.Flags, got.Details)
			}
		}
	}
}

// Envoy takes no listener with two chains for the same connections, so that neither of them is the answer.
func TestSameMatch(t *testing.T) {
	l := view(`{"filter_chains":[` + strings.Join([]string{chain("one", port80), chain("two", sniA), chain("three", port80)}, ",") + `],"default_filter_chain":{"name":"default"}}`)
	got := filterchain.New(l).Match(&match.Connection{Destination: netip.MustParseAddrPort("10.1.2.3:80")})
	if want := "one (filter_chains[0]) and three (filter_chains[2]) have the same match: Envoy refuses such a listener"; got.Found || got.Reason != want {
		t.Errorf("found %t, %q; want %q", got.Found, got.Reason, want)
	}
}

func TestMatcher(t *testing.T) {
	tree := func(name string) string {
		return `{"default_filter_chain":{"name":"default"},"filter_chains":[{"name":"a","filter_chain_match":{"destination_port":1}}],"filter_chain_matcher":{"matcher_tree":{
			"input":{"typed_config":{"@type":"type.googleapis.com/x.DestinationPortInput"}},
			"exact_match_map":{"map":{"80":{"action":{"name":"x","typed_config":{"@type":"type.googleapis.com/google.protobuf.StringValue","value":"` + name + `"}}}}}}}}`
	}
	for _, tc := range []struct{ chain, dst, want string }{
		{"a", "10.0.0.1:80", "a"},
		{"a", "10.0.0.1:81", "default"},
		{"none", "10.0.0.1:80", ""}, // a name that is no chain is no case for the default
	} {
		got := filterchain.New(view(tree(tc.chain))).Match(&match.Connection{Destination: netip.MustParseAddrPort(tc.dst)})
		if got.Chain != tc.want {
			t.Errorf("the matcher says %s for %s: chain %q, want %q (%s)", tc.chain, tc.dst, got.Chain, tc.want, got.Reason)
		}
	}
}

func TestAddressOf(t *testing.T) {
	const input = `{"typed_config":{"@type":"type.googleapis.com/envoy.extensions.matching.common_inputs.network.v3.`
	choose := func(name string) string {
		return `{"action":{"name":"x","typed_config":{"@type":"type.googleapis.com/google.protobuf.StringValue","value":"` + name + `"}}}`
	}
	byPort := func(port, name string) string {
		return `{"matcher":{"matcher_tree":{"input":` + input + `DestinationPortInput"}},"exact_match_map":{"map":{"` + port + `":` + choose(name) + `}}}}}`
	}
	ranges := `{"filter_chain_matcher":{"matcher_tree":{"input":` + input + `DestinationIPInput"}},"custom_match":{"typed_config":{"@type":"type.googleapis.com/xds.type.matcher.v3.IPMatcher","range_matchers":[
		{"ranges":[{"address_prefix":"10.96.0.1","prefix_len":32}],"on_match":` + byPort("80", "a") + `},
		{"ranges":[{"address_prefix":"10.96.0.2","prefix_len":32},{"address_prefix":"fd00::2","prefix_len":128}],"on_match":` + byPort("81", "b") + `}]}}},"on_no_match":` + choose("c") + `},
		"filter_chains":[{"name":"a"},{"name":"b"},{"name":"c"}]}`
	byName := `{"filter_chain_matcher":{"matcher_tree":{"input":` + input + `DestinationIPInput"}},"exact_match_map":{"map":{"10.96.0.3":` + byPort("80", "a") + `}}}},"filter_chains":[{"name":"a"}]}`
	for _, tc := range []struct {
		what, listener, chain string
		port                  uint16
		want                  string
	}{
		{"a range", ranges, "a", 80, "10.96.0.1"},
		{"the first of its ranges", ranges, "b", 81, "10.96.0.2"},
		{"another port", ranges, "b", 80, "invalid IP"},
		{"the rest", ranges, "c", 80, "invalid IP"},
		{"no such chain", ranges, "d", 80, "invalid IP"},
		{"a map", byName, "a", 80, "10.96.0.3"},
		{"no tree", `{"filter_chains":[{"name":"a"}]}`, "a", 80, "invalid IP"},
	} {
		if got := filterchain.New(view(tc.listener)).AddressOf(tc.chain, tc.port).String(); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.what, got, tc.want)
		}
	}
}

func TestHandOff(t *testing.T) {
	address := func(ip, port string) string {
		return `"address":{"socket_address":{"address":"` + ip + `","port_value":` + port + `}}`
	}
	list := []listener.Listener{
		view(`{"name":"outbound","use_original_dst":true,` + address("0.0.0.0", "15001") + `}`),
		view(`{"name":"any","bind_to_port":false,` + address("0.0.0.0", "80") + `}`),
		view(`{"name":"vip","bind_to_port":false,` + address("10.0.0.1", "80") + `}`),
		view(`{"name":"v6","bind_to_port":false,` + address("::", "81") + `}`),
		view(`{"name":"dual","bind_to_port":false,"address":{"socket_address":{"address":"::","port_value":82,"ipv4_compat":true}}}`),
		view(`{"name":"inbound",` + address("0.0.0.0", "15006") + `}`),
	}
	listeners := filterchain.NewListeners(list)
	for _, tc := range []struct {
		first     int
		dst, want string
	}{
		{0, "10.0.0.1:80", "vip"},
		{0, "10.0.0.2:80", "any"},
		{0, "[fd00::1]:80", "outbound"}, // of the same family only
		{0, "[fd00::1]:81", "v6"},
		{0, "10.0.0.1:81", "outbound"},
		{0, "10.0.0.1:82", "dual"},
		{0, "10.0.0.1:9", "outbound"},
		{5, "10.0.0.1:80", "inbound"}, // hands nothing on
	} {
		i, step := listeners.HandOff(tc.first, netip.MustParseAddrPort(tc.dst))
		if list[i].Name() != tc.want || step.Answer != tc.want {
			t.Errorf("%s at %s: %s, want %s", tc.dst, list[tc.first].Name(), list[i].Name(), tc.want)
		}
		if winner, ok := step.Winner(); !ok && tc.want != "outbound" || ok && winner.Name != tc.want {
			t.Errorf("%s: winner %+v", tc.dst, winner)
		}
	}
}

func TestInspect(t *testing.T) {
	l := view(`{"listener_filters":[
		{"name":"tls","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"}},
		{"name":"http","filter_disabled":{"destination_port_range":{"start":3306,"end":3307}},"typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.listener.http_inspector.v3.HttpInspector"}}]}`)
	for _, tc := range []struct {
		client          filterchain.Client
		dst             string
		transport, alpn string
	}{
		{filterchain.Client{TLS: true, SNI: "A", ALPN: []string{"h2"}}, "10.0.0.1:80", "tls", "h2"},
		{filterchain.Client{HTTP: "http/1.1"}, "10.0.0.1:80", "raw_buffer", "http/1.1"},
		{filterchain.Client{HTTP: "http/1.1"}, "10.0.0.1:3306", "raw_buffer", ""},
	} {
		got, _ := filterchain.Inspect(l, tc.client, match.Connection{Destination: netip.MustParseAddrPort(tc.dst)})
		if got.Transport != tc.transport || strings.Join(got.ALPN, ",") != tc.alpn {
			t.Errorf("%+v to %s: %s %v, want %s %s", tc.client, tc.dst, got.Transport, got.ALPN, tc.transport, tc.alpn)
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add([]byte(`{"filter_chains":[{"filter_chain_match":{"destination_port":80,"server_names":["*"],"prefix_ranges":[{"address_prefix":"::","prefix_len":200}]}}]}`), "a", uint16(80))
	f.Fuzz(func(t *testing.T, body []byte, name string, port uint16) {
		l := listener.New(body)
		conn, _ := filterchain.Inspect(l, filterchain.Client{TLS: true, SNI: name, ALPN: []string{name}}, match.Connection{Destination: netip.AddrPortFrom(netip.IPv6Loopback(), port)})
		filterchain.New(l).Match(&conn)
		filterchain.New(l).Match(&match.Connection{})
		filterchain.NewListeners([]listener.Listener{l, l}).HandOff(0, conn.Destination)
	})
}
