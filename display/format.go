package display

import (
	"fmt"
	"slices"
	"strings"
)

// A Format is a form of output, as named by -o.
type Format string

// The formats.
const (
	Text      Format = "text"      // lines for a person
	Table     Format = "table"     // a table where there is one, else text
	Wide      Format = "wide"      // the table with all its columns
	JSON      Format = "json"      // one document with the typed fields
	JSONFull  Format = "json=full" // one document with the whole bodies of resources
	JSONLines Format = "jsonl"     // the typed fields, an item a line
	YAML      Format = "yaml"      // the document of JSON as YAML
	JUnit     Format = "junit"     // JUnit XML, of checks
)

// ParseFormat reads a format that is one of those allowed.
func ParseFormat(s string, allowed ...Format) (Format, error) {
	if i := slices.Index(allowed, Format(s)); i >= 0 {
		return allowed[i], nil
	}
	names := make([]string, len(allowed))
	for i, f := range allowed {
		names[i] = string(f)
	}
	return "", fmt.Errorf("output format %q: want one of %s", s, strings.Join(names, ", "))
}

// IsDocument tells whether a program reads the output, so that nothing may
// stand beside it.
func (f Format) IsDocument() bool {
	switch f {
	case JSON, JSONFull, JSONLines, YAML, JUnit:
		return true
	}
	return false
}
