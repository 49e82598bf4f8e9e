package builtins

import (
	"context"
	"time"

	"github.com/meshlark/meshlark/mesh"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// A Host is what a running evaluation offers to builtins: everything they may
// know of the world outside the language. The session package implements it;
// tests of builtins may implement it with a few lines.
//
// A method that takes the thread needs to know who is calling: which file,
// which run, which position.
type Host interface {
	// Mesh is the session's mesh. It is nil when none is open; MeshError then
	// says why and what to do about it.
	Mesh() *mesh.Mesh
	MeshError() error

	// OpenMesh opens the mesh that a source spec names, under the rules of the
	// sandbox: files only in the readable folders, network only as allowed on
	// the command line. The same spec gives the same mesh throughout a session.
	OpenMesh(ctx context.Context, spec string) (*mesh.Mesh, error)

	// ReadFile reads a file of the readable folders. A relative path starts at
	// the folder of the file that is calling, at a prompt at the working directory.
	ReadFile(thread *starlark.Thread, path string) ([]byte, error)

	// WriteFile writes a file under the output folder, whole or not at all.
	WriteFile(path string, data []byte) error

	// RecordCheck records the outcome of one check in the run that is calling,
	// filling in the position and the runbook when they are not set.
	RecordCheck(thread *starlark.Thread, c Check) error

	// Arg is the value of an argument of the run that is calling: what the user
	// gave, else the default. A module that is loaded rather than run, and a
	// prompt, see the defaults.
	Arg(thread *starlark.Thread, spec ArgSpec) (starlark.Value, error)

	// RunRunbook runs another runbook and gives its checks.
	RunRunbook(thread *starlark.Thread, name string, positional []starlark.Value, args map[string]starlark.Value) (starlark.Value, error)

	// NewGeneration makes the calls that follow fetch anew; see mesh.Mesh.Refresh.
	NewGeneration()

	// Sleep waits for d or until ctx is done, whose cause it then returns.
	Sleep(ctx context.Context, d time.Duration) error

	// Now is the session's one clock: the mesh's time, see mesh.Mesh.Now.
	Now() time.Time

	// Note tells the user something beside the result, such as "1 of 3 pods".
	Note(format string, args ...any)

	// Show gives the form in which a prompt displays a value, without a
	// trailing newline. It reports false when the value has no richer form
	// than its string.
	Show(v starlark.Value) (string, bool)
}

// A Check is the outcome of one check(...) or skip(...) of a runbook.
type Check struct {
	ID       string          // what was checked, as the runbook names it; "" for a skip of the whole runbook
	Subject  string          // what it was checked on: a proxy, a cluster; may be empty
	Message  string          // what was found, or why it was skipped
	Severity string          // SeverityError, SeverityWarning or SeverityInfo
	OK       bool            // whether it passed
	Skipped  bool            // whether nothing could be checked; OK is then false and means nothing
	Pos      syntax.Position // of the call
	Runbook  string          // the name of the runbook
}

// Severities of a check. Only a check of severity error that is not ok makes a
// run fail; warnings and informations are reported.
const (
	SeverityError   = "error"
	SeverityWarning = "warning"
	SeverityInfo    = "info"
)

// Severities lists the severities, most severe first.
func Severities() []string { return []string{SeverityError, SeverityWarning, SeverityInfo} }

// Failed reports whether the check makes its run fail.
func (c Check) Failed() bool {
	return !c.OK && !c.Skipped && (c.Severity == SeverityError || c.Severity == "")
}

// Outcome says in one word how the check ended: ok, failed, skipped, or the severity of one that is not ok and does not fail its run.
func (c Check) Outcome() string {
	switch {
	case c.Skipped:
		return "skipped"
	case c.OK:
		return "ok"
	case c.Failed():
		return "failed"
	default:
		return c.Severity
	}
}

// An ArgSpec declares one argument of a runbook: what arg(...) was called with.
type ArgSpec struct {
	Name       string
	Type       string         // one of ArgTypes; "" means the type of the default, else string
	Doc        string         // one sentence for help
	Default    starlark.Value // nil when the argument is required
	Enum       []string       // the values allowed, as text; empty allows all
	Positional bool           // whether it may be given without its name
}

// ArgTypes lists the types of an argument. A duration is written "1m30s" and
// arrives as a time.duration; a list is written "a,b" and arrives as a list of
// strings; a bool given by its name alone is True.
func ArgTypes() []string { return []string{"string", "int", "float", "bool", "duration", "list"} }

const (
	contextKey = "meshlark.context"
	hostKey    = "meshlark.host"
)

// Bind ties a thread to the evaluation it runs for. It must be called before
// the thread executes anything.
func Bind(thread *starlark.Thread, ctx context.Context, h Host) {
	thread.SetLocal(contextKey, ctx)
	thread.SetLocal(hostKey, h)
}

// Context is the context of the evaluation: it ends when the user interrupts
// or a deadline passes, and builtins that wait must watch it. A thread that is
// not bound has the background context.
func Context(thread *starlark.Thread) context.Context {
	if ctx, ok := thread.Local(contextKey).(context.Context); ok {
		return ctx
	}
	return context.Background()
}

// HostOf is the host of the evaluation, nil for a thread that is not bound.
func HostOf(thread *starlark.Thread) Host {
	h, _ := thread.Local(hostKey).(Host)
	return h
}
