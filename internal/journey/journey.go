package journey

import (
	"cmp"
	"fmt"
	"slices"

	"ringside/cost"
	"ringside/sim"
	"ringside/trace"
)

// A Journey is one frame's way through a run.
type Journey struct {
	ID     uint64
	Bytes  []byte   // as it was first seen
	Began  sim.Time // its last bit came in from the wire, or a guest or the host sent it
	OnWire bool     // it came from the wire
	Steps  []Step   // in the order of time
	Ends   []End    // one for every copy that came to an end
	Copies int      // that the bridge made of it, itself included
	book   *cost.Book
}

// A Step is one step of a journey.
type Step struct {
	Step   cost.Step
	At     sim.Time // when it was over
	CPU    int32    // -1 for the device
	Count  uint64   // how often it was done
	Bytes  uint64
	Extra  uint64 // thousandths of a cycle beside the prices: the guest's own work
	Shared uint64 // frames that it was done for; 0 for a step of this frame alone
	Guest  string // the guest it is about, if there is one
	Note   string

	MilliCycles uint64 // this frame's share
	Picoseconds uint64 // likewise, of the device's time
	seq         int
}

// An End is where a copy of the frame came to its end.
type End struct {
	At      sim.Time
	Verdict trace.Verdict // Deliver or Drop
	Point   trace.Point
	Stage   cost.Stage // of a drop
	Reason  cost.DropReason
	VM      int32 // -1 where there is none
	seq     int
}

// Journey makes the journey of the watched frame, by the prices of the run's
// book. Nil says that the frame was never seen.
func (w *Watcher) Journey(book *cost.Book) *Journey {
	if len(w.marks) == 0 {
		return nil
	}
	first := w.marks[0]
	j := &Journey{ID: w.id, Bytes: w.bytes, Began: first.At, OnWire: first.Point == trace.Wire && !first.Tx, Copies: 1, book: book}
	for _, e := range w.own {
		j.add(e, 0, w.note(&e))
	}
	for _, g := range w.groups {
		for _, e := range g.steps {
			j.add(e, g.frames, e.Note)
		}
	}
	slices.SortStableFunc(j.Steps, func(a, b Step) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.seq, b.seq))
	})
	for _, m := range w.marks {
		if m.Verdict == trace.Deliver || m.Verdict == trace.Drop || m.Verdict == trace.Merge {
			j.Ends = append(j.Ends, End{m.At, m.Verdict, m.Point, m.Stage, m.Reason, m.VM, m.seq})
		}
	}
	for _, s := range j.Steps {
		if s.Step == cost.DeliverClone {
			j.Copies++
		}
	}
	slices.SortStableFunc(j.Ends, func(a, b End) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.seq, b.seq))
	})
	return j
}

// add prices an event and puts it into the journey.
func (j *Journey) add(e event, sharers uint64, note string) {
	s := Step{
		Step: e.Step.Step, At: e.At, CPU: e.CPU, Count: e.N, Bytes: e.Bytes, Extra: e.Extra,
		Shared: sharers, Guest: e.guest, Note: note, seq: e.seq,
	}
	for i, u := range s.Step.Uses() {
		each, perByte := j.book.Cycles(u.Op)
		ps, psPerByte := j.book.Picoseconds(u.Op)
		n := s.Count * uint64(u.N)
		s.MilliCycles += n * each
		s.Picoseconds += n * ps
		if i == 0 { // the bytes are those of the first operation, as on the bill
			s.MilliCycles += s.Bytes * perByte
			s.Picoseconds += s.Bytes * psPerByte
		}
	}
	s.MilliCycles += s.Extra
	if sharers > 1 {
		s.MilliCycles = (s.MilliCycles + sharers/2) / sharers
		s.Picoseconds = (s.Picoseconds + sharers/2) / sharers
	}
	j.Steps = append(j.Steps, s)
}

// note adds to a step's own note what the sights around it and the frame's bytes
// say.
func (w *Watcher) note(e *event) string {
	mac := func(at int) string {
		if len(w.bytes) < at+6 {
			return ""
		}
		b := w.bytes[at : at+6]
		return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5])
	}
	var say string
	switch e.Step.Step {
	case cost.DevRxDMA, cost.DevTxDMA, cost.TunPutUser, cost.CopyIn:
		say = fmt.Sprintf("%d bytes", e.Bytes)
		if e.where != "" {
			say += " into " + e.where
		}
		return say
	case cost.BrFdbUpdate, cost.BrFdbCreate:
		return mac(6) + " on " + w.port(w.in)
	case cost.BrFdbFind:
		return w.found(mac(0))
	case cost.BrFlood:
		return mac(0)
	}
	switch {
	case e.where == "" || e.Note == e.where:
		return e.Note
	case e.Note == "":
		return e.where
	}
	return e.Note + ", " + e.where
}

// port is the name of a bridge port.
func (w *Watcher) port(p int32) string {
	if name := w.ports[p]; name != "" {
		return name
	}
	return fmt.Sprintf("port %d", p)
}

// found says what the lookup of the destination came to.
func (w *Watcher) found(dst string) string {
	for _, m := range w.marks {
		if m.Point != trace.Bridge {
			continue
		}
		switch {
		case m.Verdict == trace.Flood:
			return dst + " is unknown"
		case m.Verdict == trace.Drop && m.Reason == cost.RSSamePort:
			return dst + " is on " + w.port(w.in) + ", where it came from"
		case m.Verdict == trace.Pass && m.Port >= 0:
			return dst + " is on " + w.port(m.Port)
		}
	}
	return dst
}

// Totals are a journey summed up.
type Totals struct {
	Own, Shared uint64   // thousandths of a cycle
	Device      sim.Time // of the device
}

// Cycles is all of it, in thousandths of a cycle.
func (t Totals) Cycles() uint64 { return t.Own + t.Shared }

// Totals sums the journey up.
func (j *Journey) Totals() (t Totals) {
	for _, s := range j.Steps {
		if s.Shared > 1 {
			t.Shared += s.MilliCycles
		} else {
			t.Own += s.MilliCycles
		}
		t.Device += sim.Time(s.Picoseconds)
	}
	return t
}
