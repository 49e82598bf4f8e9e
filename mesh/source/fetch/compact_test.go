package fetch

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReadCompact(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "",
		" \n":                          " \n",
		"{ \"a b\" : [ 1 , -2.5e3 ] }": `{"a b":[1,-2.5e3]}`,
		"\n\t[\r\n \"x \\\" \\\\\" , true ,\n null ]\n": `["x \" \\",true,null]`,
		"[1 2, tru e]":          "[1 2,tru e]",
		`[1 "a" "b" 2]`:         `[1"a""b"2]`,
		`{"a": "never ends  `:   `{"a":"never ends  `,
		"LIVE  \n [ not JSON ]": "LIVE  \n [ not JSON ]",
		" <html> {  }":          " <html> {  }",
	} {
		for name, reader := range map[string]io.Reader{"whole": strings.NewReader(text), "bytes": iotest.OneByteReader(strings.NewReader(text))} {
			got, n, err := readCompact(reader, 1<<20)
			if string(got) != want || n != int64(len(text)) || err != nil {
				t.Errorf("%q by %s: got %q of %d bytes, error %v; want %q of %d", text, name, got, n, err, want, len(text))
			}
		}
	}
	long := strings.Repeat("[ ", 5*firstPiece)
	if got, n, err := readCompact(strings.NewReader(long), int64(len(long))-1); got != nil || n != int64(len(long)) || err != nil {
		t.Errorf("over the limit: got %d bytes of %d, error %v", len(got), n, err)
	}
	broken := io.MultiReader(strings.NewReader(long), iotest.ErrReader(io.ErrUnexpectedEOF))
	if got, n, err := readCompact(broken, 1<<30); got != nil || n != int64(len(long)) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("broken off: got %d bytes of %d, error %v", len(got), n, err)
	}
}

// What Envoy printed is compacted as encoding/json compacts it, wherever it is cut.
func TestReadCompactDump(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "xds", "dump", "testdata", "envoy-1.40", "config_dump.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := json.Compact(&want, text); err != nil {
		t.Fatal(err)
	}
	for _, reader := range []io.Reader{bytes.NewReader(text), iotest.HalfReader(bytes.NewReader(text)), iotest.OneByteReader(bytes.NewReader(text))} {
		if got, _, err := readCompact(reader, 1<<30); err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%d bytes became %d, error %v; want %d", len(text), len(got), err, want.Len())
		}
	}
}
