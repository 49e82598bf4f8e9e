package complete

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/session"
)

// provider answers with what it is asked, and with names.
type provider struct{ asked []Argument }

func (p *provider) Names(_ context.Context, a Argument) []string {
	p.asked = append(p.asked, a)
	switch a.Parameter {
	case "name":
		return []string{"outbound|9080||reviews", "outbound|9080|v1|reviews", `quote"d`, `back\slash`, "new\nline"}
	case "proxy":
		return []string{"productpage", "ratings"}
	}
	return nil
}

// counting is a value whose method must never be called.
type counting struct{ calls *int }

func (counting) String() string        { return "counting" }
func (counting) Type() string          { return "counting" }
func (counting) Freeze()               {}
func (counting) Truth() starlark.Bool  { return true }
func (counting) Hash() (uint32, error) { return 0, nil }
func (c counting) Attr(name string) (starlark.Value, error) {
	switch name {
	case "fetch":
		return starlark.NewBuiltin("fetch", func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
			*c.calls++
			return starlark.String("x"), nil
		}), nil
	case "bad":
		panic("attributes can be anybody's code")
	}
	return nil, nil
}
func (counting) AttrNames() []string { return []string{"bad", "fetch", "not-a-name"} }

func testEnv(t *testing.T, calls *int) starlark.StringDict {
	t.Helper()
	env := builtins.Predeclared()
	env["mesh"] = builtins.NewMesh(mesh.New(nil, mesh.Options{}))
	env["c"] = counting{calls}
	env["s"] = starlarkstruct.FromStringDict(starlarkstruct.Default, starlark.StringDict{"inner": starlark.String("text"), "list": starlark.NewList([]starlark.Value{starlark.String("a")})})
	d := starlark.NewDict(2)
	d.SetKey(starlark.String("one"), starlark.MakeInt(1))
	d.SetKey(starlark.String("it's"), env["s"])
	env["d"] = d
	globals, err := starlark.ExecFileOptions(session.Dialect(), &starlark.Thread{}, "f", "def fun(first, second=1):\n  pass\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	env["fun"] = globals["fun"]
	env["_hidden"] = starlark.None
	return env
}

// TestComplete: | is the cursor. What is wanted is the text with each candidate
// put in; an ellipsis at the end means that there may be more.
func TestComplete(t *testing.T) {
	for _, tt := range []struct {
		src  string
		want []string
	}{
		{"prox|", []string{"proxies|", "proxy|"}},
		{"PROXI|", []string{"proxies|"}},
		{"x = prox|", []string{"x = proxies|", "x = proxy|"}},
		{"pro|ies()", []string{"proxies|ies()", "proxy|ies()"}},
		{"ret|", []string{"return|"}},
		{"_h|", []string{"_hidden|"}},
		{"hid|", nil},
		{"zzz|", nil},
		{"1|", nil},
		{"# prox|", nil},
		{"x = 1 # prox|", nil},
		{"def prox|", nil},
		{"for prox|", nil},

		// attributes
		{"mesh.na|", []string{"mesh.name|"}},
		{"mesh.proxies|", []string{"mesh.proxies|"}},
		{"proxies().na|", []string{"proxies().names|"}},
		{"proxies()[0].clust|", []string{"proxies()[0].cluster_id|", "proxies()[0].clusters|"}},
		{"proxies()[1:][0].clusters().one().fq|", []string{"proxies()[1:][0].clusters().one().fqdn|"}},
		{"(proxies()).whe|", []string{"(proxies()).where|"}},
		{"proxies().where(rds=\"STALE\").on|", []string{"proxies().where(rds=\"STALE\").one|"}},
		{"sorted(proxies())[0].rd|", []string{"sorted(proxies())[0].rds|"}},
		{"s.inner.upp|", []string{"s.inner.upper|"}},
		{"s.inner.upper().low|", []string{"s.inner.upper().lower|"}},
		{"s.|", []string{"s.inner|", "s.list|"}},
		{"s.list.app|", []string{"s.list.append|"}},
		{`d["it's"].inn|`, []string{`d["it's"].inner|`}},
		{"\"abc\".startsw|", []string{"\"abc\".startswith|"}},
		{"[1].app|", []string{"[1].append|"}},
		{"json.dec|", []string{"json.decode|"}},
		{"1.|", nil},
		{"unknown.x|", nil},
		{"c.|", []string{"c.bad|", "c.fetch|"}},
		{"c.bad.|", nil},        // which panics
		{"c.fetch().upp|", nil}, // which is not called
		{"[p.cl| for p in proxies()]", []string{"[p.cluster_id| for p in proxies()]", "[p.clusters| for p in proxies()]"}},
		{"[c.fqd| for p in proxies() for c in p.clusters() if c]", []string{"[c.fqdn| for p in proxies() for c in p.clusters() if c]"}},
		{"for p in proxies():\n  p.rd|", []string{"for p in proxies():\n  p.rds|"}},
		{"ps = proxies()\nps.whe|", []string{"ps = proxies()\nps.where|"}},
		{"x = x.y\nx.z|", nil},
		{"proxies().where(lambda q: q.rd|", []string{"proxies().where(lambda q: q.rds|"}},
		{"proxies()\\\n.whe|", []string{"proxies()\\\n.where|"}},

		// arguments
		{"clusters(fq|", []string{"clusters(fqdn=|"}},
		{"clusters(fqdn=\"x\", fq|", nil},
		{"clusters(\"x\", nam|", nil},
		{"clusters(fqdn=(1, 2), po|", []string{"clusters(fqdn=(1, 2), port=|"}},
		{"fun(fir|", []string{"fun(first=|"}},
		{"fun(1, seco|", []string{"fun(1, second=|"}},
		{"(proxies()\n  .whe|", []string{"(proxies()\n  .where|"}},
		{"fun(1, fir|", nil},
		{"proxies().where(ecd|", []string{"proxies().where(ecds=|"}},
		{"len(clusters(dire|", []string{"len(clusters(direction=|"}},

		// strings
		{`clusters("out|`, []string{`clusters("outbound|9080||reviews"|`, `clusters("outbound|9080|v1|reviews"|`}},
		{`clusters("out|")`, []string{`clusters("outbound|9080||reviews|")`, `clusters("outbound|9080|v1|reviews|")`}},
		{`clusters(name='out|`, []string{`clusters(name='outbound|9080||reviews'|`, `clusters(name='outbound|9080|v1|reviews'|`}},
		{`clusters("V1|`, []string{`clusters("outbound|9080|v1|reviews"|`}},
		{`clusters("quo|`, []string{`clusters("quote\"d"|`}},
		{`clusters('quo|`, []string{`clusters('quote"d'|`}},
		{`clusters(r"quo|`, nil},
		{`clusters("back\\|`, []string{`clusters("back\\slash"|`}},
		{`clusters("new|`, []string{`clusters("new\nline"|`}},
		{`clusters("""out|`, []string{`clusters("""outbound|9080||reviews"""|`, `clusters("""outbound|9080|v1|reviews"""|`}},
		{`clusters(proxy="pro|`, []string{`clusters(proxy="productpage"|`}},
		{`clusters(proxy=["ratings", "pro|`, []string{`clusters(proxy=["ratings", "productpage"|`}},
		{`clusters(direction="out|`, []string{`clusters(direction="outbound"|`}},
		{`clusters(state="warm|`, []string{`clusters(state="warming"|`}},
		{`proxies(rds="ST|`, []string{`proxies(rds="STALE"|`}},
		{`proxies().where(rds="ST|`, []string{`proxies().where(rds="STALE"|`}},
		{`[p for p in proxies() if p.rds == "ST|`, []string{`[p for p in proxies() if p.rds == "STALE"|`}},
		{`[p for p in proxies() if p.rds != "ST|`, []string{`[p for p in proxies() if p.rds != "STALE"|`}},
		{`[p for p in proxies() if p.rds in ["ST|`, []string{`[p for p in proxies() if p.rds in ["STALE"|`}},
		{`[p for p in proxies() if p.rds not in ["ST|`, []string{`[p for p in proxies() if p.rds not in ["STALE"|`}},
		{`d["on|`, []string{`d["one"|`}},
		{`d['it|`, []string{`d['it\'s'|`}},
		{`print("out|`, nil},
		{`x = "out|`, nil},
		{`clusters("a" + "out|`, nil},

		// commands
		{":so|", []string{":source|"}},
		{":source http://|", []string{":source http://|"}},
		{":source a.json http|", []string{":source a.json http://|"}},
		{":nothing x|", nil},
	} {
		calls := 0
		e := &Engine{
			Env:      func() starlark.StringDict { return testEnv(t, &calls) },
			Provider: &provider{},
			Deadline: time.Minute,
			Commands: []CommandName{{Name: "source", Complete: func(context.Context) []string { return []string{"http://"} }}, {Name: "quit"}},
		}
		src, pos := cursor(tt.src)
		res := e.Complete(context.Background(), src, pos)
		var got []string
		for _, c := range res.Candidates {
			got = append(got, src[:res.Start]+c.Text+"|"+src[res.End:])
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.src, diff)
		}
		if res.Start > pos || res.End < pos {
			t.Errorf("%s: replaces %d to %d, the cursor is at %d", tt.src, res.Start, res.End, pos)
		}
		if calls > 0 {
			t.Errorf("%s: something was called", tt.src)
		}
	}
}

