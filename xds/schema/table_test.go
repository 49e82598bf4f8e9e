package schema_test

import (
	"os"
	"strings"
	"testing"

	"github.com/cncf/xds/go/udpa/annotations"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/meshlark/meshlark/internal/randomproto"
	"github.com/meshlark/meshlark/xds/schema"
)

// names gives the names in the table's headings that begin with what, "message" or "enum".
func names(t *testing.T, what string) []string {
	text, err := os.ReadFile("schema.txt")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines("\n" + string(text)) {
		if name, ok := strings.CutPrefix(line, what+" "); ok && strings.Count(name, ".") > 0 {
			names = append(names, strings.TrimSpace(name))
		}
	}
	return names
}

// The table is made from source text; here it is compared with what protobuf's reflection says of the linked types.
func TestTableAgreesWithReflection(t *testing.T) {
	types := randomproto.Linked()
	if len(types) < 500 {
		t.Errorf("%d messages are linked, want more than 500 to compare", len(types))
	}
	type field struct {
		Name, JSONName, Kind, TypeName, MapKey, Oneof              string
		Repeated, Optional, Deprecated, Sensitive, Presence, Known bool
		Number                                                     int32
		ZigZag                                                     bool
	}
	for _, mt := range types {
		md := mt.Descriptor()
		m, ok := schema.LookupMessage(string(md.FullName()))
		if !ok {
			t.Errorf("%s is not in the table", md.FullName())
			continue
		}
		var got, want []field
		for _, f := range m.Fields {
			got = append(got, field{
				f.Name, f.JSONName, f.Kind.String(), f.TypeName, f.MapKey.String(), f.Oneof,
				f.Repeated, f.Optional, f.Deprecated, f.Sensitive, f.HasPresence(), f.Message() != nil || f.Enum() != nil,
				f.Number, f.ZigZag,
			})
			if found, _ := m.FieldNumber(f.Number); found != f {
				t.Errorf("%s: looking up number %d finds another field than %s", m.Name, f.Number, f.Name)
			}
			for _, name := range []string{f.Name, f.JSONName} {
				if found, _ := m.Field(name); found != f {
					t.Errorf("%s: looking up %q finds another field than %s", m.Name, name, f.Name)
				}
			}
		}
		for i := range md.Fields().Len() {
			f := md.Fields().Get(i)
			w := field{
				Name: string(f.Name()), JSONName: f.JSONName(), Repeated: f.IsList(), Presence: f.HasPresence(),
				Optional:   f.HasOptionalKeyword(),
				Number:     int32(f.Number()),
				ZigZag:     f.Kind() == protoreflect.Sint32Kind || f.Kind() == protoreflect.Sint64Kind,
				Deprecated: f.Options().(*descriptorpb.FieldOptions).GetDeprecated(),
				Sensitive:  proto.GetExtension(f.Options(), annotations.E_Sensitive).(bool),
			}
			if o := f.ContainingOneof(); o != nil && !o.IsSynthetic() {
				w.Oneof = string(o.Name())
			}
			v := f
			if f.IsMap() {
				w.MapKey = kindName(f.MapKey())
				v = f.MapValue()
			}
			w.Kind = kindName(v)
			if v.Message() != nil {
				w.TypeName, w.Known, w.Optional = string(v.Message().FullName()), true, false
			} else if v.Enum() != nil {
				w.TypeName, w.Known = string(v.Enum().FullName()), true
				sameEnum(t, v.Enum())
			}
			want = append(want, w)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-reflection +table):\n%s", md.FullName(), d)
		}
	}
}

func kindName(f protoreflect.FieldDescriptor) string {
	name := f.Kind().String()
	for _, encoding := range []string{"sint", "sfixed"} {
		name = strings.Replace(name, encoding, "int", 1)
	}
	return strings.Replace(name, "fixed", "uint", 1)
}

