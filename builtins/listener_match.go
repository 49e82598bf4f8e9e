package builtins

import (
	"net/netip"
	"strings"

	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/filterchain"
	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/match"
	"go.starlark.net/starlark"
)

// chainMatch is what becomes of a connection in a listener: what listener.match(...) gives. It is false when no chain takes it.
type chainMatch struct {
	listener *Object
	filterchain.Result
}

var (
	_ starlark.HasAttrs = (*chainMatch)(nil)
	_ Explained         = (*chainMatch)(nil)
)

// Steps are the decisions in order.
func (m *chainMatch) Steps() []explain.Step { return m.Result.Steps }

func (m *chainMatch) String() string {
	if !m.Found {
		return "<chain_match none: " + clip(m.Reason, 160) + ">"
	}
	return "<chain_match " + clip(m.place(), 120) + ": " + clip(m.Reason, 120) + ">"
}
func (m *chainMatch) Type() string                          { return "ChainMatch" }
func (m *chainMatch) Freeze()                               {}
func (m *chainMatch) Truth() starlark.Bool                  { return starlark.Bool(m.Found) }
func (m *chainMatch) Hash() (uint32, error)                 { return starlark.String(m.Chain + m.Reason).Hash() }
func (m *chainMatch) Attr(n string) (starlark.Value, error) { return attr(m, n) }
func (m *chainMatch) AttrNames() []string                   { return attrNames(m) }
func (m *chainMatch) Item() Item                            { return itemOf(m, "chain_match") }

// place is what a chain is called: its name or, without one, where it is.
func (m *chainMatch) place() string {
	switch {
	case m.Chain != "":
		return m.Chain
	case m.IsDefault:
		return "default_filter_chain"
	default:
		return "filter_chains[" + starlark.MakeInt(m.Index).String() + "]"
	}
}

// listenerMatches describes Listener.match. The type Listener is the current one.
func (b *builder) listenerMatches() {
	b.method("match", noneIsLeftOut([]Param{
		{Name: "dst_ip", Type: "string", Default: `""`, Doc: "the address the connection is made to, after it was restored by the listener filters; the listener's own when left out"},
		{Name: "dst_port", Type: "int", Default: "None", Doc: "the port it is made to; the listener's own when left out"},
		{Name: "sni", Type: "string", Default: `""`, Doc: "the server name of the TLS handshake"},
		{Name: "alpn", Type: "list|string", Default: "[]", Doc: "the application protocols the client offers, or the one the HTTP inspector saw"},
		{Name: "transport", Type: "string", Default: `""`, Doc: "the transport protocol that was found out: tls, raw_buffer or another; left out it is tls when there is an sni, else raw_buffer"},
		{Name: "src_ip", Type: "string", Default: `""`, Doc: "the client's address, as PROXY protocol has it where that is used"},
		{Name: "src_port", Type: "int", Default: "None", Doc: "the client's port"},
		{Name: "direct_src_ip", Type: "string", Default: `""`, Doc: "who really connected; src_ip when left out"},
		filterStateParam, metadataParam, runtimeParam,
	}), "ChainMatch", "Which filter chain takes a connection. None for an argument is as if it were left out. The listener is taken by itself: its listener filters are not run, what they would find out is given, and it is not handed to another listener.",
		`proxy("productpage-v1").listeners(port=9080)[0].match(dst_ip="10.0.0.1", dst_port=9080)`, listenerMatchMethod)
}

