package builtins

import (
	"slices"
	"strings"

	"github.com/meshlark/meshlark/mesh"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// Finding is what was found out about one thing that questions need: what doctor() gives.
type Finding struct{ f mesh.Finding }

var (
	_ starlark.HasAttrs   = (*Finding)(nil)
	_ starlark.Comparable = (*Finding)(nil)
	_ Itemer              = (*Finding)(nil)
)

// NewFindings makes the collection of what an examination found.
func NewFindings(found []mesh.Finding) *Collection {
	out := newCollection("Finding", nil)
	for _, f := range found {
		out.items = append(out.items, &Finding{f})
	}
	return out
}

// Finding is the finding of the model.
func (f *Finding) Finding() mesh.Finding { return f.f }

func (f *Finding) String() string {
	return "<" + clip("finding "+f.f.Subject+" "+string(f.f.Outcome), 160) + ">"
}
func (f *Finding) Type() string         { return "Finding" }
func (f *Finding) Freeze()              {}
func (f *Finding) Truth() starlark.Bool { return f.f.Outcome == mesh.OutcomeOK }
func (f *Finding) Hash() (uint32, error) {
	return starlark.String(f.f.Source + f.f.Area + f.f.Subject).Hash()
}
func (f *Finding) Attr(n string) (starlark.Value, error) { return attr(f, n) }
func (f *Finding) AttrNames() []string                   { return attrNames(f) }
func (f *Finding) Item() Item                            { return itemOf(f, "finding") }

func (f *Finding) CompareSameType(op syntax.Token, y starlark.Value, _ int) (bool, error) {
	a, b := f.f, y.(*Finding).f
	same := a.Source == b.Source && a.Area == b.Area && a.Subject == b.Subject && a.Outcome == b.Outcome && a.Detail == b.Detail &&
		a.Asked == b.Asked && a.Next == b.Next && slices.Equal(a.Questions, b.Questions)
	return compareSame(op, same, "findings")
}

func outcomes() []string {
	var out []string
	for _, o := range mesh.Outcomes() {
		out = append(out, string(o))
	}
	return out
}

// findings describes Finding and the call that gives them.
func (b *builder) findings() {
	t := b.typ("Finding", "Value", "What was found out about one thing that questions need: a permission, a control plane, a section of a recording. It is true when the thing is as it should be.")
	t.naming = "subject"
	str := func(name, doc string, elide Elide, wide bool, get func(mesh.Finding) string) *Entry {
		t.columns = append(t.columns, column{Column: Column{Name: strings.ToUpper(name), Elide: elide}, Wide: wide, Cell: func(v starlark.Value) string { return get(v.(*Finding).f) }})
		return field(b, name, "string", doc, `[f.`+name+` for f in doctor()]`, func(f *Finding) (starlark.Value, error) { return text(get(f.f)), nil })
	}
	str("source", "The source it was found in, \"\" of the mesh as a whole.", ElideMiddle, true, func(f mesh.Finding) string { return f.Source })
	str("area", "What kind of thing it is, such as permissions.", ElideNever, false, func(f mesh.Finding) string { return f.Area })
	str("subject", "The thing.", ElideMiddle, false, func(f mesh.Finding) string { return f.Subject })
	str("outcome", "ok; limited: it works in part; denied: this user may not; absent: there is no such thing; unreachable: it does not answer.", ElideNever, false,
		func(f mesh.Finding) string { return string(f.Outcome) }).enum(outcomes()...)
	str("detail", "What was found, or what is wrong.", ElideEnd, false, func(f mesh.Finding) string { return f.Detail })
	field(b, "questions", "list", "The calls and fields that it answers or, when it is not ok, leaves open.", `[f.questions for f in doctor() if not f]`,
		func(f *Finding) (starlark.Value, error) { return textList(f.f.Questions), nil })
	t.columns = append(t.columns, column{Column: Column{Name: "QUESTIONS", Elide: ElideEnd}, Wide: true, Cell: func(v starlark.Value) string { return strings.Join(v.(*Finding).f.Questions, ", ") }})
	field(b, "asked", "bool", "Whether only somebody who asks for it needs it, such as a token.", `[f.subject for f in doctor() if f.asked]`,
		func(f *Finding) (starlark.Value, error) { return starlark.Bool(f.f.Asked), nil })
	str("next", "What to do about it, \"\" when there is nothing to do.", ElideEnd, true, func(f mesh.Finding) string { return f.Next })
	b.collection("Findings", "Finding", "What an examination of the mesh's sources found.")

	b.onMesh(b.t.types["Mesh"], "doctor", nil, "Findings",
		"What the mesh's sources can answer, and why not more: permissions, control planes and Envoys that answer, sections that recordings have. Nothing is changed by it.",
		`doctor().where(outcome="denied")`, func(c *Call, m *mesh.Mesh) (starlark.Value, error) {
			found, err := m.Examine(c.Context())
			if err != nil {
				return nil, err
			}
			return NewFindings(found), nil
		})
}
