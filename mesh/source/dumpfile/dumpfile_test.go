package dumpfile_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source/dumpfile"
	"github.com/meshlark/meshlark/xds/pattern"
	"github.com/meshlark/meshlark/xds/resource"
)

const recorded = "../../../xds/dump/testdata/envoy-1.40"

// write puts files into a new directory: the text of a recording where the content starts with "@", else the content itself.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		text := []byte(content)
		if from, ok := strings.CutPrefix(content, "@"); ok {
			var err error
			if text, err = os.ReadFile(filepath.Join(recorded, from)); err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, ".gz") {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			if _, err := z.Write(text); err != nil {
				t.Fatal(err)
			}
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
			text = b.Bytes()
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// survey opens a path and gives a line for each proxy and each failure.
func survey(t *testing.T, path string, stdin io.Reader) ([]string, *mesh.Mesh, error) {
	t.Helper()
	m := mesh.New([]mesh.Source{dumpfile.New(path, stdin)}, mesh.Options{})
	res, err := m.Proxies(t.Context())
	var lines []string
	for _, p := range res.Items {
		live := "no live hosts"
		if cs, err := p.Config(mesh.Any).LiveClusters(t.Context(), pattern.Pattern{}); err == nil {
			live = fmt.Sprintf("%d live clusters", len(cs))
		} else if !errors.Is(err, mesh.ErrNotAvailable) {
			t.Errorf("%s: %v", p.Name, err)
		}
		rs, err := p.Config(mesh.Any).Resources(t.Context(), resource.Cluster, pattern.Pattern{})
		if err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
		lines = append(lines, fmt.Sprintf("%s: %d clusters, %s", p.Name, len(rs), live))
	}
	for _, f := range res.Failures {
		rel, _ := filepath.Rel(path, f.Source)
		lines = append(lines, "failed: "+filepath.ToSlash(rel))
	}
	return lines, m, err
}

const anonymous = `{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.ClustersConfigDump","dynamic_active_clusters":[{"cluster":{"name":"a"}}]}]}`

func TestFile(t *testing.T) {
	full, err := os.ReadFile(filepath.Join(recorded, "config_dump.json"))
	if err != nil {
		t.Fatal(err)
	}
	dir := write(t, map[string]string{"whole.json": "@config_dump.json", "packed.json.gz": "@config_dump.json", "edge.json": anonymous, "clusters.json": "@clusters.json"})
	of := func(lines []string) string { return strings.Join(lines, "\n") }
	whole, m, err := survey(t, filepath.Join(dir, "whole.json"), nil)
	if err != nil || len(whole) != 1 || !strings.HasPrefix(whole[0], "productpage-v1-abc.default: ") {
		t.Fatalf("a file: %q, error %v", whole, err)
	}
	if now := m.Now(t.Context()); now.Year() != 2026 {
		t.Errorf("a recording's clock is %v, want its newest update", now)
	}
	packed, _, err := survey(t, filepath.Join(dir, "packed.json.gz"), nil)
	if err != nil || of(packed) != of(whole) {
		t.Errorf("packed: %q, error %v; want %q", packed, err, whole)
	}
	stream, m, err := survey(t, "-", bytes.NewReader(full))
	if err != nil || of(stream) != of(whole) {
		t.Errorf("standard input: %q, error %v; want %q", stream, err, whole)
	}
	m.Refresh()
	if res, err := m.Proxies(t.Context()); err != nil || len(res.Items) != 1 {
		t.Errorf("standard input after a refresh: %d proxies, error %v; want what was read", len(res.Items), err)
	}
	nameless, _, err := survey(t, filepath.Join(dir, "edge.json"), nil)
	if err != nil || len(nameless) != 1 || !strings.HasPrefix(nameless[0], "edge: 1 clusters, no live hosts") {
		t.Errorf("a dump without a node: %q, error %v; want it named after its file", nameless, err)
	}
	alone, _, err := survey(t, filepath.Join(dir, "clusters.json"), nil)
	if err != nil || len(alone) != 1 || !strings.Contains(alone[0], "0 clusters, ") || strings.Contains(alone[0], "no live") {
		t.Errorf("/clusters alone: %q, error %v; want its live hosts", alone, err)
	}
}

// What tools and shells do to a dump on its way into a file makes no difference.
func TestWritten(t *testing.T) {
	pack := func(text []byte) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write(text)
		z.Close()
		return b.Bytes()
	}
	utf16Text := func(order binary.AppendByteOrder) []byte {
		var b []byte
		for _, u := range utf16.Encode([]rune("\ufeff" + anonymous)) {
			b = order.AppendUint16(b, u)
		}
		return b
	}
	yaml := `# saved by hand
configs:
- '@type': type.googleapis.com/envoy.admin.v3.ClustersConfigDump
  dynamicActiveClusters:
  - cluster: {name: a}
`
	dir := t.TempDir()
	for name, text := range map[string][]byte{
		"a mark":      []byte("\ufeff" + anonymous),
		"gzip":        pack([]byte(anonymous)),
		"gzip twice":  pack(pack([]byte(anonymous))),
		"UTF-16":      utf16Text(binary.LittleEndian),
		"big-endian":  utf16Text(binary.BigEndian),
		"YAML":        []byte(yaml),
		"packed YAML": pack([]byte("---\n" + yaml)),
		"a list":      []byte("- name: a\n  connect_timeout: 1s\n"),
		"a bootstrap": []byte("node:\n  id: a\nstatic_resources:\n  clusters:\n  - name: a\n"),
		"a response":  []byte("resources:\n- '@type': type.googleapis.com/envoy.config.cluster.v3.Cluster\n  name: a\n"),
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		lines, _, err := survey(t, path, nil)
		if err != nil || len(lines) != 1 || !strings.Contains(lines[0], ": 1 clusters, ") {
			t.Errorf("%s: %q, error %v; want one cluster", name, lines, err)
		}
		if lines, _, err = survey(t, "-", bytes.NewReader(text)); err != nil || len(lines) != 1 || !strings.Contains(lines[0], ": 1 clusters, ") {
			t.Errorf("%s on standard input: %q, error %v; want one cluster", name, lines, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "bad.yaml"), []byte("configs:\n- a: [\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := survey(t, filepath.Join(dir, "bad.yaml"), nil); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("broken YAML: error %v, want one with the line", err)
	}
}

// A pipe, as a shell makes of <(command), is read to its end, once; one that nobody writes to is given up.
func TestPipe(t *testing.T) {
	dir := t.TempDir()
	path, silent := filepath.Join(dir, "pipe"), filepath.Join(dir, "silent")
	if err := exec.Command("mkfifo", path, silent).Run(); err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := dumpfile.New(silent, nil).Survey(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a pipe without a writer: error %v, want that the time is over", err)
	}
	go os.WriteFile(path, []byte(anonymous), 0o600)
	lines, m, err := survey(t, path, nil)
	if err != nil || len(lines) != 1 || !strings.HasPrefix(lines[0], "pipe: 1 clusters") {
		t.Fatalf("a pipe: %q, error %v", lines, err)
	}
	m.Refresh()
	if res, err := m.Proxies(t.Context()); err != nil || len(res.Items) != 1 {
		t.Errorf("after a refresh: %d proxies, error %v; want what was read", len(res.Items), err)
	}
	if _, _, err := survey(t, "-", strings.NewReader(strings.Repeat("\x00", 1<<20))); err == nil || !strings.Contains(err.Error(), "zeros") {
		t.Errorf("a stream of zeros: error %v", err)
	}
}

// Links lead to dumps, as in a directory that Kubernetes has mounted a ConfigMap at, and each dump counts once.
func TestLinks(t *testing.T) {
	dir := write(t, map[string]string{"mounted/..data/one.json": anonymous, "mounted/two.json": anonymous, "mounted/values.yaml": "replicas: 2\n"})
	for name, target := range map[string]string{
		"whole": "mounted", "mounted/one.json": "..data/one.json", "mounted/again.json": "two.json", "mounted/self": ".", "mounted/circle.json": "circle.json", "mounted/gone.json": "nothing.json",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Skip(err)
		}
	}
	lines, _, err := survey(t, filepath.Join(dir, "whole"), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"one: 1 clusters, no live hosts", "two: 1 clusters, no live hosts", "failed: circle.json", "failed: gone.json"}
	for i, l := range lines {
		lines[i] = l[:min(len(l), len("one: 1 clusters, no live hosts"))]
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A dump whose bootstrap cannot be read is there, named after its file, and the failure says why.
func TestBrokenBootstrap(t *testing.T) {
	dir := write(t, map[string]string{"a.json": `{"configs":[{"bootstrap":{"node":{"id":"n","x":NaN}}},{"static_clusters":[{"cluster":{"name":"a"}}]}]}`})
	_, m, err := survey(t, filepath.Join(dir, "a.json"), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := m.Proxies(t.Context())
	if err != nil || len(res.Items) != 1 || res.Items[0].Name != "a" || len(res.Failures) != 1 || !strings.Contains(res.Failures[0].Reason, "offset 47") {
		t.Errorf("proxies %v, failures %v, error %v; want one of each, with the place of the fault", res.Items, res.Failures, err)
	}
}

// In a directory each proxy has what lies beside its dump; what cannot be read is left out and told.
func TestDirectory(t *testing.T) {
	dir := write(t, map[string]string{
		"a/config_dump.json": "@config_dump.json", "a/clusters.json": "@clusters.json", "a/certs.json": "@certs.json",
		"b/dump.json": anonymous, "b/notes.txt": "not read", ".git/x.json": "not read either",
		"c/one.json": anonymous, "c/two.json": anonymous, "c/clusters.json": "@clusters.json",
		"d/broken.json": `{"configs":[`,
	})
	lines, _, err := survey(t, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	var short []string
	for _, l := range lines {
		short = append(short, l[:min(len(l), 40)])
	}
	want := []string{
		"b/dump: 1 clusters, no live hosts",
		"c/one: 1 clusters, no live hosts",
		"c/two: 1 clusters, no live hosts",
		"productpage-v1-abc.default: 26 clusters,",
		"failed: c/clusters.json",
		"failed: d/broken.json",
	}
	if diff := cmp.Diff(want, short); diff != "" {
		t.Errorf("directory (-want +got):\n%s", diff)
	}
}

func TestRefused(t *testing.T) {
	dir := write(t, map[string]string{
		"truncated.json": `{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.ClustersConfigDump","dynamic_active_clusters":[{"clus`,
		"text.json":      "Failed to convert protobuf message to JSON string: x", "html.json": "<!DOCTYPE html>", "empty.json": "",
		"two.json": anonymous + anonymous, "bad.json.gz": anonymous,
		"none/readme.txt": "x",
	})
	packed, err := os.ReadFile(filepath.Join(dir, "bad.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bad.json.gz"), packed[:len(packed)-9], 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"truncated.json": "offset", "text.json": "Failed to convert protobuf message", "html.json": "<!DOCTYPE html>", "empty.json": "empty",
		"two.json": fmt.Sprintf("offset %d", len(anonymous)), "missing.json": "no such file", "none": "no .json", "bad.json.gz": "unpacking gzip",
	} {
		_, _, err := survey(t, filepath.Join(dir, name), nil)
		var unreachable *mesh.UnreachableError
		if !errors.As(err, &unreachable) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v, want an UnreachableError with the name and %q", name, err, want)
		}
	}
	if _, _, err := survey(t, "-", iotest.ErrReader(errors.New("broken pipe"))); err == nil || !strings.Contains(err.Error(), "broken pipe") {
		t.Errorf("a stream that breaks: error %v", err)
	}
}
