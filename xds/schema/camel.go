package schema

import "bytes"

// camelNames are fields that nearly every configuration has somewhere, as protobuf's own JSON spells them. None is a likely label or metadata key.
var camelNames = [][]byte{
	[]byte(`"typedConfig"`), []byte(`"versionInfo"`), []byte(`"socketAddress"`), []byte(`"connectTimeout"`), []byte(`"virtualHosts"`),
	[]byte(`"filterChains"`), []byte(`"lbEndpoints"`), []byte(`"edsClusterConfig"`), []byte(`"routeConfig"`), []byte(`"clusterName"`),
	[]byte(`"loadAssignment"`), []byte(`"lbPolicy"`), []byte(`"inlineBytes"`), []byte(`"inlineString"`), []byte(`"trustedCa"`), []byte(`"dynamicActiveSecrets"`),
	[]byte(`"directResponse"`), []byte(`"weightedClusters"`), []byte(`"safeRegex"`), []byte(`"configDiscovery"`), []byte(`"vmConfig"`),
}

// Telling is how much of a text LooksCamel looks at.
const Telling = 64 << 10

// LooksCamel guesses from the beginning of a text whether its author spells fields in lowerCamelCase, as istiod, istioctl and egctl do, so that
// Snake is worth calling. A wrong yes costs time only.
func LooksCamel(text []byte) bool {
	text = text[:min(len(text), Telling)]
	for _, name := range camelNames {
		if bytes.Contains(text, name) {
			return true
		}
	}
	return false
}
