package demo

import (
	"slices"
	"time"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshlark/meshlark/demo/blueprint"
	"github.com/meshlark/meshlark/demo/pilot"
	"github.com/meshlark/meshlark/demo/sidecar"
)

// The names of the control plane's pods.
const (
	pilotA = "istio-pilot-75bdf98789-tfdvh"
	pilotB = "istio-pilot-75bdf98789-n2kqh"
)

// discovery is where the proxies' bootstraps say the control plane is.
const discovery = "istio-pilot.istio-system.svc:15010"

// faults is the namespace of the proxies that something is wrong with.
const faults = "faults"

const day = 24 * time.Hour

// A member is a proxy of the mesh and what it is made to do. Its zero parts are an ordinary, healthy sidecar.
type member struct {
	proxy blueprint.Proxy
	pilot string

	sidecar sidecar.Options        // the faults of the proxy itself
	end     map[string]pilot.State // by type URL: the states it ends up in that are not SYNCED

	trustDomain string        // of its certificate; "" for the mesh's
	certAge     time.Duration // how long its certificate has been valid, and
	certLeft    time.Duration // how long it still is; 0 for both is 10 and 80 days

	// first and second change what the two pushes send it.
	first, second func(*blueprint.Config)
	// egress is its egress list after the second push, if another.
	egress []string
	// behind says that the pushes lacked clusters that the control plane would send by now.
	behind []string
}

var (
	current  = blueprint.Build{Commit: "4d5e8a3bc21f67908e1d2c3b4a5968778695a4b3", Major: 1, Minor: 39}
	outdated = blueprint.Build{Commit: "0c1b2a3948576675849302f1e0d9c8b7a6958473", Major: 1, Minor: 37, Patch: 2}
)

// The versions of Istio in the mesh.
const (
	istioVersion    = "1.31.0"
	outdatedVersion = "1.29.2"
)

// cast gives the members in the order in which they connect.
func cast() []*member {
	kubeDNS := blueprint.ClusterName(53, "", blueprint.Host("kube-dns", "kube-system"))
	loadBalancer := blueprint.ClusterName(443, "", blueprint.Host(publicLoadBalancer, "kube-system"))
	members := []*member{
		bookinfoPod(pilotA, "details", "v1", "6dcc6fbb9d-wsjz4", "10.48.0.11", zoneA),
		gateway(pilotA, "istio-egressgateway", "c49694485-l9d5l", "10.48.0.31", zoneA),
		gateway(pilotB, "istio-ingress", "6458b8c98f-7ks48", "10.48.1.32", zoneB),
		gateway(pilotB, "istio-ingressgateway", "7d6874b48f-qxhn5", "10.48.2.33", zoneC),
		bookinfoPod(pilotB, "productpage", "v1", "6c886ff494-hm7zk", "10.48.1.12", zoneB),
		bookinfoPod(pilotB, "ratings", "v1", "5d9ff497bb-gslng", "10.48.2.13", zoneC),
		bookinfoPod(pilotB, "reviews", "v1", "55d4c455db-zjj2m", "10.48.0.14", zoneA),
		bookinfoPod(pilotA, "reviews", "v2", "686bbb668-99j76", "10.48.1.15", zoneB),
		bookinfoPod(pilotB, "reviews", "v3", "7b9b5fdfd6-4r52s", "10.48.2.16", zoneC),
	}
	details, egress, ingress, ingressgateway, productpage := members[0], members[1], members[2], members[3], members[4]
	details.behind = []string{kubeDNS, loadBalancer}
	ingressgateway.proxy.Publishes = "productpage"
	for _, g := range []*member{egress, ingress} {
		g.sidecar.AsksRoutes = true
		g.end = map[string]pilot.State{resource.RouteType: pilot.NotSent}
	}
	productpage.sidecar.Silent = resource.RouteType
	productpage.end = map[string]pilot.State{resource.RouteType: pilot.Stale}

	members = append(members,
		faultyPod("billing", "6f9c7b8d55-k9v3x", "10.48.0.101", zoneA),
		faultyPod("cart", "7d9f8b6c5d-x2k4p", "10.48.1.102", zoneB, "sessions"),
		faultyPod("checkout", "6b8c9d7f55-m4n7q", "10.48.2.103", zoneC, "coupons", "payment"),
		faultyPod("legacy", "5c7d8f9b66-t8w2z", "10.48.0.104", zoneA),
		faultyPod("orders", "79c5d8f6b4-p6s8d", "10.48.1.105", zoneB, "inventory"),
		faultyPod("recommendations", "66d9f8c7b5-w7q4m", "10.48.2.106", zoneC),
		faultyPod("search", "84d6f5b7c9-h5j2r", "10.48.0.107", zoneA),
		faultyPod("shipping", "5b8d7c9f66-z3x7c", "10.48.1.108", zoneB, "tariffs"),
	)
	for _, m := range members {
		if m.proxy.Namespace == faults {
			m.plant()
		}
	}
	return members
}

