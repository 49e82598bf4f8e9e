package routing_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/route"
	"github.com/meshlark/meshlark/xds/routing"
)

func table(body string) *routing.Table { return routing.New(route.New(rawjson.Value(body))) }

func TestVirtualHost(t *testing.T) {
	domains := map[string]string{"exact": "a.com", "long": "*.x.a.com", "short": "*.a.com", "prefix": "www.*", "port": "a.com:8080", "any": "*"}
	var hosts []string
	for _, name := range []string{"exact", "long", "short", "prefix", "port", "any"} {
		hosts = append(hosts, fmt.Sprintf(`{"name":%q,"domains":[%q],"routes":[{"match":{"prefix":"/"},"route":{"cluster":"c"}}]}`, name, domains[name]))
	}
	plain := table(`{"virtual_hosts":[` + strings.Join(hosts, ",") + `]}`)
	portless := table(`{"ignore_port_in_host_matching":true,"virtual_hosts":[` + strings.Join(hosts, ",") + `]}`)
	for _, tc := range []struct {
		table      *routing.Table
		host, want string
	}{
		{plain, "A.com", "exact"},
		{plain, "y.x.a.com", "long"},
		{plain, "x.a.com", "short"},
		{plain, ".a.com", "any"},      // a wildcard stands for something
		{plain, "www.a.com", "short"}, // suffixes before prefixes
		{plain, "www.b.com", "prefix"},
		{plain, "www.", "any"},
		{plain, "a.com:8080", "port"},
		{plain, "a.com:81", "any"},
		{portless, "a.com:81", "exact"},
		{portless, "a.com:8080", "exact"}, // the domain's port is not cut off
		{portless, "[::1]", "any"},
	} {
		got := tc.table.Match(&match.Request{Host: tc.host, Path: "/"})
		if got.VirtualHost != tc.want {
			t.Errorf("host %s: virtual host %s, want %s", tc.host, got.VirtualHost, tc.want)
		}
		for _, c := range got.Steps[0].Candidates {
			if c.Won != (c.Name == tc.want) || c.Why == "" {
				t.Errorf("host %s: candidate %+v, want %s to win and all to say why", tc.host, c, tc.want)
			}
		}
	}
}

func TestSettings(t *testing.T) {
	got := table(`{"name":"t","virtual_hosts":[{"domains":["*"]}],"internal_only_headers":["x"]}`).Settings()
	if want := `{"name":"t","internal_only_headers":["x"]}`; string(got) != want {
		t.Errorf("settings %s, want %s", got, want)
	}
}

func TestNoFallback(t *testing.T) {
	got := table(`{"virtual_hosts":[{"name":"a","domains":["a"],"routes":[{"name":"r","match":{"path":"/x"},"route":{"cluster":"c"}}]},
		{"name":"any","domains":["*"],"routes":[{"match":{"prefix":"/"},"route":{"cluster":"c"}}]}]}`).Match(&match.Request{Host: "a", Path: "/y"})
	if got.Found || got.Code != 404 || got.Flags != "NR" || got.Details != "route_not_found" {
		t.Errorf("a virtual host without a route for the request: %d %s %s, want 404 NR route_not_found", got.Code, got.Flags, got.Details)
	}
	if why := got.Steps[len(got.Steps)-1].Candidates[0].Why; !strings.Contains(why, `path "/y" is not /x`) {
		t.Errorf("the route lost because %s, want because of its path", why)
	}
}

func TestLocation(t *testing.T) {
	for _, tc := range []struct{ redirect, host, path, want string }{
		{`{}`, "a:80", "/p?q", "http://a:80/p?q"},
		{`{"https_redirect":true}`, "a:80", "/p", "https://a/p"},
		{`{"https_redirect":true}`, "a:8080", "/p", "https://a:8080/p"},
		{`{"port_redirect":81}`, "[::1]:80", "/p", "http://[::1]:81/p"},
		{`{"path_redirect":"/n"}`, "a", "/p?q=1", "http://a/n?q=1"},
		{`{"path_redirect":"/n?x"}`, "a", "/p?q=1", "http://a/n?x"},
		{`{"path_redirect":"/n","strip_query":true}`, "a", "/p?q=1", "http://a/n"},
		{`{"prefix_rewrite":"/n/"}`, "a", "/pre/x?q", "http://a/n//x?q"},
		{`{"regex_rewrite":{"pattern":{"regex":"^/pre/(.*)$"},"substitution":"/\\1"}}`, "a", "/pre/x?q", "http://a/x?q"},
		{`{"host_redirect":"b","scheme_redirect":"ws"}`, "a", "/p", "ws://b/p"},
	} {
		body := fmt.Sprintf(`{"virtual_hosts":[{"domains":["*"],"routes":[{"match":{"prefix":"/p"},"redirect":%s}]}]}`, tc.redirect)
		body = strings.Replace(body, `"prefix":"/p"`, `"prefix":"`+prefixOf(tc.path)+`"`, 1)
		got := table(body).Match(&match.Request{Host: tc.host, Path: tc.path})
		if got.Redirect != tc.want || got.Code != 301 {
			t.Errorf("%s of http://%s%s: %d %s, want 301 %s", tc.redirect, tc.host, tc.path, got.Code, got.Redirect, tc.want)
		}
	}
}

