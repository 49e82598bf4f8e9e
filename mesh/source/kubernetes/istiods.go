package kubernetes

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/meshlark/meshlark/kube"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source/istiod"
)

const (
	usualNamespace = "istio-system"
	istiodLabel    = "app=istiod"
	revisionLabel  = "istio.io/rev"
	tagLabel       = "istio.io/tag"
	// defaultRevision is that of an istiod that was installed without one.
	defaultRevision = "default"
	// monitoringPort is where istiod serves its debug API unless --monitoringAddr says otherwise.
	monitoringPort = 15014
	discovery      = "discovery" // istiod's container
)

// controlPlanes is what the istiods of a cluster say.
type controlPlanes struct {
	istiods  []mesh.IstiodRecord
	proxies  []mesh.Record
	pods     []kube.Pod     // of the istiods
	failures []mesh.Failure // istiods that did not answer
	fetched  mesh.Fetched
	err      error // why istiods could not be looked for
}

// complete tells whether every istiod there is has answered, so that who is in no answer is connected to none.
func (c *controlPlanes) complete() bool {
	return c.err == nil && len(c.istiods) > 0 && len(c.failures) == 0
}

// unknown says why nobody tells what a proxy should run that no istiod knows.
func (c *controlPlanes) unknown() error {
	switch {
	case c.err != nil:
		return fmt.Errorf("its istiod cannot be looked for: %w", c.err)
	case len(c.failures) > 0:
		return fmt.Errorf("no istiod that answered knows it, and not all did: %w", c.failures[0])
	case len(c.istiods) == 0:
		return errors.New("there is no istiod to ask")
	default:
		return errors.New("it is connected to no istiod, and only one to which it is connected knows what it should run")
	}
}

// controlPlanes asks every istiod of every revision, at the same time.
func (s *Source) controlPlanes(ctx context.Context, cluster *kube.Cluster) controlPlanes {
	pods, err := s.istiodPods(ctx, cluster)
	if err != nil {
		return controlPlanes{err: err}
	}
	surveys := make([]*mesh.Survey, len(pods))
	errs := make([]error, len(pods))
	var wg sync.WaitGroup
	for i := range pods {
		wg.Go(func() { surveys[i], errs[i] = s.overXDS(ctx, cluster, &pods[i], s.istiod(&pods[i]).Survey) })
	}
	var outside *mesh.Survey
	var outsideErr error
	if s.options.XDS != nil {
		wg.Go(func() { outside, outsideErr = s.outsideStatus(ctx, cluster) })
	}
	wg.Wait()
	c := controlPlanes{pods: pods}
	for i, sv := range surveys {
		if errs[i] != nil {
			c.failures = append(c.failures, mesh.Failure{Source: s.spec, Stage: "istiod " + pods[i].Name, Reason: starting(&pods[i], errs[i]), Err: errs[i]})
			continue
		}
		c.fetched.Requests += sv.Fetched.Requests
		c.fetched.Bytes += sv.Fetched.Bytes
		c.failures = append(c.failures, sv.Failures...)
		revision := cmp.Or(pods[i].Labels[revisionLabel], defaultRevision)
		for _, record := range sv.Proxies {
			record.Revision = revision
			c.proxies = append(c.proxies, record)
		}
		for _, record := range sv.Istiods {
			record.Revision = revision
			c.istiods = append(c.istiods, record)
		}
	}
	if outsideErr != nil {
		c.failures = append(c.failures, s.failure("istiod "+s.options.XDS.Address, reason(outsideErr)))
	}
	if outside != nil {
		c.proxies, c.istiods = append(c.proxies, outside.Proxies...), append(c.istiods, outside.Istiods...)
		c.fetched.Requests += outside.Fetched.Requests
		c.fetched.Bytes += outside.Fetched.Bytes
	}
	return c
}

