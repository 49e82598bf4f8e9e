package diff_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshlark/meshlark/xds/diff"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// reflectDepth is how many messages the walk goes down. Recursive messages end it.
const reflectDepth = 16

// One changed value is one difference at that path: for every field of the messages that reflection reaches.
func TestEveryField(t *testing.T) {
	total := 0
	for _, root := range []proto.Message{
		&clusterv3.Cluster{}, &listenerv3.Listener{}, &routev3.RouteConfiguration{}, &endpointv3.ClusterLoadAssignment{},
		&hcmv3.HttpConnectionManager{}, &tlsv3.UpstreamTlsContext{}, &tlsv3.DownstreamTlsContext{},
	} {
		w := walker{t: t, root: root.ProtoReflect(), seen: map[string]bool{}}
		w.walk(w.root.Type().Zero().Descriptor(), nil, 1)
		t.Logf("%s: %d paths, %d kinds of fields", w.root.Descriptor().FullName(), w.paths, len(w.seen))
		total += w.paths
	}
	t.Logf("%d paths in all", total)
	if total < 3500 {
		t.Errorf("%d paths were covered, want at least 3500", total)
	}
}

// A walker changes every field once.
type walker struct {
	t     *testing.T
	root  protoreflect.Message
	paths int
	seen  map[string]bool
}

func (w *walker) walk(md protoreflect.MessageDescriptor, path []protoreflect.FieldDescriptor, depth int) {
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		here := append(path[:len(path):len(path)], fd)
		value := fd
		if fd.IsMap() {
			value = fd.MapValue()
		}
		if m := value.Message(); m != nil && !wellKnown(m) {
			recursive := m == w.root.Descriptor()
			for _, above := range path {
				recursive = recursive || above.ContainingMessage() == m
			}
			if depth < reflectDepth && !recursive {
				w.walk(m, here, depth+1)
			}
			// Being there or not is a difference too.
			if !fd.IsList() && !fd.IsMap() {
				w.check(here, nil, func(m protoreflect.Message) protoreflect.Value { return m.NewField(fd) }, true)
			}
			continue
		}
		w.check(here, func(m protoreflect.Message) protoreflect.Value { return example(value, m, fd, 0) },
			func(m protoreflect.Message) protoreflect.Value { return example(value, m, fd, 1) }, false)
	}
}

func wellKnown(m protoreflect.MessageDescriptor) bool {
	return strings.HasPrefix(string(m.FullName()), "google.protobuf.") && m.Fields().Len() > 0
}

// check makes two messages that differ in one field and compares them.
func (w *walker) check(path []protoreflect.FieldDescriptor, left, right func(protoreflect.Message) protoreflect.Value, added bool) {
	w.paths++
	last := path[len(path)-1]
	w.seen[string(last.FullName())] = true
	make := func(f func(protoreflect.Message) protoreflect.Value) string {
		root := w.root.New()
		m := root
		for _, fd := range path[:len(path)-1] {
			m = enter(m, fd)
		}
		if f != nil {
			v := f(m)
			switch {
			case last.IsList():
				m.Mutable(last).List().Append(v)
			case last.IsMap():
				m.Mutable(last).Map().Set(mapKey(last), v)
			default:
				m.Set(last, v)
			}
		}
		text, err := protojson.MarshalOptions{UseProtoNames: true, AllowPartial: true}.Marshal(root.Interface())
		if err != nil {
			w.t.Fatalf("%v: %v", path, err)
		}
		return string(text)
	}
	var want strings.Builder
	for i, fd := range path {
		if i > 0 {
			want.WriteByte('.')
		}
		want.WriteString(string(fd.Name()))
		switch {
		case fd.IsList():
			want.WriteString("[]")
		case fd.IsMap():
			want.WriteString("." + mapKey(fd).String())
		}
	}
	a, b := make(left), make(right)
	if !last.IsList() && !last.IsMap() && !last.HasPresence() && left != nil {
		// The first of two values of an enum or a bool may be zero, which is not written.
		parent := w.root.New()
		for _, fd := range path[:len(path)-1] {
			parent = enter(parent, fd)
		}
		added = left(parent).Equal(last.Default())
	}
	if !added {
		v := last
		if last.IsMap() {
			v = last.MapValue()
		}
		if m := v.Message(); m != nil {
			want.WriteString(inside[m.FullName()])
		}
	}
	message := string(w.root.Descriptor().FullName())
	for _, o := range []diff.Options{{}, {Exact: true}} {
		d, err := diff.Values(rawjson.Value(a), rawjson.Value(b), message, o)
		if err != nil {
			w.t.Fatal(err)
		}
		if quiet[string(last.FullName())] && !o.Exact && d.Empty() {
			continue
		}
		if len(d.Changed) != 1 || len(d.Changed[0].Edits) != 1 {
			w.t.Errorf("%s: want one difference, got %v\nleft  %s\nright %s", want.String(), d.Changed, a, b)
			continue
		}
		e := d.Changed[0].Edits[0]
		wantOp := diff.Changed
		if added {
			wantOp = diff.Added
		}
		if got := withoutLabels(e.Path); got != want.String() || e.Op != wantOp {
			w.t.Errorf("%s at %s, want %s at %s", e.Op, e.Path, wantOp, want.String())
		}
		applies(w.t, d, a, b, message, o)
	}
	if same, err := diff.Values(rawjson.Value(b), rawjson.Value(b), message, diff.Options{}); err != nil || !same.Empty() {
		w.t.Errorf("%s: a value differs from itself", want.String())
	}
}

