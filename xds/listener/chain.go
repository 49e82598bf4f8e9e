package listener

import (
	"bytes"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/xds/extension"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/route"
	"github.com/meshlark/meshlark/xds/secret"
)

// A Chain is one filter chain of a listener.
type Chain struct {
	body      rawjson.Fields
	isDefault bool
	kept      *kept // nil when everything is looked up in the body
}

// kept is what is read once of a chain of a listener that is kept.
type kept struct {
	filters []Filter
	http    HTTPManager
	isHTTP  bool
	context secret.TLSContext
	isTLS   bool
}

// keep gives the same chain with its parts read beforehand.
func (c Chain) keep() Chain {
	k := &kept{filters: c.Filters()}
	if k.http, k.isHTTP = c.HTTP(); k.isHTTP {
		k.http = k.http.keep()
	}
	k.context, k.isTLS = c.TLS()
	c.body, c.kept = c.body.Index(2), k
	return c
}

// Body is the JSON the view reads.
func (c Chain) Body() rawjson.Value { return c.body.Value() }

// Fields are those of the chain, for looking up what the view has no method for.
func (c Chain) Fields() rawjson.Fields { return c.body }

// Name is the chain's name, often "".
func (c Chain) Name() string { return c.body.Str("name") }

// IsDefault reports whether it is the chain for connections no other chain matches.
func (c Chain) IsDefault() bool { return c.isDefault }

// SNI are the server names the chain matches.
func (c Chain) SNI() []string { return c.Match().ServerNames }

// ALPN are the application protocols the chain matches. Those it offers in the TLS handshake are in its TLS context.
func (c Chain) ALPN() []string { return c.Match().Protocols }

// TLS is the TLS context of a chain that terminates TLS or QUIC; ok is false for any other.
func (c Chain) TLS() (context secret.TLSContext, ok bool) {
	if c.kept != nil {
		return c.kept.context, c.kept.isTLS
	}
	context, _, _, ok = secret.Socket(c.body.Get("transport_socket"))
	return context, ok
}

// The kinds of network filter that end a chain; other filters have none.
const (
	KindHTTP = "http" // HTTP connection manager
	KindTCP  = "tcp"  // TCP proxy
)

// A Filter is one network filter of a chain.
type Filter struct {
	extension.Config
	Kind string // KindHTTP, KindTCP or ""

	body rawjson.Value
}

const (
	httpName = "envoy.filters.network.http_connection_manager"
	tcpName  = "envoy.filters.network.tcp_proxy"
)

// newFilter tells the kind by the type of the configuration, and by the name where the type is not known: a dump written by a
// tool that left it out.
func newFilter(v rawjson.Value) Filter {
	f := Filter{Config: extension.New(v), body: v}
	switch f.ShortType() {
	case "HttpConnectionManager":
		f.Kind = KindHTTP
	case "TcpProxy":
		f.Kind = KindTCP
	case "":
		switch f.Name {
		case httpName:
			f.Kind = KindHTTP
		case tcpName:
			f.Kind = KindTCP
		}
	}
	return f
}

// blackHole reports whether a TCP proxy is one of those istioctl passes over.
func (f Filter) blackHole() bool { return bytes.Contains(f.body, []byte("BlackHoleCluster")) }

// Filters are the network filters in the order they run. They must not be changed.
func (c Chain) Filters() []Filter {
	if c.kept != nil {
		return c.kept.filters
	}
	var out []Filter
	for v := range c.body.Get("filters").Elems() {
		out = append(out, newFilter(v))
	}
	return out
}

// HTTP is the chain's HTTP connection manager; ok is false for a chain without one.
func (c Chain) HTTP() (manager HTTPManager, ok bool) {
	if c.kept != nil {
		return c.kept.http, c.kept.isHTTP
	}
	for v := range c.body.Get("filters").Elems() {
		if f := newFilter(v); f.Kind == KindHTTP {
			return newHTTPManager(f.Value), true
		}
	}
	return HTTPManager{}, false
}

