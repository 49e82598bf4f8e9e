package filterchain

import (
	"bytes"
	"net/netip"
	"strconv"

	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// AddressOf finds an address whose connections to a port the matcher tree gives to a chain, as the listener of a waypoint has a chain for each
// service. It is not valid when there is none, and where chains are found without a tree.
func (s *Set) AddressOf(chain string, port uint16) netip.Addr {
	name := []byte(strconv.Quote(chain))
	for _, ip := range addresses(s.tree, name, 0) {
		if got := s.Match(&match.Request{Connection: match.Connection{Destination: netip.AddrPortFrom(ip, port)}}); got.Found && got.Chain == chain {
			return ip
		}
	}
	return netip.Addr{}
}

// addresses are those that stand in a tree where it goes on to an action of a name.
func addresses(tree rawjson.Value, name []byte, depth int) []netip.Addr {
	const deepest = 16
	if depth > deepest || !bytes.Contains(tree, name) {
		return nil
	}
	var out []netip.Addr
	add := func(ip netip.Addr, err error) {
		if err == nil {
			out = append(out, ip.Unmap())
		}
	}
	below := func(on rawjson.Value) { out = append(out, addresses(on.Get("matcher"), name, depth+1)...) }
	for m := range tree.Get("matcher_list", "matchers").Elems() {
		below(m.Get("on_match"))
	}
	below(tree.Get("on_no_match"))
	for m := range tree.Get("matcher_tree", "custom_match", "typed_config", "range_matchers").Elems() {
		on := m.Get("on_match")
		if !bytes.Contains(on, name) {
			continue
		}
		for _, p := range match.NewRanges(m.Get("ranges")) {
			add(p.Addr(), nil)
		}
		below(on)
	}
	for key, on := range tree.Get("matcher_tree", "exact_match_map", "map").Members() {
		if bytes.Contains(on, name) {
			add(netip.ParseAddr(key))
		}
		below(on)
	}
	return out
}
