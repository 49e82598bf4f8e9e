package display

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/builtins"
)

func clusterTable() builtins.Table {
	return builtins.Table{
		Columns: []builtins.Column{
			{Name: "SERVICE FQDN", Elide: builtins.ElideMiddle},
			{Name: "PORT", Align: builtins.Right},
			{Name: "SUBSET", Priority: 2, Elide: builtins.ElideMiddle},
			{Name: "DIRECTION", Priority: 1},
			{Name: "TYPE", Priority: 2},
			{Name: "STATE"},
		},
		Rows: [][]string{
			{"reviews.default.svc.cluster.local", "9080", "v1", "outbound", "EDS", "STALE"},
			{"a-service-with-a-long-name.in-a-namespace-with-a-long-name.svc.cluster.local", "80", "", "outbound", "EDS", ""},
			{"BlackHoleCluster", "", "", "", "STATIC", "SYNCED"},
			{"日本語.default.svc.cluster.local", "15021", "", "inbound", "ORIGINAL_DST", ""},
			{"bad\x1b[2J\nname", "1"},
		},
	}
}

func TestWriteTable(t *testing.T) {
	var out strings.Builder
	for _, s := range []Style{{}, {Width: 132}, {Width: 100}, {Width: 80}, {Width: 50}, {Width: 32}, {Width: 10}, {Width: 100, Color: true}} {
		var b strings.Builder
		hidden, err := WriteTable(&b, clusterTable(), s)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			line = strings.TrimSuffix(line, "\n")
			if strings.HasSuffix(line, " ") {
				t.Errorf("%+v: trailing space in %q", s, line)
			}
			if s.Width >= 32 && !s.Color && Width(line) > s.Width {
				t.Errorf("%+v: %d columns in %q", s, Width(line), line)
			}
			if s.Width == 0 && strings.Contains(line, ellipsis) {
				t.Errorf("%+v: cut although nobody said how wide: %q", s, line)
			}
		}
		out.WriteString("== width " + strings.Repeat("-", s.Width) + "\n")
		out.WriteString(strings.ReplaceAll(b.String(), "\x1b", "ESC"))
		if len(hidden) > 0 {
			out.WriteString("hidden: " + strings.Join(hidden, ", ") + "\n")
		}
	}
	golden(t, "table.txt", out.String())
}

// Columns go in the order of their priority, the rightmost first, and those
// of priority 0 stay.
func TestColumnsGiveWay(t *testing.T) {
	var hidden [][]string
	for width := 60; width > 0; width-- {
		h, err := WriteTable(&strings.Builder{}, clusterTable(), Style{Width: width})
		if err != nil {
			t.Fatal(err)
		}
		if len(h) > 0 && (len(hidden) == 0 || !cmp.Equal(h, hidden[len(hidden)-1])) {
			hidden = append(hidden, h)
		}
	}
	want := [][]string{{"TYPE"}, {"SUBSET", "TYPE"}, {"SUBSET", "DIRECTION", "TYPE"}}
	if diff := cmp.Diff(want, hidden); diff != "" {
		t.Errorf("hidden columns as the terminal shrinks (-want +got):\n%s", diff)
	}
}
