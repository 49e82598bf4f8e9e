package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// An Envoy is the proxy of a pod.
type Envoy struct {
	Pod
	Admin string // URL of its admin interface

	lab     *Lab
	process *process
	secrets *secretServer
}

// start writes the bootstrap and starts the Envoy; ready waits for it.
func (e *Envoy) start(ctx context.Context) error {
	dir := filepath.Join(e.lab.dir, e.Name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the folder of %s: %w", e.ID(), err)
	}
	var err error
	if e.secrets, err = serveSecrets(dir, &e.Pod, e.lab.authority); err != nil {
		return err
	}
	b, err := e.bootstrap(ctx)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "bootstrap.json"), text, 0o600); err != nil {
		return fmt.Errorf("write the bootstrap of %s: %w", e.ID(), err)
	}
	program := []string{
		e.lab.envoy, "--config-path", "bootstrap.json", "--disable-hot-restart", "--concurrency", "1", "--log-level", "warning",
		"--drain-time-s", "1", "--service-zone", "zone-1",
	}
	if e.lab.network != nil {
		e.process, err = e.lab.network.start(e.lab.spawner, &e.Pod, dir, append(program, "--file-flush-interval-msec", "20"))
		return err
	}
	e.process, err = e.lab.spawner.start(e.Name, dir, nil, program[0], program[1:]...)
	return err
}

// ready waits until the Envoy serves what istiod sent it and istiod knows.
func (e *Envoy) ready(ctx context.Context) error {
	err := poll(ctx, 2*time.Minute, "the Envoy of "+e.ID()+" to be ready", e.process, func() (bool, string) {
		status, body, err := get(ctx, e.lab.http, e.Admin+"/ready")
		if err != nil {
			return false, err.Error()
		}
		return status == http.StatusOK && strings.HasPrefix(string(body), "LIVE"), string(body)
	})
	if err != nil {
		return err
	}
	for _, kind := range []string{"CDS", "LDS"} {
		if err := e.lab.Istiod(e.Revision).WaitSync(ctx, e.ID(), kind, "SYNCED"); err != nil {
			return err
		}
	}
	return nil
}

func (e *Envoy) stop() error {
	var err error
	if e.process != nil {
		err = e.process.stop(0) // it has nothing to put in order
	}
	if e.secrets != nil {
		e.secrets.close()
	}
	return err
}

// PID is the number of its process.
func (e *Envoy) PID() int { return e.process.cmd.Process.Pid }

// Pause stops the Envoy where it is: it keeps its connections and answers nothing.
func (e *Envoy) Pause() error { return e.process.pause() }

// Resume lets it go on.
func (e *Envoy) Resume() error { return e.process.resume() }

// Get fetches a path of the admin interface.
func (e *Envoy) Get(ctx context.Context, path string) ([]byte, error) {
	status, body, err := get(ctx, e.lab.http, e.Admin+path)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("status %d: %s", status, body)
	}
	if err != nil {
		return nil, fmt.Errorf("get %s of %s: %w", path, e.ID(), err)
	}
	return body, nil
}

