package session

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/mesh"
	starlib "go.starlark.net/lib/time"
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata")

// memory is a file system of files below absolute paths, without links.
type memory map[string]string

func (m memory) ReadFile(root, rel string) ([]byte, error) {
	data, ok := m[path.Join(root, rel)]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: rel, Err: fs.ErrNotExist}
	}
	return []byte(data), nil
}

func (m memory) WriteFile(root, rel string, data []byte) error {
	m[path.Join(root, rel)] = string(data)
	return nil
}

func (m memory) Real(path string) (string, error) { return path, nil }

// shelf is a library of the files below its folder; runbooks are the .star files.
type shelf map[string]string

func (s shelf) Runbook(name string) (Source, error) {
	text, ok := s[name+".star"]
	if !ok {
		return Source{}, fs.ErrNotExist
	}
	return Source{Name: name, Path: Shipped + name + ".star", Text: text}, nil
}

func (s shelf) Names() []string {
	var names []string
	for file := range s {
		names = append(names, strings.TrimSuffix(file, ".star"))
	}
	slices.Sort(names)
	return names
}

func (s shelf) Module(file string) (string, error) {
	text, ok := s[file]
	if !ok {
		return "", fs.ErrNotExist
	}
	return text, nil
}

// testLanguage stands for the real builtins: the least that exercises the host.
func testLanguage() starlark.StringDict {
	fn := func(name string, f func(thread *starlark.Thread, h builtins.Host, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error)) *starlark.Builtin {
		return starlark.NewBuiltin(name, func(thread *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			return f(thread, builtins.HostOf(thread), args, kwargs)
		})
	}
	dict := starlark.StringDict{"struct": starlark.NewBuiltin("struct", starlarkstruct.Make), "time": starlib.Module}
	for _, b := range []*starlark.Builtin{
		fn("arg", func(thread *starlark.Thread, h builtins.Host, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			spec := builtins.ArgSpec{}
			var enum *starlark.List
			if err := starlark.UnpackArgs("arg", args, kwargs, "name", &spec.Name, "default?", &spec.Default, "type?", &spec.Type, "doc?", &spec.Doc, "enum?", &enum, "positional?", &spec.Positional); err != nil {
				return nil, err
			}
			return h.Arg(thread, spec)
		}),
		fn("check", func(thread *starlark.Thread, h builtins.Host, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			var c builtins.Check
			if err := starlark.UnpackArgs("check", args, kwargs, "id", &c.ID, "ok", &c.OK, "subject?", &c.Subject, "message?", &c.Message, "severity?", &c.Severity); err != nil {
				return nil, err
			}
			return starlark.None, h.RecordCheck(thread, c)
		}),
		fn("skip", func(thread *starlark.Thread, h builtins.Host, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			c := builtins.Check{Skipped: true}
			if err := starlark.UnpackArgs("skip", args, kwargs, "message", &c.Message); err != nil {
				return nil, err
			}
			return starlark.None, h.RecordCheck(thread, c)
		}),
		fn("run", func(thread *starlark.Thread, h builtins.Host, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			named := map[string]starlark.Value{}
			for _, kv := range kwargs {
				named[string(kv[0].(starlark.String))] = kv[1]
			}
			name, _ := starlark.AsString(args[0])
			return h.RunRunbook(thread, name, args[1:], named)
		}),
		fn("attempt", func(thread *starlark.Thread, h builtins.Host, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			v, err := starlark.Call(thread, args[0], args[1:], kwargs)
			if err != nil {
				return starlark.Tuple{starlark.False, starlark.String(err.Error())}, nil
			}
			return starlark.Tuple{starlark.True, v}, nil
		}),
		fn("read_file", func(thread *starlark.Thread, h builtins.Host, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			name, _ := starlark.AsString(args[0])
			data, err := h.ReadFile(thread, name)
			return starlark.String(data), err
		}),
		fn("write_file", func(thread *starlark.Thread, h builtins.Host, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			name, _ := starlark.AsString(args[0])
			text, _ := starlark.AsString(args[1])
			return starlark.None, h.WriteFile(name, []byte(text))
		}),
		fn("opened", func(thread *starlark.Thread, h builtins.Host, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			spec, _ := starlark.AsString(args[0])
			_, err := h.OpenMesh(builtins.Context(thread), spec)
			return starlark.None, err
		}),
		fn("note", func(thread *starlark.Thread, h builtins.Host, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			h.Note("note: %s", args[0])
			return starlark.None, nil
		}),
		fn("unreachable", func(thread *starlark.Thread, h builtins.Host, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			return nil, &mesh.UnreachableError{Source: "http://10.0.0.9:15000", Err: errors.New("connection refused")}
		}),
		fn("panics", func(thread *starlark.Thread, h builtins.Host, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			return args[7], nil
		}),
		fn("waits", func(thread *starlark.Thread, h builtins.Host, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			<-builtins.Context(thread).Done()
			return nil, context.Cause(builtins.Context(thread))
		}),
		fn("sleeps", func(thread *starlark.Thread, h builtins.Host, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			return starlark.None, h.Sleep(builtins.Context(thread), time.Hour)
		}),
	} {
		dict[b.Name()] = b
	}
	return dict
}

