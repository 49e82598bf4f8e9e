package history

import "regexp"

const struckOut = "REDACTED"

// secrets are what people paste into a prompt and do not want to find in a file.
// The part in the group named secret is struck out.
var secrets = []*regexp.Regexp{
	regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----(?P<secret>.*?)(?:-----END|$)`),
	regexp.MustCompile(`(?i)\b(?:bearer|basic)\s+(?P<secret>[A-Za-z0-9+/_.~=-]{8,})`),
	regexp.MustCompile(`\b(?P<secret>eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?)`), // JWT
	regexp.MustCompile(`\b(?P<secret>(?:AKIA|ASIA)[0-9A-Z]{16})\b`),
	regexp.MustCompile(`\b(?P<secret>gh[pousr]_[A-Za-z0-9]{20,}|glpat-[A-Za-z0-9_-]{16,}|xox[abprs]-[A-Za-z0-9-]{10,})`),
	regexp.MustCompile(`[a-z][a-z0-9+.-]*://[^\s/"'@:]*:(?P<secret>[^\s/"'@]+)@`),
	regexp.MustCompile(`(?i)(?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|authorization|cookie)["']?\s*[=:]\s*["'](?P<secret>[^"'\n]+)["']`),
}

// Redact strikes out what looks like a secret: passwords, tokens, keys,
// credentials in URLs.
func Redact(statement string) string {
	for _, re := range secrets {
		group := re.SubexpIndex("secret")
		out, done := "", 0
		for _, m := range re.FindAllStringSubmatchIndex(statement, -1) {
			out += statement[done:m[2*group]] + struckOut
			done = m[2*group+1]
		}
		statement = out + statement[done:]
	}
	return statement
}