// bootstrap is what Istio's pilot-agent would write for this Envoy, with the addresses of the lab.
func (e *Envoy) bootstrap(ctx context.Context) (object, error) {
	app := e.Labels["service.istio.io/canonical-name"]
	labels := e.labels()
	meta := object{
		"PROXY_CONFIG": object{
			"binaryPath": "/usr/local/bin/envoy", "configPath": "./etc/istio/proxy", "serviceCluster": app + "." + e.Namespace,
			"proxyAdminPort": e.AdminPort, "discoveryAddress": e.lab.Istiod(e.Revision).Workload + ".istio-system.svc:15012",
		},
		"NAME": e.Name, "NAMESPACE": e.Namespace, "WORKLOAD_NAME": e.Workload, "SERVICE_ACCOUNT": e.Account, "NODE_NAME": "lab-node",
		"OWNER":         "kubernetes://apis/apps/v1/namespaces/" + e.Namespace + "/deployments/" + e.Workload,
		"ISTIO_VERSION": e.lab.programs.IstioVersion, "CLUSTER_ID": "Kubernetes", "MESH_ID": "cluster.local",
		"INSTANCE_IPS": e.IP, "LABELS": labels, "ENVOY_PROMETHEUS_PORT": 15090, "ENVOY_STATUS_PORT": 15021,
		"PILOT_SAN": []any{"istiod.istio-system.svc"},
	}
	if e.kind == "sidecar" {
		meta["INTERCEPTION_MODE"] = "REDIRECT"
		meta["APP_CONTAINERS"] = e.container.name
	}
	service := object{"envoy_grpc": object{"cluster_name": "xds-grpc"}}
	discovery := object{
		"name": "xds-grpc", "type": "STATIC", "connect_timeout": "1s",
		"load_assignment": loadAssignment("xds-grpc", socketAddress(e.lab.Istiod(e.Revision).GRPC)),
		"typed_extension_protocol_options": object{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": object{
			"@type":                "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
			"explicit_http_config": object{"http2_protocol_options": object{}},
		}},
	}
	if e.secure {
		token, err := e.lab.cluster.token(ctx, e.Namespace, e.Account)
		if err != nil {
			return nil, err
		}
		service["initial_metadata"] = []any{object{"key": "authorization", "value": "Bearer " + token}}
		discovery["load_assignment"] = loadAssignment("xds-grpc", socketAddress(e.lab.Istiod(e.Revision).Secure))
		discovery["transport_socket"] = object{"name": "envoy.transport_sockets.tls", "typed_config": object{
			"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", "sni": "istiod.istio-system.svc",
			"common_tls_context": object{"alpn_protocols": []any{"h2"}},
		}}
	}
	ads := object{"ads": object{}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
	admin := object{"socket_address": object{"address": e.Address, "port_value": e.AdminPort}}
	return object{
		"application_log_config": object{"log_format": object{"text_format": "%Y-%m-%dT%T.%fZ\t%l\tenvoy %n %g:%#\t%v"}},
		"node": object{
			"id":      fmt.Sprintf("%s~%s~%s~%s.svc.cluster.local", e.kind, e.IP, e.ID(), e.Namespace),
			"cluster": app + "." + e.Namespace, "locality": object{"region": "region-a", "zone": "zone-1"}, "metadata": meta,
		},
		"layered_runtime": object{"layers": []any{
			object{"name": "global config", "static_layer": object{"overload.global_downstream_max_connections": "2147483647", "re2.max_program_size.error_level": "32768"}},
			object{"name": "admin", "admin_layer": object{}},
		}},
		"bootstrap_extensions": []any{object{"name": "envoy.bootstrap.internal_listener", "typed_config": object{
			"@type": "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener",
		}}},
		"admin": object{"address": admin},
		"dynamic_resources": object{
			"lds_config": ads, "cds_config": ads,
			"ads_config": object{
				"api_type": "DELTA_GRPC", "transport_api_version": "V3", "set_node_on_first_message_only": true, "grpc_services": []any{service},
			},
		},
		"static_resources": object{
			"clusters": []any{
				object{"name": "prometheus_stats", "type": "STATIC", "connect_timeout": "0.250s", "load_assignment": loadAssignment("prometheus_stats", admin)},
				object{"name": "agent", "type": "STATIC", "connect_timeout": "0.250s", "load_assignment": loadAssignment("agent", socketAddress(e.Address+":15020"))},
				object{
					"name": "sds-grpc", "type": "STATIC", "connect_timeout": "1s",
					"load_assignment":                  loadAssignment("sds-grpc", object{"pipe": object{"path": "./" + workloadSocket}}),
					"typed_extension_protocol_options": discovery["typed_extension_protocol_options"],
				},
				discovery,
			},
			"listeners": []any{
				statusListener(e.Address, 15090, "stats", "/stats/prometheus", "prometheus_stats"),
				statusListener(e.Address, 15021, "agent", "/healthz/ready", "agent"),
			},
		},
	}, nil
}

// statusListener forwards one path to a cluster of the bootstrap. In a cluster it is bound to all addresses of the pod.
func statusListener(address string, port int, prefix, path, cluster string) object {
	return object{
		"name":    "0.0.0.0_" + strconv.Itoa(port),
		"address": socketAddress(net.JoinHostPort(address, strconv.Itoa(port))),
		"filter_chains": []any{object{"filters": []any{object{
			"name": "envoy.filters.network.http_connection_manager",
			"typed_config": object{
				"@type":       "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
				"codec_type":  "AUTO",
				"stat_prefix": prefix,
				"route_config": object{"virtual_hosts": []any{object{"name": "backend", "domains": []any{"*"}, "routes": []any{
					object{"match": object{"prefix": path}, "route": object{"cluster": cluster}},
				}}}},
				"http_filters": []any{object{"name": "envoy.filters.http.router", "typed_config": object{
					"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
				}}},
			},
		}}}},
	}
}

func loadAssignment(cluster string, address object) object {
	return object{"cluster_name": cluster, "endpoints": []any{object{"lb_endpoints": []any{object{"endpoint": object{"address": address}}}}}}
}

func socketAddress(hostport string) object {
	host, port, _ := net.SplitHostPort(hostport)
	n, _ := strconv.Atoi(port)
	return object{"socket_address": object{"address": host, "port_value": n}}
}
