package route_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/meshlark/meshlark/xds/pattern"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/route"
)

func TestMatch(t *testing.T) {
	for _, tc := range []struct{ body, cell, text string }{
		{`{"prefix":"/api"}`, "/api*", "/api*"},
		{`{"prefix":""}`, "", "*"},
		{`{"prefix":"/","case_sensitive":false}`, "/*", "/* (any case)"},
		{`{"path":"/p"}`, "/p", "/p"},
		{`{"path_separated_prefix":"/p"}`, "PathPrefix:/p", "PathPrefix:/p"},
		{`{"pathSeparatedPrefix":"/p"}`, "PathPrefix:/p", "PathPrefix:/p"},
		{`{"safe_regex":{"regex":"/[0-9]+"}}`, "regex /[0-9]+", "regex /[0-9]+"},
		{`{"connect_matcher":{}}`, "", "CONNECT"},
		{
			`{"path_match_policy":{"name":"t","typed_config":{"@type":"type.googleapis.com/x","path_template":"/a/{b}"}}}`,
			"", "template /a/{b}",
		},
		{`{"prefix":"/","headers":[{"name":"end-user","string_match":{"exact":"jason"}}]}`, "/*", "/* header end-user=jason"},
		{`{"prefix":"/","headers":[{"name":"a","exact_match":"b","invert_match":true}]}`, "/*", "/* header a!=b"},
		{`{"prefix":"/","headers":[{"name":"a","safe_regex_match":{"regex":"b"}}]}`, "/*", "/* header a=~b"},
		{`{"prefix":"/","headers":[{"name":"a"},{"name":"b","present_match":true}]}`, "/*", "/* header a header b"},
		{`{"prefix":"/","headers":[{"name":"a","present_match":false}]}`, "/*", "/* header !a"},
		{`{"prefix":"/","headers":[{"name":"a","present_match":false,"invert_match":true}]}`, "/*", "/* header a"},
		{`{"prefix":"/","headers":[{"name":"a","range_match":{"start":"1","end":"10"}}]}`, "/*", "/* header a in [1,10)"},
		{
			`{"prefix":"/","headers":[{"name":"a","string_match":{"contains":"B","ignore_case":true},"treat_missing_header_as_empty":true}]}`,
			"/*", "/* header a=*B* (any case) (missing is empty)",
		},
		{`{"prefix":"/","headers":[{"name":"a","string_match":{"exact":"*"}}]}`, "/*", `/* header a="*"`},
		{`{"prefix":"/","headers":[{"name":":method","string_match":{"exact":"GET"}}]}`, "/*", "/* method GET"},
		{`{"prefix":"/","query_parameters":[{"name":"v","string_match":{"prefix":"v"}}]}`, "/*", "/* query v=v*"},
		{`{"prefix":"/","cookies":[{"name":"sid","string_match":{"suffix":"x"},"invert_match":true}]}`, "/*", "/* cookie sid!=*x"},
		{`{"prefix":"/","runtime_fraction":{"default_value":{"numerator":25,"denominator":"TEN_THOUSAND"},"runtime_key":"k"}}`, "/*", "/* runtime 0.25% (k)"},
		{`{"prefix":"/","grpc":{}}`, "/*", "/* grpc"},
		{`{"prefix":"/","tls_context":{"presented":true,"validated":false}}`, "/*", "/* tls presented=true tls validated=false"},
		{
			`{"prefix":"/","dynamic_metadata":[{"filter":"f","path":[{"key":"a"},{"key":"b"}],"value":{"string_match":{"exact":"c"}}}]}`,
			"/*", "/* metadata f:a.b=c",
		},
		{`{"prefix":"/","filter_state":[{"key":"k","string_match":{"exact":"v"}}]}`, "/*", "/* filter_state k=v"},
		{`[]`, "", ""},
	} {
		m := route.NewMatch(rawjson.Value(tc.body))
		if got := m.Cell(); got != tc.cell {
			t.Errorf("cell of %s: %q, want %q", tc.body, got, tc.cell)
		}
		if got := m.String(); got != tc.text {
			t.Errorf("text of %s: %q, want %q", tc.body, got, tc.text)
		}
	}
}

