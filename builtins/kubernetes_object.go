package builtins

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/diff"
	"github.com/meshlark/meshlark/xds/pattern"
	"github.com/meshlark/meshlark/xds/rawjson"
	startime "go.starlark.net/lib/time"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// KubernetesObject is an object of Kubernetes that stands beside a mesh: a VirtualService, a Service, a Pod.
type KubernetesObject struct {
	o       mesh.Object
	mesh    *Mesh
	raw     rawjson.Value // without managedFields, unless they were asked for
	now     time.Time     // the mesh's clock
	told    bool          // whether its kind was asked for, so that a table need not say it
	several bool          // whether it could be of another source
	columns objectCells
}

var (
	_ starlark.HasAttrs   = (*KubernetesObject)(nil)
	_ starlark.Comparable = (*KubernetesObject)(nil)
	_ starlark.HasBinary  = (*KubernetesObject)(nil)
	_ Itemer              = (*KubernetesObject)(nil)
	_ bodied              = (*KubernetesObject)(nil)
)

func newKubernetesObject(m *Mesh, o mesh.Object, now time.Time, managed bool) *KubernetesObject {
	k := &KubernetesObject{o: o, mesh: m, raw: o.JSON, now: now, several: len(m.m.Sources()) > 1}
	if !managed && o.JSON.Get("metadata", "managedFields").Exists() {
		k.raw = withoutMetadata(o.JSON, "managedFields")
	}
	return k
}

func (k *KubernetesObject) String() string {
	return "<" + k.o.Kind + " " + clip(k.fullName(), 120) + ">"
}
func (k *KubernetesObject) Type() string         { return "KubernetesObject" }
func (k *KubernetesObject) Freeze()              {}
func (k *KubernetesObject) Truth() starlark.Bool { return true }
func (k *KubernetesObject) Hash() (uint32, error) {
	return starlark.String(k.o.Kind + " " + k.fullName()).Hash()
}
func (k *KubernetesObject) Attr(n string) (starlark.Value, error) { return attr(k, n) }
func (k *KubernetesObject) AttrNames() []string                   { return attrNames(k) }
func (k *KubernetesObject) Item() Item                            { return itemOf(k, KindName("KubernetesObject")) }

func (k *KubernetesObject) body() (rawjson.Value, error) { return k.raw, nil }

// MarshalJSON gives the object as the source sent it.
func (k *KubernetesObject) MarshalJSON() ([]byte, error) { return k.raw, nil }

// YAML is the object as YAML.
func (k *KubernetesObject) YAML() string { return YAML(k.raw) }

// fullName is name.namespace.
func (k *KubernetesObject) fullName() string {
	if k.o.Namespace == "" {
		return k.o.Name
	}
	return k.o.Name + "." + k.o.Namespace
}

// group is the API group, "" for the core group.
func (k *KubernetesObject) group() string {
	group, _, ok := strings.Cut(k.o.APIVersion, "/")
	if !ok {
		return ""
	}
	return group
}

// CompareSameType compares kind and JSON: two objects are equal when they say the same, whoever has them.
func (k *KubernetesObject) CompareSameType(op syntax.Token, y starlark.Value, _ int) (bool, error) {
	other := y.(*KubernetesObject)
	same := k.o.Kind == other.o.Kind && string(rawjson.Canonical(nil, k.raw)) == string(rawjson.Canonical(nil, other.raw))
	return compareSame(op, same, "Kubernetes objects")
}

// Binary compares with another object.
func (k *KubernetesObject) Binary(op syntax.Token, y starlark.Value, side starlark.Side) (starlark.Value, error) {
	return minus(op, k, y, side)
}

// written is what somebody wrote: the object without its status and what the API server adds.
func (k *KubernetesObject) written() rawjson.Value {
	body := withoutMetadata(k.raw, "managedFields", "uid", "resourceVersion", "generation", "creationTimestamp", "selfLink")
	return without(body, "status")
}

