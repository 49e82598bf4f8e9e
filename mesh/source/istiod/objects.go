package istiod

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/rawjson"
)

var _ mesh.ObjectSource = (*Source)(nil)

// kinds are those that istiod takes its configuration from, with the short names of their definitions. configz lists no others; Services and Pods it has in
// a form of its own.
var kinds = []mesh.ObjectKind{
	istioKind("networking", "VirtualService", "virtualservices", "vs"),
	istioKind("networking", "DestinationRule", "destinationrules", "dr"),
	istioKind("networking", "Gateway", "gateways", "gw"),
	istioKind("networking", "ServiceEntry", "serviceentries", "se"),
	istioKind("networking", "Sidecar", "sidecars"),
	istioKind("networking", "EnvoyFilter", "envoyfilters"),
	istioKind("networking", "WorkloadEntry", "workloadentries", "we"),
	istioKind("networking", "WorkloadGroup", "workloadgroups", "wg"),
	istioKind("networking", "ProxyConfig", "proxyconfigs"),
	istioKind("security", "AuthorizationPolicy", "authorizationpolicies", "ap"),
	istioKind("security", "PeerAuthentication", "peerauthentications", "pa"),
	istioKind("security", "RequestAuthentication", "requestauthentications", "ra"),
	istioKind("telemetry", "Telemetry", "telemetries", "telemetry"),
	istioKind("extensions", "WasmPlugin", "wasmplugins"),
	istioKind("extensions", "TrafficExtension", "trafficextensions"),
}

func istioKind(group, name, plural string, short ...string) mesh.ObjectKind {
	return mesh.ObjectKind{Name: name, Group: group + ".istio.io", Version: "v1", Plural: plural, ShortNames: short, Namespaced: true}
}

// ObjectKinds lists the kinds of Istio's own configuration.
func (s *Source) ObjectKinds(context.Context) ([]mesh.ObjectKind, error) { return kinds, nil }

// ObjectKind finds one of them by its name, plural or short name, in any case, with its group or without.
func (s *Source) ObjectKind(_ context.Context, name string) (mesh.ObjectKind, error) {
	no := &mesh.NoKindError{Kind: name, Where: s.spec}
	bare, group, hasGroup := strings.Cut(strings.ToLower(name), ".")
	for _, k := range kinds {
		if (!hasGroup || group == k.Group || strings.HasSuffix(group, "."+k.Group)) &&
			(bare == strings.ToLower(k.Name) || bare == k.Plural || slices.Contains(k.ShortNames, bare)) {
			return k, nil
		}
		no.Known = append(no.Known, k.Name, k.Plural)
		no.Known = append(no.Known, k.ShortNames...)
	}
	return mesh.ObjectKind{}, no
}

// Objects gives all of Istio's configuration as istiod holds it (debug/configz), which it cannot give a part of. What istiod makes of other objects
// itself, such as the VirtualService behind an HTTPRoute, is among it.
func (s *Source) Objects(ctx context.Context, _ mesh.ObjectRequest) (mesh.ObjectAnswer, error) {
	var all rawjson.Value
	_, err := s.get(ctx, "debug/configz", func(from io.Reader) error {
		text, err := io.ReadAll(from)
		if err != nil {
			return err
		}
		if all, err = rawjson.Compact(nil, text); err != nil {
			return fmt.Errorf("debug/configz: %w", err)
		}
		return nil
	})
	if err != nil {
		return mesh.ObjectAnswer{}, err
	}
	a := mesh.ObjectAnswer{Whole: true}
	for o := range all.Elems() {
		x := mesh.Object{Kind: o.Str("kind"), APIVersion: o.Str("apiVersion"), Name: o.Str("metadata", "name"), Namespace: o.Str("metadata", "namespace"), JSON: o}
		if x.Kind != "" && x.Name != "" {
			a.Objects = append(a.Objects, x)
		}
	}
	return a, nil
}