func listenerMatchMethod(c *Call) (starlark.Value, error) {
	o := c.Recv.(*Object)
	l, err := view[listener.Listener](o)
	if err != nil {
		return nil, err
	}
	conn := &match.Connection{SNI: c.Text("sni"), Transport: c.Text("transport"), Namespace: l.NetworkNamespace()}
	if conn.ALPN, err = textsOf(c, "alpn"); err != nil {
		return nil, err
	}
	if conn.Transport == "" && conn.SNI != "" {
		conn.Transport = "tls"
	}
	conn.TLS = conn.Transport == "tls"
	if conn.Destination, err = endOf(c, "dst_ip", "dst_port"); err != nil {
		return nil, err
	}
	if own := l.Address(); !conn.Destination.Addr().IsValid() && !socketPath(c.Text("dst_ip")) && !socketPath(c.Text("src_ip")) { // both ends of a socket are one
		if ip, err := netip.ParseAddr(own.Host); err == nil {
			conn.Destination = netip.AddrPortFrom(ip, conn.Destination.Port())
		}
		if !c.Given("dst_port") {
			conn.Destination = netip.AddrPortFrom(conn.Destination.Addr(), uint16(min(own.Port, 1<<16-1)))
		}
	}
	if conn.Source, err = endOf(c, "src_ip", "src_port"); err != nil {
		return nil, err
	}
	if path := c.Text("direct_src_ip"); !socketPath(path) {
		direct, err := addressOf(c, "direct_src_ip")
		if err != nil {
			return nil, err
		}
		if direct.IsValid() {
			conn.DirectSource = netip.AddrPortFrom(direct, 0)
		}
	}
	r := &match.Request{Connection: *conn}
	if r.FilterState, err = stateOf(c); err != nil {
		return nil, err
	}
	if r.Metadata, err = decodedDict(c, "metadata"); err != nil {
		return nil, err
	}
	if r.Runtime, err = decodedDict(c, "runtime"); err != nil {
		return nil, err
	}
	if b, err := o.stored(); b != nil && err == nil {
		return &chainMatch{o, filterchain.Of(b).Match(r)}, nil
	}
	return &chainMatch{o, filterchain.New(l).Match(r)}, nil
}

// endOf reads one end of a connection. A path is a Unix domain socket, which has no IP address and no port.
func endOf(c *Call, ipName, portName string) (netip.AddrPort, error) {
	if socketPath(c.Text(ipName)) {
		return netip.AddrPort{}, nil
	}
	ip, err := addressOf(c, ipName)
	if err != nil {
		return netip.AddrPort{}, err
	}
	port, err := portOf(c, portName)
	return netip.AddrPortFrom(ip, port), err
}

func socketPath(s string) bool { return strings.HasPrefix(s, "/") || strings.HasPrefix(s, "@") }

// chainMatchType describes ChainMatch.
func (b *builder) chainMatchType() {
	b.typ("ChainMatch", "Value", "Which filter chain takes a connection: what listener.match(...) gives. It is false when none does.")
	call := `proxy("productpage-v1").listeners(port=9080)[0].match(dst_ip="10.0.0.1", dst_port=9080).`
	f := func(name, returns, doc string, get func(*chainMatch) starlark.Value) {
		field(b, name, returns, doc, call+name, func(m *chainMatch) (starlark.Value, error) { return get(m), nil })
	}
	f("found", "bool", "Whether a chain takes it.", func(m *chainMatch) starlark.Value { return starlark.Bool(m.Found) })
	f("chain", "string", "The name of the chain, \"\" for one without, and when there is none; where says which it is.", func(m *chainMatch) starlark.Value { return text(m.Chain) })
	f("where", "string", "Where the chain is in the listener: filter_chains[2] or default_filter_chain.", func(m *chainMatch) starlark.Value {
		switch {
		case !m.Found:
			return text("")
		case m.IsDefault:
			return text("default_filter_chain")
		}
		return text("filter_chains[" + starlark.MakeInt(m.Index).String() + "]")
	})
	f("is_default", "bool", "Whether it is the default chain, for connections no other takes.", func(m *chainMatch) starlark.Value { return starlark.Bool(m.IsDefault) })
	f("flags", "string", "The response flags in the access log when no chain takes it: NR.", func(m *chainMatch) starlark.Value { return text(m.Flags) })
	f("details", "string", "The details in the access log when no chain takes it.", func(m *chainMatch) starlark.Value { return text(m.Details) })
	f("reason", "string", "Why it came to this, in one sentence.", func(m *chainMatch) starlark.Value { return text(m.Reason) })
	f("steps", "list", "The decisions in order, each a Step.", func(m *chainMatch) starlark.Value { return stepList(m.Steps()) })
	f("unmodelled", "list", "What could not be decided from the configuration and the connection alone.", func(m *chainMatch) starlark.Value { return textList(m.Unmodelled) })
	link(b, "matched", "FilterChain | None", "The chain, as a value.", call+"matched", func(m *chainMatch) (starlark.Value, error) {
		if !m.Found {
			return starlark.None, nil
		}
		return newPart("FilterChain", m.listener, m.View.Body(), m.View), nil
	})
}