func TestAction(t *testing.T) {
	for _, tc := range []struct {
		body, action, destination string
		clusters                  []string
	}{
		{`{"route":{"cluster":"a"}}`, route.ToCluster, "a", []string{"a"}},
		{
			`{"route":{"weighted_clusters":{"clusters":[{"name":"a","weight":1},{"name":"b","weight":2},{"cluster_header":"x"}],"total_weight":100}}}`,
			route.ToWeightedClusters, "a 33.33%, b 66.67%, header x 0%", []string{"a", "b"},
		},
		{`{"route":{"clusterHeader":"x-to"}}`, route.ToClusterHeader, "header x-to", nil},
		{`{"route":{"cluster_specifier_plugin":"p"}}`, route.ToClusterPlugin, "plugin p", nil},
		{
			`{"route":{"inline_cluster_specifier_plugin":{"extension":{"name":"p"}}}}`,
			route.ToClusterPlugin, "plugin p", nil,
		},
		{
			`{"route":{"cluster":"a","request_mirror_policies":[{"cluster":"m"},{"cluster":"a"}]}}`,
			route.ToCluster, "a", []string{"a", "m"},
		},
		{`{"redirect":{"https_redirect":true}}`, route.Redirects, "redirect 301 https://<host>", nil},
		{
			`{"redirect":{"host_redirect":"h","port_redirect":8443,"path_redirect":"/p","response_code":"PERMANENT_REDIRECT"}}`,
			route.Redirects, "redirect 308 <scheme>://h:8443/p", nil,
		},
		{
			`{"redirect":{"prefix_rewrite":"/p","response_code":"FOUND"}}`,
			route.Redirects, "redirect 302 path /p", nil,
		},
		{`{"direct_response":{"status":503}}`, route.DirectResponse, "response 503", nil},
		{`{"filter_action":{}}`, route.FilterAction, "filter", nil},
		{`{"non_forwarding_action":{}}`, route.NonForwarding, "non-forwarding", nil},
		{`{}`, "", "", nil},
		{`{"route":{}}`, "", "", nil},
	} {
		r := route.NewRoute(rawjson.Value(tc.body))
		if got := r.Action(); got != tc.action {
			t.Errorf("action of %s: %q, want %q", tc.body, got, tc.action)
		}
		if got := r.Destination(); got != tc.destination {
			t.Errorf("destination of %s: %q, want %q", tc.body, got, tc.destination)
		}
		if diff := cmp.Diff(tc.clusters, r.Clusters()); diff != "" {
			t.Errorf("clusters of %s (-want +got):\n%s", tc.body, diff)
		}
	}
}

func TestWeightedClusters(t *testing.T) {
	r := route.NewRoute(rawjson.Value(`{"route":{"weighted_clusters":{"clusters":[
		{"name":"a","weight":80},{"name":"b","weight":20},{"name":"c"}]}}}`))
	want := []route.WeightedCluster{{"a", "", 80, .8}, {"b", "", 20, .2}, {Name: "c"}}
	if diff := cmp.Diff(want, r.WeightedClusters()); diff != "" {
		t.Errorf("weighted clusters (-want +got):\n%s", diff)
	}
}

func TestTimeout(t *testing.T) {
	for _, tc := range []struct {
		body, text string
		seconds    float64
	}{
		{`{"route":{"cluster":"a"}}`, "15s", 15},
		{`{"route":{"cluster":"a","timeout":"0s"}}`, "0s", 0},
		{`{"route":{"cluster":"a","timeout":"1.500s"}}`, "1.500s", 1.5},
		{`{"redirect":{}}`, "", 0},
	} {
		text, seconds := route.NewRoute(rawjson.Value(tc.body)).Timeout()
		if text != tc.text || seconds != tc.seconds {
			t.Errorf("timeout of %s: %q %v, want %q %v", tc.body, text, seconds, tc.text, tc.seconds)
		}
	}
}

