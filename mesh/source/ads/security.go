package ads

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// Security says how a control plane and this client know each other, as istioctl's flags of these names do.
type Security struct {
	// CertDir is a folder with the client's cert-chain.pem and key.pem, and with the root-cert.pem of the control plane; what is not there is not
	// used. "" has none of them: the roots are those of this machine.
	CertDir string
	// Authority is the name that the control plane's certificate must be of, such as istiod.istio-system.svc; "" is the host of the address.
	Authority string
	// Insecure trusts any certificate.
	Insecure bool
}

// Config makes the TLS configuration.
func (s Security) Config(readFile func(string) ([]byte, error)) (*tls.Config, error) {
	config := &tls.Config{ServerName: s.Authority, InsecureSkipVerify: s.Insecure, MinVersion: tls.VersionTLS12}
	if s.CertDir == "" {
		return config, nil
	}
	path := func(name string) string { return filepath.Join(s.CertDir, name) }
	roots, rootErr := readFile(path("root-cert.pem"))
	chain, chainErr := readFile(path("cert-chain.pem"))
	if rootErr != nil && chainErr != nil {
		return nil, fmt.Errorf("certificates of %s: %w; it should have root-cert.pem, cert-chain.pem and key.pem", s.CertDir, rootErr)
	}
	if rootErr == nil {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(roots) {
			return nil, fmt.Errorf("%s holds no certificate", path("root-cert.pem"))
		}
	}
	if chainErr == nil {
		key, err := readFile(path("key.pem"))
		if err != nil {
			return nil, fmt.Errorf("key of the client's certificate: %w", err)
		}
		own, err := tls.X509KeyPair(chain, key)
		if err != nil {
			return nil, fmt.Errorf("certificate of the client in %s: %w", s.CertDir, err)
		}
		config.Certificates = []tls.Certificate{own}
	}
	return config, nil
}

// tokenFile reads a token anew for each connection: those of a pod are renewed.
func tokenFile(name string, readFile func(string) ([]byte, error)) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		b, err := readFile(name)
		if err != nil {
			return "", fmt.Errorf("token: %w", err)
		}
		token := strings.TrimSpace(string(b))
		if token == "" || strings.ContainsAny(token, " \r\n\x00") {
			return "", errors.New("token: " + name + " holds none")
		}
		return token, nil
	}
}
