package repl

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/repl/editor"
)

// A transcript is a conversation: lines that begin with a prompt are typed, the
// others are what the shell answers. A typed line that ends with \t is not
// entered: the completions at its end are the answer. ^C and ^D are those keys.
// Lines that begin with # at the beginning of the file are comments.
type transcript struct {
	lines []string
	out   *bytes.Buffer
	shell *Shell
	width int
}

var _ editor.LineEditor = (*transcript)(nil)

// ReadLine gives the next typed line, having dropped the former answer.
func (t *transcript) ReadLine(_ context.Context, prompt string) (string, error) {
	for len(t.lines) > 0 {
		line := t.lines[0]
		t.lines = t.lines[1:]
		typed, ok := strings.CutPrefix(line+" ", prompt)
		if !ok {
			continue
		}
		typed = strings.TrimSuffix(typed, " ")
		fmt.Fprintln(t.out, strings.TrimRight(prompt+typed, " "))
		switch src, complete := strings.CutSuffix(typed, `\t`); {
		case complete:
			t.complete(src)
			continue
		case strings.HasSuffix(typed, "^C"):
			return "", editor.ErrInterrupt
		case typed == "^D":
			return "", io.EOF
		}
		return typed, nil
	}
	return "", io.EOF
}

func (t *transcript) complete(src string) {
	res := t.shell.engine.Complete(context.Background(), src, len(src))
	for i, c := range res.Candidates {
		if i == 12 {
			fmt.Fprintf(t.out, "and %d more\n", len(res.Candidates)-i)
			break
		}
		fmt.Fprintln(t.out, src[:res.Start]+c.Text+src[res.End:])
	}
}

func (t *transcript) ReadKeys(context.Context, func(rune) bool) error { return io.EOF }
func (t *transcript) Print(text string)                               { t.out.WriteString(text) }
func (t *transcript) Size() (int, int)                                { return t.width, 0 }
func (t *transcript) Close() error                                    { return nil }

func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			o, err := testOptions(&out)
			if err != nil {
				t.Fatal(err)
			}
			saved := map[string]string{}
			o.WriteFile = func(path string, data []byte) error {
				if filepath.Dir(path) != "." {
					return os.ErrNotExist
				}
				saved[path] = string(data)
				fmt.Fprintf(&out, "--- %s\n%s---\n", path, data)
				return nil
			}
			shell := New(o)
			script := &transcript{lines: strings.Split(strings.TrimSuffix(string(want), "\n"), "\n"), out: &out, shell: shell, width: 80}
			for len(script.lines) > 0 && strings.HasPrefix(script.lines[0], "#") {
				fmt.Fprintln(&out, script.lines[0])
				script.lines = script.lines[1:]
			}
			if err := shell.Run(t.Context(), script); err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(want), out.String()); diff != "" {
				t.Errorf("%s differs (run with -update to accept):\n%s", file, diff)
			}
		})
	}
}
