package diagram

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/trace"
)

// aboutFilter is a question about one filter: its name, what it might do, and what else is said.
var aboutFilter = regexp.MustCompile(`^does (?:filter )?(.+?) ((?:let|answer|run|inject|limit|refuse|change)\b[^?]*)\?(.*)$`)

func (a *artist) filter(s explain.Step) {
	m := aboutFilter.FindStringSubmatch(s.Question)
	if m == nil {
		a.plain(filterStage, s)
		return
	}
	name, does, rest := m[1], m[2], strings.Trim(m[3], " ()")
	switch {
	case slices.Contains(a.hop.MayAnswer, name) && s.Answer == "it may":
		return // see mayAnswer
	case does == "let the request pass":
		a.access(name, rest, s)
		return
	}
	st := stage{label: filterStage}
	switch yes, no, why := decided(s.Answer); {
	case no && !a.all && len(s.Unmodelled) == 0:
		a.idle = append(a.idle, name)
		if a.idleAt < 0 {
			a.idleAt = len(a.out.stages)
		}
		return
	case no:
		st.answer, st.asides = name+" does not "+does, []string{why}
	case yes:
		st.answer, st.asides = name+": yes", []string{why}
	default:
		st.answer = name + ": " + s.Answer
	}
	st.asides = append(st.asides, rest)
	for _, in := range s.Inputs {
		if in.Value != "" {
			st.asides = append(st.asides, in.Name+": "+in.Value)
		}
	}
	a.reasons(&st, s)
	a.note(&st, s)
	a.add(st)
}

// quiet puts the filters that leave the request alone into one stage, where the first of them stands.
func (a *artist) quiet() {
	if a.idleAt < 0 {
		return
	}
	st := stage{label: filterStage + "s", answer: strings.Join(a.idle, ", "), asides: []string{"they leave it alone"}}
	if len(a.idle) == 1 {
		st.label, st.asides[0] = filterStage, "it leaves it alone"
	}
	a.out.stages = slices.Insert(a.out.stages, a.idleAt, st)
}

// decided takes apart an answer that begins with yes or no.
func decided(answer string) (yes, no bool, why string) {
	for _, word := range [...]string{"yes", "no"} {
		if rest, found := strings.CutPrefix(answer, word); found && (rest == "" || rest[0] == ':' || rest[0] == ',') {
			return word == "yes", word == "no", strings.TrimLeft(rest, ":, ")
		}
	}
	return false, false, ""
}

// access is what a filter says that lets a request pass or refuses it: access rules, tokens.
func (a *artist) access(filter, aside string, s explain.Step) {
	st := stage{label: accessStage, answer: filter + ": " + s.Answer}
	switch yes, no, why := decided(s.Answer); {
	case yes:
		st.answer, st.asides, st.tone = filter+" lets it pass", []string{why}, Good
	case no:
		st.answer, st.asides, st.tone = filter+" refuses it", []string{why}, Bad
	}
	if aside != "" {
		st.asides = append(st.asides, aside+": this is only reported, not enforced")
		st.tone = Plain
	}
	if _, ok := s.Winner(); !ok && len(s.Candidates) > 0 {
		st.asides = append(st.asides, "nothing holds that would let it pass")
		if st.tone == Good {
			st.asides[len(st.asides)-1] = "nothing holds that would refuse it"
		}
	}
	a.reasons(&st, s)
	a.note(&st, s)
	a.add(st)
}

// reasons are the candidates of a filter, by the names of the Istio objects that they were made from.
func (a *artist) reasons(st *stage, s explain.Step) {
	renamed := slices.Clone(s.Candidates)
	for i := range renamed {
		c := &renamed[i]
		c.Name = policyName(c.Name)
		if c.Won {
			text := c.Name
			if by := object(c.Object); by != "" {
				text += " (" + by + ")"
			}
			if c.Why != "" && c.Why != "matches" {
				text += ": " + c.Why
			}
			st.asides = append(st.asides, text)
		}
	}
	a.losers(st, renamed, nil)
}

// istioPolicy is how Istio names the RBAC policies that it makes of an AuthorizationPolicy.
var istioPolicy = regexp.MustCompile(`^(?:istio-ext-authz-)?ns\[(.*)\]-policy\[(.*)\]-rule\[(\d+)\]$`)

func policyName(id string) string {
	if m := istioPolicy.FindStringSubmatch(id); m != nil {
		return fmt.Sprintf("AuthorizationPolicy %s.%s rule %s", m[2], m[1], m[3])
	}
	return id
}

// mayAnswer divides the filters that may answer by whether it is known what they answer.
func mayAnswer(h *trace.Hop) (unknown []string, known []trace.Answer) {
	for _, name := range h.MayAnswer {
		if !slices.ContainsFunc(h.Answers, func(a trace.Answer) bool { return a.Filter == name }) && !slices.Contains(unknown, name) {
			unknown = append(unknown, name)
		}
	}
	return unknown, h.Answers
}

func answerText(a trace.Answer) string {
	text := a.Filter + ": " + a.Verdict.String()
	if a.Share > 0 {
		text = a.Filter + " (" + percent(a.Share) + " of requests): " + a.Verdict.String()
	}
	return text
}

// mayAnswer puts the filters that may answer where they stand: behind the request and before the route.
func (a *artist) mayAnswer() {
	unknown, known := mayAnswer(a.hop)
	var stages []stage
	if len(unknown) > 0 {
		st := stage{label: mayStage, answer: strings.Join(unknown, ", "), asides: []string{"what they would do is not computed"}, tone: Warn}
		if len(unknown) == 1 {
			st.asides[0] = "what it would do is not computed"
		}
		stages = append(stages, st)
		for _, name := range unknown {
			a.said["filter "+name] = true
		}
	}
	for _, k := range known {
		stages = append(stages, stage{label: mayStage, answer: answerText(k), tone: Warn})
	}
	if a.hop.Delay > 0 {
		stages = append(stages, stage{label: delayStage, answer: fmt.Sprintf("%s of requests are held back %s", percent(a.hop.DelayShare), a.hop.Delay), tone: Warn})
	}
	at := slices.IndexFunc(a.out.stages, func(s stage) bool {
		return s.label == hostStage || s.label == clusterStage || s.label == endpointStage || s.label == actionStage
	})
	if at < 0 {
		at = len(a.out.stages)
	}
	a.out.stages = slices.Insert(a.out.stages, at, stages...)
}
