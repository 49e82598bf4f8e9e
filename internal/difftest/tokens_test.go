package difftest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"
	"time"
)

// A keyring is keys that tokens are signed with, one of each kind, and one that nobody knows.
type keyring struct {
	keys []signer
}

// A signer signs tokens; jwk is its public key.
type signer struct {
	alg, kid string
	jwk      dict
	sign     func(text []byte) []byte
}

func newKeyring(t testing.TB) *keyring {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("make keys for tokens: %v", err)
		}
	}
	b64 := base64.RawURLEncoding.EncodeToString
	ring := &keyring{}
	for _, kid := range []string{"rsa", "stranger"} {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		must(err)
		ring.keys = append(ring.keys, signer{"RS256", kid, dict{"kty": "RSA", "kid": kid, "alg": "RS256", "n": b64(key.N.Bytes()), "e": "AQAB"}, func(text []byte) []byte {
			sum := sha256.Sum256(text)
			signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
			must(err)
			return signature
		}})
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	point, err := ec.PublicKey.Bytes()
	must(err)
	ring.keys = append(ring.keys, signer{"ES256", "ec", dict{"kty": "EC", "kid": "ec", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])}, func(text []byte) []byte {
		sum := sha256.Sum256(text)
		r, s, err := ecdsa.Sign(rand.Reader, ec, sum[:])
		must(err)
		return append(padded(r), padded(s)...)
	}})
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(err)
	ring.keys = append(ring.keys, signer{"EdDSA", "ed", dict{"kty": "OKP", "kid": "ed", "crv": "Ed25519", "x": b64(public)}, func(text []byte) []byte {
		return ed25519.Sign(private, text)
	}})
	secret := []byte("a secret of thirty-two characters")
	ring.keys = append(ring.keys, signer{"HS256", "oct", dict{"kty": "oct", "kid": "oct", "k": b64(secret)}, func(text []byte) []byte {
		mac := hmac.New(sha256.New, secret)
		mac.Write(text)
		return mac.Sum(nil)
	}})
	return ring
}

func padded(n *big.Int) []byte { return n.FillBytes(make([]byte, 32)) }

// set is a JWKS of some of the keys, never the stranger's, and of one that Envoy leaves out.
func (k *keyring) set(p picker) string {
	list := []any{k.keys[0].jwk, dict{"kty": "EC", "kid": "rsa", "crv": "P-1"}}
	if p.chance(.2) {
		list[0] = k.keys[2].jwk
	}
	for _, s := range k.keys {
		if s.kid != "stranger" && p.chance(.8) {
			list = append(list, s.jwk)
		}
	}
	return string(text(dict{"keys": list}))
}

// token is a token, mostly a good one of an issuer.
func (k *keyring) token(p picker, issuer string) string {
	key := one(p, k.keys...)
	for key.kid == "stranger" && p.chance(.7) {
		key = one(p, k.keys...)
	}
	header := dict{"alg": key.alg, "kid": key.kid, "typ": "JWT"}
	now := time.Now().Unix()
	payload := dict{"iss": issuer, "sub": one(p, "alice", "bob"), "exp": now + 3600, "scope": one(p, "read write", "read", " "), "nested": dict{"n": 7, "list": []any{"x"}}, "admin": p.chance(.5)}
	if p.chance(.7) {
		payload["aud"] = one[any](p, "aud-1", "https://aud-2/", []any{"aud-3", "aud-1"}, "http://aud-1")
	}
	switch p.IntN(30) {
	case 0:
		payload["exp"] = now - 1000
	case 1:
		payload["exp"] = now - 30
	case 2:
		payload["nbf"] = now + 1000
	case 3:
		delete(payload, "exp")
	case 4:
		payload["iss"] = one(p, "iss-1", "iss-2", "nobody")
	case 5:
		delete(payload, "iss")
	case 6:
		delete(header, "kid")
	case 7:
		header["kid"] = "unknown"
	case 8:
		header["kid"] = 5
	case 9:
		header["alg"] = one[any](p, "none", "RS512", 5)
	case 10:
		payload[one(p, "iss", "sub", "jti", "aud", "exp", "nbf", "iat")] = one[any](p, 7, true, "text", []any{1}, -5, 1e30)
	case 11:
		payload["exp"] = now + 30
	}
	b64 := base64.RawURLEncoding.EncodeToString
	signed := b64(text(header)) + "." + b64(text(payload))
	token := signed + "." + b64(key.sign([]byte(signed)))
	switch p.IntN(30) {
	case 0:
		return one(p, "garbage", "a.b.c", "..", token+".x", "e30."+token[strings.IndexByte(token, '.')+1:])
	case 1:
		return token[:len(token)-4] // a signature cut short
	case 2:
		return strings.Replace(token, ".", ".%", 1)
	}
	return token
}
