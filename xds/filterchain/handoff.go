package filterchain

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/extension"
	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// HandOff says which listener has a connection that came in at the first and was meant for dst (the destination before it was redirected). A listener
// with use_original_dst hands on to the listener of exactly that address, else to the one of the any-address of the same family and port, else it
// keeps the connection. One without keeps it. A connection is handed on once.
func (s *Listeners) HandOff(first int, dst netip.AddrPort) (index int, step explain.Step) {
	from := s.list[first]
	step = explain.Step{
		Question: "which listener has the connection?",
		Inputs:   []explain.Input{{Name: "arrives at", Value: from.Name()}, {Name: "meant for", Value: dst.String()}},
		Answer:   from.Name(),
	}
	if !from.UseOriginalDst() {
		step.Candidates = append(step.Candidates, explain.Candidate{Name: from.Name(), Won: true, Why: "it does not hand connections on (no use_original_dst)"})
		return first, step
	}
	dst = netip.AddrPortFrom(dst.Addr().Unmap(), dst.Port())
	exact, wildcard := -1, -1
	var compatible = -1 // an IPv6 any-address that takes IPv4 too
	for _, i := range s.Port(dst.Port()) {
		l := s.list[i]
		if i == first || l.Internal() {
			continue
		}
		candidate := explain.Candidate{Name: l.Name()}
		for _, a := range l.Addresses() {
			if a.UDP || a.Port != uint32(dst.Port()) {
				continue
			}
			ip, err := netip.ParseAddr(a.Host)
			if err != nil {
				continue
			}
			switch ip = ip.Unmap(); {
			case ip == dst.Addr():
				exact, candidate.Why = i, "has exactly this address"
			case ip.IsUnspecified() && ip.Is4() == dst.Addr().Is4():
				wildcard, candidate.Why = i, "has the port on any address"
			case ip.IsUnspecified() && dst.Addr().Is4() && ipv4Compatible(l):
				compatible, candidate.Why = i, "has the port on any address, IPv4 too"
			default:
				candidate.Why = "has the port on another address, " + a.Host
			}
		}
		if candidate.Why == "" {
			continue
		}
		if i == exact || i == wildcard || i == compatible { // the bodies of the others, of which there may be thousands, are not asked for
			candidate.Object = l.Config()
		}
		step.Candidates = append(step.Candidates, candidate)
	}
	index = first
	for _, i := range [...]int{compatible, wildcard, exact} {
		if i >= 0 {
			index = i
		}
	}
	if index == first {
		step.Candidates = append(step.Candidates, explain.Candidate{Name: from.Name(), Why: fmt.Sprintf("no listener has %s or any-address port %d", dst, dst.Port())})
	}
	step.Answer = s.list[index].Name()
	for i := range step.Candidates {
		step.Candidates[i].Won = step.Candidates[i].Name == step.Answer
	}
	return index, step
}

func ipv4Compatible(l listener.Listener) bool {
	return l.Fields().Get("address", "socket_address", "ipv4_compat").IsTrue()
}

// A Client is what a client does on a connection before a chain is chosen.
type Client struct {
	TLS  bool
	SNI  string
	ALPN []string // offered in the TLS handshake
	// HTTP is the protocol of what it sends without TLS: http/1.0, http/1.1, h2c, or "" for none.
	HTTP string
	// Opaque says that what it sends, inside TLS or not, is not HTTP.
	Opaque bool
}

// Inspect gives a connection the transport protocol, server name and application protocols that the listener's filters find out. A filter that the
// listener does not have, or that its filter_disabled turns off for the port, finds nothing out.
func Inspect(l listener.Listener, client Client, conn match.Connection) (match.Connection, explain.Step) {
	step := explain.Step{Question: "what do the listener filters find out?"}
	conn.Transport, conn.SNI, conn.ALPN = "", "", nil
	for _, f := range l.ListenerFilters() {
		c := explain.Candidate{Name: f.Name, Won: true}
		switch kind := listenerFilter(f.Config); {
		case kind == "":
			c.Won, c.Why = false, "not modelled"
			step.Unmodelled = append(step.Unmodelled, "listener filter "+f.Name)
		case disabled(f.Disabled, conn.Destination, 0):
			c.Won, c.Why = false, fmt.Sprintf("off for port %d", conn.Destination.Port())
		case kind == "tls_inspector" && client.TLS:
			conn.Transport, conn.SNI, conn.ALPN = "tls", match.Lower(client.SNI), slices.Clone(client.ALPN)
			c.Why = fmt.Sprintf("TLS, server name %q, protocols %q", conn.SNI, conn.ALPN)
		case kind == "tls_inspector":
			c.Why = "no TLS"
		case kind == "http_inspector" && conn.Transport != "tls" && !client.TLS && client.HTTP != "":
			conn.ALPN = []string{client.HTTP}
			c.Why = client.HTTP
		case kind == "http_inspector":
			c.Why = "no plain HTTP"
		default:
			c.Why = "the addresses given have it already"
		}
		step.Candidates = append(step.Candidates, c)
	}
	if conn.Transport == "" {
		conn.Transport = "raw_buffer"
	}
	step.Answer = conn.Transport
	return conn, step
}

// listenerFilter tells the filters whose effect is known.
func listenerFilter(c extension.Config) string {
	for _, known := range [...]struct{ message, name string }{
		{"TlsInspector", "tls_inspector"}, {"HttpInspector", "http_inspector"}, {"OriginalDst", "original_dst"},
		{"OriginalSrc", "original_src"}, {"ProxyProtocol", "proxy_protocol"},
	} {
		if c.Is(known.message) || c.Type == "" && c.Name == "envoy.filters.listener."+known.name {
			return known.name
		}
	}
	return ""
}

// disabled evaluates a ListenerFilterChainMatchPredicate.
func disabled(v rawjson.Value, dst netip.AddrPort, depth int) bool {
	if depth > 64 {
		return false
	}
	for kind, arg := range v.Members() {
		switch kind {
		case "or_match", "orMatch", "and_match", "andMatch":
			any := kind == "or_match" || kind == "orMatch"
			for rule := range arg.Get("rules").Elems() {
				if disabled(rule, dst, depth+1) == any {
					return any
				}
			}
			return !any
		case "not_match", "notMatch":
			return !disabled(arg, dst, depth+1)
		case "any_match", "anyMatch":
			return arg.IsTrue()
		case "destination_port_range", "destinationPortRange":
			start, _ := arg.Get("start").Int()
			end, _ := arg.Get("end").Int()
			return start <= int64(dst.Port()) && int64(dst.Port()) < end
		}
	}
	return false
}
