package trace_test

import (
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/trace"
)

func nested(n int, before, core, after string) string {
	return strings.Repeat(before, n) + core + strings.Repeat(after, n)
}

// list is n elements made by a format, each with its number in it.
func list(n int, format string) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = strings.ReplaceAll(format, "#", fmt.Sprint(i))
	}
	return strings.Join(parts, ",")
}

// tables with more than anybody writes, or deeper.
func hostileTables() map[string]string {
	const (
		condition = `{"single_predicate":{"input":{"typed_config":{"@type":"x/HttpRequestHeaderMatchInput","header_name":"x"}},"value_match":{"exact":"a"}}}`
		tree      = `{"matcher_list":{"matchers":[{"predicate":` + condition + `},{"predicate":` + condition + `,"on_match":{"matcher":`
	)
	hosts := map[string]string{
		"regular expressions":     `"routes":[` + list(10000, `{"match":{"safe_regex":{"regex":"/[a-z]{1,50}/#/(x|y)+(a|b|c){2,20}z*"}},"route":{"cluster":"v1"}}`) + `]`,
		"large expressions":       `"routes":[` + list(2000, `{"match":{"safe_regex":{"regex":"/((((a{100}){10}){10}))#"}},"route":{"cluster":"v1"}}`) + `]`,
		"a long expression":       `"routes":[{"match":{"safe_regex":{"regex":"` + strings.Repeat("(a|b*)*", 2000) + `"}},"route":{"cluster":"v1"}}]`,
		"query parameters":        `"routes":[` + list(10000, `{"match":{"prefix":"/","query_parameters":[{"name":"q#"}]},"route":{"cluster":"v1"}}`) + `]`,
		"headers":                 `"routes":[` + list(10000, `{"match":{"prefix":"/","headers":[{"name":"x","string_match":{"safe_regex":{"regex":"(a|b)*c#"}}}]},"route":{"cluster":"v1"}}`) + `]`,
		"templates":               `"routes":[` + list(3000, `{"match":{"path_match_policy":{"typed_config":{"@type":"x/UriTemplateMatchConfig","path_template":"/{a}/{b}/{c=*/#/**}"}}},"route":{"cluster":"v1"}}`) + `]`,
		"fractions":               `"routes":[` + list(5000, `{"match":{"prefix":"/","runtime_fraction":{"default_value":{"numerator":#,"denominator":"MILLION"}}},"route":{"cluster":"c#"}}`) + `]`,
		"weights":                 `"routes":[{"match":{"prefix":"/"},"route":{"weighted_clusters":{"clusters":[` + list(10000, `{"name":"c#","weight":1#}`) + `]}}}]`,
		"a rewriting that swells": `"routes":[{"match":{"prefix":"/"},"route":{"cluster":"v1","regex_rewrite":{"pattern":{"regex":"a"},"substitution":"` + strings.Repeat(`\\0`, 10000) + `"}}}]`,
		"a deep tree":             `"matcher":` + nested(60, tree, `{}`, `}}]}}`),
		"wide and deep predicates": `"matcher":{"matcher_list":{"matchers":[{"predicate":` +
			nested(60, `{"or_matcher":{"predicate":[`+list(200, condition)+`,`, `{}`, `]}}`) + `,"on_match":{"action":{}}}]}}`,
		"an abyss of predicates": `"matcher":{"matcher_list":{"matchers":[{"predicate":` + nested(100_000, `{"not_matcher":`, `{}`, `}`) + `,"on_match":{"action":{}}}]}}`,
	}
	out := map[string]string{"virtual hosts": `{"name":"9080","virtual_hosts":[` + list(10000, `{"name":"v#","domains":["h#.*","*.h#"],"routes":[]}`) + `]}`}
	for name, host := range hosts {
		out[name] = `{"name":"9080","virtual_hosts":[{"name":"v","domains":["*"],` + host + `}]}`
	}
	return out
}

