package builtins

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/meshlark/meshlark/xds/admin"
	startime "go.starlark.net/lib/time"
	"go.starlark.net/starlark"
)

// loadedCertificate is one certificate that an Envoy has in use.
type loadedCertificate struct {
	admin.Certificate
	kind     string // cert_chain or ca_cert
	contexts int    // TLS contexts that have it
}

// The lists of a TLS context.
const (
	certChain = "cert_chain"
	caCert    = "ca_cert"
)

func (c *loadedCertificate) sans() []string {
	var out []string
	for _, s := range c.SANs {
		out = append(out, s.Value)
	}
	return out
}

// daysLeft is how long a certificate holds from a moment, in days.
func (c *loadedCertificate) daysLeft(now time.Time) (float64, bool) {
	if c.Expiration.IsZero() || now.IsZero() {
		return 0, false
	}
	return c.Expiration.Sub(now).Hours() / 24, true
}

// newServerInfo makes the value of what an Envoy says of itself.
func newServerInfo(p *Proxy, info *admin.ServerInfo) *Object {
	return &Object{typ: "ServerInfo", proxy: p, part: orNull(info.Raw), data: info}
}

// newLoadedCertificates makes the collection of the certificates of all TLS contexts, each once: Envoy lists them again with every context.
func newLoadedCertificates(p *Proxy, contexts []admin.TLSContext) *Collection {
	out := newCollection("LoadedCertificate", nil)
	known := map[string]*loadedCertificate{}
	add := func(kind string, certs []admin.Certificate) {
		for _, c := range certs {
			key := kind + string(c.Raw)
			if known[key] == nil {
				known[key] = &loadedCertificate{Certificate: c, kind: kind}
				out.items = append(out.items, &Object{typ: "LoadedCertificate", proxy: p, part: c.Raw, data: known[key]})
			}
			known[key].contexts++
		}
	}
	for _, c := range contexts {
		add(certChain, c.CertChain)
		add(caCert, c.CACert)
	}
	return out
}

