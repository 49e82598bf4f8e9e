package syncz

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/xds/naming"
)

// recorded is where the answers of a real istiod are, oracle what istioctl printed of the same moment.
const (
	recorded = "../../mesh/source/istiod/testdata/recorded"
	oracle   = "../../mesh/source/istiod/testdata/istioctl"
)

func readFile(t testing.TB, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func read(t testing.TB, src []byte) []Client {
	t.Helper()
	clients, err := Read(src)
	if err != nil {
		t.Fatal(err)
	}
	return clients
}

func byID(clients []Client) map[string]*Client {
	out := map[string]*Client{}
	for i := range clients {
		out[clients[i].ProxyID] = &clients[i]
	}
	return out
}

var age = regexp.MustCompile(` \(\w+\)$`)

// TestAgreesWithIstioctl holds both forms against the tables istioctl printed.
func TestAgreesWithIstioctl(t *testing.T) {
	verbose := table(readFile(t, oracle, "proxy-status-v1.txt"))
	brief := table(readFile(t, oracle, "proxy-status.txt"))
	for _, form := range []string{"syncz.json", "xds-syncz.json"} {
		clients := byID(read(t, readFile(t, recorded, form)))
		if len(verbose) < 5 || len(clients) < len(verbose) {
			t.Fatalf("%s has %d clients, istioctl printed %d", form, len(clients), len(verbose))
		}
		for _, row := range verbose {
			c := clients[row["NAME"]]
			if c == nil {
				t.Errorf("%s: no %s", form, row["NAME"])
				continue
			}
			if c.ClusterID != row["CLUSTER"] || c.IstioVersion != row["VERSION"] {
				t.Errorf("%s: %s: cluster %q, version %q", form, c.ProxyID, c.ClusterID, c.IstioVersion)
			}
			if want := row["ISTIOD"]; form == "xds-syncz.json" && c.Istiod != want {
				t.Errorf("%s: %s: istiod %q, want %q", form, c.ProxyID, c.Istiod, want)
			}
			for _, short := range []string{"CDS", "ECDS", "EDS", "LDS", "RDS", "SDS"} {
				want := strings.ReplaceAll(age.ReplaceAllString(row[short], ""), "NOT SENT", "NOT_SENT")
				got := "IGNORED"
				if s, ok := c.Status(short); ok {
					got = string(s.Status)
					if s.SentAt.IsZero() != (s.Status == NotSent) {
						t.Errorf("%s: %s: %s %s was sent at %v", form, c.ProxyID, short, got, s.SentAt)
					}
				}
				if got != want {
					t.Errorf("%s: %s: %s is %s, want %s", form, c.ProxyID, short, got, want)
				}
			}
		}
		for _, row := range brief {
			var types []string
			for _, s := range clients[row["NAME"]].Types {
				types = append(types, s.Type)
			}
			if got := fmt.Sprintf("%d (%s)", len(types), strings.Join(types, ",")); got != row["SUBSCRIBED TYPES"] {
				t.Errorf("%s: %s: subscribed types %s, want %s", form, row["NAME"], got, row["SUBSCRIBED TYPES"])
			}
		}
	}
}

// table reads a table whose columns are two or more spaces apart.
func table(text []byte) []map[string]string {
	gap := regexp.MustCompile(`  +`)
	var head []string
	var rows []map[string]string
	for line := range strings.Lines(string(text)) {
		cells := gap.Split(strings.TrimRight(line, " \n"), -1)
		if head == nil {
			head = cells
			continue
		}
		row := map[string]string{}
		for i, cell := range cells {
			row[head[i]] = cell
		}
		rows = append(rows, row)
	}
	return rows
}

func TestFormsAgree(t *testing.T) {
	debug, xds := byID(read(t, readFile(t, recorded, "syncz.json"))), byID(read(t, readFile(t, recorded, "xds-syncz.json")))
	if len(xds) == 0 {
		t.Fatal("no clients")
	}
	for id, want := range debug {
		got := xds[id]
		if got == nil {
			// The XDS form has proxies only, not other gRPC clients.
			if want.Types == nil || !strings.Contains(id, "grpc") {
				t.Errorf("%s is in the debug form only", id)
			}
			continue
		}
		for _, w := range want.Types {
			g, ok := got.Status(w.Type)
			if !ok || g.Status != w.Status || g.Error != w.Error || g.TypeURL != w.TypeURL || !g.SentAt.Equal(w.SentAt) || !g.FailedAt.Equal(w.FailedAt) {
				t.Errorf("%s: %s\ndebug %+v\nXDS   %+v", id, w.Type, w, g)
			}
		}
		if len(got.Types) != len(want.Types) || got.Namespace != want.Namespace {
			t.Errorf("%s: debug %+v, XDS %+v", id, want, got)
		}
	}
}

func TestRecordedFaults(t *testing.T) {
	clients := byID(read(t, readFile(t, recorded, "syncz.json")))
	for id, want := range map[string]map[string]Status{
		"details-v1-79dfbd6fff-t7c5k.default":                {"CDS": Rejected, "LDS": Synced},
		"reviews-v1-598b896c9d-9bxvm.default":                {"CDS": Stale, "LDS": Stale, "RDS": Stale, "EDS": Stale},
		"istio-ingressgateway-6bd9cf7b6d-2nq8z.istio-system": {"SDS": NotSent},
		"reviews-grpc-client-5f6d7c8b9-w4x2p.default":        {"EDS": Stale},
		"productpage-v1-54bb874995-h4wzq.default":            {"ECDS": Synced},
	} {
		c := clients[id]
		if c == nil {
			t.Errorf("no %s", id)
			continue
		}
		for short, status := range want {
			s, ok := c.Status(short)
			if !ok || s.Status != status {
				t.Errorf("%s: %s is %q, want %q", id, short, s.Status, status)
			}
			if (s.Error != "") != (status == Rejected) || (s.SentNonce == "") != (status == NotSent) {
				t.Errorf("%s: %+v", id, s)
			}
			if byURL, _ := c.Status(s.TypeURL); byURL != s {
				t.Errorf("%s is not found by its URL", short)
			}
		}
	}
	if _, ok := clients["productpage-v1-54bb874995-h4wzq.default"].Status("SDS"); ok {
		t.Error("productpage watches no SDS, but has a status of it")
	}
	if kind := clients["istio-ingressgateway-6bd9cf7b6d-2nq8z.istio-system"].Type; kind != "router" {
		t.Errorf("the gateway's type is %q", kind)
	}
}

const (
	cds  = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	sds  = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
	ecds = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"
)

func TestForms(t *testing.T) {
	tests := map[string]struct {
		src  string
		want []string // ProxyID/namespace|type|cluster|version|istiod: type status...
	}{
		"nonces in fields": {
			`[{"cluster_id":"c","proxy":"a.n","proxy_type":"sidecar","istio_version":"1.18","cluster_sent":"1","cluster_acked":"1",
				"listener_sent":"2","listener_acked":"1","endpoint_sent":"3"}]`,
			[]string{"a.n/n|sidecar|c|1.18|: CDS SYNCED, LDS STALE, EDS STALE, RDS NOT_SENT"},
		},
		"nonces in fields, with extensions": {
			`[{"proxy":"a.n","cluster_sent":"1","cluster_acked":"1","extensionconfig_sent":"2"}]`,
			[]string{"a.n/n||||: CDS SYNCED, LDS NOT_SENT, EDS NOT_SENT, RDS NOT_SENT, ECDS STALE"},
		},
		"nonces in fields, acknowledged but not sent": {
			`[{"proxy":"a.n","pilot":"istiod-1","cluster_acked":"1"}]`,
			[]string{"a.n/n||||istiod-1: CDS NOT_SENT, LDS NOT_SENT, EDS NOT_SENT, RDS NOT_SENT"},
		},
		"no nonces at all": {`[{"proxy":"a.n"},{"proxy":"z.n","proxy_type":"ztunnel","cluster_sent":"x"}]`,
			[]string{"a.n/n||||: ", "z.n/n|ztunnel|||: CDS STALE"}},
		"no clients": {`[]`, nil},
		"null":       {`{}`, nil},
		"resources": {
			`[{"proxy":"a.n","cluster_sent":"ignored","resources":{"` + sds + `":{},"x.Y":{"sent":"1","acked":"1"},"` + ecds + `":{"sent":"2"},
				"` + cds + `":{"sent":"3","acked":"2","sentTime":"2026-11-23T00:21:21.5+01:00","lastError":"no"}}}]`,
			[]string{"a.n/n||||: CDS ERROR, ECDS STALE, SDS NOT_SENT, x.Y SYNCED"},
		},
		"internal-debug --all": {
			`{"istiod-1":[{"proxy":"a.n"}],"istiod-2":[{"proxy":"b.n"},{"proxy":"c.n"}],"istiod-3":[]}`,
			[]string{"a.n/n||||istiod-1: ", "b.n/n||||istiod-2: ", "c.n/n||||istiod-2: "},
		},
		"several documents": {
			`{"resources":[{"node":{"id":"a.n"}}],"controlPlane":{"identifier":"{\"ID\":\"istiod-1\"}"}}
			 {"resources":[{"node":{"id":"b.n"}}],"control_plane":{"identifier":"plain"}}
			 {"versionInfo":"1","controlPlane":{"identifier":"{\"ID\":\"istiod-3\"}"}}[{"proxy":"c.n"}]`,
			[]string{"a.n/n||||istiod-1: ", "b.n/n||||plain: ", "c.n/n||||: "},
		},
		"documents made an array": {
			`[{"resources":[{"node":{"id":"a.n"}}],"controlPlane":{"identifier":"{\"ID\":\"istiod-1\"}"}},{"resources":[]}]`,
			[]string{"a.n/n||||istiod-1: "},
		},
		"named resources": {`{"resources":[{"name":"a.n","resource":{"@type":"x","node":{"id":"a.n"}}}]}`, []string{"a.n/n||||: "}},
		"one client": {
			`{"node":{"id":"sidecar~1.2.3.4~a.n~n.svc.cluster.local","metadata":{"CLUSTER_ID":"c","NAMESPACE":"n","ISTIO_VERSION":"1.2"}},
			 "genericXdsConfigs":[{"typeUrl":"` + sds + `","configStatus":"SYNCED"},{"typeUrl":"` + cds + `","configStatus":"ERROR"},
			 {"typeUrl":"a","configStatus":"UNKNOWN"},{"typeUrl":"b"},{"typeUrl":"c","configStatus":"IGNORED"},{"typeUrl":"d","configStatus":3},{"typeUrl":"e","configStatus":"NEW"}]}`,
			[]string{"a.n/n|sidecar|c|1.2|: CDS ERROR, d STALE, e NEW, SDS SYNCED"},
		},
		"PerXdsConfig": {
			`{"config":[{"node":{"id":"a.n"},"xds_config":[{"status":"STALE","listener_config":{}},{"status":"SYNCED","clusterConfig":{}},
			 {"status":"NOT_SENT","route_config":{}},{"endpoint_config":{}},{"status":"SYNCED","scoped_route_config":{}},{"status":"SYNCED"}]}]}`,
			[]string{"a.n/n||||: CDS SYNCED, LDS STALE, RDS NOT_SENT"},
		},
		"both lists": {
			`[{"node":{"id":"a.n"},"xds_config":[{"status":"STALE","listener_config":{}}],"generic_xds_configs":[{"type_url":"` + cds + `","config_status":"SYNCED"}]}]`,
			[]string{"a.n/n||||: CDS SYNCED"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, c := range read(t, []byte(tt.src)) {
				var types []string
				for _, s := range c.Types {
					types = append(types, s.Type+" "+string(s.Status))
				}
				got = append(got, fmt.Sprintf("%s/%s|%s|%s|%s|%s: %s", c.ProxyID, c.Namespace, c.Type, c.ClusterID, c.IstioVersion, c.Istiod, strings.Join(types, ", ")))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTypeStatus(t *testing.T) {
	c := read(t, []byte(`[{"proxy":"a.n","resources":{"`+cds+`":{"sent":"3","acked":"2","sentTime":"2026-11-23T01:21:21.5+01:00","lastError":"no"},
		"`+sds+`":{"sentTime":"0001-01-01T00:00:00Z"}}}]`))[0]
	at := time.Date(2026, 11, 23, 0, 21, 21, 5e8, time.UTC)
	want := []TypeStatus{
		{TypeURL: cds, Type: "CDS", Status: Rejected, SentNonce: "3", AckedNonce: "2", SentAt: at, FailedAt: at, Error: "no"},
		{TypeURL: sds, Type: "SDS", Status: NotSent},
	}
	if diff := cmp.Diff(want, c.Types); diff != "" {
		t.Errorf("debug form (-want +got):\n%s", diff)
	}
	c = read(t, []byte(`{"node":{"id":"sidecar~1.2.3.4~a.n~n.svc.cluster.local"},"generic_xds_configs":[{"type_url":"`+cds+`","config_status":"ERROR",
		"last_updated":"2026-11-23T00:21:21.5Z","error_state":{"last_update_attempt":"2026-11-23T00:21:21.5Z","details":"no"}}]}`))[0]
	want = []TypeStatus{{TypeURL: cds, Type: "CDS", Status: Rejected, SentAt: at, FailedAt: at, Error: "no"}}
	if diff := cmp.Diff(want, c.Types); diff != "" || c.NodeID != "sidecar~1.2.3.4~a.n~n.svc.cluster.local" {
		t.Errorf("XDS form of %s (-want +got):\n%s", c.NodeID, diff)
	}
}

func TestReadConnections(t *testing.T) {
	full, err := ReadConnections(bytes.NewReader(readFile(t, recorded, "adsz.json")))
	if err != nil {
		t.Fatal(err)
	}
	brief, err := ReadConnections(bytes.NewReader(readFile(t, recorded, "connections.json")))
	if err != nil {
		t.Fatal(err)
	}
	if len(full) != len(brief) || len(full) < 5 {
		t.Fatalf("%d connections in detail, %d without", len(full), len(brief))
	}
	known := byID(read(t, readFile(t, recorded, "syncz.json")))
	for _, c := range full {
		i := slices.IndexFunc(brief, func(b Connection) bool { return b.ConnectionID == c.ConnectionID })
		if i < 0 {
			t.Errorf("%s is in the detailed form only", c.ConnectionID)
			continue
		}
		b := brief[i]
		if b.ConnectionID != c.ConnectionID || !b.ConnectedAt.Equal(c.ConnectedAt) || b.Address != c.Address || b.Metadata != nil {
			t.Errorf("%s differs: %v %s, in brief %v %s with metadata %s", c.ConnectionID, c.ConnectedAt, c.Address, b.ConnectedAt, b.Address, b.Metadata)
		}
		sync := known[c.ProxyID]
		if sync == nil || c.ConnectedAt.IsZero() {
			t.Errorf("connection %s of %q at %v is of no known client", c.ConnectionID, c.ProxyID, c.ConnectedAt)
			continue
		}
		id := naming.Subject(c.Metadata)
		if id.IstioVersion != sync.IstioVersion || id.ClusterID != sync.ClusterID || c.Locality != "region-a/zone-1" || c.Labels["app"] == "" {
			t.Errorf("%s: version %q, cluster %q, locality %q, labels %v", c.ProxyID, id.IstioVersion, id.ClusterID, c.Locality, c.Labels)
		}
	}
}

// Connections come one by one, however many there are and whatever they watch, and nobody's private material is kept.
func TestManyConnections(t *testing.T) {
	key := `-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\\n-----END PRIVATE KEY-----`
	var b strings.Builder
	b.WriteString(`{"totalClients":500,"clients":[`)
	for i := range 500 {
		fmt.Fprintf(&b, "%s{\"connectionId\": \"pod-%d.default-%d\",\n\"watches\": {\"cds\": [%s\"\"]}, \"labels\": {\"n\": \"%d\"}, \"metadata\": {\"NAME\": \"pod-%d\", \"KEY\": \"%s\"}}",
			strings.Repeat(",", min(i, 1)), i, i, strings.Repeat("\"outbound|80||a.b.svc.cluster.local\", ", 20), i, i, key)
	}
	text := b.String() + "]}\n"
	all, err := ReadConnections(iotest.HalfReader(strings.NewReader(text + text)))
	if err != nil || len(all) != 1000 {
		t.Fatalf("%d connections, %v", len(all), err)
	}
	for i, c := range all {
		n := fmt.Sprint(i % 500)
		if c.ProxyID != "pod-"+n+".default" || c.Labels["n"] != n || c.Metadata.Str("NAME") != "pod-"+n || strings.Contains(string(c.Metadata), "MIIE") {
			t.Fatalf("%d: %+v with metadata %s", i, c, c.Metadata)
		}
	}
	why := errors.New("cut off")
	if _, err := ReadConnections(io.MultiReader(strings.NewReader(text[:len(text)/2]), iotest.ErrReader(why))); !errors.Is(err, why) {
		t.Errorf("an answer that breaks off: error %v, want %v", err, why)
	}
}

// An error may quote what was rejected.
func TestPrivateErrors(t *testing.T) {
	key := `-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\\n-----END PRIVATE KEY-----`
	for _, text := range []string{
		`[{"proxy":"a.n","resources":{"type.googleapis.com/x":{"sent":"1","lastError":"bad: ` + key + `"}}}]`,
		`{"resources":[{"node":{"id":"sidecar~1.1.1.1~a.n~n.svc"},"generic_xds_configs":[{"type_url":"type.googleapis.com/x","config_status":"ERROR","error_state":{"details":"bad: ` + key + `"}}]}]}`,
	} {
		clients := read(t, []byte(text))
		if len(clients) != 1 || len(clients[0].Types) != 1 || !strings.Contains(clients[0].Types[0].Error, "bad") || strings.Contains(clients[0].Types[0].Error, "MIIE") {
			t.Errorf("got %+v", clients)
		}
	}
}

func TestProxyID(t *testing.T) {
	for id, want := range map[string]string{"a-b.n-12": "a-b.n", "a.n": "a.n", "a.n-": "a.n-", "a.n-x1": "a.n-x1", "": "", "-1": ""} {
		if got := proxyID(id); got != want {
			t.Errorf("proxyID(%q) = %q, want %q", id, got, want)
		}
	}
}

func TestErrors(t *testing.T) {
	status := func(b []byte) error { _, err := Read(b); return err }
	conns := func(b []byte) error { _, err := ReadConnections(bytes.NewReader(b)); return err }
	tests := []struct {
		read func([]byte) error
		src  string
		want string
	}{
		{status, "", "read istiod's sync status: at offset 0: the body is empty"},
		{status, "\n<html>\n", `at offset 1: not JSON: it starts with "<html>"`},
		{status, "You must provide a proxyID in the query string", `at offset 0: not JSON: it starts with "You must`},
		{status, `[{"proxy":"a"}`, "at offset 14: invalid JSON: "},
		{status, `[] [{"proxy":}]`, "at offset 13: invalid JSON: "},
		{status, `[] x`, `at offset 3: not JSON: it starts with "x"`},
		{status, `[{"a":1}]`, `at offset 0: not a sync status document: its fields are "a"`},
		{status, `[1]`, `it has the element "1"`},
		{status, `[] {"configs":{}}`, `at offset 3: not a sync status document: its fields are "configs"`},
		{status, `{"configs":[{"@type":"x"}]}`, `not a sync status document: its fields are "@type"`},
		{conns, "", "read istiod's connections: at offset 0: the body is empty"},
		{conns, `[]`, `not a connections document: it has the element "[]"`},
		{conns, `{}`, `not a connections document: it has no fields`},
		{conns, `{"clients":[{"a":1}]}`, `not a connections document: its fields are "a"`},
		{conns, `{"totalClients":1,"clients":[`, "at offset 29: invalid JSON: "},
	}
	for _, tt := range tests {
		err := tt.read([]byte(tt.src))
		var se *Error
		if !errors.As(err, &se) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q:\n got %v\nwant %s", tt.src, err, tt.want)
		}
	}
	if got, err := ReadConnections(strings.NewReader(`{"totalClients":0}`)); err != nil || len(got) != 0 {
		t.Errorf("no connections: %v, %v", got, err)
	}
}

func TestTruncated(t *testing.T) {
	for _, file := range []string{"syncz.json", "xds-syncz.json", "adsz.json"} {
		src := bytes.TrimSpace(readFile(t, recorded, file))
		read := func(b []byte) error { _, err := Read(b); return err }
		if file == "adsz.json" {
			read = func(b []byte) error { _, err := ReadConnections(bytes.NewReader(b)); return err }
		}
		for n := 1; n < len(src); n += 1 + len(src)/200 {
			var se *Error
			if err := read(src[:n]); !errors.As(err, &se) || se.Offset > int64(n) {
				t.Fatalf("%s cut after %d bytes: %v", file, n, err)
			}
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{
		`[{"proxy":"a.n","resources":{"x":{"sent":"1","acked":"1","sentTime":"2026-11-23T00:21:21Z","lastError":"e"}}}]`,
		`[{"proxy":"a.n","cluster_sent":"1"}] {"i":[{"proxy":"b"}]}`,
		`{"resources":[{"resource":{"node":{"id":"a~b~c.d~e"},"xds_config":[{"status":1,"listener_config":{}}]}}],"control_plane":{"identifier":"{"}}`,
		`{"clients":[{"connectionId":"a.n-1","labels":{"a":"b"},"watches":{"t":["n"]},"locality":{"region":"r"}}]}`,
		`[[[`, `<html>`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		clients, err := Read(src)
		checkError(t, src, err)
		for i := range clients {
			for _, s := range clients[i].Types {
				if s.Status == "" || s.Status == "UNKNOWN" {
					t.Errorf("status %q of %q", s.Status, src)
				}
				clients[i].Status(s.Type)
			}
		}
		_, err = ReadConnections(bytes.NewReader(src))
		checkError(t, src, err)
	})
}

func checkError(t *testing.T, src []byte, err error) {
	t.Helper()
	var se *Error
	if err != nil && (!errors.As(err, &se) || se.Offset < 0 || se.Offset > int64(len(src)) || se.Reason == "") {
		t.Fatalf("error %v for %q", err, src)
	}
}
