package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/display"
	"github.com/meshlark/meshlark/session"
	"github.com/meshlark/meshlark/xds/pattern"
)

const runDoc = `Run a runbook: a file of Starlark that may declare arguments with arg(...) and
record outcomes with check(...). It is named by its file, or, as "meshlark
runbooks" lists it, by its name; "-" is standard input.

Flags of meshlark come before the runbook; what follows it are its arguments.
"meshlark run NAME --help" tells which it has.

What the runbook prints goes to standard output. The checks it recorded follow
as a table, or are the document when -o names one; prints then go to standard
error.`

func (a *app) runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "run [flags] FILE|NAME [--ARGUMENT VALUE]...",
		Short:   "Run a runbook",
		Long:    runDoc,
		Example: "  meshlark run -s demo stale --grace 1m\n  meshlark run stale --help\n  meshlark run -s dumps/ runbook.star",
		Args:    cobra.MinimumNArgs(1),

		DisableFlagsInUseLine: true,
	}
	cmd.Flags().SetInterspersed(false)
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return a.completeRunbooks(toComplete)
		}
		return a.completeArguments(args[0], args[1:], toComplete)
	}
	a.bindOptions(cmd)
	format := bindFormat(cmd, display.Table, display.Wide, display.JSON, display.JSONLines, display.YAML, display.JUnit)
	cmd.RunE = a.command(func(ctx context.Context, args []string) error {
		name, args := args[0], args[1:]
		if name == "-" {
			return a.runInput(ctx, args, *format)
		}
		book, err := a.book(name)
		if err != nil {
			return err
		}
		if end := slices.Index(args, "--"); slices.Contains(args[:max(end, 0)], "--help") || end < 0 && slices.Contains(args, "--help") {
			return a.describe(book)
		}
		s, err := a.session(*format)
		if err != nil {
			return err
		}
		out := book.run(ctx, s, args)
		a.fetched(out.Fetched, out.Duration)
		var usage *session.UsageError
		if errors.As(out.Err, &usage) && slices.ContainsFunc(args, func(arg string) bool { return isFlag(cmd.Flags(), arg) }) {
			out.Err = &usageError{err: usage, hint: "The flags of meshlark come before " + name + "."}
		}
		return a.conclude(s, []*session.Outcome{out}, *format)
	})
	return cmd
}

// isFlag tells whether an argument is one of the flags.
func isFlag(flags *pflag.FlagSet, arg string) bool {
	name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	switch {
	case strings.HasPrefix(arg, "--"):
		return flags.Lookup(name) != nil
	case strings.HasPrefix(arg, "-") && len(name) == 1:
		return flags.ShorthandLookup(name) != nil
	}
	return false
}

// describe prints what a runbook says of itself.
func (a *app) describe(b book) error {
	info, err := b.inspect()
	if err != nil {
		return err
	}
	if info.Doc != "" {
		fmt.Fprintf(a.stdout, "%s\n\n", info.Doc)
	}
	fmt.Fprintf(a.stdout, "Usage:\n  meshlark run [flags] %s", b.name)
	usage := info.Usage()
	if usage != "" {
		fmt.Fprintf(a.stdout, " [--ARGUMENT VALUE]...\n\nArguments:\n%s", usage)
	} else {
		fmt.Fprintln(a.stdout)
	}
	fmt.Fprintln(a.stdout, "\nThe flags of meshlark are those of meshlark run --help.")
	return nil
}

// reasonOf strips the path from an error that is shown with one.
func reasonOf(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

const checkDoc = `Run runbooks and report what their checks found. They are named by their files
or, as "meshlark runbooks" lists them, by their names. A folder stands for all
the runbooks below it that record checks and need no arguments. Without any name
all that are known by name run, as far as they record checks and need no
arguments.

Exit status: 0 all checks passed or were skipped, 1 a check of severity error
failed, 2 nothing was checked, 3 a runbook stopped with an error, 4 a source
could not be read, 5 something was left out of an answer.`

func (a *app) checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "check [FILE|DIR|NAME]...",
		Short:   "Run checks and report",
		Long:    checkDoc,
		Example: "  meshlark check -s demo\n  meshlark check -s istiod+http://localhost:15014 stale checks/\n  meshlark check -s dump.json -o junit > report.xml",

		DisableFlagsInUseLine: true,
	}
	cmd.ValidArgsFunction = func(_ *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		return a.completeRunbooks(toComplete)
	}
	a.bindOptions(cmd)
	var sel selection
	cmd.Flags().StringArrayVar(&sel.selected, "select", nil, "report only checks whose id matches `PATTERN` (* and ? are special); may be repeated")
	cmd.Flags().StringArrayVar(&sel.ignored, "ignore", nil, "leave out checks whose id matches `PATTERN`; may be repeated")
	format := bindFormat(cmd, display.Table, display.Wide, display.JSON, display.JSONLines, display.YAML, display.JUnit)
	cmd.RunE = a.command(func(ctx context.Context, args []string) error {
		keep, err := sel.compile()
		if err != nil {
			return err
		}
		books, err := a.books(args)
		if err != nil {
			return err
		}
		s, err := a.session(display.JSON) // prints stand beside the report
		if err != nil {
			return err
		}
		var outcomes []*session.Outcome
		for _, b := range books {
			out := b.run(ctx, s, nil)
			a.fetched(out.Fetched, out.Duration)
			if out.Empty() {
				a.note("%s: recorded no check", b.name)
			}
			out.Checks = slices.DeleteFunc(out.Checks, func(c builtins.Check) bool { return !keep(c) })
			outcomes = append(outcomes, out)
			if ctx.Err() != nil {
				break
			}
		}
		if err := a.conclude(s, outcomes, *format); err != nil {
			return err
		}
		for _, out := range outcomes {
			if len(out.Checks) > 0 {
				return nil
			}
		}
		return errNothingChecked
	})
	return cmd
}

