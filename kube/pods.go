package kube

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A PodQuery selects pods.
type PodQuery struct {
	Namespace string // "" is all
	Labels    string // a label selector, such as app=istiod
	Ended     bool   // also pods that ran to their end
	// Containers names those whose arguments and environment are wanted. Of others they are not kept: they may hold secrets.
	Containers []string
}

// A Pod is what matters of a pod.
type Pod struct {
	Name           string
	Namespace      string
	UID            string
	IP             string
	IPs            []string
	Node           string
	ServiceAccount string
	Phase          string // Pending, Running, Succeeded, Failed, Unknown
	Ready          bool
	Deleting       bool // it was told to end
	Created        time.Time
	Labels         map[string]string
	Annotations    map[string]string
	Owner          Owner // its controller; zero when it has none
	Containers     []Container
}

// A Container is one container of a pod. Init containers are among them only if they keep running beside the others (restartPolicy Always).
type Container struct {
	Name  string
	Image string
	Init  bool
	Args  []string          // command and arguments, of those the query names
	Env   map[string]string // variables with a literal value, of those the query names
}

// An Owner is the controller of an object.
type Owner struct{ APIVersion, Kind, Name string }

// Container gives the pod's container of that name.
func (p *Pod) Container(name string) (Container, bool) {
	for _, c := range p.Containers {
		if c.Name == name {
			return c, true
		}
	}
	return Container{}, false
}

// podsPerPage is how many pods one answer has at most.
const podsPerPage = 500

// Pods gives the pods that the query selects, page by page. A cluster that changes so fast that the pages go stale is asked once more, for all at
// once.
func (c *Cluster) Pods(ctx context.Context, q PodQuery) ([]Pod, error) {
	pods, err := c.listPods(ctx, q, podsPerPage)
	if apierrors.IsResourceExpired(err) {
		pods, err = c.listPods(ctx, q, 0)
	}
	if err != nil {
		doing, next := "list the pods of all namespaces", "ask for that permission (the verb list on pods in all namespaces), name one namespace with -n"
		if q.Namespace != "" {
			doing, next = "list the pods of namespace "+q.Namespace, "ask for that permission (the verb list on pods in namespace "+q.Namespace+")"
		}
		err = c.explain(doing, err)
		var e *Error
		if errors.As(err, &e) && e.Problem == Forbidden {
			e.Next = next + ", or choose another --user, --as or --context"
		}
		return nil, err
	}
	return pods, nil
}

func (c *Cluster) listPods(ctx context.Context, q PodQuery, page int) ([]Pod, error) {
	var pods []Pod
	next := ""
	for {
		list, err := c.podPage(ctx, q, page, next)
		if err != nil {
			return nil, err
		}
		pods = slices.Grow(pods, len(list.Items))
		for i := range list.Items {
			pods = append(pods, readPod(&list.Items[i], q.Containers))
		}
		if next = list.Continue; next == "" {
			return pods, nil
		}
	}
}

func (c *Cluster) podPage(ctx context.Context, q PodQuery, page int, next string) (*corev1.PodList, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	r := c.core.Get().NamespaceIfScoped(q.Namespace, q.Namespace != "").Resource("pods")
	if q.Labels != "" {
		r.Param("labelSelector", q.Labels)
	}
	if !q.Ended {
		r.Param("fieldSelector", "status.phase!=Succeeded,status.phase!=Failed")
	}
	if page > 0 {
		r.Param("limit", strconv.Itoa(page))
	}
	if next != "" {
		r.Param("continue", next)
	}
	list := &corev1.PodList{}
	return list, r.Do(ctx).Into(list)
}

// Pod gives one pod.
func (c *Cluster) Pod(ctx context.Context, namespace, name string) (Pod, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	p := &corev1.Pod{}
	if err := c.core.Get().Namespace(namespace).Resource("pods").Name(name).Do(ctx).Into(p); err != nil {
		return Pod{}, c.explain("get pod "+name+" of namespace "+namespace, err)
	}
	return readPod(p, nil), nil
}

// readPod takes what matters, so that the rest of the page can go.
func readPod(p *corev1.Pod, detailed []string) Pod {
	pod := Pod{
		Name:           p.Name,
		Namespace:      p.Namespace,
		UID:            string(p.UID),
		IP:             p.Status.PodIP,
		Node:           p.Spec.NodeName,
		ServiceAccount: p.Spec.ServiceAccountName,
		Phase:          string(p.Status.Phase),
		Deleting:       p.DeletionTimestamp != nil,
		Created:        p.CreationTimestamp.Time,
		Labels:         p.Labels,
		Annotations:    maps.Clone(p.Annotations),
	}
	// kubectl apply's copy of the whole object says nothing new.
	delete(pod.Annotations, corev1.LastAppliedConfigAnnotation)
	for _, ip := range p.Status.PodIPs {
		pod.IPs = append(pod.IPs, ip.IP)
	}
	for _, condition := range p.Status.Conditions {
		if condition.Type == corev1.PodReady {
			pod.Ready = condition.Status == corev1.ConditionTrue
		}
	}
	if owner := metav1.GetControllerOf(p); owner != nil {
		pod.Owner = Owner{owner.APIVersion, owner.Kind, owner.Name}
	}
	for i := range p.Spec.InitContainers {
		if c := &p.Spec.InitContainers[i]; c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			pod.Containers = append(pod.Containers, readContainer(c, true, detailed))
		}
	}
	for i := range p.Spec.Containers {
		pod.Containers = append(pod.Containers, readContainer(&p.Spec.Containers[i], false, detailed))
	}
	return pod
}

func readContainer(c *corev1.Container, init bool, detailed []string) Container {
	read := Container{Name: c.Name, Image: c.Image, Init: init}
	if slices.Contains(detailed, c.Name) {
		read.Args = append(slices.Clone(c.Command), c.Args...)
		read.Env = map[string]string{}
		for _, v := range c.Env {
			if v.ValueFrom == nil {
				read.Env[v.Name] = v.Value
			}
		}
	}
	return read
}
