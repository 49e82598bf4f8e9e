package tracing

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/trace"
)

// usualPorts are the container ports that the Services of Istio's gateways send their well-known ports to.
var usualPorts = map[uint16]uint16{80: 8080, 443: 8443, 31400: 31400, 15443: 15443}

// atProxy finds the port of the proxy a request comes to. A sidecar's is the port of the URL. A gateway's listeners are on the ports of its
// containers, and the URL has that of its Service.
func (v *view) atProxy(r *trace.Request, step *explain.Step, t target, given netip.Addr) error {
	own, err := given, error(nil)
	if !own.IsValid() {
		if own, err = netip.ParseAddr(v.config.Proxy().IP); err != nil {
			own = netip.IPv4Unspecified()
		}
	}
	port := t.port
	if typ := v.config.Proxy().Type; typ != "sidecar" && v.err == nil {
		if port, err = v.gatewayPort(step, t); err != nil {
			return err
		}
	}
	if !given.IsValid() {
		own = v.boundTo(step, port, own)
	}
	r.Destination = netip.AddrPortFrom(own.Unmap(), port)
	why := "the proxy itself"
	if port != t.port {
		why = fmt.Sprintf("the proxy itself, whose port %d is %d outside", port, t.port)
	}
	step.Answer = r.Destination.String() + ": " + why
	return nil
}

// boundTo is an address of the proxy that a listener of a port takes connections for: its own where that is one, else the first. The others are among the
// step's candidates.
func (v *view) boundTo(step *explain.Step, port uint16, own netip.Addr) netip.Addr {
	var bound []netip.Addr
	for _, l := range v.Listeners().All() {
		if l.Internal() || !l.BindToPort() || l.Port() != uint32(port) {
			continue
		}
		ip, err := netip.ParseAddr(l.Address().Host)
		switch {
		case err != nil:
		case ip.IsUnspecified() || ip == own:
			return own
		case !slices.Contains(bound, ip):
			bound = append(bound, ip)
		}
	}
	if len(bound) == 0 {
		return own
	}
	for _, ip := range bound[1:] {
		step.Candidates = append(step.Candidates, explain.Candidate{Name: netip.AddrPortFrom(ip, port).String(), Why: "a listener is bound to it too: give dst_ip for that one"})
	}
	return bound[0]
}

// gatewayPort finds the port of a gateway's listener for the port of a URL: the one that its Service sends it to, the port itself, the one whose virtual
// hosts are for the URL's port, or the usual one.
func (v *view) gatewayPort(step *explain.Step, t target) (uint16, error) {
	ports := v.ports()
	if v.err != nil {
		return 0, nil
	}
	choose := func(port uint16, why string) (uint16, error) {
		step.Candidates = append(step.Candidates, explain.Candidate{Name: "port " + strconv.Itoa(int(port)), Won: true, Why: why})
		return port, nil
	}
	if port, why, ok := v.targetPort(t.port); ok && slices.Contains(ports, port) {
		return choose(port, why)
	}
	if slices.Contains(ports, t.port) {
		return choose(t.port, "a listener is on the port of the URL")
	}
	var served []string
	for _, port := range ports {
		tables, hosts := v.hostsOn(port)
		for _, host := range hosts {
			if _, p, ok := cutLast(host, ":"); ok && p == strconv.Itoa(int(t.port)) {
				return choose(port, "its virtual host "+host+" is for port "+p)
			}
		}
		if v.err != nil {
			return 0, nil
		}
		text := strconv.Itoa(int(port))
		if len(tables) > 0 {
			text += " (" + strings.Join(tables, ", ") + ")"
		}
		served = append(served, text)
	}
	if port, ok := usualPorts[t.port]; ok && slices.Contains(ports, port) {
		return choose(port, fmt.Sprintf("the port that gateways of Istio usually have for %d", t.port))
	}
	if len(served) == 0 {
		return 0, fmt.Errorf("url: %s listens on no port at all, so not for port %d", v.Name(), t.port)
	}
	return 0, fmt.Errorf("url: no listener of %s is for port %d; it listens on %s: write the port of one of them into the URL", v.Name(), t.port, strings.Join(served, ", "))
}

// hostsOn are the route tables of the listeners on a port, and the virtual hosts in them by name.
func (v *view) hostsOn(port uint16) (tables, hosts []string) {
	for _, l := range v.Listeners().All() {
		if l.Port() != uint32(port) || l.Internal() {
			continue
		}
		for _, c := range l.Chains() {
			for _, name := range c.RouteNames() {
				if slices.Contains(tables, name) {
					continue
				}
				tables = append(tables, name)
				if t, ok := v.Table(name); ok {
					for _, h := range t.Config().VirtualHosts() {
						hosts = append(hosts, match.Lower(h.Name()))
					}
				}
			}
		}
	}
	return tables, hosts
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
