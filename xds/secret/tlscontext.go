package secret

import (
	"slices"

	"github.com/meshlark/meshlark/xds/extension"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// A TLSContext is how TLS is done on one side of a connection: the UpstreamTlsContext of a cluster or the DownstreamTlsContext of
// a filter chain.
type TLSContext struct{ body rawjson.Value }

// NewTLSContext views v as an UpstreamTlsContext or a DownstreamTlsContext.
func NewTLSContext(v rawjson.Value) TLSContext { return TLSContext{v} }

// Socket finds the TLS context of a transport socket, and looks into sockets that wrap another one (PROXY protocol, tap, internal
// upstream, QUIC). outer is the type of the socket itself without its package, inner that of the innermost: UpstreamTlsContext,
// DownstreamTlsContext, RawBuffer, Alts... Both are the socket's name when its type is not said.
func Socket(v rawjson.Value) (context TLSContext, outer, inner string, ok bool) {
	for depth := 0; depth < 8; depth++ {
		socket := extension.New(v)
		if inner = socket.ShortType(); inner == "" {
			inner = socket.Name
		}
		if depth == 0 {
			outer = inner
		}
		switch inner {
		case "UpstreamTlsContext", "DownstreamTlsContext":
			return TLSContext{socket.Value}, outer, inner, true
		case "QuicUpstreamTransport":
			return TLSContext{socket.Value.Get("upstream_tls_context")}, outer, inner, true
		case "QuicDownstreamTransport":
			return TLSContext{socket.Value.Get("downstream_tls_context")}, outer, inner, true
		}
		if v = socket.Value.Get("transport_socket"); !v.Exists() {
			break
		}
	}
	return TLSContext{}, outer, inner, false
}

// Body is the JSON the view reads.
func (t TLSContext) Body() rawjson.Value { return t.body }

func (t TLSContext) common(path ...string) rawjson.Value {
	return t.body.Get("common_tls_context").Get(path...)
}

// Certificates are the names of the secrets that hold this side's certificates.
func (t TLSContext) Certificates() []string {
	return names(t.common("tls_certificate_sds_secret_configs"))
}

// Validation are the names of the secrets the other side is verified with.
func (t TLSContext) Validation() []string {
	var out []string
	for _, name := range [...]string{
		t.common("validation_context_sds_secret_config").Str("name"),
		t.common("combined_validation_context", "validation_context_sds_secret_config").Str("name"),
	} {
		if name != "" {
			out = append(out, name)
		}
	}
	return out
}

// Secrets are the names of all secrets the context needs, each once: certificates, validation, session tickets.
func (t TLSContext) Secrets() []string {
	out := append(t.Certificates(), t.Validation()...)
	if name := t.body.Str("session_ticket_keys_sds_secret_config", "name"); name != "" {
		out = append(out, name)
	}
	return unique(out)
}

// HasCertificate reports whether this side presents a certificate, from wherever it comes.
func (t TLSContext) HasCertificate() bool {
	for _, field := range [...]string{
		"tls_certificates", "tls_certificate_sds_secret_configs",
	} {
		if t.common(field).Len() > 0 {
			return true
		}
	}
	for _, field := range [...]string{
		"tls_certificate_provider_instance", "custom_tls_certificate_selector",
		"tls_certificate_certificate_provider", "tls_certificate_certificate_provider_instance",
	} {
		if t.common(field).Exists() {
			return true
		}
	}
	return false
}

// Inline are the certificates and roots written into the context itself, as secrets without a name.
func (t TLSContext) Inline() []Secret {
	var out []Secret
	add := func(kind string, v rawjson.Value) {
		if v.Exists() && v.Len() > 0 {
			out = append(out, Secret{slices.Concat(rawjson.Value(`{"`+kind+`":`), v, rawjson.Value("}"))})
		}
	}
	for v := range t.common("tls_certificates").Elems() {
		add(TLSCertificate, v)
	}
	add(ValidationContext, t.common("validation_context"))
	add(ValidationContext, t.common("combined_validation_context", "default_validation_context"))
	add(SessionTicketKeys, t.body.Get("session_ticket_keys"))
	return out
}

// validations are what is written into the context itself about how the other side is verified.
func (t TLSContext) validations() [2]rawjson.Value {
	return [...]rawjson.Value{t.common("validation_context"), t.common("combined_validation_context", "default_validation_context")}
}

// SubjectAltNames are the matchers for the other side's names, one of which has to hold; empty when any name will do.
func (t TLSContext) SubjectAltNames() []rawjson.Value {
	var out []rawjson.Value
	for _, context := range t.validations() {
		for v := range context.Get("match_typed_subject_alt_names").Elems() {
			out = append(out, v.Get("matcher"))
		}
		for v := range context.Get("match_subject_alt_names").Elems() {
			out = append(out, v)
		}
	}
	return out
}

// ALPN are the protocols offered or accepted, preferred first.
func (t TLSContext) ALPN() []string {
	var out []string
	for v := range t.common("alpn_protocols").Elems() {
		out = append(out, v.Text())
	}
	return out
}

// SNI is the server name a cluster asks for; "" when none is sent, or the one of the request (auto_host_sni).
func (t TLSContext) SNI() string { return t.body.Str("sni") }

// RequireClientCertificate reports whether a filter chain refuses clients without a certificate: mutual TLS.
func (t TLSContext) RequireClientCertificate() bool {
	return t.body.Get("require_client_certificate").IsTrue()
}

// ClientCertificate reports whether a filter chain asks clients for a certificate, which they present to nobody else, and whether it refuses those that
// have none. Whoever verifies names or hashes refuses them, whatever require_client_certificate says, unless certificates need not be trusted.
func (t TLSContext) ClientCertificate() (asked, required bool) {
	asked = len(t.Validation()) > 0
	for _, context := range t.validations() {
		trusting := false
		switch context.Str("trust_chain_verification") {
		case "ACCEPT_UNTRUSTED", "1":
			asked, trusting = true, true
		}
		for _, field := range [...]string{"trusted_ca", "ca_certificate_provider_instance", "system_root_certs"} {
			asked = asked || context.Get(field).Exists()
		}
		for _, field := range [...]string{"match_typed_subject_alt_names", "match_subject_alt_names", "verify_certificate_hash", "verify_certificate_spki"} {
			verified := context.Get(field).Len() > 0
			asked, required = asked || verified, required || verified && !trusting
		}
		custom := context.Get("custom_validator_config").Exists()
		asked, required = asked || custom, required || custom
	}
	required = required || t.RequireClientCertificate()
	return asked || required, required
}

// Versions are the least and the greatest TLS version, as TLSv1_2; "" where Envoy's default holds.
func (t TLSContext) Versions() (minimum, maximum string) {
	params := t.common("tls_params")
	return params.Str("tls_minimum_protocol_version"), params.Str("tls_maximum_protocol_version")
}

func names(list rawjson.Value) []string {
	var out []string
	for v := range list.Elems() {
		if name := v.Str("name"); name != "" {
			out = append(out, name)
		}
	}
	return out
}

// unique drops repeated texts and keeps the order.
func unique(texts []string) []string {
	var out []string
	for _, t := range texts {
		if !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out
}
