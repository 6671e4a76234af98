package scenario

import (
	"errors"
	"fmt"
	"slices"

	"ringside"
	"ringside/cost"
	"ringside/machine"
	"ringside/sim"
	"ringside/trace"
)

// ResultSchema names the shape of a Result as JSON.
const ResultSchema = "ringside.run/1"

// Options are what a run can be told besides the file. The zero value is as the file
// says.
type Options struct {
	Seed *uint64    // instead of the file's
	Book *cost.Book // nil means the built-in linux-xeon
	// Machine is of hosts that have none, see ringside.Config.
	Machine *machine.Machine
	Until   sim.Time // ends the run then; 0 means when the file says
	// Sink, if not nil, is asked for each host's by its number.
	Sink func(host int) trace.Sink
	// Log, if not nil, takes what processes log, those of guests as HOST/VM.
	Log func(at sim.Time, machine, process, line string)
}

// A Result is what came of a run.
type Result struct {
	Schema       string              `json:"schema"`
	File         string              `json:"file"`
	About        string              `json:"about,omitempty"`
	Seed         uint64              `json:"seed"`
	Met          bool                `json:"met"` // all expectations are
	Expectations []Outcome           `json:"expectations"`
	Faults       []FaultReport       `json:"faults"`
	Report       *ringside.LabReport `json:"report"`

	facts    *facts
	programs []Program
}

// A Fact is a name that expectations can have.
type Fact struct{ Name, Value, Says string }

// Facts are all names that expectations can have, with what the run made of them.
func (r *Result) Facts() []Fact {
	list := make([]Fact, len(r.facts.list))
	for i, f := range r.facts.list {
		list[i] = Fact{f.name, f.value.in(unit{}), f.says}
	}
	return list
}

// A Program is what one process of a guest or a peer recorded.
type Program struct {
	Who, Process string
	Results      []Fact
}

// Programs are those that the file names, and those that recorded something.
func (r *Result) Programs() []Program { return r.programs }

// An Outcome is what came of one expectation.
type Outcome struct {
	Expect string `json:"expect"`
	Line   int    `json:"line"` // where it stands in the file
	Met    bool   `json:"met"`
	Found  string `json:"found"`
	Why    string `json:"why,omitempty"`
}

// A FaultReport is something that changed in the middle of the run.
type FaultReport struct {
	AtNs  int64  `json:"at_ns"`
	Fault string `json:"fault"`
}

// Run builds the lab, runs it, and judges what came of it. Its error means that the
// run itself failed; expectations that are not met are part of the Result.
func (s *Scenario) Run(o Options) (*Result, error) {
	lab, err := s.start(o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.File, err)
	}
	defer lab.Close()
	if err := s.finish(lab, o.Until); err != nil {
		return nil, fmt.Errorf("%s: %w", s.File, err)
	}
	return s.judge(lab.Report())
}

// start builds the lab and arms the faults.
func (s *Scenario) start(o Options) (*ringside.Lab, error) {
	cfg := s.Lab
	cfg.Seed, cfg.Book, cfg.Machine, cfg.Log, cfg.Hosts = s.Seed, o.Book, o.Machine, o.Log, slices.Clone(s.Lab.Hosts)
	for i := range cfg.Hosts {
		if o.Sink != nil {
			cfg.Hosts[i].Sink = o.Sink(i)
		}
	}
	if o.Seed != nil {
		cfg.Seed = *o.Seed
	}
	lab, err := ringside.NewLab(cfg)
	if err != nil {
		return nil, err
	}
	for _, f := range s.Faults {
		lab.At(f.At, func() error { return f.do(lab) })
	}
	return lab, nil
}

// finish lets time pass.
func (s *Scenario) finish(lab *ringside.Lab, until sim.Time) error {
	end := s.Duration
	if until > 0 && (end == 0 || until < end) {
		end = until
	}
	if end == 0 {
		return lab.Run()
	}
	return lab.RunUntil(end)
}

// judge asks every expectation.
func (s *Scenario) judge(rep *ringside.LabReport) (*Result, error) {
	r := &Result{
		Schema: ResultSchema, File: s.File, About: s.About, Seed: rep.Seed, Met: true,
		Expectations: []Outcome{}, Faults: []FaultReport{}, Report: rep,
	}
	for _, f := range s.Faults {
		r.Faults = append(r.Faults, FaultReport{f.At.Nanoseconds(), f.Says})
	}
	facts := gather(rep, s.run)
	r.facts, r.programs = facts, programsOf(rep, s.run)
	for _, e := range s.Expect {
		o, err := e.judge(facts)
		if err != nil {
			return nil, fmt.Errorf("%s:%d:%d: %w", s.File, e.Line, e.Column, err)
		}
		r.Met = r.Met && o.Met
		r.Expectations = append(r.Expectations, o)
	}
	return r, nil
}

// judge is what came of an expectation. A value that is not there meets nothing.
func (e *Expectation) judge(facts *facts) (Outcome, error) {
	o := Outcome{Expect: e.Text, Line: e.Line, Why: e.Why}
	var err error
	o.Met, o.Found, err = e.comparison.judge(facts.look)
	var zero *zeroError
	var absent *absentError
	switch {
	case errors.As(err, &zero):
		o.Found = zero.Error()
	case errors.As(err, &absent):
		o.Found = absent.Error()
	case err != nil:
		return o, err
	}
	return o, nil
}
