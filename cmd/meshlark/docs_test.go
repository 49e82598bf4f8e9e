package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/meshlark/meshlark/cmd/meshlark/internal/cli"
	"github.com/meshlark/meshlark/demo"
	"github.com/meshlark/meshlark/scripts"
	"github.com/meshlark/meshlark/session"
)

// notRun is how many blocks of the pages are not run, each with a comment above
// it that says why.
const notRun = 1

// pages are the pages of docs that are written by hand and tell how to use
// meshlark.
var pages = []string{"README.md", "tutorial.md", "from-istioctl.md", "runbooks.md", "trace.md", "access.md", "live.md"}

// docsNow is the time at which the shells of the pages run. Commands run now.
var docsNow = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// TestDocs runs the blocks of the hand-written pages of docs on the demo mesh,
// page by page, from top to bottom:
//
//	pycon    a shell, as wide as 100 columns: lines that begin with >>> or ...
//	         are typed, what follows is what the shell answers
//	console  lines that begin with $ are commands: meshlark itself, curl -s URL,
//	         cat FILE and echo $?; > FILE takes what a command prints to
//	         standard output
//	python   a runbook, which must pass vet
//	json     a file
//	yaml     must be YAML, and the commands of meshlark in it must have their
//	         flags
//
// The comment <!-- file: NAME --> above a block says what it is saved as, for the
// commands below it. A block of another kind needs the comment
// <!-- not run: REASON -->. In tables, what stands in the column meshlark must
// work, as a command or at the shell. The table below the comment
// <!-- shipped runbooks --> is made of those. localhost:15000 is details-v1, and
// localhost:15014 a control plane.
//
// A page has one shell and one folder of files, which its blocks share. -update
// writes what is answered into the pages.
func TestDocs(t *testing.T) {
	d, err := demo.Start(t.Context(), demo.Options{Now: func() time.Time { return docsNow }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	folder, err := filepath.Abs("../../docs")
	if err != nil {
		t.Fatal(err)
	}
	left := 0
	for _, name := range pages {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(folder, name)
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			t.Chdir(t.TempDir())
			places := forwarded(d)
			p := &page{t: t, shell: newDocShell(t, d, places), places: places}
			got := p.run(string(text))
			left += p.left
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(text), got); diff != "" {
				t.Errorf("docs/%s (-written +true); bring it up to date with: go test ./cmd/meshlark -run TestDocs -update\n%s", name, diff)
			}
		})
	}
	if left != notRun {
		t.Errorf("%d blocks are not run, want %d", left, notRun)
	}
}

// A page is a page of the documentation while its blocks are run.
type page struct {
	t      *testing.T
	shell  *docShell
	places places
	status int // of the last command
	left   int // blocks that are not run
}

// places are the addresses that stand on the pages for those of the demo.
type places map[string]string

// forwarded gives the places that a reader has made with a port-forward.
func forwarded(d *demo.Mesh) places {
	out := places{}
	for i, spec := range d.Sources() {
		u, _, _ := strings.Cut(spec, "#")
		_, address, _ := strings.Cut(u, "://")
		switch name := d.Names()[i]; {
		case strings.HasPrefix(name, "details-v1-"):
			out["localhost:15000"] = address
		case strings.HasSuffix(name, "-tfdvh"):
			out["localhost:15014"] = address
		}
	}
	return out
}

func (p places) real(text string) string {
	for shown, address := range p {
		text = strings.ReplaceAll(text, shown, address)
	}
	return text
}

func (p places) shown(text string) string {
	for shown, address := range p {
		text = strings.ReplaceAll(text, address, shown)
	}
	return text
}

// comment is a line that says how the block below it is run.
var comment = regexp.MustCompile(`^<!-- (file|not run): (.+) -->$`)

// run runs the blocks of a page and gives the page as it should be.
func (p *page) run(text string) string {
	var out []string
	lines := strings.Split(text, "\n")
	note := [3]string{}
	for i := 0; i < len(lines); i++ {
		kind, opens := strings.CutPrefix(lines[i], "```")
		if !opens {
			if m := comment.FindStringSubmatch(lines[i]); m != nil {
				note = [3]string(m)
			}
			if strings.HasPrefix(lines[i], "    ") {
				p.t.Errorf("line %d: an indented block is not run", i+1)
			}
			end := i
			for end < len(lines) && strings.HasPrefix(lines[end], "|") {
				end++
			}
			switch {
			case end == i:
				out = append(out, lines[i])
				continue
			case len(out) > 0 && out[len(out)-1] == "<!-- shipped runbooks -->":
				out = append(out, runbookTable(p.t)...)
			default:
				p.table(i+1, lines[i:end])
				out = append(out, lines[i:end]...)
			}
			i = end - 1
			continue
		}
		end := i + 1
		for end < len(lines) && lines[end] != "```" {
			end++
		}
		if end == len(lines) {
			p.t.Fatalf("the block of line %d has no end", i+1)
		}
		out = append(out, lines[i])
		out = append(out, p.block(i+1, kind, note, lines[i+1:end])...)
		out = append(out, lines[end])
		i, note = end, [3]string{}
	}
	return strings.Join(out, "\n")
}

