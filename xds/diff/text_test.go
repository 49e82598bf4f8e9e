package diff_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/xds/diff"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
)

func TestLines(t *testing.T) {
	d, err := diff.Values(rawjson.Value(`{"a":1,"list":[1,2],"x":{"y":{}}}`), rawjson.Value(`{"a":"`+strings.Repeat("x", 300)+`","x":{"y":{},"z":[1,2,3,4,5,{"k":[]}]}}`), "", diff.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d.Left, d.Right = "before", ""
	want := []diff.Line{
		{diff.LineHeader, "--- (before)"},
		{diff.LineHeader, "+++ (right)"},
		{diff.LinePath, "@@ a"},
		{diff.LineRemoved, "- 1"},
		{diff.LineAdded, `+ "` + strings.Repeat("x", 59) + "... 182 bytes ..." + strings.Repeat("x", 59) + `"`},
		{diff.LinePath, "@@ list"},
		{diff.LineRemoved, "- ["},
		{diff.LineRemoved, "-   1,"},
		{diff.LineRemoved, "-   2"},
		{diff.LineRemoved, "- ]"},
		{diff.LinePath, "@@ x.z"},
		{diff.LineAdded, "+ ["},
		{diff.LineAdded, "+   1,"},
		{diff.LineAdded, "+   2,"},
		{diff.LineNote, "+ ... 7 more lines"},
	}
	if d := cmp.Diff(want, d.Lines(diff.TextOptions{Fold: 3})); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if got := d.Summary(); got != "Don't Match: 1 added, 1 removed, 1 changed" {
		t.Error(got)
	}
}

func TestMeshes(t *testing.T) {
	store := resource.NewStore()
	proxy := func(name, timeout string) diff.Config {
		c := config(t, store, name, []byte(sectionOf("ClustersConfigDump", "dynamic_active_clusters",
			`{"cluster":{"@type":"type.googleapis.com/envoy.config.cluster.v3.Cluster","name":"c","connect_timeout":"`+timeout+`"}}`)))
		return c
	}
	m, err := diff.Meshes(
		[]diff.Config{proxy("b", "1s"), proxy("a", "1s"), proxy("gone", "1s"), proxy("d", "1s")},
		[]diff.Config{proxy("new", "1s"), proxy("a", "1s"), proxy("b", "2s"), proxy("d", "2s")}, diff.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m.Left, m.Right = "before", "after"
	golden(t, "meshes.txt", m.Summary()+"\n"+m.Text())
	same, err := diff.Meshes([]diff.Config{proxy("a", "1s")}, []diff.Config{proxy("a", "1s")}, diff.Options{})
	if err != nil || !same.Empty() || same.Summary() != "Proxies Match: 1" {
		t.Errorf("%v %s", err, same.Summary())
	}
}
