// Package kubernetes reads the mesh of a Kubernetes cluster: the istiods that run in it, of every revision, the proxies connected to them, and the
// proxies that should be and are not.
//
// istiods and proxies are asked through the API server, over one tunnel to each pod (see package kube): what a proxy should run comes from the
// debug API of the istiod it is connected to, what it runs from its Envoy's admin interface.
package kubernetes

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/meshlark/meshlark/kube"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source/ads"
	"github.com/meshlark/meshlark/mesh/source/fetch"
	"github.com/meshlark/meshlark/xds/resource"
)

// Prefix is what specs of this kind begin with; the name of a context follows.
const Prefix = "kube:"

// Options say which cluster is read, and how.
type Options struct {
	Kube kube.Options
	// IstioNamespace is where the control plane runs; "" is istio-system, and any other if there is none.
	IstioNamespace string
	// AdminPort is that of the Envoys whose pods do not tell another; 0 is 15000.
	AdminPort int
	// Fetch bounds the requests to istiods and proxies. Its Transport is not used.
	Fetch fetch.Options
	// Around puts the caller's own round tripper around the one that reaches into pods, to show what is under way; nil puts none.
	Around func(http.RoundTripper) http.RoundTripper
	// ADS says how control planes are asked as a proxy, which happens only for the configuration by ADS.
	ADS ads.Options
	// XDS is a control plane outside of the cluster, which is asked beside the istiods in it; nil is none.
	XDS *XDS
}

// Source is one cluster.
type Source struct {
	spec    string
	options Options

	mu      sync.Mutex
	cluster *kube.Cluster
	http    http.RoundTripper
	store   *resource.Store
	istiods map[istiodKey]surveyor
	readers map[readerKey]mesh.Reader
}

// New makes a source of the cluster that the options choose, named by what follows "kube:" in the spec; "kube:" is the current context. Nothing is read
// yet, not even the kubeconfig.
func New(spec string, o Options) *Source {
	if name, ok := strings.CutPrefix(spec, Prefix); ok && name != "" {
		o.Kube.Context = name
	}
	return &Source{spec: strings.TrimSuffix(spec, ":"), options: o, istiods: map[istiodKey]surveyor{}, readers: map[readerKey]mesh.Reader{}}
}

// Spec is what the user named the source by.
func (s *Source) Spec() string { return s.spec }

// Live is true: the cluster is asked as it is now.
func (s *Source) Live() bool { return true }

// UseStore shares the store that resource bodies are kept in.
func (s *Source) UseStore(store *resource.Store) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store = store
}

// Refresh forgets what the API server serves.
func (s *Source) Refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cluster != nil {
		s.cluster.Forget()
	}
}

// Close ends the tunnels.
func (s *Source) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop()
}

// Cluster gives the cluster itself, for its objects and for what the user may do in it. Errors are *mesh.UnreachableError.
func (s *Source) Cluster() (*kube.Cluster, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cluster != nil {
		return s.cluster, nil
	}
	config, err := kube.Load(s.options.Kube)
	if err != nil {
		return nil, &mesh.UnreachableError{Source: s.spec, Err: err}
	}
	cluster, err := kube.New(config)
	if err != nil {
		return nil, &mesh.UnreachableError{Source: s.spec, Err: err}
	}
	if s.store == nil {
		s.store = resource.NewStore()
	}
	s.cluster, s.http = cluster, cluster.Transport()
	if s.options.Around != nil {
		s.http = s.options.Around(s.http)
	}
	return cluster, nil
}

// Namespace is the user's own namespace in the cluster, of the context or the options; "" before the cluster was first asked.
func (s *Source) Namespace() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cluster == nil {
		return ""
	}
	return s.cluster.Config().Namespace
}

// ServiceSelector gives the labels of the pods that a service sends requests to.
func (s *Source) ServiceSelector(ctx context.Context, name, namespace string) (map[string]string, error) {
	cluster, err := s.Cluster()
	if err != nil {
		return nil, err
	}
	kind := kube.Kind{Version: "v1", Name: "Service", Plural: "services", Namespaced: true}
	found, err := cluster.Objects(ctx, kind, kube.ObjectQuery{Name: name, Namespace: namespace})
	if err != nil {
		return nil, &mesh.UnreachableError{Source: s.spec, Err: err}
	}
	var service struct {
		Spec struct {
			Selector map[string]string `json:"selector"`
		} `json:"spec"`
	}
	for _, o := range found {
		if err := json.Unmarshal(o.JSON, &service); err != nil {
			return nil, fmt.Errorf("service %s of namespace %s: %w", name, namespace, err)
		}
	}
	if len(service.Spec.Selector) == 0 {
		return nil, fmt.Errorf("service %s of namespace %s: %w: it selects no pods", name, namespace, mesh.ErrNotAvailable)
	}
	return service.Spec.Selector, nil
}

