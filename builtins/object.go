package builtins

import (
	"fmt"
	"hash/fnv"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
	startime "go.starlark.net/lib/time"
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.starlark.net/syntax"
)

// An Object is a resource of a proxy's configuration, or a part of one: a
// cluster, a listener, a route, an endpoint. Which fields and methods it has
// depends on its type and is described in the registry.
type Object struct {
	typ    string
	proxy  *Proxy             // whose it is; nil for one that a script made
	res    *resource.Resource // of a whole resource that a proxy has
	made   *resource.Body     // of a whole resource that a script made
	part   rawjson.Value      // of a part of a resource
	parent *Object            // of a part: what it is a part of

	once sync.Once
	data any // the typed view of the body; parts are made with theirs
	err  error

	glanceOnce sync.Once
	glanced    any
}

var (
	_ starlark.HasAttrs   = (*Object)(nil)
	_ starlark.Comparable = (*Object)(nil)
	_ starlark.HasBinary  = (*Object)(nil)
	_ Itemer              = (*Object)(nil)
)

// newResource wraps a proxy's resource.
func newResource(typ string, p *Proxy, r *resource.Resource) *Object {
	return &Object{typ: typ, proxy: p, res: r}
}

// newPart makes a part of an object with its view.
func newPart(typ string, parent *Object, body rawjson.Value, view any) *Object {
	o := &Object{typ: typ, proxy: parent.proxy, part: body, parent: parent, data: view}
	return o
}

func (o *Object) isPart() bool { return o.res == nil && o.made == nil }

// stored is the whole body of a resource, nil for parts and for rejected
// updates that came without one.
func (o *Object) stored() (*resource.Body, error) {
	if o.res != nil {
		return o.res.Body()
	}
	return o.made, nil
}

func (o *Object) body() (rawjson.Value, error) {
	if o.isPart() {
		return o.partBody(), nil
	}
	b, err := o.stored()
	if err != nil {
		return nil, err
	}
	if raw := b.Raw(); len(raw) > 0 {
		return raw, nil
	}
	return rawjson.Value("null"), nil
}

// partBody is the JSON of a part. Some views put it together when it is asked
// for.
func (o *Object) partBody() rawjson.Value {
	if o.part == nil {
		if v, ok := o.data.(interface{ body() rawjson.Value }); ok {
			return v.body()
		}
	}
	return o.part
}

func (o *Object) decoded() (any, error) {
	if o.isPart() {
		return rawjson.Decode(o.partBody())
	}
	b, err := o.stored()
	if err != nil {
		return nil, err
	}
	return b.Decoded()
}

// MarshalJSON gives the body.
func (o *Object) MarshalJSON() ([]byte, error) { return o.body() }

// view gives the typed view of an object's body.
func view[T any](o *Object) (T, error) {
	o.once.Do(func() {
		if o.data != nil {
			return
		}
		raw, err := o.body()
		if err != nil {
			o.err = err
			return
		}
		o.data = types()[o.typ].view(o, raw)
	})
	v, ok := o.data.(T)
	if !ok && o.err == nil {
		return v, fmt.Errorf("internal error: a %s is seen as %T, not %T", o.typ, o.data, v)
	}
	return v, o.err
}

// glance gives what the table of an object's type shows of it. For a resource that nothing else was asked of it is read
// from the text as it was sent, which is several times cheaper than storing the body first.
func glance[T any](o *Object) T {
	o.glanceOnce.Do(func() {
		raw := rawjson.Value(nil)
		if o.res != nil {
			raw = o.res.Peek()
		} else if body, err := o.body(); err == nil {
			raw = body
		}
		o.glanced = types()[o.typ].glance(raw)
	})
	v, _ := o.glanced.(T)
	return v
}

// glanceAll does so for many objects, on all processors.
func glanceAll(items []starlark.Value) {
	const worthwhile = 256
	if len(items) < worthwhile {
		return
	}
	var wg sync.WaitGroup
	n := runtime.GOMAXPROCS(0)
	for i := range n {
		wg.Go(func() {
			for _, v := range items[len(items)*i/n : len(items)*(i+1)/n] {
				if o, ok := v.(*Object); ok && types()[o.typ].glance != nil {
					glance[any](o)
				}
			}
		})
	}
	wg.Wait()
}

// prop adds a field that is read from the typed view.
func prop[T any](b *builder, name, returns, doc, example string, get func(*Object, T) starlark.Value) *Entry {
	return field(b, name, returns, doc, example, func(o *Object) (starlark.Value, error) {
		v, err := view[T](o)
		if err != nil {
			return nil, err
		}
		return get(o, v), nil
	})
}

// propLink is prop for a field that is left out of the typed JSON form.
func propLink[T any](b *builder, name, returns, doc, example string, get func(*Object, T) starlark.Value) *Entry {
	e := prop(b, name, returns, doc, example, get)
	e.item = false
	return e
}

func (o *Object) Type() string                             { return o.typ }
func (o *Object) Freeze()                                  {}
func (o *Object) Truth() starlark.Bool                     { return true }
func (o *Object) Attr(name string) (starlark.Value, error) { return attr(o, name) }
func (o *Object) AttrNames() []string                      { return attrNames(o) }
func (o *Object) Item() Item                               { return itemOf(o, KindName(o.typ)) }

