// Package randomproto makes messages of the Envoy API at random, for tests of what reads and writes any of them.
package randomproto

import (
	"math/rand/v2"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// A Maker fills messages at random, with texts that are easily mistaken for names of fields.
type Maker struct {
	*rand.Rand
	Types []protoreflect.MessageType // what an Any may hold
}

var words = []string{"connectTimeout", "connect_timeout", "typedConfig", "@type", "value", "tls mode", `q"uo\te`, "ünï", "", "a.b/c", "typeUrl"}

func (r *Maker) word() string { return words[r.IntN(len(words))] }

// Message fills a message; depth is how deep it is inside of others, which bounds how much comes into it.
func (r *Maker) Message(m protoreflect.Message, depth int) {
	switch x := m.Interface().(type) {
	case *anypb.Any:
		var inner proto.Message
		switch r.IntN(8) {
		case 0:
			inner = r.structure()
		case 1:
			inner = durationpb.New(12345)
		case 2:
			inner = new(anypb.Any)
			inner.(*anypb.Any).MarshalFrom(r.One(depth + 1))
		default:
			inner = r.One(depth + 1)
		}
		if err := x.MarshalFrom(inner); err != nil {
			panic(err)
		}
		return
	case *structpb.Struct:
		proto.Merge(x, r.structure())
		return
	case *structpb.Value:
		proto.Merge(x, structpb.NewStructValue(r.structure()))
		return
	case *structpb.ListValue:
		x.Values = append(x.Values, structpb.NewStringValue(r.word()), structpb.NewStructValue(r.structure()))
		return
	case *durationpb.Duration:
		x.Seconds = r.Int64N(1000)
		return
	case *timestamppb.Timestamp:
		x.Seconds = r.Int64N(1 << 31)
		return
	case *fieldmaskpb.FieldMask:
		x.Paths = []string{"connect_timeout", "a.b_c"}
		return
	}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if r.IntN(3) > 0 || depth > 4 && f.Message() != nil {
			continue
		}
		switch {
		case f.IsMap():
			for range 1 + r.IntN(2) {
				v := m.NewField(f).Map().NewValue()
				m.Mutable(f).Map().Set(r.scalar(f.MapKey()).MapKey(), r.value(f.MapValue(), v, depth))
			}
		case f.IsList():
			list := m.Mutable(f).List()
			for range 1 + r.IntN(2) {
				list.Append(r.value(f, list.NewElement(), depth))
			}
		default:
			m.Set(f, r.value(f, m.NewField(f), depth))
		}
	}
}

// One makes a message of any of the types.
func (r *Maker) One(depth int) proto.Message {
	m := r.Types[r.IntN(len(r.Types))].New()
	r.Message(m, depth)
	return m.Interface()
}

func (r *Maker) structure() *structpb.Struct {
	s, err := structpb.NewStruct(map[string]any{
		"connectTimeout": r.word(), r.word(): []any{r.word(), 1.5, map[string]any{"typedConfig": nil}}, "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
	})
	if err != nil {
		panic(err)
	}
	return s
}

func (r *Maker) value(f protoreflect.FieldDescriptor, fresh protoreflect.Value, depth int) protoreflect.Value {
	if f.Message() == nil {
		return r.scalar(f)
	}
	r.Message(fresh.Message(), depth+1)
	return fresh
}

func (r *Maker) scalar(f protoreflect.FieldDescriptor) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(r.IntN(2) == 0)
	case protoreflect.EnumKind:
		values := f.Enum().Values()
		return protoreflect.ValueOfEnum(values.Get(r.IntN(values.Len())).Number())
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(r.Int32N(100))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(r.Uint32N(100))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(r.Int64())
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(r.Uint64())
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(r.Float32())
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(r.Float64())
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(r.word()))
	}
	return protoreflect.ValueOfString(r.word())
}
