package filterchain

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/meshlark/meshlark/xds/match"
)

// mostMatches is how many combinations of what one chain asks for are looked at, and of all chains of a listener together.
const mostMatches = 1 << 16

// Refused says why Envoy does not take a listener with these chains, "" when it does.
func (s *Set) Refused() string { return s.refused }

// refusal says why Envoy does not take a listener with these chains, "" when it does.
func (s *Set) refusal() string {
	named := map[string]bool{}
	taken := map[combination]*chain{}
	for _, c := range s.chains {
		m := c.view.Fields().Get("filter_chain_match")
		if m.Str("address_suffix") != "" || m.Get("suffix_len").Exists() {
			return fmt.Sprintf("%s asks for the end of an address (address_suffix, suffix_len), which is not implemented", called(c))
		}
		if s.tree.Exists() { // which chooses by name, and goes by nothing else
			name := c.view.Name()
			if name == "" || named[name] {
				return fmt.Sprintf("%s has no name of its own, by which filter_chain_matcher could choose it", called(c))
			}
			named[name] = true
			continue
		}
		for _, field := range [...]string{"prefix_ranges", "source_prefix_ranges", "direct_source_prefix_ranges"} {
			for v := range m.Get(field).Elems() {
				if _, err := match.NewRange(v); err != nil {
					return fmt.Sprintf("%s has a malformed IP address, %q", called(c), v.Str("address_prefix"))
				}
			}
		}
		for _, name := range c.match.ServerNames {
			if strings.Contains(name, "*") && !strings.HasPrefix(name, "*.") {
				return fmt.Sprintf("%s has the server name %q: only a name that begins with *. may have a *", called(c), name)
			}
		}
		for key := range c.combinations {
			if before, ok := taken[key]; ok {
				return fmt.Sprintf("%s and %s are for the same connections: %s", called(before), called(c), c.match)
			}
			if len(taken) == mostMatches {
				return ""
			}
			taken[key] = c
		}
	}
	return ""
}

func called(c *chain) string {
	if name := c.view.Name(); name != "" {
		return "chain " + name
	}
	return c.where()
}

// A combination is one of each of the things a chain asks for.
type combination struct {
	destinationPort                   uint32
	serverName, transport, protocol   string
	sourceType                        string
	destination, directSource, source netip.Prefix
	sourcePort                        uint32
}

// combinations goes over those of a chain. Where it asks for nothing there is a zero, which is not the same as what takes every address.
func (c *chain) combinations(yield func(combination) bool) {
	key := combination{transport: c.match.TransportProtocol, sourceType: c.match.SourceType}
	if c.match.DestinationPort != nil {
		key.destinationPort = *c.match.DestinationPort
	}
	for _, key.destination = range orZero(c.dest) {
		for _, name := range orZero(c.match.ServerNames) {
			key.serverName = serverName(name)
			for _, key.protocol = range orZero(c.match.Protocols) {
				for _, key.directSource = range orZero(c.direct) {
					for _, key.source = range orZero(c.source) {
						for _, key.sourcePort = range orZero(c.match.SourcePorts) {
							if !yield(key) {
								return
							}
						}
					}
				}
			}
		}
	}
}

// orZero is a list, or one zero for an empty one.
func orZero[T any](list []T) []T {
	if len(list) == 0 {
		return make([]T, 1)
	}
	return list
}
