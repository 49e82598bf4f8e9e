package match_test

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
)

func TestString(t *testing.T) {
	for _, tc := range []struct {
		matcher, text string
		want          bool
	}{
		{`{"exact":"a"}`, "a", true},
		{`{"exact":"a"}`, "A", false},
		{`{"exact":"a","ignore_case":true}`, "A", true},
		{`{"exact":""}`, "", true},
		{`{"prefix":"ab"}`, "abc", true},
		{`{"prefix":"AB","ignore_case":true}`, "abc", true},
		{`{"prefix":"abc"}`, "ab", false},
		{`{"suffix":"bc"}`, "abc", true},
		{`{"suffix":"abc"}`, "bc", false},
		{`{"contains":"B","ignore_case":true}`, "abc", true},
		{`{"contains":"B"}`, "abc", false},
		{`{"safe_regex":{"regex":"a|b"}}`, "b", true},
		{`{"safe_regex":{"regex":"a|b"}}`, "ab", false}, // the whole text
		{`{"safe_regex":{"regex":"a)(b"}}`, "ab", false},
		{`{"exact":"É","ignore_case":true}`, "é", false}, // ASCII only
		{`{}`, "", false},
	} {
		if got := match.NewString(rawjson.Value(tc.matcher)).Match(tc.text); got != tc.want {
			t.Errorf("%s on %q: %t, want %t", tc.matcher, tc.text, got, tc.want)
		}
	}
	if err := match.NewString(rawjson.Value(`{"safe_regex":{"regex":"("}}`)).Err(); err == nil {
		t.Error("a regular expression that does not compile has no error")
	}
}

func TestHeader(t *testing.T) {
	newest, old := match.Version{}, match.ParseVersion("1.36.2")
	two := match.Headers{{Name: "x", Value: "a"}, {Name: "x", Value: "b"}}
	accepts := match.Headers{{Name: "accept", Value: "a"}, {Name: "x", Value: "x"}, {Name: "accept", Value: "b"}}
	for _, tc := range []struct {
		matcher string
		headers match.Headers
		envoy   match.Version
		want    bool
	}{
		{`{"name":"X","string_match":{"exact":"b"}}`, two, newest, true},
		{`{"name":"x","string_match":{"exact":"b"}}`, two, old, false},             // joined before 1.39
		{`{"name":"accept","string_match":{"exact":"b"}}`, accepts, newest, false}, // always one line
		{`{"name":"accept","string_match":{"exact":"a,b"}}`, accepts, newest, true},
		{`{"name":"x","string_match":{"exact":"a,b"}}`, two, old, true},
		{`{"name":"x","string_match":{"exact":"b"},"invert_match":true}`, two, newest, false},
		{`{"name":"y","string_match":{"exact":"b"},"invert_match":true}`, two, newest, false}, // absent
		{`{"name":"y","string_match":{"exact":"b"},"invert_match":true,"treat_missing_header_as_empty":true}`, two, newest, true},
		{`{"name":"y","present_match":false}`, two, newest, true},
		{`{"name":"y","present_match":true,"invert_match":true}`, two, newest, true},
		{`{"name":"x"}`, two, newest, true},
		{`{"name":"x","exact_match":""}`, two, newest, true},
		{`{"name":"x","string_match":{"exact":""}}`, two, newest, false},
		{`{"name":"n","range_match":{"start":"-5","end":"5"}}`, match.Headers{{Name: "n", Value: " 4"}}, newest, true},
		{`{"name":"n","range_match":{"start":"-5","end":"5"}}`, match.Headers{{Name: "n", Value: "5"}}, newest, false},
		{`{"name":":path","string_match":{"suffix":"?q"}}`, nil, newest, true},
		{`{"name":"host","string_match":{"exact":"h"}}`, nil, newest, true},
	} {
		r := &match.Request{Host: "h", Path: "/p?q", Headers: tc.headers, Envoy: tc.envoy}
		if got := match.NewHeaderMatch(rawjson.Value(tc.matcher)).Match(r); got != tc.want {
			t.Errorf("%s on %v with Envoy %v: %t, want %t", tc.matcher, tc.headers, tc.envoy, got, tc.want)
		}
	}
}

