//go:build unix

package cli

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/creack/pty"

	"github.com/meshlark/meshlark/display"
	"github.com/meshlark/meshlark/repl/editor"
)

// onTerminal runs the program on a terminal of a width and gives all that
// appears there.
func onTerminal(t *testing.T, width int, env []string, args ...string) (status int, screen string) {
	t.Helper()
	master, terminal, err := pty.Open()
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	defer master.Close()
	if err := pty.Setsize(terminal, &pty.Winsize{Rows: 24, Cols: uint16(width)}); err != nil {
		t.Fatal(err)
	}
	shown := make(chan []byte)
	go func() {
		var b bytes.Buffer
		io.Copy(&b, master) // ends with an error when the terminal is closed
		shown <- b.Bytes()
	}()
	status = Run(t.Context(), args, strings.NewReader(""), terminal, terminal, env)
	terminal.Close()
	return status, strings.ReplaceAll(string(<-shown), "\r\n", "\n")
}

// On a terminal a table fits and has colours; in a pipe it is whole.
func TestTerminal(t *testing.T) {
	var piped strings.Builder
	if status := Run(t.Context(), []string{"-s", envoyDump, "-e", "endpoints()"}, strings.NewReader(""), &piped, io.Discard, []string{"TERM=xterm"}); status != exitOK {
		t.Fatalf("exit status %d", status)
	}
	if strings.ContainsAny(piped.String(), "\x1b…") {
		t.Errorf("a pipe gets colours or cut names:\n%s", piped.String())
	}
	for _, width := range []int{60, 80, 120} {
		status, screen := onTerminal(t, width, []string{"TERM=xterm", "NO_COLOR=1"}, "-s", envoyDump, "-e", "endpoints()")
		if status != exitOK {
			t.Fatalf("exit status %d:\n%s", status, screen)
		}
		for line := range strings.Lines(screen) {
			if w := display.Width(strings.TrimSuffix(line, "\n")); w > width {
				t.Errorf("%d columns on a terminal of %d: %q", w, width, line)
			}
		}
		if got, want := strings.Count(screen, "\n"), strings.Count(piped.String(), "\n"); got < want {
			t.Errorf("width %d: %d lines, the pipe has %d", width, got, want)
		}
	}
	for _, test := range []struct {
		env   []string
		color bool
	}{
		{[]string{"TERM=xterm"}, true},
		{[]string{"TERM=xterm", "NO_COLOR=1"}, false},
		{[]string{"TERM=dumb"}, false},
	} {
		_, screen := onTerminal(t, 100, test.env, "-s", envoyDump, "-e", "endpoints()")
		if got := strings.Contains(screen, "\x1b["); got != test.color {
			t.Errorf("%v: colours %v, want %v", test.env, got, test.color)
		}
	}
}

// Nothing that a mesh answers reaches a terminal as a command to it, by
// whichever way it is shown.
func TestHostileNames(t *testing.T) {
	const name = `"evil\x1b]0;title\x07\x1b[2J"`
	for _, args := range [][]string{
		{"-e", name},
		{"-e", "[" + name + "]"},
		{"-e", "print(" + name + ")"},
		{"-e", "fail(" + name + ")"},
		{"-e", "table([(" + name + ", 1)])"},
		{"-e", "struct(name=" + name + ")"},
		{"-e", "{" + name + ": 1}"},
		{"-e", "print(" + name + ")", "-o", "json"},
	} {
		_, screen := onTerminal(t, 80, []string{"TERM=xterm", "NO_COLOR=1"}, args...)
		if strings.ContainsAny(screen, "\x1b\x07") {
			t.Errorf("%q: %q", args, screen)
		}
		if !strings.Contains(screen, "evil") {
			t.Errorf("%q: the name is not shown: %q", args, screen)
		}
	}
}

// Which editor reads what is typed follows from where the terminal is.
func TestEditor(t *testing.T) {
	master, terminal, err := pty.Open()
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	defer master.Close()
	defer terminal.Close()
	if err := pty.Setsize(terminal, &pty.Winsize{Rows: 24, Cols: 70}); err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, master)
	xterm, dumb := newEnvironment([]string{"TERM=xterm"}), newEnvironment([]string{"TERM=dumb"})
	if xterm.editor(strings.NewReader("1"), terminal, terminal) != nil {
		t.Error("somebody types into a pipe")
	}
	for _, test := range []struct {
		name           string
		env            environment
		stdout, stderr io.Writer
		columns        int
	}{
		{"terminal", xterm, terminal, terminal, 70},
		{"results go to a file", xterm, &bytes.Buffer{}, terminal, 0},
		{"all goes to files", xterm, &bytes.Buffer{}, &bytes.Buffer{}, 0},
		{"a terminal without a cursor", dumb, terminal, terminal, 0},
	} {
		e, err := test.env.editor(terminal, test.stdout, test.stderr)(editor.Config{})
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if columns, _ := e.Size(); columns != test.columns {
			t.Errorf("%s: results have %d columns, want %d", test.name, columns, test.columns)
		}
		if err := e.Close(); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
	}

	var shown bytes.Buffer
	plain := prompting{editor.NewPlain(strings.NewReader("1 + 1\n"), io.Discard), &shown}
	if line, err := plain.ReadLine(t.Context(), ">>> "); line != "1 + 1" || err != nil || shown.String() != ">>> " {
		t.Errorf("read %q, %v at the prompt %q", line, err, &shown)
	}
}
