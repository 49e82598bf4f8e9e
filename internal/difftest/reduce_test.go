package difftest

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// reduceLimit is how long a configuration is made smaller.
const reduceLimit = 2 * time.Minute

// reduce makes a piece of configuration smaller for as long as it still shows a difference: it leaves out elements of lists and members of objects, the
// largest parts first, and nothing of what the kept keys hold. first gives the index of the first of several that shows the difference, -1 for none.
func reduce(v any, kept []string, first func([]any) int) any {
	v = clone(v)
	for deadline := time.Now().Add(reduceLimit); time.Now().Before(deadline); {
		smaller := parts(v, kept)
		i := first(smaller)
		if i < 0 {
			break
		}
		v = smaller[i]
	}
	return v
}

// parts are copies of a piece of configuration, each without one element or member; those without much come first.
func parts(v any, kept []string) []any {
	type part struct {
		path []any
		size int
	}
	var all []part
	var walk func(path []any, v any)
	walk = func(path []any, v any) {
		visit := func(key, child any) {
			if name, ok := key.(string); ok && slices.Contains(kept, name) {
				return
			}
			at := append(path[:len(path):len(path)], key)
			all = append(all, part{at, len(text(child))})
			walk(at, child)
		}
		switch v := v.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				visit(key, v[key])
			}
		case []any:
			for i, child := range v {
				visit(i, child)
			}
		}
	}
	walk(nil, v)
	slices.SortStableFunc(all, func(a, b part) int { return b.size - a.size })
	var out []any
	for _, p := range all {
		out = append(out, without(v, p.path))
	}
	return out
}

// without is a copy that shares what is not on the way to the part that is left out.
func without(v any, path []any) any {
	switch v := v.(type) {
	case map[string]any:
		out := maps.Clone(v)
		if key := path[0].(string); len(path) == 1 {
			delete(out, key)
		} else {
			out[key] = without(v[key], path[1:])
		}
		return out
	case []any:
		i := path[0].(int)
		if len(path) == 1 {
			return slices.Delete(slices.Clone(v), i, i+1)
		}
		out := slices.Clone(v)
		out[i] = without(v[i], path[1:])
		return out
	}
	return v
}

// reduceListener makes a listener smaller for as long as differs says so of it.
func reduceListener(t *testing.T, l dict, kept []string, differs func(l dict, address string) bool) any {
	t.Helper()
	return reducePart(t, l, kept, func(v any) dict { return maps.Clone(v.(dict)) }, differs)
}

// reduceManager does so with the connection manager of a listener made by httpListener.
func reduceManager(t *testing.T, l dict, kept []string, differs func(l dict, address string) bool) any {
	t.Helper()
	return reducePart(t, managerOf(l), kept, func(v any) dict {
		whole := clone(l).(dict)
		whole["filter_chains"].([]any)[0].(dict)["filters"].([]any)[1].(dict)["typed_config"] = v
		return whole
	}, differs)
}

// reducePart makes a part of a listener smaller, all candidates of one round in an Envoy of their own.
func reducePart(t *testing.T, part any, kept []string, whole func(any) dict, differs func(l dict, address string) bool) any {
	t.Helper()
	return reduce(part, append(kept, "name", "address", "@type"), func(candidates []any) int {
		found := -1
		t.Run("smaller", func(t *testing.T) { // so that the Envoy ends with the round
			b := newBench(t)
			loaded := map[string]dict{}
			names := make([]string, len(candidates))
			for i, v := range candidates {
				d := whole(v)
				d["name"] = fmt.Sprintf("smaller%d_", i)
				if valid(d, &listenerv3.Listener{}) {
					names[i] = d["name"].(string)
					loaded[names[i]] = d
				}
			}
			ports, _ := b.load(t, loaded)
			found = slices.IndexFunc(names, func(name string) bool { return ports[name] != "" && differs(loaded[name], ports[name]) })
		})
		return found
	})
}

// valid reports whether a piece of configuration is one of a message, as Envoy looks at before anything else: one that is not has it refuse all others
// that come with it.
func valid(v any, as interface {
	proto.Message
	Validate() error
}) bool {
	return protojson.Unmarshal(text(v), as) == nil && as.Validate() == nil
}

// reduceNodes makes the configurations of proxies smaller for as long as differs says so of them, which starts an Envoy for each.
func reduceNodes(t *testing.T, nodes []*node, differs func(t *testing.T, nodes []*node) bool) any {
	t.Helper()
	var all []any
	for _, n := range nodes {
		all = append(all, n.parts())
	}
	deadline := time.Now().Add(reduceLimit)
	return reduce(all, []string{"name", "address", "@type", "filters", "load_assignment", "transport_socket", "typed_extension_protocol_options", "tables", "scopes"}, func(candidates []any) int {
		return slices.IndexFunc(candidates, func(v any) bool {
			list := v.([]any)
			if len(list) < len(nodes) || time.Now().After(deadline) {
				return false
			}
			var smaller []*node
			for i, n := range nodes {
				c := *n
				d := list[i].(dict)
				c.listeners, c.clusters, c.tables, c.scopes = listOf(d["listeners"]), listOf(d["clusters"]), listOf(d["tables"]), listOf(d["scopes"])
				if !c.valid() {
					return false
				}
				smaller = append(smaller, &c)
			}
			found := false
			t.Run("smaller", func(t *testing.T) { found = differs(t, smaller) })
			return found
		})
	})
}

func (n *node) valid() bool {
	ok := true
	for _, l := range n.listeners {
		ok = ok && valid(l, &listenerv3.Listener{})
	}
	for _, c := range n.clusters {
		ok = ok && valid(c, &clusterv3.Cluster{})
	}
	for _, r := range n.tables {
		ok = ok && valid(r, &routev3.RouteConfiguration{})
	}
	for _, r := range n.scopes {
		ok = ok && valid(r, &routev3.ScopedRouteConfiguration{})
	}
	return ok
}

// A configuration that shows a difference wherever it has a certain part becomes that part and what is around it.
func TestReduce(t *testing.T) {
	v := dict{"name": "l", "chains": []any{dict{"name": "a", "match": dict{"port": 80}}, dict{"name": "b", "match": dict{"port": 81, "sni": []any{"x", "y"}}}}, "timeout": "3s"}
	rounds := 0
	got := reduce(v, []string{"name"}, func(candidates []any) int {
		rounds++
		return slices.IndexFunc(candidates, func(c any) bool {
			chains, _ := c.(dict)["chains"].([]any)
			return slices.ContainsFunc(chains, func(chain any) bool {
				match, _ := chain.(dict)["match"].(dict)
				sni, _ := match["sni"].([]any)
				return slices.Contains(sni, any("y"))
			})
		})
	})
	want := dict{"name": "l", "chains": []any{dict{"name": "b", "match": dict{"sni": []any{"y"}}}}}
	if diff := cmp.Diff(any(want), got); diff != "" {
		t.Errorf("after %d rounds (-want +got):\n%s", rounds, diff)
	}
}
