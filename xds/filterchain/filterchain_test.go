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
	named := func(name string) match.Connection {
		c := secure
		c.SNI = name
		return c
	}
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
		{"a name that begins with a dot is a wildcard", []string{chain("dot", `"server_names":[".com"]`), chain("any", "")}, secure, "dot"},
		{"the longest wildcard", []string{chain("com", sniWild), chain("longer", `"server_names":["*.b.com"]`)}, named("a.b.com"), "longer"},
		{"the name before any wildcard", []string{chain("wild", `"server_names":["*.b.com"]`), chain("name", `"server_names":["A.b.com"]`)}, named("a.b.com"), "name"},
		{"a wildcard is not for what it ends in", []string{chain("wild", `"server_names":["*.b.com"]`)}, named("b.com"), ""},
		{"nor for a part of a word", []string{chain("wild", `"server_names":["*.b.com"]`)}, named("ab.com"), ""},
		{"a dot alone is no wildcard", []string{chain("wild", `"server_names":["*."]`)}, named("b."), ""},
		{"an empty name is no name", []string{chain("none", `"server_names":[""]`)}, secure, "none"},
		{"an empty protocol is no protocol", []string{chain("none", `"application_protocols":["", "h3"]`)}, secure, "none"},
		{"which a protocol that is named comes before", []string{chain("none", `"application_protocols":[""]`), chain("h2", h2)}, secure, "h2"},
		{"a socket has the last of all addresses", []string{chain("last", `"prefix_ranges":[{"address_prefix":"255.0.0.0","prefix_len":8}],"source_type":"SAME_IP_OR_LOOPBACK"`), chain("any", "")}, match.Connection{}, "last"},
		{"and is in no range of IPv6", []string{chain("all", `"prefix_ranges":[{"address_prefix":"::"}]`)}, match.Connection{}, ""},
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
			got := filterchain.New(view(body + "}")).Match(&match.Request{Connection: tc.conn})
			if got.Chain != want || got.Found != (want != "") || got.IsDefault != (want == "default") {
				t.Errorf("%s: chain %q, want %q (%s)", tc.what, got.Chain, want, got.Reason)
			}
			if !got.Found && (got.Flags != "NR" || got.Details != "filter_chain_not_found") {
				t.Errorf("%s: %s %s, want NR filter_chain_not_found", tc.what, got.Flags, got.Details)
			}
		}
	}
}

// TestChance is for a listener some chains of which are for every address, and others name none: which of the two Envoy keeps is not known.
func TestChance(t *testing.T) {
	every := chain("every", `"prefix_ranges":[{"address_prefix":"0.0.0.0","prefix_len":0}]`)
	for _, tc := range []struct {
		chains, dst string
		unknown     bool
	}{
		{every + "," + chain("none", tls), "10.0.0.1:80", true},
		{every + "," + chain("some", tenOne), "10.0.0.1:80", false},
		{every + "," + chain("none", tls), "[fd00::1]:80", false}, // of another family
		{chain("none", tls), "10.0.0.1:80", false},
	} {
		got := filterchain.New(view(`{"filter_chains":[` + tc.chains + `]}`)).Match(&match.Request{Connection: match.Connection{Destination: netip.MustParseAddrPort(tc.dst)}})
		if unknown := len(got.Unmodelled) > 0; unknown != tc.unknown {
			t.Errorf("%s for %s: unknown %v (%v)", tc.chains, tc.dst, got.Unmodelled, got.Reason)
		}
	}
}

