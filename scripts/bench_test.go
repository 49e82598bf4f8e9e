package scripts_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// BenchmarkRunbooks runs each runbook on one sidecar of 4,000 clusters with
// five live hosts each, reading the files included.
func BenchmarkRunbooks(b *testing.B) {
	dir := b.TempDir()
	config, live := large(4000)
	for file, text := range map[string]string{"config_dump.json": config, "clusters.json": live} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	for _, name := range []string{"certs", "endpoints", "references", "rejected", "versions", "stale"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				run(b, open(b, time.Time{}, dir), name)
			}
		})
	}
	b.Run("proxies", func(b *testing.B) {
		for b.Loop() {
			if _, err := open(b, time.Time{}, dir).Proxies(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// large makes the dump and the live clusters of a sidecar with n services, one
// of which has a host that is ejected and one no host.
func large(n int) (config, live string) {
	section := func(typ, list string, elems []string) string {
		return fmt.Sprintf(`{"@type": "type.googleapis.com/envoy.admin.v3.%s", "%s": [%s]}`, typ, list, strings.Join(elems, ",\n"))
	}
	var clusters, statuses, hosts []string
	for i := range n {
		name := fmt.Sprintf("outbound|80||service-%d.shop.svc.cluster.local", i)
		clusters = append(clusters, fmt.Sprintf(`{"version_info": "1", "last_updated": "2026-11-24T09:00:00Z", "cluster": {"@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", "name": "%s", "type": "EDS",
"eds_cluster_config": {"eds_config": {"ads": {}}, "service_name": "%[1]s"}, "connect_timeout": "10s", "circuit_breakers": {"thresholds": [{"max_connections": 4294967295}]},
"metadata": {"filter_metadata": {"istio": {"services": [{"host": "service-%[2]d.shop.svc.cluster.local", "name": "service-%[2]d", "namespace": "shop"}]}}},
"transport_socket_matches": [{"name": "tlsMode-istio", "match": {"tlsMode": "istio"}, "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", "sni": "x"}}}]}}`, name, i))
		var of []string
		for k := range 5 {
			health := `"eds_health_status": "HEALTHY"`
			if i == 1 && k == 0 {
				health += `, "failed_outlier_check": true`
			}
			if i != 2 {
				of = append(of, fmt.Sprintf(`{"address": {"socket_address": {"address": "10.%d.%d.%d", "port_value": 8080}}, "stats": [{"name": "cx_total"}, {"name": "rq_total"}], "health_status": {%s}, "weight": 1, "locality": {"region": "r", "zone": "z"}}`, i/250, i%250, k, health))
			}
		}
		statuses = append(statuses, fmt.Sprintf(`{"name": "%s", "added_via_api": true, "host_statuses": [%s]}`, name, strings.Join(of, ",")))
		hosts = append(hosts, fmt.Sprintf(`{"name": "service-%d.shop.svc.cluster.local:80", "domains": ["service-%[1]d.shop.svc.cluster.local", "service-%[1]d.shop"], "routes": [{"name": "default", "match": {"prefix": "/"}, "route": {"cluster": "%s", "timeout": "0s"}}]}`, i, name))
	}
	var listeners []string
	for i := range n / 2 {
		listeners = append(listeners, fmt.Sprintf(`{"name": "10.96.%d.%d_443", "active_state": {"version_info": "1", "last_updated": "2026-11-24T09:00:00Z", "listener": {"@type": "type.googleapis.com/envoy.config.listener.v3.Listener", "name": "10.96.%[1]d.%[2]d_443",
"address": {"socket_address": {"address": "10.96.%[1]d.%[2]d", "port_value": 443}}, "filter_chains": [{"filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "x", "cluster": "outbound|80||service-%[3]d.shop.svc.cluster.local"}}]}]}}}`, i/250, i%250, i))
	}
	table := fmt.Sprintf(`{"version_info": "1", "last_updated": "2026-11-24T09:00:00Z", "route_config": {"@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration", "name": "80", "virtual_hosts": [%s]}}`, strings.Join(hosts, ",\n"))
	config = `{"configs": [` + strings.Join([]string{
		section("ClustersConfigDump", "dynamic_active_clusters", clusters),
		section("ListenersConfigDump", "dynamic_listeners", listeners),
		section("RoutesConfigDump", "dynamic_route_configs", []string{table}),
		section("SecretsConfigDump", "dynamic_active_secrets", nil),
	}, ",\n") + `]}`
	return config, `{"cluster_statuses": [` + strings.Join(statuses, ",\n") + `]}`
}
