package wire

import (
	"math/rand/v2"

	"ringside/nic"
	"ringside/sim"
)

// delay is how long the link is. All frames pass it, some at once.
type delay struct {
	fixed    sim.Time
	jitter   *jitter  // nil for none
	reorder  *reorder // likewise
	overtake bool
	last     sim.Time // to come out of those that keep their order
}

func newDelay(w Way, chance func(string) *rand.ChaCha8) *delay {
	d := &delay{fixed: w.Delay.Fixed, overtake: w.Delay.Overtake}
	if w.Delay.Jitter > 0 {
		d.jitter = &jitter{uint64(w.Delay.Jitter), w.Delay.Normal, chance("jitter")}
	}
	if w.Reorder.P > 0 {
		d.reorder = &reorder{p: w.Reorder.P, gap: max(w.Reorder.Gap, 1), rnd: chance("reorder")}
	}
	return d
}

func (d *delay) pass(f *nic.WireFrame) Reason {
	if d.reorder != nil && d.reorder.hits() {
		return NotLost
	}
	span := d.fixed
	if d.jitter != nil {
		span = max(span+d.jitter.draw(), 0)
	}
	at := min(f.At+span, far)
	if !d.overtake {
		at = max(at, d.last)
		d.last = at
	}
	f.At = at
	return NotLost
}