// cursor takes the cursor out of a text: the last bar that is followed by
// nothing or by what could follow it.
func cursor(s string) (string, int) {
	at := strings.Index(s, "|")
	for _, after := range []string{"| for", "| if", "|ies", `|")`} {
		if i := strings.Index(s, after); i >= 0 {
			at = i
		}
	}
	if strings.HasSuffix(s, "|") {
		at = len(s) - 1
	}
	return s[:at] + s[at+1:], at
}

func TestArguments(t *testing.T) {
	for src, want := range map[string]Argument{
		`proxy("`:                      {Function: "proxy", Parameter: "name"},
		`mesh.proxy("`:                 {Function: "Mesh.proxy", Parameter: "name"},
		`proxies()[0].clusters("`:      {Function: "Proxy.clusters", Parameter: "name"},
		`proxies()[0].clusters(fqdn="`: {Function: "Proxy.clusters", Parameter: "fqdn"},
		`clusters(proxy=["`:            {Function: "clusters", Parameter: "proxy"},
		`len(clusters(subset="`:        {Function: "clusters", Parameter: "subset"},
		`objects("`:                    {Function: "objects", Parameter: "kind"},
		`objects("vs", "`:              {Function: "objects", Parameter: "name", First: "vs"},
		`objects(kind='vs', name="`:    {Function: "objects", Parameter: "name", First: "vs"},
		`objects(f("vs"), name="`:      {Function: "objects", Parameter: "name"},
	} {
		p := &provider{}
		calls := 0
		e := &Engine{Env: func() starlark.StringDict { return testEnv(t, &calls) }, Provider: p, Deadline: time.Minute}
		e.Complete(context.Background(), src, len(src))
		if len(p.asked) != 1 {
			t.Errorf("%s: asked %v", src, p.asked)
			continue
		}
		got := p.asked[0]
		if (got.Receiver != nil) != strings.HasPrefix(src, "mesh.") {
			t.Errorf("%s: the receiver is %v", src, got.Receiver)
		}
		got.Receiver = nil
		if got != want {
			t.Errorf("%s: asked for %v, want %v", src, got, want)
		}
	}
}

