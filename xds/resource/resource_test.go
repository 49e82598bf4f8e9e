package resource

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/meshlark/meshlark/xds/rawjson"
)

func TestIntern(t *testing.T) {
	s := NewStore()
	a, err := s.Intern([]byte(`{ "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", "name": "a" }`))
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Intern([]byte(`{"@type":"type.googleapis.com/envoy.config.cluster.v3.Cluster","name":"a"}`))
	if err != nil || a != b {
		t.Errorf("two bodies of one text, %v", err)
	}
	if a.TypeURL() != "type.googleapis.com/envoy.config.cluster.v3.Cluster" {
		t.Errorf("type %q", a.TypeURL())
	}
	c, err := s.Intern([]byte(`{"name":"a","@type":"type.googleapis.com/envoy.config.cluster.v3.Cluster"}`))
	if err != nil || c == a || c.Canonical() != a.Canonical() || c.TypeURL() != a.TypeURL() {
		t.Errorf("another order of keys is not another body of the same meaning, %v", err)
	}
	d, err := s.Intern([]byte(`{"name":"b"}`))
	if err != nil || d.Canonical() == a.Canonical() || d.TypeURL() != "" {
		t.Errorf("another name, %v", err)
	}
	if n, size := s.Stats(); n != 3 || size != int64(len(a.Raw())+len(c.Raw())+len(d.Raw())) {
		t.Errorf("%d bodies, %d bytes", n, size)
	}
	var syntax *rawjson.SyntaxError
	if _, err := s.Intern([]byte(`{"a":}`)); !errors.As(err, &syntax) || syntax.Offset != 5 {
		t.Errorf("got %v", err)
	}
	v, err := a.Decoded()
	if err != nil || v.(map[string]any)["name"] != "a" {
		t.Errorf("decoded %v, %v", v, err)
	}
}

// TestStoredRedacted: what is private never reaches the store.
func TestStoredRedacted(t *testing.T) {
	b, err := NewStore().Intern([]byte(`{"private_key":{"inline_string":"s3cret"}}`))
	if err != nil || string(b.Raw()) != `{"private_key":{"inline_string":"[redacted]"}}` {
		t.Errorf("%s, %v", b.Raw(), err)
	}
}

func TestNilBody(t *testing.T) {
	var b *Body
	if v, err := b.Decoded(); b.Raw() != nil || b.TypeURL() != "" || b.Canonical() != [32]byte{} || v != nil || err != nil {
		t.Error("a missing body says something")
	}
	r := New(Cluster, "a", Error, nil)
	if raw, err := r.Raw(); raw != nil || err != nil || r.State() != Error || r.Name() != "a" || !r.LastUpdated().IsZero() || r.Failure() != nil {
		t.Errorf("%v, %v", raw, err)
	}
}

// batch makes the resources of a dump of n clusters; own makes the texts of its versions its own.
func batch(s *Store, n, own int) (*Batch, []*Resource) {
	var text bytes.Buffer
	ends := make([]int, n+1)
	for i := range n {
		fmt.Fprintf(&text, `{ "name": "outbound|%d||service-%d.default.svc.cluster.local", "type": "EDS", "filler": "%s" }`, i, i, strings.Repeat("x-", 500))
		ends[i+1] = text.Len()
	}
	b := NewBatch(s, "x", text.Bytes())
	var all []*Resource
	for i := range n {
		r, _ := b.Add(Spec{
			Kind: Cluster, Name: fmt.Sprintf("outbound|%d||service-%d.default.svc.cluster.local", i, i), State: Active,
			VersionInfo: fmt.Sprintf("2026-11-20T10:00:00Z/%d", own), LastUpdated: "2026-11-20T10:00:00.5Z",
			Text: text.Bytes()[ends[i]:ends[i+1]], Offset: ends[i],
		})
		all = append(all, r)
	}
	return b, all
}

// TestConcurrent: all who touch a resource at once get the same body.
func TestConcurrent(t *testing.T) {
	s := NewStore()
	b, all := batch(s, 100, 1)
	_, others := batch(s, 100, 2)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range all {
				x, err := all[i].Body()
				y, err2 := others[i].Body()
				if x != y || err != nil || err2 != nil {
					t.Errorf("%p and %p: %v, %v", x, y, err, err2)
				}
			}
		})
		wg.Go(func() {
			if err := b.Settle(all); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n, _ := s.Stats(); n != 100 {
		t.Errorf("%d bodies", n)
	}
	r := all[7]
	if r.VersionInfo() != "2026-11-20T10:00:00Z/1" || !r.LastUpdated().Equal(time.Date(2026, 11, 20, 10, 0, 0, 5e8, time.UTC)) || r.Kind() != Cluster {
		t.Errorf("%s %v %s", r.VersionInfo(), r.LastUpdated(), r.Kind())
	}
}

// TestFleetMemory: what a further proxy of the same configuration costs is its references.
func TestFleetMemory(t *testing.T) {
	const proxies, clusters = 200, 400
	heap := func() int {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	s := NewStore()
	fleet := make([][]*Resource, 0, proxies)
	add := func(n int) {
		b, all := batch(s, clusters, n)
		if err := b.Settle(all); err != nil {
			t.Fatal(err)
		}
		fleet = append(fleet, all)
	}
	start := heap()
	add(0)
	one := heap() - start
	for n := 1; n < proxies; n++ {
		add(n)
	}
	more := heap() - start - one
	_, size := s.Stats()
	each := more / (proxies - 1) / clusters
	t.Logf("the first proxy: %d bytes for %d of bodies; each further one: %d a resource (a Resource has %d)", one, size, each, unsafe.Sizeof(Resource{}))
	if each > 64 {
		t.Errorf("a further proxy costs %d bytes a resource", each)
	}
	if one > int(size)*2 {
		t.Errorf("the first proxy costs %d bytes, its bodies are %d", one, size)
	}
	runtime.KeepAlive(fleet)
}

// What is made of a body is made once for each key, whoever asks at once.
func TestDerived(t *testing.T) {
	b, err := NewStore().Intern([]byte(`{"name":"a"}`))
	if err != nil {
		t.Fatal(err)
	}
	type one struct{}
	type two struct{}
	name := func(v rawjson.Value) any { return &[]string{v.Str("name")} }
	var wg sync.WaitGroup
	results := make([]any, 8)
	for i := range results {
		wg.Go(func() { results[i] = b.Derived(one{}, name) })
	}
	wg.Wait()
	for _, r := range results {
		if r != results[0] {
			t.Fatal("two things were made for one key")
		}
	}
	if b.Derived(two{}, name) == results[0] || (*results[0].(*[]string))[0] != "a" {
		t.Error("another key gives the same thing, or it was made of another text")
	}
}
