package builtins

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/tracing"
	"github.com/meshlark/meshlark/xds/balance"
	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/routing"
	"github.com/meshlark/meshlark/xds/trace"
	"github.com/meshlark/meshlark/xds/trace/diagram"
	"go.starlark.net/starlark"
)

// Trace is the way of a request: what p.trace(...) gives. It is true when the request arrives.
type Trace struct {
	a   *tracing.Answer
	url string
}

var (
	_ starlark.HasAttrs = (*Trace)(nil)
	_ Itemer            = (*Trace)(nil)
)

// Trace is the trace of the engine, for drawing it.
func (t *Trace) Trace() trace.Trace { return t.a.Trace }

// Failures are the proxies on the way that could not be read.
func (t *Trace) Failures() []mesh.Failure { return t.a.Failures }

func (t *Trace) String() string {
	return "<trace " + clip(t.url, 80) + ": " + clip(verdictText(t.a.Verdict), 120) + ">"
}
func (t *Trace) Type() string                          { return "Trace" }
func (t *Trace) Freeze()                               {}
func (t *Trace) Truth() starlark.Bool                  { return starlark.Bool(t.a.OK()) }
func (t *Trace) Hash() (uint32, error)                 { return starlark.String(t.url + t.a.Verdict.String()).Hash() }
func (t *Trace) Attr(n string) (starlark.Value, error) { return attr(t, n) }
func (t *Trace) AttrNames() []string                   { return attrNames(t) }
func (t *Trace) Item() Item                            { return itemOf(t, "trace") }

// hop is the way through one listener of one proxy.
type hop struct{ h trace.Hop }

func (h *hop) String() string {
	parts := []string{h.h.Proxy, h.h.Listener}
	if to := h.to(); to != "" {
		parts = append(parts, "-> "+to)
	}
	return "<hop " + clip(strings.Join(strings.Fields(strings.Join(parts, " ")), " "), 160) + ">"
}
func (h *hop) Type() string                          { return "Hop" }
func (h *hop) Freeze()                               {}
func (h *hop) Truth() starlark.Bool                  { return true }
func (h *hop) Hash() (uint32, error)                 { return starlark.String(h.String()).Hash() }
func (h *hop) Attr(n string) (starlark.Value, error) { return attr(h, n) }
func (h *hop) AttrNames() []string                   { return attrNames(h) }
func (h *hop) Item() Item                            { return itemOf(h, "hop") }

func (h *hop) to() string {
	if h.h.Cluster != "" {
		return h.h.Cluster
	}
	return shareText(h.h.Clusters)
}

// route is what the route table of the hop made of the request; the zero Result where none was asked.
func (h *hop) route() routing.Result {
	if h.h.HTTP == nil {
		return routing.Result{}
	}
	return *h.h.HTTP
}

// verdict is how a request ends.
type verdict struct{ v trace.Verdict }

func (v *verdict) String() string                        { return verdictText(v.v) }
func (v *verdict) Type() string                          { return "Verdict" }
func (v *verdict) Freeze()                               {}
func (v *verdict) Truth() starlark.Bool                  { return starlark.Bool(v.v.Reached) }
func (v *verdict) Hash() (uint32, error)                 { return starlark.String(v.v.String()).Hash() }
func (v *verdict) Attr(n string) (starlark.Value, error) { return attr(v, n) }
func (v *verdict) AttrNames() []string                   { return attrNames(v) }
func (v *verdict) Item() Item                            { return itemOf(v, "verdict") }

// verdictText is a verdict as Envoy's access log has it, 503 NC cluster_not_found; the reason where that says nothing.
func verdictText(v trace.Verdict) string {
	code := ""
	if v.Code != 0 {
		code = strconv.Itoa(v.Code)
	}
	if text := strings.Join(strings.Fields(code+" "+v.Flags+" "+v.Details), " "); text != "" {
		return text
	}
	return v.Reason
}

func codeOrNone(code int) starlark.Value {
	if code == 0 {
		return starlark.None
	}
	return starlark.MakeInt(code)
}

