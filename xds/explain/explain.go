// Package explain is how the packages that follow a request through Envoy's configuration say what they did: one [Step] for each
// decision, with everything that was looked at and why it won or lost.
//
// Steps are data. How they look at a prompt is for the display.
package explain

// A Step is one decision.
type Step struct {
	// Question is what had to be decided, as "which virtual host serves reviews:9080?".
	Question string
	// Inputs are what the decision went by.
	Inputs []Input
	// Candidates are what there was to choose from, in the order Envoy looks at them. The one that was chosen has Won.
	Candidates []Candidate
	// Answer is the outcome in one phrase.
	Answer string
	// Unmodelled is what could not be decided from the configuration and the request alone, one phrase each.
	Unmodelled []string
}

// An Input is one value a decision went by.
type Input struct{ Name, Value string }

// A Candidate is one of the things a decision was between.
type Candidate struct {
	Name string // what it is called, as in the configuration
	// Where is the place in the resource, as virtual_hosts[3].routes[0]; "" when the candidate is a whole resource.
	Where string
	Won   bool
	Why   string // why it won or lost
	// Object is the reference to the Istio object that it was made from, see naming.ConfigRef; "" for none.
	Object string
}

// A Share is a part of the requests.
type Share struct {
	Name  string
	Share float64 // 0 to 1
}

// Winner is the candidate that was chosen; ok is false when none was.
func (s Step) Winner() (winner Candidate, ok bool) {
	for _, c := range s.Candidates {
		if c.Won {
			return c, true
		}
	}
	return Candidate{}, false
}
