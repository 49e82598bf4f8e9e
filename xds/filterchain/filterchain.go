// Package filterchain finds the filter chain a connection takes in a listener, and the listener a connection is handed to, as Envoy does it.
//
// A chain is found level by level: destination port, destination address, server name, transport protocol, application protocols, direct source
// address, source type, source address, source port. At each level the most specific of what the chains left name is taken, and the others are out for
// good: when a deeper level has nothing for the connection, the outcome is no chain, and never a less specific choice further up. What no
// chain takes goes to the listener's default chain.
package filterchain

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/extension"
	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
	"github.com/meshlark/meshlark/xds/routing"
)

// A Result is what becomes of a connection in a listener.
type Result struct {
	Found     bool
	Chain     string // name, often ""
	View      listener.Chain
	Index     int // among filter_chains, -1 for the default chain
	IsDefault bool
	// Flags and Details are what Envoy logs when no chain is found and it closes the connection.
	Flags, Details string
	Reason         string
	Steps          []explain.Step
	Unmodelled     []string
}

// A Set is the filter chains of a listener, ready for connections.
type Set struct {
	chains   []*chain
	fallback *chain
	tree     rawjson.Value
	// refused says why Envoy does not take a listener with such chains, "" when it does.
	refused string
}

type chain struct {
	view   listener.Chain
	index  int
	match  listener.Match
	dest   []netip.Prefix
	direct []netip.Prefix
	source []netip.Prefix
}

// New reads the chains of a listener.
func New(l listener.Listener) *Set {
	s := &Set{tree: l.Fields().Get("filter_chain_matcher")}
	for i, view := range l.Chains() {
		c := &chain{view: view, index: i}
		if view.IsDefault() {
			c.index = -1
			s.fallback = c
			continue
		}
		c.match = view.Match()
		v := view.Fields().Get("filter_chain_match")
		c.dest = match.NewRanges(v.Get("prefix_ranges"))
		c.direct = match.NewRanges(v.Get("direct_source_prefix_ranges"))
		c.source = match.NewRanges(v.Get("source_prefix_ranges"))
		s.chains = append(s.chains, c)
	}
	s.refused = s.refusal()
	return s
}

type derivedKey struct{}

// Of is the chains of a listener that is stored, read once for all proxies that have it.
func Of(b *resource.Body) *Set {
	return b.Derived(derivedKey{}, func(raw rawjson.Value) any { return New(listener.New(raw)) }).(*Set)
}

// In is the chains of a listener, read once for a view that keeps what is made of it.
func In(l listener.Listener) *Set {
	return l.Fields().Derived(derivedKey{}, func() any { return New(l) }).(*Set)
}

// name is what a chain is called in steps.
func (c *chain) name() string { return cmp.Or(c.view.Name(), c.match.String()) }

func (c *chain) where() string {
	if c.index < 0 {
		return "default_filter_chain"
	}
	return "filter_chains[" + strconv.Itoa(c.index) + "]"
}

// Match finds the chain of a connection, of which r has what is known: with its metadata and filter state, and nothing of a request. Its destination is the one after
// original destination has been restored.
func (s *Set) Match(r *match.Request) Result {
	if s.refused != "" {
		return Result{Index: -1, Reason: "Envoy refuses the listener: " + s.refused, Steps: []explain.Step{{Question: "does Envoy take the listener?", Answer: "no: " + s.refused}}}
	}
	if s.tree.Exists() {
		return s.matchTree(r)
	}
	var out Result
	conn := &r.Connection
	left := s.chains
	for _, level := range levels {
		next, step := level.narrow(left, conn)
		if len(step.Candidates) > 0 {
			out.Steps = append(out.Steps, step)
			out.Unmodelled = append(out.Unmodelled, step.Unmodelled...)
		}
		if left = next; len(left) == 0 {
			return s.none(out, fmt.Sprintf("no chain is for %s %s", level.name, level.value(conn)))
		}
	}
	return found(out, left[0], "the most specific at every level")
}

func found(out Result, c *chain, reason string) Result {
	out.Found, out.Chain, out.View, out.Index = true, c.view.Name(), c.view, c.index
	out.Reason = reason
	return out
}

// none is the outcome where no chain takes the connection.
func (s *Set) none(out Result, reason string) Result {
	if s.fallback != nil {
		out = found(out, s.fallback, reason+": the default chain takes it")
		out.IsDefault = true
		return out
	}
	out.Index = -1
	out.Flags, out.Details = "NR", "filter_chain_not_found"
	out.Reason = reason + ", and no default chain takes it: the connection is closed"
	return out
}

