//go:build unix

package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
)

// A plot is lines over two logarithmic axes.
type plot struct {
	title string
	lines []line
	x, y  axis
}

type axis struct {
	name string
	tick func(power int) string // the text of a power of ten
}

type line struct {
	name   string
	color  string
	points []point // by x
}

type point struct{ x, y float64 }

func count(power int) string { return fmt.Sprintf("%.0f", math.Pow10(power)) }

// seconds gives a power of ten of a second in the unit that suits.
func seconds(power int) string {
	switch {
	case power >= 0:
		return fmt.Sprintf("%.0f s", math.Pow10(power))
	case power >= -3:
		return fmt.Sprintf("%.0f ms", math.Pow10(power+3))
	}
	return fmt.Sprintf("%.0f µs", math.Pow10(power+6))
}

// Measures of the picture, in pixels. The names of the lines stand at their right ends.
const (
	width, height = 860, 460
	left, right   = 76, 270
	top, bottom   = 56, 56
)

func (p plot) svg() []byte {
	minX, maxX, minY, maxY := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, l := range p.lines {
		for _, at := range l.points {
			minX, maxX = min(minX, math.Log10(at.x)), max(maxX, math.Log10(at.x))
			minY, maxY = min(minY, math.Log10(at.y)), max(maxY, math.Log10(at.y))
		}
	}
	minX, maxX, minY, maxY = math.Floor(minX), math.Ceil(maxX), math.Floor(minY), math.Ceil(maxY)
	x := func(log float64) float64 { return left + (log-minX)/(maxX-minX)*(width-left-right) }
	y := func(log float64) float64 { return height - bottom - (log-minY)/(maxY-minY)*(height-top-bottom) }
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="system-ui, sans-serif" font-size="13">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, "<title>%s</title>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n", html.EscapeString(p.title))
	text := func(x, y float64, anchor, color, extra, s string) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s"%s>%s</text>`+"\n", x, y, anchor, color, extra, html.EscapeString(s))
	}
	text(left, 28, "start", "#111827", ` font-size="16" font-weight="600"`, p.title)
	for power := int(minY); power <= int(maxY); power++ {
		at := y(float64(power))
		fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#e5e7eb"/>`+"\n", left, width-right, at, at)
		text(left-8, at+4, "end", "#4b5563", "", p.y.tick(power))
	}
	for power := int(minX); power <= int(maxX); power++ {
		at := x(float64(power))
		fmt.Fprintf(&b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#e5e7eb"/>`+"\n", at, at, top, height-bottom)
		text(at, height-bottom+20, "middle", "#4b5563", "", p.x.tick(power))
	}
	text((left+width-right)/2, height-12, "middle", "#4b5563", "", p.x.name)
	for _, l := range p.lines {
		fmt.Fprintf(&b, `<polyline fill="none" stroke="%s" stroke-width="2" points="`, l.color)
		for _, at := range l.points {
			fmt.Fprintf(&b, "%.1f,%.1f ", x(math.Log10(at.x)), y(math.Log10(at.y)))
		}
		b.WriteString("\"/>\n")
		last := l.points[len(l.points)-1]
		for _, at := range l.points {
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", x(math.Log10(at.x)), y(math.Log10(at.y)), l.color)
		}
		text(x(math.Log10(last.x))+10, y(math.Log10(last.y))+4, "start", l.color, "", l.name)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}
