//go:build unix

package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
)

// services is how many services the generated mesh has. A sidecar that sees them all has two clusters, one TCP listener, one virtual
// host and two load assignments for each: with 2,000 its dump has about the 32.6 MB that a real istiod's has for that many.
const services = 2000

// writeDump writes a config dump shaped as Envoy prints what istiod sends a sidecar, as pretty printed JSON.
func writeDump(w io.Writer) error {
	b := bufio.NewWriterSize(w, 1<<20)
	p := &printer{w: b}
	p.open("{")
	p.key("configs")
	p.open("[")
	section := func(name string, body func()) {
		p.open("{")
		p.field("@type", "type.googleapis.com/envoy.admin.v3."+name)
		body()
		p.close("}")
	}
	section("ClustersConfigDump", func() {
		p.field("version_info", version)
		p.key("dynamic_active_clusters")
		p.open("[")
		for i := range services {
			for _, port := range ports(i) {
				p.cluster(host(i), port)
			}
		}
		p.close("]")
	})
	section("ListenersConfigDump", func() {
		p.field("version_info", version)
		p.key("dynamic_listeners")
		p.open("[")
		p.outbound()
		for i := range services {
			p.listener(host(i), vip(i), ports(i)[1])
		}
		p.close("]")
	})
	section("RoutesConfigDump", func() {
		p.key("dynamic_route_configs")
		p.open("[")
		p.routes()
		p.close("]")
	})
	section("EndpointsConfigDump", func() {
		p.key("dynamic_endpoint_configs")
		p.open("[")
		for i := range services {
			for _, port := range ports(i) {
				p.loadAssignment(host(i), i, port)
			}
		}
		p.close("]")
	})
	p.close("]")
	p.close("}")
	b.WriteByte('\n')
	return b.Flush()
}

const (
	version = "2026-11-22T13:02:32Z/9"
	updated = "2026-11-22T13:02:48.015619214Z"
)

func host(i int) string                  { return fmt.Sprintf("svc%04d.ns%d.svc.cluster.local", i, i%20) }
func vip(i int) string                   { return fmt.Sprintf("10.96.%d.%d", 100+i/250, i%250+1) }
func ports(i int) [2]int                 { return [2]int{8080, 9000 + i%10} }
func outbound(h string, port int) string { return fmt.Sprintf("outbound|%d||%s", port, h) }

// A printer writes pretty printed JSON, an indentation of one blank a level.
type printer struct {
	w     *bufio.Writer
	depth int
	fresh bool // nothing was written at this level yet
	after bool // a key was written, its value comes next
}

func (p *printer) next() {
	if p.after {
		p.after = false
		return
	}
	if p.depth > 0 {
		if !p.fresh {
			p.w.WriteByte(',')
		}
		p.w.WriteByte('\n')
		p.w.WriteString(blanks[:p.depth])
	}
	p.fresh = false
}

var blanks = strings.Repeat(" ", 64)

func (p *printer) open(bracket string) {
	p.next()
	p.w.WriteString(bracket)
	p.depth++
	p.fresh = true
}

func (p *printer) close(bracket string) {
	p.depth--
	if !p.fresh {
		p.w.WriteByte('\n')
		p.w.WriteString(blanks[:p.depth])
	}
	p.w.WriteString(bracket)
	p.fresh = false
}

func (p *printer) key(name string) {
	p.next()
	fmt.Fprintf(p.w, "%q:  ", name)
	p.after = true
}

func (p *printer) field(name string, value any) {
	p.key(name)
	p.after = false
	if s, ok := value.(string); ok {
		fmt.Fprintf(p.w, "%q", s)
		return
	}
	fmt.Fprint(p.w, value)
}

// text writes a string of a list.
func (p *printer) text(s string) {
	p.next()
	fmt.Fprintf(p.w, "%q", s)
}

// object writes the members of name as an object, given as alternating names and values; a value may be a func that writes one.
func (p *printer) object(name string, members ...any) {
	if name != "" {
		p.key(name)
	}
	p.open("{")
	p.members(members...)
	p.close("}")
}

func (p *printer) members(members ...any) {
	for i := 0; i < len(members); i += 2 {
		name := members[i].(string)
		if write, ok := members[i+1].(func()); ok {
			p.key(name)
			write()
			continue
		}
		p.field(name, members[i+1])
	}
}

func (p *printer) list(elems ...func()) func() {
	return func() {
		p.open("[")
		for _, e := range elems {
			e()
		}
		p.close("]")
	}
}

func (p *printer) obj(members ...any) func() { return func() { p.object("", members...) } }

func (p *printer) sds(secret string) func() {
	return p.obj("name", secret, "sds_config", p.obj(
		"api_config_source", p.obj(
			"api_type", "GRPC", "transport_api_version", "V3",
			"grpc_services", p.list(p.obj("envoy_grpc", p.obj("cluster_name", "sds-grpc"))),
			"set_node_on_first_message_only", true),
		"initial_fetch_timeout", "0s", "resource_api_version", "V3"))
}

