package match

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// A Request is what is known of an HTTP request and of the connection it came by, as Envoy sees it when it looks for a route.
type Request struct {
	Method string // GET when ""
	Scheme string // http or https; see SchemeOr for ""
	Host   string // the Host header, :authority
	Path   string // with the query; "" for a CONNECT request that has none
	// Headers are all others. Their names are in lower case.
	Headers Headers
	// Internal says that the connection manager has found the request to come from inside (x-envoy-internal).
	Internal   bool
	Connection Connection
	// Metadata is dynamic metadata by the name of the filter, decoded from JSON.
	Metadata map[string]any
	// RouteMetadata is the filter_metadata of the route, for conditions that ask for it.
	RouteMetadata map[string]any
	// IgnoreParameters says that the request's route leaves path parameters (;name=value) out of account, as its table has it.
	IgnoreParameters bool
	// FilterState is objects of the filter state in the form of text; nil where nothing is known of it.
	FilterState map[string]string
	// Runtime is runtime values by key: whole numbers, text of numbers, or FractionalPercent as decoded JSON.
	Runtime map[string]any
	// Random is the request's random number, which decides fractions and weights. Without it they are given as shares.
	Random *uint64
	// Envoy is the version whose rules count; zero for the newest known.
	Envoy Version
}

// A Connection is what is known of the connection a request came by.
type Connection struct {
	// Source is the client, as PROXY protocol or the original source has it; RemoteIP is what X-Forwarded-For makes of it, and DirectSource who
	// really connected. Each that is not valid is as the one before.
	Source, RemoteIP, DirectSource netip.AddrPort
	Within                         bool // the proxy: it really connects to itself, which has no IP address
	Destination                    netip.AddrPort
	Namespace                      string // the network namespace of the address it was made to, as a path; "" for Envoy's own
	Transport                      string // tls, raw_buffer, quic
	SNI                            string
	ALPN                           []string // what the client offers, or the HTTP inspector saw
	TLS                            bool
	// Peer is the client's certificate, Identity the name in the proxy's own, "" where it is not known.
	Peer     Peer
	Identity string
}

// A Peer is the certificate of the other side of a TLS connection.
type Peer struct {
	Presented bool
	Validated bool
	URISANs   []string
	DNSSANs   []string
	Subject   string
}

// Names are the alternative names in the certificate, as far as they are known.
func (p Peer) Names() []string { return slices.Concat(p.URISANs, p.DNSSANs) }

// A Header is one header line.
type Header struct{ Name, Value string }

// Headers are header lines in order.
type Headers []Header

// Values are the values of all lines of that name, which has to be in lower case; one value where Envoy makes one line of them.
func (h Headers) Values(name string) []string {
	var out []string
	for _, line := range h {
		if line.Name == name {
			out = append(out, line.Value)
		}
	}
	if len(out) > 1 && joined(name) {
		full := slices.DeleteFunc(out, func(value string) bool { return value == "" })
		return []string{strings.Join(full, ",")}
	}
	return out
}

// Get is the first of Values.
func (h Headers) Get(name string) (value string, ok bool) {
	for i, line := range h {
		if line.Name != name {
			continue
		}
		if joined(name) {
			return h[i:].Values(name)[0], true
		}
		return line.Value, true
	}
	return "", false
}

// Values are the values of a header, pseudo-headers among them. The name is in lower case; host is :authority.
func (r *Request) Values(name string) []string {
	one := func(value string) []string {
		if value == "" {
			return nil
		}
		return []string{value}
	}
	switch name {
	case ":method":
		return one(r.method())
	case ":authority", "host":
		return one(r.Host)
	case ":path":
		return one(r.Path)
	case ":scheme":
		return one(r.SchemeOr())
	case "x-forwarded-proto":
		return one(r.ForwardedProto())
	case "x-envoy-internal":
		if r.Internal {
			return []string{"true"}
		}
	}
	return r.Headers.Values(name)
}

// First is the first value of a header; see Values.
func (r *Request) First(name string) (value string, ok bool) {
	if values := r.Values(name); len(values) > 0 {
		return values[0], true
	}
	return "", false
}

func (r *Request) method() string {
	if r.Method == "" {
		return "GET"
	}
	return r.Method
}

// SchemeOr is Scheme or, when it is "", what x-forwarded-proto says, or else the connection.
func (r *Request) SchemeOr() string {
	if r.Scheme != "" {
		return r.Scheme
	}
	if proto := lower(r.ForwardedProto()); proto == "http" || proto == "https" {
		return proto
	}
	if r.Connection.TLS {
		return "https"
	}
	return "http"
}

// ForwardedProto is the header x-forwarded-proto, which the connection manager sets where the client has not.
func (r *Request) ForwardedProto() string {
	if value, ok := r.Headers.Get("x-forwarded-proto"); ok {
		return value
	}
	if r.Connection.TLS {
		return "https"
	}
	return "http"
}

// PathOnly is the path without query and fragment.
func (r *Request) PathOnly() string { return PathOnly(r.Path) }

// PathOnly cuts the query and the fragment off a path.
func PathOnly(path string) string {
	path, _, _ = strings.Cut(path, "?")
	path, _, _ = strings.Cut(path, "#")
	return path
}

// RulePath is the path access rules go by: without query and fragment, and since 1.40 without path parameters where the route ignores them.
func (r *Request) RulePath() string {
	path := r.PathOnly()
	if !r.IgnoreParameters || !r.Envoy.AtLeast(1, 40) || strings.IndexByte(path, ';') < 0 {
		return path
	}
	segments := strings.Split(path, "/")
	for i, s := range segments {
		segments[i], _, _ = strings.Cut(s, ";")
	}
	return strings.Join(segments, "/")
}

// IsGRPC reports whether the request is gRPC by its content type. gRPC-Web is not.
func (r *Request) IsGRPC() bool {
	value, _ := r.Headers.Get("content-type")
	rest, ok := strings.CutPrefix(value, "application/grpc")
	return ok && (rest == "" || rest[0] == '+') && r.Path != ""
}

// A Version is a version of Envoy. The zero Version is the newest known.
type Version struct{ Major, Minor, Patch int }

// ParseVersion reads a version such as 1.36.0-dev; what is not one gives the zero Version.
func ParseVersion(text string) Version {
	var n [3]int
	for i := range n {
		part, rest, _ := strings.Cut(text, ".")
		digits := strings.TrimRight(part, "-abcdefghijklmnopqrstuvwxyz")
		value, err := strconv.Atoi(digits)
		if err != nil || value < 0 {
			return Version{}
		}
		n[i], text = value, rest
		if text == "" {
			break
		}
	}
	return Version{n[0], n[1], n[2]}
}

// AtLeast reports whether the version is major.minor or newer.
func (v Version) AtLeast(major, minor int) bool {
	return v == Version{} || v.Major > major || v.Major == major && v.Minor >= minor
}

// rbacIndividually reports whether RBAC of this version matches several values of a header one by one.
func (v Version) rbacIndividually() bool {
	if v.AtLeast(1, 38) {
		return true
	}
	since := map[int]int{34: 13, 35: 9, 36: 5, 37: 1}
	patch, backported := since[v.Minor]
	return v.Major == 1 && backported && v.Patch >= patch
}
