package jwt

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"slices"
	"strings"
)

// A Token is a JSON Web Token that has been read, not verified.
type Token struct {
	Algorithm, KeyID    string
	Issuer, Subject, ID string
	Audiences           []string
	// IssuedAt, NotBefore and Expires are in seconds since 1970, 0 where the token does not say.
	IssuedAt, NotBefore, Expires uint64
	Header, Payload              map[string]any // as decoded by encoding/json

	payload   string // as it was sent
	signed    string
	signature []byte
}

// algorithms are those Envoy verifies.
var algorithms = []string{"ES256", "ES384", "ES512", "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA"}

// Parse reads a token. A status other than OK says what is wrong with it first.
func Parse(text string) (*Token, Status) {
	var parts []string
	for part := range strings.SplitSeq(text, ".") {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if len(parts) != 3 {
		return nil, BadFormat
	}
	t := &Token{payload: parts[1], signed: parts[0] + "." + parts[1]}
	header, err := unbase64(parts[0])
	if err != nil {
		return nil, HeaderBase64
	}
	if json.Unmarshal(header, &t.Header) != nil || t.Header == nil {
		return nil, HeaderJSON
	}
	alg, isText := t.Header["alg"].(string)
	if !isText {
		return nil, HeaderAlg
	}
	if t.Algorithm = alg; !slices.Contains(algorithms, alg) {
		return nil, HeaderAlgUnknown
	}
	if !textOf(t.Header, "kid", &t.KeyID) {
		return nil, HeaderKid
	}
	payload, err := unbase64(parts[1])
	if err != nil {
		return nil, PayloadBase64
	}
	if json.Unmarshal(payload, &t.Payload) != nil || t.Payload == nil {
		return nil, PayloadJSON
	}
	if status := t.claims(); status != OK {
		return nil, status
	}
	if t.signature, err = unbase64(parts[2]); err != nil {
		return nil, SignatureBase64
	}
	return t, OK
}

// claims reads the claims that decide, in Envoy's order.
func (t *Token) claims() Status {
	if !textOf(t.Payload, "iss", &t.Issuer) {
		return IssuerType
	}
	if !textOf(t.Payload, "sub", &t.Subject) {
		return SubjectType
	}
	for _, c := range [...]struct {
		name          string
		into          *uint64
		wrong, beyond Status
	}{
		{"iat", &t.IssuedAt, IssuedAtType, IssuedAtRange},
		{"nbf", &t.NotBefore, NotBeforeType, NotBeforeRange},
		{"exp", &t.Expires, ExpiresType, ExpiresRange},
	} {
		v, there := t.Payload[c.name]
		if !there {
			continue
		}
		n, isNumber := v.(float64)
		switch {
		case !isNumber:
			return c.wrong
		case n < 0 || n >= math.MaxUint64:
			return c.beyond
		}
		*c.into = uint64(n)
	}
	if !textOf(t.Payload, "jti", &t.ID) {
		return IDType
	}
	switch aud := t.Payload["aud"].(type) {
	case string:
		t.Audiences = []string{aud}
	case []any:
		for _, v := range aud {
			s, isText := v.(string)
			if !isText {
				return AudienceType
			}
			t.Audiences = append(t.Audiences, s)
		}
	default:
		if _, there := t.Payload["aud"]; there {
			return AudienceType
		}
	}
	return OK
}

// textOf takes a member that may be missing and has to be a text.
func textOf(object map[string]any, name string, into *string) bool {
	v, there := object[name]
	if !there {
		return true
	}
	s, isText := v.(string)
	*into = s
	return isText
}

// unbase64 reads the URL's form of base64, with or without padding. White space in it does not count.
func unbase64(text string) ([]byte, error) {
	if strings.ContainsAny(text, " \t\v\f") {
		text = strings.Join(strings.Fields(text), "")
	}
	return base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
}

// inTime checks the token's times against now, in seconds since 1970, with an allowance.
func (t *Token) inTime(now, skew uint64) Status {
	switch {
	case now+skew < t.NotBefore:
		return NotYetValid
	case t.Expires != 0 && now > t.Expires+skew:
		return Expired
	}
	return OK
}

// meantFor reports whether an audience of the token is among those that are allowed. None is as good as all. The scheme of a URL and a slash at
// its end do not count.
func (t *Token) meantFor(allowed []string) bool {
	return len(allowed) == 0 || slices.ContainsFunc(t.Audiences, func(aud string) bool {
		return slices.ContainsFunc(allowed, func(a string) bool { return plain(a) == plain(aud) })
	})
}

func plain(audience string) string {
	if rest, ok := strings.CutPrefix(audience, "http://"); ok {
		audience = rest
	} else if rest, ok := strings.CutPrefix(audience, "https://"); ok {
		audience = rest
	}
	return strings.TrimSuffix(audience, "/")
}
