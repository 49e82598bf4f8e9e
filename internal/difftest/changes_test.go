package difftest

// Formats that filters which change requests fill in.
var changeFormats = []string{
	"one", "two", "", "%REQ(x-mut)%", "%REQ(:path)%", "%REQ(x-none?:method)%", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "%ROUTE_NAME%",
	"%DYNAMIC_METADATA(test.m:k)%", "%REQ(x-mut)%-%REQ(x-mut2):2%",
}

var putActions = []string{"APPEND_IF_EXISTS_OR_ADD", "ADD_IF_ABSENT", "OVERWRITE_IF_EXISTS", "OVERWRITE_IF_EXISTS_OR_ADD"}

// mutations are changes of a header mutation filter.
func (p picker) mutations() dict {
	changes := func(names ...string) []any {
		var out []any
		for range 1 + p.IntN(3) {
			name := one(p, names...)
			switch p.IntN(8) {
			case 0:
				out = append(out, dict{"remove": name})
			case 1:
				out = append(out, dict{"remove_on_match": dict{"key_matcher": one(p, dict{"prefix": name}, dict{"exact": name}, dict{"suffix": "2"})}})
			default:
				d := dict{"header": dict{"key": name, "value": one(p, changeFormats...)}, "append_action": one(p, putActions...)}
				p.maybe(d, .3, "keep_empty_value", true)
				out = append(out, dict{"append": d})
			}
		}
		return out
	}
	d := dict{}
	p.maybe(d, .85, "request_mutations", changes("x-mut", "x-mut2", "x-mut", "x-mut2", "x-claim-sub", "x-fault", "authorization"))
	if p.chance(.12) {
		d["request_mutations"] = []any{dict{"append": dict{"append_action": "OVERWRITE_IF_EXISTS_OR_ADD", "header": one(p,
			dict{"key": ":path", "value": one(p, "/b/new?z=1", "/health", "/a;k=v")}, dict{"key": ":authority", "value": "other.com"}, dict{"key": ":method", "value": "PUT"})}}}
		if p.chance(.15) {
			d["request_mutations"] = []any{dict{"remove_on_match": dict{"key_matcher": dict{"exact": ":path"}}}}
		}

	}
	if p.chance(.3) {
		d["query_parameter_mutations"] = []any{one(p, dict{"remove": one(p, "q", "a")},
			dict{"append": dict{"record": dict{"key": one(p, "q", "a", "new"), "value": one(p, changeFormats[:4]...)}, "action": one(p, putActions...)}})}
	}
	p.maybe(d, .6, "response_mutations", changes("y-mut", "y-mut2", "y-a", "access-control-allow-origin"))
	return d
}

func (p picker) headerMutation() dict {
	d := dict{"mutations": p.mutations()}
	p.maybe(d, .5, "most_specific_header_mutations_wins", true)
	return typed(httpFilters+"header_mutation.v3.HeaderMutation", d)
}

func (p picker) headerToMetadata() dict {
	var rules []any
	for range 1 + p.IntN(3) {
		rule := dict{}
		if p.chance(.8) {
			rule["header"] = one(p, "x-mut", "x-mut2", ":path", "x-claim-sub", "x-none")
			p.maybe(rule, .2, "remove", rule["header"] != ":path")
		} else {
			rule["cookie"] = one(p, "tok", "a")
		}
		to := func(value string) dict {
			d := dict{"metadata_namespace": one(p, "test.m", "test.m", ""), "key": one(p, "k", "k", "n")}
			if value != "" {
				d["value"] = value
			}
			p.maybe(d, .2, "type", "NUMBER")
			return d
		}
		if p.chance(.85) {
			present := to(one(p, "", "", "one"))
			if present["value"] == nil && p.chance(.3) {
				present["regex_value_rewrite"] = dict{"pattern": dict{"google_re2": dict{}, "regex": "^/?(.)(.*)$"}, "substitution": one(p, "\\1", "\\2", "one")}
			}
			if present["value"] == nil && p.chance(.15) {
				rule["header"], present["encode"] = "x-base64", "BASE64"
				delete(rule, "cookie")
				delete(present, "regex_value_rewrite")
			}
			rule["on_header_present"] = present
		}
		if rule["on_header_present"] == nil || p.chance(.3) {
			rule["on_header_missing"] = to(one(p, "two", "5"))
		}
		rules = append(rules, rule)
	}
	return typed(httpFilters+"header_to_metadata.v3.Config", dict{"request_rules": rules})
}

func (p picker) fixedMetadata() dict {
	var list []any
	for range 1 + p.IntN(2) {
		d := dict{"metadata_namespace": one(p, "test.m", "test.s"), "value": one(p, dict{"k": "one"}, dict{"k": "two", "in": dict{"a": "x"}}, dict{"in": dict{"b": "y"}, "list": []any{"p"}}, dict{"list": []any{"q"}})}
		p.maybe(d, .6, "allow_overwrite", true)
		list = append(list, d)
	}
	return typed(httpFilters+"set_metadata.v3.Config", dict{"metadata": list})
}

func (p picker) filterStates() dict {
	var list []any
	for range 1 + p.IntN(2) {
		d := dict{"object_key": one(p, "test.f", "test.f", "test.ip"), "factory_key": "envoy.string", "format_string": dict{"text_format_source": dict{"inline_string": one(p, changeFormats...)}}}
		if d["object_key"] == "test.ip" {
			d["factory_key"] = "envoy.network.ip"
			d["format_string"] = dict{"text_format_source": dict{"inline_string": one(p, "10.1.2.3", "none", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%")}}
		}
		p.maybe(d["format_string"].(dict), .5, "omit_empty_values", true)
		p.maybe(d, .5, "skip_if_empty", true)
		list = append(list, d)
	}
	d := dict{"on_request_headers": list}
	p.maybe(d, .5, "clear_route_cache", true)
	return typed(httpFilters+"set_filter_state.v3.Config", d)
}

// chosenFilter is a filter with a matcher around it that says for which requests it is, or, for a composite, is not.
func (p picker) chosenFilter(config any) dict {
	inner := dict{"name": "inner", "typed_config": config}
	out := dict{"extension_config": inner}
	tree := skipTree("x-skip")
	if p.chance(.4) {
		out["extension_config"] = dict{"name": "chosen", "typed_config": typed("filters.http.composite.v3.Composite", dict{})}
		tree = treeOf("x-rule", dict{"name": "run", "typed_config": typed("filters.http.composite.v3.ExecuteFilterAction", dict{"typed_config": inner})})
	}
	p.maybe(out, .95, "xds_matcher", tree)
	return typed("common.matching.v3.ExtensionWithMatcher", out)
}

// skipTree has requests with a header skip a filter.
func skipTree(header string) dict {
	return treeOf(header, dict{"name": "skip", "typed_config": typed("filters.common.matcher.action.v3.SkipFilter", dict{})})
}

func treeOf(header string, action dict) dict {
	return dict{"matcher_list": dict{"matchers": []any{dict{
		"predicate": dict{"single_predicate": dict{"input": headerInput(header), "value_match": dict{"safe_regex": dict{"regex": "yes|1", "google_re2": dict{}}}}},
		"on_match":  dict{"action": action},
	}}}}
}
