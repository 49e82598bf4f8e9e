package difftest

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshlark/meshlark/xds/filterchain"
	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
)

var (
	ipWords     = []string{"10.1.0.1", "10.1.2.3", "10.2.0.1", "127.0.0.1", "192.168.0.9", "127.0.0.6", "fd00::1", "::1"}
	rangeWords  = []string{"10.1.0.0/16", "10.1.2.3/32", "10.0.0.0/8", "127.0.0.1/32", "127.0.0.0/8", "192.168.0.0/30", "fd00::/8", "10.1.0.77/24", "0.0.0.0/1", "0.0.0.0/0"}
	sniWords    = []string{"", "a.com", "x.a.com", "y.x.a.com", "b.org", "A.com", "com", "x..com"}
	serverWords = []string{"a.com", "*.a.com", "*.x.a.com", "*.com", "b.org", "x.a.com", ".com", ".a.com", "", "*.", "com"}
	alpnWords   = []string{"h2", "http/1.1", "istio", "h2c", "http/1.0", ""}
	portWords   = []int{80, 443, 8080}
)

func cidrs(p picker, n int) []any {
	var out []any
	for _, text := range some(p, n, rangeWords...) {
		prefix := netip.MustParsePrefix(text)
		out = append(out, dict{"address_prefix": strings.Split(text, "/")[0], "prefix_len": prefix.Bits()})
	}
	return out
}

func (p picker) chainMatch() dict {
	d := dict{}
	if p.chance(.4) {
		d["destination_port"] = one(p, portWords...)
	}
	if p.chance(.4) {
		d["prefix_ranges"] = cidrs(p, 1+p.IntN(2))
	}
	if p.chance(.5) {
		d["server_names"] = some(p, 1+p.IntN(3), serverWords...)
	}
	if p.chance(.35) {
		d["transport_protocol"] = one(p, "tls", "raw_buffer")
	}
	if p.chance(.35) {
		d["application_protocols"] = some(p, 1+p.IntN(2), alpnWords...)
	}
	if p.chance(.15) {
		d["direct_source_prefix_ranges"] = cidrs(p, 2)
	}
	if p.chance(.45) {
		d["source_type"] = one(p, "ANY", "SAME_IP_OR_LOOPBACK", "EXTERNAL")
	}
	if p.chance(.3) {
		d["source_prefix_ranges"] = cidrs(p, 1+p.IntN(2))
	}
	if p.chance(.2) {
		d["source_ports"] = some(p, 1+p.IntN(2), 1000, 2000, 3000)
	}
	if p.chance(.03) { // what Envoy refuses
		switch p.IntN(6) {
		case 0:
			d["server_names"] = []string{"b.org", one(p, "*", "*a.com", "a.*", "x.*.com")}
		case 1:
			d[one(p, "prefix_ranges", "source_prefix_ranges", "direct_source_prefix_ranges")] = []any{dict{"address_prefix": one(p, "10.1", "a.com", "10.1.0.0/16"), "prefix_len": 8}}
		case 2:
			d["suffix_len"] = 8
		case 3:
			d["address_suffix"] = "10.0.0.1"
		case 4:
			d["source_ports"] = []int{1000, 1000}
		case 5:
			d["server_names"] = []string{"x.org", one(p, "X.org", "x.org")}
		}
	}
	return d
}

func chainNamed(name string, chainMatch dict) dict {
	d := dict{"name": name, "filters": []any{dict{"name": "say", "typed_config": dict{
		"@type": "type.googleapis.com/envoy.extensions.filters.network.direct_response.v3.Config", "response": dict{"inline_string": name},
	}}}}
	if chainMatch != nil {
		d["filter_chain_match"] = chainMatch
	}
	return d
}

func (p picker) listener(name string) dict {
	var chains []any
	tree := p.chance(.2)
	for i := range 1 + p.IntN(6) {
		m := p.chainMatch()
		// Variants of a chain are what shows that there is no way back.
		if last := len(chains) - 1; last >= 0 && p.chance(.5) {
			old, _ := chains[last].(dict)["filter_chain_match"].(dict)
			for _, k := range slices.Sorted(maps.Keys(old)) {
				if p.chance(.7) {
					m[k] = old[k]
				}
			}
		}
		name := fmt.Sprintf("c%d", i)
		if p.chance(.1) {
			name = one(p, "a.com", "443")
		}
		if tree && p.chance(.03) {
			name = one(p, "", "c0")
		}
		chains = append(chains, chainNamed(name, m))
	}
	d := dict{
		"name": name, "address": socket("127.0.0.1", 0), "filter_chains": chains, "listener_filters_timeout": "3s",
		"listener_filters": []any{
			dict{"name": "pp", "typed_config": dict{"@type": "type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol"}},
			dict{"name": "tls", "typed_config": dict{"@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"}},
			dict{"name": "http", "typed_config": dict{"@type": "type.googleapis.com/envoy.extensions.filters.listener.http_inspector.v3.HttpInspector"}},
		},
	}
	if p.chance(.3) {
		start := one(p, 80, 443)
		d["listener_filters"].([]any)[1+p.IntN(2)].(dict)["filter_disabled"] = one(p,
			dict{"destination_port_range": dict{"start": start, "end": start + 1}},
			dict{"not_match": dict{"destination_port_range": dict{"start": start, "end": 8081}}},
			dict{"or_match": dict{"rules": []any{dict{"destination_port_range": dict{"start": 80, "end": 81}}, dict{"destination_port_range": dict{"start": 443, "end": 444}}}}},
		)
	}
	if p.chance(.5) {
		d["default_filter_chain"] = chainNamed("default", nil)
	}
	if tree {
		d["filter_chain_matcher"] = p.chainTree(len(chains), 0)
	}
	return d
}

