package session

import (
	"errors"

	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/mesh"
	"go.starlark.net/starlark"
)

var errNoMesh = errors.New("no mesh is open: name one with --source")

// meshValue is the value of the name mesh.
func meshValue(m *mesh.Mesh, why error) starlark.Value {
	if m != nil {
		return builtins.NewMesh(m)
	}
	if why == nil {
		why = errNoMesh
	}
	return noMesh{why}
}

// noMesh stands for the mesh of a session that has none, so that scripts which
// do not need one run: whatever is asked of it fails with the reason.
type noMesh struct{ why error }

var _ starlark.HasAttrs = noMesh{}

func (n noMesh) String() string                      { return "<no mesh>" }
func (n noMesh) Type() string                        { return "Mesh" }
func (n noMesh) Freeze()                             {}
func (n noMesh) Truth() starlark.Bool                { return false }
func (n noMesh) Hash() (uint32, error)               { return 0, errors.New("unhashable type: Mesh") }
func (n noMesh) Attr(string) (starlark.Value, error) { return nil, n.why }
func (n noMesh) AttrNames() []string                 { return nil }
