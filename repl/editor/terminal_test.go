package editor

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/repl/complete"
	"github.com/meshlark/meshlark/repl/internal/vt"
)

// fixture is an editor with a screen, driven by keys.
type fixture struct {
	*Terminal
	t       *testing.T
	screen  *vt.Screen
	keys    *io.PipeWriter
	columns atomic.Int32
	rows    atomic.Int32
	raw     atomic.Int32 // how often the terminal was made raw and not restored
	lines   chan answer
}

type answer struct {
	text string
	err  error
}

func start(t *testing.T, columns, rows int, cfg Config) *fixture {
	t.Helper()
	in, keys := io.Pipe()
	f := &fixture{t: t, screen: vt.NewScreen(columns, rows, true), keys: keys, lines: make(chan answer, 1)}
	f.columns.Store(int32(columns))
	f.rows.Store(int32(rows))
	if cfg.Continuation == "" {
		cfg.Continuation = "... "
	}
	raw := func() (func() error, error) {
		f.raw.Add(1)
		return func() error { f.raw.Add(-1); return nil }, nil
	}
	size := func() (int, int) { return int(f.columns.Load()), int(f.rows.Load()) }
	var err error
	if f.Terminal, err = newTerminal(in, f.screen, raw, size, cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.Close()
		keys.Close()
		if n := f.raw.Load(); n != 0 {
			t.Errorf("the terminal was left raw")
		}
	})
	f.read(context.Background())
	return f
}

// read begins to read a statement.
func (f *fixture) read(ctx context.Context) {
	f.t.Helper()
	go func() {
		text, err := f.ReadLine(ctx, "> ")
		f.lines <- answer{text, err}
	}()
	f.line("> |")
}

func (f *fixture) press(keys ...string) {
	f.t.Helper()
	if _, err := io.WriteString(f.keys, strings.Join(keys, "")); err != nil {
		f.t.Fatal(err)
	}
}

// line waits for the cursor's row.
func (f *fixture) line(want string) {
	f.t.Helper()
	vt.Await(f.t, f.screen, "the line "+want, func() bool { return f.screen.Line() == want })
}

func (f *fixture) text(want string) {
	f.t.Helper()
	vt.Await(f.t, f.screen, "the text "+want, func() bool { return strings.Contains(f.screen.Text(), want) })
}

// result waits for the statement.
func (f *fixture) result() answer {
	f.t.Helper()
	select {
	case a := <-f.lines:
		return a
	case <-time.After(20 * time.Second):
		f.t.Fatalf("ReadLine does not return; the screen shows\n%s", f.screen.Text())
	}
	return answer{}
}

func (f *fixture) want(want string) {
	f.t.Helper()
	if got := f.result(); got.err != nil || got.text != want {
		f.t.Errorf("got %q, %v; want %q", got.text, got.err, want)
	}
}

const (
	up, down, right, left = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D"
)

