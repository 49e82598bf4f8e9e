package cluster_test

import (
	"testing"

	"github.com/meshlark/meshlark/internal/viewtest"
	"github.com/meshlark/meshlark/xds/cluster"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// Whatever the text is, nothing panics, and the table says what the fields say.
func FuzzCluster(f *testing.F) {
	for _, r := range viewtest.Read(f, viewtest.EnvoyDump("../.."), viewtest.Clusters) {
		f.Add([]byte(r.Body))
	}
	f.Add([]byte(`{"\\u006eame":"a","name":"b","n\\u0061me":"c","clusterType":{"name":"t"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c := cluster.New(rawjson.Value(text))
		viewtest.Call(c)
		if s := c.Summary(); s.Name != c.Name() || s.Type != c.Type() {
			t.Errorf("summary has name %q and type %q, the fields %q and %q", s.Name, s.Type, c.Name(), c.Type())
		}
	})
}
