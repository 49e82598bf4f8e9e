package diagram_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/mattn/go-runewidth"

	"github.com/meshlark/meshlark/xds/balance"
	"github.com/meshlark/meshlark/xds/cluster"
	"github.com/meshlark/meshlark/xds/endpoint"
	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/filterchain"
	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/route"
	"github.com/meshlark/meshlark/xds/routing"
	"github.com/meshlark/meshlark/xds/trace"
	"github.com/meshlark/meshlark/xds/trace/diagram"
)

var update = flag.Bool("update", false, "rewrite the drawings in testdata")

// A scene is a file of testdata: a few proxies and a request that the first of them is sent.
type scene struct {
	Proxies []*proxy
	Request struct {
		Method, Host, Path, Principal string
		Headers                       map[string]string
		Source, Destination           netip.AddrPort
	}
}

// A proxy is a configuration written into a test.
type proxy struct {
	ProxyName string            `json:"name"`
	Address   netip.Addr        `json:"address"`
	LDS       []json.RawMessage `json:"listeners"`
	RDS       []json.RawMessage `json:"routes"`
	CDS       []json.RawMessage `json:"clusters"`
}

func (p *proxy) Name() string                  { return p.ProxyName }
func (p *proxy) Scopes(string) []rawjson.Value { return nil }
func (p *proxy) Envoy() match.Version          { return match.Version{} }

func (p *proxy) Listeners() *filterchain.Listeners {
	var out []listener.Listener
	for _, body := range p.LDS {
		out = append(out, listener.New(rawjson.Value(body)))
	}
	return filterchain.NewListeners(out)
}

func (p *proxy) Table(name string) (*routing.Table, bool) {
	for _, body := range p.RDS {
		if view := route.New(rawjson.Value(body)); view.Name() == name {
			return routing.New(view), true
		}
	}
	return nil, false
}

func (p *proxy) Cluster(name string) (cluster.Cluster, bool) {
	for _, body := range p.CDS {
		if c := cluster.New(rawjson.Value(body)); c.Name() == name {
			return c, true
		}
	}
	return cluster.Cluster{}, false
}

func (p *proxy) Endpoints(c cluster.Cluster) (endpoint.Assignment, bool) { return c.Assignment() }

func (s *scene) ProxyAt(address netip.AddrPort) (trace.Config, bool) {
	for _, p := range s.Proxies {
		if p.Address == address.Addr() {
			return p, true
		}
	}
	return nil, false
}

func (s *scene) run() trace.Trace {
	r := trace.Request{Method: s.Request.Method, Host: s.Request.Host, Path: s.Request.Path, Principal: s.Request.Principal, Source: s.Request.Source, Destination: s.Request.Destination}
	for name, value := range s.Request.Headers {
		r.Headers = append(r.Headers, match.Header{Name: name, Value: value})
	}
	return trace.Run(s.Proxies[0], s, r)
}

// scenes are the traces of testdata by name.
func scenes(t testing.TB) map[string]trace.Trace {
	t.Helper()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no scenes:", err)
	}
	out := map[string]trace.Trace{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		// Configuration is read token by token, without the white space of a file.
		var s scene
		if err := json.Unmarshal(text, &s); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		out[strings.TrimSuffix(filepath.Base(file), ".json")] = s.run()
	}
	return out
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got); -update rewrites it\n%s", file, diff)
	}
}

func TestDrawings(t *testing.T) {
	for name, tr := range scenes(t) {
		golden(t, "testdata/"+name+".txt", diagram.Text(tr, diagram.Options{}))
		golden(t, "testdata/"+name+".mmd", diagram.Mermaid(tr))
		golden(t, "testdata/"+name+".svg", diagram.SVG(tr))
		check(t, tr)
	}
}

