package demo

import "github.com/meshlark/meshlark/demo/blueprint"

const (
	zoneA = blueprint.Region + "-a"
	zoneB = blueprint.Region + "-b"
	zoneC = blueprint.Region + "-c"
)

func http(numbers ...uint32) []blueprint.Port { return ports(blueprint.HTTP, numbers) }
func tcp(numbers ...uint32) []blueprint.Port  { return ports(blueprint.TCP, numbers) }

func ports(p blueprint.Protocol, numbers []uint32) []blueprint.Port {
	var out []blueprint.Port
	for _, n := range numbers {
		out = append(out, blueprint.Port{Number: n, Protocol: p})
	}
	return out
}

// pod is an endpoint with a sidecar.
func pod(name, workload, version, ip, zone string) blueprint.Pod {
	return blueprint.Pod{Name: name, Workload: workload, Version: version, IP: ip, Zone: zone, Mesh: true}
}

// plainPod is one without.
func plainPod(workload, ip, zone string) blueprint.Pod {
	return blueprint.Pod{Name: workload, Workload: workload, IP: ip, Zone: zone}
}

// registry is what the control plane knows, before and after the change that the second push sends: a VirtualService that splits reviews,
// and a DestinationRule with a ring that no Envoy accepts.
func registry(changed bool) *blueprint.Registry {
	reviews := blueprint.Host("reviews", "default")
	inventory := blueprint.Host("inventory", faults)
	r := &blueprint.Registry{
		Services: append(bookinfo(), faultyServices(changed)...),
		Rules: map[string][]blueprint.Rule{
			reviews: {{Name: "everyone", Shares: []blueprint.Share{{Host: reviews, Subset: "v1"}}}},
			inventory: {
				{Name: "priced", User: "beta", Shares: []blueprint.Share{{Host: blueprint.Host("pricing", faults)}}},
				{Name: "stock", Shares: []blueprint.Share{{Host: inventory, Subset: "v1", Weight: 90}, {Host: inventory, Subset: "v2", Weight: 10}}},
			},
		},
		Callers: map[string][]string{blueprint.Host("ratings", "default"): {"bookinfo-reviews"}},
	}
	if changed {
		r.Rules[reviews] = []blueprint.Rule{
			{Name: "jason", User: "jason", Shares: []blueprint.Share{{Host: reviews, Subset: "v2"}}},
			{Name: "everyone", Shares: []blueprint.Share{{Host: reviews, Subset: "v1", Weight: 80}, {Host: reviews, Subset: "v3", Weight: 20}}},
		}
	}
	return r
}

func bookinfo() []*blueprint.Service {
	return []*blueprint.Service{
		{Name: "details", Namespace: "default", VIP: "10.51.240.11", Account: "bookinfo-details", Ports: http(9080),
			Pods: []blueprint.Pod{pod("details-v1-6dcc6fbb9d-wsjz4", "details-v1", "v1", "10.48.0.11", zoneA)}},
		{Name: "productpage", Namespace: "default", VIP: "10.51.240.12", Account: "bookinfo-productpage", Ports: http(9080),
			Pods: []blueprint.Pod{pod("productpage-v1-6c886ff494-hm7zk", "productpage-v1", "v1", "10.48.1.12", zoneB)}},
		{Name: "ratings", Namespace: "default", VIP: "10.51.240.13", Account: "bookinfo-ratings", Ports: http(9080),
			Pods: []blueprint.Pod{pod("ratings-v1-5d9ff497bb-gslng", "ratings-v1", "v1", "10.48.2.13", zoneC)}},
		{Name: "reviews", Namespace: "default", VIP: "10.51.240.14", Account: "bookinfo-reviews", Ports: http(9080), Subsets: []string{"v1", "v2", "v3"},
			Pods: []blueprint.Pod{
				pod("reviews-v1-55d4c455db-zjj2m", "reviews-v1", "v1", "10.48.0.14", zoneA),
				pod("reviews-v2-686bbb668-99j76", "reviews-v2", "v2", "10.48.1.15", zoneB),
				pod("reviews-v3-7b9b5fdfd6-4r52s", "reviews-v3", "v3", "10.48.2.16", zoneC),
			}},
		{Name: "kubernetes", Namespace: "default", VIP: "10.51.240.1", Ports: []blueprint.Port{{Number: 443, Protocol: blueprint.TCP, Target: 6443}},
			Pods: []blueprint.Pod{plainPod("kubernetes", "10.128.0.2", zoneA)}},
		{Name: "kube-dns", Namespace: "kube-system", VIP: "10.51.240.10", Ports: append(tcp(53), http(9153)...),
			Pods: []blueprint.Pod{plainPod("kube-dns", "10.48.0.3", zoneA), plainPod("kube-dns", "10.48.1.3", zoneB)}},
		{Name: "heapster", Namespace: "kube-system", VIP: "10.51.241.20", Ports: []blueprint.Port{{Number: 80, Target: 8082}},
			Pods: []blueprint.Pod{plainPod("heapster", "10.48.0.5", zoneA)}},
		{Name: publicLoadBalancer, Namespace: "kube-system", VIP: "10.51.241.21", Ports: tcp(443),
			Pods: []blueprint.Pod{plainPod("alb1", "10.48.1.6", zoneB)}},
		{Name: "istio-citadel", Namespace: "istio-system", VIP: "10.51.242.30", Ports: http(8060, 9093),
			Pods: []blueprint.Pod{plainPod("istio-citadel", "10.48.0.30", zoneA)}},
		{Name: "istio-egressgateway", Namespace: "istio-system", VIP: "10.51.242.31", Account: "istio-egressgateway-service-account",
			Ports: []blueprint.Port{{Number: 80, Target: 8080}, {Number: 443, Protocol: blueprint.TCP, Target: 8443}},
			Pods:  []blueprint.Pod{plainPod("istio-egressgateway", "10.48.0.31", zoneA)}},
		{Name: "istio-ingress", Namespace: "istio-system", VIP: "10.51.242.32", Account: "istio-ingress-service-account",
			Ports: []blueprint.Port{{Number: 80, Target: 8080}, {Number: 443, Protocol: blueprint.TCP, Target: 8443}},
			Pods:  []blueprint.Pod{plainPod("istio-ingress", "10.48.1.32", zoneB)}},
		{Name: "istio-ingressgateway", Namespace: "istio-system", VIP: "10.51.242.33", Account: "istio-ingressgateway-service-account",
			Ports: []blueprint.Port{{Number: 80, Target: 8080}, {Number: 443, Protocol: blueprint.TCP, Target: 8443}, {Number: 31400, Protocol: blueprint.TCP}},
			Pods:  []blueprint.Pod{plainPod("istio-ingressgateway", "10.48.2.33", zoneC)}},
		{Name: "istio-pilot", Namespace: "istio-system", VIP: "10.51.242.34", Ports: append(http(8080, 15010, 15014), tcp(15011)...),
			Pods: []blueprint.Pod{plainPod("istio-pilot", "10.48.0.34", zoneA), plainPod("istio-pilot", "10.48.1.35", zoneB)}},
		{Name: "prometheus", Namespace: "istio-system", VIP: "10.51.242.36", Ports: http(9090),
			Pods: []blueprint.Pod{plainPod("prometheus", "10.48.2.36", zoneC)}},
	}
}