func (p *page) block(line int, kind string, note [3]string, lines []string) []string {
	if note[1] == "not run" {
		p.left++
		return lines
	}
	if note[1] == "file" {
		p.save(note[2], strings.Join(lines, "\n")+"\n")
	}
	switch kind {
	case "pycon":
		return settled(lines, p.shell.converse(p.t, lines))
	case "console":
		return settled(lines, p.console(line, lines))
	case "python":
		name := note[2]
		if note[1] != "file" {
			name = "block.star"
			p.save(name, strings.Join(lines, "\n")+"\n")
		}
		p.succeeds(line, "vet "+name)
	case "json":
		if !json.Valid([]byte(strings.Join(lines, "\n"))) {
			p.t.Errorf("line %d: no JSON", line)
		}
	case "yaml":
		var document any
		if err := yaml.Unmarshal([]byte(strings.Join(lines, "\n")), &document); err != nil {
			p.t.Errorf("line %d: %v", line, err)
		}
		for _, l := range lines {
			if _, command, ok := strings.Cut(l, "meshlark "); ok && !strings.Contains(l, "/meshlark") {
				command, _, _ = strings.Cut(command, " > ")
				p.succeeds(line, command+" --help")
			}
		}
	default:
		p.t.Errorf("line %d: a block of kind %q is not run, and no comment says why", line, kind)
	}
	return lines
}

func (p *page) save(name, text string) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// succeeds runs a command that must be able to do what it is asked.
func (p *page) succeeds(line int, command string) {
	var printed bytes.Buffer
	if status := p.meshlark(words(p.t, command), &printed, &printed); status > 1 {
		p.t.Errorf("line %d: meshlark %s: exit status %d\n%s", line, command, status, &printed)
	}
}

// code is what stands between backquotes.
var code = regexp.MustCompile("`([^`]+)`")

// table tries what a table has in its column meshlark.
func (p *page) table(line int, rows []string) {
	column := -1
	for n, row := range rows {
		// A bar inside a cell is written \|.
		cells := strings.Split(strings.ReplaceAll(row, `\|`, "\x00"), "|")
		if n == 0 {
			column = slices.IndexFunc(cells, func(c string) bool { return strings.TrimSpace(c) == "meshlark" })
		}
		if column < 0 || column >= len(cells) {
			return
		}
		for _, m := range code.FindAllStringSubmatch(cells[column], -1) {
			src := p.places.real(strings.ReplaceAll(m[1], "\x00", "|"))
			if command, ok := strings.CutPrefix(src, "meshlark "); ok {
				p.succeeds(line+n, command)
			} else if _, err := p.shell.session.Eval(p.t.Context(), "", src); err != nil {
				p.t.Errorf("line %d: %s: %v", line+n, src, err)
			}
		}
	}
}

// runbookTable is the table of the shipped runbooks, as they declare themselves.
func runbookTable(t *testing.T) []string {
	library := scripts.New()
	out := []string{"| runbook | what it finds | arguments | checks |", "|---|---|---|---|"}
	for _, name := range library.Names() {
		src, err := library.Runbook(name)
		if err != nil {
			t.Fatal(err)
		}
		info, err := session.Inspect(src.Path, src.Text)
		if err != nil {
			t.Fatal(err)
		}
		summary, _, _ := strings.Cut(info.Doc, "\n")
		var args, ids []string
		for _, a := range info.Args {
			args = append(args, "`"+a.Name+"`")
		}
		for _, c := range info.Checks {
			ids = append(ids, "`"+c.ID+"`")
		}
		slices.Sort(ids)
		out = append(out, fmt.Sprintf("| `%s` | %s | %s | %s |", name, summary, strings.Join(args, ", "), strings.Join(ids, ", ")))
	}
	return out
}

