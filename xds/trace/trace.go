package trace

import (
	"fmt"
	"net/netip"

	"github.com/meshlark/meshlark/xds/balance"
	"github.com/meshlark/meshlark/xds/cluster"
	"github.com/meshlark/meshlark/xds/endpoint"
	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/filterchain"
	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/routing"
)

// A Config is the active configuration of one proxy.
type Config interface {
	// Name is what the proxy is called.
	Name() string
	// Listeners are those that are active and static.
	Listeners() []listener.Listener
	// Table finds a route table by the name RDS knows it by. Tables that are kept make further traces fast.
	Table(name string) (*routing.Table, bool)
	// Scopes are the scoped route configurations of that name.
	Scopes(name string) []rawjson.Value
	// Cluster finds a cluster.
	Cluster(name string) (cluster.Cluster, bool)
	// Endpoints finds the endpoints of a cluster: those discovered, or those written into it.
	Endpoints(c cluster.Cluster) (endpoint.Assignment, bool)
	// Envoy is the version of the proxy.
	Envoy() match.Version
}

// A Mesh knows which proxy is at an address; nil where there is one proxy only.
type Mesh interface {
	ProxyAt(address netip.AddrPort) (Config, bool)
}

// A Request is what a client sends.
type Request struct {
	Method  string // GET when ""
	Host    string
	Path    string // with the query
	Headers match.Headers
	// Source is the client, Destination what it connects to.
	Source, Destination netip.AddrPort
	// Client is what it does on the connection. HTTP is http/1.1 when the request is not TLS and says nothing else.
	Client filterchain.Client
	// Peer is the client's certificate, when it has TLS.
	Peer match.Peer
	// Principal is the SPIFFE identity of the first proxy's workload, which the next proxy sees.
	Principal string
	// Inbound says that the request comes to the proxy's workload and not from it.
	Inbound bool
	// Listener is the name of the listener to begin with; "" for the one the direction and the destination choose.
	Listener string
	Metadata map[string]any
	Runtime  map[string]any
	Random   *uint64
}

// A Hop is the way through one listener of one proxy.
type Hop struct {
	Proxy    string
	Listener string
	Chain    string
	HTTP     *routing.Result // nil for a connection that is not HTTP here
	Clusters []explain.Share
	Cluster  string // the one that is followed
	// Endpoints are those of Cluster, with shares of its requests.
	Endpoints []balance.Host
	Endpoint  string // the one that is followed
	TLS       string // how the connection to it is made: as cluster.Socket.Mode
	// MayAnswer are the filters that can answer by themselves and are not modelled.
	MayAnswer  []string
	Steps      []explain.Step
	Unmodelled []string
}

// A Verdict is how the request ends, as Envoy logs it.
type Verdict struct {
	// Reached says that an endpoint which is no proxy of the mesh, or the application behind one, gets the request.
	Reached bool
	Code    int // 0 when the application decides
	Flags   string
	Details string
	Reason  string
}

// String is the verdict in one line: 503 NC cluster_not_found: ...
func (v Verdict) String() string {
	text := ""
	if v.Code != 0 {
		text = fmt.Sprint(v.Code, " ")
	}
	if v.Flags != "" {
		text += v.Flags + " "
	}
	if v.Details != "" {
		text += v.Details + ": "
	}
	return text + v.Reason
}

// A Trace is the way of a request.
type Trace struct {
	Hops    []Hop
	Verdict Verdict
}

// maxHops bounds how many listeners a request is followed through.
const maxHops = 16

// Run follows a request from a proxy on. mesh may be nil.
func Run(from Config, mesh Mesh, r Request) Trace {
	t := &tracer{mesh: mesh, seen: map[string]bool{}}
	t.run(from, r)
	return t.out
}

type tracer struct {
	mesh Mesh
	out  Trace
	seen map[string]bool
	hop  *Hop
}

// A next is where a hop leads.
type next struct {
	config   Config
	request  Request
	internal string // name of an internal listener of the same proxy
}