// publicLoadBalancer is a service of the page that the demo reproduces.
const publicLoadBalancer = "public-cr0bdc785ce3f14722918080a97e1f26be-alb1"

// faultyServices are those of the namespace faults. Each proxy there may call only the few that it needs (see cast), so that what is wrong with
// one shows at one proxy.
func faultyServices(changed bool) []*blueprint.Service {
	service := func(name, vip string, pods ...blueprint.Pod) *blueprint.Service {
		return &blueprint.Service{Name: name, Namespace: faults, VIP: vip, Account: name, Ports: http(8080), Pods: pods}
	}
	unhealthy := func(p blueprint.Pod) blueprint.Pod { p.Unhealthy = true; return p }
	out := []*blueprint.Service{
		service("billing", "10.51.250.1", pod("billing-v1-6f9c7b8d55-k9v3x", "billing-v1", "v1", "10.48.0.101", zoneA)),
		service("cart", "10.51.250.2", pod("cart-v1-7d9f8b6c5d-x2k4p", "cart-v1", "v1", "10.48.1.102", zoneB)),
		service("checkout", "10.51.250.3", pod("checkout-v1-6b8c9d7f55-m4n7q", "checkout-v1", "v1", "10.48.2.103", zoneC)),
		service("legacy", "10.51.250.4", pod("legacy-v1-5c7d8f9b66-t8w2z", "legacy-v1", "v1", "10.48.0.104", zoneA)),
		service("orders", "10.51.250.5", pod("orders-v1-79c5d8f6b4-p6s8d", "orders-v1", "v1", "10.48.1.105", zoneB)),
		service("recommendations", "10.51.250.6", pod("recommendations-v1-66d9f8c7b5-w7q4m", "recommendations-v1", "v1", "10.48.2.106", zoneC)),
		service("search", "10.51.250.7", pod("search-v1-84d6f5b7c9-h5j2r", "search-v1", "v1", "10.48.0.107", zoneA)),
		service("shipping", "10.51.250.8", pod("shipping-v1-5b8d7c9f66-z3x7c", "shipping-v1", "v1", "10.48.1.108", zoneB)),
		service("carriers", "10.51.250.20", plainPod("carriers", "10.48.0.120", zoneA)),
		service("coupons", "10.51.250.21", plainPod("coupons", ejectedHost, zoneA), plainPod("coupons", "10.48.1.121", zoneB)),
		service("inventory", "10.51.250.22", blueprint.Pod{Name: "inventory-v1", Workload: "inventory-v1", Version: "v1", IP: "10.48.2.122", Zone: zoneC}),
		service("payment", "10.51.250.23", unhealthy(plainPod("payment", "10.48.0.123", zoneA)), unhealthy(plainPod("payment", "10.48.1.123", zoneB))),
		service("sessions", "10.51.250.24", plainPod("sessions", "10.48.2.124", zoneC)),
		service("tariffs", "10.51.250.25", plainPod("tariffs", "10.48.0.125", zoneA)),
	}
	for _, s := range out {
		switch s.Name {
		case "inventory":
			s.Subsets = []string{"v1", "v2"}
		case "tariffs":
			s.Ports = tcp(3306)
		case "sessions":
			if s.RingSize = 1024; changed {
				s.RingSize = 16 << 20 // twice what Envoy allows
			}
		}
	}
	return out
}

// ejectedHost is the endpoint of coupons that outlier detection has ejected.
const ejectedHost = "10.48.0.121"
