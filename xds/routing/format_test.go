package routing_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// formats makes header rules of formats, each for a header of its own.
func formats(rules string, formats []string) string {
	var options []string
	for i, format := range formats {
		value := string(rawjson.Quote(nil, format))
		options = append(options, `{"header":{"key":"h`+string(rune('a'+i))+`","value":`+value+`}}`)
	}
	return `"` + rules + `":[` + strings.Join(options, ",") + `]`
}

// What a format gives depends on whether the request is being sent, a cluster's response is passed on, or Envoy answers by itself. - stands for no
// header, ? for what cannot be known.
func TestFormats(t *testing.T) {
	cases := []struct{ format, sending, receiving, answering string }{
		{`%REQ(x-a):2%`, "ab", "ab", "ab"},
		{`%STREAM_INFO_REQ(x-none?x-a)%`, "abc", "abc", "abc"},
		{`%RESP(x)%`, "-", "?", "-"},
		{`%QUERY_PARAM(q)%`, "a b", "a b", "a b"},
		{`%QUERY_PARAMS%`, "q=a%20b&r", "q=a%20b&r", "q=a%20b&r"},
		{`%QUERY_PARAMS(DECODED)%`, "?", "?", "?"},
		{`%COALESCE({"operators":["TRAILER",{"command":"REQ","param":"x-none"},{"command":"REQ","param":"x-a","max_length":1}]})%`, "a", "?", "a"},
		{`%VIRTUAL_CLUSTER_NAME%`, "vc", "vc", "-"},
		{`%RESPONSE_CODE%`, "0", "?", "0"},
		{`%RESPONSE_FLAGS%%RESPONSE_FLAGS_LONG%`, "--", "?", "--"},
		{`%RESPONSE_CODE_DETAILS%`, "-", "?", "direct_response"},
		{`%UPSTREAM_REQUEST_ATTEMPT_COUNT%`, "1", "?", "0"},
		{`%UPSTREAM_HOST%`, "-", "?", "-"},
		{`%METADATA(VIRTUAL_HOST:m:k)%`, "v", "v", "v"},
		{`%FILTER_STATE(s:PLAIN)%%PER_REQUEST_STATE(s)%`, "oneone", "oneone", "oneone"},
		{`%FILTER_STATE(other:PLAIN)%`, "?", "?", "?"},
		{`%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%`, "10.0.0.1", "10.0.0.1", "10.0.0.1"},
		{`%DOWNSTREAM_REMOTE_ADDRESS%`, "?", "?", "?"}, // its port is not known
		{`%DOWNSTREAM_LOCAL_PORT%`, "?", "?", "?"},
		{`%DOWNSTREAM_PEER_ISSUER%%DOWNSTREAM_TLS_VERSION%%DOWNSTREAM_LOCAL_URI_SAN%`, "-", "-", "-"},
		{`%HOSTNAME%`, "?", "?", "?"},
	}
	var texts []string
	for _, tc := range cases {
		texts = append(texts, tc.format)
	}
	index := table(`{"virtual_hosts":[{"domains":["*"],"metadata":{"filter_metadata":{"m":{"k":"v"}}},
		"virtual_clusters":[{"name":"vc","headers":[{"name":":path","string_match":{"prefix":"/"}}]}],
		` + formats("request_headers_to_add", texts) + `,` + formats("response_headers_to_add", texts) + `,"routes":[
		{"match":{"prefix":"/to"},"route":{"cluster":"c"}},{"match":{"prefix":"/"},"direct_response":{"status":200}}]}]}`)
	request := func(path string) *match.Request {
		return &match.Request{
			Host: "h", Path: path + "?q=a%20b&r", Headers: match.Headers{{Name: "x-a", Value: "abc"}}, FilterState: map[string]string{"s": "one"},
			Connection: match.Connection{Source: netip.MustParseAddrPort("10.0.0.1:0")},
		}
	}
	sent, answered := index.Match(request("/to")), index.Match(request("/"))
	for i, tc := range cases {
		name := "h" + string(rune('a'+i))
		for _, phase := range []struct {
			name       string
			headers    match.Headers
			unmodelled []string
			want       string
		}{
			{"sending", sent.RequestHeaders, sent.Unmodelled, tc.sending},
			{"receiving", sent.ResponseHeaders, sent.Unmodelled, tc.receiving},
			{"answering", answered.ResponseHeaders, answered.Unmodelled, tc.answering},
		} {
			got, ok := phase.headers.Get(name)
			switch {
			case !ok:
				got = "-"
			case strings.HasPrefix(got, "%"):
				got = "?"
				noted := func(note string) bool {
					return strings.Contains(tc.format, strings.TrimPrefix(note, "format command "))
				}
				if !slices.ContainsFunc(phase.unmodelled, noted) {
					t.Errorf("%s, %s: not said to be unknown", tc.format, phase.name)
				}
			}
			if got != phase.want {
				t.Errorf("%s, %s: %q, want %q", tc.format, phase.name, got, phase.want)
			}
		}
	}
}

