package yamltext

import (
	"strings"
	"testing"

	"github.com/meshlark/meshlark/xds/rawjson"
)

func TestJSON(t *testing.T) {
	for src, want := range map[string]string{
		"":                                 `null`,
		"a: 1\nb: [x, 'y', \"z\"]":         `{"a":1,"b":["x","y","z"]}`,
		"1\n---\n2":                        `[1,2]`,
		"- 0x10\n- 1_000\n- 1.50\n- 1e400": `[16,1000,1.50,"1e400"]`,
		"- .5\n- .inf\n- -.inf\n- .nan":    `[0.5,"Infinity","-Infinity","NaN"]`,
		"- ~\n- null\n- true\n- yes":       `[null,null,true,"yes"]`,
		"t: 2026-11-23T10:00:00Z":          `{"t":"2026-11-23T10:00:00Z"}`,
		"b: !!binary |\n  aGVs\n  bG8=":    `{"b":"aGVsbG8="}`,
		"80: a\ntrue: b\nnull: c":          `{"80":"a","true":"b","null":"c"}`,
		"a: &x {b: 1}\nc: *x":              `{"a":{"b":1},"c":{"b":1}}`,
		"d: &d {a: 1, b: 2}\ne: {<<: *d, b: 3}\nf: {<<: [{a: 4}, *d]}": `{"d":{"a":1,"b":2},"e":{"b":3,"a":1},"f":{"a":4,"b":2}}`,
		"text: |\n  one\n  two\n":                                      `{"text":"one\ntwo\n"}`,
	} {
		if got, err := JSON([]byte(src)); err != nil || string(got) != want {
			t.Errorf("%q\ngives %s, error %v\nwant  %s", src, got, err, want)
		}
	}
	bomb := "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
	for i := range 12 {
		bomb += string(rune('b'+i)) + ": &" + string(rune('b'+i)) + " [" + strings.TrimSuffix(strings.Repeat("*"+string(rune('a'+i))+",", 10), ",") + "]\n"
	}
	for src, want := range map[string]string{
		"a: [1": "line 1", "a: 1\nb: 2\na: 3": "line 3: the key a is there twice", "? [1]\n: 2": "line 1: a key is no text",
		"a: &a [*a]": "nested too deep", bomb: "too large", "<<: 1": "wants a mapping",
	} {
		if got, err := JSON([]byte(src)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q gives %.100s, error %v; want one with %q", src, got, err, want)
		}
	}
}

// FuzzJSON shows that what any text gives is JSON.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{"a: &a [*a]", "a: &a {<<: *a}", "? [1]\n: 2", "{a: 1, a: 2}", "!!binary x", "--- 1\n--- 2", "a: &x [1,1]\nb: [*x,*x]", "- !!int x", "0o17", "!!float x", "<<: 1", "- .5", "- 1.", "\"\\xff\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		out, err := JSON([]byte(src))
		if err != nil {
			return
		}
		if _, err := rawjson.Compact(nil, out); err != nil {
			t.Errorf("%q gives %q: %v", src, out, err)
		}
	})
}
