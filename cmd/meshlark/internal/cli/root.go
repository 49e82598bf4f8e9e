package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/meshlark/meshlark/display"
)

const rootDoc = `meshlark asks questions about an Envoy mesh in Starlark, a small dialect of
Python: proxies, listeners, routes, clusters, endpoints and secrets are values,
and jq filters work on all of them.

The mesh is that of the sources named with -s, and without any that of the
Kubernetes cluster which is the kubeconfig's current context:

%s

On a terminal meshlark is a shell. With -e it evaluates expressions, and
otherwise it runs the script on standard input.

Exit status: 0 ok, 1 a check failed, 2 usage, 3 an error in the script,
4 a source could not be read, 5 something was left out of the answer (see
--allow-partial), 130 interrupted. Results go to standard output, everything
else to standard error; what goes to a pipe or a file is whole.`

const rootExamples = `  meshlark demo
  meshlark
  meshlark doctor
  meshlark -s kube:staging -e 'proxies()'
  meshlark -s istiod+http://localhost:15014
  meshlark -s dump.json -e 'clusters()'
  meshlark -s http://localhost:15000 -e 'clusters(fqdn="reviews")' -o json
  meshlark -s istiod+http://localhost:15014 -e '[p.name for p in proxies() if p.rds == "STALE"]'
  meshlark -s dumps/ run runbook.star --grace 1m
  meshlark -s dumps/ check -o junit checks/ > report.xml
  meshlark -s dumps/ < script.star`

func (a *app) rootCommand() *cobra.Command {
	var exprs []string
	cmd := &cobra.Command{
		Use:           "meshlark",
		Short:         "Debug Envoy meshes with Starlark",
		Long:          fmt.Sprintf(rootDoc, sourceForms("-s")),
		Example:       rootExamples,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return nil
			case strings.HasSuffix(args[0], ".star"):
				return fmt.Errorf("%s is no command; to run the file: meshlark run %s", args[0], args[0])
			default:
				return cobra.NoArgs(cmd, args)
			}
		},
	}
	format := a.bindQuestion(cmd, &exprs)
	cmd.RunE = a.conversation(func(ctx context.Context, _ []string) error {
		return a.answer(ctx, exprs, *format, greeting)
	})
	cmd.AddCommand(a.demoCommand(), a.runCommand(), a.checkCommand(), a.diffCommand(), a.doctorCommand(), a.runbooksCommand(), a.vetCommand(), a.versionCommand())
	return cmd
}

// bindQuestion gives a command the flags of a question: what is asked, of what,
// and how the answer looks.
func (a *app) bindQuestion(cmd *cobra.Command, exprs *[]string) *display.Format {
	cmd.Flags().StringArrayVarP(exprs, "expr", "e", nil, "evaluate `EXPR` and print its value; may be repeated, names that one defines are known to the next")
	a.bindOptions(cmd)
	return bindFormat(cmd, display.Table, display.Wide, display.JSON, display.JSONFull, display.JSONLines, display.YAML)
}

// bindOptions gives a command the flags that all commands share.
func (a *app) bindOptions(cmd *cobra.Command) {
	a.options.bind(cmd.Flags())
	cmd.RegisterFlagCompletionFunc("source", a.completeSource)
	cmd.RegisterFlagCompletionFunc("context", a.completeContext)
	cmd.RegisterFlagCompletionFunc("runbooks", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return nil, cobra.ShellCompDirectiveFilterDirs
	})
}

// bindFormat gives a command its -o. The first format is the default.
func bindFormat(cmd *cobra.Command, allowed ...display.Format) *display.Format {
	names := make([]string, len(allowed))
	for i, f := range allowed {
		names[i] = string(f)
	}
	flag := &formatFlag{allowed[0], allowed}
	cmd.Flags().VarP(flag, "output", "o", "print as `FORMAT`: "+strings.Join(names, ", "))
	cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
	return &flag.format
}

// formatFlag is the value of -o. Each command has formats of its own.
type formatFlag struct {
	format  display.Format
	allowed []display.Format
}

var _ pflag.Value = (*formatFlag)(nil)

func (f *formatFlag) Set(s string) (err error) {
	f.format, err = display.ParseFormat(s, f.allowed...)
	return err
}

func (f *formatFlag) String() string { return string(f.format) }
func (f *formatFlag) Type() string   { return "FORMAT" }

// evaluate evaluates expressions, one after another in one session, and prints
// the value of each.
func (a *app) evaluate(ctx context.Context, exprs []string, format display.Format) error {
	s, err := a.session(format)
	if err != nil {
		return err
	}
	for i, expr := range exprs {
		name := "-e"
		if len(exprs) > 1 {
			name = fmt.Sprintf("-e#%d", i+1)
		}
		res, err := s.Eval(ctx, name, expr)
		a.fetched(res.Fetched, res.Duration)
		if err != nil {
			a.left(res.Failures)
			return err
		}
		notes, err := display.WriteValue(a.stdout, display.Result{Value: res.Value, Failures: res.Failures}, format, a.outStyle)
		if err != nil {
			return err
		}
		for _, n := range notes {
			a.note("%s", n)
		}
		a.left(res.Failures)
	}
	return nil
}
