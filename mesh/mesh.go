// Package mesh is the model that every part of meshlark shares: a [Mesh] of proxies and control planes, read from one
// or several sources.
//
// A [Source] is a place a mesh can be read from: dump files, one Envoy, an istiod, and so on. It answers with a [Survey]:
// which proxies there are, and a [Reader] for each side of a proxy's configuration that it can give. There are two sides: what
// Envoy runs ([Actual]) and what the control plane would send it ([Desired]). Where two sources know one proxy, each by another
// side, the mesh has one proxy with both.
//
// Beside its proxies a mesh has Kubernetes objects, from the sources that are an [ObjectSource]; see [Mesh.Objects].
//
// Reading is partial, honestly. One dead proxy never fails a question about a thousand: results carry [Failure] values, and a
// [Recorder] on the context remembers them wherever the values go. If every source of a question fails, the question fails.
//
// What was read is kept for one generation (see [Mesh.Refresh] and Options.TTL): within it a section of a proxy is fetched
// once. Resource bodies are stored once for all proxies, by content.
package mesh

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/meshlark/meshlark/xds/resource"
)

// Options say how a mesh is read. The zero value reads 16 proxies at a time, keeps what it read until Refresh, and sets no bound
// on the bytes fetched.
type Options struct {
	// Name is what the mesh is called in messages; "" takes the name of its only source.
	Name string
	// Clock gives the wall clock, for the age of live data. nil is time.Now.
	Clock func() time.Time
	// Now overrides the mesh's clock (Mesh.Now) when it is not zero.
	Now time.Time
	// TTL is how long what was read stays valid; 0 is until Refresh.
	TTL time.Duration
	// Namespace is the one whose proxies a name without a namespace means first; "" leaves that to each source (see Namespacer).
	Namespace string
	// Parallel bounds the proxies read at a time; 0 is 16.
	Parallel int
	// MaxFetch bounds the bytes that one question may fetch over the network, with all its calls (see Budget): by estimate before they are fetched, and as
	// they come; 0 is no bound.
	MaxFetch int64
	// Confirm is asked when a question would exceed MaxFetch; nil refuses.
	Confirm func(estimate int64) bool
	// Progress, when set, is told how far a question about many proxies is, and the names of those that are asked and have not answered, the one that was
	// asked first before the others.
	Progress func(stage string, done, total int, waiting []string)
	// Store holds the resource bodies; nil makes a new one. Meshes that are compared share one.
	Store *resource.Store
}

// A Mesh is a set of proxies and control planes. It is safe for concurrent use.
type Mesh struct {
	options Options
	store   *resource.Store
	sources []Source

	mu     sync.Mutex
	survey *flight[*survey]
	gen    int                  // counts Refresh calls: what an older generation read is never kept
	late   map[lateKey]lateness // of this generation

	objects objectCache

	sizes map[answerKind]average // of what was fetched, in any generation
}

// New makes a mesh of the given sources. Nothing is read until it is asked for.
func New(sources []Source, o Options) *Mesh {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Parallel <= 0 {
		o.Parallel = 16
	}
	if o.Store == nil {
		o.Store = resource.NewStore()
	}
	m := &Mesh{options: o, store: o.Store, sources: sources, sizes: map[answerKind]average{}}
	for _, s := range sources {
		if u, ok := s.(storeUser); ok {
			u.UseStore(m.store)
		}
	}
	return m
}

// storeUser is a source that splits dumps itself and wants to share the mesh's store.
type storeUser interface{ UseStore(*resource.Store) }

// Name is the mesh's name: the one it was given, or its sources' specs.
func (m *Mesh) Name() string {
	if m.options.Name != "" {
		return m.options.Name
	}
	specs := make([]string, len(m.sources))
	for i, s := range m.sources {
		specs[i] = s.Spec()
	}
	return strings.Join(specs, ", ")
}

// Sources gives the specs the mesh is read from, in the order they were named.
func (m *Mesh) Sources() []string {
	specs := make([]string, len(m.sources))
	for i, s := range m.sources {
		specs[i] = s.Spec()
	}
	return specs
}

// Live tells whether any source shows the mesh as it is now rather than a recording.
func (m *Mesh) Live() bool { return slices.ContainsFunc(m.sources, Source.Live) }

// Store holds the bodies of all resources read.
func (m *Mesh) Store() *resource.Store { return m.store }

// Refresh starts a new generation: everything is read anew when it is next asked for.
func (m *Mesh) Refresh() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gen++
	m.survey = nil
	m.late = nil
	for _, s := range m.sources {
		if r, ok := s.(Refresher); ok {
			r.Refresh()
		}
	}
}

