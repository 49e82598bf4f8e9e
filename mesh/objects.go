package mesh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/meshlark/meshlark/xds/pattern"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/redact"
)

// An Object is one object of Kubernetes that stands beside a mesh: what its operators configured (VirtualService, Gateway ...) and what the cluster runs
// (Service, Pod ...).
type Object struct {
	Kind       string // VirtualService
	APIVersion string // networking.istio.io/v1
	Name       string
	Namespace  string // "" of kinds that have none
	Source     string // the spec of the source that has it
	JSON       rawjson.Value
}

// An ObjectKind is a kind of object that a source has.
type ObjectKind struct {
	Name       string // VirtualService
	Group      string // "" is the core group
	Version    string
	Plural     string   // virtualservices
	ShortNames []string // vs
	Namespaced bool
}

// String is the kind's full plural name, such as virtualservices.networking.istio.io.
func (k ObjectKind) String() string {
	if k.Group == "" {
		return k.Plural
	}
	return k.Plural + "." + k.Group
}

// APIVersion is the group and version as objects write it.
func (k ObjectKind) APIVersion() string {
	if k.Group == "" {
		return k.Version
	}
	return k.Group + "/" + k.Version
}

// An ObjectQuery selects objects of a kind.
type ObjectQuery struct {
	Kind      string // as people call it: a name, plural or short name, in any case, with its group or without
	Name      pattern.Pattern
	Namespace pattern.Pattern
	Labels    string // a label selector, as kubectl's -l
}

// An ObjectRequest is what a source is asked for; "" asks for all.
type ObjectRequest struct {
	Kind      ObjectKind
	Name      string
	Namespace string
	Labels    string // a label selector
}

// An ObjectAnswer is the objects that answer a request.
type ObjectAnswer struct {
	Objects  []Object  // JSON may have white space; Source is not set
	Whole    bool      // all objects that the source has, of every kind, whatever was asked for
	Failures []Failure // parts of the answer that could not be had
}

// An ObjectSource is a source that has objects beside its proxies.
type ObjectSource interface {
	// ObjectKind finds a kind by what people call it. One that the source does not have is a *NoKindError.
	ObjectKind(ctx context.Context, name string) (ObjectKind, error)
	// ObjectKinds lists the kinds that the source has.
	ObjectKinds(ctx context.Context) ([]ObjectKind, error)
	// Objects gives the objects that answer the request. That there are none is no error.
	Objects(ctx context.Context, r ObjectRequest) (ObjectAnswer, error)
}

// A NoKindError says that there are no objects of a kind.
type NoKindError struct {
	Kind  string   // as it was asked for
	Where string   // what was asked: a source's spec
	Known []string // the names of the kinds there are
}

func (e *NoKindError) Error() string {
	return fmt.Sprintf("no kind of objects is called %q in %s", e.Kind, e.Where)
}

// objectKey names what was asked of a source.
type objectKey struct {
	source                        int
	kind, name, namespace, labels string
}

// objectCache keeps objects for one generation.
type objectCache struct {
	mu      sync.Mutex
	gen     int
	flights map[objectKey]*flight[ObjectAnswer]
}

// Objects asks every source that has objects. A source that fails is a failure of the result, unless all do; one that does not have the kind is none, if
// another does. The objects come sorted by namespace, name and source; one that several sources have, by its uid, comes once. Without a source that has objects the error is ErrNotAvailable.
func (m *Mesh) Objects(ctx context.Context, q ObjectQuery) (Result[Object], error) {
	selector, err := labels.Parse(q.Labels)
	if err != nil {
		return Result[Object]{}, fmt.Errorf("labels %q: %w", q.Labels, err)
	}
	var mu sync.Mutex
	var res Result[Object]
	failed, err := m.eachObjectSource(ctx, "objects of kind "+q.Kind, func(ctx context.Context, i int, s ObjectSource) error {
		found, err := m.objectsOf(ctx, i, s, q, selector)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		res.Items = append(res.Items, found.Objects...)
		res.Failures = append(res.Failures, found.Failures...)
		return nil
	})
	if err != nil {
		return Result[Object]{}, err
	}
	res.Failures = append(res.Failures, failed...)
	slices.SortStableFunc(res.Items, func(a, b Object) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name), strings.Compare(a.Source, b.Source))
	})
	res.Items = joinObjects(res.Items)
	record(ctx, res.Failures)
	return res, nil
}

