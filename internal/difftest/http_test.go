package difftest

import (
	"bufio"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/route"
	"github.com/meshlark/meshlark/xds/routing"
	"github.com/meshlark/meshlark/xds/trace"
)

var (
	configs  = flag.Int("configs", 12, "how many configurations to generate")
	requests = flag.Int("requests", 20, "how many requests to send for each, at most 50")
	shrinks  = flag.Bool("shrink", true, "look for a smaller configuration that still shows a difference")
	seedFlag = flag.Uint64("seed", 1, "what the first configuration is generated from; each further one from the next number")
)

// batch is how many configurations an Envoy has at once.
const batch = 200

// httpListener puts a table behind a connection manager that tells in headers what it did.
func httpListener(name string, table dict) dict {
	tell := func(header, format string) dict {
		return dict{"append": dict{"header": dict{"key": header, "value": format}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}
	}
	return dict{"name": name, "address": socket("127.0.0.1", 0), "filter_chains": []any{dict{"filters": []any{
		dict{"name": "state", "typed_config": dict{
			"@type": "type.googleapis.com/envoy.extensions.filters.network.set_filter_state.v3.Config",
			"on_new_connection": []any{
				dict{"object_key": "test.state", "factory_key": "envoy.string", "format_string": dict{"text_format_source": dict{"inline_string": "one"}}},
				dict{"object_key": "test.ip", "factory_key": "envoy.network.ip", "format_string": dict{"text_format_source": dict{"inline_string": "10.1.2.3"}}},
			},
		}},
		dict{"name": "http", "typed_config": dict{
			"@type":           "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
			"stat_prefix":     "t",
			"upgrade_configs": []any{dict{"upgrade_type": "CONNECT"}},
			"route_config":    table,
			"http_filters": []any{
				dict{"name": "meta", "typed_config": dict{
					"@type": "type.googleapis.com/envoy.extensions.filters.http.header_to_metadata.v3.Config",
					"request_rules": []any{
						dict{"header": "x-meta-k", "on_header_present": dict{"metadata_namespace": "test.meta", "key": "k", "type": "STRING"}},
						dict{"header": "x-meta-n", "on_header_present": dict{"metadata_namespace": "test.meta", "key": "n", "type": "NUMBER"}},
					},
				}},
				// Metadata is there after the route was first looked for; this has it looked for again.
				dict{"name": "again", "typed_config": dict{
					"@type": "type.googleapis.com/envoy.extensions.filters.http.set_filter_state.v3.Config", "clear_route_cache": true,
					"on_request_headers": []any{dict{"object_key": "test.again", "factory_key": "envoy.string", "format_string": dict{"text_format_source": dict{"inline_string": "x"}}}},
				}},
				dict{"name": "tell", "typed_config": dict{
					"@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
					"mutations": dict{"response_mutations": []any{
						tell("t-route", "%ROUTE_NAME%"), tell("t-cluster", "%UPSTREAM_CLUSTER_RAW%"), tell("t-flags", "%RESPONSE_FLAGS%"),
						tell("t-details", "%RESPONSE_CODE_DETAILS%"), tell("t-host", "%METADATA(VIRTUAL_HOST:test:host)%"),
					}},
				}},
				dict{"name": "envoy.filters.http.router", "typed_config": dict{"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}},
			},
		}},
	}}}}
}

// managerOf is the connection manager of a listener made by httpListener.
func managerOf(l dict) dict {
	return l["filter_chains"].([]any)[0].(dict)["filters"].([]any)[1].(dict)["typed_config"].(dict)
}

// asSeen is a request as the connection manager hands it to the router.
func (r request) asSeen() *match.Request {
	out := &match.Request{
		Method: r.Method, Host: r.Host, Path: r.Path, Runtime: runtime, Metadata: dict{},
		Connection:  match.Connection{Source: netip.MustParseAddrPort("127.0.0.1:1")},
		FilterState: map[string]string{"test.state": "one", "test.ip": "10.1.2.3"},
	}
	meta := dict{}
	for _, h := range r.Headers {
		value := strings.Trim(h[1], " ")
		out.Headers = append(out.Headers, match.Header{Name: strings.ToLower(h[0]), Value: value})
		switch {
		case h[0] == "x-meta-k" && value != "":
			meta["k"] = value
		case h[0] == "x-meta-n":
			meta["n"] = map[string]float64{"5": 5, "17": 17}[value]
		}
	}
	if len(meta) > 0 {
		out.Metadata["test.meta"] = meta
	}
	if _, ok := out.Headers.Get("x-forwarded-proto"); ok {
		out.Scheme, _ = out.Headers.Get("x-forwarded-proto")
	}
	return out
}

// A prediction is what is expected of a request.
type prediction struct {
	request *match.Request
	refused *trace.Verdict // by the connection manager
	result  routing.Result
}

// predictor makes predictions for one listener.
type predictor struct {
	manager listener.HTTPManager
	index   *routing.Table
}

func newPredictor(l, table dict) predictor {
	manager, _ := listener.New(text(l)).Chains()[0].HTTP()
	exists := func(name string) bool { return slices.Contains(clusters[:4], name) }
	return predictor{manager, routing.New(route.New(text(table))).WithClusters(exists)}
}

func (p predictor) predict(r request) prediction {
	out := prediction{request: r.asSeen()}
	if _, out.refused = trace.Accept(p.manager, out.request); out.refused == nil {
		out.result = p.index.Match(out.request)
	}
	return out
}

// differences are how a reply is other than predicted.
func (p prediction) differences(got reply) []string {
	want, r := p.result, p.request
	var out []string
	if p.refused != nil {
		if details := got.Header.Get("t-details"); details != p.refused.Details || got.Code != p.refused.Code && !r.IsGRPC() {
			out = append(out, fmt.Sprintf("refusal: Envoy %d %q, predicted %v", got.Code, details, p.refused))
		}
		return out
	}
	differ := func(what string, got, want any) {
		if got != want {
			out = append(out, fmt.Sprintf("%s: Envoy %q, predicted %q", what, got, want))
		}
	}
	header := func(name string) string {
		value := strings.Join(got.Header.Values(name), ",")
		if value == "-" {
			return "" // how Envoy writes that there is none
		}
		return value
	}
	if len(want.Routes) > 0 {
		// Chance decides; what Envoy did has to be possible.
		name := header("t-route")
		if !slices.ContainsFunc(want.Routes, func(s explain.Share) bool { return s.Name == name }) && (name != "" || sum(want.Routes) > .999) {
			out = append(out, fmt.Sprintf("route: Envoy %q, predicted one of %v", name, want.Routes))
		}
		return out
	}
	differ("virtual host", header("t-host"), want.VirtualHost)
	differ("route", header("t-route"), want.Route)
	forwards := want.Action != route.Redirects && want.Action != route.DirectResponse && want.Found
	cluster := want.Cluster
	if forwards && cluster == "" && len(want.Clusters) > 0 {
		cluster = header("t-cluster")
		if unknown := func(s explain.Share) bool { return !slices.Contains(clusters[:4], s.Name) }; cluster == "" &&
			(sum(want.Clusters) < .999 || slices.ContainsFunc(want.Clusters, unknown)) {
			return out
		}
		if !slices.ContainsFunc(want.Clusters, func(s explain.Share) bool { return s.Name == cluster }) {
			out = append(out, fmt.Sprintf("cluster: Envoy %q, predicted one of %v", cluster, want.Clusters))
		}
		return out
	}
	if forwards && want.Code == 0 {
		differ("cluster", header("t-cluster"), cluster)
		var up sent
		if err := json.Unmarshal([]byte(got.Body), &up); err != nil {
			return append(out, fmt.Sprintf("the reply does not come from the upstream: %v: %s %v", err, got.Body, got.Header))
		}
		if r.Method != "CONNECT" { // of which a port that was stripped comes back
			differ("host", up.Host, want.Host)
		}
		if r.Method != "CONNECT" {
			differ("path", up.Path, want.Path)
		}
		for _, name := range []string{"x-a", "x-b", "x-c", "accept", "x-new", "x-new2", "x-envoy-original-path", "x-envoy-original-host", "x-forwarded-host", "x-cluster"} {
			if r.Method == "CONNECT" && (name == "x-envoy-original-host" || name == "x-forwarded-host") {
				continue
			}
			differ("request header "+name, fmt.Sprint(up.Header.Values(name)), fmt.Sprint(want.RequestHeaders.Values(name)))
		}
		if r.Method != "CONNECT" {
			differ("answer", got.Code, 200)
		}
	} else {
		if !r.IsGRPC() {
			differ("code", got.Code, want.Code)
		}
		differ("details", header("t-details"), want.Details)
		differ("flags", header("t-flags"), want.Flags)
		differ("location", header("location"), want.Redirect)
		if want.Action == route.DirectResponse && r.Method != "CONNECT" && !r.IsGRPC() {
			differ("body", got.Body, want.Body)
		}
	}
	if want.Action == route.ToWeightedClusters && cluster == "" {
		return out // which of them it is decides about headers
	}
	for _, name := range []string{"y-a", "y-b"} {
		differ("response header "+name, fmt.Sprint(got.Header.Values(name)), fmt.Sprint(want.ResponseHeaders.Values(name)))
	}
	return out
}

func sum(shares []explain.Share) float64 {
	total := 0.0
	for _, s := range shares {
		total += s.Share
	}
	return total
}

// TestRoutes compares routes, what becomes of requests there, and what reaches the upstream.
func TestRoutes(t *testing.T) {
	count := coverage{}
	outcomes := map[string]int{}
	kinds := map[string]int{}
	pairs, loaded, differ := 0, 0, 0
	var faults []func()
	for from := 0; from < *configs; from += batch {
		tables, listeners := map[string]dict{}, map[string]dict{}
		for i := from; i < min(*configs, from+batch); i++ {
			name := fmt.Sprintf("seed%d_", *seedFlag+uint64(i))
			p := newPicker(*seedFlag + uint64(i))
			tables[name] = p.table(name)
			listeners[name] = httpListener(name, tables[name])
			settings := managerOf(listeners[name])
			for key, v := range p.manager() {
				settings[key] = v
			}
		}
		// An Envoy of its own: new listeners would share sockets with those that are being removed.
		b := newBench(t)
		ports, refused := b.load(t, listeners)
		if refused != "" {
			b.reasons(t)
		}
		for i := from; i < min(*configs, from+batch); i++ {
			seed := *seedFlag + uint64(i)
			name := fmt.Sprintf("seed%d_", seed)
			if ports[name] == "" {
				continue
			}
			loaded++
			predictor := newPredictor(listeners[name], tables[name])
			p := newPicker(seed ^ 1<<40)
			var conn net.Conn
			var in *bufio.Reader
			for range min(*requests, 50) {
				r := p.request(tables[name])
				if conn == nil {
					var err error
					if conn, err = net.Dial("tcp", ports[name]); err != nil {
						t.Fatalf("seed %d: %v", seed, err)
					}
					in = bufio.NewReader(conn)
				}
				got, err := r.send(conn, in)
				if err != nil {
					t.Errorf("seed %d: %+v: %v", seed, r, err)
				}
				if err != nil || r.Method == "CONNECT" || got.Close {
					conn.Close()
					conn = nil
				}
				if err != nil {
					continue
				}
				pairs++
				want := predictor.predict(r)
				if want.refused != nil {
					outcomes[want.refused.Details]++
				} else {
					count.table(want.request, want.result)
					if end := cmp.Or(want.result.Details, want.result.Action); want.result.Action == route.Redirects {
						outcomes["redirect"]++
					} else {
						outcomes[end]++
					}
				}
				if diffs := want.differences(got); len(diffs) > 0 {
					differ++
					kind, _, _ := strings.Cut(diffs[0], ":")
					if kinds[kind]++; kinds[kind] <= 4 {
						t.Errorf("seed %d: %+v\n  %s", seed, r, strings.Join(diffs, "\n  "))
						faults = append(faults, func() {
							t.Logf("seed %d: shrunk for %+v:\n%s", seed, r, text(reduceManager(t, listeners[name], []string{"http_filters", "metadata"}, func(l dict, address string) bool {
								got, err := r.sendAlone(address)
								table, _ := managerOf(l)["route_config"].(dict)
								return err == nil && len(newPredictor(l, table).predict(r).differences(got)) > 0
							})))
						})
					}
				}
			}
			if conn != nil {
				conn.Close()
			}
		}
	}
	shrinkSome(faults)
	t.Logf("seeds %d to %d: %d configurations, %d pairs, %d differences %v", *seedFlag, *seedFlag+uint64(*configs)-1, loaded, pairs, differ, kinds)
	balanced(t, outcomes, pairs)
	count.log(t)
	count.require(t, "RouteMatch", "HeaderMatcher", "QueryParameterMatcher", "StringMatcher", "RouteAction")
}
