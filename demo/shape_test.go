package demo_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

const (
	envoyAnswers  = "../xds/dump/testdata/envoy-1.40"
	istiodAnswers = "../mesh/source/istiod/testdata/recorded"
)

// shapes are the answers that are compared with those of the real thing. Those that are messages are read by their definition too, which
// knows every field; of the others each path has to be in the real answer.
var shapes = []struct {
	path    string
	files   []string
	message proto.Message
}{
	{"/config_dump?include_eds", []string{envoyAnswers + "/config_dump.json"}, &adminv3.ConfigDump{}},
	{"/clusters?format=json", []string{envoyAnswers + "/clusters.json"}, &adminv3.Clusters{}},
	{"/listeners?format=json", []string{envoyAnswers + "/listeners.json"}, &adminv3.Listeners{}},
	{"/certs", []string{envoyAnswers + "/certs.json"}, &adminv3.Certificates{}},
	{"/server_info", []string{envoyAnswers + "/server_info.json"}, &adminv3.ServerInfo{}},
	{"/stats?format=json", []string{envoyAnswers + "/stats.json.gz"}, nil},
	{"/debug/syncz", []string{istiodAnswers + "/syncz.json"}, nil},
	{"/debug/adsz", []string{istiodAnswers + "/adsz.json"}, nil},
	{"/debug/connections", []string{istiodAnswers + "/connections.json"}, nil},
	{"/debug/clusterz", []string{istiodAnswers + "/clusterz.json"}, nil},
	{"/debug/list", []string{istiodAnswers + "/list.json"}, nil},
	{"/debug/config_dump?include_eds&proxyID=", []string{
		istiodAnswers + "/config_dump-productpage-v1-54bb874995-h4wzq.default.json",
		istiodAnswers + "/config_dump-bookinfo-gateway-istio-6c9f5d7b48-8xk2t.default.json",
	}, &adminv3.ConfigDump{}},
	{"/debug/edsz?proxyID=", []string{istiodAnswers + "/edsz.json"}, &adminv3.ConfigDump{}},
}

func TestShapes(t *testing.T) {
	d, m := start(t)
	var pilots, sidecars []string
	for _, spec := range d.Sources() {
		base, _, _ := strings.Cut(spec, "#")
		if debug, ok := strings.CutPrefix(base, "istiod+"); ok {
			pilots = append(pilots, debug)
		} else {
			sidecars = append(sidecars, base)
		}
	}
	for _, shape := range shapes {
		t.Run(shape.path, func(t *testing.T) {
			known := map[string]string{}
			var real [][]byte
			for _, file := range shape.files {
				real = append(real, read(t, file))
				collect(decode(t, real[len(real)-1]), "", known)
			}
			var bodies [][]byte
			switch {
			case strings.HasSuffix(shape.path, "proxyID="):
				for _, p := range proxies(t, m) {
					for _, base := range pilots {
						if status, body := fetch(t, base+shape.path+p.Name); status == http.StatusOK {
							bodies = append(bodies, body)
						}
					}
				}
			case strings.HasPrefix(shape.path, "/debug/"):
				for _, base := range pilots {
					bodies = append(bodies, must(t, base+shape.path))
				}
			default:
				for _, base := range sidecars {
					bodies = append(bodies, must(t, base+shape.path))
				}
			}
			if len(bodies) == 0 {
				t.Fatal("nobody answers")
			}
			for _, body := range bodies {
				checkShape(t, body, real[0], known, shape.message)
			}
		})
	}
}