// joinObjects leaves out what another source has too: the API server of a cluster and its istiods know the same objects.
func joinObjects(sorted []Object) []Object {
	var joined []Object
	at := map[string]int{}
	for _, o := range sorted {
		uid := o.JSON.Str("metadata", "uid")
		i, seen := at[uid]
		if uid == "" || !seen {
			at[uid] = len(joined)
			joined = append(joined, o)
			continue
		}
		if len(o.JSON) > len(joined[i].JSON) { // the API server has more to say of it
			joined[i] = o
		}
	}
	return joined
}

// FindObjects answers several queries at a time, each with a result of its own. A query that fails is a failure of its result, unless all do. One for a
// kind that no source has gives nothing.
func (m *Mesh) FindObjects(ctx context.Context, queries []ObjectQuery) ([]Result[Object], error) {
	results := make([]Result[Object], len(queries))
	errs := make([]error, len(queries))
	slots := make(chan struct{}, m.options.Parallel)
	var wg sync.WaitGroup
	for i, q := range queries {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			results[i], errs[i] = m.Objects(ctx, q)
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	failed := 0
	for i, err := range errs {
		var no *NoKindError
		if err == nil || errors.As(err, &no) {
			continue
		}
		if failed++; failed == len(queries) || errors.Is(err, ErrNotAvailable) {
			return nil, err
		}
		results[i].Failures = []Failure{{Source: m.Name(), Stage: "objects of kind " + queries[i].Kind, Reason: err.Error(), Err: err}}
	}
	for i := range results {
		record(ctx, results[i].Failures)
	}
	return results, nil
}

// ObjectKinds gives the kinds of objects that the sources have, each once, sorted by name.
func (m *Mesh) ObjectKinds(ctx context.Context) (Result[ObjectKind], error) {
	var mu sync.Mutex
	kinds := map[string]ObjectKind{}
	failures, err := m.eachObjectSource(ctx, "kinds of objects", func(ctx context.Context, _ int, s ObjectSource) error {
		found, err := s.ObjectKinds(ctx)
		mu.Lock()
		defer mu.Unlock()
		for _, k := range found {
			if _, ok := kinds[k.String()]; !ok {
				kinds[k.String()] = k
			}
		}
		return err
	})
	if err != nil {
		return Result[ObjectKind]{}, err
	}
	res := Result[ObjectKind]{Failures: failures}
	for _, k := range kinds {
		res.Items = append(res.Items, k)
	}
	slices.SortFunc(res.Items, func(a, b ObjectKind) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Group, b.Group))
	})
	record(ctx, failures)
	return res, nil
}