// compareWritten finds out what was written differently in two objects.
func compareWritten(l, r *KubernetesObject, o diff.Options) (*Diff, error) {
	d, err := diff.Values(l.written(), r.written(), "", o)
	if err != nil {
		return nil, err
	}
	return &Diff{one: d}, nil
}

// writtenByName is a collection of objects as one JSON object, for comparison.
func writtenByName(c *Collection) rawjson.Value {
	dst := []byte("{")
	for i, v := range c.items {
		k := v.(*KubernetesObject)
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(rawjson.Quote(dst, k.o.Kind+"/"+k.fullName()), ':')
		dst = append(dst, k.written()...)
	}
	return append(dst, '}')
}

// without gives a JSON object without some of its members.
func without(object rawjson.Value, drop ...string) rawjson.Value {
	return replaced(object, func(key string, v rawjson.Value) rawjson.Value {
		for _, d := range drop {
			if key == d {
				return nil
			}
		}
		return v
	})
}

// withoutMetadata gives an object without some members of its metadata.
func withoutMetadata(object rawjson.Value, drop ...string) rawjson.Value {
	return replaced(object, func(key string, v rawjson.Value) rawjson.Value {
		if key == "metadata" && v.Kind() == rawjson.Object {
			return without(v, drop...)
		}
		return v
	})
}

// replaced gives a JSON object with other members, without those for which there are none.
func replaced(object rawjson.Value, member func(string, rawjson.Value) rawjson.Value) rawjson.Value {
	dst := make([]byte, 0, len(object))
	for key, v := range object.Members() {
		v = member(key, v)
		if v == nil {
			continue
		}
		if len(dst) > 0 {
			dst = append(dst, ',')
		}
		dst = append(rawjson.Quote(dst, key), ':')
		dst = append(dst, v...)
	}
	return append(append([]byte{'{'}, dst...), '}')
}

// created is when the object was made; zero when it does not say.
func (k *KubernetesObject) created() time.Time {
	t, err := time.Parse(time.RFC3339, k.raw.Str("metadata", "creationTimestamp"))
	if err != nil {
		return time.Time{}
	}
	return t
}

