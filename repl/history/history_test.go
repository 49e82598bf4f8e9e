package history

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func clock() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

func open(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(path, clock)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func add(t *testing.T, s *Store, statements ...string) {
	t.Helper()
	for _, st := range statements {
		if err := s.Add(st); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPath(t *testing.T) {
	for _, tt := range []struct{ xdg, home, want string }{
		{"/state", "/home/me", "/state/meshlark/history"},
		{"", "/home/me", "/home/me/.local/state/meshlark/history"},
		{"relative", "/home/me", "/home/me/.local/state/meshlark/history"},
		{"", "", ""},
	} {
		env := map[string]string{"XDG_STATE_HOME": tt.xdg, "HOME": tt.home}
		if got := Path(func(k string) string { return env[k] }); filepath.ToSlash(got) != tt.want {
			t.Errorf("%v: got %q", tt, got)
		}
	}
}

func TestKeepsWholeStatements(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "meshlark", "history")
	s := open(t, path)
	add(t, s, "x = 1", "def f():\n    return \"a\\n\"\n", " secret = 1", "\tindented", "", "x = 1", "y", "y")
	want := []string{"def f():\n    return \"a\\n\"", "x = 1", "y"}
	if diff := cmp.Diff(want, s.Entries()); diff != "" {
		t.Errorf("this session (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, open(t, path).Entries()); diff != "" {
		t.Errorf("the next session (-want +got):\n%s", diff)
	}
}

func TestFileIsPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no permission bits")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "new", "history")
	add(t, open(t, path), "x")
	old := filepath.Join(dir, "old")
	if err := os.WriteFile(old, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	add(t, open(t, old), "x")
	for file, want := range map[string]os.FileMode{path: 0o600, path + ".lock": 0o600, old: 0o600, filepath.Dir(path): 0o700} {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", file, got, want)
		}
	}
}

func TestUnwritableIsANote(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(filepath.Join(file, "meshlark", "history"), clock)
	if err == nil || !strings.Contains(err.Error(), "the history is not kept") {
		t.Errorf("got %v, want a reason", err)
	}
	if err := s.Add("x = 1"); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"x = 1"}, s.Entries()); diff != "" {
		t.Error(diff)
	}
	if s, err := Open("", clock); err != nil || s.Add("x") != nil {
		t.Errorf("no path: %v", err)
	}
}

func TestTwoShells(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	const shells, each = 4, 50
	var wg sync.WaitGroup
	for i := range shells {
		s := open(t, path)
		s.limit, s.bytes = shells*each, 2000 // shortened again and again, losing the oldest only
		wg.Go(func() {
			for n := range each {
				if err := s.Add(fmt.Sprintf("shell%d(%d)", i, n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if !strings.HasPrefix(line, `{"time":`) || !strings.HasSuffix(line, "\"}\n") {
			t.Errorf("a torn line: %q", line)
		}
	}

	// Without shortening nothing at all is lost.
	path = filepath.Join(t.TempDir(), "history")
	for i := range shells {
		s := open(t, path)
		wg.Go(func() {
			for n := range each {
				if err := s.Add(fmt.Sprintf("shell%d(%d)", i, n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := len(open(t, path).Entries()); got != shells*each {
		t.Errorf("%d entries, want %d", got, shells*each)
	}
}

func TestShorten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	s := open(t, path)
	s.limit, s.bytes = 10, 1000
	for n := range 500 {
		add(t, s, fmt.Sprintf("statement(%d)", n), "again")
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > 2*s.bytes+100 {
		t.Errorf("the file has %d bytes", info.Size())
	}
	entries := open(t, path).Entries()
	if n := len(entries); entries[n-1] != "again" || entries[n-2] != "statement(499)" {
		t.Errorf("the newest are %q", entries[n-2:])
	}
	if got := s.Entries(); len(got) != 10 {
		t.Errorf("%d entries in memory, want 10", len(got))
	}
}

func TestDamagedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	if err := os.WriteFile(path, []byte("{\"statement\":\"a\"}\nnot json\n\n{\"statement\":\"b\"}\n{\"statement\":\"c"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, path)
	add(t, s, "d")
	if diff := cmp.Diff([]string{"a", "b", "d"}, open(t, path).Entries()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestLinkStays(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	if err := os.WriteFile(target, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Skip(err)
	}
	s := open(t, link)
	s.bytes = 10
	add(t, s, "a", "b", "c")
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v %v", info, err)
	}
}

func TestRedact(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{`x = proxy("reviews")`, `x = proxy("reviews")`},
		{`headers={"authorization": "abc"}`, `headers={"authorization": "REDACTED"}`},
		{`h = "Bearer abcdefgh12345"`, `h = "Bearer REDACTED"`},
		{`open("https://me:pw@host/")`, `open("https://me:REDACTED@host/")`},
		{`open("http://host:15000")`, `open("http://host:15000")`},
		{`password = 'hunter2'`, `password = 'REDACTED'`},
		{`f(api_key="k-1", b=2)`, `f(api_key="REDACTED", b=2)`},
		{`t = "eyJhbGciOiJI.eyJzdWIiOiIx.c2ln"`, `t = "REDACTED"`},
		{`k = "AKIAABCDEFGHIJKLMNOP"`, `k = "REDACTED"`},
		{"k = \"\"\"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\"\"\"", "k = \"\"\"-----BEGIN RSA PRIVATE KEY-----REDACTED-----END RSA PRIVATE KEY-----\"\"\""},
		{`[s.name for s in secrets() if "token" in s.name]`, `[s.name for s in secrets() if "token" in s.name]`},
	} {
		if got := Redact(tt.in); got != tt.want {
			t.Errorf("%s\ngot  %s\nwant %s", tt.in, got, tt.want)
		}
	}
	path := filepath.Join(t.TempDir(), "history")
	s := open(t, path)
	add(t, s, `password = "hunter2"`)
	data, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(data), "hunter2") {
		t.Errorf("the file has the secret: %s %v", data, err)
	}
	if s.Entries()[0] != `password = "hunter2"` {
		t.Error("this session does not have the statement as it was typed")
	}
}