func (t *tracer) run(config Config, r Request) {
	at := &next{config: config, request: r}
	for at != nil {
		key := fmt.Sprint(at.config.Name(), at.request.Destination, at.request.Inbound, at.internal, at.request.Listener)
		switch {
		case t.seen[key]:
			t.end(Verdict{Reason: "the request comes to " + at.config.Name() + " again: a loop"})
			return
		case len(t.out.Hops) == maxHops:
			t.end(Verdict{Reason: fmt.Sprintf("not followed through more than %d listeners", maxHops)})
			return
		}
		t.seen[key] = true
		t.out.Hops = append(t.out.Hops, Hop{Proxy: at.config.Name()})
		t.hop = &t.out.Hops[len(t.out.Hops)-1]
		at = t.through(*at)
	}
}

func (t *tracer) end(v Verdict) *next {
	t.out.Verdict = v
	return nil
}

func (t *tracer) step(s explain.Step) {
	t.hop.Steps = append(t.hop.Steps, s)
	t.hop.Unmodelled = append(t.hop.Unmodelled, s.Unmodelled...)
}

// through takes the request through one listener.
func (t *tracer) through(at next) *next {
	r := at.request
	listeners := at.config.Listeners()
	i, ok := t.first(listeners, at)
	if !ok {
		return t.end(Verdict{Reason: fmt.Sprintf("%s has no listener for %s", at.config.Name(), r.Destination)})
	}
	if at.internal == "" && r.Listener == "" {
		var step explain.Step
		i, step = filterchain.HandOff(listeners, i, r.Destination)
		t.step(step)
	}
	l := listeners[i]
	t.hop.Listener = l.Name()
	client := r.Client
	if !client.TLS && client.HTTP == "" {
		client.HTTP = "http/1.1"
	}
	conn, step := filterchain.Inspect(l, client, match.Connection{Source: r.Source, Destination: r.Destination})
	if len(step.Candidates) > 0 {
		t.step(step)
	}
	chain := filterchain.New(l).Match(&conn)
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
	return t.filters(at, chain.View, conn)
}

// first is the listener the connection arrives at: the named one, the one that takes redirected connections of the direction, else the one
// that binds the destination.
func (t *tracer) first(listeners []listener.Listener, at next) (int, bool) {
	name := at.internal
	if name == "" {
		name = at.request.Listener
	}
	if name != "" {
		for i, l := range listeners {
			if l.Name() == name {
				return i, true
			}
		}
		return 0, false
	}
	for i, l := range listeners {
		if l.Internal() || !l.BindToPort() {
			continue
		}
		inbound := l.Direction() == "inbound"
		if inbound == at.request.Inbound && (l.UseOriginalDst() || inbound && restoresDestination(l)) {
			return i, true
		}
	}
	i := filterchain.At(listeners, at.request.Destination)
	return i, i >= 0
}

func restoresDestination(l listener.Listener) bool {
	for _, f := range l.ListenerFilters() {
		if f.Is("OriginalDst") || f.Name == "envoy.filters.listener.original_dst" {
			return true
		}
	}
	return false
}

// terminate looks at what the chain's transport socket wants of the client.
func (t *tracer) terminate(chain listener.Chain, client filterchain.Client, r Request, conn *match.Connection) (Verdict, bool) {
	_, wants := chain.TLS()
	if !wants {
		return Verdict{}, true
	}
	step := explain.Step{Question: "does the client do what the chain's TLS wants?", Answer: "yes"}
	defer func() { t.step(step) }()
	context := chain.Body().Get("transport_socket", "typed_config")
	required := context.Get("require_client_certificate").IsTrue()
	switch {
	case !client.TLS:
		step.Answer = "no: it sends plaintext to a chain that wants TLS"
		return Verdict{Reason: "the client sends plaintext where chain " + chain.Name() + " wants TLS: the connection is closed"}, false
	case required && !r.Peer.Presented:
		step.Answer = "no: it presents no certificate"
		return Verdict{Reason: "chain " + chain.Name() + " requires a client certificate and the client presents none: the handshake fails"}, false
	}
	conn.TLS, conn.Peer = true, r.Peer
	return Verdict{}, true
}
