package secret_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/meshlark/meshlark/internal/viewtest"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/secret"
)

var day = time.Date(2026, 1, 10, 0, 0, 0, 0, time.UTC)

// make gives a certificate as PEM, good from one day to another, counted from day.
func makeCertificate(t testing.TB, serial int64, from, to int, change func(*x509.Certificate)) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: "c" + strconv.FormatInt(serial, 10)},
		NotBefore:    day.AddDate(0, 0, from),
		NotAfter:     day.AddDate(0, 0, to),
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func inline(text []byte) string {
	return `{"inline_bytes":"` + base64.StdEncoding.EncodeToString(text) + `"}`
}

func TestChain(t *testing.T) {
	leaf := makeCertificate(t, 0x10, -2, 20, func(c *x509.Certificate) {
		c.DNSNames = []string{"a.example.com"}
		c.URIs = []*url.URL{{Scheme: "spiffe", Host: "cluster.local", Path: "/ns/a/sa/b"}}
		c.IPAddresses = []net.IP{net.IPv4(10, 0, 0, 1)}
		c.EmailAddresses = []string{"a@example.com"}
	})
	intermediate := makeCertificate(t, 0x11, -1, 5, func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid = true, true
	})
	s := secret.New(rawjson.Value(`{"name":"default","tls_certificate":{"certificate_chain":` +
		inline(append(leaf, intermediate...)) + `,"private_key":{"inline_bytes":"W3JlZGFjdGVkXQ=="}}}`))
	if s.Name() != "default" || s.Kind() != secret.TLSCertificate || s.PrivateKey() != "redacted" {
		t.Errorf("name %q, kind %q, key %q", s.Name(), s.Kind(), s.PrivateKey())
	}
	chain := s.Certificates()
	if len(chain) != 2 {
		t.Fatalf("%d certificates, want 2: %+v", len(chain), chain)
	}
	c := chain[0]
	want := secret.Certificate{
		TrustDomain: "cluster.local", Serial: strings.Repeat("0", 30) + "10",
		NotBefore: day.AddDate(0, 0, -2), NotAfter: day.AddDate(0, 0, 20), Issuer: "CN=c16", Subject: "CN=c16",
		DNS: []string{"a.example.com"}, URIs: []string{"spiffe://cluster.local/ns/a/sa/b"}, IPs: []string{"10.0.0.1"},
		Emails: []string{"a@example.com"}, KeyType: "ECDSA-P-256", Signature: "ECDSA-SHA256", SHA256: c.SHA256,
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("leaf (-want +got):\n%s", diff)
	}
	if len(c.SHA256) != 64 {
		t.Errorf("fingerprint %q", c.SHA256)
	}
	if !chain[1].IsCA {
		t.Error("intermediate is no CA")
	}
	if got := chain.NotBefore(); !got.Equal(day.AddDate(0, 0, -1)) {
		t.Errorf("not before %v: the latest counts", got)
	}
	if got := chain.NotAfter(); !got.Equal(day.AddDate(0, 0, 5)) {
		t.Errorf("not after %v: the earliest counts", got)
	}
	if days, ok := chain.DaysLeft(day.Add(12 * time.Hour)); !ok || days != 4.5 {
		t.Errorf("days left %v %v, want 4.5", days, ok)
	}
	for offset, want := range map[int]bool{-3: false, 0: true, 10: false, 30: false} {
		if got := chain.Valid(day.AddDate(0, 0, offset).Add(time.Hour)); got != want {
			t.Errorf("valid after %d days: %v, want %v", offset, got, want)
		}
	}
	// istioctl sees only the leaf.
	row := s.Rows()[0]
	if !row.Valid(day.AddDate(0, 0, 10)) || row.Type != "Cert Chain" || row.NotAfter != "2026-01-30T00:00:00Z" {
		t.Errorf("row %+v", row)
	}
}

