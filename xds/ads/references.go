package ads

import (
	"strings"

	"github.com/meshlark/meshlark/xds/naming"
	"github.com/meshlark/meshlark/xds/rawjson"
)

const (
	clusterType  = "envoy.config.cluster.v3.Cluster"
	scopeType    = "envoy.config.route.v3.ScopedRouteConfiguration"
	secretConfig = "envoy.extensions.transport_sockets.tls.v3.SdsSecretConfig"
	httpManager  = "envoy.extensions.filters.network.http_connection_manager.v3."
	typePrefix   = "type.googleapis.com/"
	srds         = "SRDS" // what the service that delivers scopeType is called
)

// referring are the messages that name resources to be asked for.
var referring = map[string]bool{
	clusterType:                               true,
	scopeType:                                 true,
	secretConfig:                              true,
	httpManager + "Rds":                       true,
	httpManager + "ScopedRoutes":              true,
	httpManager + "HttpFilter":                true,
	"envoy.config.listener.v3.Filter":         true,
	"envoy.config.listener.v3.ListenerFilter": true,
	"envoy.extensions.filters.http.composite.v3.DynamicConfig": true,
}

// refer finds what a message names, and tells want of it: the short name of the type, and the resource; "" is all of a type. What comes from elsewhere
// than ADS is left out: this server would not know it.
func refer(message string, body rawjson.Value, want func(short, name string)) {
	switch message {
	case clusterType:
		eds := body.Get("eds_cluster_config")
		if body.Str("type") != "EDS" || !fromADS(eds.Get("eds_config")) {
			return
		}
		name := eds.Str("service_name")
		if name == "" {
			name = body.Str("name")
		}
		want("EDS", name)
	case secretConfig:
		if fromADS(body.Get("sds_config")) {
			want("SDS", body.Str("name"))
		}
	case httpManager + "Rds":
		if fromADS(body.Get("config_source")) {
			want("RDS", body.Str("route_config_name"))
		}
	case httpManager + "ScopedRoutes":
		if fromADS(body.Get("scoped_rds", "scoped_rds_config_source")) {
			want(typePrefix+scopeType, "")
		}
	case scopeType:
		want("RDS", body.Str("route_configuration_name"))
	default:
		if strings.HasPrefix(message, "envoy.") && fromADS(body.Get("config_discovery", "config_source")) {
			want("ECDS", body.Str("name"))
		}
	}
}

// scopesOf gives the name that a listener has for the scopes that it is sent; "" for messages that tell of none.
func scopesOf(message string, body rawjson.Value) string {
	if message != httpManager+"ScopedRoutes" || !fromADS(body.Get("scoped_rds", "scoped_rds_config_source")) {
		return ""
	}
	return body.Str("name")
}

// fromADS tells whether a config source is the server that sent it.
func fromADS(source rawjson.Value) bool {
	return source.Get("ads").Exists() || source.Get("self").Exists()
}

// label is what a type is called in messages: CDS, LDS ...
func label(typeURL string) string {
	if strings.HasSuffix(typeURL, scopeType) {
		return srds
	}
	return naming.ShortType(typeURL)
}
