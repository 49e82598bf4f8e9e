package match

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/route"
)

// A HeaderMatch is a condition on a header (envoy.config.route.v3.HeaderMatcher).
type HeaderMatch struct {
	view    route.FieldMatch
	value   String
	any     bool // exact_match "", which every value satisfies
	present bool // the condition is on presence
}

// NewHeaderMatch reads a HeaderMatcher, in its deprecated forms too.
func NewHeaderMatch(v rawjson.Value) HeaderMatch {
	h := HeaderMatch{view: route.NewHeaderMatch(v)}
	h.view.Name = lower(h.view.Name)
	h.value = NewStringMatch(h.view.Match)
	h.present = h.view.Match.Kind == "" && h.view.Range == nil
	if exact := v.Get("exact_match"); exact.Exists() {
		h.any = exact.Text() == ""
	}
	return h
}

// Match reports whether the condition holds for a request.
func (h HeaderMatch) Match(r *Request) bool { return h.match(r, r.Envoy.AtLeast(1, 39)) }

// MatchRBAC is Match for RBAC filters, which changed earlier how several values of one header are looked at.
func (h HeaderMatch) MatchRBAC(r *Request) bool {
	return h.match(r, r.Envoy.AtLeast(1, 39) || r.Envoy.rbacIndividually())
}

func (h HeaderMatch) match(r *Request, individually bool) bool {
	values := r.Values(h.view.Name)
	if h.present {
		if len(values) == 0 && !h.view.MissingAsEmpty {
			return h.view.Invert != h.view.Absent
		}
		return h.view.Invert == h.view.Absent
	}
	if len(values) == 0 {
		// An absent header does not match, inverted or not.
		return h.view.MissingAsEmpty && h.holds("") != h.view.Invert
	}
	if !individually {
		return h.holds(strings.Join(values, ",")) != h.view.Invert
	}
	for _, value := range values {
		if h.holds(value) {
			return !h.view.Invert
		}
	}
	return h.view.Invert
}

func (h HeaderMatch) holds(value string) bool {
	if h.view.Range != nil {
		n, err := strconv.ParseInt(strings.Trim(value, " \t\n\v\f\r"), 10, 64)
		return err == nil && h.view.Range[0] <= n && n < h.view.Range[1]
	}
	return h.any || h.value.Match(value)
}

// Err says why the condition can never be decided, nil when it can.
func (h HeaderMatch) Err() error { return h.value.Err() }

// Name is the header's name in lower case.
func (h HeaderMatch) Name() string { return h.view.Name }

// String is the condition as route.FieldMatch writes it.
func (h HeaderMatch) String() string { return h.view.String() }

// Why says in one phrase what the request has in place of what the condition asks for.
func (h HeaderMatch) Why(r *Request) string {
	return why("header "+h.String(), r.Values(h.view.Name), h.Err())
}

// mostShown is how many values of a header are shown.
const mostShown = 10

func more(got []string) string {
	if len(got) > mostShown {
		return fmt.Sprintf(" and %d more", len(got)-mostShown)
	}
	return ""
}

func why(condition string, got []string, err error) string {
	switch {
	case err != nil:
		return condition + ": " + err.Error()
	case len(got) == 0:
		return condition + ": it is absent"
	case len(got) == 1:
		return fmt.Sprintf("%s: it is %q", condition, explain.Short(got[0]))
	}
	return condition + ": it is " + explain.Short(fmt.Sprintf("%q", got[:min(len(got), mostShown)])) + more(got)
}
