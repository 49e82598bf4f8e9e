package builtins

import (
	"slices"
	"strings"
	"sync"

	"github.com/meshlark/meshlark/xds/rawjson"
	"go.starlark.net/starlark"
)

// A Kind says what an entry of the registry is.
type Kind string

// The kinds of entries.
const (
	Function Kind = "function" // called by its name
	Method   Kind = "method"   // called on a value
	Field    Kind = "field"    // an attribute of a value, never fetched
	Module   Kind = "module"   // a name with functions of its own
)

// An Entry describes one function, method, field or module of the language.
type Entry struct {
	Recv    string // the type or module it belongs to, "" for a function
	Name    string
	Kind    Kind
	Params  []Param
	Returns string   // the type of the result or of the field, such as "Clusters" or "string | None"
	Enum    []string // of a field: the strings it can be, if they are a closed set
	Doc     string   // what it gives, in sentences; the first one stands alone
	Example string   // Starlark that runs on the mesh of the demo

	fn   func(*Call) (starlark.Value, error)          // functions and methods
	get  func(starlark.Value) (starlark.Value, error) // fields
	item bool                                         // the field is part of the typed JSON form
	raw  starlark.Value                               // modules and functions that are defined elsewhere
	spec *signature
}

// A Param describes one parameter.
type Param struct {
	Name    string   // "*args" and "**kwargs" take the rest
	Type    string   // alternatives separated by "|", see signature
	Default string   // the default as Starlark source; "" when the argument is required
	Doc     string   // one phrase
	Enum    []string // the strings allowed, if they are a closed set
	Free    []string // strings allowed beside Enum, which are not values of the field: "*"
	KwOnly  bool     // must be given by name
	OrNone  bool     // None is as if it were left out
}

// Required reports whether the parameter must be given.
func (p Param) Required() bool { return p.Default == "" && !p.variadic() }

func (p Param) variadic() bool { return strings.HasPrefix(p.Name, "*") }

// A Type describes one type of value.
type Type struct {
	Name    string // as type(x) gives it
	Base    string // the type whose entries it has as well, "" for none
	Elem    string // of a collection: the type of its elements
	Doc     string
	columns []column
	view    func(o *Object, raw rawjson.Value) any // makes the typed view of an Object's body
	glance  func(raw rawjson.Value) any            // reads what the table of many Objects shows; nil when the view does
	brief   func(o *Object) string                 // what String adds to the name of an Object
	expand  func(starlark.Value) []starlark.Value  // the rows of an element in the table, when it can have several
	naming  string                                 // the field that names its values, "" for name
	entries []*Entry
	attrs   map[string]*Entry // own entries and those of the bases, by name
	names   []string          // the names of attrs, sorted
}

type table struct {
	types       map[string]*Type
	collections map[string]*Type // by the type of their elements
	order       []*Type          // in the order of the documentation
	funcs       map[string]*Entry
	entries     []*Entry // in the order of the documentation
}

var (
	once     sync.Once
	language *table // built once, never changed after
)

// registry gives the table. It is built on first use rather than in a variable's initialiser
// because the functions it lists look themselves up in it.
func registry() *table {
	once.Do(func() {
		b := &builder{t: &table{types: map[string]*Type{}, collections: map[string]*Type{}, funcs: map[string]*Entry{}}}
		b.functions()
		b.values()
		b.meshes()
		b.listeners()
		b.routes()
		b.steps()
		b.routeMatchType()
		b.chainMatchType()
		b.clusters()
		b.endpoints()
		b.secrets()
		b.bootstrap()
		b.diffs()
		b.traces()
		b.whyNots()
		b.findings()
		b.processes()
		b.kubernetesObjects()
		b.modules()
		b.finish()
		language = b.t
	})
	return language
}

func types() map[string]*Type { return registry().types }

// Registry lists everything the language has, functions first, then types
// with their fields and methods. The order is the same in every run.
func Registry() []Entry {
	var out []Entry
	for _, e := range registry().entries {
		out = append(out, *e)
	}
	return out
}

// Types lists the types of the language's values in the order of the
// documentation.
func Types() []Type {
	var out []Type
	for _, t := range registry().order {
		out = append(out, *t)
	}
	return out
}

// Entries lists the entries that the type itself adds to those of its base.
func (t Type) Entries() []Entry {
	var out []Entry
	for _, e := range t.entries {
		out = append(out, *e)
	}
	return out
}

// Typed reports whether the entry is part of the typed JSON form of its type,
// see Item.
func (e Entry) Typed() bool { return e.Kind == Field && e.item }

// Lookup finds a function (recv "") or an attribute of a type or module,
// including what the type has from its base.
func Lookup(recv, name string) (Entry, bool) {
	if e := lookup(recv, name); e != nil {
		return *e, true
	}
	return Entry{}, false
}

