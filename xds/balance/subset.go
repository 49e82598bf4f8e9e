package balance

import (
	"maps"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/xds/rawjson"
)

// subsets is how a policy divides the hosts by their metadata (lb_subset_config, or the policy of that name).
type subsets struct {
	selectors     []selector
	fallback      string // where there is no subset: NO_FALLBACK, ANY_ENDPOINT or DEFAULT_SUBSET
	defaults      map[string]rawjson.Value
	anyInPanic    bool // after a fallback that gives no host, any host is taken
	listAsAny     bool // a list in a host's metadata stands for each of its elements
	redundantKeys bool // criteria may have more keys than a selector
	fallbackList  bool // criteria may list others to be tried in turn
	localities    weighting
}

// A selector is a set of keys: hosts that have all of them are divided by their values.
type selector struct {
	keys         []string // sorted
	fallback     string   // as that of all, or NOT_DEFINED, or KEYS_SUBSET
	fallbackKeys []string
	single       bool // a subset is its first host only, whatever its health
}

// newSubsets reads the settings; nil for none.
func newSubsets(v rawjson.Value) *subsets {
	if v.Get("subset_selectors").Len() == 0 {
		return nil
	}
	s := &subsets{
		fallback: enum(v.Get("fallback_policy"), "NO_FALLBACK", "ANY_ENDPOINT", "DEFAULT_SUBSET"),
		defaults: members(v.Get("default_subset")), anyInPanic: v.Get("panic_mode_any").IsTrue(), listAsAny: v.Get("list_as_any").IsTrue(),
		redundantKeys: v.Get("allow_redundant_keys").IsTrue(),
		fallbackList:  enum(v.Get("metadata_fallback_policy"), "METADATA_NO_FALLBACK", "FALLBACK_LIST") == "FALLBACK_LIST",
		localities:    unweighted,
	}
	if v.Get("locality_weight_aware").IsTrue() {
		if s.localities = asConfigured; v.Get("scale_locality_weight").IsTrue() {
			s.localities = scaled
		}
	}
	for c := range v.Get("subset_selectors").Elems() {
		if keys := texts(c.Get("keys")); len(keys) > 0 {
			s.selectors = append(s.selectors, selector{
				keys, enum(c.Get("fallback_policy"), "NOT_DEFINED", "NO_FALLBACK", "ANY_ENDPOINT", "DEFAULT_SUBSET", "KEYS_SUBSET"),
				texts(c.Get("fallback_keys_subset")), c.Get("single_host_per_subset").IsTrue(),
			})
		}
	}
	if s.redundantKeys {
		slices.SortStableFunc(s.selectors, func(a, b selector) int { return len(b.keys) - len(a.keys) })
	}
	return s
}

// selector is the first with exactly these keys; ok is false for none.
func (s *subsets) selector(keys []string) (c selector, ok bool) {
	i := slices.IndexFunc(s.selectors, func(c selector) bool { return slices.Equal(c.keys, keys) })
	if i < 0 {
		return selector{}, false
	}
	return s.selectors[i], true
}

// fallbackFor is what the first selector with these keys has as its fallback. Envoy files selectors in a tree by their keys: one whose place there was made by a
// selector before it, whose keys go on where its own end, has none.
func (s *subsets) fallbackFor(keys []string) (policy string, fallbackKeys []string) {
	for _, c := range s.selectors {
		if len(c.keys) >= len(keys) && slices.Equal(c.keys[:len(keys)], keys) {
			if len(c.keys) == len(keys) {
				return c.fallback, c.fallbackKeys
			}
			break
		}
	}
	return "NOT_DEFINED", nil
}

// narrowed is the part of criteria that the selector with the most keys asks for.
func (s *subsets) narrowed(criteria map[string]rawjson.Value) map[string]rawjson.Value {
	for _, c := range s.selectors {
		if part := only(criteria, c.keys); len(part) == len(c.keys) {
			return part
		}
	}
	return criteria
}

func only(criteria map[string]rawjson.Value, keys []string) map[string]rawjson.Value {
	out := map[string]rawjson.Value{}
	for _, key := range keys {
		if v, ok := criteria[key]; ok {
			out[key] = v
		}
	}
	return out
}

// fallbackListKey is the key of criteria that lists others.
const fallbackListKey = "fallback_list"

