package difftest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"testing"
)

// shrink makes a table smaller for as long as a request still shows a difference, and gives the smallest.
func shrink(t *testing.T, table, settings dict, r request) dict {
	t.Helper()
	for {
		smaller := smallerTables(table)
		i := firstDifferent(t, smaller, settings, r)
		if i < 0 {
			return table
		}
		table = smaller[i]
	}
}

// smallerTables are copies of a table, each without one thing.
func smallerTables(table dict) []dict {
	var out []dict
	without := func(edit func(dict)) {
		var c dict
		if err := json.Unmarshal(text(table), &c); err != nil {
			panic(err) // it was JSON a moment ago
		}
		edit(c)
		out = append(out, c)
	}
	for key := range table {
		if key != "virtual_hosts" && key != "name" && key != "validate_clusters" {
			without(func(c dict) { delete(c, key) })
		}
	}
	hosts, _ := table["virtual_hosts"].([]any)
	for i := range hosts {
		if len(hosts) > 1 {
			without(func(c dict) {
				list := c["virtual_hosts"].([]any)
				c["virtual_hosts"] = append(list[:i:i], list[i+1:]...)
			})
		}
		host := func(c dict) dict { return c["virtual_hosts"].([]any)[i].(dict) }
		for key := range host(table) {
			if key != "name" && key != "domains" && key != "routes" && key != "matcher" && key != "metadata" {
				without(func(c dict) { delete(host(c), key) })
			}
		}
		routes, _ := host(table)["routes"].([]any)
		for j := range routes {
			without(func(c dict) {
				list := host(c)["routes"].([]any)
				host(c)["routes"] = append(list[:j:j], list[j+1:]...)
			})
			for _, part := range []string{"match", "route", "redirect"} {
				inner, _ := routes[j].(dict)[part].(dict)
				for key := range inner {
					without(func(c dict) { delete(host(c)["routes"].([]any)[j].(dict)[part].(dict), key) })
				}
			}
			for _, key := range []string{"request_headers_to_add", "request_headers_to_remove", "response_headers_to_add", "response_headers_to_remove"} {
				if routes[j].(dict)[key] != nil {
					without(func(c dict) { delete(host(c)["routes"].([]any)[j].(dict), key) })
				}
			}
		}
	}
	return out
}

// firstDifferent is the first of several tables that shows a difference, -1 for none. They have an Envoy of their own.
func firstDifferent(t *testing.T, tables []dict, settings dict, r request) int {
	t.Helper()
	b := newBench(t)
	listeners := map[string]dict{}
	name := func(i int) string { return fmt.Sprintf("table%d_", i) }
	for i, table := range tables {
		listeners[name(i)] = httpListener(name(i), table)
		manager := managerOf(listeners[name(i)])
		for key, v := range settings {
			manager[key] = v
		}
	}
	ports, _ := b.load(t, listeners)
	for i, table := range tables {
		if ports[name(i)] == "" {
			continue // Envoy refuses it
		}
		conn, err := net.Dial("tcp", ports[name(i)])
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.send(conn, bufio.NewReader(conn))
		conn.Close()
		if err == nil && len(newPredictor(listeners[name(i)], table).predict(r).differences(got)) > 0 {
			return i
		}
	}
	return -1
}
