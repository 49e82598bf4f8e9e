package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/bootstrap/internal_listener/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	gocmp "github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/meshlark/meshlark/lab"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/route"
)

// What meshlark says of an Envoy, asked directly and through the cluster, is what istioctl prints of it, row by row. Where the two differ is written at each kind below; all of it is what
// istioctl leaves out of its tables, and nothing else is allowed.

// A kind is a table of istioctl proxy-config and how its rows come out of meshlark's fields.
type kind struct {
	name  string   // the command
	heads []string // of the table
	expr  string   // with a place for the pattern of the proxy's name
	rows  func(t *testing.T, fields json.RawMessage) [][]string
	// least is how many rows the healthy mesh has at least, for a sidecar and a gateway.
	least, leastGateway int
	// table says that meshlark's own table has these columns too, in this order.
	table bool
	// none is what istioctl says, as an error or not, instead of an empty table.
	none string
}

var kinds = []kind{
	{
		name: "cluster", table: true, least: 27, leastGateway: 24,
		heads: []string{"SERVICE FQDN", "PORT", "SUBSET", "DIRECTION", "TYPE", "DESTINATION RULE"},
		expr:  "clusters(proxy=%q)",
		rows: func(t *testing.T, fields json.RawMessage) [][]string {
			c := read[struct {
				FQDN, Subset, Direction, Type string
				Port                          *int
				DestinationRule               string `json:"destination_rule"`
			}](t, fields)
			return [][]string{{c.FQDN, number(c.Port), cmp.Or(c.Subset, "-"), cmp.Or(c.Direction, "-"), c.Type, c.DestinationRule}}
		},
	},
	{
		name: "listener", table: true, least: 28, leastGateway: 4,
		heads: []string{"ADDRESSES", "PORT", "MATCH", "DESTINATION"},
		expr:  "listeners(proxy=%q)",
		rows: func(t *testing.T, fields json.RawMessage) [][]string {
			l := read[struct {
				Addresses []string
				Port      *int
				Chains    []struct{ Match, Destination string } `json:"filter_chains"`
			}](t, fields)
			var hosts []string // istioctl prints the port once
			for _, address := range l.Addresses {
				host, _, err := net.SplitHostPort(address)
				if err != nil {
					t.Fatal(err)
				}
				hosts = append(hosts, host)
			}
			var rows [][]string
			for _, c := range l.Chains {
				rows = append(rows, []string{strings.Join(hosts, ","), number(l.Port), c.Match, c.Destination})
			}
			return rows
		},
	},
	{
		name: "route", least: 20, leastGateway: 5,
		heads: []string{"NAME", "VHOST NAME", "DOMAINS", "MATCH", "VIRTUAL SERVICE"},
		expr:  "routes(proxy=%q)",
		rows: func(t *testing.T, fields json.RawMessage) [][]string {
			table := read[struct {
				Name         string
				VirtualHosts []struct {
					Name    string
					Domains json.RawMessage
					Routes  []struct {
						Path, Cluster  string
						VirtualService string `json:"virtual_service"`
					}
				} `json:"virtual_hosts"`
			}](t, fields)
			var rows [][]string
			for _, host := range table.VirtualHosts {
				domains := route.NewVirtualHost(rawjson.Value(`{"domains":` + string(host.Domains) + `}`)).DomainsCell()
				if len(host.Routes) == 0 {
					rows = append(rows, []string{table.Name, host.Name, domains, "/*", "404"})
				}
				for _, r := range host.Routes {
					// istioctl passes over the routes to PassthroughCluster, and prints of a match the path alone (istio/istio#23987).
					if r.Cluster != "PassthroughCluster" {
						rows = append(rows, []string{table.Name, host.Name, domains, r.Path, r.VirtualService})
					}
				}
			}
			return rows
		},
	},
	{
		name: "endpoint", least: 24, leastGateway: 21,
		heads: []string{"ENDPOINT", "STATUS", "OUTLIER CHECK", "CLUSTER"},
		expr:  "endpoints(proxy=%q)",
		rows: func(t *testing.T, fields json.RawMessage) [][]string {
			e := read[struct{ Name, Health, Outlier, Cluster string }](t, fields)
			return [][]string{{e.Name, e.Health, e.Outlier, e.Cluster}}
		},
	},
	{
		name: "secret", least: 2, leastGateway: 3,
		heads: []string{"RESOURCE NAME", "TYPE", "STATUS", "VALID CERT", "SERIAL NUMBER", "NOT AFTER", "NOT BEFORE"},
		expr:  `[s for state in ("active", "warming") for s in secrets(state=state, proxy=%q)]`,
		none:  "No active or warming secrets found.",
		rows: func(t *testing.T, fields json.RawMessage) [][]string {
			s := read[struct {
				Name, Type, State string
				Certificates      []struct {
					Serial    string
					Valid     bool
					NotAfter  string `json:"not_after"`
					NotBefore string `json:"not_before"`
				}
			}](t, fields)
			row := []string{s.Name, map[string]string{"tls_certificate": "Cert Chain", "validation_context": "CA"}[s.Type], strings.ToUpper(s.State), "false", "", "", ""}
			// For a secret that has not come istioctl prints "false" and blanks.
			if len(s.Certificates) > 0 {
				// istioctl parses the first certificate only.
				c := s.Certificates[0]
				row = append(row[:3], strconv.FormatBool(c.Valid), c.Serial, c.NotAfter, c.NotBefore)
			}
			return [][]string{row}
		},
	},
	{
		name: "ecds", none: "config dump has no configuration type type.googleapis.com/envoy.admin.v3.EcdsConfigDump",
		heads: []string{"ECDS NAME", "TYPE"},
		expr:  `[x for p in proxies(%q) for x in p.extensions()]`,
		rows: func(t *testing.T, fields json.RawMessage) [][]string {
			x := read[struct{ Name, Type string }](t, fields)
			return [][]string{{x.Name, x.Type}}
		},
	},
}

