package match

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/xds/cel"
	"github.com/meshlark/meshlark/xds/endpoint"
	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/extension"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// An Outcome is what a matcher tree comes to.
type Outcome struct {
	// Action is what the tree says to do; Found is false when nothing in it matched.
	Action extension.Config
	Found  bool
	// Path are the conditions that held from the root to the action.
	Path []string
	// Candidates are the conditions that were looked at, in order.
	Candidates []explain.Candidate
	// Unmodelled are parts of the tree that could not be decided.
	Unmodelled []string
}

// Tree evaluates a matcher tree (xds.type.matcher.v3.Matcher), by which virtual hosts choose routes, listeners filter chains and RBAC filters
// an action.
func Tree(v rawjson.Value, r *Request) Outcome {
	w := walk{request: r}
	switch w.matcher(v, nil, 0) {
	case found:
		w.out.Found = true
	case insufficient:
		w.out.Unmodelled = append(w.out.Unmodelled, "the tree asks for something that is not known yet; Envoy takes that for no match")
	}
	return w.out
}

type verdict byte

const (
	notFound verdict = iota
	found
	insufficient // something the tree asks for is not known yet
)

// A walk is one evaluation of a tree. It looks at no more than maxSteps conditions: Envoy has no limit, but no tree that is written by anybody has as
// many, and a hostile one must not take forever.
type walk struct {
	request *Request
	out     Outcome
	steps   int
	work    int
	headers map[string]inputValue // inputs that have been read
}

// Each step costs, and reading what is nested in v costs as much as v is long.
const (
	maxSteps = 100_000
	maxWork  = 64 << 20
)

func (w *walk) spent(v rawjson.Value) bool {
	w.steps++
	w.work += len(v)
	return w.steps > maxSteps || w.work > maxWork
}

func (w *walk) note(format string, args ...any) {
	w.out.Unmodelled = append(w.out.Unmodelled, fmt.Sprintf(format, args...))
}

func (w *walk) tried(where, condition string, won bool, why string) {
	w.out.Candidates = append(w.out.Candidates, explain.Candidate{Name: condition, Where: where, Won: won, Why: why})
}

func (w *walk) matcher(v rawjson.Value, path []string, depth int) verdict {
	if depth > maxDepth || w.spent(v) {
		w.note("the tree is too deep or too large to follow")
		return insufficient
	}
	if list := v.Get("matcher_list", "matchers"); list.Exists() {
		return w.list(list, v.Get("on_no_match"), path, depth)
	}
	tree := v.Get("matcher_tree")
	if !tree.Exists() {
		return w.onMatch(v.Get("on_no_match"), append(slices.Clip(path), "otherwise"), depth)
	}
	return w.tree(tree, v.Get("on_no_match"), path, depth)
}

func (w *walk) otherwise(v rawjson.Value, path []string, depth int) verdict {
	return w.onMatch(v, append(slices.Clip(path), "otherwise"), depth)
}

func (w *walk) list(list, onNoMatch rawjson.Value, path []string, depth int) verdict {
	i := 0
	for m := range list.Elems() {
		where := fmt.Sprintf("matcher_list.matchers[%d]", i)
		i++
		p := w.predicate(m.Get("predicate"), 0)
		switch p.verdict {
		case insufficient:
			w.tried(where, p.text, false, p.why)
			return insufficient
		case notFound:
			w.tried(where, p.text, false, p.why)
			continue
		}
		w.tried(where, p.text, true, p.why)
		if got := w.onMatch(m.Get("on_match"), append(slices.Clip(path), p.text), depth); got != notFound {
			return got
		}
	}
	return w.otherwise(onNoMatch, path, depth)
}

