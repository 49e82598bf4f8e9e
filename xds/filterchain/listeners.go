package filterchain

import (
	"net/netip"
	"slices"
	"sync"

	"github.com/meshlark/meshlark/xds/listener"
)

// Listeners are those of a proxy, found by their names and by where they listen: there may be thousands, and a connection is for one or two. The
// index is made when something is first looked for.
type Listeners struct {
	list  []listener.Listener
	index func() *listenerIndex
}

// A listenerIndex has indexes of listeners in their order.
type listenerIndex struct {
	names map[string]int   // the first of each name
	ports map[uint32][]int // those with an address of the port
	// redirected are those that may be sent connections that were meant for other addresses.
	redirected []int
	handsOn    bool // whether any has use_original_dst
}

// NewListeners are the listeners of a list, which must not be changed afterwards.
func NewListeners(list []listener.Listener) *Listeners {
	s := &Listeners{list: list}
	s.index = sync.OnceValue(func() *listenerIndex {
		ix := &listenerIndex{names: make(map[string]int, len(list)), ports: map[uint32][]int{}}
		for i, l := range list {
			if _, taken := ix.names[l.Name()]; !taken {
				ix.names[l.Name()] = i
			}
			for _, a := range l.Addresses() {
				if at := ix.ports[a.Port]; len(at) == 0 || at[len(at)-1] != i {
					ix.ports[a.Port] = append(at, i)
				}
			}
			ix.handsOn = ix.handsOn || l.UseOriginalDst()
			if !l.Internal() && l.BindToPort() && (l.UseOriginalDst() || l.Direction() == "inbound") {
				ix.redirected = append(ix.redirected, i)
			}
		}
		return ix
	})
	return s
}

// All are the listeners in their order. They must not be changed.
func (s *Listeners) All() []listener.Listener { return s.list }

// Named is the first listener of a name; ok is false for none.
func (s *Listeners) Named(name string) (index int, ok bool) {
	index, ok = s.index().names[name]
	return index, ok
}

// Port are the listeners that have an address of a port, in their order.
func (s *Listeners) Port(port uint16) []int { return s.index().ports[uint32(port)] }

// Redirected is the first listener that takes connections of a direction which were meant for other addresses: outbound by use_original_dst, inbound by that
// or by the filter that restores the destination; ok is false for none.
func (s *Listeners) Redirected(inbound bool) (index int, ok bool) {
	for _, i := range s.index().redirected {
		l := s.list[i]
		if is := l.Direction() == "inbound"; is == inbound && (l.UseOriginalDst() || is && restores(l)) {
			return i, true
		}
	}
	return 0, false
}

// HandsOn reports whether any listener hands connections on to others.
func (s *Listeners) HandsOn() bool { return s.index().handsOn }

// restores reports whether a filter of the listener finds out where a connection was meant for before it was redirected.
func restores(l listener.Listener) bool {
	return slices.ContainsFunc(l.ListenerFilters(), func(f listener.ListenerFilter) bool { return listenerFilter(f.Config) == "original_dst" })
}

// At is the listener that binds an address itself, -1 for none: the one of exactly the address, else the one of any address.
func (s *Listeners) At(dst netip.AddrPort) int {
	found := -1
	for _, i := range s.Port(dst.Port()) {
		l := s.list[i]
		if l.Internal() || !l.BindToPort() {
			continue
		}
		for _, a := range l.Addresses() {
			switch {
			case a.UDP || a.Port != uint32(dst.Port()):
			case a.Host == dst.Addr().Unmap().String():
				return i
			case found < 0 && (a.Host == "0.0.0.0" || a.Host == "::"):
				found = i
			}
		}
	}
	return found
}
