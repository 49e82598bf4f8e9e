package kubernetes

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/meshlark/meshlark/kube"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source/envoy"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/redact"
)

const (
	proxyContainer = "istio-proxy" // of sidecars, gateways, waypoints and ztunnels alike
	adminPort      = 15000         // Envoy's, unless proxyAdminPort says otherwise
	configPatch    = "proxy.istio.io/config"
	// injectionStatus is what the injector leaves on a pod: its revision, the containers it added.
	injectionStatus = "sidecar.istio.io/status"
)

// population is the pods of a cluster that have a proxy.
type population struct {
	pods     map[string]*kube.Pod // by pod.namespace
	cluster  string               // the id of the cluster, as its proxies tell it; "" when none does
	listed   map[string]bool      // namespaces; nil when all were
	failures []mesh.Failure
	err      error
}

// covers tells whether a pod of the namespace would be there.
func (p *population) covers(namespace string) bool {
	return p.err == nil && (p.listed == nil || p.listed[namespace])
}

// population lists the pods of all namespaces or, for users who may not, those of the namespaces they are most likely to.
func (s *Source) population(ctx context.Context, cluster *kube.Cluster) population {
	found := population{pods: map[string]*kube.Pod{}}
	all, err := cluster.Pods(ctx, kube.PodQuery{Containers: []string{proxyContainer}})
	if errors.Is(err, kube.Forbidden) {
		found.listed = map[string]bool{}
		namespaces := []string{cluster.Config().Namespace}
		if n := cmp.Or(s.options.IstioNamespace, usualNamespace); n != namespaces[0] {
			namespaces = append(namespaces, n)
		}
		for _, n := range namespaces {
			pods, one := cluster.Pods(ctx, kube.PodQuery{Namespace: n, Containers: []string{proxyContainer}})
			if one == nil {
				found.listed[n] = true
				all = append(all, pods...)
			}
		}
		if len(found.listed) > 0 {
			read := slices.Sorted(maps.Keys(found.listed))
			found.failures = append(found.failures, s.failure("pods of other namespaces",
				fmt.Errorf("only those of %s are known: %w", strings.Join(read, " and "), err)))
			err = nil
		}
	}
	if err != nil {
		found.err = err
		return found
	}
	for i := range all {
		if p := &all[i]; role(p) != "" {
			found.pods[p.Name+"."+p.Namespace] = p
		}
	}
	return found
}

// own is the pod of a connected proxy; nil when it is in another cluster, or was not listed.
func (p *population) own(r *mesh.Record) *kube.Pod {
	pod := p.pods[r.Name]
	if pod == nil {
		return nil
	}
	if own := clusterID(pod); own != "" && r.Sync.ClusterID != "" && own != r.Sync.ClusterID {
		return nil // a pod of the same name in another cluster
	}
	return pod
}

// role is what the pod's proxy was started as: sidecar, router, waypoint, ztunnel; "" when it has none.
func role(p *kube.Pod) string {
	c, ok := p.Container(proxyContainer)
	if !ok {
		return ""
	}
	for i, arg := range c.Args {
		if arg == "proxy" && i+1 < len(c.Args) && !strings.HasPrefix(c.Args[i+1], "-") {
			return c.Args[i+1]
		}
	}
	return "sidecar" // pilot-agent's own default
}

// forgetGone lets go of the readers of pods that are not there any more.
func (s *Source) forgetGone(found *population) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.readers {
		if p := found.pods[key.pod+"."+key.namespace]; p == nil && found.covers(key.namespace) || p != nil && key.uid != "" && p.UID != key.uid {
			delete(s.readers, key)
		}
	}
}

// actual is how to read what a connected proxy runs; nil when it runs where this cluster's API server does not reach (see elsewhere).
func (s *Source) actual(cluster *kube.Cluster, r *mesh.Record, found *population) mesh.Reader {
	if r.Sync.Type == "ztunnel" {
		return unavailable{r.Name, notEnvoy}
	}
	if generator := r.Metadata.Str("GENERATOR"); generator == "grpc" {
		return unavailable{r.Name, "it is a gRPC client without an Envoy"}
	}
	if p := found.own(r); p != nil {
		return s.reader(p.Namespace, p.Name, p.UID, portOf(r.Metadata, p))
	}
	pod, namespace, ok := cutLast(r.Name)
	if found.pods[r.Name] != nil || !ok || found.covers(namespace) {
		return nil // a machine outside of the cluster, or a pod of another one
	}
	return s.reader(namespace, pod, "", portOf(r.Metadata, nil))
}

