package admin

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/xds/resource"
)

func TestReadServerInfo(t *testing.T) {
	s, err := ReadServerInfo(readFile(t, recorded, "server_info.json"))
	if err != nil {
		t.Fatal(err)
	}
	if s.EnvoyVersion != "1.40.0" || !strings.HasSuffix(s.Version, "/1.40.0/Clean/RELEASE/BoringSSL") || s.State != "LIVE" || s.HotRestartVersion != "disabled" {
		t.Errorf("read %q %q %q %q", s.Version, s.EnvoyVersion, s.State, s.HotRestartVersion)
	}
	if n, _ := s.CommandLine.Get("concurrency").Uint(); n != 1 {
		t.Errorf("concurrency %d", n)
	}
	if s.Node.Str("id") == "" {
		t.Error("no node id")
	}
	s, err = ReadServerInfo([]byte(`{"version":"a/1.2.3-dev/x","uptimeCurrentEpoch":"90.5s","uptime_all_epochs":"86400s"}`))
	if err != nil {
		t.Fatal(err)
	}
	if s.Uptime != 90*time.Second+500*time.Millisecond || s.UptimeAllEpochs != 24*time.Hour || s.EnvoyVersion != "1.2.3-dev" || s.State != "LIVE" {
		t.Errorf("read %+v", s)
	}
}

func TestReadCerts(t *testing.T) {
	contexts, err := ReadCerts(readFile(t, recorded, "certs.json"))
	if err != nil {
		t.Fatal(err)
	}
	chains := map[string]Certificate{}
	for _, c := range contexts {
		for _, cert := range c.CertChain {
			if cert.Expiration.Sub(cert.ValidFrom) <= 0 || cert.Path != "<inline>" {
				t.Errorf("certificate %+v", cert)
			}
			for _, san := range cert.SANs {
				chains[san.Type+" "+san.Value] = cert
			}
		}
	}
	if c, ok := chains["dns bookinfo.example.com"]; !ok || c.DaysUntilExpiration != "0" || c.SerialNumber != "1006" {
		t.Errorf("the expired certificate: %+v", c)
	}
	if c, ok := chains["uri spiffe://cluster.local/ns/default/sa/bookinfo-productpage"]; !ok || c.DaysUntilExpiration == "0" {
		t.Errorf("the workload's certificate: %+v", c)
	}

	const src = `{"certificates":[{},{"ca_cert":[{"serial_number":"4e2e","subject_alt_names":[{"dns":"a"},{"ip_address":"10.0.0.1"},{"uri":"u"}],
		"days_until_expiration":"18446744073709551615","valid_from":"2026-11-23T00:26:05.5Z","expiration_time":"2026-12-23T01:26:05+01:00",
		"ocsp_details":{"valid_from":"2026-11-23T00:00:00Z","expiration":"2026-11-24T00:00:00Z"}}]}]}`
	contexts, err = ReadCerts([]byte(src))
	if err != nil {
		t.Fatal(err)
	}
	raw := contexts[1].CACert[0].Raw
	if !strings.HasPrefix(string(raw), `{"serial_number":"4e2e",`) {
		t.Errorf("the certificate as it was sent: %s", raw)
	}
	want := []TLSContext{{}, {CACert: []Certificate{{
		Raw: raw, SerialNumber: "4e2e", SANs: []SAN{{"dns", "a"}, {"ip_address", "10.0.0.1"}, {"uri", "u"}}, DaysUntilExpiration: "18446744073709551615",
		ValidFrom: time.Date(2026, 11, 23, 0, 26, 5, 5e8, time.UTC), Expiration: time.Date(2026, 12, 23, 0, 26, 5, 0, time.UTC),
		OCSP: &OCSP{time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)},
	}}}}
	if diff := cmp.Diff(want, contexts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReadStatsRecorded(t *testing.T) {
	zipped, err := gzip.NewReader(bytes.NewReader(readFile(t, recorded, "stats.json.gz")))
	if err != nil {
		t.Fatal(err)
	}
	src, err := io.ReadAll(zipped)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ReadStats(src)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]Stat{}
	for _, v := range s.Values {
		values[v.Name] = v
	}
	// Nothing may be lost: every element but that of the histograms has a name.
	if want := bytes.Count(src, []byte(`"name":`)) - len(s.Histograms); len(s.Values) != want || want < 1000 {
		t.Errorf("%d statistics and %d histograms, want %d of the former", len(s.Values), len(s.Histograms), want)
	}
	if v := values["cluster_manager.cds.version_text"]; v.Number != "" || v.Text == "" {
		t.Errorf("text readout %+v", v)
	}
	if v := values["control_plane.identifier"]; v != (Stat{Name: "control_plane.identifier"}) {
		t.Errorf("empty text readout %+v", v)
	}
	if n, ok := values["server.live"].Number.Uint(); n != 1 || !ok {
		t.Errorf("server.live is %+v", values["server.live"])
	}
	var start Histogram
	for _, h := range s.Histograms {
		if len(h.Quantiles) != 10 {
			t.Errorf("%s has the quantiles %v", h.Name, h.Quantiles)
		}
		if h.Name == "server.initialization_time_ms" {
			start = h
		}
	}
	if start.Name == "" || start.Quantiles[7].Percent != "99.5" || start.Quantiles[9].Cumulative == "" {
		t.Errorf("start-up time %+v", start)
	}
}

