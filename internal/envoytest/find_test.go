package envoytest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	dir := t.TempDir()
	executable := func(path ...string) string {
		p := filepath.Join(append([]string{dir}, path...)...)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, nil, 0o755); err != nil {
			t.Fatal(err)
		}
		return p
	}
	named := executable("named", "my-envoy")
	onPath := executable("bin", "envoy")
	inHome := executable("home", ".cache", cachedEnvoy)
	inCache := executable("cache", cachedEnvoy)
	for _, tt := range []struct {
		name                  string
		variable, path        string
		home, cache           string
		want, wantErrorToTell string
	}{
		{name: "named", variable: named, path: filepath.Dir(onPath), home: filepath.Join(dir, "home"), want: named},
		{name: "on PATH", path: filepath.Dir(onPath), home: filepath.Join(dir, "home"), want: onPath},
		{name: "in the home's cache", path: dir, home: filepath.Join(dir, "home"), want: inHome},
		{name: "in the cache folder", path: dir, home: filepath.Join(dir, "home"), cache: filepath.Join(dir, "cache"), want: inCache},
		{name: "named wrongly", variable: filepath.Join(dir, "missing"), path: filepath.Dir(onPath), wantErrorToTell: "MESHLARK_ENVOY"},
		{name: "nowhere", path: dir, home: dir, wantErrorToTell: ".ci/envoy"},
		{name: "nowhere, homeless", path: dir, wantErrorToTell: ".ci/envoy"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("MESHLARK_ENVOY", tt.variable)
			t.Setenv("PATH", tt.path)
			t.Setenv("HOME", tt.home)
			t.Setenv("XDG_CACHE_HOME", tt.cache)
			got, err := Find()
			if got != tt.want {
				t.Errorf("found %q, want %q", got, tt.want)
			}
			if (err != nil) != (tt.wantErrorToTell != "") || err != nil && !strings.Contains(err.Error(), tt.wantErrorToTell) {
				t.Errorf("error is %v, want one that tells of %q", err, tt.wantErrorToTell)
			}
		})
	}
}

// outcome is a test that only notes how it was ended.
type outcome struct {
	testing.TB
	fatal, skip []any
}

func (o *outcome) Helper()           {}
func (o *outcome) Fatal(args ...any) { o.fatal = args }
func (o *outcome) Skip(args ...any)  { o.skip = args }

func TestNeedWithoutEnvoy(t *testing.T) {
	t.Setenv("MESHLARK_ENVOY", "")
	t.Setenv("PATH", t.TempDir())
	t.Setenv("HOME", "")
	t.Setenv("XDG_CACHE_HOME", "")
	for ci, wantFatal := range map[string]bool{"": false, "true": true} {
		t.Setenv("CI", ci)
		o := &outcome{TB: t}
		Need(o)
		if (len(o.fatal) > 0) != wantFatal || (len(o.skip) > 0) == wantFatal {
			t.Errorf("with CI=%q: failed with %v, skipped with %v", ci, o.fatal, o.skip)
		}
	}
}
