package main

import (
	"encoding/json"
	"io"
	"os"
	"runtime/pprof"
	"time"

	"github.com/spf13/cobra"

	"ringside/internal/bench"
	"ringside/internal/wholefile"
)

func init() { extraVerbs = append(extraVerbs, benchCommand) }

// benchCommand is "ringside bench".
func benchCommand() *cobra.Command {
	var (
		asJSON  bool
		match   string
		rounds  int
		round   time.Duration
		profile string
	)
	c := &cobra.Command{
		Use: "bench", Short: "Measure what a frame costs on this computer",
		Long: `Bench measures real time, not the model's: how many frames a second this computer
takes through the whole native path, everything billed, beside a bare ring that
copies the same frames in and out. The two run in turns, and the ratio of their
rates is the figure to quote: it survives a busy computer and a move to another.

Cases: 64, 512 and 1514 byte frames; a thousand and a million known addresses; 2
and 1,024 ports; a flood to 64 guests; the start of 1,000 guests.`,
		Example: `  ringside bench
  ringside bench --match native --rounds 31
  ringside bench --json > bench.json`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if rounds < 1 || rounds > 1000 {
				return usagef("--rounds %d: from 1 to 1000 are possible, as in --rounds 11", rounds)
			}
			if round < time.Millisecond || round > time.Minute {
				return usagef("--round %v: from 1ms to 1m is possible, as in --round 100ms", round)
			}
			if !bench.Matches(match) {
				return usagef("--match %q: no case has that in its name; ringside bench --help names them", match)
			}
			stop, err := startProfile(profile)
			if err != nil {
				return err
			}
			defer stop()
			o := bench.Options{Rounds: rounds, Round: round, Match: match}
			if f, ok := c.ErrOrStderr().(*os.File); ok && isTerminal(f) {
				o.Progress = f
			}
			rep, err := bench.Run(c.Context(), o)
			if err != nil {
				return err
			}
			if asJSON {
				enc := json.NewEncoder(c.OutOrStdout())
				return enc.Encode(rep)
			}
			return rep.Write(c.OutOrStdout())
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object, "+bench.Schema)
	c.Flags().StringVar(&match, "match", "", "only cases whose name has this in it")
	c.Flags().IntVar(&rounds, "rounds", 11, "turns of each case; the median counts")
	c.Flags().DurationVar(&round, "round", 100*time.Millisecond, "length of a turn")
	c.Flags().StringVar(&profile, "cpuprofile", "", "write a CPU profile to this file")
	return c
}

// startProfile profiles until the function it returns is called.
func startProfile(name string) (stop func(), err error) {
	if name == "" {
		return func() {}, nil
	}
	f, err := wholefile.Create(name)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(io.Writer(f)); err != nil {
		f.Close()
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		f.Commit()
	}, nil
}
