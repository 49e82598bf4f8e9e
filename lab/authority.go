package lab

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"time"
)

// An authority signs the certificates of one lab.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority() (*authority, error) {
	tmpl := &x509.Certificate{
		Subject:  pkix.Name{CommonName: "meshlark lab", Organization: []string{"cluster.local"}},
		IsCA:     true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	a := &authority{cert: tmpl}
	chain, _, key, err := a.issue(tmpl)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(chain)
	if a.cert, err = x509.ParseCertificate(block.Bytes); err != nil {
		return nil, fmt.Errorf("make the lab's authority: %w", err)
	}
	a.key, a.pem = key, chain
	return a, nil
}

// server issues a certificate for a server at an IP address.
func (a *authority) server(address string) (chain, key []byte, err error) {
	chain, key, _, err = a.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: address},
		IPAddresses: []net.IP{net.ParseIP(address)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	return chain, key, err
}

// host issues a certificate for a host name.
func (a *authority) host(name string) (chain, key []byte, err error) {
	chain, key, _, err = a.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		DNSNames:    []string{name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	return chain, key, err
}

// workload issues a certificate for the identity of a service account, as pilot-agent gets one for its Envoy.
func (a *authority) workload(namespace, account string) (chain, key []byte, err error) {
	chain, key, _, err = a.issue(&x509.Certificate{
		URIs:        []*url.URL{{Scheme: "spiffe", Host: "cluster.local", Path: "/ns/" + namespace + "/sa/" + account}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	return chain, key, err
}

// issue signs a certificate; the authority that has no key yet signs its own. Both results are in PEM.
func (a *authority) issue(tmpl *x509.Certificate) (chain, keyPEM []byte, key *ecdsa.PrivateKey, err error) {
	fail := func(err error) ([]byte, []byte, *ecdsa.PrivateKey, error) {
		return nil, nil, nil, fmt.Errorf("make a certificate of the lab: %w", err)
	}
	if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return fail(err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return fail(err)
	}
	tmpl.SerialNumber = serial
	tmpl.NotBefore = time.Now().Add(-time.Hour)
	tmpl.NotAfter = time.Now().Add(24 * time.Hour)
	tmpl.BasicConstraintsValid = true
	signer := a.key
	if signer == nil {
		signer = key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, signer)
	if err != nil {
		return fail(err)
	}
	private, err := x509.MarshalECPrivateKey(key) // the only form that the API server takes as the key of accounts
	if err != nil {
		return fail(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}), key, nil
}