func TestRefused(t *testing.T) {
	same := `"destination_port":80,"server_names":["a.com"]`
	matcher := `,"filter_chain_matcher":{"on_no_match":{}}`
	for _, tc := range []struct{ chains, more, want string }{
		{chain("a", same) + "," + chain("b", ""), "", ""},
		{chain("a", same) + "," + chain("b", same), "", "chain a and chain b are for the same connections: "},
		{chain("a", same) + "," + chain("", `"destination_port":80,"server_names":["c.com","A.com"]`), "", "chain a and filter_chains[1] are for the same connections: "},
		{chain("a", `"server_names":["*.com",".com"]`), "", "chain a and chain a are for the same connections: "},
		{chain("a", "") + "," + chain("b", `"server_names":[""]`), "", "chain a and chain b are for the same connections: "},
		{chain("a", "") + "," + chain("b", `"prefix_ranges":[{"address_prefix":"0.0.0.0"}]`), "", ""},
		{chain("a", `"source_ports":[1,2]`) + "," + chain("b", `"source_ports":[2]`), "", "chain a and chain b are for the same connections: "},
		{chain("a", `"source_type":"EXTERNAL"`) + "," + chain("b", local), "", ""},
		{chain("a", `"source_prefix_ranges":[{"address_prefix":"10.0.0.1","prefix_len":8}]`) + "," + chain("b", `"source_prefix_ranges":[{"address_prefix":"10.0.0.2","prefix_len":8}]`), "", "chain a and chain b are for the same connections: "},
		{chain("a", `"direct_source_prefix_ranges":[{"address_prefix":"10.0.0"}]`), "", `chain a has a malformed IP address, "10.0.0"`},
		{chain("a", `"server_names":["a.*"]`), "", `chain a has the server name "a.*": only a name that begins with *. may have a *`},
		{chain("a", `"suffix_len":0`), "", "chain a asks for the end of an address (address_suffix, suffix_len), which is not implemented"},
		{chain("a", same) + "," + chain("b", same), matcher, ""},
		{chain("a", same) + "," + chain("a", ""), matcher, "chain a has no name of its own, by which filter_chain_matcher could choose it"},
		{chain("", ""), matcher, "filter_chains[0] has no name of its own, by which filter_chain_matcher could choose it"},
	} {
		set := filterchain.New(view(`{"filter_chains":[` + tc.chains + `],"default_filter_chain":{}` + tc.more + `}`))
		got := set.Refused()
		if !strings.HasPrefix(got, tc.want) || (got == "") != (tc.want == "") {
			t.Errorf("%s%s: refused for %q, want %q", tc.chains, tc.more, got, tc.want)
		}
		if outcome := set.Match(&match.Request{}); got != "" && (outcome.Found || outcome.Flags != "" || !strings.Contains(outcome.Reason, got)) {
			t.Errorf("%s%s: %+v, want no chain", tc.chains, tc.more, outcome)
		}
	}
}

func TestMatcher(t *testing.T) {
	name := func(name string) string {
		return `{"action":{"name":"x","typed_config":{"@type":"type.googleapis.com/google.protobuf.StringValue","value":"` + name + `"}}}`
	}
	format := func(text string) string {
		return `{"action":{"name":"x","typed_config":{"@type":"type.googleapis.com/envoy.config.core.v3.SubstitutionFormatString","omit_empty_values":true,` + text + `}}}`
	}
	tree := func(input, value, on string) string {
		return `{"default_filter_chain":{"name":"default"},"filter_chains":[{"name":"a","filter_chain_match":{"destination_port":1}}],"filter_chain_matcher":{"matcher_tree":{
			"input":{"typed_config":{"@type":"type.googleapis.com/x.` + input + `}},"exact_match_map":{"map":{"` + value + `":` + on + `}}}}}`
	}
	known := &match.Request{
		Connection:  match.Connection{Destination: netip.MustParseAddrPort("10.0.0.1:80"), Namespace: "/run/netns/a"},
		FilterState: map[string]string{"key": "value"}, Metadata: map[string]any{"ns": map[string]any{"chain": "a"}},
	}
	for _, tc := range []struct{ input, value, on, want, unknown string }{
		{`DestinationPortInput"`, "80", name("a"), "a", ""},
		{`DestinationPortInput"`, "81", name("a"), "default", ""},
		{`DestinationPortInput"`, "80", name("none"), "", ""}, // a name that is no chain is no case for the default
		{`FilterStateInput","key":"key"`, "value", name("a"), "a", ""},
		{`FilterStateInput","key":"other"`, "value", name("a"), "default", ""},
		{`NetworkNamespaceInput"`, "/run/netns/a", name("a"), "a", ""},
		{`DestinationPortInput"`, "80", format(`"text_format_source":{"inline_string":"%DYNAMIC_METADATA(ns:chain)%%DYNAMIC_METADATA(ns:none)%"}`), "a", ""},
		{`DestinationPortInput"`, "80", format(`"text_format_source":{"filename":"/a"}`), "", "the name of a chain that is no text in the configuration"},
		{`DestinationPortInput"`, "80", `{"action":{"name":"x","typed_config":{"@type":"type.googleapis.com/x.Y"}}}`, "", "action x.Y"},
	} {
		got := filterchain.New(view(tree(tc.input, tc.value, tc.on))).Match(known)
		if unknown := strings.Join(got.Unmodelled, ","); got.Chain != tc.want || unknown != tc.unknown {
			t.Errorf("%s=%s: %s: chain %q, want %q (%s), not known %q, want %q", tc.input, tc.value, tc.on, got.Chain, tc.want, got.Reason, unknown, tc.unknown)
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
		filterchain.New(l).Match(&match.Request{Connection: conn})
		filterchain.New(l).Match(&match.Request{})
		filterchain.NewListeners([]listener.Listener{l, l}).HandOff(0, conn.Destination)
	})
}
