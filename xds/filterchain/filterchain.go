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
	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
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

// Match finds the chain of a connection. Its destination is the one after original destination has been restored.
func (s *Set) Match(conn *match.Connection) Result {
	if s.tree.Exists() {
		return s.matchTree(conn)
	}
	var out Result
	left := s.chains
	for _, level := range levels {
		next, step := level.narrow(left, conn)
		if len(step.Candidates) > 0 {
			out.Steps = append(out.Steps, step)
		}
		if left = next; len(left) == 0 {
			return s.none(out, fmt.Sprintf("no chain is for %s %s", level.name, level.value(conn)))
		}
	}
	if len(left) > 1 {
		return same(out, left)
	}
	return found(out, left[0], "the most specific at every level")
}

func found(out Result, c *chain, reason string) Result {
	out.Found, out.Chain, out.View, out.Index = true, c.view.Name(), c.view, c.index
	out.Reason = reason
	return out
}

// same is the outcome where chains cannot be told apart: Envoy takes no listener with two chains for the same connections.
func same(out Result, left []*chain) Result {
	names := make([]string, len(left))
	for i, c := range left {
		names[i] = c.name() + " (" + c.where() + ")"
	}
	out.Index = -1
	out.Reason = strings.Join(names, " and ") + " have the same match: Envoy refuses such a listener"
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
func (s *Set) matchTree(conn *match.Connection) Result {
	var out Result
	outcome := match.Tree(s.tree, &match.Request{Connection: *conn})
	step := explain.Step{Question: "what does filter_chain_matcher choose?", Candidates: outcome.Candidates, Unmodelled: outcome.Unmodelled, Answer: "nothing"}
	out.Unmodelled = outcome.Unmodelled
	if !outcome.Found {
		out.Steps = append(out.Steps, step)
		return s.none(out, "filter_chain_matcher chooses no chain")
	}
	name := outcome.Action.Value.Str("value")
	if !outcome.Action.Is("StringValue") {
		out.Unmodelled = append(out.Unmodelled, "action "+outcome.Action.Type)
	}
	step.Answer = name
	out.Steps = append(out.Steps, step)
	for _, c := range s.chains {
		if c.view.Name() == name {
			return found(out, c, "filter_chain_matcher chooses it: "+strings.Join(outcome.Path, ", "))
		}
	}
	// The default chain is for connections the matcher chooses nothing for.
	return (&Set{}).none(out, fmt.Sprintf("filter_chain_matcher chooses %q, which is no chain", name))
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
	return out, step
}

var levels = [...]level{
	{"destination port", func(c *match.Connection) string { return port(c.Destination) }, each(fitPort), func(c *chain) string {
		if c.match.DestinationPort == nil {
			return ""
		}
		return strconv.FormatUint(uint64(*c.match.DestinationPort), 10)
	}},
	{"destination address", func(c *match.Connection) string { return address(c.Destination) }, each(func(c *chain, conn *match.Connection) int {
		return fitRanges(c.dest, conn.Destination)
	}), func(c *chain) string { return match.Ranges(c.dest).String() }},
	{"server name", func(c *match.Connection) string { return strconv.Quote(c.SNI) }, each(fitServerName), func(c *chain) string { return strings.Join(c.match.ServerNames, ",") }},
	{"transport protocol", func(c *match.Connection) string { return transport(c) }, each(func(c *chain, conn *match.Connection) int {
		return fitText(c.match.TransportProtocol, transport(conn))
	}), func(c *chain) string { return c.match.TransportProtocol }},
	{"application protocols", func(c *match.Connection) string { return cmp.Or(strings.Join(c.ALPN, ","), "none") }, fitProtocols, func(c *chain) string { return strings.Join(c.match.Protocols, ",") }},
	{"direct source address", func(c *match.Connection) string { return address(c.Direct()) }, each(func(c *chain, conn *match.Connection) int {
		return fitRanges(c.direct, conn.Direct())
	}), func(c *chain) string { return match.Ranges(c.direct).String() }},
	{"source type", sourceType, each(fitSourceType), func(c *chain) string {
		if c.match.SourceType == "ANY" {
			return ""
		}
		return c.match.SourceType
	}},
	{"source address", func(c *match.Connection) string { return address(c.Source) }, each(func(c *chain, conn *match.Connection) int {
		return fitRanges(c.source, conn.Source)
	}), func(c *chain) string { return match.Ranges(c.source).String() }},
	{"source port", func(c *match.Connection) string { return port(c.Source) }, each(fitSourcePort), func(c *chain) string {
		var texts []string
		for _, n := range c.match.SourcePorts {
			texts = append(texts, strconv.FormatUint(uint64(n), 10))
		}
		return strings.Join(texts, ",")
	}},
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

// fitRanges is the length of the longest range with the address in it. No ranges are as one of length 0. What has no IP address fits only that.
func fitRanges(ranges []netip.Prefix, ap netip.AddrPort) int {
	if len(ranges) == 0 {
		return 0
	}
	best := noFit
	for _, p := range ranges {
		if p.Bits() == 0 && !ap.IsValid() || p.Contains(ap.Addr().Unmap()) {
			best = max(best, p.Bits())
		}
	}
	return best
}

// fitServerName prefers the name itself, then the longest wildcard.
func fitServerName(c *chain, conn *match.Connection) int {
	if len(c.match.ServerNames) == 0 {
		return 0
	}
	name := match.Lower(conn.SNI)
	best := noFit
	for _, want := range c.match.ServerNames {
		want = match.Lower(want)
		suffix, wildcard := strings.CutPrefix(want, "*")
		switch {
		case name == "":
		case want == name:
			best = max(best, 1<<30)
		case wildcard && len(name) > len(suffix) && strings.HasSuffix(name, suffix) && suffix != "":
			best = max(best, len(suffix))
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

// fitProtocols goes by the order of the client's protocols: the first that any chain names decides.
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
		case len(c.match.Protocols) == 0:
			return 0
		case i >= 0 && slices.Contains(c.match.Protocols, conn.ALPN[i]):
			return 1
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
