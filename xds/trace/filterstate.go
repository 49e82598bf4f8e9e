package trace

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"github.com/meshlark/meshlark/xds/extension"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/routing"
)

// A state is the filter state of a connection or of a request: objects by key.
type state map[string]object

// An object of the filter state.
type object struct {
	text   string
	fixed  bool   // it may not be set again
	shared string // how it goes on with a connection inside the proxy: ONCE, TRANSITIVE or "" for not at all
}

// texts are the objects as conditions see them; nil where nothing is known of any.
func (s state) texts() map[string]string {
	if s == nil {
		return nil
	}
	out := make(map[string]string, len(s))
	for key, o := range s {
		out[key] = o.text
	}
	return out
}

// with is the state after what a list of envoy.extensions.filters.common.set_filter_state.v3.FilterStateValue says: objects that are kept are not set again.
// note tells what is not known.
func (s state) with(list rawjson.Value, kept state, r *match.Request, on routing.Result, note func(string)) state {
	out := maps.Clone(s)
	for v := range list.Elems() {
		key := v.Str("object_key")
		o := object{fixed: v.Get("read_only").IsTrue(), shared: map[string]string{"ONCE": "ONCE", "1": "ONCE", "TRANSITIVE": "TRANSITIVE", "2": "TRANSITIVE"}[v.Str("shared_with_upstream")]}
		text, unknown, ok := routing.FillFormat(v.Get("format_string"), r, on, nil)
		if !ok {
			note("the value of filter state " + key)
			continue
		}
		o.text = text
		for _, u := range unknown {
			note(u)
		}
		if o.text == "" && v.Get("skip_if_empty").IsTrue() || !fitsObject(cmp.Or(v.Str("factory_key"), key), o.text) {
			continue
		}
		before, there := out[key]
		if _, taken := kept[key]; taken || there && (before.fixed || o.fixed) {
			continue
		}
		if out == nil {
			out = state{}
		}
		out[key] = o
	}
	return out
}

// fitsObject reports whether a text is one of which an object of a kind can be made.
func fitsObject(kind, text string) bool {
	switch kind {
	case "envoy.network.ip":
		_, err := netip.ParseAddr(text)
		return err == nil
	case localState, remoteState, overridesState:
		_, ok := parseEnd(text)
		return ok
	}
	return true
}

// onward is the state that a connection inside the proxy begins with.
func (s state) onward() state {
	out := state{}
	for key, o := range s {
		if o.shared == "" {
			continue
		}
		if o.shared == "ONCE" {
			o.shared = ""
		}
		out[key] = o
	}
	return out
}

// filterState is the filter that sets filter state for a request (set_filter_state): as itself says, then as the table, the virtual host and the route do. What the
// connection has stays as it is. Only itself can have the route looked up again.
func (p *passage) filterState(c extension.Config) {
	set := func(v rawjson.Value) {
		p.state = p.state.with(v.Get("on_request_headers"), p.connection, p.request, *p.result, func(text string) { p.unknown = append(p.unknown, text) })
		p.request.FilterState = p.state.texts()
	}
	set(c.Value)
	p.lookUp()
	for _, own := range slices.Backward(settingsFor(c.Name, p.levels).of("Config")) {
		set(own)
	}
	if c.Value.Get("clear_route_cache").IsTrue() {
		p.cleared = name(c)
	}
}

// identified is the connection with what its proxy presents of itself, which formats may write into the filter state.
func (t *tracer) identified(config Config, conn match.Connection) match.Connection {
	if w, ok := config.(Workload); ok && conn.TLS {
		conn.Identity = w.Identity()
	}
	return conn
}

// passedOn are the metadata that an internal connection has from the endpoint and the cluster it is made for, by filter.
func passedOn(socket extension.Config, endpoint, cluster rawjson.Value) map[string]any {
	out := map[string]any{}
	for v := range socket.Value.Get("passthrough_metadata").Elems() {
		from := rawjson.Value(nil)
		switch kind := v.Get("kind"); {
		case kind.Get("host").Exists():
			from = endpoint
		case kind.Get("cluster").Exists():
			from = cluster
		}
		name := v.Str("name")
		if got, err := rawjson.Decode(from.Get(name)); err == nil {
			out[name] = got
		}
	}
	return out
}