func TestParameterAndCookie(t *testing.T) {
	r := &match.Request{Path: "/p?a=1&a=2&b&c=%20", Headers: match.Headers{{Name: "cookie", Value: `x; sid="s"; sid=t`}}}
	for matcher, want := range map[string]bool{
		`{"name":"a","string_match":{"exact":"1"}}`: true,
		`{"name":"a","string_match":{"exact":"2"}}`: false,
		`{"name":"b"}`: true,
		`{"name":"b","string_match":{"exact":""}}`:    true,
		`{"name":"c","string_match":{"exact":"%20"}}`: true,
		`{"name":"a=1"}`:                     false,
		`{"name":"d","present_match":false}`: true,
		`{"name":"a","present_match":false}`: false,
	} {
		if got := match.NewParameterMatch(rawjson.Value(matcher)).Match(r); got != want {
			t.Errorf("query %s: %t, want %t", matcher, got, want)
		}
	}
	for matcher, want := range map[string]bool{
		`{"name":"sid","string_match":{"exact":"s"}}`:                     true,
		`{"name":"x","string_match":{"exact":""}}`:                        false,
		`{"name":"x","string_match":{"exact":""},"invert_match":true}`:    true,
		`{"name":"sid","string_match":{"exact":"s"},"invert_match":true}`: false,
	} {
		if got := match.NewCookieMatch(rawjson.Value(matcher)).Match(r); got != want {
			t.Errorf("cookie %s: %t, want %t", matcher, got, want)
		}
	}
}

func TestTemplate(t *testing.T) {
	for _, tc := range []struct {
		template, path string
		want           bool
	}{
		{"/a/*", "/a/b", true},
		{"/a/*", "/a/b/c", false},
		{"/a/*", "/a/", false},
		{"/a/**", "/a/", true},
		{"/a/**", "/a/b/c", true},
		{"/{x}/b", "/a/b", true},
		{"/v{n}/b", "/v1/b", true},
		{"/{x=a/*}/c", "/a/b/c", true},
		{"/a.b", "/axb", false},
		{"a", "a", false},
		{"/**/*", "/a/b", false}, // refused: a wildcard after **
		{"/{x}/{x}", "/a/b", false},
	} {
		if got := match.NewTemplate(tc.template).Match(tc.path); got != tc.want {
			t.Errorf("template %s on %s: %t, want %t", tc.template, tc.path, got, tc.want)
		}
	}
	got, ok := match.NewTemplate("/v1/{what}/{rest=**}").Rewrite("/v1/items/1/2", "/new/{rest}/of/{what}")
	if want := "/new/1/2/of/items"; !ok || got != want {
		t.Errorf("rewrite gives %q %t, want %q", got, ok, want)
	}
}

func TestReplace(t *testing.T) {
	for _, tc := range []struct{ re, text, substitution, want string }{
		{"b?", "/ab", "-", "-/-a-"},
		{"([a-z])([0-9])", "a1b2", `\2\1`, "1a2b"},
		{"a", "aa", `\\$1\0`, `\$1a\$1a`},
		{"x", "abc", "y", "abc"},
	} {
		if got := match.Replace(regexp.MustCompile(tc.re), tc.text, tc.substitution); got != tc.want {
			t.Errorf("replace %s in %s by %s: %q, want %q", tc.re, tc.text, tc.substitution, got, tc.want)
		}
	}
}

func TestFraction(t *testing.T) {
	const half = `{"default_value":{"numerator":50},"runtime_key":"k"}`
	for _, tc := range []struct {
		runtime map[string]any
		want    match.Fraction
	}{
		{nil, match.Fraction{Numerator: 50, Denominator: 100}},
		{map[string]any{"k": 10}, match.Fraction{Numerator: 10, Denominator: 100}},
		{map[string]any{"k": "200"}, match.Fraction{Numerator: 200, Denominator: 100}},
		{map[string]any{"k": map[string]any{"numerator": 5, "denominator": "MILLION"}}, match.Fraction{Numerator: 5, Denominator: 1_000_000}},
		{map[string]any{"k": "nonsense"}, match.Fraction{Numerator: 50, Denominator: 100}},
	} {
		if got := match.RuntimeFraction(rawjson.Value(half), tc.runtime); got != tc.want {
			t.Errorf("with runtime %v: %v, want %v", tc.runtime, got, tc.want)
		}
	}
}

