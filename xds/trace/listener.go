package trace

import (
	"cmp"
	"fmt"

	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/filterchain"
	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/match"
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
	t.inbound = l.Direction() == "inbound"
	// What a listener opens itself has its destination from the connection only where something restores it.
	t.restored = at.internal != "" || !l.BindToPort() || l.UseOriginalDst() || has(l, "OriginalDst", "original_dst") || has(l, "ProxyProtocol", "proxy_protocol") || i != first
	client := r.Client
	if !client.TLS && client.HTTP == "" && !client.Opaque {
		client.HTTP = "http/1.1"
	}
	conn, step := filterchain.Inspect(l, client, match.Connection{Source: r.Source, Destination: r.Destination})
	if len(step.Candidates) > 0 {
		t.step(step)
	}
	chain := filterchain.In(l).Match(&conn)
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
	t.decrypted = conn.TLS
	return t.filters(at, chain.View, conn)
}

// arrival is the listener the connection arrives at: the named one, the one that takes redirected connections of the direction, else the one
// that binds the destination.
func arrival(listeners *filterchain.Listeners, at next) (int, bool) {
	if name := cmp.Or(at.internal, at.request.Listener); name != "" {
		return listeners.Named(name)
	}
	if i, ok := listeners.Redirected(at.request.Inbound); ok {
		return i, true
	}
	i := listeners.At(at.request.Destination)
	return i, i >= 0
}

// has reports whether a listener has a listener filter, by its message or by its usual name.
func has(l listener.Listener, message, name string) bool {
	for _, f := range l.ListenerFilters() {
		if f.Is(message) || f.Name == "envoy.filters.listener."+name {
			return true
		}
	}
	return false
}

// called is a chain in a sentence; it need not have a name.
func called(chain listener.Chain) string {
	if chain.Name() == "" {
		return "the chain"
	}
	return "chain " + chain.Name()
}

// terminate looks at what the chain's transport socket wants of the client.
func (t *tracer) terminate(chain listener.Chain, client filterchain.Client, r Request, conn *match.Connection) (Verdict, bool) {
	_, wants := chain.TLS()
	if !wants {
		return Verdict{}, true
	}
	step := explain.Step{Question: "does the client do what the chain's TLS wants?", Answer: "yes"}
	defer func() { t.step(step) }()
	context := chain.Fields().Get("transport_socket", "typed_config")
	required := context.Get("require_client_certificate").IsTrue()
	switch {
	case !client.TLS:
		step.Answer = "no: it sends plaintext to a chain that wants TLS"
		return Verdict{Reason: "the client sends plaintext where " + called(chain) + " wants TLS: the connection is closed"}, false
	case required && !r.Peer.Presented:
		step.Answer = "no: it presents no certificate"
		return Verdict{Reason: called(chain) + " requires a client certificate and the client presents none: the handshake fails"}, false
	}
	conn.TLS, conn.Peer = true, r.Peer
	return Verdict{}, true
}