// console runs the commands of a block. A failing one does not fail the test: what it prints
// is on the page, and echo $? tells its status.
func (p *page) console(line int, lines []string) []string {
	var out []string
	for i := 0; i < len(lines); i++ {
		command, ok := strings.CutPrefix(lines[i], "$ ")
		if !ok {
			continue
		}
		out = append(out, lines[i])
		for strings.HasSuffix(command, `\`) && i+1 < len(lines) {
			i++
			out = append(out, lines[i])
			command = strings.TrimSuffix(command, `\`) + lines[i]
		}
		var printed bytes.Buffer
		p.command(line, p.places.real(command), &printed)
		if printed.Len() > 0 {
			out = append(out, strings.Split(strings.TrimSuffix(p.places.shown(printed.String()), "\n"), "\n")...)
		}
	}
	return out
}

// command runs one command line.
func (p *page) command(line int, command string, printed *bytes.Buffer) {
	if command == "echo $?" {
		fmt.Fprintln(printed, p.status)
		p.status = 0
		return
	}
	args := words(p.t, command)
	stdout := io.Writer(printed)
	for i, arg := range args {
		if arg == ">" {
			var file bytes.Buffer
			defer func(name string) {
				if err := os.WriteFile(name, file.Bytes(), 0o644); err != nil {
					p.t.Fatal(err)
				}
			}(args[i+1])
			args, stdout = args[:i], &file
			break
		}
	}
	switch args[0] {
	case "cat":
		text, err := os.ReadFile(args[1])
		if err != nil {
			p.t.Errorf("line %d: %v", line, err)
		}
		printed.Write(text)
	case "curl":
		res, err := http.Get(args[len(args)-1])
		if err != nil {
			p.t.Fatal(err)
		}
		defer res.Body.Close()
		if _, err := io.Copy(stdout, res.Body); err != nil {
			p.t.Fatal(err)
		}
	case "meshlark":
		p.status = p.meshlark(args[1:], stdout, printed)
	default:
		p.t.Errorf("line %d: cannot run %s", line, command)
	}
}

func (p *page) meshlark(args []string, stdout, stderr io.Writer) int {
	return cli.Run(p.t.Context(), args, strings.NewReader(""), stdout, stderr, nil)
}

// varying is what differs from run to run in what is printed. Each match counts as the same, and so do runs of
// spaces, because the columns of a table follow what is in them. Nothing else is forgiven.
var varying = []*regexp.Regexp{
	regexp.MustCompile(`127\.0\.0\.1:[0-9]+`),                               // free ports
	regexp.MustCompile(`[0-9.]+ (kB|MB|bytes)\b`),                           // signatures vary in length
	regexp.MustCompile(`\b[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+(Z| UTC)?`), // points in time
	regexp.MustCompile(`\b[0-9a-f]{32}\b`),                                  // serial numbers
	regexp.MustCompile(`\b7m[0-9]*s?\b|\b26m[0-9]*s?\b`),                    // ages of the two pushes
}

// settled gives the lines of a block as they should be: those answered, but where
// they differ from the written ones only in what varies, the written ones.
func settled(written, answered []string) []string {
	steady := func(lines []string) string { return mask(strings.Join(lines, "\n")) }
	if steady(written) == steady(answered) {
		return written
	}
	return answered
}

var blanks = regexp.MustCompile(` +|─+`)

func mask(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		for _, v := range varying {
			line = v.ReplaceAllString(line, "…")
		}
		lines[i] = strings.TrimRight(blanks.ReplaceAllString(line, " "), " ")
	}
	return strings.Join(lines, "\n")
}

var (
	link    = regexp.MustCompile(`\]\(([^)# ]*)(?:#([^) ]+))?\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	fence   = regexp.MustCompile("(?ms)^```.*?^```$")
)

// TestDocLinks holds the links between the pages to what there is.
func TestDocLinks(t *testing.T) {
	anchors := func(file string) (out []string) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
		}
		for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(string(text), ""), -1) {
			name := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
			out = append(out, strings.ReplaceAll(name, " ", "-"))
		}
		return out
	}
	for _, name := range pages {
		file := filepath.Join("../../docs", name)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(string(text), ""), -1) {
			target := file
			switch {
			case strings.Contains(m[1], "://"):
				continue
			case m[1] != "":
				target = filepath.Join("../../docs", m[1])
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %v", name, err)
			} else if m[2] != "" && !slices.Contains(anchors(target), m[2]) {
				t.Errorf("%s: %s has no heading #%s", name, target, m[2])
			}
		}
	}
}
