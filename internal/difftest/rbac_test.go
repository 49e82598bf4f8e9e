package difftest

import (
	"bufio"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/meshlark/meshlark/xds/cel"
	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/rbac"
)

var (
	spiffeWords = []string{"spiffe://cluster.local/ns/a/sa/one", "spiffe://cluster.local/ns/b/sa/two"}
	dnsWords    = []string{"one.example", "two.example"}
)

// An identity is a client's certificate and what RBAC sees of it.
type identity struct {
	cert *tls.Certificate
	peer match.Peer
}

// pem is the certificate with its key, as Envoy takes them.
func (id identity) pem() dict {
	key, err := x509.MarshalECPrivateKey(id.cert.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		panic(err) // the key was made for this
	}
	text := func(kind string, der []byte) dict {
		return dict{"inline_string": string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))}
	}
	return dict{"certificate_chain": text("CERTIFICATE", id.cert.Certificate[0]), "private_key": text("EC PRIVATE KEY", key)}
}

// A pki is certificates of one test.
type pki struct {
	root, server, serverKey string
	clients                 []identity
}

func newPKI(t testing.TB) pki {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("make certificates: %v", err)
		}
	}
	serial := int64(0)
	make := func(name pkix.Name, uris, dns []string, ca bool, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(err)
		serial++
		template := &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: name, DNSNames: dns, IsCA: ca, BasicConstraintsValid: true,
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		}
		for _, text := range uris {
			u, err := url.Parse(text)
			must(err)
			template.URIs = append(template.URIs, u)
		}
		if parent == nil {
			parent, parentKey = template, key
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
		must(err)
		cert, err := x509.ParseCertificate(der)
		must(err)
		return cert, key
	}
	asPEM := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	root, rootKey := make(pkix.Name{CommonName: "root"}, nil, nil, true, nil, nil)
	server, serverKey := make(pkix.Name{CommonName: "server"}, nil, []string{"server"}, false, root, rootKey)
	keyDER, err := x509.MarshalECPrivateKey(serverKey)
	must(err)
	out := pki{root: asPEM("CERTIFICATE", root.Raw), server: asPEM("CERTIFICATE", server.Raw), serverKey: asPEM("EC PRIVATE KEY", keyDER)}
	out.clients = append(out.clients, identity{})
	for _, id := range []struct{ uris, dns []string }{{spiffeWords[:1], nil}, {spiffeWords, nil}, {spiffeWords[1:], dnsWords[:1]}, {nil, dnsWords}, {nil, []string{"*.wild.example"}}, {nil, nil}} {
		cert, key := make(pkix.Name{CommonName: "client"}, id.uris, id.dns, false, root, rootKey)
		out.clients = append(out.clients, identity{
			&tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key},
			match.Peer{Presented: true, Validated: true, URISANs: id.uris, DNSSANs: id.dns, Subject: "CN=client"},
		})
	}
	return out
}

