package session

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Files is a file system, confined: the file rel of the folder root is read or
// written only if it is really below root, whatever links say.
type Files interface {
	// ReadFile reads a regular file.
	ReadFile(root, rel string) ([]byte, error)
	// WriteFile writes a file whole or not at all, making the folders it needs.
	WriteFile(root, rel string, data []byte) error
	// Real is the absolute path of a file without links in it.
	Real(path string) (string, error)
}

// ErrEscapes is wrapped by the error of a [Files] for a file that is not below
// its root.
var ErrEscapes = errors.New("a link leads out of the folder")

// Disk is the [Files] of the machine.
type Disk struct{}

// ReadFile implements [Files]. Links are followed as long as they are relative
// and stay below root.
func (Disk) ReadFile(root, rel string) ([]byte, error) {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	info, err := dir.Stat(rel)
	if err != nil {
		return nil, escapes(err)
	}
	if info.IsDir() {
		return nil, &fs.PathError{Op: "read", Path: rel, Err: errors.New("is a folder")}
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: rel, Err: errors.New("is not a regular file")}
	}
	data, err := dir.ReadFile(rel)
	return data, escapes(err)
}

// WriteFile implements [Files] by renaming a temporary file of the same folder.
func (Disk) WriteFile(root, rel string, data []byte) (err error) {
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	dir, err := os.OpenRoot(root)
	if err != nil {
		return err
	}
	defer dir.Close()
	folder, name := filepath.Split(rel)
	if folder != "" {
		if err := dir.MkdirAll(filepath.Clean(folder), 0o755); err != nil {
			return escapes(err)
		}
	}
	var f *os.File
	var tmp string
	for n := 0; f == nil; n++ {
		tmp = filepath.Join(folder, fmt.Sprintf(".%s.%d.tmp", name, n))
		f, err = dir.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil && (!errors.Is(err, fs.ErrExist) || n == 100) {
			return escapes(err)
		}
	}
	defer func() {
		if err != nil {
			dir.Remove(tmp)
		}
	}()
	_, err = f.Write(data)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = dir.Rename(tmp, rel)
	}
	return escapes(err)
}

// Real implements [Files].
func (Disk) Real(path string) (string, error) { return filepath.EvalSymlinks(path) }

// escapes recognises the error of os.Root for a path that leaves it, which
// the package does not export.
func escapes(err error) error {
	if err != nil && strings.Contains(err.Error(), "escapes from parent") {
		return fmt.Errorf("%w: %v", ErrEscapes, err)
	}
	return err
}

// within gives the path of file relative to root, if it is there by its name.
func within(root, file string) (rel string, ok bool) {
	rel, err := filepath.Rel(root, file)
	if err != nil || !filepath.IsLocal(rel) {
		return "", false
	}
	return rel, true
}

// readable lists the folders that the evaluation may read.
func (e *evaluation) readable() []string {
	var roots []string
	for _, root := range slices.Concat([]string{e.s.o.WorkDir}, e.roots, e.s.o.ReadRoots) {
		if root != "" && !slices.Contains(roots, root) {
			roots = append(roots, root)
		}
	}
	return roots
}

// readFile reads the file of an absolute path under the sandbox. Its error does
// not name the file.
func (e *evaluation) readFile(path string) ([]byte, error) {
	if e.s.o.Files == nil {
		return nil, errors.New("there are no files here")
	}
	roots := e.readable()
	escaped := false
	for _, root := range roots {
		rel, ok := within(root, path)
		if !ok {
			continue
		}
		data, err := e.s.o.Files.ReadFile(root, rel)
		if errors.Is(err, ErrEscapes) {
			escaped = true
			continue
		}
		return data, reason(err)
	}
	allowed := "none"
	if len(roots) > 0 {
		allowed = strings.Join(roots, ", ")
	}
	if escaped {
		return nil, fmt.Errorf("%w, and scripts may read only these: %s", ErrEscapes, allowed)
	}
	return nil, fmt.Errorf("it is outside the folders that scripts may read: %s", allowed)
}

// reason strips the path from an error that will be shown with one.
func reason(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// resolve makes a path absolute: a relative one begins at dir, and at the
// working directory when dir is empty.
func (s *Session) resolve(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	if dir == "" {
		dir = s.o.WorkDir
	}
	return filepath.Join(dir, path)
}

// display is the path of a file as messages show it: short below the working
// directory, absolute elsewhere.
func (s *Session) display(path string) string {
	if s.o.WorkDir != "" {
		if rel, ok := within(s.o.WorkDir, path); ok {
			return rel
		}
	}
	return path
}

// hasScheme recognises specs of sources that are not files.
var hasScheme = regexp.MustCompile(`^[a-z][a-z0-9+.-]+:`)

// allowSource applies the sandbox to a source spec.
func (e *evaluation) allowSource(spec string) error {
	if e.s.o.AnySource || slices.Contains(e.s.o.AllowedSources, spec) {
		return nil
	}
	if spec == "" {
		return errors.New("a source spec is empty")
	}
	if spec == "-" || hasScheme.MatchString(spec) {
		return fmt.Errorf("scripts may open %s only if the command line names it: add --allow-source %s", spec, spec)
	}
	path := e.s.resolve("", spec)
	for _, root := range e.readable() {
		if _, ok := within(root, path); ok && e.staysIn(root, path) {
			return nil
		}
	}
	return fmt.Errorf("cannot open %s: it is outside the folders that scripts may read (%s); add --allow-source %s", spec, strings.Join(e.readable(), ", "), spec)
}

// staysIn reports whether a file of the folder is really there. One that does
// not exist is: opening it will say so.
func (e *evaluation) staysIn(root, path string) bool {
	if e.s.o.Files == nil {
		return true
	}
	realPath, err := e.s.o.Files.Real(path)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	realRoot, err := e.s.o.Files.Real(root)
	if err != nil {
		return false
	}
	_, ok := within(realRoot, realPath)
	return ok
}
