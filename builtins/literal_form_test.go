package builtins

import (
	"testing"

	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/schema"
)

func listenerMessage(t testing.TB) *schema.Message {
	t.Helper()
	m, ok := schema.LookupMessage("envoy.config.listener.v3.Listener")
	if !ok {
		t.Fatal("the definitions have no Listener")
	}
	return m
}

func TestUsualForm(t *testing.T) {
	m := listenerMessage(t)
	for _, tc := range []struct{ what, in, want string }{
		{"one element", `{"filter_chains":{"name":"c","filters":{"name":"f"}}}`, `{"filter_chains":[{"name":"c","filters":[{"name":"f"}]}]}`},
		{"scalars", `{"filter_chains":[{"filter_chain_match":{"server_names":"a","source_ports":1}}]}`, `{"filter_chains":[{"filter_chain_match":{"server_names":["a"],"source_ports":[1]}}]}`},
		{"a flag and a wrapper of one", `{"reuse_port":"true","use_original_dst":"false"}`, `{"reuse_port":true,"use_original_dst":false}`},
		{"an Any", `{"filter_chains":[{"filters":[{"typed_config":{"@type":"t/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager","http_filters":{"name":"f"}}}]}]}`,
			`{"filter_chains":[{"filters":[{"typed_config":{"@type":"t/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager","http_filters":[{"name":"f"}]}}]}]}`},
		{"what is not known", `{"x":"true","metadata":{"filter_metadata":{"a":{"b":"true"}}},"filter_chains":null}`, `{"x":"true","metadata":{"filter_metadata":{"a":{"b":"true"}}},"filter_chains":null}`},
		{"flags of YAML 1.1", `{"reuse_port":"on","use_original_dst":"No","freebind":"maybe"}`, `{"reuse_port":true,"use_original_dst":false,"freebind":"maybe"}`},
		{"values of an enumeration", `{"traffic_direction":"inbound","drain_type":1,"address":{"socket_address":{"protocol":"0"}}}`,
			`{"traffic_direction":"INBOUND","drain_type":"MODIFY_ONLY","address":{"socket_address":{"protocol":"TCP"}}}`},
		{"values of an enumeration as they are printed, and unknown ones", `{"traffic_direction":"INBOUND","drain_type":9}`, `{"traffic_direction":"INBOUND","drain_type":9}`},
		{"whole numbers with a fraction", `{"per_connection_buffer_limit_bytes":4e3,"address":{"socket_address":{"port_value":80.0}},"tcp_fast_open_queue_length":1.5}`,
			`{"per_connection_buffer_limit_bytes":4000,"address":{"socket_address":{"port_value":80}},"tcp_fast_open_queue_length":1.5}`},
		{"a text where a flag is not", `{"name":"true"}`, `{"name":"true"}`},
	} {
		if got := string(usualForm(nil, rawjson.Value(tc.in), m, 0)); got != tc.want {
			t.Errorf("%s: %s\n got  %s\n want %s", tc.what, tc.in, got, tc.want)
		}
	}
}

// Whatever JSON is given comes out as JSON, and the form is final.
func FuzzUsualForm(f *testing.F) {
	f.Add([]byte(`{"filter_chains":{"filters":{"typed_config":{"@type":"t/envoy.config.listener.v3.Listener","filter_chains":{}}}}}`))
	f.Add([]byte(`{"address":[1],"filter_chains":[[{}],"x"],"use_original_dst":"true"}`))
	m := listenerMessage(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		in, err := rawjson.Compact(nil, text)
		if err != nil {
			return
		}
		once := usualForm(nil, in, m, 0)
		if _, err := rawjson.Compact(nil, once); err != nil {
			t.Fatalf("%s became %s: %v", in, once, err)
		}
		if twice := usualForm(nil, once, m, 0); string(twice) != string(once) {
			t.Fatalf("%s became %s, and that %s", in, once, twice)
		}
	})
}