func networkInput(name string) dict {
	return dict{"name": name, "typed_config": dict{"@type": "type.googleapis.com/envoy.extensions.matching.common_inputs.network.v3." + name}}
}

func (p picker) chainTree(n, depth int) dict {
	on := func() dict {
		if depth < 2 && p.chance(.4) {
			return dict{"matcher": p.chainTree(n, depth+1)}
		}
		return dict{"action": dict{"name": "chain", "typed_config": dict{
			"@type": "type.googleapis.com/google.protobuf.StringValue", "value": fmt.Sprintf("c%d", p.IntN(n+1)),
		}}}
	}
	d := dict{}
	exact := func(input string, keys ...string) {
		m := dict{}
		for _, k := range some(p, 2, keys...) {
			m[k] = on()
		}
		d["matcher_tree"] = dict{"input": networkInput(input), "exact_match_map": dict{"map": m}}
	}
	switch p.IntN(10) {
	case 9:
		d["matcher_list"] = dict{"matchers": []any{dict{"predicate": dict{"single_predicate": dict{
			"input": networkInput(one(p, "ServerNameInput", "SourcePortInput", "NetworkNamespaceInput")), "custom_match": p.hashMatch(),
		}}, "on_match": on()}}}
	case 0:
		exact("DestinationPortInput", "80", "443", "8080")
	case 1:
		exact("TransportProtocolInput", "tls", "raw_buffer")
	case 2:
		exact("ApplicationProtocolInput", "'h2'", "'http/1.1'", "'h2','http/1.1'")
	case 3:
		exact("SourceTypeInput", "local")
	case 4:
		exact("ServerNameInput", "a.com", "x.a.com")
	case 5, 6:
		var list []any
		for range 1 + p.IntN(3) {
			list = append(list, dict{"ranges": cidrs(p, 1+p.IntN(2)), "on_match": on(), "exclusive": p.chance(.3)})
		}
		d["matcher_tree"] = dict{"input": networkInput(one(p, "DestinationIPInput", "SourceIPInput", "DirectSourceIPInput")), "custom_match": dict{
			"name": "ip", "typed_config": dict{"@type": "type.googleapis.com/xds.type.matcher.v3.IPMatcher", "range_matchers": list},
		}}
	case 7:
		names := some(p, 4, "a.com", "*.a.com", "*.com", "*", "b.org")
		d["matcher_tree"] = dict{"input": networkInput("ServerNameInput"), "custom_match": dict{
			"name": "sni", "typed_config": dict{"@type": "type.googleapis.com/xds.type.matcher.v3.ServerNameMatcher", "domain_matchers": []any{
				dict{"domains": names[:2], "on_match": on()}, dict{"domains": names[2:], "on_match": on()},
			}},
		}}
	case 8:
		d["matcher_list"] = dict{"matchers": []any{dict{"predicate": dict{"single_predicate": dict{
			"input": networkInput(one(p, "ServerNameInput", "SourcePortInput")), "value_match": dict{"prefix": one(p, "x", "a", "1", "2")},
		}}, "on_match": on()}}}
	}
	if p.chance(.6) {
		d["on_no_match"] = on()
	}
	return d
}

// A connection is what a test's client connects with.
type connection struct {
	Source, Destination netip.AddrPort
	Client              filterchain.Client
}

