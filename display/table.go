package display

import (
	"bufio"
	"io"
	"slices"

	"github.com/meshlark/meshlark/builtins"
)

const (
	gap      = 2  // spaces between two columns
	shortest = 12 // a cell is not cut below this while a column of lower importance is left
)

// WriteTable prints a table, header first, fitted to the style's width. It
// gives the names of the columns that were left out to make it fit. The notes
// of the table are not printed: they belong beside the result, not in it.
func WriteTable(w io.Writer, t builtins.Table, s Style) (hidden []string, err error) {
	natural := make([]int, len(t.Columns))
	for i, c := range t.Columns {
		natural[i] = Width(c.Name)
	}
	rows := make([][]string, len(t.Rows))
	for r, row := range t.Rows {
		rows[r] = make([]string, len(t.Columns))
		for i := range row[:min(len(row), len(t.Columns))] {
			rows[r][i] = Clean(row[i])
			natural[i] = max(natural[i], Width(rows[r][i]))
		}
	}
	shown, widths := fit(t.Columns, natural, s.Width)
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
	for _, row := range rows {
		line(func(i int) (string, Tone) { return row[i], toneOf(row[i]) })
	}
	return hidden, out.Flush()
}

// fit chooses the columns to show and their widths. Columns are left out, the
// least important and rightmost first, until the rest can be shown with no cell
// cut below the shortest useful length; then the widest ones are cut.
func fit(columns []builtins.Column, natural []int, width int) (shown, widths []int) {
	for i := range natural {
		shown = append(shown, i)
	}
	widths = slices.Clone(natural)
	if width <= 0 {
		return shown, widths
	}
	least := func(i int) int {
		if columns[i].Elide == builtins.ElideNever {
			return natural[i]
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
		if drop < 0 {
			break
		}
		shown = slices.Delete(shown, drop, drop+1)
	}
	for over := total(func(i int) int { return widths[i] }) - width; over > 0; over-- {
		widest := -1
		for _, i := range shown {
			if columns[i].Elide != builtins.ElideNever && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 || widths[widest] <= 1 {
			break
		}
		widths[widest]--
	}
	return shown, widths
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
	switch cell {
	case "SYNCED", "HEALTHY", "ok":
		return Good
	case "STALE", "NOT_SENT", "DEGRADED", "TIMEOUT", "warming", "draining", "warning":
		return Warn
	case "ERROR", "UNHEALTHY", "FAILED", "failed":
		return Bad
	case "skipped", "info":
		return Faint
	}
	return Plain
}