func (p *printer) cluster(h string, port int) {
	name := outbound(h, port)
	short, namespace, _ := strings.Cut(strings.TrimSuffix(h, ".svc.cluster.local"), ".")
	tls := p.obj(
		"@type", "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
		"common_tls_context", p.obj(
			"tls_params", p.obj("tls_minimum_protocol_version", "TLSv1_2", "tls_maximum_protocol_version", "TLSv1_3"),
			"tls_certificate_sds_secret_configs", p.list(p.sds("default")),
			"combined_validation_context", p.obj(
				"default_validation_context", p.obj("match_typed_subject_alt_names", p.list(p.obj(
					"san_type", "URI", "matcher", p.obj("exact", "spiffe://cluster.local/ns/"+namespace+"/sa/"+short)))),
				"validation_context_sds_secret_config", p.sds("ROOTCA")),
			"alpn_protocols", p.texts("istio-peer-exchange", "istio")),
		"sni", fmt.Sprintf("outbound_.%d_._.%s", port, h))
	p.object("",
		"version_info", version,
		"cluster", p.obj(
			"@type", "type.googleapis.com/envoy.config.cluster.v3.Cluster",
			"transport_socket_matches", p.list(
				p.obj("name", "tlsMode-istio", "match", p.obj("tlsMode", "istio"),
					"transport_socket", p.obj("name", "envoy.transport_sockets.tls", "typed_config", tls)),
				p.obj("name", "tlsMode-disabled", "match", p.obj(),
					"transport_socket", p.obj("name", "envoy.transport_sockets.raw_buffer", "typed_config", p.obj(
						"@type", "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer")))),
			"name", name,
			"alt_stat_name", name+";",
			"type", "EDS",
			"eds_cluster_config", p.obj(
				"eds_config", p.obj("ads", p.obj(), "initial_fetch_timeout", "0s", "resource_api_version", "V3"),
				"service_name", name),
			"connect_timeout", "10s",
			"lb_policy", "LEAST_REQUEST",
			"circuit_breakers", p.obj("thresholds", p.list(p.obj(
				"max_connections", 4294967295, "max_pending_requests", 4294967295, "max_requests", 4294967295, "max_retries", 4294967295,
				"track_remaining", true))),
			"common_lb_config", p.obj("healthy_panic_threshold", p.obj()),
			"metadata", p.obj("filter_metadata", p.obj("istio", p.obj("services", p.list(p.obj("host", h, "name", short, "namespace", namespace))))),
			"filters", p.list(p.obj("name", "istio.metadata_exchange", "typed_config", p.obj(
				"@type", "type.googleapis.com/udpa.type.v1.TypedStruct",
				"type_url", "type.googleapis.com/envoy.tcp.metadataexchange.config.MetadataExchange",
				"value", p.obj("enable_discovery", true, "protocol", "istio-peer-exchange"))))),
		"last_updated", updated)
}

func (p *printer) listener(h, ip string, port int) {
	p.active(fmt.Sprintf("%s_%d", ip, port), ip, port,
		"filter_chains", p.list(p.obj(
			"filters", p.list(p.obj("name", "envoy.filters.network.tcp_proxy", "typed_config", p.obj(
				"@type", "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
				"stat_prefix", outbound(h, port), "cluster", outbound(h, port)))),
			"transport_socket_connect_timeout", "15s")),
		"listener_filters_timeout", "0s",
		"continue_on_listener_filters_timeout", true,
		"traffic_direction", "OUTBOUND",
		"bind_to_port", false)
}

func (p *printer) routes() {
	var hosts []func()
	for i := range services {
		h := host(i)
		short := strings.TrimSuffix(h, ".svc.cluster.local")
		hosts = append(hosts, p.obj(
			"name", h+":8080",
			"domains", p.texts(h, h+".", short, short+".svc", vip(i)),
			"routes", p.list(p.obj(
				"name", "default",
				"match", p.obj("prefix", "/"),
				"route", p.obj(
					"cluster", outbound(h, 8080), "timeout", "0s",
					"retry_policy", p.obj(
						"retry_on", "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes", "num_retries", 2,
						"retry_host_predicate", p.list(p.obj("name", "envoy.retry_host_predicates.previous_hosts", "typed_config", p.obj(
							"@type", "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"))),
						"host_selection_retry_max_attempts", "5"),
					"max_grpc_timeout", "0s"),
				"decorator", p.obj("operation", h+":8080/*"))),
			"include_request_attempt_count", true))
	}
	p.object("",
		"version_info", version,
		"route_config", p.obj(
			"@type", "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
			"name", "8080",
			"virtual_hosts", p.list(hosts...),
			"validate_clusters", false,
			"max_direct_response_body_size_bytes", 1048576,
			"ignore_port_in_host_matching", true),
		"last_updated", updated)
}

func (p *printer) loadAssignment(h string, i, port int) {
	var hosts []func()
	for n := range 5 {
		hosts = append(hosts, p.obj(
			"endpoint", p.obj("address", p.obj("socket_address", p.obj("address", fmt.Sprintf("10.%d.%d.%d", 200+n, i/250, i%250+1), "port_value", port))),
			"health_status", "HEALTHY",
			"metadata", p.obj("filter_metadata", p.obj("istio", p.obj("workload", ";;;;Kubernetes"))),
			"load_balancing_weight", 1))
	}
	p.object("",
		"version_info", version,
		"endpoint_config", p.obj(
			"@type", "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
			"cluster_name", outbound(h, port),
			"endpoints", p.list(p.obj("locality", p.obj(), "lb_endpoints", p.list(hosts...), "load_balancing_weight", 5))),
		"last_updated", updated)
}

// generated writes the dump to a file of the folder.
func generated(dir string) (string, error) {
	f, err := os.CreateTemp(dir, "generated-*.json")
	if err != nil {
		return "", err
	}
	if err := writeDump(f); err != nil {
		return "", err
	}
	return f.Name(), f.Close()
}
