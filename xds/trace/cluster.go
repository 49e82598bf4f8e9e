package trace

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/meshlark/meshlark/xds/balance"
	"github.com/meshlark/meshlark/xds/cluster"
	"github.com/meshlark/meshlark/xds/endpoint"
	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/filterchain"
	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// cluster goes on to an endpoint of a cluster.
func (t *tracer) cluster(at next, name string, criteria map[string]rawjson.Value) *next {
	t.hop.Cluster = name
	c, ok := at.config.Cluster(name)
	if !ok {
		return t.noUpstream(503, "NC", "cluster_not_found", fmt.Sprintf("%s has no cluster %q", at.config.Name(), name))
	}
	if c.Type() == "ORIGINAL_DST" {
		// A header, metadata or filter state may name the destination too.
		if config := c.Body().Get("original_dst_lb_config"); !t.restored && !config.Get("use_http_header").IsTrue() && !config.Get("metadata_key").Exists() {
			return t.noUpstream(503, "UH", "no_healthy_upstream", "cluster "+name+": nothing restored where the client wanted to go, listener "+t.hop.Listener+" being the one it connected to")
		}
		dst := at.request.Destination
		if port, ok := c.Body().Get("original_dst_lb_config", "upstream_port_override").Uint(); ok && port < 1<<16 {
			dst = netip.AddrPortFrom(dst.Addr(), uint16(port))
		}
		t.step(explain.Step{Question: "which endpoint?", Answer: dst.String() + ": where the client wanted to go (ORIGINAL_DST)"})
		t.hop.Endpoint = dst.String()
		return t.connect(at, c, endpoint.Endpoint{}, dst)
	}
	if _, known := at.config.Endpoints(c); !known && c.Type() == "EDS" {
		step := explain.Step{Question: "which endpoint?", Answer: "not known", Unmodelled: []string{"the endpoints of " + name + ": what the configuration was read from does not have them"}}
		t.hop.TLS = socketFor(c, endpoint.Endpoint{}).Mode()
		t.step(step)
		return t.reached("cluster " + name + ", whose endpoints are not known,")
	}
	spread := t.spread(at.config, c, criteria)
	t.hop.Endpoints = spread.Hosts
	if ref := c.Summary().Config; ref != "" {
		spread.Step.Inputs = append(spread.Step.Inputs, explain.Input{Name: "shaped by", Value: ref})
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
	address := e.Address()
	t.hop.Endpoint = address.String()
	if address.Listener != "" {
		t.hop.TLS = cluster.Internal
		at.internal = address.Listener
		t.dress(&at.request, c, socketFor(c, e))
		return &at
	}
	ip, err := netip.ParseAddr(address.Host)
	if err != nil {
		return t.reached(t.hop.Endpoint)
	}
	return t.connect(at, c, e, netip.AddrPortFrom(ip, uint16(min(address.Port, 1<<16-1))))
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

// spread spreads requests over the endpoints of a cluster, or of the first cluster of an aggregate that has any to use.
func (t *tracer) spread(config Config, c cluster.Cluster, criteria map[string]rawjson.Value) balance.Result {
	list := c.Aggregated()
	if list == nil {
		assignment, _ := config.Endpoints(c)
		return balance.Spread(c, assignment, balance.Options{Criteria: criteria})
	}
	var out balance.Result
	out.Code, out.Flags, out.Details, out.Reason = 503, "UH", "no_healthy_upstream", "none of its clusters has an endpoint to use"
	step := explain.Step{Question: "which cluster of the aggregate " + c.Name() + "?", Unmodelled: []string{"spreading over several clusters of an aggregate at once"}}
	for _, name := range list {
		child, ok := config.Cluster(name)
		if !ok {
			step.Candidates = append(step.Candidates, explain.Candidate{Name: name, Why: "there is no such cluster"})
			continue
		}
		// Aggregates of aggregates are not followed.
		assignment, _ := config.Endpoints(child)
		result := balance.Spread(child, assignment, balance.Options{Criteria: criteria})
		if result.Code != 0 {
			step.Candidates = append(step.Candidates, explain.Candidate{Name: name, Why: result.Reason})
			continue
		}
		step.Candidates = append(step.Candidates, explain.Candidate{Name: name, Won: true, Why: "the first with endpoints to use"})
		step.Answer = name
		out = result
		t.hop.Cluster = name
		break
	}
	t.step(step)
	return out
}

// connect goes on to the proxy at an address, or ends there.
func (t *tracer) connect(at next, c cluster.Cluster, e endpoint.Endpoint, dst netip.AddrPort) *next {
	socket := socketFor(c, e)
	t.hop.TLS = socket.Mode()
	inbound := slices.ContainsFunc(at.config.Listeners(), func(l listener.Listener) bool { return l.Name() == t.hop.Listener && l.Direction() == "inbound" })
	if inbound || dst.Addr().IsLoopback() || t.mesh == nil {
		return t.reached(dst.String())
	}
	config, ok := t.mesh.ProxyAt(dst)
	if !ok {
		return t.reached(dst.String())
	}
	r := at.request
	if w, ok := at.config.(Workload); ok {
		if r.Inbound { // what comes to a gateway leaves it with an identity of its own
			r.Principal = w.Identity()
		}
		if ip := w.Address(); ip.IsValid() {
			r.Source = netip.AddrPortFrom(ip, r.Source.Port())
		}
	}
	r.Destination, r.Inbound, r.Listener = dst, true, ""
	t.dress(&r, c, socket)
	return &next{config: config, request: r}
}

// dress gives a request what the proxy does on its connection to an endpoint.
func (t *tracer) dress(r *Request, c cluster.Cluster, socket cluster.Socket) {
	context, encrypts := socket.TLS()
	if t.hop.HTTP == nil && !encrypts && !t.decrypted {
		return // a TCP proxy passes on what comes, the client's TLS too
	}
	protocol := "http/1.1"
	r.Client, r.Peer = filterchain.Client{HTTP: protocol}, match.Peer{}
	if c.HTTPProtocol() == "http/2" && t.hop.HTTP != nil {
		protocol, r.Client.HTTP = "h2", "h2c"
	}
	if !encrypts {
		return
	}
	r.Client = filterchain.Client{TLS: true, SNI: context.SNI(), ALPN: context.ALPN()}
	if t.hop.HTTP != nil {
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
		got := metadata.Get(key)
		if len(got) == 0 || string(rawjson.Canonical(nil, got)) != string(rawjson.Canonical(nil, v)) {
			return false
		}
	}
	return true
}