// String is one short line: the type, the name and what else tells the objects of the type
// apart at a glance.
func (o *Object) String() string {
	name, _ := nameOf(o)
	parts := []string{KindName(o.typ), clip(name, 120)}
	if t := types()[o.typ]; t.brief != nil {
		parts = append(parts, clip(t.brief(o), 60))
	}
	if s := o.stateText(); s != "" && !usualState(s) {
		parts = append(parts, "("+s+")")
	}
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	return "<" + strings.Join(parts, " ") + ">"
}

// stateText is the state of a resource, "" for parts.
func (o *Object) stateText() string {
	switch {
	case o.res != nil:
		return string(o.res.State())
	case o.made != nil:
		return string(resource.Static)
	default:
		return ""
	}
}

// usualState tells whether calls give resources in a state without being asked
// for it.
func usualState(s string) bool {
	return s == string(resource.Active) || s == string(resource.Static)
}

// canonical identifies what an object says: equal for equal kind and body.
func (o *Object) canonical() (string, error) {
	if o.isPart() {
		raw := o.partBody()
		if v, ok := o.data.(interface{ identity() rawjson.Value }); ok {
			raw = v.identity()
		}
		return o.typ + string(rawjson.Canonical(nil, raw)), nil
	}
	b, err := o.stored()
	if err != nil {
		return "", err
	}
	sum := b.Canonical()
	return o.typ + string(sum[:]), nil
}

// Hash agrees with equality: objects that say the same are one key of a dict.
func (o *Object) Hash() (uint32, error) {
	key, err := o.canonical()
	if err != nil {
		return 0, err
	}
	h := fnv.New32a()
	h.Write([]byte(key))
	return h.Sum32(), nil
}

// CompareSameType compares kind and canonical body: two objects are equal when
// they mean the same configuration, whoever has it.
func (o *Object) CompareSameType(op syntax.Token, y starlark.Value, _ int) (bool, error) {
	a, err := o.canonical()
	if err != nil {
		return false, err
	}
	b, err := y.(*Object).canonical()
	if err != nil {
		return false, err
	}
	return compareSame(op, a == b, KindName(o.typ)+"s")
}

// Unreadable says why a value cannot be shown: it is a resource whose body is no valid JSON, of which its fields would be silent.
func Unreadable(v starlark.Value) error {
	o, ok := v.(*Object)
	if !ok || o.isPart() {
		return nil
	}
	if _, err := o.body(); err != nil {
		return o.fault(err)
	}
	return nil
}

// fault tells an error of a body with whose it is.
func (o *Object) fault(err error) error {
	what := strings.ReplaceAll(KindName(o.typ), "_", " ")
	if name := resourceName(o); name != what {
		what += " " + name
	}
	if o.proxy != nil {
		what += " of " + o.proxy.p.Name
	}
	return fmt.Errorf("%s: %w", what, err)
}

// root is the resource that an object is, or is a part of.
func (o *Object) root() *Object {
	for o.isPart() && o.parent != nil {
		o = o.parent
	}
	return o
}

// proxyOf is the proxy as a value, None for what a script made.
func (o *Object) proxyOf() starlark.Value {
	if o.proxy == nil {
		return starlark.None
	}
	return o.proxy
}

// fetchFrom is the proxy an object's calls read from; what a script made has
// none.
func (o *Object) fetchFrom(what string) (*Proxy, error) {
	if o.proxy == nil {
		return nil, fmt.Errorf("%s: this %s belongs to no proxy, so there is nothing to look in", what, KindName(o.typ))
	}
	return o.proxy, nil
}

func text(s string) starlark.Value {
	return starlark.String(s)
}

// textOrNone is None for an absent text.
func textOrNone(s string) starlark.Value {
	if s == "" {
		return starlark.None
	}
	return starlark.String(s)
}

func uintValue[T ~uint32 | ~uint64 | ~uint](n T) starlark.Value {
	return starlark.MakeUint64(uint64(n))
}

// portOrNone is None for no port.
func portOrNone(n uint32) starlark.Value {
	if n == 0 {
		return starlark.None
	}
	return starlark.MakeUint64(uint64(n))
}

func timeOrNone(t time.Time) starlark.Value {
	if t.IsZero() {
		return starlark.None
	}
	return startime.Time(t)
}

// textList is an immutable list of strings.
func textList(ss []string) starlark.Value {
	out := make([]starlark.Value, len(ss))
	for i, s := range ss {
		out[i] = starlark.String(s)
	}
	return frozenList(out)
}

// jsonOrNone is None for absent JSON.
func jsonOrNone(v rawjson.Value) starlark.Value {
	if !v.Exists() {
		return starlark.None
	}
	return NewJSON(v)
}

// record makes an immutable struct of names and values.
func record(pairs ...any) starlark.Value {
	d := make(starlark.StringDict, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		d[pairs[i].(string)] = pairs[i+1].(starlark.Value)
	}
	s := starlarkstruct.FromStringDict(starlarkstruct.Default, d)
	s.Freeze()
	return s
}

// frozenList is an immutable list.
func frozenList(elems []starlark.Value) starlark.Value {
	l := starlark.NewList(elems)
	l.Freeze()
	return l
}
