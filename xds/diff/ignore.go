package diff

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/meshlark/meshlark/xds/rawjson"
)

// A step is one part of a path: the name of a member, or what an element or an entry of a map is known by.
type step struct {
	text  string
	label bool // it stands in brackets
}

// appendStep appends a step to a path.
func appendStep(path string, s step) string {
	if !s.label {
		if path == "" {
			return s.text
		}
		return path + "." + s.text
	}
	if s.text == "" || strings.ContainsAny(s.text, "[]\"\n\r\t") {
		return path + "[" + string(rawjson.Quote(nil, s.text)) + "]"
	}
	return path + "[" + s.text + "]"
}

// isName reports whether a name of a member can stand in a path without brackets.
func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c != '_' && c != '-' && c != '@' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return s != ""
}

// A patternStep is one part of a pattern.
type patternStep struct {
	step
	deep bool // ** stands for any number of steps
}

func (p *patternStep) matches(s step) bool {
	if p.text == "*" && !p.label {
		return true
	}
	return p.label == s.label && wild(p.text, s.text)
}

// wild reports whether text matches a pattern in which * stands for any characters.
func wild(pattern, text string) bool {
	star, from := -1, 0
	i, j := 0, 0
	for i < len(text) {
		switch {
		case j < len(pattern) && pattern[j] == '*':
			star, from = j, i
			j++
		case j < len(pattern) && pattern[j] == text[i]:
			i++
			j++
		case star >= 0:
			from++
			i, j = from, star+1
		default:
			return false
		}
	}
	return strings.Trim(pattern[j:], "*") == ""
}

// parsePattern reads a path with wildcards.
func parsePattern(text string) ([]patternStep, error) {
	var steps []patternStep
	rest := text
	fault := func(why string) error {
		return fmt.Errorf("ignore path %q, at offset %d: %s", text, len(text)-len(rest), why)
	}
	for rest != "" {
		if strings.HasPrefix(rest, "[\"") {
			end, err := rawjson.SkipString([]byte(rest), 1)
			if err != nil || !strings.HasPrefix(rest[end:], "]") {
				return nil, fault(`want a quoted label closed by "]`)
			}
			var label string
			if err := json.Unmarshal([]byte(rest[1:end]), &label); err != nil {
				return nil, fault("the quoted label is no JSON string")
			}
			steps = append(steps, patternStep{step: step{label, true}})
			rest = rest[end+1:]
		} else if rest[0] == '[' {
			end := strings.IndexByte(rest, ']')
			if end < 0 {
				return nil, fault("a bracket is never closed")
			}
			steps = append(steps, patternStep{step: step{rest[1:end], true}})
			rest = rest[end+1:]
		} else {
			end := strings.IndexAny(rest, ".[")
			if end < 0 {
				end = len(rest)
			}
			if end == 0 {
				return nil, fault("a name is missing")
			}
			steps = append(steps, patternStep{step: step{text: rest[:end]}, deep: rest[:end] == "**"})
			rest = rest[end:]
		}
		if after, ok := strings.CutPrefix(rest, "."); ok {
			rest = after
			if rest == "" {
				return nil, fault("a name is missing")
			}
		}
	}
	if len(steps) == 0 {
		return nil, errors.New(`ignore path "" ignores nothing; "**" ignores everything`)
	}
	return steps, nil
}

// patterns are the paths that are ignored.
type patterns struct {
	list [][]patternStep
}

func newPatterns(texts []string) (*patterns, error) {
	p := &patterns{}
	for _, text := range texts {
		steps, err := parsePattern(text)
		if err != nil {
			return nil, err
		}
		p.list = append(p.list, steps)
	}
	return p, nil
}

// within gives the patterns that can match anything in a text: those of which all plain names occur.
func (p *patterns) within(text rawjson.Value) *patterns {
	if bytes.IndexByte(text, '\\') >= 0 { // a name may be written with escapes
		return p
	}
	in := &patterns{}
	for _, steps := range p.list {
		if !slices.ContainsFunc(steps, func(s patternStep) bool {
			return !s.label && !strings.Contains(s.text, "*") && !bytes.Contains(text, []byte(s.text)) && !bytes.Contains(text, camel(s.text))
		}) {
			in.list = append(in.list, steps)
		}
	}
	return in
}

// camel gives the JSON name of a field.
func camel(name string) []byte {
	var b []byte
	for i, word := range strings.Split(name, "_") {
		if i > 0 && word != "" {
			word = strings.ToUpper(word[:1]) + word[1:]
		}
		b = append(b, word...)
	}
	return b
}

// A place is how far each pattern has come on the way to a value: pairs of a pattern and a number of its steps.
type place [][2]int

func (p *patterns) start() place {
	var at place
	for i := range p.list {
		at = p.add(at, i, 0)
	}
	return at
}

// add adds a position, and the one after it if it can be passed without a step.
func (p *patterns) add(at place, i, n int) place {
	for _, known := range at {
		if known == [2]int{i, n} {
			return at
		}
	}
	at = append(at, [2]int{i, n})
	if n < len(p.list[i]) && p.list[i][n].deep {
		return p.add(at, i, n+1)
	}
	return at
}

// next takes a step and reports whether what is there is ignored. The step is asked for only if it matters.
func (p *patterns) next(dst, from place, s func() step) (to place, ignored bool) {
	dst = dst[:0]
	for _, at := range from {
		i, n := at[0], at[1]
		if n == len(p.list[i]) {
			return dst, true
		}
		ps := &p.list[i][n]
		if ps.deep {
			dst = p.add(dst, i, n)
		} else if ps.matches(s()) {
			dst = p.add(dst, i, n+1)
		}
	}
	for _, at := range dst {
		if at[1] == len(p.list[at[0]]) {
			return dst, true
		}
	}
	return dst, false
}

// hide marks what the patterns ignore, from a node downwards.
func (c *comparer) hide(n *node, at place) {
	if len(at) == 0 || len(n.kids) == 0 {
		return
	}
	var to place
	for i := range n.kids {
		k := &n.kids[i]
		to, k.hidden = c.ignore.next(to, at, func() step { return n.step(i) })
		if !k.hidden {
			c.hide(k.node, to)
		}
	}
}

// step gives the part of a path that leads to a kid.
func (n *node) step(i int) step {
	k := &n.kids[i]
	if k.key != nil {
		return step{k.name, !isName(k.name)}
	}
	if n.labels == nil {
		n.label()
	}
	return step{n.labels[i], true}
}

func index(i int) string { return strconv.Itoa(i) }
