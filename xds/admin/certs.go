package admin

import (
	"time"

	"github.com/meshlark/meshlark/xds/rawjson"
)

const certsPath = "/certs"

// A TLSContext is the certificates of one TLS context. Envoy lists every context, so the same certificates come again and
// again, and either list may be empty.
type TLSContext struct {
	CACert    []Certificate
	CertChain []Certificate
}

// A Certificate is one loaded certificate. Of a CertChain file Envoy reports the leaf only.
type Certificate struct {
	Path                string // file it was read from, or <inline>
	SerialNumber        string // hexadecimal, without leading zeros
	SANs                []SAN
	DaysUntilExpiration Number // whole days; 0 also when it has expired
	ValidFrom           time.Time
	Expiration          time.Time
	OCSP                *OCSP // nil without a stapled response
	Raw                 rawjson.Value
}

// A SAN is one subject alternative name.
type SAN struct {
	Type  string // dns, uri, ip_address
	Value string
}

// An OCSP is how long a stapled OCSP response holds.
type OCSP struct{ ValidFrom, Expiration time.Time }

// ReadCerts reads the answer of /certs.
func ReadCerts(src []byte) ([]TLSContext, error) {
	doc, err := compact(certsPath, src)
	if err != nil {
		return nil, err
	}
	contexts, err := section(certsPath, doc, "certificates")
	if err != nil {
		return nil, err
	}
	var out []TLSContext
	for v := range contexts.Elems() {
		out = append(out, TLSContext{
			CACert:    certificates(v.Get("ca_cert")),
			CertChain: certificates(v.Get("cert_chain")),
		})
	}
	return out, nil
}

func certificates(list rawjson.Value) []Certificate {
	var out []Certificate
	for v := range list.Elems() {
		c := Certificate{
			Raw:                 v,
			Path:                v.Str("path"),
			SerialNumber:        v.Str("serial_number"),
			DaysUntilExpiration: number(v.Get("days_until_expiration")),
			ValidFrom:           timestamp(v.Get("valid_from")),
			Expiration:          timestamp(v.Get("expiration_time")),
		}
		for san := range v.Get("subject_alt_names").Elems() {
			for key, val := range san.Members() {
				c.SANs = append(c.SANs, SAN{Type: snake(key), Value: val.Text()})
			}
		}
		if o := v.Get("ocsp_details"); o.Exists() {
			c.OCSP = &OCSP{ValidFrom: timestamp(o.Get("valid_from")), Expiration: timestamp(o.Get("expiration"))}
		}
		out = append(out, c)
	}
	return out
}
