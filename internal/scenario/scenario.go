package scenario

import (
	"fmt"
	"io"
	"os"

	"ringside"
	"ringside/internal/form"
	"ringside/sim"
)

// Schema is the first line of every scenario.
const Schema = "ringside.scenario/1"

// A Scenario is what a file describes.
type Scenario struct {
	File  string // what errors call it
	About string // one line for people
	Seed  uint64
	// Duration is how long it runs; 0 means until all is at rest.
	Duration sim.Time
	// Lab is what is built. Its Seed, Book and Sink are those of a run.
	Lab    ringside.LabConfig
	Faults []Fault
	Expect []Expectation

	run runs
}

// An Expectation is one line of expect.
type Expectation struct {
	Text string // as it is printed: parsed and written again
	Why  string // what it shows if it is not met; may be ""
	form.Place
	comparison *comparison
	column     int // where Text's first byte stood in the line
}

// Open reads the scenario in a file.
func Open(name string) (*Scenario, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("scenario: %w", err)
	}
	defer f.Close()
	return Load(f, name)
}

// Load reads a scenario. File is what errors call it. The error names everything
// that is wrong, a line each. What is accepted can be built, and every name in its
// expectations means something.
func Load(from io.Reader, file string) (*Scenario, error) {
	text, err := io.ReadAll(io.LimitReader(from, form.MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("scenario %s: %w", file, err)
	}
	r := &reader{
		Reader: &form.Reader{File: file, Noun: "scenario", Schema: Schema},
		s:      &Scenario{File: file, Seed: 1, run: runs{}},
	}
	for _, step := range []func(){func() { r.document(text) }, r.refer, r.build} {
		if step(); len(r.Problems()) > 0 {
			return nil, r.Err()
		}
	}
	return r.s, nil
}
