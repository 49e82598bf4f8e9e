package display

import (
	"bufio"
	"io"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/builtins"
)

const (
	gap      = 2  // spaces between two columns
	shortest = 12 // a cell is not cut below this while a column of lower importance is left
	telling  = 3  // nor one of the most important columns, which tell the rows apart, below this part of the width
)

// WriteTable prints a table, header first, fitted to the style's width. It
// gives the names of the columns that were left out to make it fit. The notes
// of the table are not printed: they belong beside the result, not in it.
func WriteTable(w io.Writer, t builtins.Table, s Style) (hidden []string, err error) {
	natural := make([]int, len(t.Columns))
	for i, c := range t.Columns {
		natural[i] = Width(c.Name)
	}
	for _, row := range t.Rows {
		for i := range t.Columns {
			natural[i] = max(natural[i], Width(cellOf(row, i)))
		}
	}
	short := slices.Clone(natural)
	for i, c := range t.Columns {
		if c.Elide != builtins.ElideAside {
			continue
		}
		short[i] = Width(c.Name)
		for _, row := range t.Rows {
			short[i] = max(short[i], Width(withoutAside(cellOf(row, i))))
		}
	}
	shown, widths := fit(t.Columns, natural, short, s.Width)
	for i, c := range t.Columns {
		if !slices.Contains(shown, i) {
			hidden = append(hidden, c.Name)
		}
	}

	out := bufio.NewWriter(w)
	line := func(text func(i int) (string, Tone)) {
		pad := 0 // spaces owed before the next text, so that none end a line
		for n, i := range shown {
			cell, tone := text(i)
			cell = shorten(cell, widths[i], t.Columns[i].Elide)
			space := widths[i] - Width(cell)
			if n > 0 {
				pad += gap
			}
			if t.Columns[i].Align == builtins.Right {
				pad, space = pad+space, 0
			}
			if cell != "" {
				writeSpaces(out, pad)
				out.WriteString(s.Paint(tone, cell))
				pad = 0
			}
			pad += space
		}
		out.WriteByte('\n')
	}
	line(func(i int) (string, Tone) { return Clean(t.Columns[i].Name), Strong })
	for _, row := range t.Rows {
		line(func(i int) (string, Tone) {
			cell := cellOf(row, i)
			return cell, toneOf(cell)
		})
	}
	return hidden, out.Flush()
}

// cellOf is what is shown in a column of a row, which may have fewer cells.
func cellOf(row []string, i int) string {
	if i >= len(row) {
		return ""
	}
	return Clean(row[i])
}

// fit chooses the columns to show and their widths. Columns are left out, the
// least important and rightmost first, until the rest can be shown with no cell
// cut below the shortest useful length; then the widest ones are cut. Asides go
// before any column of some importance does: short has the widths without them.
func fit(columns []builtins.Column, natural, short []int, width int) (shown, widths []int) {
	const some = 2 // the priority from which on a column matters more than asides
	for i := range natural {
		shown = append(shown, i)
	}
	natural, widths = slices.Clone(natural), natural
	if width <= 0 {
		return shown, widths
	}
	least := func(i int) int {
		if columns[i].Elide == builtins.ElideNever || columns[i].Elide == builtins.ElideAside {
			return natural[i]
		}
		if columns[i].Priority == 0 {
			return min(natural[i], max(shortest, width/telling))
		}
		return min(natural[i], shortest)
	}
	total := func(size func(i int) int) int {
		sum := gap * (len(shown) - 1)
		for _, i := range shown {
			sum += size(i)
		}
		return sum
	}
	for total(least) > width {
		drop := -1
		for n, i := range shown {
			if p := columns[i].Priority; p > 0 && (drop < 0 || p >= columns[shown[drop]].Priority) {
				drop = n
			}
		}
		if (drop < 0 || columns[shown[drop]].Priority <= some) && !slices.Equal(natural, short) {
			copy(natural, short)
			continue
		}
		if drop < 0 {
			break
		}
		shown = slices.Delete(shown, drop, drop+1)
	}
	widths = slices.Clone(natural)
	for over := total(func(i int) int { return widths[i] }) - width; over > 0; over-- {
		widest := -1
		for _, i := range shown {
			if canCut(columns[i]) && widths[i] > least(i) && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 { // not even the shortest lengths fit: the terminal is very narrow
			for _, i := range shown {
				if canCut(columns[i]) && (widest < 0 || widths[i] > widths[widest]) {
					widest = i
				}
			}
		}
		if widest < 0 || widths[widest] <= 1 {
			break
		}
		widths[widest]--
	}
	return shown, widths
}

// tableWidth is how wide a table is with nothing cut or left out.
func tableWidth(t builtins.Table) int {
	sum := 0
	for i, c := range t.Columns {
		widest := Width(c.Name)
		for _, row := range t.Rows {
			widest = max(widest, Width(Clean(row[i])))
		}
		if i > 0 {
			sum += gap
		}
		sum += widest
	}
	return sum
}

func canCut(c builtins.Column) bool {
	return c.Elide == builtins.ElideMiddle || c.Elide == builtins.ElideEnd
}

// withoutAside is a cell without what stands in parentheses at its end, or without its last part when there are several: the age goes, the share
// that was asked for stays.
func withoutAside(cell string) string {
	i := strings.LastIndex(cell, " (")
	if i < 0 || !strings.HasSuffix(cell, ")") {
		return cell
	}
	if j := strings.LastIndex(cell[i:], ", "); j > 0 {
		return cell[:i+j] + ")"
	}
	return cell[:i]
}

// writeSpaces writes n spaces.
func writeSpaces(w *bufio.Writer, n int) {
	const spaces = "                                                                "
	for ; n > len(spaces); n -= len(spaces) {
		w.WriteString(spaces)
	}
	w.WriteString(spaces[:max(n, 0)])
}

// toneOf colours the words that say how something is doing, written as
// istiod, Envoy and checks write them. Other cells are plain.
func toneOf(cell string) Tone {
	state, _, _ := strings.Cut(cell, " (") // an age or a share may follow
	switch state {
	case "SYNCED", "HEALTHY", "ok":
		return Good
	case "STALE", "NOT_SENT", "NOT SENT", "DEGRADED", "TIMEOUT", "warming", "draining", "warning", "limited", "absent":
		return Warn
	case "ERROR", "UNHEALTHY", "FAILED", "failed", "denied", "unreachable":
		return Bad
	case "skipped", "info":
		return Faint
	}
	return Plain
}
