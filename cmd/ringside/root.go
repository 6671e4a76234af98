package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ringside"
	"ringside/internal/spell"
	"ringside/kernel"
	"ringside/load"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1   // the run failed
	exitUsage       = 2   // wrong usage or unreadable input
	exitInterrupted = 130 // Ctrl-C, as shells have it
)

// run is the whole command as a function: it returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(in)
	w := bufio.NewWriter(out)
	root.SetOut(w)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	if flush := w.Flush(); err == nil && flush != nil {
		err = fmt.Errorf("writing to standard output: %w", flush)
	}
	return outcome(ctx, err, errs)
}

// outcome says what went wrong, and makes an exit code of it.
func outcome(ctx context.Context, err error, errs io.Writer) int {
	var wrong *usageError
	var input *ringside.InputError
	switch {
	case err == nil:
		return exitOK
	case ctx.Err() != nil && errors.Is(err, context.Cause(ctx)):
		fmt.Fprintln(errs, "ringside: interrupted; no output file was written")
		return exitInterrupted
	}
	for i, line := range strings.Split(strings.TrimRight(err.Error(), "\n"), "\n") {
		line = strings.TrimPrefix(strings.TrimPrefix(line, "ringside: "), "capture: ")
		if i > 0 {
			line = "  " + line
		} else {
			line = "ringside: " + line
		}
		fmt.Fprintln(errs, line)
	}
	if errors.As(err, &wrong) || errors.As(err, &input) || errors.Is(err, load.ErrRate) || errors.Is(err, kernel.ErrBatching) || errors.Is(err, ringside.ErrNoPath) {
		return exitUsage
	}
	return exitFailed
}

// A usageError is the user's mistake.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

// newRoot makes the command with all its verbs.
func newRoot() *cobra.Command {
	var asked bool // for the version
	root := &cobra.Command{
		Use:   "ringside VERB",
		Short: "A ringside seat at the hypervisor's datapath",
		Long: `Ringside is a whole machine in one process: a NIC with descriptor rings, a kernel
with its driver and NAPI, a bridge, taps, system calls and guests. A capture goes
in at the wire; out come the frames that each guest received, a capture with one
interface per stage, and a bill for everything that was done on the way.

It needs no root and no hardware, and the same seed gives the same bytes.`,
		Example: `  ringside replay testdata/mix.pcap              the bill of a capture
  ringside replay big.pcap --speed top --json    the same for programs
  ringside trace testdata/ping.pcap --frame 3    one frame's journey, step by step
  ringside bridge fdb show testdata/mix.pcap     what the bridge has learned
  ringside ip neigh show testdata/arp.pcap --host-addr 192.0.2.12/24
                                                 what the host's own stack has learned
  ringside explain --port eth0 --dst ff:ff:ff:ff:ff:ff
                                                 what it would do with a frame, and why
  ringside book linux-xeon                       the prices and their sources`,
		SilenceErrors: true, SilenceUsage: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case len(args) > 0:
				return unknownVerb(c, args[0])
			case asked:
				return thisVersion().print(c.OutOrStdout())
			}
			return c.Help()
		},
		Args: cobra.ArbitraryArgs,
	}
	root.Flags().BoolVar(&asked, "version", false, "say which version this is")
	root.SetFlagErrorFunc(flagError)
	root.SetUsageTemplate(usageTemplate)
	root.SetHelpCommand(helpCommand())
	root.AddCommand(replayCommand(), traceCommand(), bridgeCommand(), ipCommand(), explainCommand(), bookCommand(), versionCommand())
	for _, verb := range extraVerbs {
		root.AddCommand(verb())
	}
	return root
}

// extraVerbs are the verbs of other files, which add themselves.
var extraVerbs []func() *cobra.Command

// usageTemplate is cobra's, with flags broken to fit 80 columns.
const usageTemplate = `{{if .HasAvailableSubCommands}}Usage: {{.CommandPath}} {{if .HasParent}}OBJECT{{else}}VERB{{end}} [argument…] [flags]

{{if .HasParent}}Objects{{else}}Verbs{{end}}:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name 9}} {{.Short}}{{end}}{{end}}

{{.CommandPath}} {{if .HasParent}}OBJECT{{else}}VERB{{end}} --help explains each.{{else}}Usage: {{.UseLine}}{{end}}{{if .HasExample}}

Examples:
{{.Example}}{{end}}{{if and .HasAvailableLocalFlags (not .HasAvailableSubCommands)}}

Flags:
{{.LocalFlags.FlagUsagesWrapped 80 | trimTrailingWhitespaces}}{{end}}
`

// helpCommand is "ringside help VERB".
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "help [VERB]", Short: "Explain a verb",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.Root().Help()
			}
			verb, rest, err := c.Root().Find(args)
			if err != nil || len(rest) > 0 || verb == c.Root() {
				return unknownVerb(c.Root(), args[0])
			}
			verb.InitDefaultHelpFlag()
			return verb.Help()
		},
	}
}

func unknownVerb(root *cobra.Command, name string) error {
	var verbs []string
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() {
			verbs = append(verbs, c.Name())
		}
	}
	if near := spell.Nearest(name, verbs); near != "" {
		return usagef("there is no verb %q; did you mean %q?", name, near)
	}
	if _, err := os.Stat(name); err == nil {
		return usagef("there is no verb %q; to replay that file: ringside replay %s", name, name)
	}
	return usagef("there is no verb %q; the verbs are %s", name, strings.Join(verbs, ", "))
}

// flagError puts pflag's errors into words that help.
func flagError(c *cobra.Command, err error) error {
	if errors.Is(err, pflag.ErrHelp) {
		return err
	}
	var unknown *pflag.NotExistError
	var value *pflag.InvalidValueError
	var missing *pflag.ValueRequiredError
	help := fmt.Sprintf("; %s --help lists the flags", c.CommandPath())
	switch {
	case errors.As(err, &unknown):
		if unknown.GetSpecifiedShortnames() != "" {
			return usagef("there is no flag -%s%s", unknown.GetSpecifiedName(), help)
		}
		var names []string
		c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if near := spell.Nearest(unknown.GetSpecifiedName(), names); near != "" {
			return usagef("there is no flag --%s; did you mean --%s?", unknown.GetSpecifiedName(), near)
		}
		return usagef("there is no flag --%s%s", unknown.GetSpecifiedName(), help)
	case errors.As(err, &missing):
		return usagef("--%s needs a value: %s", missing.GetFlag().Name, missing.GetFlag().Usage)
	case errors.As(err, &value):
		cause := value.Unwrap()
		if value.GetFlag().Value.Type() == "bool" {
			cause = errors.New("give true or false, or the flag alone")
		}
		return usagef("--%s %s: %w", value.GetFlag().Name, clip(value.GetValue()), cause)
	}
	return &usageError{err}
}

// clip is a value of the user's for a message.
func clip(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return fmt.Sprintf("%q", s)
	}
	return s
}
