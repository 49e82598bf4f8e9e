package demo_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/demo"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source"
	"github.com/meshlark/meshlark/xds/naming"
	"github.com/meshlark/meshlark/xds/pattern"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
	"github.com/meshlark/meshlark/xds/schema"
	"github.com/meshlark/meshlark/xds/syncz"
)

// now is the moment that the demo takes for the present in tests.
var now = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// start brings the demo up and opens it as a user would.
func start(t testing.TB) (*demo.Mesh, *mesh.Mesh) {
	t.Helper()
	d, err := demo.Start(t.Context(), demo.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	var sources []mesh.Source
	for _, spec := range d.Sources() {
		s, err := source.Opener{}.Open(spec)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, s)
	}
	return d, mesh.New(sources, mesh.Options{Now: now})
}

func proxies(t testing.TB, m *mesh.Mesh) []*mesh.Proxy {
	t.Helper()
	res, err := m.Proxies(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Failures) > 0 {
		t.Fatalf("proxies(): %v", res.Failures)
	}
	slices.SortFunc(res.Items, func(a, b *mesh.Proxy) int { return strings.Compare(a.Name, b.Name) })
	return res.Items
}

func find(t testing.TB, m *mesh.Mesh, workload string) *mesh.Proxy {
	t.Helper()
	for _, p := range proxies(t, m) {
		if p.Workload == workload {
			return p
		}
	}
	t.Fatalf("no proxy of the workload %s", workload)
	return nil
}

// The table of the page that the demo reproduces, and below it the states of the faulty proxies.
func TestStates(t *testing.T) {
	_, m := start(t)
	var got []string
	for _, p := range proxies(t, m) {
		line := fmt.Sprintf("%-52s", p.Name)
		for _, short := range []string{"CDS", "LDS", "EDS", "RDS"} {
			s, ok := p.Sync.Status(short)
			if !ok {
				t.Errorf("%s does not ask for %s", p.Name, short)
			}
			cell := strings.ReplaceAll(string(s.Status), "_", " ")
			if short == "EDS" {
				cell += fmt.Sprintf(" (%d%%)", share(t, p))
			}
			line += fmt.Sprintf(" %-13s", cell)
		}
		got = append(got, strings.TrimSpace(line+" "+p.Istiod))
	}
	want := strings.Split(strings.TrimSpace(`
billing-v1-6f9c7b8d55-k9v3x.faults                   SYNCED        SYNCED        SYNCED (100%) SYNCED        istio-pilot-75bdf98789-tfdvh
cart-v1-7d9f8b6c5d-x2k4p.faults                      ERROR         SYNCED        SYNCED (100%) SYNCED        istio-pilot-75bdf98789-tfdvh
checkout-v1-6b8c9d7f55-m4n7q.faults                  SYNCED        SYNCED        SYNCED (100%) SYNCED        istio-pilot-75bdf98789-tfdvh
details-v1-6dcc6fbb9d-wsjz4.default                  SYNCED        SYNCED        SYNCED (100%) SYNCED        istio-pilot-75bdf98789-tfdvh
istio-egressgateway-c49694485-l9d5l.istio-system     SYNCED        SYNCED        SYNCED (100%) NOT SENT      istio-pilot-75bdf98789-tfdvh
istio-ingress-6458b8c98f-7ks48.istio-system          SYNCED        SYNCED        SYNCED (100%) NOT SENT      istio-pilot-75bdf98789-n2kqh
istio-ingressgateway-7d6874b48f-qxhn5.istio-system   SYNCED        SYNCED        SYNCED (100%) SYNCED        istio-pilot-75bdf98789-n2kqh
legacy-v1-5c7d8f9b66-t8w2z.faults                    SYNCED        SYNCED        SYNCED (100%) SYNCED        istio-pilot-75bdf98789-tfdvh
orders-v1-79c5d8f6b4-p6s8d.faults                    SYNCED        SYNCED        SYNCED (100%) SYNCED        istio-pilot-75bdf98789-tfdvh
productpage-v1-6c886ff494-hm7zk.default              SYNCED        SYNCED        SYNCED (100%) STALE         istio-pilot-75bdf98789-n2kqh
ratings-v1-5d9ff497bb-gslng.default                  SYNCED        SYNCED        SYNCED (100%) SYNCED        istio-pilot-75bdf98789-n2kqh
recommendations-v1-66d9f8c7b5-w7q4m.faults           SYNCED        SYNCED        SYNCED (100%) SYNCED        istio-pilot-75bdf98789-tfdvh
reviews-v1-55d4c455db-zjj2m.default                  SYNCED        SYNCED        SYNCED (100%) SYNCED        istio-pilot-75bdf98789-n2kqh
reviews-v2-686bbb668-99j76.default                   SYNCED        SYNCED        SYNCED (100%) SYNCED        istio-pilot-75bdf98789-tfdvh
reviews-v3-7b9b5fdfd6-4r52s.default                  SYNCED        SYNCED        SYNCED (100%) SYNCED        istio-pilot-75bdf98789-n2kqh
search-v1-84d6f5b7c9-h5j2r.faults                    SYNCED        SYNCED        SYNCED (100%) SYNCED        istio-pilot-75bdf98789-tfdvh
shipping-v1-5b8d7c9f66-z3x7c.faults                  SYNCED        ERROR         SYNCED (100%) SYNCED        istio-pilot-75bdf98789-tfdvh
`), "\n")
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("states (-want +got):\n%s", d)
	}
	s, _ := find(t, m, "productpage-v1").Sync.Status("RDS")
	if got := now.Sub(s.SentAt); got != 7*time.Minute {
		t.Errorf("productpage's route tables were sent %s ago, want 7m", got)
	}
	s, _ = find(t, m, "cart-v1").Sync.Status("CDS")
	if !strings.Contains(s.Error, "outbound|8080||sessions.faults.svc.cluster.local: Proto constraint validation failed") {
		t.Errorf("cart refuses its clusters with %q", s.Error)
	}
}

