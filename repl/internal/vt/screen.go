// Package vt is a terminal for tests: a screen that interprets what a program
// writes, as far as a line editor needs it, and a pseudo-terminal with a program
// on it.
package vt

import (
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
)

// A Screen shows what is written to it. Rows that leave it at the top are kept.
// It breaks rows anew when its width changes, as most terminals do.
type Screen struct {
	mu       sync.Mutex
	changed  chan struct{} // closed and replaced at every write
	columns  int
	rows     int
	history  []string
	cells    [][]string // by row; the second cell of a wide character is ""
	x, y     int
	wrapNext bool // the last column was written; the next character begins a row
	newline  bool // whether a line feed returns the carriage
	pending  []byte
	modes    map[string]bool // private modes that are set, such as "2004"
}

// NewScreen makes an empty screen. With newline set a line feed also returns to
// the first column, which the terminal driver does otherwise.
func NewScreen(columns, rows int, newline bool) *Screen {
	s := &Screen{changed: make(chan struct{}), columns: columns, rows: rows, newline: newline, modes: map[string]bool{}}
	s.cells = [][]string{s.blank()}
	return s
}

func (s *Screen) blank() []string {
	row := make([]string, s.columns)
	for i := range row {
		row[i] = " "
	}
	return row
}

// Write implements io.Writer.
func (s *Screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = append(s.pending, p...)
	for len(s.pending) > 0 {
		n := s.take(s.pending)
		if n == 0 {
			break
		}
		s.pending = s.pending[n:]
	}
	close(s.changed)
	s.changed = make(chan struct{})
	return len(p), nil
}

// Changed gives a channel that is closed at the next write.
func (s *Screen) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// take interprets the beginning of b and gives its length, 0 when the rest is
// missing.
func (s *Screen) take(b []byte) int {
	switch b[0] {
	case '\r':
		s.x, s.wrapNext = 0, false
		return 1
	case '\n':
		if s.newline {
			s.x = 0
		}
		s.wrapNext = false
		s.down()
		return 1
	case '\b':
		s.x, s.wrapNext = max(s.x-1, 0), false
		return 1
	case 7:
		return 1
	case 27:
		return s.escape(b)
	}
	if !utf8.FullRune(b) {
		return 0
	}
	r, n := utf8.DecodeRune(b)
	s.put(r)
	return n
}

func (s *Screen) escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	if b[1] != '[' {
		return 2
	}
	end := 2
	for end < len(b) && (b[end] < 0x40 || b[end] > 0x7e) {
		end++
	}
	if end == len(b) {
		return 0
	}
	args := string(b[2:end])
	n, err := strconv.Atoi(args)
	if err != nil || n == 0 {
		n = 1
	}
	switch b[end] {
	case 'A':
		s.y, s.wrapNext = max(s.y-n, 0), false
	case 'B':
		s.y, s.wrapNext = min(s.y+n, s.rows-1), false
		s.reach()
	case 'C':
		s.x, s.wrapNext = min(s.x+n, s.columns-1), false
	case 'D':
		s.x, s.wrapNext = max(s.x-n, 0), false
	case 'H':
		s.x, s.y, s.wrapNext = 0, 0, false
	case 'K':
		s.clear(s.x)
	case 'J':
		if args == "2" {
			s.cells = [][]string{}
			s.reach()
			break
		}
		if s.x == 0 && s.y == 0 { // the whole screen, which tmux keeps
			for _, row := range s.cells {
				if text := strings.Join(row, ""); strings.TrimSpace(text) != "" {
					s.history = append(s.history, text)
				}
			}
		}
		s.clear(s.x)
		s.cells = s.cells[:s.y+1]
	case 'h', 'l':
		if mode, ok := strings.CutPrefix(args, "?"); ok {
			s.modes[mode] = b[end] == 'h'
		}
	}
	return end + 1
}

func (s *Screen) clear(from int) {
	for x := from; x < s.columns; x++ {
		s.cells[s.y][x] = " "
	}
}

// reach makes the rows down to the cursor.
func (s *Screen) reach() {
	for len(s.cells) <= s.y {
		s.cells = append(s.cells, s.blank())
	}
}

func (s *Screen) down() {
	s.y++
	s.reach()
	if s.y >= s.rows {
		s.history = append(s.history, strings.Join(s.cells[0], ""))
		s.cells = s.cells[1:]
		s.y--
	}
}

func (s *Screen) put(r rune) {
	w := runewidth.RuneWidth(r)
	if w == 0 {
		if s.x > 0 {
			s.cells[s.y][s.x-1] += string(r)
		}
		return
	}
	if s.wrapNext || s.x+w > s.columns {
		s.x, s.wrapNext = 0, false
		s.down()
	}
	s.cells[s.y][s.x] = string(r)
	if w == 2 {
		s.cells[s.y][s.x+1] = ""
	}
	s.x += w
	if s.x >= s.columns {
		s.x, s.wrapNext = s.columns-1, true
	}
}

// Resize changes the size. Rows that became too long are broken.
func (s *Screen) Resize(columns, rows int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, x, y := s.cells, s.x, s.y
	s.columns, s.rows = columns, rows
	s.cells, s.x, s.y, s.wrapNext = nil, 0, 0, false
	for i, row := range old {
		text := row
		for len(text) > 0 && text[len(text)-1] == " " && (i != y || len(text) > x) {
			text = text[:len(text)-1]
		}
		for first := true; first || len(text) > 0; first = false {
			n := min(len(text), columns)
			next := s.blank()
			copy(next, text[:n])
			s.cells = append(s.cells, next)
			text = text[n:]
		}
		if i == y {
			s.y = len(s.cells) - 1
			s.x = min(x%columns, columns-1)
		}
	}
	for len(s.cells) > rows && s.y >= rows {
		s.history = append(s.history, strings.Join(s.cells[0], ""))
		s.cells = s.cells[1:]
		s.y--
	}
}

// Text is what the screen shows, without spaces at the ends of rows and empty
// rows at the end.
func (s *Screen) Text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text(nil)
}

// All is Text with the rows that have left the screen.
func (s *Screen) All() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text(s.history)
}

func (s *Screen) text(lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	for _, row := range s.cells {
		b.WriteString(strings.TrimRight(strings.Join(row, ""), " ") + "\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// Line is the row that the cursor is on, with a bar at the cursor.
func (s *Screen) Line() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	row := s.cells[s.y]
	return strings.TrimRight(strings.Join(row[:s.x], "")+"|"+strings.Join(row[s.x:], ""), " ")
}

// Mode tells whether a private mode is set.
func (s *Screen) Mode(mode string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.modes[mode]
}
