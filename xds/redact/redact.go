// Package redact takes private material out of configuration before anybody stores it.
//
// Envoy redacts the fields its protos mark as sensitive, but only inside types it knows; a key in a Struct, in an extension it
// was built without, or in a string of YAML passes. This package goes by names and by looks: the fields of Envoy's protos
// that carry udpa.annotations.sensitive are replaced wherever a member of that name and shape stands, and private keys are found by
// what they are, in any string: PEM of every sort, DER in base64 or hexadecimal (also inside one another), JSON Web Keys;
// through JSON escapes, percent-encoding and text inside text. So are tokens: JSON Web Tokens, credentials of an authorization header, and what is
// assigned to a name such as password in a script or in JSON inside a string. Certificates and public keys stay.
//
// The replacement is Envoy's: "[redacted]" for strings, its base64 for bytes.
package redact

import (
	"bytes"
	"fmt"

	"github.com/meshlark/meshlark/xds/rawjson"
)

const (
	redactedText   = "[redacted]"
	redactedBase64 = "W3JlZGFjdGVkXQ==" // base64 of redactedText
)

// MaxString is how long a string may be, in bytes as sent, that has to be searched for private keys. Longer ones are an error.
const MaxString = 64 << 20

// Compact is rawjson.Compact that also replaces private material: it appends src to dst without white space and without secrets,
// and tells how many values it replaced. The error is a *rawjson.SyntaxError; dst is then returned as it came.
func Compact(dst, src []byte) (out []byte, redacted int, err error) {
	base := len(dst)
	w := rawjson.Watch{Keys: sensitiveKeys, Long: leastToken, LongString: suspicious}
	out, err = rawjson.CompactWatch(dst, src, &w)
	if err != nil || !w.Found {
		return out, 0, err
	}
	r := rewriter{src: bytes.Clone(out[base:]), out: out[:base]}
	if _, err := r.value(0, 0); err != nil {
		return dst, 0, err
	}
	return r.out, r.redacted, nil
}

// Text gives text that is no JSON, such as an error that quotes configuration, without private material.
func Text(text string) string {
	out, n, err := Compact(nil, rawjson.Quote(nil, text))
	switch {
	case err != nil: // too long to be searched
		return redactedText
	case n == 0:
		return text
	}
	return rawjson.Value(out).Text()
}

// FirstLine is [rawjson.FirstLine] without private material: what is no JSON may be a key or a token.
func FirstLine(text []byte) string {
	const most = 4 << 10 // more than a line that is shown
	return rawjson.FirstLine([]byte(Text(string(text[:min(len(text), most)]))))
}

// suspicious reports whether a string has to be looked at closely. Almost none has.
func suspicious(quoted []byte) bool {
	return searchable(quoted) || len(quoted) >= leastRun && isProvider(quoted) || hasToken(quoted)
}

// A mode says what to do with the strings of a value.
type mode int

const (
	search      mode = iota // replace private keys in strings
	wipe                    // replace everything
	provider                // search; the configuration of a private key provider is wiped
	environment             // search; variables whose names tell that they are secret are wiped
	names                   // search; members are called after tokens, and their values are names of cookies
)

// A rewriter copies compact, valid JSON without its secrets.
type rewriter struct {
	src      []byte
	out      []byte
	redacted int
}

// value copies the value at i and says where it ends.
func (r *rewriter) value(i int, m mode) (int, error) {
	switch r.src[i] {
	case '"':
		end, _ := rawjson.SkipString(r.src, i)
		if m == wipe {
			r.wipe(r.src[i:end], redactedText)
			return end, nil
		}
		return end, r.text(i, end)
	case '{':
		return r.object(i, m)
	case '[':
		r.out = append(r.out, '[')
		for i++; r.src[i] != ']'; {
			if r.src[i] == ',' {
				r.out = append(r.out, ',')
				i++
			}
			var err error
			if i, err = r.value(i, m); err != nil {
				return i, err
			}
		}
		r.out = append(r.out, ']')
		return i + 1, nil
	}
	end, _ := rawjson.Skip(r.src, i)
	if m == wipe {
		r.clear(r.src[i:end])
	} else {
		r.out = append(r.out, r.src[i:end]...)
	}
	return end, nil
}

