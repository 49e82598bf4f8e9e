package difftest

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// A filterFault is a request that showed a difference at a listener with filters.
type filterFault struct {
	listener dict
	request  request
	conn     connection
}

// shrink makes the listener smaller for as long as the request still shows a difference.
func (f filterFault) shrink(t *testing.T) dict {
	t.Helper()
	for {
		smaller := smallerFilters(f.listener)
		i := f.firstDifferent(t, smaller)
		if i < 0 {
			return f.listener
		}
		f.listener = smaller[i]
	}
}

// firstDifferent is the first of several listeners that shows a difference, -1 for none. They have an Envoy of their own.
func (f filterFault) firstDifferent(t *testing.T, candidates []dict) int {
	t.Helper()
	b := newBench(t)
	listeners := map[string]dict{}
	for i, l := range candidates {
		l["name"] = fmt.Sprintf("smaller%d_", i)
		listeners[l["name"].(string)] = l
	}
	ports, _ := b.load(t, listeners)
	for i, l := range candidates {
		address := ports[l["name"].(string)]
		if address == "" {
			continue // Envoy refuses it
		}
		c, err := newFilterCase(f.request, f.conn, address, filterProxy{listener.New(rawjson.Value(text(l)))})
		if err == nil && len(c.differences()) > 0 {
			return i
		}
	}
	return -1
}

// smallerFilters are copies of a listener, each without one filter, setting of the connection manager, route or settings for filters.
func smallerFilters(l dict) []dict {
	var out []dict
	without := func(edit func(manager dict)) {
		var c dict
		if err := json.Unmarshal(text(l), &c); err != nil {
			panic(err) // it was JSON a moment ago
		}
		edit(managerOf(c))
		out = append(out, c)
	}
	var full dict
	if err := json.Unmarshal(text(l), &full); err != nil {
		panic(err)
	}
	manager := managerOf(full)
	filters := manager["http_filters"].([]any)
	for i := 1; i < len(filters)-1; i++ { // the first tells what happened, the last is the router
		without(func(m dict) {
			list := m["http_filters"].([]any)
			m["http_filters"] = append(list[:i:i], list[i+1:]...)
		})
	}
	for key := range manager {
		switch key {
		case "@type", "stat_prefix", "route_config", "http_filters":
		default:
			without(func(m dict) { delete(m, key) })
		}
	}
	table := func(m dict) dict { return m["route_config"].(dict) }
	host := func(m dict) dict { return table(m)["virtual_hosts"].([]any)[0].(dict) }
	for _, level := range []func(dict) dict{table, host} {
		for key := range level(manager) {
			if key != "name" && key != "virtual_hosts" && key != "domains" && key != "routes" {
				without(func(m dict) { delete(level(m), key) })
			}
		}
	}
	routes, _ := host(manager)["routes"].([]any)
	for i := range routes {
		without(func(m dict) {
			list := host(m)["routes"].([]any)
			host(m)["routes"] = append(list[:i:i], list[i+1:]...)
		})
		settings, _ := routes[i].(dict)["typed_per_filter_config"].(dict)
		for name := range settings {
			without(func(m dict) {
				delete(host(m)["routes"].([]any)[i].(dict)["typed_per_filter_config"].(dict), name)
			})
		}
	}
	return out
}
