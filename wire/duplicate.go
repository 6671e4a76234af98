package wire

import (
	"math/rand/v2"

	"ringside/nic"
	"ringside/sim"
)

// Copy is set in the ID of a frame that a link made: the copy of the frame whose ID
// has the rest.
const Copy = 1 << 39

// duplicate picks the frames that come twice, and keeps the copy of one until it
// sets off, right behind the first.
type duplicate struct {
	p     Prob
	rnd   *rand.ChaCha8
	copy  nic.WireFrame
	began sim.Time
	has   bool
	n     uint64
}

// look sees the next frame.
func (d *duplicate) look(f *nic.WireFrame, began sim.Time) {
	if !d.p.hits(d.rnd) {
		return
	}
	d.n++
	d.copy, d.began, d.has = *f, began, true
	d.copy.ID |= Copy
}
