// Package bootstrap reads the configuration an Envoy started with: who it is, where its admin interface listens, from where it gets
// the rest of its configuration, and what it runs.
//
// A view is cheap: it holds the JSON text and looks fields up when they are asked for. A body of another shape gives empty
// fields.
package bootstrap

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/xds/cluster"
	"github.com/meshlark/meshlark/xds/endpoint"
	"github.com/meshlark/meshlark/xds/naming"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// A Bootstrap is one envoy.config.bootstrap.v3.Bootstrap.
type Bootstrap struct{ body rawjson.Value }

// New views v as a Bootstrap, or as the BootstrapConfigDump around one.
func New(v rawjson.Value) Bootstrap {
	if inner := v.Get("bootstrap"); inner.Exists() {
		v = inner
	}
	return Bootstrap{v}
}

// Body is the JSON the view reads.
func (b Bootstrap) Body() rawjson.Value { return b.body }

// LocalCluster is the name of the cluster of the proxies like this one, by which requests are kept near; "" for none.
func (b Bootstrap) LocalCluster() string { return b.body.Str("cluster_manager", "local_cluster_name") }

// A Node is how an Envoy introduces itself to its control plane.
type Node struct{ body rawjson.Value }

// Node is how this Envoy introduces itself.
func (b Bootstrap) Node() Node { return Node{b.body.Get("node")} }

// Body is the JSON the view reads.
func (n Node) Body() rawjson.Value { return n.body }

// ID is the node id; naming.ParseNode reads Istio's.
func (n Node) ID() string { return n.body.Str("id") }

// Cluster is the service the node says it belongs to.
func (n Node) Cluster() string { return n.body.Str("cluster") }

// Metadata is what the node tells about itself; naming.Subject reads Istio's.
func (n Node) Metadata() rawjson.Value { return n.body.Get("metadata") }

// Locality is region/zone/sub-zone, ending where a part is missing.
func (n Node) Locality() string { return endpoint.LocalityText(n.body.Get("locality")) }

// Program is the name of the program, envoy as a rule.
func (n Node) Program() string { return n.body.Str("user_agent_name") }

// EnvoyVersion is the version of Envoy, as 1.36.0-dev; "" when the node does not say.
func (n Node) EnvoyVersion() string { return naming.NodeEnvoyVersion(n.body) }

// BuildVersion is what istioctl prints as the Envoy version: number-label/status/type/TLS library, without the parts that are not
// there; "0.0.0" for a node that says nothing, as there.
func (n Node) BuildVersion() string {
	build := n.body.Get("user_agent_build_version")
	number := func(field string) uint64 {
		v, _ := build.Get("version", field).Uint()
		return v
	}
	text := fmt.Sprintf("%d.%d.%d", number("major_number"), number("minor_number"), number("patch"))
	for _, part := range [...]struct{ separator, key string }{
		{"-", "build.label"}, {"/", "revision.status"}, {"/", "build.type"}, {"/", "ssl.version"},
	} {
		if v := build.Get("metadata", part.key); v.Exists() {
			text += part.separator + v.Text()
		}
	}
	return text
}

// IstioVersion is the version of the Istio proxy the node's metadata has, "" elsewhere.
func (n Node) IstioVersion() string { return n.Metadata().Str("ISTIO_VERSION") }

// ProxyCommit is the commit the Istio proxy was built from, by metadata ISTIO_PROXY_SHA without the name of the repository
// before it.
func (n Node) ProxyCommit() string {
	sha := n.Metadata().Str("ISTIO_PROXY_SHA")
	if _, after, ok := strings.Cut(sha, ":"); ok {
		sha, _, _ = strings.Cut(after, ":")
	}
	return sha
}

// Admin is where the admin interface listens; zero when there is none.
func (b Bootstrap) Admin() endpoint.Address {
	return endpoint.NewAddress(b.body.Get("admin", "address"))
}

// StaticListeners are the bodies of the listeners Envoy started with.
func (b Bootstrap) StaticListeners() []rawjson.Value { return b.static("listeners") }

// StaticClusters are the bodies of the clusters Envoy started with.
func (b Bootstrap) StaticClusters() []rawjson.Value { return b.static("clusters") }

// StaticSecrets are the bodies of the secrets Envoy started with.
func (b Bootstrap) StaticSecrets() []rawjson.Value { return b.static("secrets") }

