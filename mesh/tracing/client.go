package tracing

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/trace"
)

// clientPort is the port clients send from when nobody says: it decides only where chains match source ports.
const clientPort = 40000

// plainProtocols are what a client speaks on a connection without TLS, as an HTTP inspector calls it.
var plainProtocols = []string{"http/1.0", "http/1.1", "h2c"}

// client fills in who sends the request and how.
func (v *view) client(r *trace.Request, t target, q Question) error {
	if own := v.Address(); !r.Source.IsValid() && !r.Inbound && own.IsValid() {
		r.Source = netip.AddrPortFrom(own, clientPort)
	}
	if r.Source.IsValid() && r.Source.Port() == 0 {
		r.Source = netip.AddrPortFrom(r.Source.Addr(), clientPort)
	}
	if !r.Inbound {
		r.Principal = cmp.Or(q.Principal, v.Identity())
	} else {
		r.Principal = q.Principal
	}
	// Whoever says who comes to a sidecar means mutual TLS, which is how that shows. At a waypoint it is the tunnel's.
	tunnelled := v.tunnelled(*r)
	peer := r.Inbound && !tunnelled && v.config.Proxy().Type != "router"
	if tunnelled {
		q.MTLS = nil
	}
	encrypts, err := q.encrypts(t, peer)
	if err != nil {
		return err
	}
	r.Client.Opaque = !t.http
	if !encrypts {
		switch {
		case !t.http:
		case len(q.ALPN) > 0:
			r.Client.HTTP = q.ALPN[0]
		case t.speaks == "h2":
			r.Client.HTTP = "h2c"
		default:
			r.Client.HTTP = "http/1.1"
		}
		return nil
	}
	r.Client.TLS, r.Client.SNI, r.Client.ALPN = true, q.SNI, q.ALPN
	if _, err := netip.ParseAddr(t.host); r.Client.SNI == "" && err != nil {
		r.Client.SNI = t.host
	}
	named := r.Inbound && q.Principal != ""
	presents := named || r.Inbound && slices.ContainsFunc(q.ALPN, ofMesh)
	if q.MTLS != nil {
		presents = *q.MTLS
	}
	if presents {
		r.Peer = match.Peer{Presented: true, Validated: true}
	}
	if presents && named {
		r.Peer.URISANs = []string{q.Principal}
	}
	if r.Client.ALPN == nil {
		r.Client.ALPN = offered(t, peer && r.Peer.Presented)
	}
	return nil
}

// encrypts decides whether the client makes a TLS connection: as it is said, else by what only such a connection has, else by the scheme. peer says
// that a client with an identity has it from mutual TLS.
func (q Question) encrypts(t target, peer bool) (bool, error) {
	sign, what := "", ""
	switch {
	case q.SNI != "":
		sign, what = "sni", "a server name"
	case q.MTLS != nil && *q.MTLS:
		sign, what = "mtls", "a client's certificate"
	case slices.ContainsFunc(q.ALPN, func(p string) bool { return !t.http || !slices.Contains(plainProtocols, p) }):
		sign, what = "alpn", "a list of protocols"
	}
	switch {
	case q.TLS == nil:
		return t.tls || sign != "" || peer && q.Principal != "", nil
	case *q.TLS || sign == "":
		return *q.TLS, nil
	case sign == "alpn" && t.http:
		return false, fmt.Errorf("alpn: without TLS, which is what tls=False says, a client speaks one of %q", plainProtocols)
	}
	return false, fmt.Errorf("%s: %s is of TLS, and tls=False says that there is none", sign, what)
}

// ofMesh tells the protocols that only the proxies of an Istio mesh offer each other, with the mesh's certificates.
func ofMesh(protocol string) bool { return strings.HasPrefix(protocol, "istio") }

// offered are the protocols a client offers in the TLS handshake when nobody says: those of HTTP, or what the proxies of an Istio mesh offer each other.
func offered(t target, mesh bool) []string {
	switch {
	case mesh && !t.http:
		return []string{"istio-peer-exchange", "istio"}
	case !t.http:
		return nil
	case mesh && t.speaks == "h2":
		return []string{"istio-h2", "istio", "h2"}
	case mesh:
		return []string{"istio-http/1.1", "istio", "http/1.1"}
	case t.speaks != "":
		return []string{t.speaks}
	}
	return []string{"h2", "http/1.1"}
}
