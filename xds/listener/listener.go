// Package listener reads Envoy listeners: where they listen, which filter chain takes which connection, and what is at the end
// of each chain.
//
// Views are cheap: they hold the JSON text and look fields up when they are asked for. A body of another shape gives empty
// fields. Filters are told by the type of their configuration, so one with an unusual name is seen too.
package listener

import (
	"slices"
	"strings"

	"github.com/meshlark/meshlark/xds/endpoint"
	"github.com/meshlark/meshlark/xds/extension"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/route"
)

// A Listener is one envoy.config.listener.v3.Listener.
type Listener struct {
	body rawjson.Value
	head *head // nil when fields are looked up in the body
}

// New views v as a Listener.
func New(v rawjson.Value) Listener { return Listener{body: v} }

// Body is the JSON the view reads.
func (l Listener) Body() rawjson.Value {
	if l.head != nil {
		return l.head.rest().fields.Value()
	}
	return l.body
}

// Fields are those of the listener, for looking up what the view has no method for.
func (l Listener) Fields() rawjson.Fields {
	if l.head != nil {
		return l.head.rest().fields
	}
	return rawjson.NewFields(l.body)
}

// Name is the listener's name.
func (l Listener) Name() string {
	if l.head != nil {
		return l.head.name
	}
	return l.body.Str("name")
}

// Address is where it listens; zero for an internal listener.
func (l Listener) Address() endpoint.Address {
	if l.head != nil {
		return l.head.address
	}
	return endpoint.NewAddress(l.body.Get("address"))
}

// Addresses are Address and the additional ones (dual stack). They must not be changed.
func (l Listener) Addresses() []endpoint.Address {
	if l.head != nil {
		return l.head.addresses
	}
	return addresses(l.Address(), l.body.Get("additional_addresses"))
}

func addresses(first endpoint.Address, additional rawjson.Value) []endpoint.Address {
	var out []endpoint.Address
	if !first.IsZero() {
		out = append(out, first)
	}
	for v := range additional.Elems() {
		out = append(out, endpoint.NewAddress(v.Get("address")))
	}
	return out
}

// NetworkNamespace is the path of the network namespace it listens in, "" for that of Envoy.
func (l Listener) NetworkNamespace() string {
	return l.Fields().Str("address", "socket_address", "network_namespace_filepath")
}

// AddressCell is istioctl's ADDRESSES column: IP addresses or the path of a socket, joined by commas; "" for an internal
// listener.
func (l Listener) AddressCell() string {
	first := l.Address()
	cell := first.Host + first.Pipe
	for v := range l.Body().Get("additional_addresses").Elems() {
		cell += "," + endpoint.NewAddress(v.Get("address")).Host
	}
	return cell
}

// Port is the port of Address, 0 where there is none.
func (l Listener) Port() uint32 { return l.Address().Port }

// Internal reports whether only this Envoy's own clusters can connect to it.
func (l Listener) Internal() bool {
	if l.head != nil {
		return l.head.internal
	}
	return l.body.Get("internal_listener").Exists()
}

// Direction is inbound, outbound or "".
func (l Listener) Direction() string {
	if l.head != nil {
		return l.head.direction
	}
	return direction(l.body.Get("traffic_direction"))
}

func direction(v rawjson.Value) string {
	switch v.Text() {
	case "INBOUND", "1":
		return "inbound"
	case "OUTBOUND", "2":
		return "outbound"
	}
	return ""
}

// UseOriginalDst reports whether connections are handed to the listener of the address they were meant for, if there is one.
func (l Listener) UseOriginalDst() bool {
	if l.head != nil {
		return l.head.useOriginalDst
	}
	return l.body.Get("use_original_dst").IsTrue()
}

// BindToPort reports whether the listener opens its port. One that does not gets its connections from another listener that
// has UseOriginalDst.
func (l Listener) BindToPort() bool {
	if l.head != nil {
		return l.head.bindToPort
	}
	return bindsToPort(l.body.Get("bind_to_port"), l.body.Get("deprecated_v1", "bind_to_port"))
}

func bindsToPort(v, deprecated rawjson.Value) bool {
	if !v.Exists() {
		v = deprecated
	}
	return !v.Exists() || v.IsTrue()
}

// Config is the reference in metadata istio.config to the object the listener was made from, usually a Gateway; take it apart with
// naming.ConfigRef.
func (l Listener) Config() string {
	return l.Fields().Str("metadata", "filter_metadata", "istio", "config")
}