// connection makes a connection, mostly one that fits one of the chains as far as that is easy.
func (p picker) connection(chains []any) connection {
	src := netip.MustParseAddr(one(p, ipWords...))
	dst := netip.MustParseAddr(one(p, ipWords...))
	for src.Is4() != dst.Is4() {
		dst = netip.MustParseAddr(one(p, ipWords...))
	}
	if p.chance(.1) {
		dst = src
	}
	c := connection{
		Source:      netip.AddrPortFrom(src, uint16(one(p, 1000, 2000, 3000, 4000))),
		Destination: netip.AddrPortFrom(dst, uint16(one(p, 80, 443, 8080, 9090))),
	}
	if p.chance(.55) {
		c.Client = filterchain.Client{TLS: true, SNI: one(p, sniWords...), ALPN: some(p, p.IntN(3), "h2", "http/1.1", "istio")}
	} else {
		c.Client.HTTP = one(p, "http/1.1", "http/1.0", "h2c", "")
	}
	if m, ok := one(p, chains...).(dict)["filter_chain_match"].(dict); ok && p.chance(.9) {
		p.fitChain(&c, m)
	}
	return c
}

func (p picker) fitChain(c *connection, m dict) {
	if port, ok := m["destination_port"].(int); ok {
		c.Destination = netip.AddrPortFrom(c.Destination.Addr(), uint16(port))
	}
	inside := func(list any, old netip.AddrPort, other netip.AddrPort) netip.AddrPort {
		for range 20 {
			ip := netip.MustParseAddr(one(p, ipWords...))
			for _, r := range list.([]any) {
				d := r.(dict)
				prefix, err := netip.ParsePrefix(fmt.Sprint(d["address_prefix"], "/", d["prefix_len"]))
				if err != nil {
					continue
				}
				if prefix = prefix.Masked(); prefix.Contains(ip) && ip.Is4() == other.Addr().Is4() {
					return netip.AddrPortFrom(ip, old.Port())
				}
			}
		}
		return old
	}
	if m["source_type"] == "SAME_IP_OR_LOOPBACK" && p.chance(.7) {
		c.Source = netip.AddrPortFrom(c.Destination.Addr(), c.Source.Port())
	}
	if m["prefix_ranges"] != nil {
		c.Destination = inside(m["prefix_ranges"], c.Destination, c.Source)
	}
	if m["source_prefix_ranges"] != nil {
		c.Source = inside(m["source_prefix_ranges"], c.Source, c.Destination)
	}
	if ports, ok := m["source_ports"].([]int); ok && p.chance(.8) {
		c.Source = netip.AddrPortFrom(c.Source.Addr(), uint16(one(p, ports...)))
	}
	names, _ := m["server_names"].([]string)
	protocols, _ := m["application_protocols"].([]string)
	if m["transport_protocol"] == "tls" || len(names) > 0 {
		c.Client = filterchain.Client{TLS: true}
		if len(names) > 0 {
			// A Go client sends no dot at the end.
			c.Client.SNI = strings.TrimSuffix(strings.Replace(one(p, names...), "*", one(p, "x", "y.x"), 1), ".")
		}
		if len(protocols) > 0 {
			c.Client.ALPN = some(p, p.IntN(2), "h3")
			if protocol := one(p, protocols...); protocol != "" {
				c.Client.ALPN = append(c.Client.ALPN, protocol)
			}
		}
	} else if len(protocols) > 0 {
		c.Client = filterchain.Client{HTTP: one(p, protocols...)}
		if c.Client.HTTP == "h2" || c.Client.HTTP == "istio" {
			c.Client = filterchain.Client{TLS: true, ALPN: []string{c.Client.HTTP}}
		}
	}
}

// firstBytes are what the client sends first after the PROXY header.
func (c connection) firstBytes() []byte {
	if !c.Client.TLS {
		switch c.Client.HTTP {
		case "h2c":
			return []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
		case "":
			return []byte("\x01\x02 no protocol that is known\r\n\r\n")
		}
		return []byte("GET / " + strings.ToUpper(c.Client.HTTP) + "\r\nhost: x\r\n\r\n")
	}
	ours, theirs := net.Pipe()
	defer theirs.Close()
	go func() {
		config := &tls.Config{ServerName: c.Client.SNI, NextProtos: c.Client.ALPN, InsecureSkipVerify: true}
		_ = tls.Client(ours, config).Handshake() // ends when the pipe closes
		ours.Close()
	}()
	buf := make([]byte, 16<<10)
	n, _ := theirs.Read(buf)
	// A hello larger than one write comes in pieces.
	for n >= 5 && n < 5+int(buf[3])<<8+int(buf[4]) {
		m, err := theirs.Read(buf[n:])
		if err != nil {
			break
		}
		n += m
	}
	return buf[:n]
}

// predict says which chain takes it.
func (c connection) predict(l listener.Listener) filterchain.Result {
	seen, _ := filterchain.Inspect(l, c.Client, match.Connection{Source: c.Source, Destination: c.Destination, DirectSource: netip.MustParseAddrPort("127.0.0.1:1")})
	return filterchain.New(l).Match(&match.Request{Connection: seen, Runtime: runtime})
}

