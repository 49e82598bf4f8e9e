package dump

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
)

// desiredDump reads the dump of a mesh of 2,000 services, which is not in the repository: MESHLARK_DATA names the folder it is in.
func desiredDump(t testing.TB) []byte {
	dir := os.Getenv("MESHLARK_DATA")
	if dir == "" {
		t.Skip("MESHLARK_DATA is not set")
	}
	f, err := os.Open(filepath.Join(dir, "productpage-2000-services.json.gz"))
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestDesired(t *testing.T) {
	d := split(t, resource.NewStore(), desiredDump(t), Options{})
	for kind, want := range map[resource.Kind]int{resource.Cluster: 4019, resource.Listener: 2005, resource.RouteConfig: 2, resource.Endpoint: 4015} {
		if got := len(d.Resources(kind)); got != want {
			t.Errorf("%d of kind %s, want %d", got, kind, want)
		}
	}
	if err := d.Settle(); err != nil {
		t.Error(err)
	}
}

// TestDesiredFleet: 200 proxies of the same configuration cost about what one costs.
func TestDesiredFleet(t *testing.T) {
	text := desiredDump(t)
	heap := func() int {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc) >> 10
	}
	store := resource.NewStore()
	fleet := make([]*Dump, 0, 200)
	read := func() {
		d := split(t, store, bytes.Clone(text), Options{})
		if err := d.Settle(); err != nil {
			t.Fatal(err)
		}
		fleet = append(fleet, d)
	}
	start := heap()
	read()
	one := heap() - start
	for len(fleet) < cap(fleet) {
		read()
	}
	all := heap() - start
	bodies, size := store.Stats()
	t.Logf("%d bodies of %d kB; one proxy: %d kB of heap, %d proxies: %d kB", bodies, size>>10, one, len(fleet), all)
	if resources := 10041 * len(fleet); all-one > resources*64>>10 {
		t.Errorf("%d references cost %d kB", resources, all-one)
	}
	runtime.KeepAlive(fleet)
	runtime.KeepAlive(text)
}

func BenchmarkSkip(b *testing.B) {
	text := desiredDump(b)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := rawjson.Skip(text, 0); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSplit(b *testing.B) {
	text := desiredDump(b)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		split(b, resource.NewStore(), text, Options{})
	}
}

// BenchmarkPrefetch interns all clusters of a dump that has just been split.
func BenchmarkPrefetch(b *testing.B) {
	text := desiredDump(b)
	for b.Loop() {
		b.StopTimer()
		d := split(b, resource.NewStore(), text, Options{})
		b.StartTimer()
		if err := d.Prefetch(resource.Cluster); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFleet reads a further dump of the same configuration.
func BenchmarkFleet(b *testing.B) {
	text := desiredDump(b)
	b.SetBytes(int64(len(text)))
	store := resource.NewStore()
	for b.Loop() {
		if err := split(b, store, text, Options{}).Settle(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecode decodes all bodies of a dump for jq; its MB are of compact text.
func BenchmarkDecode(b *testing.B) {
	store := resource.NewStore()
	d := split(b, store, desiredDump(b), Options{})
	if err := d.Settle(); err != nil {
		b.Fatal(err)
	}
	var raws []rawjson.Value
	for _, kind := range resource.Kinds {
		for _, r := range d.Resources(kind) {
			raw, err := r.Raw()
			if err != nil {
				b.Fatal(err)
			}
			raws = append(raws, raw)
		}
	}
	_, size := store.Stats()
	b.SetBytes(size)
	for b.Loop() {
		for _, raw := range raws {
			if _, err := rawjson.Decode(raw); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkRead reads a further dump of the same configuration as it arrives.
func BenchmarkRead(b *testing.B) {
	text := desiredDump(b)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	store := resource.NewStore()
	for b.Loop() {
		if _, err := Read(store, bytes.NewReader(text), Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
