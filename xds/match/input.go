package match

import (
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/meshlark/meshlark/xds/extension"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// An inputValue is what one input of a matcher tree gives for a request.
type inputValue struct {
	name     string
	value    string
	ok       bool
	unknown  bool // not modelled, or not known before the response
	metadata bool // object is metadata, in place of value
	object   any
	// attributes says that it is all of what expressions ask for.
	attributes bool
}

// input evaluates an input. Those of Envoy's network and HTTP matching are told by the type of their configuration.
func (w *walk) input(v rawjson.Value) inputValue {
	c := extension.New(v)
	in := inputValue{name: cmp.Or(c.ShortType(), c.Name)}
	r, conn := w.request, &w.request.Connection
	text := func(value string, ok bool) inputValue {
		in.value, in.ok = value, ok
		return in
	}
	address := func(name string, ap netip.AddrPort) inputValue {
		in.name = name
		return text(ap.Addr().Unmap().String(), ap.IsValid())
	}
	port := func(name string, ap netip.AddrPort) inputValue {
		in.name = name
		return text(strconv.Itoa(int(ap.Port())), ap.IsValid())
	}
	switch c.ShortType() {
	case "HttpRequestHeaderMatchInput":
		name := lower(c.Value.Str("header_name"))
		if known, ok := w.headers[name]; ok {
			return known
		}
		if w.headers == nil {
			w.headers = map[string]inputValue{}
		}
		in.name = "header " + name
		values := r.Values(name)
		w.headers[name] = text(strings.Join(values, ","), len(values) > 0)
		return w.headers[name]
	case "HttpRequestQueryParamMatchInput":
		name := c.Value.Str("query_param")
		in.name = "query " + name
		value, ok := DecodedParameter(r.Path, name)
		return text(value, ok)
	case "DestinationIPInput":
		return address("destination IP", conn.Destination)
	case "DestinationPortInput":
		return port("destination port", conn.Destination)
	case "SourceIPInput":
		return address("source IP", conn.Remote())
	case "SourcePortInput":
		return port("source port", conn.Remote())
	case "DirectSourceIPInput":
		return address("direct source IP", conn.Direct())
	case "SourceTypeInput":
		in.name = "source type"
		return text("local", conn.Local())
	case "NetworkNamespaceInput":
		in.name = "network namespace"
		return text(conn.Namespace, conn.Namespace != "")
	case "ServerNameInput":
		in.name = "server name"
		return text(conn.SNI, conn.SNI != "")
	case "TransportProtocolInput":
		in.name = "transport protocol"
		return text(conn.Transport, conn.Transport != "")
	case "ApplicationProtocolInput":
		in.name = "application protocols"
		quoted := make([]string, len(conn.ALPN))
		for i, p := range conn.ALPN {
			quoted[i] = "'" + p + "'"
		}
		return text(strings.Join(quoted, ","), len(quoted) > 0)
	case "UriSanInput":
		in.name = "URI SAN"
		return text(strings.Join(conn.Peer.URISANs, ","), len(conn.Peer.URISANs) > 0)
	case "DnsSanInput":
		in.name = "DNS SAN"
		return text(strings.Join(conn.Peer.DNSSANs, ","), len(conn.Peer.DNSSANs) > 0)
	case "SubjectInput":
		in.name = "subject"
		return text(conn.Peer.Subject, conn.Peer.Subject != "")
	case "HttpAttributesCelMatchInput":
		in.name, in.attributes = "attributes", true
		return in
	case "FilterStateInput":
		key := c.Value.Str("key")
		in.name = "filter state " + key
		value, ok := r.FilterState[key]
		return text(value, ok)
	case "DynamicMetadataInput":
		m := MetadataMatch{filter: c.Value.Str("filter")}
		for segment := range c.Value.Get("path").Elems() {
			m.path = append(m.path, segment.Str("key"))
		}
		in.name = fmt.Sprintf("metadata %s:%s", m.filter, strings.Join(m.path, "."))
		in.metadata = true
		in.object, in.ok = m.find(r.Metadata)
		if s, isText := in.object.(string); isText {
			in.value = s
		}
		return in
	}
	in.unknown = true
	w.note("input %s", cmp.Or(c.Type, c.Name))
	return in
}

// DecodedParameter is the first value of a query parameter of a path, with percent escapes decoded in names and values.
func DecodedParameter(path, name string) (string, bool) {
	_, query, _ := strings.Cut(path, "?")
	for field := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(field, "=")
		if field != "" && PercentDecode(key) == name {
			return PercentDecode(value), true
		}
	}
	return "", false
}

// PercentDecode decodes what is a valid percent escape and keeps the rest.
func PercentDecode(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// PercentEncode writes what is no letter, digit or one of -_.* as a percent escape, as Envoy encodes the values of query parameters.
func PercentEncode(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c := lowerByte(s[i]); 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("-_.*", c) >= 0 {
			b.WriteByte(s[i])
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// Remote is the client's address as X-Forwarded-For makes of it, else Source.
func (c *Connection) Remote() netip.AddrPort {
	if c.RemoteIP.IsValid() {
		return c.RemoteIP
	}
	return c.Source
}

// Direct is who really connected: DirectSource, else Source. It is not valid for a connection inside the proxy.
func (c *Connection) Direct() netip.AddrPort {
	if c.DirectSource.IsValid() || c.Within {
		return c.DirectSource
	}
	return c.Source
}

// Local reports whether Envoy takes the connection for one from the same machine: from 127.0.0.1 or ::1, from the address it was made to, or by a Unix
// domain socket, which has no IP addresses.
func (c *Connection) Local() bool {
	if !c.Source.Addr().IsValid() && !c.Destination.Addr().IsValid() {
		return true
	}
	source := c.Source.Addr().Unmap()
	return source == netip.AddrFrom4([4]byte{127, 0, 0, 1}) || source == netip.IPv6Loopback() ||
		source.IsValid() && source == c.Destination.Addr().Unmap()
}