// hostList gives endpoints with their shares.
func hostList(hosts []balance.Host) starlark.Value {
	out := make([]starlark.Value, len(hosts))
	for i, h := range hosts {
		w := h.View.Workload()
		out[i] = record("name", text(h.View.Cell()), "address", text(h.View.Address().Host), "port", portOrNone(h.View.Address().Port),
			"share", starlark.Float(h.Share), "health", text(string(h.Health)), "why", text(h.Why),
			"priority", uintValue(h.View.Priority()), "weight", uintValue(h.View.Weight()), "locality", text(h.View.Locality().String()),
			"workload", text(w.Name), "namespace", text(w.Namespace))
	}
	return frozenList(out)
}

const traceExample = `proxy("productpage-v1").trace("http://reviews:9080/reviews/7", headers={"end-user": "jason"})`

// traces describes the method trace of Proxy, which is the current type, and what it gives.
func (b *builder) traces() {
	b.cur = b.t.types["Proxy"]
	b.method("trace", noneIsLeftOut([]Param{
		{Name: "url", Type: "string", Doc: "what is asked for: http:// or https://, the host as the client writes it, and tcp://host:port or tls://host:port for a connection that is not HTTP"},
		{Name: "method", Type: "string", Default: `"GET"`, Doc: "the request's method"},
		headersParam,
		{Name: "principal", Type: "string", Default: `""`, Doc: "the client's identity, as spiffe://cluster.local/ns/default/sa/web; that of the proxy's own workload for what it sends. A client with an identity comes to a sidecar or a waypoint by mutual TLS"},
		{Name: "source_ip", Type: "string", Default: `""`, Doc: "the client's IP address, as PROXY protocol has it where that is used; the proxy's own for what its workload sends"},
		{Name: "sni", Type: "string", Default: `""`, Doc: "the server name of the TLS handshake; the URL's host when left out"},
		{Name: "dst_ip", Type: "string", Default: `""`, Doc: "the address connected to; left out, it is found as DNS would, in the mesh's own configuration"},
		{Name: "direction", Type: "string", Default: "None", Doc: "inbound for a request to the proxy's workload, at the port of the URL, outbound for one it sends; left out, outbound for a sidecar and inbound for a gateway or an Envoy of its own", Enum: listenerDirections()},
		{Name: "alpn", Type: "list|string", Default: "[]", Doc: "the application protocols the client offers in the TLS handshake, as h2; what the proxies of Istio offer when left out and mutual TLS comes to a sidecar, else h2 and http/1.1. For http:// the protocol it speaks: http/1.0, http/1.1 or h2c"},
		{Name: "tls", Type: "bool", Default: "None", Doc: "whether the client makes a TLS connection; when left out, it does for https:// and tls://, and where sni, mtls or alpn say what only TLS has"},
		{Name: "mtls", Type: "bool", Default: "None", Doc: "whether it presents a certificate in the TLS connection; when left out, it does for what comes to the proxy with a principal, or with protocols that only the proxies of Istio offer"},
		{Name: "direct_source_ip", Type: "string", Default: `""`, Doc: "who really connects, such as a load balancer that says by PROXY protocol who the client is; source_ip when left out"},
		{Name: "proxy_protocol", Type: "bool", Default: "None", Doc: "whether the connection begins with a header of PROXY protocol; as the listener wants when left out"},
		randomParam, runtimeParam, metadataParam,
	}), "Trace", "Follows a request through the proxy's configuration as its Envoy would: listener, filter chain, filters, virtual host, route, cluster, endpoint, and on through the proxies behind. None for an argument is as if it were left out. Every decision is explained, with what lost. Nothing is sent.",
		traceExample, traceMethod)

	b.typ("Trace", "Value", "The way of a request: what p.trace(...) gives. It is true when the request arrives. The prompt shows it as a tree.")
	f := func(name, returns, doc string, get func(*Trace) starlark.Value) *Entry {
		return field(b, name, returns, doc, traceExample+"."+name, func(t *Trace) (starlark.Value, error) { return get(t), nil })
	}
	f("url", "string", "What was asked for.", func(t *Trace) starlark.Value { return text(t.url) })
	f("proxy", "string", "The proxy the trace begins in.", func(t *Trace) starlark.Value { return text(t.a.From.Name) })
	f("ok", "bool", "Whether the request arrives: an endpoint gets it, or Envoy itself answers with a status below 400.", func(t *Trace) starlark.Value { return starlark.Bool(t.a.OK()) })
	f("verdict", "Verdict", "How it ends; as text 503 NC cluster_not_found.", func(t *Trace) starlark.Value { return &verdict{t.a.Verdict} })
	f("source", "string", "Where the client connects from, \"\" when that is not known.", func(t *Trace) starlark.Value {
		if !t.a.Request.Source.IsValid() {
			return text("")
		}
		return text(t.a.Request.Source.String())
	})
	f("destination", "string", "The address and port the client connects to.", func(t *Trace) starlark.Value { return text(t.a.Request.Destination.String()) })
	f("hops", "list", "The listeners it passes, in order, each a Hop.", func(t *Trace) starlark.Value {
		out := make([]starlark.Value, len(t.a.Hops))
		for i, h := range t.a.Hops {
			out[i] = &hop{h}
		}
		return frozenList(out)
	})
	f("clusters", "list", "The clusters that requests like this one go to from the first proxy: each with name and share, 0 to 1.", func(t *Trace) starlark.Value {
		for _, h := range t.a.Hops {
			if h.Tunnel {
				continue
			}
			if len(h.Clusters) > 0 {
				return shareList(h.Clusters)
			}
			if h.Cluster != "" {
				return shareList([]explain.Share{{Name: h.Cluster, Share: 1}})
			}
		}
		return frozenList(nil)
	})
	f("endpoints", "list", "The endpoints of the cluster that is followed from the first proxy: each with name, address, port, share (of the cluster's requests), health, why, priority, weight, locality, workload and namespace.",
		func(t *Trace) starlark.Value {
			for _, h := range t.a.Hops {
				if len(h.Endpoints) > 0 && !h.Tunnel {
					return hostList(h.Endpoints)
				}
			}
			return frozenList(nil)
		})
	f("may_answer", "list", "The filters on the way that may answer by themselves, which cannot be told from the configuration.", func(t *Trace) starlark.Value {
		var out []string
		for _, h := range t.a.Hops {
			out = append(out, h.MayAnswer...)
		}
		return textList(out)
	})
	f("unmodelled", "list", "What could not be decided, a phrase each.", func(t *Trace) starlark.Value {
		var out []string
		for _, h := range t.a.Hops {
			out = append(out, h.Unmodelled...)
		}
		return textList(out)
	})
	link(b, "steps", "list", "The decisions of all hops in order, each a Step.", traceExample+".steps", func(t *Trace) (starlark.Value, error) {
		var out []explain.Step
		for _, h := range t.a.Hops {
			out = append(out, h.Steps...)
		}
		return stepList(out), nil
	})
	link(b, "errors", "list", "The proxies on the way that could not be read: each with proxy, source, stage and reason.", traceExample+".errors", func(t *Trace) (starlark.Value, error) {
		out := make([]starlark.Value, len(t.a.Failures))
		for i, f := range t.a.Failures {
			out[i] = &failureValue{f}
		}
		return frozenList(out), nil
	})
	b.method("text", []Param{{Name: "all", Type: "bool", Default: "False", Doc: "with every candidate that lost and every endpoint"}}, "string",
		"The trace as a tree, as the prompt shows it.", "print("+traceExample+".text())", func(c *Call) (starlark.Value, error) {
			return text(diagram.Text(c.Recv.(*Trace).a.Trace, diagram.Options{All: c.Bool("all")})), nil
		})
	b.method("mermaid", nil, "string", "The trace as a Mermaid flowchart, for a page or an issue.", traceExample+".mermaid()", func(c *Call) (starlark.Value, error) {
		return text(diagram.Mermaid(c.Recv.(*Trace).a.Trace)), nil
	})
	b.method("svg", nil, "string", "The trace as a picture.", `attempt(write_file, "trace.svg", `+traceExample+".svg())", func(c *Call) (starlark.Value, error) {
		return text(diagram.SVG(c.Recv.(*Trace).a.Trace)), nil
	})
	b.hopType()
	b.verdictType()
}

