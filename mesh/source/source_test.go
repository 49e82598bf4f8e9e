package source_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/meshlark/meshlark/mesh/source"
)

func TestOpen(t *testing.T) {
	var o source.Opener
	for spec, want := range map[string]string{
		"dump.json": "dump.json", "./a:b.json": "./a:b.json", "-": "-", "dir/": "dir/", `C:\dumps\a.json`: `C:\dumps\a.json`,
		"http://127.0.0.1:15000": "http://127.0.0.1:15000", "https://u:p@host:1": "https://host:1", "istiod+http://h:15014": "istiod+http://h:15014", "istiod+http://h:15014#pod": "istiod+http://h:15014#pod",
		"xds://h:15010?node=a": "xds://h:15010?node=a", "xds+tls://h": "xds+tls://h",
	} {
		s, err := o.Open(spec)
		if err != nil || s.Spec() != want {
			t.Errorf("Open(%q) = %v, error %v; want the spec %q", spec, s, err, want)
		}
	}
	t.Chdir(t.TempDir())
	dump := "dump-2026-11-23T10:00:00.json"
	if err := os.WriteFile(dump, []byte("{}"), 0o600); err != nil {
		t.Skip(err) // some systems have no such names
	}
	if s, err := o.Open(dump); err != nil || s.Spec() != dump {
		t.Errorf("a file with colons: %v, error %v", s, err)
	}
	// A kind that is not built is an error, and no help names it.
	for spec, want := range map[string]string{
		"": "empty", "kube:prod": `no source of the kind "kube"`, "ftp://h": `scheme "ftp"`, "istiod+ftp://h": `scheme "istiod+ftp"`,
		"http://": "no host", "http://:15000": "no host", "http://h:15000?x=1": "query", "http://h:15000#pod": "fragment", "http://h:port": "no URL",
		"xds://": "no host", "xds://h?id=a": `query has "id"`, "xds://h?mode=both": "there are sotw and delta", "xds://h/x": "nothing but", "xds://h?token=f": "over TLS only", "xds://h?node=a&node=b": "node twice",
	} {
		_, err := o.Open(spec)
		var se *source.SpecError
		if !errors.As(err, &se) || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%q): error %v, want a SpecError with %q", spec, err, want)
		}
		if err != nil && (strings.Contains(err.Error(), ".mlk") || strings.Contains(err.Error(), "kube:CONTEXT")) {
			t.Errorf("Open(%q): %v names a source that is not there", spec, err)
		}
	}
}
