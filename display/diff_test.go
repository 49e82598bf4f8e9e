package display

import (
	"fmt"
	"strings"
	"testing"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/meshlark/meshlark/builtins"
)

// eval evaluates an expression of the language that needs no mesh.
func eval(t *testing.T, src string) starlark.Value {
	t.Helper()
	v, err := starlark.EvalOptions(&syntax.FileOptions{}, &starlark.Thread{}, t.Name(), src, builtins.Predeclared())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

const twoClusters = `diff(
	[cluster({"name": "a\u202e", "connect_timeout": "1s", "metadata": {"filter_metadata": {"x": {"y": list(range(60))}}}})],
	[cluster({"name": "a\u202e", "connect_timeout": "2s", "type": "EDS"})])`

// A difference in every form that text has: in a pipe it is whole and without colour, on a terminal long values are cut.
func TestWriteDiff(t *testing.T) {
	var out strings.Builder
	for _, test := range []struct {
		what string
		src  string
		f    Format
		s    Style
	}{
		{"pipe", `diff(cluster({"name": "a\u202e", "connect_timeout": "1s"}), cluster({"name": "a\u202e", "connect_timeout": "2s", "type": "EDS"}))`, Table, Style{}},
		{"colours", `diff(cluster({"name": "a\u202e", "connect_timeout": "1s"}), cluster({"name": "a\u202e", "connect_timeout": "2s", "type": "EDS"}))`, Table, Style{Width: 60, Color: true}},
		{"cut on a terminal", twoClusters, Table, Style{Width: 60}},
		{"wide", twoClusters, Wide, Style{}},
		{"nothing", `diff({}, {})`, Table, Style{Color: true, Width: 80}},
		{"nothing, wide", `diff(cluster({"name": "a"}), cluster({"name": "a"}))`, Wide, Style{}},
		{"lines of JSON", twoClusters, JSONLines, Style{}},
	} {
		var b strings.Builder
		notes, err := WriteValue(&b, Result{Value: eval(t, test.src)}, test.f, test.s)
		if err != nil {
			t.Fatal(err)
		}
		text := b.String()
		if !test.s.Color && strings.Contains(text, "\x1b") {
			t.Errorf("%s: coloured", test.what)
		}
		if test.s.Width == 0 && strings.Contains(text, "more lines") {
			t.Errorf("%s: cut", test.what)
		}
		out.WriteString("== " + test.what + "\n" + strings.ReplaceAll(text, "\x1b", "ESC"))
		for _, n := range notes {
			out.WriteString("note: " + n + "\n")
		}
	}
	golden(t, "diff.txt", out.String())
}

// A list of objects of one type is their table; other lists are an element a line.
func TestLists(t *testing.T) {
	var out strings.Builder
	for _, src := range []string{
		`[cluster({"name": n, "type": "EDS"}) for n in ["outbound|80|v1|a.b.svc.cluster.local", "x"]]`,
		`(listener({"name": "l"}),)`,
		`[cluster({"name": "x"}), listener({"name": "l"})]`,
		`[cluster({"name": "x"}), "text"]`,
		`[]`,
		`["b", "a"]`,
	} {
		out.WriteString("== " + src + "\n")
		if _, err := WriteValue(&out, Result{Value: eval(t, src)}, Table, Style{}); err != nil {
			t.Fatal(err)
		}
	}
	golden(t, "lists.txt", out.String())
}

// A dict of objects is a table or a line for each key, not their bodies; other dicts are JSON.
func TestDicts(t *testing.T) {
	var out strings.Builder
	for _, src := range []string{
		`{"EDS": [cluster({"name": "c%d" % i, "type": "EDS"}) for i in range(8)], "": [cluster({"name": "x"})], "none": []}`,
		`{"the one": cluster({"name": "x"}), "how many": 1, "all": [cluster({"name": "x"})]}`,
		`{"plain": {"a": [1]}}`,
	} {
		for _, s := range []Style{{}, {Width: 80}} {
			fmt.Fprintf(&out, "== %s, width %d\n", src, s.Width)
			notes, err := WriteValue(&out, Result{Value: eval(t, src)}, Table, s)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range notes {
				out.WriteString("note: " + n + "\n")
			}
		}
	}
	golden(t, "dicts.txt", out.String())
}

// A table is a row a line.
func TestTableLines(t *testing.T) {
	var b strings.Builder
	v := eval(t, `table([("a", 1), ("b", None)], columns=["Service name", "hosts"])`)
	if _, err := WriteValue(&b, Result{Value: v}, JSONLines, Style{}); err != nil {
		t.Fatal(err)
	}
	want := `{"service_name":"a","hosts":1}` + "\n" + `{"service_name":"b","hosts":null}` + "\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// The fields of an object are coloured, and what they hold cannot colour anything.
func TestFieldsInColour(t *testing.T) {
	var b strings.Builder
	v := eval(t, `cluster({"name": "a\x1b[31mb", "type": "EDS"})`)
	if _, err := WriteValue(&b, Result{Value: v}, Table, Style{Width: 80, Color: true}); err != nil {
		t.Fatal(err)
	}
	if text := b.String(); !strings.Contains(text, "\x1b[1mname\x1b[0m") || !strings.Contains(text, `a\x1b[31mb`) {
		t.Errorf("got %q", text)
	}
}