func TestKeys(t *testing.T) {
	for _, tt := range []struct {
		name, keys, line, want string
	}{
		{"typing", "abc", "> abc|", "abc"},
		{"arrows", "abc" + left + left + "X" + right + "Y", "> aXbY|c", "aXbYc"},
		{"Home and End", "abc\x1b[H1\x1b[F2\x1bOH3\x1bOF4", "> 31abc24|", "31abc24"},
		{"Home and End of tmux and the console", "abc\x1b[1~1\x1b[4~2", "> 1abc2|", "1abc2"},
		{"Home and End of rxvt", "abc\x1b[7~1\x1b[8~2", "> 1abc2|", "1abc2"},
		{"Ctrl-A and Ctrl-E", "abc\x011\x052", "> 1abc2|", "1abc2"},
		{"words by Ctrl and arrows", "one two three\x1b[1;5D\x1b[1;5DX\x1b[1;5CY", "> one XtwoY| three", "one XtwoY three"},
		{"words by Alt and arrows", "one two\x1b[1;3DX", "> one X|two", "one Xtwo"},
		{"words by Alt-b and Alt-f", "one two\x1bbX\x1b[H\x1bfY", "> oneY| Xtwo", "oneY Xtwo"},
		{"Backspace", "abc\x7f\x7f", "> a|", "a"},
		{"Backspace at the beginning", "\x7f\x08abc", "> abc|", "abc"},
		{"Delete", "abc\x1b[H\x1b[3~", "> |bc", "bc"},
		{"Ctrl-D deletes", "abc\x01\x04", "> |bc", "bc"},
		{"Ctrl-K and Ctrl-Y", "one two\x1bb\x0b\x01\x19", "> two|one", "twoone "},
		{"Ctrl-U", "one two\x1bb\x15", "> |two", "two"},
		{"Ctrl-W", "one f(x)\x17", "> one |", "one "},
		{"Ctrl-W keeps what follows", "first rest\x1bb\x17", "> |rest", "rest"},
		{"Alt-Backspace", "one two\x1b\x7f", "> one |", "one "},
		{"Alt-d", "one two\x01\x1bd", "> | two", " two"},
		{"Ctrl-T", "ab\x14", "> ba|", "ba"},
		{"Ctrl-T on one character", "a\x14b", "> ab|", "ab"},
		{"Ctrl-T on none", "\x14b", "> b|", "b"},
		{"keys that mean nothing", "a\x1b[15~\x1b[[A\x1b[99;99Zb\x0f\x16", "> ab|", "ab"},
		{"Ctrl-L", "abc\x0c", "> abc|", "abc"},
		{"Ctrl-Z where nobody would wake us", "a\x1ab", "> ab|", "ab"},
		{"private use characters", "a\ue000b\ue013", "> a\ufffdb\ufffd|", "a\ufffdb\ufffd"},
		{"a sequence that is cut short", "a\x1b[1\x01b", "> b|a", "ba"},
		{"NUL", "a\x00b", "> ab|", "ab"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := start(t, 40, 10, Config{})
			f.press(tt.keys)
			f.line(tt.line)
			f.press("\r")
			if tt.name == "Ctrl-K and Ctrl-Y" {
				f.want("twoone ")
				return
			}
			f.want(tt.want)
		})
	}
}

// Alone, ESC [ 3 ~ means nothing on an empty line; readline takes it for
// Ctrl-D.
func TestDeleteOnEmptyLine(t *testing.T) {
	f := start(t, 40, 10, Config{})
	f.press("\x1b[3~", "a")
	f.line("> a|")
	f.press("\r")
	f.want("a")
}

func TestEnds(t *testing.T) {
	f := start(t, 40, 10, Config{})
	f.press("abc\x03")
	if got := f.result(); !errors.Is(got.err, ErrInterrupt) {
		t.Errorf("Ctrl-C: got %q, %v", got.text, got.err)
	}
	f.text("> abc^C")
	f.read(context.Background())
	f.press("\x04")
	if got := f.result(); !errors.Is(got.err, io.EOF) {
		t.Errorf("Ctrl-D: got %q, %v", got.text, got.err)
	}
	f.read(context.Background()) // a shell may go on after a Ctrl-D
	f.press("x")
	f.keys.Close()
	f.want("x") // input that ends without a newline
	if _, err := f.ReadLine(context.Background(), "> "); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v", err)
	}
	if _, err := f.ReadLine(context.Background(), "> "); !errors.Is(err, io.EOF) {
		t.Errorf("after the end, again: %v", err)
	}
}

func TestContextEndsReading(t *testing.T) {
	f := start(t, 40, 10, Config{})
	f.press("abc\r")
	f.want("abc")
	why := errors.New("why")
	ctx, cancel := context.WithCancelCause(context.Background())
	f.read(ctx)
	f.press("half")
	f.line("> half|")
	cancel(why)
	if got := f.result(); !errors.Is(got.err, why) {
		t.Errorf("got %q, %v", got.text, got.err)
	}
	f.read(context.Background())
	f.press("more\r")
	f.want("more")
}

