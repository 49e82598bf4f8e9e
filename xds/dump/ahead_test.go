package dump

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/xds/resource"
)

// large gives a pretty printed dump of several sections that is long enough to be read from two ends, with strings that look like
// elements to whoever does not know that they are strings.
func large(t *testing.T) []byte {
	t.Helper()
	var clusters, endpoints []string
	for i := range 2500 {
		clusters = append(clusters, fmt.Sprintf(`{"version_info":"v%d","cluster":{"@type":"type.googleapis.com/envoy.config.cluster.v3.Cluster","name":"c%d","alt_stat_name":"\n    {\n \"cluster\": {","metadata":{"filter_metadata":{"a":{"b":[{},{"c":"%s"}]}}}},"last_updated":"2026-11-23T00:00:00Z"}`, i%3, i, strings.Repeat("x", i%200)))
		endpoints = append(endpoints, fmt.Sprintf(`{"endpoint_config":{"@type":"type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment","cluster_name":"c%d"}}`, i))
	}
	text := fmt.Sprintf(`{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.ClustersConfigDump","dynamic_active_clusters":[%s]},{"@type":"type.googleapis.com/envoy.admin.v3.EndpointsConfigDump","dynamic_endpoint_configs":[%s]}]}`,
		strings.Join(clusters, ","), strings.Join(endpoints, ","))
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(text), "", " "); err != nil {
		t.Fatal(err)
	}
	if b.Len() < worthAhead {
		t.Fatalf("the dump has %d bytes, fewer than are read from two ends", b.Len())
	}
	return b.Bytes()
}

func contents(t *testing.T, text []byte) []string {
	t.Helper()
	d, err := Split(resource.NewStore(), text, Options{Source: "test"})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, kind := range resource.Kinds {
		for _, r := range d.Resources(kind) {
			raw, err := r.Raw()
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, fmt.Sprintf("%s %s %s %s %s %s", r.Kind(), r.Name(), r.State(), r.VersionInfo(), r.LastUpdated(), raw))
		}
	}
	return lines
}

// Read from two ends, a dump says what it says when it is read from its beginning: without line breaks there is nothing to guess by.
func TestAhead(t *testing.T) {
	text := large(t)
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(contents(t, compact.Bytes()), contents(t, text)); diff != "" {
		t.Errorf("(-from the beginning +from two ends):\n%s", diff)
	}
}

// A fault in the second half is told as if it were read from the beginning.
func TestAheadFaults(t *testing.T) {
	text := large(t)
	bad := bytes.Clone(text)
	bad[len(text)/2+bytes.Index(text[len(text)/2:], []byte(`"endpoint_config"`))] = 'x'
	for _, text := range [][]byte{text[:len(text)-2], text[:len(text)*3/4], text[:len(text)/2+7], text[:len(text)/3], bad} {
		alone := newSplitter(resource.NewStore(), text, Options{Source: "test"})
		alone.looked = true
		want := alone.fault(alone.document())
		if _, got := Split(resource.NewStore(), text, Options{Source: "test"}); got == nil || want == nil || got.Error() != want.Error() {
			t.Errorf("%d bytes: error %v, want %v", len(text), got, want)
		}
	}
}
