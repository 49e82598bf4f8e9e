package display

import (
	"bufio"
	"fmt"
	"io"

	"go.starlark.net/starlark"

	"github.com/meshlark/meshlark/builtins"
)

// dictRows is how many rows of each table in a dict a terminal shows.
const dictRows = 5

// ofObjects tells whether a dict holds objects of the language, of which bodies would say too much: what by(...) gives, and the like.
func ofObjects(d *starlark.Dict) bool {
	for _, v := range starlark.Entries(d) {
		if _, ok := tabularOf(v); ok {
			return true
		}
		if _, ok := v.(builtins.Itemer); ok {
			return true
		}
	}
	return false
}

// tabularOf gives a value as what is shown as a table: a collection, a table, or a list of objects.
func tabularOf(v starlark.Value) (builtins.Tabular, bool) {
	if t, ok := v.(builtins.Tabular); ok {
		return t, true
	}
	if c, ok := builtins.CollectionOf(v); ok {
		return c, true
	}
	return nil, false
}

// writeDict prints a dict of objects key by key: how many there are and their table, of which a terminal shows the first rows; other values on
// the line of their key.
func writeDict(w io.Writer, d *starlark.Dict, s Style) (notes []string, err error) {
	out := bufio.NewWriter(w)
	cut, first, table := false, true, false // the one before was a table
	for k, v := range starlark.Entries(d) {
		key := Clean(builtins.CellText(k))
		if key == "" {
			key = `""`
		}
		t, ok := tabularOf(v)
		if !first && (ok || table) {
			out.WriteByte('\n')
		}
		first, table = false, ok
		if !ok {
			fmt.Fprintf(out, "%s  %s\n", s.Paint(Strong, key), Clean(elementText(v)))
			continue
		}
		rows := t.Table(s.Wide)
		fmt.Fprintf(out, "%s: %d\n", s.Paint(Strong, key), len(rows.Rows))
		more := 0
		if s.Width > 0 && len(rows.Rows) > dictRows+1 {
			more = len(rows.Rows) - dictRows
			rows.Rows, cut = rows.Rows[:dictRows], true
		}
		if len(rows.Rows) > 0 {
			if _, err := WriteTable(out, rows, s); err != nil {
				return nil, err
			}
		}
		if more > 0 {
			fmt.Fprintln(out, s.Paint(Faint, fmt.Sprintf("... and %d more", more)))
		}
	}
	if cut {
		notes = append(notes, "tables are cut; the value of a key is shown whole")
	}
	return notes, out.Flush()
}