func TestReadStatsForms(t *testing.T) {
	tests := map[string]struct {
		src  string
		want Stats
	}{
		"values": {
			`{"stats":[{"name":"a","value":18446744073709551615},{"name":"b","value":"text"},{"name":"c","value":-1},{"name":"","value":0},{"new":1}]}`,
			Stats{Values: []Stat{{"a", "18446744073709551615", ""}, {"b", "", "text"}, {"c", "-1", ""}, {"", "0", ""}}},
		},
		"quantiles": {
			`{"stats":[{"histograms":{"supported_quantiles":[0,99.5],"computed_quantiles":[
				{"name":"h","values":[{"interval":null,"cumulative":1.05},{"interval":2e3,"cumulative":null}]},{"name":"i","values":[{},{},{}]}]}}]}`,
			Stats{Histograms: []Histogram{
				{Name: "h", Quantiles: []Quantile{{"0", "", "1.05"}, {"99.5", "2e3", ""}}},
				{Name: "i", Quantiles: []Quantile{{"0", "", ""}, {"99.5", "", ""}}},
			}},
		},
		"buckets": {
			`{"stats":[{"name":"a","value":1},{"histograms":[{"name":"h","buckets":[{"upper_bound":3e+05,"interval":1,"cumulative":2}]}]}]}`,
			Stats{Values: []Stat{{"a", "1", ""}}, Histograms: []Histogram{{Name: "h", Buckets: []Bucket{{"3e+05", "1", "2"}}}}},
		},
		"detailed": {
			`{"stats":[{"histograms":{"supported_percentiles":[50],"details":[{"name":"h","totals":[{"lower_bound":11,"width":1,"count":3}],
				"intervals":[],"percentiles":[{"cumulative":11.5,"interval":null}]}]}}]}`,
			Stats{Histograms: []Histogram{{Name: "h", Totals: []Bin{{"11", "1", "3"}}, Quantiles: []Quantile{{"50", "", "11.5"}}}}},
		},
		"nothing matched": {`{"stats":[]}`, Stats{}},
		"odd shapes":      {`{"stats":[1,null,{"histograms":3},{"histograms":{"computed_quantiles":{}}},{"histograms":null}]}`, Stats{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ReadStats([]byte(tt.src))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, *got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestNumber(t *testing.T) {
	if n, ok := Number("18446744073709551615").Uint(); !ok || n != 1<<64-1 {
		t.Errorf("Uint gave %d, %v", n, ok)
	}
	for _, n := range []Number{"", "-1", "1.5", "18446744073709551616"} {
		if _, ok := n.Uint(); ok {
			t.Errorf("Uint took %q", n)
		}
	}
	if f, ok := Number("3e+05").Float(); !ok || f != 300000 {
		t.Errorf("Float gave %v, %v", f, ok)
	}
	if _, ok := Number("").Float(); ok {
		t.Error("Float took an empty number")
	}
}

// readers are all readers of this package by the path they read.
var readers = map[string]func([]byte) error{
	clustersPath:   func(b []byte) error { _, err := ReadClusters(bytes.NewReader(b), resource.NewStore()); return err },
	serverInfoPath: func(b []byte) error { _, err := ReadServerInfo(b); return err },
	certsPath:      func(b []byte) error { _, err := ReadCerts(b); return err },
	statsPath:      func(b []byte) error { _, err := ReadStats(b); return err },
}

func TestErrors(t *testing.T) {
	tests := []struct {
		path, src string
		want      string
	}{
		{clustersPath, "", "at offset 0: the body is empty"},
		{statsPath, " \n", "at offset 0: the body is empty"},
		{clustersPath, "outbound|80||a::observability_name::x\nb::y", `at offset 0: text, not JSON: it starts with "outbound|80||a::observability_name::x"; ` +
			`save it again with format=json in the query (/clusters?format=json)`},
		{statsPath, "a.b: 1\n", `text, not JSON: it starts with "a.b: 1"; save it again with format=json`},
		{certsPath, "\n<!DOCTYPE html>\n<html>", `at offset 1: not JSON: it starts with "<!DOCTYPE html>"`},
		{statsPath, "<html>", `at offset 0: not JSON: it starts with "<html>"`},
		{clustersPath, "upstream connect error or disconnect/reset", `it starts with "upstream connect error`},
		{clustersPath, `{"cluster_statuses": [{"name":"a"}`, "at offset 34: invalid JSON: "},
		{clustersPath, `{"cluster_statuses": [}]`, "at offset 22: invalid JSON: "},
		{clustersPath, `{"cluster_statuses": []} {}`, "at offset 25: invalid JSON: "},
		{clustersPath, `{"cluster_statuses": {}}`, "cluster_statuses is not an array"},
		{clustersPath, `{"configs": []}`, `no cluster_statuses: this is some other document, its fields are "configs"`},
		{clustersPath, `{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1}`, `its fields are "a", "b", "c", "d", "e", ...`},
		{clustersPath, `[{"address":{}}]`, `no cluster status (it has no name): {"address":{}}`},
		{clustersPath, `{"cluster_statuses":[7]}`, `no cluster status (it has no name): 7`},
		{certsPath, `[]`, "an array, want an object with certificates"},
		{serverInfoPath, `{"configs":[]}`, "no version: this is some other document"},
		{serverInfoPath, `{"version":"\x01"}`, "at offset 12: invalid JSON: "},
		{certsPath, "{\"certificates\":[{\"ca_cert\":[{\"path\":\"\xff\"}]}]}", "at offset 38: invalid JSON: "},
	}
	for _, tt := range tests {
		err := readers[tt.path]([]byte(tt.src))
		var ae *Error
		if !errors.As(err, &ae) || ae.Path != tt.path || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s of %q:\n got %v\nwant %s", tt.path, tt.src, err, tt.want)
		}
	}
	for _, name := range []string{"clusters.txt", "error-path.txt", "error-mask.txt"} {
		if err := readers[clustersPath](readFile(t, recorded, name)); err == nil || !strings.Contains(err.Error(), "format=json") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for path, read := range readers {
		if err := read([]byte(" {} \n")); err != nil && path != serverInfoPath {
			t.Errorf("%s: Envoy leaves out what is empty, but {} gives %v", path, err)
		}
	}
}

func TestTruncated(t *testing.T) {
	for path, file := range map[string]string{clustersPath: "clusters.json", certsPath: "certs.json"} {
		src := bytes.TrimSpace(readFile(t, recorded, file))
		for n := 1; n < len(src); n += 1 + len(src)/200 {
			var ae *Error
			if err := readers[path](src[:n]); !errors.As(err, &ae) || ae.Offset > int64(n) {
				t.Fatalf("%s cut after %d bytes: %v", path, n, err)
			}
		}
	}
}

func FuzzClusters(f *testing.F) {
	f.Add(readFile(f, "testdata/clusters.json"))
	f.Add([]byte(`[{"name":"c","hostStatuses":[{"stats":[{"name":"a","value":"1"}],"healthStatus":{"edsHealthStatus":1,"x":true}}]}]`))
	f.Add([]byte(`{"cluster_statuses":[{"name":"c","name":"d","success_rate_ejection_threshold":{"value":"01"},"host_statuses":[1,{}]}]}`))
	f.Fuzz(func(t *testing.T, src []byte) {
		list, err := ReadClusters(bytes.NewReader(src), resource.NewStore())
		checkError(t, src, err)
		for _, c := range list {
			canonical(t, c.Raw())
			c.Limits()
			for _, h := range c.Hosts {
				canonical(t, h.Raw())
				h.Cell()
				h.Stats()
				h.Health().Coarse()
			}
		}
	})
}

func FuzzAnswers(f *testing.F) {
	for _, s := range []string{
		`{"certificates":[{"ca_cert":[{"subject_alt_names":[{"dns":"a"}],"days_until_expiration":"1","ocsp_details":{}}]}]}`,
		`{"stats":[{"name":"a","value":1},{"histograms":{"supported_quantiles":[0],"computed_quantiles":[{"name":"h","values":[{"interval":null}]}]}}]}`,
		`{"stats":[{"histograms":[{"name":"h","buckets":[{"upper_bound":1}]}]}]}`,
		`{"listener_statuses":[{"name":"a","local_address":{"pipe":{"path":"p"}},"additional_local_addresses":[{}]}]}`,
		`{"version":"a/1.2.3/b","uptime_current_epoch":"1s","node":{"id":"x"}}`,
		"<html>", "a: 1", "",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		for path, read := range readers {
			if path != clustersPath {
				checkError(t, src, read(src))
			}
		}
	})
}

func checkError(t *testing.T, src []byte, err error) {
	t.Helper()
	var ae *Error
	if err != nil && (!errors.As(err, &ae) || ae.Offset < 0 || ae.Offset > int64(len(src)) || ae.Reason == "") {
		t.Fatalf("error %v for %q", err, src)
	}
}
