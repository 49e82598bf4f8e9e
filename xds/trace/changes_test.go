package trace_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/xds/filterchain"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/trace"
)

// filter is one HTTP filter, with its settings after the type.
func filter(name, typ, settings string) string {
	return `{"name":"` + name + `","typed_config":{` + httpType + typ + `"` + settings + `}},`
}

func mutation(name, settings string) string {
	return filter(name, "header_mutation.v3.HeaderMutation", `,"mutations":{`+settings+`}`)
}

func put(name, value, action string) string {
	return `{"append":{"header":{"key":"` + name + `","value":"` + value + `"},"append_action":"` + action + `"}}`
}

// lines are headers of a name as "a|b".
func lines(headers match.Headers, name string) string {
	return strings.Join(headers.Values(name), "|")
}

// TestMutation is for the request and the answer as header mutation filters leave them.
func TestMutation(t *testing.T) {
	perRoute := func(settings string) string {
		return `,"typed_per_filter_config":{"m":{` + httpType + `header_mutation.v3.HeaderMutationPerRoute","mutations":{` + settings + `}}}`
	}
	route := func(extra string) string {
		return `"routes":[{"name":"r","match":{"prefix":"/"},"route":{"cluster":"v1"}` + extra + `}]`
	}
	const overwrite, add, absent, exists = "OVERWRITE_IF_EXISTS_OR_ADD", "APPEND_IF_EXISTS_OR_ADD", "ADD_IF_ABSENT", "OVERWRITE_IF_EXISTS"
	for _, tc := range []struct {
		what, filters, table string
		header, want         string // of the request, or of the answer where its name begins with y-
	}{
		{"added", mutation("m", `"request_mutations":[`+put("X-A", "two", add)+`]`), toV1, "x-a", "one|two"},
		{"in the place of others", mutation("m", `"request_mutations":[`+put("x-a", "two", overwrite)+`]`), toV1, "x-a", "two"},
		{"where there is none", mutation("m", `"request_mutations":[`+put("x-a", "two", absent)+`,`+put("x-b", "two", absent)+`]`), toV1, "x-b", "two"},
		{"not where there is one", mutation("m", `"request_mutations":[`+put("x-a", "two", absent)+`]`), toV1, "x-a", "one"},
		{"only where there is one", mutation("m", `"request_mutations":[`+put("x-b", "two", exists)+`]`), toV1, "x-b", ""},
		{"only where there is one, and there is", mutation("m", `"request_mutations":[`+put("x-a", "two", exists)+`]`), toV1, "x-a", "two"},
		{"taken off", mutation("m", `"request_mutations":[{"remove":"X-A"}]`), toV1, "x-a", ""},
		{"taken off by a matcher", mutation("m", `"request_mutations":[{"remove_on_match":{"key_matcher":{"prefix":"x-"}}}]`), toV1, "x-a", ""},
		{"a value that is empty", mutation("m", `"request_mutations":[`+put("x-a", "", overwrite)+`]`), toV1, "x-a", "one"},
		{"each sees what those before have done", mutation("m", `"request_mutations":[`+put("x-a", "two", overwrite)+`,`+put("x-b", "%REQ(x-a)%", add)+`]`), toV1, "x-b", "two"},
		{"the route's after the filter's own", mutation("m", `"request_mutations":[`+put("x-a", "two", add)+`]`), routes(route(perRoute(`"request_mutations":[` + put("x-a", "three", add) + `]`))), "x-a", "one|two|three"},
		{"the most specific first", filter("m", "header_mutation.v3.HeaderMutation", ""), routes(route(perRoute(`"request_mutations":[`+put("x-a", "route", add)+`]`)) + perRoute(`"request_mutations":[`+put("x-a", "host", add)+`]`)), "x-a", "one|route|host"},
		{"or last", filter("m", "header_mutation.v3.HeaderMutation", `,"most_specific_header_mutations_wins":true`), routes(route(perRoute(`"request_mutations":[`+put("x-a", "route", add)+`]`)) + perRoute(`"request_mutations":[`+put("x-a", "host", add)+`]`)), "x-a", "one|host|route"},
		{"disabled", strings.Replace(mutation("m", `"request_mutations":[{"remove":"x-a"}]`), `"name":"m"`, `"name":"m","disabled":true`, 1), toV1, "x-a", "one"},
		{"the route then has the changed request", mutation("m", `"request_mutations":[`+put("x-a", "two", overwrite)+`]`), routes(route(`,"request_headers_to_add":[{"header":{"key":"x-b","value":"%REQ(x-a)%"}}]`)), "x-b", "two"},
		{"an answer", mutation("m", `"response_mutations":[`+put("y-a", "%REQ(x-a)%", add)+`]`), toV1, "y-a", "one"},
		{"an answer with what the route puts on it", mutation("m", `"response_mutations":[`+put("y-a", "two", add)+`]`), routes(route(`,"response_headers_to_add":[{"header":{"key":"y-a","value":"route"}}]`)), "y-a", "route|two"},
		{"filters see answers in reverse", mutation("m", `"response_mutations":[`+put("y-a", "first", add)+`]`) + mutation("n", `"response_mutations":[`+put("y-a", "second", add)+`]`), toV1, "y-a", "second|first"},
		{"an answer of another filter", filter("f", "fault.v3.HTTPFault", `,"abort":{"http_status":418,"percentage":{"numerator":100}}`) + mutation("m", `"response_mutations":[`+put("y-a", "%RESPONSE_CODE_DETAILS% %RESPONSE_FLAGS%", add)+`]`), toV1, "y-a", "fault_filter_abort FI"},
		{"an answer of Envoy's own", mutation("m", `"response_mutations":[`+put("y-a", "%RESPONSE_CODE_DETAILS%", add)+`]`), routes(`"routes":[]`), "y-a", "route_not_found"},
	} {
		r := plain("x-a", "one")
		hop := trace.Run(through(tc.filters, "", tc.table), nil, r).Hops[0]
		headers := hop.HTTP.RequestHeaders
		if strings.HasPrefix(tc.header, "y-") {
			headers = hop.HTTP.ResponseHeaders
		}
		if got := lines(headers, tc.header); got != tc.want || len(hop.Unmodelled) > 0 {
			t.Errorf("%s: %s is %q, want %q; not known: %v", tc.what, tc.header, got, tc.want, hop.Unmodelled)
		}
	}
}