func (b *builder) hopType() {
	b.typ("Hop", "Value", "The way through one listener of one proxy.")
	f := func(name, returns, doc string, get func(*hop) starlark.Value) *Entry {
		return field(b, name, returns, doc, "[h."+name+" for h in "+traceExample+".hops]", func(h *hop) (starlark.Value, error) { return get(h), nil })
	}
	f("proxy", "string", "The proxy.", func(h *hop) starlark.Value { return text(h.h.Proxy) })
	f("listener", "string", "The listener that has the connection.", func(h *hop) starlark.Value { return text(h.h.Listener) })
	f("chain", "string", "The filter chain that takes it, often without a name.", func(h *hop) starlark.Value { return text(h.h.Chain) })
	f("http", "bool", "Whether it is seen as HTTP here, rather than as bytes to pass on.", func(h *hop) starlark.Value { return starlark.Bool(h.h.HTTP != nil) })
	f("route_config", "string", "The name of the route table, often \"\" for one that is written into the chain.", func(h *hop) starlark.Value { return text(h.h.Table) })
	f("tunnel", "bool", "Whether the request is inside of a tunnel here, as it comes to a waypoint: what is said of HTTP is about the CONNECT request that makes the tunnel.", func(h *hop) starlark.Value { return starlark.Bool(h.h.Tunnel) })
	f("virtual_host", "string", "The virtual host, \"\" when there is none.", func(h *hop) starlark.Value { return text(h.route().VirtualHost) })
	f("route", "string", "The name of the route, often \"\"; where says which it is.", func(h *hop) starlark.Value { return text(h.route().Route) })
	f("where", "string", "Where the route is in its table.", func(h *hop) starlark.Value { return text(h.route().Where) })
	f("cluster", "string", "The cluster that is followed; of several the one with the greatest share.", func(h *hop) starlark.Value { return text(h.h.Cluster) })
	f("clusters", "list", "The clusters requests like this one go to: each with name and share.", func(h *hop) starlark.Value { return shareList(h.h.Clusters) })
	f("mirrors", "list", "The clusters that get copies: each with name and share.", func(h *hop) starlark.Value { return shareList(h.route().Mirrors) })
	f("path", "string", "The path after rewriting.", func(h *hop) starlark.Value { return text(h.route().Path) })
	f("host", "string", "The host after rewriting.", func(h *hop) starlark.Value { return text(h.route().Host) })
	f("request_headers", "dict", "The headers of the request as it leaves for the cluster, as filters and the route leave them, pseudo-headers such as :path among them ("+headersDoc+"); empty when Envoy answers by itself.",
		func(h *hop) starlark.Value { return headerDict(h.h.Leaving) })
	f("response_headers", "dict", "The headers that filters and the route put on the answer ("+headersDoc+").", func(h *hop) starlark.Value { return headerDict(h.route().ResponseHeaders) })
	f("removed_headers", "list", "The names of the headers that are taken off the answer.", func(h *hop) starlark.Value { return textList(h.route().ResponseRemoved) })
	f("redirect", "string", "The location of a redirect.", func(h *hop) starlark.Value { return text(h.route().Redirect) })
	f("endpoints", "list", "The endpoints of the cluster: each with name, address, port, share, health, why, priority, weight, locality, workload and namespace.", func(h *hop) starlark.Value { return hostList(h.h.Endpoints) })
	f("endpoint", "string", "The endpoint that is followed; of several the one with the greatest share.", func(h *hop) starlark.Value { return text(h.h.Endpoint) })
	f("tls", "string", "How the connection to it is made: plaintext, TLS, mTLS, istio mTLS, internal, other or \"\".", func(h *hop) starlark.Value { return text(h.h.TLS) })
	f("may_answer", "list", "The filters that may answer by themselves.", func(h *hop) starlark.Value { return textList(h.h.MayAnswer) })
	f("answers", "list", "What these filters answer, as far as it is known: each with filter, share (the part of requests that is answered; 0 when that cannot be told) and verdict.", func(h *hop) starlark.Value {
		var out []starlark.Value
		for _, a := range h.h.Answers {
			out = append(out, record("filter", text(a.Filter), "share", starlark.Float(a.Share), "verdict", &verdict{a.Verdict}))
		}
		return frozenList(out)
	})
	f("delay", "string", "How long a filter holds requests back, as 2s; \"\" for not at all.", func(h *hop) starlark.Value {
		if h.h.Delay == 0 {
			return text("")
		}
		return text(durationText(h.h.Delay))
	})
	f("delay_share", "float", "The part of requests that is held back, 0 to 1.", func(h *hop) starlark.Value { return starlark.Float(h.h.DelayShare) })
	f("steps", "list", "The decisions in order, each a Step.", func(h *hop) starlark.Value { return stepList(h.h.Steps) })
	f("unmodelled", "list", "What could not be decided, a phrase each.", func(h *hop) starlark.Value { return textList(h.h.Unmodelled) })
}

