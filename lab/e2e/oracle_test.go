package e2e

import (
	"cmp"
	"encoding/json"
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

// What meshlark says of an Envoy is what istioctl prints of its dump, row by row. Where the two differ is written at each kind below; all of it is what
// istioctl leaves out of its tables, and nothing else is allowed.

// A kind is a table of istioctl proxy-config and how its rows come out of meshlark's fields.
type kind struct {
	name  string   // the command
	path  string   // of the admin interface, whose answer istioctl reads
	heads []string // of the table
	expr  string
	rows  func(t *testing.T, fields json.RawMessage) [][]string
	// least is how many rows the healthy mesh has at least, for a sidecar and a gateway.
	least, leastGateway int
	// table says that meshlark's own table has these columns too, in this order.
	table bool
	// none is what istioctl says, as an error or not, instead of an empty table.
	none string
}

const dump = "/config_dump?include_eds"

var kinds = []kind{
	{
		name: "cluster", path: dump, table: true, least: 27, leastGateway: 24,
		heads: []string{"SERVICE FQDN", "PORT", "SUBSET", "DIRECTION", "TYPE", "DESTINATION RULE"},
		expr:  "clusters()",
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
		name: "listener", path: dump, table: true, least: 28, leastGateway: 4,
		heads: []string{"ADDRESSES", "PORT", "MATCH", "DESTINATION"},
		expr:  "listeners()",
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
		name: "route", path: dump, least: 20, leastGateway: 5,
		heads: []string{"NAME", "VHOST NAME", "DOMAINS", "MATCH", "VIRTUAL SERVICE"},
		expr:  "routes()",
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
		name: "endpoint", path: "/clusters?format=json", least: 24, leastGateway: 21,
		heads: []string{"ENDPOINT", "STATUS", "OUTLIER CHECK", "CLUSTER"},
		expr:  "endpoints()",
		rows: func(t *testing.T, fields json.RawMessage) [][]string {
			e := read[struct{ Name, Health, Outlier, Cluster string }](t, fields)
			return [][]string{{e.Name, e.Health, e.Outlier, e.Cluster}}
		},
	},
	{
		name: "secret", path: dump, least: 2, leastGateway: 3,
		heads: []string{"RESOURCE NAME", "TYPE", "STATUS", "VALID CERT", "SERIAL NUMBER", "NOT AFTER", "NOT BEFORE"},
		expr:  `[s for state in ("active", "warming") for s in secrets(state=state)]`,
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
		name: "ecds", path: dump, none: "config dump has no configuration type type.googleapis.com/envoy.admin.v3.EcdsConfigDump",
		heads: []string{"ECDS NAME", "TYPE"},
		expr:  `[x for p in proxies() for x in p.extensions()]`,
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

// compare holds one kind of one Envoy to istioctl and gives the number of rows.
func (k kind) compare(t *testing.T, e *lab.Envoy) int {
	t.Helper()
	printed := runProgram(t, mesh.Istioctl, "--kubeconfig", mesh.Kubeconfig, "proxy-config", k.name, "-f", save(t, e, k.path))
	var want [][]string
	switch {
	case k.none != "" && strings.Contains(printed.stdout+printed.stderr, k.none):
	case printed.status != 0:
		t.Fatalf("istioctl proxy-config %s: exit status %d: %s", k.name, printed.status, printed.stderr)
	default:
		want = cells(t, printed.stdout, k.heads...)
	}
	var got [][]string
	for _, fields := range items[json.RawMessage](t, sources(e.Admin), k.expr) {
		got = append(got, k.rows(t, fields)...)
	}
	slices.SortFunc(want, slices.Compare)
	slices.SortFunc(got, slices.Compare)
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("rows of %s of %s (-istioctl +meshlark):\n%s", k.name, e.ID(), diff)
	}
	if k.table {
		lines := strings.Split(strings.TrimSuffix(ask(t, sources(e.Admin), k.expr, "-o", "table"), "\n"), "\n")[1:]
		if len(lines) != len(want) {
			t.Errorf("meshlark's table of %s of %s has %d rows, istioctl's %d", k.name, e.ID(), len(lines), len(want))
		}
		for _, row := range want {
			if !slices.ContainsFunc(lines, func(line string) bool { return inOrder(line, row) }) {
				t.Errorf("meshlark's table of %s of %s has no row with %q:\n%s", k.name, e.ID(), row, strings.Join(lines, "\n"))
			}
		}
	}
	return len(want)
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
	for _, e := range mesh.Envoys() {
		for _, k := range kinds {
			t.Run(e.Workload+"/"+k.name, func(t *testing.T) {
				least := k.least
				switch {
				case e.Workload == "istio-ingressgateway":
					least = k.leastGateway
				case k.name == "ecds" && e.Workload == "productpage-v1":
					least = 1
				}
				if n := k.compare(t, e); n < least {
					t.Errorf("istioctl prints %d rows, the mesh must have %d or more", n, least)
				}
			})
		}
	}
}

// The bootstrap that meshlark gives is the one that istioctl prints, though the two write it in their own ways.
func TestBootstrapIsIstioctls(t *testing.T) {
	for _, e := range mesh.Envoys() {
		t.Run(e.Workload, func(t *testing.T) {
			file := save(t, e, dump)
			var printed struct{ Bootstrap json.RawMessage }
			if err := json.Unmarshal([]byte(istioctl(t, "proxy-config", "bootstrap", "-f", file, "-o", "json")), &printed); err != nil {
				t.Fatal(err)
			}
			want, got := &bootstrapv3.Bootstrap{}, &bootstrapv3.Bootstrap{}
			if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(printed.Bootstrap, want); err != nil {
				t.Fatalf("read what istioctl printed: %v", err)
			}
			bodies := items[json.RawMessage](t, sources(e.Admin), "jq(proxies()[0].bootstrap(), '.')")
			if len(bodies) != 1 {
				t.Fatalf("%d bootstraps, want 1", len(bodies))
			}
			if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(bodies[0], got); err != nil {
				t.Fatalf("read meshlark's: %v in %.2000s", err, bodies[0])
			}
			if got.GetNode().GetId() == "" || len(got.GetStaticResources().GetClusters()) < 4 {
				t.Errorf("the bootstrap lacks what each has: %.2000s", bodies[0])
			}
			// Whether a token is shown is not for this comparison.
			for _, b := range []*bootstrapv3.Bootstrap{want, got} {
				for _, service := range b.GetDynamicResources().GetAdsConfig().GetGrpcServices() {
					for _, header := range service.GetInitialMetadata() {
						header.Value = ""
					}
				}
			}
			if diff := gocmp.Diff(want, got, protocmp.Transform()); diff != "" {
				t.Errorf("(-istioctl +meshlark):\n%s", diff)
			}
		})
	}
}