// TestMutationOfPlaces is for header mutation that changes where a request goes, or what it cannot do without.
func TestMutationOfPlaces(t *testing.T) {
	set := func(name, value string) string {
		return mutation("m", `"request_mutations":[`+put(name, value, "OVERWRITE_IF_EXISTS_OR_ADD")+`]`)
	}
	query := func(list string) string { return mutation("m", `"query_parameter_mutations":[`+list+`]`) }
	again := filter("again", "set_filter_state.v3.Config", `,"clear_route_cache":true`)
	table := routes(`"routes":[{"name":"b","match":{"prefix":"/b"},"route":{"cluster":"v2"}},{"name":"rest","match":{"prefix":"/"},"route":{"cluster":"v1"}}]`)
	for _, tc := range []struct{ what, filters, route, leaving, verdict string }{
		{"the route stays", set(":path", "/b"), "rest", "GET h /b", "127.0.0.1"},
		{"unless it is looked up again", set(":path", "/b") + again, "b", "GET h /b", "127.0.0.1"},
		{"before, which is no use", again + filter("f", "fault.v3.HTTPFault", "") + set(":path", "/b"), "rest", "GET h /b", "127.0.0.1"},
		{"the one that asks first decides when", again + set(":path", "/b"), "b", "GET h /b", "127.0.0.1"},
		{"a host", set(":authority", "other"), "rest", "GET other /?q=1", "127.0.0.1"},
		{"a method", set(":method", "PUT"), "rest", "PUT h /?q=1", "127.0.0.1"},
		{"a parameter", query(`{"append":{"record":{"key":"n","value":"a b"}}}`), "rest", "GET h /?n=a%20b&q=1", "127.0.0.1"},
		{"another value", query(`{"append":{"record":{"key":"q","value":"2"},"action":"OVERWRITE_IF_EXISTS"}}`), "rest", "GET h /?q=2", "127.0.0.1"},
		{"no parameter", query(`{"remove":"q"}`), "rest", "GET h /", "127.0.0.1"},
		{"no path", mutation("m", `"request_mutations":[{"remove_on_match":{"key_matcher":{"exact":":path"}}}]`), "rest", "GET h ", "503 DPE filter_removed_required_request_headers{missing_required_header:_:path}"},
	} {
		r := plain()
		r.Path = "/?q=1"
		got := trace.Run(through(tc.filters, "", table), nil, r)
		hop := got.Hops[0]
		leaving := strings.Join([]string{lines(hop.Leaving, ":method"), lines(hop.Leaving, ":authority"), lines(hop.Leaving, ":path")}, " ")
		if hop.HTTP.Route != tc.route || leaving != tc.leaving || !strings.HasPrefix(got.Verdict.String(), tc.verdict) {
			t.Errorf("%s: route %q, leaves as %q, %s; want %q, %q, %s", tc.what, hop.HTTP.Route, leaving, got.Verdict, tc.route, tc.leaving, tc.verdict)
		}
	}
}