// A virtual cluster that stands for all others has no name in formats.
func TestVirtualClusterFormat(t *testing.T) {
	got := table(`{"virtual_hosts":[{"domains":["*"],"virtual_clusters":[{"name":"vc","headers":[{"name":":path","string_match":{"exact":"/x"}}]}],
		"routes":[{"match":{"prefix":"/"},"route":{"cluster":"c"},` + formats("request_headers_to_add", []string{"%VIRTUAL_CLUSTER_NAME%"}) + `}]}]}`).Match(&match.Request{Host: "h", Path: "/"})
	if value, ok := got.RequestHeaders.Get("ha"); ok || got.VirtualCluster != "other" {
		t.Errorf("virtual cluster %s, header %q; want other, and no header", got.VirtualCluster, value)
	}
}

// The headers of a weighted cluster are made before its host takes the place of the request's, those of the route after.
func TestWeightedClusterHost(t *testing.T) {
	host := []string{"%REQ(:authority)%"}
	got := table(`{"virtual_hosts":[{"domains":["*"],"routes":[{"match":{"prefix":"/"},"route":{"host_rewrite_literal":"route","append_x_forwarded_host":true,
		"weighted_clusters":{"clusters":[{"name":"c","weight":1,"host_rewrite_literal":"cluster",` + formats("request_headers_to_add", host) + `}]}},
		` + strings.ReplaceAll(formats("request_headers_to_add", host), `"ha"`, `"hb"`) + `}]}]}`).Match(&match.Request{Host: "h", Path: "/"})
	want := map[string]string{"ha": "h", "hb": "cluster", "x-envoy-original-host": "cluster", "x-forwarded-host": "cluster"}
	for name, value := range want {
		if got, _ := got.RequestHeaders.Get(name); got != value {
			t.Errorf("header %s: %q, want %q", name, got, value)
		}
	}
	if got.Host != "route" {
		t.Errorf("host %q, want route", got.Host)
	}
}

// The values of some headers are one line for Envoy, and a raw value is none.
func TestHeaderLines(t *testing.T) {
	got := table(`{"virtual_hosts":[{"domains":["*"],"routes":[{"match":{"prefix":"/"},"route":{"cluster":"c"},"request_headers_to_add":[
		{"header":{"key":"x-all","value":"%REQ(accept)%"}},{"header":{"key":"x-first","value":"%REQ(x)%"}},{"header":{"key":"x-raw","raw_value":"YQ=="}}]}]}]}`).Match(&match.Request{
		Host: "h", Path: "/", Headers: match.Headers{{Name: "accept", Value: "a"}, {Name: "accept"}, {Name: "accept", Value: "b"}, {Name: "x", Value: "a"}, {Name: "x", Value: "b"}},
	})
	for name, want := range map[string]string{"x-all": "a,b", "x-first": "a", "x-raw": ""} {
		if value, _ := got.RequestHeaders.Get(name); value != want {
			t.Errorf("header %s: %q, want %q", name, value, want)
		}
	}
}
