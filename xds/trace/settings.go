package trace

import (
	"strings"

	"github.com/meshlark/meshlark/xds/extension"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/routing"
)

// routeSettings are what a route and the levels above it say of one HTTP filter.
type routeSettings struct {
	// off and on say that the most specific level that names the filter turns it off, or on.
	off, on bool
	// configs are the settings for it, the most specific first.
	configs []extension.Config
}

// most is the most specific settings, absent for none.
func (s routeSettings) most() extension.Config {
	if len(s.configs) == 0 {
		return extension.Config{}
	}
	return s.configs[0]
}

// of are the settings of a type, the most specific first: of those that Envoy puts together, it passes over any of another type.
func (s routeSettings) of(name string) []rawjson.Value {
	var out []rawjson.Value
	for _, c := range s.configs {
		if c.Is(name) {
			out = append(out, c.Value)
		}
	}
	return out
}

// levelsOf are the settings for filters (typed_per_filter_config), the most specific first: those of the weighted cluster, the route, the virtual host and
// the table. Without a route there are none, nor where a virtual host redirects to https before routes are looked at.
func levelsOf(result *routing.Result, table *routing.Table) []rawjson.Value {
	const field = "typed_per_filter_config"
	route := result.View.Fields()
	if !result.Found || !route.Value().Exists() || table == nil {
		return nil
	}
	var levels []rawjson.Value
	add := func(v rawjson.Value) {
		if v.Exists() {
			levels = append(levels, v)
		}
	}
	if name := followed(result); name != "" {
		for w := range route.Get("route", "weighted_clusters", "clusters").Elems() {
			if w.Str("name") == name {
				add(w.Get(field))
				break
			}
		}
	}
	add(route.Get(field))
	add(result.HostView.Fields().Get(field))
	add(table.Settings().Get(field))
	return levels
}

// settingsFor reads the settings for the filter of a name.
func settingsFor(name string, levels []rawjson.Value) routeSettings {
	var out routeSettings
	for _, level := range levels {
		for key, v := range level.Members() {
			if key != name {
				continue
			}
			typ, value := extension.Any(v)
			off := false
			if strings.HasSuffix(typ, "route.v3.FilterConfig") {
				off = value.Get("disabled").IsTrue()
				typ, value = extension.Any(value.Get("config"))
			}
			if !out.off && !out.on {
				out.off, out.on = off, !off
			}
			if !off && typ != "" {
				out.configs = append(out.configs, extension.Config{Name: name, Type: typ, Value: value})
			}
		}
	}
	return out
}

// splitSettings reports whether the clusters of a route have settings of their own for filters, and chance decides among them.
func splitSettings(result *routing.Result) bool {
	if result.Cluster != "" || len(result.Clusters) < 2 {
		return false
	}
	for w := range result.View.Fields().Get("route", "weighted_clusters", "clusters").Elems() {
		if w.Get("typed_per_filter_config").Len() > 0 {
			return true
		}
	}
	return false
}
