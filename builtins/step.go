package builtins

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/meshlark/meshlark/xds/explain"
	"go.starlark.net/starlark"
)

// An Explained value says how it came about.
type Explained interface {
	Itemer
	// Steps are the decisions in order.
	Steps() []explain.Step
}

// step is one decision of Envoy in the language.
type step struct{ s explain.Step }

func (s *step) String() string                        { return "<step: " + clip(stepText(s.s), 160) + ">" }
func (s *step) Type() string                          { return "Step" }
func (s *step) Freeze()                               {}
func (s *step) Truth() starlark.Bool                  { return true }
func (s *step) Hash() (uint32, error)                 { return starlark.String(stepText(s.s)).Hash() }
func (s *step) Attr(n string) (starlark.Value, error) { return attr(s, n) }
func (s *step) AttrNames() []string                   { return attrNames(s) }
func (s *step) Item() Item                            { return itemOf(s, "step") }

// stepText is a decision in one line.
func stepText(s explain.Step) string { return s.Question + " " + cmp.Or(s.Answer, "none") }

// steps describes Step, which the answers of match and trace are made of.
func (b *builder) steps() {
	b.typ("Step", "Value", "One decision on the way of a request: what was asked, what it went by, what there was to choose from, and why each candidate won or lost.")
	ex := func(name string) string {
		return `[s.` + name + ` for s in proxy("productpage-v1").routes("9080")[0].match(host="reviews:9080", path="/reviews/7").steps]`
	}
	f := func(name, returns, doc string, get func(explain.Step) starlark.Value) {
		field(b, name, returns, doc, ex(name), func(s *step) (starlark.Value, error) { return get(s.s), nil })
	}
	f("question", "string", "What had to be decided.", func(s explain.Step) starlark.Value { return text(s.Question) })
	f("inputs", "list", "What the decision went by: each with name and value.", func(s explain.Step) starlark.Value {
		var out []starlark.Value
		for _, in := range s.Inputs {
			out = append(out, record("name", text(in.Name), "value", text(in.Value)))
		}
		return frozenList(out)
	})
	f("candidates", "list", "What there was to choose from, in the order Envoy looks at it: each with name, where in the configuration, whether it won, why, and the Istio object it was made from (\"\" for none).",
		func(s explain.Step) starlark.Value {
			var out []starlark.Value
			for _, c := range s.Candidates {
				out = append(out, record("name", text(c.Name), "where", text(c.Where), "won", starlark.Bool(c.Won), "why", text(c.Why), "object", text(c.Object)))
			}
			return frozenList(out)
		})
	f("answer", "string", "What was decided, in one phrase.", func(s explain.Step) starlark.Value { return text(s.Answer) })
	f("unmodelled", "list", "What could not be decided from the configuration and the request alone, a phrase each.", func(s explain.Step) starlark.Value { return textList(s.Unmodelled) })
}

func stepList(steps []explain.Step) starlark.Value {
	out := make([]starlark.Value, len(steps))
	for i, s := range steps {
		out[i] = &step{s}
	}
	return frozenList(out)
}

// shareList gives shares as structs of name and share.
func shareList(shares []explain.Share) starlark.Value {
	out := make([]starlark.Value, len(shares))
	for i, s := range shares {
		out[i] = record("name", text(s.Name), "share", starlark.Float(s.Share))
	}
	return frozenList(out)
}

// shareText is shares in one phrase: reviews-v1 90%, reviews-v2 10%.
func shareText(shares []explain.Share) string {
	parts := make([]string, len(shares))
	for i, s := range shares {
		parts[i] = fmt.Sprintf("%s %s", s.Name, percentText(s.Share))
	}
	return strings.Join(parts, ", ")
}
