//go:build unix

package main

// outbound are the listeners HTTP requests pass on their way out of a sidecar: the one connections are redirected to, and the one of the services' HTTP port
// on any address, with the filters of an Istio that has no policies.
func (p *printer) outbound() {
	p.active("virtualOutbound", "0.0.0.0", 15001,
		"filter_chains", p.list(
			p.obj("filter_chain_match", p.obj("destination_port", 15001), "filters", p.list(p.tcpProxy("BlackHoleCluster")), "name", "virtualOutbound-blackhole"),
			p.obj("filters", p.list(p.tcpProxy("PassthroughCluster")), "name", "virtualOutbound-catchall-tcp")),
		"use_original_dst", true,
		"traffic_direction", "OUTBOUND",
		"max_connections_to_accept_per_socket_event", 1)
	const filters = "type.googleapis.com/envoy.extensions.filters.http."
	filter := func(name string, config ...any) func() { return p.obj("name", name, "typed_config", p.obj(config...)) }
	p.active("0.0.0.0_8080", "0.0.0.0", 8080,
		"filter_chains", p.list(p.obj(
			"filter_chain_match", p.obj("transport_protocol", "raw_buffer", "application_protocols", p.texts("http/1.1", "h2c")),
			"filters", p.list(p.obj("name", "envoy.filters.network.http_connection_manager", "typed_config", p.obj(
				"@type", "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
				"stat_prefix", "outbound_0.0.0.0_8080;",
				"rds", p.obj("config_source", p.obj("ads", p.obj(), "initial_fetch_timeout", "0s", "resource_api_version", "V3"), "route_config_name", "8080"),
				"http_filters", p.list(
					filter("istio.metadata_exchange", "@type", "type.googleapis.com/udpa.type.v1.TypedStruct",
						"type_url", "type.googleapis.com/io.istio.http.peer_metadata.Config",
						"value", p.obj("upstream_discovery", p.list(p.obj("istio_headers", p.obj()), p.obj("workload_discovery", p.obj())))),
					filter("envoy.filters.http.grpc_stats", "@type", filters+"grpc_stats.v3.FilterConfig", "emit_filter_state", true, "stats_for_all_methods", false),
					filter("istio.alpn", "@type", "type.googleapis.com/istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig", "alpn_override", p.list(
						p.obj("upstream_protocol", "HTTP11", "alpn_override", p.texts("istio-http/1.1", "istio", "http/1.1")))),
					filter("envoy.filters.http.fault", "@type", filters+"fault.v3.HTTPFault"),
					filter("envoy.filters.http.cors", "@type", filters+"cors.v3.Cors"),
					filter("envoy.filters.http.router", "@type", filters+"router.v3.Router")),
				"stream_idle_timeout", "0s", "use_remote_address", false, "normalize_path", true,
				"upgrade_configs", p.list(p.obj("upgrade_type", "websocket"))))))),
		"default_filter_chain", p.obj("filters", p.list(p.tcpProxy("PassthroughCluster")), "name", "PassthroughFilterChain"),
		"listener_filters", p.list(p.obj("name", "envoy.filters.listener.http_inspector", "typed_config", p.obj(
			"@type", "type.googleapis.com/envoy.extensions.filters.listener.http_inspector.v3.HttpInspector"))),
		"listener_filters_timeout", "0s",
		"continue_on_listener_filters_timeout", true,
		"traffic_direction", "OUTBOUND",
		"bind_to_port", false)
}

// active is a listener that is in use, with members beside its name and address.
func (p *printer) active(name, ip string, port int, members ...any) {
	p.object("",
		"name", name,
		"active_state", p.obj(
			"version_info", version,
			"listener", p.obj(append([]any{
				"@type", "type.googleapis.com/envoy.config.listener.v3.Listener",
				"name", name,
				"address", p.obj("socket_address", p.obj("address", ip, "port_value", port)),
			}, members...)...),
			"last_updated", updated))
}

func (p *printer) tcpProxy(cluster string) func() {
	return p.obj("name", "envoy.filters.network.tcp_proxy", "typed_config", p.obj(
		"@type", "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix", cluster, "cluster", cluster))
}

// texts is a list of strings.
func (p *printer) texts(texts ...string) func() {
	return func() {
		p.open("[")
		for _, text := range texts {
			p.text(text)
		}
		p.close("]")
	}
}
