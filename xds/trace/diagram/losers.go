package diagram

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/meshlark/meshlark/xds/explain"
)

type loser struct {
	name, why, object string
	near              int // how close it came
}

// most is how many of those that lost are shown unless all are asked for.
const most = 2

// losers adds those of a step that did not win.
func (a *artist) losers(s *stage, candidates []explain.Candidate, near func(explain.Candidate) int) {
	seen := map[string]int{}
	for _, c := range candidates {
		seen[c.Name]++
	}
	var all []loser
	skipped := 0
	for _, c := range candidates {
		switch n, ok := more(c); {
		case c.Won:
		case ok:
			skipped += n
		default:
			name := c.Name
			if name == "" || seen[c.Name] > 1 {
				name = placed(name, c.Where)
			}
			l := loser{name: name, why: c.Why, object: object(c.Object)}
			if near != nil {
				l.near = near(c)
			}
			all = append(all, l)
		}
	}
	a.fold(s, all, skipped)
}

// placed is a name that others have too, with its place.
func placed(name, where string) string {
	switch {
	case where == "":
		return name
	case name == "":
		return where
	}
	return name + " (" + where + ")"
}

// more tells the candidate that stands for those that were not looked at.
func more(c explain.Candidate) (n int, ok bool) {
	count, found := strings.CutSuffix(c.Name, " more")
	if !found || c.Where != "" || !strings.HasPrefix(c.Why, "not looked at") {
		return 0, false
	}
	n, err := strconv.Atoi(count)
	return n, err == nil && n > 0
}

// fold keeps the most telling of those that lost and counts the others by what was wrong with them.
func (a *artist) fold(s *stage, all []loser, skipped int) {
	keep := len(all)
	if !a.all && keep > most+1 {
		keep = most
	}
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	// The last of those that came equally close are the ones just before the winner.
	slices.SortStableFunc(order, func(x, y int) int { return cmp.Or(cmp.Compare(all[y].near, all[x].near), cmp.Compare(y, x)) })
	shown := map[int]bool{}
	for _, i := range order[:keep] {
		shown[i] = true
	}
	var kinds []string
	counts := map[string]int{}
	for i, l := range all {
		if shown[i] {
			s.lost = append(s.lost, l)
			continue
		}
		kind := reasonKind(l.why)
		if counts[kind]++; counts[kind] == 1 {
			kinds = append(kinds, kind)
		}
	}
	if skipped > 0 {
		counts["not looked at"] = skipped
		kinds = append(kinds, "not looked at")
	}
	total := 0
	var parts []string
	for _, kind := range kinds {
		total += counts[kind]
		parts = append(parts, fmt.Sprintf("%d %s", counts[kind], kind))
	}
	switch {
	case total == 0:
	case len(kinds) == 1:
		s.folded = plural(total, "other") + ": " + kinds[0]
	default:
		s.folded = plural(total, "other") + ": " + strings.Join(parts, ", ")
	}
}

// reasonKind is what a reason is counted as.
func reasonKind(why string) string {
	for _, k := range [...]struct{ part, kind string }{
		{"not looked at", "not looked at"}, {"less specific", "less specific"}, {"does not fit", "for something else"},
		{"only for hosts", "for any host"}, {"another address", "on another address"}, {"not in the subset", "not in the subset"},
		{"unhealthy", "unhealthy"}, {"excluded", "excluded"}, {"gets no requests", "of a priority or locality without requests"},
		{"path ", "another path"}, {"header ", "other headers"}, {"query ", "other parameters"}, {"parameter ", "other parameters"},
		{"cookie ", "other cookies"}, {"no principal", "other principals"}, {"no permission", "other permissions"},
	} {
		if strings.Contains(why, k.part) {
			return k.kind
		}
	}
	return "for other reasons"
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// nearness tells how close a route came: one that fits by its path is closer than any that does not, and of those one that begins alike.
func nearness(why, path string) int {
	_, condition, isPath := strings.Cut(why, " is not ")
	if !isPath || !strings.HasPrefix(why, "path ") {
		return 1 << 20
	}
	n := 0
	for n < len(path) && n < len(condition) && path[n] == condition[n] {
		n++
	}
	return n
}
