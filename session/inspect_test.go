package session

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/meshlark/meshlark/builtins"
	"go.starlark.net/starlark"
)

const inspected = `"""Finds proxies that stay stale. Long ones are named.

    The second paragraph.
      Indented.
"""
load("@meshlark//age.star", "age", old="older")
grace = arg("grace", default="30s", type="duration", doc="how long STALE may last")
name = arg("name", positional=True)
side = arg("which_side", "actual", doc="a " + "b", enum=["actual", "desired"])
def verify(p):
    check("stale", p, subject=p)
    check(id="gone", ok=True)
    check("stale", False)
    check("x" + p, False)
verify(name)
`

func TestInspect(t *testing.T) {
	info, err := Inspect("stale.star", inspected)
	if err != nil {
		t.Fatal(err)
	}
	type arg struct {
		Name, Var, Type, Doc, Default, Pos, Flag string
		Positional                               bool
		Enum                                     []string
	}
	var got []arg
	for _, a := range info.Args {
		g := arg{Name: a.Name, Var: a.Var, Type: a.Type, Doc: a.Doc, Pos: a.Pos.String(), Flag: a.Flag(), Positional: a.Positional, Enum: a.Enum}
		if a.Default != nil {
			g.Default = a.Default.Type() + " " + a.Default.String()
		}
		got = append(got, g)
	}
	want := []arg{
		{Name: "grace", Var: "grace", Type: "duration", Doc: "how long STALE may last", Default: "time.duration 30s", Pos: "stale.star:7:9", Flag: "--grace"},
		{Name: "name", Var: "name", Type: "string", Pos: "stale.star:8:8", Flag: "--name", Positional: true},
		{Name: "which_side", Var: "side", Type: "string", Doc: "a b", Default: `string "actual"`, Pos: "stale.star:9:8", Flag: "--which-side", Enum: []string{"actual", "desired"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("arguments:\n%s", diff)
	}
	if diff := cmp.Diff("Finds proxies that stay stale. Long ones are named.\n\nThe second paragraph.\n  Indented.", info.Doc); diff != "" {
		t.Errorf("doc:\n%s", diff)
	}
	if got := info.Summary(); got != "Finds proxies that stay stale" {
		t.Errorf("summary %q", got)
	}
	if len(info.Loads) != 1 || info.Loads[0].Module != "@meshlark//age.star" || !cmp.Equal(info.Loads[0].Names, []string{"age", "older"}) {
		t.Errorf("loads: %v", info.Loads)
	}
	var ids []string
	for _, c := range info.Checks {
		ids = append(ids, c.ID)
	}
	if !cmp.Equal(ids, []string{"stale", "gone"}) || !info.Records || info.Runnable() {
		t.Errorf("checks %v, records %v, runnable %v", ids, info.Records, info.Runnable())
	}
	wantUsage := `  --grace DURATION             how long STALE may last (default 30s)
  --name STRING, or as a word  (required)
  --which-side STRING          a b [actual|desired] (default actual)
`
	if diff := cmp.Diff(wantUsage, info.Usage()); diff != "" {
		t.Errorf("usage:\n%s", diff)
	}
}

func TestArgTypesConvert(t *testing.T) {
	texts := map[string]string{"string": "x", "int": "0x10", "float": "2.5", "bool": "yes", "duration": "1m", "list": "a, b"}
	for _, typ := range builtins.ArgTypes() {
		v, err := fromText(builtins.ArgSpec{Name: "a", Type: typ}, texts[typ])
		if err != nil {
			t.Errorf("%s: %v", typ, err)
			continue
		}
		// A value of the type passes as it is, and so does its text in a string.
		for _, in := range []starlark.Value{v, starlark.String(texts[typ])} {
			if typ == "list" && in.Type() == "string" {
				in = starlark.Tuple{starlark.String("a"), starlark.String("b")}
			}
			w, err := fromValue(builtins.ArgSpec{Name: "a", Type: typ}, in)
			if err != nil {
				t.Errorf("%s from %v: %v", typ, in, err)
				continue
			}
			if eq, err := starlark.Equal(v, w); err != nil || !eq {
				t.Errorf("%s: %v became %v", typ, v, w)
			}
		}
	}
}

func TestIncomplete(t *testing.T) {
	for src, want := range map[string]bool{
		"":                                false,
		"# comment":                       false,
		"x = 1":                           false,
		"f(1,":                            true,
		"f(1,\n":                          true,
		"f(1,\n\n2":                       true,
		"f(1)":                            false,
		"x = [":                           true,
		"'''abc":                          true,
		"'''abc\n'''":                     false,
		"'abc":                            false,
		"def f():":                        true,
		"def f():\n":                      true,
		"def f():\n  return 1":            true,
		"def f():\n  return 1\n":          true,
		"def f():\n  return 1\n\n":        false,
		"def f(): return 1":               true,
		"def f(): return 1\n\n":           false,
		"if x:\n  y\nelse:":               true,
		"for x in y:\n  z\n\n":            false,
		"x = 1 + \\":                      true,
		"x = = 1":                         false,
		"def f():\n  x = = 1":             false,
		"x = 1\ny = 2":                    false,
		"def f():\n  '''doc\n\n  more":    true,
		"load('a.star', 'b')":             false,
		"while True:\n  pass\n  # done\n": true,
	} {
		if got := Incomplete(src); got != want {
			t.Errorf("Incomplete(%q) = %v, want %v", src, got, want)
		}
	}
}

func TestText(t *testing.T) {
	for src, want := range map[string]string{
		"x = 1\ny = 'a\x00'":   "f.star:2:7: a NUL byte: the file is not text",
		"x = 'é\xff'":          "f.star:1:7: byte 0xff: the file is not UTF-8",
		"\ufeffx = 1":          "",
		"x = '\ufffd'":         "",
		"x = 1\r\ny = = 2\r\n": "f.star:2:5: got '=', want an expression",
	} {
		_, err := Parse("f.star", src)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("Parse(%q): %q, want %q", src, got, want)
		}
	}
}

func TestExcerpt(t *testing.T) {
	for _, tt := range []struct {
		line string
		col  int
		want string
	}{
		{"x = 1", 3, "    x = 1\n      ^\n"},
		{"\t\tx\t= 1", 5, "    x\t= 1\n     \t^\n"},
		{"'日本' + 1", 6, "    '日本' + 1\n           ^\n"},
		{"'\x1b[31m' + 1", 9, "    '\ufffd[31m' + 1\n            ^\n"},
		{"x = 1", 99, "    x = 1\n         ^\n"},
		{"x = 1", 0, "    x = 1\n"},
		{"  ", 1, ""},
	} {
		if diff := cmp.Diff(tt.want, excerpt(tt.line, tt.col)); diff != "" {
			t.Errorf("excerpt(%q, %d):\n%s", tt.line, tt.col, diff)
		}
	}
}

func TestReserved(t *testing.T) {
	for word := range reserved {
		if _, err := Dialect().Parse("", word+" = 1", 0); err == nil {
			t.Errorf("%s is called reserved and parses", word)
		}
	}
	for _, word := range keywords {
		if _, err := Dialect().Parse("", word+" = 1", 0); err == nil {
			t.Errorf("%s is called a keyword and parses", word)
		}
	}
}

func FuzzInspect(f *testing.F) {
	f.Add(inspected)
	f.Add("x = arg('x', default=-1.5)\ny = arg('y', default=[('a',)])\nz=arg(**{})\nw=arg(*[])\n")
	f.Add("arg(a.b='c')\ncheck(id=1)\ncheck(*x)\n")
	f.Add("def f(\n")
	f.Fuzz(func(t *testing.T, src string) {
		Incomplete(src)
		info, err := Inspect("f.star", src)
		if err != nil {
			e, ok := err.(*Error)
			if !ok || e.Detail() == "" {
				t.Fatalf("error of type %T", err)
			}
			return
		}
		_ = info.Usage() + info.Summary()
		for _, p := range info.Problems {
			if !p.Pos.IsValid() {
				t.Errorf("problem without position: %s", p.Msg)
			}
		}
	})
}

func FuzzArguments(f *testing.F) {
	f.Add("--grace 1m --name x")
	f.Add("x --which-side=desired -- --y")
	f.Add("--no-grace -5 --=x - --")
	info, err := Inspect("f.star", inspected+"n = arg('n', default=1)\nb = arg('b', default=True)\nl = arg('l', default=[])\nr = arg('r', default=0.5)\n")
	if err != nil || len(info.Problems) > 0 {
		f.Fatal(err, info.Problems)
	}
	f.Fuzz(func(t *testing.T, line string) {
		words := strings.Split(line, " ")
		values, err := info.Parse("f", words)
		if err != nil {
			if _, ok := err.(*UsageError); !ok {
				t.Fatalf("error of type %T", err)
			}
			return
		}
		if len(values) != len(info.Args) {
			t.Fatalf("%d values for %d arguments", len(values), len(info.Args))
		}
		// The values are those that run(...) would take.
		again, err := info.Bind(nil, values)
		if err != nil {
			t.Fatalf("Bind refuses what Parse gave: %v", err)
		}
		for name, v := range values {
			if eq, err := starlark.Equal(v, again[name]); err != nil || !eq {
				t.Errorf("%s: %v became %v", name, v, again[name])
			}
		}
	})
}
