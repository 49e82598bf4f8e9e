package repl

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.starlark.net/starlark"

	"github.com/meshlark/meshlark/display"
	"github.com/meshlark/meshlark/repl/complete"
	"github.com/meshlark/meshlark/repl/editor"
	"github.com/meshlark/meshlark/repl/history"
	"github.com/meshlark/meshlark/session"
)

// fakeEditor reads statements from a list and keys from another.
type fakeEditor struct {
	lines         []string
	keys          []rune
	columns, rows int
}

func (f *fakeEditor) ReadLine(context.Context, string) (string, error) {
	if len(f.lines) == 0 {
		return "", io.EOF
	}
	line := f.lines[0]
	f.lines = f.lines[1:]
	return line, nil
}

func (f *fakeEditor) ReadKeys(_ context.Context, press func(rune) bool) error {
	for len(f.keys) > 0 {
		key := f.keys[0]
		f.keys = f.keys[1:]
		if !press(key) {
			return nil
		}
	}
	return io.EOF
}

func (f *fakeEditor) Print(string)     {}
func (f *fakeEditor) Size() (int, int) { return f.columns, f.rows }
func (f *fakeEditor) Close() error     { return nil }

// locked is a writer for several goroutines.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// hold is a builtin that calls back and does not look at its context.
func hold(fn func()) *starlark.Builtin {
	return starlark.NewBuiltin("hold", func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
		fn()
		return starlark.True, nil
	})
}

