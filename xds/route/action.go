package route

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"github.com/meshlark/meshlark/xds/extension"
	"github.com/meshlark/meshlark/xds/naming"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// A Route is one entry of a virtual host: what it matches and what becomes of the request.
type Route struct {
	body    rawjson.Fields
	mirrors rawjson.Value // of its virtual host, else of its table
	retry   rawjson.Value // of its virtual host
}

// NewRoute views v as a Route on its own.
func NewRoute(v rawjson.Value) Route { return Route{body: rawjson.NewFields(v)} }

// Index gives the same view with its fields found beforehand, which pays for a route that is kept.
func (r Route) Index() Route {
	r.body = r.body.Index(2)
	return r
}

// Fields are those of the route, for looking up what the view has no method for.
func (r Route) Fields() rawjson.Fields { return r.body }

// Body is the JSON the view reads.
func (r Route) Body() rawjson.Value { return r.body.Value() }

// Name is the route's name, often "".
func (r Route) Name() string { return r.body.Str("name") }

// Config is the reference in metadata istio.config to the object the route was made from; take it apart with
// naming.ConfigRef.
func (r Route) Config() string { return r.body.Str("metadata", "filter_metadata", "istio", "config") }

// VirtualService is Config as istioctl prints it: name.namespace, "<unknown>" or "". Routes made from an HTTPRoute have a
// generated name.
func (r Route) VirtualService() string { return naming.Cell(r.Config()) }

// FilterNames are the HTTP filters, by name, that have settings for this route.
func (r Route) FilterNames() []string { return memberNames(r.body.Get("typed_per_filter_config")) }

// What becomes of a request, see Route.Action.
const (
	ToCluster          = "cluster"                  // the cluster the route names
	ToWeightedClusters = "weighted_clusters"        // one of several, by weight
	ToClusterHeader    = "cluster_header"           // the cluster a request header names
	ToClusterPlugin    = "cluster_specifier_plugin" // the cluster an extension names
	Redirects          = "redirect"
	DirectResponse     = "direct_response"
	FilterAction       = "filter_action"         // left to a filter
	NonForwarding      = "non_forwarding_action" // for gRPC servers; an Envoy has no cluster for it
)

// Action is one of the constants above, or "" for a route without an action.
func (r Route) Action() string {
	if action := r.body.Under("route"); action.Value().Exists() {
		for _, kind := range [...]string{ToCluster, ToWeightedClusters, ToClusterHeader, ToClusterPlugin} {
			if action.Get(kind).Exists() {
				return kind
			}
		}
		if action.Get("inline_cluster_specifier_plugin").Exists() {
			return ToClusterPlugin
		}
		return ""
	}
	for _, kind := range [...]string{Redirects, DirectResponse, FilterAction, NonForwarding} {
		if r.body.Get(kind).Exists() {
			return kind
		}
	}
	return ""
}

func (r Route) action(path ...string) rawjson.Value { return r.body.Under("route").Get(path...) }

// Cluster is the cluster of a route that names just one, else "".
func (r Route) Cluster() string { return r.action(ToCluster).Text() }

// ClusterHeader is the request header that names the cluster, "" where none does.
func (r Route) ClusterHeader() string { return r.action(ToClusterHeader).Text() }

// ClusterPlugin is the name of the extension that names the cluster, "" where none does.
func (r Route) ClusterPlugin() string {
	if name := r.action(ToClusterPlugin).Text(); name != "" {
		return name
	}
	return r.InlineClusterPlugin().Name
}

// InlineClusterPlugin is the extension that names the cluster where the route itself has it, rather than the name of one that its table has.
func (r Route) InlineClusterPlugin() extension.Config {
	return extension.New(r.action("inline_cluster_specifier_plugin", "extension"))
}

// A WeightedCluster is one of the clusters a route spreads requests over.
type WeightedCluster struct {
	Name   string
	Header string // request header that names the cluster, in place of Name
	Weight uint32
	Share  float64 // 0 to 1: the weight over the sum of all weights
}

// Percent is the share as a percentage with at most two decimals.
func (w WeightedCluster) Percent() string { return percentText(w.Share * 100) }