// kubernetesObjects describes KubernetesObject and the calls that give objects.
func (b *builder) kubernetesObjects() {
	t := b.typ("KubernetesObject", "Value", "An object of Kubernetes beside the mesh: a VirtualService, a Service, a Pod or of any other kind that the API server serves. The values of Secrets are redacted.")
	type o = *KubernetesObject
	ex := func(name string) string { return `[o.` + name + ` for o in objects("vs")]` }
	str := func(name, doc string, get func(o) string) {
		field(b, name, "string", doc, ex(name), func(k o) (starlark.Value, error) { return text(get(k)), nil })
	}
	str("kind", "Its kind, such as VirtualService.", func(k o) string { return k.o.Kind })
	str("api_version", "The group and version it is written in, such as networking.istio.io/v1.", func(k o) string { return k.o.APIVersion })
	str("name", "Its name.", func(k o) string { return k.o.Name })
	str("namespace", "Its namespace, \"\" for a kind that has none.", func(k o) string { return k.o.Namespace })
	for _, name := range []string{"labels", "annotations"} {
		field(b, name, "dict", "Its "+name+".", ex(name), func(k o) (starlark.Value, error) {
			d := starlark.NewDict(4)
			for key, v := range k.raw.Get("metadata", name).Members() {
				d.SetKey(text(key), text(v.Text())) // a new dict and a string key: cannot fail
			}
			d.Freeze()
			return d, nil
		})
	}
	field(b, "created", "time.time | None", "When it was created.", ex("created"), func(k o) (starlark.Value, error) { return timeOrNone(k.created()), nil })
	field(b, "age", "time.duration | None", "How long ago that was, by the mesh's clock.", ex("age"), func(k o) (starlark.Value, error) {
		if k.created().IsZero() {
			return starlark.None, nil
		}
		return startime.Duration(k.now.Sub(k.created()).Round(time.Millisecond)), nil
	})
	str("source", "The source it was read from, which tells the clusters of one mesh apart.", func(k o) string { return k.o.Source })
	field(b, "spec", "JSONObject | None", "What it asks for.", ex("spec"), func(k o) (starlark.Value, error) { return jsonOrNone(k.raw.Get("spec")), nil })
	field(b, "status", "JSONObject | None", "What became of it.", ex("status"), func(k o) (starlark.Value, error) { return jsonOrNone(k.raw.Get("status")), nil })
	link(b, "raw", "JSONObject", "All of it as nested values, keys in the order they were sent. managedFields are left out, as kubectl does, unless objects(..., managed_fields=True) asks for them.", ex("raw"),
		func(k o) (starlark.Value, error) { return NewJSON(k.raw), nil })
	link(b, "mesh", "Mesh", "The mesh it stands beside.", ex("mesh"), func(k o) (starlark.Value, error) { return k.mesh, nil })
	b.touches()
	t.columns = objectColumns()
	b.collection("KubernetesObjects", "KubernetesObject", "Objects of Kubernetes, sorted by namespace and name.")
	b.resources()

	kinds := b.typ("ObjectKind", "Value", "A kind of object that the mesh's sources have.")
	type kind = *objectKindValue
	kindText := func(name, doc string, get func(mesh.ObjectKind) string) {
		field(b, name, "string", doc, `[k.`+name+` for k in mesh.object_kinds()]`, func(k kind) (starlark.Value, error) { return text(get(k.k)), nil })
		kinds.columns = append(kinds.columns, column{Column: Column{Name: strings.ToUpper(strings.ReplaceAll(name, "_", " "))}, Cell: func(v starlark.Value) string { return get(v.(kind).k) }})
	}
	kindText("name", "What it is called in objects, such as VirtualService.", func(k mesh.ObjectKind) string { return k.Name })
	kindText("plural", "Its plural, such as virtualservices.", func(k mesh.ObjectKind) string { return k.Plural })
	kindText("api_version", "Its group and version.", func(k mesh.ObjectKind) string { return k.APIVersion() })
	field(b, "short_names", "list", "Its short names, such as vs.", `[k.short_names for k in mesh.object_kinds()]`, func(k kind) (starlark.Value, error) { return textList(k.k.ShortNames), nil })
	field(b, "namespaced", "bool", "Whether its objects have a namespace.", `[k.namespaced for k in mesh.object_kinds()]`, func(k kind) (starlark.Value, error) { return starlark.Bool(k.k.Namespaced), nil })
	kinds.columns = append(kinds.columns, column{Column: Column{Name: "SHORT NAMES"}, Cell: func(v starlark.Value) string { return strings.Join(v.(kind).k.ShortNames, ",") }})
	b.collection("ObjectKinds", "ObjectKind", "Kinds of objects, sorted by name.")

	b.cur = b.t.types["Mesh"]
	b.method("object_kinds", nil, "ObjectKinds", "The kinds of objects that objects(...) can be asked for.", `mesh.object_kinds()`, func(c *Call) (starlark.Value, error) {
		res, err := c.Recv.(*Mesh).m.ObjectKinds(c.Context())
		if err != nil {
			return nil, err
		}
		out := &Collection{elem: "ObjectKind", failures: res.Failures}
		for _, k := range res.Items {
			out.items = append(out.items, &objectKindValue{k})
		}
		return out, nil
	})
	b.onMesh(b.t.types["Mesh"], "objects", []Param{
		{Name: "kind", Type: "string", Doc: "the kind: its name, plural or short name in any case, with its group where several have it (vs, VirtualService, gateways.networking.istio.io)"},
		{Name: "name", Type: "pattern", Default: "None", Doc: "names to keep"},
		{Name: "namespace", Type: "pattern", Default: "None", Doc: "namespaces to keep; without it, those of all namespaces"},
		{Name: "labels", Type: "string|dict", Default: "None", Doc: `a selector as after kubectl's -l ("app=reviews,version!=v1"), or a dict of labels that must be there, each with a pattern for its value`},
		{Name: "managed_fields", Type: "bool", Default: "False", KwOnly: true, Doc: "whether raw and the JSON and YAML forms have metadata.managedFields"},
	}, "KubernetesObjects", "The objects of a kind that stand beside the mesh, from the Kubernetes clusters it is read from; from an istiod, Istio's own configuration.", `objects("vs", namespace="default")`, listObjects)
}

