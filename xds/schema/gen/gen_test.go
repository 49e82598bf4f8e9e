package main

import (
	"os"
	"strings"
	"testing"
)

// The table must say what the modules of go.mod say. Modules that only the generator reads are not downloaded for this.
func TestTableIsUpToDate(t *testing.T) {
	var sources []source
	for _, m := range modules {
		if m.version != "" {
			continue
		}
		s, err := m.locate()
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, s)
	}
	want, err := table(sources)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../schema.txt")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for block := range strings.SplitSeq(string(text), "\n\n") {
		got[strings.TrimSpace(block)] = true
	}
	head, blocks, _ := strings.Cut(string(want), "\n\n")
	for line := range strings.Lines(head) {
		if !strings.Contains(string(text), line) {
			t.Errorf("schema.txt was not generated from %s", strings.TrimSpace(line))
		}
	}
	n := 0
	for block := range strings.SplitSeq(blocks, "\n\n") {
		n++
		if !got[strings.TrimSpace(block)] {
			name, _, _ := strings.Cut(block, "\n")
			t.Errorf("schema.txt has no such block: %s", name)
		}
	}
	if n < 2000 {
		t.Errorf("the modules define %d messages and enums, want more than 2000", n)
	}
	if t.Failed() {
		t.Log(`run "go generate ./xds/schema"`)
	}
}
