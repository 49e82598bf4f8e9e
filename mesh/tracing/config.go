package tracing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"sync"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/balance"
	"github.com/meshlark/meshlark/xds/bootstrap"
	"github.com/meshlark/meshlark/xds/cluster"
	"github.com/meshlark/meshlark/xds/endpoint"
	"github.com/meshlark/meshlark/xds/filterchain"
	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/pattern"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
	"github.com/meshlark/meshlark/xds/routing"
	"github.com/meshlark/meshlark/xds/secret"
)

// A store keeps what traces have read of one side of one proxy's configuration, for a generation.
type store struct {
	mu        sync.Mutex
	listeners *filterchain.Listeners    // nil until they were asked for
	tables    map[string]*routing.Table // nil for one that is not there
	scopes    map[string][]rawjson.Value
	clusters  map[string]known[cluster.Cluster]
	endpoints map[string]known[endpoint.Assignment]
	domains   map[string]domain // by port and names
	principal *string
	broken    error                     // why a listener that is read when it is needed could not be
	local     map[string]*balance.Local // by "", once it was asked for
}

type known[T any] struct {
	value T
	ok    bool
}

type storeKey struct{}

// A view is a store during one trace, as the trace engine wants it: reads that fail give nothing, and failure says why.
type view struct {
	ctx    context.Context
	config mesh.Config
	store  *store
	err    error
}

func viewOf(ctx context.Context, config mesh.Config) *view {
	s := config.Memo(storeKey{}, func() any {
		return &store{tables: map[string]*routing.Table{}, scopes: map[string][]rawjson.Value{}, clusters: map[string]known[cluster.Cluster]{}, endpoints: map[string]known[endpoint.Assignment]{},
			domains: map[string]domain{}, local: map[string]*balance.Local{}}
	})
	return &view{ctx: ctx, config: config, store: s.(*store)}
}

// failure is why the configuration could not be read, nil if it could.
func (v *view) failure() error {
	v.store.mu.Lock()
	defer v.store.mu.Unlock()
	return cmp.Or(v.err, v.store.broken)
}

// Name is the proxy's name.
func (v *view) Name() string { return v.config.Proxy().Name }

// Envoy is the version of the proxy.
func (v *view) Envoy() match.Version { return match.ParseVersion(v.config.Proxy().EnvoyVersion) }

// inUse gives the resources of a kind and name that are active or static, the active ones first.
func (v *view) inUse(kind resource.Kind, name pattern.Pattern) []*resource.Resource {
	if v.err != nil {
		return nil
	}
	all, err := v.config.Resources(v.ctx, kind, name)
	if err != nil {
		v.err = err
		return nil
	}
	var out []*resource.Resource
	for _, state := range [...]resource.State{resource.Active, resource.Static} {
		for _, r := range all {
			if r.State() == state {
				out = append(out, r)
			}
		}
	}
	return out
}

// body gives what a resource says.
func (v *view) body(r *resource.Resource) *resource.Body {
	b, err := r.Body()
	if err != nil && v.err == nil {
		v.err = fmt.Errorf("%s %s of %s: %w", r.Kind(), r.Name(), v.Name(), err)
	}
	return b
}

// remember gives what is kept under a name, or finds it and keeps it unless that failed.
func remember[T any](v *view, kept map[string]T, name string, find func() T) T {
	v.store.mu.Lock()
	value, ok := kept[name]
	v.store.mu.Unlock()
	if ok {
		return value
	}
	value = find()
	if v.err == nil {
		v.store.mu.Lock()
		kept[name] = value
		v.store.mu.Unlock()
	}
	return value
}

// Listeners are those in use.
func (v *view) Listeners() *filterchain.Listeners {
	v.store.mu.Lock()
	kept := v.store.listeners
	v.store.mu.Unlock()
	if kept != nil {
		return kept
	}
	found := filterchain.NewListeners(v.lazily(v.inUse(resource.Listener, pattern.Pattern{})))
	if v.err == nil {
		v.store.mu.Lock()
		v.store.listeners = found
		v.store.mu.Unlock()
	}
	return found
}

// lazily gives listeners whose bodies are stored when they are needed. There may be thousands, so that all processors are used.
func (v *view) lazily(resources []*resource.Resource) []listener.Listener {
	list := make([]listener.Listener, len(resources))
	workers := runtime.GOMAXPROCS(0)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := len(resources) * w / workers; i < len(resources)*(w+1)/workers; i++ {
				r := resources[i]
				list[i] = listener.Lazy(r.Peek(), func() rawjson.Value {
					raw, err := r.Raw()
					if err != nil {
						v.store.mu.Lock()
						defer v.store.mu.Unlock()
						v.store.broken = fmt.Errorf("listener %s of %s: %w", r.Name(), v.Name(), err)
					}
					return raw
				})
			}
		})
	}
	wg.Wait()
	return list
}

// Table finds a route table. The index of a table is kept with its body, for all proxies that have it.
func (v *view) Table(name string) (*routing.Table, bool) {
	t := remember(v, v.store.tables, name, func() *routing.Table {
		for _, r := range v.inUse(resource.RouteConfig, pattern.Exact(name)) {
			if b := v.body(r); b != nil {
				return routing.Of(b)
			}
		}
		return nil
	})
	return t, t != nil
}