func listObjects(c *Call, m *mesh.Mesh) (starlark.Value, error) {
	q := mesh.ObjectQuery{Kind: c.Text("kind")}
	var err error
	if q.Name, err = c.Pattern("name"); err != nil {
		return nil, err
	}
	if q.Namespace, err = c.Pattern("namespace"); err != nil {
		return nil, err
	}
	wanted := map[string]pattern.Pattern{}
	switch labels := c.Value("labels").(type) {
	case starlark.String:
		q.Labels = string(labels)
	case starlark.IterableMapping:
		if q.Labels, wanted, err = labelPatterns(labels); err != nil {
			return nil, err
		}
	}
	res, err := m.Objects(c.Context(), q)
	if err != nil {
		return nil, explainKind(err)
	}
	now := m.Now(c.Context())
	out := &Collection{elem: "KubernetesObject", failures: res.Failures}
next:
	for _, o := range res.Items {
		for label, p := range wanted {
			if v := o.JSON.Get("metadata", "labels"); !p.Match(labelOf(v, label)) {
				continue next
			}
		}
		k := newKubernetesObject(&Mesh{m, c.Context()}, o, now, c.Bool("managed_fields"))
		k.told = true
		out.items = append(out.items, k)
	}
	return out, nil
}

// labelPatterns reads a dict of labels: what the API server can decide as a selector, and a pattern for each value.
func labelPatterns(labels starlark.IterableMapping) (selector string, patterns map[string]pattern.Pattern, err error) {
	var terms []string
	patterns = map[string]pattern.Pattern{}
	for k, v := range starlark.Entries(labels) {
		key, isText := starlark.AsString(k)
		want, isText2 := starlark.AsString(v)
		if !isText || !isText2 || key == "" {
			return "", nil, errors.New("labels: want a dict of strings")
		}
		p, err := pattern.Parse(want)
		if err != nil {
			return "", nil, fmt.Errorf("labels: %w", err)
		}
		patterns[key] = p
		if literal, ok := p.Literal(); ok {
			terms = append(terms, key+"="+literal)
		} else {
			terms = append(terms, key)
		}
	}
	return strings.Join(terms, ","), patterns, nil
}

func labelOf(labels rawjson.Value, name string) string {
	for k, v := range labels.Members() {
		if k == name {
			return v.Text()
		}
	}
	return ""
}

// explainKind adds to the error about an unknown kind what may have been meant.
func explainKind(err error) error {
	var no *mesh.NoKindError
	if !errors.As(err, &no) {
		return err
	}
	if near := nearest(no.Kind, no.Known); near != "" {
		return fmt.Errorf("%w; did you mean %s?", err, near)
	}
	return fmt.Errorf("%w; mesh.object_kinds() lists those there are", err)
}

// objectKindValue is a mesh.ObjectKind in the language.
type objectKindValue struct{ k mesh.ObjectKind }

func (k *objectKindValue) String() string                        { return "<object kind " + k.k.String() + ">" }
func (k *objectKindValue) Type() string                          { return "ObjectKind" }
func (k *objectKindValue) Freeze()                               {}
func (k *objectKindValue) Truth() starlark.Bool                  { return true }
func (k *objectKindValue) Hash() (uint32, error)                 { return starlark.String(k.k.String()).Hash() }
func (k *objectKindValue) Attr(n string) (starlark.Value, error) { return attr(k, n) }
func (k *objectKindValue) AttrNames() []string                   { return attrNames(k) }
func (k *objectKindValue) Item() Item                            { return itemOf(k, "object_kind") }