// matchTree has the listener's matcher tree choose a chain by name.
func (s *Set) matchTree(r *match.Request) Result {
	var out Result
	outcome := match.Tree(s.tree, r)
	step := explain.Step{Question: "what does filter_chain_matcher choose?", Candidates: outcome.Candidates, Unmodelled: outcome.Unmodelled, Answer: "nothing"}
	if !outcome.Found {
		out.Steps, out.Unmodelled = append(out.Steps, step), step.Unmodelled
		return s.none(out, "filter_chain_matcher chooses no chain")
	}
	name, unmodelled := chosen(outcome.Action, r)
	step.Answer, step.Unmodelled = name, append(step.Unmodelled, unmodelled...)
	out.Steps, out.Unmodelled = append(out.Steps, step), step.Unmodelled
	for _, c := range s.chains {
		if c.view.Name() == name {
			return found(out, c, "filter_chain_matcher chooses it: "+strings.Join(outcome.Path, ", "))
		}
	}
	// The default chain is for connections the matcher chooses nothing for.
	return (&Set{}).none(out, fmt.Sprintf("filter_chain_matcher chooses %q, which is no chain", name))
}

// chosen is the name that an action says, or makes of what is known of the connection.
func chosen(action extension.Config, r *match.Request) (name string, unmodelled []string) {
	switch {
	case action.Is("StringValue"):
		return action.Value.Str("value"), nil
	case action.Is("SubstitutionFormatString"):
		name, unmodelled, ok := routing.FillFormat(action.Value, r, routing.Result{}, nil)
		if !ok {
			unmodelled = append(unmodelled, "the name of a chain that is no text in the configuration")
		}
		return name, unmodelled
	}
	return "", []string{"action " + action.Type}
}

// A level is one criterion.
type level struct {
	name  string
	value func(*match.Connection) string
	// fit gives a function that says how well one of the chains left fits the connection at this level: greater is more specific, negative is not at
	// all. Chains of equal fit stay.
	fit func(left []*chain, conn *match.Connection) func(*chain) int
	// text is what a chain asks for.
	text func(*chain) string
	// ranges are those of a chain, nil for a level without.
	ranges func(*chain) []netip.Prefix
}

// rangeLevel is the level of an address.
func rangeLevel(name string, end func(*match.Connection) netip.AddrPort, ranges func(*chain) []netip.Prefix) level {
	return level{
		name, func(conn *match.Connection) string { return address(end(conn)) },
		each(func(c *chain, conn *match.Connection) int { return fitRanges(ranges(c), end(conn)) }),
		func(c *chain) string { return match.Ranges(ranges(c)).String() }, ranges,
	}
}

const noFit = -1

// each makes a level's fit of one that looks at a chain by itself.
func each(fit func(*chain, *match.Connection) int) func([]*chain, *match.Connection) func(*chain) int {
	return func(_ []*chain, conn *match.Connection) func(*chain) int {
		return func(c *chain) int { return fit(c, conn) }
	}
}

// narrow keeps the chains that are the most specific at the level.
func (l level) narrow(left []*chain, conn *match.Connection) ([]*chain, explain.Step) {
	best := noFit
	fits := make([]int, len(left))
	asked := false
	fit := l.fit(left, conn)
	for i, c := range left {
		fits[i] = fit(c)
		best = max(best, fits[i])
		asked = asked || l.text(c) != ""
	}
	var out []*chain
	for i, c := range left {
		if fits[i] == best && best != noFit {
			out = append(out, c)
		}
	}
	if !asked {
		return out, explain.Step{} // no chain says anything at this level
	}
	step := explain.Step{Question: "which chains are for this " + l.name + "?", Inputs: []explain.Input{{Name: l.name, Value: l.value(conn)}}}
	for i, c := range left {
		text := cmp.Or(l.text(c), "any")
		candidate := explain.Candidate{Name: c.name(), Where: c.where(), Won: fits[i] == best && best != noFit, Why: text}
		switch {
		case candidate.Won:
			candidate.Why = text + " is the most specific that fits"
		case fits[i] == noFit:
			candidate.Why = text + " does not fit"
		default:
			candidate.Why = text + " is less specific than what other chains ask for"
		}
		step.Candidates = append(step.Candidates, candidate)
	}
	step.Answer = fmt.Sprintf("%d of %d", len(out), len(left))
	if best == 0 && l.ranges != nil && slices.ContainsFunc(out, func(c *chain) bool { return len(l.ranges(c)) == 0 }) && slices.ContainsFunc(out, func(c *chain) bool { return len(l.ranges(c)) > 0 }) {
		step.Unmodelled = []string{"which chains are for every " + l.name + ", those that say so or those that say nothing: when it starts, Envoy keeps one sort by chance"}
	}
	return out, step
}

