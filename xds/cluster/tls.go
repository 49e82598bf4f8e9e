package cluster

import (
	"slices"

	"github.com/meshlark/meshlark/xds/extension"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/secret"
)

// How connections leave for a cluster.
const (
	Plaintext = "plaintext"  // no TLS
	TLS       = "TLS"        // TLS, without a certificate of our own
	MutualTLS = "mTLS"       // TLS with a certificate of our own
	IstioTLS  = "istio mTLS" // mutual TLS with the mesh's own certificate
	Internal  = "internal"   // no connection: handed to a listener of the same Envoy
	OtherTLS  = "other"      // a transport socket this package does not know, such as ALTS
	Auto      = "auto"       // decided for each endpoint by its metadata; see Cluster.Sockets
)

// TLSMode is how connections leave for the cluster, one of the constants above. It is Auto only when sockets of different modes
// are chosen from; a cluster whose every socket is plaintext is Plaintext.
func (c Cluster) TLSMode() string {
	mode := ""
	for _, s := range c.Sockets() {
		switch m := s.Mode(); {
		case mode == "":
			mode = m
		case mode != m:
			return Auto
		}
	}
	return mode
}

// A Socket is one way connections may leave for a cluster.
type Socket struct {
	// Name is that of the transport socket match, as tlsMode-istio; "" for the cluster's own socket.
	Name string
	// Match is what the metadata of an endpoint (filter_metadata envoy.transport_socket_match), else of its locality, has to
	// contain for the socket to be chosen. An empty object always matches. It is absent for the cluster's own socket, which
	// is used when no match holds.
	Match rawjson.Value
	// Config is the transport socket; absent for plaintext that is not spelled out.
	Config rawjson.Value

	mode string // "" until it was found out
}

// Sockets are the ways connections may leave, in the order Envoy tries them: the first that matches the endpoint is used. Where
// a match holds for any endpoint what comes after it is never used and left out. A cluster without any has
// one plaintext Socket. They must not be changed.
func (c Cluster) Sockets() []Socket {
	if c.sockets != nil {
		return c.sockets
	}
	all := c.written()
	// With a matcher tree in charge, the matches are only a list of sockets.
	if c.body.Get("transport_socket_matcher").Exists() {
		return all
	}
	for i, s := range all {
		if s.Match.Exists() && s.Match.Len() == 0 {
			return all[:i+1]
		}
	}
	return all
}

// written are the sockets that are written down, used or not.
func (c Cluster) written() []Socket {
	var out []Socket
	for v := range c.body.Get("transport_socket_matches").Elems() {
		s := Socket{Name: v.Str("name"), Match: v.Get("match"), Config: v.Get("transport_socket")}
		if !s.Match.Exists() {
			s.Match = rawjson.Value("{}")
		}
		out = append(out, s)
	}
	return append(out, Socket{Config: c.body.Get("transport_socket")})
}

// Mode is one of the constants above except Auto.
func (s Socket) Mode() string {
	if s.mode != "" {
		return s.mode
	}
	if !s.Config.Exists() {
		return Plaintext
	}
	context, outer, inner, ok := secret.Socket(s.Config)
	switch {
	case ok && context.HasCertificate() && isIstio(context):
		return IstioTLS
	case ok && context.HasCertificate():
		return MutualTLS
	case ok:
		return TLS
	case outer == "InternalUpstreamTransport" || outer == "envoy.transport_sockets.internal_upstream":
		return Internal
	case inner == "RawBuffer" || inner == "envoy.transport_sockets.raw_buffer" || inner == "raw_buffer":
		return Plaintext
	}
	return OtherTLS
}

// isIstio tells the mesh's own certificate and roots by their names, or by the protocol only Istio's proxies offer each other.
func isIstio(context secret.TLSContext) bool {
	return slices.Contains(context.ALPN(), "istio") ||
		slices.Contains(context.Certificates(), "default") && slices.Contains(context.Validation(), "ROOTCA")
}

// Outside is the socket for an address outside of the proxy: one for listeners inside it leaves such connections to the socket that it wraps.
func (s Socket) Outside() Socket {
	if s.Mode() != Internal {
		return s
	}
	return Socket{Name: s.Name, Match: s.Match, Config: extension.New(s.Config).Value.Get("transport_socket")}
}

// ProxyProtocol reports whether connections begin with a header of PROXY protocol that says who the client is.
func (s Socket) ProxyProtocol() bool {
	outer := extension.New(s.Config)
	return outer.Is("ProxyProtocolUpstreamTransport") || outer.Name == "envoy.transport_sockets.upstream_proxy_protocol"
}

// TLS is the socket's TLS context; ok is false for one without.
func (s Socket) TLS() (context secret.TLSContext, ok bool) {
	context, _, _, ok = secret.Socket(s.Config)
	return context, ok
}

// SNI is the server name the cluster's connections ask for, of the first socket that has one.
func (c Cluster) SNI() string {
	for _, s := range c.Sockets() {
		if context, ok := s.TLS(); ok && context.SNI() != "" {
			return context.SNI()
		}
	}
	return ""
}

// Secrets are the names of the SDS secrets the cluster's transport sockets need, each once. Until they arrive the cluster is
// warming, those of sockets that no endpoint uses included.
func (c Cluster) Secrets() []string {
	var out []string
	for _, s := range c.written() {
		context, ok := s.TLS()
		if !ok {
			continue
		}
		for _, name := range context.Secrets() {
			if !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}