func TestMetadata(t *testing.T) {
	metadata := map[string]any{"f": map[string]any{"a": map[string]any{"b": "c"}, "n": 5, "l": []any{"x", "y"}, "null": nil}}
	for matcher, want := range map[string]bool{
		`{"filter":"f","path":[{"key":"a"},{"key":"b"}],"value":{"string_match":{"exact":"c"}}}`:                                   true,
		`{"filter":"f","path":[{"key":"a"},{"key":"x"}],"value":{"string_match":{"exact":"c"}},"invert":true}`:                     true,
		`{"filter":"f","path":[{"key":"n"}],"value":{"double_match":{"range":{"start":5,"end":6}}}}`:                               true,
		`{"filter":"f","path":[{"key":"l"}],"value":{"list_match":{"one_of":{"string_match":{"exact":"y"}}}}}`:                     true,
		`{"filter":"f","path":[{"key":"null"}],"value":{"null_match":{}}}`:                                                         true,
		`{"filter":"f","path":[{"key":"none"}],"value":{"null_match":{}}}`:                                                         false,
		`{"filter":"f","path":[{"key":"n"}],"value":{"or_match":{"value_matchers":[{"bool_match":true},{"present_match":true}]}}}`: true,
		`{"filter":"g","path":[{"key":"n"}],"value":{"present_match":true}}`:                                                       false,
	} {
		if got := match.NewMetadataMatch(rawjson.Value(matcher)).Match(metadata); got != want {
			t.Errorf("%s: %t, want %t", matcher, got, want)
		}
	}
}

func action(name string) string {
	return `{"action":{"name":"` + name + `","typed_config":{"@type":"type.googleapis.com/google.protobuf.StringValue","value":"` + name + `"}}}`
}

func header(name string) string {
	return `{"name":"h","typed_config":{"@type":"type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput","header_name":"` + name + `"}}`
}

func TestTree(t *testing.T) {
	single := func(name, value string) string {
		return `{"single_predicate":{"input":` + header(name) + `,"value_match":{"exact":"` + value + `"}}}`
	}
	for _, tc := range []struct {
		tree    string
		headers match.Headers
		envoy   match.Version
		want    string
	}{
		{`{"matcher_list":{"matchers":[{"predicate":` + single("x", "a") + `,"on_match":` + action("A") + `}]},"on_no_match":` + action("N") + `}`, match.Headers{{Name: "x", Value: "a"}}, match.Version{}, "A"},
		{`{"matcher_list":{"matchers":[{"predicate":{"not_matcher":` + single("x", "a") + `},"on_match":` + action("A") + `}]}}`, nil, match.Version{}, "A"},
		// An entry whose nested tree finds nothing is as if it had not matched.
		{`{"matcher_list":{"matchers":[{"predicate":` + single("x", "a") + `,"on_match":{"matcher":{"matcher_list":{"matchers":[{"predicate":` + single("y", "b") + `,"on_match":` + action("B") + `}]}}}},{"predicate":` + single("x", "a") + `,"on_match":` + action("C") + `}]}}`, match.Headers{{Name: "x", Value: "a"}}, match.Version{}, "C"},
		{`{"matcher_tree":{"input":` + header("x") + `,"exact_match_map":{"map":{"a":` + action("A") + `}}},"on_no_match":` + action("N") + `}`, match.Headers{{Name: "x", Value: "b"}}, match.Version{}, "N"},
		{`{"matcher_tree":{"input":` + header("x") + `,"prefix_match_map":{"map":{"a":` + action("A") + `,"ab":` + action("AB") + `}}}}`, match.Headers{{Name: "x", Value: "abc"}}, match.Version{}, "AB"},
		{`{"matcher_tree":{"input":` + header("x") + `,"prefix_match_map":{"map":{"a":` + action("A") + `,"ab":{"matcher":{"matcher_list":{"matchers":[]}}}}}}}`, match.Headers{{Name: "x", Value: "abc"}}, match.Version{}, "A"},
		{`{"matcher_tree":{"input":` + header("x") + `,"prefix_match_map":{"map":{"a":` + action("A") + `,"ab":{"matcher":{"matcher_list":{"matchers":[]}}}}}}}`, match.Headers{{Name: "x", Value: "abc"}}, match.ParseVersion("1.34.0"), ""},
	} {
		got := match.Tree(rawjson.Value(tc.tree), &match.Request{Headers: tc.headers, Envoy: tc.envoy})
		if got.Action.Name != tc.want || got.Found != (tc.want != "") {
			t.Errorf("%s on %v: %q, want %q", tc.tree, tc.headers, got.Action.Name, tc.want)
		}
	}
}

