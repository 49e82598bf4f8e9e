package display

import (
	"io"
	"sync"
	"time"

	"github.com/meshlark/meshlark/builtins"
)

// Progress is one line on a terminal that says what is under way and how far it
// is. It appears when the work takes a while and is gone when the work is done.
// Its methods may be called from any goroutine; those of nil do nothing.
type Progress struct {
	w     io.Writer
	style Style
	delay time.Duration

	mu    sync.Mutex
	text  string
	timer *time.Timer // runs while there is work
	shown bool
}

// Patience is how long work takes before a person wants to know how far it is.
const Patience = 300 * time.Millisecond

// redraw is how often the line changes at most.
const redraw = 100 * time.Millisecond

// NewProgress makes a status line on a terminal. Work that takes no longer than
// delay shows nothing.
func NewProgress(w io.Writer, s Style, delay time.Duration) *Progress {
	return &Progress{w: w, style: s, delay: delay}
}

// Update says what is under way.
func (p *Progress) Update(text string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text = Clean(text)
	if p.timer == nil {
		p.timer = time.AfterFunc(p.delay, p.draw)
	}
}

func (p *Progress) draw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer == nil { // cleared meanwhile
		return
	}
	text := p.text
	if p.style.Width > 1 {
		text = shorten(text, p.style.Width-1, builtins.ElideMiddle)
	}
	io.WriteString(p.w, "\r"+p.style.Paint(Faint, text)+"\x1b[K")
	p.shown = true
	p.timer.Reset(redraw)
}

// Clear takes the line away: the work is done, or something else has to be
// written.
func (p *Progress) Clear() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	if p.shown {
		io.WriteString(p.w, "\r\x1b[K")
		p.shown = false
	}
}
