package envoytest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var record = flag.Bool("record", false, "write what Envoy answers into ../../xds/dump/testdata/envoy-1.40")

const recordings = "../../xds/dump/testdata/envoy-1.40"

// gzipAbove is the size in bytes from which a recording is kept compressed.
const gzipAbove = 400_000

// answer is one request to the admin API and what is expected of its answer.
type answer struct {
	File   string `json:"file"`
	Path   string `json:"path"`
	Status int    `json:"status"`
	holds  string // a text that the body has to contain
}

var answers = []answer{
	{"config_dump.json", "/config_dump?include_eds", 200, `"@type": "type.googleapis.com/envoy.admin.v3.EndpointsConfigDump"`},
	{"clusters.json", "/clusters?format=json", 200, `"cluster_statuses"`},
	{"clusters.txt", "/clusters", 200, "::health_flags::/eds_status_draining"},
	{"server_info.json", "/server_info", 200, `"state": "LIVE"`},
	{"certs.json", "/certs", 200, `"uri": "spiffe://cluster.local/ns/default/sa/bookinfo-productpage"`},
	{"stats.json", "/stats?format=json", 200, `"name":"listener_manager.lds.update_rejected","value":1`},
	{"listeners.json", "/listeners?format=json", 200, `"name": "virtualInbound"`},
	{"init_dump.json", "/init_dump", 200, "never-sent"},
	{"runtime.json", "/runtime", 200, `"routing.half"`},

	{"resource-dynamic_active_clusters.json", "/config_dump?resource=dynamic_active_clusters", 200, "ClustersConfigDump.DynamicCluster"},
	{"resource-dynamic_listeners.json", "/config_dump?resource=dynamic_listeners", 200, "ListenersConfigDump.DynamicListener"},
	{"resource-dynamic_endpoint_configs.json", "/config_dump?include_eds&resource=dynamic_endpoint_configs", 200, "EndpointsConfigDump.DynamicEndpointConfig"},
	{"resource-ecds_filters.json", "/config_dump?resource=ecds_filters", 200, "EcdsConfigDump.EcdsFilterConfig"},
	{"resource-one-cluster.json", "/config_dump?resource=dynamic_active_clusters&name_regex=" +
		url.QueryEscape(`outbound\|9080\|v1\|reviews\.default\.svc\.cluster\.local`), 200, `"subset": "v1"`},
	{"resource-no-cluster.json", "/config_dump?resource=dynamic_active_clusters&name_regex=none", 200, "{"},
	{"name_regex.json", "/config_dump?name_regex=9080", 200, "RoutesConfigDump"},

	{"mask-bootstrap-node-id.json", "/config_dump?mask=bootstrap.node.id,bootstrap.node.metadata,last_updated", 200, "sidecar~10.0.0.5~"},
	{"mask-cluster-names.json", "/config_dump?resource=dynamic_active_clusters&mask=cluster.name,cluster.type,version_info", 200, "PassthroughCluster"},
	{"mask-cluster-version.json", "/config_dump?mask=version_info", 200, ThirdVersion},

	{"error-path.txt", "/no_such_path", 404, "invalid path"},
	{"error-resource.txt", "/config_dump?resource=no_such_field", 404, "not found in config dump"},
	{"error-resource-needs-eds.txt", "/config_dump?resource=dynamic_endpoint_configs", 404, "not found in config dump"},
	{"error-resource-singular.txt", "/config_dump?resource=bootstrap", 400, "is not a repeated field"},
	{"error-name_regex.txt", "/config_dump?name_regex=%5B", 400, "regex"},
	{"error-mask.txt", "/config_dump?mask=no_such_field", 400, "FieldMask"},
	{"error-resource-mask.txt", "/config_dump?resource=dynamic_active_clusters&mask=cluster.no_such_field", 400, "FieldMask"},
	{"error-stats-format.txt", "/stats?format=yaml", 400, "usage"},
	{"error-needs-post.txt", "/logging", 405, "POST required"},
}

// testAnswers holds every answer to what is expected of it, and with -record
// keeps their exact bytes for the tests of parsers.
func testAnswers(t *testing.T, s *Scene) {
	for _, a := range answers {
		t.Run(a.File, func(t *testing.T) {
			status, body := s.Fetch(t, a.Path)
			if status != a.Status {
				t.Errorf("get %s: status %d (%s), want %d", a.Path, status, http.StatusText(status), a.Status)
			}
			if !strings.Contains(string(body), a.holds) {
				t.Errorf("get %s: the answer does not contain %q; it begins %.200q", a.Path, a.holds, body)
			}
			if strings.HasSuffix(a.File, ".json") && !json.Valid(body) {
				t.Errorf("get %s: the answer is not JSON: %.200q", a.Path, body)
			}
			for _, private := range s.certificates.private {
				if bytes.Contains(body, []byte(private)) {
					t.Fatalf("get %s: the answer shows private material", a.Path)
				}
			}
			if bytes.Contains(body, []byte("PRIVATE KEY")) {
				t.Fatalf("get %s: the answer shows a private key", a.Path)
			}
			if *record && !t.Failed() {
				keep(t, a.File, body)
			}
		})
	}
	if *record && !t.Failed() {
		var index bytes.Buffer
		enc := json.NewEncoder(&index)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(answers); err != nil {
			t.Fatal(err)
		}
		keep(t, "index.json", index.Bytes())
	}
}

func keep(t *testing.T, name string, body []byte) {
	t.Helper()
	path := filepath.Join(recordings, name)
	other := path + ".gz"
	if len(body) > gzipAbove {
		var packed bytes.Buffer
		w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(body); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		path, other, body = other, path, packed.Bytes()
	}
	if err := os.MkdirAll(recordings, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, body, 0o644); err != nil {
		t.Fatal(err)
	}
	// A recording that crossed the limit must not stay in its other form.
	if err := os.Remove(other); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
}
