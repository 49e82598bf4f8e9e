package editor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/chzyer/readline"
)

// Terminal is the [LineEditor] of a terminal.
//
// github.com/chzyer/readline runs the loop over the keys and holds the text.
// Drawing, history, search and completion are done here, where readline would
// crash, count columns wrongly or take a statement for one line. It is told
// that there is no terminal, so it draws nothing, and keys that it handles badly
// reach it as characters of a private use area, which it inserts and passes to
// its listener; the listener takes them out again and does what they mean.
//
// Everything that is written goes through one lock, so text may be printed at
// any time.
type Terminal struct {
	cfg  Config
	in   *input
	out  io.Writer
	raw  func() (restore func() error, err error)
	size func() (columns, rows int)
	stop func() // ends the watch over the terminal's size
	rl   *readline.Instance

	mu      sync.Mutex
	reading bool
	closed  bool
	restore func() error // while the terminal is raw
	prompt  string
	buf     buffer // as readline has it after the last key
	screen  screen
	search  *search

	// Of the goroutine that handles keys, which waits while nobody reads.
	history []string
	at      int      // the entry of the history that is shown, len(history) for none
	drafts  []buffer // what became of the entries, by index, the new statement last
	kill    []rune
	typed   rune // of keySearchRune
}

var _ LineEditor = (*Terminal)(nil)

// newTerminal makes an editor on any stream of keys.
func newTerminal(in io.Reader, out io.Writer, raw func() (func() error, error), size func() (int, int), cfg Config) (*Terminal, error) {
	if cfg.Incomplete == nil {
		cfg.Incomplete = func(string) bool { return false }
	}
	t := &Terminal{cfg: cfg, in: newInput(in), out: out, raw: raw, size: size, stop: func() {}}
	nothing := func() error { return nil }
	var err error
	t.rl, err = readline.NewEx(&readline.Config{
		Stdin:                  t.in,
		Stdout:                 io.Discard,
		Stderr:                 io.Discard,
		DisableAutoSaveHistory: true,
		Painter:                noPainter{}, // a nil one would be called
		Listener:               t,
		FuncFilterInputRune:    t.filter,
		FuncGetWidth:           func() int { return 1 << 20 },
		FuncIsTerminal:         func() bool { return false },
		FuncMakeRaw:            nothing,
		FuncExitRaw:            nothing,
		FuncOnWidthChanged:     func(func()) {},
	})
	if err != nil {
		return nil, fmt.Errorf("cannot start the line editor: %w", err)
	}
	return t, nil
}

type noPainter struct{}

func (noPainter) Paint(line []rune, _ int) []rune { return line }

const (
	pasteOn  = "\x1b[?2004h" // asks the terminal to mark what is pasted
	pasteOff = "\x1b[?2004l"
)

// ReadLine implements [LineEditor].
func (t *Terminal) ReadLine(ctx context.Context, prompt string) (string, error) {
	if err := context.Cause(ctx); err != nil {
		return "", err
	}
	if err := t.begin(prompt); err != nil {
		return "", err
	}
	stop := context.AfterFunc(ctx, func() { t.in.interrupt(ctrlC) })
	line, err := t.rl.Readline()
	if !stop() {
		t.in.drain()
	}
	t.end()
	switch {
	case err == readline.ErrInterrupt && ctx.Err() != nil:
		return "", context.Cause(ctx)
	case err == readline.ErrInterrupt:
		return "", ErrInterrupt
	case err != nil:
		return "", err
	}
	return line, nil
}

func (t *Terminal) begin(prompt string) error {
	var history []string
	if t.cfg.History != nil {
		history = t.cfg.History()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || t.in.ended() {
		return io.EOF
	}
	if err := t.makeRaw(); err != nil {
		return err
	}
	t.reading = true
	t.prompt = prompt
	t.buf = buffer{}
	t.search = nil
	t.history, t.at = history, len(history)
	t.drafts = make([]buffer, len(history)+1)
	t.screen.forget()
	t.write(pasteOn)
	t.draw()
	return nil
}

func (t *Terminal) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reading = false
	t.screen.forget()
	t.makeCooked() // first, so that a Ctrl-C is a signal as soon as possible
	if !t.closed {
		t.write(pasteOff)
	}
}

