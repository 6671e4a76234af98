package differential

import (
	"errors"
	"fmt"
	"strings"
)

// A Difference is where the two sides first part.
type Difference struct {
	Setup *Setup
	Step  int // index of the step, -1 for the tables right after the setup
	What  string
}

// String tells the setup, the last steps and what differed.
func (d *Difference) String() string {
	var b strings.Builder
	fmt.Fprintln(&b, d.Setup)
	for i := max(0, d.Step-8); i <= d.Step; i++ {
		fmt.Fprintf(&b, "  %5d: %v\n", i, d.Setup.Steps[i])
	}
	b.WriteString(d.What)
	return b.String()
}

// A Result is what came of one setup.
type Result struct {
	Frames     int
	Difference *Difference // nil if there was none
}

// tablesEvery is the number of steps after which all tables are compared; the
// forwarding database is compared after each.
const tablesEvery = 25

// Compare runs a setup on both sides, up to the first difference.
func Compare(linux, ours Side, s *Setup) (r Result, err error) {
	if err := linux.Open(s); err != nil {
		return r, errors.Join(fmt.Errorf("%s: Linux: %w", s.Name, err), linux.Close())
	}
	defer func() { err = errors.Join(err, linux.Close()) }()
	if err := ours.Open(s); err != nil {
		return r, fmt.Errorf("%s: ours: %w", s.Name, err)
	}
	defer func() { err = errors.Join(err, ours.Close()) }()
	what, err := tables(linux, ours, AllTables)
	if err != nil || what != "" {
		return Result{Difference: &Difference{s, -1, what}}, err
	}
	for i := range s.Steps {
		if s.Steps[i].Kind == Frame {
			r.Frames++
		}
		what, err := step(linux, ours, s, i)
		if err != nil {
			return r, fmt.Errorf("%v\nstep %d, %v: %w", s, i, s.Steps[i], err)
		}
		if what != "" {
			r.Difference = &Difference{s, i, what}
			return r, nil
		}
	}
	return r, nil
}

func step(linux, ours Side, s *Setup, i int) (string, error) {
	theirs, err := linux.Do(&s.Steps[i])
	if err != nil {
		return "", fmt.Errorf("Linux: %w", err)
	}
	mine, err := ours.Do(&s.Steps[i])
	if err != nil {
		return "", fmt.Errorf("ours: %w", err)
	}
	if !theirs.same(&mine) {
		return fmt.Sprintf("Linux:\n%vours:\n%v", indent(theirs.String()), indent(mine.String())), nil
	}
	which := FDBTable
	if s.Deep || s.Steps[i].Kind != Frame || i%tablesEvery == 0 || i == len(s.Steps)-1 {
		which = AllTables
	}
	return tables(linux, ours, which)
}

func tables(linux, ours Side, which Tables) (string, error) {
	theirs, err := linux.State(which)
	if err != nil {
		return "", fmt.Errorf("Linux: tables: %w", err)
	}
	mine, err := ours.State(which)
	if err != nil {
		return "", fmt.Errorf("ours: tables: %w", err)
	}
	return theirs.difference(&mine), nil
}

func indent(s string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(s, "\n"), "\n", "\n  ") + "\n"
}
