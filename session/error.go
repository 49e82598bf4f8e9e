package session

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/builtins"
	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// A Kind says what sort of trouble an [Error] reports.
type Kind string

// The kinds of errors.
const (
	SyntaxError   Kind = "syntax"      // the text is no Starlark
	NameError     Kind = "name"        // a name is not defined, or something stands where it may not
	RunError      Kind = "run"         // evaluation failed
	Failed        Kind = "fail"        // the script called fail
	Interrupted   Kind = "interrupted" // the context was canceled
	Deadline      Kind = "deadline"    // the context's deadline passed
	TooManySteps  Kind = "steps"       // Options.MaxSteps was reached
	InternalError Kind = "internal"    // a builtin panicked, which is a bug in it
)

// An Error is what went wrong in a script or chunk, where, and how the
// evaluation got there. errors.As finds the error of a builtin in it.
type Error struct {
	Kind   Kind
	Pos    syntax.Position // of the innermost Starlark code; may have no line
	Line   string          // the source line at Pos, if known
	Msg    string          // one sentence, without position
	Frames []Frame         // the calls that led there, outermost first; none for errors of syntax and names
	More   []*Error        // further errors of the same file, in its order
	Stack  string          // of an internal error: the Go stack
	cause  error
	told   bool // a builtin said so, rather than the language: it makes sense without the script's text
}

// A Frame is one call of a traceback.
type Frame struct {
	Name string
	Pos  syntax.Position
	Line string // the source line at Pos, if known
}

// Error gives the position and the message, without source line and traceback.
func (e *Error) Error() string {
	if !e.Pos.IsValid() {
		return e.Msg
	}
	return e.Pos.String() + ": " + e.Msg
}

// Unwrap gives the error that a builtin returned, if one did.
func (e *Error) Unwrap() error { return e.cause }

const (
	maxFrames = 24 // of a traceback; the middle of a longer one is left out
	maxErrors = 20 // of one file
)

// Brief gives the error as Detail does, without the calls inside of shipped files at its end: who has not written them can do nothing with their lines, if what
// went wrong is what a builtin says of what was asked.
func (e *Error) Brief() string {
	if !e.told || !isShipped(e.Pos) {
		return e.Detail()
	}
	own := *e
	for len(own.Frames) > 0 && isShipped(own.Frames[len(own.Frames)-1].Pos) {
		own.Frames = own.Frames[:len(own.Frames)-1]
	}
	name := strings.TrimSuffix(strings.TrimPrefix(e.Pos.Filename(), Shipped), ".star")
	if n := len(e.Frames); len(own.Frames) < n {
		name = strings.TrimSuffix(strings.TrimPrefix(e.Frames[len(own.Frames)].Pos.Filename(), Shipped), ".star")
	}
	own.Pos, own.Line, own.Msg = syntax.Position{}, "", name+": "+e.Msg
	if n := len(own.Frames); n > 0 {
		own.Pos, own.Line = own.Frames[n-1].Pos, own.Frames[n-1].Line
	}
	return own.Detail()
}

func isShipped(p syntax.Position) bool { return strings.HasPrefix(p.Filename(), Shipped) }

// Detail gives the whole error as lines for a person: traceback, source lines
// with a caret, message. It ends without a newline.
func (e *Error) Detail() string {
	var b strings.Builder
	if len(e.Frames) > 1 {
		b.WriteString("Traceback (most recent call last):\n")
		frames := e.Frames
		for shown := 0; len(frames) > 0; shown++ {
			if left := len(frames) - maxFrames/2; shown == maxFrames/2 && left > 0 {
				fmt.Fprintf(&b, "  ... %d more calls\n", left)
				frames = frames[left:]
			}
			fr := frames[0]
			same := 1
			for same < len(frames) && frames[same] == fr {
				same++
			}
			fmt.Fprintf(&b, "  %s: in %s", fr.Pos, fr.Name)
			if same > 1 {
				fmt.Fprintf(&b, " (%d times)", same)
			}
			b.WriteString("\n" + excerpt(fr.Line, int(fr.Pos.Col)))
			frames = frames[same:]
		}
		fmt.Fprintf(&b, "error: %s", e.Msg)
	} else {
		b.WriteString(e.Error())
		if x := excerpt(e.Line, int(e.Pos.Col)); x != "" {
			b.WriteString("\n" + strings.TrimSuffix(x, "\n"))
		}
	}
	for i, more := range e.More {
		if i == maxErrors-1 {
			fmt.Fprintf(&b, "\nand %d more errors", len(e.More)-i)
			break
		}
		b.WriteString("\n" + more.Detail())
	}
	return b.String()
}

// newSyntaxError turns an error of the scanner or parser into an Error.
func newSyntaxError(err error, src string) *Error {
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	e := &Error{Kind: SyntaxError, Msg: err.Error(), cause: err}
	var se syntax.Error
	if errors.As(err, &se) {
		e.Pos, e.Msg = se.Pos, se.Msg
		e.Line = sourceLine(src, int(se.Pos.Line))
		explainSyntax(e)
	}
	return e
}

