package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/display"
	"github.com/meshlark/meshlark/kube"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/diff"
)

const diffDoc = `Tell how the source B differs from A, by what the configurations say: resources
are compared by kind, name and state, virtual hosts by name, endpoints by
address, routes in their order. The order of sets, defaults that are written
out, versions and times make no difference.

When both sources have one proxy, these two are compared. Otherwise proxies are
compared by name, and one that only one source has is added or removed. Sources
are named as after -s, see meshlark --help.

With a PROXY, what the proxy of the mesh has is compared with what its control
plane would send it.

A PATH of --ignore is one as the output has it, such as
virtual_hosts[*].routes[*].route.timeout; * stands for any characters or one
step, ** for any number of steps.

Exit status: 0 no difference, 1 a difference, 2 usage (also a proxy that is not
there, or that has no control plane among the sources), 4 a source could not be
read, 5 some proxies could not be compared and the others do not differ.`

const diffExamples = `  meshlark diff before.json after.json
  meshlark diff dump.json http://localhost:15000
  meshlark diff dumps/ istiod+http://localhost:15014 -o json
  meshlark diff a.json b.json --ignore '**.connect_timeout' --ignore node
  meshlark diff -s demo details-v1`

func (a *app) diffCommand() *cobra.Command {
	var o diff.Options
	cmd := &cobra.Command{
		Use:     "diff A B | diff [-s SOURCE] PROXY",
		Short:   "Compare two sources, or a proxy with its control plane",
		Long:    diffDoc,
		Example: diffExamples,
		Args: func(_ *cobra.Command, args []string) error {
			switch named := len(a.options.sources) > 0; {
			case len(args) == 2 && named:
				return errors.New("diff of two sources takes no -s: name both as arguments")
			case len(args) == 2, len(args) == 1 && named:
				return nil
			case len(args) == 1:
				_, err := a.named()
				if err == nil {
					return nil
				}
				var none *kube.NoConfigError
				errors.As(err, &none)
				return fmt.Errorf("diff needs two sources; to compare the proxy %s with its control plane name the mesh with -s (%w)", args[0], none)
			case named:
				return errors.New("diff needs the name of a proxy of the mesh")
			default:
				return fmt.Errorf("diff needs two sources, got %d", len(args))
			}
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 1 || len(a.options.sources) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			found, _ := a.completeSource(cmd, args, toComplete)
			return found, cobra.ShellCompDirectiveDefault
		},

		DisableFlagsInUseLine: true,
	}
	cmd.Flags().StringArrayVar(&o.Ignore, "ignore", nil, "do not count what is at `PATH` of a resource; may be repeated")
	cmd.Flags().BoolVar(&o.Exact, "exact", false, "count everything: versions, times, order, every token")
	cmd.MarkFlagsMutuallyExclusive("ignore", "exact")
	a.bindOptions(cmd)
	format := bindFormat(cmd, display.Text, display.Table, display.Wide, display.JSON, display.JSONLines, display.YAML)
	cmd.RunE = a.command(func(ctx context.Context, args []string) error {
		if _, err := diff.Values(nil, nil, "", o); err != nil {
			return &usageError{err: err, hint: "See meshlark diff --help."}
		}
		recorder := &mesh.Recorder{}
		d, err := a.compare(mesh.WithBudget(mesh.WithRecorder(ctx, recorder), new(mesh.Budget)), args, o)
		if err != nil {
			a.left(recorder.Failures())
			var none *mesh.NoProxyError
			if errors.As(err, &none) || errors.Is(err, mesh.ErrNotAvailable) {
				err = &usageError{err: err} // what was asked for is not there
			}
			return err
		}
		a.failed = !d.Empty()
		// A person reads the text; the table is the one with all columns, for it is that or the text.
		shown := *format
		switch shown {
		case display.Text:
			shown = display.Table
		case display.Table:
			shown = display.Wide
		}
		notes, err := display.WriteValue(a.stdout, display.Result{Value: d, Failures: recorder.Failures()}, shown, a.outStyle)
		if err != nil {
			return err
		}
		for _, n := range notes {
			a.note("%s", n)
		}
		a.left(recorder.Failures())
		return nil
	})
	return cmd
}

// compare compares what the arguments name.
func (a *app) compare(ctx context.Context, args []string, o diff.Options) (*builtins.Diff, error) {
	if len(args) == 1 {
		specs, err := a.named()
		if err != nil {
			return nil, err
		}
		m, err := a.openMesh(specs)
		if err != nil {
			return nil, err
		}
		p, note, err := m.Proxy(ctx, args[0])
		if err != nil {
			return nil, err
		}
		if note != "" {
			a.note("%s", note)
		}
		return builtins.CompareSides(ctx, p, o)
	}
	left, err := a.openMesh(args[:1])
	if err != nil {
		return nil, err
	}
	right, err := a.openMesh(args[1:])
	if err != nil {
		return nil, err
	}
	return builtins.Compare(ctx, left, right, o)
}