func (w *walk) tree(tree, onNoMatch rawjson.Value, path []string, depth int) verdict {
	input := w.input(tree.Get("input"))
	if input.unknown {
		return insufficient
	}
	if !input.ok {
		w.tried("matcher_tree", input.name, false, "there is none")
		return w.otherwise(onNoMatch, path, depth)
	}
	try := func(on rawjson.Value, condition string) verdict {
		w.tried("matcher_tree", condition, true, fmt.Sprintf("%s is %q", input.name, explain.Short(input.value)))
		return w.onMatch(on, append(slices.Clip(path), condition), depth)
	}
	missed := func(condition string) {
		w.tried("matcher_tree", condition, false, fmt.Sprintf("%s is %q", input.name, explain.Short(input.value)))
	}
	if m := tree.Get("exact_match_map", "map"); m.Exists() {
		if on := m.Key(input.value); on.Exists() {
			if got := try(on, input.name+"="+explain.Short(input.value)); got != notFound {
				return got
			}
		} else {
			missed(fmt.Sprintf("%s = one of %d values", input.name, m.Len()))
		}
		return w.otherwise(onNoMatch, path, depth)
	}
	if m := tree.Get("prefix_match_map", "map"); m.Exists() {
		prefixes := prefixesOf(m, input.value)
		for _, key := range prefixes {
			got := try(m.Key(key), input.name+"^"+key)
			// Until 1.35 shorter prefixes were not looked at any more, nor what is for no match.
			if got != notFound || !w.request.Envoy.AtLeast(1, 35) {
				return got
			}
		}
		if len(prefixes) == 0 {
			missed(fmt.Sprintf("%s ^ one of %d prefixes", input.name, m.Len()))
		}
		return w.otherwise(onNoMatch, path, depth)
	}
	return w.custom(extension.New(tree.Get("custom_match")), input, onNoMatch, path, depth)
}

