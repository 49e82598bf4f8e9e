package tracing

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/naming"
	"github.com/meshlark/meshlark/xds/trace"
)

// A target is what a URL means before it is known who serves it.
type target struct {
	scheme string
	host   string // without the port, in lower case
	port   uint16
	header string // the Host header
	path   string
	tls    bool
	http   bool
	speaks string // the version of HTTP where the scheme says it, as h2; "" for what the client likes
}

func parseTarget(text string) (target, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return target{}, fmt.Errorf("url: %w", err)
	}
	t := target{scheme: strings.ToLower(u.Scheme), host: match.Lower(u.Hostname()), header: u.Host, http: true}
	port := uint64(0)
	switch t.scheme {
	case "http", "ws", "grpc":
		port = 80
	case "https", "wss", "grpcs":
		port, t.tls = 443, true
	case "tcp":
		t.http = false
	case "tls":
		t.http, t.tls = false, true
	default:
		return target{}, fmt.Errorf("url: %s has the scheme %q; there are http, https, tcp and tls", text, u.Scheme)
	}
	switch t.scheme {
	case "ws", "wss":
		t.speaks = "http/1.1"
	case "grpc", "grpcs":
		t.speaks = "h2"
	}
	if text := u.Port(); text != "" {
		if port, err = strconv.ParseUint(text, 10, 16); err != nil || port == 0 {
			return target{}, fmt.Errorf("url: %s is no port", text)
		}
	}
	if t.host == "" {
		return target{}, fmt.Errorf("url: %s has no host", text)
	}
	if port == 0 {
		return target{}, fmt.Errorf("url: %s has no port, and %s has no usual one", text, t.scheme)
	}
	t.port = uint16(port)
	t.path = u.EscapedPath()
	if t.path == "" {
		t.path = "/"
	}
	if u.RawQuery != "" || u.ForceQuery {
		t.path += "?" + u.RawQuery
	}
	return t, nil
}

// resolve makes a request of a question, and says in a step how its destination was found.
func (v *view) resolve(q Question) (trace.Request, explain.Step, error) {
	t, err := parseTarget(q.URL)
	if err != nil {
		return trace.Request{}, explain.Step{}, err
	}
	inbound, err := v.inbound(q.Direction)
	if err != nil {
		return trace.Request{}, explain.Step{}, err
	}
	r := trace.Request{
		Method: q.Method, Host: t.header, Path: t.path, Source: q.Source, DirectSource: q.DirectSource, Inbound: inbound, ProxyProtocol: q.ProxyProtocol,
		Metadata: q.Metadata, Runtime: q.Runtime, Random: q.Random,
	}
	for _, h := range q.Headers {
		switch h.Name {
		case "host", ":authority":
			r.Host = h.Value
		case ":method":
			r.Method = cmp.Or(r.Method, h.Value)
		case ":path":
			r.Path = h.Value
		default:
			r.Headers = append(r.Headers, h)
		}
	}
	if err := v.client(&r, t, q); err != nil {
		return trace.Request{}, explain.Step{}, err
	}
	step := explain.Step{Question: "where does the client connect to?", Inputs: []explain.Input{{Name: "url", Value: q.URL}}}
	if r.Peer.Presented && len(r.Peer.Names()) == 0 || v.tunnelled(r) && r.Principal == "" {
		step.Unmodelled = append(step.Unmodelled, "the name in the client's certificate: give principal")
	}
	switch {
	case inbound && !v.tunnelled(r): // what is in a tunnel is for the address of a service
		err = v.atProxy(&r, &step, t, q.Destination)
	case q.Destination.IsValid():
		r.Destination = netip.AddrPortFrom(q.Destination.Unmap(), t.port)
		step.Answer = r.Destination.String() + ", as given"
	default:
		v.atService(&r, &step, t)
	}
	return r, step, err
}

// inbound tells the direction of a request.
func (v *view) inbound(direction string) (bool, error) {
	switch direction {
	case "inbound":
		return true, nil
	case "outbound":
		return false, nil
	case "":
		typ := v.config.Proxy().Type
		if typ == "" { // not one of Istio's, or a recording that does not say
			return !v.Listeners().HandsOn(), nil
		}
		return typ != "sidecar", nil
	}
	return false, fmt.Errorf("direction: %q is neither inbound nor outbound", direction)
}

