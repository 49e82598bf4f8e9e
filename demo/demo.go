// Package demo is the embedded mesh: a simulation of a small Istio mesh in one process, for a first minute without a cluster, for the tutorial and
// for the tests of the shipped runbooks.
//
// Two control planes made of go-control-plane's snapshot cache and ADS server also serve istiod's debug API. Simulated sidecars
// are real ADS clients of them over gRPC, and serve Envoy's admin interface. Everything listens on free loopback ports and is read as the
// real thing is, by the URLs that [Mesh.Sources] gives. No traffic flows. The VirtualServices and other objects that the configuration says it was made
// from are in the debug API's configz, each with an annotation that says that it is simulated.
//
// # Bookinfo
//
// Nine proxies reproduce the page "Debugging Envoy and Pilot" of Istio's documentation. All is well with them but for:
//
//	proxy                     what shows                               what happens
//	productpage-v1 (default)  RDS STALE, since seven minutes           it does not acknowledge the second push: a VirtualService that splits reviews
//	istio-egressgateway,      RDS NOT SENT                             they ask for route tables without naming any, and no Gateway selects them
//	istio-ingress
//	details-v1 (default)      its clusters are not those that the      the control plane knows of kube-dns:53 and of a load balancer, and no push has
//	                          control plane would send (unsynced)      sent them; two listeners name clusters that it therefore lacks
//
// An AuthorizationPolicy lets nobody but reviews call ratings: a request of productpage to it is refused.
//
// # Faults
//
// The proxies of the namespace faults each have one fault, and may call only the services that it needs:
//
//	proxy               runbook     fault
//	cart-v1             stale       refuses the second push of clusters (ERROR): sessions has too large a hash ring
//	checkout-v1         endpoints   payment has no healthy endpoint; one of coupons' two hosts is ejected by outlier detection
//	legacy-v1           certs       its certificate expired three days ago
//	search-v1           certs       its certificate expires in five days
//	billing-v1          certs       its certificate is of another trust domain
//	orders-v1           references  a route leads to a cluster that does not exist (pricing); the listener 0.0.0.0_8099 names a route
//	                                table that is never sent; the subset v2 of inventory has no endpoints
//	shipping-v1         rejected    refuses a change of the listener 0.0.0.0_8080 (error_state, ERROR); the cluster carriers stays warming;
//	                                the listener of tariffs has been draining since the second push
//	recommendations-v1  versions    runs an older Istio and an older Envoy than the rest
//
// What a fault entails shows too: where a proxy refuses a push, its configuration is not the desired one, and its state is ERROR.
//
// # Time
//
// The mesh has a clock of its own during the start, so that something in it has an age: the first push happens at 26 minutes, the
// second at 7 minutes before the time that [Options].Now gives. After the start it is that clock. Everything but the ports and the keys of
// the certificates is the same in every run.
package demo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/meshlark/meshlark/demo/authority"
	"github.com/meshlark/meshlark/demo/blueprint"
	"github.com/meshlark/meshlark/demo/pilot"
	"github.com/meshlark/meshlark/demo/sidecar"
)

// Banner says in a line what the demo is.
const Banner = "A simulated mesh in this process: go-control-plane as the control plane, pretended sidecars, no traffic."

// When the two pushes happened, before now.
const (
	firstPush  = 26 * time.Minute
	secondPush = 7 * time.Minute
)

// startLimit is how long the mesh may take to come up. An idle machine needs a fraction of a second.
const startLimit = 30 * time.Second

// Options say what time it is. The zero value takes the wall clock.
type Options struct {
	Now func() time.Time
}

// A Mesh runs until Close.
type Mesh struct {
	clock    clock
	members  []*member
	pilots   []*pilot.Istiod
	sidecars []*sidecar.Sidecar
}

// A clock can be behind the one it is made of.
type clock struct {
	now func() time.Time
	lag atomic.Int64
}

func (c *clock) Now() time.Time { return c.now().Add(-time.Duration(c.lag.Load())) }

// Start brings the mesh up and returns when every proxy has reached the state that the tables above promise. The context bounds the start only.
func Start(ctx context.Context, o Options) (*Mesh, error) {
	m := &Mesh{members: cast()}
	if m.clock.now = o.Now; o.Now == nil {
		m.clock.now = time.Now
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit, fmt.Errorf("not within %s", startLimit))
	defer cancel()
	if err := m.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start the demo mesh: %w", err), m.Close())
	}
	return m, nil
}

