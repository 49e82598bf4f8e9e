package vet

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/meshlark/meshlark/builtins"
)

var registry = []builtins.Entry{
	{Name: "proxies", Kind: builtins.Function, Params: []builtins.Param{{Name: "name"}, {Name: "namespace"}, {Name: "cds", Enum: []string{"SYNCED", "STALE"}, Free: []string{"*"}}}},
	{Name: "istiods", Kind: builtins.Function},
	{Name: "check", Kind: builtins.Function, Params: []builtins.Param{{Name: "id"}, {Name: "ok"}, {Name: "severity", Enum: builtins.Severities()}}},
	{Name: "json", Kind: builtins.Module},
	{Recv: "json", Name: "encode", Kind: builtins.Function, Params: []builtins.Param{{Name: "x"}, {Name: "indent"}}},
	{Recv: "Proxy", Name: "clusters", Kind: builtins.Method, Params: []builtins.Param{{Name: "name"}, {Name: "fqdn"}, {Name: "state", Enum: []string{"active"}}}},
	{Recv: "Mesh", Name: "clusters", Kind: builtins.Method, Params: []builtins.Param{{Name: "name"}, {Name: "subset"}, {Name: "state"}}},
	{Recv: "Collection", Name: "where", Kind: builtins.Method, Params: []builtins.Param{{Name: "fn"}, {Name: "**fields"}}},
	{Name: "run", Kind: builtins.Function, Params: []builtins.Param{{Name: "name"}, {Name: "*args"}, {Name: "**kwargs"}}},
}

func testOptions() Options {
	files := map[string]string{
		"/w/lib.star":          "def verify(x, y): pass\nlimit = 1\n_private = 2\n",
		"/w/broken.star":       "x = 1\nx = = 2\n",
		"/w/back.star":         "load('mistakes.star', 'grace')\nback = 1\n",
		"/w/mistakes.star":     "load('back.star', 'back')\ngrace = 1\n",
		"@meshlark//kit.star":  "load('kit2.star', 'x')\nkit = 1\n",
		"@meshlark//kit2.star": "x = 1\n",
	}
	return Options{
		Names:      []string{"proxies", "istiods", "check", "skip", "arg", "json", "run"},
		Enums:      map[string][]string{"rds": {"SYNCED", "STALE"}},
		Signatures: Signatures(registry),
		Read: func(where string) (string, error) {
			text, ok := files[where]
			if !ok {
				return "", &fs.PathError{Op: "open", Path: where, Err: fs.ErrNotExist}
			}
			return text, nil
		},
	}
}

// Each line of mistakes.star ends in a comment with the message it deserves.
func TestMistakes(t *testing.T) {
	data, err := os.ReadFile("testdata/mistakes.star")
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for i, line := range strings.Split(string(data), "\n") {
		if _, msg, ok := strings.Cut(line, " # "); ok {
			want = append(want, fmt.Sprintf("%d: %s", i+1, msg))
		}
	}
	for _, p := range File("mistakes.star", "/w/mistakes.star", string(data), testOptions()) {
		got = append(got, fmt.Sprintf("%d: %s", p.Pos.Line, p.Msg))
		if p.Severity != Error || !strings.Contains(string(data), p.Line) || p.Line == "" {
			t.Errorf("%v: severity %s, line %q", p, p.Severity, p.Line)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPositions(t *testing.T) {
	o := testOptions()
	o.WantChecks = true
	for src, want := range map[string]string{
		"x = proxies(cds='S')":            "f.star:1:1: warning: the runbook records nothing: it calls neither check(...) nor skip(...)\nf.star:1:17: cds of proxies is never \"S\"; it is one of SYNCED, STALE, *",
		"skip('x')\nif x = 1: pass":       "f.star:2:6: an assignment cannot be a condition: compare with ==",
		"check('a', 1)":                   "",
		"check('a', zzz); check('b', yy)": "f.star:1:12: undefined: zzz\nf.star:1:29: undefined: yy",
	} {
		var got []string
		for _, p := range File("f.star", "", src, o) {
			got = append(got, p.String())
		}
		if diff := cmp.Diff(want, strings.Join(got, "\n")); diff != "" {
			t.Errorf("%q:\n%s", src, diff)
		}
	}
}

// The language as it is: every example of the registry passes.
func TestLanguage(t *testing.T) {
	o := Options{
		Names:      append(builtins.Predeclared().Keys(), "mesh"),
		Enums:      builtins.Enumerations(),
		Signatures: Signatures(builtins.Registry()),
	}
	if len(o.Signatures) == 0 || len(o.Enums) == 0 {
		t.Fatal("the registry is empty")
	}
	for _, e := range builtins.Registry() {
		for _, p := range File("example", "", "p = None\n"+e.Example+"\n", o) {
			t.Errorf("%s.%s: %v\n%s", e.Recv, e.Name, p, e.Example)
		}
	}
	for src, want := range map[string]string{
		`[p for p in proxies() if p.rds == "STAL"]`: "STALE",
		`proxies(cds="STALLED")`:                    "STALE",
		`proxies().where(rds="STAL")`:               "STALE",
		`check("a", True, severty="x")`:             "severity",
	} {
		problems := File("f.star", "", src, o)
		if len(problems) != 1 || !strings.Contains(problems[0].Msg, "did you mean "+want) && !strings.Contains(problems[0].Msg, fmt.Sprintf("did you mean %q", want)) {
			t.Errorf("%s: got %v, want a hint at %s", src, problems, want)
		}
	}
}

func FuzzFile(f *testing.F) {
	data, err := os.ReadFile("testdata/mistakes.star")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(data))
	f.Add("x.rds == ('a')\nx.rds in {'a': 1, **b}\nf(*a, **b)\nproxies(cds=[])\n")
	o := testOptions()
	f.Fuzz(func(t *testing.T, src string) {
		for _, p := range File("f.star", "/w/f.star", src, o) {
			if p.Msg == "" || !p.Pos.IsValid() {
				t.Errorf("%#v", p)
			}
		}
	})
}