// run connects and gives the name of the chain, "" when the connection was closed.
func (c connection) run(address string) (string, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	family := "TCP4"
	if c.Source.Addr().Is6() {
		family = "TCP6"
	}
	head := fmt.Sprintf("PROXY %s %s %s %d %d\r\n", family, c.Source.Addr(), c.Destination.Addr(), c.Source.Port(), c.Destination.Port())
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return "", err
	}
	if _, err := conn.Write(append([]byte(head), c.firstBytes()...)); err != nil {
		return "", err
	}
	got, err := io.ReadAll(conn)
	if err != nil && len(got) == 0 && strings.Contains(err.Error(), "reset") {
		return "", nil
	}
	if len(got) > 0 {
		err = nil // closed with what we sent unread
	}
	return string(got), err
}

// TestChains compares which filter chain a connection takes.
func TestChains(t *testing.T) {
	outcomes := map[string]int{}
	count := coverage{}
	pairs, loaded, differ, chance := 0, 0, 0, 0
	var faults []func() // that shrink a listener with a difference
	for from := 0; from < *configs; from += batch {
		b := newBench(t)
		listeners := map[string]dict{}
		name := func(i int) string { return fmt.Sprintf("seed%d_", *seedFlag+uint64(i)) }
		for i := from; i < min(*configs, from+batch); i++ {
			listeners[name(i)] = newPicker(*seedFlag + uint64(i)).listener(name(i))
		}
		ports, _ := b.load(t, listeners)
		for i := from; i < min(*configs, from+batch); i++ {
			address := ports[name(i)]
			view := listener.New(rawjson.Value(text(listeners[name(i)])))
			if why := filterchain.New(view).Refused(); (why != "") != (address == "") {
				t.Errorf("seed %d: predicted to be refused for %q; Envoy has it at %q\n%s", *seedFlag+uint64(i), why, address, view.Body())
				b.reasons(t)
			}
			if address == "" {
				continue
			}
			loaded++
			p := newPicker(*seedFlag + uint64(i) ^ 1<<40)
			for range min(*requests, 50) {
				c := p.connection(listeners[name(i)]["filter_chains"].([]any))
				got, err := c.run(address)
				if err != nil {
					t.Errorf("seed %d: %+v: %v", *seedFlag+uint64(i), c, err)
					continue
				}
				pairs++
				want := c.predict(view)
				if len(want.Unmodelled) > 0 {
					chance++
					continue
				}
				count.chains(listeners[name(i)], want)
				outcomes[cmp.Or(want.Chain, want.Details)]++
				if got != want.Chain {
					if differ++; differ <= 4 {
						t.Errorf("seed %d: %+v: Envoy %q, predicted %q (%s)\n%s", *seedFlag+uint64(i), c, got, want.Chain, want.Reason, view.Body())
						faults = append(faults, func() {
							t.Logf("seed %d: shrunk for %+v: %s", *seedFlag+uint64(i), c, text(reduceListener(t, listeners[name(i)], []string{"filters", "listener_filters"}, func(l dict, address string) bool {
								got, err := c.run(address)
								return err == nil && got != c.predict(listener.New(text(l))).Chain
							})))
						})
					}
				}
			}
		}
	}
	t.Logf("seeds %d to %d: %d configurations, %d pairs, %d differences, %d left to chance", *seedFlag, *seedFlag+uint64(*configs)-1, loaded, pairs, differ, chance)
	balanced(t, outcomes, pairs)
	shrinkSome(faults)
	if loaded*2 < *configs {
		t.Errorf("Envoy took only %d of %d listeners", loaded, *configs)
	}
	count.log(t)
	count.require(t, "FilterChainMatch")
}

// shrinkSome shrinks what the first differences were seen in.
func shrinkSome(faults []func()) {
	if !*shrinks {
		return
	}
	for _, f := range faults[:min(2, len(faults))] {
		f()
	}
}

// criteria are the fields of FilterChainMatch by the level they belong to.
var criteria = map[string]string{
	"destination port": "destination_port", "destination address": "prefix_ranges", "server name": "server_names", "transport protocol": "transport_protocol",
	"application protocols": "application_protocols", "direct source address": "direct_source_prefix_ranges", "source type": "source_type",
	"source address": "source_prefix_ranges", "source port": "source_ports",
}

// chains counts the criteria of chains that were looked at.
func (c coverage) chains(l dict, got filterchain.Result) {
	for _, step := range got.Steps {
		field := criteria[strings.TrimSuffix(strings.TrimPrefix(step.Question, "which chains are for this "), "?")]
		for _, candidate := range step.Candidates {
			var i int
			if _, err := fmt.Sscanf(candidate.Where, "filter_chains[%d]", &i); err != nil || field == "" {
				continue
			}
			if l["filter_chains"].([]any)[i].(dict)["filter_chain_match"].(dict)[field] != nil {
				c.add("FilterChainMatch."+field, candidate.Won)
			}
		}
	}
}
