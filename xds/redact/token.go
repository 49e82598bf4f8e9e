package redact

import (
	"bytes"
	"regexp"
	"strings"
)

// Tokens let whoever has them act as the proxy: an Istio bootstrap may carry one in the initial_metadata of its xDS connection, which Envoy does not
// mark as sensitive. Found are signed JSON Web Tokens wherever they stand, what follows the word Bearer or Basic at the beginning of a
// string, as in an authorization header, and what follows Bearer inside one, as in a script, if it is long and has figures.
var (
	webToken    = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}`)
	credentials = regexp.MustCompile(`^"((?i:Bearer|Basic)) +[A-Za-z0-9._~+/=-]{8,}"$`)
	bearer      = regexp.MustCompile(`(Bearer +)([A-Za-z0-9._~+/=-]{16,})`)
)

var (
	wordToken  = []byte("eyJ") // what a JSON Web Token begins with
	wordBearer = []byte("Bearer ")
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
	return contains(quoted, wordToken, 2) && webToken.Match(quoted) || contains(quoted, wordBearer, 0) && bearer.Match(quoted)
}

// contains is bytes.Contains for a word one letter of which, the one at rare, is seldom in configuration. Every string of a configuration is asked.
func contains(text, word []byte, rare int) bool {
	for at := 0; ; at++ {
		n := bytes.IndexByte(text[at:], word[rare])
		if n < 0 {
			return false
		}
		if at += n; at >= rare && bytes.HasPrefix(text[at-rare:], word) {
			return true
		}
	}
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
	out := webToken.ReplaceAllFunc(quoted, func([]byte) []byte { n++; return []byte(redactedText) })
	out = bearer.ReplaceAllFunc(out, func(found []byte) []byte {
		m := bearer.FindSubmatch(found)
		if !bytes.ContainsAny(m[2], "0123456789") { // words
			return found
		}
		n++
		return append(bytes.Clone(m[1]), redactedText...)
	})
	return out, n
}

// isCredentialHeader tells that the value of a header that Envoy adds lets whoever has it act as the proxy.
func isCredentialHeader(name string) bool {
	switch strings.ToLower(name) {
	case "authorization", "proxy-authorization":
		return true
	}
	return isSecretName(name)
}

// withoutCredentials gives the value of such a header, quotes included, without what is secret in it: the word before it stays, and so does a value that
// Envoy puts together from a request.
func withoutCredentials(quoted []byte) []byte {
	in := quoted[1 : len(quoted)-1]
	if len(in) == 0 || bytes.Count(in, []byte("%")) > 1 {
		return quoted
	}
	word, _, ok := bytes.Cut(in, []byte(" "))
	if !ok {
		word = nil
	} else {
		word = append(bytes.Clone(word), ' ')
	}
	return append(append(append([]byte{'"'}, word...), redactedText...), '"')
}

// assigned finds, in a script or in JSON or YAML inside a string, a text that is given to a name of a credential.
var assigned = regexp.MustCompile(`(?i)(?:passw(?:or)?d|passphrase|client_?secret|secret_?(?:access_?)?key|api_?key|access_?token|auth_?token|refresh_?token)["']?\]?\s*[:=]\s*(?:"([^"]+)"|'([^']+)')`)

// credentialWords are in every text that assigned can find something in.
var credentialWords = regexp.MustCompile(`(?i)passw|passphrase|secret|api_?key|token`)

// assigns reports whether a script, or a string with JSON or YAML in it, may have such an assignment.
func assigns(quoted []byte) bool { return credentialWords.Match(quoted) }

// assignments finds the credentials that are assigned to names.
func (f *finder) assignments() {
	for _, m := range assigned.FindAllSubmatchIndex(f.text, -1) {
		from, to := m[2], m[3]
		if from < 0 {
			from, to = m[4], m[5]
		}
		if string(f.text[from:to]) != redactedText {
			f.replace(from, to, redactedText)
		}
	}
}
