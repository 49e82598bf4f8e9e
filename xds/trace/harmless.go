package trace

import (
	"slices"
	"strings"

	"github.com/meshlark/meshlark/xds/extension"
)

// harmless tells the filters that never answer by themselves and change nothing a route or a later filter goes by, by a part of the full name of their type.
func harmless(c extension.Config) bool {
	for _, part := range [...]string{
		".alpn.", ".grpc_stats.", "peer_metadata.", "stats.PluginConfig", ".grpc_web.", ".grpc_http1_bridge.", ".compressor.", ".decompressor.",
		".tap.", ".on_demand.", "metadataexchange.", ".istio_authn.", ".sni_cluster.", ".bandwidth_limit.",
	} {
		if strings.Contains(c.Type, part) {
			return true
		}
	}
	return c.Is("Wasm") && builtIn(c)
}

// changes tells the filters that never answer by themselves and may change headers or metadata.
func changes(c extension.Config) bool {
	for _, part := range [...]string{
		".credential_injector.", ".stateful_session.",
	} {
		if strings.Contains(c.Type, part) {
			return true
		}
	}
	return false
}

// builtIn tells the Wasm filters that older Istio has inside its Envoy: they count and exchange metadata.
func builtIn(c extension.Config) bool {
	vm := c.Value.Get("config", "vm_config")
	return vm.Str("runtime") == "envoy.wasm.runtime.null" &&
		slices.Contains([]string{"envoy.wasm.stats", "envoy.wasm.metadata_exchange", "envoy.wasm.null.stats"}, vm.Str("code", "local", "inline_string"))
}
