package diff

import (
	"fmt"
	"strings"

	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
)

// LineOp says what a line of a diff's text is, for whoever gives it a colour.
type LineOp byte

// The kinds of lines.
const (
	LineHeader  LineOp = iota // of a proxy or a resource
	LinePath                  // where the lines after it differ
	LineRemoved               // on the left only
	LineAdded                 // on the right only
	LineNote                  // about the text itself
)

// A Line is one line of a diff's text, with the characters that say what it is.
type Line struct {
	Op   LineOp
	Text string
}

// TextOptions say how much of long values is shown.
type TextOptions struct {
	// Fold is how many lines of one value are shown, and strings of more than 40 times as many bytes are cut in the middle. 0 shows everything.
	Fold int
}

// Text gives all lines of a diff, each ended by a newline.
func (d *Diff) Text() string { return text(d.Lines(TextOptions{})) }

// Text gives all lines, each ended by a newline.
func (m *Mesh) Text() string { return text(m.Lines(TextOptions{})) }

func text(lines []Line) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.Text)
		b.WriteByte('\n')
	}
	return b.String()
}

// Lines gives the differences resource by resource in the order of kinds, names and states: a header, and for each path what stands on
// the left and on the right.
func (d *Diff) Lines(o TextOptions) []Line {
	p := linePrinter{o: o, left: label(d.Left, "left"), right: label(d.Right, "right")}
	added, removed, changed := d.Added, d.Removed, d.Changed
	for len(added)+len(removed)+len(changed) > 0 {
		next := &changed
		for _, list := range []*[]Change{&removed, &added} {
			if len(*next) == 0 || len(*list) > 0 && before((*list)[0], (*next)[0]) {
				next = list
			}
		}
		p.change((*next)[0])
		*next = (*next)[1:]
	}
	return p.lines
}

func before(a, b Change) bool {
	return compareItems(Item{Kind: a.Kind, Name: a.Name, State: a.State}, Item{Kind: b.Kind, Name: b.Name, State: b.State}) < 0
}

// Lines gives the proxies that only one side has, and then the differences proxy by proxy.
func (m *Mesh) Lines(o TextOptions) []Line {
	p := linePrinter{o: o}
	for _, name := range m.Removed {
		p.add(LineRemoved, "- proxy "+name)
	}
	for _, name := range m.Added {
		p.add(LineAdded, "+ proxy "+name)
	}
	for _, d := range m.Changed {
		p.add(LineHeader, "=== proxy "+d.Name)
		named := *d
		named.Left, named.Right = label(m.Left, "left"), label(m.Right, "right")
		p.lines = append(p.lines, named.Lines(o)...)
	}
	return p.lines
}

func label(name, other string) string {
	if name == "" {
		return other
	}
	return name
}

type linePrinter struct {
	o           TextOptions
	left, right string
	lines       []Line
}

func (p *linePrinter) add(op LineOp, text string) { p.lines = append(p.lines, Line{op, text}) }

func (p *linePrinter) change(c Change) {
	what := strings.TrimSpace(string(c.Kind) + " " + c.Name)
	if c.State != "" && c.State != resource.Active {
		what += ", " + string(c.State)
	}
	if what != "" {
		what += " "
	}
	absent := func(has *Item) string {
		if has == nil {
			return ": absent"
		}
		return ""
	}
	p.add(LineHeader, "--- "+what+"("+p.left+absent(c.Left)+")")
	p.add(LineHeader, "+++ "+what+"("+p.right+absent(c.Right)+")")
	switch c.Op {
	case Removed:
		p.value(LineRemoved, "- ", c.Left.Body)
	case Added:
		p.value(LineAdded, "+ ", c.Right.Body)
	}
	for _, e := range c.Edits {
		p.add(LinePath, "@@ "+e.Path+e.onLeft())
		p.value(LineRemoved, "- ", e.Left)
		p.value(LineAdded, "+ ", e.Right)
	}
}

// onLeft says in a path's line which of its numbers count on the left: those on the way to what was removed and, where they are others there, those
// of what was changed. All others count on the right.
func (e *Edit) onLeft() string {
	switch {
	case e.LeftPath != "":
		return " (" + differing(e.LeftPath, e.Path) + " on the left)"
	case e.Op == Removed && endsWithNumber(e.Path):
		return " (on the left)"
	}
	return ""
}

// differing is the part of a path, from step to step, in which it differs from another.
func differing(path, other string) string {
	steps := func(p string) []string { return strings.SplitAfter(strings.ReplaceAll(p, "].", "]\x00"), "\x00") }
	a, b := steps(path), steps(other)
	for len(a) > 1 && len(b) > 1 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 1 && len(b) > 1 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return strings.TrimSuffix(strings.ReplaceAll(strings.Join(a, ""), "\x00", "."), ".")
}

// endsWithNumber tells whether a path leads to an element that is known by its number.
func endsWithNumber(path string) bool {
	digits, ok := strings.CutSuffix(path, "]")
	at := strings.LastIndexByte(digits, '[')
	return ok && at >= 0 && at+1 < len(digits) && strings.Trim(digits[at+1:], "0123456789") == ""
}