// plant puts the fault into a member of the namespace faults.
func (m *member) plant() {
	switch m.proxy.App {
	case "billing":
		m.trustDomain = "old.example.com"
	case "cart":
		sessions := blueprint.ClusterName(8080, "", blueprint.Host("sessions", faults))
		m.sidecar.Refuses = map[string]string{sessions: "Proto constraint validation failed (ClusterValidationError.RingHashLbConfig: embedded message failed validation | caused by RingHashLbConfigValidationError.MinimumRingSize: value must be less than or equal to 8388608)"}
		m.end = map[string]pilot.State{resource.ClusterType: pilot.Refused}
	case "checkout":
		m.sidecar.Ejected = []string{ejectedHost}
	case "legacy":
		m.certAge, m.certLeft = 87*day, -3*day
	case "orders":
		// As an EnvoyFilter would: a listener whose route table nobody makes, and which does not wait for it.
		orphan := func(c *blueprint.Config) {
			c.Listeners = append(c.Listeners, blueprint.OutboundHTTP(8099, 15*time.Second))
		}
		m.first, m.second = orphan, orphan
	case "recommendations":
		m.proxy.Istio, m.proxy.Envoy = outdatedVersion, outdated
	case "search":
		m.certAge, m.certLeft = 85*day, 5*day
	case "shipping":
		m.sidecar.DrainTime = time.Hour
		m.sidecar.Refuses = map[string]string{"0.0.0.0_8080": `error adding listener '0.0.0.0:8080': filter chain 'canary' has the same matching rules defined as ''. duplicate matcher is: {"transport_protocol":"raw_buffer","application_protocols":["http/1.1","h2c"]}`}
		m.end = map[string]pilot.State{resource.ListenerType: pilot.Refused}
		m.egress = []string{"shipping", "carriers"}
		m.second = func(c *blueprint.Config) {
			*c = c.WithoutEndpoints(blueprint.ClusterName(8080, "", blueprint.Host("carriers", faults)))
			c.Listeners = slices.Clone(c.Listeners)
			for i, l := range c.Listeners {
				if l.GetName() == "0.0.0.0_8080" {
					c.Listeners[i] = withTwin(l)
				}
			}
		}
	}
}

// withTwin adds a copy of the first filter chain under another name, which Envoy refuses.
func withTwin(l *listenerv3.Listener) *listenerv3.Listener {
	l = proto.CloneOf(l)
	twin := proto.CloneOf(l.GetFilterChains()[0])
	twin.Name = "canary"
	l.FilterChains = append(l.FilterChains, twin)
	return l
}

func bookinfoPod(on, app, version, suffix, ip, zone string) *member {
	workload := app + "-" + version
	return &member{pilot: on, proxy: blueprint.Proxy{
		Pod: workload + "-" + suffix, Namespace: "default", Type: "sidecar", App: app, Workload: workload, Version: version,
		Account: "bookinfo-" + app, IP: ip, Zone: zone, Port: 9080, Istio: istioVersion, Envoy: current, Discovery: discovery,
	}}
}

func gateway(on, name, suffix, ip, zone string) *member {
	return &member{pilot: on, proxy: blueprint.Proxy{
		Pod: name + "-" + suffix, Namespace: "istio-system", Type: "router", App: name, Workload: name,
		Account: name + "-service-account", IP: ip, Zone: zone, Istio: istioVersion, Envoy: current, Discovery: discovery,
	}}
}

func faultyPod(app, suffix, ip, zone string, egress ...string) *member {
	m := bookinfoPod(pilotA, app, "v1", suffix, ip, zone)
	m.proxy.Namespace, m.proxy.Account, m.proxy.Port = faults, app, 8080
	m.proxy.Egress = append([]string{app}, egress...)
	return m
}

// states are what the member ends up in, by type URL; before are those of the first push.
func (m *member) states() map[string]pilot.State {
	out := map[string]pilot.State{}
	for _, typeURL := range []string{resource.ClusterType, resource.ListenerType, resource.EndpointType, resource.RouteType} {
		out[typeURL] = pilot.Synced
		if s, ok := m.end[typeURL]; ok {
			out[typeURL] = s
		}
	}
	return out
}

func (m *member) before() map[string]pilot.State {
	out := m.states()
	for typeURL, s := range out {
		if s != pilot.NotSent {
			out[typeURL] = pilot.Synced
		}
	}
	return out
}