// choose spreads the requests over the hosts that the criteria of their route choose. target, unless it is nil, is the priority they go to.
func (s *spread) choose(target *target) pick {
	sub := s.policy.subsets
	if sub == nil {
		return s.among(nil, asConfigured, target, "")
	}
	criteria := s.opts.Criteria
	if list, listed := criteria[fallbackListKey]; listed && sub.fallbackList {
		criteria = maps.Clone(criteria)
		delete(criteria, fallbackListKey)
		if list.Len() > 0 {
			var out pick
			for v := range list.Elems() {
				with := maps.Clone(criteria)
				maps.Copy(with, members(v))
				out = out.then(func() pick { return s.subset(with, target) })
			}
			return out
		}
	}
	return s.subset(criteria, target)
}

// subset spreads requests over the subset that criteria choose, or over what stands in for it when there is none. One that is there and whose hosts are
// unhealthy has no stand-in.
func (s *spread) subset(criteria map[string]rawjson.Value, target *target) pick {
	sub := s.policy.subsets
	if sub.redundantKeys {
		criteria = sub.narrowed(criteria)
	}
	keys := slices.Sorted(maps.Keys(criteria))
	if c, ok := sub.selector(keys); ok {
		if in, first := s.having(criteria); first >= 0 {
			what := "subset " + criteriaText(criteria)
			if c.single {
				return s.single(first, what)
			}
			return s.among(in, sub.localities, target, what)
		}
	}
	why := "no subset is " + criteriaText(criteria)
	if len(keys) == 0 {
		why = "the route names no subset"
	}
	anyHost := func() pick { return s.among(nil, sub.localities, target, why+": any endpoint") }
	defaults := func() pick {
		in, _ := s.having(sub.defaults)
		return s.among(in, sub.localities, target, why+": the default subset")
	}
	none := func(policy string) pick {
		return pick{in: make([]bool, len(s.out.Hosts)), what: why + ", and there is no fallback (" + policy + ")"}
	}
	switch policy, fallbackKeys := sub.fallbackFor(keys); policy {
	case "ANY_ENDPOINT":
		return anyHost()
	case "DEFAULT_SUBSET":
		return defaults()
	case "NO_FALLBACK":
		return none(policy)
	case "KEYS_SUBSET":
		if less := only(criteria, fallbackKeys); len(less) < len(criteria) {
			return s.subset(less, target)
		}
		return none(policy)
	}
	var out pick
	switch sub.fallback {
	case "ANY_ENDPOINT":
		out = anyHost()
	case "DEFAULT_SUBSET":
		out = defaults()
	default:
		return none(sub.fallback)
	}
	if sub.anyInPanic {
		out = out.then(anyHost)
	}
	return out
}

// having are the hosts whose metadata has all criteria, and the first of them by priority, -1 for none.
func (s *spread) having(criteria map[string]rawjson.Value) (in []bool, first int) {
	in, first = make([]bool, len(s.out.Hosts)), -1
	for i, h := range s.out.Hosts {
		metadata := h.View.Metadata().Get("envoy.lb")
		in[i] = !s.again[i]
		for key, want := range criteria {
			in[i] = in[i] && s.policy.subsets.holds(metadata.Key(key), want)
		}
		if in[i] && (first < 0 || h.View.Priority() < s.out.Hosts[first].View.Priority()) {
			first = i
		}
	}
	return in, first
}

// holds reports whether a host's value is the one wanted.
func (s *subsets) holds(got, want rawjson.Value) bool {
	if !s.listAsAny || len(got) == 0 || got[0] != '[' {
		return equal(got, want)
	}
	for v := range got.Elems() {
		if equal(v, want) {
			return true
		}
	}
	return false
}

func equal(a, b rawjson.Value) bool {
	return len(a) > 0 && len(b) > 0 && string(rawjson.Canonical(nil, a)) == string(rawjson.Canonical(nil, b))
}

func members(v rawjson.Value) map[string]rawjson.Value {
	out := map[string]rawjson.Value{}
	for key, value := range v.Members() {
		out[key] = value
	}
	return out
}

func criteriaText(criteria map[string]rawjson.Value) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(criteria)) {
		parts = append(parts, key+"="+string(criteria[key]))
	}
	return strings.Join(parts, ",")
}

func texts(list rawjson.Value) []string {
	var out []string
	for v := range list.Elems() {
		out = append(out, v.Text())
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// enum gives an enumeration's name; the first is that of zero, which JSON leaves out.
func enum(v rawjson.Value, names ...string) string {
	text := v.Text()
	if text == "" {
		return names[0]
	}
	if len(text) == 1 && text[0] >= '0' && int(text[0]-'0') < len(names) {
		return names[text[0]-'0']
	}
	return text
}
