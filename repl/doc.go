// Package repl is the shell: it reads statements at a prompt, evaluates them in
// a session and shows what they give.
//
// A [Shell] owns the conversation and nothing of the machine. The terminal is an
// editor.LineEditor, which [Shell.Run] is given; the streams, the clock, the
// environment and interrupts are in its [Options]. So a test can hold the same
// conversation as a person.
//
// What can be typed: statements of the language; "x?" for help on x; and
// commands that begin with a colon, of which ":help" gives the list.
package repl
