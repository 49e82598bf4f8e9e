package vet

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/session"
	"go.starlark.net/syntax"
)

// loads checks that what the file loads is there, parses, has the names, and
// does not load the file in turn.
func (c *checker) loads(f *syntax.File) {
	if c.o.Read == nil {
		return
	}
	for _, stmt := range f.Stmts {
		load, ok := stmt.(*syntax.LoadStmt)
		if !ok {
			continue
		}
		pos := load.Module.TokenPos
		where, target, err := c.module(load.ModuleName(), c.path)
		if err != nil {
			c.report(Error, pos, "cannot load %s: %v", load.ModuleName(), err)
			continue
		}
		exported := session.FileNames(target, true)
		for _, id := range load.From {
			if strings.HasPrefix(id.Name, "_") || slices.Contains(exported, id.Name) {
				continue // the resolver reports the former
			}
			hint := ""
			if n := builtins.Nearest(id.Name, exported); n != "" {
				hint = " (did you mean " + n + "?)"
			} else if len(exported) > 0 {
				hint = "; it has: " + strings.Join(exported, ", ")
			}
			c.report(Error, id.NamePos, "%s does not define %s%s", load.ModuleName(), id.Name, hint)
		}
		if cycle := c.cycle(where, target, []string{c.path}); cycle != nil {
			for i, w := range cycle {
				cycle[i] = short(w)
			}
			c.report(Error, pos, "modules load each other in a cycle: %s", strings.Join(cycle, " -> "))
		}
	}
}

// module finds and parses what a file loads.
func (c *checker) module(name, from string) (where string, f *syntax.File, err error) {
	where, err = session.ResolveLoad(name, from, c.o.Dir)
	if err != nil {
		return "", nil, err
	}
	text, err := c.o.Read(where)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, errors.New("there is no such file")
	}
	if err != nil {
		return "", nil, err
	}
	f, err = session.Parse(short(where), text)
	if err != nil {
		return "", nil, fmt.Errorf("it does not parse: %w", err)
	}
	return where, f, nil
}

// cycle follows the loads of a module and gives the first chain that comes back
// to where it began. Cycles that do not contain the file are those files' affair.
func (c *checker) cycle(where string, f *syntax.File, chain []string) []string {
	if where == chain[0] && where != "" {
		return append(chain, where)
	}
	if slices.Contains(chain, where) {
		return nil
	}
	chain = append(chain[:len(chain):len(chain)], where)
	for _, stmt := range f.Stmts {
		load, ok := stmt.(*syntax.LoadStmt)
		if !ok {
			continue
		}
		next, target, err := c.module(load.ModuleName(), where)
		if err != nil {
			continue
		}
		if found := c.cycle(next, target, chain); found != nil {
			return found
		}
	}
	return nil
}

// short is a module as messages name it.
func short(where string) string {
	if strings.HasPrefix(where, session.Shipped) {
		return where
	}
	return filepath.Base(where)
}
