package secret

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"slices"
	"time"

	"github.com/meshlark/meshlark/xds/rawjson"
)

// A Certificate is one PEM block of a secret.
type Certificate struct {
	// Err says why nothing else could be read, "" when it could: the block is no certificate, or one that Go's
	// crypto/x509 refuses (a negative serial number, say) though Envoy's TLS library may take it.
	Err string

	TrustDomain string // of the SPIFFE bundle the certificate is in, else of its SPIFFE id; "" without either
	Serial      string // hexadecimal, at least 32 digits
	NotBefore   time.Time
	NotAfter    time.Time
	Issuer      string // distinguished names as RFC 2253 writes them
	Subject     string
	DNS         []string // subject alternative names by kind
	URIs        []string
	IPs         []string
	Emails      []string
	IsCA        bool
	KeyType     string // RSA-2048, ECDSA-P-256, Ed25519; else the name of the algorithm
	Signature   string // algorithm, as SHA256-RSA
	SHA256      string // fingerprint of the whole certificate, hexadecimal
}

// SANs are the subject alternative names of all kinds: URIs (where a SPIFFE id is), DNS names, IP and e-mail addresses.
func (c Certificate) SANs() []string { return slices.Concat(c.URIs, c.DNS, c.IPs, c.Emails) }

// Valid reports whether now is within the certificate's life. No signature is verified.
func (c Certificate) Valid(now time.Time) bool {
	return c.Err == "" && now.After(c.NotBefore) && now.Before(c.NotAfter)
}

// Certificates are the certificates of one secret in order: a leaf and its intermediates, or the roots of a bundle.
type Certificates []Certificate

// Valid reports whether every certificate can be read and is within its life; false when there is none. In
// a bundle one expired root counts as much as it would in a chain.
func (cs Certificates) Valid(now time.Time) bool {
	for _, c := range cs {
		if !c.Valid(now) {
			return false
		}
	}
	return len(cs) > 0
}

// NotBefore is when the last of the certificates became valid, zero when none could be read.
func (cs Certificates) NotBefore() time.Time {
	var last time.Time
	for _, c := range cs {
		if c.NotBefore.After(last) {
			last = c.NotBefore
		}
	}
	return last
}

// NotAfter is when the first of the certificates expires, zero when none could be read.
func (cs Certificates) NotAfter() time.Time {
	var first time.Time
	for _, c := range cs {
		if c.Err == "" && (first.IsZero() || c.NotAfter.Before(first)) {
			first = c.NotAfter
		}
	}
	return first
}

// DaysLeft is the time until the first of the certificates expires, in days of 24 hours, negative afterwards. ok is
// false when none could be read.
func (cs Certificates) DaysLeft(now time.Time) (days float64, ok bool) {
	end := cs.NotAfter()
	if end.IsZero() {
		return 0, false
	}
	// Not end.Sub(now), which stops at 292 years.
	seconds := float64(end.Unix()-now.Unix()) + float64(end.Nanosecond()-now.Nanosecond())/1e9
	return seconds / (24 * 60 * 60), true
}

// SANs are the subject alternative names of all certificates, each once.
func (cs Certificates) SANs() []string {
	var out []string
	for _, c := range cs {
		for _, name := range c.SANs() {
			if !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

// ParsePEM reads every PEM block of a chain or a bundle. What cannot be read becomes a Certificate with Err, so that nothing
// is passed over in silence. Text without any block gives one such Certificate, empty text none.
func ParsePEM(text []byte) Certificates {
	var out Certificates
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		// Decode steps over blocks it cannot read.
		skipped := text[:len(text)-len(rest)]
		for range bytes.Count(skipped, pemBegin) - 1 {
			out = append(out, Certificate{Err: "PEM block that cannot be decoded"})
		}
		out = append(out, parseBlock(block))
		text = rest
	}
	for range bytes.Count(text, pemBegin) {
		out = append(out, Certificate{Err: "PEM block that is damaged or cut short"})
	}
	if len(out) == 0 && len(bytes.TrimSpace(text)) > 0 {
		out = append(out, Certificate{Err: "no PEM block in the text"})
	}
	return out
}

var pemBegin = []byte("-----BEGIN ")

func parseBlock(block *pem.Block) Certificate {
	if block.Type != "CERTIFICATE" && block.Type != "X509 CERTIFICATE" && block.Type != "TRUSTED CERTIFICATE" {
		return Certificate{Err: fmt.Sprintf("PEM block is a %s, not a certificate", block.Type)}
	}
	return parseDER(block.Bytes)
}

// parseBundles reads SPIFFE bundles by trust domain: {"trust_domains": {"example.org": {"keys": [{"x5c": [...]}]}}}, each x5c a
// list of certificates as base64 of DER.
func parseBundles(text []byte) Certificates {
	var out Certificates
	for domain, bundle := range rawjson.Value(bytes.TrimSpace(text)).Get("trust_domains").Members() {
		for key := range bundle.Get("keys").Elems() {
			for encoded := range key.Get("x5c").Elems() {
				c := Certificate{}
				if der, err := base64.StdEncoding.DecodeString(encoded.Text()); err != nil {
					c.Err = "x5c is not base64: " + err.Error()
				} else {
					c = parseDER(der)
				}
				c.TrustDomain = domain
				out = append(out, c)
			}
		}
	}
	if len(out) == 0 && len(bytes.TrimSpace(text)) > 0 {
		out = append(out, Certificate{Err: "no certificate in the SPIFFE bundles"})
	}
	return out
}

func parseDER(der []byte) Certificate {
	x, err := x509.ParseCertificate(der)
	if err != nil {
		return Certificate{Err: err.Error()}
	}
	c := Certificate{
		Serial:    fmt.Sprintf("%032x", x.SerialNumber),
		NotBefore: x.NotBefore.UTC(),
		NotAfter:  x.NotAfter.UTC(),
		Issuer:    x.Issuer.String(),
		Subject:   x.Subject.String(),
		DNS:       x.DNSNames,
		Emails:    x.EmailAddresses,
		IsCA:      x.IsCA,
		KeyType:   keyType(x),
		Signature: x.SignatureAlgorithm.String(),
	}
	sum := sha256.Sum256(x.Raw)
	c.SHA256 = hex.EncodeToString(sum[:])
	for _, u := range x.URIs {
		c.URIs = append(c.URIs, u.String())
		if u.Scheme == "spiffe" {
			c.TrustDomain = u.Host
		}
	}
	for _, ip := range x.IPAddresses {
		c.IPs = append(c.IPs, ip.String())
	}
	return c
}

func keyType(x *x509.Certificate) string {
	switch key := x.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA-%d", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA-" + key.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	default:
		return x.PublicKeyAlgorithm.String()
	}
}
