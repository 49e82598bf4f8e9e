package session

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDisk(t *testing.T) {
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(base, "root")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(filepath.Join(root, "sub"), 0o755))
	must(os.WriteFile(filepath.Join(base, "secret"), []byte("secret"), 0o644))
	must(os.WriteFile(filepath.Join(root, "a"), []byte("a"), 0o644))
	must(os.Symlink("../a", filepath.Join(root, "sub", "inside")))
	must(os.Symlink("../secret", filepath.Join(root, "outside")))
	must(os.Symlink("..", filepath.Join(root, "up")))

	for rel, want := range map[string]string{"a": "a", "sub/inside": "a"} {
		if data, err := (Disk{}).ReadFile(root, rel); err != nil || string(data) != want {
			t.Errorf("%s: %q, %v", rel, data, err)
		}
	}
	for _, rel := range []string{"outside", "up/secret", "../secret"} {
		if data, err := (Disk{}).ReadFile(root, rel); !errors.Is(err, ErrEscapes) {
			t.Errorf("%s: %q, %v; want ErrEscapes", rel, data, err)
		}
	}
	if _, err := (Disk{}).ReadFile(root, "sub"); err == nil || !strings.Contains(err.Error(), "folder") {
		t.Errorf("a folder: %v", err)
	}

	must((Disk{}).WriteFile(root, "new/deep/file", []byte("1")))
	must((Disk{}).WriteFile(root, "new/deep/file", []byte("2")))
	if data, err := os.ReadFile(filepath.Join(root, "new/deep/file")); err != nil || string(data) != "2" {
		t.Errorf("written file: %q, %v", data, err)
	}
	if left, _ := os.ReadDir(filepath.Join(root, "new/deep")); len(left) != 1 {
		t.Errorf("temporary files are left: %v", left)
	}
	if err := (Disk{}).WriteFile(root, "up/x", nil); !errors.Is(err, ErrEscapes) {
		t.Errorf("writing through a link: %v, want ErrEscapes", err)
	}

	// Through the session: the error names the folders, a script that is a link
	// runs, and its own folder is where it really is.
	must(os.WriteFile(filepath.Join(root, "sub", "s.star"), []byte("print(read_file('inside'))\n"), 0o644))
	must(os.WriteFile(filepath.Join(root, "o.star"), []byte("read_file('outside')\n"), 0o644))
	must(os.Symlink("root/sub/s.star", filepath.Join(base, "link.star")))
	var out strings.Builder
	s := New(Options{Predeclared: testLanguage(), Files: Disk{}, WorkDir: root, Stdout: &out})
	if o := s.RunFile(context.Background(), filepath.Join(base, "link.star"), nil); o.Err != nil || out.String() != "a\n" || o.Runbook != "link" {
		t.Errorf("linked script %s: %v, %q", o.Runbook, o.Err, out.String())
	}
	o := s.RunFile(context.Background(), "o.star", nil)
	if !errors.Is(o.Err, ErrEscapes) || !strings.Contains(o.Err.Error(), root) {
		t.Errorf("a link out: %v", o.Err)
	}
	if o := s.RunSource(context.Background(), Source{Name: "e", Text: "opened('outside')"}, nil); o.Err == nil {
		t.Error("a source behind a link out was opened")
	}
}
