package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ringside/internal/report"
	"ringside/internal/scenario"
	"ringside/internal/staged"
	"ringside/internal/wholefile"
	"ringside/sim"
)

func init() { extraVerbs = append(extraVerbs, runCommand) }

// A runner is the flags of the verb run.
type runner struct {
	options scenario.Options
	book    string
	out     string
	json    bool
	check   bool
	bill    bool
	verbose bool
	list    bool
	facts   bool
	width   int
}

// errNotMet is what a run ends with that did not go as its file expects.
var errNotMet = errors.New("not as expected")

func runCommand() *cobra.Command {
	var r runner
	c := &cobra.Command{
		Use: "run FILE.yaml… [flags]", Short: "Run scenarios and judge what came of them",
		Long: `Run builds what a scenario file describes: hosts, the cables between them, peers at
their wires, programs in guests and peers. It runs them in virtual time, lets
faults happen when the file says, and judges the file's expectations by what came
of it. The format is in docs/scenarios.md.

One file is told in full; of several each gets a line.

Exit codes: 0 all expectations are met, 1 one is not or the run failed, 2 wrong
usage or a file that is not right.`,
		Example: `  ringside run testdata/scenarios/ping.yaml
  ringside run testdata/scenarios/*.yaml
  ringside run testdata/scenarios/http.yaml --bill --seed 7
  ringside run testdata/scenarios/tcp-loss.yaml --facts     what can be expected
  ringside run my.yaml --check                              only read it
  ringside run --list-programs                              and their arguments`,
		RunE: func(c *cobra.Command, args []string) error {
			if r.list {
				return report.WritePrograms(c.OutOrStdout(), report.Page{Columns: columns(r.width, c.OutOrStdout())})
			}
			return r.run(c, args)
		},
	}
	fs := c.Flags()
	fs.SortFlags = false
	flag(fs, "seed", "N", "", "of everything that is left to chance, instead of the file's", func(s string) error {
		n, err := parseSeed(s)
		r.options.Seed = &n
		return err
	})
	flag(fs, "book", "NAME|FILE", "linux-xeon", "the prices: a name that ringside book lists, or a .yaml file of your own", func(s string) error {
		r.book = s
		return nil
	})
	machineFlag(fs, &r.options.Machine)
	flag(fs, "until", "SPAN", "", "end at this virtual time, if that is before the file's end, as in 2.5s", func(s string) error {
		t, ok := duration(s)
		if !ok {
			return fmt.Errorf("give a span of virtual time above zero and below 106 days, as in --until 2.5s")
		}
		r.options.Until = t
		return nil
	})
	fs.BoolVar(&r.check, "check", false, "only read the files: say what is wrong with them")
	fs.BoolVar(&r.facts, "facts", false, "print every name that expectations can have, with its value at the end")
	fs.BoolVar(&r.bill, "bill", false, "print the bill of each host")
	fs.BoolVarP(&r.verbose, "verbose", "v", false, "tell several files in full, too, and on standard error what programs log")
	fs.Var(&value{kind: "FILE", set: func(s string) error { r.out = s; return nil }}, "out", "write a pcapng with one interface for every stage of every host: what passed there, its fate and why")
	fs.BoolVar(&r.list, "list-programs", false, "list the programs that a file can name, their arguments and results")
	fs.BoolVar(&r.json, "json", false, "print one JSON object for each file, "+scenario.ResultSchema)
	whole(fs, &r.width, "width", "", "columns of the page, at most 100; otherwise those of the terminal", report.MinWidth, 1000, "80")
	return c
}

// run reads all files before it runs the first, so that what is wrong with one is
// known at once.
func (r *runner) run(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usagef("run: name a scenario, as in ringside run testdata/scenarios/ping.yaml")
	}
	if r.out != "" && len(args) > 1 {
		return usagef("--out %s: one file has room for one run; %d scenarios were named", clip(r.out), len(args))
	}
	book, err := openBook(r.book, r.options.Machine)
	if err != nil {
		return err
	}
	r.options.Book = book
	list := make([]*scenario.Scenario, len(args))
	var wrong []error
	for i, name := range args {
		if list[i], err = scenario.Open(name); err != nil {
			wrong = append(wrong, err)
		}
	}
	if len(wrong) > 0 {
		return &usageError{errors.Join(wrong...)}
	}
	if r.verbose {
		r.options.Log = func(at sim.Time, machine, process, line string) {
			fmt.Fprintf(c.ErrOrStderr(), "%s %s: %s: %s\n", report.Span(at), machine, process, line)
		}
	}
	if r.check {
		return r.checked(c.OutOrStdout(), list)
	}
	return r.all(c, list)
}

