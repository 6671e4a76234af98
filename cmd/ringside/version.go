package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"ringside"
	"ringside/cost"
)

// A version is what was built.
type version struct {
	Schema   string   `json:"schema"`
	Version  string   `json:"version"`
	Revision string   `json:"revision,omitempty"`
	Modified bool     `json:"modified,omitempty"`
	Go       string   `json:"go"`
	Platform string   `json:"platform"`
	Report   string   `json:"report_schema"`
	Books    []string `json:"books"`
}

func thisVersion() version {
	v := version{
		Schema: "ringside.version/1", Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Report: ringside.ReportSchema, Books: cost.Books(),
	}
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
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

// print says it to people.
func (v version) print(w io.Writer) error {
	text := fmt.Sprintf("ringside %s, %s, %s", v.Version, v.Go, v.Platform)
	if v.Revision != "" {
		text += fmt.Sprintf(", %.12s", v.Revision)
	}
	if v.Modified {
		text += " and changes"
	}
	_, err := fmt.Fprintf(w, "%s\nreports are %s\n", text, v.Report)
	return err
}

func versionCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "version",
		Short:   "Say which version this is",
		Long:    "Version says which version of ringside this is, and which schema its reports have.",
		Example: "  ringside version\n  ringside version --json",
		Args:    noArguments,
		RunE: func(c *cobra.Command, args []string) error {
			v := thisVersion()
			if asJSON {
				return printJSON(c.OutOrStdout(), v)
			}
			return v.print(c.OutOrStdout())
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object for programs")
	return c
}

// noArguments refuses arguments where a verb has none.
func noArguments(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no arguments, and was given %s", c.CommandPath(), clip(args[0]))
	}
	return nil
}
