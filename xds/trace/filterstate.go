package trace

import (
	"cmp"
	"net/netip"
	"strings"

	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/extension"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/routing"
)

// A filterState is what filters keep of a connection or request beside its metadata, by key. It goes on to a listener inside the proxy as far as its
// objects are shared with upstream connections.
type filterState map[string]object

type object struct {
	text   string
	shared sharing
}

// sharing says how far an object goes on.
type sharing int

const (
	unshared   sharing = iota
	once               // to the upstream connection
	transitive         // and to those after it
)

// texts are the objects as text; nil where nothing is known of any.
func (s filterState) texts() map[string]string {
	if s == nil {
		return nil
	}
	out := make(map[string]string, len(s))
	for key, o := range s {
		out[key] = o.text
	}
	return out
}

// onward are the objects that a connection inside the proxy has from the one before.
func (s filterState) onward() filterState {
	out := filterState{}
	for key, o := range s {
		switch o.shared {
		case once:
			out[key] = object{text: o.text}
		case transitive:
			out[key] = o
		}
	}
	return out
}

// setsState reports whether a filter, of HTTP or of the network, sets objects of the filter state.
func setsState(c extension.Config) bool { return strings.Contains(c.Type, ".set_filter_state.") }

// setState has a filter set objects of the filter state from formats. What it sets is visible to r and to what comes after.
func (t *tracer) setState(config Config, c extension.Config, field string, r *match.Request) {
	if w, ok := config.(Workload); ok && r.Connection.TLS {
		r.Connection.Identity = w.Identity()
	}
	step := explain.Step{Question: "does filter " + name(c) + " change what later decisions go by?", Answer: "it sets filter state"}
	if t.state == nil {
		t.state = filterState{}
	}
	for v := range c.Value.Get(field).Elems() {
		format := v.Get("format_string", "text_format_source", "inline_string")
		absent := "-"
		if v.Get("format_string", "omit_empty_values").IsTrue() {
			absent = ""
		}
		text, unmodelled := routing.Format(format.Text(), r, absent)
		step.Unmodelled = append(step.Unmodelled, unmodelled...)
		key := v.Str("object_key")
		if !format.Exists() {
			step.Unmodelled = append(step.Unmodelled, "the format of "+key)
			continue
		}
		if text == "" && v.Get("skip_if_empty").IsTrue() || !makes(cmp.Or(v.Str("factory_key"), key), text) {
			continue
		}
		o := object{text: text}
		switch v.Str("shared_with_upstream") {
		case "ONCE", "1":
			o.shared = once
		case "TRANSITIVE", "2":
			o.shared = transitive
		}
		t.state[key] = o
		step.Inputs = append(step.Inputs, explain.Input{Name: key, Value: text})
	}
	r.FilterState = t.state.texts()
	t.step(step)
}

// makes reports whether an object can be made of a text. What is no address leaves the object as it was.
func makes(factory, text string) bool {
	ok := true
	switch factory {
	case localState, remoteState, overridesState:
		_, ok = parseEnd(text)
	case "envoy.network.ip":
		_, err := netip.ParseAddr(text)
		ok = err == nil
	}
	return ok
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
