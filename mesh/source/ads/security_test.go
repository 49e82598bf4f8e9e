package ads_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	"github.com/meshlark/meshlark/mesh/source/ads"
)

// issued is a certificate with its key, in PEM.
type issued struct {
	cert      *x509.Certificate
	key       *ecdsa.PrivateKey
	chain, pk []byte
}

// issue makes a certificate for a name, signed by an authority; nil makes one.
func issue(t *testing.T, name string, by *issued) *issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: by == nil, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pk, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return &issued{cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: pk})}
}

// tokens notes the tokens that it is sent.
type tokens struct {
	istiod
	seen []string
}

func (s *tokens) StreamAggregatedResources(stream discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	md, _ := metadata.FromIncomingContext(stream.Context())
	s.seen = append(s.seen, strings.Join(md.Get("authorization"), ","))
	return s.istiod.StreamAggregatedResources(stream)
}

// As istioctl's flags of these names.
func TestSecurity(t *testing.T) {
	root := issue(t, "root", nil)
	server, client := issue(t, "istiod.istio-system.svc", root), issue(t, "client", root)
	pair, err := tls.X509KeyPair(server.chain, server.pk)
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AddCert(root.cert)
	both := &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients}
	strict := serve(t, &istiod{t: t}, grpc.Creds(credentials.NewTLS(both)))
	byToken := &tokens{istiod: istiod{t: t}}
	open1 := serve(t, byToken, grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{pair}})))

	good, rootOnly, keyless, junk := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	write(t, good, "root-cert.pem", root.chain)
	write(t, good, "cert-chain.pem", client.chain)
	write(t, good, "key.pem", client.pk)
	write(t, rootOnly, "root-cert.pem", root.chain)
	write(t, keyless, "cert-chain.pem", client.chain)
	write(t, junk, "root-cert.pem", []byte("junk"))
	write(t, junk, "token", []byte(" abc.def\n"))
	write(t, junk, "empty", []byte("\n"))
	name := "istiod.istio-system.svc"
	for _, test := range []struct {
		name, spec string
		s          ads.Security
		want       string
	}{
		{"all there", "xds+tls://" + strict, ads.Security{CertDir: good, Authority: name}, ""},
		{"anybody", "xds+tls://" + open1, ads.Security{Insecure: true}, ""},
		{"root alone", "xds+tls://" + open1, ads.Security{CertDir: rootOnly, Authority: name}, ""},
		{"no certificate of the client", "xds+tls://" + strict, ads.Security{CertDir: rootOnly, Authority: name}, "want a certificate of the client"},
		{"another name", "xds+tls://" + open1, ads.Security{CertDir: rootOnly, Authority: "other.svc"}, "not other.svc"},
		{"another root", "xds+tls://" + open1, ads.Security{Authority: name}, "--cert-dir"},
		{"no key", "xds+tls://" + open1, ads.Security{CertDir: keyless, Authority: name}, "key of the client's certificate"},
		{"no folder", "xds+tls://" + open1, ads.Security{CertDir: "/nosuch"}, "it should have root-cert.pem, cert-chain.pem and key.pem"},
		{"no root", "xds+tls://" + open1, ads.Security{CertDir: junk}, "holds no certificate"},
		{"token", "xds+tls://" + open1 + "?token=" + junk + "/token", ads.Security{Insecure: true}, ""},
		{"no token", "xds+tls://" + open1 + "?token=" + junk + "/empty", ads.Security{Insecure: true}, "get a token at 127.0.0.1"},
		{"no token file", "xds+tls://" + open1 + "?token=/nosuch", ads.Security{Insecure: true}, "token: open /nosuch"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := open(t, test.spec, ads.Options{Security: test.s}).Proxies(context.Background())
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
	if got := strings.Join(byToken.seen, " | "); got != " |  | Bearer abc.def" {
		t.Errorf("tokens %q", got)
	}
}
