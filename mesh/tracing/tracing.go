// Package tracing follows a request through the proxies of a mesh: it finds out what a URL means for a proxy (which address is connected to, and by
// whom), gives the trace engine (package xds/trace) what it asks of each proxy's configuration, and finds the proxy behind an endpoint's address.
//
// A configuration is read as it is needed: listeners first, then the route table, the clusters and the endpoints that the request comes to, by name.
// What was read is kept for the generation, so that further traces through the same proxies read nothing.
package tracing

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/trace"
)

// A Question is a request as a user describes it.
type Question struct {
	URL     string // http://reviews:9080/reviews/7, https://..., or tcp://host:port for a connection that is not HTTP
	Method  string // GET when ""
	Headers match.Headers
	// Source is the client's address; the proxy's own for what its workload sends when it is not valid.
	Source netip.AddrPort
	// DirectSource is who really connects where PROXY protocol says who the client is; Source when it is not valid.
	DirectSource netip.AddrPort
	// ProxyProtocol says whether the connection begins with a header of PROXY protocol; what the listener wants when nil.
	ProxyProtocol *bool
	// Destination is what is connected to; found out from the URL where it is not valid.
	Destination netip.Addr
	// TLS overrules what the URL's scheme, SNI, MTLS and ALPN say of the connection the client makes.
	TLS *bool
	// MTLS says whether the client presents a certificate; for what comes to the proxy it does when it has a principal.
	MTLS *bool
	SNI  string   // the URL's host when "", with TLS
	ALPN []string // http/1.1 and h2 when nil, with TLS; without, what the client speaks
	// Principal is the client's identity; that of the proxy's own workload when "" for what it sends.
	Principal string
	// Direction is inbound for a request that comes to the proxy's workload, outbound for one it sends; "" is outbound for a sidecar and inbound for
	// a gateway and for any Envoy that has no listener for redirected connections.
	Direction string
	Random    *uint64
	Runtime   map[string]any
	Metadata  map[string]any
}

// An Answer is the way of a request.
type Answer struct {
	trace.Trace
	Request trace.Request // as the first proxy gets it
	From    *mesh.Proxy
	// Failures are proxies on the way that could not be read; the trace ends before the first of them.
	Failures []mesh.Failure

	views map[string]*view // of the proxies on the way, by their names
}

// OK reports whether the request arrives: an endpoint gets it, or Envoy itself answers it well, as with a redirect.
func (a *Answer) OK() bool {
	v := a.Verdict
	return v.Reached && v.Code < 400 || v.Code > 0 && v.Code < 400
}

// Follow follows a request from a proxy on, through the given side of its configuration and that of the proxies behind it (where they have it). It
// fails when the question cannot be understood, or the first proxy not be read.
func Follow(ctx context.Context, p *mesh.Proxy, side mesh.Side, q Question) (*Answer, error) {
	first := viewOf(ctx, p.Config(side))
	r, step, err := first.resolve(q)
	if err != nil {
		return nil, err
	}
	if err := first.failure(); err != nil {
		return nil, err
	}
	r.Now = p.Mesh().Now(ctx)
	out := &Answer{Request: r, From: p, views: map[string]*view{first.Name(): first}}
	m := &proxies{ctx: ctx, mesh: p.Mesh(), side: side, from: p, failed: map[*mesh.Proxy]error{}}
	for {
		m.views = nil
		first.err = nil
		out.Trace = trace.Run(first, m, first.enter(r))
		if err := first.failure(); err != nil {
			return nil, err
		}
		if !m.fault() {
			break
		}
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if rest, ok := strings.CutPrefix(out.Verdict.Reason, r.Destination.String()); ok && out.Verdict.Reached && r.Destination.Addr().IsUnspecified() {
		out.Verdict.Reason = "what answers for " + r.Host + ", at an address that is not known," + rest
	}
	for _, v := range m.views {
		if out.views[v.Name()] == nil {
			out.views[v.Name()] = v
		}
	}
	if len(out.Hops) > 0 {
		hop := &out.Hops[0]
		hop.Steps = append([]explain.Step{step}, hop.Steps...)
		hop.Unmodelled = append(step.Unmodelled, hop.Unmodelled...)
		last := &out.Hops[len(out.Hops)-1]
		for p, err := range m.failed {
			last.Unmodelled = append(last.Unmodelled, fmt.Sprintf("what %s does with it: %v", p.Name, err))
			out.Failures = append(out.Failures, mesh.Failure{Proxy: p.Name, Source: p.Source, Stage: "trace", Reason: err.Error(), Err: err})
		}
		mesh.Note(ctx, out.Failures)
	}
	return out, nil
}

// proxies are those of a mesh, for the trace engine.
type proxies struct {
	ctx    context.Context
	mesh   *mesh.Mesh
	side   mesh.Side
	from   *mesh.Proxy
	views  []*view
	failed map[*mesh.Proxy]error
}

// ProxyAt finds the proxy at an address. Of several (a mesh of several clusters or recordings) one of the cluster and the source the trace
// began in is preferred.
func (m *proxies) ProxyAt(address netip.AddrPort) (trace.Config, bool) {
	all, err := m.mesh.Proxies(m.ctx)
	if err != nil {
		return nil, false
	}
	ip := address.Addr().Unmap().String()
	var found *mesh.Proxy
	best := -1
	for _, p := range all.Items {
		if p.IP != ip {
			continue
		}
		rank := 0
		if p.ClusterID == m.from.ClusterID {
			rank += 2
		}
		if p.Source == m.from.Source {
			rank++
		}
		if rank > best {
			found, best = p, rank
		}
	}
	if found == nil || m.failed[found] != nil {
		return nil, false
	}
	side := m.side
	if !found.Has(side) {
		side = mesh.Any
	}
	v := viewOf(m.ctx, found.Config(side))
	m.views = append(m.views, v)
	return v, true
}

// fault reports whether a proxy on the way could not be read, and leaves it out from then on.
func (m *proxies) fault() bool {
	for _, v := range m.views {
		if err := v.failure(); err != nil {
			m.failed[v.config.Proxy()] = err
			return true
		}
	}
	return false
}
