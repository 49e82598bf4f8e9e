package session

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/mesh"
	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// A Result is what a chunk gave.
type Result struct {
	Name     string           // of the chunk, as positions in errors show it
	Value    starlark.Value   // of the expression that ends the chunk; None when there is none
	Echo     bool             // whether a prompt shows Value
	Checks   []builtins.Check // recorded by the chunk
	Failures []mesh.Failure   // what the chunk's answers lacked
	Fetched  mesh.Fetched     // what had to be read from the sources
	Duration time.Duration    // 0 without Options.Clock
}

// Eval evaluates a chunk of a prompt: any number of statements. An empty name
// is replaced by "<repl:N>". The error is of type [*Error].
//
// Globals: a chunk that is interrupted leaves them as they were; a chunk that
// fails keeps the assignments made before the error. The variable _ becomes
// the value of the last expression unless that is None.
func (s *Session) Eval(ctx context.Context, name, src string) (Result, error) {
	s.mu.Lock()
	if name == "" {
		s.chunks++
		name = fmt.Sprintf("<repl:%d>", s.chunks)
	}
	src = trimBOM(src)
	s.sources[name] = Source{Name: name, Text: src}
	env, globals := maps.Clone(s.env), maps.Clone(s.globals)
	s.mu.Unlock()

	res := Result{Name: name, Value: starlark.None}
	c := &chunk{s: s, name: name, src: src}
	if err := c.check(); err != nil {
		return res, err
	}
	c.e = s.begin(ctx, name, name)
	var value starlark.Value = starlark.None // of the goroutine until await returns nil
	err := c.e.await(func() error {
		v, err := c.run()
		if err == nil {
			value = v
		}
		return err
	})

	s.mu.Lock()
	if ended(err) {
		c.e.abandoned.Store(true)
		s.restore(env, globals)
	} else if err == nil && value != starlark.None {
		res.Value, res.Echo = value, true
		s.set("_", value)
	}
	s.mu.Unlock()
	res.Checks = c.e.recorded()
	res.Failures = c.e.settle()
	res.Fetched = c.e.recorder.Fetched()
	res.Duration = c.e.duration()
	return res, err
}

// ended reports whether an evaluation ended because its context did.
func ended(err error) bool {
	e, ok := err.(*Error)
	return ok && (e.Kind == Interrupted || e.Kind == Deadline)
}

// set assigns a global. The session is locked.
func (s *Session) set(name string, v starlark.Value) {
	s.globals[name] = v
	s.env[name] = v
}

// restore brings the globals back to an earlier state. The session is locked.
// The map itself stays: functions look their globals up in it.
func (s *Session) restore(env, globals starlark.StringDict) {
	clear(s.env)
	maps.Copy(s.env, env)
	s.globals = globals
}

// A chunk is executed statement by statement, each compiled as a program of
// its own whose globals, when it is done, become part of the session's
// environment. The functions of a program find names that it does not bind
// itself in that environment, at the time they run: so they see what later
// statements and chunks assign. Were the whole chunk one program, its functions
// would keep seeing the chunk's own variables; starlark.ExecREPLChunk has that
// effect on every global.
//
// What stays: a function that is defined within an if or a loop at the prompt
// sees the variables that the same statement assigns as that statement left them.
type chunk struct {
	s    *Session
	e    *evaluation
	name string
	src  string
	file *syntax.File
	will map[string]bool // names that some statement of the chunk binds
}

// check finds every error of syntax and names before anything runs.
func (c *chunk) check() error {
	f, err := parse(promptDialect(), c.name, c.src)
	if err != nil {
		return err
	}
	var bound []string
	c.will = map[string]bool{}
	for _, stmt := range f.Stmts {
		for _, name := range boundNames(stmt) {
			c.will[name] = true
			bound = append(bound, name)
		}
	}
	if err := resolve.File(f, c.s.defines, starlark.Universe.Has); err != nil {
		return NewNameError(err, c.src, c.s.names(bound...))
	}
	// Resolving leaves its marks in the tree; execution needs a fresh one.
	c.file, err = parse(promptDialect(), c.name, c.src)
	return err
}

func (s *Session) defines(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.env.Has(name)
}

// run executes the chunk and gives the value of its last expression.
func (c *chunk) run() (starlark.Value, error) {
	thread, finish := c.e.newThread(c.name, nil)
	defer finish()
	var value starlark.Value = starlark.None
	for i, stmt := range c.file.Stmts {
		last := i == len(c.file.Stmts)-1
		if expr, ok := stmt.(*syntax.ExprStmt); ok {
			v, err := c.expr(thread, expr)
			if err != nil {
				return nil, err
			}
			if last {
				value = v
			}
			continue
		}
		if err := c.stmt(thread, stmt); err != nil {
			return nil, err
		}
	}
	return value, nil
}

// resultName is the hidden global that an expression statement is assigned to.
// It is no name that a script can write.
const resultName = " value"

// expr evaluates an expression statement, as an assignment to a hidden name.
func (c *chunk) expr(thread *starlark.Thread, x *syntax.ExprStmt) (starlark.Value, error) {
	pos := syntax.Start(x)
	assign := &syntax.AssignStmt{OpPos: pos, Op: syntax.EQ, LHS: &syntax.Ident{NamePos: pos, Name: resultName}, RHS: x.X}
	globals, err := c.exec(thread, []syntax.Stmt{assign})
	if err != nil {
		return nil, err
	}
	return globals[resultName], nil
}

// stmt executes a statement and takes over the names it bound, also those that
// it bound before it failed.
func (c *chunk) stmt(thread *starlark.Thread, stmt syntax.Stmt) error {
	// A name that has a value already keeps it until the statement assigns it,
	// as in x += 1: the program's own x begins with that value.
	var stmts []syntax.Stmt
	names := boundNames(stmt)
	pos := syntax.Start(stmt)
	for _, name := range names {
		if c.s.defines(name) {
			stmts = append(stmts, &syntax.AssignStmt{OpPos: pos, Op: syntax.EQ,
				LHS: &syntax.Ident{NamePos: pos, Name: name},
				RHS: &syntax.Ident{NamePos: pos, Name: name}, // not bound yet: the environment's
			})
		}
	}
	globals, err := c.exec(thread, append(stmts, stmt))
	if globals == nil {
		return err
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.e.abandoned.Load() {
		return err
	}
	for _, name := range names {
		if v := globals[name]; v != nil {
			c.s.set(name, v)
		}
	}
	return err
}

// exec runs statements as one program in the session's environment.
func (c *chunk) exec(thread *starlark.Thread, stmts []syntax.Stmt) (starlark.StringDict, error) {
	f := &syntax.File{Path: c.name, Stmts: stmts, Options: c.file.Options}
	prog, err := starlark.FileProgram(f, func(name string) bool {
		return c.will[name] || c.s.defines(name)
	})
	if err != nil {
		return nil, NewNameError(err, c.src, c.s.names())
	}
	return prog.Init(thread, c.s.env)
}