func (p picker) rule(permission bool, depth int) dict {
	set := func(kind string) dict {
		field := "rules"
		if !permission {
			field = "ids"
		}
		return dict{kind: dict{field: []any{p.rule(permission, depth+1), p.rule(permission, depth+1)}}}
	}
	word := func(permissionWord, principalWord string) string {
		if permission {
			return permissionWord
		}
		return principalWord
	}
	if depth < 3 && p.chance(.35) {
		switch p.IntN(3) {
		case 0:
			return set(word("and_rules", "and_ids"))
		case 1:
			return set(word("or_rules", "or_ids"))
		}
		return dict{word("not_rule", "not_id"): p.rule(permission, depth+1)}
	}
	metadata := func() dict {
		return dict{"filter": "test.meta", "path": []any{dict{"key": one(p, "k", "n", "none")}}, "value": p.valueMatch(0), "invert": p.chance(.2)}
	}
	sourced := func() dict {
		if p.chance(.5) {
			return dict{"sourced_metadata": dict{"metadata_matcher": metadata(), "metadata_source": "DYNAMIC"}}
		}
		return dict{"sourced_metadata": dict{"metadata_matcher": dict{"filter": "test", "path": []any{dict{"key": "route"}}, "value": dict{"string_match": dict{"exact": one(p, "r0", "r1")}}}, "metadata_source": "ROUTE"}}
	}
	common := []func() dict{
		func() dict { return dict{"any": true} },
		func() dict { return dict{"header": p.headerMatch()} },
		func() dict {
			return dict{"url_path": dict{"path": one(p, dict{"prefix": "/a"}, dict{"exact": "/a/b"}, dict{"suffix": "b"}, dict{"safe_regex": dict{"regex": "/v.*"}})}}
		},
		func() dict { return dict{"metadata": metadata()} },
		sourced,
	}
	if permission {
		common = append(common,
			func() dict { return dict{"destination_ip": cidrs(p, 1)[0]} },
			func() dict { return dict{"destination_port": one(p, portWords...)} },
			func() dict {
				return dict{"destination_port_range": one(p, dict{"start": 80, "end": 443}, dict{"start": 443, "end": 8080}, dict{"start": 80, "end": 81}, dict{"start": 444, "end": 9091})}
			},
			func() dict {
				return dict{"requested_server_name": one(p, dict{"exact": "a.com"}, dict{"suffix": ".com"}, dict{"exact": ""})}
			},
			func() dict {
				return dict{"uri_template": dict{"name": "t", "typed_config": dict{
					"@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig", "path_template": one(p, templates...).re,
				}}}
			},
		)
	} else {
		common = append(common,
			func() dict { return dict{"source_ip": cidrs(p, 1)[0]} },
			func() dict { return dict{"direct_remote_ip": cidrs(p, 1)[0]} },
			func() dict { return dict{"remote_ip": cidrs(p, 1)[0]} },
			func() dict { return dict{"filter_state": p.filterState()} },
			func() dict {
				if p.chance(.3) {
					return dict{"authenticated": dict{}}
				}
				if p.chance(.4) {
					config := one(p, dict{"any_validated_client_certificate": true}, dict{"san_matcher": dict{"san_type": "URI", "matcher": dict{"suffix": one(p, "one", "two")}}},
						dict{"san_matcher": dict{"san_type": "DNS", "matcher": one(p, dict{"exact": one(p, "One.example", "two.example", "any.wild.example")}, dict{"prefix": "two"})}})
					return dict{"custom": dict{"name": "mtls", "typed_config": typed("rbac.principals.mtls_authenticated.v3.Config", config)}}
				}
				return dict{"authenticated": dict{"principal_name": one(p, dict{"exact": one(p, spiffeWords...)}, dict{"prefix": "spiffe://cluster.local/ns/a/"}, dict{"suffix": ".example"}, dict{"exact": one(p, dnsWords...)}, dict{"exact": "CN=client"}, dict{"safe_regex": dict{"regex": ".*/ns/b/.*"}})}}
			},
		)
	}
	return one(p, common...)()
}

func (p picker) rules() dict {
	policies := dict{}
	for i := range one(p, 0, 1, 2, 2, 3, 4) {
		var permissions, principals []any
		for range 1 + p.IntN(2) {
			permissions = append(permissions, p.rule(true, 0))
			principals = append(principals, p.rule(false, 0))
		}
		policy := dict{"permissions": permissions, "principals": principals}
		switch p.IntN(10) {
		case 0:
			policy["condition"] = p.expression(0)
		case 1, 2: // which alone decides
			anything := []any{dict{"any": true}}
			policy = dict{"permissions": anything, "principals": anything, "condition": p.expression(0)}
		}
		policies[fmt.Sprintf("%c%d", 'a'+p.IntN(5), i)] = policy
	}
	return dict{"action": one(p, "ALLOW", "ALLOW", "DENY", "DENY", "DENY", "LOG", "LOG"), "policies": policies}
}

// rbacFilters makes one or two RBAC filters.
func (p picker) rbacFilters() []any {
	var out []any
	for range 1 + p.IntN(4) {
		config := dict{"@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC", "rules": p.rules()}
		if p.chance(.25) {
			config["shadow_rules"] = p.rules()
		}
		if p.chance(.15) {
			delete(config, "rules")
			predicate := p.predicate(0)
			if p.chance(.4) {
				predicate = p.expressionMatch()
			}
			config["matcher"] = dict{"matcher_list": dict{"matchers": []any{dict{
				"predicate": predicate, "on_match": dict{"action": dict{"name": "action", "typed_config": dict{
					"@type": "type.googleapis.com/envoy.config.rbac.v3.Action", "name": "m", "action": one(p, "ALLOW", "ALLOW", "DENY", "LOG"),
				}}},
			}}}}
		}
		out = append(out, dict{"name": "envoy.filters.http.rbac", "typed_config": config})
	}
	return out
}