// A webKey notes the private members of an object that may be a JSON Web Key.
type webKey struct {
	isKey bool
	found []span // in out, where the values of private members stand
}

// A sentHeader notes the members of an object that may be a header, or a piece of metadata, to send.
type sentHeader struct {
	name  string
	value span // in out; empty when there is none that is text
}

type span struct{ from, to int }

func (r *rewriter) object(i int, m mode) (int, error) {
	var jwk webKey
	var sent sentHeader
	r.out = append(r.out, '{')
	for i++; r.src[i] != '}'; {
		if r.src[i] == ',' {
			r.out = append(r.out, ',')
			i++
		}
		end, _ := rawjson.SkipString(r.src, i)
		key := rawjson.Value(r.src[i:end]).Text()
		if err := r.text(i, end); err != nil {
			return i, err
		}
		r.out = append(r.out, ':')
		i = end + 1
		at := len(r.out)
		var err error
		switch inner := m.member(r.src, key, i); {
		case key == "@type" && r.src[i] == '"':
			end, _ = rawjson.Skip(r.src, i)
			if m == search && isProvider(r.src[i:end]) {
				m = provider
			}
			i, err = r.value(i, search)
		case inner == wipe && r.src[i] == '"' && isBytes(key):
			end, _ = rawjson.SkipString(r.src, i)
			r.wipe(r.src[i:end], redactedBase64)
			i = end
		default:
			i, err = r.value(i, inner)
		}
		if err != nil {
			return i, err
		}
		switch key {
		case "kty":
			jwk.isKey = true
		case "d", "p", "q", "dp", "dq", "qi", "oth", "k":
			jwk.found = append(jwk.found, span{at, len(r.out)})
		case "key":
			sent.name = rawjson.Value(r.out[at:]).Text()
		case "value":
			if r.out[at] == '"' {
				sent.value = span{at, len(r.out)}
			}
		}
	}
	r.out = append(r.out, '}')
	if jwk.isKey && m != wipe {
		r.webKey(jwk.found)
	}
	if sent.value.to > 0 && m != wipe && isCredentialHeader(sent.name) {
		r.replace(sent.value, withoutCredentials(r.out[sent.value.from:sent.value.to]))
	}
	return i + 1, nil
}

// webKey replaces the private members of a JSON Web Key.
func (r *rewriter) webKey(found []span) {
	for n := len(found) - 1; n >= 0; n-- {
		r.replace(found[n], []byte(`"`+redactedText+`"`))
	}
}

// replace writes another value in the place of one that was written, unless that is the same.
func (r *rewriter) replace(s span, with []byte) {
	if bytes.Equal(r.out[s.from:s.to], with) {
		return
	}
	r.out = append(r.out[:s.from], append(bytes.Clone(with), r.out[s.to:]...)...)
	r.redacted++
}

// wipe writes a replacement for a string, unless the string is empty or replaced already.
func (r *rewriter) wipe(quoted []byte, with string) {
	in := string(quoted[1 : len(quoted)-1])
	if in == "" || in == redactedText || in == redactedBase64 {
		r.out = append(r.out, quoted...)
		return
	}
	r.out = append(append(append(r.out, '"'), with...), '"')
	r.redacted++
}

// clear writes the zero of a scalar.
func (r *rewriter) clear(scalar []byte) {
	zero := "0"
	switch scalar[0] {
	case 't', 'f':
		zero = "false"
	case 'n':
		zero = "null"
	}
	if string(scalar) != zero {
		r.redacted++
	}
	r.out = append(r.out, zero...)
}

// text copies the string src[i:end], quotes included, without the private keys in it.
func (r *rewriter) text(i, end int) error {
	quoted, n := withoutTokens(r.src[i:end])
	r.redacted += n
	if !searchable(quoted) {
		r.out = append(r.out, quoted...)
		return nil
	}
	if len(quoted) > MaxString {
		return &rawjson.SyntaxError{Offset: int64(i), Msg: fmt.Sprintf("string of %d bytes; at most %d are searched for private keys", len(quoted), MaxString)}
	}
	in := quoted[1 : len(quoted)-1]
	clean, n := scrubAll(in)
	r.redacted += n
	r.out = append(append(append(r.out, '"'), clean...), '"')
	return nil
}
