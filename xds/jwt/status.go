package jwt

import (
	"strings"
	"unicode"
)

// A Status is what checking a token comes to. Its number is the code Envoy writes into metadata (failed_status_in_metadata).
type Status int

// The statuses a request can end with. Those of faulty key sets that Envoy has besides come to NoValidKeys.
const (
	OK               Status = 0
	Missing          Status = 1
	NotYetValid      Status = 2
	Expired          Status = 3
	BadFormat        Status = 4
	HeaderBase64     Status = 5
	HeaderJSON       Status = 6
	HeaderAlg        Status = 7
	HeaderAlgUnknown Status = 8
	HeaderKid        Status = 9
	PayloadBase64    Status = 10
	PayloadJSON      Status = 11
	IssuerType       Status = 12
	SubjectType      Status = 13
	IssuedAtType     Status = 14
	IssuedAtRange    Status = 15
	NotBeforeType    Status = 16
	NotBeforeRange   Status = 17
	ExpiresType      Status = 18
	ExpiresRange     Status = 19
	IDType           Status = 20
	AudienceType     Status = 21
	SignatureBase64  Status = 22
	Ed25519Length    Status = 23
	UnknownIssuer    Status = 24
	WrongAudience    Status = 25
	NotVerified      Status = 26
	NoValidKeys      Status = 31
	NoSuchKey        Status = 32
)

var texts = map[Status]string{
	OK:               "OK",
	Missing:          "Jwt is missing",
	NotYetValid:      "Jwt not yet valid",
	Expired:          "Jwt is expired",
	BadFormat:        "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
	HeaderBase64:     "Jwt header is an invalid Base64url encoded",
	HeaderJSON:       "Jwt header is an invalid JSON",
	HeaderAlg:        "Jwt header [alg] field is required and must be a string",
	HeaderAlgUnknown: "Jwt header [alg] is not supported",
	HeaderKid:        "Jwt header [kid] field is not a string",
	PayloadBase64:    "Jwt payload is an invalid Base64url encoded",
	PayloadJSON:      "Jwt payload is an invalid JSON",
	IssuerType:       "Jwt payload [iss] field is not a string",
	SubjectType:      "Jwt payload [sub] field is not a string",
	IssuedAtType:     "Jwt payload [iat] field is not an integer",
	IssuedAtRange:    "Jwt payload [iat] field is not a positive 64 bit integer",
	NotBeforeType:    "Jwt payload [nbf] field is not an integer",
	NotBeforeRange:   "Jwt payload [nbf] field is not a positive 64 bit integer",
	ExpiresType:      "Jwt payload [exp] field is not an integer",
	ExpiresRange:     "Jwt payload [exp] field is not a positive 64 bit integer",
	IDType:           "Jwt payload [jti] field is not a string",
	AudienceType:     "Jwt payload [aud] field is not a string or string list",
	SignatureBase64:  "Jwt signature is an invalid Base64url encoded",
	Ed25519Length:    "Jwt ED25519 signature is wrong length",
	UnknownIssuer:    "Jwt issuer is not configured",
	WrongAudience:    "Audiences in Jwt are not allowed",
	NotVerified:      "Jwt verification fails",
	NoValidKeys:      "Jwks doesn't have any valid public key",
	NoSuchKey:        "Jwks doesn't have key to match kid or alg from Jwt",
}

// String is the text Envoy answers with.
func (s Status) String() string { return texts[s] }

// Code is the HTTP status of the answer to a request whose token comes to s.
func (s Status) Code() int {
	if s == WrongAudience {
		return 403
	}
	return 401
}

// Details is the response code details of that answer.
func (s Status) Details() string { return details(s.String()) }

// details is the response code details of a refusal: no white space may be in them.
func details(text string) string {
	return "jwt_authn_access_denied{" + strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return '_'
		}
		return r
	}, text) + "}"
}
