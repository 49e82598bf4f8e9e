package editor

import (
	"context"
	"os"
	"os/exec"
	"strings"

	"github.com/chzyer/readline"
	"golang.org/x/term"
)

// Open makes the editor of a terminal. in and out are that terminal.
func Open(in, out *os.File, cfg Config) (*Terminal, error) {
	raw := func() (func() error, error) {
		state, err := readline.MakeRaw(int(in.Fd()))
		if err != nil {
			return nil, err
		}
		return func() error { return readline.Restore(int(in.Fd()), state) }, nil
	}
	size := func() (int, int) {
		columns, rows, err := term.GetSize(int(out.Fd()))
		if err != nil {
			return 0, 0
		}
		return columns, rows
	}
	t, err := newTerminal(keyboard(in), out, raw, size, cfg)
	if err != nil {
		return nil, err
	}
	t.stop = watchSize(t.resize)
	return t, nil
}

// Page shows text with a program such as less, which a shell starts. It
// returns when the program has ended.
func (t *Terminal) Page(ctx context.Context, command string, text string) error {
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Stdin = strings.NewReader(text)
	cmd.Stdout = t.out
	cmd.Stderr = t.out
	if os.Getenv("LESS") == "" { // else less shows colours as text
		cmd.Env = append(os.Environ(), "LESS=FRX")
	}
	return cmd.Run()
}
