package display

import (
	"encoding/xml"
	"io"
	"strings"

	"github.com/meshlark/meshlark/builtins"
)

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Skipped  int          `xml:"skipped,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	ClassName string       `xml:"classname,attr"`
	Name      string       `xml:"name,attr"`
	File      string       `xml:"file,attr,omitempty"`
	Line      int          `xml:"line,attr,omitempty"`
	Failure   *junitReason `xml:"failure"`
	Error     *junitReason `xml:"error"`
	Skipped   *junitReason `xml:"skipped"`
	Output    *junitText   `xml:"system-out"`
}

type junitReason struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

type junitText struct {
	Text string `xml:",chardata"`
}

// WriteJUnit writes the outcomes as JUnit XML: one suite for each runbook, one
// case for each check, named after what was checked and on what. A runbook that
// stopped with an error has a case with an error. A check that did not pass but
// is not of severity error has not failed; its message is the output of its
// case. What could not be read is a case of the suite "sources" with an error.
func (r Report) WriteJUnit(w io.Writer) error {
	doc := junitSuites{Name: "meshlark"}
	for _, run := range r.Runs {
		s := junitSuite{Name: Clean(run.Runbook)}
		for _, c := range run.Checks {
			tc := junitCase{ClassName: s.Name, Name: Clean(caseName(c))}
			if c.Pos.IsValid() {
				tc.File, tc.Line = Clean(c.Pos.Filename()), int(c.Pos.Line)
			}
			message := CleanLines(c.Message)
			switch {
			case c.Skipped:
				s.Skipped++
				tc.Skipped = &junitReason{Message: message}
			case c.Failed():
				s.Failures++
				tc.Failure = &junitReason{Message: message, Type: builtins.SeverityError, Text: message}
			case !c.OK:
				tc.Output = &junitText{Text: c.Severity + ": " + message}
			}
			s.Cases = append(s.Cases, tc)
		}
		if run.Err != nil {
			s.Errors++
			s.Cases = append(s.Cases, junitCase{ClassName: s.Name, Name: "run",
				Error: &junitReason{Message: firstLine(run.Err.Error()), Type: "error", Text: CleanLines(run.Err.Error())}})
		}
		s.Tests = len(s.Cases)
		doc.add(s)
	}
	if len(r.Failures) > 0 {
		s := junitSuite{Name: "sources", Tests: len(r.Failures), Errors: len(r.Failures)}
		for _, f := range r.Failures {
			s.Cases = append(s.Cases, junitCase{ClassName: s.Name, Name: Clean(failureSubject(f)),
				Error: &junitReason{Message: Clean(f.Reason), Type: Clean(f.Stage), Text: CleanLines(f.Error())}})
		}
		doc.add(s)
	}
	text, err := xml.MarshalIndent(doc, "", "  ")
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, xml.Header+string(text)+"\n")
	return err
}

func (d *junitSuites) add(s junitSuite) {
	d.Tests += s.Tests
	d.Failures += s.Failures
	d.Errors += s.Errors
	d.Skipped += s.Skipped
	d.Suites = append(d.Suites, s)
}

// caseName names a case by what was checked and on what; a skip of a whole
// runbook has neither.
func caseName(c builtins.Check) string {
	name := strings.TrimSpace(c.ID + " " + c.Subject)
	if name == "" {
		return "skipped"
	}
	return name
}

// firstLine is the first line of text, made safe to show.
func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return Clean(line)
}