// TestAll holds that what is folded is there when it is asked for.
func TestAll(t *testing.T) {
	tr := scenes(t)["folded"]
	text := diagram.Text(tr, diagram.Options{All: true})
	for _, s := range tr.Hops[0].Steps {
		for _, c := range s.Candidates {
			if !strings.Contains(text, strings.TrimPrefix(c.Name, "envoy.filters.listener.")) && !strings.HasPrefix(c.Why, "not looked at") {
				t.Errorf("%s is not in the whole text", c.Name)
			}
		}
	}
	if folded := diagram.Text(tr, diagram.Options{}); strings.Contains(folded, "team-3") || !strings.Contains(text, "not team-3") {
		t.Errorf("team-3 lost by its path: it has to be in the whole text, and folded otherwise:\n%s", folded)
	}
}

// TestWidth holds that lines fit, and that no character is lost to that.
func TestWidth(t *testing.T) {
	squeeze := func(text string) string {
		return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \n├└─│►—;", r) }), "")
	}
	for name, tr := range scenes(t) {
		whole := map[rune]int{}
		for _, r := range squeeze(diagram.Text(tr, diagram.Options{})) {
			whole[r]++
		}
		for _, width := range []int{40, 60, 80, 100, 200} {
			text := diagram.Text(tr, diagram.Options{Width: width})
			for line := range strings.Lines(text) {
				if n := runewidth.StringWidth(strings.TrimSuffix(line, "\n")); n > width {
					t.Errorf("%s at width %d: %d columns: %s", name, width, n, line)
				}
			}
			fitted := map[rune]int{}
			for _, r := range squeeze(text) {
				fitted[r]++
			}
			if diff := cmp.Diff(whole, fitted); diff != "" {
				t.Errorf("%s at width %d: characters differ (-whole +fitted):\n%s", name, width, diff)
			}
		}
	}
	golden(t, "testdata/reviews.narrow.txt", diagram.Text(scenes(t)["reviews"], diagram.Options{Width: 80}))
}

// TestQuestions holds that the drawings know the questions the engine asks: one that was worded anew would be shown, but not in its place.
func TestQuestions(t *testing.T) {
	for name, tr := range scenes(t) {
		for _, l := range diagram.Lines(tr, diagram.Options{All: true}) {
			if strings.Contains(l.Text, "─ decision") {
				t.Errorf("%s: a question that is not known: %s", name, l.Text)
			}
		}
	}
}

