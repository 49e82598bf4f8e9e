package display

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/xds/diff"
)

// folded is how many lines of one value a terminal shows of a difference.
const folded = 40

// writeDiff prints a difference: what matches, a line for each kind of resource,
// then the changes resource by resource. The wide form is a table with a row for
// each change.
func writeDiff(w io.Writer, d *builtins.Diff, s Style) (notes []string, err error) {
	if n := len(d.Failures()); n > 0 {
		notes = append(notes, fmt.Sprintf("%d could not be compared; .errors says why", n))
	}
	if s.Wide && !d.Empty() {
		more, err := writeTabular(w, d.Changes(), s)
		return append(more, notes...), err
	}
	out := bufio.NewWriter(w)
	for _, words := range d.Words() {
		tone := Good
		switch {
		case strings.Contains(words, "Not Compared"):
			tone = Warn
		case strings.Contains(words, "n't Match"):
			tone = Bad
		}
		fmt.Fprintln(out, s.Paint(tone, Clean(words)))
	}
	fold := 0
	if s.Width > 0 {
		fold = folded
	}
	cut := false
	for i, l := range d.Lines(fold) {
		if i == 0 || l.Op == diff.LineHeader && !strings.HasPrefix(l.Text, "+++") {
			out.WriteByte('\n')
		}
		cut = cut || l.Op == diff.LineNote
		fmt.Fprintln(out, s.Paint(lineTones[l.Op], Clean(l.Text)))
	}
	if cut {
		notes = append(notes, "long values are cut; .text() has them whole")
	}
	return notes, out.Flush()
}

var lineTones = map[diff.LineOp]Tone{
	diff.LineHeader: Strong, diff.LinePath: Accent, diff.LineRemoved: Bad, diff.LineAdded: Good, diff.LineNote: Faint,
}