func (b Bootstrap) static(kind string) []rawjson.Value {
	return slices.Collect(b.body.Get("static_resources", kind).Elems())
}

// StaticNames are the names of the static resources of a kind: listeners, clusters or secrets.
func (b Bootstrap) StaticNames(kind string) []string {
	var out []string
	for _, v := range b.static(kind) {
		out = append(out, v.Str("name"))
	}
	return out
}

// A Discovery is one place configuration comes from.
type Discovery struct {
	For     []string // ads, cds, lds
	API     string   // GRPC, DELTA_GRPC, AGGREGATED_GRPC..., REST, or "path" for a file; "" when it is not said
	Cluster string   // the static cluster it is asked through
	// Addresses are where that leads: ip:port, host:port, unix://path, or the target of Google's gRPC client; for a file its path.
	Addresses []string
}

// Discovery is where configuration comes from. What is fetched through ADS is under ads.
func (b Bootstrap) Discovery() []Discovery {
	dynamic := b.body.Get("dynamic_resources")
	var out []Discovery
	add := func(what string, d Discovery) {
		for i, known := range out {
			if known.API == d.API && known.Cluster == d.Cluster && slices.Equal(known.Addresses, d.Addresses) {
				out[i].For = append(out[i].For, what)
				return
			}
		}
		d.For = []string{what}
		out = append(out, d)
	}
	for d := range b.apiSources(dynamic.Get("ads_config")) {
		add("ads", d)
	}
	for _, what := range [...]string{"cds", "lds"} {
		source := dynamic.Get(what + "_config")
		path := source.Str("path_config_source", "path")
		if path == "" {
			path = source.Str("path")
		}
		if path != "" {
			add(what, Discovery{API: "path", Addresses: []string{path}})
		}
		for d := range b.apiSources(source.Get("api_config_source")) {
			add(what, d)
		}
	}
	return out
}

// apiSources gives the services of an ApiConfigSource.
func (b Bootstrap) apiSources(v rawjson.Value) func(yield func(Discovery) bool) {
	return func(yield func(Discovery) bool) {
		api := v.Str("api_type")
		for service := range v.Get("grpc_services").Elems() {
			d := Discovery{API: api, Cluster: service.Str("envoy_grpc", "cluster_name")}
			if target := service.Str("google_grpc", "target_uri"); target != "" {
				d.Addresses = []string{target}
			} else {
				d.Addresses = b.addresses(d.Cluster)
			}
			if !yield(d) {
				return
			}
		}
		for name := range v.Get("cluster_names").Elems() {
			if !yield(Discovery{API: api, Cluster: name.Text(), Addresses: b.addresses(name.Text())}) {
				return
			}
		}
	}
}

// addresses are the endpoints written into a static cluster.
func (b Bootstrap) addresses(name string) []string {
	var out []string
	for _, v := range b.StaticClusters() {
		c := cluster.New(v)
		if c.Name() != name {
			continue
		}
		assignment, _ := c.Assignment()
		for _, e := range assignment.Endpoints() {
			out = append(out, e.Address().String())
		}
	}
	return out
}

// DiscoveryAddress is where the proxy's configuration comes from: the discoveryAddress of Istio's proxy configuration (its
// Envoy itself only speaks to a process beside it, over a Unix socket), else the first address of Discovery. It is "" when neither
// says.
func (b Bootstrap) DiscoveryAddress() string {
	if address := b.Node().Metadata().Str("PROXY_CONFIG", "discoveryAddress"); address != "" {
		return address
	}
	for _, d := range b.Discovery() {
		if len(d.Addresses) > 0 {
			return d.Addresses[0]
		}
	}
	return ""
}

// A Layer is one layer of runtime settings.
type Layer struct {
	Name string
	Kind string // static_layer, disk_layer, admin_layer, rtds_layer
	// Values are the settings of a static layer; of the others where they come from.
	Values rawjson.Value
}

// RuntimeLayers are the layers of runtime settings; later ones take the place of earlier ones.
func (b Bootstrap) RuntimeLayers() []Layer {
	var out []Layer
	for v := range b.body.Get("layered_runtime", "layers").Elems() {
		l := Layer{Name: v.Str("name")}
		for _, kind := range [...]string{"static_layer", "disk_layer", "admin_layer", "rtds_layer"} {
			if values := v.Get(kind); values.Exists() {
				l.Kind, l.Values = kind, values
			}
		}
		out = append(out, l)
	}
	return out
}
