package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.starlark.net/starlark"

	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/display"
	"github.com/meshlark/meshlark/scripts"
	"github.com/meshlark/meshlark/session"
)

// library has the runbooks that are known by name: the shipped ones, and over
// them those of --runbooks.
func (a *app) library() (*scripts.Library, error) {
	if a.scripts != nil {
		return a.scripts, nil
	}
	l := scripts.New()
	for i, dir := range a.options.runbooks {
		if slices.Contains(a.options.runbooks[:i], dir) {
			continue
		}
		folder, err := filepath.Abs(dir)
		if err == nil {
			err = l.Dir(folder, os.DirFS(folder))
		}
		if err != nil {
			return nil, &usageError{err: fmt.Errorf("--runbooks %s: %w", dir, err)}
		}
	}
	a.scripts = l
	return l, nil
}

// A book is a runbook as the command line names it: by the name that the
// library has it under, or by its file.
type book struct {
	name string
	file bool           // the name is that of a file
	src  session.Source // of the library's
}

// book finds what a name means. A name that the library has is not taken for a
// file; ./NAME is.
func (a *app) book(name string) (book, error) {
	library, err := a.library()
	if err != nil {
		return book{}, err
	}
	if src, err := library.Runbook(name); err == nil {
		return book{name: name, src: src}, nil
	}
	if _, err := os.Stat(name); err == nil {
		return book{name: name, file: true}, nil
	} else if strings.HasSuffix(name, ".star") || strings.ContainsAny(name, `/\`) {
		return book{}, &usageError{err: fmt.Errorf("cannot read %s: %w", name, reasonOf(err))}
	}
	meant := ""
	if near := builtins.Nearest(name, library.Names()); near != "" {
		meant = fmt.Sprintf(" (did you mean %s?)", near)
	}
	return book{}, &usageError{
		err:  fmt.Errorf("there is no runbook and no file %q%s", name, meant),
		hint: "Runbooks are " + strings.Join(library.Names(), ", ") + ".",
	}
}

// run runs the runbook with arguments of a command line.
func (b book) run(ctx context.Context, s *session.Session, args []string) *session.Outcome {
	if b.file {
		return s.RunFile(ctx, b.name, args)
	}
	return s.RunSource(ctx, b.src, args)
}

// inspect tells what the runbook declares.
func (b book) inspect() (*session.Info, error) {
	if !b.file {
		return session.Inspect(b.src.Path, b.src.Text)
	}
	text, err := os.ReadFile(b.name)
	if err != nil {
		return nil, &usageError{err: fmt.Errorf("cannot read %s: %w", b.name, reasonOf(err))}
	}
	return session.Inspect(b.name, string(text))
}

// checkable tells whether check runs the runbook when it is not named: it
// records checks and needs no arguments. One that is broken is run: that tells
// what is wrong. The note is why it is not, if that needs to be said.
func (b book) checkable() (ok bool, note string) {
	info, err := b.inspect()
	switch {
	case err != nil:
		return true, ""
	case !info.Records && len(info.Problems) == 0:
		return false, ""
	case !info.Runnable() && !b.file && scripts.IsShipped(b.src):
		return false, "" // it answers a question that somebody has to ask
	case !info.Runnable():
		return false, fmt.Sprintf("%s: not run, it needs arguments", b.name)
	}
	return true, ""
}

const runbooksDoc = `List the runbooks that run, check and run(...) know by name: those that are
shipped, and those of the folders named with --runbooks, which replace shipped
ones of the same name.`

func (a *app) runbooksCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "runbooks",
		Short:   "List the runbooks that are known by name",
		Long:    runbooksDoc,
		Example: "  meshlark runbooks\n  meshlark runbooks --runbooks checks/ -o json\n  meshlark run stale --help",
		Args:    cobra.NoArgs,
	}
	a.bindOptions(cmd)
	format := bindFormat(cmd, display.Table, display.Wide, display.JSON, display.JSONLines, display.YAML)
	cmd.RunE = a.command(func(context.Context, []string) error {
		library, err := a.library()
		if err != nil {
			return err
		}
		var items []builtins.Item
		table := builtins.Table{Columns: []builtins.Column{{Name: "NAME"}, {Name: "SUMMARY", Elide: builtins.ElideEnd}}}
		if *format == display.Wide {
			table.Columns = append(table.Columns, builtins.Column{Name: "ARGUMENTS"}, builtins.Column{Name: "FILE", Elide: builtins.ElideMiddle})
		}
		for _, name := range library.Names() {
			src, err := library.Runbook(name)
			if err != nil {
				return err
			}
			info, err := session.Inspect(src.Path, src.Text)
			if err != nil {
				a.note("%v", err)
				info = new(session.Info)
			}
			row := []string{name, info.Summary()}
			if *format == display.Wide {
				row = append(row, strings.Join(flags(info), " "), src.Path)
			}
			table.Rows = append(table.Rows, row)
			items = append(items, runbookItem(src, info))
		}
		if format.IsDocument() {
			return display.WriteItems(a.stdout, "runbook", items, nil, *format)
		}
		_, err = display.WriteTable(a.stdout, table, a.outStyle)
		return err
	})
	return cmd
}

// flags lists the arguments of a runbook as they are given.
func flags(info *session.Info) []string {
	var out []string
	for _, arg := range info.Args {
		out = append(out, arg.Flag())
	}
	return out
}

// runbookItem is a runbook as a document's item.
func runbookItem(src session.Source, info *session.Info) builtins.Item {
	var args, checks []any
	for _, arg := range info.Args {
		var enum []any
		for _, value := range arg.Enum {
			enum = append(enum, value)
		}
		args = append(args, builtins.Item{Kind: "argument", Fields: []builtins.ItemField{
			{Name: "name", Value: arg.Name}, {Name: "flag", Value: arg.Flag()}, {Name: "type", Value: arg.Type}, {Name: "doc", Value: arg.Doc},
			{Name: "required", Value: arg.Default == nil}, {Name: "default", Value: defaultText(arg.Default)}, {Name: "enum", Value: enum},
		}})
	}
	for _, c := range info.Checks {
		checks = append(checks, c.ID)
	}
	return builtins.Item{Kind: "runbook", Fields: []builtins.ItemField{
		{Name: "name", Value: src.Name}, {Name: "summary", Value: info.Summary()}, {Name: "doc", Value: info.Doc},
		{Name: "shipped", Value: scripts.IsShipped(src)}, {Name: "file", Value: src.Path},
		{Name: "arguments", Value: args}, {Name: "checks", Value: checks},
	}}
}

// defaultText is a default as it would be given, nil when there is none.
func defaultText(v starlark.Value) any {
	switch v := v.(type) {
	case nil:
		return nil
	case starlark.String:
		return string(v)
	default:
		return v.String()
	}
}

// completeRunbooks completes the names of runbooks, beside which files and
// folders stand.
func (a *app) completeRunbooks(toComplete string) ([]string, cobra.ShellCompDirective) {
	library, err := a.library()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var found []string
	for _, name := range library.Names() {
		if !strings.HasPrefix(name, toComplete) {
			continue
		}
		if b, err := a.book(name); err == nil {
			if info, err := b.inspect(); err == nil {
				name += "\t" + info.Summary()
			}
		}
		found = append(found, name)
	}
	return found, cobra.ShellCompDirectiveDefault
}

// completeArguments completes the arguments of a runbook, and the values of
// those that have a choice.
func (a *app) completeArguments(name string, given []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	b, err := a.book(name)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	info, err := b.inspect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	if len(given) > 0 {
		for _, arg := range info.Args {
			if given[len(given)-1] == arg.Flag() && arg.Type != "bool" {
				return arg.Enum, cobra.ShellCompDirectiveDefault
			}
		}
	}
	var found []string
	for _, arg := range info.Args {
		if strings.HasPrefix(arg.Flag(), toComplete) {
			found = append(found, arg.Flag()+"\t"+arg.Doc)
		}
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}

// errNothingChecked ends a check without outcome.
var errNothingChecked = &usageError{err: errors.New("nothing was checked: no runbook recorded a check that is to be reported")}