// TestStages holds how steps are told that no scene has.
func TestStages(t *testing.T) {
	const listener = "which listener has the connection?"
	for _, tc := range []struct {
		what  string
		hop   trace.Hop
		lines string
	}{
		{"a chain that nothing had to be asked for stands behind the listener", trace.Hop{Listener: "l", Chain: "only", Steps: []explain.Step{
			{Question: "where does the client connect to?", Answer: "10.0.0.1:80: its address", Candidates: []explain.Candidate{{Name: "table", Won: true, Why: "x"}}},
			{Question: listener, Answer: "l"},
			{Question: "which route table?", Answer: "80"},
		}}, `
├─ address       10.0.0.1:80: its address
├─ listener      l
├─ filter chain  only — no chain asks for anything
└─ route table   80`},
		{"filters that do nothing are one line", trace.Hop{Steps: []explain.Step{
			{Question: "does envoy.filters.http.fault inject a fault?", Answer: "no"},
			{Question: "does filter lua run?", Answer: "no: the route turns it off"},
			{Question: "does filter mutation answer?", Answer: "no, but it may change the request", Unmodelled: []string{"what filter mutation changes"}},
			{Question: "which route table?", Answer: "80"},
		}}, `
├─ filters       envoy.filters.http.fault, lua — they leave it alone
├─ filter        mutation does not answer — but it may change the request; not computed: what filter mutation changes
└─ route table   80`},
		{"a token, and a policy that refuses", trace.Hop{Steps: []explain.Step{
			{Question: "does jwt let the request pass?", Answer: "yes, if the signature of the token is good", Candidates: []explain.Candidate{{Name: "rule /api", Won: true, Why: "matches"}}},
			{Question: "does rbac let the request pass?", Answer: "no", Candidates: []explain.Candidate{
				{Name: "istio-ext-authz-ns[shop]-policy[no-bots]-rule[2]", Won: true, Why: "header user-agent"}, {Name: "custom", Why: "path /x"}}},
			{Question: "which virtual host?", Answer: "web"},
		}}, `
├─ access        jwt lets it pass — if the signature of the token is good; rule /api
├─ virtual host  web
└─ access        rbac refuses it — AuthorizationPolicy no-bots.shop rule 2: header user-agent
                 not custom: path /x`},
		{"the default chain", trace.Hop{Listener: "l", Chain: "rest", Steps: []explain.Step{
			{Question: listener, Answer: "l"},
			{Question: "which chains are for this destination port?", Inputs: []explain.Input{{Name: "destination port", Value: "80"}}, Answer: "0 of 1",
				Candidates: []explain.Candidate{{Name: "other", Why: "81 does not fit"}}},
		}}, `
├─ listener      l
└─ filter chain  rest — the default chain: no other is for this connection
                 not other: destination port 81 does not fit`},
		{"an internal listener", trace.Hop{Listener: "main_internal", Endpoint: "next", TLS: "internal"}, `
├─ listener      main_internal — it is the one asked for, or the Envoy hands the connection to it inside
└► inside the Envoy to next`},
		{"weights, and who gets them", trace.Hop{Cluster: "a", Clusters: []explain.Share{{Name: "a", Share: 0.9995}, {Name: "b", Share: 0.0005}}}, `
└─ cluster       >99.9%  a  ← followed
                  <0.1%  b`},
	} {
		text := diagram.Text(trace.Trace{Hops: []trace.Hop{tc.hop}, Verdict: trace.Verdict{Code: 403, Reason: "r"}}, diagram.Options{})
		_, got, _ := strings.Cut(text, "1.")
		if diff := cmp.Diff(tc.lines+"\n", strings.TrimLeft(got, " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.what, diff)
		}
	}
}

// TestUnknown holds that what nobody has foreseen is shown.
func TestUnknown(t *testing.T) {
	tr := trace.Trace{
		Hops: []trace.Hop{{
			Proxy: "p", MayAnswer: []string{"oracle"}, Unmodelled: []string{"filter oracle", "the weather"},
			HTTP:  &routing.Result{Unmodelled: []string{"hash policy"}},
			Steps: []explain.Step{{Question: "is it Tuesday?", Answer: "who knows", Inputs: []explain.Input{{Name: "moon", Value: "full"}}, Unmodelled: []string{"the calendar"}}},
		}},
		Verdict: trace.Verdict{Code: 503, Flags: "UF", Reason: "no luck"},
	}
	tr.Hops[0].MayAnswer = append(tr.Hops[0].MayAnswer, "dice")
	tr.Hops[0].Answers = []trace.Answer{{Filter: "dice", Share: 0.25, Verdict: trace.Verdict{Code: 418, Reason: "a teapot"}}}
	tr.Hops[0].Delay, tr.Hops[0].DelayShare = 5*time.Second, 0.5
	for _, all := range []bool{false, true} {
		text := diagram.Text(tr, diagram.Options{All: all})
		for _, want := range []string{"fails at p: 503 UF no luck", "oracle of p", "dice (25% of requests): 418 a teapot", "50% of requests are held back 5s", "is it Tuesday? who knows", "moon: full", "the calendar", "the weather", "hash policy"} {
			for _, drawing := range []string{text, diagram.Mermaid(tr), diagram.SVG(tr)} {
				if !strings.Contains(strings.ReplaceAll(drawing, "#37;", "%"), want) {
					t.Errorf("%q is not in\n%s", want, drawing)
				}
			}
		}
	}
}

// check holds what every drawing has to be.
func check(t *testing.T, tr trace.Trace) {
	t.Helper()
	for _, o := range []diagram.Options{{}, {All: true}, {Width: 1}, {Width: 80}} {
		text := diagram.Text(tr, o)
		if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsGraphic(r) }) {
			t.Fatalf("the text has characters without a shape: %q", text)
		}
	}
	picture := diagram.SVG(tr)
	for d := xml.NewDecoder(strings.NewReader(picture)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("no XML: %v\n%s", err, picture)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if !slices.Contains([]string{"svg", "title", "style", "rect", "text", "line", "path", "circle", "g"}, start.Name.Local) {
			t.Fatalf("an element <%s> in the picture", start.Name.Local)
		}
		for _, a := range start.Attr {
			if strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf") {
				t.Fatalf("<%s %s=%q>", start.Name.Local, a.Name.Local, a.Value)
			}
		}
	}
	if chart := diagram.Mermaid(tr); !utf8.ValidString(chart) || !flowchart(chart) {
		t.Fatalf("no flowchart:\n%s", chart)
	}
}

