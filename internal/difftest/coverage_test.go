package difftest

import (
	"slices"
	"strings"
	"testing"

	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/route"
	"github.com/meshlark/meshlark/xds/routing"
)

// coverage counts for every arm of a condition how often it held and how often it did not.
type coverage map[string]*[2]int

func (c coverage) add(arm string, held bool) {
	n := c[arm]
	if n == nil {
		n = new([2]int)
		c[arm] = n
	}
	if held {
		n[0]++
	} else {
		n[1]++
	}
}

// log prints the counts, rarest first.
func (c coverage) log(t *testing.T) {
	var arms []string
	for arm := range c {
		arms = append(arms, arm)
	}
	least := func(arm string) int { return min(c[arm][0], c[arm][1]) }
	slices.SortFunc(arms, func(a, b string) int { return least(a) - least(b) })
	for _, arm := range arms {
		t.Logf("%-40s held %6d, did not %6d", arm, c[arm][0], c[arm][1])
	}
}

// table counts the conditions of the routes of the virtual host a request reached.
func (c coverage) table(r *match.Request, got routing.Result) {
	if !got.HostFound {
		return
	}
	for _, view := range got.HostView.Routes() {
		if view.Action() != "" {
			c.add("Route."+view.Action(), view.Name() == got.Route)
		}
		for field := range view.Body().Get("route").Members() {
			c.add("RouteAction."+field, view.Name() == got.Route)
		}
		c.match(view.Match(), r)
		if view.Name() == got.Route {
			break
		}
	}
}

func (c coverage) match(m route.Match, r *match.Request) {
	for key, v := range m.Body().Members() {
		switch key {
		case "headers":
			for h := range v.Elems() {
				held := match.NewHeaderMatch(h).Match(r)
				c.add("HeaderMatcher."+arm(h, "name", "invert_match", "treat_missing_header_as_empty"), held)
				for _, flag := range []string{"invert_match", "treat_missing_header_as_empty"} {
					if h.Get(flag).IsTrue() {
						c.add("HeaderMatcher."+flag, held)
					}
				}
				if s := h.Get("string_match"); s.Exists() {
					c.add("StringMatcher."+arm(s, "ignore_case"), held)
					if s.Get("ignore_case").IsTrue() {
						c.add("StringMatcher.ignore_case", held)
					}
				}
			}
		case "query_parameters":
			for q := range v.Elems() {
				c.add("QueryParameterMatcher."+arm(q, "name"), match.NewParameterMatch(q).Match(r))
			}
		case "cookies":
			for q := range v.Elems() {
				c.add("CookieMatcher."+arm(q, "name", "invert_match"), match.NewCookieMatch(q).Match(r))
			}
		case "dynamic_metadata":
			for d := range v.Elems() {
				c.add("ValueMatcher."+arm(d.Get("value")), match.NewMetadataMatch(d).Match(r.Metadata))
			}
		case "filter_state":
			for s := range v.Elems() {
				c.add("FilterStateMatcher."+arm(s, "key"), match.NewFilterStateMatch(s).Match(r.FilterState))
			}
		default:
			// The condition alone, in a table of its own.
			single := `{"virtual_hosts":[{"domains":["*"],"routes":[{"match":{`
			if !strings.Contains("prefix path safe_regex path_separated_prefix path_match_policy connect_matcher", key) {
				single += `"prefix":"",`
			}
			if v := m.Body().Get("case_sensitive"); v.Exists() && key != "case_sensitive" {
				single += `"case_sensitive":` + string(v) + `,`
			}
			single += `"` + key + `":` + string(v) + `},"direct_response":{"status":200}}]}]}`
			c.add("RouteMatch."+key, routing.New(route.New(rawjson.Value(single))).Match(r).Found)
		}
	}
}

// arm is the member of a oneof that is set, "none" for none.
func arm(v rawjson.Value, others ...string) string {
	for key := range v.Members() {
		if !slices.Contains(others, key) {
			return key
		}
	}
	return "none"
}
