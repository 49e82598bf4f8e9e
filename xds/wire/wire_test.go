package wire_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshlark/meshlark/internal/randomproto"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/schema"
	"github.com/meshlark/meshlark/xds/wire"
)

// canonical is the canonical form of JSON, for comparisons of meaning.
func canonical(t testing.TB, text []byte) string {
	t.Helper()
	compact, err := rawjson.Compact(nil, text)
	if err != nil {
		t.Fatalf("%v in %.300s", err, text)
	}
	return string(rawjson.Canonical(nil, compact))
}

// protobuf is what the protobuf library prints of a message.
func protobuf(t testing.TB, m proto.Message) string {
	t.Helper()
	b, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return canonical(t, b)
}

// clearSensitive takes out what is redacted.
func clearSensitive(m protoreflect.Message) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		def, ok := schema.LookupMessage(string(m.Descriptor().FullName()))
		if ok {
			if own, ok := def.FieldNumber(int32(f.Number())); ok && own.Sensitive {
				m.Clear(f)
				return true
			}
		}
		switch {
		case f.Message() == nil:
		case f.IsMap() && f.MapValue().Message() != nil:
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool { clearSensitive(v.Message()); return true })
		case f.IsMap():
		case f.IsList():
			for i := range v.List().Len() {
				clearSensitive(v.List().Get(i).Message())
			}
		default:
			clearSensitive(v.Message())
		}
		return true
	})
	if held, ok := m.Interface().(*anypb.Any); ok {
		if inner, err := held.UnmarshalNew(); err == nil {
			clearSensitive(inner.ProtoReflect())
			if err := held.MarshalFrom(inner); err != nil {
				panic(err)
			}
		}
	}
}

// Any message of any type comes out as the protobuf library, with the definitions linked, prints it.
func TestRandom(t *testing.T) {
	r := &randomproto.Maker{Rand: rand.New(rand.NewPCG(3, 4)), Types: randomproto.Linked()}
	var p wire.Printer
	n := 0
	for _, mt := range r.Types {
		for range 4 {
			m := mt.New()
			r.Message(m, 0)
			clearSensitive(m)
			b, err := proto.Marshal(m.Interface())
			if err != nil {
				t.Fatal(err)
			}
			name := string(m.Descriptor().FullName())
			got, err := p.Message([]byte("x"), name, b)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			// The library writes an Empty in an Any with a "value", Envoy without.
			want := strings.ReplaceAll(protobuf(t, m.Interface()), `"type.googleapis.com/google.protobuf.Empty","value":{}`, `"type.googleapis.com/google.protobuf.Empty"`)
			if diff := cmp.Diff(want, canonical(t, got[1:])); diff != "" {
				t.Fatalf("%s (-want +got):\n%s", name, diff)
			}
			n++
		}
	}
	if n < 2000 {
		t.Errorf("%d messages, want more", n)
	}
}

// The table does not tell numbers of fixed size from others, which in a packed list would have to be known.
func TestNoPackedFixed(t *testing.T) {
	for _, mt := range randomproto.Linked() {
		fields := mt.Descriptor().Fields()
		for i := range fields.Len() {
			switch f := fields.Get(i); f.Kind() {
			case protoreflect.Fixed32Kind, protoreflect.Fixed64Kind, protoreflect.Sfixed32Kind, protoreflect.Sfixed64Kind:
				if f.IsPacked() {
					t.Errorf("%s is a packed list of %s", f.FullName(), f.Kind())
				}
			}
		}
	}
}

