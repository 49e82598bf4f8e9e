package display

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/xds/rawjson"
)

func TestIndent(t *testing.T) {
	const compact = `{"b":1.50e3,"a":[],"a":{},"s":"{\"[,:\\","l":[1,[2,{"x":null}]],"big":12345678901234567890}`
	const want = `{
  "b": 1.50e3,
  "a": [],
  "a": {},
  "s": "{\"[,:\\",
  "l": [
    1,
    [
      2,
      {
        "x": null
      }
    ]
  ],
  "big": 12345678901234567890
}`
	if diff := cmp.Diff(want, string(appendIndented(nil, rawjson.Value(compact)))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, scalar := range []string{`1`, `"x"`, `null`, `[]`, `{}`} {
		if got := string(appendIndented(nil, rawjson.Value(scalar))); got != scalar {
			t.Errorf("%s becomes %s", scalar, got)
		}
	}
}

// Indenting changes white space alone: taken out again, the text is what it was.
func FuzzIndent(f *testing.F) {
	f.Add([]byte(`{"a":[1,{"b":"\\\" ,:"}],"c":{}}`))
	f.Fuzz(func(t *testing.T, src []byte) {
		compact, err := rawjson.Compact(nil, src)
		if err != nil {
			return
		}
		again, err := rawjson.Compact(nil, appendIndented(nil, compact))
		if err != nil {
			t.Fatalf("%v after indenting %s", err, compact)
		}
		if !bytes.Equal(compact, again) {
			t.Errorf("indenting changed\n%s to\n%s", compact, again)
		}
	})
}