// makeRaw makes the terminal give every key as it is pressed. The editor is locked.
func (t *Terminal) makeRaw() error {
	if t.restore != nil {
		return nil
	}
	restore, err := t.raw()
	if err != nil {
		return fmt.Errorf("cannot set the terminal up: %w", err)
	}
	t.restore = restore
	return nil
}

// makeCooked gives the terminal back. The editor is locked.
func (t *Terminal) makeCooked() error {
	restore := t.restore
	if restore == nil {
		return nil
	}
	t.restore = nil
	return restore()
}

func (t *Terminal) write(s string) { io.WriteString(t.out, s) }

// draw shows the statement as it is now. The editor is locked.
func (t *Terminal) draw() {
	columns, height := t.size()
	prompt := t.prompt
	if t.search != nil {
		prompt = t.search.prompt()
	}
	r := layout(prompt, t.cfg.Continuation, t.buf.text, t.buf.pos, columns)
	t.write(t.screen.draw(r, height))
}

// leave draws the statement a last time, with a mark behind it, and goes to the
// next row. The editor is locked.
func (t *Terminal) leave(mark string) {
	t.search = nil
	t.buf.pos = len(t.buf.text)
	t.buf.insert([]rune(mark))
	t.draw()
	t.write(t.screen.leave())
	t.buf = buffer{}
}

// Print implements [LineEditor].
func (t *Terminal) Print(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.print(text)
}

// print writes text above the statement, if one is being edited. The editor is
// locked.
func (t *Terminal) print(text string) {
	if !t.reading || t.closed {
		t.write(text)
		return
	}
	var b strings.Builder
	t.screen.erase(&b)
	b.WriteString(strings.ReplaceAll(text, "\n", "\r\n"))
	t.write(b.String())
	t.draw()
}

// ReadKeys implements [LineEditor].
func (t *Terminal) ReadKeys(ctx context.Context, press func(key rune) (more bool)) error {
	t.mu.Lock()
	if t.closed || t.reading {
		t.mu.Unlock()
		return io.EOF
	}
	err := t.makeRaw()
	t.mu.Unlock()
	if err != nil {
		return err
	}
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.makeCooked()
	}()
	for {
		key, err := t.in.readKey(ctx.Done())
		switch {
		case errors.Is(err, errGivenUp):
			return context.Cause(ctx)
		case err != nil:
			return err
		case !press(key):
			return nil
		}
	}
}

// Size implements [LineEditor].
func (t *Terminal) Size() (columns, rows int) { return t.size() }

// resize redraws after the terminal's size changed.
func (t *Terminal) resize() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.reading || t.closed {
		return
	}
	columns, _ := t.size()
	t.screen.resized(columns)
	t.draw()
}

// Close implements [LineEditor]. readline's own Close waits for goroutines that
// may wait for the terminal, so it is left to itself.
func (t *Terminal) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	if t.reading {
		t.write(t.screen.leave() + pasteOff)
	}
	t.closed = true
	t.stop()
	t.in.Close()
	go t.rl.Close()
	return t.makeCooked()
}

// filter sees every key before readline does. A key is never dropped here:
// readline would then read ahead, and take input that is meant for others.
func (t *Terminal) filter(r rune) (rune, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r == 0 { // the end of the input
		return r, true
	}
	if t.search != nil {
		if key, ok := t.searching(r); ok {
			return key, true
		}
		t.draw()
	}
	switch r {
	case enter, ctrlJ:
		if t.wantsMore() {
			t.rl.Terminal.KickRead() // it stops reading after an Enter
			return keyNewline, true
		}
		t.leave("")
		return enter, true
	case ctrlC:
		t.leave("^C")
		return r, true
	case ctrlD:
		if len(t.buf.text) == 0 {
			t.leave("")
		}
		return r, true
	case backspace, ctrlH:
		if t.buf.pos == 0 {
			return keyNone, true
		}
		return r, true
	}
	if key, ok := controls[r]; ok {
		return key, true
	}
	if r < ' ' {
		return keyNone, true
	}
	return r, true
}

// wantsMore tells whether Enter begins a new line of the statement.
func (t *Terminal) wantsMore() bool {
	rest := t.buf.text[t.buf.pos:]
	if slices.Contains(rest, '\n') {
		return true
	}
	text := string(t.buf.text)
	return strings.TrimSpace(text) != "" && t.cfg.Incomplete(text)
}