func (b *builder) verdictType() {
	b.typ("Verdict", "Value", "How a request ends, as Envoy logs it. It is true when an endpoint gets the request.")
	f := func(name, returns, doc string, get func(trace.Verdict) starlark.Value) {
		field(b, name, returns, doc, traceExample+".verdict."+name, func(v *verdict) (starlark.Value, error) { return get(v.v), nil })
	}
	f("reached", "bool", "Whether an endpoint that is no proxy of the mesh, or the application behind one, gets the request.", func(v trace.Verdict) starlark.Value { return starlark.Bool(v.Reached) })
	f("code", "int | None", "The status Envoy answers with; None when the application answers, or the connection is closed.", func(v trace.Verdict) starlark.Value { return codeOrNone(v.Code) })
	f("flags", "string", "The response flags in the access log, as NR, UH or NC.", func(v trace.Verdict) starlark.Value { return text(v.Flags) })
	f("details", "string", "The response code details in the access log, as route_not_found.", func(v trace.Verdict) starlark.Value { return text(v.Details) })
	f("reason", "string", "Why, in one sentence.", func(v trace.Verdict) starlark.Value { return text(v.Reason) })
	f("text", "string", "The verdict in one line, as str() gives it.", func(v trace.Verdict) starlark.Value { return text(verdictText(v)) })
}

