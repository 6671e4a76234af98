package main

import (
	"github.com/spf13/cobra"

	"ringside/internal/report"
	"ringside/internal/validate"
	"ringside/machine"
)

func init() { extraVerbs = append(extraVerbs, validateCommand) }

func validateCommand() *cobra.Command {
	var asJSON bool
	var host *machine.Machine
	var wide int
	c := &cobra.Command{
		Use:   "validate [flags]",
		Short: "Hold the model against published measurements",
		Long: `Validate puts named workloads on the machines of published measurements, and prints
what was published beside what the model predicts: the ratio of each row, and for
each group the median of |ln ratio| and whether that reaches the group's goal. A row
that cannot be predicted says why.

With --machine nothing published is looked at: it prints what each workload makes of
that machine, to hold beside a result of one's own.

No parameter was fitted. A row marked * is one from which a price was worked out.
docs/validate.md says what is modelled and what is left out.`,
		Example: `  ringside validate
  ringside validate --json
  ringside validate --machine ./mine.yaml`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("validate: takes no arguments, and was given %s", clip(args[0]))
			}
			if host != nil {
				g, err := validate.Predict(c.Context(), host)
				switch {
				case err != nil:
					return err
				case asJSON:
					return printJSON(c.OutOrStdout(), g)
				}
				return report.WritePredictions(c.OutOrStdout(), g, columns(wide, c.OutOrStdout()))
			}
			r, err := validate.Run(c.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), r)
			}
			return report.WriteValidation(c.OutOrStdout(), r, columns(wide, c.OutOrStdout()))
		},
	}
	c.Flags().SortFlags = false
	machineFlag(c.Flags(), &host)
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object for programs, "+validate.Schema)
	whole(c.Flags(), &wide, "width", "", "columns of the page, at most 100; otherwise those of the terminal", report.MinWidth, 1000, "80")
	return c
}
