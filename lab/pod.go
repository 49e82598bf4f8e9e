package lab

import (
	"context"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A Pod is a pod of the mesh. In its place a process runs on this machine, except for the pods of which a scene says otherwise.
type Pod struct {
	Name      string // such as "reviews-v1-598b896c9d-9bxvm"
	Namespace string
	Workload  string // the Deployment that it belongs to
	Account   string // its service account
	Labels    map[string]string
	Revision  string // of the istiod that it talks to, or is
	IP        string // as Kubernetes knows it; nothing listens there
	Address   string // of the process that stands for it
	AdminPort int    // of its Envoy; 0 if it has none

	kind       string // of its Envoy: sidecar, router, or "" for none
	replicaSet string
	container  container
	native     bool // the sidecar is an init container that goes on, as Kubernetes has them by now
	secure     bool // its Envoy talks to istiod over TLS and with a token
}

type container struct {
	name  string
	ports []int
}

// ID is "name.namespace", as Istio names proxies.
func (p *Pod) ID() string { return p.Name + "." + p.Namespace }

// place gives a pod its addresses, by its number in the lab.
func (p *Pod) place(b block, number int) *Pod {
	p.IP = fmt.Sprintf("10.244.0.%d", number)
	p.Address = b.address(number)
	return p
}

// sidecarPod is a pod of an application with a sidecar.
func sidecarPod(app, version, hash, suffix, revision string) *Pod {
	workload := app + "-" + version
	return &Pod{
		Name: workload + "-" + hash + "-" + suffix, Namespace: "default", Workload: workload, replicaSet: workload + "-" + hash,
		Account: "bookinfo-" + app, Revision: revision, AdminPort: 15000, kind: "sidecar",
		Labels: map[string]string{
			"app": app, "version": version, "pod-template-hash": hash,
			"security.istio.io/tlsMode": "istio", "service.istio.io/canonical-name": app, "service.istio.io/canonical-revision": version,
			"istio.io/rev": revision,
		},
		container: container{app, []int{9080}},
	}
}

// gatewayPod is the pod of a gateway.
func gatewayPod(workload, hash, suffix, istio string) *Pod {
	return &Pod{
		Name: workload + "-" + hash + "-" + suffix, Namespace: "istio-system", Workload: workload, replicaSet: workload + "-" + hash,
		Account: "istio-ingressgateway-service-account", Revision: "default", AdminPort: 15000, kind: "router",
		Labels: map[string]string{
			"app": workload, "istio": istio, "pod-template-hash": hash, "istio.io/rev": "default",
			"service.istio.io/canonical-name": workload, "service.istio.io/canonical-revision": "latest", "sidecar.istio.io/inject": "false",
		},
		container: container{"istio-proxy", []int{15021, 8080, 8443, 15090}},
	}
}

// istiodPod is the pod of an istiod.
func istiodPod(workload, hash, suffix, revision string) *Pod {
	return &Pod{
		Name: workload + "-" + hash + "-" + suffix, Namespace: "istio-system", Workload: workload, replicaSet: workload + "-" + hash,
		Account: "istiod", Revision: revision,
		Labels: map[string]string{
			"app": "istiod", "istio": "pilot", "istio.io/rev": revision, "pod-template-hash": hash, "sidecar.istio.io/inject": "false",
		},
		container: container{"discovery", []int{8080, 15010, 15012, 15014, 15017}},
	}
}

type object = map[string]any

func (p *Pod) labels() object {
	labels := object{}
	for name, value := range p.Labels {
		labels[name] = value
	}
	return labels
}

// owners are the Deployment of the pod, unless the sample has brought it, and its ReplicaSet.
func (p *Pod) owners() []*unstructured.Unstructured {
	labels := p.labels()
	selector := object{"matchLabels": object{"app": labels["app"], "pod-template-hash": labels["pod-template-hash"]}}
	template := object{
		"metadata": object{"labels": labels},
		"spec":     object{"serviceAccountName": p.Account, "containers": []any{object{"name": p.container.name, "image": "lab.example.com/" + p.container.name + ":1"}}},
	}
	set := &unstructured.Unstructured{Object: object{
		"apiVersion": "apps/v1", "kind": "ReplicaSet",
		"metadata": object{"name": p.replicaSet, "namespace": p.Namespace, "labels": labels},
		"spec":     object{"replicas": int64(1), "selector": selector, "template": template},
		"status":   object{"replicas": int64(1), "readyReplicas": int64(1), "availableReplicas": int64(1)},
	}}
	if strings.HasPrefix(p.Account, "bookinfo-") {
		return []*unstructured.Unstructured{set}
	}
	deployment := set.DeepCopy()
	deployment.SetKind("Deployment")
	deployment.SetName(p.Workload)
	return []*unstructured.Unstructured{deployment, set}
}

// object is the pod as the API server has it when it runs.
func (p *Pod) object(owner *unstructured.Unstructured) *unstructured.Unstructured {
	running := func(c container) (spec, status object) {
		var ports []any
		for _, port := range c.ports {
			ports = append(ports, object{"containerPort": int64(port), "protocol": "TCP"})
		}
		image := "lab.example.com/" + c.name + ":1"
		return object{"name": c.name, "image": image, "ports": ports}, object{
			"name": c.name, "image": image, "imageID": "", "ready": true, "restartCount": int64(0), "started": true,
			"state": object{"running": object{"startedAt": "2026-11-23T00:00:00Z"}},
		}
	}
	spec, status := running(p.container)
	containers, statuses := []any{spec}, []any{status}
	var inits, initStatuses []any
	annotations := object{}
	if p.kind == "sidecar" {
		spec, status := running(container{"istio-proxy", []int{15090}})
		list := "containers"
		if p.native {
			spec["restartPolicy"] = "Always"
			inits, initStatuses = []any{spec}, []any{status}
			list = "initContainers"
		} else {
			containers, statuses = append(containers, spec), append(statuses, status)
		}
		annotations["sidecar.istio.io/status"] = fmt.Sprintf(`{"%s":["istio-proxy"],"volumes":[],"imagePullSecrets":null,"revision":"%s"}`, list, p.Revision)
		if p.AdminPort != 15000 {
			annotations["proxy.istio.io/config"] = fmt.Sprintf("proxyAdminPort: %d\n", p.AdminPort)
		}
	}
	var conditions []any
	for _, kind := range []string{"Initialized", "Ready", "ContainersReady", "PodScheduled"} {
		conditions = append(conditions, object{"type": kind, "status": "True"})
	}
	o := &unstructured.Unstructured{Object: object{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": object{"name": p.Name, "namespace": p.Namespace, "labels": p.labels(), "annotations": annotations},
		"spec":     object{"nodeName": "lab-node", "serviceAccountName": p.Account, "containers": containers, "initContainers": inits},
		"status": object{
			"phase": "Running", "podIP": p.IP, "podIPs": []any{object{"ip": p.IP}}, "hostIP": "10.0.0.10", "startTime": "2026-11-23T00:00:00Z",
			"conditions": conditions, "containerStatuses": statuses, "initContainerStatuses": initStatuses,
		},
	}}
	if owner != nil {
		o.SetOwnerReferences(ownedBy(owner))
	}
	return o
}

func ownedBy(owner *unstructured.Unstructured) []metav1.OwnerReference {
	return []metav1.OwnerReference{*metav1.NewControllerRef(owner, owner.GroupVersionKind())}
}

// addPod makes the pod known to Kubernetes and to the kubelet.
func (l *Lab) addPod(ctx context.Context, p *Pod) error {
	var owner *unstructured.Unstructured
	for _, o := range p.owners() {
		if o.GetKind() == "ReplicaSet" {
			deployment := &unstructured.Unstructured{Object: object{
				"apiVersion": "apps/v1", "kind": "Deployment", "metadata": object{"name": p.Workload, "namespace": p.Namespace},
			}}
			deployment, err := l.cluster.fetch(ctx, deployment)
			if err != nil {
				return err
			}
			o.SetOwnerReferences(ownedBy(deployment))
		}
		var err error
		if owner, err = l.cluster.apply(ctx, o); err != nil {
			return err
		}
	}
	if _, err := l.cluster.apply(ctx, p.object(owner)); err != nil {
		return err
	}
	l.Kubelet.add(p.ID(), p.Address)
	return nil
}

// removePod takes back what addPod did, the Deployment included. The tunnels to it break when the API server knows the pod no more.
func (l *Lab) removePod(ctx context.Context, p *Pod) error {
	defer l.Kubelet.remove(p.ID())
	return l.cluster.delete(ctx, append(p.owners(), p.object(nil))...)
}

// endpointSlice is the endpoints of a service, which no controller is there to write.
func endpointSlice(service, namespace string, ports map[string]int, pods []*Pod) *unstructured.Unstructured {
	var endpoints, list []any
	for _, p := range pods {
		endpoints = append(endpoints, object{
			"addresses": []any{p.IP}, "conditions": object{"ready": true}, "nodeName": "lab-node", "zone": "zone-1",
			"targetRef": object{"kind": "Pod", "name": p.Name, "namespace": p.Namespace},
		})
	}
	for name, port := range ports {
		list = append(list, object{"name": name, "port": int64(port), "protocol": "TCP"})
	}
	return &unstructured.Unstructured{Object: object{
		"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
		"metadata":    object{"name": service + "-lab", "namespace": namespace, "labels": object{"kubernetes.io/service-name": service}},
		"addressType": "IPv4", "ports": list, "endpoints": endpoints,
	}}
}