// readline's Close waits for a read that waits for the terminal.
func TestCloseNeverHangs(t *testing.T) {
	f := start(t, 40, 10, Config{})
	f.press("abc")
	f.line("> abc|")
	done := make(chan error)
	go func() { done <- f.Close() }()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Close hangs")
	}
	if got := f.result(); got.err != nil && !errors.Is(got.err, io.EOF) {
		t.Errorf("ReadLine returned %q, %v", got.text, got.err)
	}
	if f.raw.Load() != 0 {
		t.Error("the terminal is raw after Close")
	}
	if _, err := f.ReadLine(context.Background(), "> "); !errors.Is(err, io.EOF) {
		t.Errorf("after Close: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Error("a second Close:", err)
	}
}

func TestWrapping(t *testing.T) {
	f := start(t, 10, 6, Config{})
	f.press("abcdefgh") // with the prompt, exactly one row
	f.line("|")
	f.press("ij")
	f.line("ij|")
	f.press("\x1b[H")
	f.line("> |abcdefgh")
	f.press("\x1b[F", "\x7f\x7f\x7f")
	f.line("> abcdefg|")
	if got := f.screen.Text(); got != "> abcdefg\n" {
		t.Errorf("the screen shows\n%s", got)
	}
	f.press("\r")
	f.want("abcdefg")
}

func TestWideCharacters(t *testing.T) {
	f := start(t, 12, 6, Config{})
	f.press("😀漢é")
	f.line("> 😀漢é|")
	f.press(left, left, "x")
	f.line("> 😀x|漢é")
	f.press("\x1b[F", "漢漢漢")
	f.line("漢|") // a wide character is not torn
	f.press("\r")
	f.want("😀x漢é漢漢漢")
}

func openBracket(text string) bool {
	return strings.Count(text, "(") > strings.Count(text, ")")
}

func TestLines(t *testing.T) {
	f := start(t, 40, 10, Config{Incomplete: openBracket})
	f.press("f(\r1,\r2")
	f.line("... 2|")
	f.press(up, "0")
	f.line("... 10|,")
	f.press(up, up) // no history: stays
	f.line("> f(|")
	f.press("\x1b[H", down, down, "\x1b[F", "\r)")
	f.line("... )|")
	f.press("\r")
	f.want("f(\n10,\n2\n)")
	if diff := cmp.Diff("> f(\n... 10,\n... 2\n... )\n", f.screen.Text()); diff != "" {
		t.Error(diff)
	}
}

func TestEnterWithinLines(t *testing.T) {
	f := start(t, 40, 10, Config{Incomplete: openBracket, History: func() []string { return []string{"f(\n1\n)"} }})
	f.press(up, up, "\r", "2,")
	f.line("... 2,|")
	f.press(down, "\r")
	f.want("f(\n1\n2,\n)")
}

func TestHistory(t *testing.T) {
	entries := []string{"one", "two\nlines", "three"}
	f := start(t, 40, 10, Config{History: func() []string { return entries }})
	f.press("new", up)
	f.line("> three|")
	f.press("!", up)
	f.line("... lines|")
	f.press(up, up)
	f.line("> one|")
	f.press(up) // the oldest
	f.press("\x0e", "\x0e")
	f.line("> three!|")
	f.press(down)
	f.line("> new|")
	f.press(down, "\x10", "\x10", "\r")
	f.want("two\nlines")
}

