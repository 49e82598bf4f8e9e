// Package endpoint reads the hosts of a cluster as discovery gives them: a ClusterLoadAssignment, from the EDS section of
// a dump, from a control plane, or written into a static cluster.
//
// Views are cheap: they hold the JSON text and look fields up when they are asked for. A body of another shape gives empty
// fields.
package endpoint

import (
	"strings"

	"github.com/meshlark/meshlark/xds/rawjson"
)

// An Assignment is one ClusterLoadAssignment.
type Assignment struct{ body rawjson.Value }

// New views v as a ClusterLoadAssignment.
func New(v rawjson.Value) Assignment { return Assignment{v} }

// Body is the JSON the view reads.
func (a Assignment) Body() rawjson.Value { return a.body }

// ClusterName is what the assignment is found by: the cluster's EDS service name, or its own name when it has none.
func (a Assignment) ClusterName() string { return a.body.Str("cluster_name") }

// OverprovisioningFactor is by how many percent healthy hosts may be overloaded before traffic goes to another priority or
// locality; 140 unless set.
func (a Assignment) OverprovisioningFactor() uint32 {
	if n, ok := a.body.Get("policy", "overprovisioning_factor").Uint(); ok {
		return uint32(n)
	}
	return 140
}

// WeightedPriorityHealth reports whether the health of a priority counts weights and not hosts.
func (a Assignment) WeightedPriorityHealth() bool {
	return a.body.Get("policy", "weighted_priority_health").IsTrue()
}

// A Drop is a share of requests that is refused to shed load.
type Drop struct {
	Category string
	Percent  float64 // 0 to 100
}

// Drops are the shares of requests that are refused, in order; each acts on what the ones before it let through.
func (a Assignment) Drops() []Drop {
	var out []Drop
	for d := range a.body.Get("policy", "drop_overloads").Elems() {
		out = append(out, Drop{d.Str("category"), percent(d.Get("drop_percentage"))})
	}
	return out
}

// percent reads an envoy.type.v3.FractionalPercent, whose denominator is 100 unless it says otherwise.
func percent(v rawjson.Value) float64 {
	n, _ := v.Get("numerator").Float()
	switch v.Str("denominator") {
	case "TEN_THOUSAND", "1":
		n /= 100
	case "MILLION", "2":
		n /= 10_000
	}
	return min(n, 100)
}

// A Locality is a group of endpoints that share a place and a priority.
type Locality struct {
	body       rawjson.Value
	assignment rawjson.Value

	// Found in one pass: every endpoint asks for them, and the body that has them has all endpoints too.
	text      string
	priority  uint32
	weight    rawjson.Value
	endpoints rawjson.Value
}

// Localities are the groups in order. A locality may occur once for each priority.
func (a Assignment) Localities() []Locality {
	var out []Locality
	for v := range a.body.Get("endpoints").Elems() {
		l := Locality{body: v, assignment: a.body}
		for key, member := range v.Members() {
			switch key {
			case "locality":
				l.text = LocalityText(member)
			case "priority":
				n, _ := member.Uint()
				l.priority = uint32(n)
			case "load_balancing_weight", "loadBalancingWeight":
				l.weight = member
			case "lb_endpoints", "lbEndpoints":
				l.endpoints = member
			case "load_balancer_endpoints", "loadBalancerEndpoints":
				l.endpoints = member.Get("lb_endpoints")
			}
		}
		out = append(out, l)
	}
	return out
}

// Body is the JSON the view reads.
func (l Locality) Body() rawjson.Value { return l.body }

// String is region/zone/sub-zone. As in istioctl it ends where a part is missing.
func (l Locality) String() string { return l.text }

// LocalityText gives an envoy.config.core.v3.Locality as region/zone/sub-zone. As in istioctl it ends where a part is
// missing.
func LocalityText(v rawjson.Value) string {
	text, zone := v.Str("region"), v.Str("zone")
	if zone == "" {
		return text
	}
	text += "/" + zone
	if sub := v.Str("sub_zone"); sub != "" {
		text += "/" + sub
	}
	return text
}

// Priority is 0 for the hosts that are used first.
func (l Locality) Priority() uint32 { return l.priority }

// Weight is the locality's share among those of its priority, where localities are weighted. A locality
// without a weight then gets no traffic.
func (l Locality) Weight() (weight uint32, ok bool) {
	n, ok := l.weight.Uint()
	return uint32(n), ok
}

// Metadata is the filter_metadata all endpoints of the locality share.
func (l Locality) Metadata() rawjson.Value { return l.body.Get("metadata", "filter_metadata") }

// Collection is the name of the LEDS collection the endpoints come from when they are not listed here, else "".
func (l Locality) Collection() string {
	return l.body.Str("leds_cluster_locality_config", "leds_collection_name")
}