// OnChange implements readline.Listener: it is called after every key.
func (t *Terminal) OnChange(line []rune, pos int, key rune) (newLine []rune, newPos int, ok bool) {
	switch {
	case key == 0, key == enter, key == ctrlJ, key == ctrlC:
		return nil, 0, false // before the first key, and after the last one
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if key == ctrlD && len(t.buf.text) == 0 {
		return nil, 0, false
	}
	before := t.buf
	b := buffer{slices.Clone(line), pos}
	if isKey(key) && b.pos > 0 {
		b.cut(b.pos-1, b.pos)
	}
	defer func() {
		// A panic here would end the process with the terminal raw.
		if p := recover(); p != nil {
			t.print(fmt.Sprintf("internal error in the line editor: %v (this is a bug in meshlark)\n", p))
			t.buf = before
			newLine, newPos, ok = slices.Clone(before.text), before.pos, true
		}
	}()
	if isKey(key) {
		t.press(&b, key)
	}
	t.buf = b
	t.draw()
	return slices.Clone(b.text), b.pos, true
}

// press does what a key means.
func (t *Terminal) press(b *buffer, key rune) {
	switch key {
	case KeyLeft:
		b.pos = max(b.pos-1, 0)
	case KeyRight:
		b.pos = min(b.pos+1, len(b.text))
	case KeyHome:
		b.pos = b.lineStart()
	case KeyEnd:
		b.pos = b.lineEnd()
	case keyWordLeft:
		b.pos = b.wordStart(isWord)
	case keyWordRight:
		b.pos = b.wordEnd()
	case KeyUp:
		if !b.up() {
			t.recall(b, t.at-1)
		}
	case KeyDown:
		if !b.down() {
			t.recall(b, t.at+1)
		}
	case keyOlder:
		t.recall(b, t.at-1)
	case keyNewer:
		t.recall(b, t.at+1)
	case KeyPageUp:
		t.recall(b, 0)
	case KeyPageDown:
		t.recall(b, len(t.history))
	case KeyDelete:
		if b.pos < len(b.text) {
			b.cut(b.pos, b.pos+1)
		}
	case keyDeleteWord:
		t.kill = b.cut(b.pos, b.wordEnd())
	case keyDeleteWordBack:
		t.kill = b.cut(b.wordStart(isWord), b.pos)
	case keyKillSpaceBack:
		t.kill = b.cut(b.wordStart(func(r rune) bool { return r != ' ' && r != '\n' }), b.pos)
	case keyKillEnd:
		end := b.lineEnd()
		if end == b.pos && end < len(b.text) {
			end++ // joins the lines
		}
		t.kill = b.cut(b.pos, end)
	case keyKillStart:
		t.kill = b.cut(b.lineStart(), b.pos)
	case keyYank:
		b.insert(t.kill)
	case keyTranspose:
		b.transpose()
	case keyNewline:
		b.insert([]rune{'\n'})
	case keyPaste:
		b.insert([]rune(t.in.nextPaste()))
	case keyTab:
		t.complete(b)
	case keySearchBack:
		t.startSearch(b, -1)
	case keySearchForward:
		t.startSearch(b, 1)
	case keySearchRune:
		t.search.query += string(t.typed)
		t.refineSearch(b)
	case keySearchBackspace:
		q := []rune(t.search.query)
		t.search.query = string(q[:max(len(q)-1, 0)])
		t.search.at, t.search.failing = len(t.history), false
		t.refineSearch(b)
	case keyCancel:
		if t.search != nil {
			*b = t.search.before
			t.search = nil
		}
	case keyRedraw:
		t.write("\x1b[H\x1b[2J")
		t.screen.forget()
	case keySuspend:
		t.suspend()
	}
}

// recall shows another entry of the history. What was typed into the present
// one is still there on the way back.
func (t *Terminal) recall(b *buffer, at int) {
	if at < 0 || at > len(t.history) || at == t.at {
		return
	}
	t.drafts[t.at] = *b
	t.at = at
	if d := t.drafts[at]; d.text != nil || at == len(t.history) {
		*b = buffer{d.text, len(d.text)}
		return
	}
	b.text = []rune(t.history[at])
	b.pos = len(b.text)
}