func prefixOf(path string) string {
	if strings.HasPrefix(path, "/pre") {
		return "/pre"
	}
	return "/p"
}

func TestHeaderLevels(t *testing.T) {
	add := func(value string) string {
		return `"request_headers_to_add":[{"header":{"key":"X","value":"` + value + `"},"append_action":"OVERWRITE_IF_EXISTS_OR_ADD"}]`
	}
	for specific, want := range map[string]string{"false": "table", "true": "route"} {
		body := `{"most_specific_header_mutations_wins":` + specific + `,` + add("table") + `,"virtual_hosts":[{"domains":["*"],` + add("host") +
			`,"routes":[{"match":{"prefix":"/"},"route":{"cluster":"c"},` + add("route") + `}]}]}`
		got := table(body).Match(&match.Request{Host: "h", Path: "/", Headers: match.Headers{{Name: "x", Value: "0"}}})
		if diff := cmp.Diff(match.Headers{{Name: "x", Value: want}}, got.RequestHeaders); diff != "" {
			t.Errorf("most specific wins %s (-want +got):\n%s", specific, diff)
		}
	}
}

// One random number decides both fractions and weights, so that shares are not products of each other.
func TestShares(t *testing.T) {
	const body = `{"virtual_hosts":[{"domains":["*"],"routes":[
		{"name":"quarter","match":{"prefix":"/","runtime_fraction":{"default_value":{"numerator":25}}},"route":{"cluster":"a"}},
		{"name":"half","match":{"prefix":"/","runtime_fraction":{"default_value":{"numerator":50}}},"route":{"cluster":"b"}},
		{"name":"rest","match":{"prefix":"/"},"route":{"weighted_clusters":{"clusters":[{"name":"c","weight":60},{"name":"d","weight":40}]}}}]}]}`
	got := table(body).Match(&match.Request{Host: "h", Path: "/"})
	if diff := cmp.Diff([]explain.Share{{Name: "a", Share: .25}, {Name: "b", Share: .25}, {Name: "c", Share: .1}, {Name: "d", Share: .4}}, got.Clusters); diff != "" {
		t.Errorf("shares (-want +got):\n%s", diff)
	}
	if got.Route != "rest" {
		t.Errorf("the route most requests take: %s, want rest", got.Route)
	}
	for random, want := range map[uint64]string{24: "a", 25: "b", 149: "b", 59: "c", 60: "d", 99: "d"} {
		if got := table(body).Match(&match.Request{Host: "h", Path: "/", Random: &random}); got.Cluster != want {
			t.Errorf("random %d: cluster %s, want %s", random, got.Cluster, want)
		}
	}
}

// Weights that leave no choice need no random number.
func TestOnlyWeight(t *testing.T) {
	got := table(`{"virtual_hosts":[{"domains":["*"],"routes":[{"match":{"prefix":"/"},"route":{"weighted_clusters":{"clusters":[
		{"name":"next","weight":0},{"name":"now","weight":100,"request_headers_to_add":[{"header":{"key":"x","value":"now"}}]}]}}}]}]}`).Match(&match.Request{Host: "h", Path: "/"})
	if value, _ := got.RequestHeaders.Get("x"); got.Cluster != "now" || value != "now" {
		t.Errorf("cluster %q with header %q, want now and now", got.Cluster, value)
	}
}

func TestPathCommands(t *testing.T) {
	for format, want := range map[string]string{
		"%PATH(NQ:PATH)%/more": "/a/b/more?q=x%20y", "/%QUERY_PARAM(q)%": "/x y?q=x%20y", "/%QUERY_PARAM(none)%": "/?q=x%20y", "/%PATH(NQ)%": "//a/b?q=x%20y",
	} {
		got := table(`{"virtual_hosts":[{"domains":["*"],"routes":[{"match":{"prefix":"/"},"route":{"cluster":"c","path_rewrite":"` + format + `"}}]}]}`).Match(&match.Request{Host: "h", Path: "/a/b?q=x%20y"})
		if got.Path != want || len(got.Unmodelled) > 0 {
			t.Errorf("%s makes the path %s, want %s; not modelled: %q", format, got.Path, want, got.Unmodelled)
		}
	}
}

