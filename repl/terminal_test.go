//go:build unix

package repl

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/repl/internal/vt"
)

// shell starts the shell on a pseudo-terminal and waits for its prompt.
func shell(t *testing.T, columns, rows int, env ...string) *vt.Terminal {
	t.Helper()
	file := filepath.Join(t.TempDir(), "history")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append([]string{"PAGER=", "MESHLARK_TEST_SHELL=" + file}, env...)...)
	term := vt.Start(t, cmd, columns, rows)
	term.WaitLine(">>> |")
	return term
}

// do enters a statement and waits for the next prompt.
func do(term *vt.Terminal, src string) {
	prompts := func() int { return strings.Count("\n"+term.All(), "\n>>>") }
	n := prompts()
	term.Type(src, enter)
	term.Wait("another prompt", func() bool { return prompts() > n && term.Line() == ">>> |" })
}

const (
	enter = "\r"
	ctrlC = "\x03"
	ctrlD = "\x04"
	up    = "\x1b[A"
)

func TestTerminalTyping(t *testing.T) {
	term := shell(t, 80, 24)
	do(term, "x = 20")
	do(term, "x + 22")
	term.WaitText("42\n>>>")
	do(term, "def f(n):"+enter+"  return n + x"+enter)
	do(term, "f(1)")
	term.WaitText("21\n>>>")
	want := "test mesh\n>>> x = 20\n>>> x + 22\n42\n>>> def f(n):\n...   return n + x\n...\n>>> f(1)\n21\n>>>\n"
	if diff := cmp.Diff(want, term.Text()); diff != "" {
		t.Error(diff)
	}
	term.Type(up, up) // the whole statement
	term.WaitLine("...   return n + x|")
	term.Type(ctrlC)
	term.WaitLine(">>> |")
	term.Type(ctrlD)
	if err := term.Exit(); err != nil || !strings.HasSuffix(term.Text(), "bye\n") {
		t.Errorf("%v; the screen shows\n%s", err, term.Text())
	}
}

func TestTerminalWrapsAt40Columns(t *testing.T) {
	term := shell(t, 40, 24)
	term.Type(`len("0123456789012345678901234567890123456789")`)
	term.WaitLine(`123456789")|`)
	term.Type("\x1b[H")
	term.WaitLine(`>>> |len("0123456789012345678901234567890`)
	term.Type(enter)
	term.WaitText("40\n>>>")
	want := "test mesh\n>>> len(\"0123456789012345678901234567890\n123456789\")\n40\n>>>\n"
	if diff := cmp.Diff(want, term.Text()); diff != "" {
		t.Error(diff)
	}
}

func TestTerminalCompletion(t *testing.T) {
	term := shell(t, 40, 24)
	do(term, "p = proxies()[0]")
	term.Type("p.cl\t")
	term.WaitLine(">>> p.cluster|")
	term.Type("\t")
	term.WaitText("cluster_id")
	term.Type("s(dire\t")
	term.WaitLine(">>> p.clusters(direction=|")
	term.Type(`"out` + "\t")
	term.WaitLine(`>>> p.clusters(direction="outbound"|`)
	term.Type("\x15", `p.clusters("`, "\t") // the names have 40 columns and more
	term.WaitLine(`>>> p.clusters("|`)
	term.WaitText("…")
	for line := range strings.Lines(term.Text()) {
		if len([]rune(line)) > 41 {
			t.Errorf("a row is too wide: %s", line)
		}
	}
	term.Type("v1|rev", "\t")
	term.WaitLine(`.default.svc.cluster.local"|`)
	term.Type("\x1b[1;5D", "\t", "\x01\x05", ctrlC)
	term.WaitLine(">>> |")
}

func TestTerminalPasteOf200Lines(t *testing.T) {
	term := shell(t, 80, 24)
	var b strings.Builder
	b.WriteString("def f(x):\n")
	for range 198 {
		b.WriteString("\tx += 1 # a line, pasted\n")
	}
	b.WriteString("\treturn x\n")
	term.Wait("bracketed paste", func() bool { return term.Mode("2004") })
	term.Type("\x1b[200~", b.String(), "\x1b[201~")
	term.WaitLine("... |")
	do(term, "")
	do(term, "f(2)")
	term.WaitText("\n200\n>>>")
	term.Type("\x10\x10") // recalled as one
	term.WaitLine("...     return x|")
	term.Type(ctrlC, ctrlD)
	if err := term.Exit(); err != nil {
		t.Error(err)
	}
	if strings.Contains(term.All(), "error") {
		t.Errorf("the shell said\n%s", term.All())
	}
}

