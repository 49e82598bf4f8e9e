package main

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/cmd/meshlark/internal/cli"
)

var update = flag.Bool("update", false, "write into README.md what its examples print")

// TestReadme runs the examples of README.md: in blocks marked "console", a line
// that begins with "$ meshlark" is a command, and what follows is what it
// prints. What the shell answers is the matter of a test of package cli.
func TestReadme(t *testing.T) {
	t.Chdir("../..")
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	examples, inConsole, skip := 0, false, false
	for line := range strings.Lines(string(text)) {
		switch {
		case strings.HasPrefix(line, "```"):
			inConsole = strings.TrimSpace(line) == "```console"
			skip = false
			out.WriteString(line)
		case inConsole && line != "$ meshlark demo\n" && strings.HasPrefix(line, "$ meshlark "):
			examples++
			skip = true
			out.WriteString(line)
			var printed bytes.Buffer
			args := words(t, strings.TrimPrefix(line, "$ meshlark "))
			if status := cli.Run(t.Context(), args, strings.NewReader(""), &printed, &printed, nil); status != 0 {
				t.Errorf("exit status %d of %s%s", status, line, &printed)
			}
			out.Write(printed.Bytes())
		case !skip:
			out.WriteString(line)
		}
	}
	if examples == 0 {
		t.Error("README.md has no example")
	}
	if *update {
		if err := os.WriteFile("README.md", []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(text), out.String()); diff != "" {
		t.Errorf("README.md (-written +true); bring it up to date with: go test ./cmd/meshlark -run TestReadme -update\n%s", diff)
	}
}

// words splits a command line as a shell does, for single quotes and spaces.
func words(t *testing.T, line string) []string {
	t.Helper()
	var all []string
	for i, part := range strings.Split(strings.TrimSpace(line), "'") {
		if i%2 == 1 {
			all = append(all, part)
		} else {
			all = append(all, strings.Fields(part)...)
		}
	}
	if strings.Count(line, "'")%2 == 1 {
		t.Fatalf("unbalanced quotes in %q", line)
	}
	return all
}
