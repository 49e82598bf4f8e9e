package routing

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/route"
)

// act fills in what a route makes of the request.
func (t *Table) act(out *Result, h *host, e *entry, r *match.Request, s *split, branch int) {
	out.Action = e.view.Action()
	changed := *r
	changed.Headers = slices.Clone(r.Headers)
	f := &formatter{
		request: &changed, response: &out.ResponseHeaders, route: out.Route,
		metadata:     e.view.Fields().Get("metadata", "filter_metadata"),
		hostMetadata: h.view.Fields().Get("metadata", "filter_metadata"),
	}
	levels := []headerRules{e.rules, h.headers, t.headers}
	if t.specificWins {
		slices.Reverse(levels)
	}
	switch out.Action {
	case route.Redirects, route.DirectResponse:
		t.answer(out, e, &changed, f)
	default:
		if e.view.Fields().Get("route").Exists() {
			name, named := h.virtualCluster(r)
			out.VirtualCluster = name
			if named {
				f.virtualCluster = name
			}
		}
		out.Clusters = s.total()
		chosen := e.forward(out, &changed, f, levels, s.clusters[branch], t.known)
		levels = append([]headerRules{chosen}, levels...)
	}
	f.details = out.Details
	if f.phase == sending {
		f.phase = receiving
	}
	for _, level := range levels {
		f.apply(&out.ResponseHeaders, level.responseAdd, level.responseRemove, &out.ResponseRemoved)
	}
	if out.Action == route.DirectResponse || out.Action == route.Redirects {
		out.describeBody(r, e.contentType())
	}
	out.Unmodelled = append(out.Unmodelled, f.unmodelled...)
	step := explain.Step{Question: "what becomes of the request?", Answer: e.view.Destination(), Unmodelled: f.unmodelled}
	if out.Path != r.Path {
		step.Inputs = append(step.Inputs, explain.Input{Name: "path", Value: out.Path})
	}
	if out.Host != r.Host {
		step.Inputs = append(step.Inputs, explain.Input{Name: "host", Value: out.Host})
	}
	if out.Redirect != "" {
		step.Inputs = append(step.Inputs, explain.Input{Name: "location", Value: out.Redirect})
	}
	for _, c := range out.Weights {
		step.Candidates = append(step.Candidates, explain.Candidate{Name: c.Name, Won: out.Cluster == "" || c.Name == out.Cluster,
			Why: "gets " + strconv.FormatFloat(c.Share*100, 'f', -1, 64) + "% of requests"})
	}
	out.Steps = append(out.Steps, step)
}

// forward is for a route that goes to a cluster. It gives the header rules of the weighted cluster that was chosen.
func (e *entry) forward(out *Result, r *match.Request, f *formatter, levels []headerRules, c clustersOf, known func(string) bool) (chosen headerRules) {
	out.NotFound = notFoundCode(e.view.Fields().Get("route", "cluster_not_found_response_code"))
	if c.note != "" {
		out.Unmodelled = append(out.Unmodelled, c.note)
	}
	if len(c.names) > 1 && c.total > 0 {
		for i, name := range c.names {
			out.Weights = append(out.Weights, explain.Share{Name: name, Share: float64(c.weights[i]) / float64(c.total)})
		}
	}
	if c.fixed < 0 && len(c.names) == 1 {
		c.fixed = 0
	}
	host := "" // of the weighted cluster
	if c.fixed >= 0 {
		out.Cluster = c.names[c.fixed]
		f.cluster = out.Cluster
		out.addCriteria(e.view.Fields().Get("route", "metadata_match"))
		var entry rawjson.Value
		chosen, entry = e.weighted(c.index[c.fixed])
		out.addCriteria(entry.Get("metadata_match"))
		host = entry.Str("host_rewrite_literal")
	}
	missing := out.Cluster != "" && known != nil && !known(out.Cluster)
	if missing || out.Cluster == "" && c.note == "" && len(out.Clusters) == 0 {
		out.Code, out.Flags, out.Details = out.NotFound, "NC", "cluster_not_found"
		if missing {
			out.Reason += ", cluster " + out.Cluster + ", which does not exist"
		} else {
			out.Reason += ", which names no cluster"
		}
		f.phase, f.flags, f.details, f.cluster, f.virtualCluster = answering, out.Flags, out.Details, "", ""
		return chosen
	}
	f.apply(&r.Headers, chosen.requestAdd, chosen.requestRemove, nil)
	if host != "" {
		r.Host, out.Host = host, host
	}
	for _, level := range levels {
		f.apply(&r.Headers, level.requestAdd, level.requestRemove, nil)
	}
	original := r.Path
	e.rewriteHost(out, r, f)
	e.rewritePath(out, r, f)
	out.RequestHeaders = r.Headers
	e.mirrors(out, r)
	if r.Method == "CONNECT" && original == "" && r.Path != "" {
		// With a path it is an extended CONNECT, which has to say a protocol.
		out.Code, out.Flags, out.Details = 503, "DPE", "filter_removed_required_request_headers{missing_required_header:_:protocol}"
		out.Reason += ", which gives a CONNECT request a path"
	}
	return chosen
}

