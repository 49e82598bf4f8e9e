package diff_test

import (
	"fmt"
	"testing"

	"github.com/meshlark/meshlark/xds/diff"
)

// Values of one line say the same, values of different lines do not.
func TestNormalForms(t *testing.T) {
	for _, test := range []struct {
		message, field string
		lines          [][]string
	}{
		{"envoy.config.cluster.v3.Cluster", "connect_timeout", [][]string{
			{`"1s"`, `"1.0s"`, `"1.000s"`, `"01.000000000s"`}, {`"60s"`, `"60.000s"`}, {`"0s"`, `"0.000s"`, `"-0s"`}, {`"0.25s"`, `"0.250s"`, `".25s"`}, {`"-1.5s"`}, {`"1m"`}, {`"60"`}, {`60`}, {`"s"`}, {`{}`},
		}},
		{"envoy.config.cluster.v3.Cluster", "lb_policy", [][]string{{`"RANDOM"`, `3`, `3.0`}, {`"LEAST_REQUEST"`, `1`}, {`99`}, {`"NOT_KNOWN"`}}},
		{"envoy.config.cluster.v3.Cluster", "per_connection_buffer_limit_bytes", [][]string{{`5`, `"5"`, `5.0`, `50e-1`}, {`0`, `"0"`}, {`"x"`}, {`true`}}},
		{"envoy.type.v3.Int64Range", "start", [][]string{{`9007199254740993`, `"9007199254740993"`}, {`9007199254740992`}}},
		{"envoy.type.v3.DoubleRange", "start", [][]string{{`0.1`, `1e-1`, `"0.1"`}, {`0.10000000149011612`}, {`"NaN"`}, {`"Infinity"`}, {`-0`}}},
		{"envoy.config.route.v3.RouteMatch", "case_sensitive", [][]string{{`true`}, {`false`}}},
		{"envoy.config.core.v3.DataSource", "inline_bytes", [][]string{{`"+/8="`, `"-_8="`, `"-_8"`, `"+/8"`}, {`""`}, {`"AA=="`}, {`"!"`}}},
		{"envoy.config.core.v3.DataSource", "inline_string", [][]string{{`"a"`, `"\u0061"`}, {`"A"`}, {`5`}}},
		{"envoy.admin.v3.UpdateFailureState", "last_update_attempt", [][]string{{`"2026-11-23T00:20:56Z"`, `"2026-11-23T00:20:56.000Z"`, `"2026-11-23T01:20:56+01:00"`}, {`"2026-11-23T00:20:57Z"`}}},
		{"envoy.extensions.filters.http.grpc_field_extraction.v3.RequestFieldValueDisposition", "dynamic_metadata", [][]string{{`"a"`}, {`"b"`}}},
		{"google.protobuf.Option", "nothing", [][]string{{`1`, `1.0`, `1e0`}, {`"1"`}, {`true`}}},
		{"envoy.config.core.v3.Metadata", "filter_metadata", [][]string{{`{"a":{"x":1}}`, `{"a":{"x":1.0}}`}, {`{"a":{"x":"1"}}`}, {`{"a":{"x":null}}`}, {`{"a":{}}`}, {`{"a":{"x_y":1}}`}, {`{"a":{"xY":1}}`}}},
		{"envoy.config.listener.v3.FilterChainMatch", "destination_port", [][]string{{`0`}, {`80`}}},
	} {
		for i, line := range test.lines {
			for _, a := range line {
				for j, other := range test.lines {
					for _, b := range other {
						left, right := fmt.Sprintf(`{%q:%s}`, test.field, a), fmt.Sprintf(`{%q:%s}`, test.field, b)
						if got := edits(t, left, right, test.message, diff.Options{}); (len(got) == 0) != (i == j) {
							t.Errorf("%s: %s and %s: %q", test.message, left, right, got)
						}
						edits(t, left, right, test.message, diff.Options{Exact: true})
					}
				}
			}
		}
	}
}

