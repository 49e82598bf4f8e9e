package route

import (
	"fmt"
	"strings"

	"github.com/meshlark/meshlark/xds/naming"
	"github.com/meshlark/meshlark/xds/pattern"
)

// A HostMatch says how well a domain fits a host that is looked for, better ones greater. Envoy takes the virtual host with the
// best one.
type HostMatch int

// From no match to the best. Sidecars have a catch-all virtual host in every table, so a filter that is to find the tables about
// a host should ask for more than AnyHost.
const (
	NoHost     HostMatch = iota
	AnyHost              // *
	PrefixHost           // foo.*
	SuffixHost           // *.example.com
	ExactHost            // the host itself, or a longer name Kubernetes knows it by
)

// MatchDomain says how well a domain of a virtual host fits p. A plain host name is matched as Envoy does it, wildcards of
// the domain included; upper and lower case and ports count for nothing, and Kubernetes short names will do (reviews for
// reviews.default.svc.cluster.local). A pattern with wildcards of its own is matched against the text of the domain, and so is =text.
func MatchDomain(domain string, p pattern.Pattern) HostMatch {
	if p.IsAll() {
		return ExactHost
	}
	name, literal := p.Literal()
	if p.IsExact() {
		if domain == name {
			return ExactHost
		}
		return NoHost
	}
	if !literal {
		if naming.HostMatches(p, domain) || naming.HostMatches(p, withoutPort(domain)) {
			return ExactHost
		}
		return NoHost
	}
	host := strings.ToLower(withoutPort(name))
	domain = strings.ToLower(withoutPort(domain))
	switch {
	case domain == "*":
		return AnyHost
	case domain == host || shortOf(host, domain):
		return ExactHost
	case strings.HasPrefix(domain, "*"):
		if len(host) >= len(domain) && strings.HasSuffix(host, domain[1:]) {
			return SuffixHost
		}
	case strings.HasSuffix(domain, "*"):
		if len(host) >= len(domain) && strings.HasPrefix(host, domain[:len(domain)-1]) {
			return PrefixHost
		}
	}
	return NoHost
}

// shortOf reports whether host is a short form of a Kubernetes name. Parse, unlike Exact, leaves the short forms open; a host
// with a character that is special there has none.
func shortOf(host, domain string) bool {
	if !strings.HasPrefix(domain, host+".") {
		return false
	}
	p, err := pattern.Parse(host)
	return err == nil && naming.HostMatches(p, domain)
}

// HostMatch says how well the virtual host fits p, by the best of its domains; see MatchDomain.
func (h VirtualHost) HostMatch(p pattern.Pattern) HostMatch {
	best := NoHost
	for v := range h.body.Get("domains").Elems() {
		best = max(best, MatchDomain(v.Text(), p))
	}
	return best
}

// HostMatch says how well the table fits p, by the best of its virtual hosts; see MatchDomain.
func (r RouteConfig) HostMatch(p pattern.Pattern) HostMatch {
	best := NoHost
	for _, h := range r.VirtualHosts() {
		best = max(best, h.HostMatch(p))
	}
	return best
}

// withoutPort cuts off a numeric port; an IPv6 address has one only behind brackets.
func withoutPort(host string) string {
	i := strings.LastIndexByte(host, ':')
	if i < 0 || strings.IndexByte(host, ':') != i && !strings.HasSuffix(host[:i], "]") {
		return host
	}
	if strings.Trim(host[i+1:], "0123456789") != "" || i == len(host)-1 {
		return host
	}
	return host[:i]
}

// DomainsCell is what istioctl prints in its DOMAINS column: a single domain as it is; of several the first two, without those
// that have a port and those that spell out a shorter one, and how many more there are. Where istioctl would be left
// with nothing (every domain has a port, or is a short IPv6 address) the domains are given all the same.
func (h VirtualHost) DomainsCell() string {
	domains := h.Domains()
	switch len(domains) {
	case 0:
		return ""
	case 1:
		return domains[0]
	}
	var plain []string
	known := map[string]bool{}
	for _, d := range domains {
		if !strings.Contains(d, ":") || strings.HasSuffix(d, "]") {
			plain = append(plain, d)
			known[d] = true
		}
	}
	if len(plain) == 0 {
		plain = domains
	}
	kept := plain[:0]
	for _, d := range plain {
		full, isFull := strings.CutSuffix(d, ".svc.cluster.local")
		svc, isSvc := strings.CutSuffix(d, ".svc")
		if isFull && known[full] || isSvc && known[svc] {
			continue
		}
		kept = append(kept, d)
	}
	const shown = 2
	if len(kept) > shown {
		return fmt.Sprintf("%s + %d more...", strings.Join(kept[:shown], ", "), len(kept)-shown)
	}
	return strings.Join(kept, ", ")
}
