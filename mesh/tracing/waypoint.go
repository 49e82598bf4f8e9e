package tracing

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/meshlark/meshlark/xds/filterchain"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/naming"
	"github.com/meshlark/meshlark/xds/trace"
)

const (
	// tunnelPort is where the tunnels of Istio's ambient mode (HBONE) end.
	tunnelPort = 15008
	// tunnelEnd is the listener inside a waypoint that has what came out of them.
	tunnelEnd = "main_internal"
)

// tunnelled reports whether a request comes to the proxy inside of a tunnel: what comes to a waypoint does.
func (v *view) tunnelled(r trace.Request) bool {
	return r.Inbound && v.config.Proxy().Type == "waypoint"
}

// enter is a request as it comes to the proxy. The tunnel to a waypoint is made by the node of the client with the client's certificate, and asks for the
// address that the client connects to.
func (v *view) enter(r trace.Request) trace.Request {
	if !v.tunnelled(r) {
		return r
	}
	own := v.Address()
	if !own.IsValid() {
		own = netip.IPv4Unspecified()
	}
	end := netip.AddrPortFrom(own, tunnelPort)
	if v.Listeners().At(end) < 0 { // a recording without it
		r.Listener = tunnelEnd
		return r
	}
	peer := match.Peer{Presented: true, Validated: true}
	if r.Principal != "" {
		peer.URISANs = []string{r.Principal}
	}
	tunnel := r
	tunnel.Method, tunnel.Host, tunnel.Path, tunnel.Headers = "CONNECT", r.Destination.String(), "", nil
	tunnel.Client, tunnel.Peer = filterchain.Client{TLS: true, ALPN: []string{"h2"}}, peer
	tunnel.Destination, tunnel.Inside = end, &r
	return tunnel
}

// addressOfChain looks for the chain of a waypoint that is for one of the names, and for the address whose connections it has.
func (v *view) addressOfChain(port uint16, names []string) (netip.Addr, string) {
	listeners := v.Listeners()
	i, ok := listeners.Named(tunnelEnd)
	if !ok {
		return netip.Addr{}, ""
	}
	l := listeners.All()[i]
	for _, serves := range [...]func(host, name string) bool{
		func(host, name string) bool { return host == name },
		func(host, name string) bool {
			suffix, wildcard := strings.CutPrefix(host, "*")
			return wildcard && strings.HasSuffix(name, suffix)
		},
	} {
		for _, chain := range l.Chains() {
			c, ok := naming.ParseClusterName(chain.Name())
			if !ok || c.Port != strconv.Itoa(int(port)) {
				continue
			}
			for _, name := range names {
				if !serves(match.Lower(c.Host), name) {
					continue
				}
				if ip := filterchain.In(l).AddressOf(chain.Name(), port); ip.IsValid() {
					return ip, chain.Name()
				}
			}
		}
	}
	return netip.Addr{}, ""
}
