package kernel

import (
	"slices"

	"ringside/cost"
	"ringside/offload"
	"ringside/sim"
	"ringside/trace"
)

// Charging and showing stand in one call here, so that the journey of a frame
// and the bill are made of the same steps.

// one charges the step s for one frame.
func (c *CPU) one(s cost.Step, f *skb) {
	c.acct.Once(s)
	if c.watched {
		c.noteOne(s, f)
	}
}

// noteOne is note of one plain step. It stays a call so that one is none.
//
//go:noinline
func (c *CPU) noteOne(s cost.Step, f *skb) { c.note(s, f, 1, 0, "") }

// many charges the step s n times for one frame, over so many bytes in all.
func (c *CPU) many(s cost.Step, f *skb, n, bytes uint64) {
	c.acct.ChargeBytes(s, n, bytes)
	if c.watched && n > 0 {
		c.note(s, f, n, bytes, "")
	}
}

// all charges the steps, in order, once for every frame of list.
func (c *CPU) all(list []*skb, steps ...cost.Step) {
	if !c.watched {
		c.acct.ChargeEach(uint64(len(list)), steps)
		return
	}
	for _, s := range steps {
		c.acct.Charge(s, uint64(len(list)))
		for _, f := range list {
			c.noteOne(s, f)
		}
	}
}

// some charges n times a step of which every frame of list had as many as of says.
// The rest is of a frame that is not whole yet, and is shown when that is.
func (c *CPU) some(list []*skb, s cost.Step, n uint64, of func(*skb) uint64, note string) {
	c.acct.Charge(s, n)
	if !c.watched {
		return
	}
	for _, f := range list {
		if n := of(f); n > 0 {
			c.note(s, f, n, 0, note)
		}
	}
}

// further is how many descriptors s had after its first.
func (s *skb) further() uint64 { return uint64(s.nfrags) }

// shared charges n times a step that no single frame owns: an interrupt, a
// poll, a doorbell.
func (c *CPU) shared(s cost.Step, n uint64, note string) {
	c.acct.Charge(s, n)
	if c.watched {
		c.showBorder(c.current, c.clock.Now()-c.took(s, n, 0))
		c.k.sink.Step(trace.Step{At: c.clock.Now(), CPU: int32(c.id), Step: s, N: n, Note: note})
	}
}

// note shows a step of a frame that is watched. The caller has asked for a sink.
func (c *CPU) note(s cost.Step, f *skb, n, bytes uint64, note string) {
	c.showBorder(c.current, c.clock.Now()-c.took(s, n, bytes))
	if c.k.sink.Watching(f.id) {
		c.k.sink.Step(trace.Step{ID: f.id, At: c.clock.Now(), CPU: int32(c.id), Step: s, N: n, Bytes: bytes, Note: note})
	}
}

// took is how long n times the step s take.
func (c *CPU) took(s cost.Step, n, bytes uint64) sim.Time {
	return sim.Span(c.acct.Price(s, n, bytes), sim.Scale(c.k.book.Hz))
}

// A sight is what a sink is told of a frame beside its bytes.
type sight struct {
	point   trace.Point
	tx      bool
	verdict trace.Verdict
	reason  cost.DropReason
	stage   cost.Stage
	port    int32
	vm      int32
}

// finished completes a half-done checksum in a copy: who looks at a capture would
// take it for a wrong one.
func finished(f *trace.Frame, m offload.Meta) {
	parts := [][]byte{slices.Clone(f.Data)}
	for _, p := range f.Frags {
		parts = append(parts, slices.Clone(p))
	}
	if offload.Complete(parts, &m) {
		f.Data, f.Frags = parts[0], parts[1:]
	}
}

// show lets the sink see a frame. The caller has asked for a sink.
func (k *Kernel) show(c *CPU, s *skb, what sight) {
	f := trace.Frame{
		ID: s.id, At: c.clock.Now(), Point: what.point, Tx: what.tx,
		Verdict: what.verdict, Reason: what.reason, Stage: what.stage,
		Queue: int32(s.queue), Port: what.port, VM: what.vm,
		Len: int(s.length), Data: s.data,
	}
	for i := range s.nfrags {
		f.Frags = append(f.Frags, s.frags.buf[i].data)
	}
	if s.unplain {
		finished(&f, s.meta())
	}
	k.sink.Frame(&f)
}
