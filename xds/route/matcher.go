package route

import (
	"cmp"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/xds/extension"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// A MatcherLeaf is one outcome of a matcher tree (xds.type.matcher.v3.Matcher), by which virtual hosts choose routes, listeners
// filter chains and RBAC filters an action.
type MatcherLeaf struct {
	// Path is the conditions from the root to here: input=key, input^prefix, a predicate, or otherwise where nothing before matched.
	Path   []string
	Action extension.Config
}

// maxDepth bounds how deep trees are followed: far beyond any that is written, and no strain on the stack.
const maxDepth = 64

// Leaves lists the outcomes of a tree. Lists keep their order; the keys of maps, which have none, are sorted.
func Leaves(matcher rawjson.Value) []MatcherLeaf {
	w := treeWalk{}
	w.matcher(matcher, nil)
	return w.leaves
}

type treeWalk struct{ leaves []MatcherLeaf }

func (w *treeWalk) matcher(v rawjson.Value, path []string) {
	if len(path) > maxDepth || v.Kind() != rawjson.Object {
		return
	}
	for m := range v.Get("matcher_list", "matchers").Elems() {
		w.onMatch(m.Get("on_match"), path, predicateText(m.Get("predicate"), 0))
	}
	if tree := v.Get("matcher_tree"); tree.Exists() {
		input := inputName(tree.Get("input"))
		w.entries(tree.Get("exact_match_map", "map"), path, input+"=")
		w.entries(tree.Get("prefix_match_map", "map"), path, input+"^")
		w.custom(extension.New(tree.Get("custom_match")), path, input)
	}
	w.onMatch(v.Get("on_no_match"), path, "otherwise")
}

func (w *treeWalk) entries(m rawjson.Value, path []string, label string) {
	type entry struct {
		key string
		v   rawjson.Value
	}
	var list []entry
	for key, v := range m.Members() {
		list = append(list, entry{key, v})
	}
	slices.SortStableFunc(list, func(a, b entry) int { return cmp.Compare(a.key, b.key) })
	for _, e := range list {
		w.onMatch(e.v, path, label+e.key)
	}
}

// custom lists the outcomes of the two matchers Envoy has for trees, and of any other that keeps them as on_match.
func (w *treeWalk) custom(c extension.Config, path []string, input string) {
	switch c.ShortType() {
	case "IPMatcher":
		for m := range c.Value.Get("range_matchers").Elems() {
			for r := range m.Get("ranges").Elems() {
				w.onMatch(m.Get("on_match"), path, input+"="+cidrText(r))
			}
		}
	case "ServerNameMatcher":
		for m := range c.Value.Get("domain_matchers").Elems() {
			for _, domain := range texts(m.Get("domains")) {
				w.onMatch(m.Get("on_match"), path, input+"="+domain)
			}
		}
	default:
		w.unknown(c.Value, path, input+" "+c.ShortType(), 0)
	}
}

func (w *treeWalk) unknown(v rawjson.Value, path []string, label string, depth int) {
	if depth > maxDepth {
		return
	}
	for key, member := range v.Members() {
		if key == "on_match" || key == "onMatch" {
			w.onMatch(member, path, label)
		} else {
			w.unknown(member, path, label, depth+1)
		}
	}
	for elem := range v.Elems() {
		w.unknown(elem, path, label, depth+1)
	}
}

func (w *treeWalk) onMatch(v rawjson.Value, path []string, condition string) {
	if !v.Exists() {
		return
	}
	path = append(slices.Clip(path), condition)
	if action := v.Get("action"); action.Exists() {
		w.leaves = append(w.leaves, MatcherLeaf{path, extension.New(action)})
		return
	}
	w.matcher(v.Get("matcher"), path)
}

// cidrText gives a range; one address without its length.
func cidrText(v rawjson.Value) string {
	text := v.Str("address_prefix")
	length := v.Str("prefix_len")
	if length == "" {
		length = "0"
	}
	full := "32"
	if strings.Contains(text, ":") {
		full = "128"
	}
	if length == full {
		return text
	}
	return text + "/" + length
}

func inputName(v rawjson.Value) string {
	input := extension.New(v)
	if input.Name != "" {
		return input.Name
	}
	return input.ShortType()
}

func predicateText(v rawjson.Value, depth int) string {
	if depth > maxDepth {
		return "..."
	}
	list := func(predicates rawjson.Value, word string) string {
		var parts []string
		for p := range predicates.Elems() {
			parts = append(parts, predicateText(p, depth+1))
		}
		return "(" + strings.Join(parts, word) + ")"
	}
	for kind, arg := range v.Members() {
		switch kind {
		case "single_predicate", "singlePredicate":
			input := inputName(arg.Get("input"))
			if m := arg.Get("value_match"); m.Exists() {
				return input + "=" + NewStringMatch(m).String()
			}
			custom := extension.New(arg.Get("custom_match"))
			return input + " " + cmp.Or(custom.ShortType(), custom.Name)
		case "or_matcher", "orMatcher":
			return list(arg.Get("predicate"), " or ")
		case "and_matcher", "andMatcher":
			return list(arg.Get("predicate"), " and ")
		case "not_matcher", "notMatcher":
			return "not " + predicateText(arg, depth+1)
		}
	}
	return ""
}
