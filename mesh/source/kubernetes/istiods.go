package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/meshlark/meshlark/kube"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source/istiod"
)

const (
	usualNamespace = "istio-system"
	istiodLabel    = "app=istiod"
	revisionLabel  = "istio.io/rev"
	// monitoringPort is where istiod serves its debug API unless --monitoringAddr says otherwise.
	monitoringPort = 15014
	discovery      = "discovery" // istiod's container
)

// controlPlanes is what the istiods of a cluster say.
type controlPlanes struct {
	istiods  []mesh.IstiodRecord
	proxies  []mesh.Record
	failures []mesh.Failure // istiods that did not answer
	err      error          // why istiods could not be looked for
}

// complete tells whether every istiod there is has answered, so that who is in no answer is connected to none.
func (c *controlPlanes) complete() bool {
	return c.err == nil && len(c.istiods) > 0 && len(c.failures) == 0
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
		wg.Go(func() { surveys[i], errs[i] = s.istiod(&pods[i]).Survey(ctx) })
	}
	wg.Wait()
	var c controlPlanes
	for i, sv := range surveys {
		if errs[i] != nil {
			c.failures = append(c.failures, s.failure("istiod "+pods[i].Name, reason(errs[i])))
			continue
		}
		c.failures = append(c.failures, sv.Failures...)
		c.proxies = append(c.proxies, sv.Proxies...)
		for _, record := range sv.Istiods {
			record.Revision = pods[i].Labels[revisionLabel]
			c.istiods = append(c.istiods, record)
		}
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
}

type notRunning struct{ phase string }

func (n notRunning) Survey(context.Context) (*mesh.Survey, error) {
	return nil, fmt.Errorf("its pod is %s, not running", n.phase)
}

// istiod gives the source that asks one istiod; it is kept, so that its requests stay bounded.
func (s *Source) istiod(p *kube.Pod) surveyor {
	if p.Phase != "Running" {
		return notRunning{p.Phase}
	}
	key := istiodKey{p.Namespace, p.Name, istiodPort(p)}
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

// istiodPort reads the port out of the container's arguments: --monitoringAddr=:15014, in one word or two.
func istiodPort(p *kube.Pod) int {
	c, _ := p.Container(discovery)
	for i, arg := range c.Args {
		value, ok := strings.CutPrefix(arg, "--monitoringAddr")
		if !ok {
			continue
		}
		if value == "" && i+1 < len(c.Args) {
			value = c.Args[i+1]
		}
		if colon := strings.LastIndexByte(value, ':'); colon >= 0 {
			if port, err := strconv.Atoi(value[colon+1:]); err == nil && port > 0 {
				return port
			}
		}
	}
	return monitoringPort
}

// noControlPlane says that no istiod was found, and where the webhooks that inject sidecars lead: a control plane may run outside of the cluster.
func (s *Source) noControlPlane(ctx context.Context, cluster *kube.Cluster) mesh.Failure {
	namespace := s.options.IstioNamespace
	where := "any namespace"
	if namespace != "" {
		where = "namespace " + namespace
	}
	text := fmt.Sprintf("no istiod in %s (no pods labelled %s), so that nothing tells what the proxies should run; is this the right context and namespace of Istio?", where, istiodLabel)
	webhooks := kube.Kind{Group: "admissionregistration.k8s.io", Version: "v1", Name: "MutatingWebhookConfiguration", Plural: "mutatingwebhookconfigurations"}
	if objects, err := cluster.Objects(ctx, webhooks, kube.ObjectQuery{Labels: revisionLabel}); err == nil {
		if urls := externalPlanes(objects); len(urls) > 0 {
			text = fmt.Sprintf("no istiod in this cluster: its control plane is outside, at %s; name its debug API with -s istiod+http://HOST:15014", strings.Join(urls, ", "))
		}
	}
	return s.failure("istiods", errors.New(text))
}

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