func TestSearch(t *testing.T) {
	entries := []string{"proxies()", "clusters()", "p.clusters(fqdn=\"reviews\")", "1"}
	f := start(t, 60, 10, Config{History: func() []string { return entries }})
	f.press("typed\x12")
	f.line("(search: ) typed|")
	f.press("clu")
	f.line(`(search: clu) p.|clusters(fqdn="reviews")`)
	f.press("\x12")
	f.line(`(search: clu) |clusters()`)
	f.press("\x12")
	f.line(`(not found: clu) |clusters()`)
	f.press("\x13")
	f.line(`(search: clu) p.|clusters(fqdn="reviews")`)
	f.press("\x7f\x7f\x7fprox")
	f.line(`(search: prox) |proxies()`)
	f.press("\x07")
	f.line("> typed|")
	f.press("\x12clusters()", "\x1b[F", "!")
	f.line("> clusters()!|")
	f.press("\x12", "xyz", "\x03")
	f.line("> clusters()!|")
	f.press("\x12", "prox", "\r")
	f.want("proxies()")
}

// readline dereferences nil when a search ends and there is no history.
func TestSearchWithoutHistory(t *testing.T) {
	for _, end := range []string{"\x03", "\x07", "\x04", "\x1b[C", "\x7f\x07"} {
		f := start(t, 40, 10, Config{})
		f.press("\x12", "a", end, "\x13", end, "\x12\x12", end)
		f.press("\x05ok\r")
		if got := f.result(); got.err != nil || !strings.HasSuffix(got.text, "ok") {
			t.Errorf("after %q: %q, %v", end, got.text, got.err)
		}
	}
}

// readline calls a nil painter once its configuration is set again and it draws.
// It never draws here; if it did, it would find a painter.
func TestPainterIsSet(t *testing.T) {
	f := start(t, 40, 10, Config{})
	cfg := f.rl.Config.Clone()
	if _, ok := cfg.Painter.(noPainter); !ok {
		t.Fatalf("the painter is %T", cfg.Painter)
	}
	cfg.ForceUseInteractive = true
	f.rl.SetConfig(cfg)
	f.press("a")
	f.line("> a|")
	f.press("\r")
	f.want("a")
}

func candidates(names ...string) func(context.Context, string, int) complete.Result {
	return func(_ context.Context, text string, pos int) complete.Result {
		word := text[:pos]
		res := complete.Result{Start: 0, End: pos}
		for _, n := range names {
			if strings.HasPrefix(n, word) {
				res.Candidates = append(res.Candidates, complete.Candidate{Text: n, Label: n})
			}
		}
		return res
	}
}

func TestCompletion(t *testing.T) {
	f := start(t, 40, 12, Config{Complete: candidates("proxies", "proxy", "print", "clusters")})
	f.press("c\t")
	f.line("> clusters|")
	f.press("\x15", "p\t")
	f.line("> pr|")
	f.press("\t")
	f.line("> pr|")
	f.text("proxies  proxy    print\n> pr")
	f.press("ox\t")
	f.text("proxies  proxy\n> prox")
	f.press("\x1b[H\t") // at the beginning of a line Tab indents
	f.line(">     |prox")
	f.press("\x1b[F", "zz\t\r") // nothing found
	f.want("    proxzz")
}

// readline's candidate grid divides by zero when a candidate is wider than the
// terminal. It is never entered.
func TestCandidateWiderThanTerminal(t *testing.T) {
	name := "outbound|8000||" + strings.Repeat("x", 60) + ".default.svc.cluster.local"
	f := start(t, 40, 10, Config{Complete: candidates(name+".a", name+".b", "other")})
	f.press("o\t")
	f.text("outbound|8000||xxxx")
	for _, keys := range []string{"\x01", down, "\t", "\x05", up, left, "\t\t"} {
		f.press(keys)
	}
	f.press("\x15\x0bz")
	f.line("> z|")
	for line := range strings.Lines(f.screen.Text()) {
		if n := len([]rune(line)); n > 41 {
			t.Errorf("a row of %d columns: %s", n, line)
		}
	}
	f.press("\r")
	f.want("z")
}

// Backspace while readline shows candidates, and then any output, slices out of
// bounds.
func TestOutputAfterCompletion(t *testing.T) {
	f := start(t, 40, 10, Config{Complete: candidates("aa", "ab", "ac")})
	f.press("a\t\t\x7f")
	f.line("> |")
	f.Print("a message\n")
	f.text("a message\n>")
	f.press("a")
	f.line("> a|")
	f.press("\r")
	f.want("a")
}