// rules of access filters, likewise.
func hostileRules() map[string]string {
	const regex = `{"header":{"name":"x","string_match":{"safe_regex":{"regex":"(a|b)*c"}}}}`
	policy := func(permissions string) string {
		return `{"policies":{"p":{"permissions":[` + permissions + `],"principals":[{"any":true}]}}}`
	}
	return map[string]string{
		"deep and":            policy(nested(63, `{"and_rules":{"rules":[`+list(100, `{"any":true}`)+`,`, `{"any":true}`, `]}}`)),
		"deep or":             policy(nested(63, `{"or_rules":{"rules":[`+list(50, regex)+`,`, `{"any":true}`, `]}}`)),
		"deep not":            policy(nested(63, `{"not_rule":`, regex, `}`)),
		"an abyss":            policy(nested(200_000, `{"not_rule":`, regex, `}`)),
		"many paths":          policy(list(20000, `{"url_path":{"path":{"exact":"/#"}}}`)),
		"many expressions":    policy(list(20000, `{"url_path":{"path":{"safe_regex":{"regex":"/#(a|b)*c"}}}}`)),
		"many policies":       `{"policies":{` + list(10000, `"p#":{"permissions":[{"header":{"name":"x","string_match":{"exact":"#"}}}],"principals":[{"any":true}]}`) + `}}`,
		"a deep matcher tree": `{}}},{"name":"rbac","typed_config":{"@type":"x/envoy.extensions.filters.http.rbac.v3.RBAC","matcher":` + nested(70, `{"matcher_list":{"matchers":[{"predicate":{},"on_match":{}}]},"on_no_match":{"matcher":`, `{}`, `}}`) + `,"x":{}`,
	}
}

// hostileFilters are other HTTP filters, likewise.
func hostileFilters() map[string]string {
	const jwt = `"@type":"x/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication","providers":{"p":{"issuer":"i"}},"rules":[{"match":{"prefix":"/"},"requires":`
	return map[string]string{
		"deep requirements":  jwt + nested(2000, `{"requires_any":{"requirements":[{"provider_name":"p"},`, `{}`, `]}}`) + `}]`,
		"wide requirements":  jwt + nested(20, `{"requires_any":{"requirements":[`+list(500, `{"provider_name":"p"}`)+`,`, `{"provider_name":"p"}`, `]}}`) + `}]`,
		"many requirements":  jwt + `{"requires_all":{"requirements":[` + list(30000, `{"allow_missing":{}}`) + `]}}}]`,
		"many providers":     `"@type":"x/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication","providers":{` + list(5000, `"p#":{"issuer":"i#","from_headers":[{"name":"x"}]}`) + `},"rules":[{"match":{"prefix":"/"},"requires":{"allow_missing_or_failed":{}}}]`,
		"many token headers": jwt + `{"provider_name":"p"}}],"providers":{"p":{"from_headers":[` + list(200, `{"name":"x","value_prefix":"b#"}`) + `]}}`,
		"many faults":        `"@type":"x/envoy.extensions.filters.http.fault.v3.HTTPFault","headers":[` + list(20000, `{"name":"x","string_match":{"contains":"b"}}`) + `]`,
	}
}

// A request that is as long as a proxy takes.
func longRequest() trace.Request {
	r := request()
	r.Path = "/" + strings.Repeat("a", 30_000) + "?" + strings.Repeat("q=1&", 5000)
	for i := range 300 {
		r.Headers = append(r.Headers, match.Header{Name: "x", Value: strings.Repeat("b", 100) + fmt.Sprint(i)})
	}
	return r
}

// Limits on what following one request may take. They are in bytes, which do not depend on what else the machine does; the time is for what never ends.
const (
	mostAllocated = 400 << 20
	mostText      = 4 << 20
	longestTime   = 30 * time.Second
)