// elsewhere is why what a connected proxy runs cannot be read. The control plane notices a pod's end late, and serves machines and other clusters.
func (s *Source) elsewhere(r *mesh.Record) error {
	return &mesh.UnreachableError{Source: r.Name, Err: fmt.Errorf("it is connected to %s, but there is no such pod in %s: it has ended, or runs on a machine or in another cluster (name that with -s kube:CONTEXT); p.desired() is what its control plane would send",
		cmp.Or(r.Istiod, "its control plane"), s.spec)}
}

const notEnvoy = "a ztunnel is no Envoy and has no such configuration"

func cutLast(name string) (pod, namespace string, ok bool) {
	dot := strings.LastIndexByte(name, '.')
	if dot <= 0 {
		return "", "", false
	}
	return name[:dot], name[dot+1:], true
}

type readerKey struct {
	namespace, pod, uid string
	port                int
}

// reader gives the reader of a pod's Envoy; it is kept, so that there is one request at a time.
func (s *Source) reader(namespace, pod, uid string, port int) mesh.Reader {
	if port == adminPort && s.options.AdminPort != 0 {
		port = s.options.AdminPort
	}
	key := readerKey{namespace, pod, uid, port}
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.readers[key]; ok {
		return known
	}
	o := s.options.Fetch
	o.Transport = s.http
	made := envoy.NewReader(pod+"."+namespace, kube.PodURL(namespace, pod, port), o)
	made.UseStore(s.store)
	s.readers[key] = made
	return made
}

// portOf finds the port of Envoy's admin interface: in the configuration that a connected proxy introduces itself with, else in what its pod was
// given, by the injector or by an annotation.
func portOf(metadata rawjson.Value, p *kube.Pod) int {
	if config := metadata.Get("PROXY_CONFIG"); config.Exists() {
		if port := portIn([]byte(config)); port != 0 {
			return port
		}
	}
	if p != nil {
		c, _ := p.Container(proxyContainer)
		for i, arg := range c.Args { // of pilot-agent before it read a ProxyConfig
			value, ok := strings.CutPrefix(arg, "--proxyAdminPort")
			if ok && value == "" && i+1 < len(c.Args) {
				value = c.Args[i+1]
			}
			if port, err := strconv.Atoi(strings.TrimPrefix(value, "=")); ok && err == nil && port > 0 && port <= 65535 {
				return port
			}
		}
		for _, config := range []string{c.Env["PROXY_CONFIG"], p.Annotations[configPatch]} {
			if port := portIn([]byte(config)); port != 0 {
				return port
			}
		}
	}
	return adminPort
}

// portIn reads the port out of a ProxyConfig in JSON or YAML; 0 when it does not say.
func portIn(config []byte) int {
	var c struct {
		ProxyAdminPort int `json:"proxyAdminPort"`
	}
	if len(config) == 0 || json.Unmarshal(config, &c) != nil && yaml.Unmarshal(config, &c) != nil || c.ProxyAdminPort < 1 || c.ProxyAdminPort > 65535 {
		return 0
	}
	return c.ProxyAdminPort
}

// clusterID is the id of the cluster that the injector gave the pod's proxy.
func clusterID(p *kube.Pod) string {
	c, _ := p.Container(proxyContainer)
	return c.Env["ISTIO_META_CLUSTER_ID"]
}

