package cli

import (
	"context"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/meshlark/meshlark/display"
	"github.com/meshlark/meshlark/repl/editor"
)

// environment is the variables of the process that the program looks at.
type environment map[string]string

func newEnvironment(env []string) environment {
	m := environment{}
	for _, kv := range env {
		if k, v, ok := strings.Cut(kv, "="); ok {
			m[k] = v
		}
	}
	return m
}

// style finds out what may be written to w. Colour follows no-color.org: any
// NO_COLOR turns it off, CLICOLOR_FORCE turns it on where there is no terminal.
func (env environment) style(w io.Writer) display.Style {
	var s display.Style
	f, ok := w.(*os.File)
	terminal := ok && term.IsTerminal(int(f.Fd()))
	if terminal {
		s.Width = 80 // of a terminal that does not tell
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			s.Width = width
		}
	}
	force := env["CLICOLOR_FORCE"]
	switch {
	case env["NO_COLOR"] != "":
	case force != "" && force != "0":
		s.Color = true
	default:
		s.Color = terminal && env["TERM"] != "dumb"
	}
	return s
}

// isTerminal tells whether a person is looking at w, on a screen that can
// rewrite a line.
func (env environment) isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && env["TERM"] != "dumb"
}

// editor gives the function that opens the line editor, nil when standard input
// is no terminal: then nobody types. Where results go to a file the prompt is
// shown where the messages are.
func (env environment) editor(stdin io.Reader, stdout, stderr io.Writer) func(editor.Config) (editor.LineEditor, error) {
	in, ok := stdin.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return nil
	}
	return func(c editor.Config) (editor.LineEditor, error) {
		switch {
		case env.isTerminal(stdout):
			return editor.Open(in, stdout.(*os.File), c)
		case env.isTerminal(stderr):
			e, err := editor.Open(in, stderr.(*os.File), c)
			return beside{e}, err
		}
		return prompting{editor.NewPlain(in, stderr), stderr}, nil
	}
}

// beside is an editor on another screen than results go to: how large it is
// does not matter to them.
type beside struct{ editor.LineEditor }

func (beside) Size() (columns, rows int) { return 0, 0 }

// prompting is an editor for terminals on which the cursor cannot be moved.
type prompting struct {
	*editor.Plain
	out io.Writer
}

func (p prompting) ReadLine(ctx context.Context, prompt string) (string, error) {
	io.WriteString(p.out, prompt)
	return p.Plain.ReadLine(ctx, prompt)
}