func percentText(percent float64) string {
	text := strconv.FormatFloat(percent, 'f', 2, 64)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".") + "%"
}

// WeightedClusters are the clusters of a route that spreads requests, in order; nil for any other. Shares go by the sum of the
// weights, as in Envoy, which no longer looks at total_weight.
func (r Route) WeightedClusters() []WeightedCluster {
	var out []WeightedCluster
	var sum uint64
	for v := range r.action(ToWeightedClusters, "clusters").Elems() {
		n, _ := v.Get("weight").Uint()
		n = min(n, 1<<32-1)
		sum += n
		out = append(out, WeightedCluster{Name: v.Str("name"), Header: v.Str("cluster_header"), Weight: uint32(n)})
	}
	for i := range out {
		if sum > 0 {
			out[i].Share = float64(out[i].Weight) / float64(sum)
		}
	}
	return out
}

// Clusters are the clusters the route names, each once, in order: where requests go, then where copies of them go.
func (r Route) Clusters() []string {
	var out []string
	add := func(name string) {
		if name != "" && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	add(r.Cluster())
	for _, w := range r.WeightedClusters() {
		add(w.Name)
	}
	for _, m := range r.Mirrors() {
		add(m.Cluster)
	}
	return out
}

// A Mirror is where copies of requests are sent.
type Mirror struct {
	Cluster string
	Header  string  // request header that names the cluster, in place of Cluster
	Percent float64 // of requests, 0 to 100; unless runtime says otherwise
	// Fraction is the RuntimeFractionalPercent that Percent comes from, none for all requests.
	Fraction rawjson.Value
}

// Mirrors are where copies of the route's requests go: by the route itself, else by its virtual host, else by its table. Settings of
// these levels are not merged.
func (r Route) Mirrors() []Mirror {
	if !r.body.Get("route").Exists() {
		return nil
	}
	list := r.action("request_mirror_policies")
	if list.Len() == 0 {
		list = r.mirrors
	}
	var out []Mirror
	for v := range list.Elems() {
		m := Mirror{Cluster: v.Str("cluster"), Header: v.Str("cluster_header"), Percent: 100}
		if fraction := v.Get("runtime_fraction"); fraction.Exists() {
			m.Percent, m.Fraction = percent(fraction.Get("default_value")), fraction
		}
		out = append(out, m)
	}
	return out
}

// Timeout is the time the whole response may take, as text and in seconds. It is Envoy's default of 15s when the route sets none, and "0s"
// means that there is no limit. Both results are empty for a route that does not go to a cluster. A max_stream_duration of the
// route takes its place.
func (r Route) Timeout() (text string, seconds float64) {
	if !r.body.Get("route").Exists() {
		return "", 0
	}
	if text = r.action("timeout").Text(); text == "" {
		return "15s", 15
	}
	return text, durationSeconds(text)
}

// IdleTimeout is how long nothing may happen on the request's stream, "" where the listener's setting holds.
func (r Route) IdleTimeout() string { return r.action("idle_timeout").Text() }

// MaxStreamDuration is how long the request may last however busy it is, "" for no setting.
func (r Route) MaxStreamDuration() string {
	return r.action("max_stream_duration", "max_stream_duration").Text()
}

func durationSeconds(text string) float64 {
	seconds, _ := strconv.ParseFloat(strings.TrimSuffix(text, "s"), 64)
	return seconds
}

// A Retry is a retry policy.
type Retry struct {
	On            string   // conditions, comma separated; "" retries nothing
	Attempts      uint32   // retries after the first try; 1 unless set
	PerTryTimeout string   // "" for none
	StatusCodes   []uint32 // for the condition retriable-status-codes
	VirtualHost   bool     // whether it is the virtual host's and not the route's own
}

// Retry is the policy the route follows: its own, else its virtual host's. They are not merged. ok is false for a route that
// retries nothing or does not go to a cluster.
func (r Route) Retry() (policy Retry, ok bool) {
	if !r.body.Get("route").Exists() {
		return Retry{}, false
	}
	if policy, ok = newRetry(r.action("retry_policy")); ok {
		return policy, true
	}
	policy, ok = newRetry(r.retry)
	policy.VirtualHost = ok
	return policy, ok
}

func newRetry(v rawjson.Value) (Retry, bool) {
	if !v.Exists() {
		return Retry{}, false
	}
	p := Retry{On: v.Str("retry_on"), Attempts: 1, PerTryTimeout: v.Str("per_try_timeout")}
	if n, ok := v.Get("num_retries").Uint(); ok {
		p.Attempts = uint32(min(n, 1<<32-1))
	}
	for code := range v.Get("retriable_status_codes").Elems() {
		n, _ := code.Uint()
		p.StatusCodes = append(p.StatusCodes, uint32(n))
	}
	return p, true
}

// HashPolicies are what a request is tied to a host by, most important first, each as kind and name: "header x-user", "cookie sid", "query_parameter
// id", "source_ip", "filter_state key". They matter for RING_HASH and MAGLEV only.
func (r Route) HashPolicies() []string {
	var out []string
	for v := range r.action("hash_policy").Elems() {
		switch {
		case v.Get("header").Exists():
			out = append(out, "header "+v.Str("header", "header_name"))
		case v.Get("cookie").Exists():
			out = append(out, "cookie "+v.Str("cookie", "name"))
		case v.Get("query_parameter").Exists():
			out = append(out, "query_parameter "+v.Str("query_parameter", "name"))
		case v.Get("filter_state").Exists():
			out = append(out, "filter_state "+v.Str("filter_state", "key"))
		case v.Get("connection_properties", "source_ip").IsTrue():
			out = append(out, "source_ip")
		}
	}
	return out
}

// A Response is what a direct response answers.
type Response struct {
	Status uint32
	Body   string // inline text
	File   string // the proxy's file the body is in
}

// Response is what a direct response answers; ok is false for other routes.
func (r Route) Response() (response Response, ok bool) {
	v := r.body.Get(DirectResponse)
	if !v.Exists() {
		return Response{}, false
	}
	status, _ := v.Get("status").Uint()
	body := v.Get("body")
	response = Response{Status: uint32(status), Body: body.Str("inline_string"), File: body.Str("filename")}
	if text, err := base64.StdEncoding.DecodeString(body.Str("inline_bytes")); err == nil && len(text) > 0 {
		response.Body = string(text)
	}
	return response, true
}

// Destination says in one phrase what becomes of the request: a cluster, clusters with shares, a redirect, a response.
func (r Route) Destination() string {
	switch r.Action() {
	case ToCluster:
		return r.Cluster()
	case ToWeightedClusters:
		var parts []string
		for _, w := range r.WeightedClusters() {
			name := w.Name
			if name == "" {
				name = "header " + w.Header
			}
			parts = append(parts, name+" "+w.Percent())
		}
		return strings.Join(parts, ", ")
	case ToClusterHeader:
		return "header " + r.ClusterHeader()
	case ToClusterPlugin:
		return "plugin " + r.ClusterPlugin()
	case Redirects:
		redirect, _ := r.Redirect()
		return redirect.String()
	case DirectResponse:
		response, _ := r.Response()
		return "response " + strconv.FormatUint(uint64(response.Status), 10)
	case FilterAction:
		return "filter"
	case NonForwarding:
		return "non-forwarding"
	}
	return ""
}

// enum gives an enumeration's name; the first is that of zero, which JSON leaves out. A number, as protobuf's JSON may have it,
// is named too.
func enum(v rawjson.Value, names ...string) string {
	text := v.Text()
	if text == "" {
		return names[0]
	}
	if n, err := strconv.Atoi(text); err == nil && 0 <= n && n < len(names) {
		return names[n]
	}
	return text
}

// percent reads an envoy.type.v3.FractionalPercent, whose denominator is 100 unless it says otherwise.
func percent(v rawjson.Value) float64 {
	n, _ := v.Get("numerator").Float()
	switch enum(v.Get("denominator"), "HUNDRED", "TEN_THOUSAND", "MILLION") {
	case "TEN_THOUSAND":
		n /= 100
	case "MILLION":
		n /= 10_000
	}
	return min(n, 100)
}
