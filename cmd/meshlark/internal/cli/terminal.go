package cli

import (
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/meshlark/meshlark/display"
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
