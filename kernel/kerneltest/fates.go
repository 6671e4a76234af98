package kerneltest

import (
	"fmt"
	"maps"
	"slices"

	"ringside/cost"
	"ringside/sim"
	"ringside/trace"
)

// Fates is a trace.Sink that writes down what became of every frame, and looks
// at every step if All is set.
type Fates struct {
	All    bool
	Frames map[uint64]*Fate
	Order  []Arrival // what guests got, in the order of their getting it
	Early  []string  // sights of frames that were somewhere before they were where they came from
	Steps  [cost.NumSteps]uint64
}

// A Fate is what became of one frame and its copies.
type Fate struct {
	Seen    [trace.NumPoints]int // how often at each point
	at      [trace.NumPoints]sim.Time
	VMs     map[int32]int  // guests that got it, and how often
	Host    int            // the host's stack got it
	Sent    int            // it left by the wire
	Dropped map[string]int // stage and reason
}

// An Arrival is a frame that a guest got.
type Arrival struct {
	ID    uint64
	VM    int32
	Queue int32
	Data  []byte
}

// Ends is how many copies of the frame have met their end.
func (f *Fate) Ends() int {
	n := f.Host + f.Sent
	for _, c := range f.VMs {
		n += c
	}
	for _, c := range f.Dropped {
		n += c
	}
	return n
}

// String says what became of the frame in one line.
func (f *Fate) String() string {
	s := ""
	for _, vm := range slices.Sorted(maps.Keys(f.VMs)) {
		s += fmt.Sprintf(" vm%d:%d", vm, f.VMs[vm])
	}
	if f.Host > 0 {
		s += fmt.Sprintf(" host:%d", f.Host)
	}
	if f.Sent > 0 {
		s += fmt.Sprintf(" wire:%d", f.Sent)
	}
	for _, why := range slices.Sorted(maps.Keys(f.Dropped)) {
		s += fmt.Sprintf(" %s:%d", why, f.Dropped[why])
	}
	if s == "" {
		return "nothing"
	}
	return s[1:]
}

// Of is the fate of the frame id; one that nobody saw has none of anything.
func (s *Fates) Of(id uint64) *Fate {
	if s.Frames == nil {
		s.Frames = map[uint64]*Fate{}
	}
	f := s.Frames[id]
	if f == nil {
		f = &Fate{VMs: map[int32]int{}, Dropped: map[string]int{}}
		s.Frames[id] = f
	}
	return f
}

// Frame writes a sight down.
func (s *Fates) Frame(f *trace.Frame) {
	fate := s.Of(f.ID)
	if !f.Tx && fate.Seen[f.Point] == 0 {
		fate.at[f.Point] = f.At
		for p := range f.Point {
			if p != trace.Host && f.At < fate.at[p] { // the host is on no way further
				s.Early = append(s.Early, fmt.Sprintf("frame %d at %v at %v, and at %v at %v", f.ID, f.Point, f.At, p, fate.at[p]))
			}
		}
	}
	fate.Seen[f.Point]++
	switch {
	case f.Verdict == trace.Drop:
		fate.Dropped[fmt.Sprintf("%v/%v", f.Stage, f.Reason)]++
	case f.Point == trace.VM && !f.Tx:
		fate.VMs[f.VM]++
		data := slices.Clone(f.Data)
		for _, frag := range f.Frags {
			data = append(data, frag...)
		}
		s.Order = append(s.Order, Arrival{f.ID, f.VM, f.Queue, data})
	case f.Point == trace.Host && !f.Tx:
		fate.Host++
	case f.Point == trace.Wire && f.Tx:
		fate.Sent++
	}
}

// Step counts a step.
func (s *Fates) Step(st trace.Step) { s.Steps[st.Step] += st.N }

// Watching wants the steps of all frames, if All is set.
func (s *Fates) Watching(uint64) bool { return s.All }

var _ trace.Sink = (*Fates)(nil)