// addCriteria takes over what metadata says about subsets.
func (r *Result) addCriteria(metadata rawjson.Value) {
	for key, v := range metadata.Get("filter_metadata", "envoy.lb").Members() {
		if r.Criteria == nil {
			r.Criteria = map[string]rawjson.Value{}
		}
		r.Criteria[key] = v
	}
}

// weighted is entry i of weighted clusters and what it says about headers; i is -1 for a route without them.
func (e *entry) weighted(i int) (rules headerRules, entry rawjson.Value) {
	n := 0
	for v := range e.view.Fields().Get("route", route.ToWeightedClusters, "clusters").Elems() {
		if n++; n-1 != i {
			continue
		}
		for key, member := range v.Members() {
			rules.read(key, member)
		}
		return rules, v
	}
	return rules, nil
}

func notFoundCode(v rawjson.Value) int {
	switch v.Text() {
	case "NOT_FOUND", "1":
		return 404
	case "INTERNAL_SERVER_ERROR", "2":
		return 500
	}
	return 503
}

// rewriteHost changes the Host header as the route says. One rewriting only is in force.
func (e *entry) rewriteHost(out *Result, r *match.Request, f *formatter) {
	rewrite := e.view.HostRewrite()
	host := ""
	switch {
	case rewrite.Literal != "":
		host = rewrite.Literal
	case rewrite.Header != "":
		host, _ = r.First(match.Lower(rewrite.Header))
	case rewrite.Regex != "":
		if re, err := regexp.Compile(rewrite.Regex); err == nil {
			host = match.Replace(re, r.PathOnly(), rewrite.Substitution)
		}
	case rewrite.Format != "":
		host = f.formatOr(rewrite.Format, "-")
	case rewrite.Auto:
		out.HostAuto = true
	}
	if host == "" {
		return
	}
	if r.Host != "" {
		r.Headers = set(r.Headers, match.Header{Name: "x-envoy-original-host", Value: r.Host})
		if e.view.Fields().Get("route", "append_x_forwarded_host").IsTrue() {
			r.Headers = appendForwardedHost(r.Headers, r.Host)
		}
	}
	r.Host, out.Host = host, host
}

// appendForwardedHost adds a host to x-forwarded-host unless it is the last there already.
func appendForwardedHost(headers match.Headers, host string) match.Headers {
	old, ok := headers.Get("x-forwarded-host")
	if !ok || old == "" {
		return set(headers, match.Header{Name: "x-forwarded-host", Value: host})
	}
	parts := slices.DeleteFunc(strings.Split(old, ","), func(s string) bool { return strings.TrimSpace(s) == "" })
	if len(parts) > 0 && parts[len(parts)-1] == host {
		return headers
	}
	return set(headers, match.Header{Name: "x-forwarded-host", Value: old + "," + host})
}

// rewritePath changes the path as the route says; the query stays.
func (e *entry) rewritePath(out *Result, r *match.Request, f *formatter) {
	only := r.PathOnly()
	path := ""
	switch rewrite := e.view.Rewrite(); {
	case rewrite.Format != "":
		if text := f.format(rewrite.Format); text != "" {
			path = text + r.Path[len(only):]
		}
	case rewrite.Template != "":
		if text, ok := e.template.Rewrite(only, rewrite.Template); ok && text != "" {
			path = text + r.Path[len(only):]
		}
	default:
		path = e.replacePath(r.Path, rewrite)
	}
	if path != "" {
		r.Headers = set(r.Headers, match.Header{Name: "x-envoy-original-path", Value: r.Path})
		r.Path, out.Path = path, path
	}
}

