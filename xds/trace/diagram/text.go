package diagram

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"

	"github.com/meshlark/meshlark/xds/trace"
)

// Options are how a trace is written as text.
type Options struct {
	// Width is the number of columns there are. Longer lines are continued below, nothing is cut. 0 is no limit; fewer than 40 are taken as 40.
	Width int
	// All shows every candidate that lost and every endpoint; otherwise all but the most telling are counted.
	All bool
}

// A Tone is what a line says, for whoever gives it a colour. Colour only ever repeats what the words say.
type Tone byte

// The tones.
const (
	Plain  Tone = iota
	Good        // the request gets on
	Bad         // it does not
	Warn        // it is not known whether it does
	Strong      // the name of a proxy
	Faint       // what lost, and asides
)

// A Line is one line of the text.
type Line struct {
	Tone Tone
	Text string
}

// Text is a trace as a tree, each line ended by a newline. The verdict is the first line.
func Text(t trace.Trace, o Options) string {
	var b strings.Builder
	for _, l := range Lines(t, o) {
		b.WriteString(l.Text)
		b.WriteByte('\n')
	}
	return b.String()
}

// Lines are the lines of Text.
func Lines(t trace.Trace, o Options) []Line {
	w := &writer{width: o.Width}
	if w.width > 0 {
		w.width = max(w.width, narrowest)
	}
	out := newOutline(t, o.All)
	tone := Good
	if out.end == fails {
		tone = Bad
	}
	w.write(tone, "", "    ", out.sentence())
	for _, note := range out.notes() {
		w.write(Warn, "", "    ", note)
	}
	if out.request != "" {
		w.write(Plain, "", "    ", out.request)
	}
	for i, h := range out.hops {
		w.hop(i, h)
	}
	return w.lines
}

const (
	narrowest   = 40
	comfortable = 130
	labelColumn = 14
)

type writer struct {
	width int
	lines []Line
}

func (w *writer) hop(i int, h hop) {
	w.write(Plain, "", "", "")
	w.write(Strong, "", "    ", fmt.Sprintf("%d. %s", i+1, h.proxy))
	for n, s := range h.stages {
		first, below := "├─ ", "│  "
		if n == len(h.stages)-1 && h.next == "" {
			first, below = "└─ ", "   "
		}
		w.stage(first, below, s)
	}
	if h.next != "" {
		w.write(Plain, "└► ", "   ", h.next)
	}
}

func (w *writer) stage(first, below string, s stage) {
	lead := first + fmt.Sprintf("%-*s", labelColumn, s.label)
	indent := below + strings.Repeat(" ", labelColumn)
	next := func() (now string) {
		now, lead = lead, indent
		return now
	}
	aside := s.tone
	if aside != Warn && aside != Bad {
		aside = Faint
	}
	text := s.answer
	if s.object != "" {
		text += "  (" + s.object + ")"
	}
	asides := s.asides
	if text != "" {
		// Short reasons stand beside what they are for.
		if one := text + " — " + strings.Join(asides, "; "); len(asides) > 0 && columns(indent)+columns(clean(one)) <= w.room() {
			text, asides = one, nil
		}
		w.write(s.tone, next(), indent+"  ", text)
	}
	// Shares stand in a column of their own.
	digits := 0
	for _, r := range s.rows {
		digits = max(digits, len(percent(r.share)))
	}
	for _, r := range s.rows {
		text := r.name
		if r.asides != "" {
			text += "  " + r.asides
		}
		if r.followed {
			text += "  ← followed"
		}
		w.write(Plain, next()+fmt.Sprintf("%*s  ", digits, percent(r.share)), indent+strings.Repeat(" ", digits+2), text)
	}
	for _, a := range asides {
		w.write(aside, next(), indent+"  ", a)
	}
	for _, l := range s.lost {
		text := "not " + l.name
		if l.object != "" {
			text += " (" + l.object + ")"
		}
		if l.why != "" {
			text += ": " + l.why
		}
		w.write(Faint, next(), indent+"  ", text)
	}
	if s.folded != "" {
		w.write(Faint, next(), indent, "+ "+s.folded)
	}
}

// room is how long a line may get when it need not.
func (w *writer) room() int {
	if w.width == 0 {
		return comfortable
	}
	return min(w.width, comfortable)
}

// write adds a text under its beginning, and continues it below when it is too long: between words, and inside a word that is too long itself.
func (w *writer) write(tone Tone, first, below, text string) {
	text = clean(text)
	if w.width == 0 || columns(first)+columns(text) <= w.width {
		w.lines = append(w.lines, Line{tone, strings.TrimRight(first+text, " ")})
		return
	}
	for i, part := range wrap(text, column, float64(w.width-max(columns(first), columns(below)))) {
		lead := first
		if i > 0 {
			lead = below
		}
		w.lines = append(w.lines, Line{tone, strings.TrimRight(lead+part, " ")})
	}
}

// wrap breaks a text into lines of at most so many of what widthOf counts: between words, and within a word that is too long for a line by itself behind the
// last separator that leaves the line not too short.
func wrap(text string, widthOf func(rune) float64, width float64) []string {
	var out []string
	line, filled := "", 0.0
	for _, word := range strings.Fields(text) {
		start, at, nice, niceAt := 0, 0.0, 0, 0.0
		for i, r := range word {
			w := widthOf(r)
			if at += w; at > width && i > start {
				if nice <= start {
					nice, niceAt = i, at-w
				}
				if line != "" {
					out, line = append(out, line), ""
				}
				out = append(out, word[start:nice])
				start, at = nice, at-niceAt
			}
			if strings.ContainsRune("|./,:;-_=&?", r) && at > width/2 {
				nice, niceAt = i+utf8.RuneLen(r), at
			}
		}
		switch word = word[start:]; {
		case start > 0 || line == "" && len(out) == 0:
			line, filled = word, at
		case filled+widthOf(' ')+at <= width:
			line, filled = line+" "+word, filled+widthOf(' ')+at
		default:
			out = append(out, line)
			line, filled = word, at
		}
	}
	return append(out, line)
}

// cells measures text as every terminal in a UTF-8 locale draws it.
var cells = &runewidth.Condition{}

func columns(text string) int { return cells.StringWidth(text) }

func column(r rune) float64 { return float64(cells.RuneWidth(r)) }

// clean gives a text for one line in which every character has a shape: what has none, or would move the cursor or reverse the direction of writing,
// appears as an escape.
func clean(text string) string {
	if !slices.ContainsFunc([]byte(text), func(c byte) bool { return c < ' ' || c > '~' }) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size <= 1:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case unicode.IsGraphic(r):
			b.WriteString(text[i : i+size])
		case r < 1<<16:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		i += size
	}
	return b.String()
}
