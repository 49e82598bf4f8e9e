package admin

import "github.com/meshlark/meshlark/xds/endpoint"

const listenersPath = "/listeners?format=json"

// A ListenerStatus is where a listener is bound: with the port the kernel gave when 0 was configured. Listeners that
// are not bound to their port (bind_to_port false) are there with the configured address.
type ListenerStatus struct {
	Name       string
	Address    endpoint.Address
	Additional []endpoint.Address
}

// ReadListeners reads the answer of /listeners?format=json.
func ReadListeners(src []byte) ([]ListenerStatus, error) {
	doc, err := compact(listenersPath, src)
	if err != nil {
		return nil, err
	}
	statuses, err := section(listenersPath, doc, "listener_statuses")
	if err != nil {
		return nil, err
	}
	var out []ListenerStatus
	for v := range statuses.Elems() {
		l := ListenerStatus{Name: v.Str("name"), Address: endpoint.NewAddress(v.Get("local_address"))}
		for a := range v.Get("additional_local_addresses").Elems() {
			l.Additional = append(l.Additional, endpoint.NewAddress(a))
		}
		out = append(out, l)
	}
	return out, nil
}