// prefixesOf are the keys that text begins with, longest first.
func prefixesOf(m rawjson.Value, text string) []string {
	var out []string
	for key := range m.Members() {
		if strings.HasPrefix(text, key) {
			out = append(out, key)
		}
	}
	slices.SortFunc(out, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	return slices.Compact(out)
}

func (w *walk) custom(c extension.Config, input inputValue, onNoMatch rawjson.Value, path []string, depth int) verdict {
	switch c.ShortType() {
	case "IPMatcher":
		return w.ip(c.Value, input, onNoMatch, path, depth)
	case "ServerNameMatcher":
		return w.serverName(c.Value, input, onNoMatch, path, depth)
	}
	w.note("matcher extension %s", cmp.Or(c.Type, c.Name))
	return insufficient
}

func (w *walk) ip(v rawjson.Value, input inputValue, onNoMatch rawjson.Value, path []string, depth int) verdict {
	ip, err := netip.ParseAddr(input.value)
	if err != nil {
		return w.otherwise(onNoMatch, path, depth)
	}
	type node struct {
		bits      int
		exclusive bool
		on        rawjson.Value
		text      string
	}
	var nodes []node
	for m := range v.Get("range_matchers").Elems() {
		for r := range m.Get("ranges").Elems() {
			p, err := NewRange(r)
			if err != nil {
				continue
			}
			text := input.name + "=" + endpoint.CIDR(r)
			if !p.Contains(ip) {
				w.tried("matcher_tree", text, false, "it is "+input.value)
				continue
			}
			bits, _ := r.Get("prefix_len").Uint()
			nodes = append(nodes, node{int(min(bits, 128)), m.Get("exclusive").IsTrue(), m.Get("on_match"), text})
		}
	}
	slices.SortStableFunc(nodes, func(a, b node) int { return cmp.Compare(b.bits, a.bits) })
	for i, n := range nodes {
		if i > 0 && n.exclusive {
			w.tried("matcher_tree", n.text, false, "exclusive, and a longer range came first")
			continue
		}
		w.tried("matcher_tree", n.text, true, "it is "+input.value)
		if got := w.onMatch(n.on, append(slices.Clip(path), n.text), depth); got != notFound {
			return got
		}
	}
	return w.otherwise(onNoMatch, path, depth)
}

// serverName tries the exact name, then wildcards from the longest, then *.
func (w *walk) serverName(v rawjson.Value, input inputValue, onNoMatch rawjson.Value, path []string, depth int) verdict {
	domains := map[string]rawjson.Value{}
	for m := range v.Get("domain_matchers").Elems() {
		for d := range m.Get("domains").Elems() {
			if name := d.Text(); !domains[name].Exists() {
				domains[name] = m.Get("on_match")
			}
		}
	}
	try := func(domain string) verdict {
		on, ok := domains[domain]
		if !ok {
			return notFound
		}
		condition := input.name + "=" + domain
		w.tried("matcher_tree", condition, true, "it is "+input.value)
		return w.onMatch(on, append(slices.Clip(path), condition), depth)
	}
	name := input.value
	if got := try(name); got != notFound {
		return got
	}
	for rest := name; ; {
		i := strings.IndexByte(rest, '.')
		if i < 0 || w.spent(nil) {
			break
		}
		rest = rest[i+1:]
		if got := try("*." + rest); got != notFound {
			return got
		}
	}
	if got := try("*"); got != notFound {
		return got
	}
	return w.otherwise(onNoMatch, path, depth)
}

func (w *walk) onMatch(v rawjson.Value, path []string, depth int) verdict {
	if !v.Exists() {
		return notFound
	}
	got := notFound
	if action := v.Get("action"); action.Exists() {
		if !v.Get("keep_matching").IsTrue() {
			w.out.Action, w.out.Path = extension.New(action), path
			got = found
		}
		return got
	}
	if nested := v.Get("matcher"); nested.Exists() {
		got = w.matcher(nested, path, depth+1)
	}
	if got == found && v.Get("keep_matching").IsTrue() {
		w.out.Action, w.out.Path = extension.Config{}, nil
		return notFound
	}
	return got
}

// A holding is how a predicate turned out.
type holding struct {
	verdict   verdict
	text, why string
}

func (w *walk) predicate(v rawjson.Value, depth int) holding {
	if depth > maxDepth || w.spent(v) {
		return holding{insufficient, "...", "too deep to follow"}
	}
	for kind, arg := range v.Members() {
		switch kind {
		case "single_predicate", "singlePredicate":
			return w.single(arg)
		case "or_matcher", "orMatcher":
			return w.several(arg.Get("predicate"), depth, " or ", found)
		case "and_matcher", "andMatcher":
			return w.several(arg.Get("predicate"), depth, " and ", notFound)
		case "not_matcher", "notMatcher":
			h := w.predicate(arg, depth+1)
			switch h.verdict {
			case found:
				h.verdict = notFound
			case notFound:
				h.verdict = found
			}
			h.text = explain.Short("not " + h.text)
			return h
		}
	}
	return holding{notFound, "no predicate", "it is empty"}
}

// several evaluates a list of predicates until one decides.
func (w *walk) several(list rawjson.Value, depth int, word string, decides verdict) holding {
	out := holding{verdict: found}
	if decides == found {
		out.verdict = notFound
	}
	var texts, whys []string
	decided := false
	for p := range list.Elems() {
		if decided {
			break
		}
		h := w.predicate(p, depth+1)
		if len(texts) < mostShown {
			texts, whys = append(texts, h.text), append(whys, h.why)
		}
		switch {
		case h.verdict == decides:
			out.verdict, decided = decides, true
		case h.verdict == insufficient && decides == notFound:
			out.verdict, decided = insufficient, true
		case h.verdict == insufficient:
			out.verdict = insufficient
		}
	}
	out.text, out.why = "("+explain.Short(strings.Join(texts, word))+")", explain.Short(strings.Join(whys, "; "))
	return out
}

func (w *walk) single(v rawjson.Value) holding {
	input := w.input(v.Get("input"))
	if m := v.Get("value_match"); m.Exists() {
		s := NewString(m)
		text := input.name + "=" + s.String()
		switch {
		case input.unknown:
			return holding{insufficient, text, "not modelled"}
		case s.Err() != nil:
			w.note("%v", s.Err())
			return holding{notFound, text, s.Err().Error()}
		case !input.ok:
			return holding{notFound, text, input.name + " is absent"}
		case s.Match(input.value):
			return holding{found, text, fmt.Sprintf("%s is %q", input.name, explain.Short(input.value))}
		}
		return holding{notFound, text, fmt.Sprintf("%s is %q", input.name, explain.Short(input.value))}
	}
	c := extension.New(v.Get("custom_match"))
	text := input.name + " " + cmp.Or(c.ShortType(), c.Name)
	switch c.ShortType() {
	case "Ip": // envoy.extensions.matching.input_matchers.ip.v3.Ip
		if input.unknown {
			break
		}
		ranges := NewRanges(c.Value.Get("cidr_ranges"))
		text = input.name + "=" + ranges.String()
		ip, err := netip.ParseAddr(input.value)
		if !input.ok || err != nil || !ranges.Contains(ip) {
			return holding{notFound, text, fmt.Sprintf("%s is %q", input.name, explain.Short(input.value))}
		}
		return holding{found, text, fmt.Sprintf("%s is %q", input.name, explain.Short(input.value))}
	case "Metadata": // envoy.extensions.matching.input_matchers.metadata.v3.Metadata
		if !input.metadata {
			break
		}
		got := NewValue(c.Value.Get("value")).Match(input.object, input.ok) != c.Value.Get("invert").IsTrue()
		if got {
			return holding{found, text, "it holds"}
		}
		return holding{notFound, text, fmt.Sprintf("it is %v", input.object)}
	case "CelMatcher": // xds.type.matcher.v3.CelMatcher
		if !input.attributes {
			break
		}
		text = "expression " + cmp.Or(c.Value.Str("description"), c.Name)
		holds, err := Expression(parsed(c.Value.Get("expr_match")), w.request)
		switch {
		case errors.Is(err, cel.ErrUnknown):
			w.note("%v", err)
			return holding{insufficient, text, err.Error()}
		case err != nil:
			return holding{notFound, text, err.Error()}
		case holds:
			return holding{found, text, "it holds"}
		}
		return holding{notFound, text, "it does not hold"}
	case "ConsistentHashing", "RuntimeFraction": // of envoy.extensions.matching.input_matchers
		if input.unknown {
			break
		}
		seed, _ := c.Value.Get("seed").Uint()
		holds, part := false, ""
		if sum := hash(input.value, seed); c.Is("RuntimeFraction") {
			f := RuntimeFraction(c.Value.Get("runtime_fraction"), w.request.Runtime)
			holds, part = f.Holds(sum), f.String()
		} else {
			threshold, _ := c.Value.Get("threshold").Uint()
			modulo, _ := c.Value.Get("modulo").Uint()
			holds, part = modulo > 0 && sum%modulo >= threshold, fmt.Sprintf("a hash of %d or more of %d", threshold, modulo)
		}
		text = input.name + ": " + part
		if holds && input.ok {
			return holding{found, text, fmt.Sprintf("the hash of %q is in it", explain.Short(input.value))}
		}
		return holding{notFound, text, fmt.Sprintf("the hash of %q is not in it", explain.Short(input.value))}
	}
	w.note("matcher extension %s", cmp.Or(c.Type, c.Name))
	return holding{insufficient, text, "not modelled"}
}

// parsed is the expression in an xds.type.v3.CelExpression.
func parsed(v rawjson.Value) rawjson.Value {
	for _, form := range [...]string{"cel_expr_checked", "cel_expr_parsed", "parsed_expr", "checked_expr"} {
		if expr := v.Get(form, "expr"); expr.Exists() {
			return expr
		}
	}
	return rawjson.Value(`{"text":{}}`)
}
