package ads

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/meshlark/meshlark/mesh/source/fetch"
	protocol "github.com/meshlark/meshlark/xds/ads"
	"github.com/meshlark/meshlark/xds/dump"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
)

// node is the JSON of the node that the spec says.
func (s *Source) node(ctx context.Context) (rawjson.Value, error) {
	if s.spec.Metadata == "" {
		return protocol.NodeJSON(s.spec.NodeID, "", nil, nil), nil
	}
	text, err := s.describe(ctx)
	if err != nil {
		return nil, fmt.Errorf("metadata of the node: %w", err)
	}
	node, err := nodeIn(text)
	if err != nil {
		return nil, fmt.Errorf("metadata of the node: %s: %w", s.spec.Metadata, err)
	}
	id := cmp.Or(s.spec.NodeID, node.Str("id"))
	if s.spec.NodeID == "" || s.spec.NodeID == node.Str("id") {
		return node, nil
	}
	return protocol.NodeJSON(id, node.Str("cluster"), node.Get("metadata"), node.Get("locality")), nil
}

// describe gets the text that tells of the node.
func (s *Source) describe(ctx context.Context) ([]byte, error) {
	name := s.spec.Metadata
	if !strings.HasPrefix(name, "http://") && !strings.HasPrefix(name, "https://") {
		return s.options.ReadFile(name)
	}
	o := s.options.Fetch
	o.Allow = func(path string, _ url.Values) error {
		if path != "server_info" {
			return fmt.Errorf("admin path %q is not asked for a node", path)
		}
		return nil
	}
	return fetch.New(name, name, o).Get(ctx, "server_info")
}

// nodeIn finds the node in what tells of one: a config dump, a bootstrap, /server_info, a node itself, or metadata alone.
func nodeIn(text []byte) (rawjson.Value, error) {
	compact, err := rawjson.Compact(nil, text)
	if err != nil {
		return nil, err
	}
	v := rawjson.Value(compact)
	if v.Kind() != rawjson.Object {
		return nil, fmt.Errorf("it is no JSON object")
	}
	for _, path := range [][]string{{"node"}, {"bootstrap", "node"}} {
		if node := v.Get(path...); node.Kind() == rawjson.Object {
			return node, nil
		}
	}
	if v.Get("configs").Kind() == rawjson.Array {
		d, err := dump.Split(resource.NewStore(), text, dump.Options{})
		if err != nil {
			return nil, err
		}
		if b := d.Bootstrap(); b != nil {
			raw, err := b.Raw()
			if err != nil {
				return nil, err
			}
			if node := raw.Get("node"); node.Kind() == rawjson.Object {
				return node, nil
			}
		}
		return nil, fmt.Errorf("it is a config dump that does not say whose it is")
	}
	if v.Get("metadata").Kind() == rawjson.Object || v.Get("id").Kind() == rawjson.String {
		return v, nil
	}
	return protocol.NodeJSON(idOf(v), "", v, nil), nil
}

// ConnectedNode makes the JSON of a proxy's node out of what an istiod knows of its connection: the name is POD.NAMESPACE, and the locality
// region/zone/sub-zone. The metadata are as istiod understood them; what is not Istio's own is not among them.
func ConnectedNode(kind, ip, name, namespace string, metadata rawjson.Value, locality string) rawjson.Value {
	if first, _, _ := strings.Cut(metadata.Str("INSTANCE_IPS"), ","); first != "" {
		ip = first
	}
	if namespace == "" {
		namespace = metadata.Str("NAMESPACE")
	}
	var place rawjson.Value
	if locality != "" {
		parts := strings.SplitN(locality, "/", 3)
		place = append(place, '{')
		for i, part := range parts {
			if i > 0 {
				place = append(place, ',')
			}
			place = append(rawjson.Quote(place, []string{"region", "zone", "sub_zone"}[i]), ':')
			place = rawjson.Quote(place, part)
		}
		place = append(place, '}')
	}
	return protocol.NodeJSON(NodeID(kind, ip, name, namespace), "", metadata, place)
}

// idOf makes Istio's node id out of a proxy's metadata; "" when they do not tell enough.
func idOf(metadata rawjson.Value) string {
	name, namespace := metadata.Str("NAME"), metadata.Str("NAMESPACE")
	ip, _, _ := strings.Cut(metadata.Str("INSTANCE_IPS"), ",")
	if name == "" || namespace == "" || ip == "" {
		return ""
	}
	return NodeID("sidecar", ip, name+"."+namespace, namespace)
}

// NodeID writes Istio's node id of a proxy, whose name is POD.NAMESPACE.
func NodeID(kind, ip, name, namespace string) string {
	return fmt.Sprintf("%s~%s~%s~%s.svc.cluster.local", cmp.Or(kind, "sidecar"), ip, name, namespace)
}
