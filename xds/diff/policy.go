package diff

import "strings"

// Order says what the order of a list's elements means.
type Order byte

// The orders.
const (
	Ordered Order = iota // elements are aligned in their order; a list that is in no table is Ordered
	Keyed                // elements belong together by Keys; order means something only among those of one key
	Set                  // order means nothing; an element is what it says
)

// String names the order.
func (o Order) String() string { return [...]string{"ordered", "keyed", "set"}[o] }

// A ListPolicy is the rule by which the elements of two lists are paired.
type ListPolicy struct {
	Field string // full name of the message, a dot, and the name of the field
	Order Order
	// Keys are what an element is known by, in fields of the element; several, separated by blanks, are taken together. Elements that
	// have the first key in common are told apart by the next. In an Ordered list, elements with one key are taken for one another
	// where the order allows it.
	Keys []string
	// Hints are fields by which elements of a long Ordered list are found again when they have changed. Unlike keys they prove nothing.
	Hints []string
}

// ListPolicies is the table of rules. Envoy's documentation of each field says whether order matters to it.
var ListPolicies = []ListPolicy{
	// Listeners.
	{Field: "envoy.config.listener.v3.Listener.filter_chains", Order: Keyed, Keys: []string{"name", "filter_chain_match"}},
	{Field: "envoy.config.listener.v3.Listener.listener_filters", Keys: []string{"name"}},
	{Field: "envoy.config.listener.v3.Listener.additional_addresses", Order: Keyed, Keys: []string{"address"}},
	{Field: "envoy.config.listener.v3.Listener.access_log", Keys: []string{"name"}},
	{Field: "envoy.config.listener.v3.FilterChain.filters", Keys: []string{"name"}},
	{Field: "envoy.config.listener.v3.FilterChainMatch.prefix_ranges", Order: Set},
	{Field: "envoy.config.listener.v3.FilterChainMatch.source_prefix_ranges", Order: Set},
	{Field: "envoy.config.listener.v3.FilterChainMatch.direct_source_prefix_ranges", Order: Set},
	{Field: "envoy.config.listener.v3.FilterChainMatch.source_ports", Order: Set},
	{Field: "envoy.config.listener.v3.FilterChainMatch.server_names", Order: Set},
	{Field: "envoy.config.listener.v3.FilterChainMatch.application_protocols", Order: Set},

	// The HTTP connection manager and the TCP proxy.
	{Field: hcm + ".http_filters", Keys: []string{"name"}},
	{Field: hcm + ".access_log", Keys: []string{"name"}},
	{Field: hcm + ".upgrade_configs", Order: Keyed, Keys: []string{"upgrade_type"}},
	{Field: hcm + ".UpgradeConfig.filters", Keys: []string{"name"}},
	{Field: hcm + ".Tracing.custom_tags", Order: Keyed, Keys: []string{"tag"}},
	{Field: hcm + ".InternalAddressConfig.cidr_ranges", Order: Set},
	{Field: hcmPackage + "ResponseMapper.headers_to_add", Order: Keyed, Keys: []string{"header.key"}},
	{Field: hcmPackage + "ScopedRouteConfigurationsList.scoped_route_configurations", Order: Keyed, Keys: []string{"name"}},
	{Field: "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.access_log", Keys: []string{"name"}},
	{Field: "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.WeightedCluster.clusters", Order: Keyed, Keys: []string{"name"}},

	// Routes. Their order decides; route names repeat, so a changed route is found by how much of it is the same.
	{Field: "envoy.config.route.v3.RouteConfiguration.virtual_hosts", Order: Keyed, Keys: []string{"name"}},
	{Field: "envoy.config.route.v3.RouteConfiguration.internal_only_headers", Order: Set},
	{Field: "envoy.config.route.v3.RouteConfiguration.request_headers_to_add", Order: Keyed, Keys: []string{"header.key"}},
	{Field: "envoy.config.route.v3.RouteConfiguration.request_headers_to_remove", Order: Set},
	{Field: "envoy.config.route.v3.RouteConfiguration.response_headers_to_add", Order: Keyed, Keys: []string{"header.key"}},
	{Field: "envoy.config.route.v3.RouteConfiguration.response_headers_to_remove", Order: Set},
	{Field: "envoy.config.route.v3.RouteConfiguration.cluster_specifier_plugins", Order: Keyed, Keys: []string{"extension.name"}},
	{Field: "envoy.config.route.v3.VirtualHost.domains", Order: Set},
	{Field: "envoy.config.route.v3.VirtualHost.routes", Hints: []string{"match", "name"}},
	{Field: "envoy.config.route.v3.VirtualHost.virtual_clusters", Keys: []string{"name"}},
	{Field: "envoy.config.route.v3.VirtualHost.request_headers_to_add", Order: Keyed, Keys: []string{"header.key"}},
	{Field: "envoy.config.route.v3.VirtualHost.request_headers_to_remove", Order: Set},
	{Field: "envoy.config.route.v3.VirtualHost.response_headers_to_add", Order: Keyed, Keys: []string{"header.key"}},
	{Field: "envoy.config.route.v3.VirtualHost.response_headers_to_remove", Order: Set},
	{Field: "envoy.config.route.v3.RouteList.routes", Hints: []string{"match", "name"}},
	{Field: "envoy.config.route.v3.Route.request_headers_to_add", Order: Keyed, Keys: []string{"header.key"}},
	{Field: "envoy.config.route.v3.Route.request_headers_to_remove", Order: Set},
	{Field: "envoy.config.route.v3.Route.response_headers_to_add", Order: Keyed, Keys: []string{"header.key"}},
	{Field: "envoy.config.route.v3.Route.response_headers_to_remove", Order: Set},
	{Field: "envoy.config.route.v3.RouteMatch.headers", Order: Keyed, Keys: []string{"name"}},
	{Field: "envoy.config.route.v3.RouteMatch.query_parameters", Order: Keyed, Keys: []string{"name"}},
	{Field: "envoy.config.route.v3.RouteMatch.cookies", Order: Keyed, Keys: []string{"name"}},
	{Field: "envoy.config.route.v3.RouteMatch.dynamic_metadata", Order: Set},
	{Field: "envoy.config.route.v3.RouteMatch.filter_state", Order: Keyed, Keys: []string{"key"}},
	{Field: "envoy.config.route.v3.RouteAction.upgrade_configs", Order: Keyed, Keys: []string{"upgrade_type"}},
	{Field: "envoy.config.route.v3.RouteAction.request_mirror_policies", Order: Keyed, Keys: []string{"cluster"}},
	{Field: "envoy.config.route.v3.WeightedCluster.clusters", Order: Keyed, Keys: []string{"name"}},
	{Field: "envoy.config.route.v3.WeightedCluster.ClusterWeight.request_headers_to_add", Order: Keyed, Keys: []string{"header.key"}},
	{Field: "envoy.config.route.v3.WeightedCluster.ClusterWeight.request_headers_to_remove", Order: Set},
	{Field: "envoy.config.route.v3.WeightedCluster.ClusterWeight.response_headers_to_add", Order: Keyed, Keys: []string{"header.key"}},
	{Field: "envoy.config.route.v3.WeightedCluster.ClusterWeight.response_headers_to_remove", Order: Set},
	{Field: "envoy.config.route.v3.RetryPolicy.retriable_status_codes", Order: Set},
	{Field: "envoy.config.route.v3.RetryPolicy.retriable_headers", Order: Set},
	{Field: "envoy.config.route.v3.RetryPolicy.retriable_request_headers", Order: Set},
	{Field: "envoy.config.route.v3.CorsPolicy.allow_origin_string_match", Order: Set},
	{Field: "envoy.config.route.v3.InternalRedirectPolicy.redirect_response_codes", Order: Set},
	{Field: "envoy.config.route.v3.InternalRedirectPolicy.response_headers_to_copy", Order: Set},
	{Field: "envoy.config.route.v3.RateLimit.Action.HeaderValueMatch.headers", Order: Keyed, Keys: []string{"name"}},
	{Field: "envoy.config.route.v3.RateLimit.Action.QueryParameterValueMatch.query_parameters", Order: Keyed, Keys: []string{"name"}},
	{Field: "envoy.config.route.v3.Tracing.custom_tags", Order: Keyed, Keys: []string{"tag"}},

	// Clusters.
	{Field: "envoy.config.cluster.v3.Cluster.transport_socket_matches", Keys: []string{"name"}},
	{Field: "envoy.config.cluster.v3.Cluster.filters", Keys: []string{"name"}},
	{Field: "envoy.config.cluster.v3.Cluster.lrs_report_endpoint_metrics", Order: Set},
	{Field: "envoy.config.cluster.v3.CircuitBreakers.thresholds", Order: Keyed, Keys: []string{"priority"}},
	{Field: "envoy.config.cluster.v3.CircuitBreakers.per_host_thresholds", Order: Keyed, Keys: []string{"priority"}},
	{Field: "envoy.config.cluster.v3.Cluster.LbSubsetConfig.subset_selectors", Order: Keyed, Keys: []string{"keys"}},
	{Field: "envoy.config.cluster.v3.Cluster.LbSubsetConfig.LbSubsetSelector.keys", Order: Set},
	{Field: "envoy.config.cluster.v3.Cluster.LbSubsetConfig.LbSubsetSelector.fallback_keys_subset", Order: Set},
	{Field: "envoy.config.core.v3.HealthCheck.HttpHealthCheck.request_headers_to_add", Order: Keyed, Keys: []string{"header.key"}},
	{Field: "envoy.config.core.v3.HealthCheck.HttpHealthCheck.request_headers_to_remove", Order: Set},
	{Field: "envoy.config.core.v3.HealthCheck.HttpHealthCheck.expected_statuses", Order: Set},
	{Field: "envoy.config.core.v3.HealthCheck.HttpHealthCheck.retriable_statuses", Order: Set},
	{Field: "envoy.config.core.v3.HealthCheck.GrpcHealthCheck.initial_metadata", Order: Keyed, Keys: []string{"header.key"}},
	{Field: "envoy.config.core.v3.HealthStatusSet.statuses", Order: Set},

	// Endpoints.
	{Field: "envoy.config.endpoint.v3.ClusterLoadAssignment.endpoints", Order: Keyed, Keys: []string{"locality priority"}},
	{Field: "envoy.config.endpoint.v3.LocalityLbEndpoints.lb_endpoints", Order: Keyed, Keys: []string{"endpoint.address endpoint_name"}},
	{
		Field: "envoy.config.endpoint.v3.LocalityLbEndpoints.LbEndpointList.lb_endpoints", Order: Keyed,
		Keys: []string{"endpoint.address endpoint_name"},
	},
	{Field: "envoy.config.endpoint.v3.Endpoint.additional_addresses", Order: Keyed, Keys: []string{"address"}},
	{Field: "envoy.config.endpoint.v3.ClusterLoadAssignment.Policy.drop_overloads", Order: Keyed, Keys: []string{"category"}},

	// TLS. ALPN, cipher suites and curves are in order of preference and stay Ordered.
	{Field: tls + "CommonTlsContext.tls_certificate_sds_secret_configs", Order: Keyed, Keys: []string{"name"}},
	{Field: tls + "CertificateValidationContext.match_typed_subject_alt_names", Order: Set},
	{Field: tls + "CertificateValidationContext.match_subject_alt_names", Order: Set},
	{Field: tls + "CertificateValidationContext.verify_certificate_spki", Order: Set},
	{Field: tls + "CertificateValidationContext.verify_certificate_hash", Order: Set},
	{Field: tls + "SPIFFECertValidatorConfig.trust_domains", Order: Keyed, Keys: []string{"name"}},

	// Authorization: any or all of the elements must hold, whichever comes first.
	{Field: "envoy.config.rbac.v3.Policy.permissions", Order: Set},
	{Field: "envoy.config.rbac.v3.Policy.principals", Order: Set},
	{Field: "envoy.config.rbac.v3.Permission.Set.rules", Order: Set},
	{Field: "envoy.config.rbac.v3.Principal.Set.ids", Order: Set},
	{Field: "envoy.extensions.filters.http.cors.v3.CorsPolicy.allow_origin_string_match", Order: Set},
	{Field: "envoy.extensions.filters.http.fault.v3.HTTPFault.headers", Order: Keyed, Keys: []string{"name"}},
	{Field: "envoy.extensions.filters.http.fault.v3.HTTPFault.downstream_nodes", Order: Set},
	{Field: "envoy.extensions.filters.http.jwt_authn.v3.JwtProvider.audiences", Order: Set},
	{Field: "envoy.extensions.filters.http.jwt_authn.v3.JwtProvider.claim_to_headers", Order: Keyed, Keys: []string{"header_name"}},
	{Field: "envoy.extensions.filters.http.jwt_authn.v3.ProviderWithAudiences.audiences", Order: Set},

	// What is common to all.
	{Field: "envoy.config.core.v3.HeaderMap.headers", Order: Keyed, Keys: []string{"key"}},
	{Field: "envoy.config.core.v3.GrpcService.initial_metadata", Order: Keyed, Keys: []string{"key"}},
	{Field: "envoy.config.core.v3.ExtensionConfigSource.type_urls", Order: Set},
	{Field: "envoy.type.matcher.v3.ListStringMatcher.patterns", Order: Set},
	{Field: "envoy.type.matcher.v3.OrMatcher.value_matchers", Order: Set},
	{Field: "envoy.type.matcher.v3.AddressMatcher.ranges", Order: Set},

	// The bootstrap and the dump.
	{Field: "envoy.config.bootstrap.v3.Bootstrap.StaticResources.clusters", Order: Keyed, Keys: []string{"name"}},
	{Field: "envoy.config.bootstrap.v3.Bootstrap.StaticResources.listeners", Order: Keyed, Keys: []string{"name", "address"}},
	{Field: "envoy.config.bootstrap.v3.Bootstrap.StaticResources.secrets", Order: Keyed, Keys: []string{"name"}},
	{Field: "envoy.config.bootstrap.v3.Bootstrap.bootstrap_extensions", Order: Keyed, Keys: []string{"name"}},
	{Field: "envoy.config.bootstrap.v3.LayeredRuntime.layers", Keys: []string{"name"}},
	{Field: "envoy.config.core.v3.Node.extensions", Order: Keyed, Keys: []string{"category name"}},
	{Field: "envoy.config.core.v3.Node.client_features", Order: Set},
	{Field: "envoy.config.core.v3.Extension.type_urls", Order: Set},
	{Field: "envoy.admin.v3.ScopedRoutesConfigDump.InlineScopedRouteConfigs.scoped_route_configs", Order: Keyed, Keys: []string{"name"}},
	{Field: "envoy.admin.v3.ScopedRoutesConfigDump.DynamicScopedRouteConfigs.scoped_route_configs", Order: Keyed, Keys: []string{"name"}},
}

const (
	hcmPackage = "envoy.extensions.filters.network.http_connection_manager.v3."
	hcm        = hcmPackage + "HttpConnectionManager"
	tls        = "envoy.extensions.transport_sockets.tls.v3."
)

// A policy is a ListPolicy with its fields taken apart.
type policy struct {
	order Order
	keys  []key
	hints []key
}

// A key is the paths of the fields that make it.
type key [][]string

var policies = func() map[string]*policy {
	m := make(map[string]*policy, len(ListPolicies))
	for _, p := range ListPolicies {
		m[p.Field] = &policy{order: p.Order, keys: newKeys(p.Keys), hints: newKeys(p.Hints)}
	}
	return m
}()

// plain is the policy of a list that is in no table: elements that have a name are found by it.
var plain = &policy{hints: newKeys([]string{"name"})}

func newKeys(texts []string) []key {
	var keys []key
	for _, text := range texts {
		var k key
		for _, path := range strings.Fields(text) {
			k = append(k, strings.Split(path, "."))
		}
		keys = append(keys, k)
	}
	return keys
}

// policyOf gives the policy of a field's list; message is nil where nothing is known.
func policyOf(message, field string) *policy {
	if p := policies[message+"."+field]; p != nil {
		return p
	}
	return plain
}
