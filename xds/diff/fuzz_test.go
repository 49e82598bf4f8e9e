package diff_test

import (
	"strings"
	"testing"

	"github.com/meshlark/meshlark/xds/diff"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// Whatever two texts say: nothing panics, a value does not differ from itself, and a difference can be applied.
func FuzzValues(f *testing.F) {
	f.Add(`{"a":1,"a":2,"b":[1,2,3]}`, `{"b":[3,1],"a":{"@type":"x"}}`, uint8(0))
	f.Add(`{"routes":[{"name":"a"},{"name":"b"}],"domains":["x"]}`, `{"domains":["y","x"],"routes":[{"name":"c"},{"name":"a"}]}`, uint8(1))
	f.Add(`{"endpoints":[{"lbEndpoints":[{"endpoint":{"address":{"pipe":{"path":"x"}}}}]}]}`, `{"endpoints":[{"lb_endpoints":[{}]}],"policy":{}}`, uint8(2))
	f.Add(`{"filterChains":[{"name":"a"},{"name":"a"}],"accessLog":null}`, `{"filter_chains":[{"name":"a","filter_chain_match":{}}]}`, uint8(3))
	f.Add(`{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1s"}`, `{"value":"1.0s","@type":"google.protobuf.Duration"}`, uint8(0))
	f.Add(`{"request_headers_to_add":[{"header":{"key":"x","value":"1"}},{"header":{"key":"x"}}]}`, `{"request_headers_to_add":[{"header":{"key":"x"}},{"header":{"key":"x","value":"1"}}]}`, uint8(1))
	f.Add(strings.Repeat("[", 600)+strings.Repeat("]", 600), strings.Repeat("[", 600)+"1"+strings.Repeat("]", 600), uint8(0))
	f.Add(`{"connect_timeout":"1s","lb_policy":3,"":0}`, `{"connectTimeout":"1.0s","lbPolicy":"RANDOM","\u0000":"\ud800"}`, uint8(4))
	messages := [...]string{"", virtualHost, "envoy.config.endpoint.v3.ClusterLoadAssignment", "envoy.config.listener.v3.Listener", "envoy.config.cluster.v3.Cluster"}
	f.Fuzz(func(t *testing.T, left, right string, n uint8) {
		for _, text := range []string{left, right} {
			if _, err := rawjson.Compact(nil, []byte(text)); err != nil {
				return
			}
		}
		message := messages[int(n)%len(messages)]
		for _, o := range []diff.Options{{}, {Exact: true}, {Ignore: []string{"**.name", "a.b[*]", "**.b*", "routes[0]"}}} {
			edits(t, left, right, message, o)
			edits(t, right, left, message, o)
			if got := edits(t, left, left, message, o); len(got) > 0 {
				t.Errorf("%s differs from itself: %q", left, got)
			}
		}
	})
}
