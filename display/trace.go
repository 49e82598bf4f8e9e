package display

import (
	"bufio"
	"fmt"
	"io"

	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/xds/trace/diagram"
)

var traceTones = map[diagram.Tone]Tone{
	diagram.Plain: Plain, diagram.Good: Good, diagram.Bad: Bad, diagram.Warn: Warn, diagram.Strong: Strong, diagram.Faint: Faint,
}

// writeTrace prints a trace as a tree; wide, with everything that lost.
func writeTrace(w io.Writer, t *builtins.Trace, s Style) error {
	out := bufio.NewWriter(w)
	for _, l := range diagram.Lines(t.Trace(), diagram.Options{Width: s.Width, All: s.Wide}) {
		fmt.Fprintln(out, s.Paint(traceTones[l.Tone], Clean(l.Text)))
	}
	return out.Flush()
}

// writeWhyNot prints why a request does not go to a cluster, a sentence a line.
func writeWhyNot(w io.Writer, v *builtins.WhyNot, s Style) error {
	out := bufio.NewWriter(w)
	for _, sentence := range v.Lines() {
		for i, line := range s.paragraph(Clean(sentence), 0) {
			if i > 0 {
				writeSpaces(out, gap)
			}
			out.WriteString(line + "\n")
		}
	}
	return out.Flush()
}

// writeExplained prints the fields of a value, and then its steps: each question with its answer, and below it what was looked at.
func writeExplained(w io.Writer, v builtins.Explained, s Style) error {
	if err := writeFields(w, v, s); err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	line := func(margin int, tone Tone, text string) {
		text = Clean(text)
		if s.Width > 0 {
			text = shorten(text, max(s.Width-margin, shortest), builtins.ElideEnd)
		}
		writeSpaces(out, margin)
		out.WriteString(s.Paint(tone, text) + "\n")
	}
	for _, step := range v.Steps() {
		out.WriteByte('\n')
		line(0, Strong, step.Question+" "+step.Answer)
		for _, in := range step.Inputs {
			line(gap, Plain, in.Name+" "+in.Value)
		}
		for _, c := range step.Candidates {
			tone, won := Faint, "not "
			if c.Won {
				tone, won = Plain, ""
			}
			line(gap, tone, won+c.Name+": "+c.Why)
		}
	}
	return out.Flush()
}

// saysNothing reports a field that is empty.
func saysNothing(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case builtins.Item:
		return len(v.Fields) == 0
	}
	return false
}
