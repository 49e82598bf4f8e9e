package difftest

// expression is a condition in the Common Expression Language, in its parsed form.
func (p picker) expression(depth int) dict {
	if depth < 3 && p.chance(.45) {
		switch p.IntN(4) {
		case 0:
			return called("_&&_", p.expression(depth+1), p.expression(depth+1))
		case 1:
			return called("_||_", p.expression(depth+1), p.expression(depth+1))
		case 2:
			return called("!_", p.expression(depth+1))
		}
		return called("_?_:_", p.expression(depth+1), p.expression(depth+1), p.expression(depth+1))
	}
	switch p.IntN(9) {
	case 0:
		return dict{"const_expr": dict{"bool_value": p.chance(.5)}}
	case 1:
		return called(one(p, "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"), p.attribute(), p.attribute())
	case 2:
		return called(one(p, "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"), p.attribute(), p.literal())
	case 3:
		return dict{"call_expr": dict{"target": p.attribute(), "function": one(p, "contains", "startsWith", "endsWith"), "args": []any{p.literal()}}}
	case 4:
		return dict{"call_expr": dict{"target": p.attribute(), "function": "matches", "args": []any{constant(one(p, "/a.*", "^v", "one|two", "[0-9]"))}}}
	case 5:
		return called("@in", p.attribute(), dict{"list_expr": dict{"elements": []any{p.literal(), p.literal()}}})
	case 6:
		return dict{"select_expr": dict{"operand": one(p, selected("request", "headers"), selected("connection"), selected("metadata", "filter_metadata")), "field": one(p, "x-a", "x-b", "mtls", "test.meta"), "test_only": true}}
	case 7:
		return called("@in", constant(one(p, "x-a", "x-b", ":path", "test.meta")), one(p, selected("request", "headers"), selected("metadata", "filter_metadata")))
	}
	return called(one(p, "_==_", "_<_", "_>=_"), called(one(p, "_+_", "_-_", "_*_", "_/_", "_%_"), p.number(), p.number()), p.number())
}

func called(function string, args ...any) dict {
	return dict{"call_expr": dict{"function": function, "args": args}}
}

func constant(text string) dict { return dict{"const_expr": dict{"string_value": text}} }

// selected is a variable, or a member of one.
func selected(name string, fields ...string) dict {
	out := dict{"ident_expr": dict{"name": name}}
	for _, field := range fields {
		out = dict{"select_expr": dict{"operand": out, "field": field}}
	}
	return out
}

// attribute is something an expression asks for, which may not be there.
func (p picker) attribute() dict {
	switch p.IntN(8) {
	case 0:
		return called("_[_]", selected("request", "headers"), constant(one(p, "x-a", "x-b", "X-A", ":path", ":method", "x-none")))
	case 1:
		return one(p, selected("source", "port"), selected("destination", "port"), selected("source", "address"), selected("destination", "address"), selected("source", "none"))
	case 2:
		return selected("connection", one(p, "mtls", "requested_server_name", "subject_peer_certificate", "uri_san_peer_certificate", "dns_san_peer_certificate", "none"))
	case 3:
		return called("_[_]", called("_[_]", selected("metadata", "filter_metadata"), constant(one(p, "test.meta", "none"))), constant(one(p, "k", "n", "list", "none")))
	case 4:
		return called("size", one(p, selected("request", "path"), selected("request", "host"), selected("request", "headers", "x-a")))
	case 5:
		return called("_[_]", dict{"list_expr": dict{"elements": []any{p.literal(), p.literal()}}}, dict{"const_expr": dict{"int64_value": p.IntN(3)}})
	}
	return selected("request", one(p, "path", "url_path", "path", "url_path", "host", "scheme", "method", "query", "referer", "useragent", "none"))
}

func (p picker) literal() dict {
	if p.chance(.3) {
		return p.number()
	}
	if p.chance(.1) {
		return dict{"const_expr": one(p, dict{"bool_value": true}, dict{"null_value": "NULL_VALUE"}, dict{"bytes_value": "L2E="})}
	}
	return constant(one(p, "/a", "/a/b", "/v1", "a.com", "GET", "one", "two", "5", "", "https", "b=2", "CN=client"))
}

func (p picker) number() dict {
	return dict{"const_expr": one(p,
		dict{"int64_value": one(p, 0, 1, 2, 5, 80, 443, 1000, -1)}, dict{"int64_value": "9223372036854775807"}, dict{"uint64_value": one(p, 0, 1, 5, 443)}, dict{"double_value": one(p, .5, 5, 80)},
	)}
}

// expressionMatch is a predicate that is an expression.
func (p picker) expressionMatch() dict {
	return dict{"single_predicate": dict{
		"input":        dict{"name": "attributes", "typed_config": dict{"@type": "type.googleapis.com/xds.type.matcher.v3.HttpAttributesCelMatchInput"}},
		"custom_match": dict{"name": "cel", "typed_config": dict{"@type": "type.googleapis.com/xds.type.matcher.v3.CelMatcher", "expr_match": one(p, dict{"cel_expr_parsed": dict{"expr": p.expression(0)}}, dict{"parsed_expr": dict{"expr": p.expression(0)}})}},
	}}
}
