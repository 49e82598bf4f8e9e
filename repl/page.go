package repl

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/meshlark/meshlark/display"
	"github.com/meshlark/meshlark/repl/editor"
)

// pager is a line editor that can hand the terminal to a program.
type pager interface {
	Page(ctx context.Context, command, text string) error
}

// show prints text. What outgrows the screen is shown page by page: with
// $PAGER if that is set, else by itself.
func (s *Shell) show(ctx context.Context, text string) {
	if text == "" {
		return
	}
	columns, rows := s.editor.Size()
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n")+"\n", "\n")
	lines = lines[:len(lines)-1]
	if columns < 1 || rows < 3 || screenRows(lines, columns) < rows {
		s.print(lines)
		return
	}
	if command := s.o.Env["PAGER"]; command != "" {
		if p, ok := s.editor.(pager); ok {
			err := p.Page(ctx, command, text)
			s.drain() // a Ctrl-C was the pager's
			if err == nil {
				return
			}
			s.note("%s: %v", command, err)
		}
	}
	s.more(ctx, lines)
}

// print writes lines until a Ctrl-C.
func (s *Shell) print(lines []string) {
	const batch = 64
	for len(lines) > 0 {
		n := min(batch, len(lines))
		if _, err := io.WriteString(s.o.Stdout, strings.Join(lines[:n], "")); err != nil {
			return
		}
		lines = lines[n:]
		select {
		case <-s.o.Interrupts:
			if len(lines) > 0 {
				s.note("interrupted; %s not shown", count(len(lines), "line"))
			}
			return
		default:
		}
	}
}

// more shows lines page by page.
func (s *Shell) more(ctx context.Context, lines []string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // a Ctrl-C is a signal as long as no key is read
		select {
		case <-s.o.Interrupts:
			cancel()
		case <-ctx.Done():
		}
	}()
	out := func(text string) { io.WriteString(s.o.Stdout, text) }
	columns, rows := s.editor.Size()
	shown := 0
	page := func(n int) { // and what asks for the next one
		out(strings.Join(lines[shown:shown+n], ""))
		shown += n
		if shown < len(lines) {
			out(s.style().Paint(display.Strong, s.ask(shown, len(lines), columns)))
		}
	}
	page(s.take(lines, columns, rows-1))
	if shown == len(lines) {
		return
	}
	all := false
	s.editor.ReadKeys(ctx, func(key rune) bool {
		columns, rows = s.editor.Size()
		next := 0
		switch key {
		case ' ', 'f', editor.KeyPageDown:
			next = s.take(lines[shown:], columns, rows-1)
		case '\r', '\n', 'j', editor.KeyDown:
			next = 1
		case 'G', editor.KeyEnd:
			all = true
			return false
		case 'q', 'Q', 3, 4:
			return false
		default:
			return true
		}
		out("\r\x1b[K")
		page(next)
		return shown < len(lines)
	})
	cancel()
	if shown == len(lines) {
		return
	}
	out("\r\x1b[K")
	if all {
		s.print(lines[shown:])
		return
	}
	s.note("%s not shown", count(len(lines)-shown, "line"))
}

// ask is what stands below a page, on one row.
func (s *Shell) ask(shown, all, columns int) string {
	for _, text := range []string{
		fmt.Sprintf("-- %d of %d lines; space: more, Enter: a line, G: all, q: stop --", shown, all),
		fmt.Sprintf("-- %d/%d lines; space, Enter, G, q --", shown, all),
	} {
		if len(text) < columns {
			return text
		}
	}
	return "-- more --"
}

// take tells how many lines fit on some rows of the screen, one at least.
func (s *Shell) take(lines []string, columns, rows int) int {
	used := 0
	for i, line := range lines {
		used += rowsOf(line, columns)
		if used > rows && i > 0 {
			return i
		}
	}
	return len(lines)
}

func screenRows(lines []string, columns int) int {
	n := 0
	for _, line := range lines {
		n += rowsOf(line, columns)
	}
	return n
}

var colours = regexp.MustCompile("\x1b\\[[0-9;]*m")

func rowsOf(line string, columns int) int {
	if columns < 1 {
		return 1
	}
	w := display.Width(colours.ReplaceAllString(strings.TrimSuffix(line, "\n"), ""))
	return max(w-1, 0)/columns + 1
}
