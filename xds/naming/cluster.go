package naming

import (
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