// inside is where in well-known messages the examples differ.
var inside = map[protoreflect.FullName]string{
	"google.protobuf.Any":       ".value",
	"google.protobuf.Struct":    ".a",
	"google.protobuf.ListValue": "[]",
}

// quiet are the fields of the table SameAsAbsent whose presence alone makes no difference.
var quiet = map[string]bool{
	"envoy.config.endpoint.v3.ClusterLoadAssignment.policy": true,
	"envoy.config.endpoint.v3.LocalityLbEndpoints.locality": true,
	"envoy.config.endpoint.v3.LbEndpoint.metadata":          true,
	"envoy.config.endpoint.v3.Endpoint.health_check_config": true,
}

var labels = regexp.MustCompile(`\[("(\\.|[^"\\])*"|[^\]"]*)\]`)

func withoutLabels(path string) string { return labels.ReplaceAllString(path, "[]") }

// enter goes down a field, into the one element or entry that it is given.
func enter(m protoreflect.Message, fd protoreflect.FieldDescriptor) protoreflect.Message {
	switch {
	case fd.IsList():
		v := m.Mutable(fd).List().AppendMutable()
		return v.Message()
	case fd.IsMap():
		return m.Mutable(fd).Map().Mutable(mapKey(fd)).Message()
	}
	return m.Mutable(fd).Message()
}

func mapKey(fd protoreflect.FieldDescriptor) protoreflect.MapKey {
	if fd.MapKey().Kind() == protoreflect.StringKind {
		return protoreflect.ValueOfString("key").MapKey()
	}
	return protoreflect.ValueOfUint32(7).MapKey()
}

// example gives a value for a field, the first or the second of two that differ in everything.
func example(value protoreflect.FieldDescriptor, m protoreflect.Message, fd protoreflect.FieldDescriptor, n int) protoreflect.Value {
	switch value.Kind() {
	case protoreflect.BoolKind:
		if fd.IsList() || fd.IsMap() || fd.HasPresence() || n == 1 {
			return protoreflect.ValueOfBool(n == 1)
		}
		return protoreflect.ValueOfBool(false)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(11 + n))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(int64(11 + n))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(11 + n))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(uint64(11 + n))
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(float32(n) + 0.1)
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(float64(n) + 0.1)
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(fmt.Sprintf("text-%d", n))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte{byte(200 + n), 0, 1})
	case protoreflect.EnumKind:
		// The last values, so that neither is zero where there are enough.
		values := value.Enum().Values()
		return protoreflect.ValueOfEnum(values.Get(max(0, values.Len()-2+n)).Number())
	}
	var msg protoreflect.Message
	switch {
	case fd.IsList():
		msg = m.NewField(fd).List().NewElement().Message()
	case fd.IsMap():
		msg = m.NewField(fd).Map().NewValue().Message()
	default:
		msg = m.NewField(fd).Message()
	}
	switch x := msg.Interface().(type) {
	case *anypb.Any:
		if err := x.MarshalFrom(wrapperspb.String(fmt.Sprintf("text-%d", n))); err != nil {
			panic(err)
		}
	case *structpb.Struct:
		x.Fields = map[string]*structpb.Value{"a": structpb.NewNumberValue(float64(n))}
	case *structpb.Value:
		x.Kind = &structpb.Value_NumberValue{NumberValue: float64(n)}
	case *structpb.ListValue:
		x.Values = []*structpb.Value{structpb.NewNumberValue(float64(n))}
	default:
		fields := msg.Descriptor().Fields()
		if fields.Len() > 0 {
			msg.Set(fields.Get(0), example(fields.Get(0), msg, fields.Get(0), n))
		}
	}
	return protoreflect.ValueOfMessage(msg)
}
