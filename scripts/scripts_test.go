package scripts_test

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/demo"
	"github.com/meshlark/meshlark/internal/replay"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source"
	"github.com/meshlark/meshlark/scripts"
	"github.com/meshlark/meshlark/session"
	"github.com/meshlark/meshlark/session/vet"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata")

// run runs a shipped runbook on a mesh and fails the test if it stops.
func run(t testing.TB, m *mesh.Mesh, name string, args ...string) *session.Outcome {
	t.Helper()
	s := session.New(session.Options{Mesh: m, Predeclared: builtins.Predeclared(), Library: scripts.New(), Clock: time.Now})
	out := s.RunRunbook(t.Context(), name, args)
	if out.Err != nil {
		detail := out.Err.Error()
		var e *session.Error
		if errors.As(out.Err, &e) {
			detail = e.Detail()
		}
		t.Fatalf("runbook %s stopped: %s", name, detail)
	}
	if out.Empty() {
		t.Errorf("runbook %s recorded nothing", name)
	}
	return out
}

// report is the outcome of a run as lines.
func report(out *session.Outcome) string {
	var b strings.Builder
	for _, c := range out.Checks {
		switch {
		case c.Skipped:
			fmt.Fprintf(&b, "skipped: %s\n", c.Message)
		case c.OK:
			fmt.Fprintf(&b, "ok %s: %s\n", c.ID, c.Message)
		default:
			fmt.Fprintf(&b, "%s %s\n  %s\n  %s\n", strings.ToUpper(c.Severity), c.ID, c.Subject, c.Message)
		}
	}
	for _, f := range out.Failures {
		fmt.Fprintf(&b, "left out: %s\n", f.Error())
	}
	return b.String()
}

// TestRunbooks runs the archives testdata/RUNBOOK/*.txtar, each a mesh and what
// the runbook says of it. The first line of the comment may give arguments.
func TestRunbooks(t *testing.T) {
	archives, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatal("no archives:", err)
	}
	for _, path := range archives {
		name := filepath.Base(filepath.Dir(path))
		t.Run(name+"/"+filepath.Base(path), func(t *testing.T) {
			a, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var args []string
			for line := range strings.Lines(string(a.Comment)) {
				if rest, ok := strings.CutPrefix(line, "args: "); ok {
					args = strings.Fields(rest)
				}
			}
			m := mesh.New([]mesh.Source{newWritten(t, a)}, mesh.Options{Now: now})
			expect(t, path, a, report(run(t, m, name, args...)))
		})
	}
}

