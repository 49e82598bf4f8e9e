// Package complete finds what could stand at a position of a statement that is
// being typed: names, attributes, arguments, and real names inside strings.
//
// It looks at values but runs nothing: names, attributes and literal subscripts
// are evaluated, because attributes never fetch; what a call would give is known
// from the registry of the language, by its type. Real names inside strings come
// from a [Provider], within a deadline. It knows nothing of terminals.
package complete

import "unicode/utf8"

// A Candidate is one thing that could stand at the position.
type Candidate struct {
	Text  string // replaces what is between Result.Start and Result.End
	Label string // what a list shows
	Kind  Kind
	Doc   string // one sentence, "" when there is none
}

// A Kind says what a candidate is.
type Kind string

// The kinds of candidates.
const (
	Variable  Kind = "variable"
	Function  Kind = "function"
	Keyword   Kind = "keyword"
	Attribute Kind = "attribute"
	Method    Kind = "method"
	Parameter Kind = "parameter"
	Value     Kind = "value" // inside a string
	Command   Kind = "command"
)

// A Result is what was found.
type Result struct {
	Start, End int // the bytes of the text that a candidate replaces; Start <= position <= End
	Candidates []Candidate
	Note       string // why there are none, if that is worth saying
}

// Common is the longest text that all candidates begin with.
func Common(candidates []Candidate) string {
	if len(candidates) == 0 {
		return ""
	}
	common := candidates[0].Text
	for _, c := range candidates[1:] {
		n := 0
		for n < len(common) && n < len(c.Text) && common[n] == c.Text[n] {
			n++
		}
		common = common[:n]
	}
	for len(common) > 0 && !utf8.ValidString(common) {
		common = common[:len(common)-1]
	}
	return common
}
