package trace

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/meshlark/meshlark/xds/balance"
	"github.com/meshlark/meshlark/xds/cluster"
	"github.com/meshlark/meshlark/xds/endpoint"
	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/filterchain"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/routing"
)

// A Config is the active configuration of one proxy.
type Config interface {
	// Name is what the proxy is called.
	Name() string
	// Listeners are those that are active and static. A list that is kept makes further traces fast.
	Listeners() *filterchain.Listeners
	// Table finds a route table by the name RDS knows it by. Tables that are kept make further traces fast.
	Table(name string) (*routing.Table, bool)
	// Scopes are the scoped route configurations of that name.
	Scopes(name string) []rawjson.Value
	// Cluster finds a cluster.
	Cluster(name string) (cluster.Cluster, bool)
	// Endpoints finds the endpoints of a cluster: those discovered, or those written into it. It is false for a cluster of type EDS when it is not known
	// which it has; one that is known to have none has an empty assignment.
	Endpoints(c cluster.Cluster) (endpoint.Assignment, bool)
	// Envoy is the version of the proxy.
	Envoy() match.Version
}

// A Mesh knows which proxy is at an address; nil where there is one proxy only.
type Mesh interface {
	ProxyAt(address netip.AddrPort) (Config, bool)
}

// A Workload is a Config that knows whose proxy it is: the proxy behind it sees that as its client.
type Workload interface {
	// Identity is the SPIFFE identity in the proxy's certificate, "" when it is not known.
	Identity() string
	// Address is where the proxy's connections come from, not valid when it is not known.
	Address() netip.Addr
}

// A Placed is a Config that knows where its proxy is, and the cluster of the proxies like it: by both, requests may be kept near. Local is nil when they are not.
type Placed interface{ Local() *balance.Local }

// A Request is what a client sends.
type Request struct {
	Method  string // GET when ""
	Host    string
	Path    string // with the query
	Headers match.Headers
	// Source is the client, Destination what it connects to.
	Source, Destination netip.AddrPort
	// DirectSource is who really connects where PROXY protocol says who the client is; Source when it is not valid.
	DirectSource netip.AddrPort
	// ProxyProtocol says whether the connection begins with a header of PROXY protocol; what the listener wants when nil.
	ProxyProtocol *bool
	// Client is what it does on the connection. HTTP is http/1.1 when the request is not TLS and says nothing else.
	Client filterchain.Client
	// Peer is the client's certificate, when it has TLS.
	Peer match.Peer
	// Principal is the SPIFFE identity of the first proxy's workload, which the next proxy sees.
	Principal string
	// Inbound says that the request comes to the proxy's workload and not from it.
	Inbound bool
	// Inside is what a CONNECT request carries; nil for any other, and for a tunnel of which nothing more is known.
	Inside *Request
	// Listener is the name of the listener to begin with; "" for the one the direction and the destination choose.
	Listener string
	Metadata map[string]any
	Runtime  map[string]any
	Random   *uint64
	// Now is the time of the request, by which tokens have expired. When it is zero they are not asked for their times.
	Now time.Time

	// inner is what the client does inside the TLS of a proxy that passed its bytes on; nil for a request, or where there is none.
	inner *filterchain.Client
}

// depth is how many tunnels the request is in.
func (r *Request) depth() int {
	n := 0
	for in := r.Inside; in != nil; in = in.Inside {
		n++
	}
	return n
}

// A Hop is the way through one listener of one proxy.
type Hop struct {
	Proxy    string
	Listener string
	Chain    string
	Table    string          // the name of the route table, which the proxy may not have
	HTTP     *routing.Result // nil for a connection that is not HTTP here
	// Tunnel says that the request is inside of a tunnel here, and HTTP about the CONNECT request that makes it.
	Tunnel   bool
	Leaving  match.Headers // of the request as it leaves for the cluster, pseudo-headers among them
	Clusters []explain.Share
	Cluster  string // the one that is followed
	// Endpoints are those of Cluster, with shares of its requests.
	Endpoints []balance.Host
	Endpoint  string // the one that is followed
	TLS       string // how the connection to it is made: as cluster.Socket.Mode
	// MayAnswer are the filters that may answer by themselves: those whose answer cannot be told from the configuration, and those that answer a
	// part of the requests.
	MayAnswer []string
	// Answers are what those filters answer, as far as that is known.
	Answers []Answer
	// Delay is how long a filter holds requests back, and DelayShare which part of them, 0 to 1.
	Delay      time.Duration
	DelayShare float64
	Steps      []explain.Step
	Unmodelled []string
}

// An Answer is what a filter may answer in place of the upstream.
type Answer struct {
	Filter string
	// Share is the part of requests that is answered, 0 to 1; 0 when that depends on what is neither in the configuration nor in the request.
	Share   float64
	Verdict Verdict
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
	// restored says that the listener of the hop knows where its connection was meant for.
	restored bool
	// inbound says that it is for what comes to the proxy's workload.
	inbound bool
	// decrypted says that the chain ended the client's TLS, passed that the proxy passes bytes on in place of requests, alpn is the configuration
	// of Istio's filter that chooses protocols, absent for none.
	decrypted, passed bool
	alpn              rawjson.Value
	// state is the filter state of the connection, and then of the request, metadata what the connection was given by the hop before, by filter.
	state    state
	metadata map[string]any
	// hostname is the name of the endpoint that is followed, "" when it has none.
	hostname string
}

// A next is where a hop leads.
type next struct {
	config   Config
	request  Request
	internal string // name of an internal listener of the same proxy, which gets state and metadata from the hop before
	state    state
	metadata map[string]any
}

func (t *tracer) run(config Config, r Request) {
	at := &next{config: config, request: r}
	for at != nil {
		key := fmt.Sprint(at.config.Name(), at.request.Destination, at.request.Inbound, at.internal, at.request.Listener, at.request.depth())
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
		t.hop.Tunnel = at.request.Inside != nil
		t.state, t.metadata = at.state, at.metadata
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
