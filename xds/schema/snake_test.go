package schema_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"

	"github.com/meshlark/meshlark/internal/randomproto"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/schema"
)

const (
	cluster = "envoy.config.cluster.v3.Cluster"
	route   = "envoy.config.route.v3.RouteConfiguration"
)

func TestSnake(t *testing.T) {
	for _, tt := range []struct{ name, message, body, want string }{
		{"field", cluster, `{"connectTimeout":"1s","name":"a"}`, `{"connect_timeout":"1s","name":"a"}`},
		{"white space", cluster, " {\n \"connectTimeout\" : \"1s\" ,\t\"altStatName\":\"x\" } \n", " {\n \"connect_timeout\" : \"1s\" ,\t\"alt_stat_name\":\"x\" } \n"},
		{"any", "", `{"@type":"type.googleapis.com/` + cluster + `","connectTimeout":"1s"}`, `{"@type":"type.googleapis.com/` + cluster + `","connect_timeout":"1s"}`},
		{"any, type last", "", `{"connectTimeout":"1s","@type":"x/` + cluster + `"}`, `{"connect_timeout":"1s","@type":"x/` + cluster + `"}`},
		{"named though it has a type", cluster, `{"@type":"x/unknown","connectTimeout":"1s"}`, `{"@type":"x/unknown","connect_timeout":"1s"}`},
		{"repeated", cluster, `{"healthChecks":[{"unhealthyThreshold":1},{"healthyThreshold":2}]}`, `{"health_checks":[{"unhealthy_threshold":1},{"healthy_threshold":2}]}`},
		{"values stay", cluster, `{"connectTimeout":"connectTimeout","lrsReportEndpointMetrics":["lbPolicy","\u0041\/"],"respectDnsTtl":true}`,
			`{"connect_timeout":"connectTimeout","lrs_report_endpoint_metrics":["lbPolicy","\u0041\/"],"respect_dns_ttl":true}`},
		{"numbers stay", cluster, `{"maxRequestsPerConnection":1.50e0,"outlierDetection":{"baseEjectionTime":"30s","maxEjectionPercent":1E1}}`,
			`{"max_requests_per_connection":1.50e0,"outlier_detection":{"base_ejection_time":"30s","max_ejection_percent":1E1}}`},
		{"null", cluster, `{"connectTimeout":null,"healthChecks":null}`, `{"connect_timeout":null,"health_checks":null}`},
		{"duplicates stay", cluster, `{"connectTimeout":"1s","connect_timeout":"2s"}`, `{"connect_timeout":"1s","connect_timeout":"2s"}`},
		{"unknown keys stay", cluster, `{"fromTheFuture":{"connectTimeout":1},"connectTimeout":"1s"}`, `{"fromTheFuture":{"connectTimeout":1},"connect_timeout":"1s"}`},
		{"escaped key", cluster, `{"connect\u0054imeout":"1s","na\u006de":"a","x\"y":1}`, `{"connect_timeout":"1s","name":"a","x\"y":1}`},
		{"map keys stay, map values do not", route,
			`{"virtualHosts":[{"typedPerFilterConfig":{"lbPolicy":{"@type":"t/` + cluster + `","lbPolicy":"RANDOM"}}}]}`,
			`{"virtual_hosts":[{"typed_per_filter_config":{"lbPolicy":{"@type":"t/` + cluster + `","lb_policy":"RANDOM"}}}]}`},
		{"messages in messages", "envoy.config.core.v3.HealthCheck.HttpHealthCheck", `{"serviceNameMatcher":{"safeRegex":{"regex":"x"}}}`,
			`{"service_name_matcher":{"safe_regex":{"regex":"x"}}}`},
		{"metadata", cluster, `{"metadata":{"filterMetadata":{"filterMetadata":{"filterMetadata":1}},"typedFilterMetadata":{"typedFilterMetadata":{"@type":"t/` + cluster + `","altStatName":""}}}}`,
			`{"metadata":{"filter_metadata":{"filterMetadata":{"filterMetadata":1}},"typed_filter_metadata":{"typedFilterMetadata":{"@type":"t/` + cluster + `","alt_stat_name":""}}}}`},
		{"labels of endpoints and node metadata", "envoy.config.core.v3.Node", `{"metadata":{"PROXY_CONFIG":{"drainDuration":"45s"}},"dynamicParameters":{"lbPolicy":{"params":{"lbPolicy":"x"}}},"userAgentName":"envoy"}`,
			`{"metadata":{"PROXY_CONFIG":{"drainDuration":"45s"}},"dynamic_parameters":{"lbPolicy":{"params":{"lbPolicy":"x"}}},"user_agent_name":"envoy"}`},
		{"typed struct", "", `{"@type":"type.googleapis.com/udpa.type.v1.TypedStruct","typeUrl":"x/` + cluster + `","value":{"connectTimeout":"1s"}}`,
			`{"@type":"type.googleapis.com/udpa.type.v1.TypedStruct","type_url":"x/` + cluster + `","value":{"connectTimeout":"1s"}}`},
		{"any of a struct", "", `{"@type":"type.googleapis.com/google.protobuf.Struct","value":{"connectTimeout":1}}`, ""},
		{"any of a wrapper", "", `{"@type":"type.googleapis.com/google.protobuf.StringValue","value":"connectTimeout"}`, ""},
		{"any of an any", "", `{"@type":"t/google.protobuf.Any","value":{"@type":"t/` + cluster + `","lbPolicy":"RANDOM"}}`,
			`{"@type":"t/google.protobuf.Any","value":{"@type":"t/` + cluster + `","lb_policy":"RANDOM"}}`},
		{"unknown type", "", `{"@type":"type.googleapis.com/acme.Filter","connectTimeout":{"@type":"t/` + cluster + `","lbPolicy":"RANDOM"}}`, ""},
		{"unknown message", "acme.Filter", `{"connectTimeout":"1s"}`, ""},
		{"no type", "", `{"connectTimeout":"1s"}`, ""},
		{"type is no string", "", `{"@type":1,"connectTimeout":"1s"}`, ""},
		{"istio's own filter", "", `{"@type":"t/istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig","alpnOverride":[{"upstreamProtocol":"HTTP10","alpnOverride":["istio"]}]}`,
			`{"@type":"t/istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig","alpn_override":[{"upstream_protocol":"HTTP10","alpn_override":["istio"]}]}`},
		{"statistics filter", "stats.PluginConfig", `{"disableHostHeaderFallback":true}`, `{"disable_host_header_fallback":true}`},
		{"telemetry values", "envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig", `{"body":{"stringValue":"x"}}`, `{"body":{"string_value":"x"}}`},
		{"snake already", cluster, `{"name":"a","connect_timeout":"1s","health_checks":[{"unhealthy_threshold":1}]}`, ""},
		{"other shapes", cluster, `{"healthChecks":{"unhealthyThreshold":1},"metadata":[{"filterMetadata":{}}],"loadAssignment":"x"}`,
			`{"health_checks":{"unhealthyThreshold":1},"metadata":[{"filterMetadata":{}}],"load_assignment":"x"}`},
		{"not an object", cluster, `["connectTimeout"]`, ""},
		{"nothing", cluster, ``, ""},
		{"cut off", cluster, `{"connectTimeout":"1s","altStatName":"x`, `{"connect_timeout":"1s","alt_stat_name":"x`},
		{"cut off in a message", cluster, `{"healthChecks":[{"unhealthyThreshold":`, `{"health_checks":[{"unhealthy_threshold":`},
		{"fault", cluster, `{"connectTimeout":"1s";"altStatName":"x"}`, `{"connect_timeout":"1s";"altStatName":"x"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, changed := schema.Snake([]byte("before "), rawjson.Value(tt.body), tt.message)
			want := "before " + tt.want
			if string(got) != want || changed != (tt.want != "") {
				t.Errorf("Snake(%s):\n got %s, changed %v\nwant %s", tt.body, got, changed, want)
			}
		})
	}
}

// Deeper than any configuration is, and deep enough to matter to the stack if it were followed.
func TestSnakeDeep(t *testing.T) {
	const n = 100_000
	body := strings.Repeat(`{"notRule":`, n) + `{}` + strings.Repeat(`}`, n)
	got, changed := schema.Snake(nil, rawjson.Value(body), "envoy.config.rbac.v3.Permission")
	if !changed || !bytes.HasPrefix(got, []byte(`{"not_rule":{"not_rule":`)) {
		t.Errorf("Snake changed %v: %.100s", changed, got)
	}
	if end, err := rawjson.Skip(got, 0); err != nil || end != len(got) {
		t.Errorf("the value ends at %d of %d: %v", end, len(got), err)
	}
}

// What protobuf prints with the definitions' names is what Snake makes of what it prints without them.
func TestSnakeAgreesWithProtobuf(t *testing.T) {
	r := &randomproto.Maker{Rand: rand.New(rand.NewPCG(1, 2)), Types: randomproto.Linked()}
	rounds := 3
	if testing.Short() {
		rounds = 1
	}
	for range rounds {
		for _, mt := range r.Types {
			m := mt.New()
			r.Message(m, 0)
			agree(t, m.Interface(), protojson.MarshalOptions{})
		}
	}
}

// agree compares the two for a message by itself and in an Any.
func agree(t *testing.T, m proto.Message, o protojson.MarshalOptions) {
	t.Helper()
	name := string(m.ProtoReflect().Descriptor().FullName())
	inAny, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range []struct {
		message string
		m       proto.Message
	}{{name, m}, {"", inAny}} {
		camel, want := marshal(t, form.m, o, false), marshal(t, form.m, o, true)
		got, changed := schema.Snake(nil, camel, form.message)
		if !changed {
			got = camel
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s:\ncamel %s\n got %s\nwant %s", name, camel, got, want)
		}
		if changed != !bytes.Equal(camel, want) {
			t.Errorf("%s: changed is %v", name, changed)
		}
		if again, changed := schema.Snake(nil, got, form.message); changed {
			t.Errorf("%s: changed twice:\nonce  %s\ntwice %s", name, got, again)
		}
	}
}

func marshal(t *testing.T, m proto.Message, o protojson.MarshalOptions, protoNames bool) rawjson.Value {
	t.Helper()
	o.UseProtoNames = protoNames
	text, err := o.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := rawjson.Compact(nil, text)
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

// The files are what an istiod answered for proxies of the bookinfo sample.
func TestSnakeRecordings(t *testing.T) {
	files, err := filepath.Glob("../../mesh/source/istiod/testdata/recorded/config_dump-*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	resolver := istioTypes(t)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			dump := new(adminv3.ConfigDump)
			if err := (protojson.UnmarshalOptions{Resolver: resolver}).Unmarshal(text, dump); err != nil {
				t.Fatal(err)
			}
			agree(t, dump, protojson.MarshalOptions{Resolver: resolver})

			body, err := rawjson.Compact(nil, text)
			if err != nil {
				t.Fatal(err)
			}
			got, changed := schema.Snake(nil, body, "envoy.admin.v3.ConfigDump")
			if !changed {
				t.Error("nothing is changed")
			}
			want := marshal(t, dump, protojson.MarshalOptions{Resolver: resolver}, true)
			if d := cmp.Diff(decode(t, want), decode(t, got)); d != "" {
				t.Errorf("-protobuf +Snake:\n%s", d)
			}
		})
	}
}

// What an Envoy printed has Envoy's names already.
func TestSnakeLeavesEnvoysOwn(t *testing.T) {
	for _, file := range []string{"config_dump.json", "resource-dynamic_active_clusters.json"} {
		text, err := os.ReadFile("../dump/testdata/envoy-1.40/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if got, changed := schema.Snake(nil, text, "envoy.admin.v3.ConfigDump"); changed {
			t.Errorf("%s is changed to %s", file, got)
		}
	}
}

func decode(t *testing.T, text []byte) any {
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// istioTypes adds Istio's ALPN filter, whose Go package is not linked, to the linked types.
func istioTypes(t *testing.T) resolver {
	def := new(descriptorpb.FileDescriptorProto)
	err := prototext.Unmarshal([]byte(`
		name: "alpn.proto" package: "istio.envoy.config.filter.http.alpn.v2alpha1" syntax: "proto3"
		message_type {
			name: "FilterConfig"
			field { name: "alpn_override" number: 1 label: LABEL_REPEATED type_name: ".istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig.AlpnOverride" }
			nested_type {
				name: "AlpnOverride"
				field { name: "upstream_protocol" number: 1 label: LABEL_OPTIONAL type_name: ".istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig.Protocol" }
				field { name: "alpn_override" number: 2 label: LABEL_REPEATED type: TYPE_STRING }
			}
			enum_type { name: "Protocol" value { name: "HTTP10" number: 0 } value { name: "HTTP11" number: 1 } value { name: "HTTP2" number: 2 } }
		}`), def)
	if err != nil {
		t.Fatal(err)
	}
	file, err := protodesc.NewFile(def, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	types := new(protoregistry.Types)
	if err := types.RegisterMessage(dynamicpb.NewMessageType(file.Messages().Get(0))); err != nil {
		t.Fatal(err)
	}
	return resolver{protoregistry.GlobalTypes, types}
}

// A resolver finds a type in the linked ones, then in others.
type resolver struct {
	*protoregistry.Types
	others *protoregistry.Types
}

func (r resolver) FindMessageByURL(url string) (protoreflect.MessageType, error) {
	mt, err := r.Types.FindMessageByURL(url)
	if errors.Is(err, protoregistry.NotFound) {
		return r.others.FindMessageByURL(url)
	}
	return mt, err
}

func FuzzSnake(f *testing.F) {
	for _, message := range []string{"", cluster, route, "envoy.admin.v3.ConfigDump", "acme.Filter"} {
		f.Add(`{"connectTimeout":"1s","@type":"t/`+cluster+`","x\u0041":[{"lbPolicy":1}]}`, message)
		f.Add(`{"virtualHosts":[{"typedPerFilterConfig":{"lbPolicy":{"@type":"t/`+cluster+`","lbPolicy":"RANDOM"}}}]}`, message)
		f.Add(`{"@type":"t/google.protobuf.Any","value":{"@type":"t/google.protobuf.Any","value":{}}}`, message)
		f.Add(`{"configs":[{"@type":"t/envoy.admin.v3.ClustersConfigDump","versionInfo":""`, message)
	}
	f.Fuzz(func(t *testing.T, body, message string) {
		prefix := "before "
		got, changed := schema.Snake([]byte(prefix), rawjson.Value(body), message)
		rest, ok := strings.CutPrefix(string(got), prefix)
		if !ok || changed == (rest == "") {
			t.Fatalf("Snake(%q, %q) = %q, %v", body, message, got, changed)
		}
		if !changed {
			return
		}
		if json.Valid([]byte(body)) != json.Valid([]byte(rest)) {
			t.Fatalf("Snake(%q, %q) = %q: one is valid JSON, the other is not", body, message, rest)
		}
		if again, changed := schema.Snake(nil, rawjson.Value(rest), message); changed {
			t.Fatalf("Snake(%q, %q) = %q, then %q", body, message, rest, again)
		}
	})
}

func BenchmarkSnake(b *testing.B) {
	files, err := filepath.Glob("../../mesh/source/istiod/testdata/recorded/config_dump-productpage-*.json")
	if err != nil || len(files) == 0 {
		b.Fatalf("no recordings: %v", err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		b.Fatal(err)
	}
	camel, err := rawjson.Compact(nil, text)
	if err != nil {
		b.Fatal(err)
	}
	snake, _ := schema.Snake(nil, camel, "envoy.admin.v3.ConfigDump")
	for _, input := range []struct {
		name string
		body []byte
	}{{"camel", camel}, {"snake", snake}} {
		b.Run(input.name, func(b *testing.B) {
			b.SetBytes(int64(len(input.body)))
			b.ReportAllocs()
			var dst []byte
			for b.Loop() {
				dst, _ = schema.Snake(dst[:0], input.body, "envoy.admin.v3.ConfigDump")
			}
		})
	}
}

// The first look-up of a process: the index of the table and one message.
func BenchmarkFirstUse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := schema.FirstLookup("envoy.config.cluster.v3.Cluster"); !ok {
			b.Fatal("not found")
		}
	}
}

func ExampleSnake() {
	body := rawjson.Value(`{"name":"reviews","connectTimeout":"10s","metadata":{"filterMetadata":{"istio":{"defaultOriginalPort":9080}}}}`)
	out, _ := schema.Snake(nil, body, "envoy.config.cluster.v3.Cluster")
	fmt.Println(string(out))
	// Output: {"name":"reviews","connect_timeout":"10s","metadata":{"filter_metadata":{"istio":{"defaultOriginalPort":9080}}}}
}