// share is the part of the endpoints that the control plane would send which Envoy holds, in percent.
func share(t *testing.T, p *mesh.Proxy) int {
	t.Helper()
	held, sent := map[string]bool{}, 0
	each := func(side mesh.Side, fn func(string)) {
		for _, body := range bodies(t, p.Config(side), resource.Endpoint) {
			for group := range body.Get("endpoints").Elems() {
				for h := range group.Get("lb_endpoints").Elems() {
					sock := h.Get("endpoint", "address", "socket_address")
					fn(body.Str("cluster_name") + " " + sock.Str("address") + " " + sock.Get("port_value").Text())
				}
			}
		}
	}
	each(mesh.Actual, func(s string) { held[s] = true })
	found := 0
	each(mesh.Desired, func(s string) {
		if sent++; held[s] {
			found++
		}
	})
	if sent == 0 {
		t.Fatalf("the control plane has no endpoints for %s", p.Name)
	}
	return 100 * found / sent
}

// bodies are the active resources by name, in snake_case. A name that is there twice counts once.
func bodies(t testing.TB, c mesh.Config, kind resource.Kind) map[string]rawjson.Value {
	t.Helper()
	rs, err := c.Resources(t.Context(), kind, pattern.Pattern{})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]rawjson.Value{}
	for _, r := range rs {
		if r.State() != resource.Active {
			continue
		}
		raw, err := r.Raw()
		if err != nil {
			t.Fatal(err)
		}
		snake, ok := schema.Snake(nil, raw, schema.TypeOfAny(raw.Str("@type")))
		if !ok {
			snake = raw
		}
		out[r.Name()] = rawjson.Value(snake)
	}
	return out
}

// differences names the resources that are not the same on both sides.
func differences(t *testing.T, p *mesh.Proxy) []string {
	t.Helper()
	var out []string
	for _, kind := range []resource.Kind{resource.Cluster, resource.Listener, resource.RouteConfig} {
		desired, actual := bodies(t, p.Config(mesh.Desired), kind), bodies(t, p.Config(mesh.Actual), kind)
		for name, body := range desired {
			have, ok := actual[name]
			switch {
			case !ok:
				out = append(out, fmt.Sprintf("%s %s is missing", kind, name))
			case string(rawjson.Canonical(nil, body)) != string(rawjson.Canonical(nil, have)):
				out = append(out, fmt.Sprintf("%s %s differs", kind, name))
			}
		}
		for name := range actual {
			if _, ok := desired[name]; !ok {
				out = append(out, fmt.Sprintf("%s %s is not desired", kind, name))
			}
		}
		if kind == resource.Cluster && len(desired) == 0 {
			t.Errorf("the control plane has no clusters for %s", p.Name)
		}
	}
	slices.Sort(out)
	return out
}

