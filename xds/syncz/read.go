package syncz

import (
	"github.com/meshlark/meshlark/xds/naming"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/redact"
)

const syncStatus = "sync status"

// Read reads sync status in any of its forms, several documents one after another included:
//
//   - what istiod serves at /debug/syncz: an array of entries with a `resources` object by type URL (nonces, time, last
//     error), or in older versions with nonces in fields of their own (cluster_sent, cluster_acked...);
//   - a map of such arrays by istiod, as `istioctl x internal-debug syncz --all` prints;
//   - the discovery response to istio.io/debug/syncz, as `istioctl proxy-status -o json` prints, in snake_case or
//     lowerCamelCase; its resources, or one ClientConfig, by themselves; with generic_xds_configs or the older
//     xds_config.
//
// Clients come in the order of the document.
func Read(src []byte) ([]Client, error) {
	var out []Client
	for off, doc := range documents(syncStatus, src) {
		if doc.err != nil {
			return nil, doc.err
		}
		clients, err := readDocument(off, doc.v)
		if err != nil {
			return nil, err
		}
		out = append(out, clients...)
	}
	return out, nil
}

func readDocument(off int64, v rawjson.Value) ([]Client, error) {
	if v.Kind() == rawjson.Array {
		return readArray(off, v, "")
	}
	switch {
	case isClient(v):
		return []Client{readClient(v, "")}, nil
	case v.Get("resources").Kind() == rawjson.Array:
		return readArray(off, v.Get("resources"), istiodID(v))
	case v.Get("config").Kind() == rawjson.Array: // ClientStatusResponse
		return readArray(off, v.Get("config"), "")
	case v.Get("version_info").Exists() || v.Get("control_plane").Exists() || v.Get("type_url").Exists():
		return nil, nil // a response without clients: proto JSON leaves out the empty list
	}
	if v.Len() == 0 {
		return nil, nil
	}
	var out []Client
	for istiod, list := range v.Members() {
		if list.Kind() != rawjson.Array {
			return nil, otherDocument(syncStatus, off, v)
		}
		clients, err := readArray(off, list, istiod)
		if err != nil {
			return nil, err
		}
		out = append(out, clients...)
	}
	return out, nil
}

func readArray(off int64, list rawjson.Value, istiod string) ([]Client, error) {
	var out []Client
	for v := range list.Elems() {
		if inner := v.Get("resource"); inner.Kind() == rawjson.Object { // a named discovery Resource
			v = inner
		}
		switch {
		case isClient(v):
			out = append(out, readClient(v, istiod))
		case v.Get("resources").Kind() == rawjson.Array: // responses of several istiods, made one document by a user
			clients, err := readDocument(off, v)
			if err != nil {
				return nil, err
			}
			out = append(out, clients...)
		default:
			return nil, otherDocument(syncStatus, off, v)
		}
	}
	return out, nil
}

// isClient tells an entry, of either form, from what may hold some.
func isClient(v rawjson.Value) bool {
	return v.Get("node").Kind() == rawjson.Object || v.Get("proxy").Kind() == rawjson.String
}

func readClient(v rawjson.Value, istiod string) Client {
	var c Client
	if node := v.Get("node"); node.Kind() == rawjson.Object {
		c = readClientConfig(v, node)
	} else {
		c = readEntry(v)
	}
	if c.Istiod == "" {
		c.Istiod = istiod
	}
	sortTypes(c.Types)
	return c
}

