package session

import (
	"context"
	"io"
	"maps"
	"sync"
	"time"

	"github.com/meshlark/meshlark/mesh"
	"go.starlark.net/starlark"
)

// Options are what a session knows of the world. Nil functions and writers,
// and empty paths, mean that there is none.
type Options struct {
	Mesh        *mesh.Mesh          // may be nil
	MeshError   error               // why Mesh is nil, and what to do
	Predeclared starlark.StringDict // the names that every chunk and file sees, except mesh, which the session adds; not changed

	// Open opens a source once the sandbox allows it. Relative file names in a
	// spec begin at WorkDir.
	Open           func(ctx context.Context, spec string) (*mesh.Mesh, error)
	AllowedSources []string // the specs beyond files that scripts may open, as written there
	AnySource      bool     // whether any spec may be opened: a person types them

	Files     Files    // nil: no file can be read or written
	WorkDir   string   // the working directory, absolute
	ReadRoots []string // more folders that may be read, absolute
	OutDir    string   // the only folder that may be written, absolute

	Library Library // shipped modules and runbooks

	Now   func() time.Time                                 // time.now(); nil takes the mesh's time
	Clock func() time.Time                                 // measures durations; nil leaves them out
	Sleep func(ctx context.Context, d time.Duration) error // nil waits with a timer

	Stdout   io.Writer // of print
	Notes    io.Writer // remarks beside the results, a line each
	MaxSteps uint64    // of a chunk or run with all it loads and runs; 0 is no limit

	Show func(v starlark.Value) (string, bool) // the rich form of a value; see builtins.Host
}

// A Session evaluates chunks and runbooks on one mesh. Its methods may be
// called from several goroutines, one evaluation at a time.
type Session struct {
	o Options

	mu       sync.Mutex
	mesh     *mesh.Mesh
	meshErr  error
	language starlark.StringDict // what files see: the predeclared names and mesh; replaced, never changed
	env      starlark.StringDict // what chunks see: the same and, over it, globals
	globals  starlark.StringDict // what chunks assigned
	chunks   int
	sources  map[string]Source // by the file name that positions carry
	opened   map[string]*mesh.Mesh
	failures failureSet
}

// New makes a session.
func New(o Options) *Session {
	if o.Stdout == nil {
		o.Stdout = io.Discard
	}
	if o.Notes == nil {
		o.Notes = io.Discard
	}
	s := &Session{
		o:        o,
		language: starlark.StringDict{},
		globals:  starlark.StringDict{},
		sources:  map[string]Source{},
		opened:   map[string]*mesh.Mesh{},
	}
	maps.Copy(s.language, o.Predeclared)
	s.env = maps.Clone(s.language)
	s.SetMesh(o.Mesh, o.MeshError)
	return s
}

// Mesh is the session's mesh, or nil and the reason.
func (s *Session) Mesh() (*mesh.Mesh, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mesh, s.meshErr
}

// SetMesh changes the session's mesh, or says why there is none. It must not be
// called during an evaluation.
func (s *Session) SetMesh(m *mesh.Mesh, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mesh, s.meshErr = m, why
	// Scripts that are running keep the map that they have.
	s.language = maps.Clone(s.language)
	s.language["mesh"] = meshValue(m, why)
	if !s.globals.Has("mesh") {
		s.env["mesh"] = s.language["mesh"]
	}
}

// NewGeneration makes everything that is asked for from now on be fetched
// anew, in the session's mesh and in all that scripts opened.
func (s *Session) NewGeneration() {
	s.mu.Lock()
	meshes := []*mesh.Mesh{s.mesh}
	for _, m := range s.opened {
		meshes = append(meshes, m)
	}
	s.mu.Unlock()
	for _, m := range meshes {
		if m != nil {
			m.Refresh()
		}
	}
}

// Globals are the names that chunks assigned, and their values.
func (s *Session) Globals() starlark.StringDict {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.globals)
}

// Env is every name that a chunk sees, except the universal ones of Starlark.
func (s *Session) Env() starlark.StringDict {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.env)
}

// Failures lists what the answers of the session lacked since it began or
// ResetFailures was called, each failure once, in the order they came up.
func (s *Session) Failures() []mesh.Failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failures.list()
}

// ResetFailures forgets the failures so far.
func (s *Session) ResetFailures() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures = failureSet{}
}

// Text is the source of a file or chunk by the name that positions in it
// carry, "" if the session did not see it.
func (s *Session) Text(filename string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sources[filename].Text
}

func (s *Session) predeclared() starlark.StringDict {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.language
}

// names are what a misspelt name could have meant.
func (s *Session) names(more ...string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append(append(more, s.env.Keys()...), universe()...)
}

// failureSet holds distinct failures in the order they came.
type failureSet struct {
	seen map[failureKey]bool
	all  []mesh.Failure
}

type failureKey struct{ proxy, source, stage, reason string }

func (s *failureSet) add(fs []mesh.Failure) {
	for _, f := range fs {
		k := failureKey{f.Proxy, f.Source, f.Stage, f.Reason}
		if s.seen[k] {
			continue
		}
		if s.seen == nil {
			s.seen = map[failureKey]bool{}
		}
		s.seen[k] = true
		s.all = append(s.all, f)
	}
}

func (s *failureSet) list() []mesh.Failure { return append([]mesh.Failure(nil), s.all...) }