func TestManyCandidates(t *testing.T) {
	var names []string
	for i := range 300 {
		names = append(names, strings.Repeat("n", 10)+string(rune('a'+i%26))+strings.Repeat("x", i/26))
	}
	f := start(t, 40, 10, Config{Complete: candidates(names...)})
	f.press("n\t\t")
	f.text("more\n> nnnnnnnnnn")
	if rows := strings.Count(f.screen.Text(), "\n"); rows > 10 {
		t.Errorf("the list needs %d rows of 10", rows)
	}
	f.press("\x15ok\r")
	f.want("ok")
}

// Output while something is typed appears above it, whatever the state.
func TestPrint(t *testing.T) {
	f := start(t, 30, 10, Config{Incomplete: openBracket, History: func() []string { return []string{"old"} }})
	f.Print("first\n")
	f.press("f(\r123456789012345678901234567890")
	f.line("7890|")
	f.Print("second\nthird\n")
	f.line("7890|")
	f.press("\x12old")
	f.line("(search: old) |old")
	f.Print("fourth\n")
	f.line("(search: old) |old")
	f.press("\x07", ")\r")
	f.want("f(\n123456789012345678901234567890)")
	want := "first\nsecond\nthird\nfourth\n> f(\n... 12345678901234567890123456\n7890)\n"
	if diff := cmp.Diff(want, f.screen.Text()); diff != "" {
		t.Error(diff)
	}
}

func TestPaste(t *testing.T) {
	f := start(t, 40, 10, Config{})
	if !f.screen.Mode("2004") {
		t.Error("the terminal was not asked to mark what is pasted")
	}
	f.press("\x1b[200~if x:\r\n\tprint(1)\n\x1b[31mred\x1b[201~")
	f.line("... [31mred|")
	f.press("\r")
	f.want("if x:\n    print(1)\n[31mred")
	if f.screen.Mode("2004") {
		t.Error("the terminal still marks what is pasted")
	}
	f.read(context.Background())
	f.press("\x1b[200~one line\n\x1b[201~")
	f.line("> one line|")
	f.press("\r")
	f.want("one line")
	f.read(context.Background())
	f.press("\x1b[200~lost end", "\x03", "x\r")
	if got := f.result(); !errors.Is(got.err, ErrInterrupt) {
		t.Errorf("Ctrl-C within a paste that does not end: %q, %v", got.text, got.err)
	}
}

// A statement that is longer than the screen shows the part around the cursor.
func TestPasteOfManyLines(t *testing.T) {
	var b strings.Builder
	b.WriteString("def f():\n")
	for i := range 200 {
		b.WriteString("\tline" + string(rune('0'+i%10)) + " = 1\n")
	}
	f := start(t, 40, 10, Config{})
	f.Print("above\n")
	f.press("\x1b[200~", b.String(), "\x1b[201~")
	f.line("... |")
	if n := strings.Count(f.screen.Text(), "\n"); n > 10 {
		t.Errorf("%d rows on a screen of 10", n)
	}
	f.press(strings.Repeat(up, 201))
	f.line("> |def f():")
	f.press("\x1b[C\x1b[C\x1b[C\x1b[C", "g")
	f.line("> def g|f():")
	f.press("\x7f", strings.Repeat(down, 201), "\r")
	f.want(strings.ReplaceAll(b.String(), "\t", "    "))
}

func TestResize(t *testing.T) {
	f := start(t, 40, 10, Config{})
	f.Print("above\n")
	f.press("0123456789012345678901234567890123456789012345")
	f.line("89012345|")
	for _, columns := range []int{20, 60, 15, 40} {
		f.columns.Store(int32(columns))
		f.screen.Resize(columns, 10)
		f.resize()
	}
	f.line("89012345|")
	want := "above\n> 01234567890123456789012345678901234567\n89012345\n"
	if diff := cmp.Diff(want, f.screen.Text()); diff != "" {
		t.Error(diff)
	}
	f.press("\r")
	f.want("0123456789012345678901234567890123456789012345")
}