func TestTreeOfAddresses(t *testing.T) {
	tree := `{"matcher_tree":{"input":{"typed_config":{"@type":"type.googleapis.com/x.DestinationIPInput"}},"custom_match":{"typed_config":{"@type":"type.googleapis.com/xds.type.matcher.v3.IPMatcher","range_matchers":[
		{"ranges":[{"address_prefix":"10.0.0.0","prefix_len":8}],"on_match":` + action("wide") + `},
		{"ranges":[{"address_prefix":"10.1.0.0","prefix_len":16}],"on_match":{"matcher":{"matcher_list":{"matchers":[]}}}},
		{"ranges":[{"address_prefix":"10.1.2.0","prefix_len":24}],"exclusive":true,"on_match":` + action("narrow") + `}]}}}}`
	got := map[string]string{}
	for _, ip := range []string{"10.1.2.3", "10.1.9.9", "11.0.0.1"} {
		r := &match.Request{Connection: match.Connection{Destination: netip.AddrPortFrom(netip.MustParseAddr(ip), 80)}}
		got[ip] = match.Tree(rawjson.Value(tree), r).Action.Name
	}
	if diff := cmp.Diff(map[string]string{"10.1.2.3": "narrow", "10.1.9.9": "wide", "11.0.0.1": ""}, got); diff != "" {
		t.Errorf("chosen by address (-want +got):\n%s", diff)
	}
}

func FuzzTree(f *testing.F) {
	f.Add([]byte(`{"matcher_list":{"matchers":[{"predicate":{"or_matcher":{"predicate":[]}},"on_match":{}}]}}`), "a")
	f.Add([]byte(`{"matcher_tree":{"input":{"typed_config":{"@type":"x/ServerNameInput"}},"custom_match":{"typed_config":{"@type":"x/ServerNameMatcher"}}}}`), "a.b")
	f.Fuzz(func(t *testing.T, tree []byte, value string) {
		match.Tree(tree, &match.Request{Path: value, Headers: match.Headers{{Name: value, Value: value}}, Connection: match.Connection{SNI: value}})
		match.NewTemplate(value).Match(value)
		match.NewMetadataMatch(tree).Match(map[string]any{value: value})
	})
}

// A condition that compares with a token does not hold, since the token is not there any more, and says why.
func TestRedactedString(t *testing.T) {
	for _, v := range []string{`{"exact":"Bearer [redacted]"}`, `{"prefix":"[redacted]"}`, `{"safe_regex":{"regex":"Bearer [redacted]"}}`} {
		if s := match.NewString(rawjson.Value(v)); s.Match("Bearer r") || s.Err() == nil || !strings.Contains(s.Err().Error(), "private") {
			t.Errorf("%s: error %v, want that what it compares with was taken out", v, s.Err())
		}
	}
	if s := match.NewString(rawjson.Value(`{"exact":"Bearer x"}`)); s.Err() != nil {
		t.Error(s.Err())
	}
}
