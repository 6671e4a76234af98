package differential

import (
	"errors"
	"fmt"
	"slices"
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
	if err == nil && what != "" {
		r.Difference = &Difference{s, -1, what}
	}
	if err != nil || what != "" {
		return r, err
	}
	var q pending
	for i := range s.Steps {
		if s.Steps[i].Kind == Frame {
			r.Frames++
		}
		what, err := q.step(linux, ours, s, i)
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

// pending is what a side has sent of itself since the last Wait. A kernel's
// timers fire a moment after the step that set them, and once or twice if two
// steps set one; so of these it is compared what was sent, and not how often.
type pending struct {
	linux, ours            []Copy
	linuxEvents, ourEvents []Event // of a timed setup, from its beginning
}

func (q *pending) step(linux, ours Side, s *Setup, i int) (string, error) {
	st := &s.Steps[i]
	theirs, err := linux.Do(st)
	if err != nil {
		return "", fmt.Errorf("Linux: %w", err)
	}
	mine, err := ours.Do(st)
	if err != nil {
		return "", fmt.Errorf("ours: %w", err)
	}
	if s.Timed {
		return q.timed(linux, ours, s, i, &theirs, &mine)
	}
	if st.Kind != Frame {
		q.linux, theirs.Copies = append(q.linux, theirs.Copies...), nil
		q.ours, mine.Copies = append(q.ours, mine.Copies...), nil
	}
	if st.Kind == Wait {
		theirs.Copies, mine.Copies = once(q.linux), once(q.ours)
		if i == 0 { // the socket on the bridge's interface may hear from just after it is up
			theirs.Copies = slices.DeleteFunc(theirs.Copies, toHost)
			mine.Copies = slices.DeleteFunc(mine.Copies, toHost)
		}
		*q = pending{}
	}
	if !theirs.same(&mine) {
		return fmt.Sprintf("Linux:\n%vours:\n%v", indent(theirs.String()), indent(mine.String())), nil
	}
	which := FDBTable
	if s.Deep || st.Kind != Frame || i%tablesEvery == 0 || i == len(s.Steps)-1 {
		which = AllTables
	}
	return tables(linux, ours, which)
}

func toHost(c Copy) bool { return c.How == ToHost }

// timed compares at the end of a timed setup what happened in all of it: a
// single step may end before or after a timer.
func (q *pending) timed(linux, ours Side, s *Setup, i int, theirs, mine *Outcome) (string, error) {
	q.linuxEvents = append(q.linuxEvents, theirs.Events...)
	q.ourEvents = append(q.ourEvents, mine.Events...)
	if (theirs.Err == nil) != (mine.Err == nil) {
		return fmt.Sprintf("Linux: %v, ours: %v\n", theirs.Err, mine.Err), nil
	}
	if i < len(s.Steps)-1 {
		return "", nil
	}
	if what := sameEvents(q.linuxEvents, q.ourEvents); what != "" {
		return what, nil
	}
	return tables(linux, ours, AllTables)
}

// once is the copies in order, each a single time.
func once(list []Copy) []Copy {
	o := Outcome{Copies: list}
	o.sort()
	return slices.CompactFunc(o.Copies, Copy.equal)
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
