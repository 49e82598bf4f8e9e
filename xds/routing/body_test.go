package routing_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/xds/match"
)

// What Envoy 1.40 answers with these formats.
func TestBodyFormat(t *testing.T) {
	for _, tc := range []struct{ format, body, contentType string }{
		{`{"text_format":"%RESPONSE_CODE%|%LOCAL_REPLY_BODY%|%REQ(x)%|%RESPONSE_FLAGS%|%RESPONSE_CODE_DETAILS%"}`, "0|BODY|-|-|-", "text/plain"},
		{`{"text_format_source":{"inline_string":"Hello"},"content_type":"text/html"}`, "Hello", "text/html"},
		{`{"text_format":"hi %REQ(x)%","omit_empty_values":true}`, "hi ", "text/plain"},
		{`{"json_format":{"z":"value","p":"%REQ(:path)%","code":"%RESPONSE_CODE%","n":3,"m":"%REQ(x)%","mix":"a%REQ(x)%b","l":["%LOCAL_REPLY_BODY%",true,null],"o":{"k":"<&>"},"h":"%%"}}`,
			`{"code":0,"h":"%","l":["BODY",true,null],"m":null,"mix":"a-b","n":3,"o":{"k":"<&>"},"p":"/m","z":"value"}` + "\n", "application/json"},
		{`{"json_format":{"p":"%REQ(x)%"},"omit_empty_values":true}`, "{}\n", "application/json"},
		{`{"text_format":"%DYNAMIC_METADATA(ns:k)% %DYNAMIC_METADATA(ns:n)% %DYNAMIC_METADATA(ns:o)% %DYNAMIC_METADATA(ns:o:x)% %DYNAMIC_METADATA(ns:z)% %DYNAMIC_METADATA(no)% %METADATA(ROUTE:rm:a)% %METADATA(ROUTE:rm)% %METADATA(ROUTE:rm:b)%"}`,
			`v 3 {"x":"y z"} y z - - b {"a":"b"} -`, "text/plain"},
	} {
		got := table(`{"virtual_hosts":[{"name":"a","domains":["*"],"routes":[{"match":{"prefix":"/"},"metadata":{"filter_metadata":{"rm":{"a":"b"}}},
			"direct_response":{"status":200,"body":{"inline_string":"BODY"},"body_format":` + tc.format + `},
			"response_headers_to_add":[{"header":{"key":"content-type","value":"a/b"},"append_action":"OVERWRITE_IF_EXISTS"},{"header":{"key":"code","value":"%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%"}},
				{"header":{"key":"old","value":"%DYNAMIC_METADATA([\"ns\", \"k\"])%"}}]}]}]}`).Match(&match.Request{Host: "a", Path: "/m", Metadata: map[string]any{
			"ns": map[string]any{"k": "v", "n": 3, "o": map[string]any{"x": "y z"}, "z": nil}}})
		contentType, _ := got.ResponseHeaders.Get("content-type")
		code, _ := got.ResponseHeaders.Get("code")
		old, _ := got.ResponseHeaders.Get("old")
		if diff := cmp.Diff([]string{tc.body, tc.contentType, "0 - direct_response", "v"}, []string{got.Body, contentType, code, old}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.format, diff)
		}
		if len(got.Unmodelled) > 0 {
			t.Errorf("%s: not computed: %q", tc.format, got.Unmodelled)
		}
	}
}

// Runtime can make the weights of a route 0, which is passed over then, and change what is mirrored.
func TestRuntimeOfClusters(t *testing.T) {
	rc := table(`{"virtual_hosts":[{"name":"a","domains":["*"],"routes":[
		{"name":"weighted","match":{"prefix":"/"},"route":{"weighted_clusters":{"runtime_key_prefix":"w","clusters":[{"name":"c1","weight":1},{"name":"c2","weight":2}]},
			"request_mirror_policies":[{"cluster":"copy","runtime_fraction":{"default_value":{"numerator":20},"runtime_key":"m"}}]}},
		{"name":"rest","match":{"prefix":"/"},"route":{"cluster":"c3"}}]}]}`)
	for _, tc := range []struct {
		runtime map[string]any
		route   string
		mirror  float64
	}{
		{nil, "weighted", 0.2},
		{map[string]any{"m": "50"}, "weighted", 0.5},
		{map[string]any{"w.c1": "0"}, "weighted", 0.2},
		{map[string]any{"w.c1": "0", "w.c2": "0"}, "rest", 0},
	} {
		got := rc.Match(&match.Request{Host: "a", Path: "/", Runtime: tc.runtime})
		mirror := 0.0
		for _, m := range got.Mirrors {
			mirror += m.Share
		}
		if got.Route != tc.route || mirror != tc.mirror {
			t.Errorf("runtime %v: route %s with %g mirrored, want %s with %g", tc.runtime, got.Route, mirror, tc.route, tc.mirror)
		}
	}
}
