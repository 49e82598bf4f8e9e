package diff_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshlark/meshlark/xds/diff"
	"github.com/meshlark/meshlark/xds/dump"
	"github.com/meshlark/meshlark/xds/resource"
)

// large gives a dump with some 4,000 clusters: that of a mesh of 2,000 services from the folder MESHLARK_DATA, which is too large for the
// repository, else one that is made here.
func large(t testing.TB) []byte {
	if dir := os.Getenv("MESHLARK_DATA"); dir != "" {
		if name := filepath.Join(dir, "productpage-2000-services.json.gz"); exists(name) {
			return read(t, name)
		}
	}
	var b bytes.Buffer
	b.WriteString(`{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.ClustersConfigDump","dynamic_active_clusters":[`)
	for i := range 4000 {
		if i > 0 {
			b.WriteByte(',')
		}
		host := fmt.Sprintf("svc%04d.ns%d.svc.cluster.local", i/2, i%20)
		name := fmt.Sprintf("outbound|%d||%s", 8080+i%2, host)
		fmt.Fprintf(&b, `{"version_info":"1","cluster":{"@type":"type.googleapis.com/envoy.config.cluster.v3.Cluster","name":%q,"type":"EDS","eds_cluster_config":{"eds_config":{"ads":{},"resource_api_version":"V3"},"service_name":%q},"connect_timeout":"10s","circuit_breakers":{"thresholds":[{"max_connections":4294967295,"max_pending_requests":4294967295,"max_requests":4294967295,"max_retries":4294967295}]},"metadata":{"filter_metadata":{"istio":{"services":[{"host":%q}]}}}},"last_updated":"2026-11-22T13:02:48Z"}`, name, name, host)
	}
	b.WriteString(`]}]}`)
	return b.Bytes()
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// threeChanges changes, adds and removes a cluster.
func threeChanges(t testing.TB, src []byte) []byte {
	text := string(src)
	for i, r := range [][2]string{{`"10s"`, `"11s"`}, {`"EDS"`, `"STATIC"`}} {
		from := len(text) * (i + 1) / 8
		at := strings.Index(text[from:], r[0])
		if at < 0 {
			t.Fatalf("there is no %s", r[0])
		}
		text = text[:from+at] + r[1] + text[from+at+len(r[0]):]
	}
	const name = `"outbound|`
	at := strings.LastIndex(text[:len(text)/10], `"name"`)
	return []byte(text[:at] + strings.Replace(text[at:], name, `"other|`, 1))
}

func settled(t testing.TB, store *resource.Store, name string, src []byte) diff.Config {
	d, err := dump.Split(store, src, dump.Options{Source: name})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Settle(); err != nil {
		t.Fatal(err)
	}
	c := diff.Config{Name: name}
	for _, kind := range resource.Kinds {
		c.Resources = append(c.Resources, d.Resources(kind)...)
	}
	return c
}

func TestLarge(t *testing.T) {
	src := large(t)
	for _, shared := range []bool{true, false} {
		stores := [2]*resource.Store{resource.NewStore(), resource.NewStore()}
		if shared {
			stores[1] = stores[0]
		}
		left, right := settled(t, stores[0], "left", src), settled(t, stores[1], "right", threeChanges(t, src))
		d, err := diff.Compare(left, right, diff.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if len(d.Changed) != 2 || len(d.Added) != 1 || len(d.Removed) != 1 {
			t.Errorf("%s\n%s", d.Summary(), d.Text())
		}
	}
}

// Comparing two configurations that differ in three places, beside reading the same two.
func BenchmarkLarge(b *testing.B) {
	src := large(b)
	other := threeChanges(b, src)
	b.Run("Read", func(b *testing.B) {
		b.SetBytes(int64(len(src) + len(other)))
		for b.Loop() {
			store := resource.NewStore()
			settled(b, store, "left", src)
			settled(b, store, "right", other)
		}
	})
	for _, shared := range []bool{true, false} {
		name := "Compare/two stores"
		if shared {
			name = "Compare/one store"
		}
		b.Run(name, func(b *testing.B) {
			stores := [2]*resource.Store{resource.NewStore(), resource.NewStore()}
			if shared {
				stores[1] = stores[0]
			}
			left, right := settled(b, stores[0], "left", src), settled(b, stores[1], "right", other)
			b.SetBytes(int64(len(src) + len(other)))
			for b.Loop() {
				if _, err := diff.Compare(left, right, diff.Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	// Every body says the same in another order of its members.
	b.Run("Compare/every text differs", func(b *testing.B) {
		left := settled(b, resource.NewStore(), "left", src)
		right := settled(b, resource.NewStore(), "right", bytes.ReplaceAll(other, []byte(`"10s"`), []byte(`"10.000s"`)))
		b.SetBytes(int64(len(src) + len(other)))
		for b.Loop() {
			if _, err := diff.Compare(left, right, diff.Options{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
