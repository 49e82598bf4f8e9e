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
record outcomes with check(...).

Flags of meshlark come before FILE; what follows it are arguments of the
runbook. "meshlark run FILE --help" tells which it has.

What the runbook prints goes to standard output. The checks it recorded follow
as a table, or are the document when -o names one; prints then go to standard
error.`

func (a *app) runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "run [flags] FILE [--ARGUMENT VALUE]...",
		Short:   "Run a runbook",
		Long:    runDoc,
		Example: "  meshlark run -s dumps/ runbook.star --grace 1m\n  meshlark run runbook.star --help",
		Args:    cobra.MinimumNArgs(1),

		DisableFlagsInUseLine: true,
	}
	cmd.Flags().SetInterspersed(false)
	a.options.bind(cmd.Flags())
	format := bindFormat(cmd, display.Table, display.Wide, display.JSON, display.JSONLines, display.YAML, display.JUnit)
	cmd.RunE = a.command(func(ctx context.Context, args []string) error {
		file, args := args[0], args[1:]
		if end := slices.Index(args, "--"); slices.Contains(args[:max(end, 0)], "--help") || end < 0 && slices.Contains(args, "--help") {
			return a.describe(file)
		}
		s, err := a.session(*format)
		if err != nil {
			return err
		}
		out := s.RunFile(ctx, file, args)
		a.fetched(out.Fetched, out.Duration)
		var usage *session.UsageError
		if errors.As(out.Err, &usage) && slices.ContainsFunc(args, func(arg string) bool { return isFlag(cmd.Flags(), arg) }) {
			out.Err = &usageError{err: usage, hint: "The flags of meshlark come before " + file + "."}
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
func (a *app) describe(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return &usageError{err: fmt.Errorf("cannot read %s: %w", file, reasonOf(err))}
	}
	info, err := session.Inspect(file, string(text))
	if err != nil {
		return err
	}
	if info.Doc != "" {
		fmt.Fprintf(a.stdout, "%s\n\n", info.Doc)
	}
	fmt.Fprintf(a.stdout, "Usage:\n  meshlark run [flags] %s", file)
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

const checkDoc = `Run runbooks and report what their checks found. A folder stands for all the
runbooks below it that record checks and need no arguments.

Exit status: 0 all checks passed or were skipped, 1 a check of severity error
failed, 2 nothing was checked, 3 a runbook stopped with an error, 4 a source
could not be read, 5 something was left out of an answer.`

func (a *app) checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "check FILE|DIR...",
		Short:   "Run checks and report",
		Long:    checkDoc,
		Example: "  meshlark check -s istiod+http://localhost:15014 checks/\n  meshlark check -s dump.json -o junit stale.star > report.xml",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("check needs the names of runbooks, or of folders that hold some")
			}
			return nil
		},
		DisableFlagsInUseLine: true,
	}
	a.options.bind(cmd.Flags())
	var sel selection
	cmd.Flags().StringArrayVar(&sel.selected, "select", nil, "report only checks whose id matches `PATTERN` (* and ? are special); may be repeated")
	cmd.Flags().StringArrayVar(&sel.ignored, "ignore", nil, "leave out checks whose id matches `PATTERN`; may be repeated")
	format := bindFormat(cmd, display.Table, display.Wide, display.JSON, display.JSONLines, display.YAML, display.JUnit)
	cmd.RunE = a.command(func(ctx context.Context, args []string) error {
		keep, err := sel.compile()
		if err != nil {
			return err
		}
		files, err := a.runbooks(args)
		if err != nil {
			return err
		}
		s, err := a.session(display.JSON) // prints stand beside the report
		if err != nil {
			return err
		}
		var outcomes []*session.Outcome
		for _, file := range files {
			out := s.RunFile(ctx, file, nil)
			a.fetched(out.Fetched, out.Duration)
			if out.Empty() {
				a.note("%s: recorded no check", file)
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
		return &usageError{err: errors.New("nothing was checked: no runbook recorded a check that is to be reported")}
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
	for _, run := range report.Runs {
		switch {
		case run.Err == nil:
		case first == nil:
			first = run.Err
		default:
			a.report(run.Err)
		}
	}
	return first
}

// runbooks finds the files to check: those that are named, and below a folder
// those that record checks and can run without arguments.
func (a *app) runbooks(names []string) ([]string, error) {
	var files []string
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return nil, &usageError{err: fmt.Errorf("cannot read %s: %w", name, reasonOf(err))}
		}
		if !info.IsDir() {
			files = append(files, name)
			continue
		}
		found, err := a.runbooksBelow(name)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			a.note("%s: no runbook that records checks and needs no arguments", name)
		}
		files = append(files, found...)
	}
	return files, nil
}

func (a *app) runbooksBelow(dir string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != dir && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".star":
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := session.Inspect(path, string(text))
		switch {
		case err != nil: // running it tells what is wrong
		case !info.Records && len(info.Problems) == 0:
			return nil
		case !info.Runnable():
			a.note("%s: not run, it needs arguments", path)
			return nil
		}
		files = append(files, path)
		return nil
	})
	if err != nil {
		return nil, &usageError{err: fmt.Errorf("cannot read %s: %w", dir, reasonOf(err))}
	}
	return files, nil
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
