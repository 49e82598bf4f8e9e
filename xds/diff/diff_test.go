package diff_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/xds/diff"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// edits compares two values and writes each difference as a line; that the difference can be applied is checked on the way.
func edits(t *testing.T, left, right, message string, o diff.Options) []string {
	t.Helper()
	d, err := diff.Values(rawjson.Value(left), rawjson.Value(right), message, o)
	if err != nil {
		t.Fatal(err)
	}
	applies(t, d, left, right, message, o)
	var lines []string
	for _, c := range d.Changed {
		for _, e := range c.Edits {
			lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s > %s", e.Op, e.Path, e.Left, e.Right)))
		}
	}
	return lines
}

// applies checks that a difference turns left into right.
func applies(t *testing.T, d *diff.Diff, left, right, message string, o diff.Options) {
	t.Helper()
	got, err := d.ApplyValue(rawjson.Value(left))
	if err != nil {
		t.Errorf("applying the difference of %s and %s: %v", left, right, err)
		return
	}
	if o.Exact {
		want, err := rawjson.Compact(nil, []byte(right))
		if err == nil && string(got) != string(want) {
			t.Errorf("applying the difference of %s and %s gives %s", left, right, got)
		}
		return
	}
	again, err := diff.Values(got, rawjson.Value(right), message, o)
	if err != nil {
		t.Fatal(err)
	}
	if !again.Empty() {
		t.Errorf("applying the difference of %s and %s gives %s, which differs: %v", left, right, got, again.Changed[0].Edits)
	}
}

func TestValues(t *testing.T) {
	const (
		cluster = "envoy.config.cluster.v3.Cluster"
		vhost   = "envoy.config.route.v3.VirtualHost"
		cla     = "envoy.config.endpoint.v3.ClusterLoadAssignment"
		lis     = "envoy.config.listener.v3.Listener"
	)
	for _, test := range []struct {
		name, left, right, message string
		want                       []string
	}{
		{"equal", `{"a":[1,{"b":null}]}`, `{ "a": [1.0, {"b":null}] }`, "", nil},
		{"member", `{"a":1,"b":2}`, `{"b":3,"c":4}`, "", []string{"removed a 1 >", "changed b 2 > 3", "added c  > 4"}},
		{"whole", `1`, `"x"`, "", []string{`changed . 1 > "x"`}},
		{"names that are no names", `{"a.b":{"":1}}`, `{"a.b":{"":2}}`, "", []string{`changed [a.b][""] 1 > 2`}},
		{"inserted first", `[{"x":1},{"x":2},{"x":3}]`, `[{"x":0},{"x":1},{"x":2},{"x":3}]`, "", []string{`added [0]  > {"x":0}`}},
		{"absent is zero", `{"name":"","dns_refresh_rate":null,"ignore_health_on_host_removal":false,"lb_policy":"ROUND_ROBIN","filters":[]}`, `{}`, cluster, nil},
		{"duration", `{"connectTimeout":"1s"}`, `{"connect_timeout":"1.000s"}`, cluster, nil},
		{"wrapped zero is not absent", `{"per_connection_buffer_limit_bytes":0}`, `{}`, cluster, []string{"removed per_connection_buffer_limit_bytes 0 >"}},
		{"empty message is not absent", `{"upstream_config":{}}`, `{}`, cluster, []string{"removed upstream_config {} >"}},
		{"enum", `{"lb_policy":3}`, `{"lb_policy":"RANDOM"}`, cluster, nil},
		{"domains", `{"name":"a","domains":["x","y"]}`, `{"name":"a","domains":["y","x","z"]}`, vhost, []string{`added domains[z]  > "z"`}},
		{
			"changed route",
			`{"routes":[{"match":{"prefix":"/a"},"route":{"cluster":"a","timeout":"1s"}},{"match":{"prefix":"/"},"route":{"cluster":"b"}}]}`,
			`{"routes":[{"match":{"prefix":"/new"},"route":{"cluster":"n"}},{"match":{"prefix":"/a"},"route":{"cluster":"a","timeout":"2s"}},{"match":{"prefix":"/"},"route":{"cluster":"b"}}]}`,
			vhost,
			[]string{`added routes[0]  > {"match":{"prefix":"/new"},"route":{"cluster":"n"}}`, `changed routes[1].route.timeout "1s" > "2s"`},
		},
		{
			"endpoints",
			`{"cluster_name":"c","endpoints":[{"locality":{"region":"r","zone":"z"},"lb_endpoints":[{"endpoint":{"address":{"socket_address":{"address":"10.0.0.1","port_value":80}}}},{"endpoint":{"address":{"socket_address":{"address":"10.0.0.2","port_value":80}}}}]}]}`,
			`{"cluster_name":"c","endpoints":[{"locality":{"region":"r","zone":"z"},"lb_endpoints":[{"endpoint":{"address":{"socket_address":{"address":"10.0.0.2","port_value":80}}},"load_balancing_weight":5},{"endpoint":{"address":{"socket_address":{"address":"10.0.0.1","port_value":80}}}}]}]}`,
			cla,
			[]string{"added endpoints[r/z].lb_endpoints[10.0.0.2:80].load_balancing_weight  > 5"},
		},
		{
			"filter chains of one name by match",
			`{"filter_chains":[{"name":"x","filter_chain_match":{"transport_protocol":"tls"}},{"name":"x","filter_chain_match":{"destination_port":80}}]}`,
			`{"filter_chains":[{"name":"x","filter_chain_match":{"destination_port":80},"metadata":{}},{"name":"x","filter_chain_match":{"transport_protocol":"tls"}}]}`,
			lis,
			[]string{"added filter_chains[x destination_port=80].metadata  > {}"},
		},
		{
			"nested any",
			`{"transport_socket":{"name":"t","typed_config":{"@type":"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext","sni":""}}}`,
			`{"transport_socket":{"name":"t","typed_config":{"allow_renegotiation":false,"@type":"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext","common_tls_context":{"alpn_protocols":["h2"]}}}}`,
			cluster,
			[]string{`added transport_socket.typed_config.common_tls_context  > {"alpn_protocols":["h2"]}`},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if d := cmp.Diff(test.want, edits(t, test.left, test.right, test.message, diff.Options{})); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
			edits(t, test.right, test.left, test.message, diff.Options{})
			edits(t, test.left, test.right, test.message, diff.Options{Exact: true})
			edits(t, test.right, test.left, test.message, diff.Options{Exact: true})
		})
	}
}

// sorted compares lists of strings whatever their order.
var sorted = cmp.Transformer("sorted", func(in []string) []string { return slices.Sorted(slices.Values(in)) })
