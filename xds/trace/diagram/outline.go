package diagram

import (
	"slices"
	"strings"

	"github.com/meshlark/meshlark/xds/cluster"
	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/trace"
)

// An outline is a trace as all three drawings have it: what is said is decided here, how it looks is not.
type outline struct {
	end     ending
	verdict string
	proxy   string   // where a request ends that does not arrive
	request string   // GET reviews:9080 /reviews/7; "" when no hop got so far
	may     []string // who may answer before, with the proxy
	share   float64  // of requests like this one that go this way, as far as weights of clusters decide
	hops    []hop
}

// An ending is the kind of a verdict.
type ending int

const (
	arrives ending = iota
	answers        // a redirect, or a response of Envoy's own that is no failure
	fails
)

func (e ending) String() string { return [...]string{"arrives", "answered", "fails"}[e] }

// sentence is how the request ends.
func (o *outline) sentence() string {
	if o.proxy == "" {
		return o.end.String() + ": " + o.verdict
	}
	return o.end.String() + " at " + o.proxy + ": " + o.verdict
}

type hop struct {
	proxy  string
	stages []stage
	// next is how the request goes on to the hop after it, or to where it ends: istio mTLS to 10.0.0.1:80.
	next string
}

// A stage is a decision, or several that are one to the reader.
type stage struct {
	label  string
	answer string
	object string   // the Istio object that made what was chosen
	asides []string // why it was chosen, and what else is to be known
	rows   []row    // what requests are spread over
	lost   []loser
	folded string // the others that lost, counted
	tone   Tone
}

type row struct {
	share    float64
	name     string
	asides   string
	followed bool
}

// The labels of stages. They are the left column of the text.
const (
	addressStage  = "address"
	listenerStage = "listener"
	detectedStage = "detected"
	chainStage    = "filter chain"
	tlsStage      = "TLS"
	requestStage  = "request"
	clientStage   = "client"
	tableStage    = "route table"
	hostStage     = "virtual host"
	routeStage    = "route"
	actionStage   = "answer"
	clusterStage  = "cluster"
	endpointStage = "endpoints"
	filterStage   = "filter"
	accessStage   = "access"
	mayStage      = "may answer"
	delayStage    = "delay"
	unknownStage  = "not computed"
	otherStage    = "decision"
)

// questions are how steps begin that are shown in a way of their own. A question that is not here is shown as it is.
var questions = []struct{ begins, label string }{
	{"where does the client connect", addressStage},
	{"which listener", listenerStage},
	{"what do the listener filters", detectedStage},
	{"which chains are for this ", chainStage},
	{"what does filter_chain_matcher", chainStage},
	{"does the client do what the chain's TLS wants", tlsStage},
	{"what does the connection manager make", requestStage},
	{"who is the client", clientStage},
	{"which route table", tableStage},
	{"may the connection become", "upgrade"},
	{"by which weighted cluster do filters go", filterStage},
	{"does the route stay the same", routeStage + " again"},
	{"which virtual host", hostStage},
	{"does the virtual host want TLS", "https"},
	{"what does the virtual host's matcher", "matcher"},
	{"which route", routeStage},
	{"what becomes of the request", clusterStage},
	{"where does the TCP proxy go", clusterStage},
	{"how does the TCP proxy pass it on", "tunnel"},
	{"does the client send the PROXY protocol", "PROXY"},
	{"which cluster of the aggregate", "aggregate"},
	{"which endpoint", endpointStage},
}

func labelOf(question string) string {
	for _, q := range questions {
		if strings.HasPrefix(question, q.begins) {
			return q.label
		}
	}
	if aboutFilter.MatchString(question) {
		return filterStage
	}
	return otherStage
}

// notes are what has to be known beside how the request ends.
func (o *outline) notes() (out []string) {
	for _, who := range o.may {
		out = append(out, "unless it is answered before, by "+who)
	}
	if o.share < 0.9999 {
		out = append(out, "this is the way of "+percent(o.share)+" of requests; the others are not followed")
	}
	return out
}

func newOutline(t trace.Trace, all bool) outline {
	o := outline{verdict: t.Verdict.String(), end: fails, share: 1}
	last := ""
	inTunnel := false // what is known of the request so far is the one that makes a tunnel for it
	for i := range t.Hops {
		h := drawHop(&t.Hops[i], i == len(t.Hops)-1, t.Verdict, all)
		o.hops = append(o.hops, h)
		unknown, known := mayAnswer(&t.Hops[i])
		if len(unknown) > 0 {
			o.may = append(o.may, strings.Join(unknown, " or ")+" of "+t.Hops[i].Proxy)
		}
		for _, a := range known {
			o.may = append(o.may, answerText(a)+" at "+t.Hops[i].Proxy)
		}
		for _, s := range t.Hops[i].Steps {
			if labelOf(s.Question) == requestStage && (o.request == "" || inTunnel && !t.Hops[i].Tunnel) {
				o.request, inTunnel = requestText(s), t.Hops[i].Tunnel
			}
		}
		for _, c := range t.Hops[i].Clusters {
			if c.Name == t.Hops[i].Cluster && c.Share > 0 {
				o.share *= min(c.Share, 1)
				break
			}
		}
		last = t.Hops[i].Proxy
	}
	switch {
	case t.Verdict.Reached:
		o.end = arrives
	case t.Verdict.Code > 0 && t.Verdict.Code < 400:
		o.end = answers
	}
	if o.verdict = strings.TrimSpace(o.verdict); o.verdict == "" {
		o.verdict = "the trace says no more"
	}
	if o.end != arrives {
		o.proxy = last
	}
	if n := len(t.Hops); n > 0 && o.end == answers && t.Hops[n-1].HTTP != nil && t.Hops[n-1].HTTP.Redirect != "" {
		o.verdict += ", redirected to " + t.Hops[n-1].HTTP.Redirect
	}
	return o
}

