package builtins

import (
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
	"github.com/meshlark/meshlark/xds/secret"
	"go.starlark.net/starlark"
)

// secretView is a secret with its certificates, parsed once.
type secretView struct {
	secret.Secret
	certificates func() secret.Certificates
}

func secretTypes() []string {
	return []string{secret.TLSCertificate, secret.ValidationContext, secret.SessionTicketKeys, secret.GenericSecret}
}

// nowOf is the mesh's clock for an object; what a script made has none.
func nowOf(o *Object) time.Time {
	if o.proxy == nil {
		return time.Time{}
	}
	return o.proxy.now
}

// secrets describes Secret, Certificate and the calls that give secrets.
func (b *builder) secrets() {
	t := b.typ("Secret", "Resource", "What SDS delivered: a certificate chain, the roots others are verified with, or another secret. Private material is never in it.")
	type o = *Object
	type v = *secretView
	t.view = func(_ o, raw rawjson.Value) any {
		s := secret.New(raw)
		return &secretView{s, sync.OnceValue(s.Certificates)}
	}
	t.brief = func(x o) string {
		s, err := view[v](x)
		if err != nil {
			return ""
		}
		return s.Kind()
	}
	ex := func(name string) string { return `[s.` + name + ` for s in proxy("productpage-v1").secrets()]` }
	prop(b, "type", "string", "tls_certificate, validation_context, session_ticket_keys, generic_secret, or \"\" for one that has not arrived.", ex("type"),
		func(_ o, s v) starlark.Value { return text(s.Kind()) }).enum(append(secretTypes(), "")...)
	prop(b, "valid", "bool | None", "Whether every certificate of the chain or bundle is within its life now, by the mesh's clock. None when there is no certificate in it. No signature is verified.", ex("valid"),
		func(x o, s v) starlark.Value {
			if len(s.certificates()) == 0 || nowOf(x).IsZero() {
				return starlark.None
			}
			return starlark.Bool(s.certificates().Valid(nowOf(x)))
		})
	prop(b, "not_before", "time.time | None", "When the last of its certificates became valid.", ex("not_before"), func(_ o, s v) starlark.Value { return timeOrNone(s.certificates().NotBefore()) })
	prop(b, "not_after", "time.time | None", "When the first of its certificates expires.", ex("not_after"), func(_ o, s v) starlark.Value { return timeOrNone(s.certificates().NotAfter()) })
	prop(b, "days_left", "float | None", "How long until then, in days, negative afterwards; by the mesh's clock.", ex("days_left"), func(x o, s v) starlark.Value {
		if days, ok := s.certificates().DaysLeft(nowOf(x)); ok && !nowOf(x).IsZero() {
			return starlark.Float(days)
		}
		return starlark.None
	})
	prop(b, "serial", "string", "The serial number of its first certificate, in hexadecimal.", ex("serial"), func(_ o, s v) starlark.Value { return text(firstCertificate(s).Serial) })
	prop(b, "issuer", "string", "The issuer of its first certificate.", ex("issuer"), func(_ o, s v) starlark.Value { return text(firstCertificate(s).Issuer) })
	prop(b, "sans", "list", "The names its certificates are for: SPIFFE ids, DNS names, addresses.", ex("sans"), func(_ o, s v) starlark.Value { return textList(s.certificates().SANs()) })
	prop(b, "private_key", "string", "Where its private key is: \"\" for none, redacted, file PATH, ...", ex("private_key"), func(_ o, s v) starlark.Value { return text(s.PrivateKey()) })
	prop(b, "certificates", "Certificates", "Every certificate of the chain or bundle.", ex("certificates"), func(x o, s v) starlark.Value {
		out := newCollection("Certificate", nil)
		for _, c := range s.certificates() {
			out.items = append(out.items, &Object{typ: "Certificate", proxy: x.proxy, parent: x, data: &certificateView{c}})
		}
		return out
	})
	col := func(name string, priority int, elide Elide, get func(o, v) string) column {
		return column{Column: Column{Name: name, Priority: priority, Elide: elide}, Cell: func(x starlark.Value) string {
			s, err := view[v](x.(o))
			if err != nil {
				return ""
			}
			return get(x.(o), s)
		}}
	}
	t.columns = []column{
		col("RESOURCE NAME", 0, ElideMiddle, func(x o, _ v) string { return resourceName(x) }),
		col("TYPE", 1, ElideNever, func(_ o, s v) string { return typeCell(s) }),
		col("STATUS", 2, ElideNever, func(x o, _ v) string { return strings.ToUpper(x.stateText()) }),
		col("VALID CERT", 0, ElideNever, func(x o, s v) string {
			if len(s.certificates()) == 0 {
				return ""
			}
			return strconv.FormatBool(s.certificates().Valid(nowOf(x)))
		}),
		col("DAYS LEFT", 0, ElideNever, func(x o, s v) string {
			if days, ok := s.certificates().DaysLeft(nowOf(x)); ok {
				return strconv.FormatFloat(math.Floor(days*10)/10, 'f', 1, 64)
			}
			return ""
		}),
		col("SERIAL NUMBER", 4, ElideMiddle, func(_ o, s v) string { return firstCertificate(s).Serial }),
		// As istioctl's, of the certificate whose serial number stands beside them. DAYS LEFT and VALID CERT are about all of them.
		col("NOT AFTER", 1, ElideNever, func(_ o, s v) string { return secondsText(firstCertificate(s).NotAfter) }),
		col("NOT BEFORE", 3, ElideNever, func(_ o, s v) string { return secondsText(firstCertificate(s).NotBefore) }),
		col("SANS", 5, ElideEnd, func(_ o, s v) string { return strings.Join(s.certificates().SANs(), ",") }),
	}
	t.columns[4].Align = Right
	b.collection("Secrets", "Secret", "Secrets of one proxy or several, sorted by name.")

	b.certificateType()

	b.listing("secrets", []Param{
		{Name: "name", Type: "pattern", Default: "None", Doc: "names to keep, such as default or ROOTCA"},
		stateParam,
		{Name: "type", Type: "string", Default: "None", Doc: "what they hold", Enum: secretTypes()},
	}, "Secrets", "Secrets, those in use unless a state is given. One that has not arrived is warming.", `secrets(type="tls_certificate")`, func(c *Call) (query, error) {
		q := query{kind: resource.Secret, typ: "Secret", state: c.Text("state"), order: func(objs []*Object) { sortByKey(objs, resourceName, strings.Compare) }}
		var err error
		q.name, err = c.Pattern("name")
		if typ := c.Text("type"); typ != "" {
			q.keep = func(x *Object) (bool, error) {
				s, err := view[v](x)
				return err == nil && s.Kind() == typ, err
			}
		}
		return q, err
	})
}

