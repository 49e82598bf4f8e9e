package redact

import (
	"bytes"
	"regexp"
)

// Tokens let whoever has them act as the proxy: an Istio bootstrap may carry one in the initial_metadata of its xDS connection, which Envoy does not
// mark as sensitive. Found are signed JSON Web Tokens wherever they stand, and what follows the word Bearer or Basic at the beginning of a
// string, as in an authorization header.
var (
	webToken    = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}`)
	credentials = regexp.MustCompile(`^"((?i:Bearer|Basic)) +[A-Za-z0-9._~+/=-]{8,}"$`)
)

// leastToken is how long a string with credentials is at least.
const leastToken = 14

// hasToken reports whether a string may hold a token.
func hasToken(quoted []byte) bool {
	switch quoted[1] {
	case 'B', 'b':
		if credentials.Match(quoted) {
			return true
		}
	}
	return bytes.Contains(quoted, []byte("eyJ")) && webToken.Match(quoted)
}

// withoutTokens gives a string, quotes included, without its tokens, and how many it had.
func withoutTokens(quoted []byte) ([]byte, int) {
	if len(quoted) < leastToken || !hasToken(quoted) {
		return quoted, 0
	}
	if m := credentials.FindSubmatch(quoted); m != nil {
		return []byte(`"` + string(m[1]) + " " + redactedText + `"`), 1
	}
	n := 0
	return webToken.ReplaceAllFunc(quoted, func([]byte) []byte { n++; return []byte(redactedText) }), n
}
