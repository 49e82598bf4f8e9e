package blueprint

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"
)

// An Object is one of the Kubernetes objects that the registry stands for, in the form in which istiod's debug API shows them.
type Object struct {
	Kind       string         `json:"kind"`
	APIVersion string         `json:"apiVersion"`
	Metadata   ObjectMeta     `json:"metadata"`
	Spec       map[string]any `json:"spec"`
}

// ObjectMeta says which object it is.
type ObjectMeta struct {
	Name        string            `json:"name"`
	Namespace   string            `json:"namespace"`
	UID         string            `json:"uid"`
	Created     time.Time         `json:"creationTimestamp"`
	Annotations map[string]string `json:"annotations"`
}

const (
	networking = "networking.istio.io/v1"
	security   = "security.istio.io/v1"
)

// Objects gives the objects that the registry's configuration is made from, created at a time: the DestinationRules, VirtualServices and
// AuthorizationPolicies of its services, and the Gateway that bookinfo is published on. An annotation says that they are simulated.
func (r *Registry) Objects(created time.Time) []Object {
	var out []Object
	add := func(apiVersion, kind, namespace, name string, spec map[string]any) {
		if namespace == privateNamespace && apiVersion == networking {
			spec["exportTo"] = []string{"."}
		}
		sum := sha256.Sum256([]byte(kind + "/" + namespace + "/" + name))
		out = append(out, Object{Kind: kind, APIVersion: apiVersion, Spec: spec, Metadata: ObjectMeta{
			Name: name, Namespace: namespace, Created: created.UTC().Truncate(time.Second),
			UID:         fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16]),
			Annotations: map[string]string{"simulated": "true"},
		}})
	}
	for _, s := range r.Services {
		if len(s.Subsets) > 0 || s.RingSize > 0 {
			add(networking, "DestinationRule", s.Namespace, s.Name, s.destinationRule())
		}
		if rules := r.Rules[s.Host()]; len(rules) > 0 {
			add(networking, "VirtualService", s.Namespace, s.Name, map[string]any{"hosts": []string{s.Name}, "http": httpRoutes(rules)})
		}
		if callers := r.Callers[s.Host()]; len(callers) > 0 {
			var principals []string
			for _, account := range callers {
				principals = append(principals, strings.TrimPrefix(Identity(TrustDomain, s.Namespace, account), "spiffe://"))
			}
			add(security, "AuthorizationPolicy", s.Namespace, s.Name, map[string]any{
				"selector": map[string]any{"matchLabels": map[string]string{"app": s.Name}},
				"action":   "ALLOW",
				"rules":    []any{map[string]any{"from": []any{map[string]any{"source": map[string]any{"principals": principals}}}}},
			})
		}
	}
	var paths []any
	for _, path := range publishedPaths {
		paths = append(paths, map[string]any{"uri": map[string]string{"exact": path}})
	}
	for _, prefix := range publishedPrefixes {
		paths = append(paths, map[string]any{"uri": map[string]string{"prefix": prefix}})
	}
	add(networking, "Gateway", "default", "bookinfo-gateway", map[string]any{
		"selector": map[string]string{"istio": "ingressgateway"},
		"servers":  []any{map[string]any{"port": map[string]any{"number": gatewayPort, "name": "http", "protocol": "HTTP"}, "hosts": []string{"*"}}},
	})
	add(networking, "VirtualService", "default", "bookinfo", map[string]any{
		"hosts": []string{"*"}, "gateways": []string{"bookinfo-gateway"},
		"http": []any{map[string]any{"match": paths, "route": []any{destination(Share{Host: Host("productpage", "default")}, 9080)}}},
	})
	slices.SortStableFunc(out, func(a, b Object) int { return strings.Compare(a.Kind, b.Kind) })
	return out
}

func (s *Service) destinationRule() map[string]any {
	spec := map[string]any{"host": s.Name}
	var subsets []any
	for _, version := range s.Subsets {
		subsets = append(subsets, map[string]any{"name": version, "labels": map[string]string{"version": version}})
	}
	if len(subsets) > 0 {
		spec["subsets"] = subsets
	}
	if s.RingSize > 0 {
		spec["trafficPolicy"] = map[string]any{"loadBalancer": map[string]any{"consistentHash": map[string]any{
			"useSourceIp": true, "ringHash": map[string]any{"minimumRingSize": s.RingSize},
		}}}
	}
	return spec
}

func httpRoutes(rules []Rule) []any {
	var out []any
	for _, rule := range rules {
		route := map[string]any{"name": rule.Name}
		if rule.User != "" {
			route["match"] = []any{map[string]any{"headers": map[string]any{"end-user": map[string]string{"exact": rule.User}}}}
		}
		var shares []any
		for _, share := range rule.Shares {
			shares = append(shares, destination(share, 0))
		}
		route["route"] = shares
		out = append(out, route)
	}
	return out
}

// destination is a destination of a VirtualService; port 0 is the service's only one.
func destination(s Share, port uint32) map[string]any {
	name, _, _ := strings.Cut(s.Host, ".")
	to := map[string]any{"host": name}
	if s.Subset != "" {
		to["subset"] = s.Subset
	}
	if port != 0 {
		to["port"] = map[string]any{"number": port}
	}
	out := map[string]any{"destination": to}
	if s.Weight > 0 {
		out["weight"] = s.Weight
	}
	return out
}
