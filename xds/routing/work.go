package routing

import (
	"fmt"

	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/route"
)

// maxWork bounds how many bytes of a request are compared with regular expressions, headers and query parameters while a route is looked for. A table of ten thousand regular
// expressions stays below it for any path of up to 1,600 bytes.
const maxWork = 16 << 20

// work is how many bytes the conditions of a route have regular expressions look at.
func (e *entry) work(r *match.Request) int {
	n := 0
	if e.kind == route.Regex || e.kind == route.Template {
		n += len(r.Path)
	}
	n += len(e.parameters) * len(r.Path) / 4
	for _, h := range e.headers {
		for _, value := range r.Values(h.Name()) {
			n += len(value)
		}
	}
	return n
}

// tooMuch says that routes from i on are not looked at.
func tooMuch(step *explain.Step, left int) {
	step.Candidates = append(step.Candidates, explain.Candidate{Name: fmt.Sprintf("%d more", left), Why: "not looked at: too many conditions for a request this long"})
	step.Unmodelled = append(step.Unmodelled, "the routes after those that were looked at")
}
