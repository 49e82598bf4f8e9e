package listener

import (
	"sync"

	"github.com/meshlark/meshlark/xds/endpoint"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// A head is what says which connections come to a listener, read once.
type head struct {
	name           string
	address        endpoint.Address
	addresses      []endpoint.Address
	direction      string
	internal       bool
	useOriginalDst bool
	bindToPort     bool
	body           func() rawjson.Value
}

// Lazy views a listener of which there are many: its name, addresses and where it gets its connections from are read from text now, and the body is
// asked for once, when something else is. The text is not kept.
func Lazy(text rawjson.Value, body func() rawjson.Value) Listener {
	l := New(few(text))
	h := &head{
		name: l.Name(), direction: l.Direction(), internal: l.Internal(),
		useOriginalDst: l.UseOriginalDst(), bindToPort: l.BindToPort(), body: sync.OnceValue(body),
	}
	h.address = l.Address()
	h.addresses = l.Addresses()
	return Listener{head: h}
}

// few is a listener with nothing but the members a head is read from, so that the many and long others are passed over once.
func few(text rawjson.Value) rawjson.Value {
	out := []byte{'{'}
	for key, v := range text.Members() {
		switch key {
		case "name", "address", "additional_addresses", "additionalAddresses", "traffic_direction", "trafficDirection", "internal_listener", "internalListener",
			"use_original_dst", "useOriginalDst", "bind_to_port", "bindToPort", "deprecated_v1", "deprecatedV1":
			if len(out) > 1 {
				out = append(out, ',')
			}
			out = append(rawjson.Quote(out, key), ':')
			out = append(out, v...)
		}
	}
	return append(out, '}')
}
