package naming

import "strings"

// A Node is what an Istio node id says about the proxy that has it.
type Node struct {
	ID        string // the whole id
	Type      string // sidecar, router, waypoint, ztunnel, agentgateway; "" for anything else
	IP        string // as written: one address, sometimes empty
	Pod       string
	Namespace string
	Domain    string // DNS domain of the proxy, as default.svc.cluster.local
}

// ParseNode reads an Istio node id, <type>~<ip>~<pod>.<namespace>~<domain>. For an id of another form (an Envoy that is not
// Istio's may be called anything) only ID is set and ok is false.
func ParseNode(id string) (n Node, ok bool) {
	parts := strings.Split(id, "~")
	if len(parts) != 4 {
		return Node{ID: id}, false
	}
	n = Node{ID: id, IP: parts[1], Pod: parts[2], Domain: parts[3]}
	switch parts[0] {
	case "sidecar", "router", "waypoint", "ztunnel", "agentgateway":
		n.Type = parts[0]
	}
	// Pod names may have dots, namespaces cannot.
	if i := strings.LastIndexByte(parts[2], '.'); i >= 0 {
		n.Pod, n.Namespace = parts[2][:i], parts[2][i+1:]
	} else if ns, _, ok := strings.Cut(parts[3], ".svc."); ok && !strings.Contains(ns, ".") {
		n.Namespace = ns
	}
	return n, true
}
