package editor

import (
	"io"
	"os"

	"github.com/chzyer/readline"
)

// keyboard gives the keys of the console as readline translates them.
func keyboard(*os.File) io.Reader { return readline.Stdin }

// watchSize does nothing: a console tells nobody.
func watchSize(func()) (stop func()) { return func() {} }

// suspend does nothing: there is no job control.
func (t *Terminal) suspend() { t.write("\a") }
