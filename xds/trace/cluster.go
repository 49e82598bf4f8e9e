package trace

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/xds/balance"
	"github.com/meshlark/meshlark/xds/cluster"
	"github.com/meshlark/meshlark/xds/endpoint"
	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/extension"
	"github.com/meshlark/meshlark/xds/filterchain"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// cluster goes on to an endpoint of a cluster.
func (t *tracer) cluster(at next, name string, criteria map[string]rawjson.Value) *next {
	t.hop.Cluster, t.hostname = name, ""
	c, ok := at.config.Cluster(name)
	if !ok {
		return t.noUpstream(503, "NC", "cluster_not_found", fmt.Sprintf("%s has no cluster %q", at.config.Name(), name))
	}
	if c.Type() == "ORIGINAL_DST" {
		dst, why, ok := t.restoredTo(at, c)
		if !ok {
			return t.noUpstream(503, "UH", "no_healthy_upstream", "cluster "+name+": nothing restored where the client wanted to go, listener "+t.hop.Listener+" being the one it connected to")
		}
		t.step(explain.Step{Question: "which endpoint?", Answer: dst.String() + ": " + why})
		t.hop.Endpoint = dst.String()
		return t.connect(at, c, endpoint.Endpoint{}, dst)
	}
	if _, known := at.config.Endpoints(c); !known && c.Type() == "EDS" {
		step := explain.Step{Question: "which endpoint?", Answer: "not known", Unmodelled: []string{"the endpoints of " + name + ": what the configuration was read from does not have them"}}
		t.hop.TLS = socketFor(c, endpoint.Endpoint{}).Mode()
		t.step(step)
		return t.reached("cluster " + name + ", whose endpoints are not known,")
	}
	spread, owner := t.spread(at, c, criteria)
	t.hop.Endpoints = spread.Hosts
	if ref := c.Config(); ref != "" {
		spread.Step.Inputs = append(spread.Step.Inputs, explain.Input{Name: "shaped by", Value: ref})
	}
	if tie := t.tie(c); tie != "" {
		spread.Step.Inputs = append(spread.Step.Inputs, explain.Input{Name: "hash of", Value: tie})
		spread.Step.Unmodelled = slices.Concat(spread.Step.Unmodelled, []string{"which endpoint the hash of " + tie + " chooses"})
	}
	t.step(spread.Step)
	best := -1
	for i, h := range spread.Hosts {
		if h.Share > 0 && (best < 0 || h.Share > spread.Hosts[best].Share) {
			best = i
		}
	}
	if best < 0 {
		return t.noUpstream(spread.Code, spread.Flags, spread.Details, "cluster "+t.hop.Cluster+": "+spread.Reason)
	}
	e := spread.Hosts[best].View
	if c.Aggregated() != nil {
		c = owner(best)
		t.hop.Cluster = c.Name()
	}
	t.hostname = hostname(c, e)
	address := e.Address()
	t.hop.Endpoint = address.String()
	if address.Listener != "" {
		socket := socketFor(c, e)
		t.hop.TLS = cluster.Internal
		at.internal, at.state, at.metadata = address.Listener, nil, nil
		if outer := extension.New(socket.Config); outer.Is("InternalUpstreamTransport") {
			at.state, at.metadata = t.state.onward(), passedOn(outer, e.Metadata(), c.Fields().Get("metadata", "filter_metadata"))
		}
		t.dress(&at, c, socket)
		return &at
	}
	ip, err := netip.ParseAddr(address.Host)
	if err != nil {
		return t.reached(t.hop.Endpoint)
	}
	return t.connect(at, c, e, netip.AddrPortFrom(ip, uint16(min(address.Port, 1<<16-1))))
}

// tie is what of a request decides its endpoint, in a cluster that hashes. A route that says nothing of it leaves that to chance.
func (t *tracer) tie(c cluster.Cluster) string {
	switch strings.TrimPrefix(c.LbPolicy(), "envoy.load_balancing_policies.") {
	case "RING_HASH", "MAGLEV", "ring_hash", "maglev":
	default:
		return ""
	}
	if t.hop.HTTP == nil {
		return ""
	}
	return strings.Join(t.hop.HTTP.View.HashPolicies(), ", ")
}

