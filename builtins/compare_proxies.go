package builtins

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/diff"
	"github.com/meshlark/meshlark/xds/pattern"
	"github.com/meshlark/meshlark/xds/resource"
	"go.starlark.net/starlark"
)

// A population is a set of proxies to compare: one, those of a mesh, or a
// collection of them.
type population struct {
	name     string // what it is called, "" for a collection
	single   bool   // it is one proxy by itself
	proxies  []*Proxy
	failures []mesh.Failure
}

func isPopulation(v starlark.Value) bool {
	switch v := v.(type) {
	case *Proxy, *Mesh:
		return true
	case *Collection:
		return v.elem == "Proxy"
	}
	return false
}

func populationOf(ctx context.Context, v starlark.Value) (population, error) {
	switch v := v.(type) {
	case *Proxy:
		return population{name: v.p.Name, single: true, proxies: []*Proxy{v}}, nil
	case *Mesh:
		p := population{name: v.m.Name()}
		all, err := v.m.Proxies(ctx)
		if err != nil {
			return p, err
		}
		p.failures = all.Failures
		for _, x := range all.Items {
			p.proxies = append(p.proxies, NewProxy(ctx, x))
		}
		return p, nil
	case *Collection:
		if v.elem == "Proxy" || len(v.items) == 0 {
			p := population{failures: v.failures}
			for _, x := range v.items {
				p.proxies = append(p.proxies, x.(*Proxy))
			}
			return p, nil
		}
	}
	return population{}, fmt.Errorf("cannot compare a %s with a proxy or a mesh: want two of a kind", v.Type())
}

// comparePopulations compares proxies. One against one are compared whatever
// their names, others by name.
func comparePopulations(ctx context.Context, a, b starlark.Value, o diff.Options) (*Diff, error) {
	l, err := populationOf(ctx, a)
	if err != nil {
		return nil, err
	}
	r, err := populationOf(ctx, b)
	if err != nil {
		return nil, err
	}
	for _, pair := range [][2]*population{{&l, &r}, {&r, &l}} {
		one, many := pair[0], pair[1]
		if !one.single || many.single || len(many.proxies) == 1 {
			continue
		}
		i := slices.IndexFunc(many.proxies, func(p *Proxy) bool { return p.p.Name == one.name })
		if i < 0 {
			return nil, fmt.Errorf("cannot compare %s: no proxy of this name in %s; name the one to compare it with, as in open(...).proxy(name)", one.name, cmp.Or(many.name, "the collection"))
		}
		many.proxies = many.proxies[i : i+1]
	}
	if len(l.proxies) == 1 && len(r.proxies) == 1 {
		d, err := compareProxies(ctx, l.proxies[0], r.proxies[0], o)
		if err != nil {
			return nil, err
		}
		return &Diff{one: d, failures: slices.Concat(l.failures, r.failures)}, nil
	}
	return compareMeshes(ctx, l, r, o)
}

// A direction says which of two sides is what a control plane would send.
type direction int

const (
	alike    direction = iota // both are, or neither
	forward                   // the left one
	backward                  // the right one
)

func directionOf(a, b *Proxy) direction {
	left, right := a.Config().Side() == mesh.Desired, b.Config().Side() == mesh.Desired
	switch {
	case left == right:
		return alike
	case left:
		return forward
	default:
		return backward
	}
}

// proxyLabels tells two proxies, or two sides of one, apart.
func proxyLabels(a, b *Proxy) (left, right string) {
	switch {
	case a.p.Name != b.p.Name:
		return a.p.Name, b.p.Name
	case a.Config().Side() != b.Config().Side():
		return string(a.Config().Side()), string(b.Config().Side())
	case a.p.Source != b.p.Source:
		return a.p.Source, b.p.Source
	default:
		return "", ""
	}
}