// Endpoints are the locality's endpoints in order.
func (l Locality) Endpoints() []Endpoint {
	out := make([]Endpoint, 0, l.endpoints.Len())
	for v := range l.endpoints.Elems() {
		out = append(out, Endpoint{&l, v})
	}
	return out
}

// Endpoints are those of all localities, in order.
func (a Assignment) Endpoints() []Endpoint {
	var out []Endpoint
	for _, l := range a.Localities() {
		out = append(out, l.Endpoints()...)
	}
	return out
}

// An Endpoint is one host.
type Endpoint struct {
	locality *Locality
	body     rawjson.Value // LbEndpoint
}

// Body is the JSON the view reads, an LbEndpoint.
func (e Endpoint) Body() rawjson.Value { return e.body }

// Locality is the group the endpoint belongs to, with its priority and weight.
func (e Endpoint) Locality() Locality {
	if e.locality == nil {
		return Locality{}
	}
	return *e.locality
}

// host is the Endpoint message, looked up among the named ones when only its name is here.
func (e Endpoint) host() rawjson.Value {
	if h := e.body.Get("endpoint"); h.Exists() {
		return h
	}
	if name := e.body.Str("endpoint_name"); name != "" {
		return e.Locality().assignment.Get("named_endpoints", name)
	}
	return nil
}

// Address is where the host is connected to first.
func (e Endpoint) Address() Address { return NewAddress(e.host().Get("address")) }

// AdditionalAddresses are those tried after Address (dual stack).
func (e Endpoint) AdditionalAddresses() []Address {
	var out []Address
	for v := range e.host().Get("additional_addresses").Elems() {
		out = append(out, NewAddress(v.Get("address")))
	}
	return out
}

// Port is the port of Address, 0 for one that has none.
func (e Endpoint) Port() uint32 { return e.Address().Port }

// Cell is all addresses joined by a comma, as the NAME column of istioctl's EDS table. Unlike there IPv6 addresses are in
// brackets and paths of sockets begin with unix://.
func (e Endpoint) Cell() string {
	cell := e.Address().String()
	for _, a := range e.AdditionalAddresses() {
		cell += "," + a.String()
	}
	return cell
}

// Health is the health the assignment gives the host: HEALTHY, UNHEALTHY, DRAINING, TIMEOUT, DEGRADED, or UNKNOWN when it
// says nothing (Envoy then takes it for healthy). In the EDS section of an Envoy's dump it is instead what Envoy
// concluded from health checks, outlier detection and discovery together: HEALTHY, UNHEALTHY or DEGRADED.
func (e Endpoint) Health() string {
	if text := e.body.Str("health_status"); text != "" {
		return text
	}
	return "UNKNOWN"
}

// Weight is the host's share among those of its locality; 1 unless set.
func (e Endpoint) Weight() uint32 {
	if n, ok := e.body.Get("load_balancing_weight").Uint(); ok {
		return uint32(n)
	}
	return 1
}

// Priority is the priority of the host's locality, 0 for the hosts that are used first.
func (e Endpoint) Priority() uint32 { return e.Locality().Priority() }

// Hostname is the name the host is known by, for health checks and auto_host_rewrite.
func (e Endpoint) Hostname() string { return e.host().Str("hostname") }

// Metadata is the endpoint's filter_metadata.
func (e Endpoint) Metadata() rawjson.Value { return e.body.Get("metadata", "filter_metadata") }

// TLSMode is the endpoint's tlsMode label in the metadata transport sockets are chosen by: "istio" where an Istio sidecar
// takes mTLS, "" elsewhere.
func (e Endpoint) TLSMode() string {
	return e.Metadata().Str("envoy.transport_socket_match", "tlsMode")
}

// Tunnel is the endpoint's tunnel label: "http" where it is reached through HBONE, else "".
func (e Endpoint) Tunnel() string {
	return e.Metadata().Str("envoy.transport_socket_match", "tunnel")
}

// A Workload is whom an Istio endpoint belongs to.
type Workload struct {
	Name              string
	Namespace         string
	CanonicalName     string // service.istio.io/canonical-name
	CanonicalRevision string // "" stands for latest
	Cluster           string // id of the Kubernetes cluster
}

// Workload is whom the endpoint belongs to, by the text Istio leaves in metadata istio.workload. It is the zero Workload
// elsewhere.
func (e Endpoint) Workload() Workload {
	return ParseWorkload(e.Metadata().Str("istio", "workload"))
}

// ParseWorkload reads name;namespace;canonical-name;canonical-revision;cluster.
func ParseWorkload(text string) Workload {
	var parts [5]string
	for i := range parts {
		parts[i], text, _ = strings.Cut(text, ";")
	}
	return Workload{parts[0], parts[1], parts[2], parts[3], parts[4]}
}
