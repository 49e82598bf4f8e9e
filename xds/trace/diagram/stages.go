package diagram

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/meshlark/meshlark/xds/balance"
	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/naming"
)

func requestText(s explain.Step) string {
	if !strings.HasPrefix(s.Answer, "it refuses it") {
		return s.Answer
	}
	var parts []string
	for _, in := range s.Inputs {
		parts = append(parts, in.Value)
	}
	return strings.TrimSpace(strings.Join(parts, " "))
}

func input(s explain.Step, name string) string {
	for _, in := range s.Inputs {
		if in.Name == name {
			return in.Value
		}
	}
	return ""
}

func (a *artist) listener(s explain.Step) {
	st := stage{label: listenerStage, answer: cmp.Or(a.hop.Listener, s.Answer)}
	if w, ok := s.Winner(); ok {
		st.object, st.asides = object(w.Object), append(st.asides, w.Why)
	}
	if arrived := input(s, "arrives at"); arrived != st.answer && arrived != "" {
		st.asides = append(st.asides, "arrives at "+arrived+", meant for "+input(s, "meant for"))
	} else if meant := input(s, "meant for"); meant != "" {
		st.asides = append(st.asides, "meant for "+meant)
	}
	lost := s.Candidates
	if _, ok := s.Winner(); !ok && len(lost) > 0 {
		st.asides = append(st.asides, lost[len(lost)-1].Why)
		lost = lost[:len(lost)-1]
	}
	a.losers(&st, lost, nil)
	a.note(&st, s)
	a.add(st)
}

// detected is what the listener filters found out.
func (a *artist) detected(s explain.Step) {
	st := stage{label: detectedStage, answer: s.Answer}
	for _, c := range s.Candidates {
		name := c.Name[strings.LastIndexByte(c.Name, '.')+1:]
		if c.Why != "" && !strings.HasPrefix(c.Why, "the addresses given") {
			st.asides = append(st.asides, name+": "+c.Why)
		}
	}
	a.note(&st, s)
	// The chain's reasons tell what counts of it.
	if chosen := a.hop.Chain != "" || !a.last || a.verdict.Reached || a.verdict.Code != 0; chosen && st.tone == Plain && !a.all {
		return
	}
	a.add(st)
}

// chain is the filter chain, which is found in several steps.
func (a *artist) chain(steps []explain.Step) {
	h := a.hop
	st := stage{label: chainStage, answer: h.Chain}
	none := h.Chain == "" && a.last && a.verdict.Details == "filter_chain_not_found"
	var won []string
	var all []loser
	closed := false
	for depth, s := range steps {
		level, ok := strings.CutPrefix(strings.TrimSuffix(s.Question, "?"), "which chains are for this ")
		if !ok {
			level = ""
			won = append(won, "filter_chain_matcher")
		}
		seen := map[string]int{}
		for _, c := range s.Candidates {
			seen[c.Name]++
		}
		w, ok := s.Winner()
		if closed = !ok; ok && level != "" {
			won = append(won, level+" "+input(s, level))
			if st.answer == "" && !none {
				st.answer = w.Name
			}
		}
		for _, c := range s.Candidates {
			if c.Won {
				continue
			}
			name := c.Name
			if name == "" || seen[c.Name] > 1 || c.Name == st.answer {
				name = placed(name, c.Where)
			}
			why := c.Why
			if level != "" {
				why = level + " " + why
			}
			all = append(all, loser{name: name, why: why, object: object(c.Object), near: depth})
		}
		a.note(&st, s)
	}
	switch {
	case none:
		st.answer = "none"
		st.asides = append(st.asides, a.verdict.Reason)
	case closed && len(steps) > 0 && h.Chain != "":
		st.asides = append(st.asides, "the default chain: no other is for this connection")
	case len(won) > 0:
		st.asides = append(st.asides, "by "+strings.Join(won, ", "))
	case len(steps) == 0:
		st.asides = append(st.asides, "no chain asks for anything")
	}
	if st.answer == "" {
		st.answer = "without a name"
	}
	a.fold(&st, all, 0)
	a.add(st)
}

