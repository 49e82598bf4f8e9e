package builtins

import (
	"context"
	"fmt"

	"github.com/meshlark/meshlark/xds/diff"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// minus is the operator - of everything that diff compares: b - a is
// diff(a, b). An operator is told of no evaluation, so what has to be read is
// read for the one that made a side.
func minus(op syntax.Token, x, y starlark.Value, side starlark.Side) (starlark.Value, error) {
	if op != syntax.MINUS || side != starlark.Left {
		return nil, nil
	}
	ctx := context.Background()
	for _, v := range []starlark.Value{x, y} {
		if made := madeIn(v); made != nil && made.Err() == nil {
			ctx = made
			break
		}
	}
	return compare(ctx, y, x, diff.Options{})
}

// madeIn is the context of the evaluation that made a value, nil when that is
// not known.
func madeIn(v starlark.Value) context.Context {
	switch v := v.(type) {
	case *Proxy:
		return v.ctx
	case *Mesh:
		return v.ctx
	case *Object:
		if v.proxy != nil {
			return v.proxy.ctx
		}
	case *Collection:
		if len(v.items) > 0 {
			return madeIn(v.items[0])
		}
	}
	return nil
}

// Binary compares with another proxy.
func (p *Proxy) Binary(op syntax.Token, y starlark.Value, side starlark.Side) (starlark.Value, error) {
	return minus(op, p, y, side)
}

// Binary compares with another mesh.
func (m *Mesh) Binary(op syntax.Token, y starlark.Value, side starlark.Side) (starlark.Value, error) {
	return minus(op, m, y, side)
}

// Binary compares with another object.
func (o *Object) Binary(op syntax.Token, y starlark.Value, side starlark.Side) (starlark.Value, error) {
	return minus(op, o, y, side)
}

// compare finds out how b differs from a. Lists of objects of one type are
// compared as the collections of them.
func compare(ctx context.Context, a, b starlark.Value, o diff.Options) (*Diff, error) {
	for _, v := range []*starlark.Value{&a, &b} {
		if c, ok := CollectionOf(*v); ok {
			*v = c
		}
	}
	if isPopulation(a) || isPopulation(b) {
		return comparePopulations(ctx, a, b, o)
	}
	switch l := a.(type) {
	case *Object:
		if r, ok := b.(*Object); ok && l.typ == r.typ {
			return compareObjects(l, r, o)
		}
	case *KubernetesObject:
		if r, ok := b.(*KubernetesObject); ok {
			return compareWritten(l, r, o)
		}
	case *Collection:
		r, ok := b.(*Collection)
		if ok && (l.elem == r.elem || len(l.items) == 0 || len(r.items) == 0) {
			return compareCollections(l, r, o)
		}
	}
	return compareJSON(a, b, o)
}

// compareJSON compares the JSON forms of two values.
func compareJSON(a, b starlark.Value, o diff.Options) (*Diff, error) {
	// A resource and a dict, as one writes it, say the same kind of thing; a cluster and a listener do not.
	if isOpaque(a) && isOpaque(b) && a.Type() != b.Type() {
		return nil, fmt.Errorf("cannot compare a %s with a %s: want two of a kind", a.Type(), b.Type())
	}
	l, err := Body(a)
	if err != nil {
		return nil, err
	}
	r, err := Body(b)
	if err != nil {
		return nil, err
	}
	message := ""
	for _, v := range []starlark.Value{a, b} {
		if x, ok := v.(*Object); ok {
			message = messages[x.typ]
		}
	}
	d, err := diff.Values(l, r, message, o)
	if err != nil {
		return nil, err
	}
	return &Diff{one: d}, nil
}

func isOpaque(v starlark.Value) bool {
	switch v.(type) {
	case *Object, *Collection:
		return true
	}
	return false
}