func TestInterruptAbandons(t *testing.T) {
	interrupts := make(chan os.Signal, 1)
	release := make(chan struct{})
	var out locked
	dict := starlark.StringDict{"hold": hold(func() {
		interrupts <- os.Interrupt
		<-release
	})}
	s := New(Options{Session: session.New(session.Options{Predeclared: dict, Stdout: &out}), Stdout: &out, Interrupts: interrupts})
	e := &fakeEditor{lines: []string{"x = 1", "x = 2; hold(); x = 3; print('late')", "x"}}
	if err := s.Run(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	close(release)
	if got := out.String(); !strings.Contains(got, "interrupted") || !strings.HasSuffix(got, "\n1\n") {
		t.Errorf("got\n%s", got)
	}
	if diff := cmp.Diff([]statement{{src: "x = 1"}, {src: "x", echo: true}}, s.statements, cmp.AllowUnexported(statement{})); diff != "" {
		t.Errorf("what would be saved:\n%s", diff)
	}
}

// A Ctrl-C that came late belongs to nothing.
func TestLateInterruptIsForgotten(t *testing.T) {
	interrupts := make(chan os.Signal, 1)
	interrupts <- os.Interrupt
	var out locked
	s := New(Options{Session: session.New(session.Options{}), Stdout: &out, Interrupts: interrupts})
	if err := s.Run(t.Context(), &fakeEditor{lines: []string{"1 + 1"}}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("2\n", out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestContextEndsTheShell(t *testing.T) {
	why := errors.New("terminated")
	ctx, cancel := context.WithCancelCause(context.Background())
	var out locked
	dict := starlark.StringDict{"hold": hold(func() { cancel(why) })}
	s := New(Options{Session: session.New(session.Options{Predeclared: dict}), Stdout: &out})
	if err := s.Run(ctx, &fakeEditor{lines: []string{"hold()", "1"}}); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}

func TestConfirm(t *testing.T) {
	for _, tt := range []struct {
		keys []rune
		want bool
		out  string
	}{
		{[]rune("y"), true, "fetch 3 GB? [y/N] yes\n"},
		{[]rune("n"), false, "fetch 3 GB? [y/N] no\n"},
		{[]rune("\x03"), false, "fetch 3 GB? [y/N] no\ninterrupted\n"},
		{nil, false, "fetch 3 GB? [y/N] no\n"},
	} {
		var out locked
		var s *Shell
		var got bool
		dict := starlark.StringDict{"hold": hold(func() { got = s.Confirm("fetch 3 GB?") })}
		s = New(Options{Session: session.New(session.Options{Predeclared: dict}), Stdout: &out})
		if s.Confirm("now?") {
			t.Error("somebody said yes while nothing ran")
		}
		if err := s.Run(t.Context(), &fakeEditor{lines: []string{"x = hold()"}, keys: tt.keys}); err != nil {
			t.Fatal(err)
		}
		if got != tt.want || out.String() != tt.out {
			t.Errorf("%q: got %v and %q", tt.keys, got, out.String())
		}
	}
}

// Only what the person waits for shows progress.
func TestProgress(t *testing.T) {
	var out, line locked
	var s *Shell
	dict := starlark.StringDict{"hold": hold(func() {
		s.Progress("clusters: 1 of 3 proxies")
		for !strings.Contains(line.String(), "clusters: 1 of 3") {
			time.Sleep(time.Millisecond)
		}
	})}
	s = New(Options{
		Session:  session.New(session.Options{Predeclared: dict}),
		Stdout:   &out,
		Progress: display.NewProgress(&line, display.Style{Width: 80, Color: true}, 0),
	})
	if err := s.Run(t.Context(), &fakeEditor{lines: []string{"hold()"}}); err != nil {
		t.Fatal(err)
	}
	shown := line.String()
	if !strings.HasSuffix(shown, "\r\x1b[K") {
		t.Errorf("the status line stays: %q", shown)
	}
	s.Progress("late")
	s.o.Progress.Clear()
	if line.String() != shown {
		t.Errorf("progress of abandoned work is shown: %q", line.String())
	}
}

func TestHistoryNote(t *testing.T) {
	file := filepath.Join(t.TempDir(), "history")
	h, err := history.Open(file, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Dir(file)); err != nil {
		t.Fatal(err)
	}
	var out locked
	s := New(Options{Session: session.New(session.Options{}), Stdout: &out, History: h})
	if err := s.Run(t.Context(), &fakeEditor{lines: []string{"1", "2"}}); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "the history is not kept"); n != 1 {
		t.Errorf("said %d times:\n%s", n, out.String())
	}
	if diff := cmp.Diff([]string{"1", "2"}, h.Entries()); diff != "" {
		t.Error(diff)
	}
}

// Names come late when reading takes longer than completion waits.
func TestNamesComeLater(t *testing.T) {
	var out locked
	o, err := testOptions(&out)
	if err != nil {
		t.Fatal(err)
	}
	n := newNames(o)
	a := complete.Argument{Function: "proxy", Parameter: "name"}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	first := n.Names(ctx, a) // may or may not have them
	want := []string{"productpage-v1", "productpage-v1-abc.default"}
	if first != nil {
		if diff := cmp.Diff(want, first); diff != "" {
			t.Error(diff)
		}
	}
	if diff := cmp.Diff(want, n.Names(context.Background(), a)); diff != "" {
		t.Errorf("asked again:\n%s", diff)
	}
	if got := n.Names(context.Background(), complete.Argument{Function: "print", Parameter: "sep"}); got != nil {
		t.Errorf("names for a separator: %q", got)
	}
}

func TestQuestion(t *testing.T) {
	recv := starlark.None
	for _, tt := range []struct {
		a    complete.Argument
		want string
	}{
		{complete.Argument{Function: "proxies", Parameter: "namespace"}, "[x.namespace for x in mesh.proxies()]"},
		{complete.Argument{Function: "clusters", Parameter: "fqdn"}, "[x.fqdn for x in mesh.proxies()[0].clusters()]"},
		{complete.Argument{Function: "Proxy.clusters", Parameter: "fqdn", Receiver: recv}, "[x.fqdn for x in r.clusters()]"},
		{complete.Argument{Function: "Mesh.clusters", Parameter: "name", Receiver: recv}, "[x.name for x in r.proxies()[0].clusters()]"},
		{complete.Argument{Function: "endpoints", Parameter: "cluster"}, "mesh.proxies()[0].clusters().names"},
		{complete.Argument{Function: "listeners", Parameter: "proxy"}, "mesh.proxies().names"},
		{complete.Argument{Function: "objects", Parameter: "kind"}, "[k.name for k in mesh.object_kinds()]"},
		{complete.Argument{Function: "Mesh.objects", Parameter: "name", First: `v"s`, Receiver: recv}, `[x.name for x in r.objects("v\"s")]`},
		{complete.Argument{Function: "objects", Parameter: "name"}, ""},
		{complete.Argument{Function: "objects", Parameter: "labels", First: "vs"}, ""},
		{complete.Argument{Function: "open", Parameter: "spec"}, ""},
		{complete.Argument{Function: "nothing", Parameter: "x"}, ""},
	} {
		if got := question(tt.a); got != tt.want {
			t.Errorf("%s(%s=): got %s, want %s", tt.a.Function, tt.a.Parameter, got, tt.want)
		}
	}
}

func TestMore(t *testing.T) {
	lines := make([]string, 10)
	for i := range lines {
		lines[i] = strings.Repeat(string(rune('0'+i)), 15) + "\n"
	}
	for _, tt := range []struct {
		name string
		keys []rune
		last string // the last line shown
	}{
		{"pages", []rune("    "), "9"},
		{"a line", []rune{'\r', 'q'}, "2"},
		{"all", []rune("G"), "9"},
		{"Ctrl-C", []rune("\x03"), "1"},
		{"nobody there", nil, "1"},
		{"other keys", []rune("zxq"), "1"},
		{"arrows", []rune{editor.KeyDown, editor.KeyPageDown, 'q'}, "4"},
	} {
		var out locked
		s := New(Options{Session: session.New(session.Options{}), Stdout: &out})
		s.editor = &fakeEditor{keys: tt.keys, columns: 10, rows: 5} // a line takes two rows
		s.show(t.Context(), strings.Join(lines, ""))
		shown := ""
		for line := range strings.Lines(out.String()) {
			line = line[strings.LastIndexByte(line, 'K')+1:]
			if len(line) == 16 {
				shown = line[:1]
			}
		}
		if shown != tt.last {
			t.Errorf("%s: the last line shown is %s, want %s:\n%q", tt.name, shown, tt.last, out.String())
		}
	}
}

func TestWrap(t *testing.T) {
	got := display.Wrap("  name  one two three four five six\nplain text that is too long for it\nunbreakable-"+strings.Repeat("x", 30)+"\n", 24)
	want := "  name  one two three\n        four five six\nplain text that is too\nlong for it\nunbreakable-" + strings.Repeat("x", 30) + "\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// What is saved runs, and prints what the prompt showed.
func TestSavedScriptRuns(t *testing.T) {
	statements := []string{"# only a comment\nn = 2", "n * 2", "_ + 1; _ + 2", "[\n n,\n]", "é = \"é\"; é + é # twice", "for x in [1]:\n  print(x)", "None"}
	var prompt, run bytes.Buffer
	s := New(Options{Session: session.New(session.Options{Stdout: &prompt}), Stdout: &prompt})
	if err := s.Run(t.Context(), &fakeEditor{lines: statements}); err != nil {
		t.Fatal(err)
	}
	text := script(s.statements, time.Time{})
	o := session.New(session.Options{Stdout: &run, Predeclared: language(), Show: func(v starlark.Value) (string, bool) { return display.Show(v, display.Style{}) }}).
		RunSource(t.Context(), session.Source{Name: "saved", Text: text}, nil)
	if o.Err != nil {
		t.Fatalf("%v\n%s", o.Err, text)
	}
	if diff := cmp.Diff("4\n6\n[2]\néé\n1\n", run.String()); diff != "" {
		t.Errorf("%s\n%s", diff, text)
	}
	if diff := cmp.Diff("4\n6\n2\néé\n1\n", prompt.String()); diff != "" {
		t.Error(diff)
	}
}