func checkShape(t *testing.T, body, real []byte, known map[string]string, message proto.Message) {
	t.Helper()
	v := decode(t, body)
	if message != nil {
		if err := protojson.Unmarshal(body, proto.Clone(message)); err != nil {
			t.Fatalf("the definition does not know the answer: %v", err)
		}
	}
	ours := map[string]string{}
	collect(v, "", ours)
	for path, kind := range ours {
		switch want, ok := known[path]; {
		case ok && want != kind && !strings.Contains(want, kind):
			t.Errorf("%s is %s, in a real answer %s", path, kind, want)
		case !ok && message == nil:
			t.Errorf("%s is in no real answer", path)
		}
	}
	if got, want := sections(v), sections(decode(t, real)); !ordered(got, want) {
		t.Errorf("sections %v, in a real answer %v", got, want)
	}
	// Both print a body the same way: one line, or a blank per level and a line end after the last.
	if got, want := bytes.HasPrefix(body, []byte("{\n \"")), bytes.HasPrefix(real, []byte("{\n \"")); got != want {
		t.Errorf("indented: %t, a real answer: %t", got, want)
	}
	if got, want := bytes.HasSuffix(body, []byte("\n")), bytes.HasSuffix(real, []byte("\n")); got != want {
		t.Errorf("ends with a line end: %t, a real answer: %t", got, want)
	}
}

// collect notes the JSON type of every path below v. A message in an Any starts paths of its own, and members of maps have no names.
func collect(v any, path string, out map[string]string) {
	kind := fmt.Sprintf("%T", v)
	if known, ok := out[path]; ok && !strings.Contains(known, kind) {
		kind = known + " or " + kind
	}
	out[path] = kind
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			collect(x, path+"[]", out)
		}
	case map[string]any:
		if name, ok := v["@type"].(string); ok {
			path = name
		}
		for key, x := range v {
			if last := path[strings.LastIndex(path, ".")+1:]; slices.Contains([]string{"resources", "watches", "labels", "metadata", "LABELS", "PROXY_CONFIG", "filter_metadata", "filterMetadata", "istio"}, last) {
				key = "*"
				if last != "watches" && last != "resources" {
					continue
				}
			}
			collect(x, path+"."+key, out)
		}
	}
}

// sections are the types of the elements of a dump.
func sections(v any) []string {
	m, _ := v.(map[string]any)
	list, _ := m["configs"].([]any)
	var out []string
	for _, x := range list {
		section, _ := x.(map[string]any)
		out = append(out, fmt.Sprint(section["@type"]))
	}
	return slices.Compact(out)
}

// ordered tells whether got is want, or want without some.
func ordered(got, want []string) bool {
	for _, s := range got {
		i := slices.Index(want, s)
		if i < 0 {
			return false
		}
		want = want[i+1:]
	}
	return true
}

func TestRefusals(t *testing.T) {
	d, _ := start(t)
	base, _, _ := strings.Cut(strings.TrimPrefix(d.Sources()[0], "istiod+"), "#")
	for path, want := range map[string]struct {
		status int
		file   string
	}{
		"/debug/config_dump?proxyID=nobody.default": {http.StatusNotFound, "config_dump-unknown.404.txt"},
		"/debug/config_dump":                        {http.StatusBadRequest, "config_dump-noid.400.txt"},
	} {
		status, body := fetch(t, base+path)
		if text := read(t, filepath.Join(istiodAnswers, want.file)); status != want.status || !bytes.Equal(body, text) {
			t.Errorf("%s: %d %q, want %d %q", path, status, body, want.status, text)
		}
	}
	// istiod takes the first connection whose id has the text in it.
	if status, body := fetch(t, base+"/debug/config_dump?types=cds&proxyID=v1-6dcc6fbb9d"); status != http.StatusOK || !bytes.Contains(body, []byte("kube-dns")) {
		t.Errorf("part of a name: %d %.200q, want the clusters of details", status, body)
	}
}

func must(t *testing.T, target string) []byte {
	t.Helper()
	status, body := fetch(t, target)
	if status != http.StatusOK {
		t.Fatalf("GET %s: status %d: %.200s", target, status, body)
	}
	return body
}

func fetch(t *testing.T, target string) (int, []byte) {
	t.Helper()
	resp, err := http.Get(target)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(file, ".gz") {
		return body
	}
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body, err = io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	return body
}

func decode(t *testing.T, body []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("%v: %.200s", err, body)
	}
	return v
}