func (a *artist) request(s explain.Step) {
	st := stage{label: requestStage, answer: s.Answer}
	if strings.HasPrefix(s.Answer, "it refuses it") {
		st.answer = requestText(s)
		st.asides = append(st.asides, "the connection manager refuses it"+strings.TrimPrefix(s.Answer, "it refuses it"))
	} else {
		for _, in := range s.Inputs {
			if in.Value != "" && !strings.Contains(s.Answer, in.Value) {
				st.asides = append(st.asides, "the "+in.Name+" was "+in.Value)
			}
		}
	}
	a.note(&st, s)
	a.add(st)
}

func (a *artist) route(s explain.Step) {
	st := stage{label: routeStage, answer: s.Answer}
	if w, ok := s.Winner(); ok {
		st.object = object(w.Object)
		if a.hop.HTTP != nil {
			if text := a.hop.HTTP.View.Match().String(); text != "" && text != st.answer {
				st.answer += "  " + text
			}
		}
		if w.Why != "matches" {
			st.asides = append(st.asides, w.Why)
		}
	}
	if a.hop.HTTP != nil && len(a.hop.HTTP.Routes) > 1 {
		for _, r := range a.hop.HTTP.Routes {
			st.rows = append(st.rows, row{share: r.Share, name: r.Name, followed: r.Name == s.Answer})
		}
	}
	path := input(s, "path")
	a.losers(&st, s.Candidates, func(c explain.Candidate) int { return nearness(c.Why, path) })
	a.note(&st, s)
	a.add(st)
}

// clusters is where requests go, or what they are answered.
func (a *artist) clusters(s explain.Step) {
	h := a.hop
	st := stage{label: clusterStage, answer: s.Answer}
	for _, in := range s.Inputs {
		st.asides = append(st.asides, "the "+in.Name+" becomes "+in.Value)
	}
	r := h.HTTP
	switch {
	case r != nil && r.Code != 0 && len(h.Clusters) == 0:
		st.label = actionStage
		st.asides = append(st.asides, r.Reason)
	case len(h.Clusters) > 1:
		st.answer = ""
		for _, c := range h.Clusters {
			st.rows = append(st.rows, row{share: c.Share, name: c.Name, followed: c.Name == h.Cluster})
		}
	case h.Cluster != "":
		st.answer = h.Cluster
	}
	if r != nil {
		for _, m := range r.Mirrors {
			st.asides = append(st.asides, "copies of "+percent(m.Share)+" go to "+m.Name)
		}
		st.asides = append(st.asides, limits(r.View.Timeout())...)
		if retry, ok := r.View.Retry(); ok && r.Cluster+h.Cluster != "" && retry.On != "" && a.verdict.Flags != "NC" {
			st.asides = append(st.asides, retries(retry.Attempts)+" on "+retry.On)
		}
	}
	if a.last && a.verdict.Flags == "NC" {
		st.asides = append(st.asides, a.verdict.Reason)
	}
	a.losers(&st, s.Candidates, nil)
	a.note(&st, s)
	a.add(st)
}

func limits(text string, seconds float64) []string {
	if text == "" || seconds == 0 {
		return nil
	}
	return []string{"times out after " + text}
}

func retries(n uint32) string {
	if n == 1 {
		return "1 retry"
	}
	return strconv.FormatUint(uint64(n), 10) + " retries"
}

func (a *artist) endpoints(s explain.Step) {
	h := a.hop
	st := stage{label: endpointStage, answer: s.Answer}
	var idle []loser
	var used []balance.Host
	for _, e := range h.Endpoints {
		if e.Share > 0 {
			used = append(used, e)
			continue
		}
		idle = append(idle, loser{name: e.View.Cell(), why: e.Why})
	}
	slices.SortStableFunc(used, func(x, y balance.Host) int { return cmp.Compare(y.Share, x.Share) })
	shown := used
	if !a.all && len(shown) > mostHosts+1 {
		shown = shown[:mostHosts]
	}
	for _, e := range shown {
		st.rows = append(st.rows, row{share: e.Share, name: e.View.Cell(), asides: aboutHost(e), followed: e.View.Address().String() == h.Endpoint && len(used) > 1})
	}
	if len(used) > len(shown) {
		rest := 0.0
		for _, e := range used[len(shown):] {
			rest += e.Share
		}
		st.rows = append(st.rows, row{share: rest, name: plural(len(used)-len(shown), "more endpoint")})
	}
	var priorities []explain.Input
	for _, in := range s.Inputs {
		if in.Name == "shaped by" {
			a.shapedBy(object(in.Value))
			continue
		}
		if in.Name == "hash of" {
			st.asides = append(st.asides, "requests with the same "+in.Value+" go to the same one")
			continue
		}
		priorities = append(priorities, in)
	}
	for _, in := range priorities {
		if len(priorities) > 1 || len(used) == 0 {
			st.asides = append(st.asides, in.Name+": "+in.Value)
		}
	}
	if len(used) > 0 && len(idle) == 0 {
		st.answer = ""
	}
	a.fold(&st, idle, 0)
	a.note(&st, s)
	a.add(st)
}

