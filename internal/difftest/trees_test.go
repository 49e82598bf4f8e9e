package difftest

// tree makes a matcher tree over routes.
func (p picker) tree(routes []any, depth int) dict {
	on := func() dict {
		if depth < 2 && p.chance(.3) {
			return dict{"matcher": p.tree(routes, depth+1)}
		}
		var action dict
		if p.chance(.6) {
			action = dict{"name": "route", "typed_config": withType(one(p, routes...).(dict), "envoy.config.route.v3.Route")}
		} else {
			action = dict{"name": "routes", "typed_config": withType(dict{"routes": some(p, 2, routes...)}, "envoy.config.route.v3.RouteList")}
		}
		return dict{"action": action}
	}
	d := dict{}
	switch p.IntN(4) {
	case 0, 1:
		var list []any
		for range 1 + p.IntN(3) {
			list = append(list, dict{"predicate": p.predicate(0), "on_match": on()})
		}
		d["matcher_list"] = dict{"matchers": list}
	case 2:
		d["matcher_tree"] = dict{"input": p.headerInput(), "exact_match_map": dict{"map": dict{"one": on(), "two": on(), "5": on()}}}
	case 3:
		d["matcher_tree"] = dict{"input": headerInput(":path"), "prefix_match_map": dict{"map": dict{"/": on(), "/a": on(), "/a/b": on(), "/v1": on()}}}
	}
	if p.chance(.5) {
		d["on_no_match"] = on()
	}
	return d
}

func withType(d dict, name string) dict {
	out := dict{"@type": "type.googleapis.com/" + name}
	for k, v := range d {
		out[k] = v
	}
	return out
}

func headerInput(name string) dict {
	return dict{"name": "header", "typed_config": dict{"@type": "type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput", "header_name": name}}
}

func (p picker) headerInput() dict {
	// Envoy takes no other input for routes.
	return headerInput(one(p, "x-a", "x-b", "x-c"))
}

func (p picker) predicate(depth int) dict {
	switch n := p.IntN(6); {
	case n == 0 && depth < 2:
		return dict{"or_matcher": dict{"predicate": []any{p.predicate(depth + 1), p.predicate(depth + 1)}}}
	case n == 1 && depth < 2:
		return dict{"and_matcher": dict{"predicate": []any{p.predicate(depth + 1), p.predicate(depth + 1)}}}
	case n == 2 && depth < 2:
		return dict{"not_matcher": p.predicate(depth + 1)}
	}
	m := p.stringMatch()
	if re, ok := m["safe_regex"].(dict); ok {
		re["google_re2"] = dict{}
	}
	if p.chance(.1) {
		return dict{"single_predicate": dict{"input": headerInput(one(p, "x-a", "x-b", ":path")), "custom_match": p.hashMatch()}}
	}
	return dict{"single_predicate": dict{"input": p.headerInput(), "value_match": m}}
}

// hashMatch is a matcher for a part of all values.
func (p picker) hashMatch() dict {
	seed := one(p, 0, 7, 1<<40)
	if p.chance(.5) {
		return dict{"name": "hash", "typed_config": typed("matching.input_matchers.consistent_hashing.v3.ConsistentHashing", dict{"threshold": 1 + p.IntN(4), "modulo": 6, "seed": seed})}
	}
	return dict{"name": "fraction", "typed_config": typed("matching.input_matchers.runtime_fraction.v3.RuntimeFraction", dict{
		"runtime_fraction": dict{"runtime_key": one(p, "", "test.half"), "default_value": dict{"numerator": one(p, 20, 50, 80)}}, "seed": seed,
	})}
}