// compareProxies compares what two proxies have, or what one should have with
// what it has.
func compareProxies(ctx context.Context, a, b *Proxy, o diff.Options) (*diff.Diff, error) {
	how := directionOf(a, b)
	if how == backward {
		d, err := compareProxies(ctx, b, a, o)
		if err != nil {
			return nil, err
		}
		return inverted(d), nil
	}
	o.Desired = how == forward
	left, right, err := readBoth(ctx, a, b)
	if err != nil {
		return nil, err
	}
	if o.Desired {
		right.Resources = slices.DeleteFunc(right.Resources, ownSecret(left))
	}
	left.Name, right.Name = proxyLabels(a, b)
	return diff.Compare(left, right, o)
}

// readBoth reads two proxies at a time.
func readBoth(ctx context.Context, a, b *Proxy) (left, right diff.Config, err error) {
	kinds := comparedKinds(a, b)
	var errs [2]error
	var wg sync.WaitGroup
	wg.Go(func() { left, errs[0] = a.read(ctx, kinds) })
	wg.Go(func() { right, errs[1] = b.read(ctx, kinds) })
	wg.Wait()
	if errs[0] == nil {
		errs[0] = errs[1]
	}
	return left, right, errs[0]
}

// comparedKinds are the kinds that two proxies are compared by. A control plane
// knows nothing of the others, nor of extensions that the proxy does not ask
// for, which it would take its whole dump to see.
func comparedKinds(a, b *Proxy) []resource.Kind {
	if a.Config().Side() != mesh.Desired && b.Config().Side() != mesh.Desired {
		return resource.Kinds[:]
	}
	kinds := []resource.Kind{resource.Cluster, resource.Listener, resource.RouteConfig, resource.Endpoint, resource.Secret}
	for _, p := range []*Proxy{a, b} {
		if p.p.Sync == nil || p.syncOf("ECDS") != nil {
			return append(kinds, resource.Extension)
		}
	}
	return kinds
}

// ownSecret gives what finds the secrets that a proxy has of its own agent
// rather than of the control plane: certificates of the workload and files. The
// control plane's are named by where it has them from, as kubernetes://NAME.
func ownSecret(desired diff.Config) func(*resource.Resource) bool {
	sent := map[string]bool{}
	for _, r := range desired.Resources {
		if r.Kind() == resource.Secret {
			sent[r.Name()] = true
		}
	}
	return func(r *resource.Resource) bool {
		return r.Kind() == resource.Secret && !sent[r.Name()] && !strings.Contains(r.Name(), "://")
	}
}

// read gives the resources of the side of the configuration that the value
// reads.
func (p *Proxy) read(ctx context.Context, kinds []resource.Kind) (diff.Config, error) {
	var c diff.Config
	config := p.Config()
	fail := func(kind resource.Kind, err error) (diff.Config, error) {
		return diff.Config{}, fmt.Errorf("reading the %s %s of %s: %w", config.Side(), strings.ReplaceAll(kindStage(kind), "_", " "), p.p.Name, err)
	}
	for _, kind := range kinds {
		has, err := config.Has(ctx, kind)
		if err != nil {
			return fail(kind, err)
		}
		if !has {
			c.Missing = append(c.Missing, kind)
			continue
		}
		rs, err := config.Resources(ctx, kind, pattern.Pattern{})
		if err != nil {
			return fail(kind, err)
		}
		c.Resources = append(c.Resources, rs...)
	}
	return c, nil
}

// sidesOf gives a proxy's two sides, or says which cannot be read and what to
// do about it.
func sidesOf(p *Proxy) (desired, actual *Proxy, err error) {
	missing, remedy := mesh.Side(""), ""
	switch {
	case p.side != mesh.ByADS && !p.p.Has(mesh.Desired):
		missing, remedy = mesh.Desired, "add its control plane as a source (-s istiod+http://HOST:15014), or compare it with another proxy or an older dump: diff(a, b)"
	case !p.p.Has(mesh.Actual):
		missing, remedy = mesh.Actual, "add its admin address as a source (-s http://HOST:15000), or a dump of it"
	default:
		if p.side == mesh.ByADS {
			return p, p.on(mesh.Actual), nil
		}
		return p.on(mesh.Desired), p.on(mesh.Actual), nil
	}
	if missing == mesh.Desired && p.controlPlaneFailed() {
		return nil, nil, fmt.Errorf("the %s configuration of %s: %w", missing, p.p.Name, p.p.Lacks(missing))
	}
	return nil, nil, fmt.Errorf("the %s configuration of %s: %w; %s", missing, p.p.Name, p.p.Lacks(missing), remedy)
}

