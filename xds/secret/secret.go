// Package secret reads what SDS delivers: certificates, trusted roots, session ticket keys and generic secrets, and the TLS
// contexts that name them.
//
// Every certificate of a chain and every root of a bundle is read, not only the first. Nothing is verified against
// anything: the package says what is there and for how long it is good. Private keys are not looked at, only whether
// there is one.
package secret

import (
	"encoding/base64"
	"time"

	"github.com/meshlark/meshlark/xds/extension"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// A Secret is one envoy.extensions.transport_sockets.tls.v3.Secret.
type Secret struct{ body rawjson.Value }

// New views v as a Secret.
func New(v rawjson.Value) Secret { return Secret{v} }

// Body is the JSON the view reads.
func (s Secret) Body() rawjson.Value { return s.body }

// Name is what listeners and clusters ask for it by.
func (s Secret) Name() string { return s.body.Str("name") }

// The kinds of secret.
const (
	TLSCertificate    = "tls_certificate"
	ValidationContext = "validation_context"
	SessionTicketKeys = "session_ticket_keys"
	GenericSecret     = "generic_secret"
)

// Kind is one of the four kinds, or "" for a secret that has been asked for and has not arrived: it is warming, and so is
// whatever needs it.
func (s Secret) Kind() string {
	for _, kind := range [...]string{TLSCertificate, ValidationContext, SessionTicketKeys, GenericSecret} {
		if s.body.Get(kind).Exists() {
			return kind
		}
	}
	return ""
}

// A Source is one place of a secret that holds certificates, or says where they are.
type Source struct {
	Field       string // certificate_chain, pkcs12, trusted_ca, trust_bundle, trust_bundles, system_root_certs, ca_certificate_provider_instance
	TrustDomain string // of a SPIFFE trust bundle
	// From is inline when the certificates are in the configuration, else where the proxy finds them: file, environment,
	// system, or provider (a certificate provider plugin). Only inline ones can be read here.
	From string
	// Path is the file, the environment variable or the provider's instance name.
	Path string
	// Text is the inline text: PEM; for pkcs12 the binary bundle, for trust_bundles a JSON document of the SPIFFE bundles of
	// several trust domains.
	Text []byte
	// Err says why inline data could not be decoded.
	Err string
}

// Sources are the places of the secret that hold certificates.
func (s Secret) Sources() []Source {
	var out []Source
	add := func(field, trustDomain string, v rawjson.Value) {
		if v.Exists() {
			out = append(out, dataSource(field, trustDomain, v))
		}
	}
	certificate := s.body.Get(TLSCertificate)
	add("certificate_chain", "", certificate.Get("certificate_chain"))
	add("pkcs12", "", certificate.Get("pkcs12"))

	context := s.body.Get(ValidationContext)
	add("trusted_ca", "", context.Get("trusted_ca"))
	if context.Get("system_root_certs").Exists() {
		out = append(out, Source{Field: "system_root_certs", From: "system"})
	}
	if p := context.Get("ca_certificate_provider_instance"); p.Exists() {
		out = append(out, Source{Field: "ca_certificate_provider_instance", From: "provider", Path: p.Str("instance_name")})
	}
	if custom := extension.New(context.Get("custom_validator_config")); custom.Is("SPIFFECertValidatorConfig") {
		// Envoy ignores trust_domains when both are there.
		if bundles := custom.Value.Get("trust_bundles"); bundles.Exists() {
			add("trust_bundles", "", bundles)
			return out
		}
		for domain := range custom.Value.Get("trust_domains").Elems() {
			add("trust_bundle", domain.Str("name"), domain.Get("trust_bundle"))
		}
	}
	return out
}

// dataSource reads an envoy.config.core.v3.DataSource.
func dataSource(field, trustDomain string, v rawjson.Value) Source {
	s := Source{Field: field, TrustDomain: trustDomain, From: "inline"}
	switch {
	case v.Get("filename").Exists():
		s.From, s.Path = "file", v.Str("filename")
	case v.Get("environment_variable").Exists():
		s.From, s.Path = "environment", v.Str("environment_variable")
	case v.Get("inline_string").Exists():
		s.Text = []byte(v.Str("inline_string"))
	default:
		var err error
		if s.Text, err = decodeBase64(v.Str("inline_bytes")); err != nil {
			s.Err = "inline_bytes is not base64: " + err.Error()
		}
	}
	return s
}

// decodeBase64 takes what protobuf's JSON takes: the standard and the URL alphabet, padded or not.
func decodeBase64(text string) ([]byte, error) {
	enc := base64.StdEncoding
	for i := range len(text) {
		if text[i] == '-' || text[i] == '_' {
			enc = base64.URLEncoding
			break
		}
	}
	if len(text)%4 != 0 {
		enc = enc.WithPadding(base64.NoPadding)
	}
	return enc.DecodeString(text)
}

// Certificates are all certificates that are in the secret itself, in order of [Secret.Sources]. They are parsed anew by each
// call.
func (s Secret) Certificates() Certificates {
	var out Certificates
	for _, src := range s.Sources() {
		out = append(out, src.Certificates()...)
	}
	return out
}

// Certificates are those the source holds; a source that is elsewhere has none.
func (s Source) Certificates() Certificates {
	switch {
	case s.Err != "":
		return Certificates{{Err: s.Err, TrustDomain: s.TrustDomain}}
	case s.Field == "pkcs12" && s.From == "inline":
		return Certificates{{Err: "PKCS #12 bundle: certificates inside are not read"}}
	case s.Field == "trust_bundles":
		return parseBundles(s.Text)
	}
	certificates := ParsePEM(s.Text)
	if s.TrustDomain != "" {
		for i := range certificates {
			certificates[i].TrustDomain = s.TrustDomain
		}
	}
	return certificates
}

// PrivateKey says where the private key is: "" when there is none, "redacted" when it was taken out of the configuration, "inline"
// when it is in it, "file PATH", "environment NAME" or "provider NAME".
func (s Secret) PrivateKey() string {
	certificate := s.body.Get(TLSCertificate)
	if p := certificate.Get("private_key_provider"); p.Exists() {
		return "provider " + p.Str("provider_name")
	}
	v := certificate.Get("private_key")
	if !v.Exists() {
		return ""
	}
	switch src := dataSource("private_key", "", v); src.From {
	case "inline":
		// What Envoy and istiod put in the place of private material; bytes are base64 of the same text.
		if string(src.Text) == "[redacted]" || v.Str("inline_bytes") == "[redacted]" {
			return "redacted"
		}
		if len(src.Text) == 0 && src.Err == "" {
			return ""
		}
		return "inline"
	default:
		return src.From + " " + src.Path
	}
}

// A Row is what istioctl prints of a secret: only of the first certificate. Unlike istioctl it knows certificates that are given
// as a string.
type Row struct {
	Type        string // Cert Chain, CA, or "" when no certificate can be read
	Serial      string
	NotAfter    string // RFC 3339
	NotBefore   string
	TrustDomain string
	certificate Certificate
}

// Valid is istioctl's VALID CERT: whether now is within the life of that one certificate.
func (r Row) Valid(now time.Time) bool { return r.Serial != "" && r.certificate.Valid(now) }

// Rows are istioctl's rows of the secret: one, or one for each trust domain of a SPIFFE bundle.
func (s Secret) Rows() []Row {
	var bundles []Row
	for _, src := range s.Sources() {
		switch src.Field {
		case "certificate_chain", "trusted_ca":
			if len(src.Text) > 0 {
				return []Row{newRow(src)}
			}
		case "trust_bundle":
			bundles = append(bundles, newRow(src))
		}
	}
	if len(bundles) > 0 {
		return bundles
	}
	return []Row{{}}
}

func newRow(src Source) Row {
	certificates := src.Certificates()
	if len(certificates) == 0 || certificates[0].Err != "" {
		return Row{}
	}
	c := certificates[0]
	r := Row{
		Type:        "Cert Chain",
		Serial:      c.Serial,
		NotAfter:    c.NotAfter.Format(time.RFC3339),
		NotBefore:   c.NotBefore.Format(time.RFC3339),
		TrustDomain: c.TrustDomain,
		certificate: c,
	}
	if c.IsCA {
		r.Type = "CA"
	}
	return r
}