// TestMetadata is for filters that write metadata by which a route is then chosen.
func TestMetadata(t *testing.T) {
	again := filter("again", "set_filter_state.v3.Config", `,"clear_route_cache":true`)
	headers := func(rule string) string {
		return filter("m", "header_to_metadata.v3.Config", `,"request_rules":[`+rule+`]`) + again
	}
	fixed := func(list string) string {
		return filter("m", "set_metadata.v3.Config", `,"metadata":[`+list+`]`) + again
	}
	value := func(path, value string) string {
		var keys []string
		for key := range strings.SplitSeq(path, ".") {
			keys = append(keys, `{"key":"`+key+`"}`)
		}
		return `"dynamic_metadata":[{"filter":"ns","path":[` + strings.Join(keys, ",") + `],"value":` + value + `}]`
	}
	is := func(path, text string) string { return value(path, `{"string_match":{"exact":"`+text+`"}}`) }
	const to = `"metadata_namespace":"ns","key":"k"`
	const one = `{"metadata_namespace":"ns","value":{"k":"one","in":{"a":"x"},"list":["p"]}}`
	for _, tc := range []struct {
		what, filters, condition string
		holds                    bool
	}{
		{"a header", headers(`{"header":"X-A","on_header_present":{` + to + `}}`), is("k", "one"), true},
		{"a header that is not there", headers(`{"header":"x-none","on_header_present":{` + to + `},"on_header_missing":{` + to + `,"value":"missing"}}`), is("k", "missing"), true},
		{"a fixed value for one that is", headers(`{"header":"x-a","on_header_present":{` + to + `,"value":"there"}}`), is("k", "there"), true},
		{"a cookie", headers(`{"cookie":"c","on_header_present":{` + to + `}}`), is("k", "crumb"), true},
		{"several lines", headers(`{"header":"x-two","on_header_present":{` + to + `}}`), is("k", "1,2"), true},
		{"a part of it", headers(`{"header":"x-a","on_header_present":{` + to + `,"regex_value_rewrite":{"pattern":{"regex":"^o(.*)$"},"substitution":"\\1\\1"}}}`), is("k", "nene"), true},
		{"a number", headers(`{"header":"x-n","on_header_present":{` + to + `,"type":"NUMBER"}}`), value("k", `{"double_match":{"exact":5}}`), true},
		{"no number", headers(`{"header":"x-a","on_header_present":{` + to + `,"type":"NUMBER"}}`), value("k", `{"present_match":true}`), false},
		{"base64", headers(`{"header":"x-b64","on_header_present":{` + to + `,"encode":"BASE64"}}`), is("k", "one"), true},
		{"no base64", headers(`{"header":"x-bad","on_header_present":{` + to + `,"encode":"BASE64"}}`), value("k", `{"present_match":true}`), false},
		{"taken off", headers(`{"header":"x-a","on_header_present":{` + to + `},"remove":true}`), `"headers":[{"name":"x-a","present_match":true}]`, false},
		{"fixed", fixed(one), is("in.a", "x"), true},
		{"fixed again", fixed(one + `,{"metadata_namespace":"ns","value":{"k":"two"}}`), is("k", "one"), true},
		{"in its place", fixed(one + `,{"metadata_namespace":"ns","allow_overwrite":true,"value":{"k":"two"}}`), is("k", "two"), true},
		{"the rest stays", fixed(one + `,{"metadata_namespace":"ns","allow_overwrite":true,"value":{"in":{"b":"y"}}}`), is("in.a", "x"), true},
		{"lists go on", fixed(one + `,{"metadata_namespace":"ns","allow_overwrite":true,"value":{"list":["q"]}}`), value("list", `{"list_match":{"one_of":{"string_match":{"exact":"p"}}}}`), true},
		{"as older Envoys have it", filter("m", "set_metadata.v3.Config", `,"metadata_namespace":"ns","value":{"k":"old"}`) + again, is("k", "old"), true},
	} {
		table := routes(`"routes":[{"name":"yes","match":{"prefix":"/",` + tc.condition + `},"route":{"cluster":"v2"}},{"name":"no","match":{"prefix":"/"},"route":{"cluster":"v1"}}]`)
		r := plain("x-a", "one", "x-n", "5", "cookie", "c=crumb", "x-two", "1", "x-two", "2", "x-b64", "b25l", "x-bad", "!")
		if got := trace.Run(through(tc.filters, "", table), nil, r).Hops[0]; (got.HTTP.Route == "yes") != tc.holds {
			t.Errorf("%s: route %q; %v", tc.what, got.HTTP.Route, got.Steps)
		}
	}
	// The route may have a filter write other things, which the next one sees.
	table := routes(`"routes":[{"name":"r","match":{"prefix":"/"},"route":{"cluster":"v1"},"request_headers_to_add":[{"header":{"key":"x-k","value":"%DYNAMIC_METADATA(ns:k)%%DYNAMIC_METADATA(ns:r)%"}}],
		"typed_per_filter_config":{"m":{` + httpType + `set_metadata.v3.Config","metadata":[{"metadata_namespace":"ns","allow_overwrite":true,"value":{"r":"route"}}]}}}]`)
	if got := lines(trace.Run(through(filter("m", "set_metadata.v3.Config", `,"metadata":[`+one+`]`), "", table), nil, plain()).Hops[0].HTTP.RequestHeaders, "x-k"); got != "oneroute" {
		t.Errorf("metadata of the filter and of the route: %q", got)
	}
}

