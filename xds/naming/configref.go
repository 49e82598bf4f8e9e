package naming

import "strings"

// istioNetworking is how the references start that istioctl prints.
const istioNetworking = "/apis/networking.istio.io/"

// ConfigRef takes apart the reference Istio leaves in metadata.filter_metadata.istio.config:
// /apis/<group>/<version>/namespaces/<namespace>/<kind>/<name>. The kind is as written (virtual-service). A text of any
// other form gives ok false.
func ConfigRef(istioConfig string) (name, namespace, kind string, ok bool) {
	parts := strings.Split(istioConfig, "/")
	if len(parts) != 8 || parts[0] != "" || parts[1] != "apis" || parts[4] != "namespaces" {
		return "", "", "", false
	}
	return parts[7], parts[5], parts[6], true
}

// Cell gives what istioctl prints for such a reference in its DESTINATION RULE and VIRTUAL SERVICE columns: name.namespace; ""
// when there is no reference or one of Istio's networking group that is not of the full form; "<unknown>" for
// objects of other groups.
func Cell(istioConfig string) string {
	if istioConfig == "" {
		return ""
	}
	if !strings.HasPrefix(istioConfig, istioNetworking) {
		return "<unknown>"
	}
	name, namespace, _, ok := ConfigRef(istioConfig)
	if !ok {
		return ""
	}
	return name + "." + namespace
}
