package diagram

import (
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"

	"github.com/meshlark/meshlark/xds/trace"
)

// SVG is a trace as a picture that stands alone: no scripts, no fonts, nothing to load. A card for each proxy from left to right has its decisions, the
// shares of clusters and endpoints as bars, and in what follows, smaller, the reasons and what came close. It follows the reader's choice of light or dark.
// Endpoints and losers are folded as in Text.
func SVG(t trace.Trace) string {
	o := newOutline(t, false)
	p := &picture{y: margin}
	p.title(&o)
	top := p.y
	bottom, right := top, p.right
	x := float64(margin)
	for i, h := range o.hops {
		low := p.card(x, top, i+1, h)
		bottom = max(bottom, low)
		x += cardWidth
		right = max(right, x+margin)
		switch {
		case h.next == "":
			continue
		case i == len(o.hops)-1 && o.end != arrives:
			continue
		}
		p.arrow(x, top+titleHeight/2, h.next)
		x += gap
		if i == len(o.hops)-1 {
			p.application(x, top+titleHeight/2)
			right = max(right, x+appWidth+margin)
		}
	}
	width, height := right, bottom+margin
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%s" height="%s" viewBox="0 0 %[1]s %[2]s" role="img">`+"\n", num(width), num(height))
	fmt.Fprintf(&b, "<title>%s</title>\n", escape(strings.TrimPrefix(o.request+": ", ": ")+o.sentence()))
	b.WriteString(style)
	fmt.Fprintf(&b, `<rect class="page" width="%s" height="%s"/>`+"\n", num(width), num(height))
	b.WriteString(p.b.String())
	b.WriteString("</svg>\n")
	return b.String()
}

// Measures of the picture, in pixels.
const (
	margin      = 24
	cardWidth   = 460
	gap         = 150
	appWidth    = 120
	titleHeight = 40
	nameHeight  = 19
	labelWidth  = 96
	padding     = 14
	barWidth    = 98
	lineHeight  = 17
	smallHeight = 14.5
	size        = 13   // of the font
	small       = 11.5 // of reasons
	nameSize    = 17   // of names, which are bold and so wider than their size says
)

// style has the colours of light and of dark. Whoever does not know the media query shows the light ones.
const style = `<style>
text { font-family: ui-sans-serif, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif; font-size: 13px; fill: #1f2328 }
.page { fill: #ffffff } .card { fill: #f6f8fa; stroke: #d1d9e0 } .rule { stroke: #d1d9e0 } .track { fill: #d1d9e0 } .bar { fill: #0969da } .idle { fill: #818b98 }
.name { font-size: 15px; font-weight: 600 } .label, .small { fill: #59636e } .label { font-size: 12px } .small, .share { font-size: 11.5px }
.good { fill: #1a7f37 } .bad { fill: #cf222e } .warn { fill: #9a6700 } .go { stroke: #59636e; stroke-width: 1.5; fill: none } .tip { fill: #59636e }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc }
.page { fill: #0d1117 } .card { fill: #151b23; stroke: #3d444d } .rule { stroke: #3d444d } .track { fill: #3d444d } .bar { fill: #4493f8 } .idle { fill: #656c76 }
.label, .small { fill: #9198a1 }
.good { fill: #3fb950 } .bad { fill: #f85149 } .warn { fill: #d29922 } .go { stroke: #9198a1 } .tip { fill: #9198a1 }
}
</style>
`

type picture struct {
	b     strings.Builder
	y     float64
	right float64 // how far the title reaches
}

// text writes a line.
func (p *picture) text(x, y float64, class, text string) {
	if class != "" {
		class = ` class="` + class + `"`
	}
	fmt.Fprintf(&p.b, `<text x="%s" y="%s"%s>%s</text>`+"\n", num(x), num(y), class, escape(text))
}

func (p *picture) rect(x, y, w, h, round float64, class string) {
	fmt.Fprintf(&p.b, `<rect x="%s" y="%s" width="%s" height="%s" rx="%s" class="%s"/>`+"\n", num(x), num(y), num(w), num(h), num(round), class)
}

// title is the request and how it ends, over the cards.
func (p *picture) title(o *outline) {
	width := float64(max(1, min(len(o.hops), 3)))*(cardWidth+gap) - gap
	p.right = width + 2*margin
	if o.request != "" {
		for _, line := range lay(o.request, width, nameSize) {
			p.y += 18
			p.text(margin, p.y, "name", line)
		}
		p.y += 4
	}
	class := "good"
	if o.end == fails {
		class = "bad"
	}
	for _, line := range lay(o.sentence(), width, size*1.08) {
		p.y += lineHeight
		p.text(margin, p.y, class, line)
	}
	for _, note := range o.notes() {
		for _, line := range lay(note, width, size*1.08) {
			p.y += lineHeight
			p.text(margin, p.y, "warn", line)
		}
	}
	p.y += 18
}