// Envoy looks for a route of a request whose path is empty, which is not a request without a path.
func TestEmptyPath(t *testing.T) {
	index := table(`{"virtual_hosts":[{"domains":["*"],"routes":[{"match":{"prefix":"/"},"route":{"cluster":"slash"}},{"match":{"safe_regex":{"regex":".*"}},"route":{"cluster":"any"}}]}]}`)
	for method, want := range map[string]string{"GET": "any", "CONNECT": ""} {
		if got := index.Match(&match.Request{Method: method, Host: "h"}); got.Cluster != want {
			t.Errorf("%s: cluster %q, want %q", method, got.Cluster, want)
		}
	}
}

func TestVirtualCluster(t *testing.T) {
	index := table(`{"virtual_hosts":[{"domains":["some"],"routes":[{"match":{"path":"/moved"},"redirect":{}},{"match":{"prefix":"/"},"route":{"cluster":"c","prefix_rewrite":"/new"}}],"virtual_clusters":[
		{"name":"post","headers":[{"name":":method","string_match":{"exact":"POST"}},{"name":":path","string_match":{"prefix":"/a"}}]},{"name":"a","headers":[{"name":":path","string_match":{"prefix":"/a"}}]}]},
		{"domains":["none"],"routes":[{"match":{"prefix":"/"},"route":{"cluster":"c"}}]}]}`)
	for _, tc := range []struct{ method, host, path, want string }{
		{"POST", "some", "/a", "post"},
		{"GET", "some", "/a", "a"}, // by the path as it was
		{"GET", "some", "/b", "other"},
		{"GET", "none", "/a", ""},
		{"GET", "some", "/moved", ""}, // statistics of upstreams only
	} {
		if got := index.Match(&match.Request{Method: tc.method, Host: tc.host, Path: tc.path}); got.VirtualCluster != tc.want {
			t.Errorf("%s http://%s%s: virtual cluster %q, want %q", tc.method, tc.host, tc.path, got.VirtualCluster, tc.want)
		}
	}
}

