// Package authority is the demo's certificate authority: a root and the workload certificates that a mesh would have, made anew in each run.
// Names, serial numbers and ages are the same every time; keys are not, and no private key leaves the package.
package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
)

const day = 24 * time.Hour

// An Authority issues certificates. It is not safe for concurrent use.
type Authority struct {
	now    time.Time
	serial int64
	root   *x509.Certificate
	key    *ecdsa.PrivateKey
	pem    []byte
}

// New makes an authority whose root is a year old at the given time and lasts ten.
func New(now time.Time) (*Authority, error) {
	a := &Authority{now: now}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the key of the demo's root: %w", err)
	}
	root := &x509.Certificate{
		SerialNumber:          a.next(),
		Subject:               pkix.Name{Organization: []string{"cluster.local"}},
		NotBefore:             now.Add(-365 * day),
		NotAfter:              now.Add(9 * 365 * day),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, root, root, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make the demo's root: %w", err)
	}
	if a.root, err = x509.ParseCertificate(der); err != nil {
		return nil, fmt.Errorf("read the demo's root: %w", err)
	}
	a.key, a.pem = key, encode(der)
	return a, nil
}

// Root is the secret with the roots that a workload trusts.
func (a *Authority) Root() *tlsv3.Secret {
	return &tlsv3.Secret{Name: "ROOTCA", Type: &tlsv3.Secret_ValidationContext{
		ValidationContext: &tlsv3.CertificateValidationContext{TrustedCa: bytesOf(a.pem)},
	}}
}

// Issue makes the secret with a workload's certificate. The name is a SPIFFE identity; age and left say how long the certificate has been
// valid and how long it still is, which is negative for one that has expired. Where the private key was, the secret says what Envoy prints there.
func (a *Authority) Issue(identity string, age, left time.Duration) (*tlsv3.Secret, error) {
	name, err := url.Parse(identity)
	if err != nil {
		return nil, fmt.Errorf("issue a certificate: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("issue a certificate for %s: %w", identity, err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: a.next(),
		URIs:         []*url.URL{name},
		NotBefore:    a.now.Add(-age),
		NotAfter:     a.now.Add(left),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.root, &key.PublicKey, a.key)
	if err != nil {
		return nil, fmt.Errorf("issue a certificate for %s: %w", identity, err)
	}
	return &tlsv3.Secret{Name: "default", Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
		CertificateChain: bytesOf(append(encode(der), a.pem...)),
		PrivateKey:       bytesOf([]byte("[redacted]")),
	}}}, nil
}

// next counts serial numbers, as long as real ones are.
func (a *Authority) next() *big.Int {
	a.serial++
	base, _ := new(big.Int).SetString("7a1f0c5e9d3b48a6b2e4f60718293a00", 16)
	return base.Add(base, big.NewInt(a.serial))
}

func encode(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func bytesOf(b []byte) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: b}}
}
