package builtins

import (
	"strings"

	"github.com/meshlark/meshlark/mesh/tracing"
	"github.com/meshlark/meshlark/xds/pattern"
	"go.starlark.net/starlark"
)

// WhyNot is what would have to be otherwise for a request to go to a cluster: what why_not(...) gives. It is true when the request does go there.
type WhyNot struct {
	w       *tracing.WhyNot
	cluster string
}

var (
	_ starlark.HasAttrs = (*WhyNot)(nil)
	_ Itemer            = (*WhyNot)(nil)
)

func (w *WhyNot) String() string                        { return strings.Join(w.w.Lines(), "\n") }
func (w *WhyNot) Type() string                          { return "WhyNot" }
func (w *WhyNot) Freeze()                               {}
func (w *WhyNot) Truth() starlark.Bool                  { return starlark.Bool(w.w.Goes) }
func (w *WhyNot) Hash() (uint32, error)                 { return starlark.String(w.String()).Hash() }
func (w *WhyNot) Attr(n string) (starlark.Value, error) { return attr(w, n) }
func (w *WhyNot) AttrNames() []string                   { return attrNames(w) }
func (w *WhyNot) Item() Item                            { return itemOf(w, "why_not") }

// Lines are the answer in sentences, for the display.
func (w *WhyNot) Lines() []string { return w.w.Lines() }

// whyNots describes the function why_not and what it gives.
func (b *builder) whyNots() {
	b.function("why_not", []Param{
		{Name: "trace", Type: "Trace", Doc: "the trace of the request"},
		{Name: "cluster", Type: "pattern", Doc: `the cluster it should go to, such as "*|v2|reviews*"; a plain text that is the name of none stands for those that contain it`},
	}, "WhyNot", "What would have to be otherwise for a traced request to go to a cluster: the routes that lead there, the conditions of each that the request does not meet, the route that comes first, weights of 0, and clusters that do not exist.",
		`why_not(`+traceExample+`, cluster="*|v2|reviews*")`, func(c *Call) (starlark.Value, error) {
			name, err := c.Pattern("cluster")
			if err != nil {
				return nil, err
			}
			a := c.Value("trace").(*Trace).a
			w, err := a.WhyNot(c.Context(), name)
			if err != nil {
				return nil, err
			}
			if text, plain := name.Literal(); plain && !name.IsExact() && len(w.Shares)+len(w.Clusters)+len(w.Ways) == 0 {
				if name, err = pattern.Parse("~" + text); err != nil {
					return nil, err
				}
				if w, err = a.WhyNot(c.Context(), name); err != nil {
					return nil, err
				}
			}
			return &WhyNot{w, c.Text("cluster")}, nil
		})
	b.typ("WhyNot", "Value", "What would have to be otherwise for a request to go to a cluster. It is true when the request does go there; as text it is sentences.")
	f := func(name, returns, doc string, get func(*WhyNot) starlark.Value) {
		field(b, name, returns, doc, `why_not(`+traceExample+`, cluster="*|v2|reviews*").`+name, func(w *WhyNot) (starlark.Value, error) { return get(w), nil })
	}
	f("cluster", "string", "The cluster asked for.", func(w *WhyNot) starlark.Value { return text(w.cluster) })
	f("goes", "bool", "Whether the request goes there, or a part of requests like it.", func(w *WhyNot) starlark.Value { return starlark.Bool(w.w.Goes) })
	f("shares", "list", "The part of requests like it that goes there: each cluster with name and share.", func(w *WhyNot) starlark.Value { return shareList(w.w.Shares) })
	f("clusters", "list", "The names of such clusters that the proxies on the way have.", func(w *WhyNot) starlark.Value { return textList(w.w.Clusters) })
	f("ways", "list", "What leads there, what lacks the least first: each with proxy, listener, chain, virtual_host, route, where, object (the Istio object it was made from), clusters (name and share), first (the route that comes before it and takes the request, or \"\") and lacks (what would have to be otherwise, a phrase each).",
		func(w *WhyNot) starlark.Value {
			var out []starlark.Value
			for _, way := range w.w.Ways {
				out = append(out, record("proxy", text(way.Proxy), "listener", text(way.Listener), "chain", text(way.Chain), "virtual_host", text(way.VirtualHost),
					"route", text(way.Route), "where", text(way.Where), "object", text(way.Object), "clusters", shareList(way.Lead.Clusters), "first", text(way.First), "lacks", textList(way.Lacks)))
			}
			return frozenList(out)
		})
	f("lines", "list", "The answer in sentences.", func(w *WhyNot) starlark.Value { return textList(w.w.Lines()) })
	b.method("text", nil, "string", "The sentences, a line each.", `print(why_not(`+traceExample+`, cluster="*|v2|reviews*").text())`,
		func(c *Call) (starlark.Value, error) { return text(c.Recv.(*WhyNot).String()), nil })
}