// drop forgets the cluster, so that the kubeconfig is read anew. The caller holds s.mu.
func (s *Source) drop() {
	if s.cluster != nil {
		s.cluster.Close()
	}
	s.cluster, s.http = nil, nil
	clear(s.istiods)
	clear(s.readers)
}

// Survey finds the istiods and the pods that have a proxy, and asks every istiod who is connected to it.
func (s *Source) Survey(ctx context.Context) (*mesh.Survey, error) {
	cluster, err := s.Cluster()
	if err != nil {
		return nil, err
	}
	var (
		wg     sync.WaitGroup
		planes controlPlanes
		found  population
		tags   map[string][]string
	)
	wg.Go(func() { planes = s.controlPlanes(ctx, cluster) })
	wg.Go(func() { tags = s.tags(ctx, cluster) })
	wg.Go(func() { found = s.population(ctx, cluster) })
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if planes.err != nil && found.err != nil {
		if errors.Is(found.err, kube.Unauthorized) {
			// The user will log in again, which changes the kubeconfig.
			s.mu.Lock()
			s.drop()
			s.mu.Unlock()
		}
		return nil, &mesh.UnreachableError{Source: s.spec, Err: found.err}
	}
	sv := &mesh.Survey{Istiods: planes.istiods, Failures: slices.Concat(planes.failures, found.failures), Fetched: planes.fetched}
	for i := range sv.Istiods {
		if tags != nil {
			sv.Istiods[i].Tags = append([]string{}, tags[sv.Istiods[i].Revision]...)
		}
	}
	if planes.err != nil {
		sv.Failures = append(sv.Failures, s.failure("istiods", planes.err))
	}
	if found.err != nil {
		sv.Failures = append(sv.Failures, s.failure("pods", found.err))
	}
	connected := map[string][]mesh.Record{}
	for _, r := range newest(planes.proxies) {
		r.Actual = s.actual(cluster, &r, &found)
		if r.Actual == nil {
			r.NoActual = s.elsewhere(&r)
		}
		if r.Desired != nil {
			r.Desired = &follower{source: s, proxy: r.Name, id: r.Sync.ClusterID, reader: r.Desired, istiod: r.Istiod}
		}
		if p := found.own(&r); p != nil {
			r.Ready = &p.Ready
			found.cluster = cmp.Or(found.cluster, r.Sync.ClusterID)
			if len(r.Metadata) == 0 {
				r.Metadata = metadata(p, kube.Workload{}, r.Sync.ClusterID)
			}
		}
		r.ADS = s.byADS(cluster, &r, &planes, &found)
		connected[r.Name] = append(connected[r.Name], r)
		sv.Proxies = append(sv.Proxies, r)
	}
	for _, r := range s.unconnected(ctx, cluster, &planes, &found, connected) {
		r.ADS = s.byADS(cluster, &r, &planes, &found)
		sv.Proxies = append(sv.Proxies, r)
	}
	if len(planes.istiods) == 0 && len(planes.failures) == 0 && planes.err == nil {
		sv.Failures = append(sv.Failures, s.noControlPlane(ctx, cluster))
	}
	s.forgetGone(&found)
	return sv, nil
}

func (s *Source) failure(stage string, err error) mesh.Failure {
	return mesh.Failure{Source: s.spec, Stage: stage, Reason: err.Error(), Err: err}
}

// newest drops what an istiod says of a proxy that has meanwhile connected to another one, which it goes on to list until it notices: of two records
// that of the later connection stays or, where istiods do not tell when that was made, the one that something was sent to last.
func newest(records []mesh.Record) []mesh.Record {
	type identity struct{ name, cluster string }
	at := map[identity]int{}
	var kept []mesh.Record
	for _, r := range records {
		id := identity{r.Name, r.Sync.ClusterID}
		i, seen := at[id]
		if !seen {
			at[id] = len(kept)
			kept = append(kept, r)
		} else if later(&r, &kept[i]) {
			kept[i] = r
		}
	}
	slices.SortStableFunc(kept, func(a, b mesh.Record) int { return cmp.Compare(a.Name, b.Name) })
	return kept
}

func later(a, b *mesh.Record) bool {
	if !a.Since.IsZero() && !b.Since.IsZero() && !a.Since.Equal(b.Since) {
		return a.Since.After(b.Since)
	}
	return a.Sync.LastSent().After(b.Sync.LastSent())
}

// unavailable is the reader of what has no Envoy's admin interface.
type unavailable struct{ proxy, reason string }

func (u unavailable) Read(_ context.Context, r mesh.Request) (mesh.Answer, error) {
	return mesh.Answer{}, fmt.Errorf("%s of %s: %w: %s", r.Kind, u.proxy, mesh.ErrNotAvailable, u.reason)
}

func (u unavailable) Admin(_ context.Context, path string, _ func(io.Reader) error) (int64, error) {
	return 0, fmt.Errorf("/%s of %s: %w: %s", path, u.proxy, mesh.ErrNotAvailable, u.reason)
}
