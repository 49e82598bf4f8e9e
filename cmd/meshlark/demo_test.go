//go:build unix

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/cmd/meshlark/internal/cli"
)

// What meshlark demo --serve prints opens the same mesh as -s demo, and Ctrl-C
// ends it.
func TestDemoServe(t *testing.T) {
	const now = "2026-05-06T07:08:09Z"
	serve := exec.Command("meshlark", "demo", "--serve", "--now", now)
	var stderr bytes.Buffer
	serve.Stderr = &stderr
	stdout, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	defer serve.Process.Kill()

	// Two control planes and seventeen proxies.
	line := regexp.MustCompile(`^-s (\S+)  # (\S+)$`)
	var sources, names []string
	lines := bufio.NewScanner(stdout)
	for len(sources) < 2*19 && lines.Scan() {
		m := line.FindStringSubmatch(lines.Text())
		if m == nil {
			t.Fatalf("%q is not to be copied", lines.Text())
		}
		sources, names = append(sources, "-s", m[1]), append(names, m[2])
	}
	if len(sources) != 2*19 {
		t.Fatalf("%d sources are printed; standard error: %s", len(sources)/2, &stderr)
	}

	for _, expr := range []string{
		`proxies()`, `istiods()`, `listeners(state="*")`, `routes()`, `clusters(state="*")`, `endpoints()`,
		`secrets(state="*").table("proxy", "name", "type", "valid", "not_before", "not_after", "serial", "sans")`, // each mesh has keys of its own
		`[p.bootstrap().node.id for p in proxies()]`, `[(p.name, side().clusters().names) for p in proxies() for side in (p.desired, p.actual)]`,
	} {
		for _, format := range []string{"json", "json=full"} {
			want := document(t, "-s", "demo", "--now", now, "-o", format, "-e", expr)
			got := document(t, append(sources, "--now", now, "-o", format, "-e", expr)...)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s as %s (-demo +served):\n%.3000s", expr, format, diff)
			}
		}
	}
	// Who answers is who is named.
	if got := document(t, sources[len(sources)-2], sources[len(sources)-1], "-o", "json", "-e", `proxies().names`); !strings.Contains(got, names[18]) {
		t.Errorf("%s is named %s, and is\n%s", sources[37], names[18], got)
	}

	if err := serve.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, stdout)
	if err := serve.Wait(); err != nil {
		t.Errorf("after Ctrl-C: %v: %s", err, &stderr)
	}
	if _, err := http.Get(sources[37]); err == nil {
		t.Errorf("%s still answers", sources[37])
	}
}

// document runs meshlark and gives its standard output, less where it is from.
func document(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if status := cli.Run(t.Context(), args, strings.NewReader(""), &stdout, &stderr, nil); status != 0 {
		t.Fatalf("%q: exit status %d: %s", args, status, &stderr)
	}
	var doc struct {
		Kind  string
		Items []any
	}
	if err := json.Unmarshal(stdout.Bytes(), &doc); err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	if len(doc.Items) == 0 {
		t.Fatalf("%q: nothing", args)
	}
	for _, item := range doc.Items {
		if fields, ok := item.(map[string]any); ok {
			delete(fields, "source")
		}
	}
	text, err := json.MarshalIndent(doc, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The JUnit report of all shipped runbooks is well-formed XML that counts what
// it holds.
func TestDemoJUnit(t *testing.T) {
	var stdout, stderr bytes.Buffer
	status := cli.Run(t.Context(), []string{"check", "-s", "demo", "-o", "junit"}, strings.NewReader(""), &stdout, &stderr, nil)
	if status != 1 {
		t.Errorf("exit status %d, want 1: %s", status, &stderr)
	}
	type testcase struct {
		Class   string `xml:"classname,attr"`
		Name    string `xml:"name,attr"`
		Failure *struct {
			Message string `xml:"message,attr"`
		} `xml:"failure"`
		Error *struct{} `xml:"error"`
	}
	var report struct {
		XMLName  xml.Name `xml:"testsuites"`
		Tests    int      `xml:"tests,attr"`
		Failures int      `xml:"failures,attr"`
		Suites   []struct {
			Name  string     `xml:"name,attr"`
			Tests int        `xml:"tests,attr"`
			Cases []testcase `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(stdout.Bytes(), &report); err != nil {
		t.Fatalf("%v in\n%s", err, &stdout)
	}
	if len(report.Suites) != 7 {
		t.Errorf("%d suites, want one for each of the 7 shipped runbooks", len(report.Suites))
	}
	tests, failures := 0, 0
	for _, suite := range report.Suites {
		if suite.Tests != len(suite.Cases) {
			t.Errorf("suite %s has %d cases and says %d", suite.Name, len(suite.Cases), suite.Tests)
		}
		tests += len(suite.Cases)
		found := 0
		for _, c := range suite.Cases {
			if c.Class != suite.Name || c.Name == "" || c.Error != nil {
				t.Errorf("suite %s: %+v", suite.Name, c)
			}
			if c.Failure != nil {
				found++
				if c.Failure.Message == "" {
					t.Errorf("suite %s: %s fails without a message", suite.Name, c.Name)
				}
			}
		}
		if failures += found; found == 0 {
			t.Errorf("suite %s finds nothing in the demo", suite.Name)
		}
	}
	if tests != report.Tests || failures != report.Failures {
		t.Errorf("%d cases and %d failures, the report says %d and %d", tests, failures, report.Tests, report.Failures)
	}
}

// The program itself on a terminal: that the parts are plugged together. What
// the shell does with each key is tested with the shell.
func TestDemoOnTerminal(t *testing.T) {
	cmd := exec.Command("meshlark", "demo")
	cmd.Env = append(os.Environ(), "TERM=xterm", "NO_COLOR=1", "PAGER=", "XDG_STATE_HOME="+t.TempDir())
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 50, Cols: 140})
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	defer terminal.Close()
	defer cmd.Process.Kill()
	shown := make(chan string, 1000)
	go func() {
		defer close(shown)
		b := make([]byte, 4096)
		for {
			n, err := terminal.Read(b)
			if err != nil {
				return
			}
			shown <- string(b[:n])
		}
	}()
	deadline := time.After(time.Minute)
	var all strings.Builder
	seen := 0
	wait := func(text string) {
		t.Helper()
		for {
			if i := strings.Index(all.String()[seen:], text); i >= 0 {
				seen += i + len(text)
				return
			}
			select {
			case more, ok := <-shown:
				if !ok {
					t.Fatalf("the terminal was closed before %q:\n%q", text, all.String()[seen:])
				}
				all.WriteString(more)
			case <-deadline:
				t.Fatalf("no %q within a minute:\n%q", text, all.String()[seen:])
			}
		}
	}
	send := func(keys string) {
		t.Helper()
		if _, err := io.WriteString(terminal, keys); err != nil {
			t.Fatal(err)
		}
	}

	wait("A simulated mesh")
	wait(">>> ")
	send("prox\t")
	wait("proxies()  ")
	wait("proxy()  ")
	send("ies()\r")
	wait("NAME ")
	wait("productpage")
	wait("STALE (")
	wait(">>> ")
	send("half a statement\x03")
	wait(">>> ")
	send("while True: pass\r\r")
	time.Sleep(100 * time.Millisecond) // until it runs, most likely; as a key at the prompt it does no harm
	send("\x03")
	wait("interrupted")
	wait(">>> ")
	send("6 * 7\r")
	wait("42")
	wait(">>> ")
	send("\x04")
	if err := cmd.Wait(); err != nil {
		t.Errorf("after Ctrl-D: %v", err)
	}
}