func firstCertificate(s *secretView) secret.Certificate {
	if cs := s.certificates(); len(cs) > 0 {
		return cs[0]
	}
	return secret.Certificate{}
}

// typeCell is istioctl's word for what a secret holds.
func typeCell(s *secretView) string {
	switch s.Kind() {
	case secret.TLSCertificate:
		return "Cert Chain"
	case secret.ValidationContext:
		return "CA"
	case "":
		return "UNINITIALIZED"
	default:
		return s.Kind()
	}
}

func secondsText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// certificateView is one certificate of a secret. Its JSON form is its fields.
type certificateView struct{ secret.Certificate }

func (c *certificateView) body() rawjson.Value {
	o := &Object{typ: "Certificate", data: c}
	return itemOf(o, "certificate").AppendJSON(nil)
}

func (b *builder) certificateType() {
	t := b.typ("Certificate", "Part", "One certificate of a secret. Its JSON form is its fields.")
	type o = *Object
	type v = *certificateView
	t.brief = func(x o) string {
		c, _ := view[v](x)
		return "until " + secondsText(c.NotAfter)
	}
	ex := func(name string) string {
		return `[c.` + name + ` for s in proxy("productpage-v1").secrets() for c in s.certificates]`
	}
	str := func(name, doc string, get func(v) string) {
		prop(b, name, "string", doc, ex(name), func(_ o, c v) starlark.Value { return text(get(c)) })
	}
	str("name", "Its subject.", func(c v) string { return c.Subject })
	propLink(b, "secret", "Secret | None", "The secret it is in.", ex("secret"), func(x o, _ v) starlark.Value {
		if x.parent == nil {
			return starlark.None
		}
		return x.parent
	})
	str("serial", "Its serial number in hexadecimal.", func(c v) string { return c.Serial })
	str("subject", "Whose it is, as RFC 2253 writes names.", func(c v) string { return c.Subject })
	str("issuer", "Who signed it.", func(c v) string { return c.Issuer })
	prop(b, "not_before", "time.time | None", "When it becomes valid.", ex("not_before"), func(_ o, c v) starlark.Value { return timeOrNone(c.NotBefore) })
	prop(b, "not_after", "time.time | None", "When it expires.", ex("not_after"), func(_ o, c v) starlark.Value { return timeOrNone(c.NotAfter) })
	prop(b, "valid", "bool | None", "Whether it is within its life now, by the mesh's clock.", ex("valid"), func(x o, c v) starlark.Value {
		if nowOf(x).IsZero() {
			return starlark.None
		}
		return starlark.Bool(c.Valid(nowOf(x)))
	})
	prop(b, "days_left", "float | None", "How long until it expires, in days, negative afterwards.", ex("days_left"), func(x o, c v) starlark.Value {
		if c.NotAfter.IsZero() || nowOf(x).IsZero() {
			return starlark.None
		}
		return starlark.Float(c.NotAfter.Sub(nowOf(x)).Hours() / 24)
	})
	prop(b, "sans", "list", "The names it is for: SPIFFE ids, DNS names, addresses.", ex("sans"), func(_ o, c v) starlark.Value { return textList(c.SANs()) })
	prop(b, "is_ca", "bool", "Whether it may sign others.", ex("is_ca"), func(_ o, c v) starlark.Value { return starlark.Bool(c.IsCA) })
	str("trust_domain", "Its trust domain, \"\" without one.", func(c v) string { return c.TrustDomain })
	str("key_type", "Its kind of key, such as RSA-2048.", func(c v) string { return c.KeyType })
	str("sha256", "The fingerprint of the whole certificate.", func(c v) string { return c.SHA256 })
	prop(b, "unreadable", "string | None", "Why it could not be read, None when it could.", ex("unreadable"), func(_ o, c v) starlark.Value { return textOrNone(c.Err) })
	col := func(name string, elide Elide, get func(v) string) column {
		c := propColumn[v](name, get)
		c.Wide, c.Priority, c.Elide = false, 0, elide
		return c
	}
	t.columns = []column{
		{Column: Column{Name: "SECRET", Elide: ElideMiddle}, Cell: func(x starlark.Value) string { return resourceName(x.(o).parent) }},
		col("SUBJECT", ElideEnd, func(c v) string { return c.Subject }),
		col("SERIAL NUMBER", ElideMiddle, func(c v) string { return c.Serial }),
		col("NOT AFTER", ElideNever, func(c v) string { return secondsText(c.NotAfter) }),
		col("SANS", ElideEnd, func(c v) string { return strings.Join(c.SANs(), ",") }),
	}
	b.collection("Certificates", "Certificate", "Certificates of secrets, in the order of each chain or bundle.")
}
