package envoytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"time"
)

// certificates are what the scene's files are filled in with, in PEM. The keys
// are made anew each time and never leave the test.
type certificates struct {
	Workload  keyPair // for a SPIFFE id, signed by an intermediate: a chain of two
	Client    keyPair // for DNS names, signed by a root
	Expired   keyPair // its time has passed
	Roots     string  // two roots
	Token     string
	TicketKey string // the 80 bytes of a TLS session ticket key

	// private are texts of which Envoy must never show one.
	private []string
}

// keyPair is a certificate chain and its key.
type keyPair struct{ Chain, Key string }

// authority is a certificate that signs others.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newCertificates(now time.Time) (*certificates, error) {
	serial := int64(4096)
	issue := func(parent *authority, tmpl *x509.Certificate) (*authority, error) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		serial++
		tmpl.SerialNumber = big.NewInt(serial)
		if tmpl.NotBefore.IsZero() {
			tmpl.NotBefore = now.Add(-time.Hour)
			tmpl.NotAfter = now.Add(90 * 24 * time.Hour)
		}
		tmpl.BasicConstraintsValid = true
		signer := parent
		if signer == nil {
			signer = &authority{cert: tmpl, key: key}
		}
		der, err := x509.CreateCertificate(rand.Reader, tmpl, signer.cert, &key.PublicKey, signer.key)
		if err != nil {
			return nil, err
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		return &authority{cert, key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}, nil
	}
	ca := func(name string) *x509.Certificate {
		return &x509.Certificate{
			Subject:  pkix.Name{CommonName: name, Organization: []string{"meshlark tests"}},
			IsCA:     true,
			KeyUsage: x509.KeyUsageCertSign,
		}
	}
	c := &certificates{}
	pair := func(leaf *authority, above string) (keyPair, error) {
		der, err := x509.MarshalPKCS8PrivateKey(leaf.key)
		if err != nil {
			return keyPair{}, err
		}
		key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
		c.hide(key)
		for line := range strings.Lines(key) {
			if !strings.HasPrefix(line, "-----") {
				c.hide(strings.TrimSpace(line))
			}
		}
		return keyPair{Chain: leaf.pem + above, Key: key}, nil
	}
	fill := func() error {
		root, err := issue(nil, ca("meshlark test root"))
		if err != nil {
			return err
		}
		other, err := issue(nil, ca("meshlark other root"))
		if err != nil {
			return err
		}
		c.Roots = root.pem + other.pem
		intermediate, err := issue(root, ca("meshlark test intermediate"))
		if err != nil {
			return err
		}
		workload, err := issue(intermediate, &x509.Certificate{
			URIs:        []*url.URL{{Scheme: "spiffe", Host: "cluster.local", Path: "/ns/default/sa/bookinfo-productpage"}},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		})
		if err != nil {
			return err
		}
		if c.Workload, err = pair(workload, intermediate.pem); err != nil {
			return err
		}
		client, err := issue(root, &x509.Certificate{
			Subject:  pkix.Name{CommonName: "inline.example.com"},
			DNSNames: []string{"inline.example.com", "*.inline.example.com"},
		})
		if err != nil {
			return err
		}
		if c.Client, err = pair(client, ""); err != nil {
			return err
		}
		expired, err := issue(root, &x509.Certificate{
			Subject:   pkix.Name{CommonName: "bookinfo.example.com"},
			DNSNames:  []string{"bookinfo.example.com"},
			NotBefore: now.Add(-48 * time.Hour),
			NotAfter:  now.Add(-24 * time.Hour),
		})
		if err != nil {
			return err
		}
		if c.Expired, err = pair(expired, ""); err != nil {
			return err
		}
		c.TicketKey = rand.Text() + rand.Text() + rand.Text() + "!!" // 3 x 26 letters and digits
		c.Token = "Bearer " + rand.Text()
		c.hide(c.TicketKey)
		c.hide(c.Token)
		return nil
	}
	if err := fill(); err != nil {
		return nil, fmt.Errorf("make the scene's certificates: %w", err)
	}
	return c, nil
}

// hide notes a private text and the base64 in which JSON would carry it.
func (c *certificates) hide(text string) {
	c.private = append(c.private, text, base64.StdEncoding.EncodeToString([]byte(text)))
}