// slowProvider never answers in time.
type slowProvider struct{ release chan struct{} }

func (p slowProvider) Names(context.Context, Argument) []string {
	<-p.release
	return []string{"late"}
}

func TestDeadlineOfProvider(t *testing.T) {
	p := slowProvider{make(chan struct{})}
	defer close(p.release)
	calls := 0
	e := &Engine{Env: func() starlark.StringDict { return testEnv(t, &calls) }, Provider: p, Deadline: time.Millisecond}
	res := e.Complete(context.Background(), `proxy("`, 7)
	if len(res.Candidates) > 0 || res.Note == "" || res.Start != 7 || res.End != 7 {
		t.Errorf("got %+v", res)
	}
}

func TestCommon(t *testing.T) {
	for _, tt := range []struct {
		texts []string
		want  string
	}{
		{nil, ""},
		{[]string{"abc"}, "abc"},
		{[]string{"abc", "abd", "ab"}, "ab"},
		{[]string{"aé", "aè"}, "a"}, // which share their first byte
	} {
		var cs []Candidate
		for _, s := range tt.texts {
			cs = append(cs, Candidate{Text: s})
		}
		if got := Common(cs); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.texts, got, tt.want)
		}
	}
}

func TestAsks(t *testing.T) {
	for _, tt := range []struct {
		src, about string
		ok         bool
	}{
		{"x?", "x", true},
		{"?x", "x", true},
		{"x??", "x", true},
		{" p.clusters ?", "p.clusters", true},
		{"?", "", true},
		{`"why?"`, "", false},
		{"x # why?", "", false},
		{"x", "", false},
		{"", "", false},
		{"x\ny?", "", false},
	} {
		about, ok := Asks(tt.src)
		if ok != tt.ok || about != tt.about {
			t.Errorf("%q: got %q, %v", tt.src, about, ok)
		}
	}
}

func TestDocs(t *testing.T) {
	calls := 0
	e := &Engine{Env: func() starlark.StringDict { return testEnv(t, &calls) }, Deadline: time.Minute}
	kinds := map[string]Kind{}
	for _, src := range []string{"proxies", "proxies().where", "clusters(fqdn", "proxies()[0].name", "return", "d"} {
		for _, c := range e.Complete(context.Background(), src, len(src)).Candidates {
			kinds[c.Text] = c.Kind
			if slices.Contains([]Kind{Function, Method, Parameter, Attribute}, c.Kind) && c.Doc == "" && c.Text != "dir" && c.Text != "dict" {
				t.Errorf("%s: %s has no doc", src, c.Text)
			}
		}
	}
	for name, want := range map[string]Kind{"proxies": Function, "where": Method, "fqdn=": Parameter, "name": Attribute, "return": Keyword, "d": Variable} {
		if kinds[name] != want {
			t.Errorf("%s is a %s, want %s", name, kinds[name], want)
		}
	}
}

func FuzzComplete(f *testing.F) {
	for _, src := range []string{`clusters("a\`, "p = [x.y for x in (1, 2", "f(a=b[", `r'''`, "x = lambda y: y.", "d[\"", ")]}", "x?", "for a in a:\n a."} {
		f.Add(src, len(src))
	}
	env := builtins.Predeclared()
	f.Fuzz(func(t *testing.T, src string, pos int) {
		if pos < 0 || pos > len(src) || len(src) > 500 {
			t.Skip()
		}
		e := &Engine{Env: func() starlark.StringDict { return env }}
		res := e.find(context.Background(), src, pos) // a panic is not recovered here
		if res.Start > pos || res.End < pos || res.Start < 0 || res.End > len(src) {
			t.Errorf("replaces %d to %d of %d, the cursor is at %d", res.Start, res.End, len(src), pos)
		}
	})
}
