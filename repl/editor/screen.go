package editor

import (
	"fmt"
	"strings"

	"github.com/meshlark/meshlark/display"
)

// screen draws a statement at the bottom of what the terminal shows, and
// redraws it in place. It counts the columns of every character itself, so wide
// ones and those without width leave the cursor where it belongs. A statement
// that is longer than the terminal shows the part around the cursor.
type screen struct {
	drawn  []int // the width of each row that is on the terminal
	cursor int   // the row of them that the cursor is on
	column int   // and its column
	top    int   // the first row of the statement that is shown
}

// rows are a statement as it is broken into rows of the terminal.
type rows struct {
	text        []string
	row, column int // of the cursor
}

// layout breaks a statement into rows of at most width columns.
func layout(prompt, continuation string, line []rune, pos, width int) rows {
	if width < 2 {
		width = 80
	}
	var out rows
	var b strings.Builder
	used := 0
	wrap := func() {
		out.text = append(out.text, b.String())
		b.Reset()
		used = 0
	}
	put := func(r rune) {
		text := string(r)
		if r < ' ' || r == 0x7f {
			text = display.Clean(text)
		}
		w := display.Width(text)
		if used+w > width {
			wrap()
		}
		b.WriteString(text)
		used += w
	}
	start := func(prefix string) {
		if display.Width(prefix) > width/2 {
			prefix = ""
		}
		for _, r := range prefix {
			put(r)
		}
	}
	start(prompt)
	for i := 0; ; i++ {
		if i == pos {
			if used >= width {
				wrap()
			}
			out.row, out.column = len(out.text), used
		}
		if i >= len(line) {
			break
		}
		if line[i] == '\n' {
			wrap()
			start(continuation)
			continue
		}
		put(line[i])
	}
	wrap()
	return out
}

// draw gives the bytes that bring the terminal from what was drawn before to r.
func (s *screen) draw(r rows, height int) string {
	var b strings.Builder
	s.erase(&b)
	if height < 1 {
		height = len(r.text)
	}
	if s.top > r.row {
		s.top = r.row
	}
	if s.top < r.row-height+1 {
		s.top = r.row - height + 1
	}
	if most := max(len(r.text)-height, 0); s.top > most {
		s.top = most
	}
	visible := r.text[s.top:min(len(r.text), s.top+height)]
	b.WriteString(strings.Join(visible, "\r\n"))
	s.drawn = s.drawn[:0]
	for _, row := range visible {
		s.drawn = append(s.drawn, display.Width(row))
	}
	s.cursor, s.column = r.row-s.top, r.column
	if up := len(visible) - 1 - s.cursor; up > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", up)
	}
	b.WriteByte('\r')
	if r.column > 0 {
		fmt.Fprintf(&b, "\x1b[%dC", r.column)
	}
	return b.String()
}

// erase removes what was drawn and leaves the cursor where it began.
func (s *screen) erase(b *strings.Builder) {
	if len(s.drawn) == 0 {
		return
	}
	b.WriteByte('\r')
	if s.cursor > 0 {
		fmt.Fprintf(b, "\x1b[%dA", s.cursor)
	}
	// The space comes first because tmux takes clearing from the very first cell for clearing the screen, which it keeps in its history: each key
	// that is typed at the top, as after Ctrl-L, would leave a line there.
	b.WriteString(" \x1b[J\r")
	s.drawn, s.cursor, s.column = s.drawn[:0], 0, 0
}

// leave gives the bytes that put the cursor on the row below the statement,
// which stays as it is.
func (s *screen) leave() string {
	var b strings.Builder
	if down := len(s.drawn) - 1 - s.cursor; down > 0 {
		fmt.Fprintf(&b, "\x1b[%dB", down)
	}
	b.WriteString("\r\n")
	s.forget()
	return b.String()
}

// forget says that nothing is drawn.
func (s *screen) forget() { *s = screen{} }

// resized accounts for what a terminal does with rows that its new width has
// no room for: it breaks them.
func (s *screen) resized(width int) {
	if width < 1 {
		return
	}
	above := 0
	for _, w := range s.drawn[:min(s.cursor, len(s.drawn))] {
		above += max(w-1, 0)/width + 1
	}
	s.cursor = above + s.column/width
}