// card is a proxy. It gives how far down it reaches.
func (p *picture) card(x, top float64, n int, h hop) float64 {
	inner := &picture{y: top + titleHeight - nameHeight}
	number := strconv.Itoa(n) + ". "
	for i, line := range lay(h.proxy, cardWidth-2*padding-measure(number, nameSize), nameSize) {
		if i == 0 {
			line = number + line
		}
		inner.y += nameHeight
		inner.text(x+padding, inner.y-14, "name", line)
	}
	for i, s := range h.stages {
		if i > 0 {
			fmt.Fprintf(&inner.b, `<line x1="%s" x2="%s" y1="%[3]s" y2="%[3]s" class="rule"/>`+"\n", num(x+padding), num(x+cardWidth-padding), num(inner.y))
		}
		inner.stage(x, s)
	}
	bottom := inner.y + 4
	p.rect(x, top, cardWidth, bottom-top, 8, "card")
	p.b.WriteString(inner.b.String())
	return bottom
}

func (p *picture) stage(x float64, s stage) {
	class := map[Tone]string{Good: "good", Bad: "bad", Warn: "warn"}[s.tone]
	start := p.y
	left, width := x+padding+labelWidth, float64(cardWidth-2*padding-labelWidth)
	p.y += 5
	p.text(x+padding, p.y+13, "label", s.label)
	lines := func(text, class string, font, height float64) {
		if text == "" {
			return
		}
		for _, line := range lay(text, width, font) {
			p.y += height
			p.text(left, p.y-3, class, line)
		}
	}
	lines(s.answer, class, size, lineHeight)
	lines(s.object, "small", small, smallHeight)
	for _, r := range s.rows {
		p.row(left, width, r)
	}
	aside := "small"
	if s.tone == Bad || s.tone == Warn {
		aside += " " + class
	}
	for _, a := range s.asides {
		lines(a, aside, small, smallHeight)
	}
	for _, l := range s.lost {
		text := "not " + l.name
		if l.object != "" {
			text += " (" + l.object + ")"
		}
		if l.why != "" {
			text += ": " + l.why
		}
		lines(text, "small", small, smallHeight)
	}
	if s.folded != "" {
		lines("+ "+s.folded, "small", small, smallHeight)
	}
	p.y = max(p.y, start+5+lineHeight) + 6
	if class != "" {
		p.rect(x, start+3, 4, p.y-start-6, 2, class)
	}
}

// row is a share: its bar, its name, and below what else is known.
func (p *picture) row(left, width float64, r row) {
	p.y += lineHeight + 2
	bar := "idle"
	if r.followed || r.share == 1 {
		bar = "bar"
	}
	// A track of the whole, and the share of it.
	p.rect(left, p.y-12, barWidth-54, 8, 3, "track")
	if share := min(max(r.share, 0), 1); share > 0 {
		p.rect(left, p.y-12, max(3, share*(barWidth-54)), 8, 3, bar)
	}
	p.text(left+barWidth-48, p.y-4, "share", percent(r.share))
	for i, line := range lay(r.name, width-barWidth, size) {
		if i > 0 {
			p.y += lineHeight
		}
		p.text(left+barWidth, p.y-3, "", line)
	}
	if r.asides != "" {
		for _, line := range lay(r.asides, width-barWidth, small) {
			p.y += smallHeight
			p.text(left+barWidth, p.y-3, "small", line)
		}
	}
}

// arrow goes to the next card.
func (p *picture) arrow(x, y float64, text string) {
	end := x + gap
	fmt.Fprintf(&p.b, `<path d="M%s %sH%s" class="go"/><path d="M%s %sl-9 -4.5v9z" class="tip"/>`+"\n", num(x+4), num(y), num(end-6), num(end-2), num(y))
	how, to, found := strings.Cut(text, " to ")
	if !found {
		how, to = text, ""
	}
	above := lay(how, gap-16, small)
	for i, line := range above {
		p.text(x+8, y-8-float64(len(above)-1-i)*smallHeight, "small", line)
	}
	for i, line := range lay(to, gap-16, small) {
		p.text(x+8, y+16+float64(i)*smallHeight, "small", line)
	}
}

// application is where a request that arrives ends.
func (p *picture) application(x, y float64) {
	p.rect(x, y-16, appWidth, 32, 16, "card")
	p.text(x+25, y+4.5, "good", "arrives")
	fmt.Fprintf(&p.b, `<circle cx="%s" cy="%s" r="4" class="good"/>`+"\n", num(x+15), num(y))
}

// lay breaks a text into lines of at most so many pixels.
func lay(text string, width, font float64) []string {
	return wrap(clean(text), func(r rune) float64 { return runeWidth(r) * font }, width)
}

func measure(text string, font float64) (width float64) {
	for _, r := range text {
		width += runeWidth(r) * font
	}
	return width
}

// runeWidth is how wide a character is at size 1. The picture does not know its font: these are the widths of one of the wider usual ones, so that text
// in others has room to spare.
func runeWidth(r rune) float64 {
	switch {
	case r > '~':
		if cells.RuneWidth(r) > 1 {
			return 1.05
		}
		return 0.7
	case strings.ContainsRune("ijl|.,:;'!", r):
		return 0.33
	case strings.ContainsRune(" ()[]{}ftrI/\\-_\"`", r):
		return 0.42
	case strings.ContainsRune("mwMW@%&", r):
		return 0.95
	case 'A' <= r && r <= 'Z' || strings.ContainsRune("=<>+~#^", r):
		return 0.77
	}
	return 0.62
}

func escape(text string) string {
	var b strings.Builder
	// It fails only if the writer does.
	_ = xml.EscapeText(&b, []byte(clean(text)))
	return b.String()
}

// num is a coordinate with no more digits than it needs.
func num(v float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.1f", v), "0"), ".")
}
