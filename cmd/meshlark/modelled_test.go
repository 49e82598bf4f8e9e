package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestModelled holds what docs/trace.md says is modelled, and what is not, to what package trace says: the lists below the comments <!-- modelled --> and
// <!-- not modelled --> are those of its documentation. -update writes them.
func TestModelled(t *testing.T) {
	source, err := os.ReadFile("../../xds/trace/doc.go")
	if err != nil {
		t.Fatal(err)
	}
	const page = "../../docs/trace.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	got := string(text)
	for heading, marker := range map[string]string{"# What is modelled": "<!-- modelled -->", "# What is not": "<!-- not modelled -->"} {
		list := bullets(string(source), heading)
		if len(list) == 0 {
			t.Fatalf("package trace has no list below %s", heading)
		}
		before, after, found := strings.Cut(got, marker+"\n")
		if !found {
			t.Fatalf("%s has no comment %s", page, marker)
		}
		lines := strings.Split(strings.TrimLeft(after, "\n"), "\n")
		for len(lines) > 0 && (strings.HasPrefix(lines[0], "- ") || strings.HasPrefix(lines[0], "  ")) {
			lines = lines[1:]
		}
		got = before + marker + "\n\n" + strings.Join(list, "\n") + "\n\n" + strings.TrimLeft(strings.Join(lines, "\n"), "\n")
	}
	got = strings.TrimRight(got, "\n") + "\n"
	if *update {
		if err := os.WriteFile(page, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(text), got); diff != "" {
		t.Errorf("%s (-written +true); bring it up to date with: go test ./cmd/meshlark -run TestModelled -update\n%s", page, diff)
	}
}

// link of a doc comment, as [Config] is one.
var docLink = regexp.MustCompile(`\[([A-Z][A-Za-z.]*)\]`)

// bullets is the list below a heading of a package's documentation, as Markdown.
func bullets(source, heading string) []string {
	_, rest, _ := strings.Cut(source, "\n// "+heading+"\n")
	var items []string
	for line := range strings.Lines(rest) {
		line = strings.TrimSpace(strings.TrimPrefix(line, "//"))
		switch {
		case strings.HasPrefix(line, "- "):
			items = append(items, line)
		case line != "" && len(items) > 0 && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "package "):
			items[len(items)-1] += " " + line
		case len(items) > 0:
			return fold(items)
		}
	}
	return fold(items)
}

// fold breaks the items of a list into lines as the pages have them.
func fold(items []string) []string {
	const width = 120
	var out []string
	for _, item := range items {
		line := ""
		for i, word := range strings.Fields(docLink.ReplaceAllString(item, "`$1`")) {
			switch {
			case i == 0:
				line = word
			case len(line)+1+len(word) > width:
				out = append(out, line)
				line = "  " + word
			default:
				line += " " + word
			}
		}
		out = append(out, line)
	}
	return out
}
