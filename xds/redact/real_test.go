package redact

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/meshlark/meshlark/xds/rawjson"
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

// TestDesiredUntouched: a dump without secrets is only compacted.
func TestDesiredUntouched(t *testing.T) {
	text := desiredDump(t)
	want, err := rawjson.Compact(nil, text)
	if err != nil {
		t.Fatal(err)
	}
	got, n, err := Compact(nil, text)
	if err != nil || n != 0 || !bytes.Equal(got, want) {
		t.Errorf("%d values redacted of a dump without secrets, %v", n, err)
	}
}

// TestEnvoyDumps: Envoy has redacted all it knows. What is left to find is the key that the scene hid in a type Envoy does not know.
func TestEnvoyDumps(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "dump", "testdata", "envoy-1.40", "*.json"))
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	hidden := []byte("made up, and not redacted by Envoy")
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := rawjson.Compact(nil, bytes.ReplaceAll(text, hidden, []byte(redactedText)))
		if err != nil {
			t.Fatal(err)
		}
		got, n, err := Compact(nil, text)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d values redacted, %v", name, n, err)
		}
	}
}

func BenchmarkCompact(b *testing.B) {
	text := desiredDump(b)
	b.SetBytes(int64(len(text)))
	buf := make([]byte, 0, len(text)+8)
	for b.Loop() {
		if _, _, err := Compact(buf[:0], text); err != nil {
			b.Fatal(err)
		}
	}
}
