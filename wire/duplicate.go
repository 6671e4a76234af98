package wire

import (
	"math/rand/v2"

	"ringside/nic"
)

// Copy is set in the ID of a frame that a link made: the copy of the frame whose ID
// has the rest.
const Copy = 1 << 39

// duplicate picks the frames that come twice, and keeps the copy of one until it
// sets off, right behind the first.
type duplicate struct {
	p    Prob
	rnd  *rand.ChaCha8
	copy nic.WireFrame
	has  bool
	n    uint64
}

// look sees the next frame.
func (d *duplicate) look(f *nic.WireFrame) {
	if !d.p.hits(d.rnd) {
		return
	}
	d.n++
	d.copy, d.has = *f, true
	d.copy.ID |= Copy
}
