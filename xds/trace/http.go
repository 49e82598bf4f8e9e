package trace

import (
	"cmp"
	"strings"

	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/extension"
	"github.com/meshlark/meshlark/xds/fault"
	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/routing"
)

// http is for a chain with an HTTP connection manager.
func (t *tracer) http(at next, manager listener.HTTPManager, conn match.Connection) *next {
	r := &match.Request{
		Method: cmp.Or(at.request.Method, "GET"), Host: at.request.Host, Path: at.request.Path, Headers: at.request.Headers.Joined(),
		Connection: conn, Metadata: at.request.Metadata, Runtime: at.request.Runtime, Random: at.request.Random, Envoy: at.config.Envoy(),
		FilterState: t.state.texts(),
	}
	if at.request.Client.TLS && !conn.TLS || at.request.inner != nil {
		return t.garbled(manager, "the client sends TLS where the chain takes plain HTTP: it is no request")
	}
	if at.request.Client.Opaque {
		return t.garbled(manager, "the client does not send HTTP, which the chain takes")
	}
	t.alpn = nil
	for _, f := range manager.Filters() {
		if strings.Contains(f.Type, ".alpn.") || f.Name == "istio.alpn" {
			if t.alpn = f.Value; !t.alpn.Exists() {
				t.alpn = rawjson.Value("{}")
			}
		}
	}
	step, refused := Accept(manager, r)
	t.step(step)
	if refused != nil {
		return t.end(*refused)
	}
	table, step, ok := t.table(at.config, manager, r)
	t.step(step)
	missing := step.Answer
	var result routing.Result
	if ok {
		table = known(at.config, table)
	}
	step, refused = identify(manager, table, r)
	t.step(step)
	if refused != nil {
		return t.end(*refused)
	}
	if ok {
		result = table.Match(r)
	} else {
		result = routing.Result{Code: 404, Flags: "NR", Details: "route_not_found", Reason: "route table " + missing}
	}
	t.hop.HTTP = &result
	if v, refused := t.httpFilters(at, manager, &result, table, r); refused {
		t.routed(&result)
		v.Flags = t.hop.flags(v.Flags)
		return t.end(v)
	}
	t.routed(&result)
	if result.Code != 0 {
		t.hop.Cluster = result.Cluster // where the route leads, though nothing gets there
		return t.end(Verdict{Code: result.Code, Flags: t.hop.flags(result.Flags), Details: result.Details, Reason: result.Reason})
	}
	at.request.Method, at.request.Host, at.request.Path, at.request.Headers = r.Method, result.Host, result.Path, result.RequestHeaders
	opened := at.request.Inside != nil && opens(&result, r)
	if opened {
		t.open(&at)
	}
	on := t.cluster(at, followed(&result), result.Criteria)
	if result.HostAuto && t.hostname != "" {
		if result.Rename(t.hostname); on != nil && !opened {
			on.request.Host, on.request.Headers = result.Host, result.RequestHeaders
		}
	}
	t.hop.Leaving = result.Leaving(r)
	if missing := lacks(r); missing != "" && (on != nil || t.out.Verdict.Reached) {
		return t.end(Verdict{Code: 503, Flags: t.hop.flags("DPE"), Details: "filter_removed_required_request_headers{missing_required_header:_" + missing + "}", Reason: "filters have taken the header " + missing + " off"})
	}
	return on
}

// lacks is a header without which a request cannot be sent to an endpoint, "" when it has all: filters may have taken them off.
func lacks(r *match.Request) string {
	switch {
	case r.Method == "":
		return ":method"
	case r.Method == "CONNECT" && r.Host == "":
		return ":authority"
	case r.Method != "CONNECT" && r.Path == "":
		return ":path"
	}
	return ""
}

// known is a table that knows which clusters there are.
func known(config Config, table *routing.Table) *routing.Table {
	return table.WithClusters(func(name string) bool { _, ok := config.Cluster(name); return ok })
}

// garbled ends where what comes to a connection manager is no request.
func (t *tracer) garbled(manager listener.HTTPManager, reason string) *next {
	v := Verdict{Reason: reason}
	if codec := manager.Fields().Str("codec_type"); codec == "" || codec == "AUTO" || codec == "HTTP1" {
		v.Code, v.Flags, v.Details = 400, "DPE", "http1.codec_error"
	}
	return t.end(v)
}

// routed takes what the route table says over into the hop.
func (t *tracer) routed(result *routing.Result) {
	t.hop.Clusters = result.Clusters
	for _, s := range result.Steps {
		t.step(s)
	}
}

// followed is the cluster a request is followed to: its own, or the one most requests like it go to.
func followed(result *routing.Result) string {
	if result.Cluster != "" {
		return result.Cluster
	}
	name, most := "", 0.0
	for _, c := range result.Clusters {
		if c.Share > most {
			name, most = c.Name, c.Share
		}
	}
	return name
}

// flags adds the flag of a delay that every request had to those of an answer. Envoy has them in the order in which they were set.
func (h *Hop) flags(flags string) string {
	switch {
	case h.DelayShare < 1:
		return flags
	case flags == "":
		return fault.DelayFlags
	}
	return fault.DelayFlags + "," + flags
}

func metadataOf(body rawjson.Fields) map[string]any {
	value, err := rawjson.Decode(body.Get("metadata", "filter_metadata"))
	if err != nil {
		return map[string]any{}
	}
	m, _ := value.(map[string]any)
	if m == nil {
		m = map[string]any{}
	}
	return m
}

// upgrade is what a request wants its connection to become, "" for nothing else.
func upgrade(r *match.Request) string {
	if to, _ := r.First("upgrade"); to != "" {
		for _, value := range r.Values("connection") {
			for token := range strings.SplitSeq(value, ",") {
				if strings.EqualFold(strings.TrimSpace(token), "upgrade") {
					return to
				}
			}
		}
	}
	if r.Method == "CONNECT" {
		return "CONNECT"
	}
	return ""
}

// upgradeFilters are the HTTP filters a request passes. One that wants an upgrade has some of its own when they are configured; ok is false when neither the
// route nor the connection manager allows the upgrade.
func upgradeFilters(manager listener.HTTPManager, result *routing.Result, r *match.Request) (filters []listener.HTTPFilter, step *explain.Step, ok bool) {
	to := upgrade(r)
	if to == "" {
		return manager.Filters(), nil, true
	}
	step = &explain.Step{Question: "may the connection become " + to + "?", Answer: "yes"}
	allowed := false
	for v := range result.View.Fields().Get("route", "upgrade_configs").Elems() {
		if strings.EqualFold(v.Str("upgrade_type"), to) {
			if enabled := v.Get("enabled"); enabled.Exists() && !enabled.IsTrue() {
				step.Answer = "no: the route does not allow it"
				return manager.Filters(), step, false
			}
			allowed = true
		}
	}
	filters = manager.Filters()
	for v := range manager.Fields().Get("upgrade_configs").Elems() {
		if !strings.EqualFold(v.Str("upgrade_type"), to) {
			continue
		}
		enabled := v.Get("enabled")
		allowed = allowed || !enabled.Exists() || enabled.IsTrue()
		if own := v.Get("filters"); own.Len() > 0 {
			filters = nil
			for f := range own.Elems() {
				filters = append(filters, listener.HTTPFilter{Config: extension.New(f), Disabled: f.Get("disabled").IsTrue()})
			}
		}
	}
	if !allowed {
		step.Answer = "no: neither the route nor the connection manager allows it"
	}
	return filters, step, allowed
}