// An artist draws one hop.
type artist struct {
	hop     *trace.Hop
	last    bool
	verdict trace.Verdict
	all     bool
	out     hop
	said    map[string]bool // of what is not modelled
	idle    []string        // filters that leave the request alone, one stage for all of them
	idleAt  int             // where the first of them stands, -1 for none
}

// drawHop draws a hop. last says that the request ends there with the verdict.
func drawHop(h *trace.Hop, last bool, v trace.Verdict, all bool) hop {
	a := &artist{hop: h, last: last, verdict: v, all: all, out: hop{proxy: h.Proxy}, said: map[string]bool{}, idleAt: -1}
	steps := h.Steps
	if h.Listener != "" && !slices.ContainsFunc(steps, func(s explain.Step) bool { return labelOf(s.Question) == listenerStage }) {
		a.add(stage{label: listenerStage, answer: h.Listener, asides: []string{"it is the one asked for, or the Envoy hands the connection to it inside"}})
	}
	chained := false
	for i := 0; i < len(steps); i++ {
		s := steps[i]
		label := labelOf(s.Question)
		if !chained && h.Chain != "" && past(label) {
			a.chain(nil)
			chained = true
		}
		switch label {
		case listenerStage:
			a.listener(s)
		case detectedStage:
			a.detected(s)
		case chainStage:
			j := i
			for j < len(steps) && labelOf(steps[j].Question) == chainStage {
				j++
			}
			a.chain(steps[i:j])
			chained = true
			i = j - 1
		case requestStage:
			a.request(s)
		case routeStage:
			a.route(s)
		case clusterStage:
			a.clusters(s)
		case endpointStage:
			a.endpoints(s)
		case filterStage:
			a.filter(s)
		case addressStage:
			st := stage{label: addressStage, answer: s.Answer}
			if a.all {
				a.reasons(&st, s)
			} else {
				a.losers(&st, s.Candidates, nil)
			}
			a.note(&st, s)
			a.add(st)
		case clientStage:
			// Who it is seldom matters: the request's own address, unless headers say more.
			if a.all || len(s.Inputs)+len(s.Unmodelled)+len(s.Candidates) > 0 || strings.HasPrefix(s.Answer, "it is refused") {
				a.plain(label, s)
			}
		default:
			a.plain(label, s)
		}
	}
	if h.Cluster != "" && !slices.ContainsFunc(a.out.stages, func(s stage) bool { return s.label == clusterStage }) {
		a.clusters(explain.Step{Answer: h.Cluster})
	}
	if len(h.Endpoints) > 0 && !slices.ContainsFunc(a.out.stages, func(s stage) bool { return s.label == endpointStage }) {
		a.endpoints(explain.Step{})
	}
	a.quiet()
	a.mayAnswer()
	a.unmodelled()
	switch {
	case h.Endpoint != "" && h.TLS == cluster.Internal:
		a.out.next = "inside the Envoy to " + h.Endpoint
	case h.Endpoint != "":
		a.out.next = strings.TrimSpace(h.TLS + " to " + h.Endpoint)
	}
	if last && !v.Reached && (v.Code == 0 || v.Code >= 400) {
		a.blame()
	}
	return a.out
}

// past tells the stages that come after a filter chain was found.
func past(label string) bool {
	return label != addressStage && label != listenerStage && label != detectedStage && label != chainStage
}

// blame marks the stage that a request failed at: the filter that refuses it, which then is the last, else the last decision.
func (a *artist) blame() {
	stages := a.out.stages
	if i := slices.IndexFunc(stages, func(s stage) bool { return s.tone == Bad }); i >= 0 {
		refusal := stages[i]
		a.out.stages = append(slices.Delete(stages, i, i+1), refusal)
		return
	}
	for i := len(stages) - 1; i >= 0; i-- {
		if s := &stages[i]; s.label != mayStage && s.label != unknownStage && s.label != delayStage {
			s.tone = Bad
			return
		}
	}
}

func (a *artist) add(s stage) {
	for i := range s.asides {
		s.asides[i] = strings.TrimSpace(s.asides[i])
	}
	s.asides = slices.DeleteFunc(s.asides, func(text string) bool { return text == "" })
	a.out.stages = append(a.out.stages, s)
}

// note adds what a step could not decide.
func (a *artist) note(s *stage, step explain.Step) {
	for _, what := range step.Unmodelled {
		a.said[what] = true
		s.asides = append(s.asides, "not computed: "+what)
		if s.tone == Plain {
			s.tone = Warn
		}
	}
}
