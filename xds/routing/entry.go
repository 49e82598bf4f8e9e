package routing

import (
	"cmp"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/extension"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/route"
)

// An entry is a route with its conditions compiled.
type entry struct {
	view   route.Route
	where  string
	label  string // what it is called in steps
	object string // the Istio object it was made from

	kind       string // of the path condition
	path       string
	pathText   match.String
	template   match.Template
	grpc       bool
	headers    []match.HeaderMatch
	parameters []match.ParameterMatch
	cookies    []match.CookieMatch
	metadata   []match.MetadataMatch
	state      []match.FilterStateMatch
	presented  rawjson.Value
	validated  rawjson.Value
	fraction   rawjson.Value

	plugin extension.Config // that names the cluster
	rules  headerRules
}

// newEntry compiles a route. Plugins are the table's cluster specifier plugins, which routes refer to by name.
func newEntry(view route.Route, where string, plugins rawjson.Value) *entry {
	view = view.Index()
	e := &entry{view: view, where: where, object: view.Config()}
	if view.Action() == route.ToClusterPlugin {
		e.plugin = clusterPlugin(view, plugins)
	}
	for key, v := range view.Body().Members() {
		e.rules.read(key, v)
	}
	m := view.Match()
	e.label = cmp.Or(view.Name(), m.String(), where)
	e.kind, e.path = m.Path()
	switch e.kind {
	case route.Prefix, route.SegmentedPrefix:
		e.pathText = match.NewStringMatch(route.StringMatch{Kind: "prefix", Value: e.path, IgnoreCase: !m.CaseSensitive()})
	case route.Path:
		e.pathText = match.NewStringMatch(route.StringMatch{Kind: "exact", Value: e.path, IgnoreCase: !m.CaseSensitive()})
	case route.Regex:
		e.pathText = match.NewStringMatch(route.StringMatch{Kind: "safe_regex", Value: e.path})
	case route.Template:
		e.template = match.NewTemplate(e.path)
	}
	for key, v := range m.Body().Members() {
		switch key {
		case "headers":
			for h := range v.Elems() {
				e.headers = append(e.headers, match.NewHeaderMatch(h))
			}
		case "query_parameters", "queryParameters":
			for p := range v.Elems() {
				e.parameters = append(e.parameters, match.NewParameterMatch(p))
			}
		case "cookies":
			for c := range v.Elems() {
				e.cookies = append(e.cookies, match.NewCookieMatch(c))
			}
		case "grpc":
			e.grpc = v.Exists()
		case "tls_context", "tlsContext":
			e.presented, e.validated = v.Get("presented"), v.Get("validated")
		case "dynamic_metadata", "dynamicMetadata":
			for d := range v.Elems() {
				e.metadata = append(e.metadata, match.NewMetadataMatch(d))
			}
		case "filter_state", "filterState":
			for s := range v.Elems() {
				e.state = append(e.state, match.NewFilterStateMatch(s))
			}
		case "runtime_fraction", "runtimeFraction":
			e.fraction = v
		}
	}
	return e
}

// clusterPlugin is the extension that names the cluster of a route: its own, or one of the table's that it refers to.
func clusterPlugin(view route.Route, plugins rawjson.Value) extension.Config {
	if inline := view.InlineClusterPlugin(); inline.Type != "" {
		return inline
	}
	for v := range plugins.Elems() {
		if c := extension.New(v.Get("extension")); c.Name == view.ClusterPlugin() {
			return c
		}
	}
	return extension.Config{}
}

func (e *entry) candidate(won bool, why string) explain.Candidate {
	return explain.Candidate{Name: e.label, Where: e.where, Won: won, Why: why, Object: e.object}
}

// mismatch says which condition, apart from the fraction of requests the route is for, a request does not meet; "" when it meets all. When nothing but
// conditions that cannot be decided stand against it, open says why they cannot.
func (e *entry) mismatch(r *match.Request, ignoreParams bool) (why string, open error) {
	for text, err := range e.mismatches(r, ignoreParams) {
		if err == nil {
			return text, nil
		}
		if why == "" {
			why, open = text, err
		}
	}
	return why, open
}