func (m *Mesh) start(ctx context.Context) error {
	secrets, err := m.secrets()
	if err != nil {
		return err
	}
	for _, name := range []string{pilotA, pilotB} {
		p, err := pilot.Start(pilot.Options{Name: name, Version: istioVersion, Now: m.clock.Now})
		if err != nil {
			return err
		}
		m.pilots = append(m.pilots, p)
	}
	m.clock.lag.Store(int64(firstPush))
	first := registry(false)
	m.configure(first)
	for _, x := range m.members {
		if err := m.push(x, first, 1, x.first); err != nil {
			return err
		}
	}
	for i, x := range m.members {
		o := x.sidecar
		o.Bootstrap, o.Secrets, o.Now = x.proxy.Bootstrap(), secrets[i], m.clock.Now
		o.Control = m.pilotOf(x).XDS()
		if o.DrainTime == 0 {
			o.DrainTime = 45 * time.Second // Istio's
		}
		s, err := sidecar.Start(o)
		if err != nil {
			return err
		}
		m.sidecars = append(m.sidecars, s)
	}
	if err := m.await(ctx, (*member).before); err != nil {
		return err
	}
	m.clock.lag.Store(int64(secondPush))
	second := registry(true)
	m.configure(second)
	for _, x := range m.members {
		if x.egress != nil {
			x.proxy.Egress = x.egress
		}
		if err := m.push(x, second, 2, x.second); err != nil {
			return err
		}
	}
	if err := m.await(ctx, (*member).states); err != nil {
		return err
	}
	m.clock.lag.Store(0)
	return nil
}

// configure tells the control planes what the operators of the mesh wrote, all of it before the first push.
func (m *Mesh) configure(r *blueprint.Registry) {
	for _, p := range m.pilots {
		p.Configure(r.Objects(m.clock.now().Add(-firstPush)))
	}
}

// push sends a member its configuration by the registry, less what it has to be behind with.
func (m *Mesh) push(x *member, r *blueprint.Registry, n int, change func(*blueprint.Config)) error {
	c := r.Draw(&x.proxy)
	if change != nil {
		change(&c)
	}
	p := m.pilotOf(x)
	version := fmt.Sprintf("%s/%d", m.clock.Now().UTC().Format(time.RFC3339), n)
	if err := p.Set(x.proxy.ID(), version, c.WithoutClusters(x.behind...)); err != nil {
		return err
	}
	if len(x.behind) > 0 {
		p.Hold(x.proxy.ID(), c)
	}
	return nil
}

func (m *Mesh) pilotOf(x *member) *pilot.Istiod {
	if x.pilot == pilotA {
		return m.pilots[0]
	}
	return m.pilots[1]
}

func (m *Mesh) await(ctx context.Context, states func(*member) map[string]pilot.State) error {
	for _, x := range m.members {
		if err := m.pilotOf(x).Await(ctx, x.proxy.ID(), states(x)); err != nil {
			return err
		}
	}
	return nil
}

// secrets issues what each member's agent hands out.
func (m *Mesh) secrets() ([][]*tlsv3.Secret, error) {
	ca, err := authority.New(m.clock.now())
	if err != nil {
		return nil, err
	}
	var out [][]*tlsv3.Secret
	for _, x := range m.members {
		domain, age, left := blueprint.TrustDomain, x.certAge, x.certLeft
		if x.trustDomain != "" {
			domain = x.trustDomain
		}
		if age == 0 {
			age, left = 10*day, 80*day
		}
		s, err := ca.Issue(blueprint.Identity(domain, x.proxy.Namespace, x.proxy.Account), age, left)
		if err != nil {
			return nil, err
		}
		out = append(out, []*tlsv3.Secret{s, ca.Root()})
	}
	return out, nil
}

// Sources gives the specs to read the mesh by: both control planes, then every proxy. The part after # in the first two is the name of the pod,
// which istiod's debug API does not tell.
func (m *Mesh) Sources() []string {
	var out []string
	for _, p := range m.pilots {
		out = append(out, "istiod+http://"+p.Debug()+"#"+p.Name())
	}
	for _, s := range m.sidecars {
		out = append(out, "http://"+s.Admin())
	}
	return out
}

// ADS gives the address at which the control plane of one of Sources serves ADS; "" for a proxy.
func (m *Mesh) ADS(spec string) string {
	for i, p := range m.pilots {
		if spec == m.Sources()[i] {
			return p.XDS()
		}
	}
	return ""
}

// Names says who answers at each of Sources: the pods of the control planes, and pod.namespace of the proxies.
func (m *Mesh) Names() []string {
	var out []string
	for _, p := range m.pilots {
		out = append(out, p.Name())
	}
	for i := range m.sidecars {
		out = append(out, m.members[i].proxy.Name())
	}
	return out
}

// Close ends the mesh and gives its ports back.
func (m *Mesh) Close() error {
	var errs []error
	var mu sync.Mutex
	var ended sync.WaitGroup
	for _, s := range m.sidecars {
		ended.Go(func() {
			err := s.Close()
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		})
	}
	ended.Wait()
	for _, p := range m.pilots {
		errs = append(errs, p.Close())
	}
	m.sidecars, m.pilots = nil, nil
	return errors.Join(errs...)
}
