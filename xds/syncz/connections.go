package syncz

import (
	"slices"
	"strings"
	"time"
	"unique"

	"github.com/meshlark/meshlark/xds/endpoint"
	"github.com/meshlark/meshlark/xds/rawjson"
)

const connections = "connections"

// A Connection is one client of an istiod with what it said when it connected. /debug/connections gives only the first
// three fields, /debug/adsz all of them.
type Connection struct {
	ConnectionID string // <pod>.<namespace>-<number>
	ProxyID      string // ConnectionID without its number
	ConnectedAt  time.Time
	Address      string // of the peer, ip:port
	Labels       map[string]string
	Metadata     rawjson.Value       // the node's metadata as istiod understood it
	Locality     string              // region/zone/sub-zone, ending where a part is missing
	Watches      map[string][]string // names asked for by type URL, sorted; an empty list asks for everything of the type
}

// ReadConnections reads what istiod serves at /debug/adsz or /debug/connections, in the order it gives.
func ReadConnections(src []byte) ([]Connection, error) {
	var out []Connection
	for off, doc := range documents(connections, src) {
		if doc.err != nil {
			return nil, doc.err
		}
		clients := doc.v.Get("clients")
		if doc.v.Kind() != rawjson.Object || !clients.Exists() && !doc.v.Get("totalClients").Exists() {
			return nil, otherDocument(connections, off, doc.v)
		}
		for v := range clients.Elems() {
			if !v.Get("connectionId").Exists() {
				return nil, otherDocument(connections, off, v)
			}
			out = append(out, readConnection(v))
		}
	}
	return out, nil
}

func readConnection(v rawjson.Value) Connection {
	c := Connection{
		ConnectionID: v.Str("connectionId"),
		ConnectedAt:  timestamp(v.Get("connectedAt")),
		Address:      v.Str("address"),
		Metadata:     slices.Clone(v.Get("metadata")), // not to hold on to the lists of names
		Locality:     endpoint.LocalityText(v.Get("locality")),
	}
	c.ProxyID = proxyID(c.ConnectionID)
	if labels := v.Get("labels"); labels.Kind() == rawjson.Object {
		c.Labels = make(map[string]string, labels.Len())
		for name, label := range labels.Members() {
			c.Labels[name] = label.Text()
		}
	}
	if watches := v.Get("watches"); watches.Kind() == rawjson.Object {
		c.Watches = make(map[string][]string, watches.Len())
		for typeURL, names := range watches.Members() {
			list := make([]string, 0, names.Len())
			for name := range names.Elems() {
				list = append(list, unique.Make(name.Text()).Value()) // most clients ask for the same
			}
			slices.Sort(list) // istiod writes them in random order
			c.Watches[typeURL] = list
		}
	}
	return c
}

func proxyID(connectionID string) string {
	i := strings.LastIndexByte(connectionID, '-')
	if i < 0 || i+1 == len(connectionID) || strings.Trim(connectionID[i+1:], "0123456789") != "" {
		return connectionID
	}
	return connectionID[:i]
}