// expect compares with the file want of an archive, or rewrites it.
func expect(t *testing.T, path string, a *txtar.Archive, got string) {
	t.Helper()
	i := slices.IndexFunc(a.Files, func(f txtar.File) bool { return f.Name == "want" })
	if *update {
		if i < 0 {
			i = len(a.Files)
			a.Files = append(a.Files, txtar.File{Name: "want"})
		}
		a.Files[i].Data = []byte(got)
		if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if i < 0 {
		t.Fatalf("%s has no file want; run with -update and read it", path)
	}
	if diff := cmp.Diff(string(a.Files[i].Data), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// TestHealthy holds that no runbook finds anything, warnings included, in a
// mesh without faults, and skips nothing of it either.
func TestHealthy(t *testing.T) {
	a, err := txtar.ParseFile("testdata/healthy.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range oneSided() {
		out := run(t, mesh.New([]mesh.Source{newWritten(t, a)}, mesh.Options{Now: now}), name)
		ok, failed, warned, skipped := out.Counts()
		if failed+warned+skipped > 0 || ok == 0 || len(out.Failures) > 0 {
			t.Errorf("%s in a healthy mesh:\n%s", name, report(out))
		}
		info, ids := out.Info, map[string]bool{}
		for _, c := range out.Checks {
			ids[c.ID] = true
		}
		for _, c := range info.Checks {
			if !ids[c.ID] {
				t.Errorf("%s did not come to the check %s", name, c.ID)
			}
		}
	}
}

// oneSided lists the shipped runbooks that look at a mesh as it is: unsynced compares two sides of a proxy, reach asks about one request.
func oneSided() []string {
	return slices.DeleteFunc(scripts.New().Names(), func(n string) bool { return n == "unsynced" || n == "reach" })
}

// open makes a mesh of source specs.
func open(t testing.TB, at time.Time, specs ...string) *mesh.Mesh {
	t.Helper()
	var sources []mesh.Source
	for _, spec := range specs {
		s, err := source.Opener{}.Open(spec)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, s)
	}
	return mesh.New(sources, mesh.Options{Now: at})
}

// TestRecorded runs the runbooks on what a real Envoy and a real istiod said.
func TestRecorded(t *testing.T) {
	istiod := httptest.NewServer(replay.NewIstiod("../mesh/source/istiod/testdata/recorded"))
	defer istiod.Close()
	const envoy = "../xds/dump/testdata/envoy-1.40/"
	live := t.TempDir()
	for _, file := range []string{"config_dump.json", "clusters.json", "server_info.json"} {
		text, err := os.ReadFile(envoy + file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(live, file), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name, spec string
		at         time.Time
	}{
		{"envoy", live, time.Date(2026, 11, 23, 0, 34, 0, 0, time.UTC)},
		{"dump", envoy + "config_dump.json", time.Date(2026, 11, 23, 0, 34, 0, 0, time.UTC)},
		{"istiod", "istiod+" + istiod.URL, time.Date(2026, 11, 23, 0, 22, 8, 0, time.UTC)},
	} {
		for _, name := range oneSided() {
			t.Run(test.name+"/"+name, func(t *testing.T) {
				got := report(run(t, open(t, test.at, test.spec), name))
				got = strings.ReplaceAll(got, istiod.URL, "http://ISTIOD")
				got = strings.ReplaceAll(got, strings.TrimPrefix(istiod.URL, "http://"), "ISTIOD")
				golden(t, "testdata/recorded/"+test.name+"-"+name+".txt", got)
			})
		}
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// TestDemo holds that the runbooks find the faults that the package demo says
// it has, and no others.
func TestDemo(t *testing.T) {
	d, err := demo.Start(t.Context(), demo.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	m := open(t, now, d.Sources()...)
	for _, name := range oneSided() {
		golden(t, "testdata/demo/"+name+".txt", report(run(t, m, name)))
	}
}

// TestUnsynced holds that unsynced tells proxies that have what the control
// plane would send from those that do not: in the demo one for which no push was
// made, one that does not acknowledge, and two that refuse.
func TestUnsynced(t *testing.T) {
	dump := open(t, now, "../xds/dump/testdata/envoy-1.40/config_dump.json")
	if got := report(run(t, dump, "unsynced")); !strings.HasPrefix(got, "skipped: no proxy is known from both sides") {
		t.Errorf("a proxy of which one side is known:\n%s", got)
	}
	if !slices.ContainsFunc(builtins.Registry(), func(e builtins.Entry) bool { return e.Recv == "Proxy" && e.Name == "diff" }) {
		t.Skip("the language has no p.diff()")
	}
	d, err := demo.Start(t.Context(), demo.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	out := run(t, open(t, now, d.Sources()...), "unsynced")
	var got []string
	for _, c := range out.Checks {
		name, _, _ := strings.Cut(c.Subject, "-v1-")
		got = append(got, name)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"cart", "details", "productpage", "shipping"}, got); diff != "" || !out.Failed() {
		t.Errorf("unsynced proxies (-want +got):\n%s\n%s", diff, report(out))
	}
}

// TestReach holds what reach says of requests in the demo: one that arrives, and each way in which one does not.
func TestReach(t *testing.T) {
	d, err := demo.Start(t.Context(), demo.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	m := open(t, now, d.Sources()...)
	for _, tc := range []struct {
		name   string
		args   []string
		failed bool
	}{
		{"arrives", []string{"--client", "productpage-v1", "--url", "http://reviews:9080/reviews/7"}, false},
		{"header", []string{"--client", "orders-v1", "--url", "http://inventory:8080/", "--headers", "end-user=beta,x-trace=1=2"}, true},
		{"denied", []string{"--client", "productpage-v1", "--url", "http://ratings:9080/"}, true},
		{"identity", []string{"--client", "productpage-v1", "--url", "http://ratings:9080/", "--principal", "spiffe://cluster.local/ns/default/sa/bookinfo-reviews"}, false},
		{"unhealthy", []string{"--client", "checkout-v1", "--url", "http://payment:8080/"}, true},
		{"partly", []string{"--client", "orders-v1", "--url", "http://inventory:8080/"}, true},
		{"expected", []string{"--client", "productpage-v1", "--url", "http://reviews:9080/", "--expect", "reviews"}, false},
		{"unexpected", []string{"--client", "productpage-v1", "--url", "http://reviews:9080/", "--expect", "*|v2|*"}, true},
		{"gateway", []string{"--client", "istio-ingressgateway", "--url", "http://bookinfo.example.com/productpage"}, false},
		{"no-route", []string{"--client", "istio-ingressgateway", "--url", "http://bookinfo.example.com/admin", "--method", "DELETE"}, true},
		{"misspelt", []string{"--client", "productpage-v1", "--url", "http://reviwes:9080/"}, true},
		{"internet", []string{"--client", "productpage-v1", "--url", "http://api.example.com/"}, false},
		{"tcp", []string{"--client", "productpage-v1", "--url", "tcp://kubernetes:443"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out := run(t, m, "reach", tc.args...)
			if out.Failed() != tc.failed {
				t.Errorf("failed is %t, want %t", out.Failed(), tc.failed)
			}
			golden(t, "testdata/reach/"+tc.name+".txt", report(out))
		})
	}
}

// TestReachMistakes holds what stops reach: it is not taken for a request that does not arrive.
func TestReachMistakes(t *testing.T) {
	a, err := txtar.ParseFile("testdata/healthy.txtar")
	if err != nil {
		t.Fatal(err)
	}
	m := mesh.New([]mesh.Source{newWritten(t, a)}, mesh.Options{Now: now})
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--client", "nobody", "--url", "http://reviews:9080/"}, "nobody"},
		{[]string{"--client", "cart", "--url", "ftp://reviews/"}, "ftp"},
		{[]string{"--client", "cart", "--url", "http://reviews:9080/", "--headers", "end-user"}, "is not of the form name=value"},
		{[]string{"--url", "http://reviews:9080/"}, "--client"},
	} {
		s := session.New(session.Options{Mesh: m, Predeclared: builtins.Predeclared(), Library: scripts.New(), Clock: time.Now})
		if out := s.RunRunbook(t.Context(), "reach", tc.args); out.Err == nil || !strings.Contains(out.Err.Error(), tc.want) {
			t.Errorf("%q: %v, want an error with %q", tc.args, out.Err, tc.want)
		}
	}
}

// TestVet holds that the shipped files have no mistakes that can be found
// without running them.
func TestVet(t *testing.T) {
	l := scripts.New()
	o := vet.Options{
		Names:      append(builtins.Predeclared().Keys(), "mesh"),
		Enums:      builtins.Enumerations(),
		Signatures: vet.Signatures(builtins.Registry()),
		Read: func(where string) (string, error) {
			return l.Module(strings.TrimPrefix(where, session.Shipped))
		},
	}
	files, err := filepath.Glob("*.star")
	if err != nil {
		t.Fatal(err)
	}
	modules, err := filepath.Glob("lib/*.star")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, modules...) {
		text, err := l.Module(filepath.ToSlash(file))
		if err != nil {
			t.Errorf("%s is not shipped: %v", file, err)
			continue
		}
		o.WantChecks = !strings.HasPrefix(file, "lib")
		for _, p := range vet.File(file, session.Shipped+filepath.ToSlash(file), text, o) {
			t.Error(p)
		}
	}
}

// TestDeclared holds what a user sees of a runbook without running it: a
// summary, arguments with defaults and docs, and the check ids that the
// package's documentation lists.
func TestDeclared(t *testing.T) {
	doc, err := os.ReadFile("scripts.go")
	if err != nil {
		t.Fatal(err)
	}
	l := scripts.New()
	for _, name := range l.Names() {
		src, err := l.Runbook(name)
		if err != nil {
			t.Fatal(err)
		}
		if !scripts.IsShipped(src) {
			t.Errorf("%s comes from %s", name, src.Path)
		}
		info, err := session.Inspect(src.Path, src.Text)
		if err != nil {
			t.Fatal(err)
		}
		if s := info.Summary(); s == "" || len(s) > 90 {
			t.Errorf("%s: the summary is %q", name, s)
		}
		for _, p := range info.Problems {
			t.Errorf("%s: %v", name, p)
		}
		if !info.Records || info.Runnable() != (name != "reach") {
			t.Errorf("%s: whether meshlark check runs it without being asked is not as it should be", name)
		}
		for _, a := range info.Args {
			if a.Doc == "" {
				t.Errorf("%s: argument %s has no doc", name, a.Name)
			}
		}
		if len(info.Checks) == 0 {
			t.Errorf("%s: no check has a literal id", name)
		}
		for _, c := range info.Checks {
			if !strings.Contains(info.Doc, "- "+c.ID+":") {
				t.Errorf("%s: its documentation does not explain the check %s", name, c.ID)
			}
			if !strings.Contains(string(doc), c.ID) {
				t.Errorf("%s: the package's documentation does not list the check %s", name, c.ID)
			}
		}
	}
}

// TestDir holds how a folder's runbooks join the shipped ones.
func TestDir(t *testing.T) {
	l := scripts.New()
	before := l.Names()
	err := l.Dir("/srv/runbooks", fstest.MapFS{
		"stale.star":       {Data: []byte(`"""Ours."""`)},
		"slo.star":         {Data: []byte(`"""Our own."""`)},
		"README.md":        {Data: []byte("no runbook")},
		"lib/kit.star":     {Data: []byte("x = 1")},
		"folder.star/x.md": {Data: []byte("no runbook either")},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := append(slices.Clone(before), "slo")
	slices.Sort(want)
	if diff := cmp.Diff(want, l.Names()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	src, err := l.Runbook("stale")
	if want := (session.Source{Name: "stale", Path: filepath.Join("/srv/runbooks", "stale.star"), Text: `"""Ours."""`}); err != nil || src != want {
		t.Errorf("stale is %+v, %v; want the folder's", src, err)
	}
	if text, err := l.Module("stale.star"); err != nil || strings.Contains(text, "Ours") {
		t.Errorf("@meshlark//stale.star is %q, %v; want the shipped file", text, err)
	}
	if _, err := l.Runbook("kit"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("kit, which is below the folder: %v, want fs.ErrNotExist", err)
	}
	if _, err := l.Module("lib/kit.star"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a module of the folder as a shipped one: %v, want fs.ErrNotExist", err)
	}
	err = l.Dir("/home/me", fstest.MapFS{"slo.star": {}, "mine.star": {}})
	if err == nil || !strings.Contains(err.Error(), filepath.Join("/home/me", "slo.star")) || !strings.Contains(err.Error(), filepath.Join("/srv/runbooks", "slo.star")) {
		t.Errorf("two folders with one name: %v", err)
	}
	if _, err := l.Runbook("mine"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that was refused added a runbook: %v", err)
	}
	if err := l.Dir("/no/such", os.DirFS(filepath.Join(t.TempDir(), "none"))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
}