// Scopes are the scoped route configurations of that name.
func (v *view) Scopes(name string) []rawjson.Value {
	return remember(v, v.store.scopes, name, func() []rawjson.Value {
		var out []rawjson.Value
		for _, r := range v.inUse(resource.ScopedRoutes, pattern.Pattern{}) {
			raw := v.body(r).Raw()
			switch list := raw.Get("scoped_route_configs"); {
			case list.Exists() && r.Name() == name:
				for s := range list.Elems() {
					out = append(out, s)
				}
			case !list.Exists():
				out = append(out, raw)
			}
		}
		return out
	})
}

// Cluster finds a cluster.
func (v *view) Cluster(name string) (cluster.Cluster, bool) {
	c := remember(v, v.store.clusters, name, func() known[cluster.Cluster] {
		for _, r := range v.inUse(resource.Cluster, pattern.Exact(name)) {
			if b := v.body(r); b != nil {
				return known[cluster.Cluster]{cluster.New(b.Raw()).Index(), true}
			}
		}
		return known[cluster.Cluster]{}
	})
	return c.value, c.ok
}

// Endpoints finds the endpoints of a cluster: in the configuration itself, for hosts that are written into the cluster there, else on the other side
// of the configuration. They are not known when neither side tells of endpoints at all, as a dump that was taken without include_eds.
func (v *view) Endpoints(c cluster.Cluster) (endpoint.Assignment, bool) {
	name := c.EDSService()
	a := remember(v, v.store.endpoints, name, func() known[endpoint.Assignment] {
		tells := false
		for _, config := range v.sides() {
			all, err := config.Resources(v.ctx, resource.Endpoint, pattern.Exact(name))
			for _, r := range all {
				if b, err := r.Body(); err == nil && b != nil {
					return known[endpoint.Assignment]{endpoint.New(b.Raw()), true}
				}
			}
			if a, ok := c.Assignment(); ok {
				return known[endpoint.Assignment]{a, true}
			}
			if err == nil && !tells {
				tells, err = config.HasNamed(v.ctx, resource.Endpoint, pattern.Exact(name))
			}
			if err != nil && config == v.config && !errors.Is(err, mesh.ErrNotAvailable) && v.err == nil {
				v.err = err
			}
		}
		return known[endpoint.Assignment]{endpoint.Assignment{}, tells}
	})
	return a.value, a.ok
}

// sides are the sides of the configuration that can be read, its own first.
func (v *view) sides() []mesh.Config {
	out := []mesh.Config{v.config}
	p := v.config.Proxy()
	for _, side := range [...]mesh.Side{mesh.Actual, mesh.Desired} {
		if side != v.config.Side() && p.Has(side) {
			out = append(out, p.Config(side))
		}
	}
	return out
}

// Local is where the proxy is, and the endpoints of the cluster of proxies like it, which its bootstrap may name; nil when it names none.
func (v *view) Local() *balance.Local {
	return remember(v, v.store.local, "", func() *balance.Local {
		for _, config := range v.sides() {
			all, _ := config.Resources(v.ctx, resource.Bootstrap, pattern.Pattern{}) // a control plane's view has none
			for _, r := range all {
				b, err := r.Body()
				if err != nil || b == nil {
					continue
				}
				own := bootstrap.New(b.Raw())
				if c, ok := v.Cluster(own.LocalCluster()); ok {
					a, _ := v.Endpoints(c)
					return &balance.Local{Locality: own.Node().Body().Get("locality"), Assignment: a}
				}
			}
		}
		return nil
	})
}

// Address is the proxy's address.
func (v *view) Address() netip.Addr {
	ip, _ := netip.ParseAddr(v.config.Proxy().IP)
	return ip.Unmap()
}

// Identity is the SPIFFE identity of the proxy's workload: that of its certificate where the configuration has it, else what its metadata and
// Istio's usual trust domain say; "" when nothing tells.
func (v *view) Identity() string {
	v.store.mu.Lock()
	kept := v.store.principal
	v.store.mu.Unlock()
	if kept != nil {
		return *kept
	}
	found := v.findIdentity()
	v.store.mu.Lock()
	v.store.principal = &found
	v.store.mu.Unlock()
	return found
}

func (v *view) findIdentity() string {
	secrets, _ := v.config.Resources(v.ctx, resource.Secret, pattern.Exact("default")) // a side without secrets has the metadata
	for _, r := range secrets {
		if b, err := r.Body(); err == nil && b != nil {
			for _, san := range secret.New(b.Raw()).Certificates().SANs() {
				if isSPIFFE(san) {
					return san
				}
			}
		}
	}
	p := v.config.Proxy()
	if account := p.Metadata.Str("SERVICE_ACCOUNT"); account != "" && p.Namespace != "" {
		return "spiffe://cluster.local/ns/" + p.Namespace + "/sa/" + account
	}
	return ""
}

// ports are the ports that listeners bind themselves, in order.
func (v *view) ports() []uint16 {
	var out []uint16
	for _, l := range v.Listeners().All() {
		if p := l.Port(); !l.Internal() && l.BindToPort() && p > 0 && p < 1<<16 && !slices.Contains(out, uint16(p)) {
			out = append(out, uint16(p))
		}
	}
	slices.Sort(out)
	return out
}
