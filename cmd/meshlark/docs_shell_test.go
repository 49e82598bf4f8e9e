package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"go.starlark.net/starlark"

	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/demo"
	"github.com/meshlark/meshlark/display"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source"
	"github.com/meshlark/meshlark/repl"
	"github.com/meshlark/meshlark/repl/editor"
	"github.com/meshlark/meshlark/scripts"
	"github.com/meshlark/meshlark/session"
)

// docShell is the shell of a page, typed into by its blocks.
type docShell struct {
	shell   *repl.Shell
	session *session.Session
	places  places
	out     bytes.Buffer
	lines   []string
}

var _ editor.LineEditor = (*docShell)(nil)

func newDocShell(t *testing.T, d *demo.Mesh, where places) *docShell {
	open := func(spec string) (mesh.Source, error) { return source.Opener{}.Open(spec) }
	whole := &demoSource{}
	for _, spec := range d.Sources() {
		part, err := open(spec)
		if err != nil {
			t.Fatal(err)
		}
		whole.parts = append(whole.parts, part)
	}
	whole.ObjectSource = whole.parts[0].(mesh.ObjectSource) // a control plane
	m := mesh.New([]mesh.Source{whole}, mesh.Options{Clock: func() time.Time { return docsNow }})
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	s := &docShell{places: where}
	style := display.Style{Width: 100}
	library := scripts.New()
	watch := docsNow
	tick := func() time.Time { // whatever is measured takes as long as in the last run
		watch = watch.Add(3 * time.Millisecond)
		return watch
	}
	s.session = session.New(session.Options{
		Mesh: m, Predeclared: builtins.Predeclared(), Files: session.Disk{}, WorkDir: dir, Library: library, AnySource: true,
		Open: func(_ context.Context, spec string) (*mesh.Mesh, error) {
			src, err := open(spec)
			if err != nil {
				return nil, err
			}
			return mesh.New([]mesh.Source{src}, mesh.Options{Store: m.Store(), Clock: func() time.Time { return docsNow }}), nil
		},
		Stdout: &s.out, Notes: &s.out, Clock: tick,
		Show: func(v starlark.Value) (string, bool) { return display.Show(v, style) },
	})
	s.shell = repl.New(repl.Options{
		Session: s.session, Stdout: &s.out, Style: style, Clock: tick, Runbooks: library.Names,
		Context: func() string { return "" },
	})
	return s
}

// demoSource is the demo mesh as one source, as the program has it.
type demoSource struct {
	mesh.ObjectSource
	parts []mesh.Source
}

func (*demoSource) Spec() string { return "demo" }
func (*demoSource) Live() bool   { return true }

func (s *demoSource) Survey(ctx context.Context) (*mesh.Survey, error) {
	all := new(mesh.Survey)
	for _, part := range s.parts {
		sv, err := part.Survey(ctx)
		if err != nil {
			return nil, err
		}
		all.Proxies = append(all.Proxies, sv.Proxies...)
		all.Istiods = append(all.Istiods, sv.Istiods...)
		all.Failures = append(all.Failures, sv.Failures...)
	}
	return all, nil
}

// converse types the lines of a block that begin with a prompt, and gives the block with what is answered.
func (s *docShell) converse(t *testing.T, lines []string) []string {
	s.lines = lines
	s.out.Reset()
	if err := s.shell.Run(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(s.places.shown(s.out.String()), "\n"), "\n")
}

// ReadLine gives the next typed line. One that ends with <Tab> asks for completions.
func (s *docShell) ReadLine(ctx context.Context, prompt string) (string, error) {
	for len(s.lines) > 0 {
		line := s.lines[0]
		s.lines = s.lines[1:]
		typed, ok := strings.CutPrefix(line+" ", prompt)
		if !ok {
			continue
		}
		typed = s.places.real(strings.TrimSuffix(typed, " "))
		fmt.Fprintln(&s.out, strings.TrimRight(prompt+typed, " "))
		src, asks := strings.CutSuffix(typed, "<Tab>")
		if !asks {
			return typed, nil
		}
		res := s.shell.EditorConfig().Complete(ctx, src, len(src))
		for _, c := range res.Candidates {
			fmt.Fprintln(&s.out, src[:res.Start]+c.Text+src[res.End:])
		}
	}
	return "", io.EOF
}

func (s *docShell) ReadKeys(context.Context, func(rune) bool) error { return errors.ErrUnsupported }
func (s *docShell) Print(text string)                               { s.out.WriteString(text) }
func (s *docShell) Size() (int, int)                                { return 100, 0 }
func (s *docShell) Close() error                                    { return nil }
