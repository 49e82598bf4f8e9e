package trace

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/route"
	"github.com/meshlark/meshlark/xds/routing"
)

// tableKey is what the table of an inline route configuration is kept under with its connection manager.
type tableKey struct{}

// table is the route table of a connection manager for a request.
func (t *tracer) table(config Config, manager listener.HTTPManager, r *match.Request) (*routing.Table, explain.Step, bool) {
	step := explain.Step{Question: "which route table?"}
	if inline, ok := manager.Routes(); ok {
		step.Answer = "inline: " + cmp.Or(inline.Name(), "without a name")
		t.hop.Table = inline.Name()
		table := manager.Fields().Derived(tableKey{}, func() any { return routing.New(inline) })
		return table.(*routing.Table), step, true
	}
	name := manager.RouteName()
	if scopes, ok := manager.Scopes(); ok {
		bodies := append(scopes.Inline, config.Scopes(scopes.Name)...)
		body, key := scope(scopes.Keys, bodies, r)
		step.Inputs = []explain.Input{{Name: "scope", Value: strings.Join(key, ",")}}
		if inline := body.Get("route_configuration"); inline.Exists() {
			step.Answer = "inline, of scope " + body.Str("name")
			t.hop.Table = inline.Str("name")
			return routing.New(route.New(inline)), step, true
		}
		if name = body.Str("route_configuration_name"); name == "" {
			step.Answer = "none: no scope has that key"
			return nil, step, false
		}
	}
	t.hop.Table = name
	table, ok := config.Table(name)
	if !ok {
		step.Answer = fmt.Sprintf("%s, which the proxy does not have", name)
		return nil, step, false
	}
	step.Answer = name
	return table, step, true
}

// scope finds the scoped route configuration whose key is that of the request. Its key is made of fragments of headers, all of which have to be
// there.
func scope(builder rawjson.Value, bodies []rawjson.Value, r *match.Request) (body rawjson.Value, key []string) {
	for fragment := range builder.Get("fragments").Elems() {
		extractor := fragment.Get("header_value_extractor")
		value, ok := r.First(match.Lower(extractor.Str("name")))
		if !ok {
			return nil, key
		}
		parts := []string{value}
		if separator := extractor.Str("element_separator"); separator != "" {
			parts = strings.Split(value, separator)
		}
		found := false
		if element := extractor.Get("element"); element.Exists() {
			for _, part := range parts {
				// An element that is only the key has no value, but is one.
				if name, rest, _ := strings.Cut(part, element.Str("separator")); name == element.Str("key") {
					value, found = rest, true
					break
				}
			}
		} else {
			n, _ := extractor.Get("index").Uint()
			if found = n < uint64(len(parts)); found {
				value = parts[n]
			}
		}
		if !found {
			return nil, key
		}
		key = append(key, value)
	}
	for _, body := range bodies {
		var have []string
		for fragment := range body.Get("key", "fragments").Elems() {
			have = append(have, fragment.Str("string_key"))
		}
		if len(key) > 0 && slices.Equal(have, key) {
			return body, key
		}
	}
	return nil, key
}