// line is a line of a flowchart as Mermaid writes it.
var line = regexp.MustCompile(`^(flowchart TB|  subgraph hop\d+\["[^"]*"\]|  end|  classDef [a-z]+ [-a-z0-9#:,. ]+|` +
	` +[a-z0-9]+(\["[^"]*"\]|\("[^"]*"\))(:::[a-z]+)?|  [a-z0-9]+ (-->|-\.-)(\|"[^"]*"\|)? [a-z0-9]+)$`)

// flowchart reports whether every line is one that Mermaid's own parser takes. (Its parser is a program of npm; the drawings of testdata have been
// through it.)
func flowchart(text string) bool {
	for l := range strings.Lines(text) {
		if !line.MatchString(strings.TrimSuffix(l, "\n")) || strings.Contains(l, "%") || strings.Contains(l, "`") {
			return false
		}
	}
	return true
}

// FuzzDrawings puts a text into every place of a trace that has one. No trace may make a drawing that is not one.
func FuzzDrawings(f *testing.F) {
	f.Add("reviews", "which route?", "path \"/\" is not /x", 0.8, 3)
	f.Add("\"]; end", "does filter \x1b[31m answer?", "<script>%%{init}%%", math.NaN(), 10)
	f.Add("\u202e\xff", "which chains are for this port?", "not looked at", math.Inf(1), 1)
	f.Add("5 more", "which endpoints of x?", "not looked at: x", -1.0, 12)
	f.Add("", "", "", 0.0, 0)
	f.Fuzz(func(t *testing.T, name, question, why string, share float64, n int) {
		n = min(max(n, 0), 12)
		step := explain.Step{Question: question, Answer: name, Inputs: []explain.Input{{Name: name, Value: why}}, Unmodelled: []string{why}}
		hop := trace.Hop{Proxy: name, Listener: why, Chain: name, Cluster: name, Endpoint: why, TLS: name, MayAnswer: []string{name, why}, Unmodelled: []string{why, name}}
		for i := range n {
			step.Candidates = append(step.Candidates, explain.Candidate{Name: name, Where: why, Won: i == n-1, Why: why, Object: "/apis/networking.istio.io/v1/namespaces/" + name + "/virtual-service/" + why})
			hop.Clusters = append(hop.Clusters, explain.Share{Name: name, Share: share})
			hop.Endpoints = append(hop.Endpoints, balance.Host{Share: share, Why: why})
		}
		// As the question that was given, and as each that the drawings know.
		for _, q := range []string{question, "which listener has the connection?", "which chains are for this " + name + "?", "what does filter_chain_matcher choose?", "which virtual host?", "which route?",
			"what becomes of the request?", "which endpoints of " + name + "?", "does " + name + " let the request pass? (shadow rules)", "what do the listener filters find out?", "what does the connection manager make of the request?"} {
			step.Question = q
			hop.Steps = append(hop.Steps, step)
		}
		hop.HTTP = &routing.Result{Code: n, Reason: why, Redirect: name, Routes: hop.Clusters, Mirrors: hop.Clusters, Unmodelled: []string{name}}
		for _, v := range []trace.Verdict{{Reached: true, Reason: why}, {Code: n * 20, Flags: name, Details: why, Reason: name}, {}} {
			check(t, trace.Trace{Hops: []trace.Hop{hop, {}, hop}, Verdict: v})
			hop.Answers, hop.Delay, hop.DelayShare = []trace.Answer{{Filter: why, Share: share, Verdict: v}}, time.Duration(n), share
			check(t, trace.Trace{Verdict: v})
		}
	})
}