// conclude prints the report of the runs and gives the first error that ended
// one of them.
func (a *app) conclude(s *session.Session, outcomes []*session.Outcome, format display.Format) error {
	report := display.Report{Failures: s.Failures()}
	for _, out := range outcomes {
		report.Runs = append(report.Runs, display.Run{Runbook: out.Runbook, Checks: out.Checks, Err: out.Err})
		a.failed = a.failed || slices.ContainsFunc(out.Checks, builtins.Check.Failed)
	}
	notes, err := report.Write(a.stdout, format, a.outStyle)
	if err != nil {
		return err
	}
	for _, n := range notes {
		a.note("%s", n)
	}
	if len(report.Checks()) > 0 {
		a.note("%s", report.Summary())
	}
	a.left(report.Failures)
	var first error
	told := map[string]bool{} // a source that is gone stops every runbook
	for _, run := range report.Runs {
		if run.Err == nil || told[messageOf(run.Err)] {
			continue
		}
		told[messageOf(run.Err)] = true
		if first == nil {
			first = run.Err
		} else {
			a.report(run.Err)
		}
	}
	return first
}

// messageOf is what an error says without where.
func messageOf(err error) string {
	var script *session.Error
	if errors.As(err, &script) {
		return script.Msg
	}
	return err.Error()
}

// books finds the runbooks to check: those that are named, and for a folder, or
// when none is named, those that record checks and can run without arguments.
func (a *app) books(names []string) ([]book, error) {
	var all []book
	if len(names) == 0 {
		if _, err := a.named(); err != nil {
			return nil, err
		}
		library, err := a.library()
		if err != nil {
			return nil, err
		}
		for _, name := range library.Names() {
			b, err := a.book(name)
			if err != nil {
				return nil, err
			}
			all = append(all, b)
		}
		return a.checkable(all), nil
	}
	for _, name := range names {
		b, err := a.book(name)
		if err != nil {
			return nil, err
		}
		info, err := os.Stat(name)
		if !b.file || err == nil && !info.IsDir() {
			all = append(all, b)
			continue
		}
		below, err := booksBelow(name)
		if err != nil {
			return nil, err
		}
		found := a.checkable(below)
		if len(found) == 0 {
			a.note("%s: no runbook that records checks and needs no arguments", name)
		}
		all = append(all, found...)
	}
	return all, nil
}

// checkable picks the runbooks that are checked without being named.
func (a *app) checkable(books []book) []book {
	var found []book
	for _, b := range books {
		ok, note := b.checkable()
		if note != "" {
			a.note("%s", note)
		}
		if ok {
			found = append(found, b)
		}
	}
	return found
}

// booksBelow finds the runbooks of a folder and the folders in it.
func booksBelow(dir string) ([]book, error) {
	var found []book
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != dir && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		case !d.IsDir() && filepath.Ext(path) == ".star":
			found = append(found, book{name: path, file: true})
		}
		return nil
	})
	if err != nil {
		return nil, &usageError{err: fmt.Errorf("cannot read %s: %w", dir, reasonOf(err))}
	}
	return found, nil
}

// selection says which checks are reported, by id.
type selection struct{ selected, ignored []string }

// compile gives the function that tells whether a check is reported. A skip of
// a whole runbook always is.
func (s selection) compile() (keep func(builtins.Check) bool, err error) {
	parse := func(texts []string) ([]pattern.Pattern, error) {
		var all []pattern.Pattern
		for _, text := range texts {
			p, err := pattern.Parse(text)
			if err != nil {
				return nil, &usageError{err: fmt.Errorf("pattern %q: %w", text, err)}
			}
			all = append(all, p)
		}
		return all, nil
	}
	selected, err := parse(s.selected)
	if err != nil {
		return nil, err
	}
	ignored, err := parse(s.ignored)
	if err != nil {
		return nil, err
	}
	return func(c builtins.Check) bool {
		matches := func(p pattern.Pattern) bool { return p.Match(c.ID) }
		return c.ID == "" || (len(selected) == 0 || slices.ContainsFunc(selected, matches)) && !slices.ContainsFunc(ignored, matches)
	}, nil
}