// replacePath puts a prefix in the place of what the route matched, or replaces by regular expression; "" when nothing is changed.
func (e *entry) replacePath(path string, rewrite route.Rewrite) string {
	only := match.PathOnly(path)
	if rewrite.Prefix != "" {
		matched := e.path
		if e.kind == route.Regex || e.kind == route.Connect {
			matched = only
		}
		// With path parameters left out of matching, the path need not begin with what was matched; it is left alone then.
		if len(matched) > len(path) || match.Lower(path[:len(matched)]) != match.Lower(matched) {
			return ""
		}
		return rewrite.Prefix + path[len(matched):]
	}
	if rewrite.Regex == "" {
		return ""
	}
	re, err := regexp.Compile(rewrite.Regex)
	if err != nil {
		return ""
	}
	changed := match.Replace(re, only, rewrite.Substitution)
	if changed == "" {
		return ""
	}
	return changed + path[len(only):]
}

// answer is for a route that Envoy answers itself: a redirect or a direct response.
func (t *Table) answer(out *Result, e *entry, r *match.Request, f *formatter) {
	out.Details = "direct_response"
	f.phase = answering
	var redirect route.Redirect
	if response, ok := e.view.Response(); ok {
		out.Code = int(response.Status)
		out.Body = response.Body
		if response.File != "" {
			out.Unmodelled = append(out.Unmodelled, "the body is in the proxy's file "+response.File)
		}
		if v := e.view.Fields().Get(route.DirectResponse, "body_format"); v.Exists() {
			f.body(out, v)
		}
	} else {
		redirect, _ = e.view.Redirect()
		out.Code = int(redirect.Code)
	}
	// A redirect's path is changed first, so that what is made of headers sees the changed one.
	if path := e.replacePath(r.Path, redirect.Rewrite); path != "" {
		r.Headers = set(r.Headers, match.Header{Name: "x-envoy-original-path", Value: r.Path})
		r.Path = path
	}
	if format := redirect.Rewrite.Format; format != "" {
		redirect.Path = f.format(format)
	}
	if r.Path != "" && (out.Code == 201 || 300 <= out.Code && out.Code < 400) {
		out.Redirect = location(redirect, r)
		out.ResponseHeaders = append(out.ResponseHeaders, match.Header{Name: "location", Value: out.Redirect})
	}
}

// location makes the Location of a redirect from the request's URL.
func location(d route.Redirect, r *match.Request) string {
	scheme, port := r.SchemeOr(), ""
	if d.Scheme != "" {
		scheme = d.Scheme
	}
	if d.Port != 0 {
		port = ":" + strconv.FormatUint(uint64(d.Port), 10)
	}
	host := d.Host
	if host == "" {
		host = redirectHost(r, scheme, port)
	}
	path := r.Path
	fixedQuery := strings.Contains(d.Path, "?")
	if d.Path != "" {
		path = d.Path
		if i := strings.IndexByte(r.Path, '?'); i >= 0 && !fixedQuery {
			path += r.Path[i:]
		}
	}
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	if d.StripQuery && !fixedQuery {
		path, _, _ = strings.Cut(path, "?")
	}
	return scheme + "://" + host + port + path
}

// redirectHost is the request's host, without its port when the redirect has one, or when it is the usual one of a scheme that
// changes.
func redirectHost(r *match.Request, scheme, port string) string {
	host := r.Host
	end := strings.LastIndexByte(host, ':')
	if strings.HasPrefix(host, "[") {
		if end = strings.LastIndex(host, "]:"); end >= 0 {
			end++
		}
	}
	if end < 0 {
		return host
	}
	proto := r.ForwardedProto()
	remove := port != ""
	if scheme != proto {
		remove = remove || strings.EqualFold(proto, "https") && host[end:] == ":443" ||
			strings.EqualFold(proto, "http") && host[end:] == ":80"
	}
	if remove {
		return host[:end]
	}
	return host
}

// mirrors fills in where copies go.
func (e *entry) mirrors(out *Result, r *match.Request) {
	for _, m := range e.view.Mirrors() {
		name := m.Cluster
		if m.Header != "" {
			name, _ = r.First(match.Lower(m.Header))
		}
		share := m.Percent / 100
		if m.Fraction.Exists() {
			share = match.RuntimeFraction(m.Fraction, r.Runtime).Share()
		}
		if name != "" && share > 0 {
			out.Mirrors = append(out.Mirrors, explain.Share{Name: name, Share: share})
		}
	}
}
