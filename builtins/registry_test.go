package builtins

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"

	"go.starlark.net/starlark"
)

// TestExamples runs the example of every entry on the fixture.
func TestExamples(t *testing.T) {
	for _, e := range Registry() {
		name := e.Recv + "." + e.Name
		if e.Example == "" {
			t.Errorf("%s has no example", name)
			continue
		}
		if !strings.Contains(e.Example, e.Name) {
			t.Errorf("the example of %s is about something else: %s", name, e.Example)
		}
		thread, _, env := newThread(t, context.Background(), io.Discard)
		if _, err := starlark.ExecFileOptions(dialect, thread, "example.star", "_ = "+strings.TrimPrefix(e.Example, "grace = "), env); err != nil {
			t.Errorf("example of %s:\n\t%s\n\t%v", name, e.Example, err)
		}
	}
}

func TestEntriesAreDescribed(t *testing.T) {
	sentence := func(what, doc string) {
		if doc == "" {
			t.Errorf("%s is not described", what)
		} else if !strings.HasSuffix(doc, ".") {
			t.Errorf("the description of %s is no sentence: %s", what, doc)
		}
	}
	for _, e := range Registry() {
		name := e.Recv + "." + e.Name
		sentence(name, e.Doc)
		if e.Returns == "" {
			t.Errorf("%s does not say what it gives", name)
		}
		for _, p := range e.Params {
			if p.Doc == "" || p.Type == "" {
				t.Errorf("parameter %s of %s is not described", p.Name, name)
			}
			if len(p.Enum) > 0 && p.Type != "string" {
				t.Errorf("parameter %s of %s has an enumeration and the type %s", p.Name, name, p.Type)
			}
		}
		if e.Kind == Field && e.get == nil || (e.Kind == Function || e.Kind == Method) && e.fn == nil && e.raw == nil {
			t.Errorf("%s does nothing", name)
		}
	}
	for _, typ := range Types() {
		sentence(typ.Name, typ.Doc)
		if typ.Base != "" && types()[typ.Base] == nil {
			t.Errorf("%s has the unknown base %s", typ.Name, typ.Base)
		}
	}
}

// TestNamesParse shows that no name of the language is a word that Starlark
// reserves, wherever a user has to write it.
func TestNamesParse(t *testing.T) {
	for _, e := range Registry() {
		for _, src := range []string{"x." + e.Name, e.Name + "()"} {
			if _, err := dialect.ParseExpr("name.star", src, 0); err != nil {
				t.Errorf("%s.%s cannot be written: %v", e.Recv, e.Name, err)
			}
		}
		for _, p := range e.Params {
			if p.variadic() {
				continue
			}
			if _, err := dialect.ParseExpr("name.star", "f("+p.Name+"=1)", 0); err != nil {
				t.Errorf("parameter %s of %s.%s cannot be written: %v", p.Name, e.Recv, e.Name, err)
			}
		}
	}
}

// TestDefaults shows that every default is a value that the parameter takes.
func TestDefaults(t *testing.T) {
	for _, e := range Registry() {
		defaults, err := e.spec.defaults()
		if err != nil {
			t.Errorf("%s.%s: %v", e.Recv, e.Name, err)
			continue
		}
		for i, p := range e.Params {
			if defaults[i] != nil {
				if err := p.check(defaults[i]); err != nil {
					t.Errorf("%s.%s: default: %v", e.Recv, e.Name, err)
				}
			}
		}
	}
}

