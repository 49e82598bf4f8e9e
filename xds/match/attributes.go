package match

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/meshlark/meshlark/xds/cel"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// Expression reports whether an expression of the Common Expression Language holds for a request, of which it asks by Envoy's attributes (request.path). One that
// gives no truth value does not hold; err says why, and is a cel.ErrUnknown for one that may hold.
func Expression(expr rawjson.Value, r *Request) (bool, error) {
	return cel.Holds(expr, members(r.attribute))
}

// members is a map of attributes that looks each of them up when it is asked for.
type members func(name string) (value any, ok bool, err error)

// Member finds an attribute.
func (m members) Member(name string) (value any, ok bool, err error) { return m(name) }

// present is an attribute that is not there when it is "".
func present(text string) (value any, ok bool, err error) { return text, text != "", nil }

func unknownAttribute(name string) (value any, ok bool, err error) {
	return nil, false, fmt.Errorf("attribute %s: %w", name, cel.ErrUnknown)
}

// attribute finds one of the variables.
func (r *Request) attribute(name string) (value any, ok bool, err error) {
	c := &r.Connection
	switch name {
	case "request":
		return members(r.requestAttribute), true, nil
	case "connection":
		return members(c.attribute), true, nil
	case "source":
		return members(end(c.Remote()).attribute), true, nil
	case "destination":
		return members(end(c.Destination).attribute), true, nil
	case "metadata":
		return members(func(field string) (any, bool, error) {
			if field == "filter_metadata" {
				return cel.Object(r.Metadata), true, nil
			}
			return unknownAttribute("metadata." + field)
		}), true, nil
	case "filter_state":
		return members(func(key string) (any, bool, error) {
			value, ok := r.FilterState[key]
			return []byte(value), ok, nil
		}), true, nil
	case "response", "upstream", "upstream_filter_state", "xds":
		return unknownAttribute(name)
	}
	return nil, false, nil
}

func (r *Request) requestAttribute(name string) (value any, ok bool, err error) {
	path, query, _ := strings.Cut(r.Path, "?")
	switch name {
	case "path":
		return present(r.Path)
	case "url_path":
		return path, true, nil
	case "query":
		query, _, _ = strings.Cut(query, "#")
		return query, true, nil
	case "host":
		return present(r.Host)
	case "scheme":
		return present(r.SchemeOr())
	case "method":
		return present(r.method())
	case "referer":
		return r.header("referer")
	case "useragent":
		return r.header("user-agent")
	case "id":
		return r.header("x-request-id")
	case "headers":
		return members(r.header), true, nil
	case "size":
		length, there := r.First("content-length")
		n, err := strconv.ParseInt(length, 10, 64)
		return n, err == nil || !there, nil
	case "protocol", "time", "duration", "total_size":
		return unknownAttribute("request." + name)
	}
	return nil, false, nil
}

func (r *Request) header(name string) (value any, ok bool, err error) {
	values := r.Values(lower(name))
	return strings.Join(values, ","), len(values) > 0, nil
}

func (c *Connection) attribute(name string) (value any, ok bool, err error) {
	first := func(names []string) (any, bool, error) {
		if !c.TLS || len(names) == 0 {
			return nil, false, nil
		}
		return names[0], true, nil
	}
	switch name {
	case "mtls":
		return c.TLS && c.Peer.Presented, true, nil
	case "requested_server_name":
		return c.SNI, true, nil
	case "subject_peer_certificate":
		return c.Peer.Subject, c.TLS, nil
	case "uri_san_peer_certificate":
		return first(c.Peer.URISANs)
	case "dns_san_peer_certificate":
		return first(c.Peer.DNSSANs)
	case "tls_version", "subject_local_certificate", "uri_san_local_certificate", "dns_san_local_certificate", "sha256_peer_certificate_digest":
		if !c.TLS {
			return nil, false, nil
		}
		return unknownAttribute("connection." + name)
	case "id":
		return unknownAttribute("connection." + name)
	}
	return nil, false, nil
}

// An end is the address of one end of a connection.
type end netip.AddrPort

func (e end) attribute(name string) (value any, ok bool, err error) {
	ap := netip.AddrPort(e)
	switch {
	case name != "address" && name != "port":
		return nil, false, nil
	case !ap.IsValid():
		return unknownAttribute(name + " of a connection")
	case name == "port":
		return int64(ap.Port()), true, nil
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()).String(), true, nil
}
