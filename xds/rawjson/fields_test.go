package rawjson_test

import (
	"testing"

	"github.com/meshlark/meshlark/xds/rawjson"
)

// Fields give what a scan of the text gives, at every depth of index.
func TestFields(t *testing.T) {
	for _, body := range []string{
		`{"a_b":1,"c":{"d_e":"x","d_e":"last","f":{"g":2}},"k":null}`,
		`{"aB":1,"c":{"dE":"x","f":{"g":2}},"a_b":3}`,
		`{"a\u005fb":1,"c":[1],"\u0061B":7}`,
		`{"a_":1,"_a":2,"A":3,"":4}`,
		`[1]`, `"text"`, ``, `{"a_b":1,"c":{"d_e`,
	} {
		v := rawjson.Value(body)
		for depth := range 4 {
			f := rawjson.NewFields(v).Index(depth)
			for _, path := range [][]string{{"a_b"}, {"c"}, {"c", "d_e"}, {"c", "f", "g"}, {"c", "f", "h"}, {"k"}, {"k", "l"}, {"a"}, {"a_"}, {"_a"}, {""}, {}} {
				want := v.Get(path...)
				if got := f.Get(path...); string(got) != string(want) {
					t.Errorf("%s, depth %d, %q: %s, want %s", body, depth, path, got, want)
				}
				if got := f.Under(path...).Value(); string(got) != string(want) {
					t.Errorf("%s, depth %d, under %q: %s, want %s", body, depth, path, got, want)
				}
				if got := f.Str(path...); got != want.Text() {
					t.Errorf("%s, depth %d, text of %q: %q, want %q", body, depth, path, got, want.Text())
				}
			}
		}
	}
	if got := rawjson.NewFields(rawjson.Value(`{"aB":1,"c":{"dE":"x"}}`)).Index(2).Str("c", "d_e"); got != "x" {
		t.Errorf("a lowerCamelCase name is found as %q, want x", got)
	}
}