// The headers that tell of a body are set after the rules, and so the type of the rules stays; without a body there are none.
func TestAnswerHeaders(t *testing.T) {
	rules := `"response_headers_to_add":[{"header":{"key":"content-type","value":"application/json"}}]`
	for _, tc := range []struct {
		name, route string
		want        match.Headers
	}{
		{"body", `"direct_response":{"status":200,"body":{"inline_string":"pong"}}`, match.Headers{{Name: "content-length", Value: "4"}, {Name: "content-type", Value: "text/plain"}}},
		{"typed body", `"direct_response":{"status":200,"body":{"inline_string":"{}"}},` + rules, match.Headers{{Name: "content-type", Value: "application/json"}, {Name: "content-length", Value: "2"}}},
		{"no body", `"direct_response":{"status":204},` + rules, match.Headers{}},
		{"redirect", `"redirect":{"host_redirect":"b"},` + rules, match.Headers{{Name: "location", Value: "http://b/"}}},
	} {
		got := table(`{"virtual_hosts":[{"domains":["*"],"routes":[{"match":{"prefix":"/"},` + tc.route + `}]}]}`).Match(&match.Request{Host: "h", Path: "/"})
		if diff := cmp.Diff(tc.want, got.ResponseHeaders); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
	got := table(`{"virtual_hosts":[{"domains":["*"],"require_tls":"ALL"}]}`).Match(&match.Request{Host: "h", Path: "/p"})
	if diff := cmp.Diff(match.Headers{{Name: "location", Value: "https://h/p"}}, got.ResponseHeaders); diff != "" {
		t.Errorf("require_tls (-want +got):\n%s", diff)
	}
}

func TestPathParameters(t *testing.T) {
	const body = `{"ignore_path_parameters_in_path_matching":true,"virtual_hosts":[{"domains":["*"],"routes":[
		{"name":"whole","match":{"path":"/a/b"},"route":{"cluster":"c"}},{"name":"cut","match":{"path":"/a"},"route":{"cluster":"c"}}]}]}`
	for version, want := range map[string]string{"1.40.0": "whole", "1.39.1": "cut"} {
		got := table(body).Match(&match.Request{Host: "h", Path: "/a;p=1/b;q", Envoy: match.ParseVersion(version)})
		if got.Route != want {
			t.Errorf("Envoy %s: route %q, want %s", version, got.Route, want)
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add([]byte(`{"virtual_hosts":[{"domains":["*"],"routes":[{"match":{"prefix":"/"},"route":{"weighted_clusters":{"clusters":[{"name":"a","weight":4294967295}]}}}]}]}`), "h", "/a?b=c#d")
	f.Add([]byte(`{"virtual_hosts":[{"domains":["*a"],"matcher":{"on_no_match":{"action":{"typed_config":{"@type":"x/RouteList","routes":[{}]}}}}}]}`), "a:80", "")
	f.Add([]byte(`{"virtual_hosts":[{"domains":["*"],"routes":[{"match":{"prefix":"/abc","runtime_fraction":{"default_value":{"numerator":1,"denominator":"MILLION"}}},"redirect":{"prefix_rewrite":"%"}}]}]}`), "[", "/a")
	f.Fuzz(func(t *testing.T, body []byte, host, path string) {
		index := table(string(body))
		index.Match(&match.Request{Host: host, Path: path, Headers: match.Headers{{Name: "x", Value: path}}})
		random := uint64(len(path))
		index.Match(&match.Request{Method: "CONNECT", Host: host, Random: &random})
	})
}

func TestLeads(t *testing.T) {
	index := table(`{"virtual_hosts":[
		{"name":"other","domains":["other"],"routes":[{"match":{"prefix":"/"},"route":{"cluster":"v2"}}]},
		{"name":"web","domains":["web"],"routes":[
			{"name":"beta","match":{"prefix":"/","headers":[{"name":"x","string_match":{"exact":"1"}},{"name":"y","present_match":true}]},"route":{"cluster":"v2"}},
			{"name":"all","match":{"prefix":"/"},"route":{"weighted_clusters":{"clusters":[{"name":"v1","weight":100},{"name":"v2","weight":0}]}}},
			{"name":"late","match":{"prefix":"/late"},"route":{"cluster":"v2"}},
			{"name":"copy","match":{"path":"/copy"},"route":{"cluster":"v1","request_mirror_policies":[{"cluster":"v2"}]}}]}]}`)
	got := index.Leads(&match.Request{Host: "web", Path: "/late"}, func(name string) bool { return name == "v2" })
	share := func(n float64) []explain.Share { return []explain.Share{{Name: "v2", Share: n}} }
	want := []routing.Lead{
		{VirtualHost: "web", Domains: []string{"web"}, Serves: true, Route: "beta", Where: "virtual_hosts[1].routes[0]", Clusters: share(1), Unmet: []string{"x", "y"}},
		{VirtualHost: "web", Domains: []string{"web"}, Serves: true, Route: "all", Where: "virtual_hosts[1].routes[1]", Clusters: share(0)},
		{VirtualHost: "web", Domains: []string{"web"}, Serves: true, Route: "late", Where: "virtual_hosts[1].routes[2]", Clusters: share(1), First: "all", FirstWhere: "virtual_hosts[1].routes[1]"},
		{VirtualHost: "web", Domains: []string{"web"}, Serves: true, Route: "copy", Where: "virtual_hosts[1].routes[3]", Clusters: share(1), Mirror: true, Unmet: []string{"path"}, First: "all", FirstWhere: "virtual_hosts[1].routes[1]"},
		{VirtualHost: "other", Domains: []string{"other"}, Route: "/*", Where: "virtual_hosts[0].routes[0]", Clusters: share(1)},
	}
	for i := range got {
		for k, why := range got[i].Unmet {
			if want := want[i].Unmet; k >= len(want) || !strings.Contains(why, want[k]) {
				t.Errorf("%s: condition %d is unmet: %s, want %q", got[i].Route, k, why, want)
				continue
			}
			got[i].Unmet[k] = want[i].Unmet[k]
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("leads (-want +got):\n%s", diff)
	}
}

func TestClusterPlugin(t *testing.T) {
	matcher := func(otherwise string) string {
		action := func(cluster string) string {
			return `{"action":{"name":"` + cluster + `","typed_config":{"@type":"type.googleapis.com/envoy.extensions.router.cluster_specifiers.matcher.v3.ClusterAction","cluster":"` + cluster + `"}}}`
		}
		if otherwise != "" {
			otherwise = `,"on_no_match":` + action(otherwise)
		}
		return `{"@type":"type.googleapis.com/envoy.extensions.router.cluster_specifiers.matcher.v3.MatcherClusterSpecifier","cluster_matcher":{"matcher_tree":{
			"input":{"name":"env","typed_config":{"@type":"type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput","header_name":"env"}},
			"exact_match_map":{"map":{"test":` + action("testing") + `}}}` + otherwise + `}}`
	}
	index := table(`{"cluster_specifier_plugins":[{"extension":{"name":"a","typed_config":` + matcher("production") + `}}],"virtual_hosts":[{"domains":["*"],"routes":[
		{"match":{"prefix":"/named"},"route":{"cluster_specifier_plugin":"a"}},
		{"match":{"prefix":"/inline"},"route":{"inline_cluster_specifier_plugin":{"extension":{"name":"a","typed_config":` + matcher("") + `}}}},
		{"match":{"prefix":"/lua"},"route":{"inline_cluster_specifier_plugin":{"extension":{"name":"b","typed_config":{"@type":"type.googleapis.com/x.LuaConfig"}}}}}]}]}`)
	for _, tc := range []struct{ path, env, want string }{
		{"/named", "test", "testing"},
		{"/named", "", "production"},
		{"/inline", "test", "testing"},
		{"/inline", "", "503 cluster_not_found"},
		{"/lua", "test", "not known: cluster specifier plugin b"},
	} {
		got := index.Match(&match.Request{Host: "h", Path: tc.path, Headers: match.Headers{{Name: "env", Value: tc.env}}})
		outcome := got.Cluster
		if got.Code != 0 {
			outcome = fmt.Sprint(got.Code, " ", got.Details)
		} else if len(got.Unmodelled) > 0 {
			outcome = "not known: " + strings.Join(got.Unmodelled, ", ")
		}
		if outcome != tc.want {
			t.Errorf("%s with env %q: %s, want %s", tc.path, tc.env, outcome, tc.want)
		}
	}
}

func TestForwardedProto(t *testing.T) {
	index := table(`{"virtual_hosts":[{"domains":["*"],"routes":[{"match":{"prefix":"/"},"redirect":{"host_redirect":"b"}}]}]}`)
	for proto, want := range map[string]string{"https": "https://b/", "HTTP": "http://b/", "ftp": "http://b/", "": "no route"} {
		got := index.Match(&match.Request{Host: "h", Path: "/", Headers: match.Headers{{Name: "x-forwarded-proto", Value: proto}}})
		outcome := got.Redirect
		if !got.Found {
			outcome = "no route"
		}
		if outcome != want {
			t.Errorf("x-forwarded-proto %q: %s, want %s", proto, outcome, want)
		}
	}
}

// A route that loses only by what cannot be decided may be the one that Envoy takes, and is told; one that a decided condition rules out is not.
func TestOpenCondition(t *testing.T) {
	own := `{"custom":{"name":"own","typed_config":{"@type":"type.googleapis.com/x.Own"}}}`
	for _, tc := range []struct{ condition, note string }{
		{`"headers":[{"name":"env","string_match":` + own + `}]`, "string matcher extension own"},
		{`"query_parameters":[{"name":"q","string_match":` + own + `}]`, "string matcher extension own"},
		{`"cookies":[{"name":"c","string_match":` + own + `}]`, "string matcher extension own"},
		{`"headers":[{"name":"env","string_match":` + own + `},{"name":"absent","present_match":true}]`, ""},
		{`"headers":[{"name":"absent","present_match":true},{"name":"env","string_match":` + own + `}]`, ""},
		{`"headers":[{"name":"env","string_match":{"exact":"production"}}]`, ""},
	} {
		got := table(`{"virtual_hosts":[{"domains":["*"],"routes":[{"name":"first","match":{"prefix":"/",` + tc.condition + `},"route":{"cluster":"a"}},
			{"match":{"prefix":"/"},"route":{"cluster":"b"}}]}]}`).
			Match(&match.Request{Host: "h", Path: "/?q=1", Headers: match.Headers{{Name: "env", Value: "test"}, {Name: "cookie", Value: "c=1"}}})
		notes := strings.Join(got.Unmodelled, "; ")
		if got.Cluster != "b" || (notes != "") != (tc.note != "") || tc.note != "" && (!strings.HasPrefix(notes, "route first: ") || !strings.Contains(notes, tc.note)) {
			t.Errorf("%s: cluster %s, not decided: %q, want b and %q", tc.condition, got.Cluster, notes, tc.note)
		}
	}
}

func TestVirtualHostOnDemand(t *testing.T) {
	index := table(`{"vhds":{"config_source":{"ads":{}}},"virtual_hosts":[{"domains":["here"],"routes":[{"match":{"prefix":"/"},"route":{"cluster":"a"}}]}]}`)
	for host, want := range map[string]int{"here": 0, "elsewhere": 1} {
		if got := index.Match(&match.Request{Host: host, Path: "/"}); len(got.Unmodelled) != want {
			t.Errorf("host %s: not decided: %q, want %d", host, got.Unmodelled, want)
		}
	}
}