// TestDocumentedTypes shows that fields give what the table says they give.
func TestDocumentedTypes(t *testing.T) {
	thread, _, env := newThread(t, context.Background(), io.Discard)
	run := func(src string) starlark.Value {
		v, err := starlark.EvalOptions(dialect, thread, "types.star", src, env)
		if err != nil {
			t.Fatalf("%s: %v", src, err)
		}
		return v
	}
	p := `proxy("productpage-v1")`
	seen := map[string]bool{}
	var check func(v starlark.Value)
	check = func(v starlark.Value) {
		typ := types()[v.Type()]
		if typ == nil {
			t.Fatalf("a %s is not in the registry", v.Type())
		}
		seen[v.Type()] = true
		for name, e := range typ.attrs {
			if e.Kind != Field {
				continue
			}
			got, err := e.get(v)
			if err != nil {
				t.Errorf("%s.%s of %s: %v", v.Type(), name, v, err)
				continue
			}
			documented := strings.Split(e.Returns, " | ")
			have := got.Type()
			if got == starlark.None {
				have = "None"
			}
			if e.Returns != "any" && !slices.Contains(documented, have) {
				t.Errorf("%s.%s of %s is a %s, documented as %s", v.Type(), name, v, have, e.Returns)
			}
			if s, ok := starlark.AsString(got); ok && len(e.Enum) > 0 && !slices.Contains(e.Enum, s) {
				t.Errorf("%s.%s of %s is %q, which is none of %q", v.Type(), name, v, s, e.Enum)
			}
		}
		if xs, ok := v.(*Collection); ok {
			for _, x := range xs.items {
				check(x)
			}
		}
	}
	for _, src := range []string{
		`mesh`, `proxies()`, `istiods()`, p + `.sync`, p + `.sync.rds`, p + `.bootstrap()`, p + `.bootstrap().node`,
		p + `.clusters(state="*")`, p + `.listeners(state="*")`, p + `.routes(state="*")`, p + `.routes().routes`, p + `.routes().virtual_hosts`,
		p + `.secrets(state="*")`, p + `.endpoints()`, p + `.desired().endpoints()`, p + `.extensions(state="*")`, p + `.scoped_routes(state="*")`,
		p + `.listeners(state="error")[0].error`, `clusters().errors[0]`, `run("stale")`, `cluster({"name": "made"})`,
		p + `.routes("9080")[0].match(host="reviews:9080")`, p + `.routes("9080")[0].match(host="reviews:9080").steps[0]`, p + `.listeners()[0].match()`,
		traceExample, traceExample + `.hops[0]`, traceExample + `.verdict`, `why_not(` + traceExample + `, "*v2*")`,
		`objects("vs")`, `objects("dr")[0].touches()`, `mesh.object_kinds()`,
		`doctor()`, p + `.server_info()`, p + `.certs()`,
		`diff({"a": 1}, {"a": 2, "b": [3]})`, `diff({"a": 1}, {"a": 2, "b": [3]}).changes`, `diff(proxies("reviews*"), proxies("*x1*") + proxies("productpage*"))`,
	} {
		check(run(src))
	}
	for _, src := range []string{p + `.listeners()`, p + `.secrets(state="*")`} {
		for x := range starlark.Elements(run(src).(*Collection)) {
			for _, name := range []string{"filter_chains", "certificates"} {
				if lookup(x.Type(), name) != nil {
					v, err := attr(x, name)
					if err != nil {
						t.Fatal(err)
					}
					check(v)
				}
			}
		}
	}
	for _, typ := range Types() {
		abstract := slices.Contains([]string{"Value", "Resource", "Part", "Collection", "JSONObject", "JSONArray", "Table", "Filter", "json", "yaml", "math", "time"}, typ.Name)
		if !abstract && !seen[typ.Name] {
			t.Errorf("no %s was looked at", typ.Name)
		}
	}
}

func TestEnumerations(t *testing.T) {
	enums := Enumerations()
	if got := strings.Join(enums["rds"], " "); got != "SYNCED STALE NOT_SENT ERROR" {
		t.Errorf("rds is one of %s", got)
	}
	if _, ok := enums["type"]; ok {
		t.Error("type is free text for clusters, so no literal can be wrong")
	}
	if slices.Contains(enums["state"], "*") {
		t.Error(`no value's state is "*"`)
	}
}
