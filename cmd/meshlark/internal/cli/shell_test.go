package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/repl/editor"
)

var update = flag.Bool("update", false, "write into README.md what its shell answers")

const envoyDump = "../../../../xds/dump/testdata/envoy-1.40/config_dump.json"

// A typist types lines into the shell where a terminal would be, and shows them
// as a terminal would.
type typist struct {
	lines []string
	keys  string // answers to questions
	out   io.Writer
}

func (t *typist) ReadLine(_ context.Context, prompt string) (string, error) {
	if len(t.lines) == 0 {
		return "", io.EOF
	}
	line := t.lines[0]
	t.lines = t.lines[1:]
	fmt.Fprintln(t.out, strings.TrimRight(prompt+line, " "))
	return line, nil
}

func (t *typist) ReadKeys(_ context.Context, press func(rune) bool) error {
	for t.keys != "" {
		key := rune(t.keys[0])
		t.keys = t.keys[1:]
		if !press(key) {
			return nil
		}
	}
	return io.EOF
}

func (t *typist) Print(text string) { io.WriteString(t.out, text) }
func (t *typist) Size() (int, int)  { return 100, 0 }
func (t *typist) Close() error      { return nil }

// converse runs the program with somebody at the terminal and gives what is on
// the screen.
func converse(t *testing.T, typed *typist, env []string, args ...string) (status int, screen string) {
	t.Helper()
	var out bytes.Buffer
	typed.out = &out
	a := newApp(strings.NewReader(""), &out, &out, newEnvironment(env))
	a.openEditor = func(editor.Config) (editor.LineEditor, error) { return typed, nil }
	status = a.run(t.Context(), args)
	return status, out.String()
}

