package trace

import (
	"slices"

	"github.com/meshlark/meshlark/xds/extension"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/routing"
)

// routeMutations are what the route and the levels above it have a header mutation filter change: the most specific first, unless the filter says that these win.
func (p *passage) routeMutations(c extension.Config) []rawjson.Value {
	var out []rawjson.Value
	for _, own := range settingsFor(c.Name, p.levels).of("HeaderMutationPerRoute") {
		out = append(out, own.Get("mutations"))
	}
	if c.Value.Get("most_specific_header_mutations_wins").IsTrue() {
		slices.Reverse(out)
	}
	return out
}

// mutate has a header mutation filter change the request: as itself says, then as the route does, which is also what it will have the answer changed by.
func (p *passage) mutate(f *running, c extension.Config) {
	p.mutateRequest(c.Value.Get("mutations"))
	p.lookUp()
	ofRoute := p.routeMutations(c)
	for _, m := range ofRoute {
		p.mutateRequest(m)
	}
	f.answer = func(a *routing.Answer) { p.mutateAnswer(c, ofRoute, a) }
}

func (p *passage) mutateRequest(m rawjson.Value) {
	p.changeHeaders(requestLines{p.request}, m.Get("request_mutations"), nil)
	p.request.Headers = p.request.Headers.Joined()
	if list := m.Get("query_parameter_mutations"); list.Len() > 0 && p.request.Path != "" {
		query := match.ParseQuery(p.request.Path)
		for v := range list.Elems() {
			p.changeQuery(query, v)
		}
		p.request.Path = query.Put(p.request.Path)
	}
	p.changed = true
}

// mutateAnswer has it change the headers of an answer.
func (p *passage) mutateAnswer(c extension.Config, ofRoute []rawjson.Value, answer *routing.Answer) {
	lines := answerLines{answer.Headers, &p.result.ResponseRemoved}
	for _, m := range append([]rawjson.Value{c.Value.Get("mutations")}, ofRoute...) {
		p.changeHeaders(lines, m.Get("response_mutations"), answer)
	}
}

// fill fills in a format string.
func (p *passage) fill(text string, answer *routing.Answer) string {
	filled, unknown := routing.Fill(text, "", p.request, *p.result, answer)
	for _, u := range unknown {
		if !slices.Contains(p.unknown, u) {
			p.unknown = append(p.unknown, u)
		}
	}
	return filled
}

// headerLines are the headers of a request or of an answer.
type headerLines interface {
	has(name string) bool
	add(name, value string)
	set(name, value string)
	remove(name string)
	// removeIf takes off the headers whose names are such.
	removeIf(such func(name string) bool)
}

// changeHeaders makes a list of changes (envoy.config.common.mutation_rules.v3.HeaderMutation), each seeing what those before it have done.
func (p *passage) changeHeaders(lines headerLines, list rawjson.Value, answer *routing.Answer) {
	for v := range list.Elems() {
		if name := match.Lower(v.Str("remove")); name != "" {
			lines.remove(name)
			continue
		}
		if matcher := v.Get("remove_on_match", "key_matcher"); matcher.Exists() {
			lines.removeIf(match.NewString(matcher).Match)
			continue
		}
		option := v.Get("append")
		name := match.Lower(option.Str("header", "key"))
		value := p.fill(option.Str("header", "value"), answer)
		if name == "" || value == "" && !option.Get("keep_empty_value").IsTrue() {
			continue
		}
		put(lines.has(name), routing.AppendAction(option), func() { lines.add(name, value) }, func() { lines.set(name, value) })
	}
}

// changeQuery makes one change of a query parameter (envoy.config.core.v3.KeyValueMutation).
func (p *passage) changeQuery(query match.Query, v rawjson.Value) {
	if name := v.Str("remove"); name != "" {
		delete(query, name)
		return
	}
	name := v.Str("append", "record", "key")
	value := p.fill(v.Str("append", "record", "value"), nil)
	if p.request.Envoy.AtLeast(1, 37) { // 1.36 wrote it as it was
		value = match.PercentEncode(value)
	}
	_, there := query[name]
	put(there, routing.AppendActionName(v.Str("append", "action")), func() { query.Add(name, value) }, func() { query[name] = []string{value} })
}

// put adds a value, or puts it in the place of others, as an action says.
func put(there bool, action string, add, set func()) {
	switch action {
	case "ADD_IF_ABSENT":
		if !there {
			add()
		}
	case "OVERWRITE_IF_EXISTS":
		if there {
			set()
		}
	case "OVERWRITE_IF_EXISTS_OR_ADD":
		set()
	default:
		add()
	}
}

// requestLines are the headers of a request, pseudo-headers among them.
type requestLines struct{ r *match.Request }

// pseudo is where a pseudo-header is kept, nil for any other header.
func (l requestLines) pseudo(name string) *string {
	switch name {
	case ":method":
		return &l.r.Method
	case ":authority", "host":
		return &l.r.Host
	case ":path":
		return &l.r.Path
	case ":scheme":
		return &l.r.Scheme
	}
	return nil
}

func (l requestLines) has(name string) bool { return len(l.r.Values(name)) > 0 }

func (l requestLines) add(name, value string) {
	if at := l.pseudo(name); at != nil {
		if *at != "" {
			value = *at + "," + value
		}
		*at = value
		return
	}
	l.r.Headers = append(l.r.Headers, match.Header{Name: name, Value: value})
}

func (l requestLines) set(name, value string) {
	if at := l.pseudo(name); at != nil {
		*at = value
		return
	}
	l.removeIf(func(n string) bool { return n == name })
	l.r.Headers = append(l.r.Headers, match.Header{Name: name, Value: value})
}

func (l requestLines) remove(name string) { l.removeIf(func(n string) bool { return n == name }) }

func (l requestLines) removeIf(such func(string) bool) {
	for _, name := range [...]string{":method", ":authority", ":path", ":scheme"} {
		if such(name) {
			*l.pseudo(name) = ""
		}
	}
	if such("x-envoy-internal") {
		l.r.Internal = false
	}
	l.r.Headers = slices.DeleteFunc(l.r.Headers, func(h match.Header) bool { return such(h.Name) })
}

// answerLines are the headers of an answer that are known, and the names of those that are taken off it.
type answerLines struct {
	headers *match.Headers
	removed *[]string
}

func (l answerLines) has(name string) bool { _, ok := l.headers.Get(name); return ok }

func (l answerLines) add(name, value string) {
	*l.headers = append(*l.headers, match.Header{Name: name, Value: value})
}

func (l answerLines) set(name, value string) {
	l.removeIf(func(n string) bool { return n == name })
	l.add(name, value)
}

// remove takes a header off, which the upstream may have sent too.
func (l answerLines) remove(name string) {
	l.removeIf(func(n string) bool { return n == name })
	if !slices.Contains(*l.removed, name) {
		*l.removed = append(*l.removed, name)
	}
}

func (l answerLines) removeIf(such func(string) bool) {
	*l.headers = slices.DeleteFunc(*l.headers, func(h match.Header) bool { return such(h.Name) })
}
