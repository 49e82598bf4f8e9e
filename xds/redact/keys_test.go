package redact

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// A secret is a private key in one of its standard encodings.
type secret struct {
	label string // of PEM; "" for a JSON Web Key, whose text is in jwk
	der   []byte
	jwk   string
	parts []string // what may not be found in any output
}

// secrets generates one key of each sort.
var secrets = sync.OnceValue(func() []secret {
	must := func(b []byte, err error) []byte {
		if err != nil {
			panic(err)
		}
		return b
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	all := []secret{
		{label: "RSA PRIVATE KEY", der: x509.MarshalPKCS1PrivateKey(rsaKey)},
		{label: "PRIVATE KEY", der: must(x509.MarshalPKCS8PrivateKey(rsaKey))},
		{label: "EC PRIVATE KEY", der: must(x509.MarshalECPrivateKey(ecKey))},
		{label: "PRIVATE KEY", der: must(x509.MarshalPKCS8PrivateKey(ecKey))},
		{label: "PRIVATE KEY", der: must(x509.MarshalPKCS8PrivateKey(edKey))},
		{label: "ENCRYPTED PRIVATE KEY", der: encrypted()},
		{label: "OPENSSH PRIVATE KEY", der: append([]byte("openssh-key-v1\x00\x00\x00\x00\x04none"), random(300)...)},
	}
	b64 := base64.RawURLEncoding.EncodeToString
	raw := must(ecKey.Bytes())
	public := must(ecKey.PublicKey.Bytes())
	all = append(all,
		secret{jwk: fmt.Sprintf(`{"kty":"EC","crv":"P-256","d":"%s","x":"%s","y":"%s"}`, b64(raw), b64(public[1:33]), b64(public[33:])), der: raw},
		secret{jwk: fmt.Sprintf(`{"d":"%s","kty":"OKP","crv":"Ed25519","x":"%s"}`, b64(edKey.Seed()), b64(edKey.Public().(ed25519.PublicKey))), der: edKey.Seed()},
	)
	for i := range all {
		s := &all[i]
		body := base64.StdEncoding.EncodeToString(s.der)
		for at := 0; at+24 <= len(body); at += 24 {
			s.parts = append(s.parts, body[at:at+24])
		}
	}
	return all
})

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// encrypted puts together an EncryptedPrivateKeyInfo with PBES2.
func encrypted() []byte {
	seq := func(tag byte, parts ...[]byte) []byte {
		in := bytes.Join(parts, nil)
		if len(in) < 128 {
			return append([]byte{tag, byte(len(in))}, in...)
		}
		return append([]byte{tag, 0x82, byte(len(in) >> 8), byte(len(in))}, in...)
	}
	pbes2 := []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d}
	return seq(0x30, seq(0x30, seq(0x06, pbes2), seq(0x30, random(60))), seq(0x04, random(1200)))
}

// certificate makes a self-signed certificate in PEM.
func certificate(t testing.TB, key crypto.Signer) string {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mesh"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// leaks tells what of a secret can be found in an output, looking through the encodings in which a person would look.
func leaks(s secret, out []byte) string {
	seen := [][]byte{out}
	var text any
	if json.Unmarshal(out, &text) == nil {
		var walk func(any)
		walk = func(x any) {
			switch x := x.(type) {
			case string:
				seen = append(seen, []byte(x))
				var inner any
				if json.Unmarshal([]byte(x), &inner) == nil {
					if _, isText := inner.(string); isText || strings.ContainsAny(x, "{[") {
						walk(inner)
					}
				}
				flat := strings.Join(strings.Fields(strings.NewReplacer(`\r`, " ", `\n`, " ", "=", "").Replace(x)), "")
				seen = append(seen, []byte(flat))
				for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
					if b, err := enc.DecodeString(flat); err == nil && len(b) > 8 {
						walk(string(b))
					}
				}
				if b, err := hex.DecodeString(flat); err == nil && len(b) > 8 {
					walk(string(b))
				}
				if u, err := url.PathUnescape(x); err == nil && u != x {
					walk(u)
				}
			case []any:
				for _, e := range x {
					walk(e)
				}
			case map[string]any:
				for k, e := range x {
					walk(k)
					walk(e)
				}
			}
		}
		walk(text)
	}
	half := s.der[len(s.der)/2:]
	for _, b := range seen {
		if bytes.Contains(b, half[:min(len(half), 16)]) {
			return fmt.Sprintf("the key's DER in %q", b[:min(len(b), 200)])
		}
		for _, part := range s.parts {
			url := strings.NewReplacer("+", "-", "/", "_").Replace(part)
			if bytes.Contains(b, []byte(part)) || bytes.Contains(b, []byte(url)) {
				return fmt.Sprintf("the key's base64 in %q", b[:min(len(b), 400)])
			}
		}
	}
	return ""
}

// A form writes a key in some way. Some need others around them.
type form func(r *mathrand.Rand, s string) string

// text gives the innermost writing of a key.
func (s secret) text(r *mathrand.Rand) string {
	if s.jwk != "" {
		return s.jwk
	}
	block := pemBlock(s)
	switch r.IntN(9) {
	case 0:
		return strings.ReplaceAll(block, "\n", "\r\n")
	case 1:
		return strings.ReplaceAll(block, "\n", "")
	case 2:
		return strings.ReplaceAll(block, "\n", " ")
	case 3:
		lines := strings.Split(block, "\n")
		return strings.Join(lines[1:len(lines)-2], "\n") // no header
	case 4:
		return base64.StdEncoding.EncodeToString(s.der)
	case 5:
		return base64.RawURLEncoding.EncodeToString(s.der)
	case 6:
		return hex.EncodeToString(s.der)
	case 7:
		return block[:len(block)*3/4] // cut off
	}
	return block
}