func rbacListener(name string, filters []any, certs pki, secure bool) dict {
	table := dict{"name": name, "virtual_hosts": []any{dict{"name": "v", "domains": []string{"*"}, "routes": []any{
		dict{"name": "r0", "match": dict{"prefix": "/a"}, "metadata": dict{"filter_metadata": dict{"test": dict{"route": "r0"}}}, "direct_response": dict{"status": 200}},
		dict{"name": "r1", "match": dict{"prefix": "/v"}, "metadata": dict{"filter_metadata": dict{"test": dict{"route": "r1"}}}, "direct_response": dict{"status": 200}},
	}}}}
	l := httpListener(name, table)
	chain := l["filter_chains"].([]any)[0].(dict)
	manager := chain["filters"].([]any)[1].(dict)["typed_config"].(dict)
	all := manager["http_filters"].([]any)
	// The filter that tells comes first, so that it sees what others answer.
	manager["http_filters"] = append([]any{all[2], all[0], all[1]}, append(filters, all[3])...)
	l["listener_filters"] = []any{
		dict{"name": "pp", "typed_config": dict{"@type": "type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol"}},
		dict{"name": "tls", "typed_config": dict{"@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"}},
	}
	if secure {
		chain["transport_socket"] = dict{"name": "tls", "typed_config": dict{
			"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
			"common_tls_context": dict{
				"tls_certificates":   []any{dict{"certificate_chain": dict{"inline_string": certs.server}, "private_key": dict{"inline_string": certs.serverKey}}},
				"validation_context": dict{"trusted_ca": dict{"inline_string": certs.root}},
			},
		}}
	}
	return l
}

// accessDetails are the details of the answer when a filter refuses a request, and what kind of end that is.
func accessDetails(sets []listener.RBAC, r *match.Request) (details, outcome string, reasons []string) {
	for _, set := range sets {
		d := rbac.Evaluate(set, r)
		reasons = append(reasons, d.Reason)
		if d.Details != "" {
			return d.Details, "refused by " + cmp.Or(set.Action, "a matcher"), reasons
		}
	}
	return "", "allowed", reasons
}

// TestRBAC compares which requests access rules let pass.
func TestRBAC(t *testing.T) {
	certs := newPKI(t)
	count := coverage{}
	outcomes := map[string]int{}
	pairs, loaded, differ := 0, 0, 0
	var faults []func()
	for from := 0; from < *configs; from += batch {
		b := newBench(t)
		listeners := map[string]dict{}
		name := func(i int) string { return fmt.Sprintf("seed%d_", *seedFlag+uint64(i)) }
		secure := func(i int) bool { return i%2 == 0 }
		for i := from; i < min(*configs, from+batch); i++ {
			p := newPicker(*seedFlag + uint64(i))
			listeners[name(i)] = rbacListener(name(i), p.rbacFilters(), certs, secure(i))
		}
		ports, refused := b.load(t, listeners)
		if refused != "" {
			b.reasons(t)
		}
		for i := from; i < min(*configs, from+batch); i++ {
			if ports[name(i)] == "" {
				continue
			}
			loaded++
			view := listener.New(rawjson.Value(text(listeners[name(i)])))
			sets := view.Chains()[0].RBAC()
			p := newPicker(*seedFlag + uint64(i) ^ 1<<40)
			for range min(*requests, 50) {
				r := p.request(dict{"virtual_hosts": []any{dict{"domains": []string{"a.com"}, "routes": []any{dict{"match": dict{"prefix": one(p, "/a", "/v1")}}}}}})
				for r.Method == "CONNECT" {
					r.Method = "GET"
				}
				c := p.connection([]any{dict{}})
				id := one(p, certs.clients...)
				if p.chance(.3) {
					r.set("x-forwarded-for", one(p, "10.1.2.3", "192.168.0.1", "10.9.9.9, 10.2.0.7"))
				}
				got, err := r.sendSecure(ports[name(i)], c, id, secure(i))
				if err != nil {
					t.Errorf("seed %d: %+v: %v", *seedFlag+uint64(i), r, err)
					continue
				}
				pairs++
				seen := r.asSeen()
				seen.Connection = match.Connection{Source: c.Source, Destination: c.Destination, DirectSource: netip.MustParseAddrPort("127.0.0.1:1"), RemoteIP: c.Source, Transport: "raw_buffer"}
				if secure(i) {
					seen.Connection.TLS, seen.Connection.Transport, seen.Connection.SNI, seen.Connection.Peer = true, "tls", match.Lower(c.Client.SNI), id.peer
				}
				if value, ok := seen.Headers.Get("x-forwarded-for"); ok {
					parts := strings.Split(value, ", ")
					seen.Connection.RemoteIP = netip.AddrPortFrom(netip.MustParseAddr(parts[len(parts)-1]), 0)
				}
				if seen.Scheme == "" && secure(i) {
					seen.Scheme = "https"
				}
				seen.RouteMetadata = nil
				switch path := r.Path; {
				case strings.HasPrefix(path, "/a"):
					seen.RouteMetadata = dict{"test": dict{"route": "r0"}}
				case strings.HasPrefix(path, "/v"):
					seen.RouteMetadata = dict{"test": dict{"route": "r1"}}
				}
				want, outcome, reasons := accessDetails(sets, seen)
				outcomes[outcome]++
				count.rbac(sets, seen)
				details := got.Header.Get("t-details")
				if !strings.HasPrefix(details, "rbac_") {
					details = ""
				}
				if details != want {
					if differ++; differ <= 5 {
						t.Errorf("seed %d: %+v %+v %+v: Envoy %q, predicted %q (%q)\n%s", *seedFlag+uint64(i), r, c, id.peer, got.Header.Get("t-details"), want, reasons, text(listeners[name(i)]["filter_chains"]))
						faults = append(faults, func() {
							t.Logf("seed %d: shrunk for %+v %+v %+v: %s", *seedFlag+uint64(i), r, c, id.peer, text(reduceListener(t, listeners[name(i)], []string{"listener_filters", "transport_socket", "route_config"}, func(l dict, address string) bool {
								got, err := r.sendSecure(address, c, id, secure(i))
								if err != nil || got.Header.Get("t-details") == "" {
									return false // it does not tell any more
								}
								want, _, _ := accessDetails(listener.New(text(l)).Chains()[0].RBAC(), seen)
								return strings.HasPrefix(got.Header.Get("t-details"), "rbac_") != (want != "")
							})))
						})
					}
				}
			}
		}
	}
	t.Logf("seeds %d to %d: %d configurations, %d pairs, %d differences", *seedFlag, *seedFlag+uint64(*configs)-1, loaded, pairs, differ)
	balanced(t, outcomes, pairs)
	shrinkSome(faults)
	count.log(t)
	count.require(t, "Permission", "Principal")
}

