package builtins

import (
	"testing"

	"github.com/meshlark/meshlark/xds/rawjson"
)

// FuzzYAML shows that any JSON written as YAML is read back as the same value.
func FuzzYAML(f *testing.F) {
	for _, s := range []string{
		`{}`, `[]`, `null`, `"yes"`, `"1e3"`, `1e3`, `-0`, `{"<<":{"a":1}}`, `{"a":"~","b":"","c":"x\ny\n","d":" z "}`, `[1,[2,{"k":[]}]]`,
		`18446744073709551615`, `"2026-01-01"`, `"0x10"`, `"\u0000"`, `"#"`, `"é\u2028"`, `{"":0}`, `"=" `, `0.1e1`, `1E700`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		doc, err := rawjson.Compact(nil, []byte(src))
		if err != nil {
			t.Skip()
		}
		want, err := Body(plain(doc))
		if err != nil {
			t.Skip() // nested too deep
		}
		v, err := decodeYAML(YAML(doc))
		if err != nil {
			t.Fatalf("%s was written as YAML that does not parse: %v\n%s", doc, err, YAML(doc))
		}
		got, err := Body(v)
		if err != nil {
			t.Fatal(err)
		}
		if string(rawjson.Canonical(nil, got)) != string(rawjson.Canonical(nil, want)) {
			t.Errorf("%s became %s by way of\n%s", want, got, YAML(doc))
		}
	})
}

// FuzzDecodeYAML shows that no text makes the reader of YAML panic or run away.
func FuzzDecodeYAML(f *testing.F) {
	for _, s := range []string{"a: &a [*a]", "a: &a {<<: *a}", "? [1]\n: 2", "{a: 1, a: 2}", "!!binary x", "--- 1\n--- 2", "a: &x [1,1,1]\nb: &y [*x,*x]\nc: [*y,*y]", "- !!int x", "0o17", "!!float x", "<<: 1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		v, err := decodeYAML(src)
		if err == nil {
			Body(v) // may fail: YAML has keys that are no strings
		}
	})
}
