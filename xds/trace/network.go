package trace

import (
	"strings"

	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rbac"
	"github.com/meshlark/meshlark/xds/routing"
)

// filters takes the connection through the network filters of a chain.
func (t *tracer) filters(at next, chain listener.Chain, conn match.Connection) *next {
	request := &match.Request{Connection: t.identified(at.config, conn), Envoy: at.config.Envoy(), Metadata: t.metadata}
	for _, f := range chain.Filters() {
		request.FilterState = t.state.texts()
		switch {
		case f.Kind == listener.KindHTTP:
			manager, _ := chain.HTTP()
			return t.http(at, manager, conn)
		case f.Kind == listener.KindTCP:
			proxy, _ := chain.TCP()
			return t.tcp(at, proxy, conn)
		case strings.Contains(f.Type, ".set_filter_state."):
			for _, field := range [...]string{"on_new_connection", "on_downstream_tls_handshake", "on_downstream_data"} {
				if field == "on_downstream_tls_handshake" && !conn.TLS {
					continue
				}
				t.state = t.state.with(f.Value.Get(field), nil, request, routing.Result{}, func(what string) { t.step(unknownChange(f.Config, what)) })
			}
		case f.Is("RBAC"):
			for _, d := range rbac.Filter(f.Name, f.Value, request) {
				t.step(d.Step)
				if d.Shadow {
					request.Metadata = written(request.Metadata, "envoy.filters.network.rbac", said(d, f.Value.Str("shadow_rules_stat_prefix")+"shadow_"))
				}
				if d.Hint != nil {
					request.Metadata = written(request.Metadata, common, d.Hint)
				}
				if d.Details != "" {
					return t.end(Verdict{Details: d.Details, Reason: d.Reason + ": the connection is closed"})
				}
			}
		case changes(f.Config):
			t.step(unknownChange(f.Config, "what filter "+name(f.Config)+" changes"))
		case !harmless(f.Config):
			t.mayAnswer(f.Config)
		}
	}
	return t.end(Verdict{Reason: "chain " + chain.Name() + " ends in no filter that is known"})
}

// tcp is for a chain that passes bytes on.
func (t *tracer) tcp(at next, proxy listener.TCPProxy, conn match.Connection) *next {
	for _, w := range proxy.Clusters() {
		t.hop.Clusters = append(t.hop.Clusters, explain.Share{Name: w.Name, Share: w.Share})
	}
	best := ""
	most := -1.0
	for _, c := range t.hop.Clusters {
		if c.Share > most {
			best, most = c.Name, c.Share
		}
	}
	t.step(explain.Step{Question: "where does the TCP proxy go?", Answer: best})
	t.passed = true
	if proxy.TunnelHost() != "" {
		t.carry(&at, proxy, conn)
	}
	return t.cluster(at, best, nil)
}
