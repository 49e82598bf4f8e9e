package editor

import (
	"bufio"
	"context"
	"io"
	"strings"
	"sync"
)

// Plain is a [LineEditor] for input that nobody edits. It shows no prompt.
type Plain struct {
	out   io.Writer
	ask   chan struct{}
	lines chan plainLine

	asked  bool
	closed chan struct{}
	once   sync.Once
}

type plainLine struct {
	text string
	err  error
}

var _ LineEditor = (*Plain)(nil)

// NewPlain makes an editor that reads lines as they come.
func NewPlain(in io.Reader, out io.Writer) *Plain {
	p := &Plain{out: out, ask: make(chan struct{}, 1), lines: make(chan plainLine, 1), closed: make(chan struct{})}
	go func() {
		r := bufio.NewReader(in)
		for {
			select {
			case <-p.ask:
			case <-p.closed:
				return
			}
			text, err := r.ReadString('\n')
			if text != "" {
				err = nil // the last line may lack its newline
			}
			p.lines <- plainLine{strings.TrimRight(text, "\r\n"), err}
		}
	}()
	return p
}

// ReadLine implements [LineEditor].
func (p *Plain) ReadLine(ctx context.Context, _ string) (string, error) {
	if !p.asked { // else an earlier call that was given up asked already
		p.asked = true
		p.ask <- struct{}{}
	}
	select {
	case line := <-p.lines:
		p.asked = false
		return line.text, line.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	case <-p.closed:
		return "", io.EOF
	}
}

// ReadKeys implements [LineEditor]: there is nobody to press one.
func (p *Plain) ReadKeys(context.Context, func(rune) bool) error { return io.EOF }

// Print implements [LineEditor].
func (p *Plain) Print(text string) { io.WriteString(p.out, text) }

// Size implements [LineEditor].
func (p *Plain) Size() (columns, rows int) { return 0, 0 }

// Close implements [LineEditor].
func (p *Plain) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}
