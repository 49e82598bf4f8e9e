package diff_test

import (
	"bytes"
	"compress/gzip"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/xds/diff"
	"github.com/meshlark/meshlark/xds/dump"
	"github.com/meshlark/meshlark/xds/resource"
)

var update = flag.Bool("update", false, "write the golden files")

// recorded is where a real istiod's answers are, and what its clients held at the same time.
const recorded = "../../mesh/source/istiod/testdata/recorded/"

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(path, ".gz") {
		return b
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if b, err = io.ReadAll(z); err != nil {
		t.Fatal(err)
	}
	return b
}

// config gives all resources of a dump.
func config(t testing.TB, store *resource.Store, name string, src []byte) diff.Config {
	t.Helper()
	d, err := dump.Split(store, src, dump.Options{Source: name})
	if err != nil {
		t.Fatal(err)
	}
	c := diff.Config{Name: name}
	for _, kind := range resource.Kinds {
		c.Resources = append(c.Resources, d.Resources(kind)...)
		if !d.Has(kind) {
			c.Missing = append(c.Missing, kind)
		}
	}
	return c
}

func sides(t testing.TB, proxy string) (desired, actual diff.Config) {
	store := resource.NewStore()
	return config(t, store, "desired", read(t, recorded+"config_dump-"+proxy+".json")),
		config(t, store, "actual", read(t, recorded+"held-"+proxy+".json.gz"))
}

// What istiod would send, in lowerCamelCase and with its rewrites, against what its clients hold: what istioctl finds and no more.
func TestRecorded(t *testing.T) {
	for proxy, want := range map[string]string{
		"productpage-v1-54bb874995-h4wzq.default": "Clusters Match; Listeners Match; Routes Match; Endpoints Match; Extensions Match",
		"reviews-v1-598b896c9d-9bxvm.default":     "Clusters Don't Match: 4 changed; Listeners Match; Routes Don't Match: 2 changed; Endpoints Match",
		"details-v1-79dfbd6fff-t7c5k.default":     "Clusters Don't Match: 3 added, 1 changed; Listeners Match; Routes Match; Endpoints Match",
	} {
		t.Run(proxy, func(t *testing.T) {
			desired, actual := sides(t, proxy)
			d, err := diff.Compare(desired, actual, diff.Options{Desired: true})
			if err != nil {
				t.Fatal(err)
			}
			if got := d.Summary(); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			golden(t, proxy+".txt", d.Summary()+"\n"+d.Text())
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got), -update writes it anew:\n%s", path, d)
	}
}

// Applied to the left side, a difference gives the right side, whatever the pair.
func TestApplyRecorded(t *testing.T) {
	var configs []diff.Config
	for _, proxy := range []string{"productpage-v1-54bb874995-h4wzq", "reviews-v1-598b896c9d-9bxvm", "details-v1-79dfbd6fff-t7c5k"} {
		desired, actual := sides(t, proxy+".default")
		configs = append(configs, desired, actual)
	}
	for _, o := range []diff.Options{{}, {Exact: true}, {Ignore: []string{"**.metadata", "virtual_hosts[*].domains"}}} {
		for _, left := range configs {
			for _, right := range configs {
				d, err := diff.Compare(left, right, o)
				if err != nil {
					t.Fatal(err)
				}
				l, err := diff.Items(left)
				if err != nil {
					t.Fatal(err)
				}
				r, err := diff.Items(right)
				if err != nil {
					t.Fatal(err)
				}
				sameItems(t, d, l, r, o)
			}
		}
	}
}

// sameItems checks that a difference turns the left items into the right ones, except for kinds that were not compared.
func sameItems(t *testing.T, d *diff.Diff, left, right []diff.Item, o diff.Options) {
	t.Helper()
	compared := map[resource.Kind]bool{}
	for _, n := range d.Kinds {
		compared[n.Kind] = n.Compared
	}
	only := func(items []diff.Item) []diff.Item {
		var out []diff.Item
		for _, it := range items {
			if compared[it.Kind] {
				out = append(out, it)
			}
		}
		return out
	}
	got, err := d.Apply(left)
	if err != nil {
		t.Error(err)
		return
	}
	got, right = only(got), only(right)
	again, err := diff.CompareItems(got, right, o)
	if err != nil {
		t.Fatal(err)
	}
	if !again.Empty() {
		t.Errorf("something is left after applying:\n%s", again.Text())
	}
	if !o.Exact {
		return
	}
	for i := range right {
		if string(got[i].Body) != string(right[i].Body) || string(got[i].Entry) != string(right[i].Entry) {
			t.Errorf("%s %s is\n%s %s, want\n%s %s", right[i].Kind, right[i].Name, got[i].Entry, got[i].Body, right[i].Entry, right[i].Body)
		}
	}
}

// Under a swap additions become removals, and left becomes right.
func TestSwap(t *testing.T) {
	left, right := sides(t, "details-v1-79dfbd6fff-t7c5k.default")
	there, err := diff.Compare(left, right, diff.Options{})
	if err != nil {
		t.Fatal(err)
	}
	back, err := diff.Compare(right, left, diff.Options{})
	if err != nil {
		t.Fatal(err)
	}
	names := func(changes []diff.Change) (names []string) {
		for _, c := range changes {
			names = append(names, string(c.Kind)+" "+c.Name)
		}
		return names
	}
	if d := cmp.Diff(names(there.Added), names(back.Removed)); d != "" || len(there.Added) == 0 {
		t.Errorf("added there, removed back: %s", d)
	}
	if d := cmp.Diff(names(there.Removed), names(back.Added)); d != "" {
		t.Errorf("removed there, added back: %s", d)
	}
	if d := cmp.Diff(names(there.Changed), names(back.Changed)); d != "" {
		t.Errorf("changed: %s", d)
	}
	swapped := map[diff.Op]diff.Op{diff.Added: diff.Removed, diff.Removed: diff.Added, diff.Changed: diff.Changed}
	for i, c := range there.Changed {
		var lefts, rights []string
		for _, e := range c.Edits {
			lefts = append(lefts, string(swapped[e.Op])+string(e.Right)+" > "+string(e.Left))
		}
		for _, e := range back.Changed[i].Edits {
			rights = append(rights, string(e.Op)+string(e.Left)+" > "+string(e.Right))
		}
		if d := cmp.Diff(lefts, rights, sorted); d != "" {
			t.Errorf("%s %s: %s", c.Kind, c.Name, d)
		}
	}
}
