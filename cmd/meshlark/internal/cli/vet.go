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

	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/display"
	"github.com/meshlark/meshlark/session"
	"github.com/meshlark/meshlark/session/vet"
)

const vetDoc = `Look for mistakes in scripts without running them: text that does not parse,
names that nothing defines, keywords that a call does not have, comparisons
that can never be true, loads that will fail.

Exit status: 0 no errors (warnings are reported), 3 a script has errors.`

// errVet ends a vet that found errors; they are printed already.
var errVet = errors.New("scripts have errors")

func (a *app) vetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "vet FILE...",
		Short: "Look for mistakes in scripts without running them",
		Long:  vetDoc,
		Args:  cobra.MinimumNArgs(1),

		DisableFlagsInUseLine: true,
	}
	format := bindFormat(cmd, display.Text, display.JSON, display.JSONLines, display.YAML)
	cmd.RunE = a.command(func(_ context.Context, files []string) error {
		library, err := a.library()
		if err != nil {
			return err
		}
		names := append(builtins.Predeclared().Keys(), "mesh")
		o := vet.Options{
			Names:      names,
			Enums:      builtins.Enumerations(),
			Signatures: vet.Signatures(builtins.Registry()),
			Read: func(where string) (string, error) {
				if file, ok := strings.CutPrefix(where, session.Shipped); ok {
					return library.Module(file)
				}
				text, err := os.ReadFile(where)
				return string(text), err
			},
		}
		var problems []vet.Problem
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return &usageError{err: fmt.Errorf("cannot read %s: %w", file, reasonOf(err))}
			}
			path, err := filepath.Abs(file)
			if err != nil {
				return err
			}
			problems = append(problems, vet.File(file, path, string(text), o)...)
		}
		if err := a.writeProblems(problems, *format); err != nil {
			return err
		}
		if slices.ContainsFunc(problems, func(p vet.Problem) bool { return p.Severity == vet.Error }) {
			return errVet
		}
		return nil
	})
	return cmd
}

func (a *app) writeProblems(problems []vet.Problem, f display.Format) error {
	if f == display.Text {
		for _, p := range problems {
			if _, err := fmt.Fprintln(a.stdout, display.Clean(p.String())); err != nil {
				return err
			}
		}
		return nil
	}
	var items []builtins.Item
	for _, p := range problems {
		items = append(items, builtins.Item{Kind: "problem", Fields: []builtins.ItemField{
			{Name: "file", Value: p.Pos.Filename()}, {Name: "line", Value: int64(p.Pos.Line)}, {Name: "column", Value: int64(p.Pos.Col)},
			{Name: "severity", Value: string(p.Severity)}, {Name: "message", Value: p.Msg}, {Name: "source", Value: p.Line},
		}})
	}
	return display.WriteItems(a.stdout, "problem", items, nil, f)
}
