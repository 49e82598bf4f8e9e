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
		return t.end(Verdict{Code: 503, Flags: "NC", Details: "cluster_not_found", Reason: fmt.Sprintf("%s has no cluster %q", at.config.Name(), name)})
	}
	if c.Type() == "ORIGINAL_DST" {
		dst := at.request.Destination
		if port, ok := c.Body().Get("original_dst_lb_config", "upstream_port_override").Uint(); ok && port < 1<<16 {
			dst = netip.AddrPortFrom(dst.Addr(), uint16(port))
		}
		t.step(explain.Step{Question: "which endpoint?", Answer: dst.String() + ": where the client wanted to go (ORIGINAL_DST)"})
		t.hop.Endpoint = dst.String()
		return t.connect(at, c, endpoint.Endpoint{}, dst)
	}
	spread := t.spread(at.config, c, criteria)
	t.hop.Endpoints = spread.Hosts
	t.step(spread.Step)
	best := -1
	for i, h := range spread.Hosts {
		if h.Share > 0 && (best < 0 || h.Share > spread.Hosts[best].Share) {
			best = i
		}
	}
	if best < 0 {
		return t.end(Verdict{Code: spread.Code, Flags: spread.Flags, Details: spread.Details, Reason: "cluster " + t.hop.Cluster + ": " + spread.Reason})
	}
	e := spread.Hosts[best].View
	address := e.Address()
	t.hop.Endpoint = address.String()
	if address.Listener != "" {
		t.hop.TLS = cluster.Internal
		at.internal = address.Listener
		return &at
	}
	ip, err := netip.ParseAddr(address.Host)
	if err != nil {
		return t.reached(t.hop.Endpoint)
	}
	return t.connect(at, c, e, netip.AddrPortFrom(ip, uint16(min(address.Port, 1<<16-1))))
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
	r.Destination, r.Inbound, r.Listener = dst, true, ""
	r.Client = filterchain.Client{HTTP: "http/1.1"}
	r.Peer = match.Peer{}
	if c.HTTPProtocol() == "http/2" {
		r.Client.HTTP = "h2c"
	}
	if context, ok := socket.TLS(); ok {
		r.Client = filterchain.Client{TLS: true, SNI: context.SNI(), ALPN: context.ALPN()}
		if context.HasCertificate() {
			r.Peer = match.Peer{Presented: true, Validated: true}
			if r.Principal != "" {
				r.Peer.URISANs = []string{r.Principal}
			}
		}
		if t.hop.HTTP != nil && socket.Mode() == cluster.IstioTLS {
			// Istio's alpn filter puts the protocol of the request first.
			protocol := "istio-http/1.1"
			if c.HTTPProtocol() == "http/2" {
				protocol = "istio-h2"
			}
			r.Client.ALPN = append([]string{protocol, "istio"}, r.Client.ALPN...)
		}
	}
	return &next{config: config, request: r}
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