// mismatches are all the conditions a request does not meet, in the order Envoy looks at them, each with why it cannot be decided or nil.
func (e *entry) mismatches(r *match.Request, ignoreParams bool) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		// Only a CONNECT request can come without a path; that of another may be empty.
		if r.Path == "" && r.Method == "CONNECT" && e.kind != route.Connect {
			if !yield("the request has no path", nil) {
				return
			}
		} else if why, err := e.pathMismatch(r, ignoreParams); why != "" && !yield(why, err) {
			return
		}
		if e.grpc && !r.IsGRPC() && !yield("not gRPC: the content type is not application/grpc", nil) {
			return
		}
		for _, h := range e.headers {
			if !h.Match(r) && !yield(h.Why(r), h.Err()) {
				return
			}
		}
		for _, p := range e.parameters {
			if !p.Match(r) && !yield(p.Why(r), p.Err()) {
				return
			}
		}
		for _, c := range e.cookies {
			if !c.Match(r) && !yield(c.Why(r), c.Err()) {
				return
			}
		}
		peer := r.Connection.Peer
		if e.presented.Exists() && e.presented.IsTrue() != peer.Presented && !yield(fmt.Sprintf("tls presented=%s: it is %t", e.presented.Text(), peer.Presented), nil) {
			return
		}
		if e.validated.Exists() && e.validated.IsTrue() != peer.Validated && !yield(fmt.Sprintf("tls validated=%s: it is %t", e.validated.Text(), peer.Validated), nil) {
			return
		}
		for _, m := range e.metadata {
			if !m.Match(r.Metadata) && !yield(m.Why(r.Metadata), nil) {
				return
			}
		}
		for _, s := range e.state {
			if !s.Match(r.FilterState) && !yield(s.String()+": it is not", nil) {
				return
			}
		}
	}
}

func (e *entry) pathMismatch(r *match.Request, ignoreParams bool) (why string, open error) {
	path := r.PathOnly()
	plain := path
	if ignoreParams {
		path = withoutParameters(path, r.Envoy)
	}
	ok := false
	switch e.kind {
	case route.Prefix, route.Path, route.Regex:
		ok = e.pathText.Match(path)
	case route.SegmentedPrefix:
		ok = e.pathText.Match(path) && (len(path) == len(e.path) || path[len(e.path)] == '/')
	case route.Template:
		// Envoy's template matcher is given the path with its parameters.
		ok = e.template.Match(plain)
	case route.Connect:
		ok = r.Method == "CONNECT" || isConnectUDP(r)
		if !ok {
			return "not a CONNECT request", nil
		}
	}
	if ok {
		return "", nil
	}
	if err := cmp.Or(e.pathText.Err(), e.template.Err()); err != nil {
		return err.Error(), err
	}
	if e.kind == "" {
		return "it has no condition on the path, which Envoy asks for", nil
	}
	return "path " + strconv.Quote(explain.Short(path)) + " is not " + e.pathCondition(), nil // of thousands of routes most are not for a request
}

// withoutParameters takes path parameters (;name=value) off a path. Until 1.39 everything after the first was taken off, since 1.40 only
// what is in the same segment.
func withoutParameters(path string, v match.Version) string {
	before, after, found := strings.Cut(path, ";")
	if !found || !v.AtLeast(1, 40) {
		return before
	}
	var b strings.Builder
	for found {
		b.WriteString(before)
		slash := strings.IndexByte(after, '/')
		if slash < 0 {
			return b.String()
		}
		before, after, found = strings.Cut(after[slash:], ";")
	}
	b.WriteString(before)
	return b.String()
}

func (e *entry) pathCondition() string {
	switch e.kind {
	case route.Prefix:
		return e.path + "*"
	case route.SegmentedPrefix:
		return e.path + " or below it"
	case route.Regex:
		return "matched by " + e.path
	case route.Template:
		return "matched by the template " + e.path
	}
	return e.path
}

func isConnectUDP(r *match.Request) bool {
	value, _ := r.Headers.Get("upgrade")
	return strings.EqualFold(value, "connect-udp")
}

// treeEntries are the routes an action of a virtual host's matcher holds; ok is false for an action of another kind.
func (h *host) treeEntries(action extension.Config) (entries []*entry, ok bool) {
	views := map[string]route.Route{}
	for _, tr := range h.view.TreeRoutes() {
		views[string(tr.Body())] = tr.Route
	}
	add := func(v rawjson.Value, where string) {
		view, found := views[string(v)]
		if !found {
			view = route.NewRoute(v)
		}
		entries = append(entries, newEntry(view, where, h.plugins))
	}
	switch {
	case action.Is("Route"):
		add(action.Value, h.where()+".matcher")
	case action.Is("RouteList"):
		i := 0
		for v := range action.Value.Get("routes").Elems() {
			add(v, fmt.Sprintf("%s.matcher routes[%d]", h.where(), i))
			i++
		}
	default:
		return nil, false
	}
	return entries, true
}
