package syncz

import (
	"errors"
	"io"
	"strings"
	"time"

	"github.com/meshlark/meshlark/xds/endpoint"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/redact"
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

// ReadConnections reads what istiod serves at /debug/adsz or /debug/connections, in the order it gives, as it comes. Where the answer breaks off the error is
// that of src.
func ReadConnections(src io.Reader) ([]Connection, error) {
	f := rawjson.NewFeed(src)
	defer f.Close()
	r := connectionReader{Feed: f}
	err := r.documents()
	if broken := f.Err(); broken != nil {
		return nil, broken
	}
	var syntax *rawjson.SyntaxError
	if errors.As(err, &syntax) {
		err = &Error{connections, f.Position(int(syntax.Offset)).Offset, "invalid JSON: " + syntax.Msg}
	}
	if err != nil {
		return nil, err
	}
	return r.found, nil
}

// A connectionReader reads documents one after another.
type connectionReader struct {
	*rawjson.Feed
	found []Connection
	start int64  // of the document that is being read
	text  []byte // of one connection, reused
	told  []byte // what is read of it, reused
}

func (r *connectionReader) documents() error {
	i := r.Space(0)
	if i == len(r.Text) {
		return &Error{connections, 0, "the body is empty"}
	}
	for i < len(r.Text) {
		r.start = r.Position(i).Offset
		if !r.Is(i, '{') {
			return r.refuse(i)
		}
		end, err := r.document(i)
		if err != nil {
			return err
		}
		i = r.Space(end)
	}
	return nil
}

// refuse is the error of a document at i that is no object.
func (r *connectionReader) refuse(i int) error {
	if !r.Is(i, '[') {
		return notJSON(connections, r.start, r.Text[i:])
	}
	text, _, err := r.Compact(nil, i)
	if err != nil {
		return err
	}
	return otherDocument(connections, r.start, text)
}

func (r *connectionReader) document(i int) (int, error) {
	var others []string
	known := false
	end, err := r.Members(i, func(key string, at int) (int, error) {
		switch key {
		case "clients":
			known = known || !r.Is(at, 'n')
			if r.Is(at, '[') {
				return r.Elems(at, r.connection)
			}
		case "totalClients":
			known = known || !r.Is(at, 'n')
		}
		others = append(others, strings.Clone(key))
		text, end, err := r.Compact(r.text[:0], at)
		r.text = text
		return end, err
	})
	if err == nil && !known {
		err = otherFields(connections, r.start, others)
	}
	return end, err
}

// connection reads one connection. The names that it watches are most of the text.
func (r *connectionReader) connection(i int) (int, error) {
	text, end, err := r.Compact(r.text[:0], i)
	if err != nil {
		return end, err
	}
	r.text = text
	if v := rawjson.Value(text); !v.Get("connectionId").Exists() {
		return end, otherDocument(connections, r.start, v)
	}
	r.told = append(r.told[:0], '{')
	for key, v := range rawjson.Value(text).Members() {
		if key == "watches" {
			continue
		}
		if len(r.told) > 1 {
			r.told = append(r.told, ',')
		}
		r.told = append(append(rawjson.Quote(r.told, key), ':'), v...)
	}
	r.told = append(r.told, '}')
	v, _, err := redact.Compact(nil, r.told) // a client may say anything of itself
	if err != nil {
		return end, &Error{connections, r.start, "take out private material: " + err.Error()}
	}
	r.found = append(r.found, readConnection(v))
	return end, nil
}

func readConnection(v rawjson.Value) Connection {
	c := Connection{
		ConnectionID: v.Str("connectionId"),
		ConnectedAt:  timestamp(v.Get("connectedAt")),
		Address:      v.Str("address"),
		Metadata:     v.Get("metadata"),
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