// A panic in a handler is on a goroutine of readline's, where nobody could
// recover it.
func TestPanicKeepsTheTerminal(t *testing.T) {
	f := start(t, 60, 10, Config{Complete: func(context.Context, string, int) complete.Result { panic("oops") }})
	f.press("abc\t")
	f.text("internal error in the line editor: oops")
	f.line("> abc|")
	f.press("d\r")
	f.want("abcd")
}

func TestReadKeys(t *testing.T) {
	f := start(t, 40, 10, Config{})
	f.press("a\r")
	f.want("a")
	go io.WriteString(f.keys, "x\x03"+up)
	var got []rune
	err := f.ReadKeys(context.Background(), func(key rune) bool {
		got = append(got, key)
		return len(got) < 3
	})
	if diff := cmp.Diff([]rune{'x', ctrlC, KeyUp}, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := f.ReadKeys(ctx, func(rune) bool { return true }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	f.read(context.Background())
	f.press("b\r")
	f.want("b")
}

// What is typed ahead belongs to the next statement.
func TestTypeAhead(t *testing.T) {
	f := start(t, 40, 10, Config{})
	go io.WriteString(f.keys, "one\rtwo\rthree\r")
	f.want("one")
	for _, want := range []string{"two", "three"} {
		if got, err := f.ReadLine(context.Background(), "> "); got != want || err != nil {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
}

func TestPlain(t *testing.T) {
	var out strings.Builder
	p := NewPlain(strings.NewReader("one\r\n\ntwo"), &out)
	for _, want := range []string{"one", "", "two"} {
		if got, err := p.ReadLine(context.Background(), "> "); got != want || err != nil {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
	if _, err := p.ReadLine(context.Background(), "> "); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
	if out.Len() > 0 {
		t.Errorf("it printed %q", out.String())
	}
	in, w := io.Pipe()
	defer w.Close()
	p = NewPlain(in, &out)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.ReadLine(ctx, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	go io.WriteString(w, "late\n")
	if got, err := p.ReadLine(context.Background(), ""); got != "late" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	p.Close()
	if _, err := p.ReadLine(context.Background(), ""); !errors.Is(err, io.EOF) {
		t.Errorf("closed: %v", err)
	}
}

func FuzzInput(f *testing.F) {
	f.Add([]byte("abc\x1b[200~x\x1b[201~\x1b[1;5D\xff\xc3"), 3)
	f.Add([]byte("\x1b\x1b[\x1bO\x1b[200~\x03\x12a\x07\t\x1a"), 1)
	f.Fuzz(func(t *testing.T, data []byte, piece int) {
		if piece < 1 || len(data) > 1000 {
			t.Skip()
		}
		whole, parts := newInput(strings.NewReader("")), newInput(strings.NewReader(""))
		defer whole.Close()
		defer parts.Close()
		whole.decode(data)
		for rest := data; len(rest) > 0; rest = rest[min(piece, len(rest)):] {
			parts.decode(rest[:min(piece, len(rest))])
		}
		if diff := cmp.Diff(whole.keys, parts.keys); diff != "" {
			t.Errorf("how the bytes arrive makes a difference:\n%s", diff)
		}
	})
}

// What is typed at the top of the screen leaves nothing in the terminal's history.
func TestTypingAtTheTop(t *testing.T) {
	f := start(t, 20, 6, Config{})
	f.press("\x0c")
	for i := range "proxies" {
		f.press("proxies"[i : i+1])
		f.line("> " + "proxies"[:i+1] + "|")
	}
	if all := f.screen.All(); all != "> proxies\n" {
		t.Errorf("the screen with its history is\n%s", all)
	}
}