// reason takes the name of the source out of an error where the failure says it already.
func reason(err error) error {
	var u *mesh.UnreachableError
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// starting is why an istiod does not answer, and whether this may pass by itself.
func starting(p *kube.Pod, err error) string {
	text := reason(err).Error()
	if !p.Ready && (errors.Is(err, kube.NotListening) || errors.Is(err, kube.Lost)) {
		return fmt.Sprintf("its pod is not ready, it may be starting or restarting: refresh in a while, or see its log (%s)", text)
	}
	return text
}

// istiodPods finds the pods of all istiods that are not ending.
func (s *Source) istiodPods(ctx context.Context, cluster *kube.Cluster) ([]kube.Pod, error) {
	namespace := s.options.IstioNamespace
	if namespace == "" {
		namespace = usualNamespace
	}
	q := kube.PodQuery{Namespace: namespace, Labels: istiodLabel, Containers: []string{discovery}}
	pods, err := cluster.Pods(ctx, q)
	if err != nil {
		return nil, err
	}
	if len(pods) == 0 && s.options.IstioNamespace == "" {
		q.Namespace = ""
		if elsewhere, err := cluster.Pods(ctx, q); err == nil {
			pods = elsewhere
		}
	}
	return slices.DeleteFunc(pods, func(p kube.Pod) bool { return p.Deleting }), nil
}

type istiodKey struct {
	namespace, pod string
	port           int
}

// surveyor is an istiod, or why it cannot be one now.
type surveyor interface {
	Survey(context.Context) (*mesh.Survey, error)
	// Moved finds a proxy that was connected to another istiod; see [istiod.Source.Moved].
	Moved(ctx context.Context, proxy, cluster string) (mesh.Reader, time.Time, error)
}

type notRunning struct{ phase string }

func (n notRunning) Survey(context.Context) (*mesh.Survey, error) {
	return nil, fmt.Errorf("its pod is %s, not running", n.phase)
}

func (n notRunning) Moved(ctx context.Context, _, _ string) (mesh.Reader, time.Time, error) {
	_, err := n.Survey(ctx)
	return nil, time.Time{}, err
}

// istiod gives the source that asks one istiod; it is kept, so that its requests stay bounded.
func (s *Source) istiod(p *kube.Pod) surveyor {
	if p.Phase != "Running" {
		return notRunning{p.Phase}
	}
	key := istiodKey{p.Namespace, p.Name, argumentPort(p, "--monitoringAddr", monitoringPort)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.istiods[key]; ok {
		return known
	}
	o := s.options.Fetch
	o.Transport = s.http
	made := istiod.New(p.Name+"."+p.Namespace, kube.PodURL(p.Namespace, p.Name, key.port)+"#"+p.Name, o)
	made.UseStore(s.store)
	s.istiods[key] = made
	return made
}

// webhooks gives what injects sidecars for a revision: its name and its tags, and the address of a control plane outside of the cluster.
func (s *Source) webhooks(ctx context.Context, cluster *kube.Cluster) ([]kube.Object, error) {
	kind := kube.Kind{Group: "admissionregistration.k8s.io", Version: "v1", Name: "MutatingWebhookConfiguration", Plural: "mutatingwebhookconfigurations"}
	return cluster.Objects(ctx, kind, kube.ObjectQuery{Labels: revisionLabel})
}

// tags gives the tags of each revision, as the labels of webhooks tell them; nil when this user may not see webhooks.
func (s *Source) tags(ctx context.Context, cluster *kube.Cluster) map[string][]string {
	webhooks, err := s.webhooks(ctx, cluster)
	if err != nil {
		return nil
	}
	tags := map[string][]string{}
	for _, o := range webhooks {
		var w struct {
			Metadata struct {
				Labels map[string]string `json:"labels"`
			} `json:"metadata"`
		}
		if json.Unmarshal(o.JSON, &w) != nil {
			continue
		}
		revision, tag := w.Metadata.Labels[revisionLabel], w.Metadata.Labels[tagLabel]
		if tag != "" && !slices.Contains(tags[revision], tag) {
			tags[revision] = append(tags[revision], tag)
		}
	}
	for _, of := range tags {
		slices.Sort(of)
	}
	return tags
}

// noControlPlane says that no istiod was found, and where the webhooks that inject sidecars lead: a control plane may run outside of the cluster.
func (s *Source) noControlPlane(ctx context.Context, cluster *kube.Cluster) mesh.Failure {
	namespace := s.options.IstioNamespace
	where := "any namespace"
	if namespace != "" {
		where = "namespace " + namespace
	}
	text := fmt.Sprintf("no istiod in %s (no pods labelled %s), so that nothing tells what the proxies should run; is this the right context and namespace of Istio?", where, istiodLabel)
	if objects, err := s.webhooks(ctx, cluster); err == nil {
		if urls := externalPlanes(objects); len(urls) > 0 {
			text = fmt.Sprintf("no istiod in this cluster: its control plane is outside, at %s; name its debug API with -s istiod+http://HOST:15014, or its xDS with --xds-address HOST:15012", strings.Join(urls, ", "))
		}
	}
	return s.failure("istiods", noIstiod(text))
}

// noIstiod is that a cluster has no control plane of its own, which is no failure of a mesh in which another source is one.
type noIstiod string

func (n noIstiod) Error() string        { return string(n) }
func (n noIstiod) Is(target error) bool { return target == mesh.ErrNotAvailable }

// externalPlanes gives the addresses that webhooks call which are no services of the cluster.
func externalPlanes(webhooks []kube.Object) []string {
	var hosts []string
	for _, o := range webhooks {
		var w struct {
			Webhooks []struct {
				ClientConfig struct {
					URL string `json:"url"`
				} `json:"clientConfig"`
			} `json:"webhooks"`
		}
		if json.Unmarshal(o.JSON, &w) != nil {
			continue
		}
		for _, h := range w.Webhooks {
			url, _, _ := strings.Cut(strings.TrimPrefix(h.ClientConfig.URL, "https://"), "/")
			if url != "" && !slices.Contains(hosts, url) {
				hosts = append(hosts, url)
			}
		}
	}
	return hosts
}
