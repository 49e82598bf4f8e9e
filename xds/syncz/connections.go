package syncz

import (
	"slices"
	"strings"
	"time"

	"github.com/meshlark/meshlark/xds/endpoint"
	"github.com/meshlark/meshlark/xds/rawjson"
)

const connections = "connections"

// A Connection is one client of an istiod with what it said when it connected. /debug/connections gives only the first
// three fields, /debug/adsz all of them. The names that the client watches are not read: they are most of the text, and nobody asks for them.
type Connection struct {
	ConnectionID string // <pod>.<namespace>-<number>
	ProxyID      string // ConnectionID without its number
	ConnectedAt  time.Time
	Address      string // of the peer, ip:port
	Labels       map[string]string
	Metadata     rawjson.Value // the node's metadata as istiod understood it
	Locality     string        // region/zone/sub-zone, ending where a part is missing
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
	return c
}

func proxyID(connectionID string) string {
	i := strings.LastIndexByte(connectionID, '-')
	if i < 0 || i+1 == len(connectionID) || strings.Trim(connectionID[i+1:], "0123456789") != "" {
		return connectionID
	}
	return connectionID[:i]
}
