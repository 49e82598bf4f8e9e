package builtins

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/schema"
)

// wrappers are the members that tools and Envoy's own answers wrap resources in: config dumps and their elements, discovery responses, bootstraps, and
// the connection manager around a route table.
var wrappers = [...]string{
	"configs", "generic_xds_configs", "xds_config", "resources", "resource", "bootstrap", "static_resources",
	"listeners", "static_listeners", "dynamic_listeners", "active_state", "warming_state", "listener",
	"static_route_configs", "dynamic_route_configs", "route_config",
	"clusters", "static_clusters", "dynamic_active_clusters", "dynamic_warming_clusters", "cluster",
}

// wanted finds the one resource of a type in what was given: the resource by itself, or with what tools put around it, such as the list that istioctl
// prints and an element of a config dump.
func wanted(v rawjson.Value, m *schema.Message) (rawjson.Value, error) {
	s := search{message: m, short: m.Name[strings.LastIndexByte(m.Name, '.')+1:]}
	s.look(v, 0)
	switch {
	case len(s.found) == 1:
		return s.found[0], nil
	case len(s.found) > 1:
		var names []string
		for _, x := range s.found[:min(len(s.found), 5)] {
			names = append(names, fmt.Sprintf("%q", x.Str("name")))
		}
		if more := len(s.found) - len(names); more > 0 {
			names = append(names, fmt.Sprintf("%d more", more))
		}
		return nil, fmt.Errorf("there are %d of envoy's %s in it (%s), want one: give an element of the list, or read a whole config dump with config_dump", len(s.found), s.short, strings.Join(names, ", "))
	case s.other != nil:
		return nil, s.other
	}
	return nil, fmt.Errorf("there is none of envoy's %s in it", s.short)
}

// A search collects what could be meant, and says of the first thing that could not why.
type search struct {
	message *schema.Message
	short   string // name of the message without its package
	found   []rawjson.Value
	other   error
}

func (s *search) look(v rawjson.Value, depth int) {
	switch {
	case depth > maxDepth || v.Kind() == rawjson.Null: // an empty YAML document is null
		return
	case v.Kind() == rawjson.Array:
		for x := range v.Elems() {
			s.look(x, depth+1)
		}
		return
	case v.Kind() != rawjson.Object:
		s.refuse(fmt.Errorf("got %s, want envoy's %s", explain.Short(string(v)), s.short))
		return
	}
	typ := schema.TypeOfAny(v.Str("@type"))
	if typ != "" && typ[strings.LastIndexByte(typ, '.')+1:] == s.short {
		s.found = append(s.found, v)
		return
	}
	known, unknown := 0, []string(nil)
	for key := range v.Members() {
		switch _, ok := s.message.Field(key); {
		case key == "name" || key == "metadata" || key == "@type": // of no one in particular
		case ok:
			known++
		default:
			unknown = append(unknown, key)
		}
	}
	if typ == "" && known > 0 {
		s.found = append(s.found, v)
		return
	}
	wrapped := false
	for _, name := range wrappers {
		if inner := v.Get(name); inner.Kind() == rawjson.Object || inner.Kind() == rawjson.Array {
			wrapped = true
			s.look(inner, depth+1)
		}
	}
	switch {
	case wrapped:
	case typ != "":
		s.refuse(fmt.Errorf("got envoy's %s, want %s", typ, s.message.Name))
	case len(unknown) > 0:
		slices.Sort(unknown)
		if n := len(unknown); n > 5 {
			unknown = append(unknown[:5], fmt.Sprintf("%d more", n-5))
		}
		s.refuse(fmt.Errorf("envoy's %s has none of the members %s", s.short, strings.Join(unknown, ", ")))
	default:
		s.found = append(s.found, v)
	}
}

func (s *search) refuse(err error) {
	if s.other == nil {
		s.other = err
	}
}