func TestHostile(t *testing.T) {
	run := func(name string, p *proxy, r trace.Request) {
		t.Run(name, func(t *testing.T) {
			done := make(chan trace.Trace, 1)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			go func() { done <- trace.Run(p, mesh{"10.0.0.2": p}, r) }()
			select {
			case got := <-done:
				runtime.ReadMemStats(&after)
				if n := after.TotalAlloc - before.TotalAlloc; n > mostAllocated {
					t.Errorf("it allocated %d MB, want at most %d", n>>20, mostAllocated>>20)
				}
				if n := textOf(got); n > mostText {
					t.Errorf("its steps are %d MB of text, want at most %d", n>>20, mostText>>20)
				}
				if got.Verdict.Reason == "" {
					t.Error("it has no verdict")
				}
			case <-time.After(longestTime):
				t.Fatal("it does not end")
			}
		})
	}
	for name, table := range hostileTables() {
		run(name, newProxy("productpage", []string{virtualOutbound, httpPort}, []string{table}, []string{static("v1", "", "127.0.0.1")}), longRequest())
	}
	plain := func(rules string) string {
		return strings.NewReplacer(`"require_client_certificate":true,`, "", `"transport_protocol":"tls"`, `"transport_protocol":"raw_buffer"`, `"transport_socket"`, `"x"`).Replace(inbound(rules))
	}
	in := longRequest()
	in.Inbound, in.Listener, in.Destination = true, "virtualInbound", netip.MustParseAddrPort("10.0.0.2:9080")
	for name, rules := range hostileRules() {
		run(name, newProxy("reviews", []string{plain(rules)}, nil, []string{appCluster}), in)
	}
	for name, filter := range hostileFilters() {
		l := strings.Replace(plain(`{}`), router, `{"name":"f","typed_config":{`+filter+`}},`+router, 1)
		l = strings.Replace(l, `{"name":"envoy.filters.http.rbac","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC","rules":{}}},`, "", 1)
		run(name, newProxy("reviews", []string{l}, nil, []string{appCluster}), in)
	}
}

// Clusters that lead to each other, and internal listeners that do, are not followed forever.
func TestCircles(t *testing.T) {
	const tcp = `"filter_chains":[{"filters":[{"name":"tcp","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy","cluster":"a#"}}]}]`
	internal := `{"name":"l#","internal_listener":{},` + tcp + `}`
	cluster := `{"name":"a#","type":"STATIC","load_assignment":{"endpoints":[{"lb_endpoints":[{"endpoint":{"address":{"envoy_internal_address":{"server_listener_name":"l@"}}}}]}]}}`
	var listeners, clusters []string
	const n = 50
	for i := range n {
		listeners = append(listeners, strings.ReplaceAll(internal, "#", fmt.Sprint(i)))
		clusters = append(clusters, strings.NewReplacer("#", fmt.Sprint(i), "@", fmt.Sprint((i+1)%n)).Replace(cluster))
	}
	p := newProxy("p", listeners, nil, clusters)
	got := trace.Run(p, nil, trace.Request{Listener: "l0", Destination: netip.MustParseAddrPort("10.0.0.1:80")})
	if len(got.Hops) > 20 || !strings.Contains(got.Verdict.Reason, "not followed") {
		t.Errorf("a ring of %d listeners: %d hops, %s", n, len(got.Hops), got.Verdict)
	}
	two := newProxy("p", listeners[:2], nil, []string{clusters[0], strings.ReplaceAll(clusters[1], "l2", "l0")})
	got = trace.Run(two, nil, trace.Request{Listener: "l0", Destination: netip.MustParseAddrPort("10.0.0.1:80")})
	if len(got.Hops) > 4 || !strings.Contains(got.Verdict.Reason, "a loop") {
		t.Errorf("two listeners in a ring: %d hops, %s", len(got.Hops), got.Verdict)
	}
	aggregate := func(name, children string) string {
		return `{"name":"` + name + `","cluster_type":{"name":"envoy.clusters.aggregate","typed_config":{"@type":"type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig","clusters":[` + children + `]}}}`
	}
	front := `{"name":"front","address":{"socket_address":{"address":"0.0.0.0","port_value":80}},` + strings.ReplaceAll(tcp, "a#", "x") + `}`
	p = newProxy("p", []string{front}, nil, []string{aggregate("x", `"y","x"`), aggregate("y", `"x","y"`)})
	got = trace.Run(p, nil, trace.Request{Destination: netip.MustParseAddrPort("10.0.0.1:80")})
	if got.Verdict.Reached || got.Verdict.Reason == "" {
		t.Errorf("aggregates of each other: %s", got.Verdict)
	}
}

// textOf is how much text a trace is.
func textOf(got trace.Trace) int {
	n := len(got.Verdict.Reason)
	for _, h := range got.Hops {
		for _, s := range h.Steps {
			n += len(s.Question) + len(s.Answer)
			for _, c := range s.Candidates {
				n += len(c.Name) + len(c.Why) + len(c.Where)
			}
			for _, u := range s.Unmodelled {
				n += len(u)
			}
		}
	}
	return n
}
