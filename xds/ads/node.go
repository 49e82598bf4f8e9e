package ads

import (
	"encoding/json"
	"errors"
	"fmt"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/meshlark/meshlark/xds/rawjson"
)

// Unsafe are the metadata that a Node never has. Istio writes a WorkloadEntry for whoever connects with one of them: it registers the node, or marks the
// entry that it names as connected (pilot/pkg/autoregistration).
var Unsafe = []string{"AUTO_REGISTER_GROUP", "WORKLOAD_ENTRY"}

// A Node is whom a client says that it is.
type Node struct{ node *corev3.Node }

// ID is the node's id.
func (n Node) ID() string { return n.node.GetId() }

// NewNode reads the JSON of an envoy.config.core.v3.Node, as a bootstrap and /server_info have it. The metadata that are [Unsafe] are left
// out, and so is the list of extensions.
func NewNode(body rawjson.Value) (Node, error) {
	node := &corev3.Node{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(withoutExtensions(body), node); err != nil {
		return Node{}, fmt.Errorf("read the node: %w", err)
	}
	if node.GetId() == "" {
		return Node{}, errors.New("read the node: it has no id")
	}
	for _, name := range Unsafe {
		delete(node.GetMetadata().GetFields(), name)
	}
	return Node{node}, nil
}

// withoutExtensions drops the list of what an Envoy is built of: it may name types that are not linked here.
func withoutExtensions(body rawjson.Value) []byte {
	out := []byte{'{'}
	for name, value := range body.Members() {
		if name == "extensions" {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(rawjson.Quote(out, name), ':'), value...)
	}
	return append(out, '}')
}

// NodeJSON makes the JSON of a node from what is known of one.
func NodeJSON(id, cluster string, metadata, locality rawjson.Value) rawjson.Value {
	b, err := json.Marshal(struct {
		ID       string          `json:"id"`
		Cluster  string          `json:"cluster,omitempty"`
		Metadata json.RawMessage `json:"metadata,omitempty"`
		Locality json.RawMessage `json:"locality,omitempty"`
	}{id, cluster, json.RawMessage(metadata), json.RawMessage(locality)})
	if err != nil {
		return nil // only of metadata that are no JSON; a node without an id is refused later
	}
	return b
}
