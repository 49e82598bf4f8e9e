package endpoint

import (
	"net"
	"strconv"
	"strings"

	"github.com/meshlark/meshlark/xds/rawjson"
)

// An Address is where Envoy listens or connects (envoy.config.core.v3.Address): a socket address, a Unix domain socket or a
// listener inside the same Envoy. At most one of Host, Pipe and Listener is set; none for an address that is absent or of
// a kind this package does not know.
type Address struct {
	Host      string // IP address, or a DNS name to be resolved
	Port      uint32
	NamedPort string // in place of Port, to be resolved (SRV)
	UDP       bool

	Pipe string // path of a Unix domain socket; @name in the abstract namespace

	Listener   string // name of an internal listener
	EndpointID string // tells endpoints of one internal listener apart
}

// NewAddress reads an envoy.config.core.v3.Address.
func NewAddress(v rawjson.Value) Address {
	for kind, a := range v.Members() {
		switch kind {
		case "socket_address", "socketAddress":
			port, _ := a.Get("port_value").Uint()
			return Address{
				Host:      a.Str("address"),
				Port:      uint32(min(port, 1<<32-1)),
				NamedPort: a.Str("named_port"),
				UDP:       a.Str("protocol") == "UDP",
			}
		case "pipe":
			return Address{Pipe: a.Str("path")}
		case "envoy_internal_address", "envoyInternalAddress":
			return Address{Listener: a.Str("server_listener_name"), EndpointID: a.Str("endpoint_id")}
		}
	}
	return Address{}
}

// String gives the address as Envoy's admin interface does: ip:port with IPv6 in brackets, unix://path,
// envoy://listener/endpoint-id; "unknown" for none of these, as istioctl has it.
func (a Address) String() string {
	switch {
	case a.Pipe != "":
		return "unix://" + a.Pipe
	case a.Listener != "":
		return "envoy://" + a.Listener + "/" + a.EndpointID
	case a.Host != "" || a.Port != 0:
		if a.NamedPort != "" {
			return net.JoinHostPort(a.Host, a.NamedPort)
		}
		return net.JoinHostPort(a.Host, strconv.FormatUint(uint64(a.Port), 10))
	}
	return "unknown"
}

// IsZero reports whether there is no address.
func (a Address) IsZero() bool { return a == Address{} }

// A CIDR gives an envoy.config.core.v3.CidrRange as prefix/length, as written: Envoy ignores host bits. A length that is
// left out is 0.
func CIDR(v rawjson.Value) string {
	n, _ := v.Get("prefix_len").Uint()
	var b strings.Builder
	b.WriteString(v.Str("address_prefix"))
	b.WriteByte('/')
	b.WriteString(strconv.FormatUint(n, 10))
	return b.String()
}