// script runs the chunks of a transcript and gives it with the output that
// they have. Input lines begin with ">>> " and "... ".
func script(s *Session, out *bytes.Buffer, transcript string) string {
	var got strings.Builder
	lines := strings.Split(strings.TrimSuffix(transcript, "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		if strings.HasPrefix(line, "#") || line == "" {
			got.WriteString(line + "\n")
			continue
		}
		src, ok := strings.CutPrefix(line, ">>> ")
		if !ok {
			continue // former output
		}
		got.WriteString(line + "\n")
		for i+1 < len(lines) && strings.HasPrefix(lines[i+1]+" ", "... ") {
			i++
			got.WriteString(lines[i] + "\n")
			src += "\n" + strings.TrimPrefix(lines[i]+" ", "... ")
		}
		out.Reset()
		res, err := s.Eval(context.Background(), "", src)
		got.Write(out.Bytes())
		switch e := err.(type) {
		case nil:
			if res.Echo {
				got.WriteString(res.Value.String() + "\n")
			}
		case *Error:
			got.WriteString(e.Detail() + "\n")
		default:
			fmt.Fprintf(&got, "%T is not an *Error: %v\n", err, err)
		}
		for _, c := range res.Checks {
			got.WriteString(describe(c) + "\n")
		}
	}
	return got.String()
}

func describe(c builtins.Check) string {
	switch {
	case c.Skipped:
		return fmt.Sprintf("%s: skip: %s", c.Pos, c.Message)
	case c.OK:
		return fmt.Sprintf("%s: %s ok %s", c.Pos, c.ID, c.Subject)
	}
	return fmt.Sprintf("%s: %s %s %s %s", c.Pos, c.ID, c.Severity, c.Subject, c.Message)
}

func TestPrompt(t *testing.T) {
	files, err := filepath.Glob("testdata/prompt/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(err, "no transcripts")
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			s := New(Options{
				Predeclared: testLanguage(),
				Stdout:      &out,
				Notes:       &out,
				Files: memory{
					"/desk/lib.star":   "def double(x): return 2 * x\nname = 'lib'\n",
					"/desk/bad.star":   "x = 1\nx = = 2\n",
					"/desk/sub/a.star": "load('./b.star', 'b')\na = b + 1\n",
					"/desk/sub/b.star": "b = 1\n",
				},
				WorkDir:  "/desk",
				Library:  shelf{"tools.star": "def half(x): return x // 2\n", "stale.star": "grace = arg('grace', default='30s', type='duration')\ncheck('stale', grace.seconds > 10, subject='p', message='%s' % grace)\n"},
				MaxSteps: 100000,
			})
			golden(t, file, string(data), script(s, &out, string(data)))
		})
	}
}

func golden(t *testing.T, file, want, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s differs (run with -update to accept):\n%s", file, diff)
	}
}

// TestRun runs testdata/run/*.txtar. The comment of an archive is a list of
// command lines, "run main.star --grace 1m" or "runbook name ...". Files below
// lib/ are the library; the expected output is in the file "want".
func TestRun(t *testing.T) {
	files, err := filepath.Glob("testdata/run/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(err, "no archives")
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			ar := parseArchive(string(data))
			disk, lib := memory{}, shelf{}
			for name, text := range ar.files {
				if file, shipped := strings.CutPrefix(name, "lib/"); shipped {
					lib[file] = text
				} else {
					disk[path.Join("/desk", name)] = text
				}
			}
			var got bytes.Buffer
			for line := range strings.Lines(ar.comment) {
				words := strings.Fields(line)
				if len(words) == 0 || words[0] == "#" {
					continue
				}
				var out bytes.Buffer
				s := New(Options{
					Predeclared: testLanguage(),
					Stdout:      &out,
					Notes:       &out,
					Files:       disk,
					WorkDir:     "/desk",
					OutDir:      "/out",
					Library:     lib,
					MaxSteps:    100000,
					Open:        func(context.Context, string) (*mesh.Mesh, error) { return new(mesh.Mesh), nil },
					Now:         func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) },
				})
				var o *Outcome
				if words[0] == "run" {
					o = s.RunFile(context.Background(), words[1], words[2:])
				} else {
					o = s.RunRunbook(context.Background(), words[1], words[2:])
				}
				fmt.Fprintf(&got, "$ %s", line)
				got.Write(out.Bytes())
				for _, c := range o.Checks {
					got.WriteString(describe(c) + "\n")
				}
				var own *Error
				switch {
				case errors.As(o.Err, &own):
					fmt.Fprintf(&got, "%s\n(%s)\n", own.Detail(), own.Kind)
				case o.Err != nil:
					fmt.Fprintf(&got, "usage: %v\n", o.Err)
				case o.Empty():
					got.WriteString("(nothing recorded)\n")
				}
				if o.Failed() {
					got.WriteString("(failed)\n")
				}
			}
			for _, name := range slices.Sorted(maps.Keys(disk)) {
				if rel, ok := strings.CutPrefix(name, "/out/"); ok {
					fmt.Fprintf(&got, "wrote %s: %s\n", rel, disk[name])
				}
			}
			ar.set("want", got.String())
			golden(t, file, string(data), ar.String())
		})
	}
}