func TestTerminalInterrupts(t *testing.T) {
	for _, tt := range []struct{ name, src, began string }{
		{"computing", "while True: pass", "while True: pass\n"},
		{"waiting", "waits()", "waiting\n"},
		{"a builtin that does not end", "stuck()", "stuck now\n"},
		{"printing", "for i in range(1000000000): print(i)", "\n100"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			term := shell(t, 80, 24)
			do(term, "x = 1")
			src := "x = 2; " + tt.src
			if strings.Contains(tt.src, ":") {
				src = "if True:\n  x = 2\n  " + tt.src
				term.Type("\x1b[200~" + src + "\x1b[201~")
				term.Type(enter, enter)
			} else {
				term.Type(src, enter)
			}
			term.Wait("the beginning of the evaluation", func() bool {
				return strings.Contains(term.All(), tt.began) && !strings.Contains(term.Line(), "... ") && !term.Mode("2004")
			})
			// What is waited for is the prompt: how soon it is there depends on the machine.
			began := time.Now()
			term.Type(ctrlC)
			term.Wait("the prompt", func() bool { return term.Line() == ">>> |" && strings.Contains(term.Text(), "interrupted") })
			t.Logf("the prompt is back after %v", time.Since(began).Round(time.Millisecond))
			do(term, "x")
			term.WaitText(">>> x\n1\n>>>")
		})
	}
}

func TestTerminalInterruptWhileTyping(t *testing.T) {
	term := shell(t, 80, 24)
	term.Type("half", ctrlC)
	term.WaitText(">>> half^C\n>>>")
	term.Type("(", enter, "1,", enter, ctrlC)
	term.WaitText("... ^C\n")
	term.WaitText("Ctrl-D or :quit leaves the shell\n>>>")
	term.Type("\x12abc", ctrlC, "1 + 1", enter)
	term.WaitText("2\n>>>")
}

func TestTerminalPaging(t *testing.T) {
	term := shell(t, 60, 12)
	term.Type("rows(3000)", enter)
	term.WaitText("-- 11/3001 lines;")
	for line := range strings.Lines(term.Text()) {
		if len([]rune(line)) > 61 {
			t.Errorf("a row is too wide: %s", line)
		}
	}
	term.Type(" ")
	term.WaitText("-- 22/3001 lines;")
	term.Type(enter)
	term.WaitText("-- 23/3001 lines;")
	term.Type("x") // no key of the pager
	term.Type(ctrlC)
	term.WaitText("2978 lines not shown\n>>>")
	term.Type("rows(3000)", enter)
	term.WaitText("-- 11/3001 lines;")
	term.Type("G")
	term.WaitText("2999  outbound")
	term.WaitLine(">>> |")
}

func TestTerminalPager(t *testing.T) {
	term := shell(t, 60, 12, "PAGER=head -n 2")
	do(term, "rows(3000)")
	term.WaitText("   0  outbound")
	if strings.Contains(term.Text(), "   1  outbound") {
		t.Errorf("not the pager's output:\n%s", term.Text())
	}
}

func TestTerminalResize(t *testing.T) {
	term := shell(t, 40, 12)
	term.Type(`x = "01234567890123456789012345678901234567890123456789"`)
	term.WaitLine(`1234567890123456789"|`)
	term.SetSize(30, 12)
	term.WaitLine("|")
	term.SetSize(70, 12)
	term.WaitLine(`>>> x = "01234567890123456789012345678901234567890123456789"|`)
	do(term, "")
	do(term, "len(x)")
	term.WaitText("50\n>>>")
	if n := strings.Count(term.All(), "x = "); n != 1 {
		t.Errorf("the statement is there %d times:\n%s", n, term.All())
	}
}

// The terminal is as it was, after Ctrl-D and while statements run.
func TestTerminalIsRestored(t *testing.T) {
	stty := func(term *vt.Terminal) string {
		out, err := term.Stty()
		if err != nil {
			t.Skip("no stty: ", err)
		}
		return out
	}
	term := shell(t, 80, 24)
	if !strings.Contains(stty(term), "-icanon") {
		t.Error("the terminal is not raw at the prompt")
	}
	term.Type("waits()", enter)
	term.WaitText("waiting")
	if s := stty(term); strings.Contains(s, "-icanon") || strings.Contains(s, "-isig") {
		t.Errorf("the terminal is raw during an evaluation: %s", s)
	}
	term.Type(ctrlC)
	term.WaitLine(">>> |")
	do(term, "boom()")
	term.WaitText("internal error")
	term.Type(ctrlD)
	term.WaitText("bye")
	if term.Mode("2004") {
		t.Error("bracketed paste is left on")
	}
	if err := term.Exit(); err != nil {
		t.Error(err)
	}
}

// Ctrl-Z must not stop the process that started the shell, this one. A shell
// that leads its session cannot be continued, so it ignores the key.
func TestTerminalCtrlZ(t *testing.T) {
	term := shell(t, 80, 24)
	do(term, "1 +\x1a 1")
	term.WaitText("2\n>>>")
}

func TestTerminalHistoryFile(t *testing.T) {
	term := shell(t, 80, 24)
	do(term, "def f():"+enter+"  return 1"+enter)
	do(term, " secret = 1")
	do(term, "password = \"hunter2\"")
	file := ""
	for _, kv := range term.Env() {
		if v, ok := strings.CutPrefix(kv, "MESHLARK_TEST_SHELL="); ok {
			file = v
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(data)) {
		var rec struct{ Statement string }
		if err := json.Unmarshal([]byte(line), &rec); err != nil {
			t.Fatal(err)
		}
		got = append(got, rec.Statement)
	}
	if diff := cmp.Diff([]string{"def f():\n  return 1", `password = "REDACTED"`}, got); diff != "" {
		t.Error(diff)
	}
}
