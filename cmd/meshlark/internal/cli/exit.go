package cli

import (
	"errors"
	"syscall"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/session"
)

// The exit statuses. They do not depend on the output format. Where several
// would fit, an interrupt outranks everything, an error outranks what was
// found, and a failed check outranks an incomplete answer.
const (
	exitOK          = 0   // checks that were skipped count as ok
	exitFailed      = 1   // a check failed
	exitUsage       = 2   // the command line makes no sense, or check found nothing to check
	exitScript      = 3   // an error in an expression or a runbook
	exitUnreachable = 4   // a source could not be read
	exitIncomplete  = 5   // something was left out of the answer, and --allow-partial was not given
	exitInterrupted = 130 // Ctrl-C
)

// A usageError is a command line that makes no sense.
type usageError struct {
	err  error
	hint string // a sentence that says where to look; may be empty
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// statusOf gives the exit status that an error stands for.
func (a *app) statusOf(err error) int {
	if err == nil || isBrokenPipe(err) {
		return exitOK
	}
	var (
		script      *session.Error
		usage       *usageError
		badCall     *session.UsageError
		unreachable *mesh.UnreachableError
	)
	if errors.As(err, &script) {
		switch script.Kind {
		case session.Interrupted:
			return exitInterrupted
		case session.Deadline:
			if a.transport.waiting() {
				return exitUnreachable
			}
			return exitScript
		}
	}
	switch {
	case a.interrupted:
		return exitInterrupted
	case errors.As(err, &usage), errors.As(err, &badCall):
		return exitUsage
	case errors.As(err, &unreachable):
		return exitUnreachable
	default:
		return exitScript
	}
}

// isBrokenPipe tells that whoever read the output has seen enough, as head
// does. That is no failure.
func isBrokenPipe(err error) bool { return errors.Is(err, syscall.EPIPE) }
