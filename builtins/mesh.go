package builtins

import (
	"context"
	"strings"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/redact"
	startime "go.starlark.net/lib/time"
	"go.starlark.net/starlark"
)

// Mesh is a mesh: the session's, which scripts know as mesh, or one that
// open(spec) gave.
type Mesh struct {
	m   *mesh.Mesh
	ctx context.Context // as of a Proxy; nil when none made it
}

var (
	_ starlark.HasAttrs  = (*Mesh)(nil)
	_ starlark.HasBinary = (*Mesh)(nil)
)

// NewMesh makes the value of a mesh.
func NewMesh(m *mesh.Mesh) *Mesh { return &Mesh{m: m} }

// Mesh is the mesh of the model.
func (m *Mesh) Mesh() *mesh.Mesh { return m.m }

func (m *Mesh) String() string                           { return "<mesh " + clip(m.m.Name(), 160) + ">" }
func (m *Mesh) Type() string                             { return "Mesh" }
func (m *Mesh) Freeze()                                  {}
func (m *Mesh) Truth() starlark.Bool                     { return true }
func (m *Mesh) Hash() (uint32, error)                    { return starlark.String(m.m.Name()).Hash() }
func (m *Mesh) Attr(name string) (starlark.Value, error) { return attr(m, name) }
func (m *Mesh) AttrNames() []string                      { return attrNames(m) }
func (m *Mesh) Item() Item                               { return itemOf(m, "mesh") }

// Istiod is one control plane instance.
type Istiod struct{ i *mesh.Istiod }

var _ starlark.HasAttrs = (*Istiod)(nil)

func (i *Istiod) String() string                           { return "<istiod " + i.i.Name + " " + i.i.Version + ">" }
func (i *Istiod) Type() string                             { return "Istiod" }
func (i *Istiod) Freeze()                                  {}
func (i *Istiod) Truth() starlark.Bool                     { return true }
func (i *Istiod) Hash() (uint32, error)                    { return starlark.String(i.i.Source + i.i.Name).Hash() }
func (i *Istiod) Attr(name string) (starlark.Value, error) { return attr(i, name) }
func (i *Istiod) AttrNames() []string                      { return attrNames(i) }
func (i *Istiod) Item() Item                               { return itemOf(i, "istiod") }