// What a route does not set comes from its virtual host or its table, whole.
func TestInherited(t *testing.T) {
	table := route.New(rawjson.Value(`{"request_mirror_policies":[{"cluster":"table"}],"virtual_hosts":[
		{"retry_policy":{"retry_on":"5xx","num_retries":3},"require_tls":"ALL","typed_per_filter_config":{"b":{},"a":{}},
		"routes":[
			{"route":{"cluster":"a","retry_policy":{"retry_on":"reset","retriable_status_codes":[503]},"request_mirror_policies":[
				{"cluster":"own","runtime_fraction":{"default_value":{"numerator":10}}}]}},
			{"route":{"cluster":"b"}},
			{"redirect":{}}]}]}`))
	h := table.VirtualHosts()[0]
	routes := h.Routes()
	type policies struct {
		Retry   route.Retry
		Mirrors []route.Mirror
	}
	var got []policies
	for _, r := range routes {
		retry, _ := r.Retry()
		got = append(got, policies{retry, r.Mirrors()})
	}
	want := []policies{
		{route.Retry{On: "reset", Attempts: 1, StatusCodes: []uint32{503}}, []route.Mirror{{Cluster: "own", Percent: 10, Fraction: rawjson.Value(`{"default_value":{"numerator":10}}`)}}},
		{route.Retry{On: "5xx", Attempts: 3, VirtualHost: true}, []route.Mirror{{Cluster: "table", Percent: 100}}},
		{},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("policies (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a", "own", "b", "table"}, table.Clusters()); diff != "" {
		t.Errorf("clusters (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a", "b"}, h.FilterNames()); diff != "" {
		t.Errorf("filter names (-want +got):\n%s", diff)
	}
	if got := h.RequireTLS(); got != "ALL" {
		t.Errorf("require_tls %q, want ALL", got)
	}
}

func TestRewrites(t *testing.T) {
	for _, tc := range []struct{ body, path, host string }{
		{`{"prefix_rewrite":"/x","host_rewrite_literal":"h"}`, "/x", "h"},
		{`{"regex_rewrite":{"pattern":{"regex":"a"},"substitution":"b"},"auto_host_rewrite":true}`, "regex a -> b", "upstream host name"},
		{
			`{"path_rewrite_policy":{"name":"n","typed_config":{"path_template_rewrite":"/{a}"}},"host_rewrite_header":"x"}`,
			"template /{a}", "header x",
		},
		{`{"host_rewrite_path_regex":{"pattern":{"regex":"a"},"substitution":"b"}}`, "", "regex a -> b"},
		{`{"path_rewrite":"%A%","host_rewrite":"%B%"}`, "format %A%", "format %B%"},
	} {
		r := route.NewRoute(rawjson.Value(`{"route":` + tc.body + `}`))
		if got := r.Rewrite().String(); got != tc.path {
			t.Errorf("path of %s: %q, want %q", tc.body, got, tc.path)
		}
		if got := r.HostRewrite().String(); got != tc.host {
			t.Errorf("host of %s: %q, want %q", tc.body, got, tc.host)
		}
	}
}

func TestDomainsCell(t *testing.T) {
	for _, tc := range []struct{ domains, want string }{
		{``, ""},
		{`"*"`, "*"},
		{`"foo:80"`, "foo:80"},
		{`"foo","foo:80"`, "foo"},
		{`"foo:80","foo:81"`, "foo:80, foo:81"},
		{`"reviews.default.svc.cluster.local","reviews","reviews.default.svc","reviews.default","10.0.0.1"`, "reviews, reviews.default + 1 more..."},
		{`"[fd00::1]","[fd00::1]:80"`, "[fd00::1]"},
		{`"a.svc.cluster.local","b"`, "a.svc.cluster.local, b"},
	} {
		h := route.NewVirtualHost(rawjson.Value(`{"domains":[` + tc.domains + `]}`))
		if got := h.DomainsCell(); got != tc.want {
			t.Errorf("domains [%s]: %q, want %q", tc.domains, got, tc.want)
		}
	}
}