func read[T any](t *testing.T, text json.RawMessage) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v in %.300s", err, text)
	}
	return v
}

func number(n *int) string {
	if n == nil {
		return "-"
	}
	return strconv.Itoa(*n)
}

// printed gives the rows that istioctl prints of one kind of one Envoy.
func (k kind) printed(t *testing.T, e *lab.Envoy) [][]string {
	t.Helper()
	got := runProgram(t, mesh.Istioctl, "proxy-config", k.name, e.ID(), "--proxy-admin-port", strconv.Itoa(e.AdminPort))
	switch {
	case k.none != "" && strings.Contains(got.stdout+got.stderr, k.none):
		return nil
	case got.status != 0:
		t.Fatalf("istioctl proxy-config %s %s: exit status %d: %s", k.name, e.ID(), got.status, got.stderr)
	}
	return sorted(cells(t, got.stdout, k.heads...))
}

// answers gives meshlark's rows of one kind by proxy, of all those that the pattern names.
func (k kind) answers(t *testing.T, sources []string, pattern string) map[string][][]string {
	t.Helper()
	got := map[string][][]string{}
	for _, fields := range items[json.RawMessage](t, sources, fmt.Sprintf(k.expr, pattern)) {
		proxy := read[struct{ Proxy string }](t, fields).Proxy
		got[proxy] = append(got[proxy], k.rows(t, fields)...)
	}
	for _, rows := range got {
		sorted(rows)
	}
	return got
}

func sorted(rows [][]string) [][]string {
	slices.SortFunc(rows, slices.Compare)
	return rows
}

// compare holds one kind of one Envoy to istioctl, both as the Envoy itself answers and through the cluster.
func (k kind) compare(t *testing.T, e *lab.Envoy) {
	t.Helper()
	want := k.printed(t, e)
	for _, sources := range [][]string{sources(e.Admin), cluster} {
		k.check(t, e, sources, want, k.answers(t, sources, e.ID())[e.ID()])
	}
}

func (k kind) check(t *testing.T, e *lab.Envoy, sources []string, want, got [][]string) {
	t.Helper()
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("rows of %s of %s by %s (-istioctl +meshlark):\n%s", k.name, e.ID(), sources, diff)
	}
	if !k.table {
		return
	}
	lines := strings.Split(strings.TrimSuffix(ask(t, sources, fmt.Sprintf(k.expr, e.ID()), "-o", "table"), "\n"), "\n")[1:]
	if len(lines) != len(want) {
		t.Errorf("meshlark's table of %s of %s has %d rows, istioctl's %d", k.name, e.ID(), len(lines), len(want))
	}
	for _, row := range want {
		if !slices.ContainsFunc(lines, func(line string) bool { return inOrder(line, row) }) {
			t.Errorf("meshlark's table of %s of %s has no row with %q:\n%s", k.name, e.ID(), row, strings.Join(lines, "\n"))
		}
	}
}