// hostname is the name an endpoint is known by: of a cluster that asks DNS the name that is asked for, where it has no other.
func hostname(c cluster.Cluster, e endpoint.Endpoint) string {
	if name := e.Hostname(); name != "" || c.Type() != "STRICT_DNS" && c.Type() != "LOGICAL_DNS" {
		return name
	}
	return e.Address().Host
}

// noUpstream ends where there is nothing to go to. A TCP proxy closes the connection then: it has no status to send, nor details of one.
func (t *tracer) noUpstream(code int, flags, details, reason string) *next {
	if t.hop.HTTP == nil {
		code, details, reason = 0, "", reason+": the connection is closed"
	}
	return t.end(Verdict{Code: code, Flags: flags, Details: details, Reason: reason})
}

func (t *tracer) reached(endpoint string) *next {
	return t.end(Verdict{Reached: true, Reason: endpoint + " gets the request"})
}

// spreadKey is what shares are kept under with their cluster: the text of the endpoints.
type spreadKey struct{ endpoints *byte }

// spreadOver spreads requests over the endpoints of a cluster. What no request has chosen a subset of, and no runtime value has changed, is kept with the cluster,
// which is of one proxy.
func spreadOver(c cluster.Cluster, a endpoint.Assignment, opts balance.Options) balance.Result {
	body := a.Body()
	if opts.Criteria != nil || opts.Runtime != nil || len(body) == 0 {
		return balance.Spread(c, a, opts)
	}
	return c.Fields().Derived(spreadKey{&body[0]}, func() any {
		r := balance.Spread(c, a, opts)
		r.Step.Inputs = slices.Clip(r.Step.Inputs)
		return r
	}).(balance.Result)
}

// spread spreads requests over the endpoints of a cluster, or of those an aggregate is made of. owner is the cluster a host is from.
func (t *tracer) spread(at next, c cluster.Cluster, criteria map[string]rawjson.Value) (r balance.Result, owner func(host int) cluster.Cluster) {
	config := at.config
	opts := balance.Options{Criteria: criteria, Runtime: at.request.Runtime}
	if p, ok := config.(Placed); ok {
		opts.Local = p.Local
	}
	list := c.Aggregated()
	if list == nil {
		assignment, _ := config.Endpoints(c)
		return spreadOver(c, assignment, opts), func(int) cluster.Cluster { return c }
	}
	step := explain.Step{Question: "which clusters has the aggregate " + c.Name() + "?"}
	var members []balance.Member
	for _, name := range list {
		child, ok := config.Cluster(name)
		candidate := explain.Candidate{Name: name, Won: ok, Why: "its priorities come after those of the clusters before it"}
		switch {
		case !ok:
			candidate.Why = "there is no such cluster"
		case child.Aggregated() != nil:
			candidate.Won, candidate.Why = false, "an aggregate itself, which has no endpoints of its own: Envoy passes it over"
		default:
			assignment, _ := config.Endpoints(child)
			members = append(members, balance.Member{Cluster: child, Assignment: assignment})
		}
		step.Candidates = append(step.Candidates, candidate)
	}
	step.Answer = fmt.Sprintf("%d of %d", len(members), len(list))
	t.step(step)
	r, of := balance.Aggregate(c, members, opts)
	return r, func(host int) cluster.Cluster { return members[of[host]].Cluster }
}