func TestMatchDomain(t *testing.T) {
	for _, tc := range []struct {
		domain, pattern string
		want            route.HostMatch
	}{
		{"reviews.default.svc.cluster.local:9080", "reviews", route.ExactHost},
		{"reviews.default.svc.cluster.local", "reviews.default", route.ExactHost},
		{"reviews.default.svc.cluster.local", "reviews.default:9080", route.ExactHost},
		{"reviews.example.com", "reviews", route.NoHost},
		{"Reviews", "reViews", route.ExactHost},
		{"*", "reviews", route.AnyHost},
		{"*.example.com", "a.b.example.com", route.SuffixHost},
		{"*.example.com", "example.com", route.NoHost},
		{"*.example.com", ".example.com", route.NoHost},
		{"*.example.com:80", "a.example.com:8080", route.SuffixHost},
		{"www.*", "www.example.com", route.PrefixHost},
		{"www.*", "www.", route.NoHost},
		{"[::1]:80", "[::1]", route.ExactHost},
		{"::1", "::1", route.ExactHost},
		{"foo", "=foo", route.ExactHost},
		{"foo:80", "=foo", route.NoHost},
		{"*", "=*", route.ExactHost},
		{"*", "=foo", route.NoHost},
		{"foo.example.com:80", "foo.*", route.ExactHost},
		{"bar.example.com", "foo.*", route.NoHost},
		{"foo", "", route.ExactHost},
	} {
		p, err := pattern.Parse(tc.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := route.MatchDomain(tc.domain, p); got != tc.want {
			t.Errorf("domain %q for %q: %v, want %v", tc.domain, tc.pattern, got, tc.want)
		}
	}
}

func TestLeaves(t *testing.T) {
	const tree = `{"matcher_list":{"matchers":[
		{"predicate":{"and_matcher":{"predicate":[
			{"single_predicate":{"input":{"name":"path"},"value_match":{"prefix":"/a"}}},
			{"not_matcher":{"single_predicate":{"input":{"name":"host"},"value_match":{"exact":"b"}}}}]}},
		 "on_match":{"action":{"name":"first"}}}]},
		"on_no_match":{"matcher":{"matcher_tree":{"input":{"typed_config":{"@type":"type.googleapis.com/x.DestinationIPInput"}},
			"custom_match":{"name":"ip","typed_config":{"@type":"type.googleapis.com/xds.type.matcher.v3.IPMatcher","range_matchers":[
				{"ranges":[{"address_prefix":"10.0.0.1","prefix_len":32},{"address_prefix":"10.1.0.0","prefix_len":16}],
				"on_match":{"matcher":{"matcher_tree":{"input":{"name":"port"},"exact_match_map":{"map":{
					"90":{"action":{"name":"ninety"}},"80":{"action":{"name":"eighty"}}}}}}}}]}}},
			"on_no_match":{"action":{"name":"last"}}}}}`
	var got []string
	for _, leaf := range route.Leaves(rawjson.Value(tree)) {
		got = append(got, strings.Join(leaf.Path, " -> ")+" => "+leaf.Action.Name)
	}
	want := []string{
		"(path=/a* and not host=b) => first",
		"otherwise -> DestinationIPInput=10.0.0.1 -> port=80 => eighty",
		"otherwise -> DestinationIPInput=10.0.0.1 -> port=90 => ninety",
		"otherwise -> DestinationIPInput=10.1.0.0/16 -> port=80 => eighty",
		"otherwise -> DestinationIPInput=10.1.0.0/16 -> port=90 => ninety",
		"otherwise -> otherwise => last",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("leaves (-want +got):\n%s", diff)
	}
}

func TestTreeRoutes(t *testing.T) {
	h := route.NewVirtualHost(rawjson.Value(`{"matcher":{"matcher_tree":{"input":{"name":"h"},"exact_match_map":{"map":{
		"a":{"action":{"name":"route","typed_config":{"@type":"type.googleapis.com/envoy.config.route.v3.Route","route":{"cluster":"one"}}}},
		"b":{"action":{"name":"routes","typed_config":{"@type":"type.googleapis.com/envoy.config.route.v3.RouteList","routes":[
			{"route":{"cluster":"two"}},{"route":{"cluster":"three"}}]}}}}}}}}`))
	var got []string
	for _, r := range h.TreeRoutes() {
		got = append(got, strings.Join(r.Path, " ")+" "+r.Cluster())
	}
	if diff := cmp.Diff([]string{"h=a one", "h=b two", "h=b three"}, got); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"one", "two", "three"}, h.Clusters()); diff != "" {
		t.Errorf("clusters (-want +got):\n%s", diff)
	}
}
