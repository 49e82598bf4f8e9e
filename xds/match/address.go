package match

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/meshlark/meshlark/xds/endpoint"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// Ranges are address ranges, any of which may hold.
type Ranges []netip.Prefix

// NewRanges reads a list of envoy.config.core.v3.CidrRange; those that are not valid are left out.
func NewRanges(list rawjson.Value) Ranges {
	var out Ranges
	for v := range list.Elems() {
		if p, err := NewRange(v); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// NewRange reads a CidrRange. Bits after the prefix are dropped; a length that is too long for the address is the longest.
func NewRange(v rawjson.Value) (netip.Prefix, error) {
	addr, err := netip.ParseAddr(v.Str("address_prefix"))
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("read range %s: %w", endpoint.CIDR(v), err)
	}
	n, _ := v.Get("prefix_len").Uint()
	return netip.PrefixFrom(addr.WithZone(""), int(min(n, uint64(addr.BitLen())))).Masked(), nil
}

// Contains reports whether ip is in one of the ranges. IPv4 and IPv6 do not mix.
func (r Ranges) Contains(ip netip.Addr) bool {
	for _, p := range r {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// String lists the ranges.
func (r Ranges) String() string {
	texts := make([]string, len(r))
	for i, p := range r {
		texts[i] = p.String()
	}
	return strings.Join(texts, ",")
}

func parseIP(text string) (netip.Addr, error) {
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap.Addr(), nil
	}
	return netip.ParseAddr(text)
}

// ContainsText is Contains for an address as text; what is no address is in no range.
func (r Ranges) ContainsText(text string) bool {
	ip, err := netip.ParseAddr(text)
	return err == nil && r.Contains(ip)
}
