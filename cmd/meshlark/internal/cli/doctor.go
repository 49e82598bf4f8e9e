package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/spf13/cobra"

	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/display"
	"github.com/meshlark/meshlark/mesh"
)

const doctorDoc = `Tell what can be asked here and what cannot, and what to do about it: whether the
API server, the control planes and a few Envoys answer, what this user may and
may not do in the cluster, whether the clocks agree, and which sections
recordings have. Each thing that is not as it should be says which calls of the
language it leaves open.

Nothing is changed by it. What does not answer is given 10 seconds, less with
--timeout, and the rest is told.

In scripts it is doctor(), whose findings have the fields of -o json.

Exit status: 0 nothing is left open, 2 usage, 4 a source could not be read at
all, 5 some questions are left open (see --allow-partial). What only somebody
needs who asks for it, such as a token, makes no difference to the status.`

const doctorExamples = `  meshlark doctor
  meshlark doctor --context staging -n shop --as-group oncall --as ann
  meshlark doctor -s dumps/ -o json
  meshlark -e 'doctor().where(outcome="denied")'`

func (a *app) doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "doctor",
		Short:   "Tell which questions can be answered here, and what the others lack",
		Long:    doctorDoc,
		Example: doctorExamples,
		Args:    cobra.NoArgs,
	}
	a.bindOptions(cmd)
	format := bindFormat(cmd, display.Text, display.Table, display.Wide, display.JSON, display.JSONLines, display.YAML)
	cmd.RunE = a.command(func(ctx context.Context, _ []string) error {
		specs, err := a.named()
		if err != nil {
			return err
		}
		m, err := a.openMesh(specs)
		if err != nil {
			return err
		}
		found, err := m.Examine(ctx)
		if err != nil {
			return err
		}
		if *format == display.Text {
			err = display.WriteFindings(a.stdout, found, a.outStyle)
		} else {
			err = a.writeFindings(found, *format)
		}
		if err != nil {
			return err
		}
		a.incomplete = slices.ContainsFunc(found, mesh.Finding.Open)
		if i := slices.IndexFunc(found, mesh.Finding.Fatal); i >= 0 {
			f, why := found[i], found[i].Detail
			if f.Subject != f.Source {
				why = f.Subject + ": " + why
			}
			return &mesh.UnreachableError{Source: f.Source, Err: errors.New(why)}
		}
		return nil
	})
	return cmd
}

func (a *app) writeFindings(found []mesh.Finding, format display.Format) error {
	style := a.outStyle
	if format == display.Table {
		style.Width = 0 // the whole table; the text is what is fitted to a screen
	}
	notes, err := display.WriteValue(a.stdout, display.Result{Value: builtins.NewFindings(found)}, format, style)
	for _, n := range notes {
		a.note("%s", n)
	}
	return err
}

var _ mesh.Examiner = (*cluster)(nil)

// Examine implements [mesh.Examiner].
func (c *cluster) Examine(ctx context.Context, e mesh.Examination) []mesh.Finding {
	defer c.transport.begin(ctx, "permissions in "+c.Spec())()
	return c.Source.Examine(ctx, e)
}

var _ mesh.Examiner = (*demoSource)(nil)

// Examine implements [mesh.Examiner]: it tells in one line of the parts that are
// as they should be.
func (s *demoSource) Examine(ctx context.Context, e mesh.Examination) []mesh.Finding {
	const area = "demo"
	parts, err := s.open(ctx)
	if err != nil {
		return []mesh.Finding{{Area: area, Subject: demoSpec, Outcome: mesh.OutcomeUnreachable, Detail: err.Error(), Questions: []string{mesh.Everything}}}
	}
	each := make([][]mesh.Finding, len(parts))
	var asked sync.WaitGroup
	for i, part := range parts {
		if examiner, ok := part.(mesh.Examiner); ok {
			asked.Go(func() { each[i] = examiner.Examine(ctx, e) })
		}
	}
	asked.Wait()
	var faults []mesh.Finding
	summary := mesh.Finding{Area: area, Subject: "simulated mesh", Outcome: mesh.OutcomeOK, Detail: fmt.Sprintf("all %d control planes and Envoys answer", len(parts))}
	for i, found := range each {
		for _, f := range found {
			if f.Outcome != mesh.OutcomeOK {
				f.Subject = parts[i].Spec() + " " + f.Subject
				faults = append(faults, f)
			}
			for _, q := range f.Questions {
				if !slices.Contains(summary.Questions, q) {
					summary.Questions = append(summary.Questions, q)
				}
			}
		}
	}
	if len(faults) > 0 {
		return faults
	}
	return []mesh.Finding{summary}
}