// value prints a value as indented JSON.
func (p *linePrinter) value(op LineOp, sign string, v rawjson.Value) {
	if len(v) == 0 {
		return
	}
	w := valuePrinter{most: p.o.Fold}
	w.value(v, 0, "")
	for i, line := range w.lines {
		if p.o.Fold > 0 && i == p.o.Fold && len(w.lines) > p.o.Fold+1 {
			p.add(LineNote, fmt.Sprintf("%s... %d more lines", sign, len(w.lines)-i))
			return
		}
		p.add(op, sign+line)
	}
}

// A valuePrinter writes JSON over lines, two blanks a level, as its tokens were sent.
type valuePrinter struct {
	lines []string
	most  int
}

const blanks = "                                        "

func (w *valuePrinter) put(depth int, text string) {
	indent := 2 * depth
	w.lines = append(w.lines, strings.Repeat(blanks, indent/len(blanks))+blanks[:indent%len(blanks)]+text)
}

func (w *valuePrinter) value(v rawjson.Value, depth int, key string) {
	if depth == maxDepth || !container(v.Kind()) || len(v) == 2 {
		w.put(depth, key+w.cut(string(v)))
		return
	}
	w.put(depth, key+string(v[:1]))
	if v.Kind() == rawjson.Array {
		for elem := range v.Elems() {
			w.comma(func() { w.value(elem, depth+1, "") })
		}
	} else {
		for k, member := range v.Members() {
			w.comma(func() { w.value(member, depth+1, string(rawjson.Quote(nil, k))+": ") })
		}
	}
	last := len(w.lines) - 1
	w.lines[last] = strings.TrimSuffix(w.lines[last], ",")
	w.put(depth, string(v[len(v)-1:]))
}

// comma adds a comma to what f writes.
func (w *valuePrinter) comma(f func()) {
	f()
	w.lines[len(w.lines)-1] += ","
}

// cut shortens a long string in the middle.
func (w *valuePrinter) cut(text string) string {
	most := 40 * w.most
	if most == 0 || len(text) <= most {
		return text
	}
	return fmt.Sprintf("%s... %d bytes ...%s", strings.ToValidUTF8(text[:most/2], ""), len(text)-most, strings.ToValidUTF8(text[len(text)-most/2:], ""))
}

// sections are the kinds in the order in which they are compared and shown, with what a summary calls them.
var sections = [...]struct {
	kind resource.Kind
	name string
}{
	{resource.Cluster, "Clusters"},
	{resource.Listener, "Listeners"},
	{resource.RouteConfig, "Routes"},
	{resource.ScopedRoutes, "Scoped Routes"},
	{resource.Endpoint, "Endpoints"},
	{resource.Secret, "Secrets"},
	{resource.Extension, "Extensions"},
	{resource.Bootstrap, "Bootstrap"},
}

// Summary tells in one line which kinds match and how many resources of the others do not: "Clusters Don't Match: 1 added, 1 changed; Listeners
// Match". Kinds that neither side has are left out.
func (d *Diff) Summary() string {
	if d.isValue {
		if d.Empty() {
			return "Match"
		}
		counts := Count{}
		for _, e := range d.Changed[0].Edits {
			switch e.Op {
			case Added:
				counts.Added++
			case Removed:
				counts.Removed++
			default:
				counts.Changed++
			}
		}
		return "Don't Match: " + counts.words()
	}
	var parts []string
	for _, s := range sections {
		for _, n := range d.Kinds {
			if n.Kind == s.kind {
				parts = append(parts, n.summary(s.name))
			}
		}
	}
	for _, n := range d.Kinds {
		if kindPlace(n.Kind) == len(sections) {
			parts = append(parts, n.summary(string(n.Kind)))
		}
	}
	if len(parts) == 0 {
		return "Match"
	}
	return strings.Join(parts, "; ")
}

func (n *Count) summary(name string) string {
	match, dont := " Match", " Don't Match: "
	if !strings.HasSuffix(name, "s") {
		match, dont = " Matches", " Doesn't Match: "
	}
	switch {
	case !n.Compared:
		return name + " Not Compared"
	case n.Added+n.Removed+n.Changed == 0:
		return name + match
	}
	return name + dont + n.words()
}

func (n *Count) words() string {
	var words []string
	for _, w := range [...]struct {
		n    int
		what Op
	}{{n.Added, Added}, {n.Removed, Removed}, {n.Changed, Changed}} {
		if w.n > 0 {
			words = append(words, fmt.Sprintf("%d %s", w.n, w.what))
		}
	}
	return strings.Join(words, ", ")
}

// Summary tells in one line how many proxies differ.
func (m *Mesh) Summary() string {
	n := Count{Added: len(m.Added), Removed: len(m.Removed), Changed: len(m.Changed)}
	if m.Empty() {
		return fmt.Sprintf("Proxies Match: %d", m.Same)
	}
	return fmt.Sprintf("Proxies Don't Match: %s; %d match", n.words(), m.Same)
}