// eachObjectSource asks all sources that have objects, in parallel.
func (m *Mesh) eachObjectSource(ctx context.Context, what string, ask func(context.Context, int, ObjectSource) error) ([]Failure, error) {
	errs := make([]error, len(m.sources))
	var asked []int
	var wg sync.WaitGroup
	for i, s := range m.sources {
		if s, ok := s.(ObjectSource); ok {
			asked = append(asked, i)
			wg.Go(func() { errs[i] = ask(ctx, i, s) })
		}
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var failures []Failure
	var unknown *NoKindError
	known := 0
	for _, i := range asked {
		err := errs[i]
		var no *NoKindError
		switch {
		case err == nil:
			known++
		case errors.As(err, &no):
			if unknown == nil {
				unknown = &NoKindError{Kind: no.Kind, Where: m.sources[i].Spec()}
			} else {
				unknown.Where += ", " + m.sources[i].Spec()
			}
			unknown.Known = append(unknown.Known, no.Known...)
		default:
			failures = append(failures, Failure{Source: m.sources[i].Spec(), Stage: what, Reason: err.Error(), Err: err})
		}
	}
	switch {
	case len(asked) == 0:
		return nil, fmt.Errorf("%s: %w: %s has configuration of proxies only; objects come from a Kubernetes cluster (-s kube:CONTEXT) or an istiod (-s istiod+http://HOST:15014)", what, ErrNotAvailable, m.Name())
	case known > 0:
		return failures, nil
	case len(failures) == 0:
		return nil, unknown
	case len(failures) == 1:
		return nil, failures[0].Err
	default:
		return nil, &AllFailedError{What: what, Failures: failures}
	}
}

// objectsOf asks one source, or finds what was asked of it before.
func (m *Mesh) objectsOf(ctx context.Context, i int, s ObjectSource, q ObjectQuery, selector labels.Selector) (ObjectAnswer, error) {
	kind, err := s.ObjectKind(ctx, q.Kind)
	if err != nil {
		return ObjectAnswer{}, err
	}
	r := ObjectRequest{Kind: kind, Labels: q.Labels}
	if name, ok := q.Name.Literal(); ok {
		r.Name = name
	}
	if namespace, ok := q.Namespace.Literal(); ok && kind.Namespaced {
		r.Namespace = namespace
	}
	all, err := m.readObjects(ctx, i, s, r)
	if err != nil {
		return ObjectAnswer{}, err
	}
	kept := ObjectAnswer{Failures: all.Failures}
	for _, o := range all.Objects {
		if o.Kind == kind.Name && groupOf(o.APIVersion) == kind.Group && q.Name.Match(o.Name) && (!kind.Namespaced || q.Namespace.Match(o.Namespace)) && (selector.Empty() || selector.Matches(labelsOf(o.JSON))) {
			kept.Objects = append(kept.Objects, o)
		}
	}
	return kept, nil
}

// readObjects gives objects that answer the request, and maybe others.
func (m *Mesh) readObjects(ctx context.Context, i int, s ObjectSource, r ObjectRequest) (ObjectAnswer, error) {
	key := objectKey{i, r.Kind.String(), r.Name, r.Namespace, r.Labels}
	// What would hold the answer too, the widest first.
	keys := []objectKey{{source: i}, {source: i, kind: key.kind}, {source: i, kind: key.kind, namespace: r.Namespace}, {source: i, kind: key.kind, namespace: r.Namespace, labels: r.Labels}, key}
	m.mu.Lock()
	gen := m.gen
	m.mu.Unlock()
	c := &m.objects
	c.mu.Lock()
	if c.flights == nil || c.gen != gen {
		c.gen, c.flights = gen, map[objectKey]*flight[ObjectAnswer]{}
	}
	now := m.options.Clock()
	for k, f := range c.flights {
		if f.stale(now, m.options.TTL) {
			delete(c.flights, k)
		}
	}
	for _, k := range keys {
		if f := c.flights[k]; f != nil && f.finished() {
			// An answer with parts missing may lack what a narrower question can have.
			if a, err := f.do(ctx, nil); k == key || err == nil && len(a.Failures) == 0 {
				c.mu.Unlock()
				return a, err
			}
		}
	}
	f := c.flights[key]
	if f == nil {
		f = newFlight[ObjectAnswer](now)
		c.flights[key] = f
	}
	c.mu.Unlock()
	return f.do(ctx, func(ctx context.Context) (ObjectAnswer, error) {
		kind := answerKind{what: "objects of kind " + key.kind, name: r.Name}
		ctx, t, err := m.begin(ctx, kind.what, 0, kind, nil)
		if err != nil {
			return ObjectAnswer{}, err
		}
		a, err := s.Objects(ctx, r)
		var bytes int64
		for _, o := range a.Objects {
			bytes += int64(len(o.JSON))
		}
		if err := t.end(bytes, err); err != nil {
			return a, err
		}
		for j := range a.Objects {
			o := &a.Objects[j]
			text, _, err := redact.Compact(nil, o.JSON)
			if err != nil {
				return a, fmt.Errorf("%s %s of %s: %w", o.Kind, o.Name, m.sources[i].Spec(), err)
			}
			o.JSON, o.Source = text, m.sources[i].Spec()
		}
		recordFetch(ctx, bytes)
		if a.Whole {
			c.mu.Lock()
			if c.gen == gen {
				c.flights[keys[0]] = f
			}
			c.mu.Unlock()
		}
		return a, nil
	})
}

// groupOf is the group of an API version, "" for the core group.
func groupOf(apiVersion string) string {
	group, _, ok := strings.Cut(apiVersion, "/")
	if !ok {
		return ""
	}
	return group
}

// labelsOf reads an object's labels.
func labelsOf(object rawjson.Value) labels.Set {
	set := labels.Set{}
	for k, v := range object.Get("metadata", "labels").Members() {
		set[k] = v.Text()
	}
	return set
}
