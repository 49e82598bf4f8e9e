// Package editor reads what a person types at a terminal: one statement at a
// time, however many lines it has, with history, search and completion.
//
// [LineEditor] is what a shell needs of it. [Open] gives the one for a
// terminal; [NewPlain] gives one for input that nobody edits: a pipe, or a
// terminal that cannot move its cursor.
//
// The keys are those of Emacs and of most shells. Enter ends a statement that
// is complete and begins a new line otherwise; within a statement of several
// lines the arrows move between them. Tab completes; what is pasted arrives
// as it is, newlines and tabs included.
package editor

import (
	"context"
	"errors"

	"github.com/meshlark/meshlark/repl/complete"
)

// ErrInterrupt is returned by ReadLine when Ctrl-C was typed. What was typed
// before it is gone.
var ErrInterrupt = errors.New("interrupted")

// A LineEditor reads statements. ReadLine and ReadKeys are called from one
// goroutine; the other methods from any.
type LineEditor interface {
	// ReadLine reads a statement. Its lines are separated by newlines. The
	// error is ErrInterrupt, io.EOF when there is no more input, the cause of
	// ctx when that ends, or what reading failed with.
	ReadLine(ctx context.Context, prompt string) (string, error)

	// ReadKeys hands keys to a function, one by one and without showing them,
	// until that reports false. Ctrl-C is the rune 3. A key that is no
	// character, such as an arrow, is one of the Key constants. The error is
	// io.EOF when nobody can press a key, or the cause of ctx when that ends.
	ReadKeys(ctx context.Context, press func(key rune) (more bool)) error

	// Print writes text, whole lines, above what is being typed, if anything is.
	Print(text string)

	// Size is the size of the terminal in columns and rows; zeros when there is
	// none.
	Size() (columns, rows int)

	// Close gives the terminal back as it was. A ReadLine that is under way
	// returns io.EOF. Close returns at once and may be called again.
	Close() error
}

// Config says what the editor may ask and show. Every function may be nil.
type Config struct {
	// Incomplete reports whether the text is the beginning of a statement that
	// needs more lines.
	Incomplete func(text string) bool

	// History gives the statements that were typed before, oldest first.
	History func() []string

	// Complete finds what could stand at a position, in bytes, of the text. It
	// returns soon after ctx ends.
	Complete func(ctx context.Context, text string, pos int) complete.Result

	// Continuation is shown before every line of a statement but the first.
	Continuation string
}
