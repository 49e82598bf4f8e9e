// Package history keeps the statements that were typed at the prompt, from one
// session to the next.
//
// The file has one JSON object a line, so that a statement of many lines is one
// entry. Only its owner can read it. Statements that begin with a space are not
// kept, and what looks like a secret is struck out before anything is written.
// Several shells may share a file: each only adds to it, under a lock, and
// whoever finds it too long shortens it.
package history

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Limits of what is kept.
const (
	MaxEntries = 5000
	MaxBytes   = 4 << 20 // of the file, after it was shortened
	maxEntry   = 256 << 10
)

// Path is where the history belongs, by the environment: below $XDG_STATE_HOME,
// else below $HOME/.local/state. It is "" when neither is set.
func Path(env func(name string) string) string {
	if dir := env("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "meshlark", "history")
	}
	if home := env("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "state", "meshlark", "history")
	}
	return ""
}

// A Store is the history of one session, and the file behind it. A Store is
// used by one goroutine at a time.
type Store struct {
	path    string // "" when nothing is written
	now     func() time.Time
	entries []string
	limit   int
	bytes   int64
}

// record is a line of the file.
type record struct {
	Time      time.Time `json:"time,omitzero"`
	Statement string    `json:"statement"`
}

// Open reads the history of a file, which need not exist. The Store works in
// any case: when the file cannot be read or written, the error says why, and
// the history lasts as long as the session. An empty path is no error.
func Open(path string, now func() time.Time) (*Store, error) {
	s := &Store{now: now, limit: MaxEntries, bytes: MaxBytes}
	if path == "" {
		return s, nil
	}
	if err := s.open(path); err != nil {
		s.path = ""
		return s, fmt.Errorf("the history is not kept: %w", err)
	}
	return s, nil
}

func (s *Store) open(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	// A link, as people who keep their settings elsewhere have it, stays one.
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	s.path = path
	return s.locked(func() error {
		f, err := s.file(os.O_RDWR | os.O_CREATE)
		if err != nil {
			return err
		}
		defer f.Close()
		records, err := read(f)
		if err != nil {
			return err
		}
		for _, r := range records {
			s.remember(r.Statement)
		}
		return nil
	})
}

// file opens the file and makes sure that it is private.
func (s *Store) file(flags int) (*os.File, error) {
	f, err := os.OpenFile(s.path, flags, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", s.path)
	}
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = f.Chmod(0o600)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// read reads the records of a file. Lines that are none are passed over: a
// crash may have cut one short.
func read(f io.Reader) (records []record, err error) {
	r := bufio.NewReader(f)
	for {
		line, err := r.ReadBytes('\n')
		var rec record
		if len(bytes.TrimSpace(line)) > 0 && json.Unmarshal(line, &rec) == nil && rec.Statement != "" {
			records = append(records, rec)
		}
		if errors.Is(err, io.EOF) {
			return records, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// Entries gives the statements, oldest first, each once, where it was last used.
func (s *Store) Entries() []string { return slices.Clone(s.entries) }

// remember adds a statement to those in memory.
func (s *Store) remember(statement string) {
	s.entries = slices.DeleteFunc(s.entries, func(e string) bool { return e == statement })
	s.entries = append(s.entries, statement)
	if n := len(s.entries) - s.limit; n > 0 {
		s.entries = slices.Delete(s.entries, 0, n)
	}
}

// Add keeps a statement. An error means that it could not be written; it is
// remembered all the same.
func (s *Store) Add(statement string) error {
	statement = strings.TrimRight(statement, " \n\t")
	if statement == "" || statement[0] == ' ' || statement[0] == '\t' {
		return nil
	}
	last := ""
	if n := len(s.entries); n > 0 {
		last = s.entries[n-1]
	}
	s.remember(statement)
	if s.path == "" || statement == last || len(statement) > maxEntry {
		return nil
	}
	if err := s.locked(func() error { return s.append(Redact(statement)) }); err != nil {
		return fmt.Errorf("the history is not kept: %w", err)
	}
	return nil
}

func (s *Store) append(statement string) error {
	line, err := json.Marshal(record{s.now().UTC().Truncate(time.Second), statement})
	if err != nil {
		return err
	}
	f, err := s.file(os.O_RDWR | os.O_CREATE | os.O_APPEND)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	line = append(line, '\n')
	if end := info.Size(); end > 0 { // a crash may have left a line without its end
		var b [1]byte
		if _, err := f.ReadAt(b[:], end-1); err == nil && b[0] != '\n' {
			line = append([]byte{'\n'}, line...)
		}
	}
	if _, err := f.Write(line); err != nil {
		return err
	}
	if info.Size()+int64(len(line)) <= 2*s.bytes {
		return f.Close()
	}
	return s.shorten(f)
}

// shorten rewrites the file with the newest records of it, each statement once.
func (s *Store) shorten(f *os.File) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	records, err := read(f)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	var keep [][]byte
	var size int64
	for _, r := range slices.Backward(records) {
		line, err := json.Marshal(r)
		if err != nil || seen[r.Statement] {
			continue
		}
		seen[r.Statement] = true
		size += int64(len(line)) + 1
		if len(keep) == s.limit || size > s.bytes {
			break
		}
		keep = append(keep, append(line, '\n'))
	}
	slices.Reverse(keep)
	tmp, err := os.CreateTemp(filepath.Dir(s.path), ".history-*") // private by itself
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(bytes.Join(keep, nil))
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), s.path)
}

// locked runs fn while no other shell writes. The lock is a file of its own,
// because shortening replaces the history's.
func (s *Store) locked(fn func() error) error {
	f, err := os.OpenFile(s.path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close() // which lets go of the lock
	if err := lock(f); err != nil {
		return fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return fn()
}