var undefinedMsg = regexp.MustCompile(`^undefined: (\S+)(?: \(did you mean (\S+)\?\))?$`)

// NewNameError turns what the resolver reports of a file into an Error that
// holds all of it. Names are those that the file could have meant.
func NewNameError(err error, src string, names []string) *Error {
	var list resolve.ErrorList
	var one resolve.Error
	switch {
	case errors.As(err, &list):
	case errors.As(err, &one):
		list = resolve.ErrorList{one}
	default:
		return &Error{Kind: NameError, Msg: err.Error(), cause: err}
	}
	// The resolver reports uses at the end of each function that has them.
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b resolve.Error) int { return comparePos(a.Pos, b.Pos) })
	var first *Error
	for _, r := range list {
		e := &Error{Kind: NameError, Pos: r.Pos, Msg: r.Msg, Line: sourceLine(src, int(r.Pos.Line))}
		if m := undefinedMsg.FindStringSubmatch(r.Msg); m != nil {
			candidates := names
			if m[2] != "" {
				candidates = append([]string{m[2]}, names...)
			}
			e.Msg = "undefined: " + m[1] + didYouMean(m[1], candidates)
			if hint := foreignNames[m[1]]; hint != "" {
				e.Msg = "undefined: " + m[1] + " (" + hint + ")"
			}
		}
		if first == nil {
			first = e
		} else {
			first.More = append(first.More, e)
		}
	}
	first.cause = err
	return first
}

// foreignNames says what to use in place of names that Python has.
var foreignNames = map[string]string{
	"isinstance": `compare type(x) == "..."`,
	"sum":        "add in a loop",
	"map":        "use a comprehension",
	"filter":     "use a comprehension or .where(...)",
	"exit":       "use fail(message), or end the script",
	"null":       "it is None",
	"true":       "it is True",
	"false":      "it is False",
}

func comparePos(a, b syntax.Position) int {
	return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
}

func didYouMean(word string, candidates []string) string {
	if len(word) < 2 {
		return "" // every short name is near
	}
	if n := builtins.Nearest(word, candidates); n != "" {
		return " (did you mean " + n + "?)"
	}
	return ""
}

const builtinFile = "<builtin>"

var uninitialized = regexp.MustCompile(`^internal error: predeclared variable (\S+) is uninitialized$`)

// newRunError turns what an evaluation returned into an Error. lookup gives
// the text of a file by the name that positions carry.
func newRunError(err error, lookup func(filename string) string) *Error {
	var eval *starlark.EvalError
	if own, ok := err.(*Error); ok {
		return own
	}
	if !errors.As(err, &eval) {
		var own *Error
		if errors.As(err, &own) {
			return own
		}
		return &Error{Kind: RunError, Msg: err.Error(), cause: err}
	}
	e := &Error{Kind: RunError, Msg: eval.Msg, cause: eval.Unwrap()}
	callee := ""
	for _, fr := range eval.CallStack {
		if fr.Pos.Filename() == builtinFile {
			callee = fr.Name
			continue
		}
		callee = ""
		line := sourceLine(lookup(fr.Pos.Filename()), int(fr.Pos.Line))
		e.Frames = append(e.Frames, Frame{Name: fr.Name, Pos: fr.Pos, Line: line})
	}

	// An error inside a loaded module or another runbook is an Error already:
	// its calls continue these.
	var inner *Error
	var innerEval *starlark.EvalError
	switch {
	case errors.As(e.cause, &inner):
	case errors.As(e.cause, &innerEval):
		inner = newRunError(innerEval, lookup)
	}
	if inner != nil {
		frames := append(e.Frames, inner.Frames...)
		if len(inner.Frames) == 0 && inner.Pos.IsValid() {
			frames = append(frames, Frame{Name: inner.Pos.Filename(), Pos: inner.Pos, Line: inner.Line})
		}
		return &Error{Kind: inner.Kind, Pos: inner.Pos, Line: inner.Line, Msg: inner.Msg, Frames: frames, More: inner.More, Stack: inner.Stack, cause: inner, told: inner.told}
	}

	if n := len(e.Frames); n > 0 {
		e.Pos, e.Line = e.Frames[n-1].Pos, e.Frames[n-1].Line
	}
	e.told = callee != ""
	switch m := uninitialized.FindStringSubmatch(e.Msg); {
	case m != nil:
		e.Msg = m[1] + " is used before it has a value"
	case callee == "fail":
		e.Kind = Failed
		e.Msg = strings.TrimPrefix(e.Msg, "fail: ")
		if e.Msg == "" {
			e.Msg = "the script called fail()"
		}
	case callee != "" && !namesCallee(e.Msg, callee):
		e.Msg = callee + ": " + e.Msg
	}
	return e
}

// namesCallee reports whether a builtin's message begins with its name, as
// those about arguments do.
func namesCallee(msg, callee string) bool {
	short := callee[strings.LastIndexByte(callee, '.')+1:]
	for _, name := range []string{callee, short} {
		rest, ok := strings.CutPrefix(msg, name)
		if ok && (rest == "" || strings.ContainsRune(":( ", rune(rest[0]))) {
			return true
		}
	}
	return false
}