var levels = [...]level{
	{"destination port", func(c *match.Connection) string { return port(c.Destination) }, each(fitPort), func(c *chain) string {
		if c.match.DestinationPort == nil {
			return ""
		}
		return strconv.FormatUint(uint64(*c.match.DestinationPort), 10)
	}, nil},
	rangeLevel("destination address", func(c *match.Connection) netip.AddrPort { return c.Destination }, func(c *chain) []netip.Prefix { return c.dest }),
	{"server name", func(c *match.Connection) string { return strconv.Quote(c.SNI) }, each(fitServerName), func(c *chain) string { return strings.Join(c.match.ServerNames, ",") }, nil},
	{"transport protocol", func(c *match.Connection) string { return transport(c) }, each(func(c *chain, conn *match.Connection) int {
		return fitText(c.match.TransportProtocol, transport(conn))
	}), func(c *chain) string { return c.match.TransportProtocol }, nil},
	{"application protocols", func(c *match.Connection) string { return cmp.Or(strings.Join(c.ALPN, ","), "none") }, fitProtocols, func(c *chain) string { return strings.Join(c.match.Protocols, ",") }, nil},
	rangeLevel("direct source address", (*match.Connection).Direct, func(c *chain) []netip.Prefix { return c.direct }),
	{"source type", sourceType, each(fitSourceType), func(c *chain) string {
		if c.match.SourceType == "ANY" {
			return ""
		}
		return c.match.SourceType
	}, nil},
	rangeLevel("source address", func(c *match.Connection) netip.AddrPort { return c.Source }, func(c *chain) []netip.Prefix { return c.source }),
	{"source port", func(c *match.Connection) string { return port(c.Source) }, each(fitSourcePort), func(c *chain) string {
		var texts []string
		for _, n := range c.match.SourcePorts {
			texts = append(texts, strconv.FormatUint(uint64(n), 10))
		}
		return strings.Join(texts, ",")
	}, nil},
}

func port(ap netip.AddrPort) string {
	if !ap.IsValid() {
		return "none"
	}
	return strconv.Itoa(int(ap.Port()))
}

func address(ap netip.AddrPort) string {
	if !ap.IsValid() {
		return "none"
	}
	return ap.Addr().Unmap().String()
}

// transport is the transport protocol; Envoy takes what no listener filter has recognised for raw_buffer.
func transport(conn *match.Connection) string { return cmp.Or(conn.Transport, "raw_buffer") }

func sourceType(conn *match.Connection) string {
	if conn.Local() {
		return "SAME_IP_OR_LOOPBACK"
	}
	return "EXTERNAL"
}

func fitPort(c *chain, conn *match.Connection) int {
	switch {
	case c.match.DestinationPort == nil || *c.match.DestinationPort == 0:
		return 0
	case conn.Destination.IsValid() && *c.match.DestinationPort == uint32(conn.Destination.Port()):
		return 1
	}
	return noFit
}

// noAddress is what Envoy takes for the address of what has no IP address, a Unix domain socket.
var noAddress = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// ipOf is an address as ranges see it.
func ipOf(ap netip.AddrPort) netip.Addr {
	if !ap.IsValid() {
		return noAddress
	}
	return ap.Addr().Unmap()
}

// fitRanges is the length of the longest range with the address in it. No ranges are as one of length 0.
func fitRanges(ranges []netip.Prefix, ap netip.AddrPort) int {
	if len(ranges) == 0 {
		return 0
	}
	best := noFit
	for _, p := range ranges {
		if p.Contains(ipOf(ap)) {
			best = max(best, p.Bits())
		}
	}
	return best
}

// serverName is a name a chain asks for as it is kept: *.example.com is .example.com.
func serverName(text string) string {
	if text = match.Lower(text); strings.HasPrefix(text, "*.") {
		return text[1:]
	}
	return text
}

// fitServerName prefers the name itself, then the longest of its ends that begins with a dot. "" is for connections that no name is for.
func fitServerName(c *chain, conn *match.Connection) int {
	if len(c.match.ServerNames) == 0 {
		return 0
	}
	name := match.Lower(conn.SNI)
	best := noFit
	for _, text := range c.match.ServerNames {
		switch want := serverName(text); {
		case want == "":
			best = max(best, 0)
		case want == name:
			best = max(best, 1<<30)
		case want[0] == '.' && len(want) > 1 && len(name) > len(want) && strings.HasSuffix(name, want):
			best = max(best, len(want))
		}
	}
	return best
}

func fitText(want, got string) int {
	switch want {
	case "":
		return 0
	case got:
		return 1
	}
	return noFit
}

// fitProtocols goes by the order of the client's protocols: the first that any chain names decides. "" is for connections that no protocol is for.
func fitProtocols(left []*chain, conn *match.Connection) func(*chain) int {
	named := map[string]bool{}
	for _, c := range left {
		for _, protocol := range c.match.Protocols {
			named[protocol] = true
		}
	}
	i := slices.IndexFunc(conn.ALPN, func(protocol string) bool { return named[protocol] })
	return func(c *chain) int {
		switch {
		case i >= 0 && slices.Contains(c.match.Protocols, conn.ALPN[i]):
			return 1
		case len(c.match.Protocols) == 0 || slices.Contains(c.match.Protocols, ""):
			return 0
		}
		return noFit
	}
}

func fitSourceType(c *chain, conn *match.Connection) int {
	switch c.match.SourceType {
	case "ANY":
		return 0
	case sourceType(conn):
		return 1
	}
	return noFit
}

func fitSourcePort(c *chain, conn *match.Connection) int {
	if len(c.match.SourcePorts) == 0 {
		return 0
	}
	if conn.Source.IsValid() && slices.Contains(c.match.SourcePorts, uint32(conn.Source.Port())) {
		return 1
	}
	return noFit
}
