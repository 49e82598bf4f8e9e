package display

import (
	"bufio"
	"io"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/mesh"
)

// WriteFindings prints what an examination found: under the source and the area each finding with its outcome, what it leaves open and what to do about
// it, and in the end all that is left open. Nothing is cut.
func WriteFindings(w io.Writer, found []mesh.Finding, s Style) error {
	const margin = 15 // of everything below an outcome
	out := bufio.NewWriter(w)
	several := slices.ContainsFunc(found, func(f mesh.Finding) bool { return f.Source != "" && f.Source != found[0].Source })
	below := func(text string, tone Tone) {
		for _, line := range s.paragraph(Clean(text), margin) {
			writeSpaces(out, margin)
			out.WriteString(s.Paint(tone, line) + "\n")
		}
	}
	heading := ""
	subjects := subjectWidths(found)
	for i, f := range found {
		next := f.Area
		switch {
		case several && f.Source == "":
			next = "all sources: " + f.Area
		case several:
			next = f.Source + ": " + f.Area
		}
		if next != heading {
			if i > 0 {
				out.WriteByte('\n')
			}
			out.WriteString(s.Paint(Strong, Clean(next)) + "\n")
			heading = next
		}
		outcome := string(f.Outcome)
		out.WriteString("  " + s.Paint(toneOf(outcome), outcome))
		writeSpaces(out, margin-2-Width(outcome))
		subject, detail := Clean(f.Subject), Clean(f.Detail)
		column := max(subjects[i], Width(subject)) + gap
		switch {
		case detail == "":
			out.WriteString(subject + "\n")
		case s.Width > 0 && margin+column+Width(detail) > s.Width:
			out.WriteString(subject + "\n")
			below(detail, Plain)
		default:
			out.WriteString(subject)
			writeSpaces(out, column-Width(subject))
			out.WriteString(detail + "\n")
		}
		if f.Outcome == mesh.OutcomeOK {
			continue
		}
		if len(f.Questions) > 0 {
			leaves := "leaves open: "
			if f.Asked {
				leaves = "leaves open, when asked for: "
			}
			below(leaves+strings.Join(f.Questions, ", "), Plain)
		}
		if f.Next != "" {
			below("next: "+f.Next, Plain)
		}
	}
	out.WriteByte('\n')
	for _, line := range openQuestions(found) {
		for _, l := range s.paragraph(Clean(line), 0) {
			out.WriteString(l + "\n")
		}
	}
	return out.Flush()
}

// subjectWidths is, for each finding, how wide the subjects of its area are; those that are much wider than others stand out.
func subjectWidths(found []mesh.Finding) []int {
	const most = 36
	type area struct{ source, area string }
	widest := map[area]int{}
	for _, f := range found {
		if w := Width(Clean(f.Subject)); w <= most {
			widest[area{f.Source, f.Area}] = max(widest[area{f.Source, f.Area}], w)
		}
	}
	widths := make([]int, len(found))
	for i, f := range found {
		widths[i] = widest[area{f.Source, f.Area}]
	}
	return widths
}

// openQuestions tells in sentences what findings leave open.
func openQuestions(found []mesh.Finding) []string {
	var open, asked []string
	add := func(list []string, questions []string) []string {
		for _, q := range questions {
			if !slices.Contains(open, q) && !slices.Contains(list, q) {
				list = append(list, q)
			}
		}
		return list
	}
	shut := map[string]bool{} // sources of which nothing can be asked
	several := slices.ContainsFunc(found, func(f mesh.Finding) bool { return f.Source != "" && f.Source != found[0].Source })
	for _, f := range found {
		if f.Fatal() && !shut[f.Source] {
			shut[f.Source] = true
			what := mesh.Everything
			if several {
				what += " of " + f.Source
			}
			open = append(open, what)
		}
	}
	for _, f := range found {
		if f.Open() && !shut[f.Source] {
			open = add(open, f.Questions)
		}
	}
	for _, f := range found {
		if f.Outcome != mesh.OutcomeOK && f.Asked && !shut[f.Source] {
			asked = add(asked, f.Questions)
		}
	}
	var lines []string
	if len(open) == 0 {
		lines = append(lines, "Nothing is left open.")
	} else if len(open) == 1 && open[0] == mesh.Everything {
		lines = append(lines, "Everything is left open.")
	} else {
		lines = append(lines, "Left open, in whole or in part: "+strings.Join(open, ", ")+".")
	}
	if len(asked) > 0 {
		lines[0] = strings.Replace(lines[0], "Nothing", "Of what most people ask nothing", 1)
		lines = append(lines, "And for who asks for it: "+strings.Join(asked, ", ")+".")
	}
	return lines
}

// findingsOf gives the findings of a collection of them.
func findingsOf(c *builtins.Collection) ([]mesh.Finding, bool) {
	if c.Elem() != "Finding" {
		return nil, false
	}
	var found []mesh.Finding
	for i := range c.Len() {
		f, ok := c.Index(i).(*builtins.Finding)
		if !ok {
			return nil, false
		}
		found = append(found, f.Finding())
	}
	return found, len(found) > 0
}
