package jwt

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rsa"
	_ "crypto/sha256" // for crypto.SHA256
	_ "crypto/sha512" // for crypto.SHA384 and crypto.SHA512
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
)

// Keys are a set of public keys (JWKS).
type Keys struct{ keys []key }

type key struct {
	kty, kid, alg string
	rsa           *rsa.PublicKey
	ec            *ecdsa.PublicKey
	ed            ed25519.PublicKey
	oct           []byte
	hidden        bool // the key was taken out of the text, so that nothing can be verified with it
}

// hidden is what stands in a recorded configuration in place of private material.
const hidden = "[redacted]"

// ErrNoKeys says that a set has no key that can be used.
var ErrNoKeys = errors.New("the set has no key that can be used")

// ParseKeys reads a JWKS. Keys that are not valid are left out, as Envoy leaves them out.
func ParseKeys(text []byte) (Keys, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return Keys{}, fmt.Errorf("read JSON Web Keys: %w", err)
	}
	var out Keys
	if set.Keys == nil {
		out.certificates(text)
	}
	for _, raw := range set.Keys {
		var fields map[string]any
		if json.Unmarshal(raw, &fields) != nil || fields == nil {
			continue
		}
		if k, ok := newKey(fields); ok {
			out.keys = append(out.keys, k)
		}
	}
	if len(out.keys) == 0 {
		return Keys{}, fmt.Errorf("read JSON Web Keys: %w", ErrNoKeys)
	}
	return out, nil
}

// certificates reads the other form of a set: certificates in PEM by key id, all of which have to hold an RSA key.
func (k *Keys) certificates(text []byte) {
	var byID map[string]string
	if json.Unmarshal(text, &byID) != nil {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		block, _ := pem.Decode([]byte(byID[id]))
		if block == nil {
			return
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return
		}
		public, isRSA := cert.PublicKey.(*rsa.PublicKey)
		if !isRSA {
			return
		}
		k.keys = append(k.keys, key{kty: "RSA", kid: id, rsa: public})
	}
}

func newKey(fields map[string]any) (k key, ok bool) {
	k.kty, ok = fields["kty"].(string)
	k.kid, _ = fields["kid"].(string)
	k.alg, _ = fields["alg"].(string)
	if !ok {
		return k, false
	}
	read := func(name string) []byte {
		text, _ := fields[name].(string)
		b, err := unbase64(text)
		if err != nil {
			return nil
		}
		return b
	}
	starts := func(prefixes ...string) bool {
		ok := k.alg == ""
		for _, p := range prefixes {
			ok = ok || len(k.alg) >= 2 && k.alg[:2] == p
		}
		return ok
	}
	switch k.kty {
	case "RSA":
		n, e := new(big.Int).SetBytes(read("n")), new(big.Int).SetBytes(read("e"))
		if !starts("RS", "PS") || n.BitLen() < 512 || e.Cmp(big.NewInt(3)) != 0 && e.Cmp(big.NewInt(65537)) != 0 {
			return k, false
		}
		k.rsa = &rsa.PublicKey{N: n, E: int(e.Int64())}
		return k, true
	case "EC":
		return k, starts("ES") && k.curve(fields, read("x"), read("y"))
	case "oct":
		text, _ := fields["k"].(string)
		k.hidden, k.oct = text == hidden, read("k")
		return k, starts("HS") && (k.hidden || len(k.oct) > 0)
	case "OKP":
		k.ed = read("x")
		return k, (k.alg == "" || k.alg == "EdDSA") && fields["crv"] == "Ed25519" && len(k.ed) == ed25519.PublicKeySize
	}
	return k, false
}

// curve reads the point of an EC key. Its curve follows from crv or alg, which have to agree.
func (k *key) curve(fields map[string]any, x, y []byte) bool {
	crv, isText := fields["crv"].(string)
	if _, there := fields["crv"]; there && !isText {
		return false
	}
	byAlg := map[string]string{"": "", "ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
	want, known := byAlg[k.alg]
	switch {
	case !known || crv != "" && want != "" && crv != want:
		return false
	case crv == "":
		crv = want
	}
	var curve elliptic.Curve
	switch crv {
	case "", "P-256":
		curve = elliptic.P256()
	case "P-384":
		curve = elliptic.P384()
	case "P-521":
		curve = elliptic.P521()
	default:
		return false
	}
	size := (curve.Params().BitSize + 7) / 8
	if len(x) > size || len(y) > size {
		return false
	}
	point := append([]byte{4}, make([]byte, 2*size)...)
	copy(point[1+size-len(x):], x)
	copy(point[1+2*size-len(y):], y)
	var err error
	k.ec, err = ecdsa.ParseUncompressedPublicKey(curve, point)
	return err == nil
}

// Verify checks the signature of a token; known is false when the key that would decide is not in the configuration any more.
func (k Keys) Verify(t *Token) (status Status, known bool) {
	status = NoSuchKey
	for _, key := range k.keys {
		if t.KeyID != "" && key.kid != "" && key.kid != t.KeyID || key.alg != "" && key.alg != t.Algorithm {
			continue
		}
		if key.hidden {
			return OK, false
		}
		status = NotVerified
		if key.ed != nil && len(t.signature) != ed25519.SignatureSize {
			return Ed25519Length, true
		}
		if key.verifies(t) {
			return OK, true
		}
	}
	return status, true
}

func (k *key) verifies(t *Token) bool {
	if k.ed != nil {
		return ed25519.Verify(k.ed, []byte(t.signed), t.signature)
	}
	// What the token says of the algorithm decides about the hash only where it fits the key.
	family := map[string]string{"RSA": "RS PS", "EC": "ES", "oct": "HS"}[k.kty]
	hash := crypto.SHA256
	if kind, bits := t.Algorithm[:2], t.Algorithm[2:]; strings.Contains(family, kind) {
		switch bits {
		case "384":
			hash = crypto.SHA384
		case "512":
			hash = crypto.SHA512
		}
	}
	h := hash.New()
	h.Write([]byte(t.signed))
	sum := h.Sum(nil)
	switch {
	case k.rsa != nil && t.Algorithm[:2] == "RS":
		return rsa.VerifyPKCS1v15(k.rsa, hash, sum, t.signature) == nil
	case k.rsa != nil && t.Algorithm[:2] == "PS":
		return rsa.VerifyPSS(k.rsa, hash, sum, t.signature, nil) == nil
	case k.ec != nil:
		half := len(t.signature) / 2
		r, s := new(big.Int).SetBytes(t.signature[:half]), new(big.Int).SetBytes(t.signature[half:])
		return ecdsa.Verify(k.ec, sum, r, s)
	case k.oct != nil:
		mac := hmac.New(hash.New, k.oct)
		mac.Write([]byte(t.signed))
		return bytes.Equal(mac.Sum(nil), t.signature)
	}
	return false
}