// inOrder says whether a line has the cells of a row one after the other.
func inOrder(line string, row []string) bool {
	for _, cell := range row {
		i := strings.Index(line, cell)
		if i < 0 {
			return false
		}
		line = line[i+len(cell):]
	}
	return true
}

func TestProxyConfigIsIstioctls(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			all := k.answers(t, cluster, "*") // one question for all of the mesh
			for _, e := range mesh.Envoys() {
				t.Run(e.Workload, func(t *testing.T) {
					want := k.printed(t, e)
					if least := k.atLeast(e); len(want) < least {
						t.Errorf("istioctl prints %d rows, the mesh must have %d or more", len(want), least)
					}
					k.check(t, e, sources(e.Admin), want, k.answers(t, sources(e.Admin), e.ID())[e.ID()])
					k.check(t, e, cluster, want, all[e.ID()])
				})
				delete(all, e.ID())
			}
			for proxy := range all {
				t.Errorf("meshlark has %d rows of %s, which has no Envoy", len(all[proxy]), proxy)
			}
		})
	}
}

// atLeast is how many rows an Envoy of the healthy mesh must have.
func (k kind) atLeast(e *lab.Envoy) int {
	switch {
	case e.Workload == "istio-ingressgateway":
		return k.leastGateway
	case k.name == "ecds" && e.Workload == "productpage-v1":
		return 1
	default:
		return k.least
	}
}

// The bootstrap that meshlark gives is the one that istioctl prints, though the two write it in their own ways.
func TestBootstrapIsIstioctls(t *testing.T) {
	bodies := map[string]json.RawMessage{}
	for _, b := range items[[]json.RawMessage](t, cluster, "[jq([p.name, p.bootstrap()], '.[]') for p in proxies()]") {
		bodies[read[string](t, b[0])] = b[1]
	}
	for _, e := range mesh.Envoys() {
		t.Run(e.Workload, func(t *testing.T) {
			var printed struct{ Bootstrap json.RawMessage }
			out := istioctl(t, "proxy-config", "bootstrap", e.ID(), "--proxy-admin-port", strconv.Itoa(e.AdminPort), "-o", "json")
			if err := json.Unmarshal([]byte(out), &printed); err != nil {
				t.Fatal(err)
			}
			want := readBootstrap(t, printed.Bootstrap)
			direct := items[json.RawMessage](t, sources(e.Admin), "jq(proxies()[0].bootstrap(), '.')")
			if len(direct) != 1 || bodies[e.ID()] == nil {
				t.Fatalf("%d bootstraps by the Envoy itself and %d bytes through the cluster, want one of each", len(direct), len(bodies[e.ID()]))
			}
			for from, body := range map[string]json.RawMessage{e.Admin: direct[0], "the cluster": bodies[e.ID()]} {
				got := readBootstrap(t, body)
				if got.GetNode().GetId() == "" || len(got.GetStaticResources().GetClusters()) < 4 {
					t.Errorf("the bootstrap lacks what each has: %.2000s", body)
				}
				if diff := gocmp.Diff(want, got, protocmp.Transform()); diff != "" {
					t.Errorf("by %s (-istioctl +meshlark):\n%s", from, diff)
				}
			}
		})
	}
}

// readBootstrap reads a bootstrap, without the tokens: whether they are shown is not for a comparison.
func readBootstrap(t *testing.T, body json.RawMessage) *bootstrapv3.Bootstrap {
	t.Helper()
	b := &bootstrapv3.Bootstrap{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, b); err != nil {
		t.Fatalf("read a bootstrap: %v in %.2000s", err, body)
	}
	for _, service := range b.GetDynamicResources().GetAdsConfig().GetGrpcServices() {
		for _, header := range service.GetInitialMetadata() {
			header.Value = ""
		}
	}
	return b
}
