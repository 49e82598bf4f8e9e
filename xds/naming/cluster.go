package naming

import (
	"regexp"
	"strings"

	"github.com/meshlark/meshlark/xds/pattern"
)

// A ClusterName is the parts of the name Istio gives a cluster. Every part but Direction may be empty: inbound clusters
// have no host (inbound|9080||).
type ClusterName struct {
	Direction string // inbound, inbound-vip, outbound, as written
	Port      string
	Subset    string
	Host      string
}

// ParseClusterName takes apart direction|port|subset|host and the form of clusters reached by SNI alone
// (AUTO_PASSTHROUGH gateways), direction_.port_.subset_.host. A name of neither form (PassthroughCluster, agent,
// clusters of a bootstrap or of another control plane) is given whole as Host, and ok is false.
func ParseClusterName(s string) (c ClusterName, ok bool) {
	sep := "|"
	if strings.HasPrefix(s, "outbound_.") || strings.HasPrefix(s, "inbound_.") {
		sep = "_."
	}
	parts := strings.SplitN(s, sep, 4)
	if len(parts) < 4 {
		return ClusterName{Host: s}, false
	}
	return ClusterName{Direction: parts[0], Port: parts[1], Subset: parts[2], Host: parts[3]}, true
}

// A ClusterFilter selects clusters by the parts of their names. Its zero value selects all of them.
type ClusterFilter struct {
	Direction string
	Port      string
	Subset    *pattern.Pattern // nil selects any; a pattern of "=" those without one
	FQDN      pattern.Pattern  // as HostMatches takes it
}

// Match tells whether the filter selects a cluster of that name.
func (f ClusterFilter) Match(name string) bool {
	parts, _ := ParseClusterName(name)
	return (f.Direction == "" || parts.Direction == f.Direction) &&
		(f.Port == "" || parts.Port == f.Port) &&
		(f.FQDN.IsAll() || HostMatches(f.FQDN, parts.Host)) &&
		(f.Subset == nil || f.Subset.Match(parts.Subset))
}

// Pattern gives a pattern that matches every name the filter selects, and may match others: it is what can be asked of Envoy, so that it sends less. ok is
// false where that would be all of them.
func (f ClusterFilter) Pattern() (p pattern.Pattern, ok bool) {
	const any, separator = `(?s:.*)`, `(?:\||_\.)`
	exact := func(text string) string {
		if text == "" {
			return any
		}
		return regexp.QuoteMeta(text)
	}
	host, subset := any, any
	if !f.FQDN.IsAll() && !isExpr(f.FQDN) {
		host = f.FQDN.Regexp()
		if !f.FQDN.IsExact() {
			host += `(?s:\..*)?`
		}
	}
	if f.Subset != nil && !isExpr(*f.Subset) {
		subset = f.Subset.Regexp()
	}
	if f.Direction == "" && f.Port == "" && host == any && (subset == any || f.Subset.IsAll()) {
		return p, false
	}
	text := exact(f.Direction) + separator + exact(f.Port) + separator + subset + separator + host
	if f.Direction == "" && f.Port == "" && (f.Subset == nil || f.Subset.Match("")) {
		text = "(?:" + text + "|" + host + ")" // a name without parts is a host
	}
	p, err := pattern.Parse("re:" + text)
	return p, err == nil
}

// isExpr tells regular expressions, which cannot be made part of another one by their text: of (?i) and \Q the reach would differ.
func isExpr(p pattern.Pattern) bool { return strings.HasPrefix(p.String(), "re:") }

// HostMatches reports whether p selects the host name fqdn, or one of the shorter names Kubernetes knows the same
// service by: reviews.default.svc.cluster.local is also reviews.default.svc, reviews.default and reviews. Any cluster domain
// will do. A pattern of the form `=text` means the whole name and nothing else.
func HostMatches(p pattern.Pattern, fqdn string) bool {
	if p.Match(fqdn) {
		return true
	}
	if p.IsExact() {
		return false
	}
	for _, short := range shortHosts(fqdn) {
		if p.Match(short) {
			return true
		}
	}
	return false
}

// shortHosts gives the prefixes of a Kubernetes service name that end before, at and after the namespace. The label svc
// that ends the namespace has at least a service and a namespace before it.
func shortHosts(fqdn string) []string {
	service := strings.IndexByte(fqdn, '.')
	if service < 0 {
		return nil
	}
	for namespace := service; ; {
		next := strings.IndexByte(fqdn[namespace+1:], '.')
		if next < 0 {
			return nil
		}
		service, namespace = namespace, namespace+1+next
		rest := fqdn[namespace+1:]
		if rest == "svc" {
			return []string{fqdn[:service], fqdn[:namespace]}
		}
		if strings.HasPrefix(rest, "svc.") {
			return []string{fqdn[:service], fqdn[:namespace], fqdn[:namespace+len(".svc")]}
		}
	}
}
