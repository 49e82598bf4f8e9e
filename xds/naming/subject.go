package naming

import (
	"regexp"
	"strings"

	"github.com/meshlark/meshlark/xds/rawjson"
)

// Origin says where a workload's name was taken from.
type Origin string

// The origins of a workload's name, best first.
const (
	FromMetadata Origin = "WORKLOAD_NAME" // the metadata says so
	FromOwner    Origin = "OWNER"         // last part of the metadata's owner reference
	FromPod      Origin = "pod name"      // the pod's name without its generated suffixes: a guess
	Nowhere      Origin = ""              // no name
)

// An Identity is who a proxy says it is in the metadata of its node.
type Identity struct {
	Pod            string // NAME
	Namespace      string
	Workload       string
	WorkloadOrigin Origin
	Owner          string // as sent: kubernetes://apis/apps/v1/namespaces/default/deployments/reviews-v1
	ClusterID      string
	MeshID         string
	Network        string
	ServiceAccount string
	NodeName       string
	IstioVersion   string
	IPs            []string          // INSTANCE_IPS
	Labels         map[string]string // never changed after Subject returns
}

// Subject reads the fields Istio puts in a node's metadata. Fields that are missing or of another type are left empty, so
// the metadata of an Envoy that is not Istio's gives an empty Identity.
func Subject(metadata rawjson.Value) Identity {
	id := Identity{}
	for key, v := range metadata.Members() {
		switch key {
		case "NAME":
			id.Pod = v.Text()
		case "NAMESPACE":
			id.Namespace = v.Text()
		case "WORKLOAD_NAME":
			id.Workload = v.Text()
		case "OWNER":
			id.Owner = v.Text()
		case "CLUSTER_ID":
			id.ClusterID = v.Text()
		case "MESH_ID":
			id.MeshID = v.Text()
		case "NETWORK":
			id.Network = v.Text()
		case "SERVICE_ACCOUNT":
			id.ServiceAccount = v.Text()
		case "NODE_NAME":
			id.NodeName = v.Text()
		case "ISTIO_VERSION":
			id.IstioVersion = v.Text()
		case "INSTANCE_IPS":
			id.IPs = splitList(v.Text())
		case "LABELS":
			id.Labels = make(map[string]string, v.Len())
			for k, label := range v.Members() {
				id.Labels[k] = label.Text()
			}
		}
	}
	id.Workload, id.WorkloadOrigin = workload(id)
	return id
}

func workload(id Identity) (string, Origin) {
	if id.Workload != "" {
		return id.Workload, FromMetadata
	}
	if name := id.Owner[strings.LastIndexByte(id.Owner, '/')+1:]; name != "" {
		return name, FromOwner
	}
	if id.Pod != "" {
		return stripPodSuffix(id.Pod, id.Labels["pod-template-hash"]), FromPod
	}
	return "", Nowhere
}

// WorkloadOfPod guesses the workload from a pod's name alone: what is left without the suffixes that Deployments (a hash and
// five characters), DaemonSets and Jobs (five characters) and StatefulSets (a number) add.
func WorkloadOfPod(pod string) string { return stripPodSuffix(pod, "") }

// Kubernetes generates names from letters and digits that cannot form words: no vowels, no 0, 1, 3.
var (
	deploymentSuffix = regexp.MustCompile(`-[bcdfghjklmnpqrstvwxz2456789]{6,10}-[bcdfghjklmnpqrstvwxz2456789]{5}$`)
	otherSuffix      = regexp.MustCompile(`-(?:[bcdfghjklmnpqrstvwxz2456789]{5}|[0-9]+)$`)
)

func stripPodSuffix(pod, templateHash string) string {
	if templateHash != "" {
		if i := strings.LastIndex(pod, "-"+templateHash+"-"); i > 0 {
			return pod[:i]
		}
	}
	for _, suffix := range []*regexp.Regexp{deploymentSuffix, otherSuffix} {
		if loc := suffix.FindStringIndex(pod); loc != nil && loc[0] > 0 {
			return pod[:loc[0]]
		}
	}
	return pod
}

func splitList(s string) []string {
	var out []string
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}