// unconnected gives the pods whose proxy no istiod knows. Whether that means that it is connected to none is certain only if all istiods there are
// have answered.
func (s *Source) unconnected(ctx context.Context, cluster *kube.Cluster, planes *controlPlanes, found *population, connected map[string][]mesh.Record) []mesh.Record {
	var pods []kube.Pod
	for name, p := range found.pods {
		same := func(r mesh.Record) bool {
			own := clusterID(p)
			return own == "" || r.Sync.ClusterID == "" || own == r.Sync.ClusterID
		}
		// A pod that is ending has ended its connection in good order.
		if !p.Deleting && !slices.ContainsFunc(connected[name], same) {
			pods = append(pods, *p)
		}
	}
	slices.SortFunc(pods, func(a, b kube.Pod) int { return strings.Compare(a.Name+"."+a.Namespace, b.Name+"."+b.Namespace) })
	workloads := cluster.Workloads(ctx, pods)
	var no *bool
	if planes.complete() {
		no = new(bool)
	}
	why := planes.unknown()
	var records []mesh.Record
	for i := range pods {
		p := &pods[i]
		name := p.Name + "." + p.Namespace
		r := mesh.Record{Name: name, NodeID: nodeID(p), Metadata: metadata(p, workloads[i], found.cluster), IP: p.IP, Connected: no, NoDesired: why, Ready: &p.Ready, Revision: revision(p)}
		switch {
		case role(p) == "ztunnel":
			r.Actual = unavailable{name, notEnvoy}
		case p.Phase != "Running":
			r.Actual = unavailable{name, fmt.Sprintf("its pod is %s, not running", p.Phase)}
		default:
			r.Actual = s.reader(p.Namespace, p.Name, p.UID, portOf(nil, p))
		}
		records = append(records, r)
	}
	return records
}

// nodeID is the id that pilot-agent gives the pod's proxy.
func nodeID(p *kube.Pod) string {
	return fmt.Sprintf("%s~%s~%s.%s~%s.svc.cluster.local", role(p), p.IP, p.Name, p.Namespace, p.Namespace)
}

// revision is that of the control plane that the pod was made for: what injected it says so, or a label that chooses it.
func revision(p *kube.Pod) string {
	var status struct {
		Revision string `json:"revision"`
	}
	if json.Unmarshal([]byte(p.Annotations[injectionStatus]), &status) == nil && status.Revision != "" {
		return status.Revision
	}
	return p.Labels[revisionLabel]
}

// metadata is the part of what the pod's proxy would introduce itself with that the pod tells: pilot-agent takes it from variables of its container
// (pkg/bootstrap/config.go) and from the downward API.
func metadata(p *kube.Pod, w kube.Workload, cluster string) rawjson.Value {
	c, _ := p.Container(proxyContainer)
	all := map[string]any{}
	for name, value := range c.Env {
		if key, ok := strings.CutPrefix(name, "ISTIO_META_"); ok && value != "" {
			all[key] = value
		}
	}
	for key, value := range map[string]string{
		"NAME": p.Name, "NAMESPACE": p.Namespace, "SERVICE_ACCOUNT": p.ServiceAccount, "NODE_NAME": p.Node, "INSTANCE_IPS": strings.Join(p.IPs, ","),
		"ISTIO_VERSION": imageVersion(c.Image), "WORKLOAD_NAME": cmp.Or(c.Env["ISTIO_META_WORKLOAD_NAME"], w.Name),
		"CLUSTER_ID": cmp.Or(clusterID(p), cluster),
	} {
		if value != "" {
			all[key] = value
		}
	}
	if len(p.Labels) > 0 {
		all["LABELS"] = p.Labels
	}
	b, err := json.Marshal(all)
	if err == nil {
		b, _, err = redact.Compact(nil, b)
	}
	if err != nil {
		return nil // strings only: cannot happen
	}
	return rawjson.Value(b)
}

// imageVersion is the version that the tag of an image of Istio's names: 1.30.1 of docker.io/istio/proxyv2:1.30.1-distroless.
func imageVersion(image string) string {
	image, _, _ = strings.Cut(image, "@")
	_, tag, ok := strings.Cut(image[strings.LastIndexByte(image, '/')+1:], ":")
	if !ok || tag == "" || tag[0] < '0' || tag[0] > '9' {
		return ""
	}
	for _, kind := range []string{"-distroless", "-debug"} {
		tag = strings.TrimSuffix(tag, kind)
	}
	return tag
}