// What is absent says the same as what is zero, where there is no presence.
func TestAbsent(t *testing.T) {
	for _, test := range []struct {
		message, value string
		differs        bool
	}{
		{"envoy.config.cluster.v3.Cluster", `{"name":""}`, false},
		{"envoy.config.cluster.v3.Cluster", `{"name":null}`, false},
		{"envoy.config.cluster.v3.Cluster", `{"lb_policy":"ROUND_ROBIN"}`, false},
		{"envoy.config.cluster.v3.Cluster", `{"lb_policy":0}`, false},
		{"envoy.config.cluster.v3.Cluster", `{"ignore_health_on_host_removal":false}`, false},
		{"envoy.config.cluster.v3.Cluster", `{"health_checks":[]}`, false},
		{"envoy.config.cluster.v3.Cluster", `{"typed_extension_protocol_options":{}}`, false},
		{"envoy.config.cluster.v3.Cluster", `{"connect_timeout":null}`, false},
		{"envoy.config.cluster.v3.Cluster", `{"connect_timeout":"0s"}`, true},
		{"envoy.config.cluster.v3.Cluster", `{"per_connection_buffer_limit_bytes":0}`, true},
		{"envoy.config.cluster.v3.Cluster", `{"metadata":{}}`, true},
		{"envoy.config.cluster.v3.Cluster", `{"not_a_field":""}`, true},
		{"envoy.config.cluster.v3.Cluster", `{"type":"STATIC"}`, true}, // in a oneof
		{"envoy.config.route.v3.RouteMatch", `{"prefix":""}`, true},    // in a oneof
		{"envoy.config.core.v3.RuntimeDouble", `{"default_value":0.0}`, false},
		{"envoy.config.core.v3.RuntimeDouble", `{"default_value":"0"}`, false},
		{"envoy.type.v3.Int64Range", `{"start":"0"}`, false},
		{"envoy.config.core.v3.HealthCheck.HttpHealthCheck", `{"path":""}`, false},
		{"", `{"a":null}`, true},
		{"", `{"a":[]}`, true},
	} {
		for _, pair := range [][2]string{{test.value, `{}`}, {`{}`, test.value}} {
			if got := edits(t, pair[0], pair[1], test.message, diff.Options{}); (len(got) > 0) != test.differs {
				t.Errorf("%s: %s and %s: %q", test.message, pair[0], pair[1], got)
			}
		}
	}
}

func TestIgnorePaths(t *testing.T) {
	const left, right = `{"a":{"b":[{"name":"x","v":1},{"name":"y","v":1}]},"c.d":1}`, `{"a":{"b":[{"name":"x","v":2},{"name":"y","v":2}]},"c.d":2}`
	for _, test := range []struct {
		ignore []string
		want   int
	}{
		{nil, 3},
		{[]string{"a"}, 1},
		{[]string{"a.b[0]"}, 2},
		{[]string{"a.b[0].v", "[c.d]"}, 1},
		{[]string{"**.v"}, 1},
		{[]string{"a.*[*].v"}, 1},
		{[]string{"a.**"}, 1},
		{[]string{`["c.d"]`}, 2},
		{[]string{"[c*]"}, 2},
		{[]string{"**"}, 0},
		{[]string{"v", "b", "**.nothing"}, 3},
		{[]string{"a.b.*"}, 1},
	} {
		if got := edits(t, left, right, "", diff.Options{Ignore: test.ignore}); len(got) != test.want {
			t.Errorf("ignoring %q leaves %q, want %d", test.ignore, got, test.want)
		}
		if got := edits(t, left, right, "", diff.Options{Ignore: test.ignore, Exact: true}); len(got) != 3 {
			t.Errorf("ignoring %q with Exact leaves %q", test.ignore, got)
		}
	}
	// By the key of an element, in lists whose order differs; and it takes no part in pairing.
	const message = "envoy.config.route.v3.RouteConfiguration"
	a := `{"virtual_hosts":[{"name":"x","domains":["1"]},{"name":"y","domains":["1"],"routes":[{"name":"r"}]}]}`
	b := `{"virtualHosts":[{"name":"y","domains":["2"],"routes":[{"name":"r"},{"name":"s"}]},{"name":"x","domains":["2"]}]}`
	if got := edits(t, a, b, message, diff.Options{Ignore: []string{"virtual_hosts[x]", "virtual_hosts[y*].domains"}}); len(got) != 1 || got[0] != `added virtual_hosts[y].routes[1]  > {"name":"s"}` {
		t.Errorf("got %q", got)
	}
}
