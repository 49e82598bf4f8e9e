package naming

import (
	"strings"

	"github.com/meshlark/meshlark/xds/rawjson"
)

// EnvoyVersion takes the version (1.34.1, 1.36.0-dev) out of a build string as /server_info and older bootstraps have it:
// <commit>/<version>/<Clean|Modified>/<RELEASE|DEBUG>/<TLS library>. It is "" when the text is not of that form.
func EnvoyVersion(build string) string {
	parts := strings.Split(build, "/")
	if len(parts) < 2 || !strings.Contains(parts[1], ".") {
		return ""
	}
	return parts[1]
}

// NodeEnvoyVersion finds Envoy's version in a node, as a bootstrap or a discovery request carries it: its
// user_agent_build_version with the build's label (1.36.0-dev), else user_agent_version, else the build_version string
// of old Envoys. It is "" when the node says nothing.
func NodeEnvoyVersion(node rawjson.Value) string {
	if build := node.Get("user_agent_build_version"); build.Exists() {
		if version := build.Get("version"); version.Exists() {
			// proto JSON leaves out zeros: 1.36.0 has no patch.
			text := number(version, "major_number") + "." + number(version, "minor_number") + "." + number(version, "patch")
			if label := build.Str("metadata", "build.label"); label != "" {
				text += "-" + label
			}
			return text
		}
	}
	if v := node.Str("user_agent_version"); v != "" {
		return v
	}
	return EnvoyVersion(node.Str("build_version"))
}

func number(v rawjson.Value, field string) string {
	if text := v.Str(field); text != "" {
		return text
	}
	return "0"
}
