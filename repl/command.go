package repl

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/display"
	"github.com/meshlark/meshlark/mesh"
)

// A command is a word that can follow a colon.
type command struct {
	name     string
	argument string // as usage shows it; in brackets when it may be left out
	summary  string
	run      func(ctx context.Context, s *Shell, argument string) error
	complete func(ctx context.Context, s *Shell) []string // what the argument can be; nil when that is anything
}

func commands() []command {
	return []command{
		{name: "help", argument: "[TOPIC]", summary: "what can be typed here, or help on a function or type", run: helpCommand,
			complete: func(context.Context, *Shell) []string { return topics() }},
		{name: "source", argument: "[SOURCE]...", summary: "ask another mesh from now on, or say which one is asked", run: sourceCommand,
			complete: func(_ context.Context, s *Shell) []string { return s.o.SourceForms }},
		{name: "refresh", summary: "read everything anew when it is next asked for", run: refreshCommand},
		{name: "time", argument: "[STATEMENT]", summary: "say how long a statement takes; alone, of every one or no more", run: timeCommand},
		{name: "save", argument: "FILE", summary: "write the statements that worked as a script", run: saveCommand},
		{name: "quit", summary: "leave the shell; so does Ctrl-D", run: func(_ context.Context, s *Shell, _ string) error {
			s.quit = true
			return nil
		}},
	}
}

func (c command) usage() string { return strings.TrimSpace(":" + c.name + " " + c.argument) }

// command runs what follows a colon. The beginning of a name will do.
func (s *Shell) command(ctx context.Context, line string) {
	name, argument, _ := strings.Cut(strings.TrimSpace(line), " ")
	argument = strings.TrimSpace(argument)
	var found []command
	for _, c := range s.commands {
		if c.name == name {
			found = []command{c}
			break
		}
		if name != "" && strings.HasPrefix(c.name, name) {
			found = append(found, c)
		}
	}
	switch {
	case len(found) > 1:
		var all []string
		for _, c := range found {
			all = append(all, ":"+c.name)
		}
		s.fail(fmt.Errorf(":%s can be %s", name, strings.Join(all, " or ")))
		return
	case len(found) == 0:
		var all []string
		for _, c := range s.commands {
			all = append(all, c.name)
		}
		hint := "; :help lists the commands"
		if near := builtins.Nearest(name, all); near != "" {
			hint = "; did you mean :" + near + "?"
		}
		s.fail(fmt.Errorf("there is no command :%s%s", name, hint))
		return
	}
	c := found[0]
	switch {
	case argument == "" && c.argument != "" && c.argument[0] != '[',
		argument != "" && c.argument == "":
		s.fail(fmt.Errorf("usage: %s", c.usage()))
		return
	}
	if err := c.run(ctx, s, argument); err != nil {
		s.fail(err)
	}
}

const keysHelp = `
Typing
  x?                  help on x
  _                   the last value
  Tab                 complete a name, an argument, or a name inside a string
  Enter               ends a statement that is complete, else begins a line
  Up, Down, Ctrl-R    earlier statements, and a search in them
  Ctrl-C              clears what is typed; stops what is running
  Ctrl-D              leaves
`

func helpCommand(ctx context.Context, s *Shell, topic string) error {
	if topic != "" {
		topic = strings.TrimPrefix(topic, ":")
		for _, c := range s.commands {
			if c.name == topic {
				s.show(ctx, c.usage()+"\n\n"+c.summary+"\n")
				return nil
			}
		}
		text, err := s.engine.Help(topic)
		if err != nil {
			return err
		}
		s.show(ctx, display.Wrap(text, s.style().Width))
		return nil
	}
	width := 0
	for _, c := range s.commands {
		width = max(width, len(c.usage()))
	}
	var b strings.Builder
	b.WriteString("Commands\n")
	for _, c := range s.commands {
		fmt.Fprintf(&b, "  %-*s  %s\n", width, c.usage(), c.summary)
	}
	b.WriteString(keysHelp)
	b.WriteString("\nhelp() lists what the language has.\n")
	s.show(ctx, display.Wrap(b.String(), s.style().Width))
	return nil
}

// topics lists what :help knows.
func topics() []string {
	var out []string
	for _, e := range builtins.Registry() {
		if e.Recv == "" {
			out = append(out, e.Name)
		} else {
			out = append(out, e.Recv+"."+e.Name)
		}
	}
	for _, t := range builtins.Types() {
		out = append(out, t.Name)
	}
	return out
}

func sourceCommand(ctx context.Context, s *Shell, argument string) error {
	if argument == "" {
		m, err := s.o.Session.Mesh()
		if m == nil {
			if err == nil {
				err = errors.New("no mesh is open")
			}
			return err
		}
		for _, spec := range m.Sources() {
			fmt.Fprintln(s.o.Stdout, spec)
		}
		return nil
	}
	if s.o.OpenSource == nil {
		return errors.New("this shell opens no other sources")
	}
	type opened struct {
		m   *mesh.Mesh
		err error
	}
	res, ok := await(ctx, s, func(ctx context.Context) opened {
		m, err := s.o.OpenSource(ctx, strings.Fields(argument))
		return opened{m, err}
	})
	switch {
	case !ok:
		return errors.New("interrupted; the mesh is the same as before")
	case res.err != nil:
		return res.err
	}
	s.o.Session.SetMesh(res.m, nil)
	s.names.forget()
	s.told = nil
	return nil
}

func refreshCommand(_ context.Context, s *Shell, _ string) error {
	s.o.Session.NewGeneration()
	s.names.forget()
	s.told = nil
	s.note("what is asked from now on is read anew")
	return nil
}

func timeCommand(ctx context.Context, s *Shell, argument string) error {
	if argument != "" {
		s.evaluate(ctx, argument, true)
		return nil
	}
	s.timing = !s.timing
	if s.timing {
		s.note("every statement tells how long it took; :time ends that")
	} else {
		s.note("statements no longer tell how long they took")
	}
	return nil
}

func saveCommand(_ context.Context, s *Shell, path string) error {
	switch {
	case s.o.WriteFile == nil:
		return errors.New("this shell writes no files")
	case len(s.statements) == 0:
		return errors.New("there is nothing to save: no statement has worked yet")
	}
	if !strings.Contains(path[strings.LastIndexAny(path, `/\`)+1:], ".") {
		path += ".star"
	}
	if err := s.o.WriteFile(path, []byte(script(s.statements, s.o.Clock()))); err != nil {
		return fmt.Errorf("cannot save to %s: %w", path, err)
	}
	s.note("saved %s; meshlark run %s runs it", count(len(s.statements), "statement"), path)
	return nil
}
