package trace

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/filterchain"
	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// through takes the request through one listener.
func (t *tracer) through(at next) *next {
	r := at.request
	listeners := at.config.Listeners()
	first, ok := arrival(listeners, at)
	i := first
	if !ok {
		return t.end(Verdict{Reason: fmt.Sprintf("%s has no listener for %s", at.config.Name(), r.Destination)})
	}
	if at.internal == "" && r.Listener == "" {
		var step explain.Step
		i, step = listeners.HandOff(i, r.Destination)
		t.step(step)
	}
	l := listeners.All()[i]
	t.hop.Listener = l.Name()
	t.inbound = l.Direction() == "inbound" && at.internal == ""
	// What a listener opens itself has its destination from the connection only where something restores it.
	t.restored = at.internal == "" && (!l.BindToPort() || l.UseOriginalDst() || restores(l) || i != first)
	if at.internal != "" {
		t.ends(l, &r)
	}
	client := r.Client
	if !client.TLS && client.HTTP == "" && !client.Opaque {
		client.HTTP = "http/1.1"
	}
	if client, ok = t.proxied(l, client, r); !ok {
		return nil
	}
	conn, step := filterchain.Inspect(l, client, match.Connection{Source: r.Source, DirectSource: r.DirectSource, Within: at.internal != "", Destination: r.Destination, Namespace: l.NetworkNamespace()})
	if len(step.Candidates) > 0 {
		t.step(step)
	}
	chain := filterchain.In(l).Match(&match.Request{Connection: conn, Metadata: r.Metadata, FilterState: t.state.texts(), Runtime: r.Runtime})
	for _, s := range chain.Steps {
		t.step(s)
	}
	if !chain.Found {
		return t.end(Verdict{Flags: chain.Flags, Details: chain.Details, Reason: chain.Reason})
	}
	t.hop.Chain = chain.Chain
	if v, ok := t.terminate(chain.View, client, r, &conn); !ok {
		return t.end(v)
	}
	t.decrypted, t.passed = conn.TLS, false
	at.request = r
	at.request.Client = client
	return t.filters(at, chain.View, conn)
}

// proxied is what the client sends after a header of PROXY protocol, which a filter of the listener wants and takes off. To others it is the beginning
// of something that they do not know.
func (t *tracer) proxied(l listener.Listener, client filterchain.Client, r Request) (filterchain.Client, bool) {
	if r.ProxyProtocol == nil {
		return client, true
	}
	config, wants := filter(l, "ProxyProtocol", "proxy_protocol")
	if !wants && !*r.ProxyProtocol {
		return client, true
	}
	step := explain.Step{Question: "does the client send the PROXY protocol the listener wants?", Answer: "yes"}
	switch {
	case wants && *r.ProxyProtocol:
	case !wants:
		step.Answer = "it sends a header that no filter takes off: it is neither TLS nor HTTP"
		client = filterchain.Client{Opaque: true}
	case config.Get("allow_requests_without_proxy_protocol").IsTrue():
		step.Answer = "no, which the listener allows"
	default:
		step.Answer = "no"
		t.end(Verdict{Reason: "the client sends no header of PROXY protocol, which listener " + l.Name() + " wants: the connection is closed"})
		return client, false
	}
	t.step(step)
	return client, true
}

// arrival is the listener the connection arrives at: the named one, the one that takes redirected connections of the direction, else the one
// that binds the destination.
func arrival(listeners *filterchain.Listeners, at next) (int, bool) {
	if name := cmp.Or(at.internal, at.request.Listener); name != "" {
		return listeners.Named(name)
	}
	bound := listeners.At(at.request.Destination)
	if bound >= 0 && at.request.Inbound && slices.Contains(notRedirected[:], at.request.Destination.Port()) {
		return bound, true
	}
	if i, ok := listeners.Redirected(at.request.Inbound); ok {
		return i, true
	}
	return bound, bound >= 0
}

// notRedirected are the ports of a workload of Istio's whose connections come to the listeners that have bound them: for tunnels, statistics and health.
var notRedirected = [...]uint16{15008, 15020, 15021, 15090}

// filter finds a listener's filter, by its message or by its usual name.
func filter(l listener.Listener, message, name string) (config rawjson.Value, ok bool) {
	for _, f := range l.ListenerFilters() {
		if f.Is(message) || f.Name == "envoy.filters.listener."+name {
			return f.Value, true
		}
	}
	return nil, false
}

// restores reports whether a filter of the listener gives a connection the destination it was meant for.
func restores(l listener.Listener) bool {
	_, redirected := filter(l, "OriginalDst", "original_dst")
	_, proxied := filter(l, "ProxyProtocol", "proxy_protocol")
	return redirected || proxied
}

// called is a chain in a sentence; it need not have a name.
func called(chain listener.Chain) string {
	if chain.Name() == "" {
		return "the chain"
	}
	return "chain " + chain.Name()
}