// checked says that files are right.
func (r *runner) checked(w io.Writer, list []*scenario.Scenario) error {
	for _, s := range list {
		fmt.Fprintf(w, "%s: %s, %s, %s\n", s.File, report.Count(uint64(len(s.Lab.Hosts)), "host", "hosts"),
			report.Count(uint64(len(s.Lab.Peers)), "peer", "peers"), report.Count(uint64(len(s.Expect)), "expectation", "expectations"))
	}
	return nil
}

// all runs one scenario after the other.
func (r *runner) all(c *cobra.Command, list []*scenario.Scenario) error {
	var failed []string
	var broken []error
	w := c.OutOrStdout()
	for _, s := range list {
		if err := c.Context().Err(); err != nil {
			return err
		}
		res, err := r.one(s)
		switch {
		case err != nil:
			broken = append(broken, err)
			continue
		case !res.Met:
			failed = append(failed, s.File)
		}
		if err := r.tell(w, res, len(list) > 1); err != nil {
			return err
		}
	}
	if len(list) > 1 && !r.json {
		fmt.Fprintf(w, "%d of %s as expected\n", len(list)-len(failed)-len(broken), report.Count(uint64(len(list)), "scenario", "scenarios"))
	}
	if len(broken) > 0 {
		return errors.Join(broken...)
	}
	if len(failed) > 0 {
		return fmt.Errorf("%w: %s", errNotMet, strings.Join(failed, ", "))
	}
	return nil
}

// tell prints a result as the flags ask for it.
func (r *runner) tell(w io.Writer, res *scenario.Result, several bool) error {
	page := report.Page{Columns: columns(r.width, w)}
	switch {
	case r.json:
		return printJSON(w, res)
	case several && !r.verbose && !r.bill && !r.facts:
		_, err := io.WriteString(w, report.RunLine(res, page))
		return err
	}
	if err := report.WriteRun(w, res, page); err != nil {
		return err
	}
	if r.facts {
		if err := report.WriteFacts(w, res, page); err != nil {
			return err
		}
	}
	if !r.bill {
		return nil
	}
	for _, h := range res.Report.Hosts {
		fmt.Fprintf(w, "\nTHE BILL OF %s\n", strings.ToUpper(h.Name))
		if err := report.Write(w, h.Report, page); err != nil {
			return err
		}
	}
	return nil
}

// one runs a scenario, with the staged capture that was asked for.
func (r *runner) one(s *scenario.Scenario) (*scenario.Result, error) {
	o := r.options
	if r.out == "" {
		return s.Run(o)
	}
	if r.out == "-" {
		return nil, usagef("--out -: standard output has the report; give a file's name, as in --out stages.pcapng")
	}
	if st, err := os.Stat(s.File); err == nil {
		if to, err := os.Stat(r.out); err == nil && os.SameFile(st, to) {
			return nil, usagef("--out %s: that is the scenario itself; give another name", r.out)
		}
	}
	file, err := wholefile.Create(r.out)
	if err != nil {
		return nil, usagef("--out: %w", err)
	}
	defer file.Close()
	var hosts []string
	for _, h := range s.Lab.Hosts {
		hosts = append(hosts, h.Name)
	}
	stages := staged.New(file, staged.Options{Application: "ringside", Base: time.Unix(0, 0), LinkBPS: 10e9, Hosts: hosts,
		Comment: fmt.Sprintf("%s, prices of %s", s.File, o.Book.Name)})
	o.Sink = stages.Of
	res, err := s.Run(o)
	if err != nil {
		return nil, err
	}
	if err := stages.Finish(sim.Time(res.Report.VirtualNs) * sim.Nanosecond); err != nil {
		return nil, err
	}
	return res, file.Commit()
}