// TestFilterState is for objects that filters make for later conditions.
func TestFilterState(t *testing.T) {
	object := func(key, text, more string) string {
		return `{"object_key":"` + key + `","factory_key":"envoy.string","format_string":{"text_format_source":{"inline_string":"` + text + `"}}` + more + `}`
	}
	state := func(list string) string {
		return filter("s", "set_filter_state.v3.Config", `,"clear_route_cache":true,"on_request_headers":[`+list+`]`)
	}
	for _, tc := range []struct{ what, filters, want string }{
		{"a text", state(object("k", "one", "")), "one"},
		{"of the request", state(object("k", "%REQ(x-a)%", "")), "a"},
		{"what is absent", state(object("k", "%REQ(x-none)%", "")), "-"},
		{"what is empty and skipped", state(`{"object_key":"k","skip_if_empty":true,"format_string":{"omit_empty_values":true,"text_format_source":{"inline_string":"%REQ(x-none)%"}}}`), ""},
		{"the last counts", state(object("k", "one", "") + "," + object("k", "two", "")), "two"},
		{"but not after one that is fixed", state(object("k", "one", `,"read_only":true`) + "," + object("k", "two", "")), "one"},
		{"what is no address makes no address", state(strings.Replace(object("k", "none", ""), "envoy.string", "envoy.network.ip", 1)), ""},
	} {
		var list []string
		for _, want := range []string{"one", "two", "a", "-", "none"} {
			list = append(list, `{"name":"`+want+`","match":{"prefix":"/","filter_state":[{"key":"k","string_match":{"exact":"`+want+`"}}]},"route":{"cluster":"v1"}}`)
		}
		table := routes(`"routes":[` + strings.Join(list, ",") + `,{"match":{"prefix":"/"},"route":{"cluster":"v1"}}]`)
		if got := trace.Run(through(tc.filters, "", table), nil, plain("x-a", "a")).Hops[0]; got.HTTP.Route != tc.want {
			t.Errorf("%s: route %q, want %q; %v", tc.what, got.HTTP.Route, tc.want, got.Steps)
		}
	}
}