// readClientConfig reads an envoy.service.status.v3.ClientConfig as istiod fills it in.
func readClientConfig(v, node rawjson.Value) Client {
	var c Client
	c.setNode(node.Str("id"))
	if metadata, _, err := redact.Compact(nil, node.Get("metadata")); err == nil { // a client may say anything of itself
		id := naming.Subject(metadata)
		c.ClusterID, c.IstioVersion = id.ClusterID, id.IstioVersion
		if id.Namespace != "" {
			c.Namespace = id.Namespace
		}
	}
	generic := v.Get("generic_xds_configs")
	for x := range generic.Elems() {
		t := TypeStatus{
			TypeURL:  x.Str("type_url"),
			SentAt:   timestamp(x.Get("last_updated")),
			FailedAt: timestamp(x.Get("error_state", "last_update_attempt")),
			Error:    redact.Text(x.Str("error_state", "details")),
		}
		c.addConfig(t, x.Get("config_status"))
	}
	if generic.Len() > 0 {
		return c
	}
	for x := range v.Get("xds_config").Elems() {
		for _, section := range [...]struct{ field, short string }{
			{"cluster_config", "CDS"}, {"listener_config", "LDS"}, {"endpoint_config", "EDS"}, {"route_config", "RDS"},
		} {
			if x.Get(section.field).Exists() {
				c.addConfig(TypeStatus{TypeURL: naming.TypeURL(section.short)}, x.Get("status"))
			}
		}
	}
	return c
}

// addConfig adds a type whose status istiod worked out. A status of UNKNOWN, which proto JSON leaves out, says that the client
// does not ask for the type; names newer than this package are kept.
func (c *Client) addConfig(t TypeStatus, status rawjson.Value) {
	names := [...]Status{"UNKNOWN", Synced, NotSent, Stale, Rejected}
	t.Status = Status(status.Text())
	if n, ok := status.Uint(); ok && n < uint64(len(names)) {
		t.Status = names[n]
	}
	if t.Status == "" || t.Status == "UNKNOWN" || t.Status == "IGNORED" {
		return
	}
	t.Type = naming.ShortType(t.TypeURL)
	c.Types = append(c.Types, t)
}

// readEntry reads an entry of /debug/syncz.
func readEntry(v rawjson.Value) Client {
	var c Client
	c.setNode(v.Str("proxy"))
	c.ClusterID, c.IstioVersion, c.Istiod = v.Str("cluster_id"), v.Str("istio_version"), v.Str("pilot")
	if kind := v.Str("proxy_type"); kind != "" {
		c.Type = kind
	}
	resources := v.Get("resources")
	if resources.Kind() != rawjson.Object {
		c.addNonces(v)
		return c
	}
	for typeURL, r := range resources.Members() {
		t := TypeStatus{
			TypeURL:    typeURL,
			Type:       naming.ShortType(typeURL),
			SentNonce:  r.Str("sent"),
			AckedNonce: r.Str("acked"),
			SentAt:     timestamp(r.Get("sentTime")),
			Error:      redact.Text(r.Str("lastError")),
		}
		if t.Error != "" {
			t.FailedAt = t.SentAt
		}
		t.Status = statusOf(t)
		c.Types = append(c.Types, t)
	}
	return c
}

// addNonces reads the nonces of an entry without `resources`. Empty ones are left out of the text, so a type that was not
// sent cannot be told from one not asked for. What istioctl made of it is kept: the four types every proxy asks for
// are NOT_SENT, unless nothing at all was sent or it is a ztunnel, which asks for none of them.
func (c *Client) addNonces(v rawjson.Value) {
	var types []TypeStatus
	any := false
	for _, field := range [...]struct{ name, short string }{
		{"cluster", "CDS"}, {"listener", "LDS"}, {"endpoint", "EDS"}, {"route", "RDS"}, {"extensionconfig", "ECDS"},
	} {
		t := TypeStatus{
			TypeURL:    naming.TypeURL(field.short),
			Type:       field.short,
			SentNonce:  v.Str(field.name + "_sent"),
			AckedNonce: v.Str(field.name + "_acked"),
		}
		present := t.SentNonce != "" || t.AckedNonce != ""
		any = any || present
		if present || field.short != "ECDS" && c.Type != "ztunnel" {
			t.Status = statusOf(t)
			types = append(types, t)
		}
	}
	if any {
		c.Types = types
	}
}

// istiodID gives the name in a response's control_plane.identifier, which is JSON in a string.
func istiodID(response rawjson.Value) string {
	identifier := response.Str("control_plane", "identifier")
	if id, err := rawjson.Compact(nil, []byte(identifier)); err == nil && rawjson.Value(id).Kind() == rawjson.Object {
		return rawjson.Value(id).Str("ID")
	}
	return identifier
}