// shapedBy names the object that a cluster owes its settings to, beside the cluster.
func (a *artist) shapedBy(name string) {
	i := slices.IndexFunc(a.out.stages, func(s stage) bool { return s.label == clusterStage })
	if i < 0 || name == "" {
		return
	}
	st := &a.out.stages[i]
	if len(st.rows) == 0 {
		st.object = name
	}
	for j := range st.rows {
		if r := &st.rows[j]; r.followed {
			r.asides = "(" + name + ")"
		}
	}
}

// mostHosts is how many endpoints with requests are shown unless all are asked for.
const mostHosts = 6

func aboutHost(e balance.Host) string {
	parts := []string{e.Why}
	if w := e.View.Workload(); w.Name != "" {
		parts = append(parts, "workload "+w.Name+"."+w.Namespace)
	}
	if l := e.View.Locality().String(); l != "" {
		parts = append(parts, l)
	}
	return strings.Join(parts, ", ")
}

// plain is a step that is shown as it is.
func (a *artist) plain(label string, s explain.Step) {
	st := stage{label: label, answer: s.Answer}
	if label == clientStage {
		st.answer = strings.ReplaceAll(s.Answer, "invalid IP", "not known")
	}
	if label == tlsStage && s.Answer == "yes" {
		st.answer = "the client does what the chain wants"
	}
	if label == otherStage {
		st.answer = strings.TrimSpace(s.Question + " " + s.Answer)
	}
	if w, ok := s.Winner(); ok {
		st.object = object(w.Object)
		if w.Name != "" && w.Name != s.Answer && !strings.Contains(s.Answer, w.Name) {
			st.asides = append(st.asides, w.Name+": "+w.Why)
		} else {
			st.asides = append(st.asides, w.Why)
		}
	}
	if label == otherStage || label == clientStage || label == "https" {
		for _, in := range s.Inputs {
			st.asides = append(st.asides, in.Name+": "+in.Value)
		}
	}
	a.losers(&st, s.Candidates, nil)
	a.note(&st, s)
	if label == clientStage {
		st.tone = Plain // what is not known of the client changes no decision by itself
	}
	a.add(st)
}

// unmodelled adds what no stage has said.
func (a *artist) unmodelled() {
	all := slices.Clone(a.hop.Unmodelled)
	if a.hop.HTTP != nil {
		all = append(all, a.hop.HTTP.Unmodelled...)
	}
	var left []string
	for _, what := range all {
		if !a.said[what] {
			a.said[what] = true
			left = append(left, what)
		}
	}
	if len(left) > 0 {
		a.add(stage{label: unknownStage, answer: strings.Join(left, "; "), tone: Warn})
	}
}

// object is the name of an Istio object from a reference to it: VirtualService reviews.default.
func object(ref string) string {
	cell := naming.Cell(ref)
	_, _, kind, ok := naming.ConfigRef(ref)
	if !ok || cell == "" {
		return strings.TrimSpace(cell)
	}
	var b strings.Builder
	for _, part := range strings.Split(kind, "-") {
		r, size := utf8.DecodeRuneInString(part)
		if size > 0 {
			b.WriteRune(unicode.ToUpper(r))
			b.WriteString(part[size:])
		}
	}
	return b.String() + " " + cell
}

// percent is a share as people read it: 80%, 33.3%, under 0.1%.
func percent(share float64) string {
	switch p := share * 100; {
	case p > 0 && p < 0.1:
		return "<0.1%"
	case p > 99.9 && p < 100:
		return ">99.9%"
	default:
		return strings.TrimSuffix(strconv.FormatFloat(p, 'f', 1, 64), ".0") + "%"
	}
}