// TestFilterStateGoesOn is for a connection that one listener hands to another inside the proxy: what is shared goes on, once or for good.
func TestFilterStateGoesOn(t *testing.T) {
	set := func(key, shared string) string {
		return `{"object_key":"` + key + `","factory_key":"envoy.string","shared_with_upstream":"` + shared + `","format_string":{"text_format_source":{"inline_string":"yes"}}}`
	}
	tcp := func(name, address, filters, cluster string) string {
		return `{"name":"` + name + `",` + address + `,"filter_chains":[{"name":"c","filters":[` + filters + `{"name":"tcp","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy","cluster":"` + cluster + `"}}]}]`
	}
	inside := func(name string) string {
		return `{"name":"` + name + `","type":"STATIC","transport_socket":{"name":"i","typed_config":{"@type":"type.googleapis.com/envoy.extensions.transport_sockets.internal_upstream.v3.InternalUpstreamTransport"}},"load_assignment":{"endpoints":[{"lb_endpoints":[{"endpoint":{"address":{"envoy_internal_address":{"server_listener_name":"` + name + `"}}}}]}]}}`
	}
	sets := `{"name":"s","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.network.set_filter_state.v3.Config","on_new_connection":[` + set("none", "NONE") + `,` + set("once", "ONCE") + `,` + set("always", "TRANSITIVE") + `]}},`
	chosen := func(key string) string {
		return `{"matcher":{"matcher_tree":{"input":{"name":"state","typed_config":{"@type":"type.googleapis.com/envoy.extensions.matching.common_inputs.network.v3.FilterStateInput","key":"` + key + `"}},
			"exact_match_map":{"map":{"yes":{"action":{"name":"c","typed_config":{"@type":"type.googleapis.com/google.protobuf.StringValue","value":"c"}}}}}}}}`
	}
	for _, tc := range []struct {
		key        string
		first, all bool // whether the first listener inside sees it, and whether the second does
	}{{"none", false, false}, {"once", true, false}, {"always", true, true}} {
		asks := `,"filter_chain_matcher":` + strings.TrimSuffix(strings.TrimPrefix(chosen(tc.key), `{"matcher":`), "}") + "}"
		listeners := []string{
			tcp("outer", `"address":{"socket_address":{"address":"0.0.0.0","port_value":80}}`, sets, "one") + "}",
			tcp("one", `"internal_listener":{}`, "", "two"),
			tcp("two", `"internal_listener":{}`, "", "end"),
		}
		for _, at := range []int{1, 2} {
			list := []string{listeners[0], listeners[1], listeners[2]}
			for i := range list[1:] {
				if i+1 == at {
					list[i+1] += asks
				} else {
					list[i+1] += "}"
				}
			}
			p := newProxy("p", list, nil, []string{inside("one"), inside("two"), static("end", "", "127.0.0.1")})
			got := trace.Run(p, nil, trace.Request{Destination: netip.MustParseAddrPort("10.0.0.2:80"), Client: filterchain.Client{Opaque: true}})
			if want := at == 1 && tc.first || at == 2 && tc.all; got.Verdict.Reached != want {
				t.Errorf("%s in listener %d: %s, want it seen %v", tc.key, at, got.Verdict, want)
			}
		}
	}
}

