package session

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"go.starlark.net/starlark"
)

// A Source is the text of a script and where it comes from.
type Source struct {
	Name string // of the runbook: "stale"
	Path string // absolute path of the file, or a label "@meshlark//stale.star"; "" for text that is in no file
	Text string
}

// A Library has the runbooks and modules that scripts can name without knowing
// where they are.
type Library interface {
	// Runbook finds a runbook by name. Its error wraps fs.ErrNotExist when
	// there is none.
	Runbook(name string) (Source, error)
	// Names lists the runbooks.
	Names() []string
	// Module gives the text of the shipped module @meshlark//file.
	Module(file string) (string, error)
}

// Shipped is how the labels of shipped modules begin.
const Shipped = "@meshlark//"

// A module is a file that load has begun to run.
type module struct {
	globals starlark.StringDict
	err     error
	done    bool
}

// ResolveLoad gives the module that load names in a file: an absolute path, or
// a label of a shipped module. From is the same of the loading file; when it is
// empty, relative paths begin at dir.
func ResolveLoad(module, from, dir string) (string, error) {
	switch {
	case module == "":
		return "", errors.New("the module name is empty")
	case strings.HasPrefix(module, "@"):
		file, ok := strings.CutPrefix(module, Shipped)
		if !ok {
			return "", fmt.Errorf("the only library is %s: write load(%q, ...)", Shipped, Shipped+"name.star")
		}
		if file == "" || path.Clean(file) != file || strings.HasPrefix(file, "/") || file == ".." || strings.HasPrefix(file, "../") {
			return "", fmt.Errorf("%q is not a file of the library", module)
		}
		return module, nil
	case strings.HasPrefix(from, Shipped):
		file := path.Join(path.Dir(strings.TrimPrefix(from, Shipped)), module)
		if strings.HasPrefix(module, "/") || file == ".." || strings.HasPrefix(file, "../") {
			return "", fmt.Errorf("a shipped module loads shipped modules only, and %q is none", module)
		}
		return Shipped + file, nil
	case filepath.IsAbs(module):
		return filepath.Clean(module), nil
	case from != "":
		return filepath.Join(filepath.Dir(from), module), nil
	}
	return filepath.Join(dir, module), nil
}

// load is the Load function of every thread of the evaluation.
func (e *evaluation) load(thread *starlark.Thread, name string) (starlark.StringDict, error) {
	from := ""
	if fr, ok := caller(thread); ok {
		e.s.mu.Lock()
		from = e.s.sources[fr.Pos.Filename()].Path
		e.s.mu.Unlock()
	}
	where, err := ResolveLoad(name, from, e.s.o.WorkDir)
	if err != nil {
		return nil, err
	}
	if m := e.modules[where]; m != nil {
		if !m.done {
			return nil, fmt.Errorf("modules load each other in a cycle: %s", e.cycle(thread, where))
		}
		return m.globals, m.err
	}
	m := new(module)
	e.modules[where] = m
	m.globals, m.err = e.runModule(thread, where)
	m.done = true
	return m.globals, m.err
}

const loadingKey = "meshlark.loading" // of a thread: the modules it is loading, outermost first

// cycle describes the cycle that loading a module again closes.
func (e *evaluation) cycle(thread *starlark.Thread, again string) string {
	chain, _ := thread.Local(loadingKey).([]string)
	for i, where := range chain {
		if where == again {
			chain = chain[i:]
			break
		}
	}
	var names []string
	for _, where := range chain {
		names = append(names, e.s.displayModule(where))
	}
	return strings.Join(append(names, e.s.displayModule(again)), " -> ")
}

func (s *Session) displayModule(where string) string {
	if strings.HasPrefix(where, Shipped) {
		return where
	}
	return s.display(where)
}

// runModule executes a module for a thread that loads it.
func (e *evaluation) runModule(parent *starlark.Thread, where string) (starlark.StringDict, error) {
	var text string
	if file, ok := strings.CutPrefix(where, Shipped); ok {
		if e.s.o.Library == nil {
			return nil, fmt.Errorf("there is no library of shipped modules here")
		}
		var err error
		if text, err = e.s.o.Library.Module(file); err != nil {
			return nil, reason(err)
		}
	} else {
		data, err := e.readFile(where)
		if err != nil {
			return nil, err
		}
		text = string(data)
	}
	name := e.s.displayModule(where)
	thread, finish := e.newThread(name, parent)
	defer finish()
	chain, _ := parent.Local(loadingKey).([]string)
	thread.SetLocal(loadingKey, append(chain[:len(chain):len(chain)], where))
	return e.execFile(thread, Source{Name: name, Path: where, Text: text}, name)
}

// execFile runs a file as a module of its own; its globals are frozen.
func (e *evaluation) execFile(thread *starlark.Thread, src Source, filename string) (starlark.StringDict, error) {
	src.Text = trimBOM(src.Text)
	e.s.mu.Lock()
	e.s.sources[filename] = src
	e.s.mu.Unlock()
	f, err := Parse(filename, src.Text)
	if err != nil {
		return nil, err
	}
	predeclared := e.s.predeclared()
	prog, err := starlark.FileProgram(f, predeclared.Has)
	if err != nil {
		names := append(FileNames(f, false), predeclared.Keys()...)
		return nil, NewNameError(err, src.Text, append(names, universe()...))
	}
	globals, err := prog.Init(thread, predeclared)
	globals.Freeze()
	if err != nil {
		return nil, newRunError(err, e.s.Text)
	}
	return globals, nil
}
