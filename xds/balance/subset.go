package balance

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/xds/rawjson"
)

// subset narrows the hosts to those of the subset that the criteria choose, or of what stands in for it when there is none.
func (s *spread) subset() {
	config := s.cluster.Fields().Get("lb_subset_config")
	if !config.Exists() || config.Get("subset_selectors").Len() == 0 {
		return
	}
	keys := slices.Sorted(maps.Keys(s.opts.Criteria))
	fallback := enum(config.Get("fallback_policy"), "NO_FALLBACK", "ANY_ENDPOINT", "DEFAULT_SUBSET")
	var fallbackKeys []string
	for selector := range config.Get("subset_selectors").Elems() {
		names := texts(selector.Get("keys"))
		if !slices.Equal(names, keys) {
			continue
		}
		if s.choose(s.opts.Criteria, config) {
			s.out.Step.Answer = "subset " + criteriaText(s.opts.Criteria)
			return
		}
		if own := enum(selector.Get("fallback_policy"), "NOT_DEFINED", "NO_FALLBACK", "ANY_ENDPOINT", "DEFAULT_SUBSET", "KEYS_SUBSET"); own != "NOT_DEFINED" {
			fallback, fallbackKeys = own, texts(selector.Get("fallback_keys_subset"))
		}
		break
	}
	why := fmt.Sprintf("no subset is %s", criteriaText(s.opts.Criteria))
	if len(keys) == 0 {
		why = "the route names no subset"
	}
	switch fallback {
	case "ANY_ENDPOINT":
		s.all()
		return
	case "DEFAULT_SUBSET":
		criteria := map[string]rawjson.Value{}
		for key, v := range config.Get("default_subset").Members() {
			criteria[key] = v
		}
		if s.choose(criteria, config) {
			return
		}
	case "KEYS_SUBSET":
		criteria := map[string]rawjson.Value{}
		for _, key := range fallbackKeys {
			if v, ok := s.opts.Criteria[key]; ok {
				criteria[key] = v
			}
		}
		if s.choose(criteria, config) {
			return
		}
	}
	if config.Get("panic_mode_any").IsTrue() {
		s.all()
		return
	}
	for i := range s.chosen {
		s.chosen[i] = false
	}
	s.unmatched = true
	s.out.Reason = why + ", and there is no fallback (" + fallback + ")"
}

func (s *spread) all() {
	for i := range s.chosen {
		s.chosen[i] = true
	}
}

// choose keeps the hosts whose metadata has all criteria; it reports whether there are any, and keeps all hosts when there are none.
func (s *spread) choose(criteria map[string]rawjson.Value, config rawjson.Value) bool {
	listAsAny := config.Get("list_as_any").IsTrue()
	found := false
	for i, h := range s.out.Hosts {
		metadata := h.View.Metadata().Get("envoy.lb")
		s.chosen[i] = true
		for key, want := range criteria {
			if got := metadata.Get(key); !equal(got, want) && !(listAsAny && contains(got, want)) {
				s.chosen[i] = false
				break
			}
		}
		found = found || s.chosen[i]
	}
	if !found {
		s.all()
	}
	return found
}

func equal(a, b rawjson.Value) bool {
	return len(a) > 0 && len(b) > 0 && string(rawjson.Canonical(nil, a)) == string(rawjson.Canonical(nil, b))
}

func contains(list, want rawjson.Value) bool {
	for v := range list.Elems() {
		if equal(v, want) {
			return true
		}
	}
	return false
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
	for i, name := range names {
		if text == fmt.Sprint(i) {
			return name
		}
	}
	return text
}
