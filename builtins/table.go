package builtins

import (
	"fmt"
	"strings"

	"go.starlark.net/starlark"
)

// A Tabular is a value that is best read as a table: a collection, or what
// the table function gives.
type Tabular interface {
	starlark.Value

	// Table gives the table; wide adds the columns that are left out by
	// default. Cells are whole: fitting them to a screen is the display's task.
	Table(wide bool) Table
}

// A Table is a table of text, before it is fitted to a screen.
type Table struct {
	Columns []Column
	Rows    [][]string // as many cells in each row as there are columns
	Notes   []string   // sentences to print below: what is not shown, and why
}

// A Column describes one column of a Table.
type Column struct {
	Name     string // the heading, in capitals
	Priority int    // 0 is always shown; of the others, the highest is the first to go when the screen is narrow
	Align    Align
	Elide    Elide
}

// Align says to which side of its column a cell is set.
type Align uint8

// The alignments. Numbers are set to the right.
const (
	Left Align = iota
	Right
)

// Elide says which part of a cell goes when it is too long for the screen.
type Elide uint8

// The ways to shorten a cell: not at all, in the middle (names whose both
// ends tell something, such as cluster names), or at the end.
const (
	ElideNever Elide = iota
	ElideMiddle
	ElideEnd
	ElideAside // what stands in parentheses at the end, all of it and in all rows: the age in "SYNCED (7m)"
)

// A column is a Column as the object families declare it: how its cell follows from an
// element of the collection.
type column struct {
	Column
	Wide     bool                        // only in the wide table
	Optional bool                        // left out when no element has anything to show in it
	Unless   func(v starlark.Value) bool // if set, left out when it holds for all elements, unless what it shows was asked about
	Cell     func(v starlark.Value) string
}

// tableColumns gives the columns of a type of element as its family declares
// them.
func tableColumns(elem string, wide bool) []column {
	info := types()[elem]
	if info == nil {
		return nil
	}
	var cols []column
	for _, c := range info.columns {
		if !c.Wide || wide {
			cols = append(cols, c)
		}
	}
	return cols
}

// TableValue is what the table function and the table method of collections
// give: rows and columns of the user's choice.
type TableValue struct {
	columns []Column
	rows    [][]starlark.Value
}

var (
	_ Tabular           = (*TableValue)(nil)
	_ starlark.Sequence = (*TableValue)(nil)
	_ Itemer            = (*TableValue)(nil)
)

// NewTable makes a table of values with the given column headings. Numbers
// are set to the right if every cell of their column is one.
func NewTable(names []string, rows [][]starlark.Value) *TableValue {
	cols := make([]Column, len(names))
	for i, name := range names {
		cols[i] = Column{Name: strings.ToUpper(strings.ReplaceAll(name, "_", " ")), Elide: ElideMiddle}
		numeric := len(rows) > 0
		for _, row := range rows {
			switch row[i].(type) {
			case starlark.Int, starlark.Float, starlark.NoneType:
			default:
				numeric = false
			}
		}
		if numeric {
			cols[i].Align, cols[i].Elide = Right, ElideNever
		}
	}
	return &TableValue{columns: cols, rows: rows}
}

// Table implements Tabular.
func (t *TableValue) Table(bool) Table {
	out := Table{Columns: t.columns}
	for _, row := range t.rows {
		cells := make([]string, len(row))
		for i, v := range row {
			cells[i] = CellText(v)
		}
		out.Rows = append(out.Rows, cells)
	}
	return out
}

// Item gives the table as an item whose rows are lists, under the headings.
func (t *TableValue) Item() Item {
	rows := make([]any, len(t.rows))
	for i, row := range t.Items() {
		rows[i] = row
	}
	return Item{Kind: "table", Fields: []ItemField{{"rows", rows}}}
}

// Items are the rows, each with its cells under the headings.
func (t *TableValue) Items() []Item {
	rows := make([]Item, len(t.rows))
	for i, row := range t.rows {
		fields := make([]ItemField, len(row))
		for j, v := range row {
			fields[j] = ItemField{Name: strings.ToLower(strings.ReplaceAll(t.columns[j].Name, " ", "_")), Value: itemValue(v)}
		}
		rows[i] = Item{Kind: "row", Fields: fields}
	}
	return rows
}

func (t *TableValue) String() string {
	return fmt.Sprintf("<table of %d rows>", len(t.rows))
}
func (t *TableValue) Type() string          { return "Table" }
func (t *TableValue) Freeze()               {}
func (t *TableValue) Truth() starlark.Bool  { return len(t.rows) > 0 }
func (t *TableValue) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable type: Table") }

// Len is the number of rows.
func (t *TableValue) Len() int { return len(t.rows) }

// Iterate goes over the rows, each a tuple of cells.
func (t *TableValue) Iterate() starlark.Iterator {
	rows := make([]starlark.Value, len(t.rows))
	for i, row := range t.rows {
		rows[i] = starlark.Tuple(row)
	}
	return starlark.Tuple(rows).Iterate()
}

// CellText gives the text of a value in a table: a string as it is, None as
// nothing, a list as its elements with commas, anything else as it prints.
func CellText(v starlark.Value) string {
	switch v := v.(type) {
	case nil, starlark.NoneType:
		return ""
	case starlark.String:
		return string(v)
	case *Collection:
		return strings.Join(v.nameList(), ",")
	case starlark.Tuple:
		return cellList(v)
	case *starlark.List:
		return cellList(v)
	}
	if n, ok := nameOf(v); ok {
		return n
	}
	return v.String()
}

func cellList(xs starlark.Iterable) string {
	var parts []string
	for x := range starlark.Elements(xs) {
		parts = append(parts, CellText(x))
	}
	return strings.Join(parts, ",")
}
