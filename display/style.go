// Package display decides how things look: values as tables, differences change
// by change, all of them as JSON, YAML and JUnit documents, outcomes of checks,
// errors with their source line.
//
// A table is fitted to a terminal when there is one: columns of little
// importance give way first, and long names lose their middle, because their
// ends tell them apart. Output that goes to a pipe or a file is whole: nothing
// is cut, nothing is coloured. Which of the two it is comes in as a [Style];
// the package reads no environment and asks no terminal.
package display

// A Style is what is known of the place output goes to. The zero Style is a
// pipe.
type Style struct {
	Width int  // columns of the terminal; 0 means unlimited: nothing is cut or left out
	Color bool // whether escape sequences may be used
	Wide  bool // whether columns that matter only now and then are shown
}

// Colorless is the style without colours.
func (s Style) Colorless() Style {
	s.Color = false
	return s
}

// A Tone is what a piece of text says about itself, which [Style.Paint] turns
// into a colour. Colour only ever repeats what the words say.
type Tone byte

// The tones. Their colours are of the basic sixteen, whose shades the terminal
// chooses to go with its background; none is black, white or a bright one.
const (
	Plain Tone = iota
	Strong
	Faint
	Good
	Warn
	Bad
	Accent
)

var escapes = [...]string{Plain: "", Strong: "\x1b[1m", Faint: "\x1b[2m", Good: "\x1b[32m", Warn: "\x1b[33m", Bad: "\x1b[31m", Accent: "\x1b[35m"}

// Paint gives text the colour of a tone, if the style has colours.
func (s Style) Paint(t Tone, text string) string {
	if !s.Color || t == Plain || text == "" {
		return text
	}
	return escapes[t] + text + "\x1b[0m"
}