// TCP is the chain's TCP proxy; ok is false for a chain without one.
func (c Chain) TCP() (proxy TCPProxy, ok bool) {
	for v := range c.body.Get("filters").Elems() {
		if f := newFilter(v); f.Kind == KindTCP {
			return TCPProxy{f.Value}, true
		}
	}
	return TCPProxy{}, false
}

// Destination is istioctl's DESTINATION column: "Route: name", "Cluster: name" (without the first word for names such as
// PassthroughCluster), "Inline Route: domains matches", "HTTP" or "Non-HTTP/Non-TCP". Unlike istioctl it gives the clusters of a
// weighted TCP proxy with their shares, and knows filters by their type. As in istioctl, a TCP proxy to BlackHoleCluster is
// Non-HTTP/Non-TCP; see Clusters.
func (c Chain) Destination() string {
	for v := range c.body.Get("filters").Elems() {
		switch f := newFilter(v); f.Kind {
		case KindHTTP:
			return newHTTPManager(f.Value).destination()
		case KindTCP:
			if !f.blackHole() {
				return TCPProxy{f.Value}.destination()
			}
		}
	}
	return "Non-HTTP/Non-TCP"
}

// clusterCell is how istioctl names a cluster as a destination.
func clusterCell(name string) string {
	if strings.Contains(name, "Cluster") {
		return name
	}
	return "Cluster: " + name
}

// RouteNames are the route tables the chain asks RDS for.
func (c Chain) RouteNames() []string {
	if manager, ok := c.HTTP(); ok {
		if name := manager.RouteName(); name != "" {
			return []string{name}
		}
	}
	return nil
}

// Clusters are the clusters the chain names, each once, in order: those of its TCP proxy, and those of an inline route
// table. Those of tables from RDS are not here.
func (c Chain) Clusters() []string {
	var out []string
	for v := range c.body.Get("filters").Elems() {
		switch f := newFilter(v); f.Kind {
		case KindHTTP:
			if table, ok := newHTTPManager(f.Value).Routes(); ok {
				out = append(out, table.Clusters()...)
			}
		case KindTCP:
			for _, w := range (TCPProxy{f.Value}).Clusters() {
				out = append(out, w.Name)
			}
		}
	}
	seen := out[:0]
	for _, name := range out {
		if !slices.Contains(seen, name) {
			seen = append(seen, name)
		}
	}
	return seen
}

// A TCPProxy is a TCP proxy filter.
type TCPProxy struct{ body rawjson.Value }

// Body is the JSON the view reads.
func (p TCPProxy) Body() rawjson.Value { return p.body }

// Clusters are where connections go, with their shares; a single one has all.
func (p TCPProxy) Clusters() []route.WeightedCluster {
	if name := p.body.Str("cluster"); name != "" {
		return []route.WeightedCluster{{Name: name, Weight: 1, Share: 1}}
	}
	var out []route.WeightedCluster
	var sum uint64
	for v := range p.body.Get("weighted_clusters", "clusters").Elems() {
		n, _ := v.Get("weight").Uint()
		n = min(n, 1<<32-1)
		sum += n
		out = append(out, route.WeightedCluster{Name: v.Str("name"), Weight: uint32(n)})
	}
	for i := range out {
		if sum > 0 {
			out[i].Share = float64(out[i].Weight) / float64(sum)
		}
	}
	return out
}

// TunnelHost is the host the connection is tunnelled to by HTTP CONNECT, "" when it is not. It may be a format.
func (p TCPProxy) TunnelHost() string { return p.body.Str("tunneling_config", "hostname") }

// TunnelPost is the path of the POST request by which it is tunnelled in place of CONNECT; ok is false when it is not.
func (p TCPProxy) TunnelPost() (path string, ok bool) {
	tunnel := p.body.Get("tunneling_config")
	if path = tunnel.Str("post_path"); path == "" {
		path = "/"
	}
	return path, tunnel.Get("use_post").IsTrue()
}

func (p TCPProxy) destination() string {
	clusters := p.Clusters()
	if len(clusters) == 1 {
		return clusterCell(clusters[0].Name)
	}
	parts := make([]string, len(clusters))
	for i, w := range clusters {
		parts[i] = w.Name + " " + w.Percent()
	}
	return "Cluster: " + strings.Join(parts, ", ")
}