// compareMeshes compares the proxies of two meshes by name. Those that cannot
// be read on one side are left out.
func compareMeshes(ctx context.Context, l, r population, o diff.Options) (*Diff, error) {
	lefts, rights := l.keyed(), r.keyed()
	all := &diff.Mesh{Left: l.name, Right: r.name}
	type pair struct {
		name string
		a, b *Proxy
	}
	pairs := map[*mesh.Proxy]pair{}
	var common []*mesh.Proxy
	for _, name := range sortedKeys(lefts) {
		a, b := lefts[name], rights[name]
		if b == nil {
			all.Removed = append(all.Removed, name)
			continue
		}
		pairs[a.p] = pair{name, a, b}
		common = append(common, a.p)
	}
	for _, name := range sortedKeys(rights) {
		if lefts[name] == nil {
			all.Added = append(all.Added, name)
		}
	}
	out := &Diff{all: all, failures: slices.Concat(l.failures, r.failures)}
	if len(common) == 0 {
		return out, nil
	}
	type sides struct {
		left, right diff.Config
		how         direction
	}
	res, err := mesh.Gather(ctx, common[0].Mesh(), common, "diff", func(ctx context.Context, p *mesh.Proxy) ([]sides, error) {
		x := pairs[p]
		s := sides{how: directionOf(x.a, x.b)}
		var err error
		s.left, s.right, err = readBoth(ctx, x.a, x.b)
		s.left.Name, s.right.Name = x.name, x.name
		return []sides{s}, err
	})
	if err != nil {
		return nil, err
	}
	out.failures = append(out.failures, res.Failures...)
	for _, how := range []direction{alike, forward, backward} {
		var left, right []diff.Config
		for _, s := range res.Items {
			if s.how != how {
				continue
			}
			if how == backward {
				s.left, s.right = s.right, s.left
			}
			if how != alike {
				s.right.Resources = slices.DeleteFunc(s.right.Resources, ownSecret(s.left))
			}
			left, right = append(left, s.left), append(right, s.right)
		}
		o := o
		o.Desired = how != alike
		m, err := diff.Meshes(left, right, o)
		if err != nil {
			return nil, err
		}
		if how == backward {
			for i, d := range m.Changed {
				m.Changed[i] = inverted(d)
			}
		}
		all.Changed, all.Same = append(all.Changed, m.Changed...), all.Same+m.Same
	}
	slices.SortFunc(all.Changed, func(a, b *diff.Diff) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// keyed gives the proxies by name. Several of one name are told apart by their
// cluster, else by their source.
func (p population) keyed() map[string]*Proxy {
	counts := map[string]int{}
	for _, x := range p.proxies {
		counts[x.p.Name]++
	}
	out := map[string]*Proxy{}
	for _, x := range p.proxies {
		name := x.p.Name
		if counts[name] > 1 {
			name += " (" + cmp.Or(x.p.ClusterID, x.p.Source) + ")"
		}
		if out[name] != nil {
			name += " " + x.p.Source
		}
		out[name] = x
	}
	return out
}

// Compare tells how the mesh b differs from a, as diff(a, b) does. The error is
// that of a mesh that cannot be read, or of a path in the options.
func Compare(ctx context.Context, a, b *mesh.Mesh, o diff.Options) (*Diff, error) {
	return compare(ctx, NewMesh(a), NewMesh(b), o)
}

// CompareSides tells how what a proxy has differs from what the control plane
// would send it, as p.diff() does. The error says which side cannot be read.
func CompareSides(ctx context.Context, p *mesh.Proxy, o diff.Options) (*Diff, error) {
	return compareSides(ctx, NewProxy(ctx, p), o)
}

func compareSides(ctx context.Context, p *Proxy, o diff.Options) (*Diff, error) {
	desired, actual, err := sidesOf(p)
	if err != nil {
		return nil, err
	}
	d, err := compareProxies(ctx, desired, actual, o)
	if err != nil {
		return nil, err
	}
	return &Diff{one: d}, nil
}