// The shell of README.md: a block that begins with the command which opens it,
// in which lines that begin with a prompt are typed.
func TestReadmeShell(t *testing.T) {
	const file = "../../../../README.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "```console\n$ meshlark demo\n", "\n```\n"
	before, rest, ok := strings.Cut(string(text), begin)
	block, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no block that begins with\n%s", file, begin)
	}
	typed := &typist{}
	for line := range strings.Lines(block) {
		if src, ok := strings.CutPrefix(line, ">>> "); ok {
			typed.lines = append(typed.lines, strings.TrimSuffix(src, "\n"))
		}
	}
	if len(typed.lines) < 3 {
		t.Errorf("%d lines are typed", len(typed.lines))
	}
	status, screen := converse(t, typed, nil, "demo")
	if status != exitOK {
		t.Errorf("exit status %d", status)
	}
	screen = strings.TrimSuffix(screen, "\n")
	// How long it took and how much it was varies, the signatures of
	// certificates among it; on a slow machine an answer is a second old.
	varying := regexp.MustCompile(`fetched (\d+) documents?, .* in \S+`)
	aged := regexp.MustCompile(`\nas it was \S+ ago; :refresh reads it anew`)
	steady := func(s string) string {
		return varying.ReplaceAllString(aged.ReplaceAllString(s, ""), "fetched $1 in a moment")
	}
	if steady(screen) == steady(block) {
		return
	}
	if *update {
		if err := os.WriteFile(file, []byte(before+begin+screen+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("the shell of README.md (-written +true); bring it up to date with: go test ./cmd/meshlark/internal/cli -run TestReadmeShell -update\n%s",
		cmp.Diff(steady(block), steady(screen)))
}

// What the banner of the demo suggests works.
func TestDemoSuggestions(t *testing.T) {
	typed := &typist{}
	for line := range strings.Lines(demoTry) {
		if suggestion, ok := strings.CutPrefix(line, "  "); ok {
			src, _, _ := strings.Cut(suggestion, "   ")
			typed.lines = append(typed.lines, strings.TrimSpace(src))
		}
		if n := len(strings.TrimSuffix(line, "\n")); n > 79 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if len(typed.lines) < 5 {
		t.Fatalf("only these are suggested: %q", typed.lines)
	}
	n := len(typed.lines)
	_, screen := converse(t, typed, nil, "demo")
	for _, part := range strings.Split(screen, "\n>>> ")[1:] {
		if strings.Contains(part, "error:") || strings.Contains(part, "\n<repl:") {
			t.Errorf(">>> %s", part)
		}
		n--
	}
	if n != 0 {
		t.Errorf("%d suggestions were not tried:\n%s", n, screen)
	}
}

func TestShell(t *testing.T) {
	saved := filepath.Join(t.TempDir(), "saved.star")
	for _, test := range []struct {
		name  string
		args  []string
		typed []string
		keys  string
		want  []string // on the screen, in this order
		never string
	}{
		{
			name:  "without a source",
			typed: []string{"1 + 1", "proxies()", ":source ftp://h:1", ":source -", ":source demo", "len(proxies())"},
			want: []string{greeting, "no source: name one with :source, or try :source demo (no kubeconfig: nothing in $KUBECONFIG, ~/.kube/config, and this is no pod of a cluster)\n>>> 1 + 1\n2\n", "proxies: no source", `no source with the scheme "ftp"`,
				"\n  :source http://HOST:15000  ", "\n  :source demo  ", "standard input is what is typed here", "\ndemo\n>>> len(proxies())\n17\n"},
			never: ":source - ",
		},
		{
			name:  "any source that is typed may be opened",
			args:  []string{"-s", envoyDump},
			typed: []string{`len(open("demo").proxies())`, `open("http://127.0.0.1:1").proxies()`},
			want:  []string{"\n17\n", "connection refused"},
		},
		{
			name:  "runbooks",
			args:  []string{"-s", "demo"},
			typed: []string{`run("versions").where(ok=False).table("id")`, `load("@meshlark//lib/faults.star", "count"); count(2, "proxy")`},
			want:  []string{"version-skew", "2 proxies"},
		},
		{
			name:  "a large question that is wanted",
			args:  []string{"--max-fetch", "1KB", "demo"},
			typed: []string{"len(clusters())"},
			keys:  "y",
			want:  []string{"more than --max-fetch 1KB. Go on? [y/N] yes\n", "fetched"},
			never: "narrow the question",
		},
		{
			name:  "a large question that is not wanted",
			args:  []string{"--max-fetch", "1KB", "demo"},
			typed: []string{"len(clusters())", "1 + 1"},
			keys:  "n",
			want:  []string{"Go on? [y/N] no\n", "narrow the question", "\n2\n"},
		},
		{
			name:  "what was read is kept, until it is not",
			args:  []string{"demo"},
			typed: []string{"len(clusters())", "len(clusters())", ":refresh", "len(clusters())"},
			want:  []string{"fetched ", ">>> len(clusters())\n373\n>>> :refresh\n", "fetched "},
		},
		{
			name:  "saving",
			typed: []string{"x = 1", ":save " + saved, ":save " + filepath.Join(saved, "..", "nosuch", "x")},
			want:  []string{"saved 1 statement", "no such file or directory"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, screen := converse(t, &typist{lines: test.typed, keys: test.keys}, nil, test.args...)
			if status != exitOK {
				t.Errorf("exit status %d", status)
			}
			rest := screen
			for _, want := range test.want {
				_, after, ok := strings.Cut(rest, want)
				if !ok {
					t.Fatalf("%q does not follow in\n%s", want, screen)
				}
				rest = after
			}
			if test.never != "" && strings.Contains(screen, test.never) {
				t.Errorf("%q is on the screen:\n%s", test.never, screen)
			}
		})
	}
	if text, err := os.ReadFile(saved); err != nil || !strings.Contains(string(text), "x = 1") {
		t.Errorf("saved %q, %v", text, err)
	}
}

// History is kept where the environment says.
func TestShellHistory(t *testing.T) {
	state := t.TempDir()
	converse(t, &typist{lines: []string{"1 + 1"}}, []string{"XDG_STATE_HOME=" + state})
	var kept strings.Builder
	err := filepath.WalkDir(state, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			kept.Write(text)
		}
		return err
	})
	if err != nil || !strings.Contains(kept.String(), `"1 + 1"`) {
		t.Errorf("%s, %v", &kept, err)
	}
}

// What is typed cannot be a dump.
func TestShellOnInput(t *testing.T) {
	status, screen := converse(t, &typist{}, nil, "-s", "-")
	if status != exitUsage || !strings.Contains(screen, "standard input is what is typed here") {
		t.Errorf("exit status %d:\n%s", status, screen)
	}
}

// A shell that is told to end does, with the status of an interrupt.
func TestShellEnds(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	var out bytes.Buffer
	a := newApp(strings.NewReader(""), &out, &out, nil)
	a.openEditor = func(editor.Config) (editor.LineEditor, error) {
		end()
		return waiting{&typist{out: &out}}, nil
	}
	if status := a.run(ctx, []string{"demo"}); status != exitInterrupted {
		t.Errorf("exit status %d:\n%s", status, &out)
	}
	a = newApp(strings.NewReader(""), &out, &out, nil)
	a.openEditor = func(editor.Config) (editor.LineEditor, error) { return nil, errors.New("no such device") }
	if status := a.run(t.Context(), nil); status == exitOK || !strings.Contains(out.String(), "cannot use the terminal: no such device") {
		t.Errorf("exit status %d:\n%s", status, &out)
	}
}

// waiting is an editor at which nobody types.
type waiting struct{ *typist }

func (waiting) ReadLine(ctx context.Context, _ string) (string, error) {
	<-ctx.Done()
	return "", context.Cause(ctx)
}
