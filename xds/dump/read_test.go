package dump

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
	"github.com/meshlark/meshlark/xds/schema"
)

// readIn reads a text of which so many bytes are held at first.
func readIn(text []byte, size int) (*Dump, error) {
	batch := resource.NewInterning(resource.NewStore(), text[:min(len(text), schema.Telling)])
	return read(rawjson.NewFeedSize(bytes.NewReader(text), size), batch, Options{Source: "x.json"})
}

// everything tells all that a dump holds.
func everything(d *Dump) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q newest %v\n", d.Sections(), d.NewestUpdate())
	var kinds []resource.Kind
	for k := range d.kinds {
		kinds = append(kinds, k)
	}
	slices.Sort(kinds)
	for _, k := range kinds {
		fmt.Fprintf(&b, "%s\n", k)
		for _, r := range d.Resources(k) {
			raw, err := r.Raw()
			fmt.Fprintf(&b, "%s %q %s %q %v %q %s %v\n", r.Kind(), r.Name(), r.State(), r.VersionInfo(), r.LastUpdated(), r.ClientStatus(), raw, err)
			if f := r.Failure(); f != nil {
				fmt.Fprintf(&b, "rejected %q %v %q %s\n", f.Details, f.LastAttempt, f.VersionInfo, f.Failed.Raw())
			}
		}
	}
	return b.String()
}

// faults are those of bodies.
func faults(d *Dump) []string {
	var all []string
	for _, g := range d.kinds {
		for _, r := range g.resources {
			if _, err := r.Body(); err != nil {
				all = append(all, err.Error())
			}
		}
	}
	return all
}

// agree holds Read to Split: a text that arrives has what it has when it is there, wherever it is cut.
func agree(t *testing.T, text []byte, size int) {
	t.Helper()
	o := Options{Source: "x.json"}
	whole, want := splitOne(resource.NewStore(), text, o)
	arrived, got := readIn(text, size)
	var unknown errUnknown
	if errors.As(want, &unknown) {
		want = newSplitter(nil, text, o).foreign(unknown)
	}
	switch {
	case want != nil:
		// A body before that place may be what is wrong first; of scoped routes it has no place in the text.
		var first, e *Error
		if !errors.As(got, &first) || !errors.As(want, &e) || first.Offset >= e.Offset && *first != *e && (first.Line > 0 || first.Foreign) {
			t.Fatalf("%q of which %d bytes are held: error %v, want %v", text, size, got, want)
		}
	case len(faults(whole)) > 0:
		if got == nil || !slices.Contains(faults(whole), got.Error()) {
			t.Fatalf("%q of which %d bytes are held: error %v, want one of %q", text, size, got, faults(whole))
		}
	case got != nil:
		t.Fatalf("%q of which %d bytes are held: %v", text, size, got)
	default:
		if diff := cmp.Diff(everything(whole), everything(arrived)); diff != "" {
			t.Fatalf("%q of which %d bytes are held (-there +arrived):\n%s", text, size, diff)
		}
	}
}

func TestRead(t *testing.T) {
	for _, test := range shapes {
		for size := range len(test.in) + 2 {
			agree(t, []byte(test.in), size)
		}
	}
	for _, test := range refused {
		for size := range len(test.in) + 2 {
			agree(t, []byte(test.in), size)
		}
	}
	for _, name := range []string{"config_dump.json", "resource-dynamic_active_clusters.json", "resource-dynamic_listeners.json", "name_regex.json", "mask-cluster-names.json"} {
		text := envoy(t, name)
		for _, size := range []int{1, 100, 1 << 10, 10 << 10, len(text) - 1, len(text), len(text) + 1} {
			agree(t, text, size)
		}
		for size := 500; size < len(text); size += len(text)/25 + 1 {
			agree(t, text, size)
			agree(t, text[:size], size/7)
		}
		d, err := Read(resource.NewStore(), iotest.HalfReader(bytes.NewReader(text)), Options{Source: name})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(everything(split(t, resource.NewStore(), text, Options{})), everything(d)); diff != "" {
			t.Errorf("%s (-there +arrived):\n%s", name, diff)
		}
	}
}