// sendSecure sends a request on a connection of its own, through a PROXY header and, if need be, TLS.
func (r request) sendSecure(address string, c connection, id identity, secure bool) (reply, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return reply{}, err
	}
	defer conn.Close()
	family := "TCP4"
	if c.Source.Addr().Is6() {
		family = "TCP6"
	}
	if _, err := fmt.Fprintf(conn, "PROXY %s %s %s %d %d\r\n", family, c.Source.Addr(), c.Destination.Addr(), c.Source.Port(), c.Destination.Port()); err != nil {
		return reply{}, err
	}
	if secure {
		config := &tls.Config{ServerName: c.Client.SNI, InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}
		if id.cert != nil {
			config.Certificates = []tls.Certificate{*id.cert}
		}
		conn = tls.Client(conn, config)
	}
	return r.send(conn, bufio.NewReader(conn))
}

// rbac counts the arms of permissions and principals.
func (c coverage) rbac(sets []listener.RBAC, r *match.Request) {
	var walk func(kind string, v rawjson.Value)
	walk = func(kind string, v rawjson.Value) {
		field := "permissions"
		other := `"principals":[{"any":true}]`
		if kind == "Principal" {
			field, other = "principals", `"permissions":[{"any":true}]`
		}
		single := rawjson.Value(`{` + other + `,"` + field + `":[` + string(v) + `]}`)
		d := rbac.Evaluate(listener.RBAC{Action: "ALLOW", Policies: []listener.Policy{{ID: "x", Body: single}}}, r)
		c.add(kind+"."+arm(v), d.Allowed)
		for _, arg := range v.Members() {
			for _, list := range []string{"rules", "ids"} {
				for elem := range arg.Get(list).Elems() {
					walk(kind, elem)
				}
			}
		}
		for _, not := range []string{"not_rule", "not_id"} {
			if inner := v.Get(not); inner.Exists() {
				walk(kind, inner)
			}
		}
	}
	for _, set := range sets {
		for _, p := range set.Policies {
			if condition := p.Body.Get("condition"); condition.Exists() {
				held, err := match.Expression(condition, r)
				c.add("Policy.condition", held)
				if err != nil {
					c.add("Policy.condition without a value", errors.Is(err, cel.ErrUnknown))
				}
			}
			for v := range p.Body.Get("permissions").Elems() {
				walk("Permission", v)
			}
			for v := range p.Body.Get("principals").Elems() {
				walk("Principal", v)
			}
		}
	}
}
