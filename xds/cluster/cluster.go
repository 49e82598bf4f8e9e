// Package cluster reads Envoy clusters: what istioctl shows of one, how connections leave for it, its limits and its static
// endpoints.
//
// A view is cheap: it holds the JSON text and looks fields up when they are asked for. A body of another shape gives empty
// fields. For tables of many clusters use [Cluster.Summary], which reads all columns in one pass.
package cluster

import (
	"slices"
	"strconv"
	"strings"

	"github.com/meshlark/meshlark/xds/endpoint"
	"github.com/meshlark/meshlark/xds/extension"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// A Cluster is one envoy.config.cluster.v3.Cluster.
type Cluster struct {
	body    rawjson.Fields
	sockets []Socket // nil when they are looked up in the body
}

// New views v as a Cluster.
func New(v rawjson.Value) Cluster { return Cluster{body: rawjson.NewFields(v)} }

// Index gives the same view with its fields found and its sockets read beforehand, which pays for a cluster that is kept.
func (c Cluster) Index() Cluster {
	c.body = c.body.Index(2)
	c.sockets = c.Sockets()
	for i := range c.sockets {
		c.sockets[i].mode = c.sockets[i].Mode()
	}
	return c
}

// Fields are those of the cluster, for looking up what the view has no method for.
func (c Cluster) Fields() rawjson.Fields { return c.body }

// Body is the JSON the view reads.
func (c Cluster) Body() rawjson.Value { return c.body.Value() }

// Config is the reference in metadata istio.config to what shaped the cluster; see [Summary.Config].
func (c Cluster) Config() string { return c.body.Str("metadata", "filter_metadata", "istio", "config") }

// Name is the cluster's name.
func (c Cluster) Name() string { return c.body.Str("name") }

// Type is how the cluster finds its endpoints; see [Summary.Type].
func (c Cluster) Type() string {
	return discoveryType(c.body.Get("type"), c.body.Get("cluster_type"))
}

func discoveryType(kind, custom rawjson.Value) string {
	if custom.Exists() {
		ext := extension.New(custom)
		if ext.Name != "" {
			return ext.Name
		}
		return ext.Type
	}
	// Nearly every cluster of a mesh; a table of thousands need not make the text anew each time.
	if string(kind) == `"EDS"` {
		return "EDS"
	}
	return enum(kind, "STATIC", "STRICT_DNS", "LOGICAL_DNS", "EDS", "ORIGINAL_DST")
}

// enum gives an enumeration's name; the first is that of zero, which JSON leaves out. A number, as protobuf's JSON may have it,
// is named too.
func enum(v rawjson.Value, names ...string) string {
	text := v.Text()
	if text == "" {
		return names[0]
	}
	if n, err := strconv.Atoi(text); err == nil && 0 <= n && n < len(names) && names[n] != "" {
		return names[n]
	}
	return text
}

// EDSService is the name the cluster's endpoints are found by in EDS and in the endpoint section of a dump: its EDS service
// name, or its own name. Several clusters may share one.
func (c Cluster) EDSService() string {
	if name := c.body.Str("eds_cluster_config", "service_name"); name != "" {
		return name
	}
	return c.Name()
}

// A Service is one an Istio cluster stands for.
type Service struct {
	Host      string
	Name      string
	Namespace string
}

// Services are those metadata istio.services names; inbound clusters may stand for several.
func (c Cluster) Services() []Service {
	var out []Service
	for v := range c.body.Get("metadata", "filter_metadata", "istio", "services").Elems() {
		out = append(out, Service{v.Str("host"), v.Str("name"), v.Str("namespace")})
	}
	return out
}

// Aggregated are the clusters an aggregate cluster draws from, those to be preferred first; nil for any other type.
func (c Cluster) Aggregated() []string {
	custom := extension.New(c.body.Get("cluster_type"))
	if custom.Name != "envoy.clusters.aggregate" && !strings.HasPrefix(custom.Type, "envoy.extensions.clusters.aggregate.") {
		return nil
	}
	var out []string
	for v := range custom.Value.Get("clusters").Elems() {
		out = append(out, v.Text())
	}
	return out
}

// Internal are the internal listeners of the same Envoy that the endpoints written into the cluster lead to.
func (c Cluster) Internal() []string {
	var out []string
	assignment, _ := c.Assignment()
	for _, e := range assignment.Endpoints() {
		if name := e.Address().Listener; name != "" && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// Assignment is the endpoints written into the cluster itself (STATIC and DNS types).
func (c Cluster) Assignment() (a endpoint.Assignment, ok bool) {
	v := c.body.Get("load_assignment")
	return endpoint.New(v), v.Exists()
}

// ConnectTimeout is the time a connection may take to be made, as text and in seconds; 5s unless set.
func (c Cluster) ConnectTimeout() (text string, seconds float64) {
	if text = c.body.Str("connect_timeout"); text == "" {
		return "5s", 5
	}
	seconds, _ = strconv.ParseFloat(strings.TrimSuffix(text, "s"), 64)
	return text, seconds
}

// LbPolicy is how a host is picked: ROUND_ROBIN, LEAST_REQUEST, RING_HASH, RANDOM, MAGLEV, CLUSTER_PROVIDED, or the name of the first
// extension policy when the cluster lists some (then lb_policy has no effect).
func (c Cluster) LbPolicy() string {
	for p := range c.body.Get("load_balancing_policy", "policies").Elems() {
		ext := extension.New(p.Get("typed_extension_config"))
		if ext.Name != "" {
			return ext.Name
		}
		return ext.Type
	}
	return enum(c.body.Get("lb_policy"), "ROUND_ROBIN", "LEAST_REQUEST", "RING_HASH", "RANDOM", "", "MAGLEV",
		"CLUSTER_PROVIDED", "LOAD_BALANCING_POLICY_CONFIG")
}

// PanicThreshold is below which percentage of healthy hosts Envoy uses all of them; 50 unless set.
func (c Cluster) PanicThreshold() float64 {
	v := c.body.Get("common_lb_config", "healthy_panic_threshold")
	if !v.Exists() {
		return 50
	}
	percent, _ := v.Get("value").Float()
	return percent
}

// OutlierDetection is the settings by which hosts are ejected; absent when none are.
func (c Cluster) OutlierDetection() rawjson.Value { return c.body.Get("outlier_detection") }

// HealthChecks are the active health checks.
func (c Cluster) HealthChecks() []rawjson.Value {
	return slices.Collect(c.body.Get("health_checks").Elems())
}

// HTTPOptions is the cluster's HttpProtocolOptions, absent when it has none.
func (c Cluster) HTTPOptions() rawjson.Value {
	return c.body.Get("typed_extension_protocol_options", "envoy.extensions.upstreams.http.v3.HttpProtocolOptions")
}

// HTTPProtocol is the protocol HTTP requests are sent with: http/1.1, http/2, http/3, "auto" (by ALPN) or "downstream" (that of
// the request). Whether requests or plain connections are sent is not the cluster's to say.
func (c Cluster) HTTPProtocol() string {
	options := c.HTTPOptions()
	explicit := options.Get("explicit_http_config")
	switch {
	case options.Get("auto_config").Exists():
		return "auto"
	case options.Get("use_downstream_protocol_config").Exists():
		return "downstream"
	case explicit.Get("http3_protocol_options").Exists():
		return "http/3"
	case explicit.Get("http2_protocol_options").Exists(),
		!options.Exists() && c.body.Get("http2_protocol_options").Exists():
		return "http/2"
	}
	return "http/1.1"
}

// A Threshold is the circuit breaker of one priority. Limits are per proxy.
type Threshold struct {
	Priority           string // DEFAULT or HIGH
	Set                bool   // whether the cluster has it; otherwise all is Envoy's default
	MaxConnections     uint32 // 1024 unless set
	MaxPendingRequests uint32 // 1024 unless set
	MaxRequests        uint32 // 1024 unless set
	MaxRetries         uint32 // 3 unless set; has no effect where RetryBudget exists
	MaxPools           uint32 // connection pools; 4294967295, that is none, unless set
	MaxPerHost         uint32 // connections to one host; 4294967295 unless set
	TrackRemaining     bool
	RetryBudget        rawjson.Value
}

// CircuitBreakers are the limits of both priorities, DEFAULT and HIGH. Where a cluster repeats a priority Envoy takes the
// first.
func (c Cluster) CircuitBreakers() [2]Threshold {
	const unlimited = 1<<32 - 1
	breakers := c.body.Get("circuit_breakers")
	var out [2]Threshold
	for i, priority := range [...]string{"DEFAULT", "HIGH"} {
		v := byPriority(breakers.Get("thresholds"), priority)
		out[i] = Threshold{
			Priority:           priority,
			Set:                v.Exists(),
			MaxConnections:     limit(v, "max_connections", 1024),
			MaxPendingRequests: limit(v, "max_pending_requests", 1024),
			MaxRequests:        limit(v, "max_requests", 1024),
			MaxRetries:         limit(v, "max_retries", 3),
			MaxPools:           limit(v, "max_connection_pools", unlimited),
			MaxPerHost:         limit(byPriority(breakers.Get("per_host_thresholds"), priority), "max_connections", unlimited),
			TrackRemaining:     v.Get("track_remaining").IsTrue(),
			RetryBudget:        v.Get("retry_budget"),
		}
	}
	return out
}

func byPriority(thresholds rawjson.Value, priority string) rawjson.Value {
	for v := range thresholds.Elems() {
		if enum(v.Get("priority"), "DEFAULT", "HIGH") == priority {
			return v
		}
	}
	return nil
}

func limit(v rawjson.Value, field string, unset uint32) uint32 {
	if n, ok := v.Get(field).Uint(); ok {
		return uint32(min(n, 1<<32-1))
	}
	return unset
}
