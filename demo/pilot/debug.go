package pilot

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/meshlark/meshlark/demo/blueprint"
)

// handler serves the paths of istiod's debug API that the simulation has (pilot/pkg/xds/debug.go). None of them changes anything.
func (i *Istiod) handler() http.Handler {
	mux := http.NewServeMux()
	pages := map[string]http.HandlerFunc{
		"adsz": func(w http.ResponseWriter, _ *http.Request) { i.connections(w, true) },
		"clusterz": func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, []remoteCluster{{ID: "Kubernetes", SyncStatus: "synced"}})
		},
		"config_dump": i.configDump,
		"configz":     i.configz,
		"connections": func(w http.ResponseWriter, _ *http.Request) { i.connections(w, false) },
		"edsz":        i.edsz,
		"syncz":       i.syncz,
	}
	for name, page := range pages {
		mux.HandleFunc("/debug/"+name, page)
	}
	mux.HandleFunc("/debug/list", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, slices.Sorted(maps.Keys(pages))) })
	mux.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "%s-%s-Clean", i.options.Version, "simulated")
	})
	mux.HandleFunc("/ready", func(http.ResponseWriter, *http.Request) {})
	return mux
}

// configz shows the objects that the configuration is made from.
func (i *Istiod) configz(w http.ResponseWriter, _ *http.Request) {
	i.mu.Lock()
	objects := i.objects
	i.mu.Unlock()
	if objects == nil {
		objects = []blueprint.Object{}
	}
	writeJSON(w, objects)
}

type remoteCluster struct {
	ID         string `json:"id"`
	SecretName string `json:"secretName"`
	SyncStatus string `json:"syncStatus"`
}

// syncStatus is an entry of /debug/syncz.
type syncStatus struct {
	ClusterID      string                    `json:"cluster_id,omitempty"`
	Proxy          string                    `json:"proxy,omitempty"`
	ProxyType      string                    `json:"proxy_type,omitempty"`
	IstioVersion   string                    `json:"istio_version,omitempty"`
	ClusterSent    string                    `json:"cluster_sent,omitempty"`
	ClusterAcked   string                    `json:"cluster_acked,omitempty"`
	ListenerSent   string                    `json:"listener_sent,omitempty"`
	ListenerAcked  string                    `json:"listener_acked,omitempty"`
	RouteSent      string                    `json:"route_sent,omitempty"`
	RouteAcked     string                    `json:"route_acked,omitempty"`
	EndpointSent   string                    `json:"endpoint_sent,omitempty"`
	EndpointAcked  string                    `json:"endpoint_acked,omitempty"`
	ResourceStatus map[string]resourceStatus `json:"resources,omitempty"`
}

type resourceStatus struct {
	Sent      string     `json:"sent,omitempty"`
	Acked     string     `json:"acked,omitempty"`
	SentTime  *time.Time `json:"sentTime,omitempty"`
	LastError string     `json:"lastError,omitempty"`
}

func (i *Istiod) syncz(w http.ResponseWriter, req *http.Request) {
	namespace := req.URL.Query().Get("namespace")
	entries := []syncStatus{}
	i.mu.Lock()
	for _, c := range i.connected() {
		meta := c.node.GetMetadata().GetFields()
		if namespace != "" && meta["NAMESPACE"].GetStringValue() != namespace {
			continue
		}
		nonces := func(typeURL string) (sent, acked string) {
			if x := c.watches[typeURL]; x != nil {
				return x.sent, x.acked
			}
			return "", ""
		}
		s := syncStatus{
			ClusterID:      meta["CLUSTER_ID"].GetStringValue(),
			Proxy:          proxyID(c.node.GetId()),
			ProxyType:      nodeType(c.node.GetId()),
			IstioVersion:   meta["ISTIO_VERSION"].GetStringValue(),
			ResourceStatus: map[string]resourceStatus{},
		}
		s.ClusterSent, s.ClusterAcked = nonces(resource.ClusterType)
		s.ListenerSent, s.ListenerAcked = nonces(resource.ListenerType)
		s.RouteSent, s.RouteAcked = nonces(resource.RouteType)
		s.EndpointSent, s.EndpointAcked = nonces(resource.EndpointType)
		for typeURL, x := range c.watches {
			r := resourceStatus{Sent: x.sent, Acked: x.acked, LastError: x.lastError}
			if !x.sentAt.IsZero() {
				at := x.sentAt
				r.SentTime = &at
			}
			s.ResourceStatus[typeURL] = r
		}
		entries = append(entries, s)
	}
	i.mu.Unlock()
	writeJSON(w, entries)
}

// adsClients is the answer of /debug/adsz and, with the first three fields only, /debug/connections.
type adsClients struct {
	Total   int         `json:"totalClients"`
	Clients []adsClient `json:"clients"`
}

type adsClient struct {
	ConnectionID string              `json:"connectionId"`
	ConnectedAt  time.Time           `json:"connectedAt"`
	Address      string              `json:"address"`
	Labels       map[string]string   `json:"labels,omitempty"`
	Metadata     json.RawMessage     `json:"metadata,omitempty"`
	Locality     json.RawMessage     `json:"locality,omitempty"`
	Watches      map[string][]string `json:"watches,omitempty"`
}

func (i *Istiod) connections(w http.ResponseWriter, details bool) {
	i.mu.Lock()
	connected := i.connected()
	answer := adsClients{Total: len(connected), Clients: []adsClient{}}
	for _, c := range connected {
		a := adsClient{ConnectionID: c.id, ConnectedAt: c.at, Address: c.address}
		if details {
			a.Labels = labels(c.node)
			a.Metadata = compactJSON(c.node.GetMetadata())
			a.Locality = compactJSON(c.node.GetLocality())
			a.Watches = map[string][]string{}
			for typeURL, x := range c.watches {
				a.Watches[typeURL] = append([]string{}, x.names...)
			}
		}
		answer.Clients = append(answer.Clients, a)
	}
	i.mu.Unlock()
	writeJSON(w, answer)
}

// labels are the pod's, with those that istiod adds from the node it runs on.
func labels(n *corev3.Node) map[string]string {
	out := map[string]string{
		"topology.istio.io/cluster":     n.GetMetadata().GetFields()["CLUSTER_ID"].GetStringValue(),
		"topology.kubernetes.io/region": n.GetLocality().GetRegion(),
		"topology.kubernetes.io/zone":   n.GetLocality().GetZone(),
	}
	for name, v := range n.GetMetadata().GetFields()["LABELS"].GetStructValue().GetFields() {
		out[name] = v.GetStringValue()
	}
	return out
}

// connected gives the streams that said who they are, by connection id. The lock is held.
func (i *Istiod) connected() []*connection {
	var out []*connection
	for _, c := range i.streams {
		if c.node != nil {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b *connection) int { return strings.Compare(a.id, b.id) })
	return out
}

// proxyID is the third part of a node id, pod.namespace.
func proxyID(node string) string {
	if parts := strings.Split(node, "~"); len(parts) == 4 {
		return parts[2]
	}
	return node
}

func nodeType(node string) string {
	kind, _, _ := strings.Cut(node, "~")
	return kind
}

func writeJSON(w http.ResponseWriter, v any) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

// compactJSON renders a message as istiod does: lowerCamelCase, one line. protojson varies its white space on purpose.
func compactJSON(m proto.Message) json.RawMessage {
	b, err := protojson.Marshal(m)
	if err != nil {
		return nil
	}
	var out bytes.Buffer
	if json.Compact(&out, b) != nil {
		return nil
	}
	return out.Bytes()
}
