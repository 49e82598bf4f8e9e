package editor

import (
	"context"
	"fmt"
	"strings"

	"github.com/meshlark/meshlark/display"
	"github.com/meshlark/meshlark/repl/complete"
)

// complete puts in what can only be meant, or lists what can.
func (t *Terminal) complete(b *buffer) {
	if strings.TrimSpace(string(b.text[b.lineStart():b.pos])) == "" {
		b.insert([]rune("    "))
		return
	}
	if t.cfg.Complete == nil {
		return
	}
	text := string(b.text)
	res := t.cfg.Complete(context.Background(), text, b.bytePos())
	common := complete.Common(res.Candidates)
	typed := text[res.Start:b.bytePos()]
	switch {
	case len(res.Candidates) == 1, len(common) > len(typed) && strings.HasPrefix(common, typed):
		rest := text[res.End:]
		if len(res.Candidates) > 1 {
			rest = text[b.bytePos():]
		}
		b.text = []rune(text[:res.Start] + common + rest)
		b.pos = len([]rune(text[:res.Start] + common))
	case len(res.Candidates) > 1:
		columns, height := t.size()
		t.print(listing(res.Candidates, columns, max(height-len(t.screen.drawn)-2, 3)))
	case res.Note != "":
		columns, _ := t.size()
		t.print(cut(display.Clean(res.Note), max(columns-1, 20)) + "\n")
	default:
		t.write("\a")
	}
}

// listing arranges candidates for a terminal of some width: down the columns,
// as ls does, or one a line with what there is to say about it when there are
// few. At most height lines are used; the last says how many are left out.
func listing(candidates []complete.Candidate, width, height int) string {
	if width < 8 {
		width = 80
	}
	height = max(height, 2)
	labels := make([]string, len(candidates))
	widest, documented := 0, false
	for i, c := range candidates {
		labels[i] = shorten(display.Clean(c.Label), width-1)
		widest = max(widest, display.Width(labels[i]))
		documented = documented || c.Doc != ""
	}

	const gap = 2
	if documented && len(candidates) <= min(height, 12) && widest+gap+20 <= width {
		var b strings.Builder
		for i, c := range candidates {
			room := width - 1 - widest - gap
			doc := cut(display.Clean(c.Doc), room)
			line := pad(labels[i], widest+gap) + doc
			b.WriteString(strings.TrimRight(line, " ") + "\n")
		}
		return b.String()
	}

	columns := max((width-1+gap)/(widest+gap), 1)
	lines := (len(labels) + columns - 1) / columns
	more := 0
	if lines > height {
		lines = height - 1
		more = len(labels) - lines*columns
		labels = labels[:lines*columns]
	}
	var b strings.Builder
	for row := range lines {
		var line strings.Builder
		for i := row; i < len(labels); i += lines {
			line.WriteString(pad(labels[i], widest+gap))
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	if more > 0 {
		fmt.Fprintf(&b, "and %d more\n", more)
	}
	return b.String()
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(width-display.Width(s), 0))
}

// shorten takes the middle out of a name that is too wide: its ends tell it
// from others.
func shorten(s string, width int) string {
	if display.Width(s) <= width {
		return s
	}
	head, tail := (width-1)/2, width-1-(width-1)/2
	r := []rune(s)
	i, used := 0, 0
	for ; i < len(r) && used+display.Width(string(r[i])) <= head; i++ {
		used += display.Width(string(r[i]))
	}
	j := len(r)
	for used = 0; j > i && used+display.Width(string(r[j-1])) <= tail; j-- {
		used += display.Width(string(r[j-1]))
	}
	return string(r[:i]) + "…" + string(r[j:])
}

// cut shortens a sentence at its end.
func cut(s string, width int) string {
	if display.Width(s) <= width {
		return s
	}
	r := []rune(s)
	for len(r) > 0 && display.Width(string(r)) > width-1 {
		r = r[:len(r)-1]
	}
	return strings.TrimRight(string(r), " ") + "…"
}
