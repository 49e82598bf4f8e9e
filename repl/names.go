package repl

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.starlark.net/starlark"

	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/repl/complete"
	"github.com/meshlark/meshlark/session"
)

// names gives real names for strings that are being typed. It asks the mesh
// what a person would ask, in a session of its own, and keeps the answers for a
// while. Reading goes on when completion does not wait any longer, so that the
// next Tab has the names.
//
// It never asks a fleet: where the call would, one proxy stands for all.
type names struct {
	o Options

	mu    sync.Mutex
	known map[string]*answer
}

type answer struct {
	done  chan struct{}
	asked time.Time
	names []string // once done
}

const (
	namesLast     = 30 * time.Second // how long answers are used
	namesPatience = 15 * time.Second // how long they are waited for in the background
	namesMost     = 5000
)

func newNames(o Options) *names { return &names{o: o, known: map[string]*answer{}} }

var _ complete.Provider = (*names)(nil)

// forget makes the names be asked for anew.
func (n *names) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.known)
}

// Names implements [complete.Provider].
func (n *names) Names(ctx context.Context, a complete.Argument) []string {
	if a.Function == "run" && a.Parameter == "name" && n.o.Runbooks != nil {
		return n.o.Runbooks()
	}
	question := question(a)
	if question == "" {
		return nil
	}
	key := question
	if a.Receiver != nil {
		key += " " + a.Receiver.String()
	}
	ans := n.ask(key, question, a.Receiver)
	select {
	case <-ans.done:
		return ans.names
	case <-ctx.Done():
		return nil
	}
}

func (n *names) ask(key, question string, recv starlark.Value) *answer {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.o.Clock()
	if ans := n.known[key]; ans != nil && now.Sub(ans.asked) < namesLast {
		return ans
	}
	ans := &answer{done: make(chan struct{}), asked: now}
	n.known[key] = ans
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), namesPatience)
		defer cancel()
		names, err := n.evaluate(ctx, question, recv)
		if err != nil { // not worth a message, but worth another try
			n.mu.Lock()
			if n.known[key] == ans {
				delete(n.known, key)
			}
			n.mu.Unlock()
		}
		ans.names = names
		close(ans.done)
	}()
	return ans
}

// evaluate evaluates an expression that gives strings. The receiver is the
// variable r in it.
func (n *names) evaluate(ctx context.Context, expr string, recv starlark.Value) ([]string, error) {
	m, why := n.o.Session.Mesh()
	o := session.Options{Mesh: m, MeshError: why, Predeclared: builtins.Predeclared()}
	if recv != nil {
		o.Predeclared["r"] = recv
	}
	res, err := session.New(o).Eval(ctx, "<names>", expr)
	if err != nil {
		return nil, err
	}
	list, ok := res.Value.(starlark.Iterable)
	if !ok {
		return nil, nil
	}
	var out []string
	for v := range starlark.Elements(list) {
		if s, ok := starlark.AsString(v); ok && s != "" {
			out = append(out, s)
		}
	}
	slices.Sort(out)
	out = slices.Compact(out)
	return out[:min(len(out), namesMost)], nil
}

// question is the expression that gives what an argument can be, "" if there is
// none. It follows from the registry: a parameter that is called like a field of
// what the function gives is compared with that field.
func question(a complete.Argument) string {
	recv, name, isMethod := strings.Cut(a.Function, ".")
	if !isMethod {
		recv, name = "", a.Function
	}
	mesh := "mesh"
	if recv == "Mesh" && a.Receiver != nil {
		mesh = "r"
	}
	proxy := mesh + ".proxies()[0]"
	if recv == "Proxy" && a.Receiver != nil {
		proxy = "r"
	}
	switch {
	case a.Parameter == "proxy":
		return mesh + ".proxies().names"
	case name == "proxy" && a.Parameter == "name":
		return "(lambda ps: ps.names + [p.workload for p in ps if p.workload])(" + mesh + ".proxies())"
	case name == "objects" && a.Parameter == "kind":
		return "[k.name for k in " + mesh + ".object_kinds()]"
	case name == "objects":
		if a.First == "" || a.Parameter != "name" && a.Parameter != "namespace" {
			return ""
		}
		return fmt.Sprintf("[x.%s for x in %s.objects(%s)]", a.Parameter, mesh, starlark.String(a.First))
	case a.Parameter == "cluster":
		return proxy + ".clusters().names"
	}
	e, ok := builtins.Lookup(recv, name)
	if !ok {
		return ""
	}
	elem := ""
	for _, t := range builtins.Types() {
		if t.Name == e.Returns {
			elem = t.Elem
		}
	}
	field, ok := builtins.Lookup(elem, a.Parameter)
	if elem == "" || !ok || field.Kind != builtins.Field {
		return ""
	}
	var call string
	_, perProxy := builtins.Lookup("Proxy", name)
	switch {
	case perProxy && (recv == "" || recv == "Mesh" || recv == "Proxy"):
		call = proxy + "." + name + "()"
	case recv == "" || recv == "Mesh":
		call = mesh + "." + name + "()"
	case a.Receiver != nil:
		call = "r." + name + "()"
	default:
		return ""
	}
	return fmt.Sprintf("[x.%s for x in %s]", a.Parameter, call)
}
