package schema

import (
	"bytes"

	"github.com/meshlark/meshlark/xds/rawjson"
)

// camelNames are fields that nearly every configuration has somewhere, as protobuf's own JSON spells them. None is a likely label or metadata key.
var camelNames = rawjson.NewKeySet(
	"typedConfig", "versionInfo", "socketAddress", "connectTimeout", "virtualHosts",
	"filterChains", "lbEndpoints", "edsClusterConfig", "routeConfig", "clusterName",
	"loadAssignment", "lbPolicy", "inlineBytes", "inlineString", "trustedCa", "dynamicActiveSecrets",
	"directResponse", "weightedClusters", "safeRegex", "configDiscovery", "vmConfig",
)

// Telling is how much of a text LooksCamel looks at.
const Telling = 64 << 10

// LooksCamel guesses from the beginning of a text whether its author spells fields in lowerCamelCase, as istiod, istioctl and egctl do, so that
// Snake is worth calling. A wrong yes costs time only.
func LooksCamel(text []byte) bool {
	text = text[:min(len(text), Telling)]
	for i := 0; ; {
		at := bytes.IndexByte(text[i:], '"')
		if at < 0 {
			return false
		}
		end, err := rawjson.SkipString(text, i+at)
		if err != nil {
			return false
		}
		if camelNames.Has(text[i+at : end]) {
			return true
		}
		i = end
	}
}
