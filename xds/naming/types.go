package naming

const typePrefix = "type.googleapis.com/"

// discoveryTypes pairs the short name of each discovery service with the message it delivers, in the order in which
// istioctl lists them.
var discoveryTypes = [...]struct{ short, url string }{
	{"CDS", typePrefix + "envoy.config.cluster.v3.Cluster"},
	{"LDS", typePrefix + "envoy.config.listener.v3.Listener"},
	{"EDS", typePrefix + "envoy.config.endpoint.v3.ClusterLoadAssignment"},
	{"RDS", typePrefix + "envoy.config.route.v3.RouteConfiguration"},
	{"ECDS", typePrefix + "envoy.config.core.v3.TypedExtensionConfig"},
	{"SDS", typePrefix + "envoy.extensions.transport_sockets.tls.v3.Secret"},
	{"NDS", typePrefix + "istio.networking.nds.v1.NameTable"},
	{"PCDS", typePrefix + "istio.mesh.v1alpha1.ProxyConfig"},
	{"WDS", typePrefix + "istio.workload.Address"},
	{"WDS", typePrefix + "istio.workload.Workload"},
	{"WADS", typePrefix + "istio.security.Authorization"},
}

// ShortType gives the usual abbreviation of what a type URL is delivered by (CDS, LDS, EDS, RDS, ECDS, SDS, NDS, PCDS, WDS,
// WADS), or the URL itself when there is none.
func ShortType(typeURL string) string {
	for _, t := range discoveryTypes {
		if t.url == typeURL {
			return t.short
		}
	}
	return typeURL
}

// TypeURL is the reverse of ShortType; a text that is no such abbreviation is given back.
func TypeURL(short string) string {
	for _, t := range discoveryTypes {
		if t.short == short {
			return t.url
		}
	}
	return short
}
