package dump

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/xds/resource"
)

var update = flag.Bool("update", false, "write the golden files anew")

// envoy reads an answer of the recorded Envoy.
func envoy(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "envoy-1.40", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func split(t testing.TB, store *resource.Store, text []byte, o Options) *Dump {
	t.Helper()
	d, err := Split(store, text, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// summary lists what a dump holds, a line each.
func summary(t testing.TB, d *Dump) string {
	var b strings.Builder
	for _, s := range d.Sections() {
		fmt.Fprintf(&b, "section %s\n", s)
	}
	kinds := resource.Kinds[:]
	for k := range d.kinds {
		if !slices.Contains(kinds, k) {
			kinds = append(slices.Clip(kinds), k)
		}
	}
	for _, kind := range kinds {
		if d.Has(kind) && len(d.Resources(kind)) == 0 {
			fmt.Fprintf(&b, "%s: none\n", kind)
		}
		for _, r := range d.Resources(kind) {
			body, err := r.Body()
			if err != nil {
				t.Errorf("%s %s: %v", r.Kind(), r.Name(), err)
			}
			fmt.Fprintf(&b, "%s %q %s", r.Kind(), r.Name(), r.State())
			if v := r.VersionInfo(); v != "" {
				fmt.Fprintf(&b, " version %s", v)
			}
			if !r.LastUpdated().IsZero() {
				b.WriteString(" updated")
			}
			if s := r.ClientStatus(); s != "" {
				fmt.Fprintf(&b, " %s", s)
			}
			fmt.Fprintf(&b, " %s", shortType(body.TypeURL()))
			if f := r.Failure(); f != nil {
				fmt.Fprintf(&b, " rejected %q version %q attempt %v %s", f.Details, f.VersionInfo, !f.LastAttempt.IsZero(), shortType(f.Failed.TypeURL()))
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

func TestEnvoyDump(t *testing.T) {
	for _, file := range []string{
		"config_dump.json",
		"name_regex.json",
		"mask-bootstrap-node-id.json",
		"mask-cluster-names.json",
		"mask-cluster-version.json",
		"resource-dynamic_active_clusters.json",
		"resource-dynamic_endpoint_configs.json",
		"resource-dynamic_listeners.json",
		"resource-ecds_filters.json",
		"resource-no-cluster.json",
	} {
		t.Run(file, func(t *testing.T) {
			got := summary(t, split(t, resource.NewStore(), envoy(t, file), Options{Source: file}))
			// Envoy lists some resources in the order of a hash map.
			lines := strings.SplitAfter(got, "\n")
			slices.Sort(lines)
			got = strings.Join(lines, "")
			golden := filepath.Join("testdata", "golden", strings.TrimSuffix(file, ".json")+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestSharedBodies: a resource is one body, however it was asked for.
func TestSharedBodies(t *testing.T) {
	store := resource.NewStore()
	whole := split(t, store, envoy(t, "config_dump.json"), Options{})
	if err := whole.Settle(); err != nil {
		t.Fatal(err)
	}
	before, size := store.Stats()
	if before == 0 || size == 0 {
		t.Fatal("nothing is stored")
	}
	for _, file := range []string{"resource-dynamic_active_clusters.json", "resource-dynamic_listeners.json", "resource-one-cluster.json"} {
		if err := split(t, store, envoy(t, file), Options{}).Settle(); err != nil {
			t.Fatal(err)
		}
	}
	spaced := bytes.ReplaceAll(envoy(t, "config_dump.json"), []byte("\n"), []byte("\r\n\t"))
	again := split(t, store, spaced, Options{})
	if err := again.Settle(); err != nil {
		t.Fatal(err)
	}
	if bodies, bytes := store.Stats(); bodies != before || bytes != size {
		t.Errorf("%d bodies of %d bytes became %d of %d", before, size, bodies, bytes)
	}
	a, b := whole.Resources(resource.Cluster), again.Resources(resource.Cluster)
	for i := range a {
		x, _ := a[i].Body()
		y, _ := b[i].Body()
		if x != y {
			t.Errorf("%s has two bodies", a[i].Name())
		}
	}
}

func TestNode(t *testing.T) {
	d := split(t, resource.NewStore(), envoy(t, "config_dump.json"), Options{})
	id, metadata := d.Node()
	if id != "sidecar~10.0.0.5~productpage-v1-abc.default~default.svc.cluster.local" || metadata.Str("NAME") != "productpage-v1-abc" {
		t.Errorf("node %q, metadata %s", id, metadata)
	}
	if b := d.Bootstrap(); b == nil || b.State() != resource.Static || b.LastUpdated().IsZero() {
		t.Errorf("bootstrap %v", b)
	}
	d = split(t, resource.NewStore(), []byte(`{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.BootstrapConfigDump"}]}`), Options{})
	if id, metadata := d.Node(); id != "" || metadata != nil || d.Bootstrap() != nil || !d.Has(resource.Bootstrap) {
		t.Errorf("an empty bootstrap gives node %q, %s", id, metadata)
	}
}

const anyConfig = `{"@type":"type.googleapis.com/envoy.config.`

// shapes are those that a dump may come in.
var shapes = []struct{ name, in, want string }{
	{"empty object", ` {} `, ""},
	{"empty array", `[]`, ""},
	{"no configs", `{"configs":[]}`, ""},
	{"null configs", `{"configs":null}`, ""},
	{"byte order mark", "\xef\xbb\xbf{\"configs\":[]}", ""},
	{"flat list of types", `{"configs":[` + anyConfig + `cluster.v3.Cluster","name":"a"},{"@type":"type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment","cluster_name":"b"},{"@type":"type.googleapis.com/istio.workload.Address","service":{}}]}`,
		"section envoy.config.cluster.v3.Cluster\nsection envoy.config.endpoint.v3.ClusterLoadAssignment\nsection istio.workload.Address\n" +
			"cluster \"a\" active envoy.config.cluster.v3.Cluster\nendpoint \"b\" active envoy.config.endpoint.v3.ClusterLoadAssignment\ntype.googleapis.com/istio.workload.Address \"\" active istio.workload.Address\n"},
	{"unknown section", `{"configs":[{"@type":"type.googleapis.com/envoy.admin.v4.NewConfigDump","new":[{"name":"x"}]}]}`,
		"section envoy.admin.v4.NewConfigDump\ntype.googleapis.com/envoy.admin.v4.NewConfigDump \"\" active envoy.admin.v4.NewConfigDump\n"},
	{"element by request", `{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.ClustersConfigDump.DynamicCluster","cluster":{"name":"a"}}]}`,
		"section envoy.admin.v3.ClustersConfigDump.DynamicCluster\ncluster \"a\" active \n"},
	{"istioctl clusters", `[{"name":"a","type":"EDS","connectTimeout":"10s"},{"name":"b","lbPolicy":"RANDOM"}]`,
		"cluster \"a\" active \ncluster \"b\" active \n"},
	{"istioctl listeners and routes", `[{"name":"l","trafficDirection":"OUTBOUND"},{"name":"r","virtualHosts":[]}]`,
		"listener \"l\" active \nroute_config \"r\" active \n"},
	{"istioctl secrets", `{"dynamicActiveSecrets":[{"name":"default","versionInfo":"1","lastUpdated":"2026-11-20T10:00:00Z","secret":` + anyConfig + `x.Secret","name":"default"}}]}`,
		"section envoy.admin.v3.SecretsConfigDump\nsecret \"default\" active version 1 updated envoy.config.x.Secret\n"},
	{"one inner proto", `{"name":"a","virtual_hosts":[]}`, "route_config \"a\" active \n"},
	{"one section", `{"@type":"type.googleapis.com/envoy.admin.v3.RoutesConfigDump","static_route_configs":[{"route_config":{"name":"a"}},{"route_config":{"name":"a"}}]}`,
		"section envoy.admin.v3.RoutesConfigDump\nroute_config \"a\" static \nroute_config \"a\" static \n"},
	{"type after the lists", `{"configs":[{"dynamicActiveClusters":[{"cluster":{"name":"a"}}],"@type":"type.googleapis.com/envoy.admin.v3.ClustersConfigDump"}]}`,
		"section envoy.admin.v3.ClustersConfigDump\ncluster \"a\" active \n"},
	{"istiod's nameless secret", `{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.SecretsConfigDump","dynamic_active_secrets":[{"secret":{"name":"inner"}}]}]}`,
		"section envoy.admin.v3.SecretsConfigDump\nsecret \"inner\" active \n"},
	{"rejected cluster", `{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.ClustersConfigDump","dynamic_active_clusters":[{"version_info":"1","cluster":{"name":"a"},"error_state":{"details":"bad","version_info":"2","last_update_attempt":"2026-11-20T10:00:00Z"},"client_status":"NACKED"}]}]}`,
		"section envoy.admin.v3.ClustersConfigDump\ncluster \"a\" active version 1 NACKED \ncluster \"a\" error version 2 NACKED  rejected \"bad\" version \"2\" attempt true \n"},
	{"all states of a listener", `{"@type":"type.googleapis.com/envoy.admin.v3.ListenersConfigDump","dynamic_listeners":[{"name":"l","draining_state":{"version_info":"0","listener":{"name":"l"}},"warming_state":{"version_info":"2","listener":{"name":"l"}},"active_state":{"version_info":"1","listener":{"name":"l"}},"error_state":{"details":"x"}}]}`,
		"section envoy.admin.v3.ListenersConfigDump\nlistener \"l\" active version 1 \nlistener \"l\" warming version 2 \nlistener \"l\" draining version 0 \nlistener \"l\" error  rejected \"x\" version \"\" attempt false \n"},
	{"escaped name and duplicate key", `{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.ClustersConfigDump","static_clusters":[{"cluster":{"name":"x","n\u0061me":"\u0061|b"}}]}]}`,
		"section envoy.admin.v3.ClustersConfigDump\ncluster \"a|b\" static \n"},
	{"section without lists", `{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.EndpointsConfigDump"}]}`,
		"section envoy.admin.v3.EndpointsConfigDump\nendpoint: none\n"},
	{"egctl, one pod", `{"ns":{"pod":{"configDump":{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.ClustersConfigDump","staticClusters":[{"cluster":{"name":"a"}}]}]}}}}`,
		"section envoy.admin.v3.ClustersConfigDump\ncluster \"a\" static \n"},
}

// TestShapes reads every shape.
func TestShapes(t *testing.T) {
	for _, test := range shapes {
		t.Run(test.name, func(t *testing.T) {
			d, err := Split(resource.NewStore(), []byte(test.in), Options{Source: "x.json"})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, summary(t, d)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestMany(t *testing.T) {
	one := `{"configDump":{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.ClustersConfigDump","staticClusters":[{"cluster":{"name":"a"}}]}]}}`
	text := []byte(`{"ns1":{"pod1":` + one + `,"pod2":` + one + `},"ns2":{"pod3":` + one + `}}`)
	all, err := SplitAll(resource.NewStore(), text, Options{})
	if err != nil || len(all) != 3 {
		t.Fatalf("%d dumps, %v", len(all), err)
	}
	for i, want := range []string{"ns1/pod1", "ns1/pod2", "ns2/pod3"} {
		if got := all[i].Namespace + "/" + all[i].Pod; got != want || len(all[i].Dump.Resources(resource.Cluster)) != 1 {
			t.Errorf("dump %d is %s with %d clusters", i, got, len(all[i].Dump.Resources(resource.Cluster)))
		}
	}
	if _, err := Split(resource.NewStore(), text, Options{Source: "all.json"}); err == nil || !strings.Contains(err.Error(), "3 proxies") {
		t.Errorf("Split of three dumps: %v", err)
	}
}

// refused are texts that are no dumps.
var refused = []struct {
	in     string
	offset int64
	want   string
}{
	{"", 0, "config dump x.json: it is empty"},
	{" \n ", 3, "config dump x.json: it is empty"},
	{"Failed to convert protobuf message to JSON string: bad\nmore", 0, `want a JSON object or array, got "Failed to convert protobuf message to JSON string: bad"`},
	{"<html><body>502</body></html>", 0, `got "<html><body>502</body></html>"`},
	{"null", 0, `got "null"`},
	{`{"configs":[]} trailing`, 15, `'t' after the end of the dump`},
	{"{\"configs\":[]}\n{\"configs\":[]}", 15, `offset 15 (line 2, column 1): '{' after the end of the dump`},
	{`{"configs":[`, 12, "unexpected end"},
	{`{"configs":[{"@type":"x`, 21, "string that is never closed"},
	{`{"configs":[{"@type":"a/b","c":{"d":[1,2}`, 41, "is not closed"},
	{`{"configs":[1]}`, 12, "want an object"},
	{`{"configs" []}`, 11, "want ':' after the key"},
	{`{"configs":[{"bootstrap":{}} {}]}`, 29, `want ',' or ']'`},
	{`{configs:[]}`, 1, "want a quoted key"},
	{`{"a":1}`, 0, "neither a config dump nor a resource"},
	{`{"configs":[{"x":"y"}]}`, 12, "neither a config dump nor a resource"},
}

// TestRefused: what is no dump is refused with its place and the reason.
func TestRefused(t *testing.T) {
	for _, test := range refused {
		_, err := Split(resource.NewStore(), []byte(test.in), Options{Source: "x.json"})
		var e *Error
		if !errors.As(err, &e) || e.Offset != test.offset || e.Source != "x.json" || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%.60q: got %v\nwant offset %d: %s", test.in, err, test.offset, test.want)
		}
	}
}

// TestBadBody: a fault inside a body shows when the body is touched, with its place in the whole text.
func TestBadBody(t *testing.T) {
	text := []byte("{\"configs\":[{\"@type\":\"type.googleapis.com/envoy.admin.v3.ClustersConfigDump\",\"static_clusters\":[\n{\"cluster\":{\"name\":\"a\",\"x\":\"\xff\"}},{\"cluster\":{\"name\":\"b\"}}]}]}")
	d := split(t, resource.NewStore(), text, Options{Source: "x.json"})
	clusters := d.Resources(resource.Cluster)
	_, err := clusters[0].Body()
	var e *Error
	if !errors.As(err, &e) || int(e.Offset) != bytes.IndexByte(text, 0xff) || e.Line != 2 || !strings.Contains(err.Error(), "UTF-8") {
		t.Errorf("got %v", err)
	}
	if _, err := clusters[1].Body(); err != nil {
		t.Error(err)
	}
	if err := d.Settle(); !errors.As(err, &e) {
		t.Errorf("Settle: %v", err)
	}
	if _, err := clusters[0].Raw(); !errors.As(err, &e) || e.Line != 2 {
		t.Errorf("after Settle: %v", err)
	}
}

func TestDeep(t *testing.T) {
	nest := func(n int) []byte {
		return []byte(`{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.ClustersConfigDump","static_clusters":[{"cluster":{"name":"a","x":` +
			strings.Repeat(`[`, n) + strings.Repeat(`]`, n) + `}}]}]}`)
	}
	d := split(t, resource.NewStore(), nest(200), Options{})
	if _, err := d.Resources(resource.Cluster)[0].Body(); err != nil {
		t.Error(err)
	}
	d = split(t, resource.NewStore(), nest(100_000), Options{})
	if _, err := d.Resources(resource.Cluster)[0].Body(); err == nil || !strings.Contains(err.Error(), "10000 levels") {
		t.Errorf("100,000 levels: %v", err)
	}
	deep := strings.Repeat(`{"configs":[`, 100_000)
	if _, err := Split(resource.NewStore(), []byte(deep), Options{}); err == nil {
		t.Error("nested configs are accepted")
	}
}

// TestTruncated: no beginning of a dump is a dump, and none makes Split panic.
func TestTruncated(t *testing.T) {
	text := bytes.TrimRight(envoy(t, "config_dump.json"), "\n ")
	step := 1 + len(text)/4000
	for n := 0; n < len(text); n += step {
		_, err := Split(resource.NewStore(), text[:n], Options{})
		var e *Error
		if !errors.As(err, &e) {
			t.Fatalf("the first %d bytes of %d: %v", n, len(text), err)
		}
	}
}

func TestNewestUpdate(t *testing.T) {
	text := `{"@type":"type.googleapis.com/envoy.admin.v3.ClustersConfigDump","static_clusters":[
		{"cluster":{"name":"a"},"last_updated":"2026-11-20T10:00:01Z"},{"cluster":{"name":"b"},"last_updated":"2026-11-20T10:00:01.5Z"},
		{"cluster":{"name":"c"},"last_updated":"yesterday"}]}`
	d := split(t, resource.NewStore(), []byte(text), Options{})
	if got, want := d.NewestUpdate(), time.Date(2026, 11, 20, 10, 0, 1, 5e8, time.UTC); !got.Equal(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if c := d.Resources(resource.Cluster)[2]; !c.LastUpdated().IsZero() {
		t.Errorf("a time that is none: %v", c.LastUpdated())
	}
	if r := d.Resources(resource.Listener); r != nil || d.Has(resource.Listener) {
		t.Error("a dump without listeners has them")
	}
}

func FuzzSplit(f *testing.F) {
	for _, name := range []string{"mask-cluster-names.json", "resource-ecds_filters.json", "resource-one-cluster.json"} {
		f.Add(envoy(f, name))
	}
	f.Add([]byte(`{"ns":{"pod":{"configDump":{"configs":[{"bootstrap":{"node":{"id":"x"}}}]}}}}`))
	f.Add([]byte(`{"dynamic_listeners":[{"name":"l","error_state":{"failed_configuration":{"name":"l"}},"active_state":{}}]}`))
	f.Add([]byte(`{"inline_scoped_route_configs":[{"name":"s","scoped_route_configs":[{}],"error_state":{}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := SplitAll(resource.NewStore(), text, Options{Source: "fuzz"})
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Offset < 0 || e.Offset > int64(len(text)) || err.Error() == "" {
				t.Fatalf("error %v", err)
			}
			return
		}
		for _, n := range all {
			n.Dump.Node()
			n.Dump.Settle()
			for _, g := range n.Dump.kinds {
				for _, r := range g.resources {
					if body, err := r.Body(); err == nil {
						body.Canonical()
						if _, err := body.Decoded(); err != nil {
							t.Errorf("a stored body does not decode: %v", err)
						}
					}
					r.Failure()
				}
			}
		}
	})
}

// Resources of a name are found however often they were asked for.
func TestNamed(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.ClustersConfigDump","dynamic_active_clusters":[`)
	for i := range 50 {
		fmt.Fprintf(&b, `{"cluster":{"@type":"type.googleapis.com/envoy.config.cluster.v3.Cluster","name":"c%d","alt_stat_name":"a%d"}},`, i%40, i)
	}
	d, err := Split(resource.NewStore(), []byte(strings.TrimSuffix(b.String(), ",")+`]}]}`), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		for i := range 41 {
			var want, got []string
			for k := i; k < 50 && i < 40; k += 40 {
				want = append(want, fmt.Sprintf("a%d", k))
			}
			for _, r := range d.Named(resource.Cluster, fmt.Sprintf("c%d", i)) {
				raw, err := r.Raw()
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, raw.Str("alt_stat_name"))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("round %d, c%d (-want +got):\n%s", round, i, diff)
			}
		}
	}
	if got := d.Named(resource.Secret, "c1"); got != nil {
		t.Errorf("%d resources of a kind there is none of", len(got))
	}
}

// What a rejection quotes of the configuration is cleared of private material like the configuration itself, and so is what an error shows of a text.
func TestQuotedSecrets(t *testing.T) {
	key := `-----BEGIN PRIVATE KEY-----\nMIIBVgIBADANBgkqhkiG9w0BAQEFAASCAUAwggE8AgEAAkEAq7BFUpkGp3\n-----END PRIVATE KEY-----`
	text := `{"dynamic_listeners":[{"name":"l","error_state":{"details":"cannot read '` + key + `' of listener l","failed_configuration":{"name":"l","x":"` + key + `"}}}]}`
	d := split(t, resource.NewStore(), []byte(text), Options{})
	f := d.Resources(resource.Listener)[0].Failure()
	if want := "cannot read '[redacted]' of listener l"; f.Details != want {
		t.Errorf("details %q, want %q", f.Details, want)
	}
	if got := string(f.Failed.Raw()); strings.Contains(got, "MIIB") {
		t.Errorf("the configuration has a key: %s", got)
	}
	token := "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4IiwiYXVkIjoieSJ9.c2lnbmF0dXJlc2ln"
	if _, err := Split(resource.NewStore(), []byte(token), Options{Source: "token"}); err == nil || strings.Contains(err.Error(), "eyJ") {
		t.Errorf("a file with a token: %v", err)
	}
}