// processes describes what an Envoy tells of its own process: ServerInfo and LoadedCertificate.
func (b *builder) processes() {
	type o = *Object
	common := func(example string) {
		field(b, "proxy", "Proxy", "The proxy that has it.", example+`.proxy`, func(x o) (starlark.Value, error) { return x.proxyOf(), nil })
		link(b, "source", "string", "The source it was read from.", example+`.source`, sourceOf)
		link(b, "raw", "JSONObject", "What Envoy answered, as nested values.", example+`.raw`, rawOf)
	}

	type s = *admin.ServerInfo
	t := b.typ("ServerInfo", "Value", "What an Envoy says of its own process.")
	t.brief = func(x o) string {
		info, err := view[s](x)
		if err != nil {
			return ""
		}
		return info.EnvoyVersion + " " + info.State
	}
	const info = `proxy("productpage-v1").server_info()`
	common(info)
	str := func(name, doc string, get func(s) string) *Entry {
		return prop(b, name, "string", doc, info+`.`+name, func(_ o, x s) starlark.Value { return text(get(x)) })
	}
	str("version", "Its build: commit, version, and how it was built.", func(x s) string { return x.Version })
	str("envoy_version", "Its version.", func(x s) string { return x.EnvoyVersion })
	str("state", "What it is doing.", func(x s) string { return x.State }).enum("LIVE", "DRAINING", "PRE_INITIALIZING", "INITIALIZING")
	prop(b, "uptime", "time.duration", "How long this process has run.", info+`.uptime`, func(_ o, x s) starlark.Value { return startime.Duration(x.Uptime) })
	prop(b, "uptime_all_epochs", "time.duration", "How long the processes have run that replaced one another by hot restart.", info+`.uptime_all_epochs`,
		func(_ o, x s) starlark.Value { return startime.Duration(x.UptimeAllEpochs) })
	str("hot_restart_version", "The version of its hot restart, or disabled.", func(x s) string { return x.HotRestartVersion })
	propLink(b, "command_line", "JSONObject | None", "The options it was started with.", info+`.command_line`, func(_ o, x s) starlark.Value { return jsonOrNone(x.CommandLine) })
	propLink(b, "node", "JSONObject | None", "How it introduces itself to its control plane.", info+`.node`, func(_ o, x s) starlark.Value { return jsonOrNone(x.Node) })

	type c = *loadedCertificate
	t = b.typ("LoadedCertificate", "Value", "A certificate that an Envoy has in use, as its TLS contexts list them. Of a chain it tells of the first certificate only; p.secrets() has them whole.")
	t.naming = "path"
	t.brief = func(x o) string {
		cert, err := view[c](x)
		if err != nil {
			return ""
		}
		return "until " + secondsText(cert.Expiration)
	}
	common(`proxy("productpage-v1").certs()[0]`)
	ex := func(name string) string { return `[c.` + name + ` for c in proxy("productpage-v1").certs()]` }
	cert := func(name, doc string, get func(c) string) *Entry {
		return prop(b, name, "string", doc, ex(name), func(_ o, x c) starlark.Value { return text(get(x)) })
	}
	cert("path", "The file it was read from, or <inline>.", func(x c) string { return x.Path })
	cert("kind", "cert_chain: its own; ca_cert: one that it verifies others with.", func(x c) string { return x.kind }).enum(certChain, caCert)
	prop(b, "sans", "list", "The names it is for: SPIFFE ids, DNS names, addresses.", ex("sans"), func(_ o, x c) starlark.Value { return textList(x.sans()) })
	cert("serial", "Its serial number in hexadecimal.", func(x c) string { return x.SerialNumber })
	prop(b, "days_left", "float | None", "How long until it expires, in days, negative afterwards; by the mesh's clock. Envoy's own days_until_expiration is in raw.", ex("days_left"), func(x o, l c) starlark.Value {
		if days, ok := l.daysLeft(nowOf(x)); ok {
			return starlark.Float(days)
		}
		return starlark.None
	})
	prop(b, "valid_from", "time.time | None", "When it becomes valid.", ex("valid_from"), func(_ o, x c) starlark.Value { return timeOrNone(x.ValidFrom) })
	prop(b, "expiration", "time.time | None", "When it expires.", ex("expiration"), func(_ o, x c) starlark.Value { return timeOrNone(x.Expiration) })
	prop(b, "contexts", "int", "How many TLS contexts have it.", ex("contexts"), func(_ o, x c) starlark.Value { return starlark.MakeInt(x.contexts) })
	col := func(name string, priority int, elide Elide, get func(o, c) string) column {
		return column{Column: Column{Name: name, Priority: priority, Elide: elide}, Cell: func(v starlark.Value) string {
			x, err := view[c](v.(o))
			if err != nil {
				return ""
			}
			return get(v.(o), x)
		}}
	}
	t.columns = []column{
		col("PATH", 0, ElideMiddle, func(_ o, x c) string { return x.Path }),
		col("KIND", 0, ElideNever, func(_ o, x c) string { return x.kind }),
		col("SANS", 0, ElideMiddle, func(_ o, x c) string { return strings.Join(x.sans(), ",") }),
		col("DAYS LEFT", 0, ElideNever, func(x o, l c) string {
			if days, ok := l.daysLeft(nowOf(x)); ok {
				return strconv.FormatFloat(math.Floor(days*10)/10, 'f', 1, 64)
			}
			return ""
		}),
		col("VALID FROM", 3, ElideNever, func(_ o, x c) string { return secondsText(x.ValidFrom) }),
		col("EXPIRATION", 1, ElideNever, func(_ o, x c) string { return secondsText(x.Expiration) }),
		col("SERIAL NUMBER", 4, ElideMiddle, func(_ o, x c) string { return x.SerialNumber }),
	}
	t.columns[3].Align = Right
	b.collection("LoadedCertificates", "LoadedCertificate", "The certificates that an Envoy has in use, each once, in the order of its TLS contexts.")

	b.cur = b.t.types["Proxy"]
	b.method("server_info", nil, "ServerInfo", "What the Envoy says of itself: version, state, uptime, command line.", `attempt(proxy("productpage-v1").server_info).ok`,
		func(call *Call) (starlark.Value, error) {
			p := call.Recv.(*Proxy)
			info, err := p.Config().ServerInfo(call.Context())
			if err != nil {
				return nil, err
			}
			return newServerInfo(p, info), nil
		})
	b.method("certs", nil, "LoadedCertificates", "The certificates that the Envoy has in use in its TLS contexts, those of files included.", `attempt(proxy("productpage-v1").certs).ok`,
		func(call *Call) (starlark.Value, error) {
			p := call.Recv.(*Proxy)
			contexts, err := p.Config().Certs(call.Context())
			if err != nil {
				return nil, err
			}
			return newLoadedCertificates(p, contexts), nil
		})
}