// meshes describes Mesh, Istiod and Proxy, and the functions on the session's
// mesh.
func (b *builder) meshes() {
	meshType := b.typ("Mesh", "Value", "A mesh: what one or several sources know of its proxies and control planes. Its calls are also functions, which ask the session's mesh.")
	field(b, "name", "string", "What the mesh is called: its sources, unless it was given a name.", `mesh.name`,
		func(m *Mesh) (starlark.Value, error) { return text(m.m.Name()), nil })
	field(b, "sources", "list", "What it is read from, as they were named.", `mesh.sources`,
		func(m *Mesh) (starlark.Value, error) { return textList(m.m.Sources()), nil })
	field(b, "live", "bool", "Whether any source shows the mesh as it is now, rather than a recording.", `mesh.live`,
		func(m *Mesh) (starlark.Value, error) { return starlark.Bool(m.m.Live()), nil })
	field(b, "now", "time.time", "The mesh's clock: the wall clock when it is live, the time of capture of a recording. Ages and time.now() go by it.", `mesh.now`,
		func(m *Mesh) (starlark.Value, error) { return startime.Time(m.m.Now(context.Background())), nil })
	b.proxies()

	t := b.typ("Istiod", "Value", "One instance of the control plane.")
	str := func(name, doc string, get func(*mesh.Istiod) string) {
		field(b, name, "string", doc, `[i.`+name+` for i in istiods()]`, func(i *Istiod) (starlark.Value, error) { return text(get(i.i)), nil })
		t.columns = append(t.columns, column{Column: Column{Name: strings.ToUpper(name), Elide: ElideMiddle}, Cell: func(v starlark.Value) string { return get(v.(*Istiod).i) }})
	}
	str("name", "Its name: that of its pod, or its address.", func(i *mesh.Istiod) string { return i.Name })
	str("version", "Its version.", func(i *mesh.Istiod) string { return i.Version })
	str("revision", "The revision it serves.", func(i *mesh.Istiod) string { return i.Revision })
	field(b, "tags", "list | None", "The tags that stand for its revision, None when no source can tell.", `[i.tags for i in istiods()]`, func(i *Istiod) (starlark.Value, error) {
		if i.i.Tags == nil {
			return starlark.None, nil
		}
		return textList(i.i.Tags), nil
	})
	t.columns = append(t.columns, column{Column: Column{Name: "TAGS"}, Optional: true, Cell: func(v starlark.Value) string { return strings.Join(v.(*Istiod).i.Tags, ",") }})
	str("source", "The source it was found in.", func(i *mesh.Istiod) string { return i.Source })
	b.method("proxies", nil, "Proxies", "The proxies connected to it.", `[i.proxies() for i in istiods()]`, func(c *Call) (starlark.Value, error) {
		res, err := c.Recv.(*Istiod).i.Proxies(c.Context())
		if err != nil {
			return nil, err
		}
		out := &Collection{elem: "Proxy", failures: res.Failures}
		for _, p := range res.Items {
			out.items = append(out.items, NewProxy(c.Context(), p))
		}
		return out, nil
	})
	b.method("debug", []Param{{Name: "path", Type: "string", Doc: `a path of the debug API, such as "syncz"`}}, "any",
		"What a path of its debug API answers, decoded when it is JSON. Paths that change something are refused.", `[attempt(i.debug, "registryz").ok for i in istiods()]`,
		func(c *Call) (starlark.Value, error) {
			src, err := c.Recv.(*Istiod).i.Debug(c.Context(), c.Text("path"))
			if err != nil {
				return nil, err
			}
			doc, _, err := redact.Compact(nil, src)
			if err != nil {
				return text(string(src)), nil // some paths answer with text
			}
			return NewJSON(doc), nil
		})
	b.collection("Istiods", "Istiod", "Control plane instances.")

	params := proxyParams()
	doc := "The proxies that the mesh's sources know, sorted by name."
	example := `proxies(namespace="default")`
	list := func(c *Call, m *mesh.Mesh) (starlark.Value, error) {
		all, err := m.Proxies(c.Context())
		if err != nil {
			return nil, err
		}
		return listProxies(c, all)
	}
	b.onMesh(meshType, "proxies", params, "Proxies", doc, example, list)

	b.onMesh(meshType, "proxy", []Param{
		{Name: "name", Type: "string", Doc: "pod.namespace, a prefix of it, a workload (reviews-v1, deploy/reviews-v1, sts/x.namespace), svc/x, gateway/x, a pod's IP, a node id, or a pattern"},
		{Name: "namespace", Type: "string", Default: "None", KwOnly: true, Doc: "only of this namespace; otherwise those of the session's own namespace (-n, or the context's) come first"},
		{Name: "cluster_id", Type: "string", Default: "None", KwOnly: true, Doc: "only of this cluster, by its id or its source (kube:east)"},
	},
		"Proxy", "The one proxy of this name. When several proxies of one workload answer to it the first that is connected and ready is taken; several workloads are an error that lists them.",
		`proxy("productpage-v1")`, func(c *Call, m *mesh.Mesh) (starlark.Value, error) {
			p, note, err := m.Find(c.Context(), mesh.Query{Name: c.Text("name"), Namespace: c.Text("namespace"), ClusterID: c.Text("cluster_id")})
			if err != nil {
				return nil, err
			}
			c.note(note)
			return NewProxy(c.Context(), p), nil
		})

	b.onMesh(meshType, "istiods", nil, "Istiods", "The control plane instances that the mesh's sources know.", `istiods()`,
		func(c *Call, m *mesh.Mesh) (starlark.Value, error) {
			res, err := m.Istiods(c.Context())
			if err != nil {
				return nil, err
			}
			out := &Collection{elem: "Istiod", failures: res.Failures}
			for _, i := range res.Items {
				out.items = append(out.items, &Istiod{i})
			}
			return out, nil
		})

	b.function("open", []Param{{Name: "spec", Type: "string", Doc: "a source, as after --source: a file, a folder, kube:CONTEXT, http://HOST:15000"}}, "Mesh",
		"Another mesh, to compare with. Scripts may open files under their folders, and what the command line allows.", `attempt(open, "before.mlk").ok`,
		func(c *Call) (starlark.Value, error) {
			h, err := c.Host()
			if err != nil {
				return nil, err
			}
			m, err := h.OpenMesh(c.Context(), c.Text("spec"))
			if err != nil {
				return nil, err
			}
			return &Mesh{m, c.Context()}, nil
		})
}

// onMesh describes a call of a mesh: as a method, and as a function on the
// session's mesh.
func (b *builder) onMesh(t *Type, name string, params []Param, returns, doc, example string, fn func(*Call, *mesh.Mesh) (starlark.Value, error)) {
	b.cur = t
	b.method(name, params, returns, doc, "mesh."+example, func(c *Call) (starlark.Value, error) { return fn(c, c.Recv.(*Mesh).m) })
	b.function(name, params, returns, doc, example, func(c *Call) (starlark.Value, error) {
		m, err := c.mesh()
		if err != nil {
			return nil, err
		}
		return fn(c, m)
	})
}