var forms = []form{
	func(r *mathrand.Rand, s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	func(r *mathrand.Rand, s string) string { return base64.RawStdEncoding.EncodeToString([]byte(s)) },
	func(r *mathrand.Rand, s string) string { return base64.URLEncoding.EncodeToString([]byte(s)) },
	func(r *mathrand.Rand, s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
	func(r *mathrand.Rand, s string) string { b, _ := json.Marshal(s); return `{"key":` + string(b) + `}` },
	func(r *mathrand.Rand, s string) string { b, _ := json.Marshal(s); return string(b) },
	func(r *mathrand.Rand, s string) string {
		return "tls:\n  key: |\n    " + strings.ReplaceAll(s, "\n", "\n    ") + "\nport: 80\n"
	},
	func(r *mathrand.Rand, s string) string { return "export TLS_KEY='" + s + "' PORT=80" },
	func(r *mathrand.Rand, s string) string { return url.PathEscape(s) },
	func(r *mathrand.Rand, s string) string { return url.QueryEscape(strings.ReplaceAll(s, " ", "")) },
	func(r *mathrand.Rand, s string) string { return "data:text/plain;base64," + s },
	func(r *mathrand.Rand, s string) string { return "path/" + s },
	func(r *mathrand.Rand, s string) string { return strings.ReplaceAll(s, "\n", `\n`) },
}

// quote writes a JSON string with some characters escaped that need not be.
func quote(r *mathrand.Rand, s string) string {
	b, _ := json.Marshal(s)
	if r.IntN(3) > 0 {
		return string(b)
	}
	var out strings.Builder
	for i, c := range b {
		if i > 0 && i < len(b)-1 && (c == '-' || c >= 'A' && c <= 'Z') && b[i-1] != '\\' && r.IntN(4) == 0 {
			fmt.Fprintf(&out, `\u%04x`, c)
			continue
		}
		out.WriteByte(c)
	}
	return out.String()
}

// place puts a JSON string somewhere into a document.
func place(r *mathrand.Rand, quoted string) string {
	doc := quoted
	for range 1 + r.IntN(5) {
		switch r.IntN(7) {
		case 0:
			doc = `{"name":"x","private_key":` + doc + `}`
		case 1:
			doc = `{"inline_bytes": ` + doc + ` }`
		case 2:
			doc = `[1, ` + doc + `, "-----BEGIN CERTIFICATE-----"]`
		case 3:
			doc = `{"@type":"type.googleapis.com/xds.type.v3.TypedStruct","type_url":"x.y/z","value":{"a":` + doc + `}}`
		case 4:
			doc = `{"config":{"` + "k\\u0065y" + `":` + doc + `},"keys":[{"name":"v"}]}`
		case 5:
			doc = `{"secret":{"inline_string":` + doc + `}}`
		case 6:
			if strings.HasPrefix(doc, `"`) {
				doc = `{` + doc + `: true}`
			}
		}
	}
	return doc
}

func FuzzRedact(f *testing.F) {
	for seed := range uint64(64) {
		f.Add(seed, seed*7)
	}
	f.Fuzz(func(t *testing.T, a, b uint64) {
		r := mathrand.New(mathrand.NewPCG(a, b))
		s := secrets()[r.IntN(len(secrets()))]
		text := s.text(r)
		if s.jwk != "" && r.IntN(3) == 0 {
			doc := place(r, s.jwk)
			checkSecret(t, s, doc, doc)
			return
		}
		for range r.IntN(4) {
			text = forms[r.IntN(len(forms))](r, text)
		}
		checkSecret(t, s, place(r, quote(r, text)), text)
	})
}

func checkSecret(t *testing.T, s secret, doc, text string) {
	t.Helper()
	out, n, err := Compact(nil, []byte(doc))
	if err != nil {
		t.Fatalf("Compact(%s): %v", doc, err)
	}
	if !json.Valid(out) {
		t.Fatalf("not JSON: %s\nfrom %s", out, doc)
	}
	if n == 0 {
		t.Errorf("nothing redacted in %s", doc)
	}
	if leak := leaks(s, out); leak != "" {
		t.Errorf("%s %s: found %s\nin  %s\nout %s", s.label, s.jwk, leak, doc, out)
	}
	again, n, err := Compact(nil, out)
	if err != nil || n != 0 || !bytes.Equal(again, out) {
		t.Errorf("redacting again changed %d values (%v):\n%s\n%s", n, err, out, again)
	}
}

func testKey(t testing.TB) crypto.Signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func pemBlock(s secret) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: s.label, Bytes: s.der}))
}

// TestHostile reads long strings that look like keys over and over. Work that grows with the square of the length would show: as
// minutes.
func TestHostile(t *testing.T) {
	der := strings.Repeat("0\x20\x02\x01\x00\x02\x10", 1<<19)
	for _, text := range []string{
		strings.Repeat("-----END A PRIVATE KEY-----", 1<<17),
		strings.Repeat("-----BEGIN A PRIVATE KEY-----", 1<<17),
		"x" + strings.Repeat("END PRIVATE KEY ", 1<<18),
		strings.Repeat("- ", 1<<20) + strings.Repeat("END PRIVATE KEY"+strings.Repeat("- ", 200), 5000),
		base64.StdEncoding.EncodeToString([]byte(der)),
		hex.EncodeToString([]byte(der)),
	} {
		in, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		if out, n, err := Compact(nil, in); err != nil || n == 0 || !json.Valid(out) {
			t.Errorf("%.40s: %d redacted, %v", text, n, err)
		}
	}
}