// Each case is written by hand from the rules of protobuf's encoding and of its JSON.
func TestMessage(t *testing.T) {
	text := func(n protowire.Number, s string) []byte {
		return protowire.AppendString(protowire.AppendTag(nil, n, protowire.BytesType), s)
	}
	number := func(n protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(nil, n, protowire.VarintType), v)
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	sub := func(n protowire.Number, parts ...[]byte) []byte { return text(n, string(join(parts...))) }
	for _, test := range []struct {
		name, message string
		b             []byte
		want          string
	}{
		{"nothing", "envoy.config.cluster.v3.Cluster", nil, `{}`},
		{"order of the numbers, not of the bytes", "envoy.config.cluster.v3.Cluster", join(sub(4, number(1, 1)), text(1, "a")), `{"name":"a","connect_timeout":"1s"}`},
		{"the last scalar counts", "envoy.config.cluster.v3.Cluster", join(text(1, "a"), text(1, "b")), `{"name":"b"}`},
		{"parts of a message", "envoy.config.cluster.v3.Cluster", join(sub(3, text(2, "s")), sub(3, sub(1, sub(3)))), `{"eds_cluster_config":{"eds_config":{"ads":{}},"service_name":"s"}}`},
		{"the last of a oneof", "envoy.config.cluster.v3.Cluster", join(number(2, 3), sub(38, text(1, "x"))), `{"cluster_type":{"name":"x"}}`},
		{"zero of a oneof", "envoy.config.cluster.v3.Cluster", number(2, 0), `{"type":"STATIC"}`},
		{"an enum's new number", "envoy.config.cluster.v3.Cluster", number(6, 99), `{"lb_policy":99}`},
		{"a field that is not known", "envoy.config.cluster.v3.Cluster", join(text(1, "a"), text(9999, "?")), `{"name":"a"}`},
		{"a field of another type", "envoy.config.cluster.v3.Cluster", join(text(1, "a"), number(28, 1)), `{"name":"a"}`},
		{"text that is no UTF-8", "envoy.config.cluster.v3.Cluster", text(1, "a\xff\""), `{"name":"a` + "\ufffd" + `\""}`},
		{"durations", "google.protobuf.Duration", join(number(1, 1), number(2, 5000000)), `"1.005s"`},
		{"negative duration", "google.protobuf.Duration", number(2, 0xffff_ffff_ffff_ffff), `"-0.000000001s"`},
		{"timestamp", "google.protobuf.Timestamp", join(number(1, 1700000000), number(2, 120000)), `"2023-11-14T22:13:20.000120Z"`},
		{"field mask", "google.protobuf.FieldMask", join(text(1, "a_b.c"), text(1, "d")), `"aB.c,d"`},
		{"a wrapper of zero", "google.protobuf.UInt64Value", nil, `"0"`},
		{"a struct without a kind", "google.protobuf.Struct", sub(1, text(1, "k")), `{"k":null}`},
		{"no Any", "google.protobuf.Any", nil, `{}`},
		{"Empty in an Any", "google.protobuf.Any", text(1, "type.googleapis.com/google.protobuf.Empty"), `{"@type":"type.googleapis.com/google.protobuf.Empty"}`},
		{"wrapper in an Any", "google.protobuf.Any", join(text(1, "type.googleapis.com/google.protobuf.BoolValue"), sub(2, number(1, 1))), `{"@type":"type.googleapis.com/google.protobuf.BoolValue","value":true}`},
		{"unknown type", "google.protobuf.Any", join(text(1, "type.googleapis.com/acme.Filter"), text(2, "\x0a\x03abc")), `{"@type":"type.googleapis.com/acme.Filter","value":"CgNhYmM="}`},
		{"broken bytes of a known type", "google.protobuf.Any", join(text(1, "t/envoy.config.cluster.v3.Cluster"), text(2, "\x0a\x09a")), `{"@type":"t/envoy.config.cluster.v3.Cluster","value":"Cglh"}`},
		{"secrets", "envoy.extensions.transport_sockets.tls.v3.TlsCertificate", join(sub(1, text(3, "public")), sub(2, text(3, "private")), sub(2, text(1, "/key.pem"))),
			`{"certificate_chain":{"inline_string":"public"},"private_key":{"filename":"[redacted]"}}`},
		{"secret bytes", "envoy.extensions.transport_sockets.tls.v3.TlsCertificate", sub(2, text(2, "private")), `{"private_key":{"inline_bytes":"W3JlZGFjdGVkXQ=="}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			var p wire.Printer
			got, err := p.Message(nil, test.message, test.b)
			if err != nil || string(got) != test.want {
				t.Errorf("%s, error %v\nwant %s", got, err, test.want)
			}
		})
	}
}

func TestFaults(t *testing.T) {
	deep := []byte{}
	for range 300 { // any.value holds an Any, and so on
		deep = protowire.AppendBytes(protowire.AppendTag(protowire.AppendString([]byte{0x0a}, "t/google.protobuf.Any"), 2, protowire.BytesType), deep)
	}
	list := []byte{}
	for range 300 {
		list = protowire.AppendBytes([]byte{0x32}, protowire.AppendBytes([]byte{0x0a}, list)) // Value.list_value.values
	}
	for _, test := range []struct {
		name, message string
		b             []byte
		want          string
	}{
		{"no such type", "acme.Cluster", nil, "read acme.Cluster: its definition is not known"},
		{"cut short", "envoy.config.cluster.v3.Cluster", []byte{0x0a, 9, 'a'}, "read envoy.config.cluster.v3.Cluster: unexpected EOF"},
		{"cut short inside", "envoy.config.cluster.v3.Cluster", []byte{0x1a, 2, 0x12, 9}, "read envoy.config.cluster.v3.Cluster.EdsClusterConfig: unexpected EOF"},
		{"too deep", "google.protobuf.Value", list, "nested more than 100 deep"},
	} {
		var p wire.Printer
		got, err := p.Message([]byte("x"), test.message, test.b)
		if string(got) != "x" || err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %.100s, error %v, want %q", test.name, got, err, test.want)
		}
	}
	var p wire.Printer
	if got, err := p.Message(nil, "google.protobuf.Any", deep); err != nil || !strings.Contains(string(got), `"value":"`) {
		t.Errorf("a deep Any: %.100s, error %v; want that it is kept in base64 from some depth on", got, err)
	}
}

// What is left out is told, once.
func TestUnknown(t *testing.T) {
	var p wire.Printer
	field := protowire.AppendVarint(protowire.AppendTag(nil, 9999, protowire.VarintType), 1)
	for range 2 {
		if got, err := p.Message(nil, "envoy.config.cluster.v3.Cluster", append(field, field...)); err != nil || string(got) != "{}" {
			t.Fatalf("%s, error %v", got, err)
		}
	}
	if diff := cmp.Diff([]string{"envoy.config.cluster.v3.Cluster 9999"}, p.Unknown); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Visit sees messages of the types that were asked for, wherever they are.
func TestVisit(t *testing.T) {
	context, err := anypb.New(&tlsv3.CommonTlsContext{TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{{Name: "a"}, {Name: "b"}}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := proto.Marshal(&clusterv3.Cluster{Name: "c", TypedExtensionProtocolOptions: map[string]*anypb.Any{"x": context}})
	if err != nil {
		t.Fatal(err)
	}
	const secret = "envoy.extensions.transport_sockets.tls.v3.SdsSecretConfig"
	var names []string
	p := wire.Printer{Types: map[string]bool{secret: true}, Visit: func(message string, body rawjson.Value) {
		names = append(names, message+" "+body.Str("name"))
	}}
	if _, err := p.Message(nil, "envoy.config.cluster.v3.Cluster", b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{secret + " a", secret + " b"}, names); diff != "" {
		t.Errorf("visited (-want +got):\n%s", diff)
	}
}