func TestSources(t *testing.T) {
	root := makeCertificate(t, 1, 0, 1, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true })
	block, _ := pem.Decode(root)
	for _, tc := range []struct {
		name, body   string
		want         []string // field, from, path
		certificates []string // serial's last two digits and trust domain, or the error
	}{
		{"nothing yet", `{"name":"a"}`, nil, nil},
		{"string", `{"validation_context":{"trusted_ca":{"inline_string":` + strconv.Quote(string(root)) + `}}}`, []string{"trusted_ca inline "}, []string{"01 "}},
		{"camel case", `{"validationContext":{"trustedCa":{"inlineBytes":"` + base64.StdEncoding.EncodeToString(root) + `"}}}`, []string{"trusted_ca inline "}, []string{"01 "}},
		{"file", `{"tls_certificate":{"certificate_chain":{"filename":"/etc/certs/a.pem"}}}`, []string{"certificate_chain file /etc/certs/a.pem"}, nil},
		{"environment", `{"tls_certificate":{"certificate_chain":{"environment_variable":"A"}}}`, []string{"certificate_chain environment A"}, nil},
		{"system", `{"validation_context":{"system_root_certs":{}}}`, []string{"system_root_certs system "}, nil},
		{
			"provider", `{"validation_context":{"ca_certificate_provider_instance":{"instance_name":"p"}}}`,
			[]string{"ca_certificate_provider_instance provider p"}, nil,
		},
		{"not base64", `{"validation_context":{"trusted_ca":{"inline_bytes":"%"}}}`, []string{"trusted_ca inline "}, []string{"inline_bytes is not base64: illegal base64 data at input byte 0"}},
		{"not PEM", `{"validation_context":{"trusted_ca":{"inline_string":"hello"}}}`, []string{"trusted_ca inline "}, []string{"no PEM block in the text"}},
		{"pkcs12", `{"tls_certificate":{"pkcs12":{"inline_bytes":"AA=="}}}`, []string{"pkcs12 inline "}, []string{"PKCS #12 bundle: certificates inside are not read"}},
		{
			"SPIFFE domains",
			`{"validation_context":{"custom_validator_config":{"name":"x","typed_config":{"@type":"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig",
			"trust_domains":[{"name":"one","trust_bundle":` + inline(root) + `},{"name":"two","trust_bundle":{"filename":"/two"}}]}}}}`,
			[]string{"trust_bundle inline ", "trust_bundle file /two"}, []string{"01 one"},
		},
		{
			"SPIFFE bundles",
			`{"validation_context":{"custom_validator_config":{"name":"x","typed_config":{"@type":"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig",
			"trust_bundles":{"inline_string":` + strconv.Quote(`{"trust_domains":{"one":{"keys":[{"x5c":["`+base64.StdEncoding.EncodeToString(block.Bytes)+`","%"]}]}}}`) + `}}}}}`,
			[]string{"trust_bundles inline "}, []string{"01 one", "x5c is not base64: illegal base64 data at input byte 0"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := secret.New(rawjson.Value(tc.body))
			var got, certificates []string
			for _, src := range s.Sources() {
				got = append(got, src.Field+" "+src.From+" "+src.Path)
			}
			for _, c := range s.Certificates() {
				if c.Err != "" {
					certificates = append(certificates, c.Err)
				} else {
					certificates = append(certificates, c.Serial[30:]+" "+c.TrustDomain)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("sources (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.certificates, certificates); diff != "" {
				t.Errorf("certificates (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParsePEM(t *testing.T) {
	good := makeCertificate(t, 1, 0, 1, nil)
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	broken := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("not DER")})
	damaged := bytes.Replace(good, []byte("M"), []byte("!"), 1)
	for _, tc := range []struct {
		name string
		text [][]byte
		want []string // start of Err of each
	}{
		{"empty", nil, nil},
		{"comments between", [][]byte{[]byte("# one\n"), good, []byte("# two\n"), good, []byte("# end\n")}, []string{"", ""}},
		{"key among them", [][]byte{good, key}, []string{"", "PEM block is a PRIVATE KEY, not a certificate"}},
		{"refused", [][]byte{broken, good}, []string{"x509: ", ""}},
		{"damaged", [][]byte{damaged, good}, []string{"PEM block that cannot be decoded", ""}},
		{"cut short", [][]byte{good, good[:len(good)-20]}, []string{"", "PEM block that is damaged or cut short"}},
	} {
		got := secret.ParsePEM(bytes.Join(tc.text, nil))
		if len(got) != len(tc.want) {
			t.Errorf("%s: %d certificates, want %d: %+v", tc.name, len(got), len(tc.want), got)
			continue
		}
		for i, c := range got {
			if !strings.HasPrefix(c.Err, tc.want[i]) || (c.Err == "") != (tc.want[i] == "") {
				t.Errorf("%s: error %d is %q, want %q", tc.name, i, c.Err, tc.want[i])
			}
		}
		if len(got) > 0 && got.Valid(day.Add(time.Hour)) != (strings.Join(tc.want, "") == "") {
			t.Errorf("%s: valid %v", tc.name, got.Valid(day.Add(time.Hour)))
		}
	}
}

func TestPrivateKey(t *testing.T) {
	for body, want := range map[string]string{
		`{}`: "",
		`{"tls_certificate":{"private_key":{"inline_bytes":"W3JlZGFjdGVkXQ=="}}}`: "redacted",
		`{"tls_certificate":{"private_key":{"inline_string":"[redacted]"}}}`:      "redacted",
		`{"tls_certificate":{"private_key":{"inline_string":"x"}}}`:               "inline",
		`{"tls_certificate":{"private_key":{}}}`:                                  "",
		`{"tls_certificate":{"private_key":{"filename":"/k"}}}`:                   "file /k",
		`{"tls_certificate":{"private_key_provider":{"provider_name":"hsm"}}}`:    "provider hsm",
	} {
		if got := secret.New(rawjson.Value(body)).PrivateKey(); got != want {
			t.Errorf("key of %s: %q, want %q", body, got, want)
		}
	}
}

// Every certificate of what a real Envoy had, where istioctl shows the first of each.
func TestEnvoy(t *testing.T) {
	got := map[string]int{}
	for _, r := range viewtest.Read(t, viewtest.EnvoyDump(root), viewtest.Secrets) {
		s := secret.New(r.Body)
		for _, c := range s.Certificates() {
			if c.Err != "" {
				t.Errorf("%s: %s", r.Name, c.Err)
			}
			got[r.Name+" "+s.Kind()]++
		}
	}
	want := map[string]int{
		"default tls_certificate": 2, "ROOTCA validation_context": 2, "kubernetes://gateway-credential tls_certificate": 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("certificates (-want +got):\n%s", diff)
	}
}

func TestInline(t *testing.T) {
	context := secret.NewTLSContext(rawjson.Value(`{"common_tls_context":{"tls_certificates":[{"certificate_chain":{"filename":"/a"}}],
		"combined_validation_context":{"default_validation_context":{"trusted_ca":{"filename":"/b"},
			"match_typed_subject_alt_names":[{"san_type":"URI","matcher":{"exact":"spiffe://x"}}]}},"tls_params":{"tls_minimum_protocol_version":"TLSv1_2"}}}`))
	var paths []string
	for _, s := range context.Inline() {
		for _, src := range s.Sources() {
			paths = append(paths, s.Kind()+" "+src.Path)
		}
	}
	if diff := cmp.Diff([]string{"tls_certificate /a", "validation_context /b"}, paths); diff != "" {
		t.Errorf("inline (-want +got):\n%s", diff)
	}
	if names := context.SubjectAltNames(); len(names) != 1 || names[0].Str("exact") != "spiffe://x" {
		t.Errorf("names %q", names)
	}
	if low, high := context.Versions(); low != "TLSv1_2" || high != "" {
		t.Errorf("versions %q %q", low, high)
	}
	if !context.HasCertificate() {
		t.Error("certificate not seen")
	}
}

func TestClientCertificate(t *testing.T) {
	const roots = `"trusted_ca":{"filename":"/roots"}`
	for _, tc := range []struct {
		what, context   string
		asked, required bool
	}{
		{"nothing to verify with", `{"common_tls_context":{}}`, false, false},
		{"it is required", `{"require_client_certificate":true}`, true, true},
		{"roots ask for one", `{"common_tls_context":{"validation_context":{` + roots + `}}}`, true, false},
		{"so do those of a secret", `{"common_tls_context":{"combined_validation_context":{"validation_context_sds_secret_config":{"name":"ROOTCA"}}}}`, true, false},
		{"names want one", `{"common_tls_context":{"validation_context":{` + roots + `,"match_typed_subject_alt_names":[{"san_type":"DNS","matcher":{"exact":"a"}}]}}}`, true, true},
		{"hashes too", `{"common_tls_context":{"combined_validation_context":{"default_validation_context":{"verify_certificate_spki":["x"]}}}}`, true, true},
		{"whoever trusts all only asks", `{"common_tls_context":{"validation_context":{"trust_chain_verification":"ACCEPT_UNTRUSTED","verify_certificate_hash":["x"]}}}`, true, false},
		{"unless it is required", `{"require_client_certificate":true,"common_tls_context":{"validation_context":{"trust_chain_verification":"ACCEPT_UNTRUSTED"}}}`, true, true},
		{"a validator of its own", `{"common_tls_context":{"validation_context":{"custom_validator_config":{"name":"envoy.tls.cert_validator.spiffe"}}}}`, true, true},
	} {
		asked, required := secret.NewTLSContext(rawjson.Value(tc.context)).ClientCertificate()
		if asked != tc.asked || required != tc.required {
			t.Errorf("%s: asked %t, required %t; want %t, %t", tc.what, asked, required, tc.asked, tc.required)
		}
	}
}