func traceMethod(c *Call) (starlark.Value, error) {
	p := c.Recv.(*Proxy)
	q := tracing.Question{URL: c.Text("url"), Method: c.Text("method"), SNI: c.Text("sni"), Principal: c.Text("principal"), Direction: c.Text("direction")}
	err := eachHeader(c.Value("headers"), func(name, value string) {
		q.Headers = append(q.Headers, match.Header{Name: match.Lower(name), Value: value})
	})
	if err != nil {
		return nil, err
	}
	source, err := addressOf(c, "source_ip")
	if err != nil {
		return nil, err
	}
	if source.IsValid() {
		q.Source = netip.AddrPortFrom(source, 0)
	}
	direct, err := addressOf(c, "direct_source_ip")
	if err != nil {
		return nil, err
	}
	if direct.IsValid() {
		q.DirectSource = netip.AddrPortFrom(direct, 0)
	}
	if q.Destination, err = addressOf(c, "dst_ip"); err != nil {
		return nil, err
	}
	if q.ALPN, err = textsOf(c, "alpn"); err != nil {
		return nil, err
	}
	q.TLS, q.MTLS, q.ProxyProtocol = boolOf(c, "tls"), boolOf(c, "mtls"), boolOf(c, "proxy_protocol")
	if q.Random, err = randomOf(c); err != nil {
		return nil, err
	}
	if q.Runtime, err = decodedDict(c, "runtime"); err != nil {
		return nil, err
	}
	if q.Metadata, err = decodedDict(c, "metadata"); err != nil {
		return nil, err
	}
	a, err := tracing.Follow(c.Context(), p.p, p.side, q)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.p.Name, err)
	}
	return &Trace{a, q.URL}, nil
}
