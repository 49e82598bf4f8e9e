package dump

import (
	"strings"

	"github.com/meshlark/meshlark/xds/resource"
)

// A list is a member of a section that holds resources.
type list struct {
	section string // the message it is a member of
	kind    resource.Kind
	state   resource.State
}

// lists are the members of the messages of envoy.admin.v3 config_dump that hold resources, by their names in snake_case.
var lists = map[string]list{
	"bootstrap": {"BootstrapConfigDump", resource.Bootstrap, resource.Static},

	"static_clusters":          {"ClustersConfigDump", resource.Cluster, resource.Static},
	"dynamic_active_clusters":  {"ClustersConfigDump", resource.Cluster, resource.Active},
	"dynamic_warming_clusters": {"ClustersConfigDump", resource.Cluster, resource.Warming},

	"static_listeners":  {"ListenersConfigDump", resource.Listener, resource.Static},
	"dynamic_listeners": {"ListenersConfigDump", resource.Listener, resource.Active},
	// In v2alpha each state had a list of its own.
	"dynamic_active_listeners":   {"ListenersConfigDump", resource.Listener, resource.Active},
	"dynamic_warming_listeners":  {"ListenersConfigDump", resource.Listener, resource.Warming},
	"dynamic_draining_listeners": {"ListenersConfigDump", resource.Listener, resource.Draining},

	"static_route_configs":  {"RoutesConfigDump", resource.RouteConfig, resource.Static},
	"dynamic_route_configs": {"RoutesConfigDump", resource.RouteConfig, resource.Active},

	"inline_scoped_route_configs":  {"ScopedRoutesConfigDump", resource.ScopedRoutes, resource.Static},
	"dynamic_scoped_route_configs": {"ScopedRoutesConfigDump", resource.ScopedRoutes, resource.Active},

	"static_secrets":          {"SecretsConfigDump", resource.Secret, resource.Static},
	"dynamic_active_secrets":  {"SecretsConfigDump", resource.Secret, resource.Active},
	"dynamic_warming_secrets": {"SecretsConfigDump", resource.Secret, resource.Warming},

	"static_endpoint_configs":  {"EndpointsConfigDump", resource.Endpoint, resource.Static},
	"dynamic_endpoint_configs": {"EndpointsConfigDump", resource.Endpoint, resource.Active},

	"ecds_filters": {"EcdsConfigDump", resource.Extension, resource.Active},
}

// sectionKinds are the messages of lists with what they hold.
var sectionKinds = func() map[string]resource.Kind {
	m := map[string]resource.Kind{}
	for _, l := range lists {
		m[l.section] = l.kind
	}
	return m
}()

// elements are the messages that a section's lists are made of, as ?resource= answers with them one by one. That answer does
// not say which of two lists a message comes from; it counts as active.
var elements = map[string]list{
	"ClustersConfigDump.StaticCluster":                 lists["static_clusters"],
	"ClustersConfigDump.DynamicCluster":                lists["dynamic_active_clusters"],
	"ListenersConfigDump.StaticListener":               lists["static_listeners"],
	"ListenersConfigDump.DynamicListener":              lists["dynamic_listeners"],
	"RoutesConfigDump.StaticRouteConfig":               lists["static_route_configs"],
	"RoutesConfigDump.DynamicRouteConfig":              lists["dynamic_route_configs"],
	"ScopedRoutesConfigDump.InlineScopedRouteConfigs":  lists["inline_scoped_route_configs"],
	"ScopedRoutesConfigDump.DynamicScopedRouteConfigs": lists["dynamic_scoped_route_configs"],
	"SecretsConfigDump.StaticSecret":                   lists["static_secrets"],
	"SecretsConfigDump.DynamicSecret":                  lists["dynamic_active_secrets"],
	"EndpointsConfigDump.StaticEndpointConfig":         lists["static_endpoint_configs"],
	"EndpointsConfigDump.DynamicEndpointConfig":        lists["dynamic_endpoint_configs"],
	"EcdsConfigDump.EcdsFilterConfig":                  lists["ecds_filters"],
}

// messages are the resources themselves, by the last part of their type.
var messages = map[string]resource.Kind{
	"Bootstrap":                resource.Bootstrap,
	"Cluster":                  resource.Cluster,
	"Listener":                 resource.Listener,
	"RouteConfiguration":       resource.RouteConfig,
	"ScopedRouteConfiguration": resource.ScopedRoutes,
	"ClusterLoadAssignment":    resource.Endpoint,
	"Secret":                   resource.Secret,
	"TypedExtensionConfig":     resource.Extension,
}

// adminType gives what follows "envoy.admin.v3." in a type, and "" for types that are not of Envoy's admin interface.
func adminType(url string) string {
	rest, ok := strings.CutPrefix(shortType(url), "envoy.admin.")
	if !ok {
		return ""
	}
	_, name, _ := strings.Cut(rest, ".")
	return name
}

// messageKind gives the kind of a resource by its type.
func messageKind(url string) (resource.Kind, bool) {
	name := shortType(url)
	if !strings.HasPrefix(name, "envoy.") {
		return "", false
	}
	kind, ok := messages[name[strings.LastIndexByte(name, '.')+1:]]
	return kind, ok
}

// telling are members that only one kind of resource has: they tell what an object without @type is, as printed by istioctl.
var telling = map[string]resource.Kind{
	"connect_timeout": resource.Cluster, "load_assignment": resource.Cluster, "eds_cluster_config": resource.Cluster,
	"lb_policy": resource.Cluster, "circuit_breakers": resource.Cluster, "cluster_type": resource.Cluster,
	"transport_socket_matches": resource.Cluster, "typed_extension_protocol_options": resource.Cluster,

	"filter_chains": resource.Listener, "listener_filters": resource.Listener, "default_filter_chain": resource.Listener,
	"traffic_direction": resource.Listener, "use_original_dst": resource.Listener, "bind_to_port": resource.Listener,
	"api_listener": resource.Listener, "address": resource.Listener, "internal_listener": resource.Listener,

	"virtual_hosts": resource.RouteConfig, "vhds": resource.RouteConfig, "validate_clusters": resource.RouteConfig,
	"ignore_port_in_host_matching": resource.RouteConfig, "request_headers_to_add": resource.RouteConfig, "response_headers_to_add": resource.RouteConfig,

	"cluster_name": resource.Endpoint,

	"tls_certificate": resource.Secret, "validation_context": resource.Secret, "generic_secret": resource.Secret,
	"session_ticket_keys": resource.Secret,

	"static_resources": resource.Bootstrap, "dynamic_resources": resource.Bootstrap, "node": resource.Bootstrap,

	"typed_config": resource.Extension,

	"route_configuration_name": resource.ScopedRoutes,
}
