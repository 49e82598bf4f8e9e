package cli

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/display"
)

// version is what the binary knows of itself.
type version struct {
	Version  string // of the module: a tag, a pseudo-version, or "(devel)"
	Revision string // of the checkout it was built in, if Go recorded it
	Time     string // of that revision
	Modified bool   // whether the checkout had changes beside the revision
	Go       string
	Platform string
}

func readVersion() version {
	v := version{Version: "(unknown)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.time":
			v.Time = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

func (v version) String() string {
	text := fmt.Sprintf("meshlark %s (%s, %s", v.Version, v.Go, v.Platform)
	if v.Revision != "" {
		text += ", revision " + v.Revision
		if v.Modified {
			text += " with changes"
		}
	}
	return text + ")"
}

// Item gives the version as a document's item.
func (v version) Item() builtins.Item {
	return builtins.Item{Kind: "version", Fields: []builtins.ItemField{
		{Name: "version", Value: v.Version}, {Name: "revision", Value: v.Revision}, {Name: "time", Value: v.Time},
		{Name: "modified", Value: v.Modified}, {Name: "go", Value: v.Go}, {Name: "platform", Value: v.Platform},
	}}
}

func (a *app) versionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
	}
	format := bindFormat(cmd, display.Text, display.JSON, display.YAML)
	cmd.RunE = a.command(func(context.Context, []string) error {
		v := readVersion()
		if *format == display.Text {
			_, err := fmt.Fprintln(a.stdout, v)
			return err
		}
		return display.WriteItems(a.stdout, "version", []builtins.Item{v.Item()}, nil, *format)
	})
	return cmd
}
