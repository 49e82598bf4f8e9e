//go:build unix

package vt

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
)

// A Terminal is a pseudo-terminal with a program on it.
type Terminal struct {
	*Screen
	t    testing.TB
	file *os.File
	cmd  *exec.Cmd
	done chan struct{} // closed when the program closed its side
}

// Start starts a program on a terminal. It is killed when the test ends.
func Start(t testing.TB, cmd *exec.Cmd, columns, rows int) *Terminal {
	t.Helper()
	f, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: uint16(columns), Rows: uint16(rows)})
	if err != nil {
		t.Fatalf("no pseudo-terminal: %v", err)
	}
	term := &Terminal{Screen: NewScreen(columns, rows, false), t: t, file: f, cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(term.done)
		buf := make([]byte, 4096)
		for {
			n, err := f.Read(buf)
			term.Write(buf[:n])
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		f.Close()
		<-term.done
	})
	return term
}

// Type sends keys.
func (t *Terminal) Type(keys ...string) {
	t.t.Helper()
	if _, err := t.file.WriteString(strings.Join(keys, "")); err != nil {
		t.t.Fatal(err)
	}
}

// SetSize changes the terminal's size, which the program is told.
func (t *Terminal) SetSize(columns, rows int) {
	t.t.Helper()
	t.Screen.Resize(columns, rows)
	if err := pty.Setsize(t.file, &pty.Winsize{Cols: uint16(columns), Rows: uint16(rows)}); err != nil {
		t.t.Fatal(err)
	}
}

// Wait waits until the screen satisfies a condition.
func (t *Terminal) Wait(what string, ok func() bool) {
	t.t.Helper()
	Await(t.t, t.Screen, what, ok)
}

// WaitText waits until the screen shows a text.
func (t *Terminal) WaitText(text string) {
	t.t.Helper()
	t.Wait("the text "+text, func() bool { return strings.Contains(t.Text(), text) })
}

// WaitLine waits until the cursor's row, with a bar at the cursor, is this.
func (t *Terminal) WaitLine(line string) {
	t.t.Helper()
	t.Wait("the line "+line, func() bool { return t.Line() == line })
}

// Exit waits until the program has ended and gives its error.
func (t *Terminal) Exit() error {
	t.t.Helper()
	select {
	case <-t.done:
	case <-time.After(patience):
		t.t.Fatalf("the program does not end; the screen shows\n%s", t.Text())
	}
	return t.cmd.Wait()
}

// Env is the environment that the program was started with.
func (t *Terminal) Env() []string { return t.cmd.Env }

// Stty gives the settings of the terminal, as stty -a prints them.
func (t *Terminal) Stty() (string, error) {
	cmd := exec.Command("stty", "-a")
	cmd.Stdin = t.file
	out, err := cmd.Output()
	return string(out), err
}