// Every proxy has what its control plane would send, but for those of which the package says otherwise.
func TestDesiredIsActual(t *testing.T) {
	_, m := start(t)
	want := map[string][]string{
		"details-v1": {
			"cluster outbound|443||public-cr0bdc785ce3f14722918080a97e1f26be-alb1.kube-system.svc.cluster.local is missing",
			"cluster outbound|53||kube-dns.kube-system.svc.cluster.local is missing",
		},
		"productpage-v1": {"route_config 9080 differs"},
		"cart-v1":        {"cluster outbound|8080||sessions.faults.svc.cluster.local differs"},
		"shipping-v1": {
			"cluster outbound|8080||carriers.faults.svc.cluster.local is missing",
			"listener 0.0.0.0_8080 differs",
		},
	}
	for _, p := range proxies(t, m) {
		if d := cmp.Diff(want[p.Workload], differences(t, p)); d != "" {
			t.Errorf("%s, differences (-want +got):\n%s", p.Name, d)
		}
	}
}

// Load assignments cannot be equal: Envoy makes its account of them from what it uses. They differ in this and nothing else.
func TestEndpointsAsUsed(t *testing.T) {
	_, m := start(t)
	p := find(t, m, "reviews-v1")
	desired, actual := bodies(t, p.Config(mesh.Desired), resource.Endpoint), bodies(t, p.Config(mesh.Actual), resource.Endpoint)
	for name, body := range desired {
		used := string(actual[name])
		used = strings.ReplaceAll(used, `,"policy":{"overprovisioning_factor":140}`, "")
		used = strings.ReplaceAll(used, `,"health_check_config":{}`, "")
		if got, want := string(rawjson.Canonical(nil, rawjson.Value(used))), string(rawjson.Canonical(nil, body)); got != want {
			t.Errorf("%s: used %s, want %s", name, got, want)
		}
	}
}

func names(t *testing.T, c mesh.Config, kind resource.Kind, state resource.State) []string {
	t.Helper()
	rs, err := c.Resources(t.Context(), kind, pattern.Pattern{})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range rs {
		if r.State() == state {
			out = append(out, r.Name())
		}
	}
	return out
}