func lookup(recv, name string) *Entry {
	t := registry()
	if recv == "" {
		return t.funcs[name]
	}
	if info := t.types[recv]; info != nil {
		return info.attrs[name]
	}
	return nil
}

// Predeclared gives the names that every script and prompt starts with, except
// mesh, which belongs to the session: see NewMesh.
func Predeclared() starlark.StringDict {
	out := starlark.StringDict{}
	for name, e := range registry().funcs {
		if e.raw != nil {
			out[name] = e.raw
		} else {
			out[name] = e.builtin(nil)
		}
	}
	return out
}

// Enumerations maps each name of a field whose strings are a closed set,
// wherever it appears, to that set. A name that means different sets in
// different types has their union, so a literal outside it can never be equal.
// The values that parameters take are in the entries.
func Enumerations() map[string][]string {
	out := map[string][]string{}
	open := map[string]bool{} // free text in some type
	for _, e := range registry().entries {
		switch {
		case e.Kind != Field:
		case len(e.Enum) > 0:
			for _, s := range e.Enum {
				if !slices.Contains(out[e.Name], s) {
					out[e.Name] = append(out[e.Name], s)
				}
			}
		case strings.Contains(e.Returns, "string") || strings.Contains(e.Returns, "any"):
			open[e.Name] = true
		}
	}
	for name := range open {
		delete(out, name)
	}
	return out
}

// builtin gives the entry as a callable, bound to the receiver of a method.
func (e *Entry) builtin(recv starlark.Value) *starlark.Builtin {
	b := starlark.NewBuiltin(e.Name, func(thread *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		return e.call(thread, b.Receiver(), args, kwargs)
	})
	if recv != nil {
		b = b.BindReceiver(recv)
	}
	return b
}

// EntryOf finds the entry that describes a function of the language, or a
// method taken from a value.
func EntryOf(fn *starlark.Builtin) (Entry, bool) {
	recv := ""
	if r := fn.Receiver(); r != nil {
		recv = r.Type()
	}
	return Lookup(recv, fn.Name())
}

// builder fills the table. Each family of objects has a method that adds its
// types and functions.
type builder struct {
	t   *table
	cur *Type
}

// typ starts the description of a type; what is added until the next call
// belongs to it.
func (b *builder) typ(name, base, doc string) *Type {
	b.cur = &Type{Name: name, Base: base, Doc: doc}
	b.t.types[name] = b.cur
	b.t.order = append(b.t.order, b.cur)
	return b.cur
}

// collection describes the collection of a type of element.
func (b *builder) collection(name, elem, doc string) *Type {
	t := b.typ(name, "Collection", doc)
	t.Elem = elem
	b.t.collections[elem] = t
	return t
}

func (b *builder) add(e *Entry) *Entry {
	e.Recv = b.cur.Name
	b.cur.entries = append(b.cur.entries, e)
	return e
}

func (b *builder) method(name string, params []Param, returns, doc, example string, fn func(*Call) (starlark.Value, error)) {
	b.add(&Entry{Name: name, Kind: Method, Params: params, Returns: returns, Doc: doc, Example: example, fn: fn})
}

func (b *builder) function(name string, params []Param, returns, doc, example string, fn func(*Call) (starlark.Value, error)) {
	b.t.funcs[name] = &Entry{Name: name, Kind: Function, Params: params, Returns: returns, Doc: doc, Example: example, fn: fn}
	b.t.entries = append(b.t.entries, b.t.funcs[name])
}

// field adds an attribute of the type V, part of the typed JSON form.
func field[V starlark.Value](b *builder, name, returns, doc, example string, get func(V) (starlark.Value, error)) *Entry {
	return b.add(&Entry{Name: name, Kind: Field, Returns: returns, Doc: doc, Example: example, item: true,
		get: func(v starlark.Value) (starlark.Value, error) { return get(v.(V)) }})
}

// link adds an attribute that leads to another value and is not part of the
// typed JSON form.
func link[V starlark.Value](b *builder, name, returns, doc, example string, get func(V) (starlark.Value, error)) *Entry {
	e := field(b, name, returns, doc, example, get)
	e.item = false
	return e
}

func (e *Entry) enum(values ...string) { e.Enum = values }

// finish resolves bases and parameter lists.
func (b *builder) finish() {
	for _, t := range b.t.order {
		t.attrs = map[string]*Entry{}
		for base := t; base != nil; base = b.t.types[base.Base] {
			for _, e := range base.entries {
				if t.attrs[e.Name] == nil {
					t.attrs[e.Name] = e
				}
			}
		}
		for name := range t.attrs {
			t.names = append(t.names, name)
		}
		slices.Sort(t.names)
		b.t.entries = append(b.t.entries, t.entries...)
	}
	for _, e := range b.t.entries {
		e.spec = newSignature(e.Params)
	}
}
