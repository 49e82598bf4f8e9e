package kube

import (
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A Workload is what people created and pods come from: a Deployment, a StatefulSet, a CronJob, a pod itself.
type Workload struct{ Kind, Name string }

// cronJob is how the CronJob controller names the jobs it makes: the CronJob's name and the minute, since the epoch.
var cronJob = regexp.MustCompile(`^(.+)-\d{8,}$`)

// WorkloadOf tells what a pod comes from by names alone, which is certain unless sure is false: a ReplicaSet without a hash of its template may be
// owned by something else than a Deployment.
func WorkloadOf(p *Pod) (w Workload, sure bool) {
	switch o := p.Owner; o.Kind {
	case "":
		return Workload{"Pod", p.Name}, true
	case "ReplicaSet":
		// The Deployment controller labels pods with the hash that it ends the ReplicaSet's name with.
		if hash := p.Labels["pod-template-hash"]; hash != "" {
			if name, ok := strings.CutSuffix(o.Name, "-"+hash); ok && name != "" {
				return Workload{"Deployment", name}, true
			}
		}
		return Workload{o.Kind, o.Name}, false
	case "Job":
		if m := cronJob.FindStringSubmatch(o.Name); m != nil {
			return Workload{"CronJob", m[1]}, true
		}
		return Workload{o.Kind, o.Name}, true
	default:
		return Workload{o.Kind, o.Name}, true
	}
}

// Workloads tells what each of the pods comes from, in their order. What the names do not tell is asked for: one request for each namespace that
// has such pods. Where that fails, the pod's own controller stands.
func (c *Cluster) Workloads(ctx context.Context, pods []Pod) []Workload {
	all := make([]Workload, len(pods))
	unsure := map[string][]int{}
	for i := range pods {
		w, sure := WorkloadOf(&pods[i])
		all[i] = w
		if !sure {
			unsure[pods[i].Namespace] = append(unsure[pods[i].Namespace], i)
		}
	}
	var wg sync.WaitGroup
	for namespace, indices := range unsure {
		wg.Go(func() {
			owners, err := c.replicaSetOwners(ctx, namespace)
			if err != nil {
				return
			}
			for _, i := range indices {
				if o, ok := owners[all[i].Name]; ok {
					all[i] = Workload{o.Kind, o.Name}
				}
			}
		})
	}
	wg.Wait()
	return all
}

func (c *Cluster) replicaSetOwners(ctx context.Context, namespace string) (map[string]Owner, error) {
	// Only the metadata is asked for: a ReplicaSet repeats its whole pod template.
	b, err := c.get(ctx, "/apis/apps/v1/namespaces/"+namespace+"/replicasets", nil, "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1")
	if err != nil {
		return nil, err
	}
	var list metav1.PartialObjectMetadataList
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, err
	}
	owners := map[string]Owner{}
	for i := range list.Items {
		if o := metav1.GetControllerOf(&list.Items[i]); o != nil {
			owners[list.Items[i].Name] = Owner{o.APIVersion, o.Kind, o.Name}
		}
	}
	return owners, nil
}
