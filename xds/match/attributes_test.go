package match_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/meshlark/meshlark/xds/cel"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// is compares an attribute with a constant.
func is(path, constant string) string {
	name, rest, _ := strings.Cut(path, ".")
	operand := `{"ident_expr":{"name":"` + name + `"}}`
	for field := range strings.SplitSeq(rest, ".") {
		operand = `{"select_expr":{"operand":` + operand + `,"field":"` + field + `"}}`
	}
	return `{"call_expr":{"function":"_==_","args":[` + operand + `,{"const_expr":{` + constant + `}}]}}`
}

func text(s string) string { return fmt.Sprintf(`"string_value":%q`, s) }

func TestExpression(t *testing.T) {
	secure := match.Request{
		Host: "h", Path: "/a/b?q=1#f", Headers: match.Headers{{Name: "user-agent", Value: "curl"}, {Name: "x-two", Value: "1"}, {Name: "x-two", Value: "2"}, {Name: "content-length", Value: "5"}},
		Connection: match.Connection{
			Source: netip.MustParseAddrPort("10.0.0.1:1000"), Destination: netip.MustParseAddrPort("[fd00::1]:80"), TLS: true, SNI: "a.com",
			Peer: match.Peer{Presented: true, URISANs: []string{"spiffe://a", "spiffe://b"}, Subject: "CN=a"},
		},
		Metadata: map[string]any{"ns": map[string]any{"k": "v"}}, FilterState: map[string]string{"key": "value"},
	}
	plain := match.Request{Path: "/a", Headers: match.Headers{{Name: "content-length", Value: "x"}}}
	for _, tc := range []struct {
		request *match.Request
		expr    string
		want    string // true, false, or a part of the error
	}{
		{&secure, is("request.path", text("/a/b?q=1#f")), "true"}, {&secure, is("request.url_path", text("/a/b")), "true"}, {&secure, is("request.query", text("q=1")), "true"},
		{&secure, is("request.host", text("h")), "true"}, {&secure, is("request.method", text("GET")), "true"}, {&secure, is("request.scheme", text("https")), "true"},
		{&secure, is("request.useragent", text("curl")), "true"}, {&secure, is("request.referer", text("")), "there is no referer"}, {&secure, is("request.id", text("")), "there is no id"},
		{&secure, is("request.headers.X-Two", text("1,2")), "true"}, {&secure, is("request.headers.:path", text("/a/b?q=1#f")), "true"}, {&secure, is("request.size", `"int64_value":5`), "true"},
		{&secure, is("request.time", text("")), "request.time: not known"}, {&secure, is("request.none", text("")), "there is no none"}, {&secure, is("response.code", text("")), "response: not known"},
		{&secure, is("source.address", text("10.0.0.1:1000")), "true"}, {&secure, is("source.port", `"int64_value":1000`), "true"}, {&secure, is("destination.address", text("[fd00::1]:80")), "true"}, {&secure, is("source.none", text("")), "there is no none"},
		{&secure, is("connection.mtls", `"bool_value":true`), "true"}, {&secure, is("connection.requested_server_name", text("a.com")), "true"}, {&secure, is("connection.uri_san_peer_certificate", text("spiffe://a")), "true"},
		{&secure, is("connection.dns_san_peer_certificate", text("")), "there is no dns_san_peer_certificate"}, {&secure, is("connection.subject_peer_certificate", text("CN=a")), "true"}, {&secure, is("connection.tls_version", text("")), "tls_version: not known"},
		{&secure, is("metadata.filter_metadata.ns.k", text("v")), "true"}, {&secure, is("metadata.typed_filter_metadata", text("")), "not known"}, {&secure, is("filter_state.key", `"bytes_value":"dmFsdWU="`), "true"}, {&secure, is("filter_state.key", text("value")), "false"},
		{&plain, is("request.host", text("")), "there is no host"}, {&plain, is("request.size", `"int64_value":0`), "there is no size"}, {&plain, is("source.port", text("")), "port of a connection: not known"},
		{&plain, is("connection.mtls", `"bool_value":false`), "true"}, {&plain, is("connection.tls_version", text("")), "there is no tls_version"}, {&plain, is("connection.subject_peer_certificate", text("")), "there is no subject"}, {&plain, is("nothing.x", text("")), "there is no nothing"},
	} {
		holds, err := match.Expression(rawjson.Value(tc.expr), tc.request)
		got := fmt.Sprint(holds)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, tc.want) || errors.Is(err, cel.ErrUnknown) != strings.Contains(tc.want, "not known") {
			t.Errorf("%s: %s, want %s", tc.expr, got, tc.want)
		}
	}
}

// TestExtensions is for what extensions of matchers decide.
func TestExtensions(t *testing.T) {
	header := `{"name":"h","typed_config":{"@type":"type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput","header_name":"x-a"}}`
	attributes := `{"name":"cel","typed_config":{"@type":"type.googleapis.com/xds.type.matcher.v3.HttpAttributesCelMatchInput"}}`
	expression := func(form, expr string) string {
		return `{"name":"c","typed_config":{"@type":"type.googleapis.com/xds.type.matcher.v3.CelMatcher","expr_match":{"` + form + `":{"expr":` + expr + `}}}}`
	}
	hashing := func(threshold string) string {
		return `{"name":"c","typed_config":{"@type":"type.googleapis.com/envoy.extensions.matching.input_matchers.consistent_hashing.v3.ConsistentHashing","modulo":10,"threshold":` + threshold + `}}`
	}
	fraction := func(key, numerator string) string {
		return `{"name":"c","typed_config":{"@type":"type.googleapis.com/envoy.extensions.matching.input_matchers.runtime_fraction.v3.RuntimeFraction","runtime_fraction":{"runtime_key":"` + key + `","default_value":{"numerator":` + numerator + `}}}}`
	}
	// The hash of "a" leaves 5 of 10, and 55 of 100.
	for _, tc := range []struct {
		input, custom  string
		found, unknown bool
	}{
		{attributes, expression("cel_expr_parsed", is("request.host", text("h"))), true, false},
		{attributes, expression("cel_expr_checked", is("request.host", text("x"))), false, false},
		{attributes, expression("parsed_expr", is("request.none", text("x"))), false, false},
		{attributes, expression("checked_expr", is("xds.node", text("x"))), false, true},
		{attributes, expression("text", ""), false, true},
		{header, expression("parsed_expr", is("request.host", text("h"))), false, true},
		{header, hashing("5"), true, false}, {header, hashing("6"), false, false},
		{strings.Replace(header, "x-a", "x-none", 1), hashing("0"), false, false},
		{header, fraction("", "55"), false, false}, {header, fraction("", "56"), true, false}, {header, fraction("all", "0"), true, false},
	} {
		tree := `{"matcher_list":{"matchers":[{"predicate":{"single_predicate":{"input":` + tc.input + `,"custom_match":` + tc.custom + `}},"on_match":{"action":{"name":"yes"}}}]}}`
		r := &match.Request{Host: "h", Headers: match.Headers{{Name: "x-a", Value: "a"}}, Runtime: map[string]any{"all": 100}}
		got := match.Tree(rawjson.Value(tree), r)
		if got.Found != tc.found || (len(got.Unmodelled) > 0) != tc.unknown {
			t.Errorf("%s %s: found %v, not known %v", tc.input, tc.custom, got.Found, got.Unmodelled)
		}
	}
}
