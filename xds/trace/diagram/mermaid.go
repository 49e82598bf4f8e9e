package diagram

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/meshlark/meshlark/xds/trace"
)

// Mermaid is a trace as a Mermaid flowchart: a box for each proxy with its decisions from top to bottom, the clusters and endpoints requests are
// spread over with their shares, and dotted what came close. Endpoints and losers are folded as in Text.
func Mermaid(t trace.Trace) string {
	o := newOutline(t, false)
	m := &mermaid{}
	m.line("flowchart TB")
	if o.request != "" {
		m.line(`  start("` + flow(o.request) + `")`)
		m.from = "start"
	}
	for i, h := range o.hops {
		m.hop(i+1, h)
	}
	class := map[ending]string{arrives: "good", answers: "good", fails: "bad"}[o.end]
	text := flow(o.sentence())
	for _, note := range o.notes() {
		text += "<br/>" + flow(note)
	}
	m.line(`  verdict("` + text + `"):::` + class)
	if m.from != "" {
		m.connect(m.from, "-->", "verdict", m.label)
	}
	m.line("  classDef good stroke:#2da44e,stroke-width:3px")
	m.line("  classDef bad stroke:#cf222e,stroke-width:3px")
	m.line("  classDef warn stroke:#bf8700,stroke-width:2px,stroke-dasharray:5 3")
	m.line("  classDef lost stroke-dasharray:2 3,opacity:0.7")
	return m.b.String()
}

type mermaid struct {
	b     strings.Builder
	from  string // where the next edge begins
	label string // of the next edge
}

func (m *mermaid) line(text string) {
	m.b.WriteString(text)
	m.b.WriteByte('\n')
}

func (m *mermaid) connect(from, arrow, to, label string) {
	if label != "" {
		arrow += `|"` + flow(label) + `"|`
	}
	m.line("  " + from + " " + arrow + " " + to)
}

func (m *mermaid) hop(n int, h hop) {
	box := fmt.Sprintf("hop%d", n)
	m.line("  subgraph " + box + `["` + flow(fmt.Sprintf("%d. %s", n, h.proxy)) + `"]`)
	type link struct{ from, arrow, to, label string }
	var links []link
	last, first := "", ""
	for i, s := range h.stages {
		id := fmt.Sprintf("%ss%d", box, i+1)
		text := "<b>" + flow(s.label) + "</b>"
		for _, part := range append([]string{s.answer, s.object}, s.asides...) {
			if part != "" {
				text += "<br/>" + flow(part)
			}
		}
		class := map[Tone]string{Good: ":::good", Bad: ":::bad", Warn: ":::warn"}[s.tone]
		m.line("    " + id + `["` + text + `"]` + class)
		if first == "" {
			first = id
		} else {
			links = append(links, link{last, "-->", id, ""})
		}
		last = id
		for j, l := range s.lost {
			loser := fmt.Sprintf("%sl%d", id, j+1)
			text := flow("not " + l.name)
			if l.why != "" {
				text += "<br/>" + flow(l.why)
			}
			m.line("    " + loser + `["` + text + `"]:::lost`)
			links = append(links, link{id, "-.-", loser, ""})
		}
		if s.folded != "" {
			more := id + "more"
			m.line("    " + more + `["` + flow("+ "+s.folded) + `"]:::lost`)
			links = append(links, link{id, "-.-", more, ""})
		}
		// What is followed goes on, the others end here.
		for j, r := range s.rows {
			row := fmt.Sprintf("%sr%d", id, j+1)
			text := flow(r.name)
			if r.asides != "" {
				text += "<br/>" + flow(r.asides)
			}
			m.line("    " + row + `["` + text + `"]`)
			links = append(links, link{id, "-->", row, percent(r.share)})
			if r.followed || len(s.rows) == 1 {
				last = row
			}
		}
	}
	m.line("  end")
	if first == "" {
		first, last = box, box
	}
	if m.from != "" {
		m.connect(m.from, "-->", first, m.label)
	}
	for _, l := range links {
		m.connect(l.from, l.arrow, l.to, l.label)
	}
	m.from, m.label = last, h.next
}

func number(runes []rune) bool {
	return !slices.ContainsFunc(runes, func(r rune) bool { return !unicode.IsDigit(r) })
}

// flow escapes a text for a quoted label. Mermaid decodes numbers between # and ; as characters, last of all. Before that it looks for a number of
// notations inside quotes that a name must not reach: HTML, Markdown with its lists, links and emphasis, formulas, icons, directives, comments.
func flow(text string) string {
	var b strings.Builder
	runes := []rune(clean(text))
	at := func(i int) rune {
		if i < 0 || i >= len(runes) {
			return ' '
		}
		return runes[i]
	}
	word := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	for i, r := range runes {
		special := strings.ContainsRune("\"#&<>`;%{}\\~$@^*[]!", r)
		switch {
		case i == 0:
			special = special || strings.ContainsRune("-+=|:_/.", r)
		case r == '_':
			special = !word(at(i-1)) || !word(at(i+1))
		case r == ':':
			special = at(i+1) == '/' || at(i+1) == 'f'
		case r == '.' || r == ')':
			special = unicode.ToLower(at(i-1)) == 'w' || unicode.IsSpace(at(i+1)) && number(runes[:i])
		}
		if special {
			fmt.Fprintf(&b, "#%d;", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