// Now is the mesh's clock: the override, else the wall clock when any source is live, else the newest moment that the
// recordings speak of. It is the wall clock when a recording does not tell.
func (m *Mesh) Now(ctx context.Context) time.Time {
	if !m.options.Now.IsZero() {
		return m.options.Now
	}
	if m.Live() {
		return m.options.Clock()
	}
	var newest time.Time
	if sv, err := m.surveyed(ctx); err == nil && sv != nil {
		newest = sv.captured
	}
	if newest.IsZero() {
		return m.options.Clock()
	}
	return newest
}

// survey is what all sources together know.
type survey struct {
	proxies  []*Proxy
	byName   map[string][]*Proxy
	istiods  []*Istiod
	failures []Failure
	captured time.Time
	taken    time.Time
	fetched  Fetched
}

// surveyed asks every source, in parallel, once per generation.
func (m *Mesh) surveyed(ctx context.Context) (*survey, error) {
	m.mu.Lock()
	f := m.survey
	if f == nil || f.stale(m.options.Clock(), m.options.TTL) {
		f = newFlight[*survey](m.options.Clock())
		m.survey = f
	}
	m.mu.Unlock()
	return f.do(ctx, func(ctx context.Context) (*survey, error) {
		kind := answerKind{what: "survey"}
		ctx, t, err := m.begin(ctx, "the list of proxies", 0, kind, nil)
		if err != nil {
			return nil, err
		}
		sv, err := m.takeSurvey(ctx)
		var moved int64
		if err == nil {
			moved = sv.fetched.Bytes
		}
		if err := t.end(moved, err); err != nil {
			return nil, err
		}
		return sv, nil
	})
}

func (m *Mesh) takeSurvey(ctx context.Context) (*survey, error) {
	type answer struct {
		survey *Survey
		err    error
	}
	answers := make([]answer, len(m.sources))
	var wg sync.WaitGroup
	for i, s := range m.sources {
		wg.Go(func() {
			sv, err := s.Survey(ctx)
			answers[i] = answer{sv, err}
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	sv := &survey{taken: m.options.Clock()}
	var firstErr error
	failed := 0
	for i, a := range answers {
		spec := m.sources[i].Spec()
		if a.err != nil {
			failed++
			if firstErr == nil {
				firstErr = a.err
			}
			sv.failures = append(sv.failures, Failure{Source: spec, Stage: "open", Reason: a.err.Error(), Err: a.err})
			continue
		}
		sv.failures = append(sv.failures, a.survey.Failures...)
		recordFetches(ctx, a.survey.Fetched)
		sv.fetched.Requests += a.survey.Fetched.Requests
		sv.fetched.Bytes += a.survey.Fetched.Bytes
		if a.survey.Captured.After(sv.captured) {
			sv.captured = a.survey.Captured
		}
		for _, r := range a.survey.Proxies {
			sv.add(m, r, m.sources[i])
		}
		for _, r := range a.survey.Istiods {
			sv.istiods = append(sv.istiods, &Istiod{Name: r.Name, Version: r.Version, Revision: r.Revision, Tags: r.Tags, Source: spec, debug: r.Debug, mesh: m})
		}
	}
	if failed > 0 && failed == len(m.sources) {
		if failed == 1 {
			return nil, firstErr
		}
		return nil, &AllFailedError{What: "opening the sources", Failures: sv.failures}
	}
	if len(sv.istiods) > 0 {
		// What a source does not have is no failure of a mesh in which another one has it.
		sv.failures = slices.DeleteFunc(sv.failures, func(f Failure) bool { return f.Stage == "istiods" && errors.Is(f.Err, ErrNotAvailable) })
	}
	slices.SortStableFunc(sv.proxies, func(a, b *Proxy) int { return strings.Compare(a.Name, b.Name) })
	nameClusters(sv.proxies)
	return sv, nil
}

// Proxies gives every proxy that the sources know, sorted by name.
func (m *Mesh) Proxies(ctx context.Context) (Result[*Proxy], error) {
	sv, err := m.surveyed(ctx)
	if err != nil {
		return Result[*Proxy]{}, err
	}
	record(ctx, sv.failures)
	return Result[*Proxy]{Items: slices.Clone(sv.proxies), Failures: sv.failures}, nil
}

// Istiods gives every control plane instance that the sources know.
func (m *Mesh) Istiods(ctx context.Context) (Result[*Istiod], error) {
	sv, err := m.surveyed(ctx)
	if err != nil {
		return Result[*Istiod]{}, err
	}
	record(ctx, sv.failures)
	return Result[*Istiod]{Items: slices.Clone(sv.istiods), Failures: sv.failures}, nil
}

// Age is how old the list of proxies is; 0 when it was not read yet.
func (m *Mesh) Age() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.survey == nil || !m.survey.finished() {
		return 0
	}
	return m.options.Clock().Sub(m.survey.started)
}