func TestRejected(t *testing.T) {
	_, m := start(t)
	c := find(t, m, "shipping-v1").Config(mesh.Actual)
	for _, want := range []struct {
		kind  resource.Kind
		state resource.State
		names []string
	}{
		{resource.Cluster, resource.Warming, []string{"outbound|8080||carriers.faults.svc.cluster.local"}},
		{resource.Listener, resource.Draining, []string{"10.51.250.25_3306"}},
		{resource.Listener, resource.Error, []string{"0.0.0.0_8080", ""}}, // Envoy has it twice
		{resource.Listener, resource.Warming, nil},
	} {
		if d := cmp.Diff(want.names, names(t, c, want.kind, want.state)); d != "" {
			t.Errorf("%s in state %s (-want +got):\n%s", want.kind, want.state, d)
		}
	}
	rs, err := c.Resources(t.Context(), resource.Listener, pattern.Exact("0.0.0.0_8080"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rs {
		if f := r.Failure(); f != nil && (!strings.Contains(f.Details, "duplicate matcher") || now.Sub(f.LastAttempt) != 7*time.Minute) {
			t.Errorf("failure %q at %s", f.Details, f.LastAttempt)
		}
	}
	// Nobody else waits for anything, or refuses anything.
	for _, p := range proxies(t, m) {
		if p.Workload == "shipping-v1" {
			continue
		}
		for _, state := range []resource.State{resource.Warming, resource.Draining, resource.Error} {
			for _, kind := range []resource.Kind{resource.Cluster, resource.Listener} {
				if got := names(t, p.Config(mesh.Actual), kind, state); len(got) > 0 {
					t.Errorf("%s has %s in state %s: %v", p.Name, kind, state, got)
				}
			}
		}
	}
}

func TestEndpointHealth(t *testing.T) {
	_, m := start(t)
	sick := map[string][]string{}
	for _, p := range proxies(t, m) {
		all, err := p.Config(mesh.Actual).LiveClusters(t.Context(), pattern.Pattern{})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range all {
			for _, h := range c.Hosts {
				if health := h.Health(); health.Coarse() != "healthy" {
					sick[p.Workload] = append(sick[p.Workload], fmt.Sprintf("%s: EDS %s, flags %v", c.Name, health.EDS, health.Flags))
				}
			}
		}
	}
	want := map[string][]string{"checkout-v1": {
		"outbound|8080||coupons.faults.svc.cluster.local: EDS HEALTHY, flags [failed_outlier_check]",
		"outbound|8080||payment.faults.svc.cluster.local: EDS UNHEALTHY, flags []",
		"outbound|8080||payment.faults.svc.cluster.local: EDS UNHEALTHY, flags []",
	}}
	if d := cmp.Diff(want, sick); d != "" {
		t.Errorf("hosts that are not healthy (-want +got):\n%s", d)
	}
}

func TestCertificates(t *testing.T) {
	_, m := start(t)
	for _, p := range proxies(t, m) {
		certs, err := p.Config(mesh.Actual).Certs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(certs) != 1 || len(certs[0].CertChain) != 1 || len(certs[0].CACert) != 1 {
			t.Errorf("%s: certificates %+v, want one chain and one root", p.Name, certs)
			continue
		}
		leaf := certs[0].CertChain[0]
		left, domain := 80*24*time.Hour, "cluster.local"
		switch p.Workload {
		case "legacy-v1":
			left = -3 * 24 * time.Hour
		case "search-v1":
			left = 5 * 24 * time.Hour
		case "billing-v1":
			domain = "old.example.com"
		}
		if got := leaf.Expiration.Sub(now); got != left {
			t.Errorf("%s: certificate ends in %s, want %s", p.Name, got, left)
		}
		if prefix := "spiffe://" + domain + "/ns/" + p.Namespace + "/sa/"; len(leaf.SANs) != 1 || !strings.HasPrefix(leaf.SANs[0].Value, prefix) {
			t.Errorf("%s: names %v, want one that begins %s", p.Name, leaf.SANs, prefix)
		}
	}
}

func TestVersions(t *testing.T) {
	_, m := start(t)
	for _, p := range proxies(t, m) {
		istio, envoy := "1.31.0", "1.39.0"
		if p.Workload == "recommendations-v1" {
			istio, envoy = "1.29.2", "1.37.2"
		}
		if p.IstioVersion != istio || p.EnvoyVersion != envoy {
			t.Errorf("%s runs Istio %s and Envoy %s, want %s and %s", p.Name, p.IstioVersion, p.EnvoyVersion, istio, envoy)
		}
	}
	res, err := m.Istiods(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, i := range res.Items {
		got = append(got, i.Name+" "+i.Version)
	}
	if d := cmp.Diff([]string{"istio-pilot-75bdf98789-tfdvh 1.31.0", "istio-pilot-75bdf98789-n2kqh 1.31.0"}, got); d != "" {
		t.Errorf("istiods (-want +got):\n%s", d)
	}
}

// What routes and listeners name exists, but at orders and, for want of two clusters, at details.
func TestReferences(t *testing.T) {
	_, m := start(t)
	dangling := map[string][]string{}
	for _, p := range proxies(t, m) {
		c := p.Config(mesh.Actual)
		clusters, routes := bodies(t, c, resource.Cluster), bodies(t, c, resource.RouteConfig)
		for _, name := range names(t, c, resource.Cluster, resource.Warming) {
			clusters[name] = nil // it exists
		}
		for _, kind := range []resource.Kind{resource.Listener, resource.RouteConfig} {
			for name, body := range bodies(t, c, kind) {
				each(body, func(key, value string) {
					if _, known := clusters[value]; !known && (key == "cluster" || key == "name" && strings.HasPrefix(value, "outbound|")) {
						dangling[p.Workload] = append(dangling[p.Workload], name+" -> "+value)
					}
					if _, known := routes[value]; !known && key == "route_config_name" {
						dangling[p.Workload] = append(dangling[p.Workload], name+" -> "+value)
					}
				})
			}
		}
		slices.Sort(dangling[p.Workload])
	}
	want := map[string][]string{
		"details-v1": {
			"10.51.240.10_53 -> outbound|53||kube-dns.kube-system.svc.cluster.local",
			"10.51.241.21_443 -> outbound|443||public-cr0bdc785ce3f14722918080a97e1f26be-alb1.kube-system.svc.cluster.local",
		},
		"orders-v1": {
			"0.0.0.0_8099 -> 8099",
			"8080 -> outbound|8080||pricing.faults.svc.cluster.local",
		},
	}
	for workload, list := range dangling {
		if len(list) == 0 {
			delete(dangling, workload)
		}
	}
	if d := cmp.Diff(want, dangling); d != "" {
		t.Errorf("references to nothing (-want +got):\n%s", d)
	}
}

// each calls fn with every text below v and its key.
func each(v rawjson.Value, fn func(key, value string)) {
	for key, x := range v.Members() {
		switch x.Kind() {
		case rawjson.String:
			fn(key, x.Text())
		case rawjson.Object:
			each(x, fn)
		case rawjson.Array:
			for e := range x.Elems() {
				each(e, fn)
			}
		}
	}
}

// A resource names its cluster as Istio does.
func TestClusterNames(t *testing.T) {
	_, m := start(t)
	p := find(t, m, "productpage-v1")
	clusters := bodies(t, p.Config(mesh.Actual), resource.Cluster)
	if len(clusters) < 10 || len(clusters) > 40 {
		t.Errorf("productpage has %d clusters", len(clusters))
	}
	c, ok := naming.ParseClusterName("outbound|9080|v2|reviews.default.svc.cluster.local")
	if !ok || c.Subset != "v2" || !clusters["outbound|9080|v2|reviews.default.svc.cluster.local"].Exists() {
		t.Errorf("no cluster for the subset v2 of reviews among %d", len(clusters))
	}
}

// Each name is that of who answers at the spec beside it.
func TestNames(t *testing.T) {
	d, m := start(t)
	want := map[string]string{}
	for i, spec := range d.Sources() {
		want[spec] = d.Names()[i]
	}
	for _, p := range proxies(t, m) {
		for spec := range strings.SplitSeq(p.Source, ", ") {
			if strings.HasPrefix(spec, "http://") && want[spec] != p.Name {
				t.Errorf("%s is read from %s, which is said to be %s", p.Name, spec, want[spec])
			}
		}
	}
}

// Two runs give the same answers, ports and certificates apart.
func TestDeterministic(t *testing.T) {
	_, first := start(t)
	_, second := start(t)
	a, b := proxies(t, first), proxies(t, second)
	for i := range a {
		if d := cmp.Diff(withoutNonces(a[i].Sync), withoutNonces(b[i].Sync)); d != "" {
			t.Errorf("%s, sync state of two runs:\n%s", a[i].Name, d)
		}
		for _, kind := range []resource.Kind{resource.Bootstrap, resource.Cluster, resource.Listener, resource.RouteConfig, resource.Endpoint} {
			x, y := bodies(t, a[i].Config(mesh.Actual), kind), bodies(t, b[i].Config(mesh.Actual), kind)
			if !maps.EqualFunc(x, y, func(v, w rawjson.Value) bool { return string(v) == string(w) }) {
				t.Errorf("%s: two runs differ in a %s", a[i].Name, kind)
			}
		}
	}
}

// withoutNonces drops the numbers that count the responses of a stream: two types that are pushed together may overtake each other.
func withoutNonces(c *syncz.Client) syncz.Client {
	out := *c
	out.Types = slices.Clone(c.Types)
	for i := range out.Types {
		out.Types[i].SentNonce, out.Types[i].AckedNonce = "", ""
	}
	return out
}

func TestStartCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d, err := demo.Start(ctx, demo.Options{})
	if err == nil {
		d.Close()
		t.Skip("the mesh was up before it looked")
	}
	if !strings.Contains(err.Error(), "start the demo mesh: wait for ") {
		t.Errorf("error %v", err)
	}
}

// The demo is to be ready within a second; on an idle machine it takes less than a tenth of that.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		m, err := demo.Start(b.Context(), demo.Options{})
		if err != nil {
			b.Fatal(err)
		}
		if err := m.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