// TestMatcher is for filters with a matcher around them.
func TestMatcher(t *testing.T) {
	tree := func(header, action string) string {
		return `{"matcher_list":{"matchers":[{"predicate":{"single_predicate":{"input":{"name":"h","typed_config":{"@type":"type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput","header_name":"` + header + `"}},
			"value_match":{"exact":"yes"}}},"on_match":{"action":{"name":"a","typed_config":` + action + `}}}]}}`
	}
	const skip = `{"@type":"type.googleapis.com/envoy.extensions.filters.common.matcher.action.v3.SkipFilter"}`
	inner := `{"name":"inner","typed_config":{` + httpType + `header_mutation.v3.HeaderMutation","mutations":{"request_mutations":[` + put("x-ran", "yes", "OVERWRITE_IF_EXISTS_OR_ADD") + `],"response_mutations":[` + put("y-ran", "yes", "OVERWRITE_IF_EXISTS_OR_ADD") + `]}}}`
	with := func(filter, matcher string) string {
		return `{"name":"m","typed_config":{"@type":"type.googleapis.com/envoy.extensions.common.matching.v3.ExtensionWithMatcher","extension_config":` + filter + matcher + `}},`
	}
	composite := `{"name":"c","typed_config":{` + httpType + `composite.v3.Composite"}}`
	run := `{` + httpType + `composite.v3.ExecuteFilterAction","typed_config":` + inner + `}`
	perRoute := routes(`"routes":[{"match":{"prefix":"/"},"route":{"cluster":"v1"},"typed_per_filter_config":{"m":{"@type":"type.googleapis.com/envoy.extensions.common.matching.v3.ExtensionWithMatcherPerRoute","xds_matcher":` + tree("x-route", skip) + `}}}]`)
	for _, tc := range []struct {
		what, filter, table, header string
		ran                         bool
	}{
		{"skipped", with(inner, `,"xds_matcher":`+tree("x-skip", skip)), toV1, "x-skip", false},
		{"not skipped", with(inner, `,"xds_matcher":`+tree("x-skip", skip)), toV1, "x-other", true},
		{"without a matcher", with(inner, ""), toV1, "x-other", false},
		{"by the matcher of the route", with(inner, `,"xds_matcher":`+tree("x-skip", skip)), perRoute, "x-route", false},
		{"which replaces its own", with(inner, `,"xds_matcher":`+tree("x-skip", skip)), perRoute, "x-skip", true},
		{"chosen", with(composite, `,"xds_matcher":`+tree("x-run", run)), toV1, "x-run", true},
		{"not chosen", with(composite, `,"xds_matcher":`+tree("x-run", run)), toV1, "x-other", false},
	} {
		got := trace.Run(through(tc.filter, "", tc.table), nil, plain(tc.header, "yes"))
		hop := got.Hops[0]
		if ran := lines(hop.HTTP.RequestHeaders, "x-ran") == "yes"; ran != tc.ran || ran != (lines(hop.HTTP.ResponseHeaders, "y-ran") == "yes") || len(hop.MayAnswer) > 0 {
			t.Errorf("%s: ran %v, request %v, answer %v", tc.what, ran, hop.HTTP.RequestHeaders, hop.HTTP.ResponseHeaders)
		}
	}
}

// TestHostname is for a route that wants the name of the endpoint for the host.
func TestHostname(t *testing.T) {
	table := routes(`"routes":[{"match":{"prefix":"/"},"route":{"cluster":"named","auto_host_rewrite":true,"append_x_forwarded_host":true}}]`)
	for _, tc := range []struct{ cluster, want string }{
		{strings.Replace(static("named", "", "127.0.0.1"), `{"endpoint":{`, `{"endpoint":{"hostname":"name",`, 1), "name|h|h"},
		{static("named", "", "127.0.0.1"), "h||"},
		{strings.Replace(static("named", "", "dns.name"), "STATIC", "STRICT_DNS", 1), "dns.name|h|h"},
	} {
		p := through("", "", table)
		p.clusters = newProxy("", nil, nil, []string{tc.cluster}).clusters
		got := trace.Run(p, nil, plain()).Hops[0].Leaving
		if diff := cmp.Diff(tc.want, strings.Join([]string{lines(got, ":authority"), lines(got, "x-envoy-original-host"), lines(got, "x-forwarded-host")}, "|")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.cluster, diff)
		}
	}
}