// What kind of traffic a listener takes.
const (
	HTTP        = "HTTP"
	TCP         = "TCP"
	HTTPAndTCP  = "HTTP+TCP"
	UnknownType = "UNKNOWN"
)

// Type is one of the constants above, by istioctl's rule: whether any chain has an HTTP connection manager, and whether any
// has a TCP proxy. A TCP proxy that mentions BlackHoleCluster does not count.
func (l Listener) Type() string {
	var http, tcp bool
	for _, c := range l.Chains() {
		for v := range c.body.Get("filters").Elems() {
			switch f := newFilter(v); f.Kind {
			case KindHTTP:
				http = true
			case KindTCP:
				tcp = tcp || !f.blackHole()
			}
		}
	}
	switch {
	case http && tcp:
		return HTTPAndTCP
	case http:
		return HTTP
	case tcp:
		return TCP
	}
	return UnknownType
}

// A ListenerFilter looks at a connection before a chain is chosen for it.
type ListenerFilter struct {
	extension.Config
	// Disabled is the predicate for connections the filter is not run for; absent when it always runs.
	Disabled rawjson.Value
}

// ListenerFilters are the listener filters in the order they run. The one use_original_dst stands for is not among them. They must not be changed.
func (l Listener) ListenerFilters() []ListenerFilter {
	if l.head != nil {
		return l.head.rest().filters
	}
	var out []ListenerFilter
	for v := range l.body.Get("listener_filters").Elems() {
		out = append(out, ListenerFilter{extension.New(v), v.Get("filter_disabled")})
	}
	return out
}

// Chains are the filter chains in order, then the default one if there is one. They must not be changed.
func (l Listener) Chains() []Chain {
	if l.head != nil {
		return l.head.rest().chains
	}
	list := l.body.Get("filter_chains")
	out := make([]Chain, 0, list.Len()+1)
	for v := range list.Elems() {
		out = append(out, Chain{body: rawjson.NewFields(v)})
	}
	if v := l.body.Get("default_filter_chain"); v.Exists() {
		out = append(out, Chain{body: rawjson.NewFields(v), isDefault: true})
	}
	return out
}

// A ChainLeaf is a filter chain as the outcome of a matcher tree.
type ChainLeaf struct {
	Path  []string // conditions from the root of the tree; see route.MatcherLeaf
	Chain string   // name of the filter chain
}

// MatcherLeaves are the outcomes of filter_chain_matcher, in the order it is written with the keys of maps sorted. Where a listener has
// one, the Match of its chains has no effect. It is nil for other listeners.
func (l Listener) MatcherLeaves() []ChainLeaf {
	var out []ChainLeaf
	for _, leaf := range route.Leaves(l.Body().Get("filter_chain_matcher")) {
		name := leaf.Action.Value.Str("value")
		if name == "" {
			name = leaf.Action.Name
		}
		out = append(out, ChainLeaf{leaf.Path, name})
	}
	return out
}

// Destinations are the destinations of all chains, each once, in order.
func (l Listener) Destinations() []string {
	return l.collect(func(c Chain) []string { return []string{c.Destination()} })
}

// RouteNames are the route tables its chains ask RDS for, each once, in order.
func (l Listener) RouteNames() []string { return l.collect(Chain.RouteNames) }

// Clusters are the clusters its chains name, in inline route tables too, each once, in order.
func (l Listener) Clusters() []string { return l.collect(Chain.Clusters) }

// Secrets are the SDS secrets its chains need, each once, in order. Until they arrive the listener is warming.
func (l Listener) Secrets() []string {
	return l.collect(func(c Chain) []string {
		context, _ := c.TLS()
		return context.Secrets()
	})
}

func (l Listener) collect(of func(Chain) []string) []string {
	var out []string
	for _, c := range l.Chains() {
		for _, text := range of(c) {
			if !slices.Contains(out, text) {
				out = append(out, text)
			}
		}
	}
	return out
}

// HasAddress reports whether the listener has this address, as istioctl's --address compares: one of the addresses,
// without its port, in any case.
func (l Listener) HasAddress(address string) bool {
	for _, a := range l.Addresses() {
		if strings.EqualFold(a.Host+a.Pipe, address) {
			return true
		}
	}
	return false
}