// atService finds the address a workload connects to when it calls a host: DNS is asked in the mesh, and the mesh's own configuration knows what
// DNS answers. Where it does not, the address is left open, which is enough for the listener of a port on any address.
func (v *view) atService(r *trace.Request, step *explain.Step, t target) {
	to := func(ip netip.Addr, why string) {
		r.Destination = netip.AddrPortFrom(ip.Unmap(), t.port)
		step.Answer = r.Destination.String() + ": " + why
	}
	if ip, err := netip.ParseAddr(t.host); err == nil {
		to(ip, "the host is an address")
		return
	}
	names := v.serviceNames(t.host)
	step.Inputs = append(step.Inputs, explain.Input{Name: "names", Value: strings.Join(names, ", ")})
	lost := func(name, why string) {
		step.Candidates = append(step.Candidates, explain.Candidate{Name: name, Why: why})
	}
	won := func(name, where, why string) {
		step.Candidates = append(step.Candidates, explain.Candidate{Name: name, Where: where, Won: true, Why: why})
	}
	port := strconv.Itoa(int(t.port))
	table := "route table " + port
	if found := v.addressInTable(port, names); found.ip.IsValid() {
		won(table, found.where, "the address is among the domains of "+found.host)
		to(found.ip, "the address of virtual host "+found.host)
		return
	} else if found.host != "" {
		lost(table, "virtual host "+found.host+" serves it and has no address")
	} else {
		lost(table, "no virtual host serves it by name")
	}
	if ip, name := v.addressOfListener(t.port, names); ip.IsValid() {
		won("listener "+name, "", "it is bound to the service's address")
		to(ip, "the address of listener "+name)
		return
	}
	lost("listeners", "none is bound to an address of its own for it")
	if ip, chain := v.addressOfChain(t.port, names); ip.IsValid() {
		won("chain "+chain+" of listener "+tunnelEnd, "", "the listener's matcher chooses it for the service's address")
		to(ip, "the address of chain "+chain)
		return
	}
	for _, name := range names {
		c, ok := v.Cluster("outbound|" + port + "||" + name)
		if !ok {
			continue
		}
		assignment, _ := v.Endpoints(c)
		for _, e := range assignment.Endpoints() {
			if ip, err := netip.ParseAddr(e.Address().Host); err == nil {
				won("cluster "+c.Name(), "", "the service has no address of its own, so a client connects to an endpoint")
				to(ip, "an endpoint of "+c.Name())
				return
			}
		}
		lost("cluster "+c.Name(), "it is known, and no address of it")
	}
	if ip, name := v.addressOfService(names); ip.IsValid() {
		won("Service "+name, "", "its cluster IP")
		to(ip, "the address of Service "+name)
		return
	}
	r.Destination = netip.AddrPortFrom(v.anyAddress(t.port), t.port)
	step.Answer = fmt.Sprintf("an address of %s that the mesh does not know, port %d", t.host, t.port)
	step.Unmodelled = append(step.Unmodelled, "the address of "+t.host+": give dst_ip if a listener is bound to it")
}

// anyAddress stands for an address that is not known: that of IPv6 where the listeners for a port on any address, or the proxy itself, have no other.
func (v *view) anyAddress(port uint16) netip.Addr {
	own := v.Address()
	six := own.IsValid() && own.Is6()
	listeners := v.Listeners()
	for _, i := range listeners.Port(port) {
		for _, a := range listeners.All()[i].Addresses() {
			switch a.Host {
			case "0.0.0.0":
				return netip.IPv4Unspecified()
			case "::":
				six = true
			}
		}
	}
	if six {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

// serviceNames are the names that a host can stand for in the namespace of the proxy, as the resolver of a pod tries them.
func (v *view) serviceNames(host string) []string {
	host = strings.TrimSuffix(host, ".")
	domain := "cluster.local"
	node, _ := naming.ParseNode(v.config.Proxy().NodeID)
	if _, rest, ok := strings.Cut(node.Domain, ".svc."); ok && rest != "" {
		domain = rest
	}
	names := []string{host}
	switch labels := strings.Split(host, "."); {
	case len(labels) == 1 && v.config.Proxy().Namespace != "":
		names = append(names, host+"."+v.config.Proxy().Namespace+".svc."+domain)
	case len(labels) == 2:
		names = append(names, host+".svc."+domain)
	case len(labels) == 3 && labels[2] == "svc":
		names = append(names, host+"."+domain)
	}
	slices.Reverse(names) // the full name first
	return names
}

// A domain is a virtual host that serves a name, and the address among its domains; both may be missing.
type domain struct {
	ip    netip.Addr
	host  string
	where string // of the address among the domains
}

// addressInTable looks for the virtual host that serves one of the names by name, and for an address among its domains: Istio puts the addresses of
// a service there.
func (v *view) addressInTable(port string, names []string) domain {
	return remember(v, v.store.domains, port+" "+strings.Join(names, " "), func() domain { return v.findInTable(port, names) })
}

func (v *view) findInTable(port string, names []string) (out domain) {
	t, ok := v.Table(port)
	if !ok {
		return out
	}
	for _, name := range names {
		for _, text := range [...]string{name + ":" + port, name} {
			found, ok := t.VirtualHost(&match.Request{Host: text})
			if !ok || !servesByName(found.Domains(), name) {
				continue
			}
			for i, text := range found.Domains() {
				bare := text
				if h, _, err := net.SplitHostPort(text); err == nil {
					bare = h
				}
				if ip, err := netip.ParseAddr(strings.Trim(bare, "[]")); err == nil && !ip.IsUnspecified() { // a service without an address may have that
					return domain{ip, found.Name(), fmt.Sprintf("domains[%d]", i)}
				}
			}
			out.host = found.Name()
		}
	}
	return out
}

// servesByName tells a virtual host for a name from one for everything.
func servesByName(domains []string, name string) bool {
	for _, d := range domains {
		if h, _, err := net.SplitHostPort(d); err == nil {
			d = h
		}
		if match.Lower(d) == name {
			return true
		}
	}
	return false
}

// addressOfListener looks for a listener of the port that is bound to an address and leads to one of the names, by the cluster or the route table it
// names.
func (v *view) addressOfListener(port uint16, names []string) (netip.Addr, string) {
	listeners := v.Listeners()
	for _, i := range listeners.Port(port) {
		l := listeners.All()[i]
		if l.Internal() || l.Port() != uint32(port) {
			continue
		}
		ip, err := netip.ParseAddr(l.Address().Host)
		if err != nil || ip.IsUnspecified() || ip.IsLoopback() {
			continue
		}
		for _, name := range l.Clusters() {
			if c, _ := naming.ParseClusterName(name); slices.Contains(names, c.Host) && c.Port == strconv.Itoa(int(port)) {
				return ip, l.Name()
			}
		}
		for _, name := range l.RouteNames() {
			if h, _, _ := strings.Cut(name, ":"); slices.Contains(names, h) {
				return ip, l.Name()
			}
		}
	}
	return netip.Addr{}, ""
}

func isSPIFFE(san string) bool { return strings.HasPrefix(san, "spiffe://") }