// connect goes on to the proxy at an address, or ends there.
func (t *tracer) connect(at next, c cluster.Cluster, e endpoint.Endpoint, dst netip.AddrPort) *next {
	socket := socketFor(c, e).Outside()
	t.hop.TLS = socket.Mode()
	r := at.request
	if t.inbound || dst.Addr().IsLoopback() || t.mesh == nil {
		return t.reached(arrives(r, dst))
	}
	config, ok := t.mesh.ProxyAt(dst)
	if !ok {
		return t.reached(arrives(r, dst))
	}
	header := socket.ProxyProtocol()
	r.DirectSource = netip.AddrPort{}
	if w, ok := at.config.(Workload); ok {
		if r.Inbound { // what comes to a gateway leaves it with an identity of its own
			r.Principal = w.Identity()
		}
		if ip := w.Address(); ip.IsValid() {
			own := netip.AddrPortFrom(ip, r.Source.Port())
			if header {
				r.DirectSource = own
			} else {
				r.Source = own
			}
		}
	}
	r.Destination, r.Inbound, r.Listener, r.ProxyProtocol = dst, true, "", &header
	on := next{config: config, request: r}
	t.dress(&on, c, socket)
	return &on
}

// dress gives what follows a hop the connection that the proxy makes to an endpoint.
func (t *tracer) dress(on *next, c cluster.Cluster, socket cluster.Socket) {
	context, encrypts := socket.TLS()
	r := &on.request
	switch {
	case !t.passed:
		r.inner = nil
	case t.decrypted:
		t.strip(r)
	}
	opaque := t.passed && r.Client.Opaque
	switch {
	case t.passed && !encrypts:
		return
	case t.passed && r.Client.TLS:
		inner := r.Client
		r.inner = &inner
	}
	protocol := "http/1.1"
	r.Client, r.Peer = filterchain.Client{HTTP: protocol, Opaque: opaque}, match.Peer{}
	if c.HTTPProtocol() == "http/2" && !t.passed {
		protocol, r.Client.HTTP = "h2", "h2c"
	}
	if !encrypts {
		return
	}
	r.Client = filterchain.Client{TLS: true, SNI: context.SNI(), ALPN: context.ALPN(), Opaque: opaque}
	if !t.passed {
		// What a filter asks for comes before what is configured, and that before the protocol itself.
		switch {
		case t.alpn.Exists() && socket.Mode() == cluster.IstioTLS:
			r.Client.ALPN = overridden(t.alpn, protocol)
		case len(r.Client.ALPN) == 0:
			r.Client.ALPN = []string{protocol}
		}
	}
	if context.HasCertificate() {
		r.Peer = match.Peer{Presented: true, Validated: true}
		if r.Principal != "" {
			r.Peer.URISANs = []string{r.Principal}
		}
	}
}

// strip takes the TLS that ended here off what the client does.
func (t *tracer) strip(r *Request) {
	if r.inner != nil { // what was inside
		r.Client, r.Peer, r.inner = *r.inner, match.Peer{}, nil
		return
	}
	r.Client, r.Peer = filterchain.Client{HTTP: "http/1.1", Opaque: r.Client.Opaque}, match.Peer{}
}

// overridden are the protocols Istio's alpn filter has connections for requests of a protocol offer.
func overridden(filter rawjson.Value, protocol string) []string {
	name := map[string]string{"http/1.1": "HTTP11", "h2": "HTTP2"}[protocol]
	for v := range filter.Get("alpn_override").Elems() {
		if v.Str("upstream_protocol") == name {
			var out []string
			for text := range v.Get("alpn_override").Elems() {
				out = append(out, text.Text())
			}
			return out
		}
	}
	return []string{"istio-" + protocol, "istio", protocol}
}

// socketFor is the transport socket for an endpoint: the first whose match is a part of the endpoint's metadata, else of its locality's.
func socketFor(c cluster.Cluster, e endpoint.Endpoint) cluster.Socket {
	const key = "envoy.transport_socket_match"
	sockets := c.Sockets()
	for _, metadata := range [...]rawjson.Value{e.Metadata().Get(key), e.Locality().Metadata().Get(key)} {
		for _, s := range sockets {
			if s.Match.Exists() && within(s.Match, metadata) {
				return s
			}
		}
	}
	return sockets[len(sockets)-1]
}

// within reports whether metadata has every value of want.
func within(want, metadata rawjson.Value) bool {
	for key, v := range want.Members() {
		got := metadata.Key(key)
		if len(got) == 0 || string(rawjson.Canonical(nil, got)) != string(rawjson.Canonical(nil, v)) {
			return false
		}
	}
	return true
}
