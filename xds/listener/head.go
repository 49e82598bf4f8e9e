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
	rest           func() *rest
}

// A rest is what is read once of the body of a listener that is kept.
type rest struct {
	fields  rawjson.Fields
	filters []ListenerFilter
	chains  []Chain
}

func newRest(body rawjson.Value) *rest {
	l := New(body)
	r := &rest{fields: rawjson.NewFields(body).Index(1), filters: l.ListenerFilters()}
	for _, c := range l.Chains() {
		r.chains = append(r.chains, c.keep())
	}
	return r
}

// Lazy views a listener of which there are many: its name, addresses and where it gets its connections from are read from text now, and the body is
// asked for once, when something else is; what is read of it then is kept with the view. The text is not.
func Lazy(text rawjson.Value, body func() rawjson.Value) Listener {
	h := &head{rest: sync.OnceValue(func() *rest { return newRest(body()) })}
	var additional, bind, deprecated rawjson.Value
	// In one pass: there may be thousands of listeners, and long members among the short ones.
	for key, v := range text.Members() {
		switch key {
		case "name":
			h.name = v.Text()
		case "address":
			h.address = endpoint.NewAddress(v)
		case "additional_addresses", "additionalAddresses":
			additional = v
		case "traffic_direction", "trafficDirection":
			h.direction = direction(v)
		case "internal_listener", "internalListener":
			h.internal = v.Exists()
		case "use_original_dst", "useOriginalDst":
			h.useOriginalDst = v.IsTrue()
		case "bind_to_port", "bindToPort":
			bind = v
		case "deprecated_v1", "deprecatedV1":
			deprecated = v.Get("bind_to_port")
		}
	}
	h.addresses = addresses(h.address, additional)
	h.bindToPort = bindsToPort(bind, deprecated)
	return Listener{head: h}
}