// Of two answers that are alike the second adds nothing to what is stored, and neither is held on to.
func TestReadShares(t *testing.T) {
	text := envoy(t, "config_dump.json")
	store := resource.NewStore()
	read := func() *Dump {
		d, err := Read(store, bytes.NewReader(text), Options{})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	a := read()
	bodies, size := store.Stats()
	b := read()
	if n, m := store.Stats(); bodies == 0 || n != bodies || m != size {
		t.Errorf("%d bodies of %d bytes became %d of %d", bodies, size, n, m)
	}
	x, y := a.Resources(resource.Cluster), b.Resources(resource.Cluster)
	for i := range x {
		if x[i].Peek() == nil || &x[i].Peek()[0] != &y[i].Peek()[0] {
			t.Errorf("cluster %s has two bodies", x[i].Name())
		}
	}
}

// A fault in a body ends the reading, with its place in the whole text.
func TestReadFault(t *testing.T) {
	text := `{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.ClustersConfigDump","static_clusters":[` +
		strings.Repeat("\n"+`{"cluster":{"name":"a"}},`, 1000) + "\n" + `{"cluster":{"name":"b","x":01}}]}]}`
	for _, size := range []int{10, 1000, len(text)} {
		_, err := readIn([]byte(text), size)
		var e *Error
		if !errors.As(err, &e) || int(e.Offset) != strings.Index(text, "1}}]") || e.Line != 1002 || e.Column != 29 {
			t.Errorf("got %v", err)
		}
	}
}

// Where the answer breaks off, that is the error, not that the text has no end.
func TestReadBroken(t *testing.T) {
	text := envoy(t, "config_dump.json")
	for _, n := range []int{0, 1, 10_000, len(text) - 3, len(text)} {
		_, err := Read(resource.NewStore(), io.MultiReader(bytes.NewReader(text[:n]), iotest.ErrReader(io.ErrUnexpectedEOF)), Options{})
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("after %d bytes: error %v", n, err)
		}
	}
}

// The next of two answers that are alike takes the memory of its references and of what is read in one piece, not that of its text.
func TestReadMemory(t *testing.T) {
	text := large(t)
	store := resource.NewStore()
	read := func() uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := Read(store, bytes.NewReader(text), Options{}); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	read()
	resources := len(split(t, store, text, Options{}).Resources(resource.Cluster)) * 2 // there are as many endpoints
	if used, most := read(), uint64(resources*150+200<<10); used > most {
		t.Errorf("%d bytes were allocated for %d resources of %d bytes, want at most %d", used, resources, len(text), most)
	}
}

func FuzzRead(f *testing.F) {
	for _, test := range shapes {
		f.Add([]byte(test.in), uint16(7))
	}
	for _, test := range refused {
		f.Add([]byte(test.in), uint16(7))
	}
	for _, name := range []string{"mask-cluster-names.json", "resource-ecds_filters.json", "resource-one-cluster.json"} {
		f.Add(envoy(f, name), uint16(99))
	}
	f.Add([]byte(`{"dynamic_listeners":[{"name":"l","error_state":{"failed_configuration":{"name":"l"}},"active_state":{}}]}`), uint16(3))
	f.Add([]byte(`{"inline_scoped_route_configs":[{"name":"s","scoped_route_configs":[{}],"error_state":{}}]}`), uint16(3))
	f.Add([]byte(`{"configs":[{"bootstrap":{"node":{"id":"x"}},"static_clusters":[{"cluster":{"name":"a"}}],"last_updated":"2026-11-20T10:00:00Z"}]}`), uint16(3))
	f.Fuzz(func(t *testing.T, text []byte, size uint16) { agree(t, text, int(size)) })
}
