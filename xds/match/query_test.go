package match_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/xds/match"
)

func TestQuery(t *testing.T) {
	for path, want := range map[string]string{
		"/a":                 "/a",
		"/a?":                "/a",
		"/a?b=2&a=1&b=1":     "/a?a=1&b=2&b=1", // by name, and as they came
		"/a?x=%2F&%41=1&y":   "/a?A=1&x=/&y=",
		"/a?bad=%zz&a=1=2&&": "/a?=&a=1=2&bad=%zz",
		"/a?b#c":             "/a?b#c=",
	} {
		if got := match.ParseQuery(path).Put(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestPercentEncode(t *testing.T) {
	for text, want := range map[string]string{"aZ09-_.*": "aZ09-_.*", "a b/~": "a%20b%2F%7E", "ä": "%C3%A4"} {
		if got := match.PercentEncode(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestJoined(t *testing.T) {
	got := match.Headers{{Name: "accept", Value: "a"}, {Name: "x", Value: "1"}, {Name: "accept", Value: "b"}, {Name: "x", Value: "2"}}.Joined()
	if diff := cmp.Diff(match.Headers{{Name: "accept", Value: "a,b"}, {Name: "x", Value: "1"}, {Name: "x", Value: "2"}}, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}