func sameEnum(t *testing.T, ed protoreflect.EnumDescriptor) {
	e, ok := schema.LookupEnum(string(ed.FullName()))
	if !ok {
		t.Errorf("enum %s is not in the table", ed.FullName())
		return
	}
	if len(e.Values) != ed.Values().Len() {
		t.Errorf("enum %s has %d values, want %d", ed.FullName(), len(e.Values), ed.Values().Len())
	}
	for i := range ed.Values().Len() {
		v := ed.Values().Get(i)
		if n, ok := e.Number(string(v.Name())); !ok || n != int32(v.Number()) {
			t.Errorf("enum %s: %s is %d %v, want %d", e.Name, v.Name(), n, ok, v.Number())
		}
		if got, want := e.ValueName(int32(v.Number())), string(ed.Values().ByNumber(v.Number()).Name()); got != want {
			t.Errorf("enum %s: %d is %q, want %q", e.Name, v.Number(), got, want)
		}
	}
}

// Every message of the table decodes, keys of an object mean one field, and what fields hold is in the table too.
func TestTableIsWhole(t *testing.T) {
	missing := map[string]bool{}
	messages := names(t, "message")
	if len(messages) < 2000 {
		t.Errorf("the table has %d messages, want more than 2000", len(messages))
	}
	for _, name := range messages {
		m, ok := schema.LookupMessage(name)
		if !ok {
			t.Errorf("%s is not found", name)
			continue
		}
		if (m.Form == schema.AsObject) == strings.HasPrefix(name, "google.protobuf.") {
			t.Errorf("%s has form %d", name, m.Form)
		}
		keys := map[string]*schema.Field{}
		for _, f := range m.Fields {
			for _, key := range []string{f.Name, f.JSONName} {
				if other := keys[key]; other != nil && other != f {
					t.Errorf("%s: %q means two fields", name, key)
				}
				keys[key] = f
			}
			if f.Kind == schema.MessageKind && f.Message() == nil || f.Kind == schema.EnumKind && f.Enum() == nil {
				missing[f.TypeName] = true
			}
		}
	}
	// Envoy sends Prometheus' metrics to a collector; they are in no configuration.
	if d := cmp.Diff(map[string]bool{"io.prometheus.client.MetricFamily": true}, missing); d != "" {
		t.Errorf("types of fields that the table does not have (-want +got):\n%s", d)
	}
	for _, name := range names(t, "enum") {
		if e, ok := schema.LookupEnum(name); !ok || len(e.Values) == 0 {
			t.Errorf("enum %s is not found or has no values", name)
		}
	}
}

func TestLookup(t *testing.T) {
	for _, name := range []string{"", "envoy.config.cluster.v3.Nothing", "message", "envoy.config.cluster.v3.Cluster.LbPolicy"} {
		if m, ok := schema.LookupMessage(name); ok || m != nil {
			t.Errorf("message %q is found", name)
		}
	}
	if e, ok := schema.LookupEnum("envoy.config.cluster.v3.Cluster"); ok || e != nil {
		t.Error("a message is found as an enum")
	}
	m, _ := schema.LookupMessage("envoy.config.cluster.v3.Cluster")
	f, ok := m.Field("connectTimeout")
	if !ok || f.Name != "connect_timeout" || f.Message().Form != schema.AsDuration || !f.HasPresence() {
		t.Errorf("connectTimeout of a cluster is %+v", f)
	}
	if _, ok := m.Field("ConnectTimeout"); ok {
		t.Error("ConnectTimeout is found")
	}
}

// A JSON name that does not follow from the field's, which no definition of today has.
func TestJSONName(t *testing.T) {
	m := schema.Decode("a.B", "x_1_y_z 1 string\nodd_name 2 []int32 json:ODD deprecated\n")
	for key, want := range map[string]string{"x1YZ": "x_1_y_z", "x_1_y_z": "x_1_y_z", "ODD": "odd_name", "odd_name": "odd_name"} {
		if f, ok := m.Field(key); !ok || f.Name != want {
			t.Errorf("Field(%q) = %+v, %v, want %s", key, f, ok, want)
		}
	}
	if f, ok := m.Field("oddName"); ok {
		t.Errorf("Field(oddName) = %+v", f)
	}
}

func TestTypeOfAny(t *testing.T) {
	for url, want := range map[string]string{
		"type.googleapis.com/envoy.config.cluster.v3.Cluster": "envoy.config.cluster.v3.Cluster",
		"example.com/a/b/x.Y":  "x.Y",
		"x.Y":                  "x.Y",
		"":                     "",
		"type.googleapis.com/": "",
	} {
		if got := schema.TypeOfAny(url); got != want {
			t.Errorf("TypeOfAny(%q) = %q, want %q", url, got, want)
		}
	}
}
