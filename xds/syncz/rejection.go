package syncz

import (
	"regexp"
	"strings"
)

// Lines of a protocol buffer's text form, which Envoy puts into its messages: the beginning and end of a message, and a field. A marker that begins it says that
// nobody should parse it (google.golang.org/protobuf and Abseil call it debug text).
var (
	textMarker = regexp.MustCompile(`goo\.gle/debug\w*`)
	textBlock  = regexp.MustCompile(`^(?:[\w.]+|\[[\w./-]+\])\s*\{\s*\}?$|^\}$`)
	textField  = regexp.MustCompile(`^\w+: (?:"(?:[^"\\]|\\.)*"|-?[\w.+-]+)$`)
	textName   = regexp.MustCompile(`(?m)^name: "((?:[^"\\]|\\.)*)"`)
)

// RejectionLine gives why a proxy rejected something on one line. Envoy's message often holds the resource that it is about, kilobytes of it and at times before
// the reason: the line has the name of that resource and the reason.
func RejectionLine(message string) string {
	named := ""
	if m := textName.FindStringSubmatch(message); m != nil {
		named = m[1]
	}
	var kept []string
	for _, line := range strings.Split(message, "\n") {
		line = strings.TrimSpace(textMarker.ReplaceAllString(line, ""))
		if textBlock.MatchString(line) || textField.MatchString(line) {
			continue
		}
		if line = strings.TrimSpace(strings.TrimPrefix(line, ":")); line != "" {
			kept = append(kept, line)
		}
	}
	text := strings.Join(strings.Fields(strings.Join(kept, " ")), " ")
	switch {
	case text == "":
		return strings.Join(strings.Fields(message), " ")
	case named != "" && !strings.Contains(text, named):
		return named + ": " + text
	}
	return text
}
